package guard

import (
	"sync"
	"time"
)

// Most clients remembered at once; beyond that the fullest buckets, which restrict nobody, are forgotten.
const maxBuckets = 10_000

// Buckets are token buckets, one a client.
type Buckets struct {
	// Tokens a second, and how many may be saved up.
	rate, burst float64
	now         func() time.Time

	mu      sync.Mutex
	buckets map[string]bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

// NewBuckets makes buckets that are full at first.
func NewBuckets(rate, burst float64, now func() time.Time) *Buckets {
	return &Buckets{rate: rate, burst: burst, now: now, buckets: map[string]bucket{}}
}

// Take takes a token from the client's bucket; false when there is none.
func (b *Buckets) Take(client string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	present := b.present(client)
	if present.tokens < 1 {
		b.buckets[client] = present
		return false
	}
	present.tokens--
	b.buckets[client] = present
	return true
}

// Empty tells whether Take would fail, and takes nothing.
func (b *Buckets) Empty(client string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.present(client).tokens < 1
}

func (b *Buckets) present(client string) bucket {
	now := b.now()
	found, known := b.buckets[client]
	if !known {
		if len(b.buckets) >= maxBuckets {
			b.forgetFull(now)
		}
		return bucket{tokens: b.burst, at: now}
	}
	tokens := min(b.burst, found.tokens+b.rate*now.Sub(found.at).Seconds())
	return bucket{tokens: tokens, at: now}
}

// forgetFull makes room: buckets that are full again say nothing; when none is, all are forgotten rather
// than memory be used without end.
func (b *Buckets) forgetFull(now time.Time) {
	for client, found := range b.buckets {
		if found.tokens+b.rate*now.Sub(found.at).Seconds() >= b.burst {
			delete(b.buckets, client)
		}
	}
	if len(b.buckets) >= maxBuckets {
		clear(b.buckets)
	}
}
