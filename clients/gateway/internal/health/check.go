package health

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Check asks the gateway that serves on `listen` whether it is ready: what a container's health check runs.
func Check(listen string, secure bool) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http"
	client := &http.Client{Timeout: 5 * time.Second}
	if secure {
		scheme = "https"
		// It asks itself, by an address that no certificate names.
		client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	}
	answer, err := client.Get(scheme + "://" + net.JoinHostPort(host, port) + "/readyz")
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: /readyz answers %d", answer.StatusCode)
	}
	return nil
}
