// Package fakestation is a station for tests and benchmarks: the contract's services over a ledger in memory.
package fakestation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"kiln.local/gateway/contract/kilnv1"
	"kiln.local/gateway/internal/failure"
)

// Call is what the station saw of one call.
type Call struct {
	Method   string
	Metadata metadata.MD
	Deadline bool
}

// Station is the fake. Its fields may be set before Serve.
type Station struct {
	kilnv1.UnimplementedStationServer
	kilnv1.UnimplementedBoardsServer
	kilnv1.UnimplementedDeploymentsServer
	kilnv1.UnimplementedBatchesServer
	kilnv1.UnimplementedFirmwareServer

	mu     sync.Mutex
	events []*kilnv1.Event
	// Sequence numbers up to it are not kept any more.
	trimmed     int64
	deployments []*kilnv1.Deployment
	calls       []Call
	level       kilnv1.Health_Level
	wake        chan struct{}
	progress    []*kilnv1.WatchEventsResponse
	imports     []Import
	// Streams open now.
	streams int

	// Silence on a stream before a heartbeat.
	Heartbeat time.Duration
	Health    *health.Server
	server    *grpc.Server
}

// Import is what became of an ImportBundle stream.
type Import struct {
	Header *kilnv1.ImportBundleHeader
	Bytes  int
	SHA256 string
	// How the stream ended; nil for well.
	Err error
}

// New makes a station without history.
func New() *Station {
	return &Station{wake: make(chan struct{}), level: kilnv1.Health_LEVEL_HEALTHY, Heartbeat: 10 * time.Second}
}

// Serve begins to serve on `listener`; Stop ends it. It may be served again on another listener, with the same
// history.
func (s *Station) Serve(listener net.Listener) {
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			s.note(ctx, info.FullMethod)
			return handle(ctx, request)
		}),
		grpc.ChainStreamInterceptor(func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			s.note(stream.Context(), info.FullMethod)
			return handle(server, stream)
		}))
	kilnv1.RegisterStationServer(server, s)
	kilnv1.RegisterBoardsServer(server, s)
	kilnv1.RegisterDeploymentsServer(server, s)
	kilnv1.RegisterBatchesServer(server, s)
	kilnv1.RegisterFirmwareServer(server, s)
	checks := health.NewServer()
	healthpb.RegisterHealthServer(server, checks)
	s.mu.Lock()
	s.server, s.Health = server, checks
	s.mu.Unlock()
	go func() { _ = server.Serve(listener) }() // its error is that Stop was called
}

// Stop breaks every connection.
func (s *Station) Stop() {
	s.mu.Lock()
	server := s.server
	s.mu.Unlock()
	server.Stop()
}

func (s *Station) note(ctx context.Context, method string) {
	md, _ := metadata.FromIncomingContext(ctx)
	_, deadline := ctx.Deadline()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, Call{Method: method, Metadata: md, Deadline: deadline})
}

// Calls answers what was called, in order.
func (s *Station) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Call{}, s.calls...)
}

// LastCall answers the newest call of `method` ("GetStation").
func (s *Station) LastCall(method string) (Call, bool) {
	calls := s.Calls()
	for i := len(calls) - 1; i >= 0; i-- {
		if strings.HasSuffix(calls[i].Method, "/"+method) {
			return calls[i], true
		}
	}
	return Call{}, false
}

// Streams tells how many event streams are open.
func (s *Station) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams
}

// Imports answers the imports that have ended.
func (s *Station) Imports() []Import {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Import{}, s.imports...)
}

// SetLevel sets what GetHealth answers.
func (s *Station) SetLevel(level kilnv1.Health_Level) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.level = level
}

// AddDeployment puts a deployment at the end of the history, with its event.
func (s *Station) AddDeployment(deployment *kilnv1.Deployment) {
	s.mu.Lock()
	s.deployments = append(s.deployments, deployment)
	s.mu.Unlock()
	s.Append(deployment)
}

// Append appends an event about `deployment` to the ledger.
func (s *Station) Append(deployment *kilnv1.Deployment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, &kilnv1.Event{
		Sequence: s.lastLocked() + 1, Time: timestamppb.Now(), Kind: kilnv1.EventKind_EVENT_KIND_DEPLOYMENT,
		Body: &kilnv1.Event_Deployment{Deployment: deployment},
	})
	s.wakeLocked()
}

// Progress sends live progress to the streams that are open.
func (s *Station) Progress(progress *kilnv1.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress = append(s.progress, &kilnv1.WatchEventsResponse{Message: &kilnv1.WatchEventsResponse_Progress{Progress: progress}})
	s.wakeLocked()
}

// Trim forgets the events up to `sequence`.
func (s *Station) Trim(sequence int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = s.events[sequence-s.trimmed:]
	s.trimmed = sequence
}

