package edge

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/hashicorp/go-sockaddr/template"
)

// Listen opens a TCP listener on IP:port, or on :port for all addresses. A
// go-sockaddr template in address is evaluated first, such as
// '{{ GetPrivateIP }}:443'. The result must be one address and a port:
// go-sockaddr itself takes 10.0.0.0/33 for the path of a socket, and a
// template that finds nothing would listen everywhere.
func Listen(address string) (net.Listener, error) {
	bind, err := Address(address)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", bind)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", named(address, bind), err)
	}
	return l, nil
}

// Address evaluates an address as Listen does, without opening it.
func Address(address string) (string, error) {
	bind := address
	if strings.Contains(address, "{{") {
		result, err := template.Parse(address)
		if err != nil {
			return "", fmt.Errorf("address %q: %w", address, err)
		}
		bind = result
	}
	port, all := strings.CutPrefix(bind, ":")
	if all && strings.HasPrefix(address, ":") {
		bind = "0.0.0.0:" + port // to be read as any other
	}
	if _, err := netip.ParseAddrPort(bind); err != nil {
		return "", fmt.Errorf("address %s: want IP:port or :port", named(address, bind))
	}
	if all {
		return ":" + port, nil
	}
	return bind, nil
}

// named shows an address, and what its template gave.
func named(address, bind string) string {
	if address == bind {
		return fmt.Sprintf("%q", address)
	}
	return fmt.Sprintf("%q, which gives %q", address, bind)
}
