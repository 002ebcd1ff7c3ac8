package server_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/server"
	"github.com/rapsheet/rapsheet/match"
	"github.com/rapsheet/rapsheet/osv"
)

const (
	npmBulk  = "/-/npm/v1/security/advisories/bulk"
	npmFull  = "/-/npm/v1/security/audits"
	npmQuick = "/-/npm/v1/security/audits/quick"
)

func gzipped(data string) string { return string(clienttest.Gzip([]byte(data))) }

func withdraw(doc string) string {
	return strings.Replace(doc, `"affected"`, `"withdrawn": "2026-01-02T00:00:00Z", "affected"`, 1)
}

const everyVersion = `"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]`

func npmDocs() []string {
	return []string{
		packageRecord("MAL-2026-1", "npm", "evil-pkg", `"versions": ["1.2.3", "1.2.4"]`),
		packageRecord("MAL-2026-2", "npm", "@scope/bad", everyVersion),
		packageRecord("MAL-2026-3", "npm", "ranged", `"ranges": [{"type": "SEMVER", "events": [{"introduced": "1.0.0"}, {"fixed": "2.0.0"}]}], "versions": ["3.0.0-beta.1"]`),
		packageRecord("MAL-2026-4", "npm", "twice", `"versions": ["1.0.0"]`),
		packageRecord("MAL-2026-5", "npm", "twice", `"versions": ["1.0.0", "1.1.0"]`),
		packageRecord("MAL-2026-6", "npm", "odd", `"versions": ["1.0 || *", ">0", "*", "1.2.3"]`),
		withdraw(packageRecord("MAL-2026-7", "npm", "withdrawn", everyVersion)),
		packageRecord("MAL-2026-8", "PyPI", "pythonic", everyVersion),
	}
}

// npmID is what a client that remembers ids has to get from every later version, too: 1<<52 | sha256("MAL-2026-1\x00evil-pkg")>>204.
const npmID = 8618465423410289

type npmGot struct {
	ID       int64 `json:"id"`
	URL      string
	Title    string
	Severity string
	Versions string `json:"vulnerable_versions"`
}

