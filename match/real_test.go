package match_test

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deps.dev/util/semver"
	"github.com/google/osv-scalibr/enricher/vulnmatch/osvlocal"
	"github.com/google/osv-scalibr/extractor"
	"github.com/klauspost/compress/zstd"
	"github.com/ossf/osv-schema/bindings/go/osvschema"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/match"
	"github.com/rapsheet/rapsheet/osv"
)

// realRecords reads the real records of 2025-03-31 that stand beside the
// repository (github.com/khulnasoft-lab/malicious-packages).
func realRecords(t testing.TB) []*osv.Record {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "shared", "data", "osv", "malicious-packages-2025-03-31.tar.zst"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("needs ../shared/data, which is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zr, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer zr.Close()
	var out []*osv.Record
	for tr := tar.NewReader(zr); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(h.Name, ".json") {
			continue
		}
		r, _, err := osv.ReadNamed(tr, h.Name, osv.DefaultLimits())
		if err != nil {
			t.Fatalf("%s: %v", h.Name, err)
		}
		out = append(out, r)
	}
}

// orders are version orders by another author (deps.dev).
var orders = map[string]semver.System{
	"npm": semver.NPM, "PyPI": semver.PyPI, "RubyGems": semver.RubyGems, "NuGet": semver.NuGet, "crates.io": semver.Cargo,
}

// plain is OSV's evaluation written down a second time, straight from
// https://ossf.github.io/osv-schema/#evaluation, on another library's order.
func plain(r *osv.Record, version string) bool {
	if r.Withdrawn != "" {
		return false
	}
	for _, a := range r.Affected {
		sys := orders[a.Package.Ecosystem]
		compare := func(x, y string) (int, bool) {
			vx, errx := sys.Parse(x)
			vy, erry := sys.Parse(y)
			if errx != nil || erry != nil {
				return 0, false
			}
			return vx.Compare(vy), true
		}
		for _, v := range a.Versions {
			if c, ok := compare(v, version); v == version || ok && c == 0 {
				return true
			}
		}
		for _, g := range a.Ranges {
			if g.Type == osv.RangeGit {
				continue
			}
			in := false
			for _, e := range g.Events {
				switch {
				case e.Introduced == "0":
					in = true
				case e.Introduced != "":
					if c, ok := compare(version, e.Introduced); ok && c >= 0 {
						in = true
					}
				case e.Fixed != "":
					if c, ok := compare(version, e.Fixed); ok && c >= 0 {
						in = false
					}
				case e.LastAffected != "":
					if c, ok := compare(version, e.LastAffected); ok && c > 0 {
						in = false
					}
				}
			}
			if in {
				return true
			}
		}
	}
	return false
}

// probes are the versions that a record is asked about: every listed one, as it
// is and spelled otherwise, every boundary of a range and its neighbours, and one outside.
func probes(r *osv.Record) []string {
	out := []string{"31.41.59"}
	for _, a := range r.Affected {
		for _, v := range a.Versions {
			out = append(out, v, v+"-beta.7", v+".1")
			switch a.Package.Ecosystem {
			case "PyPI":
				out = append(out, v+".0", "v"+v, v+"+local", strings.ToUpper(v), v+".post1")
			case "NuGet", "RubyGems":
				out = append(out, v+".0")
			case "npm", "crates.io":
				out = append(out, v+"+build", "v"+v)
			}
		}
		for _, g := range a.Ranges {
			for _, e := range g.Events {
				for _, v := range []string{e.Introduced, e.Fixed, e.LastAffected} {
					if v != "" && v != "0" {
						out = append(out, v, v+"-alpha.0", v+".1")
					}
				}
			}
			out = append(out, "0.0.0", "0.0.0-alpha")
		}
	}
	return out
}

// spellings are ways in which tools write the package of a record.
func spellings(p osv.Package) []rapsheet.Package {
	names := []string{p.Name}
	switch p.Ecosystem {
	case "PyPI":
		names = append(names, strings.ToUpper(p.Name), strings.NewReplacer("-", "_", ".", "--").Replace(p.Name), strings.ReplaceAll(p.Name, "_", "."))
	case "NuGet":
		names = append(names, strings.ToUpper(p.Name), strings.ToLower(p.Name))
	}
	var out []rapsheet.Package
	for _, n := range names {
		q := rapsheet.Package{Ecosystem: p.Ecosystem, Name: n}
		out = append(out, q)
		if purl := ecosystem.PURL(q); purl != "" {
			if back, _, err := ecosystem.ParsePURL(purl); err == nil {
				out = append(out, back)
			}
		}
	}
	return out
}

