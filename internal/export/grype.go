package export

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/rapsheet/rapsheet/internal/advisory"
)

// grypeFormats are those of https://github.com/anchore/grype, database schema 6 (grype/db/v6 there).
var grypeFormats = []Format{{
	Name:  "grype",
	About: "Grype's database, as `grype db import` takes it and as it is updated from a server",
	Over:  "a Grype database, or the archive that it comes in",
	Tree:  writeGrype,
}}

// The schema that is written. Model is what clients insist on; 6.1.7 is read by clients from 0.115.0 on.
const (
	grypeModel    = 6
	grypeRevision = 1
	grypeAddition = 7
	grypeFile     = "vulnerability.db"
	// GrypeLatest is what clients ask for first.
	GrypeLatest = "latest.json"
)

// grypeTables are the tables that clients ask, with the columns as the client's own object mapper declares them, so that it finds nothing to
// migrate. Indexes are not there, as in the published databases: a client makes them when it imports a database.
const grypeTables = "" +
	"CREATE TABLE `blobs` (`id` integer PRIMARY KEY AUTOINCREMENT,`value` text NOT NULL);" +
	"CREATE TABLE `db_metadata` (`build_timestamp` datetime NOT NULL,`model` integer NOT NULL,`revision` integer NOT NULL,`addition` integer NOT NULL);" +
	"CREATE TABLE `providers` (`id` text,`version` text,`processor` text,`date_captured` datetime,`input_digest` text,PRIMARY KEY (`id`));" +
	"CREATE TABLE `vulnerability_handles` (`id` integer PRIMARY KEY AUTOINCREMENT,`name` text NOT NULL,`status` text NOT NULL,`published_date` datetime,`modified_date` datetime,`withdrawn_date` datetime,`provider_id` text NOT NULL,`blob_id` integer,CONSTRAINT `fk_vulnerability_handles_provider` FOREIGN KEY (`provider_id`) REFERENCES `providers`(`id`));" +
	"CREATE TABLE `operating_systems` (`id` integer PRIMARY KEY AUTOINCREMENT,`name` text,`release_id` text,`major_version` text,`minor_version` text,`label_version` text,`codename` text,`channel` text,`eol_date` datetime,`eoas_date` datetime);" +
	"CREATE TABLE `packages` (`id` integer PRIMARY KEY AUTOINCREMENT,`ecosystem` text,`name` text);" +
	"CREATE TABLE `affected_package_handles` (`id` integer PRIMARY KEY AUTOINCREMENT,`vulnerability_id` integer NOT NULL,`operating_system_id` integer,`package_id` integer,`blob_id` integer,CONSTRAINT `fk_affected_package_handles_vulnerability` FOREIGN KEY (`vulnerability_id`) REFERENCES `vulnerability_handles`(`id`),CONSTRAINT `fk_affected_package_handles_operating_system` FOREIGN KEY (`operating_system_id`) REFERENCES `operating_systems`(`id`),CONSTRAINT `fk_affected_package_handles_package` FOREIGN KEY (`package_id`) REFERENCES `packages`(`id`));"

// grypeEcosystem says how Grype sees one: the type of its packages (github.com/anchore/syft, syft/pkg/type.go), the type of
// constraints, and what versions those take.
type grypeEcosystem struct {
	kind, constraint string
	version          *regexp.Regexp
}

var grypeEcosystems = map[string]grypeEcosystem{
	"npm":            {"npm", "semver", plainVersion},
	"PyPI":           {"python", "python", pythonVersion},
	"RubyGems":       {"gem", "gem", gemVersion},
	"Go":             {"go-module", "golang", looseVersion},
	"crates.io":      {"rust-crate", "semver", plainVersion},
	"Maven":          {"java-archive", "maven", mavenVersion},
	"NuGet":          {"dotnet", "semver", plainVersion},
	"Packagist":      {"php-composer", "semver", plainVersion},
	"Hex":            {"hex", "semver", plainVersion},
	"Pub":            {"dart-pub", "semver", plainVersion},
	"SwiftURL":       {"swift", "semver", plainVersion},
	"GitHub Actions": {"github-action", "semver", plainVersion},
}

