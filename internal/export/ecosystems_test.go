package export_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"golang.org/x/mod/semver"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/export"
	"github.com/rapsheet/rapsheet/internal/indextest"
	"github.com/rapsheet/rapsheet/match"
)

const (
	everything = `"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]`
	hostile    = "--- !ruby/object:Gem::Installer\\n\\\"\\u001b[2J\\u202e: *x\\n```\\n[advisory]\\nid = 'X'"
)

// packageRecord is one about a package, the rest of it as JSON of the affected entry.
func packageRecord(id, eco, name, affected string) string {
	return fmt.Sprintf(`{"schema_version": "1.7.4", "id": %q, "modified": "2026-01-02T00:00:00Z", "published": "2026-01-01T00:00:00Z",
		"details": "Steals credentials.", "affected": [{"package": {"ecosystem": %q, "name": %q}, %s}]}`, id, eco, name, affected)
}

func versions(list ...string) string {
	data, err := json.Marshal(list)
	if err != nil {
		panic(err)
	}
	return `"versions": ` + string(data)
}

func loadDated(t testing.TB, docs ...string) *export.Catalog {
	t.Helper()
	c, err := export.Load(t.Context(), func(yield func([]byte, error) bool) {
		for _, d := range docs {
			if !yield([]byte(d), nil) {
				return
			}
		}
	}, time.Date(2026, 1, 3, 4, 5, 6, 7, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// exportTree writes a format and gives the directory.
func exportTree(t testing.TB, format, over string, docs ...string) (string, error) {
	t.Helper()
	f, ok := export.Find(format)
	if !ok {
		t.Fatalf("no format %s", format)
	}
	dir := filepath.Join(t.TempDir(), "out")
	return dir, export.WriteTree(t.Context(), f, loadDated(t, docs...), dir, export.Options{
		Links: advisory.Links{Base: "https://list.example/advisories"}, Publisher: "Acme", Over: over, Server: "https://list.example/nuget/v3",
	})
}

func mustTree(t testing.TB, format, over string, docs ...string) string {
	t.Helper()
	dir, err := exportTree(t, format, over, docs...)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// contents gives the files below dir by their paths, without the marker.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == export.Marker {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantFile(t *testing.T, files map[string]string, name, want string) {
	t.Helper()
	if got, ok := files[name]; !ok || got != want {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
	}
}

// The layout is that of https://go.dev/doc/security/vuln/database#api, the successors those of https://semver.org/#spec-item-11.
func TestGoVulnDB(t *testing.T) {
	files := contents(t, mustTree(t, "go-vulndb", "",
		packageRecord("MAL-2026-1", "Go", "example.com/Evil", versions("v1.2.3", "1.2.4", "v0.0.0-20240101000000-abcdefabcdef", "branch")),
		packageRecord("MAL-2026-2", "Go", "example.com/all", everything),
		packageRecord("MAL-2026-3", "Go", "example.com/run", `"ranges": [{"type": "SEMVER", "events": [{"introduced": "1.0.0"}, {"last_affected": "1.5.0-rc.1"}, {"introduced": "2.0.0"}]}]`),
		packageRecord("MAL-2026-4", "Go", "example.com/unsayable", versions("branch")),
		packageRecord("MAL-2026-5", "npm", "example.com/npm", everything),
		strings.Replace(packageRecord("MAL-2026-6", "Go", "example.com/withdrawn", everything), `"details"`, `"withdrawn": "2026-01-02T00:00:00Z", "details"`, 1),
	))
	wantFile(t, files, "index/db.json", `{"modified":"2026-01-03T04:05:06Z"}`)
	wantFile(t, files, "index/modules.json", `[{"path":"example.com/Evil","vulns":[{"id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z","fixed":"1.2.5-0"}]},`+
		`{"path":"example.com/all","vulns":[{"id":"MAL-2026-2","modified":"2026-01-02T00:00:00Z"}]},`+
		`{"path":"example.com/run","vulns":[{"id":"MAL-2026-3","modified":"2026-01-02T00:00:00Z"}]}]`)
	wantFile(t, files, "index/vulns.json", `[{"id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z"},{"id":"MAL-2026-2","modified":"2026-01-02T00:00:00Z"},{"id":"MAL-2026-3","modified":"2026-01-02T00:00:00Z"}]`)
	wantFile(t, files, "ID/MAL-2026-1.json", `{"schema_version":"1.7.4","id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z","published":"2026-01-01T00:00:00Z",`+
		`"summary":"Malicious code in example.com/Evil (Go)","details":"Steals credentials.","affected":[{"package":{"name":"example.com/Evil","ecosystem":"Go"},`+
		`"ranges":[{"type":"SEMVER","events":[{"introduced":"0.0.0-20240101000000-abcdefabcdef"},{"fixed":"0.0.0-20240101000000-abcdefabcdef.0"},{"introduced":"1.2.3"},{"fixed":"1.2.4-0"},{"introduced":"1.2.4"},{"fixed":"1.2.5-0"}]}],`+
		`"ecosystem_specific":{}}],"references":[{"type":"ADVISORY","url":"https://list.example/advisories/MAL-2026-1"}],"database_specific":{"url":"https://list.example/advisories/MAL-2026-1"}}`)
	if got := files["ID/MAL-2026-3.json"]; !strings.Contains(got, `[{"introduced":"1.0.0"},{"fixed":"1.5.0-rc.1.0"},{"introduced":"2.0.0"}]`) {
		t.Error(got)
	}
	if len(files) != 2*(3+3) {
		t.Errorf("%d files", len(files))
	}
	for name, data := range files {
		if plain, ok := strings.CutSuffix(name, ".gz"); ok {
			z, err := gzip.NewReader(strings.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(z); err != nil || string(got) != files[plain] {
				t.Errorf("%s is not %s: %v", name, plain, err)
			}
		}
	}
}

func TestRubyAdvisoryDB(t *testing.T) {
	files := contents(t, mustTree(t, "ruby-advisory-db", "",
		packageRecord("MAL-2026-1", "RubyGems", "evil-gem", versions("1.2.4", "1.2.3", "1.2.3.0", "not a version")),
		packageRecord("MAL-2026-2", "RubyGems", "all_gem", everything),
		packageRecord("MAL-2026-3", "RubyGems", "only-text", versions("not a version")),
	))
	wantFile(t, files, "gems/evil-gem/MAL-2026-1.yml", `---
gem: "evil-gem"
url: "https://list.example/advisories/MAL-2026-1"
title: "Malicious code in evil-gem (RubyGems)"
date: 2026-01-01
description: "Steals credentials."
unaffected_versions:
  - "< 1.2.3"
  - "> 1.2.3, < 1.2.4"
  - "> 1.2.4"
`)
	if got := files["gems/all_gem/MAL-2026-2.yml"]; got == "" || strings.Contains(got, "versions") {
		t.Error(got)
	}
	if len(files) != 2 {
		t.Errorf("%d files: what cannot be said was said", len(files))
	}
}

// The layout is that of https://github.com/rustsec/advisory-db#advisory-format. Numbers above 64 bits would make the whole database unreadable.
func TestRustSec(t *testing.T) {
	files := contents(t, mustTree(t, "rustsec", "",
		packageRecord("MAL-2026-1", "crates.io", "evil-crate", versions("1.2.3", "v1.2.5", "99999999999999999999.0.0")),
		packageRecord("MAL-2026-2", "crates.io", "all", everything),
		packageRecord("MAL-2026-3", "crates.io", "huge", versions("99999999999999999999.0.0")),
	))
	wantFile(t, files, "crates/evil-crate/MAL-2026-1.md", "```toml\n"+`[advisory]
id = "MAL-2026-1"
package = "evil-crate"
date = "2026-01-01"
url = "https://list.example/advisories/MAL-2026-1"
categories = ["malicious"]
expect-deleted = true
references = []

[versions]
patched = []
unaffected = ["< 1.2.3", "> 1.2.3, < 1.2.5", "> 1.2.5"]
`+"```\n\n# Malicious code in evil-crate (crates.io)\n\n    Steals credentials.\n")
	if got := files["crates/all/MAL-2026-2.md"]; got == "" || strings.Contains(got, "unaffected") {
		t.Error(got)
	}
	if len(files) != 2 {
		t.Errorf("%d files", len(files))
	}
}

// Contract test for NuGet's client, which does not run here: https://learn.microsoft.com/nuget/api/vulnerability-info.
func TestNuGet(t *testing.T) {
	files := contents(t, mustTree(t, "nuget", "",
		packageRecord("MAL-2026-7", "NuGet", "Evil.Package", versions("1.2.3", "1.2.04.0", "1.3+meta", "2.0.0.1-Beta", "2147483648.0.0")),
		packageRecord("MAL-2026-8", "NuGet", "evil.package", `"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "9.0"}]}]`),
		packageRecord("MAL-2026-9", "NuGet", "All", everything),
	))
	wantFile(t, files, "index.json", `{"version":"3.0.0","resources":[{"@id":"https://list.example/nuget/v3/vulnerabilities/index.json","@type":"VulnerabilityInfo/6.7.0","comment":"known malicious packages"}]}`)
	var pages []struct {
		Name    string `json:"@name"`
		ID      string `json:"@id"`
		Updated string `json:"@updated"`
	}
	if err := json.Unmarshal([]byte(files["vulnerabilities/index.json"]), &pages); err != nil || len(pages) != 2 || pages[0].Name != "base" || pages[1].Name != "update" {
		t.Fatalf("%v %+v", err, pages)
	}
	page := func(i int) string {
		if pages[i].Updated != "2026-01-03T04:05:06Z" {
			t.Errorf("updated %s", pages[i].Updated)
		}
		return files[strings.TrimPrefix(pages[i].ID, "https://list.example/nuget/v3/")]
	}
	one := func(id, versions string) string {
		return fmt.Sprintf(`{"severity":3,"url":"https://list.example/advisories/%s","versions":%q}`, id, versions)
	}
	want := `{"all":[` + one("MAL-2026-9", "(, )") + `],"evil.package":[` + strings.Join([]string{
		one("MAL-2026-8", "[9.0.0, )"), one("MAL-2026-7", "[2.0.0.1-Beta, 2.0.0.1-Beta]"), one("MAL-2026-7", "[1.3.0, 1.3.0]"),
		one("MAL-2026-7", "[1.2.4, 1.2.4]"), one("MAL-2026-7", "[1.2.3, 1.2.3]"), one("MAL-2026-8", "(, 1.0.0)"),
	}, ",") + `]}`
	if got := page(0); got != want {
		t.Errorf("base\n%s\nwant\n%s", got, want)
	}
	if got := page(1); got != "[]" {
		t.Errorf("update %s", got)
	}
	// A page without packages is an array, not an object.
	files = contents(t, mustTree(t, "nuget", ""))
	if len(files) != 4 || !slices.ContainsFunc(slices.Collect(func(yield func(string) bool) {
		for name, data := range files {
			if strings.Contains(name, "base-") && !yield(data) {
				return
			}
		}
	}), func(s string) bool { return s == "[]" }) {
		t.Errorf("%v", files)
	}
}

// A name is data: none of these makes a directory, and nothing is written beside the tree.
func TestHostileNames(t *testing.T) {
	names := []string{"..", ".", "../../../../etc/cron.d/x", "/etc/x", "a/../../b", `a\b`, "a*", "{a,b}", "ü", "a:b", strings.Repeat("a", 300)}
	var docs []string
	for i, n := range names {
		for j, eco := range []string{"RubyGems", "crates.io", "Go", "NuGet"} {
			doc := packageRecord(fmt.Sprintf("MAL-2026-%d%d", i+1, j), eco, "x", everything)
			name, err := json.Marshal(n)
			if err != nil {
				t.Fatal(err)
			}
			doc = strings.Replace(doc, `"name": "x"`, `"name": `+string(name), 1)
			docs = append(docs, doc)
		}
	}
	for _, format := range []string{"ruby-advisory-db", "rustsec", "go-vulndb", "nuget"} {
		dir := mustTree(t, format, "", docs...)
		for name := range contents(t, dir) {
			for part := range strings.SplitSeq(name, "/") {
				if !fs.ValidPath(part) || strings.ContainsAny(part, `\*{}: `) || len(part) > 220 {
					t.Errorf("%s wrote %q", format, name)
				}
			}
			if strings.HasPrefix(name, "gems/") || strings.HasPrefix(name, "crates/") {
				t.Errorf("%s wrote %q", format, name)
			}
		}
		if entries, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) != 1 {
			t.Errorf("%s: %v, %d entries beside the tree", format, err, len(entries))
		}
	}
}

// Text of an attacker stays text for the readers of YAML and TOML.
func TestHostileText(t *testing.T) {
	text := func(eco, name string) string {
		return strings.Replace(packageRecord("MAL-2026-1", eco, name, everything), `"details": "Steals credentials."`, `"summary": "`+hostile+`", "details": "`+hostile+`"`, 1)
	}
	md := contents(t, mustTree(t, "rustsec", "", text("crates.io", "evil")))["crates/evil/MAL-2026-1.md"]
	block, rest, ok := strings.Cut(strings.TrimPrefix(md, "```toml\n"), "\n```")
	var doc struct {
		Advisory map[string]any
		Versions map[string]any
	}
	if _, err := toml.Decode(block, &doc); err != nil || !ok || doc.Advisory["id"] != "MAL-2026-1" || len(doc.Advisory) != 7 {
		t.Errorf("%v %+v", err, doc)
	}
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "    ") && !strings.HasPrefix(line, "# ") && line != "\n" {
			t.Errorf("a line that is Markdown: %q", line)
		}
	}
	yml := contents(t, mustTree(t, "ruby-advisory-db", "", text("RubyGems", "evil")))["gems/evil/MAL-2026-1.yml"]
	for line := range strings.Lines(yml) {
		key, value, _ := strings.Cut(line, ": ")
		if line != "---\n" && (!slices.Contains([]string{"gem", "url", "title", "date", "description"}, key) || key != "date" && value[0] != '"') {
			t.Errorf("%q", line)
		}
	}
	for _, s := range []string{md, yml} {
		if strings.ContainsAny(s, "\x1b\u202e") {
			t.Errorf("%q", s)
		}
	}
}

func TestReproducible(t *testing.T) {
	var docs []string
	for i := range 40 {
		for _, eco := range []string{"RubyGems", "crates.io", "Go", "NuGet"} {
			docs = append(docs, packageRecord(fmt.Sprintf("MAL-2026-%d%d", i, len(eco)), eco, fmt.Sprintf("example.com/p%d", i%7), versions(fmt.Sprintf("1.%d.0", i), "2.0.0")))
		}
	}
	for _, format := range []string{"ruby-advisory-db", "rustsec", "go-vulndb", "nuget"} {
		one := contents(t, mustTree(t, format, "", docs...))
		slices.Reverse(docs)
		two := contents(t, mustTree(t, format, "", docs...))
		if len(one) != len(two) {
			t.Fatalf("%s: %d and %d files", format, len(one), len(two))
		}
		for name, data := range one {
			if two[name] != data {
				t.Errorf("%s: %s differs", format, name)
			}
		}
	}
}

// One record that is about two modules is one file.
func TestGoTwoModules(t *testing.T) {
	doc := strings.Replace(packageRecord("MAL-2026-1", "Go", "example.com/a", versions("1.0.0")), `"affected": [`, `"affected": [{"package": {"ecosystem": "Go", "name": "example.com/b"}, "versions": ["2.0.0"]}, `, 1)
	files := contents(t, mustTree(t, "go-vulndb", "", doc))
	wantFile(t, files, "index/modules.json", `[{"path":"example.com/a","vulns":[{"id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z","fixed":"1.0.1-0"}]},{"path":"example.com/b","vulns":[{"id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z","fixed":"2.0.1-0"}]}]`)
	if got := files["ID/MAL-2026-1.json"]; strings.Count(got, `"package"`) != 2 {
		t.Error(got)
	}
}

func TestOver(t *testing.T) {
	gz := func(s string) string {
		var buf bytes.Buffer
		z := gzip.NewWriter(&buf)
		io.WriteString(z, s)
		z.Close()
		return buf.String()
	}
	// Upstream's own spelling of JSON, members that are not known here, a module of both.
	theirs := `{ "id": "GO-2021-1",  "affected": [] }`
	for _, tt := range []struct {
		format string
		up     map[string]string
		merged map[string]string // files that are written anew
		ours   []string
	}{
		{
			"go-vulndb",
			map[string]string{
				"index/db.json": `{"modified": "2027-01-01T00:00:00Z"}`, "index/vulns.json": `[{"id": "GO-2021-1", "modified": "2021-01-01T00:00:00Z", "new": 1}]`,
				"index/modules.json": `[{"path":"example.com/evil","vulns":[{"id": "GO-2021-1"}],"new":[1]},{"path":"example.com/z","vulns":[]},{"path":"example.com/evil","vulns":[{"id":"GO-2021-2"}]}]`,
				"ID/GO-2021-1.json":  theirs, "ID/GO-2021-2.json.gz": gz(theirs), "ID/index.json": "[]", "copyright": "theirs",
			},
			map[string]string{
				"index/db.json":      `{"modified":"2027-01-01T00:00:00Z"}`,
				"index/vulns.json":   `[{"id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z"},{"id":"GO-2021-1","modified":"2021-01-01T00:00:00Z","new":1}]`,
				"index/modules.json": `[{"path":"example.com/evil","vulns":[{"id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z"},{"id":"GO-2021-1"},{"id":"GO-2021-2"}],"new":[1]},{"path":"example.com/z","vulns":[]}]`,
			},
			[]string{"ID/MAL-2026-1.json", "ID/MAL-2026-1.json.gz", "ID/GO-2021-1.json.gz", "ID/GO-2021-2.json", "index/modules.json.gz"},
		},
		{
			"ruby-advisory-db", map[string]string{"gems/evil/CVE-2020-1.yml": "gem: evil\r\n", "gems/x/OSVDB-1.yml": "\xff", "README.md": "r", "rubies/jruby/1.yml": "", ".git/config": "secret"},
			nil, []string{"gems/evil/MAL-2026-2.yml"},
		},
		{
			"rustsec", map[string]string{"crates/evil/RUSTSEC-2020-0001.md": "```toml", "rust/cargo/x.md": "", "crates/evil/MAL-2026-3.md": "theirs already"},
			nil, nil,
		},
	} {
		t.Run(tt.format, func(t *testing.T) {
			up := clienttest.Tree(t, tt.up)
			files := contents(t, mustTree(t, tt.format, up, packageRecord("MAL-2026-1", "Go", "example.com/evil", everything), packageRecord("MAL-2026-2", "RubyGems", "evil", everything), packageRecord("MAL-2026-3", "crates.io", "evil", everything)))
			for name, data := range tt.up {
				if strings.HasPrefix(name, ".git/") {
					if _, ok := files[name]; ok {
						t.Errorf("%s was copied", name)
					}
				} else if _, anew := tt.merged[name]; !anew {
					wantFile(t, files, name, data)
				}
			}
			for name, data := range tt.merged {
				wantFile(t, files, name, data)
			}
			for _, name := range tt.ours {
				if files[name] == "" {
					t.Errorf("no %s", name)
				}
			}
		})
	}
}

func TestOverRefuses(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := func(dir, name, to string) string {
		if err := os.Symlink(to, filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Skip(err)
		}
		return dir
	}
	for _, tt := range []struct{ name, over, says string }{
		{"a link out", link(clienttest.Tree(t, map[string]string{"gems/x/a.yml": ""}), "gems/x/b.yml", secret), "links are not followed"},
		{"a link within", link(clienttest.Tree(t, map[string]string{"gems/x/a.yml": ""}), "gems/y", "x"), "links are not followed"},
		{"the sign is a link out", link(clienttest.Tree(t, map[string]string{"x": ""}), "gems", "/etc"), "links are not followed"},
		{"another tree", clienttest.Tree(t, map[string]string{"crates/x/a.md": ""}), "no gems"},
		{"an export", mustTree(t, "ruby-advisory-db", ""), "export of rapsheet"},
		{"nothing", filepath.Join(t.TempDir(), "no"), "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, err := exportTree(t, "ruby-advisory-db", tt.over, packageRecord("MAL-2026-2", "RubyGems", "evil", everything))
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v; want %q", err, tt.says)
			}
			if _, isPath := errors.AsType[*fs.PathError](err); isPath {
				t.Errorf("%v would be taken for an error of writing", err)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something was written: %v", err)
			}
		})
	}
	for _, index := range []string{`{}`, `[{"path": 1}]`, `[`, "\xff", `[{"path": "a", "path": "b"}]`} {
		over := clienttest.Tree(t, map[string]string{"index/db.json": "{}", "index/vulns.json": "[]", "index/modules.json": index})
		if _, err := exportTree(t, "go-vulndb", over); err == nil {
			t.Errorf("an index %q was taken", index)
		}
	}
}

