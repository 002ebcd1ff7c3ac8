package export_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gocsaf/csaf/v3/csaf"
	"github.com/openvex/go-vex/pkg/vex"
	"github.com/parquet-go/parquet-go"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/internal/export"
)

var shown = export.Options{Publisher: "Acme", Links: advisory.Links{Base: "https://list.example/advisories"}}

func exported(t *testing.T, format string, c *export.Catalog, opt export.Options) map[string]string {
	t.Helper()
	f, ok := export.Find(format)
	if !ok {
		t.Fatalf("no format %s", format)
	}
	return written(t, f, c, opt)
}

// The documents are valid by the validator of the CSAF tools, which has the official schema
// (https://docs.oasis-open.org/csaf/csaf/v2.0/csaf_json_schema.json).
func TestCSAF(t *testing.T) {
	files := exported(t, "csaf", listed(t), shown)
	if len(files) != 13 {
		t.Errorf("%d files; want one for each of 12 records, and the marker", len(files))
	}
	for name, content := range files {
		if name == export.Marker {
			continue
		}
		var doc any
		if err := json.Unmarshal([]byte(content), &doc); err != nil {
			t.Fatal(err)
		}
		problems, err := csaf.ValidateCSAF(doc)
		if err != nil || len(problems) > 0 {
			t.Errorf("%s: %v %q\n%s", name, err, problems, content)
		}
	}
	got := files["2026/0xxx/mal-2026-4.json"]
	for _, want := range []string{`"known_affected": [`, `"vers:npm/>=1.0.0|<2.0.0"`, `"namespace": "https://list.example"`, `"CWE-506"`} {
		if !strings.Contains(got, want) {
			t.Errorf("MAL-2026-4 lacks %s:\n%s", want, got)
		}
	}
}

// CycloneDX's own schema of 1.6 decides.
func TestVDR(t *testing.T) {
	content := exported(t, "vdr", listed(t), shown)["file"]
	c := jsonschema.NewCompiler()
	files, err := filepath.Glob("../sbom/testdata/schema/*.schema.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource("http://cyclonedx.org/schema/"+filepath.Base(file), doc); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile("http://cyclonedx.org/schema/bom-1.6.SNAPSHOT.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("%v\n%s", err, content)
	}
	if strings.Contains(content, `"score"`) || strings.Count(content, `"critical"`) != 12 {
		t.Errorf("the ratings are not 12 without a score:\n%s", content)
	}
}

// OpenVEX's own reader takes the document and finds every statement valid.
func TestOpenVEX(t *testing.T) {
	var left []string
	opt := shown
	opt.Leave = func(a *advisory.Advisory, _ string) { left = append(left, a.ID) }
	content := exported(t, "openvex", listed(t), opt)["file"]
	doc, err := vex.Parse([]byte(content))
	if err != nil {
		t.Fatal(err)
	}
	products := map[string][]string{}
	for _, s := range doc.Statements {
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", s.Vulnerability.Name, err)
		}
		for _, p := range s.Products {
			products[string(s.Vulnerability.Name)] = append(products[string(s.Vulnerability.Name)], p.ID)
		}
	}
	if got := products["MAL-2026-1"]; !slices.Equal(got, []string{"pkg:npm/evil-pkg@1.2.3", "pkg:npm/evil-pkg@1.2.4"}) {
		t.Errorf("exact versions: %q", got)
	}
	if got := products["MAL-2026-2"]; !slices.Equal(got, []string{"pkg:npm/%40scope/bad"}) {
		t.Errorf("every version: %q", got)
	}
	if !slices.Equal(left, []string{"MAL-2026-4"}) {
		t.Errorf("left out %q; want the one with a run of versions", left)
	}
}

// The members that https://github.com/CVEProject/cve-schema (5.1, cnaPublishedContainer) requires are there, and no id of a CVE is.
func TestCVE(t *testing.T) {
	files := exported(t, "cve", listed(t), shown)
	type doc struct {
		CNA struct {
			Title    string
			Affected []struct {
				CollectionURL, PackageName, DefaultStatus string
				Versions                                  []struct{ Version, Status, VersionType, LessThan string }
			}
			Descriptions []struct{ Lang, Value string }
			References   []struct{ URL string }
		} `json:"cnaContainer"`
	}
	for name, content := range files {
		if name == export.Marker {
			continue
		}
		var d doc
		dec := json.NewDecoder(strings.NewReader(content))
		if err := dec.Decode(&d); err != nil {
			t.Fatal(err)
		}
		c := d.CNA
		if c.Title == "" || len(c.Title) > 256 || len(c.Affected) != 1 || len(c.Descriptions) != 1 || c.Descriptions[0].Value == "" || len(c.Descriptions[0].Value) > 4096 || len(c.References) != 1 ||
			c.References[0].URL == "" || c.Affected[0].CollectionURL == "" || c.Affected[0].PackageName == "" || strings.Contains(content, "CVE-") || strings.Contains(content, "metrics") {
			t.Errorf("%s:\n%s", name, content)
		}
	}
	var d doc
	if err := json.Unmarshal([]byte(files["2026/0xxx/MAL-2026-4.json"]), &d); err != nil {
		t.Fatal(err)
	}
	if v := d.CNA.Affected[0].Versions; len(v) != 1 || v[0].Version != "1.0.0" || v[0].LessThan != "2.0.0" || v[0].VersionType != "semver" || v[0].Status != "affected" || d.CNA.Affected[0].DefaultStatus != "unaffected" {
		t.Errorf("a run of versions is %+v", d.CNA.Affected)
	}
}

