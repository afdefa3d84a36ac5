package session

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"kiln.local/gateway/internal/failure"
	"kiln.local/gateway/internal/guard"
	"kiln.local/gateway/internal/identity"
)

const (
	// Sessions at once; the one that would end first makes room.
	maxSessions = 1000
	// Wrong tokens from one client before the next is not even looked at, and how long one is remembered;
	// and the same for all clients together.
	clientFailures, clientForgets = 5, 30 * time.Second
	totalFailures, totalForgets   = 100, time.Second
)

// Options of a Keeper.
type Options struct {
	// Nil: nobody needs to sign in, and everybody is identity.Local.
	Tokens   *Tokens
	Lifetime time.Duration
	// The page is reached by HTTPS: the cookie is then for HTTPS only.
	Secure bool
	// Who the client is, for the brake on guessing.
	ClientOf func(*http.Request) string
	// Called for each wrong token.
	Failed func()
	Now    func() time.Time
}

// Keeper knows who is signed in. Sessions live in memory: a restart of the gateway signs everybody out.
type Keeper struct {
	options     Options
	perClient   *guard.Buckets
	allTogether *guard.Buckets

	mu       sync.Mutex
	sessions map[[sha256.Size]byte]*signedIn
}

type signedIn struct {
	who     identity.Identity
	expires time.Time
	// Ends with the session: streams that it began end, too.
	ctx    context.Context
	cancel context.CancelFunc
}

// New makes a keeper.
func New(options Options) *Keeper {
	return &Keeper{
		options:     options,
		perClient:   guard.NewBuckets(1/clientForgets.Seconds(), clientFailures, options.Now),
		allTogether: guard.NewBuckets(1/totalForgets.Seconds(), totalFailures, options.Now),
		sessions:    map[[sha256.Size]byte]*signedIn{},
	}
}

func (k *Keeper) cookieName() string {
	if k.options.Secure {
		return "__Host-kiln_session" // browsers take it only over HTTPS, for this host alone
	}
	return "kiln_session"
}

// Required lets only those through who are signed in or show a token, and puts who they are into the
// request's context.
func (k *Keeper) Required(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, session, err := k.whoAsks(r)
		if err != nil {
			failure.Write(w, r, err)
			return
		}
		ctx := identity.With(r.Context(), who)
		if session != nil {
			var cancel context.CancelFunc
			ctx, cancel = context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(session.ctx, cancel)()
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// SignedIn tells whether Required would let the request through; it counts no failure.
func (k *Keeper) SignedIn(r *http.Request) bool {
	return k.options.Tokens == nil || k.sessionOf(r) != nil
}

func (k *Keeper) whoAsks(r *http.Request) (identity.Identity, *signedIn, error) {
	if k.options.Tokens == nil {
		return identity.Local, nil, nil
	}
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return identity.Identity{}, nil,
				failure.New(http.StatusUnauthorized, failure.NotSignedIn, "the scheme must be Bearer")
		}
		who, err := k.check(r, strings.TrimSpace(token))
		return who, nil, err
	}
	if session := k.sessionOf(r); session != nil {
		return session.who, session, nil
	}
	return identity.Identity{}, nil, failure.New(http.StatusUnauthorized, failure.NotSignedIn, "")
}

// check answers whose token it is, unless too many wrong ones came before.
func (k *Keeper) check(r *http.Request, token string) (identity.Identity, error) {
	client := k.options.ClientOf(r)
	if k.perClient.Empty(client) || k.allTogether.Empty("") {
		return identity.Identity{}, failure.New(http.StatusTooManyRequests, failure.TooManyRequests,
			"too many wrong tokens; wait half a minute")
	}
	who, ok := k.options.Tokens.Find(token)
	if !ok {
		k.perClient.Take(client)
		k.allTogether.Take("")
		k.options.Failed()
		return identity.Identity{}, failure.New(http.StatusUnauthorized, failure.NotSignedIn, "the token is not known")
	}
	return who, nil
}

func (k *Keeper) sessionOf(r *http.Request) *signedIn {
	cookie, err := r.Cookie(k.cookieName())
	if err != nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	session := k.sessions[sha256.Sum256([]byte(cookie.Value))]
	if session == nil || !k.options.Now().Before(session.expires) {
		return nil
	}
	return session
}

// state is what GET /v1/session tells.
type state struct {
	SignInRequired bool   `json:"signInRequired"`
	SignedIn       bool   `json:"signedIn"`
	Role           string `json:"role"`
	Name           string `json:"name"`
	ExpireTime     string `json:"expireTime,omitempty"`
}

// Get answers who is signed in.
func (k *Keeper) Get(w http.ResponseWriter, r *http.Request) {
	if k.options.Tokens == nil {
		write(w, state{SignedIn: true, Role: string(identity.Local.Role), Name: identity.Local.Name})
		return
	}
	answer := state{SignInRequired: true}
	if session := k.sessionOf(r); session != nil {
		answer = stateOf(session)
	}
	write(w, answer)
}

func stateOf(session *signedIn) state {
	return state{
		SignInRequired: true, SignedIn: true, Role: string(session.who.Role), Name: session.who.Name,
		ExpireTime: session.expires.UTC().Format(time.RFC3339),
	}
}

// SignIn begins a session for the token in the body, {"token": "…"}.
func (k *Keeper) SignIn(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		failure.Write(w, r, failure.New(http.StatusBadRequest, failure.RequestInvalid, `the body must be {"token": "…"}`))
		return
	}
	if k.options.Tokens == nil {
		k.Get(w, r)
		return
	}
	who, err := k.check(r, strings.TrimSpace(body.Token))
	if err != nil {
		failure.Write(w, r, err)
		return
	}
	k.end(r) // a session of before is not taken over
	id := randomText()
	ctx, cancel := context.WithTimeout(context.Background(), k.options.Lifetime)
	session := &signedIn{who: who, expires: k.options.Now().Add(k.options.Lifetime), ctx: ctx, cancel: cancel}
	k.add(sha256.Sum256([]byte(id)), session)
	k.setCookie(w, id, int(k.options.Lifetime.Seconds()))
	write(w, stateOf(session))
}

// SignOut ends the session, and the streams that it began.
func (k *Keeper) SignOut(w http.ResponseWriter, r *http.Request) {
	k.end(r)
	k.setCookie(w, "", -1)
	write(w, state{SignInRequired: k.options.Tokens != nil, SignedIn: k.options.Tokens == nil})
}

func (k *Keeper) add(id [sha256.Size]byte, session *signedIn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.options.Now()
	var first [sha256.Size]byte
	var earliest time.Time
	for other, present := range k.sessions {
		switch {
		case !now.Before(present.expires):
			present.cancel()
			delete(k.sessions, other)
		case earliest.IsZero() || present.expires.Before(earliest):
			first, earliest = other, present.expires
		}
	}
	if len(k.sessions) >= maxSessions {
		k.sessions[first].cancel()
		delete(k.sessions, first)
	}
	k.sessions[id] = session
}

func (k *Keeper) end(r *http.Request) {
	cookie, err := r.Cookie(k.cookieName())
	if err != nil {
		return
	}
	id := sha256.Sum256([]byte(cookie.Value))
	k.mu.Lock()
	defer k.mu.Unlock()
	if session := k.sessions[id]; session != nil {
		session.cancel()
		delete(k.sessions, id)
	}
}

func (k *Keeper) setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: k.cookieName(), Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: k.options.Secure, SameSite: http.SameSiteStrictMode,
	})
}

func write(w http.ResponseWriter, answer state) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(answer) // a reader that is gone needs no answer
}
