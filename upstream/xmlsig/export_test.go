package xmlsig

// AppendCanonical is what Verify digests.
var AppendCanonical = appendCanonical
