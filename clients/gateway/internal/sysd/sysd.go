// Package sysd tells systemd how the process is: readiness, the end, the watchdog.
package sysd

import (
	"context"
	"net"
	"os"
	"strconv"
	"time"
)

// Notify sends one message, such as "READY=1"; nothing where no service manager listens.
func Notify(message string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if path[0] == '@' {
		path = "\x00" + path[1:] // an abstract socket
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return // the manager's own time limits tell it
	}
	defer func() { _ = conn.Close() }()
	_, _ = conn.Write([]byte(message))
}

// Watchdog tells the service manager that the process lives, twice as often as that asks for.
func Watchdog(ctx context.Context) {
	microseconds, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || microseconds <= 0 {
		return
	}
	ticker := time.NewTicker(time.Duration(microseconds) * time.Microsecond / 2)
	defer ticker.Stop()
	for {
		Notify("WATCHDOG=1")
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
