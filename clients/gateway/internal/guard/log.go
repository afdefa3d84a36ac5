package guard

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	"kiln.local/gateway/internal/failure"
)

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9-]{8,64}$`)

// Log gives each request an id (the caller's X-Request-Id when it is a sensible one), logs and counts it, and
// answers for handlers that panic. Neither queries nor bodies are logged: they may hold what is nobody's
// business. `answered` is called once for each request.
func Log(clientOf func(*http.Request) string, answered func(*http.Request, int, time.Duration), next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if !requestIDPattern.MatchString(id) {
			id = newRequestID()
		}
		w.Header().Set("X-Request-Id", id)
		r = r.WithContext(failure.WithRequestID(r.Context(), id))
		recorder := &recorder{ResponseWriter: w}
		start := time.Now()
		aborted := false
		defer func() {
			elapsed := time.Since(start)
			answered(r, recorder.code(), elapsed)
			level := slog.LevelInfo
			switch {
			case r.URL.Path == "/livez" || r.URL.Path == "/readyz" || r.URL.Path == "/api/health":
				level = slog.LevelDebug
			case recorder.code() >= http.StatusInternalServerError:
				level = slog.LevelError
			}
			slog.Log(r.Context(), level, "request", "request_id", id, "client", clientOf(r), "method", r.Method,
				"path", r.URL.Path, "status", recorder.code(), "bytes", recorder.bytes,
				"duration_ms", elapsed.Milliseconds(), "aborted", aborted)
		}()
		defer func() {
			recovered := recover()
			if recovered == nil {
				return
			}
			aborted = true
			if err, ok := recovered.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(recovered) // net/http breaks the connection, as was meant
			}
			slog.Error("a handler failed", "request_id", id, "panic", recovered, "stack", string(debug.Stack()))
			if recorder.status == 0 {
				failure.Write(recorder, r, failure.New(http.StatusInternalServerError, failure.Internal, ""))
				return
			}
			panic(http.ErrAbortHandler)
		}()
		next.ServeHTTP(recorder, r)
	})
}

func newRequestID() string {
	bytes := make([]byte, 8)
	_, _ = rand.Read(bytes) // never fails
	return hex.EncodeToString(bytes)
}

// recorder notes the status and the size of an answer. Unwrap keeps flushes and deadlines working.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(data []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	count, err := r.ResponseWriter.Write(data)
	r.bytes += int64(count)
	return count, err
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}
