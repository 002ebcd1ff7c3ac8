package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/indextest"
	"github.com/rapsheet/rapsheet/internal/server"
	"github.com/rapsheet/rapsheet/match"
)

// packageRecord is a record about one package; rest is JSON of the affected entry.
func packageRecord(id, eco, name, rest string) string {
	return fmt.Sprintf(`{"schema_version": "1.7.4", "id": %q, "modified": "2026-01-02T00:00:00Z", "published": "2026-01-01T00:00:00Z",
		"affected": [{"package": {"ecosystem": %q, "name": %q}, %s}]}`, id, eco, name, rest)
}

// memory is a snapshot of documents.
func memory(t testing.TB, docs ...string) *index.Index {
	t.Helper()
	return indextest.New(t, index.Meta{}, indextest.Records(t, docs...)...)
}

// listServer serves documents; the address is that of clients too.
func listServer(t testing.TB, docs ...string) *httptest.Server {
	t.Helper()
	var h http.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }))
	t.Cleanup(srv.Close)
	s := server.New(server.Config{Public: srv.URL, Publisher: "Acme", Spool: t.TempDir(), MaxBody: 2 << 20})
	t.Cleanup(s.Close)
	if err := s.Swap(memory(t, docs...)); err != nil {
		t.Fatal(err)
	}
	h = s.Handler()
	return srv
}

