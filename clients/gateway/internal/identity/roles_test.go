package identity

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"kiln.local/gateway/contract/kilnv1"
)

func TestEveryCallHasItsRole(t *testing.T) {
	for _, file := range []protoreflect.FileDescriptor{
		kilnv1.File_kiln_v1_station_proto, kilnv1.File_kiln_v1_boards_proto,
		kilnv1.File_kiln_v1_deployments_proto, kilnv1.File_kiln_v1_firmware_proto,
	} {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := "/" + string(service.FullName()) + "/" + string(service.Methods().Get(j).Name())
				if !needed[method].Valid() {
					t.Errorf("%s has no role", method)
				}
			}
		}
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
		{Operator, "/kiln.v1.Station/Unknown", false},
		{"", "/grpc.health.v1.Health/Check", true},
	} {
		if err := check(Identity{Role: c.role}, c.method); (err == nil) != c.allowed {
			t.Errorf("%q calls %s: %v", c.role, c.method, err)
		}
	}
}
