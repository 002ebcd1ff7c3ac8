package index

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/osv"
)

// Documents are compressed together in blocks: larger ones pack better, smaller
// ones are quicker to open for one finding. A block ends with the first document
// past minBlockSize bytes whose id says so, one in blockEnds, or before
// maxBlockSize: 240 KiB on average. Where blocks end thus depends on the documents
// nearby and not on all before, and a catalog that changed a little has most of
// its blocks unchanged ([Builder.Reuse]).
const (
	minBlockSize = 128 << 10
	maxBlockSize = 512 << 10
	blockEnds    = 128
)

// Builder collects records and writes them as one snapshot. The bytes depend
// only on the records and the description, not on the order of Add. It is not
// safe for concurrent use.
type Builder struct {
	// Quick packs documents lightly: for a snapshot that is used once.
	Quick bool
	// Latest is the time after which a record's modification is not believed when the
	// snapshot's date is taken from it; zero believes all.
	Latest time.Time

	docs    []document
	entries []entry
	slab    []byte
	packed  map[[sha256.Size]byte][]byte // compressed blocks by the digest of what is in them
	kept    *kept
}

type document struct {
	id        string
	json      []byte
	size      int // bytes of the document
	from      int // when it is that of the snapshot before: its number there plus 1, and json is nil
	removed   bool
	aliases   []string
	sortKey   string // of the first key, so that neighbours in the table are neighbours on disk
	unmatched bool
	withdrawn bool
	disputed  bool
	ecosystem string
	modified  time.Time
}

type entry struct {
	key rapsheet.Key
	rec rapsheet.Record
	doc int // index in docs
}

// Item is one record made ready for a Builder; making it is the expensive part
// and may be done concurrently.
type Item struct {
	doc   document
	entry entry   // of the first package that can be looked up; unmatched says that there is none
	more  []entry // of the others
}

// JSON is the record as the snapshot will hold it.
func (it *Item) JSON() []byte { return it.doc.json }

// Prepare makes an item of r and keeps no reference to it.
func Prepare(r *osv.Record) (Item, error) {
	raw, err := r.Marshal()
	if err != nil {
		return Item{}, err
	}
	return PrepareWritten(r, raw)
}

// PrepareWritten is Prepare for a record that has been written already: raw is what
// [osv.Record.Marshal] gives for r. The item refers to raw until it is added.
func PrepareWritten(r *osv.Record, raw []byte) (Item, error) {
	var err error
	_, disputed := rapsheet.DisputeOf(r)
	it := Item{doc: document{id: strings.Clone(r.ID), json: raw, size: len(raw), withdrawn: r.IsWithdrawn(), disputed: disputed, unmatched: true}}
	for _, a := range r.Aliases {
		if a != r.ID {
			it.doc.aliases = append(it.doc.aliases, strings.Clone(a))
		}
	}
	if it.doc.modified, err = r.Modified.Time(); err != nil {
		return Item{}, fmt.Errorf("record %s: modified: %w", r.ID, err)
	}
	for i := range r.Affected {
		a := &r.Affected[i]
		if it.doc.ecosystem == "" {
			it.doc.ecosystem = strings.Clone(a.Package.Ecosystem)
		}
		e, ok := newEntry(r, a)
		if !ok {
			continue
		}
		e.rec.Disputed = disputed
		if it.doc.unmatched {
			it.doc.unmatched = false
			it.doc.sortKey = sortKey(e.key)
			it.entry = e
			continue
		}
		it.more = append(it.more, e)
	}
	return it, nil
}

// sortKey orders documents like their keys: names of ecosystems have no byte 0.
func sortKey(key rapsheet.Key) string { return key.Ecosystem + "\x00" + key.Name }

// Add takes one item and gives a handle for [Builder.Remove]. Records must have
// different ids. A record whose packages are of no known ecosystem is kept, found
// by id, and counted as unmatched.
func (b *Builder) Add(it Item) int {
	if it.doc.from == 0 {
		it.doc.json = b.keep(it.doc.json)
	}
	if !it.doc.unmatched {
		it.entry.doc = len(b.docs)
		b.entries = append(b.entries, it.entry)
	}
	for _, e := range it.more {
		e.doc = len(b.docs)
		b.entries = append(b.entries, e)
	}
	b.docs = append(b.docs, it.doc)
	return len(b.docs) - 1
}

