package publish

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/errgroup"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/bucket"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/osv"
)

const (
	batchSize    = 128
	bufferSize   = 1 << 20
	maxCampaigns = 256 << 20
)

// builder is one release in the making.
type builder struct {
	root  *os.Root
	dir   string // in root: the release in the making
	prev  *previous
	opt   Options
	reuse bool         // the compressed bytes of prev are those that this program makes
	kept  *index.Index // the snapshot of prev, when this very program made it

	mu      sync.Mutex
	ecos    map[string]*ecoDir // by base ecosystem
	folds   map[string]string  // lower case → base ecosystem
	reports folderPair         // upstream/

	files  []*output
	res    Result
	index  index.Builder
	diff   differ
	rows   bucket.Rows
	folded map[string]string // ids in upper case → ids, of those not in upper case
	report []digested
}

// ecoDir is one directory of the dump.
type ecoDir struct {
	folderPair
	name   string
	zip    *archive // opened with the first record, by the consumer
	digest *setDigest
}

// folderPair is a directory of this release, and the same one of the release before.
type folderPair struct {
	dir    *folder
	before *folder // nil when there is none, or when it is not to be used
}

// link takes a file of the release before into this one. It is no error when that cannot
// be done (some file systems have no links, or few); what was linked is read back like
// what was written.
func (p *folderPair) link(name string) bool {
	return p.before != nil && p.dir.link(p.before, name) == nil
}

func (p *folderPair) close() {
	if p.dir != nil {
		p.dir.close()
	}
	if p.before != nil {
		p.before.close()
	}
}

// digested is one of many small files.
type digested struct {
	path string // below upstream/ or the ecosystem's directory
	sum  [sha256.Size]byte
}

// setOf sorts the files and gives their digest.
func setOf(list []digested) Set {
	slices.SortFunc(list, func(x, y digested) int { return strings.Compare(x.path, y.path) })
	d := newSetDigest()
	for _, r := range list {
		d.add(r.path, r.sum)
	}
	return d.set()
}

// job is one record on its way.
type job struct {
	rec Record
	old *entry // of the same id in the release before

	entry    entry
	eco      *ecoDir
	time     time.Time
	packed   []byte // compressed document; before that, what was compressed for the release before
	item     index.Item
	problems []string
	report   string // path of the upstream report
	skipped  string // why there is none
	err      error
}

// batch is a run of records, and the entries of the release before that have none.
type batch struct {
	jobs []job
	gone []*entry
	done chan struct{}
}

// build writes the release into dir and its manifest last.
func build(ctx context.Context, root *os.Root, dir string, prev *previous, rel Release, opt Options) (Result, error) {
	b := &builder{
		root: root, dir: dir, prev: prev, opt: opt,
		ecos: map[string]*ecoDir{}, folds: map[string]string{}, folded: map[string]string{},
	}
	defer b.close()
	if prev != nil && !opt.Fresh {
		var err error
		if b.reuse, err = sameCompressor(prev); err != nil {
			return Result{}, err
		}
		if prev.ours {
			if b.kept, err = openSnapshot(prev); err == nil {
				err = b.index.Keep(b.kept)
			}
			if err != nil {
				return Result{}, fmt.Errorf("%s of the release before: %w", snapshotName, err)
			}
		}
	}
	if prev != nil {
		n := prev.manifest.Records.All
		b.rows = make(bucket.Rows, 0, n+n/64)
	}
	if err := b.prepare(rel); err != nil {
		return Result{}, err
	}
	if err := b.records(ctx, rel.Records); err != nil {
		return Result{}, err
	}
	if prev != nil {
		prev.state = nil // it is read, and large
	}
	if err := b.diff.err(opt); err != nil {
		return Result{}, err
	}
	return b.finish(rel)
}

func (b *builder) close() {
	for _, e := range b.ecos {
		e.close()
	}
	b.reports.close()
	for _, f := range b.files {
		f.f.Close() // of a release that failed; else it is closed already
	}
}

// prepare makes the directories of all known ecosystems and what does not depend on records.
func (b *builder) prepare(rel Release) error {
	if err := b.root.Mkdir(path.Join(b.dir, dumpName), 0o755); err != nil {
		return err
	}
	var err error
	if b.reports, err = b.makeFolder(upstreamName); err != nil {
		return err
	}
	for _, e := range ecosystem.All() {
		if _, err := b.eco(e.Name); err != nil {
			return err
		}
	}
	if rel.Campaigns != nil {
		if len(rel.Campaigns) > maxCampaigns || !jsontext.Value(rel.Campaigns).IsValid() {
			return fmt.Errorf("%s is not one JSON value of at most %d bytes", campaignsName, maxCampaigns)
		}
		return b.write(campaignsName, func(w *bufio.Writer) error {
			_, err := w.Write(rel.Campaigns)
			return err
		})
	}
	return nil
}

