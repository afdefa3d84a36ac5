// Package guard keeps out what has no business with the station: other sites' pages in the operator's
// browser, names that only pretend to be this host, bodies without end, callers without measure.
package guard

import (
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"

	"kiln.local/gateway/internal/failure"
)

// Hosts refuses requests whose Host header names neither a loopback address nor one of the allowed names:
// a page of another site that has its own name resolve to this machine sends that name.
func Hosts(allowed []string, next http.Handler) http.Handler {
	names := map[string]bool{"localhost": true}
	for _, name := range allowed {
		names[strings.ToLower(strings.TrimSuffix(name, "."))] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := hostName(r.Host)
		ip := net.ParseIP(name)
		if !names[name] && (ip == nil || !ip.IsLoopback()) {
			failure.Write(w, r, failure.New(http.StatusForbidden, failure.RequestRefused,
				"the Host header names a host that is not in --allowed-hosts"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// OwnSite refuses what another site's page sends: by Sec-Fetch-Site and Origin, and by requiring a content
// type that no form and no script may send across sites without asking first. `isUpload` tells the routes
// that check their content type themselves.
func OwnSite(isUpload func(*http.Request) bool, next http.Handler) http.Handler {
	refuse := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		failure.Write(w, r, failure.New(http.StatusForbidden, failure.RequestRefused,
			"a page of another site sent this request"))
	})
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(refuse)
	return protection.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isUnsafe(r.Method) && !isUpload(r) && !isJSON(r.Header.Get("Content-Type")) {
			failure.Write(w, r, failure.New(http.StatusUnsupportedMediaType, failure.RequestRefused,
				"Content-Type must be application/json"))
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// FromOwnPage tells whether a browser says that a page of this very host made the request.
func FromOwnPage(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	origin, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && origin.Host != "" && origin.Host == r.Host
}

// NotFromOtherSites refuses requests of other sites' pages also where the method is a safe one: for answers
// that a browser would store as a file, and that are noted in the ledger.
func NotFromOtherSites(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
			failure.Write(w, r, failure.New(http.StatusForbidden, failure.RequestRefused,
				"a page of another site sent this request"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isUnsafe(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

func isJSON(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == "application/json"
}

// Headers sets what every answer carries. `secure`: the gateway itself speaks TLS.
func Headers(secure bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'self'; connect-src 'self'; img-src 'self' data:; "+
			"object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
		header.Set("Permissions-Policy", "serial=(self), camera=(), microphone=(), geolocation=(), payment=(), usb=()")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		if secure {
			header.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}
