GO       ?= go
FUZZTIME ?= 20s
# The race detector needs a C compiler; without one the tests run all the same.
RACE     := $(shell command -v gcc >/dev/null 2>&1 && echo -race)
# What the tests drive: an independent judge of signatures, the baseline of the
# benchmark, promtool, real WS-Trust clients.
DEPS     := xmlsec1 nginx-light prometheus python3-msal python3-zeep curl

.PHONY: all run build test lint bench fuzz golden deps image

all: lint test build

run: build                 ## the demo: everything on loopback, until Ctrl-C
	bin/stsgate demo --dir .cache/demo

build:                     ## bin/stsgate, static
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/stsgate ./cmd/stsgate

test:                      ## all tests
	$(GO) test $(RACE) -shuffle=on $(TESTFLAGS) ./... ./testdata

lint:                      ## formatting, vet, staticcheck, known vulnerabilities
	@test -z "$$(gofmt -l .)" || { echo "not gofmt clean:"; gofmt -l .; exit 1; }
	$(GO) mod tidy -diff
	$(GO) vet ./... ./testdata
	$(GO) tool staticcheck ./... ./testdata
	@deploy/vulncheck.sh

bench: build               ## Go benchmarks, then the gateway beside nginx
	$(GO) test -run='^$$' -bench=. -benchmem ./...

fuzz:                      ## each fuzz target for FUZZTIME
	@grep -rno '^func Fuzz[A-Za-z0-9]*' --include='*_test.go' . | while IFS=: read -r file _ fn; do \
	  $(GO) test "$$(dirname "$$file")" -run='^$$' -fuzz="^$${fn#func }$$" -fuzztime=$(FUZZTIME) || exit 1; done

golden:                    ## rewrite golden files and the generated reference
	UPDATE=1 $(GO) test ./... && git diff --stat

deps:                      ## Debian packages that the tests drive
	apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(DEPS)

image:                     ## the container image
	podman build -f deploy/Containerfile -t stsgate .
