// Package config reads stsgate.yaml: one documented Go struct, decoded
// strictly, with every mistake reported at once as file:line:column: message.
//
// The comments of the fields are the manual. A default stands in the function
// defaults and nowhere else.
//
// The package never opens a listener, nor any file but that one: it only says
// whether what is named exists. What it returns is never changed afterwards.
package config

import (
	"log/slog"
	"net/netip"
	"time"
)

// Config is the whole of stsgate.yaml. Paths of files are relative to the
// folder of the file that names them, and absolute once loaded. SIGHUP reads
// again the files whose keys say so, and never stsgate.yaml itself.
type Config struct {
	// Host is the federation service name: the Host header of every request
	// must equal it, and so must the TLS server name where a client sends one.
	// A DNS name in lower case. Required. Takes effect on restart.
	Host string `yaml:"host" check:"required"`
	// URL is where clients reach the gateway, https://host or https://host:port,
	// as metadata and the To of messages name it; of use where something in
	// front listens on another port. Default: host, and the port of the first
	// listener. Takes effect on restart.
	URL string `yaml:"url"`
	// Listen has the addresses that clients connect to, at least one.
	// Required. Takes effect on restart.
	Listen []Listen `yaml:"listen" check:"required"`
	// Admin is the operator's side: the listener of /metrics, /healthz and
	// /readyz, and the socket of the verbs that ask the running gateway.
	// Takes effect on restart.
	Admin Admin `yaml:"admin"`
	// Probe is the listener for the load balancer in front, which answers
	// /adfs/probe. Default: absent, no such listener. Takes effect on restart.
	Probe *Probe `yaml:"probe"`
	// Portal has the users' own pages: their second factors, and what waits for
	// them. Default: absent, no such pages. Takes effect on restart.
	Portal *Portal `yaml:"portal"`
	// MFA is how a second factor is asked for. Takes effect on restart.
	MFA MFA `yaml:"mfa"`
	// Clients says whose word about a client's address is believed. Takes
	// effect on restart.
	Clients Clients `yaml:"clients"`
	// Endpoints are the published paths: the word adfs for the paths that AD FS
	// publishes and that are served here (user name and password in both
	// versions, mex, federation metadata), or a list. Default: adfs. Takes
	// effect on restart.
	Endpoints Endpoints `yaml:"endpoints"`
	// SOAP says what messages may hold beside what is known. Takes effect on
	// restart.
	SOAP SOAP `yaml:"soap"`
	// Upstream has the ways to answer a request: the farm, the built-in issuer,
	// or both; the policy chooses for each request. One of them is required.
	// Takes effect on restart.
	Upstream Upstream `yaml:"upstream"`
	// Directory is where users are looked up. Default: absent; upstream.issuer
	// and rules that name users or groups need it. Takes effect on restart,
	// apart from the keys that say otherwise.
	Directory *Directory `yaml:"directory"`
	// Places has the databases that tell where an address is, which rules that
	// name countries or asns need. Takes effect on restart, apart from the keys
	// that say otherwise.
	Places Places `yaml:"places"`
	// Policy is the folder of the policy files. Required. Reloaded on SIGHUP.
	Policy string `yaml:"policy" check:"required,folder"`
	// State is what must outlast this process, and what several gateways of one
	// service share: failures, locks and bans. Default: absent, one gateway keeps
	// them in memory and forgets them when it ends. Takes effect on restart.
	State *State `yaml:"state"`
	// Guard defends passwords that are being guessed. Takes effect on restart.
	Guard Guard `yaml:"guard"`
	// Oracle is what failures give away by their time. Takes effect on restart.
	Oracle Oracle `yaml:"oracle"`
	// Audit is the record of every exchange. Required. Takes effect on restart.
	Audit Audit `yaml:"audit" check:"required"`
	// Limits bounds what a client may send, and how much clients may have open
	// at a time. Takes effect on restart.
	Limits Limits `yaml:"limits"`
	// Timeouts bounds how long things may take. Takes effect on restart.
	Timeouts Timeouts `yaml:"timeouts"`
	// Log is the log on standard error. Takes effect on restart.
	Log Log `yaml:"log"`
}

