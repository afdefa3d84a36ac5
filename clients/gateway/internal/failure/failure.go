// Package failure turns errors into what a person reads: one JSON object with a class, a sentence and
// tips in the caller's language. The words come with the error from the station, or, for what goes wrong
// in the gateway itself, from the station's catalogue, of which a copy is compiled in.
package failure

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"kiln.local/gateway/contract/kilnv1"
)

// Codes of the catalogue that the gateway itself uses; a test looks each of them up.
const (
	RequestInvalid     = "REQUEST_INVALID"
	RequestTooLarge    = "REQUEST_TOO_LARGE"
	RequestRefused     = "REQUEST_REFUSED"
	RouteNotFound      = "ROUTE_NOT_FOUND"
	NotSignedIn        = "NOT_SIGNED_IN"
	NotAllowed         = "NOT_ALLOWED"
	TooManyRequests    = "TOO_MANY_REQUESTS"
	StationUnreachable = "STATION_UNREACHABLE"
	BundleTooLarge     = "BUNDLE_TOO_LARGE"
	StepTimedOut       = "STEP_TIMED_OUT"
	Cancelled          = "CANCELLED_BY_OPERATOR"
	DeploymentNotFound = "DEPLOYMENT_NOT_FOUND"
	SequenceOutOfRange = "SEQUENCE_OUT_OF_RANGE"
	Internal           = "INTERNAL"
)

//go:embed catalogue.json
var catalogueJSON []byte

// Catalogue answers every error by its code.
var Catalogue = sync.OnceValue(func() map[string]*kilnv1.Failure {
	var entries []json.RawMessage
	if err := json.Unmarshal(catalogueJSON, &entries); err != nil {
		panic(fmt.Sprintf("catalogue.json: %v", err))
	}
	byCode := make(map[string]*kilnv1.Failure, len(entries))
	for _, entry := range entries {
		var failure kilnv1.Failure
		if err := protojson.Unmarshal(entry, &failure); err != nil {
			panic(fmt.Sprintf("catalogue.json: %v", err))
		}
		byCode[failure.GetCode()] = &failure
	}
	return byCode
})

// Field is one wrong field of a request.
type Field struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

// Problem is an error as a person is told it; it is an error itself.
type Problem struct {
	// HTTP status code.
	Status  int
	Failure *kilnv1.Failure
	Fields  []Field
}

// New makes a problem of the catalogue's entry `code`. `detail` is English and holds no secret.
func New(httpStatus int, code, detail string) *Problem {
	entry, known := Catalogue()[code]
	if !known {
		entry = Catalogue()[Internal]
	}
	failure := proto.Clone(entry).(*kilnv1.Failure)
	failure.Detail = detail
	return &Problem{Status: httpStatus, Failure: failure}
}

func (p *Problem) Error() string {
	return p.Failure.GetCode() + ": " + p.Failure.GetDetail()
}

// From makes a problem of any error: a Problem itself, what the station answered, or what gRPC and the
// gateway's own parsing say.
func From(err error) *Problem {
	var problem *Problem
	if errors.As(err, &problem) {
		return problem
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return New(http.StatusRequestEntityTooLarge, RequestTooLarge,
			fmt.Sprintf("the limit is %d bytes", tooLarge.Limit))
	}
	answer := status.Convert(err)
	problem = &Problem{Status: httpStatusOf(answer.Code())}
	for _, detail := range answer.Details() {
		switch detail := detail.(type) {
		case *kilnv1.Failure:
			problem.Failure = detail
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				problem.Fields = append(problem.Fields,
					Field{Field: violation.GetField(), Description: violation.GetDescription()})
			}
		}
	}
	if problem.Failure == nil {
		return untyped(answer)
	}
	switch problem.Failure.GetCode() {
	case RequestTooLarge, BundleTooLarge:
		problem.Status = http.StatusRequestEntityTooLarge
	case "PORT_BUSY", "BOARD_UNPLUGGED":
		// The station is there; the board is what cannot be had.
		problem.Status = http.StatusConflict
	case "DISK_FULL":
		problem.Status = http.StatusInsufficientStorage
	}
	return problem
}

// untyped answers for errors without a failure: gRPC's own, and those of grpc-gateway's parsing.
func untyped(answer *status.Status) *Problem {
	switch answer.Code() {
	case codes.Unavailable:
		// The text names sockets and addresses: for the log, not for the caller.
		return New(http.StatusServiceUnavailable, StationUnreachable, "the station daemon does not answer")
	case codes.DeadlineExceeded:
		return New(http.StatusGatewayTimeout, StepTimedOut, "the station daemon did not answer in time")
	case codes.InvalidArgument, codes.OutOfRange, codes.FailedPrecondition:
		if strings.Contains(answer.Message(), "http: request body too large") {
			return New(http.StatusRequestEntityTooLarge, RequestTooLarge, "the body is too large")
		}
		return New(http.StatusBadRequest, RequestInvalid, answer.Message())
	case codes.NotFound, codes.Unimplemented:
		return New(httpStatusOf(answer.Code()), RouteNotFound, answer.Message())
	case codes.Unauthenticated:
		return New(http.StatusUnauthorized, NotSignedIn, "")
	case codes.PermissionDenied:
		return New(http.StatusForbidden, NotAllowed, answer.Message())
	case codes.ResourceExhausted:
		return New(http.StatusTooManyRequests, TooManyRequests, answer.Message())
	case codes.Canceled:
		return New(httpStatusOf(answer.Code()), Cancelled, "the request was cancelled")
	}
	return New(http.StatusInternalServerError, Internal, "")
}

// httpStatusOf maps the canonical codes as google.api.Http documents them.
func httpStatusOf(code codes.Code) int {
	switch code {
	case codes.OK:
		return http.StatusOK
	case codes.InvalidArgument, codes.OutOfRange:
		return http.StatusBadRequest
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.NotFound:
		return http.StatusNotFound
	case codes.AlreadyExists, codes.Aborted, codes.FailedPrecondition:
		return http.StatusConflict
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Canceled:
		return 499 // nginx's "client closed request"; nobody reads it
	case codes.Unimplemented:
		return http.StatusNotImplemented
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}
