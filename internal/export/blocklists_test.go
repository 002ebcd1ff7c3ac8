package export_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/export"
)

func record(id, ecosystem, name, what string) string {
	return fmt.Sprintf(`{"id":%q,"modified":"2026-01-02T00:00:00Z","published":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":%q,"name":%q},%s}]}`, id, ecosystem, name, what)
}

const (
	everyVersion = `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]`
	oneRange     = `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"1.0.0"},{"fixed":"2.0.0"}]}]`
)

// listed are packages as blocklists must have them, and such as they cannot, and more.
func listed(t *testing.T, more ...string) *export.Catalog {
	t.Helper()
	return load(t, append(more,
		record("MAL-2026-1", "npm", "evil-pkg", `"versions":["1.2.3","1.2.4"]`),
		record("MAL-2026-2", "npm", "@scope/bad", everyVersion),
		record("MAL-2026-3", "PyPI", "Evil_Pkg", `"versions":["1.2"]`),
		record("MAL-2026-4", "npm", "ranged", oneRange),
		record("MAL-2026-5", "Maven", "com.evil:lib", `"versions":["1.0"]`),
		record("MAL-2026-6", "RubyGems", "evil", everyVersion),
		record("MAL-2026-7", "RubyGems", "evil-gem", `"versions":["1.0.0"]`),
		record("MAL-2026-8", "Go", "example.com/Evil", `"versions":["1.0.0"]`),
		record("MAL-2026-9", "NuGet", "Evil.Package", everyVersion),
		record("MAL-2026-10", "npm", "evil,pkg*", `"versions":["1.0.0"]`),
		record("MAL-2026-11", "VSCode", "pub.evil", everyVersion),
		record("MAL-2026-12", "crates.io", "evil", everyVersion),
	)...)
}

// starred have a version that is called as some formats call all of them.
func starred() []string {
	return []string{record("MAL-2026-13", "npm", "star", `"versions":["*","1.0.0"]`), record("MAL-2026-14", "npm", "only-star", `"versions":["*"]`)}
}

func TestBlocklists(t *testing.T) {
	c := listed(t, append(starred(), record("MAL-2026-16", "npm", "run-and-one", `"versions":["0.3.1"],`+oneRange))...)
	for _, tt := range []struct {
		format string
		// want is what must stand in a file, with white space as it is in JSON on one line; left which records are not in it.
		want map[string][]string
		left []string
	}{
		{"safe-chain", map[string][]string{
			// wire.md 12.1, recorded from safe-chain 1.5.20.
			"malware_predictions.json": {`{"package_name":"evil-pkg","version":"1.2.3","reason":"MALWARE"}`, `{"package_name":"evil-pkg","version":"1.2.4","reason":"MALWARE"}`, `{"package_name":"@scope/bad","version":"*","reason":"MALWARE"}`, `{"package_name":"star","version":"1.0.0","reason":"MALWARE"}`, `{"package_name":"run-and-one","version":"0.3.1","reason":"MALWARE"}`},
			"malware_pypi.json":        {`{"package_name":"evil-pkg","version":"1.2","reason":"MALWARE"}`},
			"releases/npm.json":        {"[]"},
			"releases/pypi.json":       {"[]"},
		}, []string{"MAL-2026-13", "MAL-2026-14", "MAL-2026-16", "MAL-2026-4"}},
		{"artifactory", map[string][]string{
			"npm.txt":      {"evil-pkg/-/evil-pkg-1.2.3.tgz\n", "@scope/bad/**\n"},
			"Maven.txt":    {"com/evil/lib/1.0/**\n"},
			"RubyGems.txt": {"gems/evil-gem-1.0.0.gem\n"},
			"Go.txt":       {"example.com/!evil/@v/v1.0.0.zip\n"},
			"NuGet.txt":    {"evil.package/**\n"},
		}, []string{"MAL-2026-10", "MAL-2026-13", "MAL-2026-14", "MAL-2026-16", "MAL-2026-4", "MAL-2026-6"}},
		{"nexus", map[string][]string{
			"npm.json": {`"mode": "BLOCK"`, `"^/evil-pkg/-/evil-pkg-1\\.2\\.3\\.tgz$"`, `"^/@scope/bad/.*$"`},
			"Go.json":  {`"^/example\\.com/!evil/@v/v1\\.0\\.0\\.zip$"`},
		}, []string{"MAL-2026-10", "MAL-2026-13", "MAL-2026-14", "MAL-2026-16", "MAL-2026-4", "MAL-2026-6"}},
	} {
		t.Run(tt.format, func(t *testing.T) {
			f, ok := export.Find(tt.format)
			if !ok {
				t.Fatal("no such format")
			}
			var left []string
			opt := export.Options{Publisher: "Acme", Links: advisory.Links{Base: "https://list.example"}, Leave: func(a *advisory.Advisory, _ string) { left = append(left, a.ID) }}
			got := written(t, f, c, opt)
			for name, texts := range tt.want {
				for _, text := range texts {
					if !strings.Contains(got[name], text) {
						t.Errorf("%s lacks %s:\n%s", name, text, got[name])
					}
				}
			}
			slices.Sort(left)
			if !slices.Equal(left, tt.left) {
				t.Errorf("left out %q; want %q", left, tt.left)
			}
			for name, content := range got {
				if strings.HasSuffix(name, ".json") && !json.Valid([]byte(content)) {
					t.Errorf("%s is no JSON", name)
				}
			}
		})
	}
}

