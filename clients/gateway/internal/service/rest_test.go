package service_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"kiln.local/gateway/contract"
	"kiln.local/gateway/internal/apidocs"
	"kiln.local/gateway/internal/failure"
)

func TestErrorsOfTheStationReachThePersonInTheirLanguage(t *testing.T) {
	b := newBench(t)
	english := failure.Catalogue()["PORT_NOT_FOUND"].GetTexts()[0]
	thai := failure.Catalogue()["PORT_NOT_FOUND"].GetTexts()[1]
	for _, c := range []struct {
		path, header, message string
	}{
		{"/v1/boards/x", "", english.GetMessage()},
		{"/v1/boards/x", "th-TH,th;q=0.9,en;q=0.8", thai.GetMessage()},
		{"/v1/boards/x", "de-DE,de", english.GetMessage()},
		{"/v1/boards/x", "\x01;q=x", english.GetMessage()},
		{"/v1/boards/x?lang=th", "en", thai.GetMessage()},
	} {
		answer := b.get(c.path, "Accept-Language: "+strings.Trim(c.header, "\x01"))
		found := answer.problem(t)
		if answer.status != http.StatusNotFound || found.Code != "PORT_NOT_FOUND" || found.ErrorType != "VALIDATION_ERROR" ||
			found.Message != c.message || len(found.Tips) == 0 || found.Details != "boards/x is not known" ||
			len(found.Fields) != 1 || found.Fields[0].Field != "name" {
			t.Errorf("%v answers %d %s", c, answer.status, answer.body)
		}
		if id := answer.header.Get("X-Request-Id"); id == "" || id != found.RequestID {
			t.Errorf("the ids are %q and %q", id, found.RequestID)
		}
	}
	if got := b.get("/v1/boards/x", "X-Request-Id: my-own-id-1").problem(t).RequestID; got != "my-own-id-1" {
		t.Errorf("a sensible id of the caller became %q", got)
	}
	if got := b.get("/v1/boards/x", "X-Request-Id: <script>").problem(t).RequestID; strings.Contains(got, "script") {
		t.Errorf("a foolish id of the caller became %q", got)
	}
}

func TestOrderIsAnswered(t *testing.T) {
	b := newBench(t)
	answer := b.post("/v1/deployments", order)
	var found struct {
		Name, RequestID, State string
		HasWifiPassword        bool
	}
	if err := json.Unmarshal([]byte(answer.body), &found); err != nil || answer.status != 200 || found.Name != "deployments/1" || found.State != "STATE_PENDING" {
		t.Errorf("%v %d %s", err, answer.status, answer.body)
	}
	wrong := b.post("/v1/deployments", `{"requestId":"1"}`)
	if found := wrong.problem(t); wrong.status != 400 || found.Code != "CUSTOMER_INVALID" || found.Fields[0].Field != "customer.customer_id" {
		t.Errorf("answers %d %s", wrong.status, wrong.body)
	}
}

func TestCallOfAClientThatWentAwayIsCancelled(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	go func() {
		_, err := http.DefaultTransport.RoundTrip(b.request("POST", "/v1/boards/x:identify", "{}", "Content-Type: application/json").WithContext(ctx))
		failed <- err
	}()
	eventually(t, "the station has begun", func() bool { _, begun := b.station.LastCall("IdentifyBoard"); return begun })
	cancel()
	if err := <-failed; err == nil {
		t.Error("the call was answered")
	}
}

// Every call of the contract has its route, in the table or written by hand.
func TestEveryCallHasARoute(t *testing.T) {
	document := documentOf(t)
	operations := map[string]bool{}
	for _, path := range document.Paths {
		for _, operation := range path {
			operations[operation.OperationID] = true
		}
	}
	byHand := map[string]string{"WatchEvents": "WatchEvents", "ImportBundle": "ImportBundle", "GetRecord": "DownloadRecord"}
	protoregistry.GlobalFiles.RangeFilesByPackage("kiln.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := string(service.Methods().Get(j).Name())
				if !operations[byHand[method]] && !operations[fmt.Sprintf("%s_%s", service.Name(), method)] {
					t.Errorf("%s.%s has no route: add it to contract/routes.yaml and run scripts/generate", service.Name(), method)
				}
				if byHand[method] == "" && !strings.Contains(string(contract.Routes), string(service.FullName())+"."+method) {
					t.Errorf("%s is not in routes.yaml", method)
				}
			}
		}
		return true
	})
}

// A build takes minutes and tells of itself meanwhile; a call of half a minute would end it.
func TestBuildHasTheTimeThatAStationAllows(t *testing.T) {
	b := newBench(t)
	answer := b.post("/v1/bundles:build", `{"template":"UEs="}`)
	var line struct{ Result struct{ LogLine string } }
	if err := json.Unmarshal([]byte(answer.body), &line); err != nil || answer.status != 200 {
		t.Fatalf("%v %d %s", err, answer.status, answer.body)
	}
	// Two hours are the longest that `[builder] timeout` takes.
	if left, err := time.ParseDuration(line.Result.LogLine); err != nil || left < 2*time.Hour {
		t.Errorf("a build has %q", line.Result.LogLine)
	}
}