// Requests are those recorded of npm 11.19.1, pnpm 12.21.0 and bun 1.4.5.
func TestNPMBulk(t *testing.T) {
	srv := npmServer(t, "", nil, npmDocs()...)
	for _, tt := range []struct {
		name, body string
		want       string // "name: record versions", sorted
	}{
		{"as recorded", `{"evil-pkg":["1.2.3"],"good":["1.0.0"],"@scope/bad":["1.0.0"]}`, "@scope/bad: MAL-2026-2 *, evil-pkg: MAL-2026-1 1.2.3 || 1.2.4"},
		{"nothing", `{}`, ""},
		{"no hit", `{"evil-pkg":["1.2.2","1.2.5"],"good":["1.2.3"]}`, ""},
		{"no version", `{"evil-pkg":[],"@scope/bad":[]}`, ""},
		{"some of those asked", `{"evil-pkg":["1.2.2","1.2.4"]}`, "evil-pkg: MAL-2026-1 1.2.3 || 1.2.4"},
		{"in a range", `{"ranged":["1.5.0","2.0.0"]}`, "ranged: MAL-2026-3 3.0.0-beta.1 || >=1.0.0 <2.0.0 || 1.5.0"},
		{"a pre-release", `{"ranged":["3.0.0-beta.1","3.0.0"]}`, "ranged: MAL-2026-3 3.0.0-beta.1 || >=1.0.0 <2.0.0"},
		{"two records", `{"twice":["1.0.0"]}`, "twice: MAL-2026-4 1.0.0, twice: MAL-2026-5 1.0.0 || 1.1.0"},
		{"a version that is a range is in no answer", `{"odd":["1.0 || *", ">0", "*"]}`, "odd: MAL-2026-6 1.2.3"},
		{"a version in another spelling", `{"evil-pkg":["v1.2.3","1.2.3+build"]}`, "evil-pkg: MAL-2026-1 1.2.3 || 1.2.4 || v1.2.3 || 1.2.3+build"},
		{"a held name", `{"@scope/bad":["0.0.1-security"]}`, ""},
		{"a held name beside a bad version", `{"@scope/bad":["0.0.1-security","1.0.0"]}`, "@scope/bad: MAL-2026-2 1.0.0"},
		{"withdrawn and elsewhere", `{"withdrawn":["1.0.0"],"pythonic":["1.0.0"]}`, ""},
		{"names are data", `{"__proto__":["1.0.0"],"constructor":["1"],"":["1.0.0"],"..":["1"],"a\u0000":["1"],"EVIL-PKG":["1.2.3"],"evil\u202e":["1"]}`, ""},
		{"another time the same", `{"evil-pkg":["1.2.3","1.2.3"]}`, "evil-pkg: MAL-2026-1 1.2.3 || 1.2.4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, path := range []string{npmBulk, "/npm" + npmBulk} {
				for _, header := range [][]string{{"Content-Encoding", "gzip"}, {"Content-Encoding", "identity"}, nil} {
					body := tt.body
					if len(header) > 0 && header[1] == "gzip" {
						body = gzipped(body)
					}
					resp, text := ask(t, "POST", srv.URL+path, "application/json", body, header...)
					if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Rapsheet-Upstream") != "" {
						t.Fatalf("%d %v %s", resp.StatusCode, resp.Header, text)
					}
					if got := npmLines(t, srv.URL, text); got != tt.want {
						t.Errorf("%s\nwant %s", got, tt.want)
					}
				}
			}
		})
	}
	_, text := ask(t, "POST", srv.URL+npmBulk, "application/json", `{"evil-pkg":["1.2.3"]}`)
	want := fmt.Sprintf(`{"evil-pkg":[{"id":%d,"url":"%s/advisories/MAL-2026-1","title":"Malicious code in evil-pkg (npm)","severity":"critical","vulnerable_versions":"1.2.3 || 1.2.4","cwe":["CWE-506"],"cvss":{"score":0,"vectorString":null}}]}`, npmID, srv.URL)
	if text != want {
		t.Errorf("%s\nwant %s", text, want)
	}
}

