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
	Addressing2004
	SOAPActionIgnored
	UnreadHeader
	NamespacedPasswordType
	TrustNamespaceSlash
	PaddedURI
	Policy15
	PolicyReference
	Comment
	numTolerances
)

// tolerances has one row a tolerance. It is read, never written.
var tolerances = [numTolerances]struct {
	name, meaning, needs string
	// issueOnly tells that the farm would refuse or misread the message, so
	// that it is only answered where the token is issued here.
	issueOnly bool
}{
	MessageIDSpelling: {
		name:    "messageid-spelling",
		meaning: "The message id is called messageID or MessageId. It is not read, and the answer has no RelatesTo.",
		needs:   "MSAL Go, ADAL for Node, php-crm-toolkit",
	},
	NoTimestamp: {
		name:    "no-timestamp",
		meaning: "The Security header has no Timestamp, so that the age of the message is unknown.",
		needs:   "Test-AdfsServerToken, node-sp-auth, SharePlum, zeep",
	},
	NoAddressing: {
		name:      "no-addressing",
		meaning:   "Action or To is missing. The SOAPAction header or the media type's action stands in for Action.",
		needs:     "govmomi, pyVmomi, node-soap",
		issueOnly: true,
	},
	Addressing2004: {
		name:      "addressing-2004",
		meaning:   "The addressing headers are of August 2004.",
		needs:     "Apache Rampart",
		issueOnly: true,
	},
	SOAPActionIgnored: {
		name:    "soapaction-ignored",
		meaning: "The SOAPAction header of a SOAP 1.2 message, or one that repeats To, names no WS-Trust action.",
		needs:   "php-ws-trust-client",
	},
	UnreadHeader: {
		name:    "unread-header",
		meaning: "A header block of Microsoft's sign-in code, of WCF's tracing, or that soap.headers.pass lists is present. It is not read.",
		needs:   "Office365-REST-Python-Client, Office sign-in code, WCF with tracing",
	},
	NamespacedPasswordType: {
		name:    "namespaced-password-type",
		meaning: "The Type of the Password is an attribute of the WS-Security namespace; it says PasswordText.",
		needs:   "go-vcloud-director",
	},
	TrustNamespaceSlash: {
		name:      "trust-namespace-slash",
		meaning:   "The namespace of WS-Trust 1.3 ends in a slash.",
		needs:     "clients written from the service WSDL's target namespace",
		issueOnly: true,
	},
	PaddedURI: {
		name:      "padded-uri",
		meaning:   "A URI has white space at its ends.",
		needs:     "hand-made templates with line breaks inside elements",
		issueOnly: true,
	},
	Policy15: {
		name:      "policy-1.5",
		meaning:   "AppliesTo is an element of WS-Policy 1.5.",
		needs:     "JBoss and CXF clients",
		issueOnly: true,
	},
	PolicyReference: {
		name:    "policy-reference",
		meaning: "The request refers to a policy by name, such as MBI. It is not read.",
		needs:   "Office365-REST-Python-Client, Office sign-in code",
	},
	Comment: {
		name:    "comment",
		meaning: "There are comments between elements. None is inside a value.",
		needs:   "hand-made templates, Java clients that carry signed tokens",
	},
}

// Tolerances returns all tolerances in order.
func Tolerances() []Tolerance {
	all := make([]Tolerance, numTolerances)
	for i := range all {
		all[i] = Tolerance(i)
	}
	return all
}

// String returns the tolerance's name in metrics, audit and configuration.
func (t Tolerance) String() string { return tolerances[t].name }

// Meaning says, in one or two sentences, what is deviant and what follows.
func (t Tolerance) Meaning() string { return tolerances[t].meaning }

// Needs names the clients that need the tolerance.
func (t Tolerance) Needs() string { return tolerances[t].needs }

// IssueOnly tells that a message with the deviation is answered by the
// built-in issuer only and never forwarded.
func (t Tolerance) IssueOnly() bool { return tolerances[t].issueOnly }
