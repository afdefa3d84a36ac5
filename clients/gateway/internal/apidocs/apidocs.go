// Package apidocs serves the description of the REST side: OpenAPI 2 for tools, and a page for people that
// needs nothing from anywhere else.
package apidocs

import (
	"embed"
	"encoding/json"
	"fmt"
	"net/http"

	"kiln.local/gateway/contract"
)

//go:embed viewer.html viewer.js viewer.css handwritten.json
var files embed.FS

// Document answers the OpenAPI description: what is generated from the contract, and the routes that are
// written by hand.
func Document(version string) ([]byte, error) {
	var document, handwritten map[string]any
	if err := json.Unmarshal(contract.OpenAPI, &document); err != nil {
		return nil, fmt.Errorf("the generated description: %w", err)
	}
	content, err := files.ReadFile("handwritten.json")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(content, &handwritten); err != nil {
		return nil, fmt.Errorf("handwritten.json: %w", err)
	}
	paths, ok := document["paths"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the generated description has no paths")
	}
	for path, operations := range handwritten["paths"].(map[string]any) {
		paths[path] = operations
	}
	document["info"] = map[string]any{
		"title": "Kiln", "version": version, "description": "The REST form of a Kiln station.",
	}
	delete(document, "tags")
	return json.MarshalIndent(document, "", " ")
}

// Register adds /openapi.json and /docs to `mux`.
func Register(mux *http.ServeMux, version string) error {
	document, err := Document(version)
	if err != nil {
		return err
	}
	serve := func(path, contentType string, content []byte) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Cache-Control", "no-cache")
			_, _ = w.Write(content) // a reader that is gone needs no answer
		})
	}
	serve("/openapi.json", "application/json", document)
	for _, file := range []struct{ path, name, contentType string }{
		{"/docs", "viewer.html", "text/html; charset=utf-8"},
		{"/docs/viewer.js", "viewer.js", "text/javascript; charset=utf-8"},
		{"/docs/viewer.css", "viewer.css", "text/css; charset=utf-8"},
	} {
		content, err := files.ReadFile(file.name)
		if err != nil {
			return err
		}
		serve(file.path, file.contentType, content)
	}
	return nil
}
