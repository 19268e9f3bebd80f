package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// check says what is wrong with values that are of the right type.
func (d *decoder) check(c *Config) {
	if c.Host != "" && !dnsName(c.Host) {
		d.checkf("host", "want a DNS name in lower case, such as sts.contoso.example, got %q", c.Host)
	}
	if err := checkURL(c.URL, c.Host); c.URL != "" && err != nil {
		d.checkf("url", "%v", err)
	}
	for i, l := range c.Listen {
		if l.ProxyProtocol && len(c.Clients.Proxies) == 0 {
			d.checkf("listen["+strconv.Itoa(i)+"].proxy_protocol", "needs clients.proxies, the only ones who may connect there")
		}
	}
	d.checkPortal(c)
	d.checkMFA(&c.MFA, c.Portal, c.Directory)
	d.checkAdmin(&c.Admin, c.Directory)
	d.checkEndpoints(c.Endpoints)
	d.checkSOAP(&c.SOAP)
	d.checkUpstream(c)
	if c.Directory != nil {
		d.checkDirectory(c.Directory)
	}
	d.checkSyslog(c.Audit.Syslog)
	if r := c.Audit.Retention; r != 0 && (r < 24*time.Hour || r > 87600*time.Hour) {
		d.checkf("audit.retention", "want 0, or 24h to 87600h, got %v", r)
	}
	d.checkState(c.State)
	d.checkGuard(&c.Guard)
	d.checkOracle(&c.Oracle)
	d.sizes(c)
	d.counts(c)
	d.durations(c)
}

// longestSocket is what Unix has for the path of a socket, less what stands behind
// it while it is made.
const longestSocket = 103

func (d *decoder) checkAdmin(a *Admin, directory *Directory) {
	if len(a.Socket) > longestSocket {
		d.checkf("admin.socket", "the path has %d bytes, and a socket's has at most %d", len(a.Socket), longestSocket)
	}
	if a.SocketGroup != "" && a.Socket == "" {
		d.checkf("admin.socket_group", "needs admin.socket")
	}
	if len(a.ProtectedGroups) > 0 && (a.Socket == "" || directory == nil) {
		d.checkf("admin.protected_groups", "needs admin.socket, and directory, which knows who is in them")
	}
	for i, g := range a.ProtectedGroups {
		if strings.TrimSpace(g) != g || g == "" {
			d.checkf("admin.protected_groups["+strconv.Itoa(i)+"]", "want the name of a group, got %q", g)
		}
	}
}

