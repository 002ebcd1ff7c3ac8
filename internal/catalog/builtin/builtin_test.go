package builtin

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/osv"
)

func incidents(t *testing.T) map[string]*Incident {
	t.Helper()
	names, err := fs.Glob(files, "incidents/*.json")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]*Incident)
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		in, err := Parse(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[path.Base(name)] = in
	}
	return all
}

func records(t *testing.T) []*osv.Record {
	t.Helper()
	var all []*osv.Record
	for r, err := range Records() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func TestCoverage(t *testing.T) {
	all := incidents(t)
	years := make(map[string]int)
	ecosystems := make(map[string]int)
	packages := 0
	for _, in := range all {
		years[in.Date[:4]]++
		packages += len(in.Packages)
		for _, p := range in.Packages {
			ecosystems[p.Ecosystem]++
		}
	}
	if len(all) < 40 || packages < 250 {
		t.Errorf("%d incidents with %d packages, want at least 40 with 250", len(all), packages)
	}
	for _, y := range []string{"2017", "2018", "2019", "2020", "2021", "2022", "2023", "2024", "2025", "2026"} {
		if years[y] == 0 {
			t.Errorf("no incident of %s", y)
		}
	}
	for _, e := range []string{"npm", "PyPI", "RubyGems", "NuGet", "crates.io", "Go", "Packagist", "VSCode", "GitHub Actions", "Maven"} {
		if ecosystems[e] == 0 {
			t.Errorf("no package of %s", e)
		}
	}
	if n := len(records(t)); n != packages {
		t.Errorf("%d records of %d packages", n, packages)
	}
}

func TestUnique(t *testing.T) {
	ids := make(map[string]string)
	keys := make(map[rapsheet.Key]string)
	campaigns := make(map[string]string)
	for file, in := range incidents(t) {
		if other, ok := campaigns[in.Campaign]; ok {
			t.Errorf("campaign %s is in %s and %s", in.Campaign, file, other)
		}
		campaigns[in.Campaign] = file
		for _, p := range in.Packages {
			for _, id := range append([]string{p.ID}, p.Aliases...) {
				if other, ok := ids[id]; ok {
					t.Errorf("%s is %s in %s and %s", id, p.Name, file, other)
				}
				ids[id] = p.Name + " in " + file
			}
			key, ok := ecosystem.KeyOf(rapsheet.Package{Ecosystem: p.Ecosystem, Name: p.Name})
			if !ok {
				t.Errorf("%s: %s/%s has no key", file, p.Ecosystem, p.Name)
			}
			if other, ok := keys[key]; ok {
				t.Errorf("%v is in %s and %s", key, file, other)
			}
			keys[key] = file
		}
	}
}

// TestLedger holds the promise that an id of our own block is never used twice:
// testdata/ids.txt names each one that was ever given away, and only grows.
func TestLedger(t *testing.T) {
	f, err := os.Open("testdata/ids.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ledger := make(map[string]string)
	for s := bufio.NewScanner(f); s.Scan(); {
		id, key, ok := strings.Cut(s.Text(), "\t")
		if !ok || ledger[id] != "" {
			t.Fatalf("testdata/ids.txt: line %q is malformed or repeats an id", s.Text())
		}
		ledger[id] = key
	}
	for file, in := range incidents(t) {
		for _, p := range in.Packages {
			if !strings.HasPrefix(p.ID, "MAL-0000-") {
				continue
			}
			if key := p.Ecosystem + "/" + p.Name; ledger[p.ID] != key {
				t.Errorf("%s: %s is %s, the ledger has %q; append a new id to testdata/ids.txt", file, p.ID, key, ledger[p.ID])
			}
		}
	}
}

func TestRecords(t *testing.T) {
	for _, r := range records(t) {
		if err := r.Validate(); err != nil {
			t.Errorf("%s: %v", r.ID, err)
		}
		data, err := r.Marshal()
		if err != nil {
			t.Errorf("%s: %v", r.ID, err)
			continue
		}
		back, flags, err := osv.Parse(data)
		if err != nil || len(flags) > 0 {
			t.Errorf("%s: parse what was written: %v %v", r.ID, err, flags)
			continue
		}
		again, err := back.Marshal()
		if err != nil || string(again) != string(data) {
			t.Errorf("%s: changed by a round trip (%v):\n%s\n%s", r.ID, err, data, again)
		}
		if !back.Malicious() {
			t.Errorf("%s does not count as malicious", r.ID)
		}

		// The rules of a record that every known client reads: one affected with
		// a purl, versions or one whole range and never both, at most one
		// ADVISORY and at least one reference, whole seconds in UTC.
		if len(r.Affected) != 1 {
			t.Errorf("%s: %d affected", r.ID, len(r.Affected))
			continue
		}
		a := r.Affected[0]
		if (len(a.Versions) > 0) == (len(a.Ranges) > 0) {
			t.Errorf("%s: versions %v and ranges %v", r.ID, a.Versions, a.Ranges)
		}
		for _, g := range a.Ranges {
			semver := slices.Contains([]string{"npm", "crates.io", "Go"}, a.Package.Ecosystem)
			if (g.Type == osv.RangeSemver) != semver || len(g.Events) != 1 || g.Events[0].Introduced != "0" {
				t.Errorf("%s: range %+v of %s", r.ID, g, a.Package.Ecosystem)
			}
		}
		advisories := 0
		for _, ref := range r.References {
			if ref.Type == "ADVISORY" {
				advisories++
			}
		}
		if len(r.References) == 0 || advisories > 1 {
			t.Errorf("%s: references %v", r.ID, r.References)
		}
		if r.Published != r.Modified || !strings.HasSuffix(string(r.Published), "T00:00:00Z") {
			t.Errorf("%s: published %s, modified %s", r.ID, r.Published, r.Modified)
		}
		if want := "Malicious code in " + a.Package.Name + " (" + a.Package.Ecosystem + ")"; r.Summary != want {
			t.Errorf("%s: summary %q", r.ID, r.Summary)
		}
		if !strings.HasPrefix(string(r.DatabaseSpecific), `{"campaign":"`) {
			t.Errorf("%s: database_specific %s", r.ID, r.DatabaseSpecific)
		}

		p := rapsheet.Package{Ecosystem: a.Package.Ecosystem, Name: a.Package.Name}
		if want := ecosystem.PURL(p); a.Package.PURL != want {
			t.Errorf("%s: purl %s, package ecosystem writes %s", r.ID, a.Package.PURL, want)
		}
		e, _ := ecosystem.Find(p.Ecosystem)
		for _, v := range a.Versions {
			if e.HoldingVersion(v) {
				t.Errorf("%s: %s is a version that the registry holds the name with", r.ID, v)
			}
			// A commit names the bad copy of an action; it is not a version in its order.
			if !e.ValidVersion(v) && p.Ecosystem != "GitHub Actions" {
				t.Errorf("%s: %s is not a version in %s", r.ID, v, p.Ecosystem)
			}
		}
	}
}

// TestFacts spot-checks what must never get lost, against the advisories
// GHSA-mh6f-8j2x-4483, GHSA-pjwm-rvh2-c87w, GHSA-2v46-p5h4-248w and
// MAL-2024-3992, and one clean release beside each.
func TestFacts(t *testing.T) {
	find := make(map[string]*osv.Record)
	for _, r := range records(t) {
		find[r.Affected[0].Package.Ecosystem+"/"+r.Affected[0].Package.Name] = r
	}
	for _, c := range []struct{ key, bad, good string }{
		{"npm/event-stream", "3.3.6", "3.3.5"},
		{"npm/ua-parser-js", "0.7.29", "0.7.30"},
		{"npm/chalk", "5.6.1", "5.6.2"},
		{"npm/@ctrl/tinycolor", "4.1.1", "4.1.0"},
		{"PyPI/ctx", "0.2.6", "0.1.2"},
		{"NuGet/2C\u0430ptcha.API", "1.10.2", "1.10.3"},
	} {
		r := find[c.key]
		if r == nil {
			t.Errorf("%s is missing", c.key)
			continue
		}
		v := r.Affected[0].Versions
		if !slices.Contains(v, c.bad) || slices.Contains(v, c.good) {
			t.Errorf("%s: versions %v, want %s and not %s", c.key, v, c.bad, c.good)
		}
	}
	if r := find["npm/flatmap-stream"]; r == nil || r.ID != "MAL-2025-20690" || len(r.Affected[0].Ranges) != 1 {
		t.Errorf("flatmap-stream: %+v", r)
	}
	if r := find["NuGet/2Captcha.API"]; r != nil {
		t.Errorf("the Latin 2Captcha.API is on the list as %s", r.ID)
	}
}

// TestPopular guards against the costliest mistake: a package that many use may
// have malicious versions, and never every version.
func TestPopular(t *testing.T) {
	whole := make(map[string]string)
	for _, r := range records(t) {
		if a := r.Affected[0]; len(a.Versions) == 0 {
			whole[a.Package.Ecosystem+"/"+a.Package.Name] = r.ID
		}
	}
	for eco, file := range map[string]string{"npm": "npm.txt", "PyPI": "pypi.txt"} {
		data, err := os.ReadFile(filepath.Join(root(t), "..", "shared", "data", "popular", file))
		if errors.Is(err, fs.ErrNotExist) {
			t.Skip("no shared data: ../shared/data/popular is not there")
		} else if err != nil {
			t.Fatal(err)
		}
		names := strings.Fields(string(data))
		if len(names) < 10000 {
			t.Errorf("%s has only %d names", file, len(names))
		}
		for _, name := range names {
			if id := whole[eco+"/"+name]; id != "" {
				t.Errorf("%s calls every version of the popular %s/%s malicious", id, eco, name)
			}
		}
	}
}

// TestExamples holds the ids that examples/README.md promises against the list.
func TestExamples(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root(t), "examples", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]bool)
	for _, r := range records(t) {
		ids[r.ID] = true
	}
	promised := regexp.MustCompile("`(MAL-[^`]+)`").FindAllStringSubmatch(string(data), -1)
	if len(promised) < 7 {
		t.Errorf("only %d ids in examples/README.md", len(promised))
	}
	for _, m := range promised {
		if !ids[m[1]] {
			t.Errorf("examples/README.md promises %s, which is not on the list", m[1])
		}
	}
}

