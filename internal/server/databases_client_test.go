package server_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/export"
)

// dbRun runs a client with a home of its own and gives what it writes and its exit status.
func dbRun(t *testing.T, home string, env []string, name string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = home
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CACHE_HOME=" + filepath.Join(home, "cache"), "TMPDIR=" + t.TempDir(), "HTTPS_PROXY=http://127.0.0.1:1"}, env...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// dbPlanted are malicious packages: exact versions, runs of versions, everything.
var dbPlanted = [][4]string{
	{"MAL-2026-1", "npm", "evil-exact", `"versions": ["1.2.3", "1.2.4"]`},
	{"MAL-2026-2", "npm", "@scope/evil-all", dbAll},
	{"MAL-2026-3", "npm", "evil-range", `"ranges": [{"type": "SEMVER", "events": [{"introduced": "1.0.0"}, {"fixed": "2.0.0"}]}]`},
	{"MAL-2026-4", "PyPI", "evil-py", `"versions": ["1.0"]`},
	{"MAL-2026-5", "PyPI", "Evil.Py_Range", `"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}]`},
	{"MAL-2026-6", "Go", "github.com/evil/mod", `"versions": ["1.0.0"]`},
	{"MAL-2026-7", "RubyGems", "evil-gem", `"versions": ["0.1.0"]`},
	{"MAL-2026-8", "Maven", "org.evil:lib", `"versions": ["1.0"]`},
	{"MAL-2026-9", "NuGet", "Evil.Lib", `"versions": ["1.0.0"]`},
	{"MAL-2026-10", "crates.io", "evil-crate", `"versions": ["0.1.0"]`},
}

// dbProject is a project that has the planted packages at the versions, or at harmless ones of the same packages.
func dbProject(t *testing.T, malicious bool) string {
	t.Helper()
	v := func(bad, good string) string {
		if malicious {
			return bad
		}
		return good
	}
	all := v("@scope/evil-all", "@scope/good")
	dir := clienttest.Tree(t, map[string]string{
		"package.json": `{"name": "app", "version": "1.0.0"}`,
		"package-lock.json": `{"name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {
			"": {"name": "app", "version": "1.0.0", "dependencies": {"evil-exact": "*", "` + all + `": "*", "evil-range": "*"}},
			"node_modules/evil-exact": {"version": "` + v("1.2.4", "1.2.5") + `"},
			"node_modules/evil-range": {"version": "` + v("2.0.0-rc.1", "2.0.0") + `"},
			"node_modules/` + all + `": {"version": "0.0.1-beta"}}}`,
		"requirements.txt": "evil-py==" + v("1.0", "1.1") + "\nEvil.Py_Range==" + v("2.0rc1", "2.0") + "\n",
		"go.mod":           "module example.com/app\n\ngo 1.24\n\nrequire github.com/evil/mod " + v("v1.0.0", "v1.0.1") + "\n",
		"Gemfile.lock":     "GEM\n  remote: https://rubygems.org/\n  specs:\n    evil-gem (" + v("0.1.0", "0.2.0") + ")\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  evil-gem\n\nBUNDLED WITH\n   2.5.0\n",
		"pom.xml": `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>com.example</groupId><artifactId>app</artifactId><version>1</version>
			<dependencies><dependency><groupId>org.evil</groupId><artifactId>lib</artifactId><version>` + v("1.0", "1.1") + `</version></dependency></dependencies></project>`,
		"packages.lock.json": `{"version": 1, "dependencies": {"net8.0": {"Evil.Lib": {"type": "Direct", "requested": "[` + v("1.0.0", "2.0.0") + `, )", "resolved": "` + v("1.0.0", "2.0.0") + `", "contentHash": "x"}}}}`,
		"Cargo.lock":         "version = 3\n\n[[package]]\nname = \"evil-crate\"\nversion = \"" + v("0.1.0", "0.2.0") + "\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
	})
	return dir
}

func dbWant() []string {
	var ids []string
	for _, r := range dbPlanted {
		ids = append(ids, r[0])
	}
	slices.Sort(ids)
	return ids
}

// With grype 0.121.3 (database 6.1.10) when this was written.
func TestGrypeClient(t *testing.T) {
	grype := clienttest.Scanner(t, "grype")
	now := time.Now().UTC().Truncate(time.Second) // a database of more than five days is refused
	srv := dbServer(t, now, dbPlanted...)
	version, _, _ := dbRun(t, t.TempDir(), nil, grype, "version")
	t.Log(strings.Join(strings.Fields(version), " "))
	bad, good := dbProject(t, true), dbProject(t, false)

	check := func(t *testing.T, home string, env []string) {
		t.Helper()
		out, errs, status := dbRun(t, home, env, grype, "dir:"+bad, "-o", "json", "--fail-on", "critical")
		var report struct {
			Matches []struct {
				Vulnerability struct{ ID, DataSource, Severity string }
			}
		}
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatalf("%v\n%s\n%s", err, out, errs)
		}
		var ids []string
		for _, m := range report.Matches {
			ids = append(ids, m.Vulnerability.ID)
			if m.Vulnerability.Severity != "Critical" || m.Vulnerability.DataSource != srv.URL+"/advisories/"+m.Vulnerability.ID {
				t.Errorf("%+v", m.Vulnerability)
			}
		}
		slices.Sort(ids)
		if want := dbWant(); status != 2 || !slices.Equal(ids, want) {
			t.Errorf("status %d, %q; want 2, %q\n%s", status, ids, want, errs)
		}
		if out, errs, status := dbRun(t, home, env, grype, "dir:"+good, "--fail-on", "critical"); status != 0 || strings.Contains(out, "MAL-") {
			t.Errorf("clean: status %d\n%s\n%s", status, out, errs)
		}
	}
	t.Run("update", func(t *testing.T) {
		home := t.TempDir()
		check(t, home, []string{"GRYPE_DB_UPDATE_URL=" + srv.URL + "/grype", "GRYPE_CHECK_FOR_APP_UPDATE=false", "GRYPE_DB_CACHE_DIR=" + filepath.Join(home, "malware")})
	})
	t.Run("import", func(t *testing.T) {
		home := t.TempDir()
		_, body := dbGet(t, "GET", srv.URL+"/grype/v6/latest.json")
		var latest struct{ Path string }
		if err := json.Unmarshal([]byte(body), &latest); err != nil {
			t.Fatal(err)
		}
		_, archive := dbGet(t, "GET", srv.URL+"/grype/v6/"+latest.Path)
		at := filepath.Join(home, latest.Path)
		if err := os.WriteFile(at, []byte(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		env := []string{"GRYPE_DB_AUTO_UPDATE=false", "GRYPE_CHECK_FOR_APP_UPDATE=false", "GRYPE_DB_CACHE_DIR=" + filepath.Join(home, "malware")}
		if out, errs, status := dbRun(t, home, env, grype, "db", "import", at); status != 0 {
			t.Fatalf("%d\n%s\n%s", status, out, errs)
		}
		check(t, home, env)
	})
}

// With trivy 0.65.0 (schema 2) when this was written.
func TestTrivyClient(t *testing.T) {
	trivy := clienttest.Scanner(t, "trivy")
	srv := dbServer(t, dbDate, dbPlanted...)
	version, _, _ := dbRun(t, t.TempDir(), nil, trivy, "--version")
	t.Log(strings.Join(strings.Fields(version), " "))
	bad, good := dbProject(t, true), dbProject(t, false)
	base := []string{"fs", "--scanners", "vuln", "--offline-scan", "--skip-version-check", "--disable-telemetry", "--severity", "CRITICAL", "--exit-code", "1", "--cache-dir"}

	check := func(t *testing.T, home, cache string, more ...string) {
		t.Helper()
		args := append(append(slices.Clone(base), cache), more...)
		out, errs, status := dbRun(t, home, nil, trivy, append(args, "--format", "json", bad)...)
		var report struct {
			Results []struct {
				Vulnerabilities []struct {
					VulnerabilityID, Severity string
					References                []string
				}
			}
		}
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatalf("%v\n%s\n%s", err, out, errs)
		}
		var ids []string
		for _, r := range report.Results {
			for _, v := range r.Vulnerabilities {
				ids = append(ids, v.VulnerabilityID)
				if v.Severity != "CRITICAL" || !slices.Equal(v.References, []string{srv.URL + "/advisories/" + v.VulnerabilityID}) {
					t.Errorf("%+v", v)
				}
			}
		}
		slices.Sort(ids)
		if want := dbWant(); status != 1 || !slices.Equal(ids, want) {
			t.Errorf("status %d, %q; want 1, %q\n%s", status, ids, want, errs)
		}
		if out, errs, status := dbRun(t, home, nil, trivy, append(args, good)...); status != 0 || strings.Contains(out, "MAL-") {
			t.Errorf("clean: status %d\n%s\n%s", status, out, errs)
		}
	}
	t.Run("registry", func(t *testing.T) {
		home := t.TempDir()
		check(t, home, filepath.Join(home, "malware"), "--db-repository", strings.TrimPrefix(srv.URL, "http://")+"/trivy-db:2")
	})
	t.Run("cache", func(t *testing.T) {
		home := t.TempDir()
		check(t, home, dbTrivyCache(t, srv.URL), "--skip-db-update")
	})
}

// dbTrivyCache writes the format that is a cache directory.
func dbTrivyCache(t *testing.T, url string) string {
	t.Helper()
	f, _ := export.Find("trivy")
	c, err := export.Load(t.Context(), func(yield func([]byte, error) bool) {
		for _, r := range dbPlanted {
			if !yield([]byte(dbText(r)), nil) {
				return
			}
		}
	}, dbDate)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "cache")
	if err := export.WriteTree(t.Context(), f, c, dir, export.Options{Publisher: "rapsheet", Links: advisory.Links{Base: url + "/advisories"}}); err != nil {
		t.Fatal(err)
	}
	return dir
}