// Listen is one address that clients connect to.
type Listen struct {
	// Address is IP:port, or :port for all addresses. A go-sockaddr template
	// may stand in it: '{{ GetPrivateIP }}:443'. Required. Takes effect on
	// restart.
	Address string `yaml:"address" check:"required"`
	// TLS is the certificate that is shown on this address. Required. Takes
	// effect on restart, apart from the keys that say otherwise.
	TLS TLS `yaml:"tls" check:"required"`
	// ProxyProtocol tells that the proxies in front pass connections on to this
	// address with a header of the PROXY protocol, version 1 or 2, ahead of TLS.
	// The source that it names is then who connected; the proxy is where it names
	// none (LOCAL, UNKNOWN), and then no other header speaks for a client. Only the proxies in clients.proxies may connect here,
	// and none without that header; on other addresses it is never read. Default:
	// false. Takes effect on restart.
	ProxyProtocol bool `yaml:"proxy_protocol"`
}

// TLS is a certificate with its key.
type TLS struct {
	// Certificate is a PEM file: the certificate, then its intermediates. It
	// must cover host. Required. Reloaded on SIGHUP.
	Certificate string `yaml:"certificate" check:"required,file"`
	// Key is a PEM file with the certificate's private key. Required. Reloaded
	// on SIGHUP.
	Key string `yaml:"key" check:"required,file"`
}

// Admin is the operator's listener and socket.
type Admin struct {
	// Address is IP:port or a go-sockaddr template; it has no TLS and no
	// sign-in, so keep it on loopback or on a network of operators. Default:
	// 127.0.0.1:9090. Takes effect on restart.
	Address string `yaml:"address" check:"required"`
	// Socket is the Unix socket of the verbs that ask the running gateway, such as
	// stsgate lock. It is made at start with mode 0660. Its folder must be there,
	// and belong to root or to the gateway's user, and nobody else may write to it.
	// Default: absent, those verbs have nobody to ask. Takes effect on restart.
	Socket string `yaml:"socket" check:"path"`
	// SocketGroup is the group that the socket belongs to: whoever is in it may
	// lock and unlock users, ban, back up and restore. The gateway's user must be in
	// it. Default: absent, the gateway's own group. Takes effect on restart.
	SocketGroup string `yaml:"socket_group"`
	// ProtectedGroups are groups of the directory, by name, such as Domain Admins.
	// To reset a member, nested ones included, or to make a binding code for one,
	// takes two operators, who are different users of this machine: the second asks
	// for the same within 10 minutes. So it does for users of whom the directory
	// does not answer. Default: empty, one operator does. Takes effect on restart.
	ProtectedGroups []string `yaml:"protected_groups"`
}

// Probe is the listener for the load balancer in front.
type Probe struct {
	// Address is IP:port, :port, or a go-sockaddr template; plain HTTP.
	// Required. Takes effect on restart.
	Address string `yaml:"address" check:"required"`
}

// Clients says whose word about a client's address is believed.
type Clients struct {
	// Proxies are the addresses and prefixes of the proxies in front whose
	// X-Forwarded-For is believed, and whose PROXY header where an address asks
	// for one, such as 10.0.0.7 or 10.0.0.0/28. Prefixes have no host bits set.
	// Default: empty, nobody is believed. Takes effect on restart.
	Proxies []netip.Prefix `yaml:"proxies"`
	// ExchangeOnline are the addresses and prefixes of Exchange Online, whose
	// X-MS-Forwarded-Client-IP is believed: a list, or a file. Rules on networks
	// then go by all addresses in that header, and not by the server's own.
	// Default: absent, nobody is believed. Takes effect on restart.
	ExchangeOnline *Prefixes `yaml:"exchange_online"`
	// Shared are further addresses and prefixes behind which are many clients
	// that no header tells apart, such as a carrier's NAT: a list, or a file.
	// They are never blocked as a source, and no proof of a second factor is
	// bound to one of them. Default: absent, there are none. Takes effect on
	// restart.
	Shared *Prefixes `yaml:"shared"`
}

