package catalog

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/osv"
)

var testKey = rapsheet.Key{Ecosystem: "npm", Name: "evil"}

var testNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// archive is the digest of an archive that is number n.
func archive(n int) string { return fmt.Sprintf("sha256:%064x", n) }

func openRange() osv.Range {
	return osv.Range{Type: "SEMVER", Events: []osv.Event{{Introduced: "0"}}}
}

func boundedRange(from, to string) osv.Range {
	return osv.Range{Type: "SEMVER", Events: []osv.Event{{Introduced: from}, {Fixed: to}}}
}

// drawClaim makes one claim about testKey from small pools, so that ids, origins and versions meet.
func drawClaim(t *rapid.T, label string) store.Claim {
	draw := func(what string, from ...string) string {
		return rapid.SampledFrom(from).Draw(t, label+what)
	}
	some := func(what string, from ...string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 0, len(from), rapid.ID[string]).Draw(t, label+what)
	}
	c := store.Claim{Key: testKey, Status: store.Standing, Seen: testNow}
	c.Ecosystem, c.Name = "npm", "evil"
	c.Source = draw("source", "feed", "list", "tree")
	c.Ref = draw("ref", "a", "b", "c", "d")
	c.ID = draw("id", "", "", "MAL-2024-1", "MAL-2024-2", "MAL-2025-10", "GHSA-aaaa-bbbb-cccc", "MAL-0000-draft-1")
	c.Aliases = some("aliases", "GHSA-aaaa-bbbb-cccc", "CVE-2024-1")
	c.Origins = some("origins", "amazon", "datadog", "ghsa-malware")
	switch draw("kind", "exact", "exact", "range", "open", "all", "nothing") {
	case "exact":
		c.Versions = some("versions", "1.0.0", "1.0.1", "2.0.0", "v1.0.0", "0.0.1-security", "not a version")
	case "range":
		c.Ranges = []osv.Range{boundedRange("1.0.0", "2.0.0")}
	case "open":
		c.Ranges = []osv.Range{openRange()}
	case "all":
		c.All = true
	}
	c.Archives = some("archives", archive(1), archive(2), archive(3))
	if e := draw("evidence", "", `{"cwes":[]}`, `{"digests":["`+archive(1)+`"]}`,
		`{"indicators":{"package_integrity":[{"hashes":{"sha256":"`+strings.TrimPrefix(archive(2), "sha256:")+`"}}]}}`); e != "" {
		c.Evidence = jsontext.Value(e)
	}
	if draw("withdrawn", "no", "no", "no", "yes") == "yes" {
		c.Withdrawn = testNow.Add(-time.Hour)
	}
	c.Published = testNow.Add(-time.Duration(rapid.IntRange(0, 5).Draw(t, label+"published")) * time.Hour)
	c.Details = draw("details", "", "it steals", "it steals more")
	c.References = []osv.Reference{{Type: "WEB", URL: "https://example.org/" + draw("reference", "1", "2")}}
	c.Status = rapid.SampledFrom([]store.Status{store.Standing, store.Standing, store.Standing, store.Gone, store.Held, store.Rejected}).Draw(t, label+"status")
	c.Normalise()
	b, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	c.Digest = claim.Digest(b)
	return c
}

// drawMaterial makes the material of one package; a source says one thing under one reference.
func drawMaterial(t *rapid.T) Material {
	m := Material{Key: testKey}
	seen := map[string]bool{}
	for i := range rapid.IntRange(0, 8).Draw(t, "claims") {
		c := drawClaim(t, fmt.Sprint(i))
		if at := c.Source + "/" + c.Ref; !seen[at] {
			seen[at] = true
			m.Claims = append(m.Claims, c)
		}
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "decisions") {
		m.Decisions = append(m.Decisions, store.Decision{
			Seq: int64(i + 1), Time: testNow.Add(time.Duration(i) * time.Minute), Actor: "anna", Key: testKey, Reason: "because",
			Kind:     rapid.SampledFrom([]string{Withdraw, Dispute, Restore, Narrow, Note}).Draw(t, fmt.Sprint("kind", i)),
			ID:       rapid.SampledFrom([]string{"MAL-2024-1", "GHSA-aaaa-bbbb-cccc", "MAL-0000-draft-1"}).Draw(t, fmt.Sprint("id", i)),
			Versions: []string{"1.0.1"},
		})
	}
	return m
}