// eco gives the directory of a base ecosystem, making it first if need be. It is
// safe for concurrent use.
func (b *builder) eco(base string) (*ecoDir, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.ecos[base]; e != nil {
		return e, nil
	}
	fold := strings.ToLower(base)
	if other, taken := b.folds[fold]; taken {
		return nil, fmt.Errorf("ecosystem %q differs from %q only in case", base, other)
	}
	if len(b.ecos) == bucket.MaxEcosystems {
		return nil, fmt.Errorf("more than %d ecosystems", bucket.MaxEcosystems)
	}
	pair, err := b.makeFolder(path.Join(dumpName, base))
	if err != nil {
		return nil, err
	}
	e := &ecoDir{folderPair: pair, name: base, digest: newSetDigest()}
	b.ecos[base], b.folds[fold] = e, base
	return e, nil
}

// makeFolder makes a directory of the release and opens it.
func (b *builder) makeFolder(name string) (folderPair, error) {
	if err := b.root.MkdirAll(path.Join(b.dir, name), 0o755); err != nil {
		return folderPair{}, err
	}
	dir, err := openFolder(b.root, path.Join(b.dir, name))
	if err != nil {
		return folderPair{}, err
	}
	p := folderPair{dir: dir}
	if b.prev != nil && !b.opt.Fresh {
		p.before, err = openFolder(b.root, path.Join(b.prev.dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.close()
			return folderPair{}, err
		}
	}
	return p, nil
}

// records takes the records through the workers, which do all that concerns one
// record, and adds them up in their order.
func (b *builder) records(ctx context.Context, seq func(func(Record, error) bool)) error {
	workers := runtime.GOMAXPROCS(0)
	g, ctx := errgroup.WithContext(ctx)
	work := make(chan *batch)
	order := make(chan *batch, 2*workers)
	g.Go(func() error {
		defer close(work)
		defer close(order)
		return b.read(ctx, seq, func(bt *batch) error {
			for _, to := range [...]chan *batch{order, work} {
				select {
				case to <- bt:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	})
	for range workers {
		g.Go(func() error {
			p := bucket.Packer{}
			for bt := range work {
				if err := b.fetch(bt.jobs); err != nil {
					return err
				}
				for i := range bt.jobs {
					b.one(&bt.jobs[i], &p)
				}
				close(bt.done)
			}
			return nil
		})
	}
	g.Go(func() error {
		all, err := b.create(path.Join(dumpName, bucket.Archive))
		if err != nil {
			return err
		}
		allZip := newArchive(all)
		st, err := b.create(stateName)
		if err != nil {
			return err
		}
		state := newStateWriter(st.w)
		for bt := range order {
			select {
			case <-bt.done:
			case <-ctx.Done():
				return ctx.Err()
			}
			for _, e := range bt.gone {
				if err := b.diff.vanish(e); err != nil {
					return err
				}
			}
			for i := range bt.jobs {
				if err := b.add(&bt.jobs[i], allZip, state); err != nil {
					return err
				}
			}
			if b.opt.Progress != nil {
				b.opt.Progress(b.res.Manifest.Records.All)
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errors.Join(allZip.Close(), b.finishFile(all), b.finishFile(st))
	})
	return g.Wait()
}

// read cuts the sequence into batches and puts what was published of each id beside it.
func (b *builder) read(ctx context.Context, seq func(func(Record, error) bool), send func(*batch) error) error {
	var old *entry
	advance := func() (err error) {
		if b.prev == nil {
			return nil
		}
		if old, err = b.prev.state.next(); err == io.EOF {
			old, err = nil, nil
		}
		return err
	}
	if err := advance(); err != nil {
		return err
	}
	cur := &batch{done: make(chan struct{})}
	last := ""
	for rec, err := range seq {
		if err != nil {
			return fmt.Errorf("read records: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if rec.ID <= last {
			return fmt.Errorf("record %s comes after %s: records must be in the order of their ids", printable.Cut(rec.ID, 80), printable.Cut(last, 80))
		}
		last = rec.ID
		for old != nil && old.id < rec.ID {
			cur.gone = append(cur.gone, old)
			if err := advance(); err != nil {
				return err
			}
		}
		j := job{rec: rec}
		if old != nil && old.id == rec.ID {
			j.old = old
			if err := advance(); err != nil {
				return err
			}
		}
		cur.jobs = append(cur.jobs, j)
		if len(cur.jobs) == batchSize {
			if err := send(cur); err != nil {
				return err
			}
			cur = &batch{done: make(chan struct{})}
		}
	}
	for old != nil {
		cur.gone = append(cur.gone, old)
		if err := advance(); err != nil {
			return err
		}
	}
	return send(cur)
}

// one does what concerns one record alone.
func (b *builder) one(j *job, p *bucket.Packer) {
	j.err = b.oneRecord(j, p)
	if j.err != nil {
		j.err = fmt.Errorf("record %s: %w", printable.Cut(j.rec.ID, 80), j.err)
	}
}

func (b *builder) oneRecord(j *job, p *bucket.Packer) error {
	if done, err := b.again(j); done || err != nil {
		return err
	}
	r, _, err := osv.Parse(j.rec.JSON)
	if err != nil {
		j.problems = []string{err.Error()}
		return nil
	}
	if j.problems = check(r); len(j.problems) > 0 {
		return nil
	}
	if r.ID != j.rec.ID {
		j.problems = []string{"the document has the id " + r.ID}
		return nil
	}
	j.entry = newEntry(r, j.rec.JSON)
	same := j.old != nil && j.old.sum == j.entry.sum
	if !same {
		// What is published is the same text in the snapshot, the archives and the files. One
		// that was published has been through here.
		again, err := r.Marshal()
		if err != nil {
			return err
		}
		if !bytes.Equal(again, j.rec.JSON) {
			j.problems = []string{"the document is not written as package osv writes it"}
			return nil
		}
	}
	if j.item, err = index.PrepareWritten(r, j.rec.JSON); err != nil {
		return err
	}
	base, err := bucket.Directory(r.Affected[0].Package.Ecosystem)
	if err != nil {
		return err
	}
	if j.eco, err = b.eco(base); err != nil {
		return err
	}
	if j.time, err = r.Modified.Time(); err != nil {
		return err
	}
	if !same || j.packed == nil {
		if j.packed, err = p.Pack(j.rec.JSON); err != nil {
			return err
		}
	}
	if err := b.document(j, same); err != nil {
		return err
	}
	if j.rec.Upstream {
		return b.upstream(j, r)
	}
	return nil
}

// again does what concerns a record that is in the release before as it is, without reading
// its document: this very program has done so then. It does nothing when that is not so.
func (b *builder) again(j *job) (done bool, err error) {
	if b.kept == nil || j.old == nil || j.packed == nil || j.old.size != uint64(len(j.rec.JSON)) ||
		j.rec.Upstream && !j.old.reported || j.old.sum != sha256.Sum256(j.rec.JSON) {
		return false, nil
	}
	base, err := bucket.Directory(j.old.ecosystem)
	if err != nil {
		return false, nil
	}
	if j.time, err = osv.Timestamp(j.old.modified).Time(); err != nil {
		return false, nil
	}
	var ok bool
	if j.item, ok = b.index.Same(j.old.id, j.old.ecosystem, j.old.size, j.time, j.old.withdrawn); !ok {
		return false, nil
	}
	if j.rec.Upstream {
		if j.report, err = upstreamPath(j.old.id, osv.Package{Ecosystem: j.old.ecosystem, Name: j.old.name}); err != nil {
			return false, nil
		}
		if err := b.reports.dir.mkdirAll(path.Dir(j.report)); err != nil {
			return false, err
		}
		if !b.reports.link(j.report) {
			return false, nil
		}
	}
	if j.eco, err = b.eco(base); err != nil {
		return false, err
	}
	j.entry = *j.old
	if !j.rec.Upstream {
		j.entry.reported, j.entry.report = false, [sha256.Size]byte{}
	}
	return true, b.document(j, true)
}

// document puts the file of a record into the dump.
func (b *builder) document(j *job, same bool) error {
	file := j.rec.ID + ".json"
	if same && j.eco.link(file) {
		return nil
	}
	return j.eco.dir.create(file, j.rec.JSON)
}

// newEntry gives what the record alone says of its entry.
func newEntry(r *osv.Record, doc []byte) entry {
	return entry{
		id: strings.Clone(r.ID), ecosystem: strings.Clone(r.Affected[0].Package.Ecosystem), name: strings.Clone(r.Affected[0].Package.Name),
		published: strings.Clone(string(r.Published)), modified: strings.Clone(string(r.Modified)), withdrawn: r.IsWithdrawn(),
		sum: sha256.Sum256(doc), crc: crc32.ChecksumIEEE(doc), size: uint64(len(doc)),
	}
}

// fetch reads what the release before has of the jobs' compressed documents, with one
// read where they are neighbours, as they mostly are.
func (b *builder) fetch(jobs []job) error {
	if !b.reuse {
		return nil
	}
	const maxGap, maxSpan = 4 << 10, 4 << 20
	for len(jobs) > 0 {
		if jobs[0].old == nil {
			jobs = jobs[1:]
			continue
		}
		from := jobs[0].old.offset
		end, n := from+jobs[0].old.packed, 1
		for ; n < len(jobs); n++ {
			e := jobs[n].old
			if e == nil || e.offset < end || e.offset-end > maxGap || end-from > maxSpan {
				break
			}
			end = e.offset + e.packed
		}
		span := make([]byte, end-from)
		if _, err := b.prev.zip.ReadAt(span, int64(from)); err != nil {
			return fmt.Errorf("%s of the release before: %w", bucket.Archive, err)
		}
		for i := range n {
			at := jobs[i].old.offset - from
			jobs[i].packed = span[at : at+jobs[i].old.packed]
		}
		jobs = jobs[n:]
	}
	return nil
}

// upstream writes the report to upstream, or keeps the reason why there is none.
func (b *builder) upstream(j *job, r *osv.Record) error {
	name, data, err := UpstreamReport(r)
	if err != nil {
		j.skipped = err.Error()
		return nil
	}
	j.entry.reported, j.entry.report = true, sha256.Sum256(data)
	j.report = name
	if err := b.reports.dir.mkdirAll(path.Dir(name)); err != nil {
		return err
	}
	if j.old != nil && j.old.reported && j.old.report == j.entry.report && b.reports.link(name) {
		return nil
	}
	return b.reports.dir.create(name, data)
}

// writeFile makes a file that must not be there yet.
func writeFile(root *os.Root, name string, data []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// add takes up one record in its turn.
func (b *builder) add(j *job, all *archive, state *stateWriter) error {
	if j.err != nil {
		return j.err
	}
	if len(j.problems) > 0 {
		return b.diff.problem(j.rec.ID, j.problems[0])
	}
	e := &j.entry
	if err := b.diff.compare(j.old, e); err != nil {
		return err
	}
	if up := strings.ToUpper(e.id); up != e.id {
		if other, taken := b.folded[up]; taken {
			return b.diff.problem(e.id, "the id differs from "+other+" only in case")
		}
		b.folded[up] = e.id
	}
	file := e.id + ".json"
	h := bucket.Header(file, j.time, e.crc, e.size, uint64(len(j.packed)))
	var err error
	if e.offset, err = all.Add(h, j.packed); err != nil {
		return err
	}
	e.packed = uint64(len(j.packed))
	if j.eco.zip == nil {
		out, err := b.create(path.Join(dumpName, j.eco.name, bucket.Archive))
		if err != nil {
			return err
		}
		j.eco.zip = newArchive(out)
	}
	if _, err := j.eco.zip.Add(h, j.packed); err != nil {
		return err
	}
	j.eco.digest.add(file, e.sum)
	b.rows = append(b.rows, bucket.Row{Time: j.time, ID: e.id, Ecosystem: j.eco.name, Modified: e.modified})
	b.index.Add(j.item)
	c := &b.res.Manifest.Records
	c.All++
	if e.withdrawn {
		c.Withdrawn++
	} else {
		c.Live++
	}
	if j.rec.Disputed {
		c.Disputed++
	}
	if e.reported {
		b.report = append(b.report, digested{j.report, e.report})
	} else if j.skipped != "" {
		b.res.Unreported = append(b.res.Unreported, Unreported{e.id, j.skipped})
	}
	return state.add(e)
}

// finish writes what is known when all records have been seen.
func (b *builder) finish(rel Release) (Result, error) {
	for _, r := range b.rows {
		if up := strings.ToUpper(r.ID); up == r.ID {
			if other, taken := b.folded[up]; taken {
				return Result{}, fmt.Errorf("ids %s and %s differ only in case", r.ID, other)
			}
		}
	}
	m := &b.res.Manifest
	m.Version, m.Sequence, m.Date, m.Source = manifestVersion, rel.Sequence, rel.Date.UTC().Truncate(time.Second), rel.Source
	meta := index.Meta{Source: m.Source, Sequence: m.Sequence, Date: m.Date}
	var g errgroup.Group
	g.Go(func() error { return b.dump(m) })
	g.Go(func() error { return b.snapshot(meta) })
	if err := g.Wait(); err != nil {
		return Result{}, err
	}
	m.Upstream = setOf(b.report)
	for _, f := range b.files {
		m.Files = append(m.Files, f.file())
	}
	slices.SortFunc(m.Files, func(x, y File) int { return strings.Compare(x.Path, y.Path) })
	data, sum, err := m.marshal()
	if err != nil {
		return Result{}, err
	}
	if err := writeFile(b.root, path.Join(b.dir, manifestName), data); err != nil {
		return Result{}, err
	}
	b.res.Digest, b.res.Changes = sum, b.diff.changes
	return b.res, nil
}

// dump ends the archives and writes the lists.
func (b *builder) dump(m *Manifest) error {
	m.Ecosystems = map[string]Set{}
	b.rows.Sort()
	lists := map[string]*output{}
	var used []string
	for _, name := range slices.Sorted(maps.Keys(b.ecos)) {
		e := b.ecos[name]
		m.Ecosystems[name] = e.digest.set()
		if e.zip != nil {
			used = append(used, name)
		} else {
			// A client that finds no archive for an ecosystem stops; an empty one is fine.
			out, err := b.create(path.Join(dumpName, name, bucket.Archive))
			if err != nil {
				return err
			}
			e.zip = newArchive(out)
		}
		if err := errors.Join(e.zip.Close(), b.finishFile(e.zip.out)); err != nil {
			return err
		}
		list, err := b.create(path.Join(dumpName, name, bucket.Modified))
		if err != nil {
			return err
		}
		lists[name] = list
	}
	all, err := b.create(path.Join(dumpName, bucket.Modified))
	if err != nil {
		return err
	}
	if err := b.rows.Write(all.w, func(eco string) io.Writer { return lists[eco].w }); err != nil {
		return err
	}
	b.rows = nil
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		if err := b.finishFile(lists[name]); err != nil {
			return err
		}
	}
	if err := b.finishFile(all); err != nil {
		return err
	}
	return b.write(path.Join(dumpName, bucket.List), func(w *bufio.Writer) error {
		for _, name := range used {
			fmt.Fprintf(w, "%s\n", name)
		}
		return nil
	})
}

func (b *builder) snapshot(meta index.Meta) error {
	if b.prev != nil && !b.opt.Fresh && b.kept == nil {
		if err := b.reuseSnapshot(); err != nil {
			return fmt.Errorf("%s of the release before: %w", snapshotName, err)
		}
	}
	return b.write(snapshotName, func(w *bufio.Writer) error {
		return b.index.WriteTo(w, meta)
	})
}

func (b *builder) reuseSnapshot() error {
	ix, err := openSnapshot(b.prev)
	if err != nil {
		return err
	}
	return errors.Join(b.index.Reuse(ix), ix.Close())
}

// openSnapshot opens the snapshot of a release, whose file stays that of prev.
func openSnapshot(prev *previous) (*index.Index, error) {
	st, err := prev.snapshot.Stat()
	if err != nil {
		return nil, err
	}
	return index.New(prev.snapshot, st.Size())
}

// output is a file of the release whose digest is taken while it is written.
type output struct {
	name string // in the release
	f    *os.File
	w    *bufio.Writer
	h    hash.Hash
	n    int64
}

// create begins a file of the release.
func (b *builder) create(name string) (*output, error) {
	f, err := b.root.OpenFile(path.Join(b.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	o := &output{name: name, f: f, h: sha256.New()}
	o.w = bufio.NewWriterSize(o, bufferSize)
	b.mu.Lock()
	b.files = append(b.files, o)
	b.mu.Unlock()
	return o, nil
}

// Write takes what the buffer gives.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.f.Write(p)
	o.h.Write(p[:n])
	o.n += int64(n)
	return n, err
}

// finishFile ends a file; the buffer is released.
func (b *builder) finishFile(o *output) error {
	err := errors.Join(o.w.Flush(), o.f.Close())
	o.w = nil
	return err
}

func (b *builder) write(name string, fill func(*bufio.Writer) error) error {
	o, err := b.create(name)
	if err != nil {
		return err
	}
	if err := fill(o.w); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return b.finishFile(o)
}

func (o *output) file() File {
	return File{Path: o.name, Size: o.n, SHA256: hex.EncodeToString(o.h.Sum(nil))}
}