// Prefixes are addresses and prefixes, as a list or in a file.
type Prefixes struct {
	// File is a file with one address or prefix a line, # comments and empty
	// lines, where no list stands in place of this key. Required. Takes effect
	// on restart.
	File string `yaml:"file" check:"required,file"`
	// List has them if the configuration does.
	List []netip.Prefix
}

// Endpoints are the published paths.
type Endpoints []Endpoint

// Endpoint is one published path.
type Endpoint struct {
	// Path is the path in its canonical spelling; a client may spell it in any
	// case. ASCII letters, digits and - _ . ~ in segments; no query. Required.
	// Takes effect on restart.
	Path string `yaml:"path" check:"required"`
	// Kind is what the path takes: usernamemixed-2005, usernamemixed-13, mex or
	// federation-metadata. Required. Takes effect on restart.
	Kind Kind `yaml:"kind" check:"required"`
	// Tolerate lists which deviations from the specifications requests there
	// may have, by name; an empty list is none. Default: all. Takes effect on
	// restart.
	Tolerate []Tolerance `yaml:"tolerate"`
}

// SOAP is what messages may hold.
type SOAP struct {
	// Headers are the header blocks of messages. Takes effect on restart.
	Headers SOAPHeaders `yaml:"headers"`
}

// SOAPHeaders are the header blocks of messages.
type SOAPHeaders struct {
	// Pass lists further header blocks, as {namespace}name, that clients of this
	// site send and that mean nothing to a token service: they are passed on
	// unread, as the tolerance unread-header, unless they must be understood or
	// hold a part of a request. Default: empty, others than the known ones are
	// refused. Takes effect on restart.
	Pass []string `yaml:"pass"`
}

// Directory is where users are looked up: in a file, or in Active Directory.
type Directory struct {
	// File is a YAML file of users, groups and password hashes. Default: absent;
	// it or ldap is needed. Reloaded on SIGHUP.
	File string `yaml:"file" check:"file"`
	// LDAP is a domain controller of Active Directory. Default: absent. Takes
	// effect on restart, apart from the keys that say otherwise.
	LDAP *LDAP `yaml:"ldap"`
}

// LDAP is a domain controller of Active Directory, asked over LDAPS.
type LDAP struct {
	// URL is where it is: ldaps://name or ldaps://name:port. The controller's certificate
	// must be for the name, which may be that of the domain where it is.
	// Required. Takes effect on restart.
	URL string `yaml:"url" check:"required"`
	// CA is a PEM file of the authorities that may have signed the controller's
	// certificate; nothing else is trusted. Required. Reloaded on SIGHUP.
	CA string `yaml:"ca" check:"required,file"`
	// Base is the distinguished name below which accounts are, in the
	// controller's own domain. Default: absent, the whole domain. Takes effect on
	// restart.
	Base string `yaml:"base"`
	// User is the account that looks others up: a user principal name,
	// DOMAIN\user or a distinguished name. It needs no right but to read
	// accounts, their account restrictions and tokenGroups. Required. Takes
	// effect on restart.
	User string `yaml:"user" check:"required"`
	// Password is a file with that account's password in its only line. Nobody
	// but its owner and its group may read it. Required. Reloaded on SIGHUP.
	Password string `yaml:"password" check:"required,file"`
	// UPNSuffixes are further names of the domain: user@suffix is then the
	// account that has the SAM name user, as user@domain is. A user principal name
	// that an account has is found without. Default: empty. Takes effect on
	// restart.
	UPNSuffixes []string `yaml:"upn_suffixes"`
	// Timeout bounds each look-up and each check of a password. Default: 2s,
	// above 0, at most 5s. Takes effect on restart.
	Timeout time.Duration `yaml:"timeout"`
}

