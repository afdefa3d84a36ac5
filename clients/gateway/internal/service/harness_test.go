package service_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kiln.local/gateway/internal/config"
	"kiln.local/gateway/internal/fakestation"
	"kiln.local/gateway/internal/service"
	"kiln.local/gateway/internal/session"
	"kiln.local/gateway/internal/station"
)

// patience is how long a test waits for what must come: the machine may be loaded.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// bench is a gateway in front of a fake station.
type bench struct {
	t       *testing.T
	station *fakestation.Station
	socket  string
	url     string
	gateway *service.Service
}

func newBench(t *testing.T, arguments ...string) *bench {
	t.Helper()
	return newBenchWith(t, nil, arguments...)
}

func newBenchWith(t *testing.T, tokens *session.Tokens, arguments ...string) *bench {
	t.Helper()
	b := &bench{t: t, station: fakestation.New(), socket: filepath.Join(t.TempDir(), "kilnd.sock")}
	b.startStation()
	settings, err := config.Read(append([]string{"--rate", "100000", "--burst", "100000"}, arguments...),
		func(string) (string, bool) { return "", false }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := station.Dial(station.Address{Target: "unix://" + b.socket})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.gateway, err = service.New(ctx, settings, conn, tokens, "1.2.3", "")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.gateway.Run(ctx)
	}()
	server := httptest.NewServer(b.gateway)
	b.url = server.URL
	t.Cleanup(func() {
		cancel()
		b.gateway.EndStreams()
		server.Close()
		<-done
		_ = conn.Close()
		b.station.Stop()
	})
	return b
}

func (b *bench) startStation() {
	b.t.Helper()
	listener, err := net.Listen("unix", b.socket)
	if err != nil {
		b.t.Fatal(err)
	}
	b.station.Serve(listener)
}

// request makes a request; "Name: value" strings are headers, and Host is one of them.
func (b *bench) request(method, path, body string, headers ...string) *http.Request {
	b.t.Helper()
	r, err := http.NewRequest(method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	return r
}

type answer struct {
	status int
	header http.Header
	body   string
}

// problem is the error shape.
type problem struct {
	ErrorType   string   `json:"error_type"`
	Code        string   `json:"code"`
	Message     string   `json:"message"`
	Tips        []string `json:"tips"`
	Recoverable bool     `json:"recoverable"`
	Details     string   `json:"details"`
	RequestID   string   `json:"request_id"`
	Fields      []struct {
		Field, Description string
	} `json:"fields"`
}

func (a answer) problem(t *testing.T) problem {
	t.Helper()
	var found problem
	if err := json.Unmarshal([]byte(a.body), &found); err != nil {
		t.Fatalf("not the error shape: %v\n%s", err, a.body)
	}
	return found
}

func (b *bench) do(r *http.Request) answer {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	response, err := http.DefaultTransport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func (b *bench) get(path string, headers ...string) answer {
	b.t.Helper()
	return b.do(b.request(http.MethodGet, path, "", headers...))
}

func (b *bench) post(path, body string, headers ...string) answer {
	b.t.Helper()
	return b.do(b.request(http.MethodPost, path, body, append([]string{"Content-Type: application/json"}, headers...)...))
}

// stream is an open answer that is read piece by piece.
type stream struct {
	t        *testing.T
	response *http.Response
	reader   *bufio.Reader
	cancel   context.CancelFunc
}

func (b *bench) open(path string, headers ...string) *stream {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	b.t.Cleanup(cancel)
	response, err := http.DefaultTransport.RoundTrip(b.request(http.MethodGet, path, "", headers...).WithContext(ctx))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(response.Body)
		b.t.Fatalf("%s answers %d: %s", path, response.StatusCode, body)
	}
	return &stream{b.t, response, bufio.NewReader(response.Body), cancel}
}

// message is one server-sent event.
type message struct {
	id    string
	hasID bool
	event string
	data  string
}

func (s *stream) line() string {
	s.t.Helper()
	line, err := s.reader.ReadString('\n')
	if err != nil {
		s.t.Fatalf("the stream ended: %v", err)
	}
	return strings.TrimSuffix(line, "\n")
}

// next reads the next server-sent event; comments and retry times are skipped.
func (s *stream) next() message {
	s.t.Helper()
	var found message
	for {
		line := s.line()
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && found.event != "":
			return found
		case name == "id":
			found.id, found.hasID = value, true
		case name == "event":
			found.event = value
		case name == "data":
			found.data = value
		}
	}
}

// eventually waits for what a test cannot wait for otherwise.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("not in time: %s", what)
}

var httpClient = &http.Client{Timeout: patience}
