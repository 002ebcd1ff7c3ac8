package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/server"
)

// npmFrontPublic is the address of the directives' comment.
const npmFrontPublic = "https://npm.example/-/rapsheet"

// npmFront starts nginx before a registry, with the directives that users are given, and a server behind those.
func npmFront(t *testing.T, registry string, docs ...string) (front string, behind *httptest.Server) {
	t.Helper()
	const at = "http://127.0.0.1:8090"
	b, err := os.ReadFile(npmFrontDirectives)
	if err != nil {
		t.Fatal(err)
	}
	directives := string(b)
	if strings.Count(directives, at) != 2 || !strings.Contains(directives, npmFrontPublic) {
		t.Fatalf("other addresses:\n%s", directives)
	}
	behind = npmServer(t, registry, func(c *server.Config) {
		c.Public = npmFrontPublic
		c.NPMPassThrough = true // it would send credentials on, if it got any
	}, docs...)
	front = clienttest.Nginx(t, strings.ReplaceAll(directives, at, behind.URL)+`
location / {
    proxy_pass `+registry+`;
    proxy_set_header Host $http_host;
}`)
	return front, behind
}

const npmFrontDirectives = "../../integrations/nginx/npm-audit.conf"

// The page shows the very directives that the tests run.
func TestNPMFrontPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/integrations/fronts.md")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(npmFrontDirectives)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "```nginx\n"+string(b)+"```\n") {
		t.Error("docs/integrations/fronts.md does not show integrations/nginx/npm-audit.conf as it is")
	}
}

