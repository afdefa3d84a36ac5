// bench opens many event streams of a kiln-gateway at once and checks that every reader gets every event, once and in
// order. With -rate it plays the station itself, since no real one makes a thousand events a second; with -daemon
// it lets a real one make as many as it can, and compares what arrived with that one's ledger.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kiln.local/gateway/contract/kilnv1"
	"kiln.local/gateway/internal/fakestation"
)

var (
	binary  = flag.String("gateway", "build/bin/kiln-gateway", "the gateway's program")
	readers = flag.Int("readers", 200, "event streams open at once")
	rate    = flag.Int("rate", 1000, "events a second of the played station")
	seconds = flag.Int("seconds", 20, "how long events are made")
	daemon  = flag.String("daemon", "", "address of a real station to use instead: unix:///path")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	folder, err := os.MkdirTemp("", "kiln-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	address, station := *daemon, (*fakestation.Station)(nil)
	if address == "" {
		station = fakestation.New()
		listener, err := net.Listen("unix", filepath.Join(folder, "kilnd.sock"))
		if err != nil {
			return err
		}
		station.Serve(listener)
		defer station.Stop()
		address = "unix://" + listener.Addr().String()
	}
	gateway, err := startGateway(address)
	if err != nil {
		return err
	}
	defer gateway.stop()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	crowd, err := openAll(ctx, gateway.url, *readers)
	if err != nil {
		return err
	}
	before := gateway.cpu()
	start := time.Now()
	var last int64
	if station != nil {
		last = play(station)
	} else if last, err = work(gateway.url); err != nil {
		return err
	}
	made := time.Since(start)
	if err := crowd.await(last, 60*time.Second); err != nil {
		return err
	}
	total := time.Since(start)
	events := last - crowd.first
	fmt.Printf("  readers %d, events %d in %.1f s: %.0f a second, %.0f deliveries a second; the last arrived %.0f ms after it was made\n",
		*readers, events, made.Seconds(), float64(events)/made.Seconds(),
		float64(events)*float64(*readers)/total.Seconds(), float64((total-made).Microseconds())/1000)
	fmt.Printf("  lost 0, repeated 0, out of order 0\n")
	if station != nil {
		fmt.Printf("  from the station to the reader: median %.1f ms, 99 %% %.1f ms\n", crowd.percentile(50), crowd.percentile(99))
	} else if err := compare(gateway.url, crowd, last); err != nil {
		return err
	}
	fmt.Printf("  gateway: most memory %.1f MB resident, %.1f s of CPU\n", gateway.peakMegabytes(), (gateway.cpu() - before).Seconds())
	if got := gateway.peakMegabytes(); got > 80 {
		return fmt.Errorf("the gateway used %.1f MB, more than 80", got)
	}
	return nil
}

// play makes events at the rate asked for; the number of the last.
func play(station *fakestation.Station) int64 {
	total := *rate * *seconds
	start := time.Now()
	for made := range total {
		if wait := time.Until(start.Add(time.Duration(made) * time.Second / time.Duration(*rate))); wait > 0 {
			time.Sleep(wait)
		}
		station.Append(&kilnv1.Deployment{
			Name: fmt.Sprintf("deployments/%d", made), State: kilnv1.Deployment_STATE_RUNNING, Bundle: "bundles/0123456789abcdef",
			Customer: &kilnv1.Customer{Organization: "โรงพยาบาลกรุงเทพ", CustomerId: "BGK001", ApplicationName: "SMC_Cabinet_Ward_A"},
			// When it was made, for the readers' figures.
			RequestId: strconv.FormatInt(time.Now().UnixNano(), 10),
		})
	}
	return int64(total)
}

// crowd are the readers of one run.
type crowd struct {
	first   int64
	at      []atomic.Int64
	failure atomic.Pointer[error]

	mu      sync.Mutex
	delays  []time.Duration
	numbers []int64 // what the first reader got
}

func openAll(ctx context.Context, url string, count int) (*crowd, error) {
	c := &crowd{at: make([]atomic.Int64, count), first: -1}
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: count + 10, DisableCompression: true}}
	for number := range count {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/events/stream", nil)
		if err != nil {
			return nil, err
		}
		response, err := client.Do(request)
		if err != nil {
			return nil, err
		}
		if response.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("reader %d is answered %d", number, response.StatusCode)
		}
		reader := bufio.NewReaderSize(response.Body, 64<<10)
		begin, err := snapshot(reader)
		if err != nil {
			return nil, err
		}
		if c.first < 0 {
			c.first = begin
		}
		c.at[number].Store(begin)
		go func() {
			if err := c.read(number, reader); ctx.Err() == nil {
				c.failure.CompareAndSwap(nil, &err)
			}
		}()
	}
	return c, nil
}

