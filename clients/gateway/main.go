// kiln-gateway serves a station to browsers and scripts: REST, a live event stream, the operator's page.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"kiln.local/gateway/contract/kilnv1"
	"kiln.local/gateway/internal/events"
	"kiln.local/gateway/internal/guard"
	"kiln.local/gateway/internal/identity"
	"kiln.local/gateway/internal/page"
	"kiln.local/gateway/internal/rest"
	"kiln.local/gateway/internal/station"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kiln-gateway:", err)
		os.Exit(1)
	}
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:8080", "address to serve on")
	daemon := flag.String("daemon", "unix:///run/kiln/kilnd.sock", "the station daemon's address")
	folder := flag.String("page-folder", "", "serve the page from this folder instead of the one compiled in")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	conn, err := station.Dial(station.Address{Target: *daemon})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	calls, err := rest.New(ctx, conn)
	if err != nil {
		return err
	}
	files, err := page.Files(*folder)
	if err != nil {
		return err
	}
	live := events.Handler{Source: events.Direct{Client: kilnv1.NewStationClient(conn)},
		Opened: func(string) func() { return func() {} }}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/events", live.NDJSON)
	mux.HandleFunc("GET /v1/events/stream", live.SSE)
	mux.Handle("/v1/", calls)
	mux.Handle("/", page.Handler(files))
	noUpload := func(*http.Request) bool { return false }
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(identity.With(r.Context(), identity.Local)))
	})
	handler = guard.Headers(false, guard.Hosts(nil, guard.BodyLimit(noUpload, guard.OwnSite(noUpload, handler))))

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 120 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	slog.Info("serving", "address", listener.Addr().String())
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}
