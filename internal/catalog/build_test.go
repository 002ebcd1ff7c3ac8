package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/catalog"
	"github.com/rapsheet/rapsheet/internal/source"
)

type doc struct{ name, data string }

func input(name string, docs ...doc) catalog.Input {
	return catalog.Input{Name: name, Documents: func(yield func(source.Document, error) bool) {
		for _, d := range docs {
			if !yield(source.Document{Name: d.name, Data: []byte(d.data)}, nil) {
				return
			}
		}
	}}
}

func record(id, name, modified, more string) doc {
	return doc{id + ".json", fmt.Sprintf(
		`{"id":%q,"modified":%q,"affected":[{"package":{"ecosystem":"npm","name":%q},"versions":["1.0.0"]}]%s}`, id, modified, name, more)}
}

// now is when the catalogs of the tests are built.
var now = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

const day1, day2 = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"

func build(t *testing.T, inputs ...catalog.Input) (*index.Index, catalog.Report) {
	t.Helper()
	b, report, err := catalog.Build(context.Background(), inputs, now, nil)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := b.WriteTo(&buf, index.Meta{}); err != nil {
		t.Fatal(err)
	}
	ix, err := index.New(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return ix, report
}

// name gives the package of the record with an id, "" if the catalog has none.
func name(t *testing.T, ix *index.Index, id string) string {
	t.Helper()
	recs, err := ix.ByID(id)
	if err != nil {
		t.Fatal(err)
	}
	if len(recs) == 0 {
		return ""
	}
	return recs[0].Affected[0].Package.Name
}

// Every document is in the catalog or accounted for with a reason.
func TestAccounting(t *testing.T) {
	ix, r := build(t, input("a",
		record("MAL-2026-1", "one", day1, ""),
		record("GHSA-2222-3333-4444", "two", day1, `,"aliases":["MAL-2026-2"]`),
		record("GHSA-2222-3333-5555", "three", day1, `,"database_specific":{"type":"malware"}`),
		record("GHSA-2222-3333-6666", "four", day1, `,"database_specific":{"cwe_ids":["CWE-79","CWE-506"]}`),
		record("GHSA-2222-3333-7777", "buggy", day1, `,"database_specific":{"cwe_ids":["CWE-79"],"severity":"HIGH"}`),
		record("CVE-2026-1", "five", day1, ""),
		record("MAL-2026-6", "six", day1, `,"withdrawn":"2026-01-03T00:00:00Z"`),
		doc{"MAL-2026-7.json", `{"id":"MAL-2026-7","modified":"` + day1 + `"}`},
		doc{"broken.json", `{"id":"MAL-2026-8"`},
		doc{"MAL-0000-acme-1.json", strings.Replace(record("x", "nine", day1, "").data, `"id":"x"`, `"id":""`, 1)},
	))
	want := map[string]string{
		"MAL-2026-1": "one", "GHSA-2222-3333-4444": "two", "GHSA-2222-3333-5555": "three", "GHSA-2222-3333-6666": "four", "GHSA-2222-3333-7777": "",
		"CVE-2026-1": "", "MAL-2026-6": "six", "MAL-2026-7": "", "MAL-0000-acme-1": "nine",
	}
	for id, w := range want {
		if got := name(t, ix, id); got != w {
			t.Errorf("%s: got package %q, want %q", id, got, w)
		}
	}
	if r.Documents != 10 || r.Records != 6 || len(r.Rejected) != 1 || r.Rejected[0].Name != "broken.json" {
		t.Errorf("%+v", r)
	}
	if !maps.Equal(r.Skipped, map[string]int{"not about a malicious package": 2, "names no package": 1}) {
		t.Errorf("skipped: %v", r.Skipped)
	}
	if ix.Meta().Withdrawn != 1 {
		t.Errorf("%+v", ix.Meta())
	}
}

// A20, A21 of bad-inputs.md, and the same between sources.
func TestSameID(t *testing.T) {
	one := record("MAL-2026-1", "one", day1, "")
	other := record("MAL-2026-1", "other", day2, "")
	other.name = "elsewhere/MAL-2026-1.json"
	third := record("MAL-2026-1", "third", day2, "")
	third.name = "third/MAL-2026-1.json"
	spaced := doc{"copy.json", strings.ReplaceAll(one.data, ":", ": ")}
	spaced.data = strings.ReplaceAll(spaced.data, "T00: 00: 00Z", "T00:00:00Z")

	for _, tt := range []struct {
		name     string
		inputs   []catalog.Input
		want     string // package of MAL-2026-1
		rejected int
		skipped  map[string]int
	}{
		{"A20 other content in one source: both rejected", []catalog.Input{input("a", one, other)}, "", 2, nil},
		{"A20 three of them: all rejected", []catalog.Input{input("a", one, other, third)}, "", 3, nil},
		{"A21 the same content: one record", []catalog.Input{input("a", one, spaced)}, "one", 0, map[string]int{"the same record again": 1}},
		{"the same content in two sources", []catalog.Input{input("a", one), input("b", one)}, "one", 0, map[string]int{"the same record again": 1}},
		{"a newer state in the second source", []catalog.Input{input("a", one), input("b", other)}, "other", 0,
			map[string]int{"an older state of a record that another source has": 1}},
		{"an older state in the second source", []catalog.Input{input("a", other), input("b", one)}, "other", 0,
			map[string]int{"an older state of a record that another source has": 1}},
		{"A31 a time of the future does not win", []catalog.Input{input("a", one), input("b", record("MAL-2026-1", "future", "2199-01-01T00:00:00Z", ""))}, "one", 0,
			map[string]int{"an older state of a record that another source has": 1}},
		{"a source that is sound beside one that contradicts itself", []catalog.Input{input("a", one, other), input("b", one)}, "one", 2, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ix, r := build(t, tt.inputs...)
			if got := name(t, ix, "MAL-2026-1"); got != tt.want {
				t.Errorf("package %q, want %q", got, tt.want)
			}
			if len(r.Rejected) != tt.rejected || len(r.Skipped)+len(tt.skipped) > 0 && !maps.Equal(r.Skipped, tt.skipped) {
				t.Errorf("%+v", r)
			}
			if d := ix.Meta().Date; d.After(now) {
				t.Errorf("the catalog is of %v", d)
			}
			if r.Records != ix.Meta().Records {
				t.Errorf("%d records reported, %d in the catalog", r.Records, ix.Meta().Records)
			}
			for _, x := range r.Rejected {
				if !strings.Contains(x.Reason, "MAL-2026-1") || !strings.Contains(x.Reason, ".json") {
					t.Errorf("the reason does not name both: %s", x.Reason)
				}
			}
		})
	}
}