func TestParse(t *testing.T) {
	const good = `{"campaign":"c","date":"2018-11-26","summary":"s","details":"d","references":["https://example.org/"],` +
		`"packages":[{"ecosystem":"npm","name":"a","versions":["1.0.0"],"id":"MAL-2020-1"},{"ecosystem":"npm","name":"b","id":"MAL-0000-rapsheet-0001","aliases":["CVE-2020-1234"]}]}`
	if _, err := Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new string }{
		{"unknown member", `"campaign"`, `"x":1,"campaign"`},
		{"unknown member of a package", `"id":"MAL-2020-1"`, `"id":"MAL-2020-1","x":1`},
		{"duplicate member", `"campaign":"c"`, `"campaign":"c","campaign":"c"`},
		{"other case", `"campaign"`, `"Campaign"`},
		{"campaign as a path", `"campaign":"c"`, `"campaign":"../c"`},
		{"no such day", "2018-11-26", "2018-11-31"},
		{"empty summary", `"summary":"s"`, `"summary":""`},
		{"reference that is no link", "https://example.org/", "javascript:alert(1)"},
		{"no references", `["https://example.org/"]`, `[]`},
		{"id of another block", "MAL-2020-1", "MAL-0000-acme-1"},
		{"own id with three digits", "rapsheet-0001", "rapsheet-001"},
		{"alias of an unknown kind", "CVE-2020-1234", "SNYK-1"},
		{"same package twice", `"name":"b"`, `"name":"a"`},
		{"out of order", `"name":"a"`, `"name":"c"`},
		{"empty version", `["1.0.0"]`, `[""]`},
		{"version twice", `["1.0.0"]`, `["1.0.0","1.0.0"]`},
		{"unknown ecosystem", `"ecosystem":"npm","name":"b"`, `"ecosystem":"xyz","name":"b"`},
		{"Go with versions", `"ecosystem":"npm","name":"a"`, `"ecosystem":"Go","name":"a"`},
		{"PyPI name that is not normalised", `"ecosystem":"npm","name":"b"`, `"ecosystem":"PyPI","name":"B_b"`},
		{"trailing text", `"CVE-2020-1234"]}]}`, `"CVE-2020-1234"]}]} x`},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := strings.Replace(good, c.old, c.new, 1)
			if bad == good {
				t.Fatal("the case changes nothing")
			}
			if in, err := Parse([]byte(bad)); err == nil {
				t.Errorf("accepted as %+v", in)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	names, err := fs.Glob(files, "incidents/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names[:10] {
		data, err := files.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := Parse(data)
		if err != nil {
			return
		}
		records, err := in.Records()
		if err != nil || len(records) != len(in.Packages) {
			t.Errorf("accepted and not made into records: %v", err)
		}
	})
}