// JSON is the record behind a handle, valid as long as the builder.
func (b *Builder) JSON(handle int) []byte { return b.docs[handle].json }

// Remove takes an added item out again.
func (b *Builder) Remove(handle int) { b.docs[handle].removed = true }

// keep copies raw into a large slab: hundreds of thousands of small buffers
// would double the memory that a build needs.
func (b *Builder) keep(raw []byte) []byte {
	if len(raw) > cap(b.slab)-len(b.slab) {
		b.slab = make([]byte, 0, max(4<<20, len(raw)))
	}
	at := len(b.slab)
	b.slab = append(b.slab, raw...)
	return b.slab[at:len(b.slab):len(b.slab)]
}

// newEntry gives the matching part of one affected package; ok is false when it
// cannot be looked up.
func newEntry(r *osv.Record, a *osv.Affected) (entry, bool) {
	key, ok := ecosystem.KeyOf(rapsheet.Package{Ecosystem: a.Package.Ecosystem, Name: a.Package.Name})
	if !ok {
		return entry{}, false
	}
	rec := rapsheet.Record{
		ID:        strings.Clone(r.ID),
		Ecosystem: key.Ecosystem,
		Name:      strings.Clone(a.Package.Name),
		Withdrawn: r.IsWithdrawn(),
	}
	for _, v := range a.Versions {
		rec.Versions = append(rec.Versions, strings.Clone(v))
	}
	for _, g := range a.Ranges {
		// Ranges of commits name no package version.
		if g.Type == osv.RangeGit {
			continue
		}
		out := rapsheet.Range{Type: g.Type}
		if out.Type != osv.RangeSemver {
			out.Type = osv.RangeEcosystem
		}
		for _, e := range g.Events {
			switch {
			case e.Introduced != "":
				out.Events = append(out.Events, rapsheet.Event{Kind: rapsheet.Introduced, Version: strings.Clone(e.Introduced)})
			case e.Fixed != "":
				out.Events = append(out.Events, rapsheet.Event{Kind: rapsheet.Fixed, Version: strings.Clone(e.Fixed)})
			case e.LastAffected != "":
				out.Events = append(out.Events, rapsheet.Event{Kind: rapsheet.LastAffected, Version: strings.Clone(e.LastAffected)})
			case e.Limit != "":
				out.Events = append(out.Events, rapsheet.Event{Kind: rapsheet.Limit, Version: strings.Clone(e.Limit)})
			}
		}
		if len(out.Events) > 0 && !slices.ContainsFunc(rec.Ranges, func(x rapsheet.Range) bool {
			return x.Type == out.Type && slices.Equal(x.Events, out.Events)
		}) {
			rec.Ranges = append(rec.Ranges, out)
		}
	}
	rec.Digests, _ = ecosystem.RecordArchives(a.DatabaseSpecific)
	return entry{key: rapsheet.Key{Ecosystem: key.Ecosystem, Name: strings.Clone(key.Name)}, rec: rec}, true
}

// WriteTo writes the snapshot described by meta; its counts are filled in, and
// its Date too when it is zero (the newest modification of a record).
func (b *Builder) WriteTo(w io.Writer, meta Meta) error {
	b.sort()
	for i := 1; i < len(b.docs); i++ {
		if b.docs[i].id == b.docs[i-1].id && b.docs[i].sortKey == b.docs[i-1].sortKey {
			return fmt.Errorf("record %s is there twice", b.docs[i].id)
		}
	}
	docs, dir, err := b.compress()
	if err != nil {
		return err
	}
	keyDir, keys, packages := b.keys()
	digestDir, digests, distinct := b.digests()
	meta.Packages, meta.Digests = packages, distinct
	meta.Records, meta.Withdrawn, meta.Disputed, meta.Unmatched = len(b.docs), 0, 0, 0
	meta.Ecosystems = map[string]int{}
	newest := time.Time{}
	for _, d := range b.docs {
		meta.Ecosystems[d.ecosystem]++
		if d.withdrawn {
			meta.Withdrawn++
		}
		if d.disputed {
			meta.Disputed++
		}
		if d.unmatched {
			meta.Unmatched++
		}
		if d.modified.After(newest) && (b.Latest.IsZero() || !d.modified.After(b.Latest)) {
			newest = d.modified
		}
	}
	if meta.Date.IsZero() {
		meta.Date = newest
	}
	metaJSON, err := json.Marshal(meta, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("write description: %w", err)
	}
	parts := []part{
		{tagMeta, [][]byte{metaJSON}},
		{tagKeyD, [][]byte{keyDir}},
		{tagKeys, keys},
		{tagIDs, [][]byte{b.idTable()}},
		{tagDir, [][]byte{dir}},
		{tagDocs, docs},
	}
	if meta.Digests > 0 {
		parts = append(parts, part{tagDgsD, [][]byte{digestDir}}, part{tagDgst, digests})
	}
	return writeSections(w, parts)
}

