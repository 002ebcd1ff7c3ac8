package osvfeed

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/osv"
)

// shared gives a path in the data that the repository's tests share.
func shared(t testing.TB, elems ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(append([]string{dir, "..", "shared", "data"}, elems...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no shared data: ../shared/data/%s is not there", strings.Join(elems, "/"))
	}
	return path
}

// counts is what a tree became.
type counts struct {
	documents, claims, skipped   int
	withdrawn, drafts            int
	openAndExact                 int // records with an open range of one origin and exact versions of another
	droppedRanges, emptyOrigins  int
	recordVersions, recordRanges int // records of which the record claim says more than the origins
}

// The numbers were counted with jq and find in the unpacked trees, by rules
// written down apart from this package: documents are regular files named *.json,
// withdrawn ones have the member or are below osv/withdrawn, drafts have an empty id.
//
// Of the records in which one origin gives a range from 0 and another exact
// versions, 1,362 and 1,529 by their lists of origins alone, these do not stay:
// three of which upstream removed the range from affected (@xivart/edge,
// lumberjack and tangram), and in the second tree nr-reports-core, where both
// are revisions of one advisory. Two ranges are of replaced revisions only:
// those of nr-reports-core and @solana/web3.js.
func TestRealTrees(t *testing.T) {
	tests := []struct {
		file string
		want counts
	}{
		{"malicious-packages-2024-12-31.tar.zst", counts{documents: 27102, withdrawn: 56, openAndExact: 1359, droppedRanges: 1}},
		{"malicious-packages-2025-03-31.tar.zst", counts{documents: 29393, withdrawn: 57, drafts: 850, openAndExact: 1525, droppedRanges: 2}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			if testing.Short() {
				t.Skip("reads a whole tree")
			}
			feed := Tree(shared(t, "osv", tt.file), "ossf")
			var got counts
			hints := map[string][]string{}
			refs := map[string]string{}
			for doc, err := range feed.Fetch(t.Context(), "") {
				if err != nil {
					t.Fatal(err)
				}
				got.documents++
				parsed, err := feed.Parse(doc)
				if err != nil {
					t.Errorf("%s: %v", doc.Name, err)
					continue
				}
				if len(parsed.Claims) == 0 {
					got.skipped++
					t.Errorf("%s: no claims, notes %v", doc.Name, parsed.Notes)
					continue
				}
				got.add(parsed)
				if h := parsed.Claims[0].Hint; h != "" {
					hints[parsed.Claims[0].Name] = append(hints[parsed.Claims[0].Name], h)
				}
				for _, c := range parsed.Claims {
					if other, dup := refs[c.Ref]; dup {
						t.Errorf("reference %q is in %s and %s", c.Ref, other, doc.Name)
					}
					refs[c.Ref] = doc.Name
				}
				checkUnion(t, doc, parsed)
			}
			t.Logf("%+v", got)
			if got.documents != tt.want.documents || got.withdrawn != tt.want.withdrawn || got.drafts != tt.want.drafts ||
				got.openAndExact != tt.want.openAndExact || got.droppedRanges != tt.want.droppedRanges {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			for name, list := range hints {
				t.Errorf("%s is said to be named %v elsewhere", name, list)
			}
		})
	}
}

func (n *counts) add(p source.Parsed) {
	n.claims += len(p.Claims)
	record := p.Claims[len(p.Claims)-1]
	if !record.Withdrawn.IsZero() {
		n.withdrawn++
	}
	if strings.HasPrefix(record.ID, "MAL-0000-") {
		n.drafts++
	}
	if len(p.Claims) > 1 {
		if len(record.Versions) > 0 {
			n.recordVersions++
		}
		if len(record.Ranges) > 0 {
			n.recordRanges++
		}
	}
	found := false
	for i := range p.Claims {
		a := &p.Claims[i]
		if len(p.Claims) > 1 && i < len(p.Claims)-1 && len(a.Versions) == 0 && len(a.Ranges) == 0 {
			n.emptyOrigins++
		}
		for j := range p.Claims {
			b := &p.Claims[j]
			if a.OriginSHA256 != "" && b.OriginSHA256 != "" && a.Open() && len(b.Versions) > 0 && !slices.Equal(a.Origins, b.Origins) {
				found = true
			}
		}
	}
	if found {
		n.openAndExact++
	}
	for _, note := range p.Notes {
		if strings.Contains(note.Reason, "later statement replaced") {
			n.droppedRanges++
		}
	}
}

// checkUnion holds the claims together against the document's affected[0], read
// anew: all of it is there, and nothing else. Only a range that the document's
// notes say was dropped may be missing.
func checkUnion(t *testing.T, doc source.Document, p source.Parsed) {
	t.Helper()
	rec, _, err := osv.ParseNamed(doc.Data, doc.Name, osv.Limits{})
	if err != nil || len(rec.Affected) != 1 {
		t.Fatalf("%s: %v, %d affected", doc.Name, err, len(rec.Affected))
	}
	versions, ranges := map[string]bool{}, map[string]bool{}
	for _, c := range p.Claims {
		for _, v := range c.Versions {
			versions[v] = true
		}
		for _, g := range c.Ranges {
			ranges[eventsOf(g)] = true
		}
	}
	for _, v := range rec.Affected[0].Versions {
		if !versions[v] {
			t.Errorf("%s: version %s is in no claim", doc.Name, v)
		}
		versions[v] = false
	}
	for v, extra := range versions {
		if extra {
			t.Errorf("%s: version %s is in a claim only", doc.Name, v)
		}
	}
	missing := 0
	want := map[string]bool{}
	for _, g := range rec.Affected[0].Ranges {
		want[eventsOf(g)] = true
		if !ranges[eventsOf(g)] {
			missing++
		}
	}
	for g := range ranges {
		if !want[g] {
			t.Errorf("%s: range %s is in a claim only", doc.Name, g)
		}
	}
	noted := 0
	for _, n := range p.Notes {
		if strings.Contains(n.Reason, "later statement replaced") {
			noted++
		}
	}
	if missing != noted {
		t.Errorf("%s: %d ranges are in no claim, %d are noted", doc.Name, missing, noted)
	}
}

func eventsOf(g osv.Range) string {
	s := g.Type + g.Repo
	for _, e := range g.Events {
		s += "|" + e.Introduced + "|" + e.Fixed + "|" + e.LastAffected + "|" + e.Limit
	}
	return s
}

func byRef(t *testing.T, p source.Parsed, ref string) claim.Claim {
	t.Helper()
	for _, c := range p.Claims {
		if c.Ref == ref {
			return c
		}
	}
	t.Fatalf("no claim %q", ref)
	return claim.Claim{}
}
