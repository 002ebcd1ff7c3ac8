package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/server"
)

// npmMirror answers for the registry that npm is set up for from a directory, which it fills; addresses of archives become its
// own, so that nothing of the network's is in what is measured once a first install has gone through it.
func npmMirror(b *testing.B, dir string) *httptest.Server {
	set, err := exec.CommandContext(b.Context(), "npm", "config", "get", "registry").Output()
	if err != nil {
		b.Skip("npm: ", err)
	}
	public := strings.TrimSuffix(strings.TrimSpace(string(set)), "/")
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost { // an audit: it has nothing to say
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, "{}")
			return
		}
		accept := "application/json"
		if strings.Contains(r.Header.Get("Accept"), "vnd.npm.install-v1+json") {
			accept = "application/vnd.npm.install-v1+json"
		}
		sum := sha256.Sum256([]byte(accept + r.URL.EscapedPath()))
		name := filepath.Join(dir, hex.EncodeToString(sum[:]))
		data, err := os.ReadFile(name)
		if err != nil {
			data, err = fetch(r, public+r.URL.EscapedPath(), accept)
			if err == nil {
				err = os.WriteFile(name+".new", data, 0o644)
			}
			if err == nil {
				err = os.Rename(name+".new", name)
			}
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		if strings.HasSuffix(r.URL.Path, ".tgz") {
			w.Header().Set("Content-Type", "application/octet-stream")
		} else {
			w.Header().Set("Content-Type", accept)
			data = bytes.ReplaceAll(data, []byte(public+"/"), []byte(srv.URL+"/"))
		}
		w.Write(data)
	}))
	b.Cleanup(srv.Close)
	return srv
}

func fetch(r *http.Request, url, accept string) ([]byte, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// BenchmarkNPMInstall installs an application of some 1,500 packages, without a lockfile and with an empty cache, straight from
// a registry on this machine and through the overlay over it, by redirects and passed through, in turns. It wants
// RAPSHEET_BENCH and, the first time, the public registry; RAPSHEET_BENCH_TURNS is how many turns (3).
func BenchmarkNPMInstall(b *testing.B) {
	bench := os.Getenv("RAPSHEET_BENCH")
	if bench == "" {
		b.Skip("RAPSHEET_BENCH is not set: run make bench")
	}
	mirrored := filepath.Join(bench, "npm-mirror")
	if err := os.MkdirAll(mirrored, 0o755); err != nil {
		b.Fatal(err)
	}
	app, err := os.ReadFile("testdata/install-package.json")
	if err != nil {
		b.Fatal(err)
	}
	mirror := npmMirror(b, mirrored)
	upstream, err := url.Parse(mirror.URL)
	if err != nil {
		b.Fatal(err)
	}
	overlay := func(pass bool) string {
		var h http.Handler
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
		b.Cleanup(srv.Close)
		s := server.New(server.Config{Public: srv.URL, Spool: b.TempDir(), NPMUpstream: upstream, NPMPassThrough: pass})
		b.Cleanup(s.Close)
		ix, err := index.Open(filepath.Join(bench, "catalog.idx"))
		if err != nil {
			ix = memory(b, packageRecord("MAL-2026-1", "npm", "planted", `"versions": ["1.0.0"]`))
		}
		if err := s.Swap(ix); err != nil {
			b.Fatal(err)
		}
		h = s.Handler()
		return srv.URL + "/npm"
	}
	ways := []struct{ name, registry string }{{"direct", mirror.URL}, {"redirect", overlay(false)}, {"pass", overlay(true)}}
	turns := 3
	if n, err := strconv.Atoi(os.Getenv("RAPSHEET_BENCH_TURNS")); err == nil && n > 0 {
		turns = n
	}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"npm", []string{"install", "--ignore-scripts", "--legacy-peer-deps", "--no-fund", "--loglevel=error"}},
		{"pnpm", []string{"install", "--ignore-scripts", "--no-frozen-lockfile", "--reporter=silent"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			program, err := exec.LookPath(c.name)
			for _, dir := range filepath.SplitList(os.Getenv("RAPSHEET_TOOLS")) {
				if at := filepath.Join(dir, c.name); err != nil && exec.Command(at, "--version").Run() == nil {
					program, err = at, nil
				}
			}
			if err != nil {
				b.Skip(err)
			}
			install := func(registry string) time.Duration {
				dir, err := os.MkdirTemp("", "rapsheet-install-*")
				if err != nil {
					b.Fatal(err)
				}
				defer os.RemoveAll(dir)
				for name, content := range map[string]string{
					"package.json": string(app),
					".npmrc":       "registry=" + registry + "/\nreplace-registry-host=always\nupdate-notifier=false\nstrict-peer-dependencies=false\n",
				} {
					if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
						b.Fatal(err)
					}
				}
				cmd := exec.CommandContext(b.Context(), program, c.args...)
				cmd.Dir = dir
				home := filepath.Join(dir, ".home")
				cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CACHE_HOME=" + home, "XDG_DATA_HOME=" + home, "XDG_CONFIG_HOME=" + home, "CI=1"}
				start := time.Now()
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				took := time.Since(start)
				b.Logf("%s from %s: %.1f s", c.name, registry, took.Seconds())
				return took
			}
			install(mirror.URL) // fills the mirror
			took := map[string][]time.Duration{}
			for turn := range turns {
				for i := range ways {
					w := ways[(i+turn)%len(ways)]
					took[w.name] = append(took[w.name], install(w.registry))
				}
			}
			median := map[string]float64{}
			for name, all := range took {
				slices.Sort(all)
				median[name] = all[len(all)/2].Seconds()
				b.ReportMetric(median[name], "s/"+name)
			}
			b.ReportMetric(median["redirect"]/median["direct"], "redirect/direct")
			b.ReportMetric(median["pass"]/median["direct"], "pass/direct")
			b.ReportMetric(0, "ns/op")
		})
	}
}