// settleAll merges and renders as the settler does, with own ids from 1.
func settleAll(t *rapid.T, m Material, now time.Time) (records []store.Record, changed int) {
	next := 1
	for _, d := range Merge(m) {
		if d.ID == "" {
			d.ID = OwnID("test", uint64(next))
			next++
		}
		var old *store.Record
		for i := range m.Records {
			if m.Records[i].ID == d.ID {
				old = &m.Records[i]
			}
		}
		rec, isNew, err := Render(&d, old, now)
		if err != nil {
			t.Fatal(err)
		}
		if isNew {
			changed++
		}
		records = append(records, rec)
	}
	slices.SortFunc(records, func(a, b store.Record) int { return strings.Compare(a.ID, b.ID) })
	return records, changed
}

func TestMergeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMaterial(t)
		records, _ := settleAll(t, m, testNow)

		// Free of order: claims and decisions may come in any.
		shuffled := Material{Key: m.Key, Claims: slices.Clone(m.Claims), Decisions: slices.Clone(m.Decisions)}
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		rnd.Shuffle(len(shuffled.Claims), func(i, j int) {
			shuffled.Claims[i], shuffled.Claims[j] = shuffled.Claims[j], shuffled.Claims[i]
		})
		rnd.Shuffle(len(shuffled.Decisions), func(i, j int) {
			shuffled.Decisions[i], shuffled.Decisions[j] = shuffled.Decisions[j], shuffled.Decisions[i]
		})
		again, _ := settleAll(t, shuffled, testNow)
		if len(again) != len(records) {
			t.Fatalf("%d records in one order, %d in another", len(records), len(again))
		}
		for i := range records {
			if !bytes.Equal(records[i].JSON, again[i].JSON) || records[i].State != again[i].State {
				t.Fatalf("the order of claims matters:\n%s\n%s", records[i].JSON, again[i].JSON)
			}
		}

		// Idempotent: with the records in place, an hour later, nothing changes.
		m.Records = records
		if _, changed := settleAll(t, m, testNow.Add(time.Hour)); changed > 0 {
			t.Fatalf("%d records changed without a reason", changed)
		}

		// Total, and nothing comes from nowhere.
		ids := map[string]bool{}
		for _, r := range records {
			if ids[r.ID] {
				t.Fatalf("id %s twice", r.ID)
			}
			ids[r.ID] = true
			checkRecord(t, r)
		}
		for _, c := range m.Claims {
			if named(c.ID) && (c.Status == store.Standing || c.Status == store.Gone) && !ids[c.ID] {
				t.Fatalf("%s, under which %s/%s publishes the package, has no record", c.ID, c.Source, c.Ref)
			}
		}
		checkCoverage(t, m, records)
		checkArchives(t, m, records)
	})
}

// checkRecord holds a record to the rules of every client: it is valid OSV, has one affected package with
// a purl, and never "every version" beside versions (shared wire rules B2 and B4).
func checkRecord(t *rapid.T, r store.Record) {
	doc, _, err := osv.Parse(r.JSON)
	if err != nil {
		t.Fatalf("%v\n%s", err, r.JSON)
	}
	if len(doc.Affected) != 1 || doc.Affected[0].Package.PURL != "pkg:npm/evil" {
		t.Fatalf("affected: %s", r.JSON)
	}
	a := doc.Affected[0]
	for _, g := range a.Ranges {
		if len(g.Events) == 1 && g.Events[0].Introduced == "0" && len(a.Versions)+len(a.Ranges) > 1 {
			t.Fatalf("every version beside some: %s", r.JSON)
		}
	}
	if len(a.Versions)+len(a.Ranges) == 0 {
		t.Fatalf("about no version: %s", r.JSON)
	}
	if doc.IsWithdrawn() != (r.State != store.Active) {
		t.Fatalf("state %d and withdrawn %q", r.State, doc.Withdrawn)
	}
}

