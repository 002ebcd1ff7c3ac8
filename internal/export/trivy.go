package export

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"go.etcd.io/bbolt"

	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/internal/bounded"
)

// trivyFormats are those of https://github.com/aquasecurity/trivy, database schema 2 (https://github.com/aquasecurity/trivy-db).
var trivyFormats = []Format{
	{Name: "trivy", About: "Trivy's database as a directory for `trivy --cache-dir`", Over: trivyOver, Tree: writeTrivy},
	{Name: "trivy-oci", About: "Trivy's database as an OCI image layout, to copy to a registry for `trivy --db-repository`", Over: trivyOver, Tree: writeTrivyOCI},
}

const (
	trivyOver    = "a trivy.db, the cache or the archive that it is in"
	trivyFile    = "trivy.db"
	trivyMeta    = "metadata.json"
	trivyDir     = "db" // below the cache directory
	trivySchema  = 2
	trivyKeepFor = 10 // years that Trivy leaves a database in its cache alone
)

// Media types of Trivy's database in a registry (pkg/db of Trivy), and the one tag: the schema.
const (
	TrivyManifestType = "application/vnd.oci.image.manifest.v1+json"
	TrivyTag          = "2"
	trivyIndexType    = "application/vnd.oci.image.index.v1+json"
	trivyConfigType   = "application/vnd.aquasec.trivy.config.v1+json"
	trivyLayerType    = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip"
)

// trivyEcosystem says how Trivy sees one (pkg/detector/library of Trivy): the beginning of its buckets, the grammar of
// constraints, and what versions those take.
type trivyEcosystem struct {
	prefix  string
	grammar advisory.Grammar
	version *regexp.Regexp
}

// trivyGrammar is that of all of Trivy's comparers but Python's. An empty constraint is every version, even one that cannot
// be parsed (pkg/detector/library/compare.IsVulnerable).
var trivyGrammar = advisory.Grammar{Equal: "=", From: ">=", Until: "<", Through: "<=", And: ", ", Or: " || ", All: ""}

// trivyPython says "below" in two words: a "<" of PEP 440 leaves out the pre-releases of what it names.
var trivyPython = advisory.Grammar{Equal: "==", From: ">=", Until: "<=", Through: "<=", And: ", ", Or: " || ", All: ""}

