package export

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.etcd.io/bbolt"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// overRecords are ours: one for each ecosystem that can be merged over, one that was withdrawn and one that is not malicious.
var overRecords = []string{
	overRecord("MAL-2026-1", "npm", "evil-pkg"), overRecord("MAL-2026-2", "Go", "example.com/evil"), overRecord("MAL-2026-3", "RubyGems", "evil"), overRecord("MAL-2026-4", "crates.io", "evil"),
	strings.Replace(overRecord("MAL-2026-5", "npm", "taken-back"), `"affected"`, `"withdrawn":"2026-01-03T00:00:00Z","affected"`, 1),
	overRecord("GHSA-aaaa-bbbb-cccc", "npm", "evil-pkg"),
}

func overRecord(id, eco, name string) string {
	return fmt.Sprintf(`{"schema_version":"1.7.4","id":%q,"modified":"2026-01-02T00:00:00Z","published":"2026-01-01T00:00:00Z","aliases":["CVE-2020-9"],"affected":[{"package":{"ecosystem":%q,"name":%q},"versions":["1.2.3"]}]}`, id, eco, name)
}

// upstreamCase is a format, a file or tree of the ecosystem's keepers for it, and how to list every record of such a file and of an export.
type upstreamCase struct {
	format string
	make   func(t *testing.T) string
	// theirs and ours list records by a key; ours that of an export.
	theirs, ours func(t *testing.T, path string) map[string]string
	changed      []string // keys of theirs that an export writes anew
	added        []string // keys of ours
	first        func(t *testing.T, path string) string
	over         string // the part of an export that can be merged over; "-" for none
}

