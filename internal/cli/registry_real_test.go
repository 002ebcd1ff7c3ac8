package cli_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// evilCatalog is a list of one record for each name@version of npm.
func evilCatalog(t *testing.T, packages ...string) string {
	t.Helper()
	files := map[string]string{}
	for i, p := range packages {
		at := strings.LastIndexByte(p, '@')
		id := fmt.Sprintf("MAL-2026-%d", i+1)
		files["list/"+id+".json"] = fmt.Sprintf(`{"schema_version": "1.7.4", "id": %q, "modified": "2026-11-01T00:00:00Z", "published": "2026-11-01T00:00:00Z",
			"summary": "Malicious code", "affected": [{"package": {"ecosystem": "npm", "name": %q}, "versions": [%q]}]}`, id, p[:at], p[at+1:])
	}
	return filepath.Join(clienttest.Tree(t, files), "list")
}

// reported is what is read of a report in JSON.
type reported struct {
	Summary struct {
		Packages, Files, Findings, Unread int
		Complete                          bool
	} `json:"summary"`
	Findings []struct {
		ID      string `json:"id"`
		Package struct {
			Name    string `json:"name"`
			Version string `json:"version"`
		} `json:"package"`
		Locations []struct {
			Path string `json:"path"`
		} `json:"locations"`
		Holding struct {
			Registry string   `json:"registry"`
			Served   string   `json:"served"`
			Latest   bool     `json:"latest"`
			Purge    []string `json:"purge"`
		} `json:"holding"`
	} `json:"findings"`
	Notes []struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
	} `json:"notes"`
}

// program is the command as a process of its own.
func program(t *testing.T, args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	name, err := exec.LookPath("rapsheet") // from testscript.Main
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "RAPSHEET_HOME="+t.TempDir(), "NETRC="+os.DevNull)
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

// runProgram runs the command to its end, which must be with that status, and reads its report.
func runProgram(t *testing.T, status int, args ...string) (r reported, cmd *exec.Cmd) {
	t.Helper()
	cmd, stdout, stderr := program(t, args...)
	_ = cmd.Run() // the status tells
	if got := cmd.ProcessState.ExitCode(); got != status {
		t.Fatalf("%q: status %d, want %d: %s", args, got, status, stderr)
	}
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	return r, cmd
}

// npm installs a package through Verdaccio, and it is taken away upstream. It is found in Verdaccio by its API, which
// still gives it out. The version that nobody installed is not fetched because of the question.
func TestRegistryVerdaccio(t *testing.T) {
	npm := clienttest.Program(t, "npm")
	var gone atomic.Bool
	var fetched sync.Map
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/evil-pkg/-/evil-pkg-"), ".tgz")
		archive := func(v string) []byte { return clienttest.Tarball(t, `{"name": "evil-pkg", "version": "`+v+`"}`) }
		switch {
		case gone.Load():
			http.NotFound(w, r)
		case r.URL.Path == "/evil-pkg":
			versions := map[string]any{}
			for _, v := range []string{"1.0.0", "2.0.0"} {
				sum := sha512.Sum512(archive(v))
				versions[v] = map[string]any{"name": "evil-pkg", "version": v, "dist": map[string]any{
					"tarball": "http://" + r.Host + "/evil-pkg/-/evil-pkg-" + v + ".tgz", "integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:]),
				}}
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"name": "evil-pkg", "dist-tags": map[string]any{"latest": "2.0.0"}, "versions": versions})
		case version == "1.0.0" || version == "2.0.0":
			fetched.Store(version, true)
			_, _ = w.Write(archive(version))
		default:
			http.NotFound(w, r)
		}
	}))
	defer up.Close()
	at, storage := clienttest.Verdaccio(t, up.URL)
	project := clienttest.Tree(t, map[string]string{"package.json": `{"name": "app", "version": "1.0.0"}`})
	clienttest.Run(t, project, nil, npm, "install", "--registry", at, "--no-audit", "--no-fund", "evil-pkg@2.0.0")
	list := evilCatalog(t, "evil-pkg@1.0.0", "evil-pkg@2.0.0")

	// Upstream still has both: one that is not there stays away.
	r, _ := runProgram(t, rapsheet.ExitFound, "registry", at, "--catalog", list, "--format", "json")
	if len(r.Findings) != 2 || r.Findings[0].Holding.Served != "" || r.Findings[1].Holding.Served != "" {
		t.Errorf("%+v", r)
	}
	if !slices.ContainsFunc(r.Notes, func(n struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
	}) bool {
		return strings.Contains(n.Message, "--ask-archives")
	}) {
		t.Errorf("what was not asked is not said: %+v", r.Notes)
	}
	if _, ok := fetched.Load("1.0.0"); ok {
		t.Error("the registry was made to fetch an archive")
	}
	if _, err := os.Stat(filepath.Join(storage, "evil-pkg", "evil-pkg-1.0.0.tgz")); !os.IsNotExist(err) {
		t.Errorf("an archive came into the storage: %v", err)
	}

	gone.Store(true)
	plan := filepath.Join(t.TempDir(), "plan.sh")
	r, _ = runProgram(t, rapsheet.ExitFound, "registry", at, "--catalog", list, "--format", "json", "--purge-plan", plan, "--ask-archives")
	if len(r.Findings) != 2 || !r.Summary.Complete {
		t.Fatalf("%+v", r)
	}
	call := "npm unpublish --force evil-pkg@2.0.0 --registry " + at + "/"
	for _, f := range r.Findings {
		h := f.Holding
		switch f.Package.Version {
		case "1.0.0":
			if h.Served != "no" || h.Latest {
				t.Errorf("%+v", f)
			}
		case "2.0.0":
			if h.Served != "yes" || !h.Latest || h.Registry != at || !slices.Equal(h.Purge, []string{call}) || f.ID != "MAL-2026-2" ||
				len(f.Locations) != 1 || f.Locations[0].Path != at+"/evil-pkg/-/evil-pkg-2.0.0.tgz" {
				t.Errorf("%+v", f)
			}
		}
	}
	b, err := os.ReadFile(plan)
	if err != nil || !strings.Contains(string(b), "\n"+call+"\n") {
		t.Errorf("the plan has no %q: %s %v", call, b, err)
	}
}