// cases are what records can say about versions, and versions to ask about. They have to mean in each format what [match.Judge] says.
var cases = []struct{ eco, affected string }{
	{"", versions("1.2.3")}, {"", versions("1.2.3", "1.2.4", "1.3.0-beta.1", "2.0.0")}, {"", everything},
	{"", `"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "1.0.0"}, {"fixed": "2.0.0"}]}]`},
	{"", `"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"last_affected": "1.2.3"}, {"introduced": "2.0.0"}]}], "versions": ["1.2.4", "1.0.0"]`},
	{"", `"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "1.2.3-beta.1"}, {"fixed": "1.2.4"}]}], "versions": ["1.2.4"]`},
	{"RubyGems", versions("1.2", "1.2.3.pre", "1.10")}, {"RubyGems", `"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "1.2.a"}, {"last_affected": "1.2"}]}]`},
	{"NuGet", versions("1.2.3.4", "1.2")},
}

var asked = []string{"0.0.1", "0.9.9", "1.0.0-alpha", "1.0.0", "1.2", "1.2.0", "1.2.2", "1.2.3-beta.1", "1.2.3-beta.2", "1.2.3", "1.2.4-0", "1.2.4", "1.2.5",
	"1.3.0-beta.1", "1.3.0-beta.1.0", "1.3.0", "1.10.0", "1.99.99", "2.0.0-rc.1", "2.0.0", "2.0.1", "10.0.0"}

