package match_test

import (
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/match"
)

func rng(events ...rapsheet.Event) rapsheet.Range {
	return rapsheet.Range{Type: "ECOSYSTEM", Events: events}
}

func ev(kind rapsheet.EventKind, v string) rapsheet.Event {
	return rapsheet.Event{Kind: kind, Version: v}
}

var whole = rng(ev(rapsheet.Introduced, "0"))

// Verdicts follow OSV's evaluation algorithm
// (https://ossf.github.io/osv-schema/#evaluation) and design.md's words; each
// record stands with versions that it is about and versions that it is not.
func TestJudgeVersion(t *testing.T) {
	npm := func(r rapsheet.Record) rapsheet.Record { r.Ecosystem, r.Name = "npm", "evil"; return r }
	pypi := func(r rapsheet.Record) rapsheet.Record { r.Ecosystem, r.Name = "PyPI", "evil"; return r }
	tests := []struct {
		name     string
		rec      rapsheet.Record
		verdicts map[string]rapsheet.Verdict
		unparsed map[string]bool
	}{
		{
			name:     "every version",
			rec:      npm(rapsheet.Record{Ranges: []rapsheet.Range{whole}}),
			verdicts: map[string]rapsheet.Verdict{"1.0.0": "package", "0.0.0-alpha": "package", "": "package", "not a version": "package"},
		},
		{
			name: "exact versions",
			rec:  npm(rapsheet.Record{Versions: []string{"1.2.3", "2.0.0-rc.1"}}),
			verdicts: map[string]rapsheet.Verdict{
				"1.2.3": "exact", "v1.2.3": "exact", "1.2.3+build": "exact", "2.0.0-rc.1": "exact",
				"1.2.4": "", "2.0.0": "", "2.0.0-rc.2": "", "1.2.3-0": "", "": "unversioned",
			},
		},
		{
			name: "exact versions and an open range: both, OSV's union",
			rec:  npm(rapsheet.Record{Versions: []string{"1.2.3"}, Ranges: []rapsheet.Range{whole}}),
			verdicts: map[string]rapsheet.Verdict{
				"1.2.3": "exact", "9.9.9": "package", "": "package",
			},
		},
		{
			name: "bounded by fixed",
			rec:  npm(rapsheet.Record{Ranges: []rapsheet.Range{rng(ev(rapsheet.Introduced, "1.95.6"), ev(rapsheet.Fixed, "1.95.8"))}}),
			verdicts: map[string]rapsheet.Verdict{
				"1.95.5": "", "1.95.6": "range", "1.95.7": "range", "1.95.8-rc.1": "range", "1.95.8": "", "1.95.6-rc.1": "", "": "unversioned",
			},
		},
		{
			name: "bounded by last_affected",
			rec:  npm(rapsheet.Record{Ranges: []rapsheet.Range{rng(ev(rapsheet.Introduced, "1.1.5"), ev(rapsheet.LastAffected, "1.1.7"))}}),
			verdicts: map[string]rapsheet.Verdict{
				"1.1.4": "", "1.1.5": "range", "1.1.7": "range", "1.1.8": "", "1.1.8-0": "",
			},
		},
		{
			name: "from the beginning to a fix, prereleases below it included",
			rec:  npm(rapsheet.Record{Ranges: []rapsheet.Range{rng(ev(rapsheet.Introduced, "0"), ev(rapsheet.Fixed, "2.0.0"))}}),
			verdicts: map[string]rapsheet.Verdict{
				"0.0.0-alpha": "range", "1.99.0": "range", "2.0.0-alpha": "range", "2.0.0": "",
			},
		},
		{
			name:     "no upper end but a lower one",
			rec:      npm(rapsheet.Record{Ranges: []rapsheet.Range{rng(ev(rapsheet.Introduced, "0.41.1"))}}),
			verdicts: map[string]rapsheet.Verdict{"0.41.0": "", "0.41.1": "range", "7.0.0": "range", "": "unversioned"},
		},
		{
			name: "several runs, events out of order",
			rec: npm(rapsheet.Record{Ranges: []rapsheet.Range{rng(
				ev(rapsheet.Fixed, "3.1.0"), ev(rapsheet.Introduced, "1.0.0"), ev(rapsheet.Introduced, "3.0.0"), ev(rapsheet.Fixed, "1.1.0"),
			)}}),
			verdicts: map[string]rapsheet.Verdict{
				"0.9.0": "", "1.0.0": "range", "1.1.0": "", "2.0.0": "", "3.0.5": "range", "3.1.0": "",
			},
		},
		{
			name:     "limit",
			rec:      npm(rapsheet.Record{Ranges: []rapsheet.Range{rng(ev(rapsheet.Introduced, "1.0.0"), ev(rapsheet.Limit, "2.0.0"))}}),
			verdicts: map[string]rapsheet.Verdict{"0.9.0": "", "1.5.0": "range", "2.0.0": "", "3.0.0": ""},
		},
		{
			name:     "limit of everything is no limit",
			rec:      npm(rapsheet.Record{Ranges: []rapsheet.Range{rng(ev(rapsheet.Introduced, "0"), ev(rapsheet.Limit, "*"))}}),
			verdicts: map[string]rapsheet.Verdict{"1.5.0": "package"},
		},
		{
			name:     "withdrawn",
			rec:      npm(rapsheet.Record{Withdrawn: true, Versions: []string{"1.0.0"}}),
			verdicts: map[string]rapsheet.Verdict{"1.0.0": "withdrawn", "1.0.1": "", "": "withdrawn"},
		},
		{
			name:     "disputed: judged as if it stood",
			rec:      npm(rapsheet.Record{Withdrawn: true, Disputed: true, Versions: []string{"1.0.0"}}),
			verdicts: map[string]rapsheet.Verdict{"1.0.0": "exact", "1.0.1": "", "": "unversioned"},
		},
		{
			name:     "neither versions nor ranges says nothing",
			rec:      npm(rapsheet.Record{}),
			verdicts: map[string]rapsheet.Verdict{"1.0.0": "", "": ""},
		},
		{
			name: "PEP 440 equality and order",
			rec: pypi(rapsheet.Record{
				Versions: []string{"1.0", "2.0rc1"},
				Ranges:   []rapsheet.Range{rng(ev(rapsheet.Introduced, "3.0"), ev(rapsheet.Fixed, "3.1"))},
			}),
			verdicts: map[string]rapsheet.Verdict{
				"1.0": "exact", "1.0.0": "exact", "v1.0": "exact", "1": "exact", "1.0+local": "", "1.0.post1": "",
				"2.0rc1": "exact", "2.0.c1": "exact", "2.0-RC1": "exact", "2.0": "",
				"3.0.dev1": "", "3.0": "range", "3.0.1": "range", "3.1.dev1": "range", "3.1": "",
			},
		},
		{
			name: "versions that do not parse match to the letter only",
			rec:  npm(rapsheet.Record{Versions: []string{"latest", "1.0.0"}, Ranges: []rapsheet.Range{rng(ev(rapsheet.Introduced, "2.0.0"), ev(rapsheet.Fixed, "3.0.0"))}}),
			verdicts: map[string]rapsheet.Verdict{
				"latest": "exact", "Latest": "", "1.0.0": "exact", "2.5.0": "range", "^2.0.0": "",
			},
			unparsed: map[string]bool{"Latest": true, "^2.0.0": true, "2.5.0": true},
		},
		{
			name: "a range whose event does not parse covers that text only",
			rec:  npm(rapsheet.Record{Ranges: []rapsheet.Range{rng(ev(rapsheet.Introduced, "banana"), ev(rapsheet.Fixed, "3.0.0"))}}),
			verdicts: map[string]rapsheet.Verdict{
				"banana": "range", "1.0.0": "", "2.9.9": "",
			},
			unparsed: map[string]bool{"banana": true, "1.0.0": true, "2.9.9": true},
		},
		{
			name: "npm's holding version is no finding",
			rec:  npm(rapsheet.Record{Ranges: []rapsheet.Range{whole}}),
			verdicts: map[string]rapsheet.Verdict{
				"0.0.1-security": "", "0.0.1-security.0": "", "0.0.1": "package",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for v, want := range tt.verdicts {
				s := rapsheet.Sighting{Package: rapsheet.Package{Ecosystem: tt.rec.Ecosystem, Name: tt.rec.Name, Version: v}}
				j := match.Judge(&tt.rec, &s)
				if j.Verdict != want || j.Unparsed != tt.unparsed[v] {
					t.Errorf("%q: got %q (unparsed %v), want %q (unparsed %v)", v, j.Verdict, j.Unparsed, want, tt.unparsed[v])
				}
				if (j.Verdict == "") != (j.Why == "") {
					t.Errorf("%q: verdict %q with reason %q", v, j.Verdict, j.Why)
				}
			}
		})
	}
}