// Audits go to the list wherever the registry has its root, and everything else to the registry as it came.
func TestNPMFrontPaths(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == npmBulk {
			fmt.Fprint(w, npmTheirs)
			return
		}
		fmt.Fprint(w, "registry: "+r.Method+" "+r.RequestURI+" "+r.Header.Get("Authorization"))
	})
	front, behind := npmFront(t, up.URL, npmDocs()...)
	secret := []string{"Authorization", "Bearer s3cr3t", "Cookie", "s3cr3t"}
	for _, base := range []string{"", "/repository/npm-group", "/artifactory/api/npm/npm"} {
		for path, body := range map[string]string{npmBulk: npmAsked, npmQuick: npmAskedTree, npmFull: npmAskedTree} {
			resp, text := ask(t, "POST", front+base+path, "application/json", body, secret...)
			if resp.StatusCode != 200 || !strings.Contains(text, npmOnlyOurs) || !strings.Contains(text, npmFrontPublic+"/advisories/MAL-2026-1") {
				t.Errorf("%s%s: %d %s", base, path, resp.StatusCode, text)
			}
			if path == npmBulk && !strings.Contains(text, `"theirs too"`) {
				t.Errorf("%s: what the registry knows is lost: %s", base, text)
			}
			if r, _ := up.last(t); r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
				t.Errorf("credentials went on: %v", r.Header)
			}
		}
		for _, path := range []string{"/evil-pkg", "/@scope%2fbad", "/evil-pkg/-/evil-pkg-1.2.3.tgz", "/-/npm/v1/keys", "/-/v1/search?text=a%20b", "/npm", "/advisories/-/advisories-1.0.0.tgz", "/-/npm/v1/security/x"} {
			for _, method := range []string{"GET", "PUT"} {
				resp, text := ask(t, method, front+base+path, "application/json", "", secret...)
				if resp.StatusCode != 200 || text != "registry: "+method+" "+base+path+" Bearer s3cr3t" {
					t.Errorf("%s %s: %d %s", method, base+path, resp.StatusCode, text)
				}
			}
		}
		if resp, text := ask(t, "GET", front+base+npmBulk, "", ""); resp.StatusCode != 403 {
			t.Errorf("%d %v %s", resp.StatusCode, resp.Header, text)
		}
	}
	if resp, text := ask(t, "GET", front+"/-/rapsheet/advisories/MAL-2026-1", "", ""); resp.StatusCode != 200 || !strings.Contains(text, "<h1>MAL-2026-1</h1>") {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	// More than nginx takes by itself.
	large := `{"evil-pkg":["1.2.3"` + strings.Repeat(` `, 1<<21-1000) + `]}`
	if resp, text := ask(t, "POST", front+npmBulk, "application/json", large); resp.StatusCode != 200 || !strings.Contains(text, npmOnlyOurs) {
		t.Errorf("%d %.300s", resp.StatusCode, text)
	}
	// An audit without the list is an error, and no clean answer.
	behind.Close()
	if resp, text := ask(t, "POST", front+npmBulk, "application/json", npmAsked); resp.StatusCode != 502 {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	if resp, _ := ask(t, "GET", front+"/evil-pkg", "", ""); resp.StatusCode != 200 {
		t.Error(resp.StatusCode)
	}
}

// Clients of each way of asking make their lockfile from a Verdaccio behind nginx and have their audit from the list, with
// the one address that they had before.
func TestNPMFrontVerdaccio(t *testing.T) {
	packages := map[string]string{"planted": `{}`, "middle": `{"planted": "^1.0.0"}`, "@corp/good": `{}`}
	registry, _ := clienttest.Verdaccio(t, clienttest.NPMRegistry(t, packages).URL)
	front, behind := npmFront(t, registry, packageRecord("MAL-2026-1", "npm", "planted", `"versions": ["1.0.0", "1.0.1"]`))
	t.Run("clients", func(t *testing.T) {
		for i := range npmClients {
			c := &npmClients[i]
			if !slices.Contains([]string{"npm 6", "npm 11", "pnpm 10", "pnpm 12", "yarn 4", "bun"}, c.name) {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				program := c.find(t)
				dir := npmProject(t, front, `{"middle": "1.0.0", "@corp/good": "1.0.0"}`)
				npmFor(t, c, dir)
				clienttest.Run(t, dir, nil, program, c.install...)
				status, out := clienttest.Status(t, dir, nil, program, c.audit...)
				if status != 1 || !strings.Contains(out, npmFrontPublic+"/advisories/MAL-2026-1") {
					t.Errorf("exit status %d\n%s", status, out)
				}
			})
		}
	})
	program := clienttest.Script(t, "npm11/bin/npm-cli.js")
	clean := npmProject(t, front, `{"@corp/good": "1.0.0"}`)
	clienttest.Run(t, clean, nil, program, "install")
	clienttest.Run(t, clean, nil, program, "audit")
	dir := npmProject(t, front, `{"middle": "1.0.0"}`)
	status, out := clienttest.Status(t, dir, nil, program, "install", "--no-fund")
	if status != 0 || !strings.Contains(out, "2 critical severity vulnerabilities") {
		t.Errorf("exit status %d\n%s", status, out)
	}
	t.Logf("$ npm install\n%s", out)
	_, out = clienttest.Status(t, dir, nil, program, "audit")
	t.Logf("$ npm audit\n%s", out)
	var lock struct {
		Packages map[string]struct{ Resolved string }
	}
	b, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil || json.Unmarshal(b, &lock) != nil || !strings.HasPrefix(lock.Packages["node_modules/planted"].Resolved, front+"/planted/-/") {
		t.Errorf("%v %s", err, b)
	}
	// Publishing goes where it went.
	own := clienttest.Tree(t, map[string]string{"package.json": `{"name": "@private/own", "version": "1.0.0"}`,
		".npmrc": "registry=" + front + "/\n" + strings.TrimPrefix(front, "http:") + "/:_authToken=anyone\nupdate-notifier=false\n"})
	clienttest.Run(t, own, nil, program, "publish")
	resp, err := http.Get(registry + "/@private%2fown")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if data, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || !strings.Contains(string(data), `"1.0.0"`) {
		t.Errorf("%d %s", resp.StatusCode, data)
	}
	// Without the list installs go on, and audits fail.
	behind.Close()
	if err := os.RemoveAll(filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if status, out := clienttest.Status(t, dir, nil, program, "install"); status != 0 {
		t.Errorf("exit status %d\n%s", status, out)
	}
	status, out = clienttest.Status(t, dir, nil, program, "audit")
	if status != 1 || !strings.Contains(out, "audit endpoint returned an error") {
		t.Errorf("exit status %d\n%s", status, out)
	}
	t.Logf("$ npm audit\n%s", out)
}