// dnsName accepts what can stand in a certificate and a Host header: labels of
// lower-case letters, digits and inner hyphens, not an IP address.
func dnsName(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

func (d *decoder) checkEndpoints(endpoints Endpoints) {
	// What the edge compares must be what stands in the request line, so there
	// is nothing to decode, and no dot at an end that http.sys would drop.
	spelling := regexp.MustCompile(`^(/[A-Za-z0-9_~-]+(\.[A-Za-z0-9_~-]+)*)+$`)
	first := make(map[string]int, len(endpoints))
	if len(endpoints) == 0 {
		d.checkf("endpoints", "the list is empty")
	}
	for i, e := range endpoints {
		at := "endpoints[" + strconv.Itoa(i) + "]"
		path := at + ".path"
		if e.Tolerate != nil && (e.Kind == MEX || e.Kind == FederationMetadata) {
			d.checkf(at+".tolerate", "is for endpoints that take requests, not for %s", e.Kind)
		}
		if e.Path == "" {
			continue // reported as missing
		}
		if !spelling.MatchString(e.Path) {
			d.checkf(path, "want segments of ASCII letters, digits and - _ . ~, each after one slash, got %q", e.Path)
		}
		if j, twice := first[strings.ToLower(e.Path)]; twice {
			d.checkf(path, "is that of endpoints[%d] (case does not count)", j)
		} else {
			first[strings.ToLower(e.Path)] = i
		}
	}
}

func (d *decoder) checkSOAP(s *SOAP) {
	shape := regexp.MustCompile(`^\{[^{}\s]+\}[A-Za-z_][A-Za-z0-9._-]*$`)
	for i, h := range s.Headers.Pass {
		if !shape.MatchString(h) {
			d.checkf("soap.headers.pass["+strconv.Itoa(i)+"]", "want {namespace}name, such as {urn:example}Trace, got %q", h)
		}
	}
}

func (d *decoder) checkUpstream(c *Config) {
	if c.Upstream.ADFS == nil && c.Upstream.Issuer == nil {
		d.checkf("upstream", "want adfs, issuer, or both")
	}
	if farm := c.Upstream.ADFS; farm != nil {
		for i, node := range farm.Nodes {
			if err := checkNode(node); err != nil && node != "" {
				d.checkf("upstream.adfs.nodes["+strconv.Itoa(i)+"]", "%v", err)
			}
		}
		if a, err := netip.ParseAddr(farm.Outside); farm.Outside != "" && (err != nil || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "") {
			d.checkf("upstream.adfs.outside", "want an IP address of this machine, such as 10.9.0.7, got %q", farm.Outside)
		}
	}
	if issuer := c.Upstream.Issuer; issuer != nil {
		if u, err := url.Parse(issuer.Entity); issuer.Entity != "" && (err != nil || !u.IsAbs() || strings.ContainsAny(issuer.Entity, " \t\r\n")) {
			d.checkf("upstream.issuer.entity", "want an absolute URI, got %q", issuer.Entity)
		}
		if c.Directory == nil {
			d.checkf("upstream.issuer", "needs a directory to look users up in")
		}
	}
}

func (d *decoder) checkDirectory(c *Directory) {
	switch {
	case c.LDAP == nil && c.File == "" && d.at["directory.file"] == nil:
		d.checkf("directory", "want file or ldap")
	case c.LDAP != nil && c.File != "":
		d.checkf("directory", "want file or ldap, not both")
	}
	if c.LDAP == nil {
		return
	}
	if https, ok := strings.CutPrefix(c.LDAP.URL, "ldaps://"); c.LDAP.URL != "" && (!ok || checkNode("https://"+https) != nil) {
		d.checkf("directory.ldap.url", "want ldaps://name or ldaps://name:port, got %q", c.LDAP.URL)
	}
	for i, s := range c.LDAP.UPNSuffixes {
		if !dnsName(s) {
			d.checkf("directory.ldap.upn_suffixes["+strconv.Itoa(i)+"]", "want a DNS name in lower case, such as contoso.example, got %q", s)
		}
	}
}

func (d *decoder) checkSyslog(s *Syslog) {
	if s == nil {
		return
	}
	if host, port, err := net.SplitHostPort(s.Address); s.Address != "" && (err != nil || host == "" || port == "") {
		d.checkf("audit.syslog.address", "want host:port, got %q", s.Address)
	}
	if (s.Certificate == "") != (s.Key == "") {
		d.checkf("audit.syslog", "certificate and key belong together")
	}
}

// checkURL accepts https://host and https://host:port.
func checkURL(s, host string) error {
	if err := checkNode(s); err != nil {
		return err
	}
	if u, err := url.Parse(s); err != nil || u.Hostname() != host {
		return fmt.Errorf("want the name in host, %q, got %q", host, s)
	}
	return nil
}

// checkNode accepts https://address and https://address:port and nothing more:
// name, path and headers of a forwarded request come from elsewhere.
func checkNode(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || s != "https://"+u.Host {
		return fmt.Errorf("want https://address or https://address:port, got %q", s)
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("want a port from 1 to 65535, got %q", port)
		}
	}
	return nil
}

func (d *decoder) sizes(c *Config) {
	for _, s := range []struct {
		path               string
		value, least, most Size
	}{
		{"limits.body", c.Limits.Body, 4 << 10, 64 << 10},
		{"limits.headers", c.Limits.Headers, 4 << 10, 64 << 10},
		{"audit.reserve", c.Audit.Reserve, 1 << 20, 1 << 30},
	} {
		if s.value < s.least || s.value > s.most {
			d.checkf(s.path, "want %v to %v, got %v", s.least, s.most, s.value)
		}
	}
}

func (d *decoder) counts(c *Config) {
	const most = 50_000
	for path, value := range map[string]int{
		"limits.connections": c.Limits.Connections, "limits.connections_per_source": c.Limits.ConnectionsPerSource,
		"limits.handshakes": c.Limits.Handshakes, "limits.handshakes_per_source": c.Limits.HandshakesPerSource,
		"limits.requests": c.Limits.Requests, "limits.requests_per_source": c.Limits.RequestsPerSource,
	} {
		if value < 1 || value > most {
			d.checkf(path, "want 1 to %d, got %d", most, value)
		}
	}
}

func (d *decoder) durations(c *Config) {
	type bound struct {
		path        string
		value, most time.Duration
	}
	all := []bound{
		{"timeouts.header", c.Timeouts.Header, time.Minute},
		{"timeouts.body", c.Timeouts.Body, time.Minute},
		{"timeouts.idle", c.Timeouts.Idle, 10 * time.Minute},
		{"timeouts.drain", c.Timeouts.Drain, 10 * time.Minute},
	}
	if farm := c.Upstream.ADFS; farm != nil {
		all = append(all,
			bound{"upstream.adfs.timeouts.dial", farm.Timeouts.Dial, time.Minute},
			bound{"upstream.adfs.timeouts.answer", farm.Timeouts.Answer, 2 * time.Minute})
	}
	if c.Directory != nil && c.Directory.LDAP != nil {
		all = append(all, bound{"directory.ldap.timeout", c.Directory.LDAP.Timeout, 5 * time.Second})
	}
	for _, b := range all {
		if b.value <= 0 || b.value > b.most {
			d.checkf(b.path, "want more than 0 and at most %v, got %v", b.most, b.value)
		}
	}
}