// Places has the databases that tell where an address is. Each is a file in the
// MaxMind DB format, held in memory as a whole, which must be brought up to date
// by other means, such as geoipupdate.
type Places struct {
	// Country is a database of countries such as GeoLite2-Country.mmdb. A
	// client's country is country.iso_code, where its address is, and not where
	// it is registered. A database of cities does too, and takes several times
	// the memory. Default: absent, the country is unknown. Reloaded on SIGHUP.
	Country string `yaml:"country" check:"file"`
	// ASN is a database of autonomous systems such as GeoLite2-ASN.mmdb.
	// Default: absent, the autonomous system is unknown. Reloaded on SIGHUP.
	ASN string `yaml:"asn" check:"file"`
}

// Audit is the record of every exchange.
type Audit struct {
	// File is the file that records are appended to, one JSON line each. It is
	// created when absent; its folder is not. On SIGHUP it is opened again by
	// its name, after a rotation. Required. Takes effect on restart.
	File string `yaml:"file" check:"required,path"`
	// Facts says which of the facts that cost a look-up stand in a record: used,
	// those that a rule in force asks for; or all, so that stsgate policy replay
	// can try rules that ask for others. Default: used. Takes effect on restart.
	Facts AuditFacts `yaml:"facts"`
	// Names says how names of users stand in records: clear, as the directory has
	// them; or hashed, by a keyed hash alone and without the facts that name
	// somebody, so that a name can be matched by its hash and read by nobody. The
	// directory's GUID stands there either way. The hash is the same over restarts
	// and on all gateways where there is a state.key. A name that did not resolve
	// is always hashed. Default: clear. Takes effect on restart.
	Names AuditNames `yaml:"names"`
	// Retention is for how long lines are kept. Files that were rotated away beside
	// the log, are not compressed, and whose last line is older, are removed once
	// an hour, which is recorded before; none while a file exists that has the
	// log's name and .hold behind it, and none whose lines syslog did not get. 0
	// removes nothing. Default: 9600h, which is 400 days, 0 or from 24h to 87600h.
	// Takes effect on restart.
	Retention time.Duration `yaml:"retention"`
	// Reserve is the room on the disk that is kept behind the file, in bytes or
	// with KiB or MiB, for the records of requests that are under way when
	// the disk is full; then no other is taken until there is room again. Default:
	// 64MiB, from 1MiB to 1024MiB. Takes effect on restart.
	Reserve Size `yaml:"reserve"`
	// Checkpoints are signed statements in the log about all lines before them,
	// one every 1,000 lines and every minute with any, and one when the file is
	// rotated and when the gateway stops. Default: absent, so that whoever can
	// write the file can write all of it anew. Takes effect on restart.
	Checkpoints *Checkpoints `yaml:"checkpoints"`
	// Syslog also sends each line to a receiver of syslog over TLS (RFC 5424, RFC
	// 5425), at least once, from the files: nothing waits for it. Default: absent.
	// Takes effect on restart.
	Syslog *Syslog `yaml:"syslog"`
}

// Syslog is a receiver of audit lines.
type Syslog struct {
	// Address is its host:port; the port of syslog over TLS is 6514. Required.
	// Takes effect on restart.
	Address string `yaml:"address" check:"required"`
	// CA is a PEM file of the authorities that may vouch for the receiver.
	// Required. Takes effect on restart.
	CA string `yaml:"ca" check:"required,file"`
	// Certificate is a PEM file with the certificate that this gateway shows, Key
	// one with its private key. Default: absent. Takes effect on restart.
	Certificate string `yaml:"certificate" check:"file"`
	// Key is a PEM file with the private key of that certificate. Default: absent.
	// Takes effect on restart.
	Key string `yaml:"key" check:"file"`
}

// Checkpoints are signed statements about the audit log.
type Checkpoints struct {
	// Key is a PEM file with the Ed25519 private key that signs them, for nothing
	// else: openssl genpkey -algorithm ed25519. Required. Takes effect on restart.
	Key string `yaml:"key" check:"required,file"`
	// File gets a copy of each, so that a log whose end was cut off can be told
	// from one that is whole. It must be where whoever can write the log cannot:
	// another machine's disk. What it cannot take is tried again with the next
	// checkpoint, and nobody waits for it. Default: absent. Takes effect on restart.
	File string `yaml:"file" check:"path"`
}

