package soap

// A Profile selects the limits that a document is read under; the rules are
// the same in all (XML-17, DOS-03).
type Profile uint8

// The profiles.
const (
	// Request is for what clients send: 64 KiB, depth 31, 512 elements, 32
	// attributes an element, start tags of 4,000 bytes, texts of 16 KiB,
	// 32 namespaces. They lie within WCF's default quotas (depth 32, tags of
	// 4,096 bytes).
	Request Profile = iota
	// Answer is for what the farm sends: 1 MiB, depth 64, 16,384 elements, 64
	// attributes an element, start tags of 16,000 bytes, texts of 256 KiB,
	// 64 namespaces.
	Answer
	// Metadata is for MEX and federation metadata, never on the path of a
	// request. Its limits are those of Answer.
	Metadata
)

// limits are upper bounds, all inclusive.
type limits struct {
	size       int // bytes of the document
	depth      int // open elements; the root is 1
	elements   int
	attributes int // per start tag, namespace declarations included
	tag        int // bytes of one tag or comment
	text       int // bytes between two tags or comments
	namespaces int // distinct ones in the document
	bindings   int // declarations in scope at one place
}

func (p Profile) limits() limits {
	if p == Request {
		return limits{size: 64 << 10, depth: 31, elements: 512, attributes: 32, tag: 4000,
			text: 16 << 10, namespaces: 32, bindings: 64}
	}
	return limits{size: 1 << 20, depth: 64, elements: 16384, attributes: 64, tag: 16000,
		text: 256 << 10, namespaces: maxNamespaces, bindings: 128}
}

// maxNamespaces is the largest limit of namespaces.
const maxNamespaces = 64
