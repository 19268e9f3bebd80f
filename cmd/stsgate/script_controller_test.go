package main

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"stsgate/gateway/account"
	"stsgate/upstream/directory/directorytest"
)

// controller VERB ARG... drives a domain controller, which is Samba. It knows
// the cast: their groups are members of everybody. The accounts are locked
// after 5 wrong passwords.
//
//	controller start             makes the domain; sets $CONTROLLER, and writes dc-ca.pem and dc.password for svc-stsgate@contoso.example
//	controller stall, resume     it takes connections and answers nothing, and answers again
//	controller kill, restart     ends it and its connections, and starts it again
//	controller disable NAME      disables an account
//	controller password NAME FILE  gives an account another password
func (s *story) controllerStep(ts *testscript.TestScript, args []string) error {
	verbs := map[string]struct {
		args int
		do   func(*testscript.TestScript, []string) error
	}{
		"start": {0, s.controllerStart}, "stall": {0, s.onController((*directorytest.Controller).Stall)}, "resume": {0, s.onController((*directorytest.Controller).Resume)},
		"kill": {0, s.onController((*directorytest.Controller).Kill)}, "restart": {0, s.onController((*directorytest.Controller).Start)},
		"disable": {1, s.controllerDisable}, "password": {2, s.controllerPassword},
	}
	if len(args) == 0 {
		return misuse("usage: controller VERB ARG...")
	}
	v, known := verbs[args[0]]
	if !known || len(args)-1 != v.args || (s.controller == nil) != (args[0] == "start") {
		return misuse("no such use of controller: " + args[0])
	}
	return v.do(ts, args[1:])
}

func (s *story) onController(do func(*directorytest.Controller) error) func(*testscript.TestScript, []string) error {
	return func(*testscript.TestScript, []string) error { return do(s.controller) }
}

// servicePassword is the first password of svc-stsgate.
const servicePassword = "looks others up"

func (s *story) controllerStart(ts *testscript.TestScript, _ []string) error {
	dir := filepath.Join(s.dir, "controller")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	var err error
	s.controller, err = directorytest.New(dir)
	if errors.Is(err, fs.ErrPermission) && os.Getenv("CI") != "true" {
		s.t.Skip("skipped: a domain controller takes root: " + err.Error())
	} else if err != nil {
		return misuse(err.Error())
	}
	if err := s.asAdmin(populate); err != nil {
		return misuse(err.Error())
	}
	ca, err := os.ReadFile(s.controller.CA)
	if err != nil {
		return err
	}
	ts.Setenv("CONTROLLER", s.controller.URL)
	return errors.Join(
		os.WriteFile(filepath.Join(s.dir, "dc-ca.pem"), ca, 0o644),
		os.WriteFile(filepath.Join(s.dir, "dc.password"), []byte(servicePassword+"\n"), 0o640))
}

// populate adds the cast to a new domain.
func populate(a *directorytest.Admin) error {
	if err := a.Loosen("5"); err != nil {
		return err
	}
	if _, err := a.User("svc-stsgate", "svc-stsgate@contoso.example", servicePassword); err != nil {
		return err
	}
	everybody, err := a.Group("everybody")
	if err != nil {
		return err
	}
	groups := map[string]string{}
	for i, u := range castUsers() {
		name, err := account.ParseName(u.Name)
		if err != nil {
			return err
		}
		known := account.Account{ID: u.GUID}
		consistency, err := base64.StdEncoding.DecodeString(known.ImmutableID())
		if err != nil {
			return err
		}
		user, err := a.User(name.User, u.Name, []string{alicePassword, bobPassword}[i], "mS-DS-ConsistencyGuid", string(consistency))
		if err != nil {
			return err
		}
		for _, g := range u.Groups {
			if groups[g] == "" {
				if groups[g], err = a.Group(g); err != nil {
					return err
				}
				if err := a.Join(everybody, groups[g]); err != nil {
					return err
				}
			}
			if err := a.Join(groups[g], user); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *story) asAdmin(do func(*directorytest.Admin) error) error {
	a, err := s.controller.Admin()
	if err != nil {
		return err
	}
	return errors.Join(do(a), a.Close())
}

func (s *story) controllerDisable(_ *testscript.TestScript, args []string) error {
	return s.asAdmin(func(a *directorytest.Admin) error {
		return a.Set("CN="+args[0]+",CN=Users,"+directorytest.Base, "userAccountControl", "514")
	})
}

func (s *story) controllerPassword(ts *testscript.TestScript, args []string) error {
	b, err := os.ReadFile(ts.MkAbs(args[1]))
	if err != nil {
		return err
	}
	return s.asAdmin(func(a *directorytest.Admin) error {
		return a.SetPassword("CN="+args[0]+",CN=Users,"+directorytest.Base, string(b[:len(b)-1]))
	})
}
