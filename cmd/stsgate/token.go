package main

import (
	"fmt"
	"os"
	"time"

	"stsgate/gateway/audit"
	"stsgate/gateway/soap"
	"stsgate/gateway/wstrust"
	"stsgate/upstream/xmlsig"
)

type tokenVerbs struct {
	Check tokenCheck `cmd:"" help:"Tell whether this gateway released a token."`
}

// Help shows examples.
func (tokenVerbs) Help() string {
	return "Example:\n  stsgate token check -c stsgate.yaml assertion.xml"
}

type tokenCheck struct {
	ledgerFlag
	File string `arg:"" help:"The assertion, or the EncryptedData that an application got."`
}

// Help shows examples.
func (tokenCheck) Help() string {
	return `Looks for the token in the ledger, by the digest of what was signed: a token that was made with a
stolen key, and by nobody's request, is not there. A token that AD FS gave to somebody who did not come
through this gateway is not there either.

It answers released, with the transaction, exit code 0; unknown, exit code 1; or cannot tell, exit code
2, where lines of the time at which it says that it was issued are not there, or where its application
got encrypted tokens then, of which nobody here knows what they say. With several gateways ask the log
of each: one answer of released is enough. Whether the log can be believed, audit verify tells.

Examples:
  stsgate token check -c /etc/stsgate/stsgate.yaml assertion.xml
  stsgate token check --audit audit.jsonl assertion.xml`
}

// Run looks the token up.
func (v *tokenCheck) Run(c *console) error {
	t, err := readToken(v.File)
	if err != nil {
		return usageError{err}
	}
	files, err := v.files()
	if err != nil {
		return usageError{err}
	}
	e, err := audit.FindToken(files, *t)
	if err != nil {
		return usageError{err}
	}
	fmt.Fprint(c.out, e.Verdict)
	if e.Why != "" {
		fmt.Fprintf(c.out, ": %s", e.Why)
	}
	if l := &e.Line; e.Verdict == audit.Released {
		fmt.Fprintf(c.out, ": transaction %s at %s, for %s", l.Transaction, l.Time.UTC().Format(time.RFC3339), l.Application)
	}
	fmt.Fprintln(c.out)
	switch e.Verdict {
	case audit.Released:
		return nil
	case audit.Unknown:
		return errReported
	default:
		return errOpen
	}
}

// readToken reads what identifies a token in the ledger.
func readToken(file string) (*audit.Token, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	a, err := wstrust.InspectToken(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	doc, token := a.Signed()
	t := &audit.Token{ID: a.Assertion.ID, Audiences: a.Assertion.Audiences}
	if t.Hash, err = xmlsig.Digest(doc, token); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if a.Encrypted {
		return t, nil
	}
	issued, _ := doc.Attr(token, soap.Name{Local: "IssueInstant"})
	if t.Issued, err = time.Parse(time.RFC3339Nano, issued); err != nil {
		return nil, fmt.Errorf("%s: the assertion has no IssueInstant with a zone", file)
	}
	return t, nil
}