func upstreamCases() []upstreamCase {
	// Records of the same id in a form, at times and about packages of upstream's own; a second with an alias that is an id of ours.
	osvFiles := append(slices.Clone(upstreamFiles),
		"CVE-2020-9.json", `{"id":"CVE-2020-9","modified":"2026-06-01T00:00:00Z","aliases":["MAL-2026-1"],"affected":[{"package":{"ecosystem":"npm","name":"evil-pkg"},"versions":["1.2.3"]}]}`,
		"MAL-2020-7.json", `{"id":"MAL-2020-7","modified":"2020-06-01T00:00:00Z","withdrawn":"2020-07-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"gone"},"versions":["1.2.3"]}]}`,
		"MAL-2026-2.json", `{"id":"MAL-2026-2","modified":"2027-06-01T00:00:00Z","summary":"newer","affected":[{"package":{"ecosystem":"Go","name":"example.com/evil"},"versions":["1.2.4"]}]}`,
	)
	file := func(name string, data func(t *testing.T) []byte) func(t *testing.T) string {
		return func(t *testing.T) string {
			return filepath.Join(clienttest.Tree(t, map[string]string{name: string(data(t))}), name)
		}
	}
	zipFile := func(t *testing.T) []byte { return clienttest.Zip(t, osvFiles...) }
	zipped := func(name string) func(t *testing.T, path string) map[string]string {
		return func(t *testing.T, path string) map[string]string {
			_, content := entries(t, filepath.Join(path, name))
			return content
		}
	}
	lines := func(t *testing.T, path string) map[string]string {
		out := map[string]string{}
		names, content := entries(t, path)
		for _, name := range names {
			for line := range strings.Lines(content[name]) {
				var rec struct {
					ID string `json:"id"`
				}
				if err := json.Unmarshal([]byte(line), &rec); err != nil {
					t.Fatal(err)
				}
				if _, twice := out[name+" "+rec.ID]; twice {
					t.Errorf("%s has %s twice", name, rec.ID)
				}
				out[name+" "+rec.ID] = line
			}
		}
		return out
	}
	firstLine := func(eco string) func(t *testing.T, path string) string {
		return func(t *testing.T, path string) string {
			_, content := entries(t, path)
			line, _, _ := strings.Cut(content[eco], "\n")
			return line
		}
	}
	firstEntry := func(name string) func(t *testing.T, path string) string {
		return func(t *testing.T, path string) string {
			names, _ := entries(t, filepath.Join(path, name))
			return names[0]
		}
	}
	tree := func(name string) func(t *testing.T) string {
		return func(t *testing.T) string { return filepath.Join("testdata", "upstream", name) }
	}
	trivy := func(name string) func(t *testing.T, path string) map[string]string {
		return func(t *testing.T, path string) map[string]string { return boltMap(t, filepath.Join(path, name)) }
	}
	return []upstreamCase{
		{
			format: "osv", make: file("all.zip", zipFile), theirs: zipped(""), ours: zipped("all.zip"), changed: []string{"MAL-2026-1.json", "MAL-2026-2.json"},
			added: []string{"MAL-2026-1.json", "MAL-2026-2.json", "MAL-2026-3.json", "MAL-2026-4.json", "MAL-2026-5.json"}, first: firstEntry("all.zip"), over: "all.zip",
		},
		{
			format: "osv-scanner", make: file("all.zip", zipFile), changed: []string{"npm/MAL-2026-1.json", "Go/MAL-2026-2.json"},
			theirs: func(t *testing.T, path string) map[string]string {
				return map[string]string{
					"npm/CVE-2020-1.json": osvFiles[1], "npm/GHSA-aaaa-bbbb-cccc.json": osvFiles[3], "npm/MAL-2026-1.json": osvFiles[5], "npm/openSUSE-SU-2019:0003-1.json": osvFiles[7],
					"openSUSE/openSUSE-SU-2019:0003-1.json": osvFiles[7], "npm/CVE-2020-9.json": osvFiles[9], "npm/MAL-2020-7.json": osvFiles[11], "Go/MAL-2026-2.json": osvFiles[13],
				}
			},
			ours: func(t *testing.T, path string) map[string]string {
				out := map[string]string{}
				archives, err := filepath.Glob(filepath.Join(path, scannerDirs[0], "*", "all.zip"))
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range archives {
					_, content := entries(t, a)
					for name, data := range content {
						out[filepath.Base(filepath.Dir(a))+"/"+name] = data
					}
				}
				return out
			},
			added: []string{"npm/MAL-2026-1.json", "Go/MAL-2026-2.json", "RubyGems/MAL-2026-3.json", "crates.io/MAL-2026-4.json"}, first: firstEntry("osv-scalibr/npm/all.zip"), over: ".",
		},
		{
			format: "osv-offline", theirs: lines, ours: lines, changed: []string{"npm.nedb MAL-2026-1"},
			make: file("osv-offline.zip", func(t *testing.T) []byte {
				return clienttest.Zip(t, "npm.nedb", `{"id":"CVE-2020-1","_id":"0123456789abcdef"}`+"\n"+`{"id":"MAL-2026-1","modified":"2027-01-01T00:00:00Z","_id":"1123456789abcdef"}`+"\n"+`{ "id":"GHSA-aaaa-bbbb-cccc","_id":"2123456789abcdef"}`+"\n",
					"cran.nedb", `{"id":"CVE-2020-3","aliases":["MAL-2026-1"],"_id":"0123456789abcdef"}`+"\n")
			}),
			added: []string{"npm.nedb MAL-2026-1", "go.nedb MAL-2026-2", "rubygems.nedb MAL-2026-3", "crates.io.nedb MAL-2026-4"}, first: firstLine("npm.nedb"), over: ".",
		},
		{
			format: "go-vulndb", make: tree("go-vulndb"), theirs: goRecords, ours: goRecords, changed: []string{"index/db.json"},
			added: []string{"ID/MAL-2026-2.json", "ID/MAL-2026-2.json.gz", `example.com/evil {"id":"MAL-2026-2","modified":"2026-01-02T00:00:00Z","fixed":"1.2.4-0"}`}, over: "-",
		},
		{
			format: "ruby-advisory-db", make: tree("ruby-advisory-db"), theirs: treeFiles, ours: treeFiles, added: []string{"gems/evil/MAL-2026-3.yml"}, over: "-",
		},
		{
			format: "rustsec", theirs: treeFiles, ours: treeFiles, added: []string{"crates/evil/MAL-2026-4.md"}, over: "-",
			make: func(t *testing.T) string {
				// As advisory-db's own template has it (github.com/rustsec/advisory-db, EXAMPLE_ADVISORY.md).
				return clienttest.Tree(t, map[string]string{"crates/evil/RUSTSEC-2001-2101.md": "```toml\n[advisory]\nid = \"RUSTSEC-2001-2101\"\npackage = \"evil\"\ndate = \"2001-02-03\"\naliases = [\"MAL-2026-4\"]\n\n[versions]\npatched = [\">= 1.2.0\"]\n```\n\n# Flaw in X allows Y\n", "support.toml": "x = 1\n"})
			},
		},
		{
			format: "grype", make: file("vulnerability.db", func(t *testing.T) []byte {
				return SmallGrype(t, `INSERT INTO blobs VALUES (10, '{"id":"MAL-2026-1"}');
					INSERT INTO vulnerability_handles VALUES (42, 'MAL-2026-1', 'active', NULL, '2027-01-01 00:00:00+00:00', NULL, 'github', 10);
					INSERT INTO affected_package_handles VALUES (9, 42, NULL, 3, 9);
					CREATE TABLE epss_handles (id integer, cve text); INSERT INTO epss_handles VALUES (1, 'CVE-2020-1')`)
			}),
			theirs: sqliteRows,
			ours: func(t *testing.T, path string) map[string]string {
				packed, err := filepath.Glob(filepath.Join(path, "*.tar.zst"))
				if err != nil || len(packed) != 1 {
					t.Fatal(packed, err)
				}
				db := filepath.Join(t.TempDir(), "db")
				if err := unpack(t.Context(), packed[0], grypeFile, db); err != nil {
					t.Fatal(err)
				}
				return sqliteRows(t, db)
			},
			over:  "*.tar.zst",
			added: []string{"packages 6 'go-module' 'example.com/evil'"},
		},
		{format: "trivy", make: file("trivy.db", largeTrivy), theirs: trivy(""), ours: trivy("db/trivy.db"), changed: []string{"vulnerability/MAL-2026-1"}, added: []string{"npm::rapsheet malicious packages/evil-pkg/MAL-2026-1", "vulnerability/MAL-2026-4"}, over: "."},
		{
			format: "trivy-oci", make: file("trivy.db", largeTrivy), theirs: trivy(""), changed: []string{"vulnerability/MAL-2026-1"},
			ours: func(t *testing.T, path string) map[string]string {
				db := filepath.Join(t.TempDir(), "db")
				if err := unpack(t.Context(), layerOf(t, path), trivyFile, db); err != nil {
					t.Fatal(err)
				}
				return boltMap(t, db)
			},
			added: []string{"npm::rapsheet malicious packages/evil-pkg/MAL-2026-1", "vulnerability/MAL-2026-4"}, over: "layer",
		},
	}
}