// ask makes one request without following anything and without undoing an encoding.
func ask(t testing.TB, method, url, contentType, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Transport{DisableCompression: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(data)
}

const form = "application/x-www-form-urlencoded"

// Requests are those recorded of Composer 2.5.5 and 2.10, answers those of packagist.org's API.
func TestComposerAPI(t *testing.T) {
	srv := listServer(t,
		packageRecord("MAL-2026-1", "Packagist", "acme/evil", `"versions": ["1.2.3", "1.2.4"]`),
		packageRecord("MAL-2026-2", "Packagist", "acme/all", `"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]`),
		packageRecord("MAL-2026-3", "Packagist", "acme/odd", `"versions": ["dev-main", "dev-x || *", "1.0 || *", ">0"]`),
		packageRecord("MAL-2026-4", "npm", "acme/npm", `"versions": ["1.0.0"]`),
		strings.Replace(packageRecord("MAL-2026-5", "Packagist", "acme/withdrawn", `"versions": ["1.0.0"]`), `"affected"`, `"withdrawn": "2026-01-02T00:00:00Z", "affected"`, 1),
		strings.Replace(packageRecord("MAL-2026-6", "Packagist", "acme/old", `"versions": ["1.0.0"]`), "2026-01-02", "2020-01-02", 1),
	)
	one := func(id, name, versions, reported string) string {
		return fmt.Sprintf(`{"advisoryId":%q,"packageName":%q,"remoteId":%q,"title":"Malicious code in %s (Packagist)","link":"%s/advisories/%s","cve":null,"affectedVersions":%q,"source":"Acme","reportedAt":%q,"composerRepository":"https://packagist.org","severity":"critical","sources":[{"name":"Acme","remoteId":%q}]}`,
			id, name, id, name, srv.URL, id, versions, reported, id)
	}
	evil := `{"advisories":{"acme/evil":[` + one("MAL-2026-1", "acme/evil", "=1.2.3|=1.2.4", "2026-01-01 00:00:00") + `]}}`
	for _, tt := range []struct {
		name, method, path, contentType, body string
		status                                int
		want                                  string // "" is anything
	}{
		{"as recorded", "POST", "/composer/api/security-advisories/", form, "packages%5B0%5D=acme%2Fevil&packages%5B1%5D=acme%2Fother", 200, evil},
		{"by query", "GET", "/composer/api/security-advisories/?packages[]=acme/evil", "", "", 200, evil},
		{"once", "POST", "/composer/api/security-advisories/?packages[]=acme/evil", form, "packages[]=acme/evil", 200, evil},
		// A name in the answer is one that Composer asks no other repository about.
		{"no name that is not on record", "POST", "/composer/api/security-advisories/", form, "packages[0]=acme/evil&packages[1]=acme/clean", 200, evil},
		{"none", "POST", "/composer/api/security-advisories/", form, "packages[0]=acme/npm&packages[1]=acme/withdrawn&packages[2]=..&packages[3]=%00", 200, `{"advisories":[]}`},
		{"every version", "POST", "/composer/api/security-advisories/", form, "packages[0]=acme/all", 200, `{"advisories":{"acme/all":[` + one("MAL-2026-2", "acme/all", "*", "2026-01-01 00:00:00") + `]}}`},
		{"no version is widened", "POST", "/composer/api/security-advisories/", form, "packages[0]=acme/odd", 200, `{"advisories":{"acme/odd":[` + one("MAL-2026-3", "acme/odd", "=dev-main", "2026-01-01 00:00:00") + `]}}`},
		{"nothing asked", "POST", "/composer/api/security-advisories/", form, "", 400, `{"status":"error","message":"Missing array of package names as the \"packages\" parameter"}`},
		{"not a form", "POST", "/composer/api/security-advisories/", form, "packages[0]=%zz", 400, ""},
		{"too large", "POST", "/composer/api/security-advisories/", form, strings.Repeat("x", 2<<20+1), 413, ""},
		{"too many", "POST", "/composer/api/security-advisories/", form, manyPackages(), 413, ""},
		{"since, with packages", "GET", "/composer/api/security-advisories/?updatedSince=1700000000&packages[]=acme/old&packages[]=acme/evil", "", "", 200, evil},
		{"since is no number", "GET", "/composer/api/security-advisories/?updatedSince=x", "", "", 400, ""},
		{"since the future", "GET", "/composer/api/security-advisories/?updatedSince=99999999999", "", "", 400, ""},
		{"filter as recorded", "POST", "/composer/filter-api", "application/json", `{"packages":["pkg:\/\/composer\/acme\/evil","pkg:\/\/composer\/acme\/other","pkg:npm/x"],"lists":["malware"]}`, 200,
			`{"filter":{"malware":[{"package":"acme/evil","constraint":"=1.2.3 || =1.2.4","url":"` + srv.URL + `/advisories/MAL-2026-1","reason":"Malicious code in acme/evil (Packagist)","id":"MAL-2026-1"}]}}`},
		{"filter without a hit", "POST", "/composer/filter-api", "application/json", `{"packages":["pkg://composer/acme/other"],"lists":["malware"]}`, 200, `{"filter":{"malware":[]}}`},
		{"another list", "POST", "/composer/filter-api", "application/json", `{"packages":["pkg://composer/acme/evil"],"lists":["typos"]}`, 200, `{"filter":{}}`},
		{"filter too many", "POST", "/composer/filter-api", "application/json", `{"packages":["` + strings.Repeat(`","`, 10_001) + `"]}`, 413, ""},
		{"filter twice", "POST", "/composer/filter-api", "application/json", `{"packages":[],"packages":["pkg://composer/acme/evil"]}`, 400, ""},
		{"filter trailing", "POST", "/composer/filter-api", "application/json", `{} {}`, 400, ""},
		{"filter deep", "POST", "/composer/filter-api", "application/json", `{"x":` + strings.Repeat("[", 20000), 400, ""},
		{"filter null", "POST", "/composer/filter-api", "application/json", `null`, 200, `{"filter":{}}`},
		{"advisories repository", "GET", "/composer/packages.json", "", "", 200, `{"packages":[],"metadata-url":"` + srv.URL + `/composer/p2/%package%.json","available-package-patterns":["none/none"],"security-advisories":{"metadata":false,"api-url":"` + srv.URL + `/composer/api/security-advisories/"}}`},
		{"filter repository", "GET", "/composer-filter/packages.json", "", "", 200, `{"packages":[],"metadata-url":"` + srv.URL + `/composer-filter/p2/%package%.json","filter":{"metadata":true,"lists":{"malware":{"enabled":true}},"api-url":"` + srv.URL + `/composer/filter-api"}}`},
		{"no metadata", "GET", "/composer-filter/p2/acme/evil.json", "", "", 404, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, got := ask(t, tt.method, srv.URL+tt.path, tt.contentType, tt.body)
			if resp.StatusCode != tt.status || tt.want != "" && got != tt.want {
				t.Errorf("%d %s\nwant %d %s", resp.StatusCode, got, tt.status, tt.want)
			}
		})
	}
	_, all := ask(t, "GET", srv.URL+"/composer/api/security-advisories/?updatedSince=1700000000", "", "")
	if strings.Count(all, `"advisoryId"`) != 3 || strings.Contains(all, "acme/old") || strings.Contains(all, "withdrawn") {
		t.Error(all)
	}
}