// Documents come out in their order whatever worker reads them, and a source
// that fails as a whole fails the build.
func TestManyAndFailing(t *testing.T) {
	var docs []doc
	for i := range 2000 {
		docs = append(docs, record(fmt.Sprintf("MAL-2026-%d", i+1), fmt.Sprintf("pkg-%d", i), day1, ""))
	}
	seen := 0
	b, r, err := catalog.Build(context.Background(), []catalog.Input{input("a", docs...)}, now, func(n int) { seen = n })
	if err != nil || r.Records != 2000 || seen == 0 || b == nil {
		t.Fatalf("%+v, progress %d, %v", r, seen, err)
	}
	boom := errors.New("checksum of entry 1,500 is wrong")
	failing := catalog.Input{Name: "feed.zip", Documents: func(yield func(source.Document, error) bool) {
		for i, d := range docs {
			if i == 1500 {
				yield(source.Document{}, boom)
				return
			}
			if !yield(source.Document{Name: d.name, Data: []byte(d.data)}, nil) {
				return
			}
		}
	}}
	if _, _, err := catalog.Build(context.Background(), []catalog.Input{failing}, now, nil); !errors.Is(err, boom) || !strings.Contains(err.Error(), "feed.zip") {
		t.Errorf("got %v", err)
	}
}

func TestRejectsGoOn(t *testing.T) {
	in := catalog.Input{Name: "tree", Documents: func(yield func(source.Document, error) bool) {
		one, two := record("MAL-2026-1", "one", day1, ""), record("MAL-2026-2", "two", day1, "")
		_ = yield(source.Document{Name: one.name, Data: []byte(one.data)}, nil) &&
			yield(source.Document{}, &source.Reject{Name: "link.json", Reason: errors.New("is a symbolic link")}) &&
			yield(source.Document{Name: two.name, Data: []byte(two.data)}, nil)
	}}
	ix, r := build(t, in)
	if name(t, ix, "MAL-2026-1") != "one" || name(t, ix, "MAL-2026-2") != "two" {
		t.Error("a good document beside a rejected one is missing")
	}
	if len(r.Rejected) != 1 || r.Rejected[0].Name != "link.json" || r.Rejected[0].Source != "tree" {
		t.Errorf("%+v", r.Rejected)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	endless := func(yield func(source.Document, error) bool) {
		for i := 0; ; i++ {
			if i == 5000 {
				cancel()
			}
			d := record(fmt.Sprintf("MAL-2026-%d", i+1), fmt.Sprintf("pkg-%d", i), day1, "")
			if !yield(source.Document{Name: d.name, Data: []byte(d.data)}, nil) {
				return
			}
		}
	}
	_, _, err := catalog.Build(ctx, []catalog.Input{{Name: "endless", Documents: iter.Seq2[source.Document, error](endless)}}, now, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