// layerOf is the largest blob of an image layout.
func layerOf(t *testing.T, path string) string {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(path, "blobs", "sha256", "*"))
	if err != nil || len(blobs) == 0 {
		t.Fatal(blobs, err)
	}
	return slices.MaxFunc(blobs, func(a, b string) int {
		x, _ := os.Stat(a)
		y, _ := os.Stat(b)
		return int(x.Size() - y.Size())
	})
}

// largeTrivy is a database of several levels of pages, with the kinds of buckets that trivy-db writes (pkg/db, pkg/vulnsrc).
func largeTrivy(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trivy.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	put := func(tx *bbolt.Tx, value string, names ...string) error {
		b, err := tx.CreateBucketIfNotExists([]byte(names[0]))
		for i := 1; i < len(names)-1 && err == nil; i++ {
			b, err = b.CreateBucketIfNotExists([]byte(names[i]))
		}
		if err != nil {
			return err
		}
		return b.Put([]byte(names[len(names)-1]), []byte(value))
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		var errs []error
		for i := range 3000 {
			id := fmt.Sprintf("CVE-2020-%d", i)
			errs = append(errs,
				put(tx, `{"Title":"t","VendorSeverity":{"nvd":3}}`, "vulnerability", id),
				put(tx, `{"PatchedVersions":["1.0"],"VulnerableVersions":["<1.0"]}`, "npm::GitHub Security Advisory npm", fmt.Sprintf("p%d", i%700), id),
				put(tx, `{"FixedVersion":"1"}`, "debian 12", "openssl", id))
		}
		errs = append(errs,
			put(tx, `{"Title":"theirs","VendorSeverity":{"ghsa":4},"LastModifiedDate":"2027-01-01T00:00:00Z"}`, "vulnerability", "MAL-2026-1"),
			put(tx, `{"VulnerableVersions":["<9"]}`, "npm::GitHub Security Advisory npm", "evil-pkg", "MAL-2026-1"),
			put(tx, `{"ID":"ghsa"}`, "data-source", "npm::GitHub Security Advisory npm"),
			put(tx, `[1]`, "Red Hat CPE", "cpe", "1"))
		return errors.Join(errs...)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func boltMap(t *testing.T, path string) map[string]string {
	t.Helper()
	if err := checkBolt(path); err != nil {
		t.Error(err)
	}
	out := map[string]string{}
	for _, line := range BoltLines(t, path) {
		name, value, _ := strings.Cut(line, " {")
		out[name] = value
	}
	return out
}

// sqliteRows has every row of every table.
func sqliteRows(t *testing.T, path string) map[string]string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	column := func(query string) (out []string) {
		rows, err := db.Query(query)
		if err != nil {
			t.Fatal(query, err)
		}
		defer rows.Close()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				t.Fatal(err)
			}
			out = append(out, s)
		}
		return out
	}
	out := map[string]string{}
	for _, table := range column("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'") {
		fields := column("SELECT 'quote(' || name || ')' FROM pragma_table_info('" + table + "')")
		for _, row := range column("SELECT " + strings.Join(fields, " || ' ' || ") + " FROM " + table) {
			if _, twice := out[table+" "+row]; twice {
				t.Errorf("%s %s twice", table, row)
			}
			out[table+" "+row] = row
		}
	}
	return out
}