// scfw drops its whole file when one version is a number (wire.md 12.4), so what it reads must be texts for a YAML reader.
func TestSCFW(t *testing.T) {
	f, _ := export.Find("scfw")
	var doc struct {
		Findings []struct {
			Severity, Finding string
			Packages          []struct {
				Ecosystem, Name string
				Versions        []any
			}
		}
	}
	content := written(t, f, listed(t, starred()...), export.Options{Links: advisory.Links{Base: "https://list.example"}})["file"]
	if err := yaml.Unmarshal([]byte(content), &doc); err != nil {
		t.Fatal(err)
	}
	got := map[string][]any{}
	for _, f := range doc.Findings {
		if f.Severity != "CRITICAL" || !strings.Contains(f.Finding, "https://list.example/MAL-") {
			t.Errorf("%+v", f)
		}
		for _, p := range f.Packages {
			got[p.Ecosystem+" "+p.Name] = p.Versions
		}
	}
	want := map[string][]any{"npm evil-pkg": {"1.2.3", "1.2.4"}, "npm @scope/bad": nil, "PyPI evil-pkg": {"1.2"}, "npm evil,pkg*": {"1.0.0"}, "npm star": {"1.0.0"}}
	if !maps.EqualFunc(got, want, func(a, b []any) bool { return slices.Equal(a, b) }) {
		t.Errorf("%v; want %v", got, want)
	}

	var docs []string
	for i := range 2001 {
		docs = append(docs, fmt.Sprintf(`{"id":"MAL-2026-%d","modified":"2026-01-01T%02d:%02d:%02dZ","affected":[{"package":{"ecosystem":"npm","name":"p%d"},"versions":["1.0.0"]}]}`, i, i/3600, i/60%60, i%60, i))
	}
	var left []string
	content = written(t, f, load(t, docs...), export.Options{Leave: func(a *advisory.Advisory, _ string) { left = append(left, a.ID) }})["file"]
	if n := strings.Count(content, `"CRITICAL"`); n != 2000 || !slices.Equal(left, []string{"MAL-2026-0"}) {
		t.Errorf("%d findings, left out %q; want the 2,000 newest", n, left)
	}
}

// A bumblebee catalog that breaks one of its rules is refused as a whole (internal/exposure/exposure.go, and
// docs/schema/v0.2.0/exposure-catalog.schema.json, of https://github.com/perplexityai/bumblebee).
func TestBumblebee(t *testing.T) {
	f, _ := export.Find("bumblebee")
	var left []string
	content := written(t, f, listed(t, starred()...), export.Options{Leave: func(a *advisory.Advisory, _ string) { left = append(left, a.ID) }})["file"]
	var doc struct {
		Schema  string `json:"schema_version"`
		Entries []struct {
			ID, Name, Ecosystem, Package, Severity string
			Versions                               []string
		}
	}
	if err := json.Unmarshal([]byte(content), &doc); err != nil || doc.Schema != "0.2.0" {
		t.Fatalf("%v\n%s", err, content)
	}
	var got []string
	for _, e := range doc.Entries {
		if e.Severity != "critical" || e.ID == "" || len(e.Versions) == 0 || slices.Contains(e.Versions, "*") && len(e.Versions) > 1 {
			t.Errorf("%+v", e)
		}
		got = append(got, fmt.Sprint(e.Ecosystem, " ", e.Package, " ", e.Versions))
	}
	want := []string{
		"go example.com/Evil [v1.0.0]", "pypi evil-pkg [1.2]", "rubygems evil [*]", "rubygems evil-gem [1.0.0]", "editor-extension pub.evil [*]",
		"npm @scope/bad [*]", "npm evil,pkg* [1.0.0]", "npm evil-pkg [1.2.3 1.2.4]", "npm star [1.0.0]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q; want %q", got, want)
	}
	slices.Sort(left)
	if want := []string{"MAL-2026-12", "MAL-2026-13", "MAL-2026-14", "MAL-2026-4", "MAL-2026-5", "MAL-2026-9"}; !slices.Equal(left, want) {
		t.Errorf("left out %q; want %q", left, want)
	}
	if empty := written(t, f, load(t, record("MAL-2026-1", "Maven", "x:y", everyVersion)), export.Options{})["file"]; empty != "{\"schema_version\":\"0.2.0\",\"entries\":[\n]}\n" {
		t.Errorf("nothing to list is %q", empty)
	}
}