// manyPackages is a form of more packages than are answered, below the limit of the body.
func manyPackages() string {
	var b strings.Builder
	b.WriteString("packages[]=0")
	for range 10_001 {
		b.WriteString("&packages[]=0")
	}
	return b.String()
}

// Composer's own parser of constraints reads what is answered, and holds for the versions that [match.Judge] finds.
func TestComposerConstraints(t *testing.T) {
	php := clienttest.Program(t, "php")
	const library = "/usr/share/php/Composer/Semver/autoload.php"
	if _, err := os.Stat(library); err != nil {
		t.Skip("Composer is not Debian's: ", err)
	}
	asked := []string{"0.9", "1.0.0-alpha", "1.0.0-RC1", "1.0.0", "1.2.2", "1.2.3-beta1", "1.2.3-dev", "1.2.3", "1.2.3.0", "1.2.3.1", "1.2.3-p1", "1.2.4", "1.10.0", "2.0.0-dev", "2.0.0-beta2", "2.0.0-RC1", "v2.0.0", "2.0.1", "1.x-dev", "dev-main", "dev-evil", "2020.01.02"}
	affected := []string{
		`"versions": ["1.2.3", "v1.0", "1.2.3-p1"]`, `"versions": ["dev-evil", "1.x-dev", "1.0.0-RC1", "2020.01.02"]`,
		`"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]`,
		`"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "1.0.0"}, {"fixed": "2.0.0"}]}]`,
		`"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "1.0.0-RC1"}, {"last_affected": "1.2.3-beta1"}, {"introduced": "2.0.0-RC1"}]}]`,
		`"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2.3"}]}], "versions": ["1.2.4", "dev-main"]`,
	}
	var docs []string
	for i, a := range affected {
		docs = append(docs, packageRecord(fmt.Sprintf("MAL-2026-%d", i+1), "Packagist", fmt.Sprintf("acme/p%d", i), a))
	}
	srv, ix := listServer(t, docs...), memory(t, docs...)
	defer ix.Close()
	const script = `require $argv[1]; $in = json_decode(stream_get_contents(STDIN), true);
foreach ($in["constraints"] as $c) { echo json_encode(array_map(fn($v) => Composer\Semver\Semver::satisfies($v, $c), $in["versions"])), "\n"; }`
	var constraints []string
	for i := range affected {
		_, body := ask(t, "POST", srv.URL+"/composer/api/security-advisories/", form, fmt.Sprintf("packages[0]=acme/p%d", i))
		var got struct {
			Advisories map[string][]struct{ AffectedVersions string }
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("%v %s", err, body)
		}
		constraints = append(constraints, got.Advisories[fmt.Sprintf("acme/p%d", i)][0].AffectedVersions)
	}
	in, err := json.Marshal(map[string][]string{"constraints": constraints, "versions": asked})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), php, "-r", script, library)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%q", err, out, constraints)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		var got []bool
		if err := json.Unmarshal([]byte(line), &got); err != nil || len(got) != len(asked) {
			t.Fatalf("%v %s", err, line)
		}
		name := fmt.Sprintf("acme/p%d", i)
		key, _ := ecosystem.KeyOf(rapsheet.Package{Ecosystem: "Packagist", Name: name})
		records, err := ix.Lookup(key)
		if err != nil || len(records) != 1 {
			t.Fatal(err, len(records))
		}
		for j, v := range asked {
			s := rapsheet.Sighting{Package: rapsheet.Package{Ecosystem: "Packagist", Name: name, Version: v}}
			if want := match.Judge(&records[0], &s).Verdict != rapsheet.VerdictNone; got[j] != want {
				t.Errorf("%s of %s: %v, want %v", v, constraints[i], got[j], want)
			}
		}
	}
}

