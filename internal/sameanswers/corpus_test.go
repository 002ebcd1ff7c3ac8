package sameanswers

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/internal/indextest"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/match"
	"github.com/rapsheet/rapsheet/osv"
)

// fact is a package, what the records say of it, and which versions are malicious, decided by hand from the ecosystem's
// own rules: node-semver and semver.org, PEP 440 and 503, Gem::Version, Go's module reference, Maven's POM reference,
// NuGet's version ranges, Composer's versions.
type fact struct {
	ecosystem, name string
	records         []string // the affected entry without its package, one for each record; "withdrawn " or "disputed " before it
	as              []string // further names that are the same package
	bad, clean      string   // versions, with a space between
	strangers       []string // names that are another package, of which all these versions are clean
}

const (
	all       = `"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]`
	semverAll = `"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]`
)

func listed(versions ...string) string {
	data, err := json.Marshal(versions)
	if err != nil {
		panic(err)
	}
	return `"versions": ` + string(data)
}

// run is a range of events, "introduced 1.0" and so on.
func run(kind string, events ...string) string {
	var out []string
	for _, e := range events {
		word, version, _ := strings.Cut(e, " ")
		out = append(out, fmt.Sprintf(`{%q: %q}`, word, version))
	}
	return fmt.Sprintf(`{"type": %q, "events": [%s]}`, kind, strings.Join(out, ", "))
}

func ranges(r ...string) string { return `"ranges": [` + strings.Join(r, ", ") + `]` }

func of(records ...string) []string { return records }

