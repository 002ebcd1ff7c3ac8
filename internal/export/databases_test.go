package export_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.etcd.io/bbolt"
	_ "modernc.org/sqlite"

	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/internal/export"
)

// dbRecord writes a record; what is its "versions" or "ranges" member.
func dbRecord(id, ecosystem, name, what string) string {
	return fmt.Sprintf(`{"schema_version": "1.7.4", "id": %q, "modified": "2026-01-02T00:00:00Z", "published": "2026-01-01T00:00:00Z", "affected": [{"package": {"ecosystem": %q, "name": %q}, %s}]}`, id, ecosystem, name, what)
}

const dbEverything = `"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]`

func dbCatalog(t *testing.T, records ...string) *export.Catalog {
	t.Helper()
	c, err := export.Load(t.Context(), func(yield func([]byte, error) bool) {
		for _, r := range records {
			if !yield([]byte(r), nil) {
				return
			}
		}
	}, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func dbTree(t *testing.T, format string, c *export.Catalog, over string) (dir string, err error) {
	t.Helper()
	f, ok := export.Find(format)
	if !ok {
		t.Fatalf("no format %s", format)
	}
	dir = filepath.Join(t.TempDir(), "out")
	return dir, export.WriteTree(t.Context(), f, c, dir, export.Options{Publisher: "Acme & Co", Over: over, Links: advisory.Links{Base: "https://list.example/advisories"}})
}

// dbFiles gives the content of all files below dir by their names.
func dbFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		out[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// grypeDatabase unpacks what latest.json announces, as a client does, and opens it.
func grypeDatabase(t *testing.T, dir string) (*sql.DB, map[string]string) {
	t.Helper()
	files := dbFiles(t, dir)
	var latest map[string]string
	if err := json.Unmarshal([]byte(files["latest.json"]), &latest); err != nil {
		t.Fatal(err)
	}
	archive, ok := files[latest["path"]]
	if !ok || len(files) != 3 {
		t.Fatalf("%q is announced; the tree has %d files", latest["path"], len(files))
	}
	if sum := sha256.Sum256([]byte(archive)); latest["checksum"] != "sha256:"+hex.EncodeToString(sum[:]) {
		t.Errorf("the checksum is %s", latest["checksum"])
	}
	z, err := zstd.NewReader(strings.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	r := tar.NewReader(z)
	h, err := r.Next()
	if err != nil || h.Name != "vulnerability.db" {
		t.Fatalf("%v, %v", h, err)
	}
	path := filepath.Join(t.TempDir(), "vulnerability.db")
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	var check string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
		t.Fatalf("integrity: %s, %v", check, err)
	}
	return db, latest
}

func dbQuery(t *testing.T, db *sql.DB, q string) (out []string) {
	t.Helper()
	rows, err := db.Query(q)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

var dbRecords = []string{
	dbRecord("MAL-2026-1", "npm", "Evil-Pkg", `"versions": ["1.2.3", "1.2.4"]`),
	dbRecord("MAL-2026-2", "npm", "@scope/bad", dbEverything),
	dbRecord("MAL-2026-3", "npm", "evil-pkg", dbEverything), // another package, and the same to SQLite's NOCASE
	dbRecord("MAL-2026-4", "PyPI", "Evil_Py.Pkg", `"versions": ["1.0RC1", "1.0+local", "not pep440", "2004d.x"], "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "2.0"}, {"fixed": "3.0"}]}]`),
	dbRecord("MAL-2026-5", "Go", "github.com/Evil/mod", `"versions": ["1.0.0", "0.0.0-20260101000000-abcdefabcdef", "99999999999999999999.0.0"]`),
	dbRecord("MAL-2026-6", "Maven", "org.evil:lib", `"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "1.0"}, {"last_affected": "1.5"}]}]`),
	dbRecord("MAL-2026-7", "RubyGems", "evil_gem", `"versions": ["0.1.0.pre"]`),
	dbRecord("MAL-2026-8", "NuGet", "Evil.Lib", `"versions": ["1.0.0.1"]`),
	dbRecord("MAL-2026-9", "crates.io", "evil-crate", `"versions": ["0.1.0"]`),
	dbRecord("MAL-2026-10", "VSCode", "evil.ext", dbEverything), // neither tool knows it
	strings.Replace(dbRecord("MAL-2026-11", "npm", "withdrawn", dbEverything), `"affected"`, `"withdrawn": "2026-01-02T00:00:00Z", "affected"`, 1),
}

// What stands in the database follows grype/db/v6 (models.go, blobs.go) and grype/version of github.com/anchore/grype 0.121.3.
func TestGrypeRows(t *testing.T) {
	dir, err := dbTree(t, "grype", dbCatalog(t, dbRecords...), "")
	if err != nil {
		t.Fatal(err)
	}
	db, latest := grypeDatabase(t, dir)
	if latest["status"] != "active" || latest["schemaVersion"] != "v6.1.7" || latest["built"] != "2026-01-02T03:04:05Z" {
		t.Errorf("%v", latest)
	}
	got := dbQuery(t, db, `SELECT v.name || ' ' || p.ecosystem || ' ' || p.name || ' ' || ifnull(b.value ->> '$.ranges[0].version.type', '') || ' ' || ifnull(b.value ->> '$.ranges[0].version.constraint', '')
		FROM affected_package_handles a JOIN vulnerability_handles v ON v.id = a.vulnerability_id JOIN packages p ON p.id = a.package_id JOIN blobs b ON b.id = a.blob_id ORDER BY a.id`)
	want := []string{
		"MAL-2026-5 go-module github.com/Evil/mod golang =0.0.0-20260101000000-abcdefabcdef || =1.0.0",
		"MAL-2026-5 go-module github.com/Evil/mod  =99999999999999999999.0.0",
		"MAL-2026-6 java-archive org.evil:lib maven >=1.0,<=1.5",
		"MAL-2026-8 dotnet Evil.Lib semver =1.0.0.1",
		"MAL-2026-4 python evil-py-pkg python =1.0rc1 || =1.0+local || >=2.0,<3.0",
		"MAL-2026-4 python evil-py-pkg  =2004d.x",
		"MAL-2026-7 gem evil_gem gem =0.1.0.pre",
		"MAL-2026-9 rust-crate evil-crate semver =0.1.0",
		"MAL-2026-2 npm @scope/bad semver ",
		"MAL-2026-1 npm Evil-Pkg semver =1.2.3 || =1.2.4",
		"MAL-2026-3 npm Evil-Pkg semver ",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	got = dbQuery(t, db, `SELECT v.status || ' ' || v.provider_id || ' ' || v.published_date || ' ' || b.value FROM vulnerability_handles v JOIN blobs b ON b.id = v.blob_id WHERE v.name = 'MAL-2026-2'`)
	if want := []string{`active acme-co-malicious 2026-01-01 00:00:00+00:00 {"id":"MAL-2026-2","description":"Malicious code in @scope/bad (npm)","refs":[{"url":"https://list.example/advisories/MAL-2026-2"}],"severities":[{"scheme":"CHMLN","value":"critical","rank":1}]}`}; !slices.Equal(got, want) {
		t.Errorf("%q; want %q", got, want)
	}
	if got := dbQuery(t, db, "SELECT build_timestamp || '' FROM db_metadata"); !slices.Equal(got, []string{"2026-01-02 03:04:05+00:00"}) {
		t.Errorf("built %q", got)
	}
}

// Everything of others that a database has stays, whatever it comes in; the packages are theirs where names are the same
// but for case, because a client's index holds them unique.
func TestGrypeOver(t *testing.T) {
	dir := t.TempDir()
	upstream := filepath.Join(dir, "vulnerability.db")
	data := export.SmallGrype(t, "CREATE UNIQUE INDEX idx_package ON packages (ecosystem COLLATE NOCASE, name COLLATE NOCASE);")
	if err := os.WriteFile(upstream, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var tarred, gz, zst bytes.Buffer
	w := tar.NewWriter(&tarred)
	w.WriteHeader(&tar.Header{Name: "import.json", Mode: 0o644})
	w.WriteHeader(&tar.Header{Name: "./vulnerability.db", Mode: 0o644, Size: int64(len(data))})
	w.Write(data)
	w.Close()
	g := gzip.NewWriter(&gz)
	g.Write(tarred.Bytes())
	g.Close()
	z, _ := zstd.NewWriter(&zst)
	z.Write(tarred.Bytes())
	z.Close()
	put := func(name string, data []byte) string {
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return at
	}
	c := dbCatalog(t, dbRecords...)
	var first map[string]string
	var again string
	for _, over := range []string{upstream, dir, put("a.tar.gz", gz.Bytes()), put("a.tar.zst", zst.Bytes()), put("a.tar", tarred.Bytes())} {
		out, err := dbTree(t, "grype", c, over)
		if err != nil {
			t.Fatalf("%s: %v", over, err)
		}
		files := dbFiles(t, out)
		if first == nil {
			first, again = files, out
		}
		for name, data := range files {
			if first[name] != data {
				t.Errorf("over %s: %s is not the same", over, name)
			}
		}
	}
	check := func(dir string) {
		db, latest := grypeDatabase(t, dir)
		for _, tt := range []struct{ q, want string }{
			{"SELECT count(*) || ' ' || sum(provider_id = 'github') || ' ' || sum(provider_id = 'acme-co-malicious') FROM vulnerability_handles", "10 1 9"},
			{"SELECT group_concat(id || name) FROM packages WHERE ecosystem = 'npm' AND id <= 5", "3EVIL-pkg,5lodash"},
			{"SELECT count(*) FROM packages", "9"},
			{"SELECT count(*) FROM affected_package_handles WHERE package_id = 3", "2"},
			{"SELECT vulnerability_id || package_id || blob_id FROM affected_package_handles WHERE id = 8", "4159"},
			{"SELECT value FROM blobs WHERE id = 7", `{"id":"GHSA-1"}`},
			{"SELECT count(*) FROM affected_package_handles WHERE vulnerability_id NOT IN (SELECT id FROM vulnerability_handles) OR package_id NOT IN (SELECT id FROM packages) OR blob_id NOT IN (SELECT id FROM blobs)", "0"},
			{"SELECT count(*) FROM providers", "2"},
			{"SELECT build_timestamp || addition FROM db_metadata", "2026-03-01 00:00:00+00:009"},
		} {
			if got := dbQuery(t, db, tt.q); !slices.Equal(got, []string{tt.want}) {
				t.Errorf("%s: %q; want %q", tt.q, got, tt.want)
			}
		}
		if latest["schemaVersion"] != "v6.1.9" || latest["built"] != "2026-03-01T00:00:00Z" {
			t.Errorf("%v", latest)
		}
	}
	check(again)
	// Over its own result: nothing twice.
	out, err := dbTree(t, "grype", c, filepath.Join(again, func() string {
		for name := range first {
			if strings.HasSuffix(name, ".tar.zst") {
				return name
			}
		}
		return ""
	}()))
	if err != nil {
		t.Fatal(err)
	}
	check(out)
	// The user's own file is only read.
	if now, _ := os.ReadFile(upstream); !bytes.Equal(now, data) {
		t.Error("the file that was merged over has changed")
	}

	for name, data := range map[string][]byte{"empty": nil, "text": []byte("no database"), "cut": data[:len(data)/2], "cut.tar.gz": gz.Bytes()[:gz.Len()/2]} {
		if _, err := dbTree(t, "grype", c, put(name, data)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	old := put("old.db", data)
	db, err := sql.Open("sqlite", old)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE db_metadata SET model = 5"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if _, err := dbTree(t, "grype", c, old); err == nil || !strings.Contains(err.Error(), "schema 5") {
		t.Errorf("schema 5: %v", err)
	}
}

// dbBuckets is [export.BoltLines] of a database that is whole.
func dbBuckets(t *testing.T, path string) []string {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Error(err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return export.BoltLines(t, path)
}

// The buckets are those of github.com/aquasecurity/trivy-db (pkg/db), the constraints those that pkg/detector/library/compare of
// Trivy 0.74.0 takes.
var dbTrivyAdvisories = []string{
	`cargo::Acme & Co malicious packages/evil-crate/MAL-2026-9 {"VulnerableVersions":["=0.1.0"]}`,
	`go::Acme & Co malicious packages/github.com/Evil/mod/MAL-2026-5 {"VulnerableVersions":["=0.0.0-20260101000000-abcdefabcdef","=1.0.0"]}`,
	`maven::Acme & Co malicious packages/org.evil:lib/MAL-2026-6 {"VulnerableVersions":["\u003e=1.0, \u003c=1.5"]}`,
	`npm::Acme & Co malicious packages/@scope/bad/MAL-2026-2 {"VulnerableVersions":[""]}`,
	`npm::Acme & Co malicious packages/evil-pkg/MAL-2026-1 {"VulnerableVersions":["=1.2.3","=1.2.4"]}`,
	`npm::Acme & Co malicious packages/evil-pkg/MAL-2026-3 {"VulnerableVersions":[""]}`,
	`nuget::Acme & Co malicious packages/Evil.Lib/MAL-2026-8 {"VulnerableVersions":["=1.0.0.1"]}`,
	`nuget::Acme & Co malicious packages/evil.lib/MAL-2026-8 {"VulnerableVersions":["=1.0.0.1"]}`,
	`pip::Acme & Co malicious packages/evil-py-pkg/MAL-2026-4 {"VulnerableVersions":["==1.0rc1","==1.0+local","\u003e=2.0, \u003c=3.0, !=3.0"]}`,
	`pip::Acme & Co malicious packages/evil-py.pkg/MAL-2026-4 {"VulnerableVersions":["==1.0rc1","==1.0+local","\u003e=2.0, \u003c=3.0, !=3.0"]}`,
	`rubygems::Acme & Co malicious packages/evil_gem/MAL-2026-7 {"VulnerableVersions":["=0.1.0.pre"]}`,
}

func TestTrivyBuckets(t *testing.T) {
	dir, err := dbTree(t, "trivy", dbCatalog(t, dbRecords...), "")
	if err != nil {
		t.Fatal(err)
	}
	var advisories, sources, details []string
	for _, line := range dbBuckets(t, filepath.Join(dir, "db", "trivy.db")) {
		switch {
		case strings.HasPrefix(line, "data-source/"):
			sources = append(sources, line)
		case strings.HasPrefix(line, "vulnerability/"):
			details = append(details, line)
		default:
			advisories = append(advisories, line)
		}
	}
	if !slices.Equal(advisories, dbTrivyAdvisories) {
		t.Errorf("%s\nwant\n%s", strings.Join(advisories, "\n"), strings.Join(dbTrivyAdvisories, "\n"))
	}
	if want := `data-source/npm::Acme & Co malicious packages {"ID":"osv","Name":"Acme \u0026 Co malicious packages","URL":"https://list.example/advisories"}`; len(sources) != 7 || !slices.Contains(sources, want) {
		t.Errorf("%q", sources)
	}
	if want := `vulnerability/MAL-2026-2 {"Title":"Malicious code in @scope/bad (npm)","Severity":"CRITICAL","CweIDs":["CWE-506"],"VendorSeverity":{"osv":4},"References":["https://list.example/advisories/MAL-2026-2"],"PublishedDate":"2026-01-01T00:00:00Z","LastModifiedDate":"2026-01-02T00:00:00Z"}`; !slices.Contains(details, want) || len(details) != 9 {
		t.Errorf("%q", details)
	}
	meta, err := os.ReadFile(filepath.Join(dir, "db", "metadata.json"))
	if want := `{"Version":2,"NextUpdate":"2036-01-02T03:04:05Z","UpdatedAt":"2026-01-02T03:04:05Z","DownloadedAt":"2026-01-02T03:04:05Z"}` + "\n"; err != nil || string(meta) != want {
		t.Errorf("%s, %v", meta, err)
	}
}

func TestTrivyOver(t *testing.T) {
	cache := t.TempDir()
	if err := os.Mkdir(filepath.Join(cache, "db"), 0o755); err != nil {
		t.Fatal(err)
	}
	upstream := filepath.Join(cache, "db", "trivy.db")
	db, err := bbolt.Open(upstream, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, row := range [][]string{
			{"npm::GitHub Security Advisory Npm", "evil-pkg", "CVE-2026-1", `{"VulnerableVersions":["<1"]}`},
			{"npm::GitHub Security Advisory Npm", "lodash", "CVE-2026-2", `{"VulnerableVersions":["<2"]}`},
			{"vulnerability", "", "CVE-2026-1", `{"Title":"theirs"}`},
			{"vulnerability", "", "MAL-2026-2", `{"Title":"theirs","VendorSeverity":{"nvd":1}}`},
			{"data-source", "", "npm::GitHub Security Advisory Npm", `{"ID":"ghsa"}`},
		} {
			b, err := tx.CreateBucketIfNotExists([]byte(row[0]))
			if err != nil {
				return err
			}
			if row[1] != "" {
				if b, err = b.CreateBucketIfNotExists([]byte(row[1])); err != nil {
					return err
				}
			}
			if err := b.Put([]byte(row[2]), []byte(row[3])); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before := dbBuckets(t, upstream)
	data, err := os.ReadFile(upstream)
	if err != nil {
		t.Fatal(err)
	}
	c := dbCatalog(t, dbRecords...)
	check := func(over string) string {
		dir, err := dbTree(t, "trivy", c, over)
		if err != nil {
			t.Fatal(err)
		}
		after := dbBuckets(t, filepath.Join(dir, "db", "trivy.db"))
		for _, line := range before {
			if !slices.Contains(after, line) && !strings.Contains(line, "MAL-2026-2") {
				t.Errorf("over %s: lost %s", over, line)
			}
		}
		for _, line := range append(dbTrivyAdvisories, `vulnerability/MAL-2026-2 {"Severity":"CRITICAL","Title":"theirs","VendorSeverity":{"nvd":1,"osv":4}}`) {
			if !slices.Contains(after, line) {
				t.Errorf("over %s: no %s", over, line)
			}
		}
		if want := len(before) + len(dbTrivyAdvisories) + 7 + 8; len(after) != want {
			t.Errorf("%d keys; want %d", len(after), want)
		}
		return dir
	}
	check(upstream)
	check(check(cache))
	if now, _ := os.ReadFile(upstream); !bytes.Equal(now, data) {
		t.Error("the file that was merged over has changed")
	}
	for name, damage := range map[string]func([]byte) []byte{
		"empty":    func([]byte) []byte { return nil },
		"text":     func([]byte) []byte { return []byte("no database") },
		"nonsense": func(b []byte) []byte { return append(b[:2*4096], bytes.Repeat([]byte{0xff}, len(b)-2*4096)...) },
	} {
		bad := filepath.Join(t.TempDir(), "trivy.db")
		if err := os.WriteFile(bad, damage(slices.Clone(data)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := dbTree(t, "trivy", c, bad); err == nil && name != "empty" {
			t.Errorf("%s was taken", name)
		}
	}
}

// The layout is read as https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md says: every descriptor is followed.
func TestTrivyOCI(t *testing.T) {
	dir, err := dbTree(t, "trivy-oci", dbCatalog(t, dbRecords...), "")
	if err != nil {
		t.Fatal(err)
	}
	files := dbFiles(t, dir)
	type descriptor struct {
		MediaType   string
		Digest      string
		Size        int
		Annotations map[string]string
	}
	type document struct {
		SchemaVersion int
		MediaType     string
		Manifests     []descriptor
		Config        descriptor
		Layers        []descriptor
	}
	read := func(d descriptor) string {
		data, ok := files["blobs/sha256/"+strings.TrimPrefix(d.Digest, "sha256:")]
		sum := sha256.Sum256([]byte(data))
		if !ok || len(data) != d.Size || d.Digest != "sha256:"+hex.EncodeToString(sum[:]) {
			t.Fatalf("%+v is not there", d)
		}
		return data
	}
	var index, manifest document
	if err := json.Unmarshal([]byte(files["index.json"]), &index); err != nil || len(index.Manifests) != 1 || index.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "2" {
		t.Fatalf("%+v, %v", index, err)
	}
	if err := json.Unmarshal([]byte(read(index.Manifests[0])), &manifest); err != nil || len(manifest.Layers) != 1 {
		t.Fatalf("%+v, %v", manifest, err)
	}
	layer := manifest.Layers[0]
	if layer.MediaType != "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip" || layer.Annotations["org.opencontainers.image.title"] != "db.tar.gz" || manifest.Config.MediaType != "application/vnd.aquasec.trivy.config.v1+json" {
		t.Errorf("%+v", manifest)
	}
	config := read(manifest.Config)
	g, err := gzip.NewReader(strings.NewReader(read(layer)))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(g)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(plain); !strings.Contains(config, hex.EncodeToString(sum[:])) {
		t.Errorf("the config is %s", config)
	}
	r := tar.NewReader(bytes.NewReader(plain))
	var names []string
	for h, err := r.Next(); err != io.EOF; h, err = r.Next() {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if data, _ := io.ReadAll(r); h.Name == "metadata.json" && !strings.Contains(string(data), `"NextUpdate":"2026-01-02T03:04:05Z"`) {
			t.Errorf("%s", data)
		}
	}
	if !slices.Equal(names, []string{"trivy.db", "metadata.json"}) || len(files) != 6 {
		t.Errorf("%q, %d files", names, len(files))
	}
}

// Packages with so many versions that bbolt gives them pages of their own are among them: in what order it does, it leaves to a map.
func TestDatabasesAreReproducible(t *testing.T) {
	records := slices.Clone(dbRecords)
	for i := range 400 {
		var versions []string
		for v := range 1 + i%3*100 {
			versions = append(versions, fmt.Sprintf(`"%d.%d.0"`, i, v))
		}
		records = append(records, dbRecord(fmt.Sprintf("MAL-2026-1%05d", i), "npm", fmt.Sprintf("pkg-%d", i*7919%1000), `"versions": [`+strings.Join(versions, ", ")+`]`))
	}
	backwards := slices.Clone(records)
	slices.Reverse(backwards)
	for _, format := range []string{"grype", "trivy", "trivy-oci"} {
		var first map[string]string
		for _, order := range [][]string{records, backwards, records} {
			dir, err := dbTree(t, format, dbCatalog(t, order...), "")
			if err != nil {
				t.Fatal(err)
			}
			files := dbFiles(t, dir)
			if first == nil {
				first = files
			}
			for name := range files {
				if first[name] != files[name] {
					t.Errorf("%s: %s is not the same", format, name)
				}
			}
		}
	}
}
