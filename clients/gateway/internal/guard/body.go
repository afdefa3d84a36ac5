package guard

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"kiln.local/gateway/internal/failure"
)

// Body limits.
const (
	MaxBodyBytes   = 1 << 20
	MaxUploadBytes = 64 << 20
	// What a form may have around the file.
	maxFormBytes = 64 << 10
)

const (
	// How long a body may take to arrive; uploads have a deadline of their own for each piece.
	bodyTimeout = 15 * time.Second
	// How long an answer may take to be taken; streams and downloads set their own.
	answerTimeout = 90 * time.Second
)

// Bodies bounds the body of every request, in size and in time: an upload may have MaxUploadBytes and is
// passed on as it arrives, anything else is read at once.
func Bodies(isUpload func(*http.Request) bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		controller := http.NewResponseController(w)
		// Connections of tests have no deadlines; those of a server do.
		_ = controller.SetWriteDeadline(time.Now().Add(answerTimeout))
		limit := int64(MaxBodyBytes)
		if isUpload(r) {
			limit = MaxUploadBytes + maxFormBytes
		}
		if r.ContentLength > limit {
			w.Header().Set("Connection", "close") // rather than reading on
			failure.Write(w, r, &http.MaxBytesError{Limit: limit})
			return
		}
		body := http.MaxBytesReader(w, r.Body, limit)
		if isUpload(r) {
			_ = controller.SetWriteDeadline(time.Time{}) // the answer comes when everything has arrived
			r.Body = body
			next.ServeHTTP(w, r)
			return
		}
		if r.ContentLength != 0 {
			_ = controller.SetReadDeadline(time.Now().Add(bodyTimeout))
			content, err := io.ReadAll(body)
			_ = controller.SetReadDeadline(time.Time{})
			if err != nil {
				w.Header().Set("Connection", "close")
				failure.Write(w, r, bodyError(err))
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(content))
		}
		next.ServeHTTP(w, r)
	})
}

func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return failure.New(http.StatusRequestTimeout, failure.StepTimedOut, "the body did not arrive in time")
	}
	return failure.New(http.StatusBadRequest, failure.RequestInvalid, "the body broke off")
}
