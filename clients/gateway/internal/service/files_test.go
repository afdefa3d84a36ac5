package service_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"testing"

	"kiln.local/gateway/contract/kilnv1"
	"kiln.local/gateway/internal/fakestation"
)

func TestImportStreamsTheBody(t *testing.T) {
	b := newBench(t)
	content := bytes.Repeat([]byte("firmware"), 300_000) // several chunks
	digest := sha256.Sum256(content)
	want := hex.EncodeToString(digest[:])
	for _, contentType := range []string{"application/zip", "application/octet-stream"} {
		answer := b.do(b.request("POST", "/v1/bundles:import?fileName=build.zip&title=T&version=1&chip=ESP32-C3&validateOnly=true",
			string(content), "Content-Type: "+contentType))
		if answer.status != http.StatusOK || !strings.Contains(answer.body, want) {
			t.Fatal(answer.status, answer.body)
		}
		imports := b.station.Imports()
		header := imports[len(imports)-1].Header
		if header.GetFileName() != "build.zip" || header.GetTitle() != "T" || header.GetVersion() != "1" || header.GetChip() != "ESP32-C3" ||
			!header.GetValidateOnly() || header.GetSizeBytes() != uint64(len(content)) {
			t.Errorf("the header is %v", header)
		}
	}
	for path, code := range map[string]string{
		"/v1/bundles:import":                            "REQUEST_INVALID",
		"/v1/bundles:import?fileName=a&colour=red":      "REQUEST_INVALID",
		"/v1/bundles:import?fileName=a&validateOnly=ja": "REQUEST_INVALID",
	} {
		if answer := b.do(b.request("POST", path, "x", "Content-Type: application/zip")); answer.status != 400 || answer.problem(t).Code != code {
			t.Errorf("%s answers %d %s", path, answer.status, answer.body)
		}
	}
}

func TestFormOfTheStationsOwnPageIsImported(t *testing.T) {
	b := newBench(t)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("title", "From the form")
	part, _ := form.CreateFormFile("file", "merged.bin")
	_, _ = part.Write([]byte("firmware"))
	_ = form.Close()
	answer := b.do(b.request("POST", "/v1/bundles:import", body.String(), "Content-Type: "+form.FormDataContentType(),
		"Sec-Fetch-Site: same-origin", "Origin: "+b.url))
	if answer.status != http.StatusOK {
		t.Fatal(answer.status, answer.body)
	}
	done := b.station.Imports()[0]
	if done.Header.GetFileName() != "merged.bin" || done.Header.GetTitle() != "From the form" || done.Bytes != 8 {
		t.Errorf("%+v", done)
	}
}

func TestUploadThatBreaksOffIsCancelled(t *testing.T) {
	b := newBench(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(conn, "POST /v1/bundles:import?fileName=a.bin HTTP/1.1\r\nHost: localhost\r\n"+
		"Content-Type: application/octet-stream\r\nContent-Length: 1000000\r\n\r\n%s", strings.Repeat("x", 500_000))
	eventually(t, "the station has begun to receive", func() bool { _, begun := b.station.LastCall("ImportBundle"); return begun })
	_ = conn.Close()
	eventually(t, "the station's call is cancelled", func() bool { return len(b.station.Imports()) == 1 })
	if done := b.station.Imports()[0]; done.Err == nil {
		t.Errorf("half a package was taken for a whole one: %+v", done)
	}
}

func TestUploadOverTheLimitIsRefused(t *testing.T) {
	b := newBench(t)
	r := b.request("POST", "/v1/bundles:import?fileName=a.bin", "", "Content-Type: application/octet-stream")
	r.Body, r.ContentLength = io.NopCloser(io.LimitReader(zeros{}, 65<<20)), -1
	answer := b.do(r)
	if answer.status != http.StatusRequestEntityTooLarge || answer.problem(t).Code != "BUNDLE_TOO_LARGE" {
		t.Errorf("answers %d %s", answer.status, answer.body)
	}
}

type zeros struct{}

func (zeros) Read(buffer []byte) (int, error) { return len(buffer), nil }

func TestRecordIsADownload(t *testing.T) {
	b := newBench(t)
	answer := b.get("/v1/deployments/1/record?reason=label", "Sec-Fetch-Site: same-origin")
	if answer.status != 200 || !strings.Contains(answer.body, fakestation.Secret) ||
		answer.header.Get("Content-Disposition") != "attachment; filename=customer-BGK001.json" || answer.header.Get("Cache-Control") != "no-store" {
		t.Errorf("answers %d %s %v", answer.status, answer.body, answer.header)
	}
	if answer := b.get("/v1/deployments/2/record"); answer.status != 404 || answer.header.Get("Content-Disposition") != "" {
		t.Errorf("answers %d %v", answer.status, answer.header)
	}
}

func TestHistoryIsATableThatSpreadsheetsReadAndRunNothingOf(t *testing.T) {
	b := newBench(t)
	for number := range 1201 { // several pages
		d := deployment(number)
		d.Customer.Organization = []string{"โรงพยาบาล, \"กรุงเทพ\"", "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "plain"}[number%7]
		b.station.AddDeployment(d)
	}
	answer := b.get("/v1/deployments.csv?filter.customerId=BGK001")
	content, marked := strings.CutPrefix(answer.body, "\ufeff")
	if !marked || answer.header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.HasPrefix(answer.header.Get("Content-Disposition"), "attachment; filename=deployments-") {
		t.Errorf("headers %v", answer.header)
	}
	rows, err := csv.NewReader(strings.NewReader(content)).ReadAll()
	if err != nil || len(rows) != 1202 {
		t.Fatal(err, len(rows))
	}
	for _, row := range rows[1:] {
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				t.Fatalf("a spreadsheet runs %q", cell)
			}
		}
	}
	if rows[1201][3] != "โรงพยาบาล, \"กรุงเทพ\"" || rows[1201][16] != "0" {
		t.Errorf("the oldest row is %q", rows[1201])
	}
	if answer := b.get("/v1/deployments.csv?filter.states=NONSENSE"); answer.status != 400 {
		t.Errorf("a wrong filter answers %d", answer.status)
	}
}

func TestHealthFollowsTheStation(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		level                kilnv1.Health_Level
		word                 string
		status, strictStatus int
	}{
		{kilnv1.Health_LEVEL_HEALTHY, "healthy", 200, 200},
		{kilnv1.Health_LEVEL_DEGRADED, "degraded", 200, 503},
		{kilnv1.Health_LEVEL_UNHEALTHY, "unhealthy", 503, 503},
	} {
		b.station.SetLevel(c.level)
		answer := b.get("/api/health")
		if answer.status != c.status || !strings.Contains(answer.body, `"status":"`+c.word+`"`) || !strings.Contains(answer.body, `"version":"1.2.3"`) {
			t.Errorf("%v answers %d %s", c.level, answer.status, answer.body)
		}
		if got := b.get("/api/health?strict=1").status; got != c.strictStatus {
			t.Errorf("%v, strictly, answers %d", c.level, got)
		}
	}
	b.station.Stop()
	if answer := b.get("/api/health"); answer.status != 503 || !strings.Contains(answer.body, `"station":{"status":"unhealthy"`) {
		t.Errorf("without a station: %d %s", answer.status, answer.body)
	}
}