func TestGSD(t *testing.T) {
	files := exported(t, "gsd", load(t, documents...), shown)
	var got struct{ OSV json.RawMessage }
	if err := json.Unmarshal([]byte(files["2026/0xxx/MAL-2026-3.json"]), &got); err != nil || !strings.Contains(string(got.OSV), `"id":"MAL-2026-3"`) {
		t.Errorf("%s: %v", got.OSV, err)
	}
	if _, ok := files["2026/0xxx/MAL-2026-2.json"]; ok {
		t.Error("a record that was taken back is there")
	}
	if _, ok := files["other/GHSA-xxxx-xxxx-xxxx.json"]; !ok {
		t.Errorf("an id without a number is nowhere: %d files", len(files))
	}
}

// What is read back is what was written: every record, those taken back too.
func TestParquet(t *testing.T) {
	content := exported(t, "parquet", load(t, documents...), shown)["file"]
	type row struct {
		ID       string   `parquet:"id"`
		Name     string   `parquet:"name"`
		All      bool     `parquet:"every_version"`
		Versions []string `parquet:"versions,list"`
		State    string   `parquet:"state"`
		Campaign string   `parquet:"campaign"`
		OSV      string   `parquet:"osv"`
	}
	rows, err := parquet.Read[row](strings.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rows {
		if !json.Valid([]byte(r.OSV)) {
			t.Errorf("%s: %s", r.ID, r.OSV)
		}
		got = append(got, strings.Join([]string{r.ID, r.Name, strings.Join(r.Versions, " "), r.State, r.Campaign}, "|"))
	}
	want := []string{"GHSA-xxxx-xxxx-xxxx|example.com/evil|1.0.0|in force|", "MAL-2026-4|doubted|1.0|disputed|", "MAL-2026-2|taken-back|1.0|withdrawn|", "MAL-2026-1|aa||in force|", "GHSA-xxxx-xxxx-xxxx|mm|1.0.0|in force|", "MAL-2026-3|zz|1.0.0|in force|worm-1"}
	if !slices.Equal(got, want) {
		t.Errorf("\n%q; want\n%q", got, want)
	}
}

// Bad inputs 89: no cell of the spreadsheet begins like a formula, and names of npm scopes are such cells.
func TestSpreadsheet(t *testing.T) {
	content := exported(t, "spreadsheet", load(t, record("MAL-2026-1", "npm", "@scope/bad", everyVersion), record("MAL-2026-2", "PyPI", "=cmd|'calc'!A0", everyVersion)), shown)["file"]
	for _, want := range []string{"\ufeffid,", ",'@scope/bad,", ",'=cmd|'calc'!A0,"} {
		if !strings.Contains(content, want) {
			t.Errorf("%q is not in\n%s", want, content)
		}
	}
	if plain := exported(t, "csv", load(t, record("MAL-2026-1", "npm", "@scope/bad", everyVersion)), shown)["file"]; !strings.Contains(plain, ",@scope/bad,*,pkg:npm/%40scope/bad,") {
		t.Errorf("the table for programs changes names:\n%s", plain)
	}
}

func TestPURLs(t *testing.T) {
	got := exported(t, "purls", listed(t), shown)["file"]
	for _, want := range []string{"pkg:npm/evil-pkg@1.2.3\n", "pkg:npm/%40scope/bad\n", "pkg:pypi/evil-pkg@1.2\n", "pkg:golang/example.com/evil@v1.0.0\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

// An id is data: one with a colon is no name of a file on every system.
func TestDocumentNames(t *testing.T) {
	var left []string
	opt := shown
	opt.Leave = func(a *advisory.Advisory, _ string) { left = append(left, a.ID) }
	files := exported(t, "gsd", load(t, record("MAL-2026-1:a", "npm", "a", everyVersion), record("MAL-2026-2", "npm", "b", everyVersion)), opt)
	if len(files) != 2 || !slices.Equal(left, []string{"MAL-2026-1:a"}) {
		t.Errorf("%d files, left out %q", len(files), left)
	}
}
