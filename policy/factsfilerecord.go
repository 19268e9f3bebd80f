package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of facts in a record, in bytes (security.md, AUD-06). What is beyond
// is cut or left out, and counts as not read, so that a replay never decides
// on it.
const (
	maxRecordedText   = 512
	maxRecordedGroups = 3 << 10
	maxRecordedFacts  = 6 << 10
)

// AppendJSON appends the facts in the form of [FactsFile] as one line of JSON,
// with the keys in the order of the manual, without those that are empty. Read
// are the facts that were asked for: of them, unknown names those that could
// not be read, and not_read names all others and those too long for a record.
// Characters that cannot be seen, or are markup in HTML, are escaped. The
// result is at most 7 KiB.
func (f *Facts) AppendJSON(b []byte, read FactSet) []byte {
	w := factsWriter{facts: f, out: append(b, '{'), notRead: AllFacts &^ read}
	start := len(w.out)
	known := f.Known
	if !f.timed() {
		known = known.Without(Time)
	}
	for fact := range NumFacts {
		if fact == RequestApplication || !read.Has(fact) || !known.Has(fact) {
			continue
		}
		before := w
		w.fact(fact)
		if len(w.out)-start > maxRecordedFacts {
			before.notRead = w.notRead.With(fact)
			w = before
		}
	}
	w.close()
	w.list("unknown", read&^known)
	w.list("not_read", w.notRead)
	return append(w.out, '}')
}

// A factsWriter writes facts as JSON.
type factsWriter struct {
	facts   *Facts
	out     []byte
	group   string // the first part whose mapping is open
	notRead FactSet
}

// fact writes one fact, unless it is empty.
func (w *factsWriter) fact(fact Fact) {
	f := w.facts
	switch fact {
	case UserDomain:
		w.text(fact, "user.sam", f.User.SAM)
		w.text(fact, "user.domain", f.User.Domain)
	case UserGroups:
		w.groups()
	case ClientAddress:
		if f.Client.Address.IsValid() {
			w.key(fact.String())
			w.address(f.Client.Address)
		}
	case ClientForwarded:
		if len(f.Client.Forwarded) > 0 {
			w.key(fact.String())
			writeList(w, f.Client.Forwarded, w.address)
		}
	case ClientCountry, ClientASN:
		w.places(fact)
	case ClientFamiliar:
		if f.Client.Familiar {
			w.key(fact.String())
			w.out = append(w.out, "true"...)
		}
	case SourceFailedUsers:
		w.number(fact, f.Source.FailedUsers)
	case SourceFailures:
		w.number(fact, f.Source.Failures)
	case Time:
		w.key(fact.String())
		w.out = append(f.Time.UTC().AppendFormat(append(w.out, '"'), time.RFC3339Nano), '"')
	default:
		w.text(fact, fact.String(), *f.text(fact))
	}
}

// key writes what comes before a value.
func (w *factsWriter) key(name string) {
	group, key, inGroup := strings.Cut(name, ".")
	if !inGroup {
		group, key = "", name
	}
	if group != w.group {
		w.close()
	}
	w.comma()
	if group != w.group {
		w.group = group
		w.out = append(append(append(w.out, '"'), group...), `":{`...)
	}
	w.out = append(append(append(w.out, '"'), key...), `":`...)
}

func (w *factsWriter) comma() {
	if last := w.out[len(w.out)-1]; last != '{' && last != '[' {
		w.out = append(w.out, ',')
	}
}

// close ends the mapping that is open.
func (w *factsWriter) close() {
	if w.group != "" {
		w.out = append(w.out, '}')
		w.group = ""
	}
}

func (w *factsWriter) text(fact Fact, name, s string) {
	if s == "" {
		return
	}
	if len(s) > maxRecordedText || !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s[:min(len(s), maxRecordedText)], "\ufffd")
		w.notRead = w.notRead.With(fact)
	}
	w.key(name)
	w.out = appendJSONText(w.out, s)
}

