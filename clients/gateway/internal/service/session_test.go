package service_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"kiln.local/gateway/internal/fakestation"
	"kiln.local/gateway/internal/session"
)

const (
	viewerToken   = "viewer-token-0123456789"
	operatorToken = "operator-token-0123456789"
	adminToken    = "admin-token-0123456789"
)

func signInBench(t *testing.T, arguments ...string) *bench {
	t.Helper()
	_, hashed, err := session.NewToken("admin:hashed")
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := session.ParseTokens("# who may\n\nviewer:guest:"+viewerToken+"\noperator:somchai:"+operatorToken+
		"\nadmin:ann:"+adminToken+"\n"+hashed+"\n", "tokens")
	if err != nil {
		t.Fatal(err)
	}
	return newBenchWith(t, tokens, arguments...)
}

func (b *bench) signIn(token string) (answer, string) {
	answer := b.post("/v1/session", `{"token":"`+token+`"}`)
	cookie, _, _ := strings.Cut(answer.header.Get("Set-Cookie"), ";")
	return answer, cookie
}

func TestNothingButTheFrontDoorWithoutASignIn(t *testing.T) {
	b := signInBench(t)
	for _, c := range []struct{ method, path string }{
		{"GET", "/v1/station"}, {"GET", "/v1/events"}, {"GET", "/v1/events/stream"}, {"GET", "/v1/events:list"},
		{"GET", "/v1/boards"}, {"GET", "/v1/deployments"}, {"GET", "/v1/deployments.csv"}, {"GET", "/v1/deployments/1/record"},
		{"POST", "/v1/deployments"}, {"POST", "/v1/deployments/1:reveal"}, {"POST", "/v1/bundles:import"}, {"GET", "/v1/nothing"},
	} {
		answer := b.do(b.request(c.method, c.path, "{}", "Content-Type: application/json"))
		if answer.status != http.StatusUnauthorized || answer.problem(t).Code != "NOT_SIGNED_IN" {
			t.Errorf("%s %s answers %d %s", c.method, c.path, answer.status, answer.body)
		}
		if got := answer.header.Get("WWW-Authenticate"); got != `Bearer realm="kiln"` {
			t.Errorf("WWW-Authenticate is %q", got)
		}
	}
	for _, path := range []string{"/v1/session", "/livez", "/readyz", "/api/health", "/openapi.json", "/docs"} {
		if answer := b.get(path); answer.status != http.StatusOK {
			t.Errorf("%s answers %d", path, answer.status)
		}
	}
	if body := b.get("/api/health").body; strings.Contains(body, "/var/lib/kiln") {
		t.Errorf("strangers read folders: %s", body)
	}
	if body := b.get("/v1/session").body; !strings.Contains(body, `"signInRequired":true`) || !strings.Contains(body, `"signedIn":false`) {
		t.Error(body)
	}
}

func TestTokenSaysWhoAndWhat(t *testing.T) {
	b := signInBench(t)
	for _, c := range []struct{ token, role, name string }{
		{viewerToken, "viewer", "guest"}, {operatorToken, "operator", "somchai"}, {adminToken, "admin", "ann"},
	} {
		if answer := b.get("/v1/station", "Authorization: Bearer "+c.token); answer.status != http.StatusOK {
			t.Errorf("%s answers %d", c.name, answer.status)
		}
		call, _ := b.station.LastCall("GetStation")
		if role, actor := call.Metadata.Get("kiln-role"), call.Metadata.Get("kiln-actor"); len(role) != 1 || role[0] != c.role || actor[0] != c.name {
			t.Errorf("the station is told %v %v instead of %s %s", role, actor, c.role, c.name)
		}
	}
	for _, header := range []string{"Bearer wrong", "Bearer", "Basic " + adminToken, "Bearer " + adminToken + "x"} {
		if answer := b.get("/v1/station", "Authorization: "+header); answer.status != http.StatusUnauthorized {
			t.Errorf("%q answers %d", header, answer.status)
		}
	}
}

