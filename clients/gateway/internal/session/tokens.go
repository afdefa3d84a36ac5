// Package session signs people and scripts in: tokens from a file, sessions in cookies, and a brake on guessing.
package session

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"kiln.local/gateway/internal/identity"
)

const (
	// Shorter tokens can be guessed.
	minTokenBytes = 16
	maxTokens     = 1000
	// Marks a token that stands in the file as its SHA-256. A long random token needs no salt.
	hashPrefix = "sha256:"
)

var namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Tokens knows who each token belongs to.
type Tokens struct {
	entries []entry
}

type entry struct {
	digest [sha256.Size]byte
	who    identity.Identity
}

// ReadTokens reads a file of lines "role:name:token" or "role:name:sha256:<hexadecimal>"; empty lines and
// those that begin with # do not count.
func ReadTokens(path string) (*Tokens, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ParseTokens(string(content), path)
}

// ParseTokens reads the content of a token file; errors name the line and never the token.
func ParseTokens(content, path string) (*Tokens, error) {
	tokens := &Tokens{}
	for number, line := range strings.Split(content, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		found, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, number+1, err)
		}
		for _, other := range tokens.entries {
			if other.digest == found.digest {
				return nil, fmt.Errorf("%s, line %d: the token is there already", path, number+1)
			}
		}
		if tokens.entries = append(tokens.entries, found); len(tokens.entries) > maxTokens {
			return nil, fmt.Errorf("%s: more than %d tokens", path, maxTokens)
		}
	}
	if len(tokens.entries) == 0 {
		return nil, fmt.Errorf("%s: there is no token in it", path)
	}
	return tokens, nil
}

func parseLine(line string) (entry, error) {
	parts := strings.SplitN(line, ":", 3)
	if len(parts) != 3 {
		return entry{}, errors.New("expected role:name:token")
	}
	who := identity.Identity{Role: identity.Role(parts[0]), Name: parts[1]}
	if !who.Role.Valid() {
		return entry{}, errors.New("the role must be viewer, operator or admin")
	}
	if !namePattern.MatchString(who.Name) {
		return entry{}, errors.New("a name has 1 to 64 letters, digits, '.', '_' and '-'")
	}
	token := parts[2]
	if digest, hashed := strings.CutPrefix(token, hashPrefix); hashed {
		bytes, err := hex.DecodeString(digest)
		if err != nil || len(bytes) != sha256.Size {
			return entry{}, fmt.Errorf("%s must be followed by 64 hexadecimal digits", hashPrefix)
		}
		return entry{digest: [sha256.Size]byte(bytes), who: who}, nil
	}
	if len(token) < minTokenBytes || strings.Contains(strings.ToLower(token), "changeme") {
		return entry{}, fmt.Errorf("a token has at least %d characters and is no placeholder; "+
			"kiln-gateway --new-token makes one", minTokenBytes)
	}
	return entry{digest: sha256.Sum256([]byte(token)), who: who}, nil
}

// Find answers whose token this is. It takes the same time whichever entry matches, or none.
func (t *Tokens) Find(token string) (identity.Identity, bool) {
	digest := sha256.Sum256([]byte(token))
	match := -1
	for i := range t.entries {
		equal := subtle.ConstantTimeCompare(t.entries[i].digest[:], digest[:])
		match = subtle.ConstantTimeSelect(equal, i, match)
	}
	if match < 0 {
		return identity.Identity{}, false
	}
	return t.entries[match].who, true
}

// NewToken makes a token for "role:name", and the line for the token file, which holds only its hash.
func NewToken(roleAndName string) (token, line string, err error) {
	token = randomText()
	digest := sha256.Sum256([]byte(token))
	line = roleAndName + ":" + hashPrefix + hex.EncodeToString(digest[:])
	if _, err := parseLine(line); err != nil {
		return "", "", err
	}
	return token, line, nil
}

// randomText answers 192 bits of randomness in letters that need no quoting.
func randomText() string {
	bytes := make([]byte, 24)
	_, _ = rand.Read(bytes) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(bytes)
}