func treeFiles(t *testing.T, path string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(os.DirFS(path), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == Marker {
			return err
		}
		data, err := os.ReadFile(filepath.Join(path, name))
		out[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// goRecords has the files of a Go vulnerability database, but for the indexes each of their entries.
func goRecords(t *testing.T, path string) map[string]string {
	t.Helper()
	out := treeFiles(t, path)
	var modules []struct {
		Path  string           `json:"path"`
		Vulns []jsontext.Value `json:"vulns"`
	}
	var vulns []jsontext.Value
	if err := errors.Join(json.Unmarshal([]byte(out["index/modules.json"]), &modules), json.Unmarshal([]byte(out["index/vulns.json"]), &vulns)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"db", "modules", "vulns"} {
		delete(out, "index/"+name+".json.gz")
	}
	delete(out, "index/modules.json")
	delete(out, "index/vulns.json")
	for _, m := range modules {
		for _, v := range m.Vulns {
			if err := v.Compact(); err != nil {
				t.Fatal(err)
			}
			out[m.Path+" "+string(v)] = ""
		}
	}
	for _, v := range vulns {
		if err := v.Compact(); err != nil {
			t.Fatal(err)
		}
		out["vulns "+string(v)] = ""
	}
	return out
}

// overOut exports to a directory or a file.
func overOut(t *testing.T, format, over string) (string, error) {
	t.Helper()
	return writeTo(t, format, load(t, overRecords...), Options{Publisher: "rapsheet", Over: over})
}

func sameFiles(t *testing.T, a, b string) bool {
	t.Helper()
	if st, err := os.Stat(a); err == nil && !st.IsDir() {
		x, err := os.ReadFile(a)
		y, err2 := os.ReadFile(b)
		return err == nil && err2 == nil && bytes.Equal(x, y)
	}
	return maps.Equal(treeFiles(t, a), treeFiles(t, b))
}

// Every record of upstream's is in the export as it was, but for those that are named here; ours are there, and first where the format has an
// order; the same input gives the same bytes; and an export over an export has nothing twice.
func TestUpstreamIsKept(t *testing.T) {
	for _, tt := range upstreamCases() {
		t.Run(tt.format, func(t *testing.T) {
			up := tt.make(t)
			before := tt.theirs(t, up)
			out, err := overOut(t, tt.format, up)
			if err != nil {
				t.Fatal(err)
			}
			after := tt.ours(t, out)
			kept := 0
			for key, value := range before {
				got, there := after[key]
				if slices.Contains(tt.changed, key) {
					if there && got == value {
						t.Errorf("%s is as it was", key)
					}
					continue
				}
				if !there || got != value {
					t.Errorf("%s was %.200q and is %.200q", key, value, got)
				}
				kept++
			}
			if kept == 0 || kept+len(tt.changed) != len(before) {
				t.Errorf("%d of %d records kept", kept, len(before))
			}
			for _, key := range tt.added {
				if _, there := after[key]; !there {
					t.Errorf("no %s in %.2000q", key, slices.Sorted(maps.Keys(after)))
				}
			}
			if tt.first != nil && !strings.Contains(tt.first(t, out), "MAL-2026-1") {
				t.Errorf("first is %q", tt.first(t, out))
			}
			if again, err := overOut(t, tt.format, up); err != nil || !sameFiles(t, out, again) {
				t.Errorf("the second time it is not the same: %v", err)
			}
			if !maps.Equal(before, tt.theirs(t, up)) {
				t.Error("the file that was merged over has changed")
			}
			from := filepath.Join(out, tt.over)
			switch tt.over {
			case "-": // an export says of itself what it is
				if at, err := overOut(t, tt.format, out); err == nil || !strings.Contains(err.Error(), "export of rapsheet") {
					t.Errorf("over an export: %s %v", at, err)
				}
				return
			case "layer":
				from = layerOf(t, out)
			case "*.tar.zst":
				packed, _ := filepath.Glob(from)
				from = packed[0]
			}
			twice, err := overOut(t, tt.format, from)
			if err != nil {
				t.Fatal(err)
			}
			if again := tt.ours(t, twice); !maps.Equal(after, again) {
				for key := range again {
					if _, there := after[key]; !there {
						t.Errorf("over an export there is also %.200s", key)
					}
				}
				t.Errorf("over an export %d records; want %d, the same", len(again), len(after))
			}
		})
	}
}

// What is damaged, of another kind or another version is said in a line, and nothing is written.
func TestUpstreamIsRefused(t *testing.T) {
	bolt, grype := largeTrivy(t), func(more string) []byte { return SmallGrype(t, more) }
	at := func(data []byte, offset int, value byte) []byte {
		data = slices.Clone(data)
		data[offset] = value
		return data
	}
	sum := func(data []byte) []byte {
		data = slices.Clone(data)
		resum(data)
		return data
	}
	small := smallTrivy(t)
	newer := 0 // the page of meta in force
	if small[1024+64] > small[64] {
		newer = 1024
	}
	for _, tt := range []struct {
		name, format, file string
		data               []byte
		says               string
	}{
		{"empty", "trivy", "trivy.db", nil, "bbolt"},
		{"text", "trivy", "trivy.db", []byte("<html>login</html>"), "bbolt"},
		{"cut off", "trivy", "trivy.db", bolt[:len(bolt)/2], "pages"},
		{"another version", "trivy", "trivy.db", sum(at(small, 20, 3)), "version 3"},
		{"a checksum", "trivy", "trivy.db", at(small, 60, 1), "checksum"},
		{"more pages than there are", "trivy", "trivy.db", sum(at(at(small, 16+42, 9), 1024+16+42, 9)), "pages"},
		{"a root beyond the end", "trivy", "trivy.db", sum(at(at(small, 16+18, 9), 1024+16+18, 9)), "page 589"},
		{"a root that is meta", "trivy", "trivy.db", sum(at(at(small, 16+16, 1), 1024+16+16, 1)), "page 1"},
		{"a list of what is free that is the root", "trivy", "trivy.db", sum(at(small, newer+16+32, small[newer+16+16])), "two uses"},
		{"another schema", "trivy", "db.tar.gz", tarGz(t, "trivy.db", string(small), "metadata.json", `{"Version":3}`), "schema 3"},
		{"no archive of a database", "trivy", "db.tar.gz", tarGz(t, "other.db", string(small)), "no trivy.db"},
		{"cut off, in an image", "trivy-oci", "trivy.db", bolt[:len(bolt)/2], "pages"},
		{"empty", "grype", "vulnerability.db", nil, "no Grype database"},
		{"text", "grype", "vulnerability.db", []byte("<html>login</html>"), "not a database"},
		{"another schema", "grype", "vulnerability.db", grype("UPDATE db_metadata SET model = 5"), "schema 5"},
		{"a trigger", "grype", "vulnerability.db", grype("CREATE TRIGGER x AFTER INSERT ON providers BEGIN DELETE FROM packages; END"), "triggers"},
		{"a view", "grype", "vulnerability.db", grype("DROP TABLE blobs; CREATE VIEW blobs AS SELECT 1 AS id, 2 AS value"), "views"},
		{"no table", "grype", "vulnerability.db", grype("DROP TABLE packages"), "packages"},
		{"cut off", "grype", "vulnerability.db", grype("")[:1024], ""},
		{"cut off", "osv-offline", "o.zip", clienttest.Zip(t, "npm.nedb", "{}\n")[:40], ""},
		{"cut off", "osv", "all.zip", clienttest.Zip(t, upstreamFiles...)[:300], ""},
	} {
		t.Run(tt.format+" "+tt.name, func(t *testing.T) {
			up := filepath.Join(clienttest.Tree(t, map[string]string{tt.file: string(tt.data)}), tt.file)
			out, err := overOut(t, tt.format, up)
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v; want %q", err, tt.says)
			}
			if st, err := os.Stat(out); err == nil && st.IsDir() {
				t.Error("something was written")
			}
		})
	}
}

func tarGz(t *testing.T, files ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1])), Format: tar.FormatUSTAR}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
