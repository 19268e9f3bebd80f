package adfs_test

import (
	"net"
	"os"
	"testing"

	"stsgate/upstream/adfs/adfstest"
)

// TestMain has every name be this machine, before anybody asks for one.
func TestMain(m *testing.M) {
	net.DefaultResolver = adfstest.Resolver()
	os.Exit(m.Run())
}
