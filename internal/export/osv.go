package export

import (
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/flate"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/internal/bucket"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/osv"
)

const overBucket = "all.zip of OSV.dev, or a directory with one for each ecosystem"

// osvFormats are those of OSV itself. All can say that a record was withdrawn.
var osvFormats = []Format{
	{
		Name: "osv", About: "the layout of OSV.dev's bucket, for Dependency-Track, mirrors and static web servers", Over: overBucket,
		Tree: func(ctx context.Context, c *Catalog, dir *os.Root, opt Options) error {
			return writeBucket(ctx, c, dir, opt, bucketOptions{lists: true, documents: !opt.Served})
		},
	},
	{
		Name: "osv-scanner", About: "the offline databases of OSV-Scanner", Over: overBucket,
		Tree: func(ctx context.Context, c *Catalog, dir *os.Root, opt Options) error {
			return writeBucket(ctx, c, dir, opt, bucketOptions{below: scannerDirs[0], every: true, linked: scannerDirs[1]})
		},
	},
	{Name: "osv-offline", About: "osv-offline.zip, the database of Renovate", Over: "its osv-offline.zip", File: writeOffline},
}

// scannerDirs are where OSV-Scanner looks: from 2.6 on in the first, before and in its documentation in the second.
var scannerDirs = [...]string{"osv-scalibr", "osv-scanner"}

// maxUpstream bounds one document of upstream's, in bytes.
const maxUpstream = 8 << 20

// bucketOptions say which parts of a bucket are written.
type bucketOptions struct {
	below     string // directory of the ecosystems
	linked    string // a second directory with the same archives
	every     bool   // an archive for every ecosystem of the schema
	lists     bool   // what is at the top, and the lists
	documents bool   // a file for each record
}

// document is one record on its way into archives.
type document struct {
	id         string
	name       string   // of the entry
	ecosystems []string // directories, each once
	time       time.Time
	modified   string
	malicious  bool
	json       []byte
	header     *zip.FileHeader
	packed     []byte
}

// about puts the document into the directory of an ecosystem, if that can be one.
func (d *document) about(ecosystem string) {
	if dir, err := bucket.Directory(ecosystem); err == nil && !slices.Contains(d.ecosystems, dir) {
		d.ecosystems = append(d.ecosystems, dir)
	}
}

// bucketWriter is a bucket in the making.
type bucketWriter struct {
	root *os.Root
	opt  bucketOptions
	all  *archiveFile
	of   map[string]*archiveFile // by ecosystem
	rows bucket.Rows
	ids  []idRow
}

type idRow struct {
	ID       string `json:"id"`
	Modified string `json:"modified"`
}

// archiveFile is an archive and its file.
type archiveFile struct {
	*bucket.Zip
	file *fileWriter
	n    int // entries
}

// fileWriter is a buffered file.
type fileWriter struct {
	*bufio.Writer
	f *os.File
}

func createFile(root *os.Root, name string) (*fileWriter, error) {
	f, err := root.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	return &fileWriter{bufio.NewWriterSize(f, 64<<10), f}, nil
}

func (f *fileWriter) Close() error { return errors.Join(f.Flush(), f.f.Close()) }

func createArchive(root *os.Root, name string) (*archiveFile, error) {
	f, err := createFile(root, name)
	if err != nil {
		return nil, err
	}
	return &archiveFile{Zip: bucket.NewZip(f), file: f}, nil
}

func (a *archiveFile) add(d *document) error {
	a.n++
	_, err := a.Add(d.header, d.packed)
	return err
}

func (a *archiveFile) Close() error { return errors.Join(a.Zip.Close(), a.file.Close()) }