var askedGems = append(slices.Clone(asked), "1.2.a", "1.2.b", "1.2.3.pre", "1.2.3.pre1", "1.2.3.0", "1.2.3.1", "1.10", "1")

// verdicts gives for every case of an ecosystem its record and which of the versions are malicious.
func verdicts(t *testing.T, eco string, ask []string, each func(doc string, bad map[string]bool)) {
	t.Helper()
	for i, c := range cases {
		if c.eco != "" && c.eco != eco {
			continue
		}
		doc := packageRecord(fmt.Sprintf("MAL-2026-%d", i+1), eco, "evil", c.affected)
		ix := indextest.New(t, index.Meta{}, indextest.Records(t, doc)...)
		key, _ := ecosystem.KeyOf(rapsheet.Package{Ecosystem: eco, Name: "evil"})
		records, err := ix.Lookup(key)
		if err != nil || len(records) != 1 {
			t.Fatal(err, len(records))
		}
		bad := map[string]bool{}
		for _, v := range ask {
			s := rapsheet.Sighting{Package: rapsheet.Package{Ecosystem: eco, Name: "evil", Version: v}}
			bad[v] = match.Judge(&records[0], &s).Verdict != rapsheet.VerdictNone
		}
		each(doc, bad)
	}
}

// requirement evaluates comparisons joined by ", ".
func requirement(e *ecosystem.Ecosystem, text, v string) bool {
	for part := range strings.SplitSeq(text, ", ") {
		sign, than, _ := strings.Cut(part, " ")
		c := e.Compare(v, than)
		if !map[string]bool{"<": c < 0, ">": c > 0, ">=": c >= 0}[sign] {
			return false
		}
	}
	return true
}

