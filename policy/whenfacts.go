package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	celtypes "cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
)

// placeFacts are the facts that differ between the addresses of a client.
const placeFacts FactSet = 1<<ClientAddress | 1<<ClientCountry | 1<<ClientASN

// An activation gives the facts of a request to an expression, for one of the
// addresses that the client may be at.
type activation struct {
	facts       *Facts
	application string
	client      netip.Addr
	place       Place
}

// ResolveName returns the value of a fact. An unknown one has a value, too:
// CEL computes with it by Kleene's logic.
func (a *activation) ResolveName(name string) (any, bool) {
	for f := range NumFacts {
		if factInfos[f].Name == name {
			if !a.knows(f) {
				return celtypes.NewUnknown(0, nil), true
			}
			return a.value(f), true
		}
	}
	return nil, false
}

// Parent returns nil: there are no facts but these.
func (a *activation) Parent() cel.Activation { return nil }

// knows tells whether a fact is known. An invalid address and the zero time
// are not, as no request has them.
func (a *activation) knows(f Fact) bool {
	known := a.facts.Known
	switch f {
	case ClientAddress:
		return a.client.IsValid()
	case ClientCountry, ClientASN:
		return a.client.IsValid() && known.Has(f)
	case RequestApplication:
		return a.application != ""
	case Time:
		return a.facts.timed()
	default:
		return known.Has(f)
	}
}

// value returns the value of a known fact. The directory's names are in lower
// case, as it compares them without case.
func (a *activation) value(f Fact) ref.Val {
	switch f {
	case UserName:
		return celtypes.String(strings.ToLower(a.facts.User.Name))
	case UserDomain:
		return celtypes.String(strings.ToLower(a.facts.User.Domain))
	case UserGroups:
		return newNameList(a.facts.User.Groups)
	case ClientAddress:
		return address(a.client)
	case ClientForwarded:
		return addresses(a.facts.Client.Forwarded)
	case ClientCountry:
		return celtypes.String(a.place.Country)
	case ClientASN:
		return celtypes.Int(a.place.ASN)
	case ClientFamiliar:
		return celtypes.Bool(a.facts.Client.Familiar)
	case SourceFailedUsers:
		return celtypes.Int(a.facts.Source.FailedUsers)
	case SourceFailures:
		return celtypes.Int(a.facts.Source.Failures)
	case RequestApplication:
		return celtypes.String(a.application)
	case Time:
		return celtypes.Timestamp{Time: a.facts.Time.UTC()}
	default:
		return celtypes.String(*a.facts.text(f))
	}
}

// text returns where a fact of type text is, or nil for one of another type
// or of each address.
func (f *Facts) text(fact Fact) *string {
	switch fact {
	case UserName:
		return &f.User.Name
	case UserGUID:
		return &f.User.GUID
	case UserDomain:
		return &f.User.Domain
	case ClientFamily:
		return &f.Client.Family
	case ClientUserAgent:
		return &f.Client.UserAgent
	case RequestAppliesTo:
		return &f.Request.AppliesTo
	case RequestEndpoint:
		return &f.Request.Endpoint
	case RequestVersion:
		return &f.Request.Version
	case RequestType:
		return &f.Request.Type
	case RequestCredential:
		return &f.Request.Credential
	case RequestTokenType:
		return &f.Request.TokenType
	case RequestKeyType:
		return &f.Request.KeyType
	case RequestSOAP:
		return &f.Request.SOAP
	case DelegationOnBehalfOf:
		return &f.Delegation.OnBehalfOf
	case DelegationActAs:
		return &f.Delegation.ActAs
	}
	return nil
}

func address(a netip.Addr) ref.Val { return ext.IP{Addr: a.Unmap().WithZone("")} }

func addresses(all []netip.Addr) ref.Val {
	values := make([]ref.Val, len(all))
	for i, a := range all {
		values[i] = address(a)
	}
	return celtypes.NewRefValList(celtypes.DefaultTypeAdapter, values)
}

// A nameList is a list of the directory's names in lower case. It answers in
// without making a value of every name.
type nameList struct {
	traits.Lister
	texts []string
}

func newNameList(texts []string) nameList {
	upper := func(s string) bool { return strings.ToLower(s) != s }
	if slices.ContainsFunc(texts, upper) {
		texts = slices.Clone(texts)
		for i, s := range texts {
			texts[i] = strings.ToLower(s)
		}
	}
	return nameList{celtypes.NewStringList(celtypes.DefaultTypeAdapter, texts), texts}
}

// Contains tells whether a name is in the list.
func (n nameList) Contains(v ref.Val) ref.Val {
	if s, ok := v.(celtypes.String); ok {
		return celtypes.Bool(slices.Contains(n.texts, string(s)))
	}
	return n.Lister.Contains(v)
}

// values writes the facts that the expression mentions as text, such as
// source.failed_users=12, client.country=unknown. The application is not
// among them: it is no fact of the request alone.
func (e *expression) values(f *Facts) string {
	var all []string
	for fact := range NumFacts {
		if e.mentions.Has(fact) && fact != RequestApplication {
			all = append(all, fact.String()+"="+f.show(fact))
		}
	}
	return strings.Join(all, ", ")
}

// maxShown bounds what is shown of a text, in bytes, and of a list.
const maxShown = 128

// show writes the value of a fact on one line. What a client chose freely
// cannot break out of it.
func (f *Facts) show(fact Fact) string {
	clients, known := f.clients()
	if fact == ClientForwarded || placeFacts.Has(fact) && fact != ClientAddress {
		known = f.Known.Has(ClientForwarded) && f.Known.Has(fact)
	} else if fact != ClientAddress {
		known = f.Known.Has(fact) && (fact != Time || f.timed())
	}
	if !known {
		return "unknown"
	}
	switch fact {
	case UserGroups:
		return showList(f.User.Groups, showText)
	case ClientAddress:
		return showOneOrList(clients, netip.Addr.String)
	case ClientForwarded:
		return showList(f.Client.Forwarded, netip.Addr.String)
	case ClientCountry:
		return showOneOrList(f.Client.Places, func(p Place) string { return showText(p.Country) })
	case ClientASN:
		return showOneOrList(f.Client.Places, func(p Place) string { return strconv.FormatUint(uint64(p.ASN), 10) })
	case ClientFamiliar:
		return strconv.FormatBool(f.Client.Familiar)
	case SourceFailedUsers:
		return strconv.Itoa(f.Source.FailedUsers)
	case SourceFailures:
		return strconv.Itoa(f.Source.Failures)
	case Time:
		return f.Time.UTC().Format("2006-01-02T15:04:05Z")
	default:
		return showText(*f.text(fact))
	}
}

func showText(s string) string {
	cut := ""
	if len(s) > maxShown {
		s, cut = s[:maxShown], "…"
	}
	odd := func(c rune) bool { return !visible(c) || strings.ContainsRune(" ,=[]\"\\", c) }
	if s == "" || strings.ContainsFunc(s, odd) {
		s = strconv.Quote(s)
	}
	return s + cut
}

func showList[T any](all []T, show func(T) string) string {
	var shown []string
	size := 0
	for i, v := range all {
		s := show(v)
		if size += len(s); size > 4*maxShown {
			shown = append(shown, fmt.Sprintf("and %d more", len(all)-i))
			break
		}
		shown = append(shown, s)
	}
	return "[" + strings.Join(shown, ", ") + "]"
}

func showOneOrList[T any](all []T, show func(T) string) string {
	if len(all) == 1 {
		return show(all[0])
	}
	return showList(all, show)
}