// Composer 2.5 reports a malicious package of the lock file, by our id and link, and nothing of a clean one.
func TestComposerAudit(t *testing.T) {
	composer := clienttest.Program(t, "composer")
	srv := listServer(t, packageRecord("MAL-2026-1", "Packagist", "acme/evil", `"versions": ["1.2.3"]`))
	for version, exit := range map[string]int{"1.2.3": 1, "1.2.4": 0} {
		dir := clienttest.Tree(t, map[string]string{
			"composer.json": `{"name": "acme/app", "require": {"acme/evil": "*"}, "config": {"secure-http": false}, "repositories": [{"packagist.org": false}, {"type": "composer", "url": "` + srv.URL + `/composer"}]}`,
			"composer.lock": `{"content-hash": "x", "packages": [{"name": "acme/evil", "version": "` + version + `", "type": "library"}], "packages-dev": [], "aliases": [], "minimum-stability": "stable", "stability-flags": [], "prefer-stable": false, "prefer-lowest": false, "platform": [], "platform-dev": [], "plugin-api-version": "2.3.0"}`,
		})
		cmd := exec.CommandContext(t.Context(), composer, "audit", "--locked", "--no-interaction")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "COMPOSER_HOME="+filepath.Join(dir, ".home"), "COMPOSER_CACHE_DIR="+filepath.Join(dir, ".cache"), "COMPOSER_ALLOW_SUPERUSER=1", "COLUMNS=200")
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != exit {
			t.Errorf("%s: exit %d, want %d\n%s", version, code, exit, out)
		}
		found := strings.Contains(string(out), "Malicious code in acme/evil") && strings.Contains(string(out), srv.URL+"/advisories/MAL-2026-1")
		if found != (exit == 1) {
			t.Errorf("%s:\n%s", version, out)
		}
		t.Logf("%s", out)
	}
}

