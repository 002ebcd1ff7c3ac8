// Package export writes a catalog in the formats that other tools read, each as that
// tool reads it, with nothing made up: no CVE id, no score.
//
// Flow: records → [Load], in memory by ecosystem, name and id → a [Format] writes one
// file or a tree of files → [WriteTree] gives a tree its name, whole or not at all. Package
// server writes the same formats into a directory of its own and serves them.
//
// Promise: the same catalog gives the same bytes. Withdrawn and disputed records are in no
// format that cannot say so; malicious is always the highest severity that a format
// has. A format with Over can be merged over the file of the ecosystem's own keepers, which
// then keeps every one of its records.
package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/internal/atomicfile"
	"github.com/rapsheet/rapsheet/osv"
)

// Catalog is all records that an export is made of. It is read-only once loaded, and safe for concurrent use.
type Catalog struct {
	// Date is how new the knowledge is, to the second, in UTC: the date of every file that has to have one.
	Date    time.Time
	records []Record
}

// Record is one record, as one of the packages that it is about.
type Record struct {
	ID string
	// Key is the package; a record about several comes once for each.
	Key rapsheet.Key
	// JSON is the whole document in the one form that package osv writes.
	JSON []byte
	// Modified is when it last changed, zero where it does not say.
	Modified time.Time
	// Withdrawn says that the record was taken back; Disputed that it is only doubted, then Withdrawn is true too.
	Withdrawn bool
	Disputed  bool
	part      int // which of the packages
	others    int // how many more there are
}

// Load reads documents into a catalog. They are kept: memory is their size and some 150 bytes for each. A date that is
// zero is that of the newest modification of a record.
func Load(ctx context.Context, documents iter.Seq2[[]byte, error], date time.Time) (*Catalog, error) {
	c := &Catalog{}
	const batchSize = 512
	results := make(chan []Record, runtime.GOMAXPROCS(0))
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		for r := range results {
			c.records = append(c.records, r...)
		}
	}()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	var batch [][]byte
	flush := func() {
		docs := batch
		batch = nil
		if len(docs) == 0 {
			return
		}
		g.Go(func() error {
			records, err := read(docs)
			if err == nil {
				results <- records
			}
			return err
		})
	}
	var failed error
	for doc, err := range documents {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			failed = err
			break
		}
		batch = append(batch, slices.Clone(doc))
		if len(batch) == batchSize {
			flush()
		}
	}
	flush()
	err := g.Wait()
	close(results)
	<-collected
	if err = cmp.Or(err, failed); err != nil {
		return nil, err
	}
	slices.SortFunc(c.records, func(r, s Record) int {
		return cmp.Or(strings.Compare(r.Key.Ecosystem, s.Key.Ecosystem), strings.Compare(r.Key.Name, s.Key.Name),
			strings.Compare(r.ID, s.ID), cmp.Compare(r.part, s.part))
	})
	if date.IsZero() {
		for _, r := range c.records {
			if r.Modified.After(date) {
				date = r.Modified
			}
		}
	}
	c.Date = date.UTC().Truncate(time.Second)
	return c, nil
}

func read(docs [][]byte) ([]Record, error) {
	out := make([]Record, 0, len(docs))
	for _, doc := range docs {
		rec, _, err := osv.Parse(doc)
		if err != nil {
			return nil, fmt.Errorf("record %.100q: %w", doc, err)
		}
		_, disputed := rapsheet.DisputeOf(rec)
		modified, _ := rec.Modified.Time()
		for i := range rec.Affected {
			p := &rec.Affected[i].Package
			name, _, _ := strings.Cut(p.Ecosystem, ":")
			key, ok := ecosystem.KeyOf(rapsheet.Package{Ecosystem: name, Name: p.Name})
			if !ok {
				key = rapsheet.Key{Ecosystem: name, Name: p.Name}
			}
			out = append(out, Record{ID: rec.ID, Key: key, JSON: doc, Modified: modified, Withdrawn: rec.IsWithdrawn(), Disputed: disputed, part: i, others: len(rec.Affected) - 1})
		}
	}
	return out, nil
}

// Records are the records by ecosystem, name and id, withdrawn ones too.
func (c *Catalog) Records() []Record { return c.records }