// npmVersion is strict SemVer: a constraint of fewer numbers, or one with an x, is a wildcard.
var npmVersion = regexp.MustCompile(`^[0-9]{1,18}\.[0-9]{1,18}\.[0-9]{1,18}(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)

var trivyEcosystems = map[string]trivyEcosystem{
	"npm":       {"npm", trivyGrammar, npmVersion},
	"PyPI":      {"pip", trivyPython, pythonVersion},
	"RubyGems":  {"rubygems", trivyGrammar, gemVersion},
	"Go":        {"go", trivyGrammar, looseVersion},
	"crates.io": {"cargo", trivyGrammar, looseVersion},
	"Maven":     {"maven", trivyGrammar, mavenVersion},
	"NuGet":     {"nuget", trivyGrammar, looseVersion},
	"Packagist": {"composer", trivyGrammar, looseVersion},
	"Hex":       {"erlang", trivyGrammar, looseVersion},
	"Pub":       {"pub", trivyGrammar, looseVersion},
	"SwiftURL":  {"swift", trivyGrammar, looseVersion},
}

func writeTrivy(ctx context.Context, c *Catalog, dir *os.Root, opt Options) error {
	if err := dir.Mkdir(trivyDir, 0o755); err != nil {
		return err
	}
	if err := makeTrivy(ctx, c, filepath.Join(dir.Name(), trivyDir, trivyFile), opt); err != nil {
		return err
	}
	return dir.WriteFile(path.Join(trivyDir, trivyMeta), trivyMetadata(c.Date, c.Date.AddDate(trivyKeepFor, 0, 0)), 0o644)
}

// trivyMetadata says until when Trivy does not look for a newer database.
func trivyMetadata(date, next time.Time) []byte {
	text, err := json.Marshal(struct {
		Version                             int
		NextUpdate, UpdatedAt, DownloadedAt time.Time
	}{trivySchema, next, date, date})
	if err != nil {
		panic(err) // times of this millennium
	}
	return append(text, '\n')
}

// writeTrivyOCI writes the image layout of https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md.
func writeTrivyOCI(ctx context.Context, c *Catalog, dir *os.Root, opt Options) (err error) {
	work, done, err := workDir(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	db := filepath.Join(work, trivyFile)
	if err := makeTrivy(ctx, c, db, opt); err != nil {
		return err
	}
	const blobs = "blobs/sha256"
	if err := dir.MkdirAll(blobs, 0o755); err != nil {
		return err
	}
	layer, content, err := packTrivy(ctx, c, dir, db)
	if err != nil {
		return err
	}
	if err := dir.Rename(".work/layer", blobs+"/"+layer.hex()); err != nil {
		return err
	}
	put := func(kind string, v any) (ociDescriptor, error) {
		text, err := json.Marshal(v)
		if err != nil {
			return ociDescriptor{}, err
		}
		sum := sha256.Sum256(text)
		d := ociDescriptor{MediaType: kind, Size: int64(len(text)), Digest: "sha256:" + hex.EncodeToString(sum[:])}
		return d, dir.WriteFile(blobs+"/"+d.hex(), text, 0o644)
	}
	config, err := put(trivyConfigType, map[string]any{"rootfs": map[string]any{"type": "layers", "diff_ids": []string{content}}})
	if err != nil {
		return err
	}
	manifest, err := put(TrivyManifestType, ociManifest{SchemaVersion: 2, MediaType: TrivyManifestType, Config: &config, Layers: []ociDescriptor{layer}})
	if err != nil {
		return err
	}
	manifest.Annotations = map[string]string{"org.opencontainers.image.ref.name": TrivyTag}
	index, err := json.Marshal(ociManifest{SchemaVersion: 2, MediaType: trivyIndexType, Manifests: []ociDescriptor{manifest}})
	if err != nil {
		return err
	}
	if err := dir.WriteFile("index.json", index, 0o644); err != nil {
		return err
	}
	return dir.WriteFile("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644)
}

// ociDescriptor and ociManifest are those of the OCI image specification; the second is a manifest or an index.
type ociDescriptor struct {
	MediaType   string            `json:"mediaType"`
	Size        int64             `json:"size"`
	Digest      string            `json:"digest"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func (d ociDescriptor) hex() string { return strings.TrimPrefix(d.Digest, "sha256:") }

type ociManifest struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     string          `json:"mediaType"`
	Config        *ociDescriptor  `json:"config,omitempty"`
	Layers        []ociDescriptor `json:"layers,omitempty"`
	Manifests     []ociDescriptor `json:"manifests,omitempty"`
}

// packTrivy writes .work/layer, and gives its descriptor and the digest of what was compressed. A client that has it asks again once an hour.
func packTrivy(ctx context.Context, c *Catalog, dir *os.Root, db string) (layer ociDescriptor, content string, err error) {
	out, err := dir.Create(".work/layer")
	if err != nil {
		return layer, "", err
	}
	defer out.Close()
	packed, plain := sha256.New(), sha256.New()
	z, err := gzip.NewWriterLevel(io.MultiWriter(out, packed), gzip.DefaultCompression)
	if err != nil {
		return layer, "", err
	}
	t := tar.NewWriter(io.MultiWriter(z, plain))
	if err := packPath(ctx, t, trivyFile, db, c.Date); err != nil {
		return layer, "", err
	}
	meta := trivyMetadata(c.Date, c.Date)
	if err := packFile(ctx, t, trivyMeta, bytes.NewReader(meta), int64(len(meta)), c.Date); err != nil {
		return layer, "", err
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return layer, "", err
	}
	size, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		return layer, "", err
	}
	layer = ociDescriptor{
		MediaType: trivyLayerType, Size: size, Digest: "sha256:" + hex.EncodeToString(packed.Sum(nil)),
		Annotations: map[string]string{"org.opencontainers.image.title": "db.tar.gz"},
	}
	return layer, "sha256:" + hex.EncodeToString(plain.Sum(nil)), out.Close()
}

