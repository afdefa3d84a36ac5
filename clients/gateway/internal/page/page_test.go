package page

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"
)

func get(t *testing.T, headers map[string]string, target string) *http.Response {
	t.Helper()
	files := fstest.MapFS{
		"index.html":            {Data: []byte("the page")},
		"assets/app-1a2b.js":    {Data: []byte("plain")},
		"assets/app-1a2b.js.gz": {Data: []byte("packed")},
		"assets/font.woff2":     {Data: []byte("font")},
	}
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	Handler(files).ServeHTTP(w, r)
	return w.Result()
}

func TestSendsTheCompressedTwinToWhoeverTakesGzip(t *testing.T) {
	for _, c := range []struct {
		accept   string
		encoding string
		length   string
	}{
		{"gzip, deflate, br", "gzip", "6"},
		{"br, GZIP;q=0.5", "gzip", "6"},
		{"gzip;q=0", "", "5"},
		{"gzip; q=0.0", "", "5"},
		{"br", "", "5"},
		{"", "", "5"},
	} {
		answer := get(t, map[string]string{"Accept-Encoding": c.accept}, "/assets/app-1a2b.js")
		if got := answer.Header.Get("Content-Encoding"); got != c.encoding {
			t.Errorf("Accept-Encoding %q: encoding %q, want %q", c.accept, got, c.encoding)
		}
		if got := answer.Header.Get("Content-Length"); got != c.length {
			t.Errorf("Accept-Encoding %q: %s bytes, want %s", c.accept, got, c.length)
		}
		if got := answer.Header.Get("Content-Type"); got != "text/javascript; charset=utf-8" {
			t.Errorf("Accept-Encoding %q: type %q", c.accept, got)
		}
		if got := answer.Header.Get("Vary"); got != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: Vary %q", c.accept, got)
		}
	}
}

func TestEachFormHasItsOwnTagAndIsNotSentTwice(t *testing.T) {
	gzip := map[string]string{"Accept-Encoding": "gzip"}
	packed := get(t, gzip, "/assets/app-1a2b.js").Header.Get("ETag")
	plain := get(t, nil, "/assets/app-1a2b.js").Header.Get("ETag")
	if packed == plain {
		t.Errorf("both forms have the tag %s", packed)
	}
	gzip["If-None-Match"] = packed
	if got := get(t, gzip, "/assets/app-1a2b.js").StatusCode; got != http.StatusNotModified {
		t.Errorf("the same form again: %d", got)
	}
	gzip["If-None-Match"] = plain
	if got := get(t, gzip, "/assets/app-1a2b.js").StatusCode; got != http.StatusOK {
		t.Errorf("the other form's tag: %d", got)
	}
}

func TestFilesWithoutATwinAreSentAsTheyAre(t *testing.T) {
	answer := get(t, map[string]string{"Accept-Encoding": "gzip"}, "/assets/font.woff2")
	if answer.Header.Get("Content-Encoding") != "" || answer.Header.Get("Content-Length") != "4" {
		t.Errorf("headers %v", answer.Header)
	}
}
