package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxMistakes bounds what is reported of one network file: a wrong file has
// one mistake a line.
const maxMistakes = 20

// A network is a named set of prefixes.
type network struct {
	name     string
	at       place
	prefixes []netip.Prefix
	places   []place // of the prefixes of a list; nil for those of a file
	// published tells that the prefixes are those of a list of endpoints.
	published bool
	used      bool // a rule names it
}

// networks reads the key of that name.
func (l *loader) networks(r *reader, n *yaml.Node) {
	for _, f := range r.entries(n, "a mapping of network names") {
		net := &network{at: r.at(f.key)}
		var ok bool
		if net.name, ok = r.name(f.key, "a network name"); ok {
			if old := l.set.networks[net.name]; old != nil {
				r.fail(f.key, "network %q is defined already at %s:%d", net.name, old.at.file, old.at.line)
			} else {
				l.set.networks[net.name] = net
			}
		}
		if f.value.Kind == yaml.MappingNode {
			net.prefixes, net.published = l.networkFile(r, f.value)
		} else {
			r.prefixList(f.value, net)
		}
	}
}

// prefixList reads the prefixes of a list, in which none may come twice.
func (r *reader) prefixList(n *yaml.Node, net *network) {
	first := make(map[netip.Prefix]int)
	for _, v := range r.list(n, "a list of prefixes, or {file: NAME}") {
		s, ok := r.text(v, "a prefix such as 192.0.2.0/24")
		if !ok {
			continue
		}
		p, err := parsePrefix(s)
		if err != nil {
			r.fail(v, "%v", err)
			continue
		}
		if line, twice := first[p]; twice {
			r.fail(v, "%s stands already on line %d", p, line)
			continue
		}
		first[p] = v.Line
		net.prefixes, net.places = append(net.prefixes, p), append(net.places, r.at(v))
	}
}

// networkFile reads the prefixes of {file: NAME}, and tells whether they are
// those of a list of endpoints.
func (l *loader) networkFile(r *reader, n *yaml.Node) (all []netip.Prefix, published bool) {
	fields := r.fields(n, inNetwork, "a mapping")
	f, ok := fields["file"]
	if !ok {
		r.fail(n, "want {file: NAME}")
		return nil, false
	}
	name, ok := r.text(f.value, "a file name")
	if !ok {
		return nil, false
	}
	isJSON := strings.HasSuffix(name, ".json")
	service, hasService := fields["service"]
	switch {
	case !fs.ValidPath(name) || name == ".":
		r.fail(f.value, "%q is not a file in the policy directory or below, written with slashes and without ..", name)
		return nil, false
	case hasService && !isJSON:
		r.fail(service.key, "service has a meaning for a list of endpoints only: a file *.json")
	}
	content, err := l.read(name, maxNetworkFile)
	if err != nil {
		r.fail(f.value, "%v", err)
		return nil, false
	}
	of := &reader{file: l.vocabulary.path(name), errs: r.errs}
	if !isJSON {
		return of.prefixes(content), false
	}
	var only string
	if hasService {
		if only, ok = r.text(service.value, "a service such as Exchange"); !ok {
			return nil, false
		}
	}
	before := len(*r.errs)
	all, err = of.endpointPrefixes(content, only)
	if err != nil && len(*r.errs) == before {
		r.fail(f.value, "%v", err)
	}
	return all, true
}

// prefixes reads one prefix or address a line.
func (r *reader) prefixes(content []byte) []netip.Prefix {
	before := len(*r.errs)
	var all []netip.Prefix
	line := 0
	for text := range bytes.Lines(content) {
		line++
		text, _, _ = bytes.Cut(text, []byte("#"))
		entry := bytes.TrimSpace(text)
		if len(entry) == 0 {
			continue
		}
		p, err := parsePrefix(string(entry))
		if err == nil {
			all = append(all, p)
			continue
		}
		if len(*r.errs)-before == maxMistakes {
			r.failAt(line, 1, "too many mistakes: the rest of the file is not read")
			return all
		}
		r.failAt(line, 1+bytes.Index(text, entry), "%v", err)
	}
	if len(all) == 0 && len(*r.errs) == before {
		r.failAt(1, 1, "the file holds no prefix")
	}
	return all
}

// parsePrefix reads a prefix or a single address (security.md, HDR-07). What
// could be meant in two ways is refused: host bits, zones, and IPv4 addresses
// in IPv6 form.
func parsePrefix(s string) (netip.Prefix, error) {
	var p netip.Prefix
	var err error
	if strings.Contains(s, "/") {
		p, err = netip.ParsePrefix(s)
	} else {
		var a netip.Addr
		if a, err = netip.ParseAddr(s); err == nil {
			p = netip.PrefixFrom(a, a.BitLen())
		}
	}
	switch {
	case strings.Contains(s, "%"):
		return p, errors.New("an address of a network has no zone")
	case err != nil:
		return p, fmt.Errorf("%.64q is neither a prefix such as 192.0.2.0/24 nor an address", s)
	case p.Addr().Is4In6():
		return p, fmt.Errorf("%s is an IPv4 address in IPv6 form: write it as IPv4", s)
	case p.Masked() != p:
		return p, fmt.Errorf("%s has bits behind its length: did you mean %s?", s, p.Masked())
	}
	return p, nil
}
