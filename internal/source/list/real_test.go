package list

import (
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/source"
)

// shared gives the path of a file in shared/data/lists beside the repository.
func shared(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, "..", "shared", "data", "lists", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not here", name)
	}
	return path
}

// readFile reads a list through Fetch and Read.
func readFile(t *testing.T, path string, opt Options) (source.Parsed, Mapping) {
	t.Helper()
	l, err := Open(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	docs := 0
	var doc source.Document
	for d, err := range l.Fetch(context.Background(), "") {
		if err != nil {
			t.Fatal(err)
		}
		doc = d
		docs++
	}
	if docs != 1 {
		t.Fatalf("%d documents", docs)
	}
	parsed, m, err := l.Read(doc)
	if err != nil {
		t.Fatal(err)
	}
	accounted(t, parsed, m)
	return parsed, m
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

// accounted checks that every line is one thing, and that what was skipped is told.
func accounted(t fataler, parsed source.Parsed, m Mapping) {
	t.Helper()
	if sum := m.Header + m.Blank + m.Comments + m.Used + m.Skipped; sum != m.Lines {
		t.Fatalf("%d lines, of which %d are accounted for\n%s", m.Lines, sum, m)
	}
	told := map[int]bool{}
	for _, n := range parsed.Notes {
		if n.Skipped {
			told[n.Line] = true
		}
		if len(n.Text) > maxNote || n.Reason == "" {
			t.Fatalf("note %+v", n)
		}
	}
	if m.Skipped > 0 && len(told) == 0 || m.Unit == "line" && m.Delimiter == 0 && len(told) < m.Skipped {
		t.Fatalf("%d skipped, %d told", m.Skipped, len(told))
	}
	if len(parsed.Claims) != m.Claims || len(parsed.Notes) != m.Notes {
		t.Fatalf("%d claims and %d notes, the mapping says %d and %d", len(parsed.Claims), len(parsed.Notes), m.Claims, m.Notes)
	}
	refs := map[string]bool{}
	for i := range parsed.Claims {
		c := &parsed.Claims[i]
		if err := c.Validate(); err != nil {
			t.Fatalf("claim %q: %v", c.Ref, err)
		}
		if refs[c.Ref] {
			t.Fatalf("reference %q twice", c.Ref)
		}
		refs[c.Ref] = true
		if c.All && c.Open() || c.Open() && len(c.Versions) > 0 && m.Ranges == 0 {
			t.Fatalf("claim %q is open beside what it lists: %+v", c.Ref, c)
		}
		if _, err := c.Marshal(); err != nil {
			t.Fatalf("claim %q: %v", c.Ref, err)
		}
	}
}

func TestShaiHulud(t *testing.T) {
	path := shared(t, "shai-hulud-2.0-consolidated.csv")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// The list by another reader: versions of each package, and who reported it.
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	versions, origins := map[string][]string{}, map[string][]string{}
	for _, r := range rows[1:] {
		for v := range strings.SplitSeq(r[1], ",") {
			versions[r[0]] = append(versions[r[0]], strings.TrimSpace(v))
		}
		slices.Sort(versions[r[0]])
		for o := range strings.SplitSeq(r[2], ",") {
			origins[r[0]] = append(origins[r[0]], claim.Slug(o))
		}
		slices.Sort(origins[r[0]])
	}
	if len(versions) != 795 {
		t.Fatalf("the file has %d packages, not 795", len(versions))
	}
	parsed, m := readFile(t, path, Options{})
	if m.Lines != len(rows) || m.Header != 1 || m.Used != len(rows)-1 || m.Ecosystem != "npm" || len(parsed.Claims) != 795 {
		t.Fatalf("mapping:\n%s", m)
	}
	for _, c := range parsed.Claims {
		if !slices.Equal(c.Versions, versions[c.Name]) || !slices.Equal(c.Origins, origins[c.Name]) || c.All || c.Ranges != nil {
			t.Errorf("%s: versions %q, want %q; origins %q, want %q", c.Name, c.Versions, versions[c.Name], c.Origins, origins[c.Name])
		}
		if c.Ref != "npm/"+c.Name {
			t.Errorf("reference %q", c.Ref)
		}
	}
	if got, want := parsed.Claims[0].Ref, "npm/02-echo"; got != want {
		t.Errorf("first claim %q, want %q", got, want)
	}
}

func TestExposureCatalogs(t *testing.T) {
	ecosystems := map[string]string{"npm": "npm", "pypi": "PyPI", "rubygems": "RubyGems", "packagist": "Packagist"}
	for _, name := range []string{"antv-mini-shai-hulud", "gemstuffer", "laravel-lang-2026-05-23"} {
		t.Run(name, func(t *testing.T) {
			path := shared(t, "exposure-catalog-"+name+".json")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			// The catalog by another reader.
			var doc struct {
				Comment    string         `json:"_comment"`
				Indicators jsontext.Value `json:"_indicators"`
				Entries    []struct {
					ID        string   `json:"id"`
					Name      string   `json:"name"`
					Ecosystem string   `json:"ecosystem"`
					Package   string   `json:"package"`
					Source    string   `json:"source"`
					Versions  []string `json:"versions"`
				} `json:"entries"`
			}
			if err := json.Unmarshal(data, &doc); err != nil {
				t.Fatal(err)
			}
			parsed, m := readFile(t, path, Options{})
			if m.Layout != layoutExposure || m.Used != len(doc.Entries) || len(parsed.Claims) != len(doc.Entries) || m.Skipped != 0 {
				t.Fatalf("%d entries:\n%s", len(doc.Entries), m)
			}
			doubled := 0
			for i, c := range parsed.Claims {
				e := doc.Entries[i]
				want := e.Package
				if strings.HasPrefix(want, "@@") { // the exporter's mistake in the AntV catalog
					want = want[1:]
					doubled++
				}
				slices.Sort(e.Versions)
				if c.Name != want || c.Ecosystem != ecosystems[e.Ecosystem] || c.OriginID != e.ID || c.Summary != e.Name ||
					!slices.Equal(c.Versions, slices.Compact(e.Versions)) || c.Details != doc.Comment {
					t.Fatalf("entry %+v became %+v", e, c)
				}
				if !slices.ContainsFunc(slices.Collect(maps.Keys(urls(c))), func(u string) bool { return u == e.Source }) {
					t.Errorf("%s: no reference to %s", want, e.Source)
				}
				// The AntV catalog's endpoint, the only indicator with a place among OSV's.
				endpoint := strings.Contains(string(doc.Indicators), "https://t.m-kosche.com:443/api/public/otel/v1/traces")
				if endpoint != strings.Contains(string(c.Indicators), `"urls":["https://t.m-kosche.com:443/`) {
					t.Errorf("%s: indicators %s", want, c.Indicators)
				}
			}
			if len(parsed.Notes) != doubled {
				t.Errorf("%d notes, want one for each of %d doubled @", len(parsed.Notes), doubled)
			}
		})
	}
}

func urls(c claim.Claim) map[string]bool {
	out := map[string]bool{}
	for _, r := range c.References {
		out[r.URL] = true
	}
	return out
}

// campaign is the worst day as a CSV: 136,258 packages of NuGet, the rest of PyPI and npm.
func campaign(n int) []byte {
	var b strings.Builder
	b.WriteString("ecosystem,package_name,package_versions,sources\n")
	for i := range n {
		eco := "nuget"
		switch {
		case i%20 == 0:
			eco = "pypi"
		case i%400 == 1:
			eco = "npm"
		}
		fmt.Fprintf(&b, "%s,free-gift-cards-%06d,\"1.0.%d, 1.1.%d\",\"checkmarx, illustria\"\n", eco, i, i%10, i%7)
	}
	return []byte(b.String())
}

// BenchmarkCampaign reads the worst day: 144,000 packages.
func BenchmarkCampaign(b *testing.B) {
	data := campaign(144_000)
	l, err := New(data, Options{Name: "campaign"})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		parsed, err := l.Parse(source.Document{Name: "campaign", Data: data})
		if err != nil || len(parsed.Claims) != 144_000 {
			b.Fatal(len(parsed.Claims), err)
		}
	}
}