func TestPURL(t *testing.T) {
	// Forms of https://github.com/package-url/purl-spec/tree/main/types-doc.
	for _, c := range []struct{ ecosystem, name, want string }{
		{"npm", "chalk", "pkg:npm/chalk"},
		{"npm", "@ctrl/tinycolor", "pkg:npm/%40ctrl/tinycolor"},
		{"npm", "@ctrl", ""},
		{"npm", "a/b", ""},
		{"PyPI", "python3-dateutil", "pkg:pypi/python3-dateutil"},
		{"PyPI", "jeIlyfish", ""},
		{"RubyGems", "rest-client", "pkg:gem/rest-client"},
		{"NuGet", "2C\u0430ptcha.API", "pkg:nuget/2C%D0%B0ptcha.API"},
		{"crates.io", "append-only-vec", "pkg:cargo/append-only-vec"},
		{"Go", "github.com/BufferZoneCorp/log-core", "pkg:golang/github.com/bufferzonecorp/log-core"},
		{"Maven", "org.mvnpm:posthog-node", "pkg:maven/org.mvnpm/posthog-node"},
		{"Maven", "posthog-node", ""},
		{"Packagist", "intercom/intercom-php", "pkg:composer/intercom/intercom-php"},
		{"Packagist", "intercom-php", ""},
		{"VSCode", "JScearcy.rust-doc-viewer", "pkg:vscode-extension/JScearcy/rust-doc-viewer"},
		{"VSCode", "rust-doc-viewer", ""},
		{"GitHub Actions", "tj-actions/changed-files", "pkg:githubactions/tj-actions/changed-files"},
		{"Hex", "x", ""},
		{"npm", "", ""},
	} {
		got, err := purl(c.ecosystem, c.name)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("purl(%s, %q) = %q, %v; want %q", c.ecosystem, c.name, got, err, c.want)
		}
	}
}

