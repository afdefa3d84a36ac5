package config_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"kiln.local/gateway/internal/config"
)

func read(environment map[string]string, arguments ...string) (*config.Config, error) {
	return config.Read(arguments, func(name string) (string, bool) {
		value, set := environment[name]
		return value, set
	}, io.Discard)
}

func TestDefaultsKeepToThisMachine(t *testing.T) {
	c, err := read(nil)
	if err != nil || c.Listen != "127.0.0.1:8080" || c.MetricsListen != "127.0.0.1:9465" || c.Daemon != "unix:///run/kiln/kilnd.sock" || c.Secure() {
		t.Errorf("%v %+v", err, c)
	}
}

func TestFlagsComeBeforeTheEnvironment(t *testing.T) {
	c, err := read(map[string]string{
		"KILN_GATEWAY_LISTEN": "127.0.0.1:1", "KILN_GATEWAY_SESSION_LIFETIME": "2h", "KILN_GATEWAY_ALLOWED_HOSTS": "a, b",
	}, "--listen", "127.0.0.1:2")
	if err != nil || c.Listen != "127.0.0.1:2" || c.SessionLifetime != 2*time.Hour || len(c.AllowedHosts) < 2 {
		t.Errorf("%v %+v", err, c)
	}
}

func TestWhatWouldBeUnsafeOrSenselessIsRefused(t *testing.T) {
	for _, c := range []struct {
		arguments []string
		complaint string
	}{
		{[]string{"--listen", "0.0.0.0:8080"}, "--token-file"},
		{[]string{"--listen", ":8080"}, "--token-file"},
		{[]string{"--listen", "[::]:8080"}, "--token-file"},
		{[]string{"--listen", "192.0.2.1:8080"}, "--token-file"},
		{[]string{"--listen", "station.example:8080"}, "--token-file"},
		{[]string{"--listen", "8080"}, "--listen"},
		{[]string{"--tls-cert", "a"}, "belong together"},
		{[]string{"--session-lifetime", "1s"}, "--session-lifetime"},
		{[]string{"--rate", "0"}, "--rate"},
		{[]string{"--trusted-proxies", "x"}, "--trusted-proxies"},
		{[]string{"--log-level", "loud"}, "--log-level"},
		{[]string{"serve"}, "argument"},
		{[]string{"--colour", "red"}, "colour"},
	} {
		if _, err := read(nil, c.arguments...); err == nil || !strings.Contains(err.Error(), c.complaint) {
			t.Errorf("%v: %v", c.arguments, err)
		}
	}
	if _, err := read(map[string]string{"KILN_GATEWAY_RATE": "many"}); err == nil || !strings.Contains(err.Error(), "KILN_GATEWAY_RATE") {
		t.Errorf("%v", err)
	}
	if _, err := read(nil, "--listen", "0.0.0.0:8080", "--token-file", "tokens"); err != nil {
		t.Error(err)
	}
}