// makeTrivy makes the database at path, over that of opt.Over if there is one.
func makeTrivy(ctx context.Context, c *Catalog, path string, opt Options) error {
	content, err := newTrivyContent(ctx, c, opt)
	if err != nil {
		return err
	}
	if opt.Over == "" {
		return content.fill(ctx, path)
	}
	from := opt.Over
	if st, err := os.Stat(filepath.Join(from, trivyDir, trivyFile)); err == nil && st.Mode().IsRegular() {
		from = filepath.Join(from, trivyDir)
	}
	err = unpack(ctx, from, trivyFile, path)
	if err == nil {
		err = checkTrivy(ctx, from)
	}
	if err == nil {
		err = checkBolt(path)
	}
	if err == nil {
		err = guarded(func() error { return content.fill(ctx, path) })
	}
	if err != nil {
		return fmt.Errorf("%s: %w", opt.Over, err)
	}
	return nil
}

// checkTrivy looks at the version of a database's schema, where metadata.json is beside it in the directory or archive.
func checkTrivy(ctx context.Context, from string) error {
	r, packed, done, err := openPacked(ctx, from, trivyMeta)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer done()
	if !packed {
		return nil // the database by itself
	}
	text, err := bounded.ReadAll(r, 1<<20, trivyMeta)
	if err != nil {
		return err
	}
	var meta struct{ Version int }
	if err := json.Unmarshal(text, &meta); err != nil {
		return fmt.Errorf("%s: %w", trivyMeta, err)
	}
	if meta.Version != trivySchema {
		return fmt.Errorf("it is a Trivy database of schema %d, and only %d is known", meta.Version, trivySchema)
	}
	return nil
}

// fill adds to the database at path, which is made if it is not there.
func (t *trivyContent) fill(ctx context.Context, path string) error {
	db, err := bbolt.Open(path, 0o644, &bbolt.Options{
		PageSize: 4096, NoGrowSync: true, NoSync: true, FreelistType: bbolt.FreelistArrayType, Timeout: time.Second,
	})
	if err != nil {
		return err
	}
	db.AllocSize = 1 << 20
	err = t.write(ctx, db)
	return errors.Join(err, db.Close())
}

// trivyContent is what is put into the database.
type trivyContent struct {
	publisher, url string
	advisories     map[string][]trivyRow // by ecosystem
	details        []trivyRow
}

// trivyRow is a value: bucket is that of the package, empty for details.
type trivyRow struct {
	bucket, key string
	value       []byte
}

func newTrivyContent(ctx context.Context, c *Catalog, opt Options) (*trivyContent, error) {
	t := &trivyContent{publisher: opt.Publisher, url: opt.Links.Base, advisories: map[string][]trivyRow{}}
	for a, err := range c.Advisories(ctx, opt.Links) {
		if err != nil {
			return nil, err
		}
		eco, ok := trivyEcosystems[a.Key.Ecosystem]
		if !ok {
			continue
		}
		terms := trivyTerms(eco, a)
		if len(terms) == 0 {
			continue // nothing of it can be said
		}
		value, err := json.Marshal(struct{ VulnerableVersions []string }{terms})
		if err != nil {
			return nil, err
		}
		for _, name := range trivyNames(a) {
			if name == "" || len(name) > bbolt.MaxKeySize {
				continue
			}
			t.advisories[eco.prefix] = append(t.advisories[eco.prefix], trivyRow{name, a.ID, value})
		}
		detail, err := json.Marshal(newTrivyDetail(a))
		if err != nil {
			return nil, err
		}
		t.details = append(t.details, trivyRow{"", a.ID, detail})
	}
	for _, rows := range t.advisories {
		sortTrivy(rows)
	}
	sortTrivy(t.details)
	t.details = slices.CompactFunc(t.details, func(a, b trivyRow) bool { return a.key == b.key })
	return t, nil
}