// forked is when the shared copy, which is of a fork, began to give out numbers
// of its own: from then on its ids are not upstream's, its packages and versions are.
const forked = "2024-09-01"

// TestAgainstUpstream holds every package that the shared copy has a record of
// against that record: upstream's id, and no version that it does not cover.
func TestAgainstUpstream(t *testing.T) {
	if testing.Short() {
		t.Skip("29,393 records")
	}
	archive := filepath.Join(root(t), "..", "shared", "data", "osv", "malicious-packages-2025-03-31.tar.zst")
	f, err := os.Open(archive)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no shared data: ../shared/data/osv is not there")
	} else if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()

	byID := make(map[string]*osv.Record)
	byName := make(map[string]*osv.Record)
	for _, r := range records(t) {
		byID[r.ID] = r
		byName[r.Affected[0].Package.Ecosystem+"/"+r.Affected[0].Package.Name] = r
	}
	compared := 0
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(h.Name, "/malicious/") || path.Ext(h.Name) != ".json" {
			continue
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		real, _, err := osv.Parse(data)
		if err != nil || len(real.Affected) != 1 {
			continue // some records of this copy have no id
		}
		a := real.Affected[0].Package
		same := real.Published < forked
		if mine := byID[real.ID]; mine != nil && same && (mine.Affected[0].Package.Ecosystem != a.Ecosystem || mine.Affected[0].Package.Name != a.Name) {
			t.Errorf("%s is %s here and %s/%s upstream", real.ID, mine.Affected[0].Package.Name, a.Ecosystem, a.Name)
		}
		mine := byName[a.Ecosystem+"/"+a.Name]
		if mine == nil {
			continue
		}
		compared++
		if same && mine.ID != real.ID {
			t.Errorf("%s/%s has the id %s here and %s upstream", a.Ecosystem, a.Name, mine.ID, real.ID)
		}
		if why := disagree(t, mine, real); why != "" {
			t.Errorf("%s, upstream's %s: %s", mine.ID, real.ID, why)
		}
	}
	if compared < 200 {
		t.Errorf("only %d records were compared", compared)
	}
	t.Logf("%d records compared with upstream's", compared)
}

// disagree says how mine claims something that real does not, "" if it does not.
func disagree(t *testing.T, mine, real *osv.Record) string {
	t.Helper()
	m, r := mine.Affected[0], real.Affected[0]
	for _, a := range mine.Aliases {
		if strings.HasPrefix(a, "GHSA-") && !slices.Contains(real.Aliases, a) {
			return "upstream's record does not have the alias " + a
		}
	}
	e, ok := ecosystem.Find(r.Package.Ecosystem)
	if !ok {
		return "unknown ecosystem " + r.Package.Ecosystem
	}
	inRange := func(v string) bool { // "" asks for every version
		for _, g := range r.Ranges {
			var from, fixed, last string
			for _, ev := range g.Events {
				from, fixed, last = from+ev.Introduced, fixed+ev.Fixed, last+ev.LastAffected
			}
			if from == "0" && fixed == "" && last == "" {
				return true
			}
			if v != "" && (from == "0" || e.Compare(v, from) >= 0) && (fixed == "" || e.Compare(v, fixed) < 0) && (last == "" || e.Compare(v, last) <= 0) {
				return true
			}
		}
		return false
	}
	if len(m.Versions) == 0 && !inRange("") {
		return "upstream does not cover every version"
	}
	for _, v := range m.Versions {
		if !slices.Contains(r.Versions, v) && !inRange(v) {
			return "upstream does not cover version " + v
		}
	}
	return ""
}

// root gives the repository's directory.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}
