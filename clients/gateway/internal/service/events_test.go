package service_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"kiln.local/gateway/contract/kilnv1"
)

func deployment(number int) *kilnv1.Deployment {
	return &kilnv1.Deployment{Name: fmt.Sprintf("deployments/%d", number), Customer: &kilnv1.Customer{CustomerId: "BGK001"}}
}

// sequenceOf reads the number out of an event's JSON.
func sequenceOf(t *testing.T, data string) string {
	t.Helper()
	var found struct {
		Event struct{ Sequence string }
	}
	if err := json.Unmarshal([]byte(data), &found); err != nil {
		t.Fatal(err, data)
	}
	return found.Event.Sequence
}

func TestStreamBeginsWithASnapshotAtOnceAndGoesOn(t *testing.T) {
	b := newBench(t)
	b.station.AddDeployment(deployment(1))
	s := b.open("/v1/events/stream", "Accept-Encoding: gzip")
	header := s.response.Header
	if header.Get("Content-Type") != "text/event-stream" || header.Get("Content-Encoding") != "" ||
		header.Get("Cache-Control") != "no-store, no-transform" || header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("headers %v", header)
	}
	first := s.next()
	if first.event != "snapshot" || first.id != "1" || !strings.Contains(first.data, `"deployments/1"`) {
		t.Errorf("begins with %+v", first)
	}
	for number := 2; number <= 5; number++ {
		b.station.AddDeployment(deployment(number))
		got := s.next()
		if want := fmt.Sprint(number); got.event != "event" || got.id != want || sequenceOf(t, got.data) != want {
			t.Errorf("event %d is %+v", number, got)
		}
	}
	b.station.Progress(&kilnv1.Progress{Deployment: "deployments/5", ProgressPercent: 50})
	if got := s.next(); got.event != "progress" || got.hasID || !strings.Contains(got.data, "50") {
		t.Errorf("progress is %+v", got)
	}
}

func TestStreamResumesWithoutAGapOrARepeat(t *testing.T) {
	b := newBench(t)
	for number := 1; number <= 20; number++ {
		b.station.AddDeployment(deployment(number))
	}
	for name, s := range map[string]*stream{
		"by the address":                   b.open("/v1/events/stream?afterSequence=7"),
		"by the header":                    b.open("/v1/events/stream", "Last-Event-ID: 7"),
		"by the header before the address": b.open("/v1/events/stream?afterSequence=2", "Last-Event-ID: 7"),
	} {
		for number := 8; number <= 20; number++ {
			if got := s.next(); got.event != "event" || got.id != fmt.Sprint(number) {
				t.Fatalf("%s: %+v instead of event %d", name, got, number)
			}
		}
	}
}

func TestReaderOfAnOldLedgerStartsAgainFromASnapshot(t *testing.T) {
	b := newBench(t)
	b.station.AddDeployment(deployment(1))
	s := b.open("/v1/events/stream", "Last-Event-ID: 1000")
	if got := s.next(); got.event != "reset" || !got.hasID || got.id != "" || !strings.Contains(got.data, "SEQUENCE_OUT_OF_RANGE") {
		t.Errorf("begins with %+v", got)
	}
	if got := s.next(); got.event != "snapshot" || got.id != "1" {
		t.Errorf("then %+v", got)
	}
}

func TestStreamOutlivesARestartOfTheStation(t *testing.T) {
	b := newBench(t)
	b.station.AddDeployment(deployment(1))
	s := b.open("/v1/events/stream")
	s.next()
	b.station.AddDeployment(deployment(2))
	if got := s.next(); got.id != "2" {
		t.Fatalf("%+v", got)
	}
	b.station.Stop()
	if got := s.next(); got.event != "error" || !strings.Contains(got.data, "STATION_UNREACHABLE") {
		t.Errorf("while the station is away: %+v", got)
	}
	if answer := b.get("/v1/station"); answer.status != 503 || answer.problem(t).Code != "STATION_UNREACHABLE" {
		t.Errorf("REST answers %d %s", answer.status, answer.body)
	}
	if answer := b.get("/readyz"); answer.status != 503 {
		t.Errorf("/readyz answers %d", answer.status)
	}
	if answer := b.get("/livez"); answer.status != 200 {
		t.Errorf("/livez answers %d", answer.status)
	}
	b.station.AddDeployment(deployment(3))
	b.startStation()
	for got := s.next(); got.id != "3"; got = s.next() {
		if got.event != "error" {
			t.Fatalf("after the restart: %+v", got)
		}
	}
	eventually(t, "the gateway is ready again", func() bool { return b.get("/readyz").status == 200 })
}

