// Package page serves the operator's page: compiled in, or from a folder while it is being written.
package page

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"

	"kiln.local/gateway/internal/failure"
)

// built holds what `make gateway` copies from clients/web/dist into built/page before it compiles.
//
//go:embed all:built
var built embed.FS

// Files answers the page's files: `folder`'s, or those compiled in when it is empty.
func Files(folder string) (fs.FS, error) {
	if folder != "" {
		return os.DirFS(folder), nil
	}
	return fs.Sub(built, "built/page") // an empty file system when the page was not built
}

// Handler serves `files`. Every name that is no file is the page itself when a browser asks for a page,
// so that addresses inside the page can be opened directly; for anything else it is not found.
func Handler(files fs.FS) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			notFound(w, r)
			return
		}
		name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
		if name == "" {
			name = "index.html"
		}
		if hidden(name) {
			notFound(w, r)
			return
		}
		content, err := fs.ReadFile(files, name)
		if err != nil && strings.Contains(r.Header.Get("Accept"), "text/html") && path.Ext(name) == "" || name == "index.html" {
			name = "index.html"
			content, err = fs.ReadFile(files, name)
			if errors.Is(err, fs.ErrNotExist) {
				content, err = []byte(noPage), nil
			}
		}
		if err != nil {
			notFound(w, r)
			return
		}
		// Text has a compressed twin beside it. What stands in for a missing page has none.
		packed, _ := fs.ReadFile(files, name+".gz")
		serve(w, r, file{name: name, content: content, packed: packed})
	})
}

type file struct {
	name    string
	content []byte
	// The content in gzip's form; empty where there is none.
	packed []byte
}

// What is served where the page is not part of the build: the REST side works all the same.
const noPage = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Kiln</title>
<h1>Kiln</h1><p>This gateway was built without the operator's page. <a href="/docs">What it answers to scripts</a></p></html>
`

func hidden(name string) bool {
	for _, part := range strings.Split(name, "/") {
		if strings.HasPrefix(part, ".") {
			return true
		}
	}
	return false
}

func notFound(w http.ResponseWriter, r *http.Request) {
	failure.Write(w, r, failure.New(http.StatusNotFound, failure.RouteNotFound, r.Method+" "+r.URL.Path))
}

// acceptsGzip reads Accept-Encoding as far as it matters here: gzip named, and not with a weight of 0.
func acceptsGzip(r *http.Request) bool {
	for _, part := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		coding, weight, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			_, value, _ := strings.Cut(weight, "=")
			return strings.Trim(value, " 0.") != "" || strings.TrimSpace(weight) == ""
		}
	}
	return false
}

func serve(w http.ResponseWriter, r *http.Request, f file) {
	header := w.Header()
	contentType := mime.TypeByExtension(path.Ext(f.name))
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	header.Set("Content-Type", contentType)
	content := f.content
	if len(f.packed) > 0 {
		header.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r) {
			header.Set("Content-Encoding", "gzip")
			content = f.packed
		}
	}
	sum := sha256.Sum256(content)
	// Compiled-in files have no time: the hash of what is sent tells a changed one, and the packed from the plain.
	header.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	if strings.HasPrefix(f.name, "assets/") {
		// Their names carry a hash of their content.
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		header.Set("Cache-Control", "no-cache")
	}
	if r.Header.Get("If-None-Match") == header.Get("ETag") {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Length", strconv.Itoa(len(content)))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(content) // a reader that is gone needs no answer
}
