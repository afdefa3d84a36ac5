package events

import (
	"context"
	"log/slog"
	"sort"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kiln.local/gateway/contract/kilnv1"
	"kiln.local/gateway/internal/identity"
)

const (
	// What the hub keeps for readers that are a little behind, or come back after a moment.
	keptFrames = 16384
	keptBytes  = 12 << 20
	// Frames handed to a reader at a time: two hundred readers have a buffer each for so many.
	batchFrames = 64
	// Readers are woken at most this often: at a thousand events a second each takes twenty at once.
	wakeInterval = 20 * time.Millisecond
	// How long a reader's own stream waits for the hub to get as far.
	joinTimeout = 500 * time.Millisecond
	// Pause before the station is asked again.
	reconnectInterval = 500 * time.Millisecond
)

// Hub is a source for any number of readers that costs the station one stream: it keeps the newest frames
// and hands them to all. A reader that starts, or is too far behind for them, has a stream of its own
// until it has caught up. Made by main, which runs Run; safe for all goroutines.
type Hub struct {
	direct Direct

	// Readers only read: they do not wait for each other.
	mu sync.RWMutex
	// The newest frames in order; frames[0] has the position `first`.
	frames []Frame
	first  uint64
	bytes  int
	// Every event after `floor` up to `last` is in `frames`. Both are meaningless before the first snapshot.
	floor, last int64
	started     bool
	// Grows when the ledger's numbers begin anew: positions and sequence numbers of before mean nothing.
	epoch uint64
	// Why there is no stream from the station; nil while there is.
	away error
	wake chan struct{}
	// A wake-up is planned.
	waking bool
}

// NewHub makes a hub that asks `client`.
func NewHub(client kilnv1.StationClient) *Hub {
	return &Hub{
		direct: Direct{Client: client}, wake: make(chan struct{}),
		away: status.Error(codes.Unavailable, "the station has not answered yet"),
	}
}

// Run keeps the stream from the station until the context ends.
func (h *Hub) Run(ctx context.Context) {
	ctx = identity.With(ctx, identity.Identity{Role: identity.Viewer, Name: "gateway"})
	for ctx.Err() == nil {
		err := h.direct.Watch(ctx, h.resume(), func(frames []Frame) error {
			h.publish(frames)
			return nil
		})
		h.lost(err)
		if ctx.Err() == nil {
			slog.Warn("the event stream from the station broke off", "error", err.Error())
		}
		sleep(ctx, reconnectInterval)
	}
}

// Away tells why there is no stream from the station; nil while there is one.
func (h *Hub) Away() error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.away
}

func (h *Hub) resume() *kilnv1.WatchEventsRequest {
	h.mu.RLock()
	defer h.mu.RUnlock()
	request := &kilnv1.WatchEventsRequest{}
	if h.started {
		last := h.last
		request.AfterSequence = &last
	}
	return request
}

func (h *Hub) lost(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.away = err
	if status.Code(err) == codes.OutOfRange {
		// The ledger is not the one of before.
		h.started = false
		h.restart()
	}
	h.wakeSoon()
}

func (h *Hub) restart() {
	h.epoch++
	h.first += uint64(len(h.frames))
	h.frames, h.bytes = nil, 0
}

func (h *Hub) publish(frames []Frame) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.away = nil
	for _, frame := range frames {
		switch frame.Kind {
		case "snapshot":
			h.restart()
			h.started, h.floor, h.last = true, frame.Sequence, frame.Sequence
			continue // each reader has a snapshot of its own
		case "event":
			if frame.Sequence <= h.last {
				continue // delivered at least once means sometimes twice
			}
			h.last = frame.Sequence
		}
		h.frames = append(h.frames, frame)
		h.bytes += len(frame.JSON)
	}
	h.trim()
	h.wakeSoon()
}

func (h *Hub) trim() {
	drop := 0
	for drop < len(h.frames) && (len(h.frames)-drop > keptFrames || h.bytes > keptBytes) {
		frame := h.frames[drop]
		h.bytes -= len(frame.JSON)
		if frame.Sequence > 0 {
			h.floor = frame.Sequence
		}
		drop++
	}
	if drop == 0 {
		return
	}
	clear(h.frames[:drop]) // lets go of the JSON
	h.frames = h.frames[drop:]
	h.first += uint64(drop)
}

// wakeSoon plans the wake-up of every waiting reader.
func (h *Hub) wakeSoon() {
	if h.waking {
		return
	}
	h.waking = true
	time.AfterFunc(wakeInterval, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.waking = false
		close(h.wake)
		h.wake = make(chan struct{})
	})
}

