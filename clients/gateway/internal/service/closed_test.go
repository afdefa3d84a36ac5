package service_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const order = `{"requestId":"1","customer":{"organization":"o","customerId":"BGK001","applicationName":"a"},"bundle":"b","port":"any"}`

// What is refused before the station hears of it.
func TestClosedByDefault(t *testing.T) {
	b := newBench(t)
	jsonType := "Content-Type: application/json"
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code                     string
	}{
		{"another name for this host", "GET", "/v1/station", "", []string{"Host: rebound.example"}, 403, "REQUEST_REFUSED"},
		{"another name with our port", "GET", "/v1/station", "", []string{"Host: rebound.example:8080"}, 403, "REQUEST_REFUSED"},
		{"a name that looks local", "GET", "/v1/station", "", []string{"Host: localhost.example"}, 403, "REQUEST_REFUSED"},
		{"the page under another name", "GET", "/", "", []string{"Host: rebound.example"}, 403, "REQUEST_REFUSED"},
		{"JSON called text", "POST", "/v1/deployments", order, []string{"Content-Type: text/plain"}, 415, "REQUEST_REFUSED"},
		{"JSON without a type", "POST", "/v1/deployments", order, nil, 415, "REQUEST_REFUSED"},
		{"a form", "POST", "/v1/deployments", "a=b", []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "REQUEST_REFUSED"},
		{"a form for a method of its choice", "POST", "/v1/station", "", []string{"Content-Type: application/x-www-form-urlencoded", "X-HTTP-Method-Override: GET"}, 415, "REQUEST_REFUSED"},
		{"JSON for a method of its choice", "POST", "/v1/station", "{}", []string{jsonType, "X-HTTP-Method-Override: GET"}, 405, "ROUTE_NOT_FOUND"},
		{"an order without a body", "POST", "/v1/deployments/1:cancel", "", nil, 415, "REQUEST_REFUSED"},
		{"a page of another site", "POST", "/v1/deployments", order, []string{jsonType, "Sec-Fetch-Site: cross-site"}, 403, "REQUEST_REFUSED"},
		{"a page of a neighbour", "POST", "/v1/deployments", order, []string{jsonType, "Sec-Fetch-Site: same-site"}, 403, "REQUEST_REFUSED"},
		{"a page of another origin", "POST", "/v1/deployments", order, []string{jsonType, "Origin: http://evil.example"}, 403, "REQUEST_REFUSED"},
		{"a record for another site", "GET", "/v1/deployments/1/record", "", []string{"Sec-Fetch-Site: cross-site"}, 403, "REQUEST_REFUSED"},
		{"a form of no page", "POST", "/v1/bundles:import", "", []string{"Content-Type: multipart/form-data; boundary=x"}, 403, "REQUEST_REFUSED"},
		{"a package called text", "POST", "/v1/bundles:import?fileName=a.bin", "x", []string{"Content-Type: text/plain"}, 415, "REQUEST_REFUSED"},
		{"a body over the limit", "POST", "/v1/deployments", strings.Repeat("x", 1<<20+1), []string{jsonType}, 413, "REQUEST_TOO_LARGE"},
		{"a field nobody knows", "POST", "/v1/deployments", `{"prot":"any"}`, []string{jsonType}, 400, "REQUEST_INVALID"},
		{"no JSON", "POST", "/v1/deployments", `{`, []string{jsonType}, 400, "REQUEST_INVALID"},
		{"a route nobody knows", "GET", "/v1/nothing", "", []string{"Accept: text/html"}, 404, "ROUTE_NOT_FOUND"},
		{"a hidden file", "GET", "/.git/config", "", []string{"Accept: text/html"}, 404, "ROUTE_NOT_FOUND"},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := b.do(b.request(c.method, c.path, c.body, c.headers...))
			if answer.status != c.status || answer.problem(t).Code != c.code {
				t.Errorf("answers %d %s, want %d %s", answer.status, answer.body, c.status, c.code)
			}
		})
	}
	for _, call := range b.station.Calls() {
		if strings.HasPrefix(call.Method, "/kiln.v1.Deployments/") || strings.HasPrefix(call.Method, "/kiln.v1.Firmware/") {
			t.Errorf("the station heard of %s", call.Method)
		}
	}
}