// Redate writes a copy of the snapshot that differs only in its description: a
// source was asked again and had nothing new. Every section is verified.
func (ix *Index) Redate(w io.Writer, date time.Time) error {
	meta := ix.meta
	meta.Date = date
	metaJSON, err := json.Marshal(meta, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("write description: %w", err)
	}
	parts := []part{{tagMeta, [][]byte{metaJSON}}}
	tags := []string{tagKeyD, tagKeys, tagIDs, tagDir, tagDocs}
	if ix.digests != nil {
		tags = append(tags, tagDgsD, tagDgst)
	}
	for _, tag := range tags {
		b, err := ix.readSection(tag, maxSection)
		if err != nil {
			return err
		}
		parts = append(parts, part{tag, [][]byte{b}})
	}
	return writeSections(w, parts)
}

// sort puts documents into the order of the table of names, unmatched ones last,
// and renumbers the entries.
func (b *Builder) sort() {
	b.entries = slices.DeleteFunc(b.entries, func(e entry) bool { return b.docs[e.doc].removed })
	order := make([]int, 0, len(b.docs))
	for i := range b.docs {
		if !b.docs[i].removed {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(x, y int) int {
		dx, dy := &b.docs[x], &b.docs[y]
		if dx.unmatched != dy.unmatched {
			if dy.unmatched {
				return -1
			}
			return 1
		}
		return cmp.Or(strings.Compare(dx.sortKey, dy.sortKey), strings.Compare(dx.id, dy.id), bytes.Compare(dx.json, dy.json))
	})
	place := make([]int, len(b.docs))
	docs := make([]document, len(order))
	for to, from := range order {
		place[from] = to
		docs[to] = b.docs[from]
	}
	b.docs = docs
	b.entries = byDocument(b.entries, place, len(docs))
	// Documents are in the order of their first keys, so most often nothing is left to do.
	byKey := func(x, y entry) int {
		return cmp.Or(strings.Compare(x.key.Ecosystem, y.key.Ecosystem), strings.Compare(x.key.Name, y.key.Name),
			cmp.Compare(x.doc, y.doc))
	}
	if !slices.IsSortedFunc(b.entries, byKey) {
		slices.SortStableFunc(b.entries, byKey)
	}
}

// byDocument gives entries in the order of their documents' new places.
func byDocument(entries []entry, place []int, docs int) []entry {
	at := make([]int, docs+1) // where the entries of a document go
	for i := range entries {
		entries[i].doc = place[entries[i].doc]
		at[entries[i].doc+1]++
	}
	for i := range docs {
		at[i+1] += at[i]
	}
	out := make([]entry, len(entries))
	for i := range entries {
		d := entries[i].doc
		out[at[d]] = entries[i]
		at[d]++
	}
	return out
}

// compress packs the documents into blocks and gives them with their directory.
func (b *Builder) compress() (blocks [][]byte, dir []byte, err error) {
	type job struct {
		raw   int
		count int
		out   []byte
		err   error
	}
	var jobs []*job
	for at := 0; at < len(b.docs); {
		end, size := at, 0
		for end < len(b.docs) && (end == at || size+b.docs[end].size <= maxBlockSize) {
			size += b.docs[end].size
			end++
			if size >= minBlockSize && crc32.Checksum([]byte(b.docs[end-1].id), castagnoli)%blockEnds == 0 {
				break
			}
		}
		jobs = append(jobs, &job{count: end - at})
		at = end
	}
	var wg sync.WaitGroup
	next := make(chan int)
	starts := make([]int, len(jobs))
	for i, at := 0, 0; i < len(jobs); i++ {
		starts[i] = at
		at += jobs[i].count
	}
	for range min(runtime.GOMAXPROCS(0), max(1, len(jobs))) {
		wg.Go(func() {
			enc, err := b.encoder()
			var raw []byte
			for i := range next {
				j := jobs[i]
				if j.err = err; err != nil {
					continue
				}
				docs := b.docs[starts[i] : starts[i]+j.count]
				if old, ok := b.kept.whole(docs); ok {
					j.raw = int(old.raw)
					j.out, j.err = b.kept.ix.packed(old)
					continue
				}
				if docs, j.err = b.kept.fetch(docs); j.err != nil {
					continue
				}
				raw = raw[:0]
				for _, d := range docs {
					raw = binary.AppendUvarint(raw, uint64(len(d.json)))
				}
				for _, d := range docs {
					raw = append(raw, d.json...)
				}
				j.raw = len(raw)
				if b.packed != nil {
					j.out = b.packed[sha256.Sum256(raw)]
				}
				if j.out == nil {
					j.out = enc.EncodeAll(raw, nil)
				}
			}
		})
	}
	for i := range jobs {
		next <- i
	}
	close(next)
	wg.Wait()
	for _, j := range jobs {
		if j.err != nil {
			return nil, nil, fmt.Errorf("compress documents: %w", j.err)
		}
		blocks = append(blocks, j.out)
		for _, v := range []uint32{uint32(len(j.out)), uint32(j.raw), crc32.Checksum(j.out, castagnoli), uint32(j.count)} {
			dir = binary.LittleEndian.AppendUint32(dir, v)
		}
	}
	return blocks, dir, nil
}

// encoder gives what compresses blocks; its bytes depend on nothing but what it is given.
func (b *Builder) encoder() (*zstd.Encoder, error) {
	level := zstd.SpeedBestCompression
	if b.Quick {
		level = zstd.SpeedFastest
	}
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1))
}

