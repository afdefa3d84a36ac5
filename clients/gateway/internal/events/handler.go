package events

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kiln.local/gateway/contract/kilnv1"
	"kiln.local/gateway/internal/failure"
)

const (
	// A reader that takes nothing for so long is gone, or as good as gone.
	writeTimeout = 20 * time.Second
	// Between looks for a station that is away, and how often the reader hears that it still is.
	retryInterval = time.Second
	awayInterval  = 10 * time.Second
)

// errReaderGone ends a stream whose reader cannot be written to.
var errReaderGone = errors.New("the reader is gone")

// Handler serves the event stream in both forms.
type Handler struct {
	Source Source
	// Called when a stream of "sse" or "ndjson" begins; what it returns is called when it ends.
	Opened func(kind string) func()
}

// SSE answers GET /v1/events/stream. The stream outlives a restart of the station: the reader is told by
// an `error` event and gets the rest when the station is back.
func (h Handler) SSE(w http.ResponseWriter, r *http.Request) {
	request, err := requestOf(r)
	if err != nil {
		failure.Write(w, r, err)
		return
	}
	defer h.Opened("sse")()
	stream := open(w, "text/event-stream")
	// Tells a browser to come back after two seconds, and that the stream is open.
	if stream.write([]byte("retry: 2000\n\n")) != nil {
		return
	}
	var lastSaid time.Time // when the reader was last told that the station is away; zero while it is there
	for {
		err := h.Source.Watch(r.Context(), request, func(frames []Frame) error {
			lastSaid = time.Time{}
			stream.buffer = stream.buffer[:0]
			for _, frame := range frames {
				stream.buffer = appendSSE(stream.buffer, frame)
				if frame.Sequence > 0 {
					request.AfterSequence = &frame.Sequence
				}
			}
			return stream.write(stream.buffer)
		})
		if errors.Is(err, errReaderGone) || r.Context().Err() != nil {
			return
		}
		problem := failure.From(err)
		switch {
		case status.Code(err) == codes.OutOfRange:
			// An id that is empty makes browsers forget theirs. What follows is a stream from the start.
			if stream.write(fmt.Appendf(nil, "id\nevent: reset\ndata: %s\n\n", problem.JSON(r))) != nil {
				return
			}
			request.AfterSequence = nil
			continue
		case !passes(err):
			_ = stream.write(fmt.Appendf(nil, "event: error\ndata: %s\n\n", problem.JSON(r)))
			return
		}
		if now := time.Now(); now.Sub(lastSaid) >= awayInterval {
			lastSaid = now
			if stream.write(fmt.Appendf(nil, "event: error\ndata: %s\n\n", problem.JSON(r))) != nil {
				return
			}
		}
		if !sleep(r.Context(), retryInterval) {
			return
		}
	}
}

// NDJSON answers GET /v1/events: a line a message, {"result": …}; a stream that breaks off ends in one
// line {"error": …}.
func (h Handler) NDJSON(w http.ResponseWriter, r *http.Request) {
	request, err := requestOf(r)
	if err != nil {
		failure.Write(w, r, err)
		return
	}
	var stream *writer
	defer h.Opened("ndjson")()
	err = h.Source.Watch(r.Context(), request, func(frames []Frame) error {
		if stream == nil {
			stream = open(w, "application/x-ndjson")
		}
		stream.buffer = stream.buffer[:0]
		for _, frame := range frames {
			stream.buffer = appendLine(stream.buffer, frame)
		}
		return stream.write(stream.buffer)
	})
	switch {
	case errors.Is(err, errReaderGone) || r.Context().Err() != nil:
	case stream == nil:
		failure.Write(w, r, err)
	default:
		_ = stream.write(fmt.Appendf(nil, "{\"error\":%s}\n", failure.From(err).JSON(r)))
	}
}

// passes tells whether the stream may go on after this error when it is tried again.
func passes(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted, codes.Internal, codes.Unknown, codes.Aborted,
		codes.DeadlineExceeded, codes.Canceled:
		return true
	}
	return false
}

// requestOf reads ?afterSequence, ?filter.deployment, ?filter.kinds and ?heartbeatInterval; a browser's
// Last-Event-ID is newer than the address it was opened with.
func requestOf(r *http.Request) (*kilnv1.WatchEventsRequest, error) {
	query := r.URL.Query()
	query.Del("lang")
	request := &kilnv1.WatchEventsRequest{}
	if err := runtime.PopulateQueryParameters(request, query, utilities.NewDoubleArray(nil)); err != nil {
		return nil, failure.New(http.StatusBadRequest, failure.RequestInvalid, err.Error())
	}
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		sequence, err := strconv.ParseInt(last, 10, 64)
		if err != nil || sequence < 0 {
			return nil, failure.New(http.StatusBadRequest, failure.RequestInvalid, "Last-Event-ID is not a sequence number")
		}
		request.AfterSequence = &sequence
	}
	return request, nil
}

// writer sends at once what it is given, with a deadline for each write.
type writer struct {
	w          http.ResponseWriter
	controller *http.ResponseController
	buffer     []byte
}

func open(w http.ResponseWriter, contentType string) *writer {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-store, no-transform")
	header.Set("X-Accel-Buffering", "no") // asks proxies not to collect
	w.WriteHeader(http.StatusOK)
	return &writer{w: w, controller: http.NewResponseController(w)}
}

func (s *writer) write(data []byte) error {
	// Not every connection has deadlines; without one, the server's own end of the request is what is left.
	_ = s.controller.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := s.w.Write(data); err != nil {
		return errReaderGone
	}
	if err := s.controller.Flush(); err != nil {
		return errReaderGone
	}
	return nil
}

// sleep waits, and tells whether the context still lives.
func sleep(ctx context.Context, duration time.Duration) bool {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
