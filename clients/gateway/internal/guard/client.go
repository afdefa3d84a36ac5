package guard

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"kiln.local/gateway/internal/failure"
)

// Clients tells callers apart by their address.
type Clients struct {
	// Proxies whose X-Forwarded-For is believed.
	Trusted []netip.Prefix
}

// Of names the client: its address, for IPv6 its network, since one host has a whole /64 to choose from.
func (c Clients) Of(r *http.Request) string {
	address := addressOf(r.RemoteAddr)
	if c.trusts(address) {
		// The last entry that no trusted proxy wrote about another one.
		forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for i := len(forwarded) - 1; i >= 0; i-- {
			parsed, err := netip.ParseAddr(strings.TrimSpace(forwarded[i]))
			if err != nil {
				break
			}
			if address = parsed.Unmap(); !c.trusts(address) {
				break
			}
		}
	}
	if address.Is6() && !address.Is4In6() {
		if prefix, err := address.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return address.String()
}

func (c Clients) trusts(address netip.Addr) bool {
	for _, prefix := range c.Trusted {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

func addressOf(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	address, _ := netip.ParseAddr(host)
	return address.Unmap()
}

// RateLimit refuses what a client asks beyond its bucket.
func RateLimit(buckets *Buckets, clientOf func(*http.Request) string, limited func(), next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !buckets.Take(clientOf(r)) {
			limited()
			failure.Write(w, r, failure.New(http.StatusTooManyRequests, failure.TooManyRequests, ""))
			return
		}
		next.ServeHTTP(w, r)
	})
}