var facts = []fact{
	{ecosystem: "npm", name: "evil-exact", records: of(listed("1.2.3", "1.2.4")), bad: "1.2.3 1.2.4 1.2.3+build.1", clean: "1.2.2 1.2.5 1.2.3-beta.1 1.2.4-0 1.2.40"},
	{ecosystem: "npm", name: "@evil/whole", records: of(semverAll), bad: "0.0.0 0.0.1-alpha 1.0.0 99.99.99", clean: "0.0.1-security"},
	{ecosystem: "npm", name: "evil-fixed", records: of(ranges(run("SEMVER", "introduced 1.0.0", "fixed 2.0.0"))), bad: "1.0.0 1.9.9 1.5.0-rc.1 2.0.0-rc.1 1.10.0", clean: "0.9.9 1.0.0-rc.1 2.0.0 2.0.1 2.0.0+build"},
	{ecosystem: "npm", name: "evil-last", records: of(ranges(run("SEMVER", "introduced 0", "last_affected 1.2.3"))), bad: "0.0.1 1.2.3 1.2.3-beta 0.0.0-0", clean: "1.2.4-0 1.2.4 10.0.0"},
	{
		ecosystem: "npm", name: "evil-runs", records: of(ranges(run("SEMVER", "introduced 1.0.0", "fixed 1.1.0"), run("SEMVER", "introduced 2.0.0-beta.2"))),
		bad: "1.0.0 1.0.5 1.1.0-0 2.0.0-beta.2 2.0.0-beta.11 2.0.0 30.0.0", clean: "0.9.0 1.1.0 1.9.0 2.0.0-beta.1 2.0.0-alpha.9",
	},
	{
		ecosystem: "npm", name: "evil-events", records: of(ranges(run("SEMVER", "introduced 0", "fixed 0.5.0", "introduced 1.0.0", "fixed 1.0.10"))),
		bad: "0.4.9 0.5.0-rc.1 1.0.0 1.0.9 1.0.10-0", clean: "0.5.0 0.9.9 1.0.10 1.0.0-rc.1",
	},
	{
		ecosystem: "npm", name: "evil-both", records: of(listed("3.0.0") + ", " + ranges(run("SEMVER", "introduced 1.0.0", "last_affected 1.0.2"))),
		bad: "3.0.0 1.0.0 1.0.1 1.0.2", clean: "1.0.3 2.9.9 3.0.1 3.0.0-rc.1",
	},
	{ecosystem: "npm", name: "@evil/pre", records: of(listed("1.0.0-rc.1")), bad: "1.0.0-rc.1", clean: "1.0.0 1.0.0-rc.2 1.0.0-rc.1.1"},
	{ecosystem: "npm", name: "evil-twice", records: of(listed("1.0.0"), ranges(run("SEMVER", "introduced 2.0.0", "fixed 2.1.0"))), bad: "1.0.0 2.0.0 2.0.9", clean: "1.0.1 1.9.9 2.1.0"},
	{ecosystem: "npm", name: "evil-half", records: of("withdrawn "+semverAll, listed("1.0.0")), bad: "1.0.0", clean: "2.0.0 0.9.0"},
	{ecosystem: "npm", name: "evil-withdrawn", records: of("withdrawn " + listed("1.0.0")), clean: "1.0.0 2.0.0"},
	{ecosystem: "npm", name: "evil-disputed", records: of("disputed " + semverAll), clean: "1.0.0 2.0.0"},
	{ecosystem: "npm", name: "EvilStream", records: of(listed("1.0.0")), bad: "1.0.0", clean: "1.0.1", strangers: []string{"evilstream"}},
	{ecosystem: "npm", name: "evil-tag", records: of(listed("v4.0.0", "4.1")), bad: "4.0.0", clean: "4.0.1 4.2.0"},
	{ecosystem: "npm", name: "good", clean: "1.0.0 1.2.3"},
	{ecosystem: "npm", name: "@good/evil-exact", clean: "1.2.3"},

	{ecosystem: "PyPI", name: "evil-py", records: of(listed("1.0", "1.1rc1", "2.0.post1")), bad: "1.0 1.0.0 1.1rc1 1.1.0rc1 2.0.post1 2.0-1", clean: "1.1 1.0.1 1.0.post1 1.0rc1 2.0 1.0+local 1.0.dev1"},
	{ecosystem: "PyPI", name: "Evil_Py.Whole", records: of(all), as: []string{"evil-py-whole", "EVIL.py--whole"}, bad: "0.1 2.0.dev1 1!3.0 1.0+local", clean: ""},
	{ecosystem: "PyPI", name: "Evil.Exact_Py", records: of(listed("1.0.0")), as: []string{"evil-exact-py", "evil_exact_py"}, bad: "1.0.0", clean: "1.0.1", strangers: []string{"evilexactpy"}},
	{
		ecosystem: "PyPI", name: "evil-py-range", records: of(ranges(run("ECOSYSTEM", "introduced 1.0", "fixed 2.0"))),
		bad: "1.0 1.0.0 1.5 1.10 1.0.post1 1.0+cu118 2.0rc1 2.0.dev1 2.0a1", clean: "0.9 1.0rc1 1.0.dev3 2.0 2.0.0 2.0.post1 2.1",
	},
	{ecosystem: "PyPI", name: "evil-py-epoch", records: of(ranges(run("ECOSYSTEM", "introduced 1!1.0", "fixed 1!2.0"))), bad: "1!1.0 1!1.5", clean: "1.5 1!2.0 2020.1 1!1.0rc1 2!1.5"},
	{ecosystem: "PyPI", name: "evil-py-last", records: of(ranges(run("ECOSYSTEM", "introduced 1.0", "last_affected 1.2"))), bad: "1.0 1.1.9 1.2 1.2.0 1.2rc1", clean: "0.9 1.2.1 1.2.post1 1.3 1.3.dev1"},
	{ecosystem: "PyPI", name: "evil-py-local", records: of(listed("1.0+cu118")), bad: "1.0+cu118 1.0+CU118", clean: "1.0 1.0+cu121"},
	{ecosystem: "PyPI", name: "evil-py-calver", records: of(listed("2026.1.15", "2026.2")), bad: "2026.1.15 2026.01.15 2026.2", clean: "2026.1.14 2026.1.16 2026.1 2026.2.1"},
	{ecosystem: "PyPI", name: "evil-py-tail", records: of(listed("0.5") + ", " + ranges(run("ECOSYSTEM", "introduced 3.0b2"))), bad: "0.5 3.0b2 3.0 4.0.dev1", clean: "0.5.1 2.9 3.0b1 3.0a9"},
	{ecosystem: "PyPI", name: "evil-py-withdrawn", records: of("withdrawn " + all), clean: "1.0"},
	{ecosystem: "PyPI", name: "evil-py-disputed", records: of("disputed " + listed("1.0")), clean: "1.0 1.1"},
	{ecosystem: "PyPI", name: "good-py", clean: "1.0 2.0rc1"},
	{ecosystem: "PyPI", name: "evil-exact", clean: "1.2.3"}, // npm's is another

	{ecosystem: "RubyGems", name: "evil_gem", records: of(listed("0.1.0", "1.0.0.pre")), bad: "0.1.0 0.1 1.0.0.pre", clean: "0.0.9 0.1.1 1.0.0 1.0.0.pre1 0.1.0.1", strangers: []string{"evil-gem"}},
	{ecosystem: "RubyGems", name: "evil-gem-range", records: of(ranges(run("ECOSYSTEM", "introduced 1.0.0", "fixed 2.0.0"))), bad: "1.0.0 1.9 1.10.0 2.0.0.rc1", clean: "0.9 1.0.0.beta 2.0.0 2.0 2.0.1"},
	{ecosystem: "RubyGems", name: "evil-gem-all", records: of(all), bad: "0.0.1 10.0.pre"},
	{ecosystem: "RubyGems", name: "evil-gem-last", records: of(ranges(run("ECOSYSTEM", "introduced 1.2.a", "last_affected 1.2"))), bad: "1.2.a 1.2.b 1.2 1.2.0", clean: "1.1 1.2.1 1.3"},
	{ecosystem: "RubyGems", name: "evil-gem-calver", records: of(listed("2026.01.15")), bad: "2026.01.15 2026.1.15", clean: "2026.1.16"},
	{ecosystem: "RubyGems", name: "evil-gem-withdrawn", records: of("withdrawn " + all), clean: "1.0.0"},
	{ecosystem: "RubyGems", name: "evil-gem-both", records: of(listed("5.0.0")+", "+ranges(run("ECOSYSTEM", "introduced 1.0.0", "fixed 1.1.0")), listed("7.0.0")), bad: "5.0.0 1.0.0 1.0.9 7.0.0", clean: "1.1.0 4.9.9 5.0.1 6.0.0"},
	{ecosystem: "RubyGems", name: "good_gem", clean: "1.0.0"},

	{
		ecosystem: "Go", name: "example.com/Evil/mod", records: of(listed("v1.2.3", "v0.0.0-20240101000000-abcdefabcdef")),
		bad: "v1.2.3 v0.0.0-20240101000000-abcdefabcdef", clean: "v1.2.2 v1.2.4 v1.2.3-rc.1 v0.0.0-20240101000001-abcdefabcdef", strangers: []string{"example.com/EVIL/mod"},
	},
	{ecosystem: "Go", name: "example.com/evil/v2", records: of(ranges(run("SEMVER", "introduced 2.0.0", "fixed 2.1.0"))), bad: "v2.0.0 v2.0.5 v2.1.0-rc.1", clean: "v2.0.0-rc.1 v2.1.0 v2.2.0", strangers: []string{"example.com/evil", "example.com/evil/v3"}},
	{ecosystem: "Go", name: "example.com/gone", records: of(semverAll), bad: "v0.0.1 v0.0.0-20240101000000-abcdefabcdef v2.0.0+incompatible"},
	{ecosystem: "Go", name: "example.com/incompatible", records: of(listed("2.0.0+incompatible", "1.0.0")), bad: "v2.0.0+incompatible v1.0.0", clean: "v2.0.1+incompatible v1.0.1"},
	{ecosystem: "Go", name: "github.com/evil/last", records: of(ranges(run("SEMVER", "introduced 0", "last_affected 1.5.0"))), bad: "v0.1.0 v1.5.0 v1.5.0-rc.1", clean: "v1.5.1-0 v1.5.1 v1.6.0"},
	{ecosystem: "Go", name: "github.com/evil/withdrawn", records: of("withdrawn " + semverAll), clean: "v1.0.0"},
	{ecosystem: "Go", name: "github.com/evil/two", records: of(listed("1.0.0"), ranges(run("SEMVER", "introduced 1.2.0"))), bad: "v1.0.0 v1.2.0 v1.9.0", clean: "v1.0.1 v1.1.9 v1.2.0-rc.1"},
	{ecosystem: "Go", name: "github.com/good/mod", clean: "v1.0.0"},

	{ecosystem: "crates.io", name: "evil-crate", records: of(listed("0.1.0", "2.0.0-alpha.1")), as: []string{"evil_crate"}, bad: "0.1.0 0.1.0+meta 2.0.0-alpha.1", clean: "0.0.9 0.1.1 0.1.0-alpha 2.0.0 2.0.0-alpha.2"},
	{ecosystem: "crates.io", name: "evil_range", records: of(ranges(run("SEMVER", "introduced 1.0.0", "fixed 1.3.0"), run("SEMVER", "introduced 2.0.0", "last_affected 2.0.4"))), bad: "1.0.0 1.2.99 1.3.0-beta 2.0.0 2.0.4", clean: "0.9.9 1.0.0-beta 1.3.0 1.9.0 2.0.5-0 2.0.5"},
	{ecosystem: "crates.io", name: "evil_all", records: of(all), bad: "0.0.0 1.0.0-pre 9.9.9"},
	{ecosystem: "crates.io", name: "evil-both-crate", records: of(listed("0.9.0")+", "+ranges(run("SEMVER", "introduced 1.0.0-rc.1", "fixed 1.0.0")), listed("1.5.0")), bad: "0.9.0 1.0.0-rc.1 1.0.0-rc.9 1.5.0", clean: "0.9.1 1.0.0-beta 1.0.0 1.4.9"},
	{ecosystem: "crates.io", name: "evil-crate-withdrawn", records: of("withdrawn " + all), clean: "1.0.0"},
	{ecosystem: "crates.io", name: "good-crate", clean: "1.0.0"},

	{ecosystem: "Maven", name: "org.evil:lib", records: of(listed("1.0", "2.0-beta-1")), bad: "1.0 1.0.0 2.0-beta-1", clean: "0.9 1.0.1 1.1 1.0-SNAPSHOT 1.0-rc1 2.0 2.0-beta-2", strangers: []string{"org.other:lib"}},
	{ecosystem: "Maven", name: "com.evil:range", records: of(ranges(run("ECOSYSTEM", "introduced 1.0", "fixed 2.0"))), bad: "1.0 1.0.0 1.5 1.10 2.0-SNAPSHOT 2.0-alpha-1 2.0-rc1", clean: "0.9 1.0-alpha-1 1.0-SNAPSHOT 2.0 2.0.0 2.0.1"},
	{ecosystem: "Maven", name: "io.evil:all", records: of(all), bad: "0.0.1 1.0-SNAPSHOT 5"},
	{ecosystem: "Maven", name: "io.evil:last", records: of(listed("9.0") + ", " + ranges(run("ECOSYSTEM", "introduced 1.1", "last_affected 1.3"))), bad: "1.1 1.2.5 1.3 9.0", clean: "1.0 1.3.1 1.4 8.9"},
	{ecosystem: "Maven", name: "io.evil:withdrawn", records: of("withdrawn " + all), clean: "1.0"},
	{ecosystem: "Maven", name: "io.good:lib", clean: "1.0"},

	{
		ecosystem: "NuGet", name: "Evil.Lib", records: of(listed("1.2.3", "1.3.0.4", "2.0.0-Beta")), as: []string{"evil.lib", "EVIL.LIB"},
		bad: "1.2.3 1.2.3.0 1.3.0.4 2.0.0-beta 1.2.3+meta", clean: "1.2.2 1.2.4 1.2.3.1 1.3.0 1.3.0.5 2.0.0 2.0.0-beta.1", strangers: []string{"Evil-Lib"},
	},
	{ecosystem: "NuGet", name: "Evil.Range", records: of(ranges(run("ECOSYSTEM", "introduced 1.0.0", "fixed 2.0.0"))), bad: "1.0.0 1.0 1.9.9.9 1.10.0 2.0.0-rc.1", clean: "0.9 1.0.0-beta 2.0.0 2.0 2.0.0.1"},
	{ecosystem: "NuGet", name: "evil.all", records: of(all), bad: "0.0.1 1.0.0-alpha 3.2.1.0"},
	{ecosystem: "NuGet", name: "Evil.Last", records: of(listed("7.0.0")+", "+ranges(run("ECOSYSTEM", "introduced 0", "last_affected 1.5.0.1")), listed("8.0.0")), bad: "0.1 1.5.0 1.5.0.1 7.0.0 8.0.0", clean: "1.5.0.2 1.5.1 6.9 7.0.1 8.0.0-rc1"},
	{ecosystem: "NuGet", name: "Evil.Calver", records: of(listed("2026.1.15")), bad: "2026.1.15 2026.01.15", clean: "2026.1.16"},
	{ecosystem: "NuGet", name: "Evil.Withdrawn", records: of("withdrawn " + all), clean: "1.0.0"},
	{ecosystem: "NuGet", name: "Evil.Disputed", records: of("disputed " + all), clean: "1.0.0"},
	{ecosystem: "NuGet", name: "Good.Lib", clean: "1.0.0"},

	{
		ecosystem: "Packagist", name: "evil/pkg", records: of(listed("1.2.3", "v2.0.0", "dev-evil", "3.0.0-RC1")), as: []string{"Evil/Pkg"},
		bad: "1.2.3 v1.2.3 1.2.3.0 2.0.0 dev-evil 3.0.0-RC1 3.0.0-rc1", clean: "1.2.2 1.2.4 1.2.3-beta1 1.2.3-p1 dev-other 3.0.0 3.0.0-RC2",
	},
	{ecosystem: "Packagist", name: "evil/range", records: of(ranges(run("ECOSYSTEM", "introduced 1.0.0", "fixed 2.0.0"))), bad: "1.0.0 v1.0 1.5 1.10.0 2.0.0-RC1 2.0.0-beta2 2.0.0-dev", clean: "0.9 1.0.0-RC1 1.0.0-beta1 2.0.0 2.0.1"},
	{ecosystem: "Packagist", name: "evil/all", records: of(all), bad: "0.1 1.0.0-alpha1 dev-main 2026.01.02"},
	{ecosystem: "Packagist", name: "evil/last", records: of(listed("5.0.0") + ", " + ranges(run("ECOSYSTEM", "introduced 1.1.0-beta1", "last_affected 1.2.0"))), bad: "1.1.0-beta1 1.1.0-RC1 1.1.0 1.2.0 5.0.0", clean: "1.1.0-alpha1 1.2.1 1.2.0-p1 4.9"},
	{ecosystem: "Packagist", name: "evil/calver", records: of(listed("2026.01.15")), bad: "2026.01.15 v2026.01.15", clean: "2026.01.16"},
	{ecosystem: "Packagist", name: "evil/withdrawn", records: of("withdrawn " + all), clean: "1.0.0"},
	{ecosystem: "Packagist", name: "good/pkg", clean: "1.0.0"},

	{ecosystem: "Hex", name: "evil_hex", records: of(listed("1.0.0"), ranges(run("SEMVER", "introduced 2.0.0", "fixed 2.1.0"))), bad: "1.0.0 2.0.0 2.1.0-rc.1", clean: "1.0.1 2.0.0-rc.1 2.1.0"},
	{ecosystem: "Hex", name: "evil_hex_all", records: of(all), bad: "0.1.0"},
	{ecosystem: "Pub", name: "evil_pub", records: of(listed("1.0.0"), ranges(run("ECOSYSTEM", "introduced 2.0.0", "last_affected 2.1.0"))), bad: "1.0.0 2.0.0 2.1.0", clean: "1.0.1 1.0.0-dev 2.1.1"},
	{ecosystem: "SwiftURL", name: "github.com/evil/swift-lib", records: of(listed("1.0.0"), ranges(run("SEMVER", "introduced 2.0.0", "fixed 2.1.0"))), bad: "1.0.0 2.0.0", clean: "1.0.1 2.1.0"},
	{ecosystem: "VSCode", name: "evil.extension", records: of(listed("1.0.0")), as: []string{"Evil.Extension"}, bad: "1.0.0", clean: "1.0.1", strangers: []string{"good.extension"}},
	{ecosystem: "GitHub Actions", name: "evil/action", records: of(listed("1.0.0"), ranges(run("ECOSYSTEM", "introduced 2.0.0", "fixed 3.0.0"))), as: []string{"Evil/Action"}, bad: "1.0.0 v1.0.0 2.5.0", clean: "1.0.1 3.0.0"},
	{ecosystem: "CRAN", name: "evilr", records: of(listed("1.0-1"), ranges(run("ECOSYSTEM", "introduced 2.0", "fixed 2.1"))), bad: "1.0-1 1.0.1 2.0 2.0.5", clean: "1.0-2 1.0 2.1"},
	{ecosystem: "Hackage", name: "evil-hs", records: of(listed("1.0.0.1"), ranges(run("ECOSYSTEM", "introduced 2.0", "last_affected 2.0.9"))), bad: "1.0.0.1 2.0 2.0.9", clean: "1.0.0 1.0.0.2 2.1"},
}