// Contract test for cargo-audit, which does not run here: the crate rustsec's Versions::is_vulnerable.
func TestRustSecMeans(t *testing.T) {
	eco, _ := ecosystem.Find("crates.io")
	verdicts(t, "crates.io", asked, func(doc string, bad map[string]bool) {
		for _, md := range contents(t, mustTree(t, "rustsec", "", doc)) {
			block, _, _ := strings.Cut(strings.TrimPrefix(md, "```toml\n"), "\n```")
			var f struct {
				Versions struct{ Patched, Unaffected []string }
			}
			if _, err := toml.Decode(block, &f); err != nil {
				t.Fatal(err)
			}
			for v, want := range bad {
				if got := !slices.ContainsFunc(f.Versions.Unaffected, func(r string) bool { return requirement(eco, r, v) }); got != want {
					t.Errorf("%s: %v, want %v\n%s", v, got, want, md)
				}
			}
		}
	})
}

// Contract test for NuGet: intervals of https://learn.microsoft.com/nuget/concepts/package-versioning#version-ranges.
func TestNuGetMeans(t *testing.T) {
	eco, _ := ecosystem.Find("NuGet")
	verdicts(t, "NuGet", append(slices.Clone(asked), "1.2.3.4", "1.2.3.5"), func(doc string, bad map[string]bool) {
		for name, data := range contents(t, mustTree(t, "nuget", "", doc)) {
			if !strings.Contains(name, "base-") {
				continue
			}
			var page map[string][]struct{ Versions string }
			if err := json.Unmarshal([]byte(data), &page); err != nil {
				t.Fatal(err)
			}
			for v, want := range bad {
				got := false
				for _, e := range page["evil"] {
					low, high, _ := strings.Cut(e.Versions[1:len(e.Versions)-1], ", ")
					from := low == "" || eco.Compare(v, low) >= 0
					to := high == "" || eco.Compare(v, high) < 0 || e.Versions[len(e.Versions)-1] == ']' && eco.Compare(v, high) == 0
					got = got || from && to
				}
				if got != want {
					t.Errorf("%s: %v, want %v\n%s", v, got, want, data)
				}
			}
		}
	})
}

