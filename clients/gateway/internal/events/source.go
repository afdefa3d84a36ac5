package events

import (
	"context"
	"errors"
	"io"

	"kiln.local/gateway/contract/kilnv1"
)

// Source is where frames come from.
type Source interface {
	// Watch hands frames to `take` in order, from what `request` asks for, until the context ends, `take`
	// fails, or the stream breaks off; it never ends without an error. Several frames at once are those
	// that were there already.
	Watch(ctx context.Context, request *kilnv1.WatchEventsRequest, take func([]Frame) error) error
}

// Direct is a source that opens one stream of the station for each reader.
type Direct struct {
	Client kilnv1.StationClient
}

// Watch implements Source.
func (d Direct) Watch(ctx context.Context, request *kilnv1.WatchEventsRequest, take func([]Frame) error) error {
	ctx, cancel := context.WithCancel(ctx) // ends the station's stream when `take` fails
	defer cancel()
	stream, err := d.Client.WatchEvents(ctx, request)
	if err != nil {
		return err
	}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF // the contract's stream has no good end
		}
		if err != nil {
			return err
		}
		frame, err := frameOf(message)
		if err != nil {
			return err
		}
		if frame.Kind == "" {
			continue
		}
		if err := take([]Frame{frame}); err != nil {
			return err
		}
	}
}