// checkCoverage holds the records to the claims: what a claim in force calls malicious, a record does, unless
// a named decision took it back or an open range gave way; what only held or rejected claims say, none does.
func checkCoverage(t *rapid.T, m Material, records []store.Record) {
	e, _ := ecosystem.Find("npm")
	decided := slices.ContainsFunc(m.Decisions, func(d store.Decision) bool { return d.Kind != Note })
	standing := map[string]bool{}
	whole := false
	for _, c := range m.Claims {
		if c.Status != store.Standing {
			continue
		}
		whole = whole || c.All || c.Open()
		for _, v := range c.Versions {
			standing[v] = true
		}
	}
	for _, r := range records {
		doc, _, err := osv.Parse(r.JSON)
		if err != nil {
			t.Fatal(err)
		}
		if r.State != store.Active {
			continue
		}
		for _, v := range doc.Affected[0].Versions {
			if !standing[v] && !decided && !slices.ContainsFunc(sortedKeys(standing), func(s string) bool { return e.EqualVersion(s, v) }) {
				t.Fatalf("%s names %s, which no claim in force does", r.ID, v)
			}
		}
	}
	if decided {
		return
	}
	for _, c := range m.Claims {
		if c.Status != store.Standing || !c.Withdrawn.IsZero() {
			continue
		}
		for _, v := range c.Versions {
			if e.HoldingVersion(v) {
				continue
			}
			covered := slices.ContainsFunc(records, func(r store.Record) bool {
				doc, _, _ := osv.Parse(r.JSON)
				a := doc.Affected[0]
				return r.State != store.Withdrawn && (len(a.Versions) == 0 || slices.ContainsFunc(a.Versions, func(w string) bool { return w == v || e.EqualVersion(v, w) }))
			})
			if !covered {
				t.Fatalf("version %s of claim %s/%s is in no record", v, c.Source, c.Ref)
			}
		}
	}
}

// checkArchives holds the records to the claims' digests: those of every claim in force are in a record, and a record
// has none that no claim says.
func checkArchives(t *rapid.T, m Material, records []store.Record) {
	said := map[string]bool{}
	for _, c := range m.Claims {
		if c.Status != store.Standing && c.Status != store.Gone {
			continue
		}
		for _, a := range c.Archives {
			said[a] = true
		}
		// Evidence is kept as it is.
		if strings.Contains(string(c.Evidence), "package_integrity") {
			said[archive(2)] = true
		}
		if strings.Contains(string(c.Evidence), "digests") {
			said[archive(1)] = true
		}
	}
	on := map[string]bool{}
	for _, r := range records {
		doc, _, err := osv.Parse(r.JSON)
		if err != nil {
			t.Fatal(err)
		}
		digests, bad := ecosystem.RecordArchives(doc.Affected[0].DatabaseSpecific)
		if bad > 0 {
			t.Fatalf("%d digests are none: %s", bad, r.JSON)
		}
		for _, d := range digests {
			if !said[ecosystem.DigestText(d)] {
				t.Fatalf("%s has %s, which no claim says: %s", r.ID, ecosystem.DigestText(d), r.JSON)
			}
			on[ecosystem.DigestText(d)] = true
		}
	}
	for _, c := range m.Claims {
		for _, a := range c.Archives {
			if c.Status == store.Standing && c.Withdrawn.IsZero() && !on[a] {
				t.Fatalf("%s of claim %s/%s is in no record", a, c.Source, c.Ref)
			}
		}
	}
}