// Limits bounds what a client may send, and how much clients may have open at a
// time: in total, and per source, which is an IPv4 address or an IPv6 network of
// 64 bits. The limits per source do not hold for the addresses in clients, behind
// each of which are many. Connections over a limit are closed before their TLS
// handshake, requests over one are answered 503 before their body is read.
type Limits struct {
	// Body is the largest body, in bytes or with KiB or MiB. Default: 64KiB,
	// from 4KiB to 64KiB. Takes effect on restart.
	Body Size `yaml:"body"`
	// Headers is the largest request line with all header lines, in bytes or
	// with KiB. Default: 16KiB, from 4KiB to 64KiB. Takes effect on restart.
	Headers Size `yaml:"headers"`
	// Connections is how many connections may be open. One takes some 30 KiB of
	// memory and a descriptor. Default: 10000, from 1 to 50000. Takes effect on
	// restart.
	Connections int `yaml:"connections"`
	// ConnectionsPerSource is the same for one source. Default: 2000, from 1 to
	// 50000. Takes effect on restart.
	ConnectionsPerSource int `yaml:"connections_per_source"`
	// Handshakes is how many TLS handshakes may begin in a second; after a pause
	// twice as many at once. Default: 1000, from 1 to 50000. Takes effect on
	// restart.
	Handshakes int `yaml:"handshakes"`
	// HandshakesPerSource is the same for one source, behind which may be an
	// office: 100 let 5,000 people in within a minute. Lower it to 20 where no
	// network shares an address. Default: 100, from 1 to
	// 50000. Takes effect on restart.
	HandshakesPerSource int `yaml:"handshakes_per_source"`
	// Requests is how many requests may wait for their answer; those whose body
	// is still under way are not counted. Default: 1000, from 1 to 50000. Takes
	// effect on restart.
	Requests int `yaml:"requests"`
	// RequestsPerSource is the same for one source. Default: 250, from 1 to
	// 50000. Takes effect on restart.
	RequestsPerSource int `yaml:"requests_per_source"`
}

// Timeouts bounds how long a client may take, and a stop.
type Timeouts struct {
	// Header is for the request line with all header lines, and for the TLS
	// handshake with the PROXY header before it. Default: 5s, above 0, at most
	// 1m. Takes effect on restart.
	Header time.Duration `yaml:"header"`
	// Body is for the whole body. Default: 10s, above 0, at most 1m. Takes
	// effect on restart.
	Body time.Duration `yaml:"body"`
	// Idle is how long a connection is kept between two requests. Default: 60s,
	// above 0, at most 10m. Takes effect on restart.
	Idle time.Duration `yaml:"idle"`
	// Drain is how long a stop waits for requests in flight; it should outlast
	// the longest answer. Default: 70s, above 0, at most 10m. Takes effect on
	// restart.
	Drain time.Duration `yaml:"drain"`
}

// Log is the log on standard error.
type Log struct {
	// Level is the least level that is logged: debug, info, warn or error.
	// Default: info. Takes effect on restart.
	Level Level `yaml:"level"`
}