type document struct {
	Swagger string
	Info    struct{ Version string }
	Paths   map[string]map[string]struct{ OperationID string }
}

func documentOf(t *testing.T) document {
	t.Helper()
	content, err := apidocs.Document("1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	var found document
	if err := json.Unmarshal(content, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

// What the description says is there, is there.
func TestDescribedRoutesExist(t *testing.T) {
	b := newBench(t)
	found := documentOf(t)
	if found.Swagger != "2.0" || found.Info.Version != "1.2.3" {
		t.Errorf("%+v", found.Info)
	}
	for path, operations := range found.Paths {
		path = strings.ReplaceAll(path, "{id}", "none")
		if strings.Contains(path, "/events") || strings.Contains(path, "{") || strings.HasSuffix(path, ":identify") {
			continue // streams are tested apart; identify never ends here
		}
		for method := range operations {
			answer := b.do(b.request(strings.ToUpper(method), path, "{}", "Content-Type: application/json"))
			if (answer.status == 404 || answer.status == 405) && strings.Contains(answer.body, "ROUTE_NOT_FOUND") {
				t.Errorf("%s %s answers %d", method, path, answer.status)
			}
		}
	}
}

func TestDescriptionAndItsViewerNeedNothingFromElsewhere(t *testing.T) {
	b := newBench(t)
	for path, contentType := range map[string]string{
		"/openapi.json": "application/json", "/docs": "text/html; charset=utf-8",
		"/docs/viewer.js": "text/javascript; charset=utf-8", "/docs/viewer.css": "text/css; charset=utf-8",
	} {
		answer := b.get(path)
		if answer.status != 200 || answer.header.Get("Content-Type") != contentType {
			t.Errorf("%s answers %d %q", path, answer.status, answer.header.Get("Content-Type"))
		}
		for _, outside := range []string{"http://", "https://", "style=", "onclick", "<style", "eval("} {
			if path != "/openapi.json" && strings.Contains(answer.body, outside) {
				t.Errorf("%s contains %s", path, outside)
			}
		}
	}
}

func TestPageIsServedWhereAPageIsAskedFor(t *testing.T) {
	b := newBench(t)
	for _, path := range []string{"/", "/history", "/deployments/1"} {
		answer := b.get(path, "Accept: text/html,application/xhtml+xml")
		if answer.status != 200 || !strings.HasPrefix(answer.header.Get("Content-Type"), "text/html") || answer.header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s answers %d %v", path, answer.status, answer.header)
		}
		if again := b.get(path, "Accept: text/html", "If-None-Match: "+answer.header.Get("ETag")); again.status != 304 {
			t.Errorf("%s answers %d the second time", path, again.status)
		}
	}
	for _, path := range []string{"/history", "/missing.js", "/assets/none.css", "/v1", "/..%2f..%2fetc/passwd"} {
		if answer := b.get(path, "Accept: */*"); answer.status != 404 {
			t.Errorf("%s answers %d to a script", path, answer.status)
		}
	}
}

func TestMetricsCountByRouteAndNeverByName(t *testing.T) {
	b := newBench(t)
	b.get("/v1/station")
	for number := range 50 {
		b.get(fmt.Sprintf("/v1/boards/usb-%d", number))
		b.get(fmt.Sprintf("/v1/unknown-%d/%d", number, number))
	}
	eventually(t, "the station is up", func() bool { return strings.Contains(b.metrics(), "kiln_gateway_daemon_up 1") })
	text := b.metrics()
	for _, line := range []string{
		`http_requests_total{code="200",method="GET",route="/v1/station"} 1`,
		`http_requests_total{code="404",method="GET",route="/v1/boards/{id}"} 50`,
		`http_requests_total{code="404",method="GET",route="other"} 50`,
		`kiln_gateway_stream_clients{kind="sse"} 0`, `kiln_gateway_auth_failures_total 0`, `kiln_gateway_rate_limited_total 0`,
		`kiln_gateway_build_info{revision="",version="1.2.3"} 1`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("without %s", line)
		}
	}
}

func (b *bench) metrics() string {
	recorder := httptest.NewRecorder()
	b.gateway.Metrics.Handler().ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	text, _ := io.ReadAll(recorder.Body)
	return string(text)
}

func TestCallWithoutAnAnswerEndsAtItsDeadline(t *testing.T) {
	t.Parallel() // with the other test that waits for a deadline
	b := newBench(t)
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	response, err := http.DefaultTransport.RoundTrip(b.request("POST", "/v1/boards/x:identify", "{}", "Content-Type: application/json").WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("answers %d", response.StatusCode)
	}
}