func (w *factsWriter) groups() {
	groups := w.facts.User.Groups
	if len(groups) == 0 {
		return
	}
	w.key(UserGroups.String())
	w.out = append(w.out, '[')
	start := len(w.out)
	for _, g := range groups {
		if len(g) > maxRecordedText || !utf8.ValidString(g) || len(w.out)-start > maxRecordedGroups {
			w.notRead = w.notRead.With(UserGroups)
			break
		}
		w.comma()
		w.out = appendJSONText(w.out, g)
	}
	w.out = append(w.out, ']')
}

func (w *factsWriter) address(a netip.Addr) {
	w.out = append(a.Unmap().WithZone("").AppendTo(append(w.out, '"')), '"')
}

// places writes the countries or the autonomous systems: one value for all
// addresses, or a list.
func (w *factsWriter) places(fact Fact) {
	if len(w.facts.Client.Forwarded) > 0 && (!w.facts.Known.Has(ClientForwarded) || w.notRead.Has(ClientForwarded)) {
		w.notRead = w.notRead.With(fact) // of addresses that the record does not have
		return
	}
	places := make([]Place, max(1, len(w.facts.Client.Forwarded)))
	copy(places, w.facts.Client.Places)
	same, empty := true, true
	for i, p := range places {
		if fact == ClientCountry {
			places[i] = Place{Country: p.Country}
		} else {
			places[i] = Place{ASN: p.ASN}
		}
		same, empty = same && places[i] == places[0], empty && places[i] == Place{}
	}
	write := func(p Place) {
		if fact == ClientCountry {
			w.out = appendJSONText(w.out, p.Country)
		} else {
			w.out = strconv.AppendUint(w.out, uint64(p.ASN), 10)
		}
	}
	switch {
	case empty:
	case same:
		w.key(fact.String())
		write(places[0])
	default:
		w.key(fact.String())
		writeList(w, places, write)
	}
}

func (w *factsWriter) number(fact Fact, n int) {
	if n != 0 {
		w.key(fact.String())
		w.out = strconv.AppendInt(w.out, int64(n), 10)
	}
}

func (w *factsWriter) list(name string, facts FactSet) {
	if facts = facts.Without(RequestApplication); facts == 0 {
		return
	}
	w.key(name)
	w.out = append(w.out, '[')
	for f := range NumFacts {
		if facts.Has(f) {
			w.comma()
			w.out = append(append(append(w.out, '"'), f.String()...), '"')
		}
	}
	w.out = append(w.out, ']')
}

func writeList[T any](w *factsWriter, all []T, write func(T)) {
	w.out = append(w.out, '[')
	for _, v := range all {
		w.comma()
		write(v)
	}
	w.out = append(w.out, ']')
}

// appendJSONText appends a text in quotes. What is not visible is escaped.
func appendJSONText(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	escape := func(c rune) {
		b = append(b, '\\', 'u', hex[c>>12&15], hex[c>>8&15], hex[c>>4&15], hex[c&15])
	}
	b = append(b, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case c == '<' || c == '>' || c == '&': // markup, where a reader takes it for that
			escape(c)
		case c >= ' ' && c < utf8.RuneSelf-1 || c >= utf8.RuneSelf && visible(c):
			b = utf8.AppendRune(b, c)
		case c > 0xffff:
			high, low := utf16.EncodeRune(c)
			escape(high)
			escape(low)
		default:
			escape(c)
		}
	}
	return append(b, '"')
}

// recordedFacts is the form that AppendJSON writes.
type recordedFacts struct {
	User struct {
		Name   string   `json:"name"`
		GUID   string   `json:"guid"`
		SAM    string   `json:"sam"`
		Domain string   `json:"domain"`
		Groups []string `json:"groups"`
	} `json:"user"`
	Client struct {
		Address   netip.Addr        `json:"address"`
		Forwarded []netip.Addr      `json:"forwarded"`
		Country   oneOrEach[string] `json:"country"`
		ASN       oneOrEach[uint32] `json:"asn"`
		Family    string            `json:"family"`
		UserAgent string            `json:"user_agent"`
		Familiar  bool              `json:"familiar"`
	} `json:"client"`
	Source struct {
		FailedUsers int `json:"failed_users"`
		Failures    int `json:"failures"`
	} `json:"source"`
	Request struct {
		AppliesTo  string `json:"applies_to"`
		Endpoint   string `json:"endpoint"`
		Version    string `json:"version"`
		Type       string `json:"type"`
		Credential string `json:"credential"`
		TokenType  string `json:"token_type"`
		KeyType    string `json:"key_type"`
		SOAP       string `json:"soap"`
	} `json:"request"`
	Delegation struct {
		OnBehalfOf string `json:"on_behalf_of"`
		ActAs      string `json:"act_as"`
	} `json:"delegation"`
	Time    time.Time `json:"time"`
	Unknown []string  `json:"unknown"`
	NotRead []string  `json:"not_read"`
}