func writeGrype(ctx context.Context, c *Catalog, dir *os.Root, opt Options) (err error) {
	work, done, err := workDir(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	path := filepath.Join(work, grypeFile)
	if opt.Over != "" {
		if err := unpack(ctx, opt.Over, grypeFile, path); err != nil {
			return fmt.Errorf("%s: %w", opt.Over, err)
		}
	}
	var latest grypeLatestDocument
	err = guarded(func() (err error) {
		latest, err = fillGrype(ctx, c, path, opt)
		return err
	})
	if err != nil {
		if opt.Over != "" {
			return fmt.Errorf("over %s: %w", opt.Over, err)
		}
		return err
	}
	return packGrype(ctx, dir, path, latest)
}

// grypeLatestDocument is grype/db/v6/distribution/latest.go.
type grypeLatestDocument struct {
	Status        string `json:"status"`
	SchemaVersion string `json:"schemaVersion"`
	Built         string `json:"built"`
	Path          string `json:"path"`
	Checksum      string `json:"checksum"`

	built time.Time
}

// packGrype writes the archive and the document that names it. The name has no colons, unlike those upstream, because not every
// file system has them; clients take it from the document.
func packGrype(ctx context.Context, dir *os.Root, path string, latest grypeLatestDocument) error {
	latest.Path = fmt.Sprintf("vulnerability-db_%s_%s.tar.zst", latest.SchemaVersion, latest.built.Format("20060102T150405Z"))
	out, err := dir.Create(latest.Path)
	if err != nil {
		return err
	}
	defer out.Close()
	sum := sha256.New()
	z, err := zstd.NewWriter(io.MultiWriter(out, sum), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	if err := packPath(ctx, t, grypeFile, path, latest.built); err != nil {
		return err
	}
	if err := errors.Join(t.Close(), z.Close(), out.Close()); err != nil {
		return err
	}
	latest.Checksum = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	doc, err := json.MarshalIndent(latest, "", " ")
	if err != nil {
		return err
	}
	return dir.WriteFile(GrypeLatest, append(doc, '\n'), 0o644)
}

// grypeDate is how the client's driver writes times.
func grypeDate(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02 15:04:05+00:00")
}

// fillGrype makes the database at path, or adds to the one that is there.
func fillGrype(ctx context.Context, c *Catalog, path string, opt Options) (latest grypeLatestDocument, err error) {
	db, err := openGrype(path)
	if err != nil {
		return latest, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return latest, err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	w := grypeWriter{ctx: ctx, tx: tx, date: c.Date, provider: grypeProvider(opt.Publisher), shared: map[string]int64{}, seen: map[string]int64{}}
	if opt.Over == "" {
		if _, err := tx.ExecContext(ctx, grypeTables); err != nil {
			return latest, err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO db_metadata VALUES (?, ?, ?, ?)", grypeDate(c.Date), grypeModel, grypeRevision, grypeAddition)
		if err != nil {
			return latest, err
		}
	}
	if latest, err = w.begin(); err != nil {
		return latest, err
	}
	for a, err := range c.Advisories(ctx, opt.Links) {
		if err != nil {
			return latest, err
		}
		if err := w.add(a); err != nil {
			return latest, fmt.Errorf("record %s: %w", a.ID, err)
		}
	}
	return latest, tx.Commit()
}

// openGrype opens a file that nobody else sees, so that nothing of it has to be safe before it is whole.
func openGrype(path string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") { // C:/… (https://www.sqlite.org/uri.html#the_uri_path)
		slashed = "/" + slashed
	}
	q := url.Values{"_pragma": {
		"page_size(4096)", "journal_mode(OFF)", "synchronous(OFF)", "locking_mode(EXCLUSIVE)", "secure_delete(ON)", "foreign_keys(OFF)", "cache_size(-65536)",
		"trusted_schema(OFF)", "cell_size_check(ON)",
	}}
	u := url.URL{Scheme: "file", Path: slashed, RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// grypeProvider is the id that all rows of a publisher have, and none of upstream's.
func grypeProvider(publisher string) string {
	slug := strings.Trim(notSlug.ReplaceAllString(strings.ToLower(publisher), "-"), "-")
	return cmp.Or(slug, "rapsheet") + "-malicious"
}

// grypeWriter adds rows to a database in the order in which they come.
type grypeWriter struct {
	ctx      context.Context
	tx       *sql.Tx
	date     time.Time
	provider string

	blob, vulnerability, pkg, affected    *sql.Stmt
	blobs, vulnerabilities, pkgs, handles int64 // the highest ids so far

	shared   map[string]int64 // blobs of packages by their text: most say that everything is affected
	seen     map[string]int64 // vulnerabilities by id, of records about several packages
	packages map[[2]string]int64
}

// begin looks at what is there, takes away what an earlier export of the same publisher added, and says what will be announced.
func (w *grypeWriter) begin() (latest grypeLatestDocument, err error) {
	// What acts by itself when rows are added or taken away is in no Grype database, and somebody else's program here.
	var acting int
	err = w.tx.QueryRowContext(w.ctx, "SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%'").Scan(&acting)
	if err != nil {
		return latest, fmt.Errorf("it is no Grype database: %w", err)
	}
	if acting > 0 {
		return latest, errors.New("it is no Grype database: it has views, triggers or virtual tables")
	}
	var model, revision, addition int
	var built time.Time
	if err := w.tx.QueryRowContext(w.ctx, "SELECT model, revision, addition, build_timestamp FROM db_metadata").Scan(&model, &revision, &addition, &built); err != nil {
		return latest, fmt.Errorf("it is no Grype database: %w", err)
	}
	if model != grypeModel {
		return latest, fmt.Errorf("it is a Grype database of schema %d, and only %d is known", model, grypeModel)
	}
	if w.date.After(built) {
		built = w.date
	}
	built = built.UTC().Truncate(time.Second)
	latest = grypeLatestDocument{Status: "active", SchemaVersion: fmt.Sprintf("v%d.%d.%d", model, revision, addition), Built: built.Format(time.RFC3339), built: built}
	const ours = "SELECT id FROM vulnerability_handles WHERE provider_id = ?1"
	for _, q := range []string{
		"DELETE FROM blobs WHERE id IN (SELECT blob_id FROM affected_package_handles WHERE vulnerability_id IN (" + ours + ") UNION SELECT blob_id FROM vulnerability_handles WHERE provider_id = ?1)",
		"DELETE FROM affected_package_handles WHERE vulnerability_id IN (" + ours + ")",
		"DELETE FROM vulnerability_handles WHERE provider_id = ?1",
		"DELETE FROM providers WHERE id = ?1",
	} {
		if _, err := w.tx.ExecContext(w.ctx, q, w.provider); err != nil {
			return latest, err
		}
	}
	if _, err := w.tx.ExecContext(w.ctx, "UPDATE db_metadata SET build_timestamp = ?", grypeDate(built)); err != nil {
		return latest, err
	}
	if _, err := w.tx.ExecContext(w.ctx, "INSERT INTO providers (id, version, processor, date_captured, input_digest) VALUES (?, '1', 'rapsheet', ?, '')", w.provider, grypeDate(w.date)); err != nil {
		return latest, err
	}
	for _, t := range []struct {
		name string
		last *int64
	}{{"blobs", &w.blobs}, {"vulnerability_handles", &w.vulnerabilities}, {"packages", &w.pkgs}, {"affected_package_handles", &w.handles}} {
		if err := w.tx.QueryRowContext(w.ctx, "SELECT ifnull(max(id), 0) FROM "+t.name).Scan(t.last); err != nil {
			return latest, err
		}
	}
	if err := w.readPackages(); err != nil {
		return latest, err
	}
	for _, s := range []struct {
		to   **sql.Stmt
		text string
	}{
		{&w.blob, "INSERT INTO blobs (id, value) VALUES (?, ?)"},
		{&w.vulnerability, "INSERT INTO vulnerability_handles (id, name, status, published_date, modified_date, provider_id, blob_id) VALUES (?, ?, 'active', ?, ?, ?, ?)"},
		{&w.pkg, "INSERT INTO packages (id, ecosystem, name) VALUES (?, ?, ?)"},
		{&w.affected, "INSERT INTO affected_package_handles (id, vulnerability_id, package_id, blob_id) VALUES (?, ?, ?, ?)"},
	} {
		if *s.to, err = w.tx.PrepareContext(w.ctx, s.text); err != nil {
			return latest, err
		}
	}
	return latest, nil
}

// readPackages learns the packages that are there: ecosystem and name are unique, whatever their case (NOCASE, of ASCII).
func (w *grypeWriter) readPackages() error {
	w.packages = map[[2]string]int64{}
	rows, err := w.tx.QueryContext(w.ctx, "SELECT id, ifnull(ecosystem, ''), ifnull(name, '') FROM packages")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var kind, name string
		if err := rows.Scan(&id, &kind, &name); err != nil {
			return err
		}
		w.packages[[2]string{lowerASCII(kind), lowerASCII(name)}] = id
	}
	return rows.Err()
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

type grypeVulnerability struct {
	ID          string           `json:"id"`
	Description string           `json:"description"`
	References  []grypeReference `json:"refs"`
	Aliases     []string         `json:"aliases,omitempty"`
	Severities  []grypeSeverity  `json:"severities"`
}

type grypeReference struct {
	URL string `json:"url"`
}

type grypeSeverity struct {
	Scheme string `json:"scheme"`
	Value  string `json:"value"`
	Rank   int    `json:"rank"`
}

type grypePackage struct {
	Ranges []grypeRange `json:"ranges"`
}

type grypeRange struct {
	Version struct {
		Type       string `json:"type,omitempty"`
		Constraint string `json:"constraint,omitempty"`
	} `json:"version"`
	Fix struct {
		State string `json:"state"`
	} `json:"fix"`
}

func (w *grypeWriter) add(a *advisory.Advisory) error {
	eco, ok := grypeEcosystems[a.Key.Ecosystem]
	if !ok {
		return nil
	}
	ranges := grypeRanges(eco, a)
	if len(ranges) == 0 {
		return nil // nothing of it can be said
	}
	vulnerability, err := w.addVulnerability(a)
	if err != nil {
		return err
	}
	pkg, err := w.addPackage(eco, grypeName(a))
	if err != nil {
		return err
	}
	for _, r := range ranges {
		text, err := json.Marshal(grypePackage{[]grypeRange{r}})
		if err != nil {
			return err
		}
		blob, ok := w.shared[string(text)]
		if !ok {
			if blob, err = w.addBlob(text); err != nil {
				return err
			}
			if a.All {
				w.shared[string(text)] = blob
			}
		}
		w.handles++
		if _, err := w.affected.ExecContext(w.ctx, w.handles, vulnerability, pkg, blob); err != nil {
			return err
		}
	}
	return nil
}

func (w *grypeWriter) addBlob(text []byte) (int64, error) {
	w.blobs++
	_, err := w.blob.ExecContext(w.ctx, w.blobs, string(text))
	return w.blobs, err
}

func (w *grypeWriter) addVulnerability(a *advisory.Advisory) (int64, error) {
	if id, ok := w.seen[a.ID]; ok {
		return id, nil
	}
	text, err := json.Marshal(grypeVulnerability{
		ID: a.ID, Description: a.Title, References: []grypeReference{{a.URL}}, Aliases: a.Record.Aliases,
		Severities: []grypeSeverity{{"CHMLN", "critical", 1}},
	})
	if err != nil {
		return 0, err
	}
	blob, err := w.addBlob(text)
	if err != nil {
		return 0, err
	}
	w.vulnerabilities++
	if _, err := w.vulnerability.ExecContext(w.ctx, w.vulnerabilities, a.ID, grypeDate(a.Published), grypeDate(a.Modified), w.provider, blob); err != nil {
		return 0, err
	}
	if len(a.Record.Affected) > 1 {
		w.seen[a.ID] = w.vulnerabilities
	}
	return w.vulnerabilities, nil
}

func (w *grypeWriter) addPackage(eco grypeEcosystem, name string) (int64, error) {
	key := [2]string{eco.kind, lowerASCII(name)}
	if id, ok := w.packages[key]; ok {
		return id, nil
	}
	w.pkgs++
	w.packages[key] = w.pkgs
	_, err := w.pkg.ExecContext(w.ctx, w.pkgs, eco.kind, name)
	return w.pkgs, err
}

// grypeName is the name that Grype looks for (grype/db/v6/name).
func grypeName(a *advisory.Advisory) string {
	switch a.Key.Ecosystem {
	case "PyPI", "GitHub Actions":
		return a.Key.Name
	case "SwiftURL":
		return swiftName(a.Name)
	}
	return a.Name
}

// swiftName is a repository without the scheme and ".git".
func swiftName(name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(name, "https://"), ".git")
}

// grypeRanges are the constraints, each for a handle of its own: one version that Grype cannot parse as one of the
// ecosystem makes it pass over the whole constraint. A constraint without a type is compared loosely, which takes any text.
func grypeRanges(eco grypeEcosystem, a *advisory.Advisory) []grypeRange {
	one := func(kind, constraint string) grypeRange {
		var r grypeRange
		r.Version.Type, r.Version.Constraint, r.Fix.State = kind, constraint, "not-fixed"
		return r
	}
	if a.All {
		return []grypeRange{one(eco.constraint, "")}
	}
	if a.Key.Ecosystem == "PyPI" {
		a = lowered(a)
	}
	yes, no := readable(a, eco.version.MatchString)
	var out []grypeRange
	if terms := advisory.Grype.Terms(yes); len(terms) > 0 {
		out = append(out, one(eco.constraint, strings.Join(terms, advisory.Grype.Or)))
	}
	if eco.version == plainVersion {
		return out
	}
	var loose []string
	for _, v := range no {
		if plainVersion.MatchString(v) {
			loose = append(loose, advisory.Grype.Equal+v)
		}
	}
	if len(loose) > 0 {
		out = append(out, one("", strings.Join(loose, advisory.Grype.Or)))
	}
	return out
}