// What a record says of archives, case by case.
func TestEvidence(t *testing.T) {
	indicators := `"indicators":{"package_integrity":[{"hashes":{"sha256":"` + strings.TrimPrefix(archive(2), "sha256:") + `"}}]}`
	said := func(evidence string, archives ...string) *store.Claim {
		c := &store.Claim{Claim: claim.Claim{Archives: archives}}
		if evidence != "" {
			c.Evidence = jsontext.Value(evidence)
		}
		return c
	}
	for _, tt := range []struct {
		name   string
		claims []*store.Claim
		want   string
	}{
		{"nothing", []*store.Claim{said("")}, ``},
		{"evidence alone stays as it is", []*store.Claim{said(`{"cwes":[], "digests":[]}`), said(`{"x":1}`)}, `{"cwes":[], "digests":[]}`},
		{"digests of two claims are joined", []*store.Claim{said("", archive(3), archive(1)), said("", archive(1), archive(2))},
			`{"digests":["` + archive(1) + `","` + archive(2) + `","` + archive(3) + `"]}`},
		{"beside evidence", []*store.Claim{said(`{"cwes":[]}`), said("", archive(1))}, `{"cwes":[],"digests":["` + archive(1) + `"]}`},
		{"what the evidence says in its own shape is not said again", []*store.Claim{said(`{`+indicators+`}`, archive(2))}, `{` + indicators + `}`},
		{"the rest is", []*store.Claim{said(`{`+indicators+`}`, archive(2)), said("", archive(2), archive(1))}, `{"digests":["` + archive(1) + `"],` + indicators + `}`},
		{"another claim's indicators are said as digests", []*store.Claim{said(`{"cwes":[]}`), said(`{`+indicators+`}`, archive(2))}, `{"cwes":[],"digests":["` + archive(2) + `"]}`},
		{"digests of the evidence that were not read from it", []*store.Claim{said(`{"digests":["` + archive(4) + `"]}`), said("", archive(1))}, `{"digests":["` + archive(1) + `","` + archive(4) + `"]}`},
	} {
		got, err := evidence(tt.claims)
		if err != nil || string(got) != tt.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", tt.name, got, err, tt.want)
		}
	}
}

// The rule on open ranges, case by case (design.md, "Verdict").
func TestCover(t *testing.T) {
	exact := func(source string, versions ...string) *store.Claim {
		return &store.Claim{Claim: claim.Claim{Source: source, Origins: []string{source}, Versions: versions}}
	}
	open := func(source string) *store.Claim {
		return &store.Claim{Claim: claim.Claim{Source: source, Origins: []string{source}, Ranges: []osv.Range{openRange()}}}
	}
	both := open("both")
	both.Versions = []string{"1.0.0"}
	all := exact("all")
	all.All = true
	part := exact("part")
	part.Ranges = []osv.Range{boundedRange("1.0.0", "2.0.0")}
	for _, tt := range []struct {
		name     string
		eco      string
		claims   []*store.Claim
		narrowed []string
		want     string
	}{
		{"versions of two claims are joined", "npm", []*store.Claim{exact("a", "1.0.0"), exact("b", "1.0.1", "1.0.0")}, nil, "1.0.0 1.0.1"},
		{"an open range alone covers all", "npm", []*store.Claim{open("a")}, nil, "all"},
		{"an open range gives way to another claim's versions", "npm", []*store.Claim{exact("a", "1.0.0"), open("b")}, nil, "1.0.0 disputed by b"},
		{"an open range gives way to another claim's bounded range", "npm", []*store.Claim{open("b"), part}, nil, "range disputed by b"},
		{"a claim that has both means both", "npm", []*store.Claim{both, exact("a", "1.0.1")}, nil, "all"},
		{"all in so many words wins", "npm", []*store.Claim{exact("a", "1.0.0"), all}, nil, "all"},
		{"a bounded range is joined to versions", "npm", []*store.Claim{exact("a", "3.0.0"), part}, nil, "3.0.0 range"},
		{"a narrowing stands for open and all", "npm", []*store.Claim{open("a"), all}, []string{"1.0.0"}, "1.0.0"},
		{"a narrowing adds to what others name", "npm", []*store.Claim{exact("a", "2.0.0"), open("b")}, []string{"1.0.0"}, "1.0.0 2.0.0"},
		{"equal versions are one", "PyPI", []*store.Claim{exact("a", "1.0"), exact("b", "1.0.0")}, nil, "1.0"},
		{"a holding version beside a real one is dropped", "npm", []*store.Claim{exact("a", "0.0.1-security", "1.0.0")}, nil, "1.0.0"},
		{"a claim without any statement leaves the others' alone", "npm", []*store.Claim{exact("a", "1.0.0"), exact("b")}, nil, "1.0.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := cover(tt.eco, tt.claims, tt.narrowed)
			got := slices.Clone(c.versions)
			if c.all {
				got = append(got, "all")
			}
			for range c.ranges {
				got = append(got, "range")
			}
			for _, d := range c.disputed {
				got = append(got, "disputed by "+d)
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("covers %q, want %q", s, tt.want)
			}
		})
	}
}