// A .gz is the file and not an encoding: Go's client would undo one, and govulncheck then read no gzip.
func TestGoVulnDBServed(t *testing.T) {
	srv := listServer(t, packageRecord("MAL-2026-1", "Go", "example.com/evil", `"versions": ["v1.2.3"]`))
	for _, path := range []string{"/govuln/index/db.json", "/govuln/index/modules.json", "/govuln/index/vulns.json", "/govuln/ID/MAL-2026-1.json"} {
		_, plain := ask(t, "GET", srv.URL+path, "", "")
		for _, accept := range []string{"", "gzip, zstd"} {
			resp, zipped := ask(t, "GET", srv.URL+path+".gz", "", "", "Accept-Encoding", accept)
			z, err := gzip.NewReader(strings.NewReader(zipped))
			if err != nil || resp.Header.Get("Content-Encoding") != "" {
				t.Fatalf("%s: %v %q", path, err, resp.Header.Get("Content-Encoding"))
			}
			if got, err := io.ReadAll(z); err != nil || string(got) != plain || !json.Valid(got) {
				t.Errorf("%s: %v %s", path, err, got)
			}
			head, body := ask(t, "HEAD", srv.URL+path+".gz", "", "")
			if head.StatusCode != 200 || body != "" || head.Header.Get("ETag") != resp.Header.Get("ETag") {
				t.Errorf("HEAD %s: %d %q", path, head.StatusCode, body)
			}
		}
	}
	for _, path := range []string{"/govuln/", "/govuln/index", "/govuln/ID/../../../../etc/passwd", "/govuln/ID/%2e%2e/%2e%2e/x.json", "/govuln/ID/..%2f..%2fx.json", "/govuln/ID/MAL-2026-2.json", "/govuln//etc/passwd.json", "/govuln/ID/%00.json", "/govuln/ID/" + strings.Repeat("a", 300) + ".json"} {
		u, err := url.Parse(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		u.Path, u.Opaque = "", "//"+u.Host+path
		resp, body := ask(t, "GET", u.String(), "", "")
		if resp.StatusCode == 200 || resp.StatusCode >= 500 || strings.Contains(body, "root:") {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
}

// govulncheck reads the server and stops on a malicious module only.
func TestGovulncheckServed(t *testing.T) {
	program := clienttest.Program(t, "govulncheck")
	srv := listServer(t, packageRecord("MAL-2026-1", "Go", "example.com/evil", `"versions": ["v1.2.3"]`))
	for version, exit := range map[string]int{"v1.2.3": 3, "v1.2.4": 0} {
		proxy := clienttest.GoProxy(t, version, map[string][]byte{"example.com/evil": clienttest.GoModule(t, "example.com/evil", version)})
		dir := clienttest.Tree(t, map[string]string{
			"go.mod":  "module example.org/app\n\ngo 1.21\n\nrequire example.com/evil " + version + "\n",
			"main.go": "package main\n\nimport _ \"example.com/evil\"\n\nfunc main() {}\n",
		})
		clienttest.RunGo(t, dir, proxy, "mod", "tidy")
		cmd := exec.CommandContext(t.Context(), program, "-db", srv.URL+"/govuln", "-scan", "module")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOPROXY=off", "GONOSUMDB=*", "GOFLAGS=-mod=mod -modcacherw", "GOTOOLCHAIN=local", "GOPATH="+filepath.Join(clienttest.Home(dir), "go"), "HOME="+clienttest.Home(dir))
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != exit {
			t.Errorf("%s: exit %d, want %d\n%s", version, code, exit, out)
		}
		if found := strings.Contains(string(out), "MAL-2026-1") && strings.Contains(string(out), srv.URL+"/advisories/MAL-2026-1"); found != (exit == 3) {
			t.Errorf("%s:\n%s", version, out)
		}
		t.Logf("%s", out)
	}
}

// Contract test for NuGet's client, which does not run here: it follows the addresses from the service index on.
func TestNuGetServed(t *testing.T) {
	srv := listServer(t, packageRecord("MAL-2026-7", "NuGet", "Evil.Package", `"versions": ["1.2.3"]`))
	var service struct {
		Resources []struct {
			ID   string `json:"@id"`
			Type string `json:"@type"`
		}
	}
	get := func(url string, into any) {
		resp, body := ask(t, "GET", url, "", "")
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("%s: %d %s", url, resp.StatusCode, body)
		}
		if err := json.Unmarshal([]byte(body), into); err != nil {
			t.Fatal(err)
		}
	}
	get(srv.URL+"/nuget/v3/index.json", &service)
	if len(service.Resources) != 1 || service.Resources[0].Type != "VulnerabilityInfo/6.7.0" {
		t.Fatalf("%+v", service)
	}
	var pages []struct {
		ID string `json:"@id"`
	}
	get(service.Resources[0].ID, &pages)
	if len(pages) != 2 {
		t.Fatalf("%+v", pages)
	}
	var base map[string][]struct {
		Severity      int
		URL, Versions string
	}
	get(pages[0].ID, &base)
	if e := base["evil.package"]; len(e) != 1 || e[0].Severity != 3 || e[0].URL != srv.URL+"/advisories/MAL-2026-7" || e[0].Versions != "[1.2.3, 1.2.3]" {
		t.Errorf("%+v", base)
	}
	var update []any
	get(pages[1].ID, &update)
	if len(update) != 0 {
		t.Errorf("%v", update)
	}
}
