// Package identity says who makes a request and what they may do, and tells the station.
package identity

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// Role is what somebody may do; the station's table says which call needs which.
type Role string

// The roles, each of which may do what the ones before it may.
const (
	Viewer   Role = "viewer"
	Operator Role = "operator"
	Admin    Role = "admin"
)

// Valid tells whether the station knows the role.
func (r Role) Valid() bool { return r == Viewer || r == Operator || r == Admin }

// AtLeast tells whether `r` may do what `needed` may.
func (r Role) AtLeast(needed Role) bool { return rank(r) >= rank(needed) }

func rank(r Role) int {
	switch r {
	case Viewer:
		return 1
	case Operator:
		return 2
	case Admin:
		return 3
	}
	return 0
}

// Identity is who asks.
type Identity struct {
	Role Role
	// Names the person or script in the station's audit events.
	Name string
}

// Local is who asks while no sign-in is configured: whoever reaches the loopback address.
var Local = Identity{Role: Admin, Name: "local"}

// Metadata keys that carry the identity to the station.
const (
	roleKey  = "kiln-role"
	actorKey = "kiln-actor"
)

type contextKey struct{}

// With keeps who asks in the context of their request.
func With(ctx context.Context, who Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, who)
}

// From answers who asks. The zero identity, which may do nothing, when nobody was kept.
func From(ctx context.Context) Identity {
	who, _ := ctx.Value(contextKey{}).(Identity)
	return who
}

// outgoing makes the identity the only metadata of a call: nothing of what a client sent travels with it.
func outgoing(ctx context.Context) context.Context {
	who := From(ctx)
	return metadata.NewOutgoingContext(ctx, metadata.Pairs(roleKey, string(who.Role), actorKey, who.Name))
}

// DialOptions make every call of a connection carry the identity of its context, and keep to its role.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, request, reply any,
			conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
			if err := check(From(ctx), method); err != nil {
				return err
			}
			return invoke(outgoing(ctx), method, request, reply, conn, options...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn,
			method string, stream grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
			if err := check(From(ctx), method); err != nil {
				return nil, err
			}
			return stream(outgoing(ctx), desc, conn, method, options...)
		}),
	}
}