func sortTrivy(rows []trivyRow) {
	slices.SortStableFunc(rows, func(a, b trivyRow) int {
		return cmp.Or(strings.Compare(a.bucket, b.bucket), strings.Compare(a.key, b.key))
	})
}

// trivyDetail is trivy-db's types.Vulnerability.
type trivyDetail struct {
	Title            string
	Severity         string
	CweIDs           []string
	VendorSeverity   map[string]int
	References       []string
	PublishedDate    *time.Time `json:",omitempty"`
	LastModifiedDate *time.Time `json:",omitempty"`
}

// The source that Trivy takes the severity from is named in the data source of the bucket.
const (
	trivySource   = "osv"
	trivyCritical = 4
	trivyCWE      = "CWE-506" // embedded malicious code
)

func newTrivyDetail(a *advisory.Advisory) trivyDetail {
	date := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC()
		return &t
	}
	return trivyDetail{
		Title: a.Title, Severity: "CRITICAL", CweIDs: []string{trivyCWE}, VendorSeverity: map[string]int{trivySource: trivyCritical},
		References: []string{a.URL}, PublishedDate: date(a.Published), LastModifiedDate: date(a.Modified),
	}
}

// trivyTerms are the constraints, any of which makes a version affected.
func trivyTerms(eco trivyEcosystem, a *advisory.Advisory) []string {
	if a.All {
		return eco.grammar.Terms(a)
	}
	if a.Key.Ecosystem == "PyPI" {
		a = lowered(a)
	}
	if a.Key.Ecosystem == "npm" {
		a = untagged(a)
	}
	a, _ = readable(a, eco.version.MatchString)
	if a.Key.Ecosystem != "PyPI" {
		return eco.grammar.Terms(a)
	}
	// A local version can stand only beside "==": elsewhere it spoils the whole constraint.
	a.Spans = slices.DeleteFunc(a.Spans, func(s advisory.Span) bool { return strings.Contains(s.From+s.To, "+") })
	out := eco.grammar.Terms(a)
	for i, s := range a.Spans {
		if s.To != "" && !s.Including {
			out[len(a.Versions)+i] += eco.grammar.And + "!=" + s.To
		}
	}
	return out
}

// untagged is a with its versions without the "v" of a tag, which node-semver says are the same.
func untagged(a *advisory.Advisory) *advisory.Advisory {
	out := *a
	out.Versions, out.Spans = slices.Clone(a.Versions), slices.Clone(a.Spans)
	for i := range out.Versions {
		out.Versions[i] = strings.TrimPrefix(out.Versions[i], "v")
	}
	for i := range out.Spans {
		s := &out.Spans[i]
		s.From, s.To = strings.TrimPrefix(s.From, "v"), strings.TrimPrefix(s.To, "v")
	}
	return &out
}

// trivyNames are the names that Trivy may look for (NormalizePkgName of trivy-db): Python's in small letters with their dots kept, Go's and Swift's as
// they are, all others in small letters; clients up to 0.65.0 at least keep NuGet's as they are.
func trivyNames(a *advisory.Advisory) []string {
	switch a.Key.Ecosystem {
	case "Go":
		return []string{a.Name}
	case "SwiftURL":
		return []string{swiftName(a.Name)}
	case "PyPI":
		spelled := strings.ReplaceAll(strings.ToLower(a.Name), "_", "-")
		return slices.Compact([]string{a.Key.Name, spelled})
	case "NuGet":
		return slices.Compact([]string{strings.ToLower(a.Name), a.Name})
	}
	return []string{strings.ToLower(a.Name)}
}