// explained gives the reason where the answers differ on purpose, or "". Nothing
// else may differ.
func explained(peer string, p rapsheet.Package, r *osv.Record, ours bool) string {
	e, _ := ecosystem.Find(p.Ecosystem)
	_, local, _ := strings.Cut(p.Version, "+")
	switch {
	case e.HoldingVersion(p.Version):
		return "the registry's own placeholder is never a finding (design.md)"
	case !e.ValidVersion(p.Version):
		return "a version that the ecosystem does not allow matches to the letter only; the peer orders it anyhow"
	case peer == depsdev && p.Ecosystem == "PyPI" && local != "" && !ours:
		return "1.0.dev1+local is another version than 1.0.dev1 (PEP 440, local version identifiers); the peer forgets the label after dev and post"
	case peer == depsdev && p.Ecosystem == "crates.io" && ours && strings.HasPrefix(p.Version, "v"):
		return "a leading v, as in a tag, is not part of the version; the peer refuses it"
	case peer == scalibrMatcher && ours && p.Ecosystem == "PyPI" && e.Canonical(r.Affected[0].Package.Name) != r.Affected[0].Package.Name:
		return "the record's name is not in PEP 503's form; the peer normalises the package's name and not the record's"
	case peer == scalibrMatcher && ours && listedOtherwise(r, p.Version):
		return "the peer compares listed versions as text, so that 1.0 and 1.0.0 differ"
	}
	return ""
}

const (
	depsdev        = "the plain evaluation on deps.dev's order"
	scalibrMatcher = "osv-scalibr"
)

func TestRealRecords(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	recs := realRecords(t)
	ix := catalogOf(t, recs...)
	if m := ix.Meta(); m.Records != len(recs) || m.Unmatched != 0 {
		t.Fatalf("%d records in, %+v", len(recs), m)
	}

	cases, hits := 0, 0
	reasons := map[string]int{}
	differ := func(peer string, r *osv.Record, p rapsheet.Package, ours, theirs bool) {
		if why := explained(peer, p, r, ours); why != "" {
			reasons[peer+": "+why]++
			return
		}
		t.Errorf("%s: %s: we say %v, %s says %v", r.ID, p, ours, peer, theirs)
	}
	for _, r := range recs {
		var peer *osvschema.Vulnerability
		if raw, err := r.Marshal(); err != nil {
			t.Fatal(err)
		} else {
			peer = new(osvschema.Vulnerability)
			if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, peer); err != nil {
				t.Fatalf("%s: %v", r.ID, err)
			}
		}
		for _, v := range probes(r) {
			want := plain(r, v)
			for i, p := range spellings(r.Affected[0].Package) {
				p.Version = v
				key, ok := ecosystem.KeyOf(p)
				if !ok {
					t.Fatalf("%s: %s has no key", r.ID, p)
				}
				found, err := ix.Lookup(key)
				if err != nil {
					t.Fatal(err)
				}
				at := slices.IndexFunc(found, func(x rapsheet.Record) bool { return x.ID == r.ID })
				if at < 0 {
					t.Fatalf("%s: not found by the spelling %s", r.ID, p)
				}
				verdict := match.Judge(&found[at], &rapsheet.Sighting{Package: p}).Verdict
				got := verdict == rapsheet.VerdictExact || verdict == rapsheet.VerdictRange || verdict == rapsheet.VerdictPackage
				cases++
				if got {
					hits++
				}
				if got != want {
					differ(depsdev, r, p, got, want)
				}
				if i > 0 {
					continue
				}
				if theirs := scalibr(peer, r.Affected[0].Package, v); theirs != got {
					differ(scalibrMatcher, r, p, got, theirs)
				}
			}
		}
	}
	t.Logf("%d records, %d questions, %d hits", len(recs), cases, hits)
	for why, n := range reasons {
		t.Logf("%d explained differences: %s", n, why)
	}
}

// listedOtherwise reports whether v equals a listed version without being its text.
func listedOtherwise(r *osv.Record, v string) bool {
	return !slices.Contains(r.Affected[0].Versions, v) && plain(&osv.Record{Affected: []osv.Affected{{
		Package: r.Affected[0].Package, Versions: r.Affected[0].Versions,
	}}}, v)
}

var purlTypes = map[string]string{"npm": "npm", "PyPI": "pypi", "RubyGems": "gem", "NuGet": "nuget", "crates.io": "cargo"}

// scalibr asks osv-scalibr's own local matcher.
func scalibr(v *osvschema.Vulnerability, p osv.Package, version string) bool {
	return len(osvlocal.VulnerabilitiesAffectingPackage([]*osvschema.Vulnerability{v}, &extractor.Package{
		Name: p.Name, Version: version, PURLType: purlTypes[p.Ecosystem],
	})) > 0
}
