// Package events brings the station's event stream to browsers (Server-Sent Events) and scripts
// (newline-delimited JSON).
package events

import (
	"strconv"

	"kiln.local/gateway/contract/kilnv1"
	"kiln.local/gateway/internal/rest"
)

// Frame is one message of the stream, in JSON once for all readers.
type Frame struct {
	// "snapshot", "event", "progress" or "heartbeat".
	Kind string
	// Sequence number that a reader resumes after once it has this; 0 for frames that are not resumed
	// after (progress and heartbeats).
	Sequence int64
	// The whole kiln.v1.WatchEventsResponse.
	JSON []byte
}

// frameOf encodes one message of the station. A kind this gateway does not know keeps an empty Kind.
func frameOf(message *kilnv1.WatchEventsResponse) (Frame, error) {
	frame := Frame{}
	switch body := message.GetMessage().(type) {
	case *kilnv1.WatchEventsResponse_Snapshot:
		frame.Kind, frame.Sequence = "snapshot", body.Snapshot.GetLastSequence()
	case *kilnv1.WatchEventsResponse_Event:
		frame.Kind, frame.Sequence = "event", body.Event.GetSequence()
	case *kilnv1.WatchEventsResponse_Progress:
		frame.Kind = "progress"
	case *kilnv1.WatchEventsResponse_Heartbeat:
		frame.Kind = "heartbeat"
	}
	encoded, err := rest.JSON.Marshal(message)
	frame.JSON = encoded
	return frame, err
}

// appendSSE adds the frame in the form of Server-Sent Events.
func appendSSE(buffer []byte, frame Frame) []byte {
	if frame.Sequence > 0 {
		buffer = append(buffer, "id: "...)
		buffer = strconv.AppendInt(buffer, frame.Sequence, 10)
		buffer = append(buffer, '\n')
	}
	buffer = append(buffer, "event: "...)
	buffer = append(buffer, frame.Kind...)
	buffer = append(buffer, "\ndata: "...)
	buffer = append(buffer, frame.JSON...)
	return append(buffer, "\n\n"...)
}

// appendLine adds the frame in the form of grpc-gateway's streams: {"result": message}, one a line.
func appendLine(buffer []byte, frame Frame) []byte {
	buffer = append(buffer, `{"result":`...)
	buffer = append(buffer, frame.JSON...)
	return append(buffer, "}\n"...)
}
