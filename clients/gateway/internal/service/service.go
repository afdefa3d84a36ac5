// Package service puts the gateway's parts together into one handler.
package service

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"kiln.local/gateway/contract/kilnv1"
	"kiln.local/gateway/internal/apidocs"
	"kiln.local/gateway/internal/config"
	"kiln.local/gateway/internal/download"
	"kiln.local/gateway/internal/events"
	"kiln.local/gateway/internal/failure"
	"kiln.local/gateway/internal/guard"
	"kiln.local/gateway/internal/health"
	"kiln.local/gateway/internal/metrics"
	"kiln.local/gateway/internal/page"
	"kiln.local/gateway/internal/rest"
	"kiln.local/gateway/internal/session"
	"kiln.local/gateway/internal/upload"
)

// How often the station is asked whether it is up, for the metric.
const upInterval = 5 * time.Second

// Service is the gateway without its listeners.
type Service struct {
	http.Handler
	Metrics *metrics.Metrics
	hub     *events.Hub
	health  *health.Handler
	// Ends when the gateway stops: streams with it.
	streams    context.Context
	endStreams context.CancelFunc
}

// New puts it together over the connection to the station. `tokens` is nil when nobody needs to sign in.
func New(ctx context.Context, settings *config.Config, conn *grpc.ClientConn, tokens *session.Tokens, version, revision string) (*Service, error) {
	numbers := metrics.New(version, revision)
	clients := guard.Clients{Trusted: settings.TrustedProxies}
	sessions := session.New(session.Options{
		Tokens: tokens, Lifetime: settings.SessionLifetime, Secure: settings.Secure(),
		ClientOf: clients.Of, Failed: numbers.AuthFailures.Inc, Now: time.Now,
	})
	station := kilnv1.NewStationClient(conn)
	hub := events.NewHub(station)
	looks := health.New(conn, version, sessions.SignedIn)

	made := &Service{Metrics: numbers, hub: hub, health: looks}
	made.streams, made.endStreams = context.WithCancel(context.WithoutCancel(ctx))
	mux, err := made.routes(ctx, settings, conn, sessions, version)
	if err != nil {
		return nil, err
	}
	buckets := guard.NewBuckets(settings.Rate, settings.Burst, time.Now)
	var handler http.Handler = mux
	handler = guard.Bodies(upload.Is, handler)
	handler = guard.OwnSite(upload.Is, handler)
	handler = guard.RateLimit(buckets, clients.Of, numbers.RateLimited.Inc, handler)
	handler = guard.Hosts(settings.AllowedHosts, handler)
	handler = guard.Headers(settings.Secure(), handler)
	made.Handler = guard.Log(clients.Of, numbers.Answered, handler)
	return made, nil
}

func (s *Service) routes(ctx context.Context, settings *config.Config, conn *grpc.ClientConn,
	sessions *session.Keeper, version string) (*http.ServeMux, error) {
	calls, err := rest.New(ctx, conn)
	if err != nil {
		return nil, err
	}
	files, err := page.Files(settings.PageFolder)
	if err != nil {
		return nil, err
	}
	live := events.Handler{Source: s.hub, Opened: s.Metrics.StreamOpened}
	deployments := download.Handler{Client: kilnv1.NewDeploymentsClient(conn)}
	mux := http.NewServeMux()
	signedIn := func(pattern string, handler http.Handler) { mux.Handle(pattern, sessions.Required(handler)) }
	asStream := s.streaming(settings.MaxStreams)
	signedIn("GET /v1/events", asStream(live.NDJSON))
	signedIn("GET /v1/events/stream", asStream(live.SSE))
	signedIn("GET /v1/deployments.csv", http.HandlerFunc(deployments.CSV))
	signedIn("GET /v1/deployments/{id}/record", guard.NotFromOtherSites(http.HandlerFunc(deployments.Record)))
	signedIn("POST /v1/bundles:import", upload.Handler{Client: kilnv1.NewFirmwareClient(conn)})
	signedIn("/v1/", calls)
	signedIn("/v1", calls)
	mux.HandleFunc("GET /v1/session", sessions.Get)
	mux.HandleFunc("POST /v1/session", sessions.SignIn)
	mux.HandleFunc("DELETE /v1/session", sessions.SignOut)
	mux.HandleFunc("GET /api/health", s.health.Report)
	mux.HandleFunc("GET /livez", health.Live)
	mux.HandleFunc("GET /readyz", s.health.Ready)
	mux.Handle("/", page.Handler(files))
	return mux, apidocs.Register(mux, version)
}

// streaming refuses what would be one stream too many, and ends streams with the gateway.
func (s *Service) streaming(limit int) func(http.HandlerFunc) http.Handler {
	var open atomic.Int64
	return func(next http.HandlerFunc) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer open.Add(-1)
			if open.Add(1) > int64(limit) {
				failure.Write(w, r, failure.New(http.StatusTooManyRequests, failure.TooManyRequests,
					"too many event streams are open"))
				return
			}
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(s.streams, cancel)()
			next(w, r.WithContext(ctx))
		})
	}
}

// EndStreams ends every event stream; their readers come back by themselves.
func (s *Service) EndStreams() { s.endStreams() }

// Run does what goes on besides requests, until the context ends.
func (s *Service) Run(ctx context.Context) {
	go s.hub.Run(ctx)
	for {
		up := 0.0
		if s.health.StationUp(ctx) {
			up = 1
		}
		s.Metrics.DaemonUp.Set(up)
		select {
		case <-ctx.Done():
			return
		case <-time.After(upInterval):
		}
	}
}
