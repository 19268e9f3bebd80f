package family

import (
	"bytes"
	"slices"
	"strings"
)

// A fingerprint is what is known of how one piece of software writes its
// requests. A request has to have all of it.
type fingerprint struct {
	name     Name
	software string // what sends it, by version or endpoint where these differ
	source   string // where the shape was seen
	trait    string // what tells it from the shapes that are nearest to it

	contentTypes []string // each a value of the header; * stands for the action
	soapAction   []string // "absent", "bare" or "quoted"
	prologs      []string // each what stands before the root; "" for nothing
	quotes       string   // see shape
	layouts      []string // see shape

	// outline is the shape's, in any number of lines. A word behind ? may be
	// missing, with its children; of alternatives, each has one. {*} stands
	// for any declarations. ... is the end: what follows is the application's.
	outline string
}

// A pattern is a fingerprint made ready for comparing.
type pattern struct {
	*fingerprint
	outline []piece
}

// A piece is a part of an outline.
type piece struct {
	text     string
	optional bool // it may be missing, and then the next skip pieces are
	skip     int
	any      bool // a brace with anything in it follows
	rest     bool // anything follows
}

var table = compile(fingerprints())

func compile(all []fingerprint) []pattern {
	patterns := make([]pattern, len(all))
	for i := range all {
		patterns[i] = pattern{&all[i], pieces(all[i].outline)}
	}
	return patterns
}

// pieces joins the words that stand side by side and must be there.
func pieces(outline string) []piece {
	var out []piece
	var text strings.Builder
	flush := func(p piece) {
		p.text = text.String()
		text.Reset()
		if p != (piece{}) {
			out = append(out, p)
		}
	}
	var groups []int // of each open bracket: the optional piece that has it, or -1
	optional := -1   // the last piece, when it is optional
	for word := range strings.FieldsSeq(outline) {
		last := optional
		optional = -1
		switch before, after, isAny := strings.Cut(word, "{*}"); {
		case word == "...":
			flush(piece{rest: true})
		case word[0] == '?':
			flush(piece{})
			text.WriteString(word[1:] + " ")
			flush(piece{optional: true})
			optional = len(out) - 1
		case isAny:
			text.WriteString(before + "{")
			flush(piece{any: true})
			text.WriteString("}" + after + " ")
		case word == "(":
			groups = append(groups, last)
			text.WriteString("( ")
		case word == ")":
			text.WriteString(") ")
			group := groups[len(groups)-1]
			groups = groups[:len(groups)-1]
			if group >= 0 {
				flush(piece{})
				out[group].skip = len(out) - 1 - group
			}
		default:
			text.WriteString(word + " ")
		}
	}
	flush(piece{})
	return out
}

func (p *pattern) fits(s *shape, h Headers) bool {
	return s.quotes == p.quotes && !s.full() && follows(s.outline[:s.size], p.outline) &&
		slices.Contains(p.layouts, s.layout) &&
		isProlog(p.prologs, s.prolog) &&
		slices.Contains(p.soapAction, actionForm(h.SOAPAction)) &&
		isOfType(p.contentTypes, h.ContentType)
}

// follows reports whether an outline is made of the pieces. It never goes
// back: a word that may be missing and is there is the one that is meant.
func follows(outline []byte, pieces []piece) bool {
	for i := 0; i < len(pieces); i++ {
		p := &pieces[i]
		switch {
		case len(outline) >= len(p.text) && string(outline[:len(p.text)]) == p.text:
			outline = outline[len(p.text):]
		case p.optional:
			i += p.skip
			continue
		default:
			return false
		}
		if p.rest {
			return true
		}
		if p.any {
			end := bytes.IndexAny(outline, "} ")
			if end < 0 {
				return false
			}
			outline = outline[end:]
		}
	}
	return len(outline) == 0
}

func isProlog(list []string, prolog []byte) bool {
	for _, p := range list {
		if p == string(prolog) {
			return true
		}
	}
	return false
}

func actionForm(header string) string {
	switch {
	case header == "":
		return "absent"
	case header[0] == '"':
		return "quoted"
	default:
		return "bare"
	}
}

// isOfType reports whether a Content-Type is one of a list.
func isOfType(list []string, header string) bool {
	for _, t := range list {
		before, after, hasAction := strings.Cut(t, "*")
		if t == header || hasAction && len(header) >= len(before)+len(after) &&
			strings.HasPrefix(header, before) && strings.HasSuffix(header, after) {
			return true
		}
	}
	return false
}