// govulncheck's evaluation: internal/client and internal/semver of golang.org/x/vuln, "fixed" of the index first.
func TestGoVulnDBMeans(t *testing.T) {
	verdicts(t, "Go", asked, func(doc string, bad map[string]bool) {
		files := contents(t, mustTree(t, "go-vulndb", "", doc))
		var modules []struct{ Vulns []struct{ Fixed string } }
		if err := json.Unmarshal([]byte(files["index/modules.json"]), &modules); err != nil {
			t.Fatal(err)
		}
		for name, data := range files {
			if !strings.HasPrefix(name, "ID/") || strings.HasSuffix(name, ".gz") {
				continue
			}
			var e struct {
				Affected []struct {
					Ranges []struct {
						Events []struct{ Introduced, Fixed string }
					}
				}
			}
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				t.Fatal(err)
			}
			for v, want := range bad {
				less := func(a, b string) bool { return semver.Compare("v"+a, "v"+b) < 0 }
				got := false
				for _, ev := range e.Affected[0].Ranges[0].Events {
					if !got && ev.Introduced != "" {
						got = ev.Introduced == "0" || !less(v, ev.Introduced)
					} else if got && ev.Fixed != "" {
						got = less(v, ev.Fixed)
					}
				}
				if f := modules[0].Vulns[0].Fixed; f != "" && !less(v, f) {
					got = false
				}
				if got != want {
					t.Errorf("%s: %v, want %v\n%s", v, got, want, data)
				}
			}
		}
	})
}

