package wstrust

// A Tolerance is a deviation from the specifications that real clients have
// and that is accepted, because it can be read in one way only (security.md,
// SOAP-17). The closed list of them is data: name, meaning, and who needs it.
type Tolerance uint8

// The tolerances.
const (
	MessageIDSpelling Tolerance = iota
	NoTimestamp
	NoAddressing
	SOAPActionIgnored
	UnreadHeader
	NamespacedPasswordType
	TrustNamespaceSlash
	PaddedURI
	numTolerances
)

var toleranceNames = [numTolerances]string{
	MessageIDSpelling:      "messageid-spelling",
	NoTimestamp:            "no-timestamp",
	NoAddressing:           "no-addressing",
	SOAPActionIgnored:      "soapaction-ignored",
	UnreadHeader:           "unread-header",
	NamespacedPasswordType: "namespaced-password-type",
	TrustNamespaceSlash:    "trust-namespace-slash",
	PaddedURI:              "padded-uri",
}

// String returns the tolerance's name in metrics, audit and configuration.
func (t Tolerance) String() string { return toleranceNames[t] }
