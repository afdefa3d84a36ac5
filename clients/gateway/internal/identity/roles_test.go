package identity

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// Registers the contract.
	_ "kiln.local/gateway/contract/kilnv1"
)

func TestEveryCallHasItsRole(t *testing.T) {
	seen := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("kiln.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := "/" + string(service.FullName()) + "/" + string(service.Methods().Get(j).Name())
				if !needed[method].Valid() {
					t.Errorf("%s has no role", method)
				}
				seen++
			}
		}
		return true
	})
	if seen < len(needed) {
		t.Errorf("%d calls are in the contract, and %d have roles", seen, len(needed))
	}
}

func TestRolesAreKept(t *testing.T) {
	for _, c := range []struct {
		role    Role
		method  string
		allowed bool
	}{
		{"", "/kiln.v1.Station/GetStation", false},
		{"root", "/kiln.v1.Station/GetStation", false},
		{Viewer, "/kiln.v1.Station/WatchEvents", true},
		{Viewer, "/kiln.v1.Deployments/RevealCredentials", false},
		{Operator, "/kiln.v1.Deployments/RevealCredentials", true},
		{Operator, "/kiln.v1.Firmware/ImportBundle", false},
		{Admin, "/kiln.v1.Firmware/ImportBundle", true},
		{Operator, "/kiln.v1.Firmware/BuildBundle", false},
		{Viewer, "/kiln.v1.Batches/CreateBatch", false},
		{Operator, "/kiln.v1.Batches/CreateBatch", true},
		{Operator, "/kiln.v1.Station/Unknown", false},
		{"", "/grpc.health.v1.Health/Check", true},
	} {
		if err := check(Identity{Role: c.role}, c.method); (err == nil) != c.allowed {
			t.Errorf("%q calls %s: %v", c.role, c.method, err)
		}
	}
}