// write puts everything into the database, so that the same content gives the same file: in order, with one bucket that has pages of its own
// in each transaction, because bbolt allocates pages for buckets in no order.
func (t *trivyContent) write(ctx context.Context, db *bbolt.DB) error {
	bucketName := func(prefix string) []byte { return []byte(prefix + "::" + t.publisher + " malicious packages") }
	source, err := json.Marshal(struct{ ID, Name, URL string }{trivySource, t.publisher + " malicious packages", t.url})
	if err != nil {
		return err
	}
	prefixes := slices.Sorted(maps.Keys(t.advisories))
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("data-source"))
		for i := 0; i < len(prefixes) && err == nil; i++ {
			err = b.Put(bucketName(prefixes[i]), source)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, prefix := range prefixes {
		err := db.Update(func(tx *bbolt.Tx) error {
			if tx.Bucket(bucketName(prefix)) != nil { // of an earlier export
				if err := tx.DeleteBucket(bucketName(prefix)); err != nil {
					return err
				}
			}
			_, err := tx.CreateBucket(bucketName(prefix))
			return err
		})
		if err != nil {
			return err
		}
		if err := writeAdvisories(ctx, db, bucketName(prefix), t.advisories[prefix]); err != nil {
			return err
		}
	}
	return t.writeDetails(ctx, db)
}

// trivyBatch is how many packages or details are written in one transaction.
const trivyBatch = 5000

// writeAdvisories writes the rows, which are sorted, below a bucket.
func writeAdvisories(ctx context.Context, db *bbolt.DB, name []byte, rows []trivyRow) error {
	for len(rows) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := db.Update(func(tx *bbolt.Tx) error {
			top := tx.Bucket(name)
			top.FillPercent = 1
			for n := 0; n < trivyBatch && len(rows) > 0; n++ {
				end, size := 0, 0
				for ; end < len(rows) && rows[end].bucket == rows[0].bucket; end++ {
					size += len(rows[end].key) + len(rows[end].value) + 32
				}
				large := size > db.Info().PageSize/8 // bbolt keeps a bucket in its parent's page up to a quarter of one
				if large && n > 0 {
					return nil
				}
				b, err := top.CreateBucket([]byte(rows[0].bucket))
				if err != nil {
					return err
				}
				for _, r := range rows[:end] {
					if err := b.Put([]byte(r.key), r.value); err != nil {
						return err
					}
				}
				rows = rows[end:]
				if large {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *trivyContent) writeDetails(ctx context.Context, db *bbolt.DB) error {
	const name = "vulnerability" // clients fail where it is not
	err := db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists([]byte(name))
		return err
	})
	if err != nil {
		return err
	}
	for rows := range slices.Chunk(t.details, trivyBatch) {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte(name))
			b.FillPercent = 1
			for _, r := range rows {
				value := r.value
				if there := b.Get([]byte(r.key)); there != nil {
					value = mergeDetail(there, value)
				}
				if err := b.Put([]byte(r.key), value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// mergeDetail keeps what somebody else says of the same id, and adds the severity. What an earlier export said is replaced.
func mergeDetail(there, ours []byte) []byte {
	if earlierDetail(there) {
		return ours
	}
	var detail map[string]any
	if json.Unmarshal(there, &detail) != nil || detail == nil {
		return ours
	}
	severities, ok := detail["VendorSeverity"].(map[string]any)
	if !ok {
		severities = map[string]any{}
	}
	severities[trivySource] = trivyCritical
	detail["VendorSeverity"], detail["Severity"] = severities, "CRITICAL"
	text, err := json.Marshal(detail)
	if err != nil {
		return ours
	}
	return text
}

// earlierDetail reports whether a detail is one of [newTrivyDetail]: of one source, and with no member that we do not write.
func earlierDetail(text []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var d trivyDetail
	return dec.Decode(&d) == nil && len(d.VendorSeverity) == 1 && d.VendorSeverity[trivySource] == trivyCritical && slices.Equal(d.CweIDs, []string{trivyCWE})
}
