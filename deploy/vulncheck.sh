#!/bin/sh
# Known vulnerabilities in what the program reaches. The database lives on the
# network: where it cannot be fetched that is said, and nothing is claimed.
out=$(go tool govulncheck ./... 2>&1)
status=$?
case "$status:$out" in
0:*) echo "govulncheck: none known" ;;
*"fetching vulnerabilities:"*) echo "govulncheck: not checked, its database cannot be reached" ;;
*) printf '%s\n' "$out"; exit 1 ;;
esac
