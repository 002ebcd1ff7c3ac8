package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/server"
)

// npmServer serves documents, with the registry upstream below /npm when it is not "".
func npmServer(t testing.TB, upstream string, edit func(*server.Config), docs ...string) *httptest.Server {
	t.Helper()
	var h http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	conf := server.Config{Public: srv.URL, Spool: t.TempDir(), MaxBody: 2 << 20}
	if upstream != "" {
		u, err := url.Parse(upstream)
		if err != nil {
			t.Fatal(err)
		}
		conf.NPMUpstream = u
	}
	if edit != nil {
		edit(&conf)
	}
	s := server.New(conf)
	t.Cleanup(s.Close)
	if err := s.Swap(memory(t, docs...)); err != nil {
		t.Fatal(err)
	}
	h = s.Handler()
	return srv
}

func passThrough(c *server.Config) { c.NPMPassThrough = true }

// npmClient is a client of npm's registry: how it makes a lockfile and installs, and how it audits.
type npmClient struct {
	name           string
	find           func(*testing.T) string
	install, audit []string
}

func npmProgram(name string) func(*testing.T) string {
	return func(t *testing.T) string { return clienttest.Program(t, name) }
}

func npmScript(name string) func(*testing.T) string {
	return func(t *testing.T) string { return clienttest.Script(t, name) }
}

var npmClients = []npmClient{
	{"npm 6", npmScript("npm6/bin/npm-cli.js"), []string{"install", "--no-audit", "--package-lock-only"}, []string{"audit"}},
	{"npm 10", npmScript("npm10/bin/npm-cli.js"), []string{"install", "--no-audit", "--no-fund", "--package-lock-only"}, []string{"audit"}},
	{"npm 11", npmScript("npm11/bin/npm-cli.js"), []string{"install", "--no-audit", "--no-fund", "--package-lock-only"}, []string{"audit"}},
	{"npm 12", npmScript("npm12/bin/npm-cli.js"), []string{"install", "--no-audit", "--no-fund", "--package-lock-only"}, []string{"audit"}},
	{"pnpm 9", npmScript("pnpm9/bin/pnpm.cjs"), []string{"install", "--no-frozen-lockfile", "--lockfile-only"}, []string{"audit"}},
	{"pnpm 10", npmScript("pnpm/bin/pnpm.cjs"), []string{"install", "--no-frozen-lockfile", "--lockfile-only"}, []string{"audit"}},
	{"pnpm 12", npmScript("pnpm12/pnpm"), []string{"install", "--no-frozen-lockfile", "--lockfile-only"}, []string{"audit"}},
	{"yarn 3", npmScript("yarn3/bin/yarn.js"), []string{"install", "--mode=update-lockfile"}, []string{"npm", "audit", "--recursive"}},
	{"yarn 4", npmScript("@yarnpkg/cli-dist/bin/yarn.js"), []string{"install", "--mode=update-lockfile"}, []string{"npm", "audit", "--recursive"}},
	{"bun", npmProgram("bun"), []string{"install", "--lockfile-only"}, []string{"audit"}},
}

// npmProject is a project with these dependencies whose clients use registry for everything.
func npmProject(t *testing.T, registry, dependencies string) string {
	t.Helper()
	dir := clienttest.Tree(t, map[string]string{
		"package.json": `{"name": "project", "version": "1.0.0", "license": "MIT", "repository": "x/y", "description": "x", "dependencies": ` + dependencies + `}`,
		".npmrc":       "registry=" + registry + "/\nreplace-registry-host=always\nupdate-notifier=false\nfetch-retries=0\n",
		".yarnrc.yml": "npmRegistryServer: " + registry + "\nunsafeHttpWhitelist: [127.0.0.1]\nenableTelemetry: false\nenableImmutableInstalls: false\n" +
			"nodeLinker: node-modules\n",
		"bunfig.toml": "[install]\nregistry = \"" + registry + "/\"\n",
		"yarn.lock":   "",
	})
	return dir
}

func npmFor(t *testing.T, c *npmClient, dir string) {
	t.Helper()
	if !strings.HasPrefix(c.name, "yarn") {
		if err := os.Remove(filepath.Join(dir, "yarn.lock")); err != nil {
			t.Fatal(err)
		}
	}
	if c.name == "yarn 4" {
		f, err := os.OpenFile(filepath.Join(dir, ".yarnrc.yml"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(f, "npmMinimalAgeGate: 0")
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Every client makes its lockfile through the overlay, reports the malicious package by our title and link with
// the exit status that it has for findings, and nothing of a clean project.
func TestNPMClients(t *testing.T) {
	upstream := clienttest.NPMRegistry(t, map[string]string{"planted": `{}`, "middle": `{"planted": "^1.0.0"}`, "@corp/good": `{}`})
	srv := npmServer(t, upstream.URL, nil, packageRecord("MAL-2026-1", "npm", "planted", `"versions": ["1.0.0", "1.0.1"]`))
	link := srv.URL + "/advisories/MAL-2026-1"
	for i := range npmClients {
		c := &npmClients[i]
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			program := c.find(t)
			for dependencies, want := range map[string]int{`{"middle": "1.0.0", "@corp/good": "1.0.0"}`: 1, `{"@corp/good": "1.0.0"}`: 0} {
				dir := npmProject(t, srv.URL+"/npm", dependencies)
				npmFor(t, c, dir)
				clienttest.Run(t, dir, nil, program, c.install...)
				status, out := clienttest.Status(t, dir, nil, program, c.audit...)
				if found := strings.Contains(out, link); status != want || found != (want == 1) {
					t.Errorf("exit status %d, want %d\n%s", status, want, out)
				}
				t.Logf("%s", out)
			}
		})
	}
}
