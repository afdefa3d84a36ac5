// Package metrics counts what the gateway does, for Prometheus.
package metrics

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the gateway's numbers, in a registry of their own.
type Metrics struct {
	registry     *prometheus.Registry
	requests     *prometheus.CounterVec
	durations    *prometheus.HistogramVec
	streams      *prometheus.GaugeVec
	AuthFailures prometheus.Counter
	RateLimited  prometheus.Counter
	DaemonUp     prometheus.Gauge
}

// New makes them, with every value that is known beforehand at 0.
func New(version, revision string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total", Help: "Requests answered, by route, method and status code."},
			[]string{"route", "method", "code"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_request_duration_seconds", Help: "Time from a request to the end of its answer; streams do not count.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}},
			[]string{"route", "method"}),
		streams: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kiln_gateway_stream_clients", Help: "Event streams open now."}, []string{"kind"}),
		AuthFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kiln_gateway_auth_failures_total", Help: "Wrong tokens shown."}),
		RateLimited: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kiln_gateway_rate_limited_total", Help: "Requests refused because a client made too many."}),
		DaemonUp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kiln_gateway_daemon_up", Help: "1 while the station daemon serves."}),
	}
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kiln_gateway_build_info", Help: "1, labelled with what was built."}, []string{"version", "revision"})
	info.WithLabelValues(version, revision).Set(1)
	m.registry.MustRegister(m.requests, m.durations, m.streams, m.AuthFailures, m.RateLimited, m.DaemonUp, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, kind := range []string{"sse", "ndjson"} {
		m.streams.WithLabelValues(kind)
	}
	return m
}

// Handler serves them.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// StreamOpened counts a stream until the function it answers is called.
func (m *Metrics) StreamOpened(kind string) func() {
	gauge := m.streams.WithLabelValues(kind)
	gauge.Inc()
	return gauge.Dec
}

// Answered counts a request.
func (m *Metrics) Answered(r *http.Request, code int, elapsed time.Duration) {
	route, method := RouteOf(r.URL.Path), methodOf(r.Method)
	m.requests.WithLabelValues(route, method, strconv.Itoa(code)).Inc()
	if route != "/v1/events" && route != "/v1/events/stream" {
		m.durations.WithLabelValues(route, method).Observe(elapsed.Seconds())
	}
}

func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete:
		return method
	}
	return "other"
}

// Routes without a part that varies.
var fixedRoutes = map[string]bool{
	"/v1/station": true, "/v1/health": true, "/v1/statistics": true, "/v1/ledger:verify": true, "/v1/events": true,
	"/v1/events:list": true, "/v1/events/stream": true, "/v1/boards": true, "/v1/deployments": true,
	"/v1/deployments.csv": true, "/v1/bundles": true, "/v1/bundles:import": true, "/v1/session": true,
	"/api/health": true, "/livez": true, "/readyz": true, "/openapi.json": true, "/docs": true,
}

var verbs = map[string]bool{
	"": true, "identify": true, "powerCycle": true, "cancel": true, "retry": true, "reveal": true, "retire": true,
}

// RouteOf names the route of a path with few words, whatever the path: labels must not grow without end.
func RouteOf(path string) string {
	if fixedRoutes[path] {
		return path
	}
	rest, ok := strings.CutPrefix(path, "/v1/")
	if !ok {
		if strings.HasPrefix(path, "/v1") || strings.HasPrefix(path, "/api") {
			return "other"
		}
		return "page"
	}
	collection, id, _ := strings.Cut(rest, "/")
	if collection != "boards" && collection != "deployments" && collection != "bundles" {
		return "other"
	}
	if collection == "deployments" && strings.HasSuffix(id, "/record") {
		return "/v1/deployments/{id}/record"
	}
	name, verb, _ := strings.Cut(id, ":")
	if name == "" || strings.Contains(name, "/") || !verbs[verb] {
		return "other"
	}
	if verb != "" {
		verb = ":" + verb
	}
	return "/v1/" + collection + "/{id}" + verb
}