// Documents are the records by id, each once however many packages it is about, withdrawn ones too.
func (c *Catalog) Documents() []Record {
	out := make([]Record, 0, len(c.records))
	for _, r := range c.records {
		if r.part == 0 {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(r, s Record) int { return strings.Compare(r.ID, s.ID) })
	return out
}

// of are the records about packages of an ecosystem.
func (c *Catalog) of(ecosystem string) []Record {
	find := func(e string) int {
		i, _ := slices.BinarySearchFunc(c.records, e, func(r Record, e string) int { return strings.Compare(r.Key.Ecosystem, e) })
		return i
	}
	return c.records[find(ecosystem):find(ecosystem+"\x00")]
}

// Advisories are the records in force, by ecosystem, name and id, one for each package.
// Ecosystems, if there are any, are those wanted. They are parsed as they come, ahead of the
// reader on all processors.
func (c *Catalog) Advisories(ctx context.Context, links advisory.Links, ecosystems ...string) iter.Seq2[*advisory.Advisory, error] {
	chosen := c.records
	if len(ecosystems) > 0 {
		chosen = nil
		for _, e := range slices.Sorted(slices.Values(ecosystems)) {
			chosen = append(chosen, c.of(e)...)
		}
	}
	return inOrder(ctx, values(chosen), func(part []Record) ([]*advisory.Advisory, error) { return advisories(part, links) })
}

func advisories(records []Record, links advisory.Links) ([]*advisory.Advisory, error) {
	out := make([]*advisory.Advisory, 0, len(records))
	for _, r := range records {
		if r.Withdrawn {
			continue
		}
		rec, _, err := osv.Parse(r.JSON)
		if err != nil {
			return nil, fmt.Errorf("record %s: %w", r.ID, err)
		}
		one := *rec
		if r.others > 0 {
			one.Affected = rec.Affected[r.part : r.part+1]
		}
		of := advisory.Of(&one, links)
		for i := range of {
			of[i].Record = rec
			out = append(out, &of[i])
		}
	}
	return out, nil
}

// Options of a format.
type Options struct {
	// Links says where records are shown; Publisher is who publishes, in words, for formats that name it.
	Links     advisory.Links
	Publisher string
	// Over is the path of the file or directory of the ecosystem's own keepers to merge over; "" for none.
	// A format without Over does not look at it.
	Over string
	// Server is the address under which a tree will be served, without a slash at the end, for formats that
	// have addresses of their own files in them; "" where it is only read from a disk.
	Server string
	// Served says that the one who serves the tree answers for single records from the snapshot: a format that has a file for
	// each may leave them out.
	Served bool
	// Leave, if not nil, is told of an advisory that the format cannot say, or cannot say exactly, and that is therefore not in it;
	// why is a few words, the same for all that share the reason. It is called from one goroutine.
	Leave func(a *advisory.Advisory, why string)
}

// leave leaves a out.
func (o *Options) leave(a *advisory.Advisory, why string) {
	if o.Leave != nil {
		o.Leave(a, why)
	}
}

// Format is one way to write a catalog: as a file or as a tree.
type Format struct {
	// Name is the word of the command line.
	Name string
	// About says in a few words who reads it.
	About string
	// Over says what can be merged over, in a few words; "" when nothing can.
	Over string
	// Needs says in a few words what Options it cannot do without; "" for none.
	Needs string
	// File writes a file, Tree into an empty directory; exactly one of them is there.
	File func(ctx context.Context, c *Catalog, w io.Writer, opt Options) error
	Tree func(ctx context.Context, c *Catalog, dir *os.Root, opt Options) error
}

// ErrExists says that there is something already where a tree is to be written, and that it is no earlier export.
var ErrExists = errors.New("it is there already and is not the work of an earlier export")

// Marker is the file that says of a directory that it is an export, so that the next one may take its place.
const Marker = ".rapsheet-export"

// WriteTree writes the catalog in a format with Tree to the directory path, whole or not at all. A directory that an
// earlier export left is replaced, with a moment in between in which there is none.
func WriteTree(ctx context.Context, f Format, c *Catalog, path string, opt Options) error {
	switch entries, err := os.ReadDir(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case len(entries) > 0:
		if _, err := os.Lstat(filepath.Join(path, Marker)); err != nil {
			return fmt.Errorf("%s: %w", path, ErrExists)
		}
	}
	parent, base := filepath.Split(filepath.Clean(path))
	temp, err := os.MkdirTemp(cmp.Or(parent, "."), "."+base+".tmp-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if err := os.Chmod(temp, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(temp)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := f.Tree(ctx, c, root, opt); err != nil {
		return err
	}
	if err := root.WriteFile(Marker, []byte(f.Name+"\n"), 0o644); err != nil {
		return err
	}
	if err := atomicfile.SyncTree(root, "."); err != nil {
		return err
	}
	old := temp + ".old"
	if err := os.Rename(path, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer os.RemoveAll(old)
	return os.Rename(temp, path)
}
