// Package config reads the gateway's settings: flags, and the environment for what no flag says.
package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Prefix of the variables: --token-file is KILN_GATEWAY_TOKEN_FILE.
const Prefix = "KILN_GATEWAY_"

// Config are the settings, checked.
type Config struct {
	Listen, MetricsListen string
	Daemon                string
	DaemonCA, DaemonCert  string
	DaemonKey             string
	AllowedHosts          []string
	TrustedProxies        []netip.Prefix
	TokenFile             string
	SessionLifetime       time.Duration
	TLSCert, TLSKey       string
	BehindTLS             bool
	PageFolder            string
	Rate, Burst           float64
	MaxStreams            int
	LogLevel              slog.Level
	Check, ShowVersion    bool
	NewToken              string
}

// Secure tells whether browsers reach the gateway by HTTPS.
func (c *Config) Secure() bool { return c.TLSCert != "" || c.BehindTLS }

// Read reads `arguments` (without the program's name) and then the environment. flag.ErrHelp when help was
// asked for and written.
func Read(arguments []string, environment func(string) (string, bool), output io.Writer) (*Config, error) {
	c := &Config{}
	var hosts, proxies, level string
	flags := flag.NewFlagSet("kiln-gateway", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&c.Listen, "listen", "127.0.0.1:8080", "`address` to serve on; beyond loopback only with --token-file")
	flags.StringVar(&c.MetricsListen, "metrics-listen", "127.0.0.1:9465", "`address` of GET /metrics; empty: off")
	flags.StringVar(&c.Daemon, "daemon", "unix:///run/kiln/kilnd.sock", "the station daemon's `address`: unix:///path or host:port")
	flags.StringVar(&c.DaemonCA, "daemon-ca", "", "PEM `file` with the CA of a daemon at host:port")
	flags.StringVar(&c.DaemonCert, "daemon-cert", "", "PEM `file` with the certificate shown to it")
	flags.StringVar(&c.DaemonKey, "daemon-key", "", "PEM `file` with that certificate's key")
	flags.StringVar(&hosts, "allowed-hosts", "", "`names` under which the gateway is reached, besides loopback's; separated by commas")
	flags.StringVar(&proxies, "trusted-proxies", "", "`networks` whose X-Forwarded-For is believed; separated by commas")
	flags.StringVar(&c.TokenFile, "token-file", "", "`file` of lines role:name:token; with it everybody must sign in")
	flags.DurationVar(&c.SessionLifetime, "session-lifetime", 12*time.Hour, "how long a sign-in lasts")
	flags.StringVar(&c.TLSCert, "tls-cert", "", "PEM `file` with the certificate to serve HTTPS with")
	flags.StringVar(&c.TLSKey, "tls-key", "", "PEM `file` with its key")
	flags.BoolVar(&c.BehindTLS, "behind-tls", false, "browsers reach the gateway by HTTPS through a proxy")
	flags.StringVar(&c.PageFolder, "page-folder", "", "serve the page from this `folder` instead of the one compiled in")
	flags.Float64Var(&c.Rate, "rate", 100, "requests a second that one client may make for long")
	flags.Float64Var(&c.Burst, "burst", 400, "requests that one client may make at once")
	flags.IntVar(&c.MaxStreams, "max-streams", 1000, "event streams open at once")
	flags.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	flags.BoolVar(&c.Check, "check", false, "ask the gateway that serves on --listen whether it is ready, and exit with 0 or 1")
	flags.StringVar(&c.NewToken, "new-token", "", "make a token for `role:name` and the line for the token file, and exit")
	flags.BoolVar(&c.ShowVersion, "version", false, "tell the version and exit")
	flags.Usage = func() {
		fmt.Fprintf(output, "kiln-gateway serves a station to browsers and scripts.\n\n"+
			"Each option may also be given as %sNAME, --token-file as %sTOKEN_FILE.\n\n", Prefix, Prefix)
		flags.PrintDefaults()
	}
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("there is no argument %q", flags.Arg(0))
	}
	if err := fromEnvironment(flags, environment); err != nil {
		return nil, err
	}
	c.AllowedHosts = words(hosts)
	for _, text := range words(proxies) {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("--trusted-proxies: %w", err)
		}
		c.TrustedProxies = append(c.TrustedProxies, prefix)
	}
	if err := c.LogLevel.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level: %w", err)
	}
	return c, c.validate()
}

// fromEnvironment sets what no flag has set.
func fromEnvironment(flags *flag.FlagSet, environment func(string) (string, bool)) error {
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var failed error
	flags.VisitAll(func(f *flag.Flag) {
		name := Prefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, set := environment(name)
		if !set || given[f.Name] {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
		}
	})
	return failed
}

func words(text string) []string {
	var found []string
	for _, word := range strings.Split(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			found = append(found, word)
		}
	}
	return found
}

func (c *Config) validate() error {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if port == "" {
		return errors.New("--listen: the port is missing")
	}
	if !isLoopback(host) && c.TokenFile == "" {
		return fmt.Errorf("--listen %s lets others in: that needs --token-file, so that everybody signs in", c.Listen)
	}
	if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
		c.AllowedHosts = append(c.AllowedHosts, host)
	}
	if c.MetricsListen != "" {
		if _, _, err := net.SplitHostPort(c.MetricsListen); err != nil {
			return fmt.Errorf("--metrics-listen: %w", err)
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key belong together")
	}
	if c.SessionLifetime < time.Minute || c.SessionLifetime > 30*24*time.Hour {
		return errors.New("--session-lifetime must be from 1m to 720h")
	}
	if c.Rate <= 0 || c.Burst < 1 || c.MaxStreams < 1 {
		return errors.New("--rate must be above 0, --burst and --max-streams at least 1")
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