func TestVerdaccioFilter(t *testing.T) {
	f, _ := export.Find("verdaccio-filter")
	var doc struct {
		Filters map[string]struct {
			Block []struct{ Package, Versions string }
		}
	}
	two := load(t,
		record("MAL-2026-1", "npm", "evil-pkg", `"versions":["1.2.3"]`), record("MAL-2026-2", "npm", "evil-pkg", `"versions":["1.2.4"]`),
		record("MAL-2026-3", "npm", "@scope/bad", everyVersion), record("MAL-2026-4", "npm", "ranged", oneRange), record("MAL-2026-5", "npm", "@scope/bad", `"versions":["1.0.0"]`))
	content := written(t, f, two, export.Options{})["file"]
	if err := yaml.Unmarshal([]byte(content), &doc); err != nil {
		t.Fatal(err)
	}
	want := []struct{ Package, Versions string }{{"@scope/bad", ""}, {"evil-pkg", "=1.2.3 || =1.2.4"}, {"ranged", ">=1.0.0 <2.0.0"}}
	if got := doc.Filters["@verdaccio/package-filter"].Block; !slices.Equal(got, want) {
		t.Errorf("%v; want %v", got, want)
	}
	if empty := written(t, f, load(t, record("MAL-2026-1", "PyPI", "x", everyVersion)), export.Options{})["file"]; !strings.Contains(empty, "block: []\n") {
		t.Errorf("nothing to block is %q", empty)
	}
	// "Invalid comparator" of node-semver, seen with the filter 13.2.4, ends its start; "" and "*" are every version to it.
	var left []string
	odd := load(t,
		record("MAL-2026-1", "npm", "a", `"versions":["1.0.0","*","latest","1.0","01.0.0","1.0.0-01","1.0.0 || 2.0.0","99999999999999999999.0.0","2.0.0-rc.1"]`),
		record("MAL-2026-2", "npm", "b", `"versions":["*"]`))
	content = written(t, f, odd, export.Options{Leave: func(a *advisory.Advisory, _ string) { left = append(left, a.ID) }})["file"]
	doc.Filters = nil
	if err := yaml.Unmarshal([]byte(content), &doc); err != nil {
		t.Fatal(err)
	}
	want = []struct{ Package, Versions string }{{"a", "=1.0.0 || =2.0.0-rc.1"}}
	if got := doc.Filters["@verdaccio/package-filter"].Block; !slices.Equal(got, want) || !slices.Equal(left, []string{"MAL-2026-1", "MAL-2026-2"}) {
		t.Errorf("%v; want %v, left out %v", got, want, left)
	}
}

// Verdaccio's filter, 13.2.4, takes out of packages' metadata what is on record, and starts with versions that it could not read.
func TestVerdaccioFilterItself(t *testing.T) {
	module := filepath.Dir(clienttest.ClientModule(t, "@verdaccio/package-filter/package.json"))
	node := clienttest.Program(t, "node")
	f, _ := export.Find("verdaccio-filter")
	content := written(t, f, listed(t, append(starred(), record("MAL-2026-15", "npm", "odd", `"versions":["1.0.0","latest","01.0.0"]`))...), export.Options{})["file"]
	var doc struct {
		Filters map[string]any
	}
	if err := yaml.Unmarshal([]byte(content), &doc); err != nil {
		t.Fatal(err)
	}
	settings, err := json.Marshal(doc.Filters["@verdaccio/package-filter"])
	if err != nil {
		t.Fatal(err)
	}
	const script = `const [at, settings, offered] = process.argv.slice(1);
const filter = new (require(at).default)(JSON.parse(settings), {config: {}, logger: new Proxy({}, {get: () => () => {}})});
(async () => { for (const [name, versions] of Object.entries(JSON.parse(offered))) {
	const of = f => Object.fromEntries(versions.map(v => [v, f(v)]));
	const manifest = {name, versions: of(version => ({name, version, dist: {}})), time: of(() => "2020-01-01T00:00:00.000Z"), "dist-tags": {latest: versions.at(-1)}, _distfiles: {}, _attachments: {}, _uplinks: {}};
	console.log(name, Object.keys((await filter.filter_metadata(manifest)).versions).join(" "));
} })();`
	const offered = `{"evil-pkg": ["1.2.2", "1.2.3", "1.2.4", "1.2.5"], "@scope/bad": ["1.0.0", "2.0.0-beta.1"], "ranged": ["0.9.0", "1.0.0", "1.5.0", "2.0.0"], "star": ["1.0.0", "1.0.1"], "only-star": ["1.0.0"], "odd": ["1.0.0", "1.0.1"], "good": ["1.0.0"]}`
	out, err := exec.CommandContext(t.Context(), node, "-e", script, module, string(settings), offered).CombinedOutput()
	want := "evil-pkg 1.2.2 1.2.5\n@scope/bad \nranged 0.9.0 2.0.0\nstar 1.0.1\nonly-star 1.0.0\nodd 1.0.1\ngood 1.0.0\n"
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s; want\n%s", err, out, want)
	}
}
