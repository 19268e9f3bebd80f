GO       ?= go
FUZZTIME ?= 20s
FUZZ     ?= Fuzz
# The race detector needs a C compiler; without one the tests run all the same.
RACE     := $(shell command -v gcc >/dev/null 2>&1 && echo -race)
# What the tests drive: an independent judge of signatures, the baseline of the
# benchmark, promtool, real WS-Trust clients, a judge of schemas, the readers of
# .NET, a domain controller, a browser, a receiver of syslog.
DEPS     := xmlsec1 nginx-light prometheus python3-msal python3-zeep python3-aiosmtpd python3-jsonschema curl systemd freeradius iproute2 e2fsprogs \
            mono-mcs mono-runtime libmono-system-runtime-serialization4.0-cil samba-ad-dc samba-ad-provision chromium \
            rsyslog rsyslog-gnutls

.PHONY: all run build test lint bench fuzz siege held crash cluster races matrix oracle reloads slots campaign golden deps axe image

all: lint test build

run: build                 ## the demo: everything on loopback, until Ctrl-C
	bin/stsgate demo --dir .cache/demo

build:                     ## bin/stsgate, static
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/stsgate ./cmd/stsgate

test:                      ## all tests; the first for calls that a build with the race detector has not
	$(GO) test -shuffle=on $(TESTFLAGS) ./gateway/socket
	$(GO) test $(RACE) -shuffle=on -timeout=20m $(TESTFLAGS) ./... ./testdata ./testdata/oracle

lint:                      ## formatting, vet, staticcheck, known vulnerabilities
	@test -z "$$(gofmt -l .)" || { echo "not gofmt clean:"; gofmt -l .; exit 1; }
	$(GO) mod tidy -diff
	$(GO) vet ./... ./testdata ./testdata/oracle
	$(GO) tool staticcheck ./... ./testdata ./testdata/oracle
	@deploy/vulncheck.sh

bench: build               ## Go benchmarks, then the gateway beside nginx
	$(GO) test -run='^$$' -bench=. -benchmem ./...

fuzz:                      ## each fuzz target whose name begins as FUZZ says for FUZZTIME
	@grep -rnoE '^func ($(FUZZ))[A-Za-z0-9]*' --include='*_test.go' . | while IFS=: read -r file _ fn; do \
	  $(GO) test "$$(dirname "$$file")" -run='^$$' -fuzz="^$${fn#func }$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=5x || exit 1; done

siege:                     ## slowloris, 1 GiB bodies, bombs and floods beside an honest client, at the gateway and at nginx; two cores
	SIEGE=1 $(GO) test ./cmd/stsgate -run '^TestSiege$$' -count=1 -timeout 15m -v

held:                      ## what a request costs that waits for its user, with 10,000 of them; a quiet machine; HELD
	HELD=$${HELD:-10000} $(GO) test ./cmd/stsgate -run='^TestHeldMemory$$' -count=1 -timeout=10m -v

crash:                     ## 1,000 kills of a writing store and of a gateway under load and in the middle of second factors, and power cuts where root and loop devices allow; CRASH_ROUNDS, KILL_ROUNDS, KILL_FACTOR_ROUNDS, POWER_ROUNDS
	CRASH_ROUNDS=$${CRASH_ROUNDS:-1000} POWER_ROUNDS=$${POWER_ROUNDS:-0} $(GO) test ./gateway/state/jetstream -run='^(TestKill|TestPowerCut)$$' -count=1 -timeout=60m -v
	KILL_ROUNDS=$${KILL_ROUNDS:-1000} KILL_FACTOR_ROUNDS=$${KILL_FACTOR_ROUNDS:-20} $(GO) test ./cmd/stsgate -run='^(TestKilledGateway|TestKilledInTheMiddle)$$' -count=1 -timeout=60m -v

cluster:                   ## three gateways on three NATS servers, each killed, paused and cut off under load; CLUSTER_ROUNDS
	CLUSTER_ROUNDS=$${CLUSTER_ROUNDS:-10} $(GO) test ./cmd/stsgate -run='^TestThreeNodes$$' -count=1 -timeout=60m -v

races:                     ## 16 racers through three nodes for each of 10,000 keys, and 200 flipped bits
	$(GO) test ./gateway/state/jetstream -run='^(TestContractInACluster|TestFlippedBitOnDisk)$$' -count=1 -timeout=60m -v -args -long

oracle:                    ## 300,000 changed messages through the scanner and .NET's readers; ORACLE_SEED repeats a run
	ORACLE_DOCS=$${ORACLE_DOCS:-300000} $(GO) test ./gateway/wstrust -run='^TestOracle$$' -count=1 -timeout=30m -v

matrix:                    ## the fail-closed matrix with 10,000 requests a row, and its times (FAIL-01); a quiet machine, root
	MATRIX_REQUESTS=$${MATRIX_REQUESTS:-10000} $(GO) test ./cmd/stsgate -run='^TestMatrix' -count=1 -timeout=60m -v

slots:                     ## 2,000 failures of each kind on the real clock: nobody can tell them apart (SOAP-14)
	SLOTS=$${SLOTS:-2000} $(GO) test ./gateway -run='^TestSlotsMeasured$$' -count=1 -timeout=30m -v

reloads:                   ## 1,000 reloads while clients ask, files half-written and out of step (POL-03)
	RELOADS=$${RELOADS:-1000} $(GO) test $(RACE) ./cmd/stsgate -run='^TestReloads$$' -count=1 -timeout=30m -v

campaign: reloads          ## hours, for a night: make reloads, 1,000,000 cases of the policy's properties, days of sign-ins through the guard, 100,000 requests with secrets (AUD-05), 10,000 pairs of second factors and of swapped answers, make oracle, each fuzz target for 10 minutes
	POLICY_CASES=all $(GO) test ./policy -count=1 -timeout=2h
	GUARD_DAYS=3 $(GO) test ./gateway/guard -count=1 -timeout=2h -v
	CANARY_REQUESTS=100000 $(GO) test ./cmd/stsgate -run='^TestCanariesShowNowhere$$' -count=1 -timeout=1h -v
	SWAPPED_PAIRS=10000 $(GO) test ./gateway -run='^TestSwappedAnswers$$' -count=1 -timeout=1h -v
	MFA_PAIRS=10000 MFA_HELD=10000 $(GO) test ./gateway/mfa -run='^(TestBinding|TestCrowd)$$' -count=1 -timeout=1h -v
	MFA_PAIRS=10000 $(GO) test ./gateway/portal -run='^TestSwappedCookies$$' -count=1 -timeout=1h -v
	$(MAKE) oracle
	$(MAKE) fuzz FUZZTIME=10m

golden:                    ## rewrite golden files and the generated reference
	UPDATE=1 $(GO) test ./... && git diff --stat

deps:                      ## Debian packages that the tests drive
	apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(DEPS)

axe:                       ## axe-core, by which the tests judge the portal's pages
	npm install --no-audit --no-fund --prefix .cache/axe axe-core@4

image:                     ## the container image
	podman build -f deploy/Containerfile -t stsgate .