// Contract test for bundler-audit, which is not to be had from a registry here: Ruby's own YAML and Gem::Requirement read the files
// as lib/bundler/audit/advisory.rb of bundler-audit 0.9 says, and judge as its Database#check_gem does.
func TestBundlerAuditMeans(t *testing.T) {
	ruby := clienttest.Program(t, "ruby")
	const script = `
require "yaml"; require "date"; require "json"
JSON.parse(STDIN.read).each do |path, versions|
  data = YAML.safe_load(File.read(path), permitted_classes: [Date])
  abort path unless data.is_a?(Hash) && data["date"].is_a?(Date) && data["gem"] == File.basename(File.dirname(path)) && data["url"].start_with?("https://list.example/")
  list = ["unaffected_versions", "patched_versions"].flat_map { |k| Array(data[k]).map { |v| Gem::Requirement.new(*v.split(", ")) } }
  puts JSON.generate([path, versions.reject { |v| list.any? { |r| r === Gem::Version.new(v) } }])
end`
	ask := map[string][]string{}
	want := map[string]map[string]bool{}
	verdicts(t, "RubyGems", askedGems, func(doc string, bad map[string]bool) {
		dir := mustTree(t, "ruby-advisory-db", "", strings.Replace(doc, "Steals credentials.", hostile, 1))
		for name := range contents(t, dir) {
			path := filepath.Join(dir, name)
			ask[path], want[path] = askedGems, bad
		}
	})
	in, err := json.Marshal(ask)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), ruby, "-e", script)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		var answer []json.RawMessage
		var path string
		var bad []string
		if err := errors.Join(json.Unmarshal([]byte(line), &answer), json.Unmarshal(answer[0], &path), json.Unmarshal(answer[1], &bad)); err != nil {
			t.Fatal(err)
		}
		seen++
		for _, v := range askedGems {
			if slices.Contains(bad, v) != want[path][v] {
				data, _ := os.ReadFile(path)
				t.Errorf("%s: %v, want %v\n%s", v, !want[path][v], want[path][v], data)
			}
		}
	}
	if seen != len(ask) || seen < 8 {
		t.Errorf("%d of %d files judged", seen, len(ask))
	}
}

