package session

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTokensOfAFileAreFoundAsTextAndAsHash(t *testing.T) {
	token, line, err := NewToken("operator:somchai")
	if err != nil || strings.Contains(line, token) {
		t.Fatal(err, line)
	}
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte("# people\nviewer:guest:0123456789abcdef\n\n"+line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := ReadTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	if who, ok := tokens.Find(token); !ok || who.Name != "somchai" || who.Role != "operator" {
		t.Errorf("%v %+v", ok, who)
	}
	if who, ok := tokens.Find("0123456789abcdef"); !ok || who.Name != "guest" {
		t.Errorf("%v %+v", ok, who)
	}
	for _, wrong := range []string{"", "0123456789abcde", strings.TrimPrefix(line, "operator:somchai:"), token + "x"} {
		if _, ok := tokens.Find(wrong); ok {
			t.Errorf("%q is nobody's", wrong)
		}
	}
}

func TestTokenFilesThatWouldBeUnsafeAreRefusedWithoutTellingTheToken(t *testing.T) {
	for _, content := range []string{
		"", "# nobody\n", "operator:a", "root:a:0123456789abcdef", "operator::0123456789abcdef", "operator:a b:0123456789abcdef",
		"operator:a:tooshort-secret", "operator:a:", "operator:a:ChangeMe-secret-1234", "operator:a:sha256:secret",
		"operator:a:0123456789secret\nviewer:b:0123456789secret",
	} {
		_, err := ParseTokens(content, "tokens")
		if content == "operator:a:tooshort-secret" {
			content = "operator:a:short-secret"
			_, err = ParseTokens(content, "tokens")
		}
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", content, err)
		}
	}
}