// keys writes the part that matching needs: the directory, and the chunks.
func (b *Builder) keys() (dir []byte, chunks [][]byte, packages int) {
	var w chunkWriter
	for i := 0; i < len(b.entries); {
		end := i
		for end < len(b.entries) && b.entries[end].key == b.entries[i].key {
			end++
		}
		key := b.entries[i].key
		tw := w.next(key.Ecosystem, key.Name)
		if tw.fresh() {
			tw.base = uint64(b.entries[i].doc)
		}
		payload := binary.AppendUvarint(nil, uint64(end-i))
		for ; i < end; i++ {
			e := &b.entries[i]
			e.rec.Document = uint32(e.doc)
			payload = appendRecord(payload, &e.rec, uint32(tw.base), key.Name)
		}
		tw.add(key.Name, payload)
		packages++
	}
	dir, chunks = w.finish()
	return dir, chunks, packages
}

// chunkWriter writes a keyTable: names in their order, run by run.
type chunkWriter struct {
	runs   []run
	list   []byte // of chunks, for the directory
	chunks [][]byte
	tw     tableWriter
	first  string // of the chunk in the making
}

type run struct {
	name   string
	chunks int
}

// next gives the table that a name goes to.
func (w *chunkWriter) next(of, name string) *tableWriter {
	if len(w.runs) == 0 || w.runs[len(w.runs)-1].name != of {
		w.flush()
		w.runs = append(w.runs, run{name: of})
	}
	if w.tw.full() {
		w.tw.cut()
		if len(w.tw.data) >= chunkSize {
			w.flush()
		}
	}
	if w.tw.empty() {
		w.first = name
	}
	return &w.tw
}

func (w *chunkWriter) flush() {
	if w.tw.empty() {
		return
	}
	c := w.tw.bytes()
	w.list = binary.AppendUvarint(w.list, uint64(len(c)))
	w.list = binary.LittleEndian.AppendUint32(w.list, crc32.Checksum(c, castagnoli))
	w.list = appendString(w.list, w.first)
	w.chunks = append(w.chunks, c)
	w.runs[len(w.runs)-1].chunks++
	w.tw = tableWriter{}
}

// finish gives the directory and the chunks.
func (w *chunkWriter) finish() (dir []byte, chunks [][]byte) {
	w.flush()
	dir = binary.AppendUvarint(dir, uint64(len(w.runs)))
	for _, r := range w.runs {
		dir = appendString(dir, r.name)
		dir = binary.AppendUvarint(dir, uint64(r.chunks))
	}
	return append(dir, w.list...), w.chunks
}