// goProject is a module that requires one version of a module, which is there.
func goProject(t *testing.T, module, version string) (dir string, env []string) {
	t.Helper()
	proxy := clienttest.GoProxy(t, version, map[string][]byte{module: clienttest.GoModule(t, module, version)})
	dir = clienttest.Tree(t, map[string]string{
		"go.mod":  "module example.org/app\n\ngo 1.21\n\nrequire " + module + " " + version + "\n",
		"main.go": "package main\n\nimport _ \"" + module + "\"\n\nfunc main() {}\n",
	})
	clienttest.RunGo(t, dir, proxy, "mod", "download", "all")
	clienttest.RunGo(t, dir, proxy, "mod", "tidy")
	return dir, append(os.Environ(), "GOPROXY=off", "GONOSUMDB=*", "GOFLAGS=-mod=mod -modcacherw", "GOTOOLCHAIN=local", "GOPATH="+filepath.Join(clienttest.Home(dir), "go"), "HOME="+clienttest.Home(dir))
}

// govulncheck reads the tree by file:// and stops on a malicious module only.
func TestGovulncheckFile(t *testing.T) {
	program := clienttest.Program(t, "govulncheck")
	db := mustTree(t, "go-vulndb", "", packageRecord("MAL-2026-1", "Go", "example.com/evil", versions("v1.2.3")))
	for version, exit := range map[string]int{"v1.2.3": 3, "v1.2.4": 0} {
		dir, env := goProject(t, "example.com/evil", version)
		at := url.URL{Scheme: "file", Path: filepath.ToSlash(db)}
		cmd := exec.CommandContext(t.Context(), program, "-db", at.String(), "-scan", "module")
		cmd.Dir, cmd.Env = dir, env
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != exit {
			t.Errorf("%s: exit %d, want %d\n%s", version, cmd.ProcessState.ExitCode(), exit, out)
		}
		if found := strings.Contains(string(out), "MAL-2026-1") && strings.Contains(string(out), "https://list.example/advisories/MAL-2026-1"); found != (exit == 3) {
			t.Errorf("%s:\n%s", version, out)
		}
	}
}
