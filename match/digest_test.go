package match_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/indextest"
	"github.com/rapsheet/rapsheet/match"
	"github.com/rapsheet/rapsheet/osv"
)

// sum is a digest that tells which one it is.
func sum(algorithm string, digits, n int) rapsheet.Digest {
	return rapsheet.Digest{Algorithm: algorithm, Hex: fmt.Sprintf("%0*x", digits, n)}
}

func sha512(n int) rapsheet.Digest { return sum("sha512", 128, n) }
func sha1(n int) rapsheet.Digest   { return sum("sha1", 40, n) }
func md5(n int) rapsheet.Digest    { return sum("md5", 32, n) }

// Digests against digests, and what is said of them.
func TestJudgeDigest(t *testing.T) {
	private := rapsheet.Evidence{Origin: "registry", Host: "npm.acme.example"}
	public := rapsheet.Evidence{Origin: "registry", Host: "registry.npmjs.org"}
	with := func(ev rapsheet.Evidence, d ...rapsheet.Digest) rapsheet.Evidence {
		ev.Digests = d
		return ev
	}
	one := rapsheet.Record{Ecosystem: "npm", Name: "evil", Versions: []string{"1.0.0"}, Digests: []rapsheet.Digest{sha1(1), sha512(1)}}
	two := rapsheet.Record{Ecosystem: "npm", Name: "evil", Versions: []string{"1.0.0", "1.0.1"}, Digests: []rapsheet.Digest{sha512(1), sha512(2)}}
	all := rapsheet.Record{Ecosystem: "npm", Name: "evil", Ranges: []rapsheet.Range{whole}, Digests: []rapsheet.Digest{sha512(1)}}
	bounded := rapsheet.Record{Ecosystem: "npm", Name: "evil", Digests: []rapsheet.Digest{sha512(1)},
		Ranges: []rapsheet.Range{rng(ev(rapsheet.Introduced, "1.0.0"), ev(rapsheet.Fixed, "2.0.0"))}}
	bare := rapsheet.Record{Ecosystem: "npm", Name: "evil", Digests: []rapsheet.Digest{md5(1)}}
	gone, doubted := one, one
	gone.Withdrawn = true
	doubted.Withdrawn, doubted.Disputed = true, true
	mod := rapsheet.Record{Ecosystem: "Go", Name: "github.com/Evil/Mod", Versions: []string{"1.0.0"}, Digests: []rapsheet.Digest{sha512(1)}}
	pypi := rapsheet.Record{Ecosystem: "PyPI", Name: "Evil_Pkg", Versions: []string{"1.0"}, Digests: []rapsheet.Digest{sum("sha256", 64, 1)}}
	for _, tt := range []struct {
		name string
		rec  rapsheet.Record
		pkg  rapsheet.Package
		ev   rapsheet.Evidence
		want string // verdict provenance: why
	}{
		{"the very archive", one, npm("evil", "1.0.0"), with(public, sha512(1)), "exact hash: this very version is on record; its sha512 digest is on record"},
		{"from anywhere", one, npm("evil", "1.0.0"), with(private, sha512(1)), "exact hash: this very version is on record; its sha512 digest is on record"},
		{"by a weak digest", one, npm("evil", "1.0.0"), with(private, sha1(1)), "exact hash: this very version is on record; its sha1 digest is on record"},
		{"the strongest is named", one, npm("evil", "1.0.0"), with(private, sha1(1), sha512(1)), "exact hash: this very version is on record; its sha512 digest is on record"},
		{"one of several", two, npm("evil", "1.0.1"), with(private, sha512(2)), "exact hash: this very version is on record; its sha512 digest is on record"},

		{"another name", one, npm("left-pad", "1.3.0"), with(public, sha512(1)), "exact hash: its sha512 digest is that of npm/evil@1.0.0, under another name"},
		{"another name, and no version", one, npm("left-pad", ""), with(public, sha512(1)), "exact hash: its sha512 digest is that of npm/evil@1.0.0, under another name"},
		{"another name, of one of several versions", two, npm("left-pad", "1.3.0"), with(private, sha512(2)), "exact hash: its sha512 digest is that of npm/evil, under another name"},
		{"another name, every version", all, npm("left-pad", "1.3.0"), with(private, sha512(1)), "exact hash: its sha512 digest is that of npm/evil, under another name"},
		{"another name, by MD5", bare, npm("left-pad", "1.3.0"), with(public, md5(1)), "exact hash: its md5 digest is that of npm/evil, under another name"},
		{"another ecosystem", one, rapsheet.Package{Ecosystem: "PyPI", Name: "evil", Version: "1.0.0"}, with(private, sha512(1)), "exact hash: its sha512 digest is that of npm/evil@1.0.0, under another name"},
		{"no ecosystem", one, rapsheet.Package{}, with(rapsheet.Evidence{Origin: "file"}, sha512(1)), "exact hash: its sha512 digest is that of npm/evil@1.0.0, under another name"},
		{"a module that only shares the key", mod, rapsheet.Package{Ecosystem: "Go", Name: "github.com/EVIL/mod", Version: "v1.0.0"}, with(public, sha512(1)), "exact hash: its sha512 digest is that of Go/github.com/Evil/Mod@1.0.0, under another name"},
		{"another spelling is no other name", pypi, rapsheet.Package{Ecosystem: "PyPI", Name: "evil-pkg", Version: "1.0.0"}, with(private, sum("sha256", 64, 1)), "exact hash: this very version is on record; its sha256 digest is on record"},

		{"another version", one, npm("evil", "9.9.9"), with(public, sha512(1)), "exact hash: its sha512 digest is that of npm/evil@1.0.0, under another version"},
		{"no version", one, npm("evil", ""), with(public, sha512(1)), "exact hash: its sha512 digest is on record"},
		{"a record without versions", bare, npm("evil", "1.0.0"), with(public, md5(1)), "exact hash: its md5 digest is that of npm/evil, under another version"},
		{"every version", all, npm("evil", "3.0.0"), with(private, sha512(1)), "package hash: every version is malicious; its sha512 digest is on record"},
		{"inside the range", bounded, npm("evil", "1.5.0"), with(private, sha512(1)), "range hash: inside the malicious range >=1.0.0 <2.0.0; its sha512 digest is on record"},
		{"outside the range", bounded, npm("evil", "2.0.0"), with(private, sha512(1)), "exact hash: its sha512 digest is that of npm/evil, under another version"},
		{"a holding version", one, npm("evil", "0.0.1-security"), with(public, sha512(1)), "exact hash: its sha512 digest is that of npm/evil@1.0.0, under another version"},
		{"a holding version, another digest", one, npm("evil", "0.0.1-security"), with(public, sha512(2)), " : "},

		{"withdrawn", gone, npm("left-pad", "1.3.0"), with(private, sha512(1)), "withdrawn hash: the record was withdrawn; its sha512 digest is that of npm/evil@1.0.0, under another name"},
		{"withdrawn, by name", gone, npm("evil", "1.0.0"), with(private, sha512(1)), "withdrawn hash: the record was withdrawn; its sha512 digest is on record"},
		{"disputed", doubted, npm("left-pad", "1.3.0"), with(private, sha512(1)), "exact hash: its sha512 digest is that of npm/evil@1.0.0, under another name"},

		{"a private package of the same name", one, npm("evil", "1.0.0"), with(private, sha512(9)), "exact elsewhere: this very version is on record; resolved from npm.acme.example, which is not the public registry, and its sha512 digest is not the one on record for this version"},
		{"by the strongest digest that both have", one, npm("evil", "1.0.0"), with(private, sha1(9), sum("sha256", 64, 9)), "exact elsewhere: this very version is on record; resolved from npm.acme.example, which is not the public registry, and its sha1 digest is not the one on record for this version"},
		{"no digest of the same algorithm", one, npm("evil", "1.0.0"), with(private, md5(9)), "exact elsewhere: this very version is on record; resolved from npm.acme.example, which is not the public registry"},
		{"no digest", one, npm("evil", "1.0.0"), private, "exact elsewhere: this very version is on record; resolved from npm.acme.example, which is not the public registry"},
		{"whose digest it is cannot be known", two, npm("evil", "1.0.0"), with(private, sha512(9)), "exact elsewhere: this very version is on record; resolved from npm.acme.example, which is not the public registry"},
		{"every version, another digest", all, npm("evil", "1.0.0"), with(private, sha512(9)), "package elsewhere: every version is malicious; resolved from npm.acme.example, which is not the public registry"},
		{"a file", one, npm("evil", "1.0.0"), with(rapsheet.Evidence{Origin: "file"}, sha512(9)), "exact elsewhere: this very version is on record; comes from a local path, not from the registry, and its sha512 digest is not the one on record for this version"},
		// The host has the last word: the public registry gives several archives of a version, and mirrors pack anew.
		{"another archive of the public registry", one, npm("evil", "1.0.0"), with(public, sha512(9)), "exact registry: this very version is on record; resolved from the public registry at registry.npmjs.org, and its sha512 digest is not the one on record for this version"},
		{"another archive of unknown origin", one, npm("evil", "1.0.0"), with(rapsheet.Evidence{}, sha512(9)), "exact unknown: this very version is on record; where it came from is not said, and its sha512 digest is not the one on record for this version"},
		{"another version, another digest", one, npm("evil", "2.0.0"), with(private, sha512(9)), " : "},
		{"a record of an ecosystem that is unknown", rapsheet.Record{Ecosystem: "Atari 2600", Name: "evil", Digests: one.Digests}, npm("evil", "1.0.0"), with(public, sha512(1)), " : "},
	} {
		s := rapsheet.Sighting{Package: tt.pkg, Evidence: tt.ev}
		j := match.Judge(&tt.rec, &s)
		if got := fmt.Sprintf("%s %s: %s", j.Verdict, j.Provenance, j.Why); got != tt.want || j.Unparsed {
			t.Errorf("%s:\n got %s (unparsed %v)\nwant %s", tt.name, got, j.Unparsed, tt.want)
		}
	}
}

