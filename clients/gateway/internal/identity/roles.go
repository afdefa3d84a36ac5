package identity

import (
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// needed says which role each call needs. The station keeps a table of its own; this one spares it calls that it
// would refuse, and holds in front of a station that does not know roles yet.
var needed = map[string]Role{
	"/kiln.v1.Station/GetStation":            Viewer,
	"/kiln.v1.Station/GetHealth":             Viewer,
	"/kiln.v1.Station/GetStatistics":         Viewer,
	"/kiln.v1.Station/WatchEvents":           Viewer,
	"/kiln.v1.Station/ListEvents":            Viewer,
	"/kiln.v1.Station/VerifyLedger":          Admin,
	"/kiln.v1.Boards/ListBoards":             Viewer,
	"/kiln.v1.Boards/GetBoard":               Viewer,
	"/kiln.v1.Boards/IdentifyBoard":          Operator,
	"/kiln.v1.Boards/PowerCycleBoard":        Operator,
	"/kiln.v1.Deployments/GetDeployment":     Viewer,
	"/kiln.v1.Deployments/ListDeployments":   Viewer,
	"/kiln.v1.Deployments/CreateDeployment":  Operator,
	"/kiln.v1.Deployments/CancelDeployment":  Operator,
	"/kiln.v1.Deployments/RetryDeployment":   Operator,
	"/kiln.v1.Deployments/RevealCredentials": Operator,
	"/kiln.v1.Deployments/GetRecord":         Operator,
	"/kiln.v1.Batches/GetBatch":              Viewer,
	"/kiln.v1.Batches/ListBatches":           Viewer,
	"/kiln.v1.Batches/ListBatchSlots":        Viewer,
	"/kiln.v1.Batches/CreateBatch":           Operator,
	"/kiln.v1.Batches/PauseBatch":            Operator,
	"/kiln.v1.Batches/ResumeBatch":           Operator,
	"/kiln.v1.Batches/EndBatch":              Operator,
	"/kiln.v1.Batches/AllowBatchBoard":       Operator,
	"/kiln.v1.Firmware/ListBundles":          Viewer,
	"/kiln.v1.Firmware/GetBundle":            Viewer,
	"/kiln.v1.Firmware/ImportBundle":         Admin,
	"/kiln.v1.Firmware/BuildBundle":          Admin,
	"/kiln.v1.Firmware/RetireBundle":         Admin,
}

// check refuses a call that is not for the role; one without an entry is for admins. Whether the station serves
// (grpc.health.v1) is no secret.
func check(who Identity, method string) error {
	if strings.HasPrefix(method, "/grpc.health.v1.") {
		return nil
	}
	role, known := needed[method]
	if !known {
		role = Admin
	}
	if !who.Role.AtLeast(role) {
		return status.Errorf(codes.PermissionDenied, "%s is for the role %s", strings.TrimPrefix(method, "/"), role)
	}
	return nil
}
