// Package health says how the gateway and the station behind it are.
package health

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"kiln.local/gateway/contract/kilnv1"
	"kiln.local/gateway/internal/failure"
	"kiln.local/gateway/internal/identity"
)

// Deadline of one look at the station.
const deadline = 3 * time.Second

// Handler serves the health routes.
type Handler struct {
	conn    *grpc.ClientConn
	version string
	// Whether the caller may read what the checks say: they name folders.
	trusted func(*http.Request) bool
}

// New makes a handler that asks over `conn`.
func New(conn *grpc.ClientConn, version string, trusted func(*http.Request) bool) *Handler {
	return &Handler{conn: conn, version: version, trusted: trusted}
}

// Live answers GET /livez: this process works.
func Live(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

// StationUp asks the station whether it serves.
func (h *Handler) StationUp(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	answer, err := healthpb.NewHealthClient(h.conn).Check(ctx, &healthpb.HealthCheckRequest{})
	return err == nil && answer.GetStatus() == healthpb.HealthCheckResponse_SERVING
}

// Ready answers GET /readyz: 200 while the station serves.
func (h *Handler) Ready(w http.ResponseWriter, r *http.Request) {
	if !h.StationUp(r.Context()) {
		failure.Write(w, r, failure.New(http.StatusServiceUnavailable, failure.StationUnreachable,
			"the station daemon does not serve"))
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ready\n"))
}

type report struct {
	// "healthy", "degraded" or "unhealthy".
	Status    string           `json:"status"`
	Timestamp string           `json:"timestamp"`
	Version   string           `json:"version"`
	Checks    map[string]check `json:"checks"`
}

type check struct {
	// "healthy" or "unhealthy".
	Status   string `json:"status"`
	Critical bool   `json:"critical"`
	Message  string `json:"message,omitempty"`
}

// Report answers GET /api/health: 200 while the station can work, 503 when it cannot; with ?strict=1 also
// 503 when something optional fails.
func (h *Handler) Report(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), deadline)
	defer cancel()
	ctx = identity.With(ctx, identity.Identity{Role: identity.Viewer, Name: "gateway"})
	answer := report{
		Status: "unhealthy", Timestamp: time.Now().UTC().Format(time.RFC3339Nano), Version: h.version,
		Checks: map[string]check{},
	}
	trusted := h.trusted(r)
	state, err := kilnv1.NewStationClient(h.conn).GetHealth(ctx, &kilnv1.GetHealthRequest{})
	if err != nil {
		answer.Checks["station"] = check{Status: "unhealthy", Critical: true, Message: "the station daemon does not answer"}
	} else {
		answer.Checks["station"] = check{Status: "healthy", Critical: true}
		switch state.GetLevel() {
		case kilnv1.Health_LEVEL_HEALTHY:
			answer.Status = "healthy"
		case kilnv1.Health_LEVEL_DEGRADED:
			answer.Status = "degraded"
		}
	}
	for _, found := range state.GetChecks() {
		entry := check{Status: "healthy", Critical: found.GetCritical()}
		if !found.GetOk() {
			entry.Status = "unhealthy"
		}
		if trusted {
			entry.Message = found.GetMessage()
		}
		answer.Checks[found.GetName()] = entry
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	strict := r.URL.Query().Get("strict") == "1"
	if answer.Status == "unhealthy" || strict && answer.Status == "degraded" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer) // a reader that is gone needs no answer
}