// slowNexus is a Nexus with one repository, whose pages take a moment each (help.sonatype.com, "Components API").
type slowNexus struct {
	*httptest.Server
	pages, perPage int
	pause          time.Duration
	// asked counts pages; each is called for every one.
	asked atomic.Int64
	each  atomic.Pointer[func()]
}

func newSlowNexus(t *testing.T, pages, perPage int) *slowNexus {
	n := &slowNexus{pages: pages, perPage: perPage, pause: time.Millisecond}
	n.Server = httptest.NewServer(n)
	t.Cleanup(n.Close)
	return n
}

func (n *slowNexus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	page, _ := strconv.Atoi(r.URL.Query().Get("continuationToken"))
	switch {
	case strings.HasSuffix(r.URL.Path, "/v1/repositories"):
		fmt.Fprint(w, `[{"name": "npm-proxy", "format": "npm", "type": "proxy", "attributes": {"proxy": {"remoteUrl": "https://registry.npmjs.org"}}}]`)
	case strings.HasSuffix(r.URL.Path, "/v1/components"):
		n.asked.Add(1)
		if each := n.each.Load(); each != nil {
			(*each)()
		}
		time.Sleep(n.pause)
		var items []string
		for i := range n.perPage {
			items = append(items, n.component(page*n.perPage+i))
		}
		next := "null"
		if page+1 < n.pages {
			next = strconv.Quote(strconv.Itoa(page + 1))
		}
		fmt.Fprintf(w, `{"items": [%s], "continuationToken": %s}`, strings.Join(items, ","), next)
	case strings.HasSuffix(r.URL.Path, "/v1/search"):
		i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Query().Get("name"), "package-"))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `{"items": [%s], "continuationToken": null}`, n.component(i))
	case r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, ".tgz"):
	default:
		http.NotFound(w, r)
	}
}

func (n *slowNexus) component(i int) string {
	return fmt.Sprintf(`{"id": "c%d", "repository": "npm-proxy", "format": "npm", "group": null, "name": "package-%d", "version": "1.0.0", "assets": [
		{"downloadUrl": "%s/repository/npm-proxy/package-%d/-/package-%d-1.0.0.tgz", "path": "package-%d/-/package-%d-1.0.0.tgz", "checksum": {"sha1": "%040x"}}]}`,
		i, i, n.URL, i, i, i, i, i)
}

// kill -9 at random moments of a listing: with --resume it goes on where it was, asks for no page anew but the one that
// was under way, and in the end reports what a run without a kill does.
func TestRegistryKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes only to kill them")
	}
	const pages, kills = 240, 4
	n := newSlowNexus(t, pages, 20)
	list := evilCatalog(t, "package-0@1.0.0", "package-2399@1.0.0", "package-4799@1.0.0", "package-4800@1.0.0")
	args := []string{"registry", n.URL, "--catalog", list, "--format", "json"}
	want, _ := runProgram(t, rapsheet.ExitFound, args...)
	if len(want.Findings) != 3 || want.Summary.Packages != pages*20 || want.Findings[0].Holding.Served != "yes" {
		t.Fatalf("%+v", want)
	}
	if got := n.asked.Swap(0); got != pages {
		t.Fatalf("%d pages asked for, want %d", got, pages)
	}
	args = append(args, "--resume", filepath.Join(t.TempDir(), "journal"))
	killed := 0
	for range kills {
		cmd, _, stderr := program(t, args...)
		// From the page on, a moment of up to five pages.
		left := atomic.Int64{}
		left.Store(1 + rand.Int64N(pages/kills-10))
		var once sync.Once
		started := make(chan struct{})
		each := func() {
			if left.Add(-1) < 0 {
				once.Do(func() {
					<-started
					time.AfterFunc(time.Duration(rand.Int64N(int64(5*(n.pause+time.Millisecond)))), func() { _ = cmd.Process.Kill() })
				})
			}
		}
		n.each.Store(&each)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		close(started)
		_ = cmd.Wait() // killed
		if cmd.ProcessState.Exited() {
			t.Fatalf("ended by itself with status %d: %s", cmd.ProcessState.ExitCode(), stderr)
		}
		killed++
	}
	n.each.Store(nil)
	got, _ := runProgram(t, rapsheet.ExitFound, args...)
	if asked := n.asked.Load(); asked < pages || asked > pages+2*kills {
		t.Errorf("%d pages asked for in %d runs, want %d and not many more", asked, kills+1, pages)
	}
	t.Logf("%d kills, %d pages asked for", killed, n.asked.Load())
	got.Notes, want.Notes = nil, nil // that the beginning comes from the journal
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	// Once more: from the journal alone.
	n.asked.Store(0)
	again, _ := runProgram(t, rapsheet.ExitFound, args...)
	again.Notes = nil
	if asked := n.asked.Load(); asked != 0 || !reflect.DeepEqual(again, want) {
		t.Errorf("%d pages asked for; got %+v", asked, again)
	}
}