// Replace begins a new, empty ledger.
func (s *Station) Replace() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events, s.deployments, s.trimmed = nil, nil, 0
}

func (s *Station) lastLocked() int64 { return s.trimmed + int64(len(s.events)) }

func (s *Station) wakeLocked() {
	close(s.wake)
	s.wake = make(chan struct{})
}

// Refuse makes the error of the catalogue's `code` as the station sends it.
func Refuse(grpcCode codes.Code, code, detail string, fields ...string) error {
	entry := proto.Clone(failure.Catalogue()[code]).(*kilnv1.Failure)
	entry.Detail = detail
	refused := status.New(grpcCode, detail)
	bad := &errdetails.BadRequest{}
	for _, field := range fields {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: field, Description: "is wrong"})
	}
	detailed, err := refused.WithDetails(&errdetails.ErrorInfo{Reason: code, Domain: "kiln.v1"}, bad, entry)
	if err != nil {
		panic(fmt.Sprint("details of ", code, ": ", err))
	}
	return detailed.Err()
}

// WatchEvents is as the contract has it, but for filters.
func (s *Station) WatchEvents(request *kilnv1.WatchEventsRequest, stream grpc.ServerStreamingServer[kilnv1.WatchEventsResponse]) error {
	s.mu.Lock()
	s.streams++
	position := s.lastLocked()
	first := &kilnv1.WatchEventsResponse{Message: &kilnv1.WatchEventsResponse_Snapshot{
		Snapshot: &kilnv1.Snapshot{LastSequence: position, Deployments: append([]*kilnv1.Deployment{}, s.deployments...)}}}
	if request.AfterSequence != nil {
		position, first = request.GetAfterSequence(), nil
	}
	bad := position < s.trimmed || position > s.lastLocked()
	progress := len(s.progress)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.streams--
		s.mu.Unlock()
	}()
	if bad {
		return Refuse(codes.OutOfRange, failure.SequenceOutOfRange, "it is not kept")
	}
	if first != nil {
		if err := stream.Send(first); err != nil {
			return err
		}
	}
	for {
		s.mu.Lock()
		var next []*kilnv1.WatchEventsResponse
		for _, event := range s.events[max(0, min(position-s.trimmed, int64(len(s.events)))):] {
			next = append(next, &kilnv1.WatchEventsResponse{Message: &kilnv1.WatchEventsResponse_Event{Event: event}})
			position = event.GetSequence()
		}
		next = append(next, s.progress[progress:]...)
		progress = len(s.progress)
		wake := s.wake
		s.mu.Unlock()
		for _, message := range next {
			if err := stream.Send(message); err != nil {
				return err
			}
		}
		if len(next) > 0 {
			continue
		}
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-wake:
		case <-time.After(s.Heartbeat):
			beat := &kilnv1.Heartbeat{LastSequence: position, Time: timestamppb.Now()}
			if err := stream.Send(&kilnv1.WatchEventsResponse{Message: &kilnv1.WatchEventsResponse_Heartbeat{Heartbeat: beat}}); err != nil {
				return err
			}
		}
	}
}

// BuildBundle builds nothing and says in its output how long it might have taken.
func (s *Station) BuildBundle(_ *kilnv1.BuildBundleRequest, stream grpc.ServerStreamingServer[kilnv1.BuildBundleResponse]) error {
	end, _ := stream.Context().Deadline()
	return stream.Send(&kilnv1.BuildBundleResponse{Payload: &kilnv1.BuildBundleResponse_LogLine{LogLine: time.Until(end).String()}})
}

// ImportBundle takes everything and notes it.
func (s *Station) ImportBundle(stream grpc.ClientStreamingServer[kilnv1.ImportBundleRequest, kilnv1.ImportBundleResponse]) error {
	done := Import{}
	digest := sha256.New()
	for {
		message, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			done.Err = err
			s.noteImport(done)
			return err
		}
		if header := message.GetHeader(); header != nil {
			done.Header = header
			if header.GetFileName() == "" {
				return Refuse(codes.InvalidArgument, failure.RequestInvalid, "header.file_name: is required", "header.file_name")
			}
		}
		done.Bytes += len(message.GetChunk())
		digest.Write(message.GetChunk())
	}
	done.SHA256 = hex.EncodeToString(digest.Sum(nil))
	s.noteImport(done)
	return stream.SendAndClose(&kilnv1.ImportBundleResponse{Bundle: &kilnv1.Bundle{
		Name: "bundles/" + done.SHA256, Id: done.SHA256, Title: done.Header.GetTitle(), TotalBytes: uint64(done.Bytes)}})
}

func (s *Station) noteImport(done Import) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.imports = append(s.imports, done)
}