// idTable writes the table from ids and aliases to documents.
func (b *Builder) idTable() []byte {
	type ref struct {
		id  string
		doc int
	}
	refs := make([]ref, 0, 2*len(b.docs))
	for i, d := range b.docs {
		refs = append(refs, ref{d.id, i})
		for _, a := range d.aliases {
			refs = append(refs, ref{a, i})
		}
	}
	slices.SortFunc(refs, func(x, y ref) int { return cmp.Or(strings.Compare(x.id, y.id), cmp.Compare(x.doc, y.doc)) })
	refs = slices.Compact(refs)
	var tw tableWriter
	for i := 0; i < len(refs); {
		end := i
		for end < len(refs) && refs[end].id == refs[i].id {
			end++
		}
		if tw.full() {
			tw.cut()
		}
		payload := binary.AppendUvarint(nil, uint64(end-i))
		id := refs[i].id
		for ; i < end; i++ {
			payload = binary.AppendUvarint(payload, uint64(refs[i].doc))
		}
		tw.add(id, payload)
	}
	return tw.bytes()
}

// tableWriter writes a table; keys are added in ascending order within a run of
// blocks, and cut starts a new block.
type tableWriter struct {
	offsets []uint32
	data    []byte
	base    uint64 // of the block that is begun next
	n       int    // entries in the current block
	last    string
}

func (t *tableWriter) full() bool  { return t.n == blockLen }
func (t *tableWriter) fresh() bool { return t.n == 0 }
func (t *tableWriter) empty() bool { return len(t.offsets) == 0 }

func (t *tableWriter) cut() { t.n = 0 }

func (t *tableWriter) add(key string, payload []byte) {
	shared := 0
	if t.n == 0 {
		t.offsets = append(t.offsets, uint32(len(t.data)))
		t.data = binary.AppendUvarint(t.data, t.base)
	} else {
		for shared < len(key) && shared < len(t.last) && key[shared] == t.last[shared] {
			shared++
		}
	}
	t.data = binary.AppendUvarint(t.data, uint64(shared))
	t.data = binary.AppendUvarint(t.data, uint64(len(key)-shared))
	t.data = binary.AppendUvarint(t.data, uint64(len(payload)))
	t.data = append(t.data, key[shared:]...)
	t.data = append(t.data, payload...)
	t.last = key
	t.n++
}

func (t *tableWriter) bytes() []byte {
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(t.offsets)))
	for _, o := range t.offsets {
		out = binary.LittleEndian.AppendUint32(out, o)
	}
	out = binary.LittleEndian.AppendUint32(out, uint32(len(t.data)))
	return append(out, t.data...)
}

type part struct {
	tag  string
	data [][]byte
}

// writeSections writes header, section table and sections; see FORMAT.md.
func writeSections(w io.Writer, parts []part) error {
	le := binary.LittleEndian
	var tab []byte
	at := uint64(headerSize + entrySize*len(parts))
	for _, p := range parts {
		h := crc32.New(castagnoli)
		size := uint64(0)
		for _, b := range p.data {
			h.Write(b)
			size += uint64(len(b))
		}
		tab = append(tab, p.tag...)
		tab = le.AppendUint32(tab, 0)
		tab = le.AppendUint64(tab, at)
		tab = le.AppendUint64(tab, size)
		tab = le.AppendUint32(tab, h.Sum32())
		tab = le.AppendUint32(tab, 0)
		at += size
	}
	head := []byte(magic)
	head = le.AppendUint32(head, version)
	head = le.AppendUint32(head, minReader)
	head = le.AppendUint64(head, at)
	head = le.AppendUint32(head, uint32(len(parts)))
	head = le.AppendUint32(head, crc32.Checksum(tab, castagnoli))
	head = le.AppendUint32(head, 0)
	head = le.AppendUint32(head, crc32.Checksum(head, castagnoli))
	for _, b := range append([][]byte{head, tab}, flatten(parts)...) {
		if _, err := w.Write(b); err != nil {
			return fmt.Errorf("write snapshot: %w", err)
		}
	}
	return nil
}

func flatten(parts []part) [][]byte {
	var out [][]byte
	for _, p := range parts {
		out = append(out, p.data...)
	}
	return out
}
