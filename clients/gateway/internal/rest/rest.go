// Package rest translates between the station's calls and HTTP, by the table in contract/routes.yaml.
package rest

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	"kiln.local/gateway/contract/kilnv1"
	"kiln.local/gateway/internal/failure"
)

// Deadline of a call that answers once.
const Deadline = 30 * time.Second

// Deadline of what may take longer by its nature: reading a large ledger from end to end, waiting for a board
// that is switched off and on.
const longDeadline = 80 * time.Second

// Deadline of a build, which streams while it runs: the longest that a station allows, and its turn before that.
const buildDeadline = 3 * time.Hour

func deadlineOf(path string) time.Duration {
	if strings.HasSuffix(path, "/bundles:build") {
		return buildDeadline
	}
	if strings.HasSuffix(path, ":verify") || strings.HasSuffix(path, ":powerCycle") {
		return longDeadline
	}
	return Deadline
}

// JSON is the form of every message: names in camelCase as Protobuf's JSON has it, every field present.
// A field that the contract does not know is an error, so that a typing mistake is told, not ignored.
var JSON = &runtime.JSONPb{
	MarshalOptions:   protojson.MarshalOptions{EmitUnpopulated: true},
	UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: false},
}

// New makes the handler of all translated routes.
func New(ctx context.Context, conn *grpc.ClientConn) (http.Handler, error) {
	none := func(string) (string, bool) { return "", false }
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, JSON),
		runtime.WithErrorHandler(writeError),
		runtime.WithRoutingErrorHandler(writeRoutingError),
		// No header becomes metadata and none comes back: who asks is told by internal/identity alone.
		runtime.WithIncomingHeaderMatcher(none),
		runtime.WithOutgoingHeaderMatcher(none),
		runtime.WithOutgoingTrailerMatcher(none),
		// Both let a form of another site call what only JSON may.
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
	)
	for _, register := range []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		kilnv1.RegisterStationHandler, kilnv1.RegisterBoardsHandler,
		kilnv1.RegisterDeploymentsHandler, kilnv1.RegisterBatchesHandler, kilnv1.RegisterFirmwareHandler,
	} {
		if err := register(ctx, mux, conn); err != nil {
			return nil, err
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bounded, cancel := context.WithTimeout(r.Context(), deadlineOf(r.URL.Path))
		defer cancel()
		if deadlineOf(r.URL.Path) == buildDeadline {
			// The answer is a stream, which ends with the build.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		}
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r.WithContext(bounded))
	}), nil
}

func writeError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler,
	w http.ResponseWriter, r *http.Request, err error) {
	failure.Write(w, r, err)
}

func writeRoutingError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler,
	w http.ResponseWriter, r *http.Request, httpStatus int) {
	failure.Write(w, r, failure.New(httpStatus, failure.RouteNotFound, r.Method+" "+r.URL.Path))
}