// pair is one question: a package in some spelling, and a version.
type pair struct {
	rapsheet.Package
	real bool // of the real records; the answer is then that of match.Judge
	bad  bool

	records []*osv.Record    // about the package, of any state
	verdict rapsheet.Verdict // the strongest that match.Judge gives for a record in force
}

func (p *pair) String() string { return fmt.Sprintf("%s %s %s", p.Ecosystem, p.Name, p.Version) }

// spelled reports whether the package is asked for under the very name of the record.
func (p *pair) spelled() bool {
	return len(p.records) == 0 || p.records[0].Affected[0].Package.Name == p.Name
}

// inForce are the affected entries about the package of records in force.
func (p *pair) inForce() (out []osv.Affected) {
	for _, r := range p.records {
		if !r.IsWithdrawn() {
			out = append(out, r.Affected...)
		}
	}
	return out
}

// inRun reports whether a record about the package has a run of versions that is not all of them.
func (p *pair) inRun() bool {
	return slices.ContainsFunc(p.inForce(), func(a osv.Affected) bool {
		return slices.ContainsFunc(a.Ranges, func(r osv.Range) bool {
			return r.Type != osv.RangeGit && !(len(r.Events) == 1 && r.Events[0].Introduced == "0")
		})
	})
}

// listedAs reports whether the version is listed letter by letter.
func (p *pair) listedAs() bool {
	return slices.ContainsFunc(p.inForce(), func(a osv.Affected) bool { return slices.Contains(a.Versions, p.Version) })
}