func TestRolesAreKeptAlsoInFrontOfAStationThatKnowsNone(t *testing.T) {
	b := signInBench(t)
	for _, c := range []struct {
		token, method, path, contentType string
		status                           int
	}{
		{viewerToken, "GET", "/v1/deployments", "", 200},
		{viewerToken, "GET", "/v1/deployments/1/record", "", 403},
		{viewerToken, "POST", "/v1/deployments/1:reveal", "application/json", 403},
		{viewerToken, "POST", "/v1/deployments", "application/json", 403},
		{operatorToken, "POST", "/v1/deployments/1:reveal", "application/json", 200},
		{operatorToken, "POST", "/v1/bundles:import?fileName=a.bin", "application/zip", 403},
		{operatorToken, "POST", "/v1/ledger:verify", "application/json", 403},
		{adminToken, "POST", "/v1/bundles:import?fileName=a.bin", "application/zip", 200},
	} {
		answer := b.do(b.request(c.method, c.path, "{}", "Content-Type: "+c.contentType, "Authorization: Bearer "+c.token))
		if answer.status != c.status || c.status == 403 && answer.problem(t).Code != "NOT_ALLOWED" {
			t.Errorf("%s %s answers %d %s to %s", c.method, c.path, answer.status, answer.body, c.token)
		}
	}
}

func TestSignInGivesACookieThatEndsWithTheSignOut(t *testing.T) {
	b := signInBench(t)
	answer, cookie := b.signIn(operatorToken)
	if answer.status != http.StatusOK {
		t.Fatal(answer.status, answer.body)
	}
	set := answer.header.Get("Set-Cookie")
	for _, part := range []string{"kiln_session=", "HttpOnly", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(set, part) {
			t.Errorf("the cookie %q lacks %s", set, part)
		}
	}
	var state struct{ Role, Name string }
	if err := json.Unmarshal([]byte(b.get("/v1/session", "Cookie: "+cookie).body), &state); err != nil || state.Role != "operator" || state.Name != "somchai" {
		t.Errorf("%v %+v", err, state)
	}
	s := b.open("/v1/events/stream", "Cookie: "+cookie)
	s.next()

	b.do(b.request("DELETE", "/v1/session", "", "Content-Type: application/json", "Cookie: "+cookie))
	if answer := b.get("/v1/station", "Cookie: "+cookie); answer.status != http.StatusUnauthorized {
		t.Errorf("after the sign-out the cookie answers %d", answer.status)
	}
	for {
		if _, err := s.reader.ReadString('\n'); err != nil {
			break // the stream ends with the session
		}
	}
}

func TestCookieIsForHTTPSWhereThePageIs(t *testing.T) {
	b := signInBench(t, "--behind-tls")
	answer, _ := b.signIn(operatorToken)
	if set := answer.header.Get("Set-Cookie"); !strings.HasPrefix(set, "__Host-kiln_session=") || !strings.Contains(set, "Secure") {
		t.Errorf("the cookie is %q", set)
	}
	if answer.header.Get("Strict-Transport-Security") == "" {
		t.Error("no Strict-Transport-Security")
	}
}

func TestGuessingIsSlowedDown(t *testing.T) {
	b := signInBench(t, "--trusted-proxies", "127.0.0.0/8")
	for range 5 {
		if answer, _ := b.signIn("wrong-token-000000000000"); answer.status != http.StatusUnauthorized {
			t.Fatal(answer.status, answer.body)
		}
	}
	if answer, _ := b.signIn(adminToken); answer.status != http.StatusTooManyRequests {
		t.Errorf("the sixth try answers %d, even with the right token", answer.status)
	}
	if answer := b.get("/v1/station", "Authorization: Bearer "+adminToken, "X-Forwarded-For: 10.0.0.9"); answer.status != http.StatusOK {
		t.Errorf("another client answers %d", answer.status)
	}
	if answer := b.get("/v1/station", "Authorization: Bearer "+adminToken, "X-Forwarded-For: 10.0.0.9, 127.0.0.1"); answer.status != http.StatusOK {
		t.Errorf("another client behind two proxies answers %d", answer.status)
	}
}

func TestNoTokenOrPasswordIsInAnyAnswerThatDoesNotRevealIt(t *testing.T) {
	b := signInBench(t)
	b.station.AddDeployment(deployment(1))
	bearer := "Authorization: Bearer " + adminToken
	for _, path := range []string{"/v1/deployments", "/v1/deployments.csv", "/v1/session", "/openapi.json"} {
		if body := b.get(path, bearer).body; strings.Contains(body, fakestation.Secret) || strings.Contains(body, adminToken) {
			t.Errorf("%s: %s", path, body)
		}
	}
	if body := b.post("/v1/deployments/1:reveal", "{}", bearer).body; !strings.Contains(body, fakestation.Secret) {
		t.Errorf("the call that reveals answers %s", body)
	}
}