// npmLines is a bulk answer as "name: record versions", once everything else in it is as it must be.
func npmLines(t *testing.T, base, text string) string {
	t.Helper()
	var got map[string][]npmGot
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%v %s", err, text)
	}
	var lines []string
	ids := map[int64]bool{}
	for name, list := range got {
		for _, a := range list {
			id, ok := strings.CutPrefix(a.URL, base+"/advisories/")
			if !ok || a.Severity != "critical" || a.Title != "Malicious code in "+name+" (npm)" || ids[a.ID] || a.ID < 1<<52 || a.ID > 1<<53-1 {
				t.Errorf("%+v", a)
			}
			ids[a.ID] = true
			lines = append(lines, fmt.Sprintf("%s: %s %s", name, id, a.Versions))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

// The ranges that are answered mean to node-semver, as npm asks it, what [match.Judge] finds.
func TestNPMRanges(t *testing.T) {
	npm := clienttest.Script(t, "npm11/bin/npm-cli.js")
	asked := []string{"0.0.0-0", "0.9.9", "1.0.0-alpha", "1.0.0-rc.1", "1.0.0", "1.2.2", "1.2.3-beta", "1.2.3", "1.2.3+build", "1.2.4-0", "1.2.4", "1.10.0", "2.0.0-0", "2.0.0-beta.2", "2.0.0", "v2.0.1", "3.0.0-beta.1", "3.0.0", "10.0.0"}
	affected := []string{
		`"versions": ["1.2.3"]`, `"versions": ["1.0.0-rc.1", "v1.10.0", "2.0.1"]`, everyVersion,
		`"ranges": [{"type": "SEMVER", "events": [{"introduced": "1.0.0"}, {"fixed": "2.0.0"}]}]`,
		`"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"last_affected": "1.2.3"}]}, {"type": "SEMVER", "events": [{"introduced": "2.0.0-beta.2"}]}]`,
		`"ranges": [{"type": "SEMVER", "events": [{"introduced": "1.0.0-alpha"}, {"fixed": "1.0.0"}]}, {"type": "SEMVER", "events": [{"introduced": "1.2.3-beta"}, {"last_affected": "1.2.4"}]}], "versions": ["10.0.0", "1.1"]`,
	}
	var docs []string
	for i, a := range affected {
		docs = append(docs, packageRecord(fmt.Sprintf("MAL-2026-%d", i+1), "npm", fmt.Sprintf("p%d", i), a))
	}
	srv, ix := npmServer(t, "", nil, docs...), memory(t, docs...)
	defer ix.Close()
	const script = `const semver = require(process.argv[1]); const { ranges, versions } = JSON.parse(require("fs").readFileSync(0));
console.log(JSON.stringify(ranges.map(r => versions.map(v => semver.satisfies(v, r, { includePrerelease: true, loose: true })))))`
	var ranges []string
	for i := range affected {
		name := fmt.Sprintf("p%d", i)
		body, err := json.Marshal(map[string][]string{name: asked})
		if err != nil {
			t.Fatal(err)
		}
		_, text := ask(t, "POST", srv.URL+npmBulk, "application/json", string(body))
		var got map[string][]npmGot
		if err := json.Unmarshal([]byte(text), &got); err != nil || len(got[name]) != 1 {
			t.Fatalf("%v %s", err, text)
		}
		ranges = append(ranges, got[name][0].Versions)
	}
	in, err := json.Marshal(map[string][]string{"ranges": ranges, "versions": asked})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "-e", script, filepath.Join(filepath.Dir(npm), "../node_modules/semver"))
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got [][]bool
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for i := range affected {
		key, _ := ecosystem.KeyOf(rapsheet.Package{Ecosystem: "npm", Name: fmt.Sprintf("p%d", i)})
		records, err := ix.Lookup(key)
		if err != nil || len(records) != 1 {
			t.Fatal(err, len(records))
		}
		for j, v := range asked {
			s := rapsheet.Sighting{Package: rapsheet.Package{Ecosystem: "npm", Name: key.Name, Version: v}}
			if want := match.Judge(&records[0], &s).Verdict != rapsheet.VerdictNone; got[i][j] != want {
				t.Errorf("%s in %s: %v, want %v", v, ranges[i], got[i][j], want)
			}
		}
	}
}

// Bodies are those recorded of npm 6.14.18 and 10.9.9, pnpm 10.34.9 and Yarn 3.8.7.
func TestNPMTree(t *testing.T) {
	srv := npmServer(t, "", nil, npmDocs()...)
	deep := strings.Repeat(`{"dependencies":{"a":`, 400) + `{"version":"1.0.0","dependencies":{"evil-pkg":{"version":"1.2.3"}}}` + strings.Repeat(`}}`, 400)
	for _, tt := range []struct {
		name, body, want string // "record version path,path; …" for each finding, by record
		packages         int
	}{
		{"npm 6", `{"name":"proj","version":"1.0.0","requires":{"evil-pkg":"1.2.3"},"dependencies":{"evil-pkg":{"version":"1.2.3","integrity":"sha512-AAAA"}},"install":[],"remove":[],"metadata":{"npm_version":"6.14.18","node_version":"v20.20.2","platform":"linux"}}`, "MAL-2026-1 1.2.3 evil-pkg", 1},
		{"npm 10 after a 404", `{"name":"proj","version":"1.0.0","requires":{"@scope/bad":"1.0.0","evil-pkg":"1.2.3","good":"1.0.0"},"metadata":{"arch":"x64"}}`, "", 0},
		{"pnpm", `{"dependencies":{".":{"dependencies":{"evil-pkg":{"dev":false,"integrity":"sha512-AAAA","version":"1.2.3"}},"dev":false,"requires":{"evil-pkg":"1.2.3"},"version":"1.0.0"}},"dev":false,"install":[],"metadata":{},"remove":[],"requires":{".":"1.0.0"}}`, "MAL-2026-1 1.2.3 .>evil-pkg", 2},
		{"yarn 3", `{"requires":{"evil-pkg":"1.2.3"},"dependencies":{"proj":{"version":"1.0.0","requires":{},"dev":false},"evil-pkg":{"version":"1.2.3","integrity":"17fa","requires":{},"dev":false}}}`, "MAL-2026-1 1.2.3 evil-pkg", 2},
		{"the version comes last", `{"dependencies":{"a":{"dependencies":{"evil-pkg":{"x":[1,{"dependencies":1}],"version":"1.2.3"}},"version":"1.0.0"}}}`, "MAL-2026-1 1.2.3 a>evil-pkg", 2},
		{"in two places, two versions", `{"dependencies":{"a":{"version":"1.0.0","dependencies":{"evil-pkg":{"version":"1.2.3"}}},"b":{"version":"1.0.0","dependencies":{"evil-pkg":{"version":"1.2.3"}}},"evil-pkg":{"version":"1.2.4"},"c":{"dependencies":{"evil-pkg":{"version":"1.2.5"}}}}}`, "MAL-2026-1 1.2.3 a>evil-pkg,b>evil-pkg; MAL-2026-1 1.2.4 evil-pkg", 6},
		{"an alias", `{"dependencies":{"alias":{"version":"npm:evil-pkg@1.2.3"},"scoped":{"version":"npm:@scope/bad@1.0.0"},"evil-pkg":{"version":"npm:good@1.2.3"}}}`, "MAL-2026-1 1.2.3 alias; MAL-2026-2 1.0.0 scoped", 3},
		{"an archive of a registry", `{"dependencies":{"x":{"version":"https://registry.npmjs.org/evil-pkg/-/evil-pkg-1.2.3.tgz"}}}`, "MAL-2026-1 1.2.3 x", 1},
		{"not of a registry", `{"dependencies":{"@scope/bad":{"version":"git+https://example.org/x.git#abc"},"evil-pkg":{"version":"file:1.2.3"}}}`, "", 2},
		{"as deep as pnpm nests", deep, "MAL-2026-1 1.2.3 " + strings.Repeat("a>", 400) + "evil-pkg", 2},
		{"members that are no versions", `{"version":"1.2.3","dependencies":{"evil-pkg":{"version":null},"@scope/bad":{"version":true,"dependencies":false}}}`, "", 0},
		{"empty", `{}`, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, path := range []string{npmFull, npmQuick, "/npm" + npmFull, "/npm" + npmQuick} {
				resp, text := ask(t, "POST", srv.URL+path, "application/json", gzipped(tt.body), "Content-Encoding", "gzip")
				var got struct {
					Actions []struct {
						Module   string
						Resolves []struct {
							ID   int64
							Path string
						}
					}
					Advisories map[string]struct {
						npmGot
						Module   string `json:"module_name"`
						GitHub   string `json:"github_advisory_id"`
						Findings []struct {
							Version string
							Paths   []string
						}
					}
					Muted    []any
					Metadata struct {
						Vulnerabilities   map[string]int
						TotalDependencies int
					}
				}
				if err := json.Unmarshal([]byte(text), &got); err != nil || resp.StatusCode != 200 || got.Actions == nil || got.Advisories == nil || got.Muted == nil {
					t.Fatalf("%v %d %s", err, resp.StatusCode, text)
				}
				var lines []string
				paths, resolved := 0, 0
				for id, a := range got.Advisories {
					if fmt.Sprint(a.ID) != id || a.Severity != "critical" || a.URL != srv.URL+"/advisories/"+a.GitHub || a.Title != "Malicious code in "+a.Module+" (npm)" {
						t.Errorf("%+v", a)
					}
					for _, f := range a.Findings {
						lines = append(lines, fmt.Sprintf("%s %s %s", a.GitHub, f.Version, strings.Join(f.Paths, ",")))
						paths += len(f.Paths)
					}
				}
				for _, a := range got.Actions {
					resolved += len(a.Resolves)
				}
				slices.Sort(lines)
				if line := strings.Join(lines, "; "); line != tt.want {
					t.Errorf("%s\nwant %s", line, tt.want)
				}
				if got.Metadata.TotalDependencies != tt.packages || got.Metadata.Vulnerabilities["critical"] != paths || resolved != paths {
					t.Errorf("%+v, %d paths in findings, %d in actions", got.Metadata, paths, resolved)
				}
			}
		})
	}
}

