package sameanswers

import (
	"archive/tar"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/klauspost/compress/zstd"
	"go.etcd.io/bbolt"
	"golang.org/x/mod/semver"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// treeAskers read what package managers' own tools and the large scanners read.
var treeAskers = []asker{
	{name: "NuGet `/nuget/v3`", reader: "intervals of its documentation on osv-scalibr's order", ecosystems: []string{"NuGet"}, ask: askNuGet},
	{name: "Go `/govuln`", reader: "govulncheck's rule on golang.org/x/mod/semver", ecosystems: []string{"Go"}, ask: askGo},
	{name: "`ruby-advisory-db`", reader: "Ruby's Gem::Requirement, bundler-audit's rule", ecosystems: []string{"RubyGems"}, ask: askRuby},
	{name: "`rustsec`", reader: "the crate rustsec's rule on golang.org/x/mod/semver", ecosystems: []string{"crates.io"}, ask: askRust, limits: []limit{bySpelling}},
	{name: "`osv-scanner`", reader: "osv-scalibr's local matcher", ask: askScannerTree, limits: scalibrLimits},
	{name: "`grype`", reader: "the rows' constraints on osv-scalibr's order", ask: askGrypeRows, limits: []limit{
		{"Grype knows no VS Code extensions, CRAN and Hackage", func(p *pair) bool {
			return p.bad && slices.Contains([]string{"VSCode", "CRAN", "Hackage"}, p.Ecosystem)
		}},
		holding, noCase, bySpelling, composerZeros,
	}},
	{name: "`trivy`", reader: "the rows' constraints on osv-scalibr's order", ask: askTrivyRows, limits: []limit{
		{"Trivy knows no VS Code extensions, GitHub Actions, CRAN and Hackage", func(p *pair) bool {
			return p.bad && slices.Contains([]string{"VSCode", "GitHub Actions", "CRAN", "Hackage"}, p.Ecosystem)
		}},
		holding, noCase, bySpelling, composerZeros,
		branches,
	}},
}

// noCase is of readers that fold the names of npm.
var noCase = limit{"names that differ only in case are one", func(p *pair) bool {
	return !p.bad && slices.ContainsFunc(facts, func(f fact) bool {
		return f.ecosystem == p.Ecosystem && f.name != p.Name && strings.EqualFold(f.name, p.Name)
	})
}}

func askNuGet(t *testing.T, w *world, pairs []*pair) []bool {
	var pages []struct {
		ID string `json:"@id"`
	}
	decode(t, w.get(t, "/nuget/v3/vulnerabilities/index.json"), &pages)
	type entry struct{ Versions string }
	known := map[string][]entry{}
	for _, p := range pages {
		path := strings.TrimPrefix(p.ID, w.url)
		data := w.get(t, path)
		if string(data) == "[]" {
			continue
		}
		page := map[string][]entry{}
		decode(t, data, &page)
		for id, list := range page {
			known[id] = append(known[id], list...)
		}
	}
	var out []bool
	for _, p := range pairs {
		out = append(out, slices.ContainsFunc(known[strings.ToLower(p.Name)], func(e entry) bool { return within(t, e.Versions, p.Version) }))
	}
	return out
}

// within evaluates an interval of https://learn.microsoft.com/nuget/concepts/package-versioning#version-ranges.
func within(t *testing.T, interval, version string) bool {
	t.Helper()
	low, high, ok := strings.Cut(interval[1:len(interval)-1], ", ")
	if !ok {
		t.Fatalf("interval %q", interval)
	}
	sign := func(open bool, strict, other string) string {
		if open {
			return strict
		}
		return other
	}
	return (low == "" || comparison("NuGet", sign(interval[0] == '(', ">", ">=")+low, version)) &&
		(high == "" || comparison("NuGet", sign(interval[len(interval)-1] == ')', "<", "<=")+high, version))
}

// askGo evaluates as golang.org/x/vuln does (internal/client, internal/semver): first "fixed" of the index, then the events.
func askGo(t *testing.T, w *world, pairs []*pair) []bool {
	var modules []struct {
		Path  string
		Vulns []struct{ ID, Fixed string }
	}
	decode(t, w.get(t, "/govuln/index/modules.json"), &modules)
	less := func(a, b string) bool { return semver.Compare("v"+a, "v"+b) < 0 }
	var out []bool
	for _, p := range pairs {
		version, bad := strings.TrimPrefix(p.Version, "v"), false
		for _, m := range modules {
			if m.Path != p.Name {
				continue
			}
			for _, v := range m.Vulns {
				if v.Fixed != "" && !less(version, v.Fixed) {
					continue
				}
				var entry struct{ Affected []affected }
				decode(t, w.get(t, "/govuln/ID/"+url.PathEscape(v.ID)+".json"), &entry)
				for _, a := range entry.Affected {
					if a.Package.Name != p.Name {
						continue
					}
					for _, r := range a.Ranges {
						in := len(r.Events) == 0
						for _, e := range r.Events {
							switch {
							case !in && e.Introduced != "":
								in = e.Introduced == "0" || !less(version, e.Introduced)
							case in && e.Fixed != "":
								in = less(version, e.Fixed)
							}
						}
						bad = bad || in
					}
				}
			}
		}
		out = append(out, bad)
	}
	return out
}

// askRuby reads the files as lib/bundler/audit/advisory.rb of bundler-audit 0.9 does, and judges as its Database#check_gem.
func askRuby(t *testing.T, w *world, pairs []*pair) []bool {
	const script = `
require "yaml"; require "date"; require "json"
list = ->(data, key) { Array(data[key]).map { |v| Gem::Requirement.new(*v.split(", ")) } }
puts JSON.generate(JSON.parse(STDIN.read).map { |name, version|
  Dir.glob(File.join(ARGV[0], "gems", name, "*.yml")).any? { |path|
    data = YAML.safe_load(File.read(path), permitted_classes: [Date])
    (list[data, "unaffected_versions"] + list[data, "patched_versions"]).none? { |r| r === Gem::Version.new(version) }
  }
})`
	ruby := clienttest.Program(t, "ruby")
	var ask [][2]string
	for _, p := range pairs {
		ask = append(ask, [2]string{p.Name, p.Version})
	}
	var out []bool
	pipe(t, nil, marshal(t, ask), &out, ruby, "-e", script, w.export(t, "ruby-advisory-db"))
	return out
}

// askRust judges as the crate rustsec does (rustsec/src/osv): what is unaffected or patched becomes ranges of what is affected, from a
// version to before another, the next version of the order standing for "above" and "through".
func askRust(t *testing.T, w *world, pairs []*pair) []bool {
	known := map[string][][]string{} // by crate, the requirements of each advisory
	w.files(t, "rustsec", ".md", func(path string, data []byte) {
		block, _, ok := strings.Cut(strings.TrimPrefix(string(data), "```toml\n"), "\n```")
		var doc struct {
			Advisory struct{ Package string }
			Versions struct{ Patched, Unaffected []string }
		}
		if _, err := toml.Decode(block, &doc); err != nil || !ok || doc.Advisory.Package != strings.Split(path, "/")[1] {
			t.Fatalf("%s: %v\n%s", path, err, data)
		}
		known[doc.Advisory.Package] = append(known[doc.Advisory.Package], append(doc.Versions.Patched, doc.Versions.Unaffected...))
	})
	fits := func(requirement, version string) bool {
		for term := range strings.SplitSeq(requirement, ", ") {
			sign, than, _ := strings.Cut(term, " ")
			c := semver.Compare("v"+version, "v"+than)
			if !map[string]bool{"<": c < 0, "<=": c <= 0, ">": c > 0, ">=": c >= 0, "=": c == 0}[sign] {
				return false
			}
		}
		return true
	}
	var out []bool
	for _, p := range pairs {
		out = append(out, slices.ContainsFunc(known[p.Name], func(requirements []string) bool {
			return !slices.ContainsFunc(requirements, func(r string) bool { return fits(r, p.Version) })
		}))
	}
	return out
}

func askScannerTree(t *testing.T, w *world, pairs []*pair) []bool {
	root := w.export(t, "osv-scanner")
	return scalibr(t, pairs, func(eco string) []byte {
		data, err := os.ReadFile(filepath.Join(root, "osv-scalibr", eco, "all.zip"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	})
}

// grypeTypes are Syft's types of packages (syft/pkg/type.go of github.com/anchore/syft).
var grypeTypes = map[string]string{
	"npm": "npm", "PyPI": "python", "RubyGems": "gem", "Go": "go-module", "crates.io": "rust-crate", "Maven": "java-archive", "NuGet": "dotnet",
	"Packagist": "php-composer", "Hex": "hex", "Pub": "dart-pub", "SwiftURL": "swift", "GitHub Actions": "github-action",
}

// grypeDatabase unpacks the database of the export.
func grypeDatabase(t *testing.T, w *world) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), "vulnerability.db")
	w.files(t, "grype", ".tar.zst", func(_ string, data []byte) {
		z, err := zstd.NewReader(strings.NewReader(string(data)))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		for r := tar.NewReader(z); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.Name == "vulnerability.db" {
				db, err := io.ReadAll(r)
				if err := errors.Join(err, os.WriteFile(at, db, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	return at
}

func askGrypeRows(t *testing.T, w *world, pairs []*pair) []bool {
	db, err := sql.Open("sqlite", grypeDatabase(t, w))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT p.ecosystem, lower(p.name), b.value FROM affected_package_handles a JOIN packages p ON p.id = a.package_id JOIN blobs b ON b.id = a.blob_id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	known := map[[2]string][]string{}
	for rows.Next() {
		var kind, name, value string
		if err := rows.Scan(&kind, &name, &value); err != nil {
			t.Fatal(err)
		}
		var blob struct {
			Ranges []struct{ Version struct{ Constraint string } }
		}
		decode(t, []byte(value), &blob)
		for _, r := range blob.Ranges {
			known[[2]string{kind, name}] = append(known[[2]string{kind, name}], r.Version.Constraint)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	var out []bool
	for _, p := range pairs {
		name := p.Name
		if p.Ecosystem == "PyPI" {
			name = client(p.Ecosystem, name)
		}
		name = strings.Map(func(r rune) rune { // SQLite's NOCASE
			if 'A' <= r && r <= 'Z' {
				return r + 'a' - 'A'
			}
			return r
		}, name)
		out = append(out, slices.ContainsFunc(known[[2]string{grypeTypes[p.Ecosystem], name}], func(c string) bool { return constrained(p, c) }))
	}
	return out
}

// constrained evaluates a constraint of Grype or Trivy, of which nothing is every version.
func constrained(p *pair, constraint string) bool {
	return constraint == "" || holds(p.Ecosystem, constraint, p.Version)
}

// trivyBuckets are the beginnings of buckets (pkg/detector/library of Trivy).
var trivyBuckets = map[string]string{
	"npm": "npm", "PyPI": "pip", "RubyGems": "rubygems", "Go": "go", "crates.io": "cargo", "Maven": "maven", "NuGet": "nuget",
	"Packagist": "composer", "Hex": "erlang", "Pub": "pub", "SwiftURL": "swift",
}

// trivyName is what Trivy looks for (NormalizePkgName of trivy-db).
func trivyName(p rapsheet.Package) string {
	switch p.Ecosystem {
	case "Go", "SwiftURL":
		return p.Name
	case "PyPI":
		return strings.ReplaceAll(strings.ToLower(p.Name), "_", "-")
	}
	return strings.ToLower(p.Name)
}

func askTrivyRows(t *testing.T, w *world, pairs []*pair) []bool {
	db, err := bbolt.Open(filepath.Join(w.export(t, "trivy"), "db", "trivy.db"), 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var out []bool
	err = db.View(func(tx *bbolt.Tx) error {
		for _, p := range pairs {
			bad := false
			if of := tx.Bucket([]byte(trivyBuckets[p.Ecosystem] + "::Acme malicious packages")); of != nil {
				if list := of.Bucket([]byte(trivyName(p.Package))); list != nil {
					err := list.ForEach(func(_, value []byte) error {
						var a struct{ VulnerableVersions []string }
						err := json.Unmarshal(value, &a)
						bad = bad || slices.ContainsFunc(a.VulnerableVersions, func(c string) bool { return constrained(p, c) })
						return err
					})
					if err != nil {
						return err
					}
				}
			}
			out = append(out, bad)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