func snapshot(reader *bufio.Reader) (int64, error) {
	number := int64(0)
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return 0, err
		}
		if id, ok := bytes.CutPrefix(line, []byte("id: ")); ok {
			if number, err = strconv.ParseInt(string(bytes.TrimSpace(id)), 10, 64); err != nil {
				return 0, err
			}
		}
		if bytes.HasPrefix(line, []byte("data: ")) {
			_, err := reader.ReadBytes('\n')
			return number, err
		}
	}
}

// read follows one stream until that breaks off; an event that is not the next one is an error, too.
func (c *crowd) read(number int, reader *bufio.Reader) error {
	for {
		line, err := reader.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) {
			line, err = reader.ReadSlice('\n') // the rest of a long line; ids are short
		}
		if err != nil {
			return err
		}
		if made, ok := bytes.CutPrefix(line, []byte("id: ")); ok {
			sequence, err := strconv.ParseInt(string(bytes.TrimSpace(made)), 10, 64)
			if err != nil {
				return err
			}
			if want := c.at[number].Load() + 1; sequence != want {
				return fmt.Errorf("reader %d got event %d instead of %d", number, sequence, want)
			}
			c.at[number].Store(sequence)
			if number == 0 {
				c.mu.Lock()
				c.numbers = append(c.numbers, sequence)
				c.mu.Unlock()
			}
			continue
		}
		// One reader in ten takes the time; all would be a benchmark of themselves.
		if number%10 == 0 {
			c.takeTime(line)
		}
	}
}

func (c *crowd) takeTime(line []byte) {
	_, rest, found := bytes.Cut(line, []byte(`"requestId":"`))
	if !found {
		return
	}
	text, _, _ := bytes.Cut(rest, []byte(`"`))
	made, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return // a real station's ids are no times
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delays = append(c.delays, time.Since(time.Unix(0, made)))
}

// await waits until every reader has event `last`.
func (c *crowd) await(last int64, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for number := 0; number < len(c.at); {
		if failed := c.failure.Load(); failed != nil {
			return *failed
		}
		if c.at[number].Load() >= last {
			number++
			continue
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("reader %d has come to event %d of %d only", number, c.at[number].Load(), last)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

func (c *crowd) percentile(percent int) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.delays) == 0 {
		return 0
	}
	slices.Sort(c.delays)
	return float64(c.delays[(len(c.delays)-1)*percent/100].Microseconds()) / 1000
}

// gatewayProcess is the program under test.
type gatewayProcess struct {
	command *exec.Cmd
	url     string
}

func startGateway(station string) (*gatewayProcess, error) {
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := probe.Addr().String()
	_ = probe.Close()
	command := exec.Command(*binary, "--listen", address, "--metrics-listen", "", "--daemon", station,
		"--rate", "100000", "--burst", "100000", "--log-level", "error")
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		return nil, err
	}
	g := &gatewayProcess{command, "http://" + address}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get(g.url + "/readyz")
		if err != nil {
			continue
		}
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return g, nil
		}
	}
	g.stop()
	return nil, errors.New("the gateway was not ready in time")
}

func (g *gatewayProcess) stop() {
	_ = g.command.Process.Signal(os.Interrupt)
	_ = g.command.Wait()
}

func (g *gatewayProcess) proc(file string) string {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", g.command.Process.Pid, file))
	return string(content)
}

func (g *gatewayProcess) peakMegabytes() float64 {
	for line := range strings.SplitSeq(g.proc("status"), "\n") {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kilobytes, _ := strconv.ParseFloat(fields[1], 64)
			return kilobytes / 1024
		}
	}
	return 0
}

// cpu answers the time used, in the kernel's ticks of 10 ms.
func (g *gatewayProcess) cpu() time.Duration {
	_, after, _ := strings.Cut(g.proc("stat"), ") ")
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// call makes one JSON call.
func call(method, url, body string) (map[string]any, error) {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	var found map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&found); err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %d: %v", url, answer.StatusCode, found)
	}
	return found, nil
}
