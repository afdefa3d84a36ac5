// Package apidocs serves the description of the REST side: OpenAPI 2 for tools, and a page for people that
// needs nothing from anywhere else.
package apidocs

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

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
		return nil, errors.New("the generated description has no paths")
	}
	nameResources(paths)
	for path, operations := range handwritten["paths"].(map[string]any) {
		paths[path] = operations
	}
	document["info"] = map[string]any{
		"title": "Kiln", "version": version, "description": "The REST form of a Kiln station.",
	}
	delete(document, "tags")
	return json.MarshalIndent(document, "", " ")
}

// nameResources turns "/v1/{name}:cancel", where name is "deployments/{id}", into "/v1/deployments/{id}:cancel":
// what people and tools call.
func nameResources(paths map[string]any) {
	for _, path := range slices.Collect(maps.Keys(paths)) {
		variable := variablePattern.FindString(path)
		if variable == "" {
			continue
		}
		operations := paths[path].(map[string]any)
		collection := ""
		for _, operation := range operations {
			parameters, _ := operation.(map[string]any)["parameters"].([]any)
			for _, parameter := range parameters {
				one := parameter.(map[string]any)
				pattern, _ := one["pattern"].(string)
				if one["in"] != "path" || !strings.HasSuffix(pattern, "/[^/]+") {
					continue
				}
				collection = strings.TrimSuffix(pattern, "/[^/]+")
				one["name"] = "id"
				delete(one, "pattern")
				delete(one, "description")
			}
		}
		if collection == "" {
			continue
		}
		delete(paths, path)
		named := strings.Replace(path, variable, collection+"/{id}", 1)
		if present, taken := paths[named].(map[string]any); taken {
			maps.Copy(operations, present)
		}
		paths[named] = operations
	}
}

var variablePattern = regexp.MustCompile(`\{name(_\d+)?\}`)

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
