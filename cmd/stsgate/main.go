// Command stsgate cages a WS-Trust security token service: it reads every
// RequestSecurityToken strictly, decides by policy files, and forwards it to
// AD FS or issues the token itself.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

func main() { os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }

// verbs are the program's commands, one file each.
type verbs struct {
	Demo    demo        `cmd:"" help:"Start everything on loopback, with generated keys and users, and print commands to try."`
	Run     runVerb     `cmd:"" help:"Run the gateway."`
	Check   check       `cmd:"" help:"Check configuration and policy, and exit 0 or 1."`
	Request request     `cmd:"" help:"Ask any security token service for a token, and say what came."`
	Inspect inspect     `cmd:"" help:"Explain a captured message, and what the gateway would refuse."`
	Policy  policyVerbs `cmd:"" help:"Test, explain and replay policy files."`
	Audit   auditVerbs  `cmd:"" help:"Read the audit log back."`
	Token   tokenVerbs  `cmd:"" help:"Look tokens up in the ledger."`
	Lock    lockVerbs   `cmd:"" help:"Lock users, and clear locks and blocks, in a running gateway."`
	Ban     banVerbs    `cmd:"" help:"Ban users, addresses and networks, in a running gateway."`
	MFA     mfaVerbs    `cmd:"" name:"mfa" help:"Help users with second factors, in a running gateway."`
	Backup  backupVerb  `cmd:"" help:"Back up what a running gateway remembers, encrypted."`
	Restore restoreVerb `cmd:"" help:"Restore a backup into a running gateway, and revive nothing."`
	User    userVerbs   `cmd:"" help:"Change the file directory."`
	Version versionCmd  `cmd:"" help:"Print the version."`
}

// A console is where a verb reads and writes.
type console struct {
	program  string // as it was started
	in       io.Reader
	out, err io.Writer
}

// errReported is returned by a verb that has said what is wrong itself, and
// errOpen by one that has said that it cannot tell.
var (
	errReported = errors.New("already reported")
	errOpen     = errors.New("cannot tell")
)

// A usageError is about arguments that are no use.
type usageError struct{ error }

// An unstartable is about files that the gateway cannot start with. Its exit code
// is one that a supervisor does not try again for (EX_CONFIG of sysexits.h).
type unstartable struct{ mistakes }

const exitUnstartable = 78

// run runs the program and returns its exit code: 0, 1 for what the verb found
// or could not do, 2 for arguments that are no use, 78 for a gateway that its
// files keep from starting.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	c := &console{program: args[0], in: in, out: out, err: errOut}
	exited := -1
	parser, err := kong.New(&verbs{},
		kong.Name("stsgate"),
		kong.Description("A gateway that cages a WS-Trust security token service."),
		kong.Writers(out, errOut),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(errOut, "stsgate:", err)
		return 2
	}
	k, err := parser.Parse(args[1:])
	switch {
	case exited >= 0: // --help was asked for and written
		return exited
	case err != nil:
		fmt.Fprintln(errOut, "stsgate:", err)
		fmt.Fprintln(errOut, "Try: stsgate --help")
		return 2
	}
	err = k.Run(c)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errOpen):
		return 2
	}
	if _, ok := errors.AsType[unstartable](err); ok {
		fmt.Fprintln(errOut, err)
		return exitUnstartable
	}
	if _, ok := errors.AsType[mistakes](err); ok {
		fmt.Fprintln(errOut, err)
	} else if !errors.Is(err, errReported) {
		fmt.Fprintln(errOut, "stsgate:", err)
		if _, ok := errors.AsType[usageError](err); ok {
			return 2
		}
	}
	return 1
}