func TestJudgeProvenance(t *testing.T) {
	sha := rapsheet.Digest{Algorithm: "sha256", Hex: "aa"}
	rec := rapsheet.Record{Ecosystem: "npm", Name: "evil", Ranges: []rapsheet.Range{whole}, Digests: []rapsheet.Digest{sha}}
	for _, tt := range []struct {
		name string
		ev   rapsheet.Evidence
		want rapsheet.Provenance
	}{
		{"nothing said", rapsheet.Evidence{}, "unknown"},
		{"a registry without a name", rapsheet.Evidence{Origin: "registry"}, "unknown"},
		{"the public registry", rapsheet.Evidence{Origin: "registry", Host: "registry.npmjs.org"}, "registry"},
		{"the public registry with a port", rapsheet.Evidence{Origin: "registry", Host: "registry.npmjs.org:443"}, "registry"},
		{"another registry", rapsheet.Evidence{Origin: "registry", Host: "npm.acme.example"}, "elsewhere"},
		{"a declared mirror", rapsheet.Evidence{Origin: "registry", Host: "npm.acme.example", Mirror: true}, "registry"},
		{"declared internal, nothing else said", rapsheet.Evidence{Internal: true}, "elsewhere"},
		{"declared internal, a registry without a name", rapsheet.Evidence{Internal: true, Origin: "registry"}, "elsewhere"},
		{"declared internal, from the public registry", rapsheet.Evidence{Internal: true, Origin: "registry", Host: "registry.npmjs.org"}, "registry"},
		{"declared internal, from a declared mirror", rapsheet.Evidence{Internal: true, Mirror: true, Origin: "registry", Host: "npm.acme.example"}, "registry"},
		{"declared internal, the very archive", rapsheet.Evidence{Internal: true, Digests: []rapsheet.Digest{sha}}, "hash"},
		{"a registry of another ecosystem", rapsheet.Evidence{Origin: "registry", Host: "pypi.org"}, "elsewhere"},
		{"git", rapsheet.Evidence{Origin: "git", Host: "github.com"}, "elsewhere"},
		{"a file", rapsheet.Evidence{Origin: "file"}, "elsewhere"},
		{"an archive somewhere", rapsheet.Evidence{Origin: "url", Host: "cdn.example"}, "elsewhere"},
		{"the very archive, from a file", rapsheet.Evidence{Origin: "file", Digests: []rapsheet.Digest{{Algorithm: "sha1", Hex: "bb"}, sha}}, "hash"},
		{"another archive", rapsheet.Evidence{Origin: "registry", Host: "npm.acme.example", Digests: []rapsheet.Digest{{Algorithm: "sha256", Hex: "bb"}}}, "elsewhere"},
		{"the same value by another algorithm", rapsheet.Evidence{Digests: []rapsheet.Digest{{Algorithm: "sha512", Hex: "aa"}}}, "unknown"},
	} {
		s := rapsheet.Sighting{Package: rapsheet.Package{Ecosystem: "npm", Name: "evil", Version: "1.0.0"}, Evidence: tt.ev}
		if got := match.Judge(&rec, &s).Provenance; got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	// A holding version whose digest is on record is the malicious archive after all.
	s := rapsheet.Sighting{Package: rapsheet.Package{Ecosystem: "npm", Name: "evil", Version: "0.0.1-security"}, Evidence: rapsheet.Evidence{Digests: []rapsheet.Digest{sha}}}
	if j := match.Judge(&rec, &s); j.Verdict != "package" || j.Provenance != "hash" {
		t.Errorf("holding version with a digest on record: %+v", j)
	}
}

// Judge does not reorder or otherwise change a record.
func TestJudgeIsPure(t *testing.T) {
	events := []rapsheet.Event{ev(rapsheet.Fixed, "2.0.0"), ev(rapsheet.Introduced, "1.0.0")}
	rec := rapsheet.Record{Ecosystem: "npm", Name: "evil", Ranges: []rapsheet.Range{{Type: "SEMVER", Events: events}}}
	s := rapsheet.Sighting{Package: rapsheet.Package{Ecosystem: "npm", Name: "evil", Version: "1.5.0"}}
	if j := match.Judge(&rec, &s); j.Verdict != "range" {
		t.Fatalf("%+v", j)
	}
	if events[0].Kind != rapsheet.Fixed || events[1].Kind != rapsheet.Introduced {
		t.Error("the record's events were reordered")
	}
}

// A name that only shares a key is another package: a purl may have lost the case
// of a Go module, a go.mod has not.
func TestJudgeName(t *testing.T) {
	rec := rapsheet.Record{Ecosystem: "Go", Name: "github.com/Evil/Mod", Ranges: []rapsheet.Range{whole}}
	for name, want := range map[string]rapsheet.Verdict{
		"github.com/Evil/Mod": "package", "github.com/evil/mod": "package", "github.com/EVIL/mod": "",
	} {
		s := rapsheet.Sighting{Package: rapsheet.Package{Ecosystem: "Go", Name: name, Version: "v1.0.0"}}
		if got := match.Judge(&rec, &s).Verdict; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// A user's one index for everything may be a proxy of the public registry: it is named, and excuses nothing.
func TestConfiguredHostIsNoExcuse(t *testing.T) {
	rec := rapsheet.Record{ID: "MAL-1", Ecosystem: "PyPI", Name: "evil", Versions: []string{"1.0"}}
	s := rapsheet.Sighting{Package: rapsheet.Package{Ecosystem: "PyPI", Name: "evil", Version: "1.0"}, Evidence: rapsheet.Evidence{Host: "pypi.corp.example"}}
	j := match.Judge(&rec, &s)
	if j.Provenance != rapsheet.ProvenanceUnknown || !strings.Contains(j.Why, "pypi.corp.example") {
		t.Errorf("%+v", j)
	}
}