// place is where a reader stands in the hub.
type place struct {
	epoch    uint64
	position uint64
}

// placeAfter answers where the frames after event `sequence` begin; false when the hub does not have them.
func (h *Hub) placeAfter(sequence int64) (place, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if !h.started || sequence < h.floor || sequence > h.last {
		return place{}, false
	}
	if sequence == h.last {
		// Also live progress after it may have been seen: nothing but what comes.
		return place{h.epoch, h.first + uint64(len(h.frames))}, true
	}
	index := sort.Search(len(h.frames), func(i int) bool { return h.numberUpTo(i) > sequence })
	return place{h.epoch, h.first + uint64(index)}, true
}

// awaitPlace is placeAfter, but gives a hub that has not got so far yet a moment: without that, a reader that is
// always a little ahead of it would keep its own stream.
func (h *Hub) awaitPlace(ctx context.Context, sequence int64) (place, bool) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	for {
		h.mu.RLock()
		wake, behind := h.wake, !h.started || sequence > h.last
		h.mu.RUnlock()
		if at, ok := h.placeAfter(sequence); ok || !behind {
			return at, ok
		}
		select {
		case <-ctx.Done():
			return place{}, false
		case <-wake:
		}
	}
}

// numberUpTo answers the number of the newest event among the frames up to `i`; progress has none.
func (h *Hub) numberUpTo(i int) int64 {
	for ; i >= 0; i-- {
		if h.frames[i].Sequence > 0 {
			return h.frames[i].Sequence
		}
	}
	return 0
}

// take answers the frames from `at` on, or a channel that closes when there may be some. `ok` is false
// when the place is not in the hub any more.
func (h *Hub) take(at place, batch []Frame) (frames []Frame, wake <-chan struct{}, away error, ok bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if at.epoch != h.epoch || at.position < h.first {
		return nil, nil, nil, false
	}
	rest := h.frames[at.position-h.first:]
	if len(rest) > batchFrames {
		rest = rest[:batchFrames]
	}
	return append(batch, rest...), h.wake, h.away, true
}

// Watch implements Source. Filtered streams, and those with a heartbeat of their own, go to the station.
func (h *Hub) Watch(ctx context.Context, request *kilnv1.WatchEventsRequest, take func([]Frame) error) error {
	if request.GetFilter() != nil || request.GetHeartbeatInterval() != nil {
		return h.direct.Watch(ctx, request, take)
	}
	request = &kilnv1.WatchEventsRequest{AfterSequence: request.AfterSequence}
	for {
		at, err := h.catchUp(ctx, request, take)
		if err != nil {
			return err
		}
		if err := h.follow(ctx, at, request, take); err != nil {
			return err
		}
	}
}

// catchUp hands over what the station has until the hub has the rest. It moves `request` on.
func (h *Hub) catchUp(ctx context.Context, request *kilnv1.WatchEventsRequest, take func([]Frame) error) (place, error) {
	if request.AfterSequence != nil {
		if at, ok := h.placeAfter(request.GetAfterSequence()); ok {
			return at, nil
		}
	}
	var at place
	caughtUp := false
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := h.direct.Watch(ctx, request, func(frames []Frame) error {
		if err := take(frames); err != nil {
			return err
		}
		for _, frame := range frames {
			if frame.Kind != "snapshot" && frame.Kind != "event" {
				continue
			}
			sequence := frame.Sequence
			request.AfterSequence = &sequence
			if at, caughtUp = h.awaitPlace(ctx, sequence); caughtUp {
				return context.Canceled
			}
		}
		return nil
	})
	if caughtUp {
		return at, nil
	}
	return place{}, err
}

// follow hands over what comes. It ends without an error when the reader has fallen behind what is kept.
func (h *Hub) follow(ctx context.Context, at place, request *kilnv1.WatchEventsRequest, take func([]Frame) error) error {
	batch := make([]Frame, 0, 16)
	for {
		frames, wake, away, ok := h.take(at, batch[:0])
		switch {
		case !ok:
			return nil
		case len(frames) > 0:
			if err := take(frames); err != nil {
				return err
			}
			at.position += uint64(len(frames))
			for i := range frames {
				if frames[i].Sequence > 0 {
					sequence := frames[i].Sequence
					request.AfterSequence = &sequence
				}
			}
			clear(frames)
			batch = frames
			continue
		case away != nil:
			return away
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wake:
		}
	}
}
