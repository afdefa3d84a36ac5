package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// How many order at once.
const workers = 4

// work lets a real station make events: orders for a port without a board, each cancelled at once. The number of
// the last event.
func work(address string) (int64, error) {
	bundles, err := call("GET", address+"/v1/bundles", "")
	if err != nil {
		return 0, err
	}
	list, _ := bundles["bundles"].([]any)
	if len(list) == 0 {
		return 0, errors.New("the station has no bundle")
	}
	bundle := list[0].(map[string]any)["name"].(string)
	deadline := time.Now().Add(time.Duration(*seconds) * time.Second)
	failed := make(chan error, workers)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for time.Now().Before(deadline) {
				if err := orderAndCancel(address, bundle); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
	}
	return lastSequence(address)
}

func lastSequence(address string) (int64, error) {
	station, err := call("GET", address+"/v1/station", "")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(station["lastSequence"].(string), 10, 64)
}

func orderAndCancel(address, bundle string) error {
	made, err := call("POST", address+"/v1/deployments", fmt.Sprintf(`{"requestId":%q,"bundle":%q,"port":"empty",
		"customer":{"organization":"Bench","customerId":"BENCH","applicationName":"bench"}}`, uuid(), bundle))
	if err != nil {
		return err
	}
	_, err = call("POST", address+"/v1/"+made["name"].(string)+":cancel", "{}")
	return err
}

func uuid() string {
	var bytes [16]byte
	_, _ = rand.Read(bytes[:]) // never fails
	bytes[6], bytes[8] = bytes[6]&0x0f|0x40, bytes[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", bytes[:4], bytes[4:6], bytes[6:8], bytes[8:10], bytes[10:])
}

// compare reads the ledger up to `last` and compares it with what the first reader got; the others got the same
// numbers, or the run had failed.
func compare(address string, readers *crowd, last int64) error {
	var ledger []int64
	for token := ""; ; {
		page, err := call("GET", fmt.Sprintf("%s/v1/events:list?pageSize=1000&afterSequence=%d&pageToken=%s",
			address, readers.first, url.QueryEscape(token)), "")
		if err != nil {
			return err
		}
		list, _ := page["events"].([]any)
		for _, event := range list {
			number, err := strconv.ParseInt(event.(map[string]any)["sequence"].(string), 10, 64)
			if err != nil {
				return err
			}
			if number <= last {
				ledger = append(ledger, number)
			}
		}
		if token, _ = page["nextPageToken"].(string); token == "" {
			break
		}
	}
	readers.mu.Lock()
	defer readers.mu.Unlock()
	got := readers.numbers[:min(len(readers.numbers), len(ledger))]
	if !slices.Equal(got, ledger) {
		return fmt.Errorf("the ledger has %d events, the readers got %d others", len(ledger), len(readers.numbers))
	}
	fmt.Printf("  the ledger has the same %d events\n", len(ledger))
	return nil
}