func npm(name, version string) rapsheet.Package {
	return rapsheet.Package{Ecosystem: "npm", Name: name, Version: version}
}

// catalogOf makes an index of records.
func catalogOf(t testing.TB, recs ...*osv.Record) *index.Index {
	t.Helper()
	return indextest.New(t, index.Meta{Source: "test"}, recs...)
}

// affected is a package of a record, one version of which is malicious.
func affected(name, version string, digests ...rapsheet.Digest) osv.Affected {
	var texts []string
	for _, d := range digests {
		texts = append(texts, `"`+d.Algorithm+":"+d.Hex+`"`)
	}
	return osv.Affected{
		Package: osv.Package{Ecosystem: "npm", Name: name}, Versions: []string{version},
		DatabaseSpecific: jsontext.Value(`{"digests":[` + strings.Join(texts, ",") + `]}`),
	}
}

// findings records findings in full.
type findings struct {
	told
	all []rapsheet.Finding
}

func (h *findings) Finding(f *rapsheet.Finding) error {
	h.all = append(h.all, *f)
	return h.told.Finding(f)
}

// Run looks digests up as well as names, in every catalog, and tells each record once.
func TestRunDigests(t *testing.T) {
	const at = "2026-01-02T03:04:05Z"
	first := catalogOf(t,
		&osv.Record{ID: "MAL-2026-1", Modified: at, Affected: []osv.Affected{affected("evil", "1.0.0", sha512(1), sha1(1))}},
		&osv.Record{ID: "MAL-2026-2", Modified: at, Affected: []osv.Affected{affected("worse", "1.0.0", sha512(2)), affected("worst", "1.0.0", sha512(2), sha512(3))}},
		&osv.Record{ID: "MAL-2026-3", Modified: at, Withdrawn: at, Affected: []osv.Affected{affected("gone", "1.0.0", sha512(4))}},
	)
	second := catalogOf(t, &osv.Record{ID: "MAL-2026-4", Modified: at, Affected: []osv.Affected{affected("other", "1.0.0", sha512(1))}})
	none := catalogOf(t, &osv.Record{ID: "MAL-2026-5", Modified: at, Affected: []osv.Affected{{Package: osv.Package{Ecosystem: "npm", Name: "evil"}, Versions: []string{"1.0.0"}}}})
	for _, tt := range []struct {
		name string
		pkg  rapsheet.Package
		ev   rapsheet.Evidence
		want []string
		sum  rapsheet.Summary
	}{
		{"its name and its digest are on record", npm("evil", "1.0.0"), rapsheet.Evidence{Digests: []rapsheet.Digest{sha512(1), sha1(1)}},
			[]string{"MAL-2026-1 evil exact advisory=true catalog=0", "MAL-2026-5 evil exact advisory=true catalog=2", "MAL-2026-4 evil exact advisory=true catalog=1"}, rapsheet.Summary{Sightings: 1, Findings: 3}},
		{"renamed", npm("left-pad", "1.3.0"), rapsheet.Evidence{Origin: "registry", Host: "npm.acme.example", Digests: []rapsheet.Digest{sha1(1)}},
			[]string{"MAL-2026-1 left-pad exact advisory=true catalog=0"}, rapsheet.Summary{Sightings: 1, Findings: 1}},
		{"renamed, on record in two catalogs under two digests", npm("left-pad", "1.3.0"), rapsheet.Evidence{Digests: []rapsheet.Digest{sha1(1), sha512(1)}},
			[]string{"MAL-2026-1 left-pad exact advisory=true catalog=0", "MAL-2026-4 left-pad exact advisory=true catalog=1"}, rapsheet.Summary{Sightings: 1, Findings: 2}},
		{"one record about two packages", npm("left-pad", "1.3.0"), rapsheet.Evidence{Digests: []rapsheet.Digest{sha512(2)}},
			[]string{"MAL-2026-2 left-pad exact advisory=true catalog=0"}, rapsheet.Summary{Sightings: 1, Findings: 1}},
		{"a private package of one name with the archive of the other", npm("worse", "1.0.0"), rapsheet.Evidence{Origin: "registry", Host: "npm.acme.example", Digests: []rapsheet.Digest{sha512(3)}},
			[]string{"MAL-2026-2 worse exact advisory=true catalog=0", "MAL-2026-2 worse exact advisory=true catalog=0"}, rapsheet.Summary{Sightings: 1, Findings: 1, Other: 1}},
		{"withdrawn", npm("left-pad", "1.3.0"), rapsheet.Evidence{Digests: []rapsheet.Digest{sha512(4)}},
			[]string{"MAL-2026-3 left-pad withdrawn advisory=true catalog=0"}, rapsheet.Summary{Sightings: 1, Other: 1}},
		{"an unknown ecosystem", rapsheet.Package{Ecosystem: "Atari 2600", Name: "pitfall"}, rapsheet.Evidence{Digests: []rapsheet.Digest{sha512(1)}},
			[]string{"MAL-2026-1 pitfall exact advisory=true catalog=0", "MAL-2026-4 pitfall exact advisory=true catalog=1"}, rapsheet.Summary{Sightings: 1, Findings: 2}},
		{"no name", rapsheet.Package{}, rapsheet.Evidence{Digests: []rapsheet.Digest{sha1(1)}},
			[]string{"MAL-2026-1  exact advisory=true catalog=0"}, rapsheet.Summary{Sightings: 1, Findings: 1}},
		{"no name, and a digest of nothing known", rapsheet.Package{}, rapsheet.Evidence{Digests: []rapsheet.Digest{sha1(9)}}, []string{"note unmatchable file"}, rapsheet.Summary{Unmatchable: 1}},
		{"another archive", npm("left-pad", "1.3.0"), rapsheet.Evidence{Digests: []rapsheet.Digest{sha512(9), sha1(9)}}, nil, rapsheet.Summary{Sightings: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &findings{}
			s := rapsheet.Sighting{Package: tt.pkg, Evidence: tt.ev, Location: rapsheet.Location{Path: "file", Line: 3}}
			sum, err := match.Run(context.Background(), []match.Index{first, second, none}, func(yield func(rapsheet.Sighting, error) bool) { yield(s, nil) }, h)
			if err != nil || !slices.Equal(h.lines, tt.want) {
				t.Errorf("%v\n got %q\nwant %q", err, h.lines, tt.want)
			}
			tt.sum.Files, tt.sum.Complete = 1, true
			if sum != tt.sum {
				t.Errorf("\n got %+v\nwant %+v", sum, tt.sum)
			}
			for _, f := range h.all {
				if f.Package != tt.pkg || len(f.Locations) != 1 || f.Locations[0] != s.Location {
					t.Errorf("the finding is of %+v at %+v", f.Package, f.Locations)
				}
			}
			if tt.name == "renamed" && (h.all[0].Record.Name != "evil" || h.all[0].Provenance != "hash" ||
				h.all[0].Why != "its sha1 digest is that of npm/evil@1.0.0, under another name" || !h.all[0].Malicious()) {
				t.Errorf("%+v", h.all[0])
			}
		})
	}
}

// noDigests is an index whose table of digests is damaged.
type noDigests struct{ *index.Index }

func (noDigests) LookupDigest(rapsheet.Digest) ([]rapsheet.Record, error) {
	return nil, index.ErrDamaged
}

// Nothing follows from a table of digests that cannot be read, not even that a name cannot be looked up.
func TestRunBrokenDigests(t *testing.T) {
	ix := noDigests{catalogOf(t)}
	for _, p := range []rapsheet.Package{npm("left-pad", "1.3.0"), {}} {
		s := rapsheet.Sighting{Package: p, Evidence: rapsheet.Evidence{Digests: []rapsheet.Digest{sha1(1)}}}
		h := &told{}
		sum, err := match.Run(context.Background(), []match.Index{ix}, func(yield func(rapsheet.Sighting, error) bool) { yield(s, nil) }, h)
		var broken *match.CatalogError
		if !errors.As(err, &broken) || sum.Complete || len(h.lines) > 0 {
			t.Errorf("%+v: %+v, %v, %q", p, sum, err, h.lines)
		}
	}
}