// Defaults returns a Config of which every key with a default has it.
// Optional groups are there, so that a file that names a group gets the
// defaults of its other keys; Load drops those that the file does not name.
func Defaults() *Config {
	return &Config{
		Admin:     Admin{Address: "127.0.0.1:9090"},
		Probe:     &Probe{},
		Portal:    defaultPortal(),
		MFA:       defaultMFA(),
		Clients:   Clients{ExchangeOnline: &Prefixes{}, Shared: &Prefixes{}},
		Endpoints: presetADFS(),
		Upstream: Upstream{
			ADFS: &ADFS{
				Probe:    ProbeAuto,
				Proof:    &ADFSProof{},
				Timeouts: ADFSTimeouts{Dial: 3 * time.Second, Answer: 20 * time.Second},
			},
			Issuer: &Issuer{},
		},
		Directory: &Directory{LDAP: &LDAP{Timeout: 2 * time.Second}},
		State:     &State{NATS: &NATS{Replicas: 3}},
		Guard:     defaultGuard(),
		Oracle:    Oracle{Slot: time.Second},
		Limits: Limits{
			Body: 64 << 10, Headers: 16 << 10,
			Connections: 10_000, ConnectionsPerSource: 2000,
			Handshakes: 1000, HandshakesPerSource: 100,
			Requests: 1000, RequestsPerSource: 250,
		},
		Timeouts: Timeouts{Header: 5 * time.Second, Body: 10 * time.Second, Idle: 60 * time.Second, Drain: 70 * time.Second},
		Audit:    Audit{Facts: UsedFacts, Names: ClearNames, Retention: 400 * 24 * time.Hour, Reserve: 64 << 20, Checkpoints: new(Checkpoints), Syslog: new(Syslog)},
		Log:      Log{Level: "info"},
	}
}

// presetADFS is what "endpoints: adfs" stands for.
func presetADFS() Endpoints {
	return Endpoints{
		{Path: "/adfs/services/trust/2005/usernamemixed", Kind: UsernameMixed2005},
		{Path: "/adfs/services/trust/13/usernamemixed", Kind: UsernameMixed13},
		{Path: "/adfs/services/trust/mex", Kind: MEX},
		{Path: "/FederationMetadata/2007-06/FederationMetadata.xml", Kind: FederationMetadata},
	}
}

// A Kind is what an endpoint takes.
type Kind string

// The kinds of endpoint.
const (
	UsernameMixed2005  Kind = "usernamemixed-2005"  // a WS-Trust Feb 2005 RST with a user name
	UsernameMixed13    Kind = "usernamemixed-13"    // a WS-Trust 1.3 RST with a user name
	MEX                Kind = "mex"                 // WS-MetadataExchange
	FederationMetadata Kind = "federation-metadata" // federation metadata of the issuer
)

func (Kind) words() []string {
	return []string{string(UsernameMixed2005), string(UsernameMixed13), string(MEX), string(FederationMetadata)}
}

// A Tolerance is a deviation from the specifications that is accepted.
type Tolerance string

func (Tolerance) words() []string { return Tolerances() }

// Tolerances returns the names of all tolerances.
func Tolerances() []string {
	return []string{
		"messageid-spelling", "no-timestamp", "no-addressing", "addressing-2004", "soapaction-ignored", "unread-header",
		"namespaced-password-type", "trust-namespace-slash", "padded-uri", "policy-1.5", "policy-reference", "comment",
	}
}

// A ProbeMode is how the health of a farm node is asked.
type ProbeMode string

// The ways to ask a node's health.
const (
	ProbeAuto ProbeMode = "auto"
	ProbeHTTP ProbeMode = "http"
	ProbeTLS  ProbeMode = "tls"
)

func (ProbeMode) words() []string {
	return []string{string(ProbeAuto), string(ProbeHTTP), string(ProbeTLS)}
}

// AuditFacts says which facts stand in an audit record.
type AuditFacts string

// The values of AuditFacts.
const (
	UsedFacts AuditFacts = "used"
	AllFacts  AuditFacts = "all"
)

// AuditNames says how names stand in an audit record.
type AuditNames string

// The values of AuditNames.
const (
	ClearNames  AuditNames = "clear"
	HashedNames AuditNames = "hashed"
)

func (AuditNames) words() []string { return []string{string(ClearNames), string(HashedNames)} }

func (AuditFacts) words() []string { return []string{string(UsedFacts), string(AllFacts)} }

// A Level is a level of the log.
type Level string

func (Level) words() []string { return []string{"debug", "info", "warn", "error"} }

// Slog returns the level as log/slog names it; that of info for a value that
// is none.
func (l Level) Slog() slog.Level {
	switch l {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}

// A Size is a number of bytes.
type Size int64
