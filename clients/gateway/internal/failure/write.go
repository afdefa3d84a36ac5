package failure

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"golang.org/x/text/language"

	"kiln.local/gateway/contract/kilnv1"
)

// body is the error as it is sent.
type body struct {
	// The name the original documents give the class: "ESP32_COMMUNICATION".
	ErrorType string `json:"error_type"`
	// The catalogue's code: "PORT_BUSY".
	Code string `json:"code"`
	// Kiln's own name of the class: "BOARD".
	ErrorClass string   `json:"error_class"`
	Message    string   `json:"message"`
	Tips       []string `json:"tips"`
	// Whether the same request can succeed without being changed.
	Recoverable bool    `json:"recoverable"`
	Details     string  `json:"details"`
	Icon        string  `json:"icon"`
	Colour      string  `json:"colour"`
	RequestID   string  `json:"request_id"`
	Fields      []Field `json:"fields"`
}

type contextKey struct{}

// WithRequestID keeps the id that errors name.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, contextKey{}, id)
}

// RequestID answers the id of the request that `ctx` belongs to; empty outside of one.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(contextKey{}).(string)
	return id
}

var languages = language.NewMatcher([]language.Tag{language.English, language.Thai})

// Language answers "en" or "th": ?lang, then Accept-Language, then English.
func Language(r *http.Request) string {
	wanted := r.URL.Query().Get("lang")
	if wanted != "en" && wanted != "th" {
		tags, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
		if err != nil || len(tags) == 0 {
			return "en"
		}
		_, index, _ := languages.Match(tags...)
		return []string{"en", "th"}[index]
	}
	return wanted
}

// JSON answers the problem as one line in the caller's language.
func (p *Problem) JSON(r *http.Request) []byte {
	text := textIn(p.Failure, Language(r))
	encoded, err := json.Marshal(body{
		ErrorType:   p.Failure.GetLegacyType(),
		Code:        p.Failure.GetCode(),
		ErrorClass:  p.Failure.GetErrorClass(),
		Message:     text.GetMessage(),
		Tips:        append([]string{}, text.GetTips()...),
		Recoverable: p.Failure.GetRetryable(),
		Details:     strings.ToValidUTF8(p.Failure.GetDetail(), "?"),
		Icon:        p.Failure.GetIcon(),
		Colour:      p.Failure.GetColour(),
		RequestID:   RequestID(r.Context()),
		Fields:      append([]Field{}, p.Fields...),
	})
	if err != nil { // cannot happen: strings and booleans only
		return []byte(`{"code":"INTERNAL"}`)
	}
	return encoded
}

func textIn(failure *kilnv1.Failure, wanted string) *kilnv1.FailureText {
	var english *kilnv1.FailureText
	for _, text := range failure.GetTexts() {
		if text.GetLanguage() == wanted {
			return text
		}
		if text.GetLanguage() == "en" {
			english = text
		}
	}
	return english
}

// Write answers `r` with `err`.
func Write(w http.ResponseWriter, r *http.Request, err error) {
	problem := From(err)
	header := w.Header()
	header.Del("Content-Length")
	header.Del("Content-Disposition")
	header.Del("Trailer")
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Vary", "Accept-Language")
	switch problem.Status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Bearer realm="kiln"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		header.Set("Retry-After", "2")
	}
	w.WriteHeader(problem.Status)
	_, _ = w.Write(append(problem.JSON(r), '\n')) // a reader that is gone needs no answer
}