// corpus is the documents and the questions.
type corpus struct {
	documents []string
	pairs     []*pair
	real      bool // the real records are among them
}

// newCorpus puts the facts and, where they are, real records together, and holds what was written by hand against match.Judge.
func newCorpus(t *testing.T) *corpus {
	t.Helper()
	c := &corpus{}
	n := 0
	for _, f := range facts {
		for _, body := range f.records {
			n++
			c.documents = append(c.documents, record(n, f.ecosystem, f.name, body))
		}
		add := func(name, versions string, bad bool) {
			for v := range strings.FieldsSeq(versions) {
				c.pairs = append(c.pairs, &pair{Package: rapsheet.Package{Ecosystem: f.ecosystem, Name: name, Version: v}, bad: bad})
			}
		}
		for _, name := range append([]string{f.name}, f.as...) {
			add(name, f.bad, true)
			add(name, f.clean, false)
		}
		for _, name := range f.strangers {
			add(name, strings.Fields(f.bad + " " + f.clean)[0], false)
		}
	}
	hand := len(c.pairs)
	for _, r := range sample(t) {
		data, err := r.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		c.documents, c.real = append(c.documents, string(data)), true
		for _, v := range probes(r) {
			c.pairs = append(c.pairs, &pair{Package: rapsheet.Package{Ecosystem: r.Affected[0].Package.Ecosystem, Name: r.Affected[0].Package.Name, Version: v}, real: true})
		}
	}
	byKey := map[rapsheet.Key][]*osv.Record{}
	for _, d := range c.documents {
		r, _, err := osv.Parse([]byte(d))
		if err != nil {
			t.Fatal(err)
		}
		key, ok := ecosystem.KeyOf(rapsheet.Package{Ecosystem: r.Affected[0].Package.Ecosystem, Name: r.Affected[0].Package.Name})
		if !ok {
			t.Fatalf("%s has no key", r.ID)
		}
		byKey[key] = append(byKey[key], r)
	}
	ix := c.index(t)
	defer ix.Close()
	for i, p := range c.pairs {
		key, ok := ecosystem.KeyOf(p.Package)
		if !ok {
			t.Fatalf("%s has no key", p)
		}
		p.records = byKey[key]
		records, err := ix.Lookup(key)
		if err != nil {
			t.Fatal(err)
		}
		bad := false
		for j := range records {
			if verdict := match.Judge(&records[j], &rapsheet.Sighting{Package: p.Package}).Verdict; !records[j].Withdrawn && verdict != rapsheet.VerdictNone {
				bad, p.verdict = true, verdict
			}
		}
		switch {
		case i >= hand:
			p.bad = bad
		case p.bad != bad:
			t.Errorf("%s: match.Judge says %v, and by hand it is %v", p, bad, p.bad)
		}
	}
	if hand < 330 || c.real && len(c.pairs) < 600 {
		t.Errorf("%d pairs, %d of them by hand", len(c.pairs), hand)
	}
	return c
}

