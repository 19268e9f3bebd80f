module stsgate

go 1.26.6

require (
	cel.dev/cel-go v0.33.2 // conditions of the policy: typed, with a limit of cost
	filippo.io/age v1.3.2 // backups that known tools open, keys on hardware
	github.com/AzureAD/microsoft-authentication-library-for-go v1.10.1 // tests: a client that applications have
	github.com/alecthomas/kong v1.17.0 // commands as structs
	github.com/beevik/etree v1.8.1 // the XML that is built, and read by the signatures
	github.com/boombuler/barcode v1.0.1-0.20190219062509-6c824513bacc // QR codes of authenticator apps; otp brings it
	github.com/chromedp/cdproto v0.0.0-20250724212937-08a3db8b4327 // tests: what chromedp speaks
	github.com/chromedp/chromedp v0.14.2 // tests: the portal in a browser
	github.com/descope/virtualwebauthn v1.0.3 // tests: passkeys
	github.com/gaissmai/bart v0.30.0 // networks: a lookup among 100,000 in less than a microsecond
	github.com/go-ldap/ldap/v3 v3.4.15 // Active Directory
	github.com/go-webauthn/webauthn v0.18.2 // passkeys
	github.com/hashicorp/go-sockaddr v1.0.7 // addresses of listeners by template
	github.com/maxmind/mmdbwriter v1.2.0 // tests: databases of places
	github.com/nats-io/nats-server/v2 v2.15.2 // the store, in process
	github.com/nats-io/nats.go v1.55.0 // the store, in process or in a cluster
	github.com/nats-io/nkeys v0.4.16 // tests: credentials of NATS users
	github.com/oschwald/maxminddb-golang/v2 v2.9.0 // countries and autonomous systems
	github.com/pires/go-proxyproto v0.15.0 // the PROXY protocol; later releases ask for a later Go
	github.com/pquerna/otp v1.5.0 // codes of authenticator apps
	github.com/prometheus/client_golang v1.25.0 // metrics
	github.com/rogpeppe/go-internal v1.16.0 // tests: scripts, txtar
	github.com/russellhaering/goxmldsig v1.6.1 // exclusive canonicalization, signing
	go.yaml.in/yaml/v4 v4.0.0 // configuration and policy: all errors with line and column
	golang.org/x/crypto v0.58.0 // argon2 of the users file
)

require (
	cel.dev/expr v0.25.1 // indirect
	filippo.io/hpke v0.4.0 // indirect
	github.com/Azure/go-ntlmssp v0.1.1 // indirect
	github.com/BurntSushi/toml v1.4.1-0.20240526193622-a339e1f7089c // indirect
	github.com/antithesishq/antithesis-sdk-go v0.8.0-default-no-op // indirect
	github.com/antlr4-go/antlr/v4 v4.13.1 // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/chromedp/sysutil v1.1.0 // indirect
	github.com/fxamacker/cbor/v2 v2.9.4 // indirect
	github.com/go-asn1-ber/asn1-ber v1.5.8 // indirect
	github.com/go-json-experiment/json v0.0.0-20250725192818-e39067aee2d2 // indirect
	github.com/go-viper/mapstructure/v2 v2.5.0 // indirect
	github.com/go-webauthn/x v0.3.1 // indirect
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/gobwas/pool v0.2.1 // indirect
	github.com/gobwas/ws v1.4.0 // indirect
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/google/go-tpm v0.9.8 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/hashicorp/errwrap v1.1.0 // indirect
	github.com/jonboulle/clockwork v0.5.0 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/kylelemons/godebug v1.1.0 // indirect
	github.com/minio/highwayhash v1.0.4 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/nats-io/jwt/v2 v2.8.2 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	github.com/philhofer/fwd v1.2.0 // indirect
	github.com/pkg/browser v0.0.0-20210911075715-681adbf594b8 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/tinylib/msgp v1.6.4 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	go4.org/netipx v0.0.0-20231129151722-fdeea329fbba // indirect
	golang.org/x/exp v0.0.0-20240823005443-9b4947da3948 // indirect
	golang.org/x/exp/typeparams v0.0.0-20231108232855-2478ac86f678 // indirect
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/telemetry v0.0.0-20261010193011-f71dc92da45e // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/time v0.16.0 // indirect
	golang.org/x/tools v0.52.0 // indirect
	golang.org/x/vuln v1.9.0 // indirect
	google.golang.org/genproto/googleapis/api v0.0.0-20240826202546-f6391c0de4c7 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20240826202546-f6391c0de4c7 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
	honnef.co/go/tools v0.8.2 // indirect
)

tool (
	golang.org/x/vuln/cmd/govulncheck
	honnef.co/go/tools/cmd/staticcheck
)