// What is not an audit is refused, with words that have nothing of the body in them.
func TestNPMRefuses(t *testing.T) {
	srv := npmServer(t, "", nil, npmDocs()...)
	const secret = "s3cr3t"
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"p%d":["1"]`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	for _, tt := range []struct {
		name, path, body, encoding string
		status                     int
	}{
		{"A1 empty", npmBulk, "", "", 400},
		{"A2 white space", npmBulk, " \n", "", 400},
		{"A3 null", npmBulk, "null", "", 400},
		{"A4 an array", npmBulk, `["` + secret + `"]`, "", 400},
		{"A6 two objects", npmBulk, `{}{}`, "", 400},
		{"A6 trailing garbage", npmFull, `{} ` + secret, "", 400},
		{"A7 a name twice", npmBulk, `{"` + secret + `":["1"],"` + secret + `":["2"]}`, "", 400},
		{"A7 a member twice", npmFull, `{"dependencies":{},"dependencies":{"evil-pkg":{"version":"1.2.3"}}}`, "", 400},
		{"A10 no UTF-8", npmBulk, "{\"" + secret + "\xff\":[\"1\"]}", "", 400},
		{"A11 half a surrogate", npmBulk, `{"\ud800":["1"]}`, "", 400},
		{"A13 a byte order mark", npmBulk, "\ufeff{}", "", 400},
		{"A14 UTF-16", npmBulk, "\xff\xfe{\x00}\x00", "", 400},
		{"A15 deep", npmBulk, `{"` + secret + `":` + strings.Repeat("[", 100_000), "", 400},
		{"A15 deep packages", npmFull, strings.Repeat(`{"dependencies":{"a":`, 1_100) + "{}" + strings.Repeat("}}", 1_100), "", 400},
		{"A15 deep elsewhere", npmFull, `{"x":` + strings.Repeat(`{"x":`, 100_000), "", 400},
		{"A18 what nobody asked for", npmFull, `{"x":[` + strings.Repeat("[],", 100_000) + `[]]}`, "", 200},
		{"versions that are no array", npmBulk, `{"` + secret + `":"1.2.3"}`, "", 400},
		{"a version that is a number", npmBulk, `{"evil-pkg":[1.2]}`, "", 400},
		{"a version that is an array", npmBulk, `{"evil-pkg":[["1.2.3"]]}`, "", 400},
		{"a package that is a string", npmFull, `{"dependencies":{"evil-pkg":"` + secret + `"}}`, "", 400},
		{"B44 a bomb", npmBulk, gzipped(strings.Repeat(" ", 1<<21-10) + "{}"), "gzip", 413},
		{"larger than the limit", npmBulk, gzipped(`{"a":["` + strings.Repeat("ab", 1<<20) + `"]}`), "gzip", 413},
		{"larger than the limit, plain", npmBulk, `{"a":["` + strings.Repeat("ab", 1<<20) + `"]}`, "", 413},
		{"C70 gzip in gzip", npmBulk, gzipped(gzipped("{}")), "gzip", 400},
		{"not gzip", npmBulk, "{}", "gzip", 400},
		{"gzip cut short", npmBulk, gzipped(`{"a":["1"]}`)[:20], "gzip", 400},
		{"B51 gzip and then something", npmBulk, gzipped(`{}`) + secret, "gzip", 400},
		{"zstd", npmBulk, "\x28\xb5\x2f\xfd", "zstd", 415},
		{"two encodings", npmBulk, gzipped("{}"), "gzip, gzip", 415},
		{"F101 many names", npmBulk, many(100_001), "", 413},
		{"F101 many versions", npmBulk, `{"x":["` + strings.Repeat(`1","`, 100_001) + `1"]}`, "", 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var header []string
			if tt.encoding != "" {
				header = []string{"Content-Encoding", tt.encoding}
			}
			resp, text := ask(t, "POST", srv.URL+tt.path, "application/json", tt.body, header...)
			if resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != "application/json" || !json.Valid([]byte(text)) {
				t.Errorf("%d %s, want %d", resp.StatusCode, text, tt.status)
			}
			if strings.Contains(text, secret) {
				t.Error(text)
			}
		})
	}
	for end := range len(`{"evil-pkg":["1.2.3"]}`) {
		if resp, text := ask(t, "POST", srv.URL+npmBulk, "application/json", `{"evil-pkg":["1.2.3"]}`[:end]); resp.StatusCode != 400 {
			t.Errorf("A5 cut at %d: %d %s", end, resp.StatusCode, text)
		}
	}
	for path, want := range map[string]int{"/npm/evil-pkg": 404, "/evil-pkg": 404, "/npm" + npmBulk: 405, "/npm/": 404, "/npm/evil-pkg/-/evil-pkg-1.0.0.tgz": 404} {
		if resp, text := ask(t, "GET", srv.URL+path, "", ""); resp.StatusCode != want {
			t.Errorf("%s without an upstream: %d %s", path, resp.StatusCode, text)
		}
	}
}

// A worst case of what is answered: as many paths and versions as a body of 2 MiB can ask for.
func TestNPMAnswersAreBounded(t *testing.T) {
	versions := make([]string, 1000)
	for i := range versions {
		versions[i] = fmt.Sprintf("%q", fmt.Sprintf("1.0.%d", i))
	}
	var docs []string
	var names strings.Builder
	for i := range 300 {
		docs = append(docs, packageRecord(fmt.Sprintf("MAL-2026-%d", i+1), "npm", fmt.Sprintf("p%d", i), `"versions": [`+strings.Join(versions, ",")+`]`))
		fmt.Fprintf(&names, `,"p%d":["1.0.7"]`, i)
	}
	srv := npmServer(t, "", nil, docs...)
	if resp, text := ask(t, "POST", srv.URL+npmBulk, "application/json", "{"+names.String()[1:]+"}"); resp.StatusCode != 200 || len(text) > 3<<20 || strings.Count(text, "1.0.7") < 300 {
		t.Errorf("%d, %d bytes", resp.StatusCode, len(text))
	}
	var body strings.Builder
	for i := range 15_000 {
		fmt.Fprintf(&body, `,"%d":{"version":"1","dependencies":{"p0":{"version":"1.0.7"}}}`, i)
	}
	chain := strings.Repeat(`{"dependencies":{"`+strings.Repeat("x", 1000)+`":`, 900)
	for _, b := range []string{`{"dependencies":{` + body.String()[1:] + `}}`, chain + `{"dependencies":{` + body.String()[1:] + `}}` + strings.Repeat(`}}`, 900)} {
		resp, text := ask(t, "POST", srv.URL+npmFull, "application/json", b)
		if resp.StatusCode != 200 || len(text) > 16<<20 || !strings.Contains(text, `\u003ep0"`) {
			t.Errorf("%d, %d bytes", resp.StatusCode, len(text))
		}
	}
}

func FuzzNPMAudit(f *testing.F) {
	f.Add([]byte(`{"evil-pkg":["1.2.3"],"good":["1.0.0"],"@scope/bad":["1.0.0"]}`), false)
	f.Add([]byte(`{"requires":{"evil-pkg":"1.2.3"},"dependencies":{"evil-pkg":{"version":"1.2.3"},"a":{"version":"npm:odd@1.2.3","dependencies":{}}}}`), true)
	f.Add([]byte(`{"odd":["1.0 || *"],"ranged":["1.0.0"]}`), false)
	s := server.New(server.Config{Public: "http://list.example", Spool: f.TempDir()})
	if err := s.Swap(memory(f, npmDocs()...)); err != nil {
		f.Fatal(err)
	}
	h := s.Handler()
	f.Fuzz(func(t *testing.T, body []byte, tree bool) {
		path := npmBulk
		if tree {
			path = npmFull
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body)))
		if (w.Code != 200 && w.Code != 400 && w.Code != 413) || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w.Code == 200 && !json.Valid(body) {
			t.Fatal("answered what is not JSON")
		}
	})
}

// BenchmarkNPMBulk answers an audit of 20,000 packages, of which some are on record: in a catalog of 20,000, and in the snapshot of
// RAPSHEET_BENCH.
func BenchmarkNPMBulk(b *testing.B) {
	const asked = 20_000
	bench := func(ix *index.Index, evil []string) func(*testing.B) {
		return func(b *testing.B) {
			s := server.New(server.Config{Public: "http://list.example", Spool: b.TempDir()})
			defer s.Close()
			if err := s.Swap(ix); err != nil {
				b.Fatal(err)
			}
			question := map[string][]string{}
			for _, name := range evil {
				question[name] = []string{"1.2.3"}
			}
			for i := range asked - len(evil) {
				question[fmt.Sprintf("%x-clean-package", sha256.Sum256([]byte{byte(i), byte(i >> 8)}))[:20]] = []string{"1.2.3"}
			}
			body, err := json.Marshal(question)
			if err != nil {
				b.Fatal(err)
			}
			packed := gzipped(string(body))
			h := s.Handler()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, npmBulk, strings.NewReader(packed))
				r.Header.Set("Content-Encoding", "gzip")
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != 200 || strings.Count(w.Body.String(), "vulnerable_versions") < len(evil) {
					b.Fatal(w.Code)
				}
			}
		}
	}
	var docs, names []string
	for i := range asked {
		names = append(names, fmt.Sprintf("evil-package-%d", i))
		docs = append(docs, packageRecord(fmt.Sprintf("MAL-2026-%d", i+1), "npm", names[i], `"versions": ["1.2.3"], "database_specific": {"x": "`+strings.Repeat("y", 300)+`"}`))
	}
	for _, hits := range []int{0, 20, asked} {
		b.Run(fmt.Sprintf("hits=%d", hits), bench(memory(b, docs...), names[:hits]))
	}
	ix, err := index.Open(filepath.Join(os.Getenv("RAPSHEET_BENCH"), "catalog.idx"))
	if err != nil {
		b.Logf("without a large snapshot: %v", err)
		return
	}
	names = nil
	for doc, err := range ix.Documents() {
		if err != nil {
			b.Fatal(err)
		}
		rec, _, err := osv.Parse(doc)
		if err != nil {
			b.Fatal(err)
		}
		all := rec.Affected[0].Ranges
		if rec.Affected[0].Package.Ecosystem == "npm" && len(all) == 1 && len(all[0].Events) == 1 && all[0].Events[0].Introduced == "0" && !rec.IsWithdrawn() {
			if names = append(names, rec.Affected[0].Package.Name); len(names) == 20 {
				break
			}
		}
	}
	b.Run(fmt.Sprintf("snapshot/hits=%d", len(names)), bench(ix, names))
}