// record is a document about one package.
func record(n int, eco, name, body string) string {
	state := ""
	if rest, ok := strings.CutPrefix(body, "withdrawn "); ok {
		body, state = rest, `"withdrawn": "2026-01-02T00:00:00Z", `
	} else if rest, ok := strings.CutPrefix(body, "disputed "); ok {
		body = rest
		state = `"withdrawn": "2026-01-02T00:00:00Z", "database_specific": {"rapsheet": {"state": "disputed", "since": "2026-01-02T00:00:00Z", "reason": "doubted"}}, `
	}
	if !slices.Contains([]string{"npm", "Go", "crates.io", "Hex", "SwiftURL"}, eco) {
		body = strings.ReplaceAll(body, `"SEMVER"`, `"ECOSYSTEM"`)
	}
	return fmt.Sprintf(`{"schema_version": "1.7.4", "id": "MAL-2026-%d", "modified": "2026-01-02T00:00:00Z", "published": "2026-01-01T00:00:00Z", %s"summary": "Malicious code in %s (%s)", "details": "Steals credentials.", "affected": [{"package": {"ecosystem": %q, "name": %q}, %s}]}`,
		n, state, name, eco, eco, name, body)
}

// index is a snapshot of the documents.
func (c *corpus) index(t *testing.T) *index.Index {
	t.Helper()
	data := c.snapshot(t)
	ix, err := index.New(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return ix
}

func (c *corpus) snapshot(t *testing.T) []byte {
	t.Helper()
	return indextest.Snapshot(t, index.Meta{Source: "test", Date: now}, indextest.Records(t, c.documents...)...)
}

// sampleSize is how many real records of each shape are asked about in each ecosystem.
const sampleSize = 9

// sample takes real records of 2025-03-31 (github.com/khulnasoft-lab/malicious-packages), spread evenly by id over each
// ecosystem and shape: every version, listed versions, runs of versions, withdrawn. They stand beside the repository.
func sample(t *testing.T) []*osv.Record {
	t.Helper()
	archive := filepath.Join("..", "..", "..", "shared", "data", "osv", "malicious-packages-2025-03-31.tar.zst")
	if _, err := os.Stat(archive); errors.Is(err, fs.ErrNotExist) {
		if os.Getenv("CI") == "true" {
			t.Fatal("../shared/data is missing, which CI has")
		}
		t.Log("../shared/data is not here: the half on real records is left out")
		return nil
	}
	shapes := map[string][]*osv.Record{}
	for doc, err := range source.Documents(t.Context(), archive, source.Limits{}) {
		if err != nil {
			t.Fatal(err)
		}
		r, _, err := osv.ReadNamed(bytes.NewReader(doc.Data), doc.Name, osv.DefaultLimits())
		if err != nil {
			t.Fatalf("%s: %v", doc.Name, err)
		}
		if !strings.HasPrefix(r.ID, "MAL-") || len(r.Affected) != 1 {
			continue
		}
		shape := r.Affected[0].Package.Ecosystem + " " + shapeOf(r)
		shapes[shape] = append(shapes[shape], r)
	}
	var out []*osv.Record
	taken := map[rapsheet.Key]bool{}
	for _, shape := range slices.Sorted(func(yield func(string) bool) {
		for s := range shapes {
			if !yield(s) {
				return
			}
		}
	}) {
		list := shapes[shape]
		slices.SortFunc(list, func(r, s *osv.Record) int { return strings.Compare(r.ID, s.ID) })
		step := max(1, len(list)/sampleSize)
		for i := 0; i < len(list) && i < step*sampleSize; i += step {
			r := list[i]
			key, ok := ecosystem.KeyOf(rapsheet.Package{Ecosystem: r.Affected[0].Package.Ecosystem, Name: r.Affected[0].Package.Name})
			if ok && !taken[key] {
				taken[key] = true
				out = append(out, r)
			}
		}
	}
	return out
}

func shapeOf(r *osv.Record) string {
	a := advisory.Of(r, advisory.Links{})
	switch {
	case r.IsWithdrawn():
		return "withdrawn"
	case len(a) == 0:
		return "nothing"
	case a[0].All:
		return "all"
	case len(a[0].Spans) > 0:
		return "run"
	}
	return "versions"
}

// probes are the versions that a real record is asked about: some that it names, one behind each, and one that nobody has.
func probes(r *osv.Record) []string {
	a := &r.Affected[0]
	var named []string
	if n := len(a.Versions); n > 0 {
		named = append(named, a.Versions[0], a.Versions[n/2], a.Versions[n-1])
	}
	for _, g := range a.Ranges {
		for _, e := range g.Events {
			named = append(named, cmp.Or(e.Introduced, e.Fixed, e.LastAffected))
		}
	}
	out := []string{"31.41.59"}
	for _, v := range named {
		if v == "0" || v == "" {
			continue
		}
		out = append(out, v)
		if i := strings.LastIndexByte(v, '.'); i >= 0 {
			if n, err := strconv.Atoi(v[i+1:]); err == nil && n < 1<<30 {
				out = append(out, v[:i+1]+strconv.Itoa(n+1))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
