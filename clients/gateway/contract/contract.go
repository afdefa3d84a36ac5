// Package contract holds what is made of proto/kiln/v1 for HTTP: the table of routes and the description of
// them that is generated from both (scripts/generate).
package contract

import _ "embed"

// OpenAPI is the generated description, OpenAPI 2.
//
//go:embed kiln.swagger.json
var OpenAPI []byte

// Routes is the table of routes, for the test that compares it with the contract.
//
//go:embed routes.yaml
var Routes []byte
