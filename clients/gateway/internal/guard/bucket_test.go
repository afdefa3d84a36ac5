package guard

import (
	"fmt"
	"testing"
	"time"
)

func TestBucketFillsWithTime(t *testing.T) {
	now := time.Unix(0, 0)
	buckets := NewBuckets(2, 3, func() time.Time { return now })
	for range 3 {
		if !buckets.Take("a") {
			t.Fatal("it was full")
		}
	}
	if buckets.Take("a") || !buckets.Empty("a") || buckets.Empty("b") {
		t.Error("a is empty, b is not")
	}
	now = now.Add(500 * time.Millisecond)
	if !buckets.Take("a") || buckets.Take("a") {
		t.Error("half a second is one token")
	}
	now = now.Add(time.Hour)
	for range 3 {
		if !buckets.Take("a") {
			t.Error("it is full again, and no fuller")
		}
	}
	if buckets.Take("a") {
		t.Error("it is full again, and no fuller")
	}
}

func TestClientsWithoutEndUseMemoryWithAnEnd(t *testing.T) {
	now := time.Unix(0, 0)
	buckets := NewBuckets(1, 2, func() time.Time { return now })
	for number := range 3 * maxBuckets {
		buckets.Take(fmt.Sprint(number))
		if len(buckets.buckets) > maxBuckets {
			t.Fatalf("%d clients are remembered", len(buckets.buckets))
		}
	}
}
