package config

import "time"

// Upstream has the ways to answer a request.
type Upstream struct {
	// ADFS is the farm that requests are forwarded to. Default: absent, nothing
	// is forwarded. Takes effect on restart.
	ADFS *ADFS `yaml:"adfs"`
	// Issuer is the built-in security token service. Default: absent, nothing
	// is issued here. Takes effect on restart.
	Issuer *Issuer `yaml:"issuer"`
}

// ADFS is a farm of AD FS servers.
type ADFS struct {
	// Nodes are the servers as https://address or https://address:port. All of
	// them are asked by the name in host. At least one. Required. Takes effect
	// on restart.
	Nodes []string `yaml:"nodes" check:"required"`
	// CA is a PEM file of the authorities that may have signed the nodes'
	// certificates; nothing else is trusted. Required. Takes effect on restart.
	CA string `yaml:"ca" check:"required,file"`
	// Signing is a PEM file of the certificates, 1 to 8, that the farm signs
	// tokens under; an answer signed by another key is not released. Default:
	// absent, those in the farm's federation metadata, read from a node at start
	// and every hour. Reloaded on SIGHUP.
	Signing string `yaml:"signing" check:"file"`
	// Probe is how a node's health is asked: http gets /adfs/probe from port
	// 80, tls shakes hands on the node's own port, auto takes http where a node
	// answers it and else tls. Default: auto. Takes effect on restart.
	Probe ProbeMode `yaml:"probe"`
	// Proof is an account with which the gateway itself signs in at the farm, at
	// start, on SIGHUP and every day, to read in the token that AD FS takes what it
	// is forwarded for requests from outside. Default: absent, only the tokens of
	// clients can tell. Takes effect on restart, apart from the keys that say
	// otherwise.
	Proof *ADFSProof `yaml:"proof"`
	// Outside is a further IP address of this machine, one that the farm's firewall
	// refuses as it refuses clients. From there each node is tried at start, on
	// SIGHUP and every day: one that answers can be reached past the gateway.
	// Default: absent, nothing tells. Takes effect on restart.
	Outside string `yaml:"outside"`
	// Timeouts bounds what the farm may take. Takes effect on restart.
	Timeouts ADFSTimeouts `yaml:"timeouts"`
}

// ADFSProof is an account of the gateway's own in the farm's domain.
type ADFSProof struct {
	// User is its user name as it would be typed: user@domain or DOMAIN\user. It
	// needs no right but to sign in for application. Required. Takes effect on
	// restart.
	User string `yaml:"user" check:"required"`
	// Password is a file with its password, without which nothing is proven. Only
	// its owner may read it. It is read for each proof. Required. Reloaded on
	// SIGHUP.
	Password string `yaml:"password" check:"required,file"`
	// Application is the realm of a relying party whose rules pass the claim
	// insidecorporatenetwork, as those for Entra ID do. Required. Takes effect on
	// restart.
	Application string `yaml:"application" check:"required"`
}

// ADFSTimeouts bounds what the farm may take.
type ADFSTimeouts struct {
	// Dial is for TCP and TLS to a node. Default: 3s, above 0, at most 1m.
	// Takes effect on restart.
	Dial time.Duration `yaml:"dial"`
	// Answer is from the request's last byte to the first of the answer.
	// Default: 20s, above 0, at most 2m. Takes effect on restart.
	Answer time.Duration `yaml:"answer"`
}

// Issuer is the built-in security token service.
type Issuer struct {
	// Entity is the issuer's URI in tokens and metadata, which applications
	// trust by; AD FS writes http://HOST/adfs/services/trust. Required. Takes
	// effect on restart.
	Entity string `yaml:"entity" check:"required"`
	// Signing is the certificate that tokens are signed under. Required. Takes
	// effect on restart.
	Signing Signing `yaml:"signing" check:"required"`
}

// Signing is a signing certificate with its key.
type Signing struct {
	// Certificate is a PEM file with the certificate that applications know.
	// Required. Takes effect on restart.
	Certificate string `yaml:"certificate" check:"required,file"`
	// Key is a PEM file with the certificate's private key. Required. Takes
	// effect on restart.
	Key string `yaml:"key" check:"required,file"`
}
