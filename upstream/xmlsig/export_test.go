package xmlsig

// What Verify digests, and what it refuses to digest.
var (
	AppendCanonical = appendCanonical
	IsVoid          = isVoid
)