// oneOrEach is one value for all addresses, or a list with one for each.
type oneOrEach[T any] []T

// UnmarshalJSON reads a value or a list.
func (o *oneOrEach[T]) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		return json.Unmarshal(b, (*[]T)(o))
	}
	*o = make([]T, 1)
	return json.Unmarshal(b, &(*o)[0])
}

// at returns the value for one of count addresses.
func (o oneOrEach[T]) at(i, count int) (T, error) {
	var none T
	switch len(o) {
	case 0:
		return none, nil
	case 1:
		return o[0], nil
	case count:
		return o[i], nil
	default:
		return none, fmt.Errorf("%d values for %d addresses", len(o), count)
	}
}

// ParseRecorded reads what [Facts.AppendJSON] wrote. Missing are the facts
// that the record does not have: of those the policy that was in force never
// asked for, or did not fit. They are not in Known, as unknown ones are not.
func ParseRecorded(line []byte) (f Facts, missing FactSet, err error) {
	var rec recordedFacts
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&rec); err != nil {
		return Facts{}, 0, fmt.Errorf("recorded facts: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Facts{}, 0, errors.New("recorded facts: something follows them")
	}
	unknown, err := factSet(rec.Unknown)
	if err != nil {
		return Facts{}, 0, err
	}
	missing, err = factSet(rec.NotRead)
	if err != nil {
		return Facts{}, 0, err
	}
	f = Facts{
		Known: AllFacts &^ unknown &^ missing,
		Time:  rec.Time.UTC(),
		User:  User{Name: rec.User.Name, GUID: rec.User.GUID, SAM: rec.User.SAM, Domain: rec.User.Domain, Groups: rec.User.Groups},
		Client: Client{
			Address: rec.Client.Address, Forwarded: rec.Client.Forwarded,
			Family: rec.Client.Family, UserAgent: rec.Client.UserAgent, Familiar: rec.Client.Familiar,
		},
		Source:     Source(rec.Source),
		Request:    Request(rec.Request),
		Delegation: Delegation(rec.Delegation),
	}
	if !f.Known.Has(RequestAppliesTo) {
		f.Known = f.Known.Without(RequestApplication)
	}
	if !f.timed() {
		f.Known = f.Known.Without(Time)
	}
	f.Client.Places, err = rec.places()
	if err != nil {
		return Facts{}, 0, fmt.Errorf("recorded facts: client: %w", err)
	}
	return f, missing, nil
}

// places returns where the addresses are.
func (rec *recordedFacts) places() ([]Place, error) {
	client := &rec.Client
	if client.Country == nil && client.ASN == nil {
		return nil, nil
	}
	places := make([]Place, max(1, len(client.Forwarded)))
	for i := range places {
		var err error
		if places[i].Country, err = client.Country.at(i, len(places)); err != nil {
			return nil, err
		}
		if places[i].ASN, err = client.ASN.at(i, len(places)); err != nil {
			return nil, err
		}
	}
	return places, nil
}

// factSet returns the facts of these names.
func factSet(names []string) (FactSet, error) {
	var set FactSet
	for _, name := range names {
		found := false
		for f := range NumFacts {
			if factInfos[f].Name == name {
				set, found = set.With(f), true
			}
		}
		if !found {
			return 0, fmt.Errorf("recorded facts: unknown fact %q", name)
		}
	}
	return set, nil
}