func TestLinesAreInTheFormOfTheGatewaysStreams(t *testing.T) {
	b := newBench(t)
	for number := 1; number <= 3; number++ {
		b.station.AddDeployment(deployment(number))
	}
	s := b.open("/v1/events?afterSequence=1")
	if got := s.response.Header.Get("Content-Type"); got != "application/x-ndjson" {
		t.Errorf("the type is %q", got)
	}
	for want := 2; want <= 3; want++ {
		var line struct {
			Result struct{ Event struct{ Sequence string } }
		}
		if err := json.Unmarshal([]byte(s.line()), &line); err != nil || line.Result.Event.Sequence != fmt.Sprint(want) {
			t.Errorf("line %d: %v %+v", want, err, line)
		}
	}
	b.station.Stop()
	var last struct{ Error problem }
	if err := json.Unmarshal([]byte(s.line()), &last); err != nil || last.Error.Code != "STATION_UNREACHABLE" {
		t.Errorf("ends in %v %+v", err, last)
	}
}

func TestErrorBeforeTheFirstLineIsAnOrdinaryAnswer(t *testing.T) {
	b := newBench(t)
	answer := b.get("/v1/events?afterSequence=99")
	if answer.status != 400 || answer.problem(t).Code != "SEQUENCE_OUT_OF_RANGE" {
		t.Errorf("answers %d %s", answer.status, answer.body)
	}
	for _, path := range []string{"/v1/events?afterSequence=x", "/v1/events/stream?afterSequence=x"} {
		if answer := b.get(path); answer.status != 400 || answer.problem(t).Code != "REQUEST_INVALID" {
			t.Errorf("%s answers %d %s", path, answer.status, answer.body)
		}
	}
	if answer := b.get("/v1/events/stream", "Last-Event-ID: -5"); answer.status != 400 {
		t.Errorf("a negative id answers %d", answer.status)
	}
}

func TestReadersShareOneStreamOfTheStation(t *testing.T) {
	b := newBench(t)
	b.station.AddDeployment(deployment(1))
	var readers []*stream
	for range 20 {
		s := b.open("/v1/events/stream")
		s.next()
		readers = append(readers, s)
	}
	b.station.AddDeployment(deployment(2))
	for _, s := range readers {
		if got := s.next(); got.id != "2" {
			t.Errorf("%+v", got)
		}
	}
	eventually(t, "one stream is left", func() bool { return b.station.Streams() == 1 })
}

func TestReaderThatGoesAwayEndsItsStream(t *testing.T) {
	b := newBench(t)
	b.station.AddDeployment(deployment(1))
	eventually(t, "the gateway watches", func() bool { return b.station.Streams() == 1 })
	s := b.open("/v1/events/stream?filter.deployment=deployments/1")
	s.next()
	if got := b.station.Streams(); got != 2 {
		t.Fatalf("%d streams: a filtered one is the station's own", got)
	}
	s.cancel()
	eventually(t, "the station's stream ends", func() bool { return b.station.Streams() == 1 })
}

func TestStreamsBeyondTheLimitAreRefused(t *testing.T) {
	b := newBench(t, "--max-streams", "1")
	first := b.open("/v1/events/stream")
	first.next()
	if answer := b.get("/v1/events/stream"); answer.status != 429 {
		t.Errorf("the second answers %d", answer.status)
	}
	first.cancel()
	eventually(t, "there is room again", func() bool { return b.station.Streams() == 1 && b.streamStatus() == 200 })
}

// streamStatus opens a stream, and closes it at once.
func (b *bench) streamStatus() int {
	r := b.request("GET", "/v1/events/stream", "")
	response, err := httpClient.Do(r)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}