func TestOwnPageAndScriptsGetThrough(t *testing.T) {
	b := newBench(t, "--allowed-hosts", "station.example, kiln.local")
	for name, headers := range map[string][]string{
		"a script":              nil,
		"the page":              {"Sec-Fetch-Site: same-origin", "Origin: " + b.url},
		"by an allowed name":    {"Host: Station.Example.:8080", "Origin: http://station.example.:8080", "Sec-Fetch-Site: same-origin"},
		"by another loopback":   {"Host: [::1]:8080"},
		"with a charset":        {"Content-Type: application/json; charset=utf-8"},
		"an older browser page": {"Origin: " + b.url},
	} {
		t.Run(name, func(t *testing.T) {
			r := b.request("POST", "/v1/deployments", order, headers...)
			if r.Header.Get("Content-Type") == "" {
				r.Header.Set("Content-Type", "application/json")
			}
			if answer := b.do(r); answer.status != http.StatusOK {
				t.Errorf("answers %d %s", answer.status, answer.body)
			}
		})
	}
}

func TestNoHeaderOfAClientBecomesMetadata(t *testing.T) {
	b := newBench(t)
	answer := b.get("/v1/station", "Grpc-Metadata-Kiln-Role: admin", "Grpc-Metadata-Kiln-Actor: root", "Kiln-Role: admin",
		"Authorization: Bearer something", "X-Custom: 1", "Cookie: a=b")
	if answer.status != http.StatusOK {
		t.Fatal(answer.body)
	}
	for name := range answer.header {
		if strings.HasPrefix(name, "Grpc-") {
			t.Errorf("the answer carries %s", name)
		}
	}
	call, _ := b.station.LastCall("GetStation")
	for name, values := range call.Metadata {
		switch name {
		case ":authority", "content-type", "user-agent", "grpc-accept-encoding":
		case "kiln-role":
			if len(values) != 1 || values[0] != "admin" {
				t.Errorf("kiln-role is %v", values)
			}
		case "kiln-actor":
			if len(values) != 1 || values[0] != "local" {
				t.Errorf("kiln-actor is %v", values)
			}
		default:
			t.Errorf("metadata %s: %v", name, values)
		}
	}
	if !call.Deadline {
		t.Error("the call has no deadline")
	}
}

func TestEveryAnswerCarriesThePolicy(t *testing.T) {
	b := newBench(t)
	for _, path := range []string{"/", "/v1/station", "/v1/nothing", "/docs", "/api/health"} {
		header := b.get(path).header
		for name, want := range map[string]string{
			"Content-Security-Policy":    "default-src 'self'; connect-src 'self'; img-src 'self' data:; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
			"X-Content-Type-Options":     "nosniff",
			"X-Frame-Options":            "DENY",
			"Referrer-Policy":            "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin",
			"Strict-Transport-Security":  "",
		} {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if header.Get("X-Request-Id") == "" {
			t.Errorf("%s has no X-Request-Id", path)
		}
	}
}

func TestClientThatAsksTooMuchIsToldToWait(t *testing.T) {
	b := newBench(t, "--rate", "0.01", "--burst", "3")
	for range 3 {
		if answer := b.get("/v1/station"); answer.status != http.StatusOK {
			t.Fatal(answer.status, answer.body)
		}
	}
	answer := b.get("/v1/station")
	if answer.status != http.StatusTooManyRequests || answer.header.Get("Retry-After") == "" {
		t.Errorf("answers %d, Retry-After %q", answer.status, answer.header.Get("Retry-After"))
	}
	if found := answer.problem(t); found.Code != "TOO_MANY_REQUESTS" || !found.Recoverable {
		t.Errorf("answers %+v", found)
	}
}

// A client that sends its body drop by drop does not hold a connection for ever. The deadline is set on the
// connection itself, so a real one is used and the body simply never ends.
func TestBodyThatNeverComesIsGivenUp(t *testing.T) {
	t.Parallel() // with the other test that waits for a deadline
	b := newBench(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = conn.Write([]byte("POST /v1/deployments HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"))
	_ = conn.SetReadDeadline(time.Now().Add(4 * patience))
	buffer := make([]byte, 4096)
	count, err := conn.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(buffer[:count]); !strings.HasPrefix(text, "HTTP/1.1 408") {
		t.Errorf("answers %s", text)
	}
}