// writeBucket writes malicious records of the catalog first, then those of upstream's that have none of their ids, then the rest of the catalog that
// upstream does not have.
func writeBucket(ctx context.Context, c *Catalog, root *os.Root, opt Options, what bucketOptions) (err error) {
	w := &bucketWriter{root: root, opt: what, of: map[string]*archiveFile{}}
	defer func() {
		if err != nil {
			for _, a := range w.of {
				a.file.f.Close()
			}
			if w.all != nil {
				w.all.file.f.Close()
			}
		}
	}()
	if what.lists {
		if w.all, err = createArchive(root, bucket.Archive); err != nil {
			return err
		}
	}
	known := map[string]bool{}
	for _, e := range ecosystem.All() {
		known[e.Name] = true
	}
	if what.every {
		for _, e := range osv.Ecosystems() {
			known[e] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if _, err := w.ecosystem(name); err != nil {
			return err
		}
	}
	ours := map[string]bool{} // id → malicious
	var held []document
	for d, err := range ourDocuments(ctx, c, opt.Links) {
		if err != nil {
			return err
		}
		ours[d.id] = d.malicious
		if opt.Over != "" && !d.malicious {
			held = append(held, d)
			continue
		}
		if err := w.add(&d, true); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	if opt.Over != "" {
		for d, err := range upstreamDocuments(ctx, opt.Over) {
			if err != nil {
				return err
			}
			if ours[d.id] {
				continue
			}
			if err := w.add(&d, !seen[d.id]); err != nil {
				return err
			}
			seen[d.id] = true
		}
	}
	for i := range held {
		if !seen[held[i].id] {
			if err := w.add(&held[i], true); err != nil {
				return err
			}
		}
	}
	return w.finish()
}

// ecosystem gives the archive of an ecosystem, and begins it if need be.
func (w *bucketWriter) ecosystem(name string) (*archiveFile, error) {
	if a := w.of[name]; a != nil {
		return a, nil
	}
	if len(w.of) == bucket.MaxEcosystems {
		return nil, fmt.Errorf("more than %d ecosystems", bucket.MaxEcosystems)
	}
	dir := path.Join(w.opt.below, name)
	if err := w.root.MkdirAll(filepath.FromSlash(dir), 0o755); err != nil {
		return nil, err
	}
	a, err := createArchive(w.root, path.Join(dir, bucket.Archive))
	if err == nil {
		w.of[name] = a
	}
	return a, err
}

// add takes up one document; first says that it is not at the top yet.
func (w *bucketWriter) add(d *document, first bool) error {
	if w.opt.lists && first {
		if err := w.all.add(d); err != nil {
			return err
		}
		w.ids = append(w.ids, idRow{d.id, d.modified})
	}
	for _, eco := range d.ecosystems {
		a, err := w.ecosystem(eco)
		if err == nil {
			err = a.add(d)
		}
		if err != nil {
			return err
		}
		if w.opt.lists {
			w.rows = append(w.rows, bucket.Row{Time: d.time, ID: d.id, Ecosystem: eco, Modified: d.modified})
		}
		if w.opt.documents {
			if err := w.root.WriteFile(filepath.FromSlash(path.Join(w.opt.below, eco, d.name)), d.json, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish ends the archives and writes the lists.
func (w *bucketWriter) finish() error {
	names := slices.Sorted(maps.Keys(w.of))
	for _, name := range names {
		if err := w.of[name].Close(); err != nil {
			return err
		}
		if w.opt.linked != "" {
			if err := w.link(name); err != nil {
				return err
			}
		}
	}
	if !w.opt.lists {
		return nil
	}
	if err := w.all.Close(); err != nil {
		return err
	}
	w.rows.Sort()
	lists := map[string]*fileWriter{}
	all, err := createFile(w.root, bucket.Modified)
	if err != nil {
		return err
	}
	for _, name := range names {
		if lists[name], err = createFile(w.root, path.Join(name, bucket.Modified)); err != nil {
			return err
		}
	}
	err = w.rows.Write(all, func(eco string) io.Writer { return lists[eco] })
	for _, f := range lists {
		err = errors.Join(err, f.Close())
	}
	if err = errors.Join(err, all.Close()); err != nil {
		return err
	}
	var used strings.Builder
	for _, name := range names {
		if w.of[name].n > 0 {
			used.WriteString(name + "\n")
		}
	}
	if err := w.root.WriteFile(bucket.List, []byte(used.String()), 0o644); err != nil {
		return err
	}
	// The list of the form in which OSV.dev takes records from others over HTTP
	// (https://google.github.io/osv.dev/data/new/).
	slices.SortFunc(w.ids, func(x, y idRow) int { return strings.Compare(x.ID, y.ID) })
	data, err := json.Marshal(w.ids)
	if err != nil {
		return err
	}
	if len(w.ids) == 0 {
		data = []byte("[]")
	}
	return w.root.WriteFile("all.json", data, 0o644)
}

// link gives an archive its second name, as a copy where a file system has no links.
func (w *bucketWriter) link(name string) error {
	from, to := filepath.Join(w.opt.below, name, bucket.Archive), filepath.Join(w.opt.linked, name, bucket.Archive)
	if err := w.root.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if w.root.Link(from, to) == nil {
		return nil
	}
	in, err := w.root.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := w.root.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// ourDocuments are the records of the catalog by id, as every client reads them. One whose id cannot be a file, or that is about
// no ecosystem that can be a directory, has no place in a bucket.
func ourDocuments(ctx context.Context, c *Catalog, links advisory.Links) iter.Seq2[document, error] {
	return inOrder(ctx, values(c.Documents()), func(records []Record) ([]document, error) {
		var p bucket.Packer
		out := make([]document, 0, len(records))
		for _, r := range records {
			rec, _, err := osv.Parse(r.JSON)
			if err != nil {
				return nil, fmt.Errorf("record %s: %w", r.ID, err)
			}
			rec = advisory.Plain(rec, links)
			d := document{id: rec.ID, name: rec.ID + ".json", malicious: rec.Malicious(), time: r.Modified, modified: string(rec.Modified)}
			for i := range rec.Affected {
				d.about(rec.Affected[i].Package.Ecosystem)
			}
			if bucket.CheckID(rec.ID) != nil || len(d.ecosystems) == 0 {
				continue
			}
			if d.json, err = rec.Marshal(); err != nil {
				return nil, err
			}
			if d.header, d.packed, err = p.Entry(d.name, d.time, d.json); err != nil {
				return nil, err
			}
			out = append(out, d)
		}
		return out, nil
	})
}

// upstreamDocument is a document as upstream's archives have it, and the directory that the archive is in, "" for the top.
type upstreamDocument struct {
	source.Document
	ecosystem string
}

// upstreamDocuments are the records of an all.zip, or of those of all directories of ecosystems below a directory. They
// are passed on as they are.
func upstreamDocuments(ctx context.Context, over string) iter.Seq2[document, error] {
	return inOrder(ctx, upstreamArchives(ctx, over), func(docs []upstreamDocument) ([]document, error) {
		var p bucket.Packer
		out := make([]document, 0, len(docs))
		for _, doc := range docs {
			var rec struct {
				ID       string        `json:"id"`
				Modified osv.Timestamp `json:"modified"`
				Affected []struct {
					Package struct {
						Ecosystem string `json:"ecosystem"`
					} `json:"package"`
				} `json:"affected"`
			}
			base := path.Base(doc.Name)
			if err := jsonv2.Unmarshal(doc.Data, &rec); err != nil {
				return nil, fmt.Errorf("upstream's %q: %w", base, err)
			}
			at, err := rec.Modified.Time()
			if err != nil || rec.ID+".json" != base || strings.HasPrefix(base, ".") {
				return nil, fmt.Errorf("upstream's %q: it has another id inside, or a time that is none", base)
			}
			d := document{id: rec.ID, name: base, time: at, modified: string(rec.Modified), json: doc.Data}
			if doc.ecosystem != "" {
				d.ecosystems = []string{doc.ecosystem}
			} else {
				for _, a := range rec.Affected {
					d.about(a.Package.Ecosystem)
				}
			}
			if d.header, d.packed, err = p.Entry(d.name, d.time, d.json); err != nil {
				return nil, err
			}
			out = append(out, d)
		}
		return out, nil
	})
}

func upstreamArchives(ctx context.Context, over string) iter.Seq2[upstreamDocument, error] {
	return func(yield func(upstreamDocument, error) bool) {
		archives, err := findArchives(over)
		if err != nil {
			yield(upstreamDocument{}, err)
			return
		}
		for _, a := range archives {
			for doc, err := range source.Documents(ctx, a.path, source.Limits{Entry: maxUpstream}) {
				if errors.Is(err, source.ErrNoRecords) {
					break // an archive may be empty
				}
				if !yield(upstreamDocument{doc, a.ecosystem}, err) || err != nil {
					return
				}
			}
		}
	}
}

type upstreamArchive struct{ path, ecosystem string }

// findArchives lists upstream's archives by ecosystem.
func findArchives(over string) ([]upstreamArchive, error) {
	st, err := os.Stat(over)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return []upstreamArchive{{path: over}}, nil
	}
	found := map[string]string{}
	for _, below := range []string{over, filepath.Join(over, scannerDirs[1]), filepath.Join(over, scannerDirs[0])} {
		entries, err := os.ReadDir(below)
		if errors.Is(err, fs.ErrNotExist) && below != over {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			file := filepath.Join(below, e.Name(), bucket.Archive)
			if dir, err := bucket.Directory(e.Name()); err != nil || dir != e.Name() {
				continue // [EMPTY], of records without an ecosystem, which nothing matches
			}
			if st, err := os.Stat(file); err == nil && st.Mode().IsRegular() {
				found[e.Name()] = file
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: no directory of an ecosystem in it has an %s", over, bucket.Archive)
	}
	var out []upstreamArchive
	for _, name := range slices.Sorted(maps.Keys(found)) {
		out = append(out, upstreamArchive{found[name], name})
	}
	return out, nil
}

// offlineTypes are the ecosystems of osv-offline and their types of purl (@renovatebot/osv-offline-db, purl-helper.js).
var offlineTypes = map[string]string{
	"crates.io": "cargo", "Go": "golang", "Hackage": "hackage", "Hex": "hex", "Maven": "maven", "NuGet": "nuget",
	"npm": "npm", "Packagist": "composer", "Pub": "pub", "PyPI": "pypi", "RubyGems": "gem",
}

// offlinePURL is the text that osv-offline compares with: "/" stays, the rest is as JavaScript's encodeURIComponent has it.
func offlinePURL(eco, name string) string {
	if eco == "Maven" {
		name = strings.Replace(name, ":", "/", 1)
	}
	parts := strings.Split(name, "/")
	for i, p := range parts {
		p = strings.ReplaceAll(url.QueryEscape(p), "+", "%20")
		for _, c := range "!'()*" {
			p = strings.ReplaceAll(p, fmt.Sprintf("%%%02X", c), string(c))
		}
		parts[i] = p
	}
	return "pkg:" + offlineTypes[eco] + "/" + strings.Join(parts, "/")
}

// nedbID is the key of a line: 16 letters and digits, the same for the same record each time.
func nedbID(id string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := sha256.Sum256([]byte(id))
	out := make([]byte, 16)
	for i := range out {
		out[i] = digits[int(sum[i])%len(digits)]
	}
	return string(out)
}

// writeOffline writes a file of lines for each ecosystem: a record with the key "_id" beside its members, as nedb stores it.
func writeOffline(ctx context.Context, c *Catalog, w io.Writer, opt Options) error {
	over := map[string]*source.Entry{}
	if opt.Over != "" {
		f, err := os.Open(opt.Over)
		if err != nil {
			return err
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return err
		}
		entries, err := source.Entries(ctx, f, st.Size(), source.Limits{Entries: 1000, Entry: 4 << 30}, func(name string) bool { return path.Ext(name) == ".nedb" })
		if err != nil {
			return fmt.Errorf("%s: %w", opt.Over, err)
		}
		for i := range entries {
			if strings.Contains(entries[i].Name, "/") {
				return fmt.Errorf("%s: %q is not at the top", opt.Over, entries[i].Name)
			}
			over[entries[i].Name] = &entries[i]
		}
	}
	files := map[string]string{} // name → ecosystem
	for eco := range offlineTypes {
		files[strings.ToLower(eco)+".nedb"] = eco
	}
	for name := range over {
		files[name] = cmp.Or(files[name], "-")
	}
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.DefaultCompression) })
	for _, name := range slices.Sorted(maps.Keys(files)) {
		out, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: c.Date})
		if err != nil {
			return err
		}
		b := bufio.NewWriterSize(out, 64<<10)
		if err := offlineLines(ctx, b, c, files[name], over[name], opt.Links); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := b.Flush(); err != nil {
			return err
		}
	}
	return z.Close()
}

// offlineLines writes one file: malicious records of ours, upstream's without those, the rest of ours.
func offlineLines(ctx context.Context, w *bufio.Writer, c *Catalog, eco string, over *source.Entry, links advisory.Links) error {
	type line struct {
		id        string
		malicious bool
		text      []byte
	}
	lines := inOrder(ctx, values(c.of(eco)), func(records []Record) ([]line, error) {
		var out []line
		for _, r := range records {
			rec, _, err := osv.Parse(r.JSON)
			if err != nil {
				return nil, fmt.Errorf("record %s: %w", r.ID, err)
			}
			rec = advisory.Plain(rec, links)
			for i := range rec.Affected {
				p := &rec.Affected[i].Package
				if base, _, _ := strings.Cut(p.Ecosystem, ":"); base == eco {
					p.PURL = offlinePURL(eco, p.Name)
				}
			}
			text, err := rec.Marshal()
			if err != nil {
				return nil, err
			}
			text = append(text[:len(text)-1], `,"_id":"`+nedbID(rec.ID)+"\"}\n"...)
			out = append(out, line{rec.ID, rec.Malicious(), text})
		}
		return out, nil
	})
	ours := map[string]bool{}
	var held []line
	for l, err := range lines {
		if err != nil {
			return err
		}
		if _, twice := ours[l.id]; twice {
			continue // a record about several packages of the ecosystem is one line
		}
		ours[l.id] = l.malicious
		if over != nil && !l.malicious {
			held = append(held, l)
			continue
		}
		if _, err := w.Write(l.text); err != nil {
			return err
		}
	}
	if over == nil {
		return nil
	}
	seen, err := offlineOver(ctx, w, over, ours)
	if err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	for _, l := range held {
		if !seen[l.id] {
			if _, err := w.Write(l.text); err != nil {
				return err
			}
		}
	}
	return nil
}

// offlineOver copies upstream's lines, and says which ids of ours that are not malicious it has.
func offlineOver(ctx context.Context, w *bufio.Writer, over *source.Entry, ours map[string]bool) (map[string]bool, error) {
	seen := map[string]bool{}
	in := bufio.NewScanner(over.Open())
	in.Buffer(make([]byte, 64<<10), maxUpstream)
	for n := 1; in.Scan(); n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		text := bytes.TrimSpace(in.Bytes())
		if len(text) == 0 {
			continue
		}
		var rec struct {
			ID string `json:"id"`
		}
		if err := jsonv2.Unmarshal(text, &rec, jsontext.AllowDuplicateNames(false)); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		malicious, mine := ours[rec.ID]
		if malicious {
			continue
		}
		if mine {
			seen[rec.ID] = true
		}
		w.Write(text)
		if err := w.WriteByte('\n'); err != nil {
			return nil, err
		}
	}
	return seen, in.Err()
}
