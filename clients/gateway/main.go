// kiln-gateway serves a station to browsers and scripts: REST, a live event stream, the operator's page.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"kiln.local/gateway/internal/config"
	"kiln.local/gateway/internal/health"
	"kiln.local/gateway/internal/service"
	"kiln.local/gateway/internal/session"
	"kiln.local/gateway/internal/station"
	"kiln.local/gateway/internal/sysd"
)

// Set by the build.
var (
	version  = "0.0.0"
	revision = ""
)

const (
	exitFailed        = 1
	exitConfiguration = 2
)

const (
	headerTimeout  = 5 * time.Second
	idleTimeout    = 120 * time.Second
	maxHeaderBytes = 64 << 10
	// The garbage collector works harder before the heap passes this: a station may be a small PC.
	heapGoal = 50 << 20
	// How long calls may go on after SIGTERM. Streams end at once.
	drainTimeout = 10 * time.Second
)

func main() {
	settings, err := config.Read(os.Args[1:], os.LookupEnv, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "kiln-gateway:", err)
		os.Exit(exitConfiguration)
	case settings.ShowVersion:
		fmt.Println("kiln-gateway", version)
		return
	case settings.NewToken != "":
		err = newToken(settings.NewToken)
	case settings.Check:
		err = health.Check(settings.Listen, settings.TLSCert != "")
	default:
		err = run(settings)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kiln-gateway:", err)
		os.Exit(exitFailed)
	}
}

func newToken(roleAndName string) error {
	token, line, err := session.NewToken(roleAndName)
	if err != nil {
		return fmt.Errorf("--new-token: %w", err)
	}
	fmt.Printf("Token, for %s alone:   %s\nLine of the token file: %s\n", roleAndName, token, line)
	return nil
}

func run(settings *config.Config) error {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(heapGoal)
	}
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: settings.LogLevel})))
	var tokens *session.Tokens
	if settings.TokenFile != "" {
		var err error
		if tokens, err = session.ReadTokens(settings.TokenFile); err != nil {
			return err
		}
	}
	conn, err := station.Dial(station.Address{
		Target: settings.Daemon, CAFile: settings.DaemonCA, CertFile: settings.DaemonCert, KeyFile: settings.DaemonKey,
	})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()

	// Ends the streams, and what goes on besides requests; calls may still finish.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	gateway, err := service.New(ctx, settings, conn, tokens, version, revision)
	if err != nil {
		return err
	}
	servers, err := listen(settings, gateway)
	if err != nil {
		return err
	}
	failed := make(chan error, len(servers))
	for _, one := range servers {
		go func() { failed <- one.serve() }()
	}
	go gateway.Run(ctx)
	go sysd.Watchdog(ctx)
	sysd.Notify("READY=1")

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stop() // a second signal ends the process on the spot
	sysd.Notify("STOPPING=1")
	slog.Info("stopping")
	gateway.EndStreams()
	bounded, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	for _, one := range servers {
		if err := one.server.Shutdown(bounded); err != nil {
			_ = one.server.Close()
		}
	}
	return nil
}

// served is one listener and what it serves.
type served struct {
	server   *http.Server
	listener net.Listener
}

func (s served) serve() error {
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func listen(settings *config.Config, gateway *service.Service) ([]served, error) {
	listener, err := net.Listen("tcp", settings.Listen)
	if err != nil {
		return nil, err
	}
	slog.Info("serving", "address", listener.Addr().String(), "tls", settings.TLSCert != "",
		"sign_in", settings.TokenFile != "", "daemon", settings.Daemon, "version", version)
	if settings.TLSCert != "" {
		certificate, err := tls.LoadX509KeyPair(settings.TLSCert, settings.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
		}
		listener = tls.NewListener(listener, &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"},
		})
	}
	servers := []served{{newServer(gateway), listener}}
	if settings.MetricsListen != "" {
		metricsListener, err := net.Listen("tcp", settings.MetricsListen)
		if err != nil {
			return nil, err
		}
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", gateway.Metrics.Handler())
		servers = append(servers, served{newServer(mux), metricsListener})
	}
	return servers, nil
}

func newServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug), // what clients do wrong
	}
}
