package failure

import (
	"errors"
	"net/http"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestEveryCodeTheGatewayUsesIsInTheCatalogue(t *testing.T) {
	for _, code := range []string{
		RequestInvalid, RequestTooLarge, RequestRefused, RouteNotFound, NotSignedIn, NotAllowed, TooManyRequests,
		StationUnreachable, BundleTooLarge, StepTimedOut, Cancelled, DeploymentNotFound, SequenceOutOfRange, Internal,
	} {
		entry := Catalogue()[code]
		if entry == nil || len(entry.GetTexts()) != 2 || entry.GetTexts()[0].GetMessage() == "" || entry.GetTexts()[1].GetMessage() == "" {
			t.Errorf("%s: %v", code, entry)
		}
	}
}

func TestErrorsWithoutAFailureAreToldWithoutInternals(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{status.Error(codes.Unavailable, "dial unix /run/kiln/kilnd.sock"), 503, StationUnreachable},
		{status.Error(codes.DeadlineExceeded, ""), 504, StepTimedOut},
		{status.Error(codes.Unauthenticated, ""), 401, NotSignedIn},
		{status.Error(codes.PermissionDenied, ""), 403, NotAllowed},
		{status.Error(codes.ResourceExhausted, ""), 429, TooManyRequests},
		{status.Error(codes.Unimplemented, ""), 501, RouteNotFound},
		{status.Error(codes.Internal, "secret"), 500, Internal},
		{errors.New("secret"), 500, Internal},
		{&http.MaxBytesError{Limit: 5}, 413, RequestTooLarge},
	} {
		problem := From(c.err)
		if problem.Status != c.status || problem.Failure.GetCode() != c.code {
			t.Errorf("%v is %d %s", c.err, problem.Status, problem.Failure.GetCode())
		}
		if detail := problem.Failure.GetDetail(); detail == "secret" || detail == "dial unix /run/kiln/kilnd.sock" {
			t.Errorf("%v tells %q", c.err, detail)
		}
	}
}
