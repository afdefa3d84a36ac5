// Package station is the gateway's connection to kilnd: one gRPC channel over the daemon's unix socket, or
// over TLS with a client certificate.
package station

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"kiln.local/gateway/internal/identity"
)

// Largest message of the station: a snapshot is kept below gRPC's usual 4 MiB, a page of a thousand
// deployments may reach it.
const maxMessageBytes = 16 << 20

// How long a call waits for a station that is not there.
const connectTimeout = 3 * time.Second

// Address says where the station is and how to prove who we are.
type Address struct {
	// "unix:///run/kiln/kilnd.sock" or "host:port".
	Target string
	// PEM files, for "host:port" only.
	CAFile, CertFile, KeyFile string
}

// Dial makes the channel; it connects when first used and again whenever the station comes back.
func Dial(address Address, extra ...grpc.DialOption) (*grpc.ClientConn, error) {
	transport, err := transportOf(address)
	if err != nil {
		return nil, err
	}
	options := append([]grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes)),
		// The station is one process that starts within seconds: look again soon.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		// kilnd allows a ping every 30 s.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 40 * time.Second, Timeout: 20 * time.Second}),
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, request, reply any,
			conn *grpc.ClientConn, invoke grpc.UnaryInvoker, callOptions ...grpc.CallOption) error {
			awaitConnection(ctx, conn)
			return invoke(ctx, method, request, reply, conn, callOptions...)
		}),
	}, identity.DialOptions()...)
	return grpc.NewClient(address.Target, append(options, extra...)...)
}

// awaitConnection gives a station that restarts a moment, so that callers notice nothing. A call that finds it
// still away fails at once.
func awaitConnection(ctx context.Context, conn *grpc.ClientConn) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	for state := conn.GetState(); state != connectivity.Ready && state != connectivity.Shutdown; state = conn.GetState() {
		conn.Connect()
		if !conn.WaitForStateChange(ctx, state) {
			return
		}
	}
}

func transportOf(address Address) (credentials.TransportCredentials, error) {
	if strings.HasPrefix(address.Target, "unix:") {
		return insecure.NewCredentials(), nil
	}
	if address.CAFile == "" || address.CertFile == "" || address.KeyFile == "" {
		return nil, errors.New("a station over TCP needs TLS with a client certificate: --daemon-ca, --daemon-cert and --daemon-key")
	}
	ca, err := os.ReadFile(address.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading the station's CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s holds no certificate", address.CAFile)
	}
	certificate, err := tls.LoadX509KeyPair(address.CertFile, address.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the client certificate: %w", err)
	}
	return credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: pool, Certificates: []tls.Certificate{certificate},
	}), nil
}
