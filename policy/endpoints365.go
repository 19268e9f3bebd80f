package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// An endpointSet is an entry of Microsoft's list of the endpoints of Microsoft
// 365, https://endpoints.office.com/endpoints/worldwide, which is published as
// JSON. Names are compared as written.
type endpointSet map[string]json.RawMessage

// endpointPrefixes reads the prefixes of a list of endpoints: those of one
// service, or of all when it is empty.
func (r *reader) endpointPrefixes(content []byte, service string) ([]netip.Prefix, error) {
	var sets []endpointSet
	if err := json.Unmarshal(content, &sets); err != nil {
		if e, ok := errors.AsType[*json.SyntaxError](err); ok {
			r.failAtOffset(content, int(e.Offset), "not valid JSON: %v", err)
			return nil, nil
		}
		return nil, errors.New("the file is not a list of endpoints, as Microsoft publishes it")
	}
	var all []netip.Prefix
	services := make(map[string]bool)
	for _, set := range sets {
		var area string
		var ips []string
		if json.Unmarshal(set["serviceArea"], &area) != nil || set["ips"] != nil && json.Unmarshal(set["ips"], &ips) != nil {
			return nil, errors.New("an entry of the file has no serviceArea, or ips that are no list of texts")
		}
		services[area] = true
		if service != "" && area != service {
			continue
		}
		for _, s := range ips {
			p, err := parsePrefix(s)
			if err != nil {
				r.failAtOffset(content, 1+bytes.Index(content, []byte(`"`+s+`"`)), "%v", err)
				continue
			}
			all = append(all, p)
		}
	}
	switch known := slices.Sorted(maps.Keys(services)); {
	case service != "" && !services[service]:
		return nil, fmt.Errorf("the file has no service %q: it has %s", service, strings.Join(known, ", "))
	case len(all) == 0:
		return nil, errors.New("the file holds no prefix")
	}
	return all, nil
}

// failAtOffset records a mistake at a byte of the file, counted from 1.
func (r *reader) failAtOffset(content []byte, offset int, format string, args ...any) {
	before := content[:max(0, offset-1)]
	r.failAt(1+bytes.Count(before, []byte("\n")), len(before)-bytes.LastIndexByte(before, '\n'), format, args...)
}
