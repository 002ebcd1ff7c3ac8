//go:build unix

package cli_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
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
	"testing"
	"time"
)

// asked is what the load asks about.
type asked struct{ ecosystem, name, version string }

// onRecord reads every nth package of generated.jsonl, which is in the catalog.
func onRecord(b *testing.B, n int) []asked {
	b.Helper()
	f, err := os.Open(filepath.Join(os.Getenv("RAPSHEET_BENCH"), "generated.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var out []asked
	in := bufio.NewScanner(f)
	in.Buffer(nil, 64<<20)
	for i := 0; in.Scan(); i++ {
		if i%n != 0 {
			continue
		}
		var rec struct {
			Affected []struct {
				Package  struct{ Ecosystem, Name string }
				Versions []string
			}
		}
		if json.Unmarshal(in.Bytes(), &rec) != nil || len(rec.Affected) == 0 {
			continue
		}
		a := rec.Affected[0]
		out = append(out, asked{a.Package.Ecosystem, a.Package.Name, append(slices.Clip(a.Versions), "1.0.0")[0]})
	}
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func (a asked) body() string {
	name, _ := json.Marshal(a.name)
	return fmt.Sprintf(`{"package":{"name":%s,"ecosystem":%q},"version":%q}`, name, a.ecosystem, a.version)
}

// served is `rapsheet serve` as a process.
type served struct {
	url, catalog string
	cmd          *exec.Cmd
}

func serveBench(b *testing.B, x bench) *served {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	s := &served{url: "http://" + addr, catalog: filepath.Join(b.TempDir(), "catalog.idx")}
	s.replace(b, x.catalog)
	s.cmd = exec.Command(x.program, "serve", "--catalog", s.catalog, "--listen", addr, "--reload", "1s", "--metrics", "127.0.0.1:0")
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		s.cmd.Process.Signal(os.Interrupt)
		s.cmd.Wait()
	})
	for range 600 {
		if resp, err := http.Get(s.url + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return s
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.Fatal("not ready")
	return nil
}

// replace puts a copy of the snapshot in place by rename.
func (s *served) replace(b *testing.B, catalog string) {
	b.Helper()
	data, err := os.ReadFile(catalog)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(s.catalog+".new", data, 0o644); err != nil {
		b.Fatal(err)
	}
	if err := os.Rename(s.catalog+".new", s.catalog); err != nil {
		b.Fatal(err)
	}
}

// cpu is what the server has used so far.
func (s *served) cpu() time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	f := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	user, _ := strconv.Atoi(string(f[11]))
	system, _ := strconv.Atoi(string(f[12]))
	return time.Duration(user+system) * 10 * time.Millisecond
}

// load sends requests at a rate over real TCP for a time, and gives how long each took from when it was due, so that a server that
// falls behind is seen to. Connections are kept.
func (s *served) load(path string, rate int, d time.Duration, body func(i int) string, good func([]byte) bool) (times []time.Duration, failed int) {
	const workers = 64
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers, DisableCompression: true}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	total := int(d.Seconds() * float64(rate))
	times = make([]time.Duration, total)
	var next, errs atomic.Int64
	start := time.Now()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= total {
					return
				}
				due := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
				time.Sleep(time.Until(due))
				resp, err := client.Post(s.url+path, "application/json", strings.NewReader(body(i)))
				if err == nil {
					var data []byte
					if data, err = io.ReadAll(resp.Body); err == nil && (resp.StatusCode != http.StatusOK || !good(data)) {
						err = fmt.Errorf("status %d", resp.StatusCode)
					}
					resp.Body.Close()
				}
				if err != nil {
					errs.Add(1)
				}
				times[i] = time.Since(due)
			}
		})
	}
	wg.Wait()
	slices.Sort(times)
	return times, int(errs.Load())
}

func at(times []time.Duration, part float64) time.Duration {
	return times[int(float64(len(times)-1)*part)]
}

// BenchmarkServe holds `rapsheet serve` against its bars, with the load made on the same processors.
func BenchmarkServe(b *testing.B) {
	x := prepared(b)
	s := serveBench(b, x)
	hits := onRecord(b, 7)
	// Every second question is about a package on record, spread over the whole catalog.
	query := func(i int) string {
		if i%2 == 0 {
			return hits[i/2%len(hits)].body()
		}
		return asked{"npm", fmt.Sprintf("harmless-%d", i), "1.0.0"}.body()
	}
	json := func(data []byte) bool {
		return bytes.HasPrefix(data, []byte("{")) && bytes.HasSuffix(data, []byte("}"))
	}
	s.load("/v1/query", 500, 5*time.Second, query, json) // to warm
	var quiet time.Duration
	report := func(b *testing.B, times []time.Duration, failed int, cpu time.Duration) {
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(at(times, 0.5))/1e6, "ms-p50")
		b.ReportMetric(float64(at(times, 0.95))/1e6, "ms-p95")
		b.ReportMetric(float64(at(times, 0.99))/1e6, "ms-p99")
		b.ReportMetric(float64(cpu.Microseconds())/float64(len(times)), "µs-cpu/request")
		b.ReportMetric(float64(failed), "failed")
		if failed > 0 {
			b.Errorf("%d requests failed", failed)
		}
	}
	b.Run("query-2000-a-second", func(b *testing.B) {
		before := s.cpu()
		times, failed := s.load("/v1/query", 2000, 15*time.Second, query, json)
		quiet = at(times, 0.99)
		report(b, times, failed, s.cpu()-before)
	})
	b.Run("swap-under-load", func(b *testing.B) {
		stop := time.AfterFunc(3*time.Second, func() { s.replace(b, x.catalog) })
		defer stop.Stop()
		before := s.cpu()
		times, failed := s.load("/v1/query", 2000, 20*time.Second, query, json)
		report(b, times, failed, s.cpu()-before)
		if quiet > 0 {
			b.ReportMetric(float64(at(times, 0.99))/float64(quiet), "×-p99")
		}
	})
	b.Run("batch-of-1000", func(b *testing.B) {
		batch := func(i int) string {
			parts := make([]string, 1000)
			for j := range parts {
				parts[j] = query(i*1000 + j)
			}
			return `{"queries":[` + strings.Join(parts, ",") + "]}"
		}
		before := s.cpu()
		times, failed := s.load("/v1/querybatch", 5, 20*time.Second, batch, func(data []byte) bool { return bytes.Count(data, []byte(`"id"`)) >= 400 })
		report(b, times, failed, s.cpu()-before)
	})
}
