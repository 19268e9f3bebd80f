package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"github.com/rogpeppe/go-internal/testscript"
)

// places FILE TYPE NETWORK=PLACE... writes a database of the type that says
// where networks are: a country by its code, a system by its number. It was
// built on 2026-11-24. One whose type begins with IPv4 has no other addresses.
func (s *story) places(_ *testscript.TestScript, args []string) error {
	if len(args) < 3 {
		return misuse("usage: places FILE TYPE NETWORK=PLACE...")
	}
	built := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	o := mmdbwriter.Options{DatabaseType: args[1], IncludeReservedNetworks: true, BuildEpoch: built.Unix()}
	if strings.HasPrefix(args[1], "IPv4") {
		o.IPVersion = 4
	}
	w, err := mmdbwriter.New(o)
	if err != nil {
		return err
	}
	for _, arg := range args[2:] {
		prefix, place, _ := strings.Cut(arg, "=")
		_, network, err := net.ParseCIDR(prefix)
		if err != nil {
			return misuse(err.Error())
		}
		record := mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(place)}}
		if number, err := strconv.ParseUint(place, 10, 32); err == nil {
			record = mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(uint32(number))}
		}
		if err := w.Insert(network, record); err != nil {
			return err
		}
	}
	f, err := os.Create(filepath.Join(s.dir, args[0]))
	if err != nil {
		return err
	}
	_, err = w.WriteTo(f)
	return errors.Join(err, f.Close())
}
