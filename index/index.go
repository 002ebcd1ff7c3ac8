// Package index is the snapshot: all records of a catalog compiled into one
// immutable, versioned, checksummed file that answers "is this package on
// record?" without parsing JSON and without a database.
//
// Flow: a [Builder] takes records and writes a file; [Open] reads and checks a few
// kilobytes; [Index.Lookup] reads and checks the part of the table of names that a
// key falls into, once, and is then a binary search in memory; [Index.Document]
// reads and checks one compressed block of full records, only when a finding is
// shown. [Index.LookupDigest] is the second way in, for archives that go by another
// name. FORMAT.md beside this file describes the bytes.
//
// Promise: every byte is covered by a checksum that is verified before the byte
// is used. A damaged, truncated or foreign file is an error ([ErrDamaged],
// [ErrFormat], [ErrVersion]) and can never read as "not on record". An Index is
// safe for concurrent use.
package index

import (
	"container/list"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/osv"
)

// Errors of reading a snapshot; all are wrapped with what was being read.
var (
	// ErrFormat says that the file is not a snapshot at all.
	ErrFormat = errors.New("not a rapsheet catalog snapshot")
	// ErrVersion says that the file needs a newer reader.
	ErrVersion = errors.New("snapshot needs a newer version of rapsheet")
	// ErrDamaged says that a checksum or a length does not hold.
	ErrDamaged = errors.New("snapshot is damaged")
)

// Meta describes a snapshot as a whole; it is stored as JSON.
type Meta struct {
	// Source says in words where the records came from.
	Source string `json:"source"`
	// Sequence counts the releases of one publisher; 0 when it does not count.
	Sequence uint64 `json:"sequence,omitzero"`
	// Date is how new the knowledge is: the newest `modified` of a record, or when the source was last fetched.
	Date time.Time `json:"date"`
	// Records counts records, Withdrawn those of them taken back, Disputed those of the
	// withdrawn that are only doubted, Packages distinct keys, Unmatched the records of
	// ecosystems that cannot be looked up.
	Records   int `json:"records"`
	Withdrawn int `json:"withdrawn"`
	Disputed  int `json:"disputed,omitzero"`
	Packages  int `json:"packages"`
	Unmatched int `json:"unmatched"`
	// Digests counts the digests of archives that [Index.LookupDigest] finds.
	Digests int `json:"digests,omitzero"`
	// Ecosystems counts records by ecosystem.
	Ecosystems map[string]int `json:"ecosystems"`
}

// Format constants; see FORMAT.md.
const (
	magic      = "\x89RAP\r\n\x1a\n"
	version    = 1
	minReader  = 1
	headerSize = 40
	entrySize  = 32

	maxSections = 64
	maxMeta     = 1 << 20
	maxSection  = 1 << 30 // no part is ever read into memory beyond this
	maxBlock    = 64 << 20
)

// Section tags.
const (
	tagMeta = "META"
	tagKeyD = "KEYD"
	tagKeys = "KEYS"
	tagIDs  = "IDIX"
	tagDocs = "DOCS"
	tagDir  = "DOCD"
	tagDgsD = "DGSD" // with tagDgst, only in a snapshot with digests
	tagDgst = "DGST"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type section struct {
	off, size uint64
	crc       uint32
}

// Index is an open snapshot.
type Index struct {
	r        io.ReaderAt
	closer   io.Closer
	size     int64
	meta     Meta
	keys     *keyTable
	sections map[string]section

	ids     func() (table, error)
	digests func() (*keyTable, error) // nil when there is no digest
	docs    *documents
}

// Open opens the snapshot at path. The file may be replaced by rename while it
// is open, as [os.Rename] keeps the old one readable.
func Open(path string) (*Index, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	ix, err := New(f, st.Size())
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	ix.closer = f
	return ix, nil
}

// New opens a snapshot of size bytes in r. It reads and verifies the header,
// the description and the directory of names; the rest is read, and verified, on
// demand.
func New(r io.ReaderAt, size int64) (*Index, error) {
	ix := &Index{r: r, size: size, sections: map[string]section{}}
	if err := ix.readHeader(); err != nil {
		return nil, err
	}
	meta, err := ix.readSection(tagMeta, maxMeta)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(meta, &ix.meta); err != nil {
		return nil, fmt.Errorf("%w: description: %w", ErrDamaged, err)
	}
	keys, err := ix.readSection(tagKeyD, maxSection)
	if err != nil {
		return nil, err
	}
	if ix.keys, err = parseKeys(keys, ix.sections[tagKeys].size); err != nil {
		return nil, err
	}
	ix.keys.read = func(off, size uint64, crc uint32) ([]byte, error) {
		return ix.readVerified("names", ix.sections[tagKeys].off+off, size, crc)
	}
	ix.ids = sync.OnceValues(func() (table, error) {
		b, err := ix.readSection(tagIDs, maxSection)
		if err != nil {
			return table{}, err
		}
		return parseTable(b)
	})
	if _, ok := ix.sections[tagDgst]; ok {
		ix.digests = sync.OnceValues(ix.readDigests)
	}
	ix.docs = &documents{load: sync.OnceValues(func() ([]docBlock, error) {
		b, err := ix.readSection(tagDir, maxSection)
		if err != nil {
			return nil, err
		}
		return parseDirectory(b, ix.sections[tagDocs].size)
	})}
	return ix, nil
}

// Close releases the file. Records and strings from earlier lookups stay valid.
func (ix *Index) Close() error {
	if ix.closer == nil {
		return nil
	}
	return ix.closer.Close()
}

// Meta describes the snapshot.
func (ix *Index) Meta() Meta { return ix.meta }

func (ix *Index) readHeader() error {
	var h [headerSize]byte
	if ix.size < headerSize {
		if ix.size > 0 {
			if _, err := ix.r.ReadAt(h[:min(ix.size, int64(len(magic)))], 0); err == nil && string(h[:min(ix.size, int64(len(magic)))]) == magic[:min(ix.size, int64(len(magic)))] {
				return fmt.Errorf("%w: %d bytes are less than a header", ErrDamaged, ix.size)
			}
		}
		return ErrFormat
	}
	if _, err := ix.r.ReadAt(h[:], 0); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if string(h[:len(magic)]) != magic {
		return ErrFormat
	}
	le := binary.LittleEndian
	if crc32.Checksum(h[:headerSize-4], castagnoli) != le.Uint32(h[headerSize-4:]) {
		return fmt.Errorf("%w: header checksum", ErrDamaged)
	}
	if need := le.Uint32(h[12:]); need > version {
		return fmt.Errorf("%w: it is of version %d and needs a reader of version %d, this one reads %d",
			ErrVersion, le.Uint32(h[8:]), need, version)
	}
	if want := le.Uint64(h[16:]); want != uint64(ix.size) {
		return fmt.Errorf("%w: %d bytes, its header says %d", ErrDamaged, ix.size, want)
	}
	n := le.Uint32(h[24:])
	if n == 0 || n > maxSections {
		return fmt.Errorf("%w: %d sections", ErrDamaged, n)
	}
	tab := make([]byte, int(n)*entrySize)
	if ix.size < headerSize+int64(len(tab)) {
		return fmt.Errorf("%w: section table", ErrDamaged)
	}
	if _, err := ix.r.ReadAt(tab, headerSize); err != nil {
		return fmt.Errorf("section table: %w", err)
	}
	if crc32.Checksum(tab, castagnoli) != le.Uint32(h[28:]) {
		return fmt.Errorf("%w: section table checksum", ErrDamaged)
	}
	// Sections follow each other without gaps, so that no byte is outside a checksum.
	at := uint64(headerSize + len(tab))
	for ; len(tab) > 0; tab = tab[entrySize:] {
		tag := string(tab[:4])
		s := section{off: le.Uint64(tab[8:]), size: le.Uint64(tab[16:]), crc: le.Uint32(tab[24:])}
		if s.off != at || s.size > uint64(ix.size)-at {
			return fmt.Errorf("%w: section %q lies outside the file", ErrDamaged, tag)
		}
		if _, dup := ix.sections[tag]; dup {
			return fmt.Errorf("%w: section %q twice", ErrDamaged, tag)
		}
		at += s.size
		ix.sections[tag] = s
	}
	if at != uint64(ix.size) {
		return fmt.Errorf("%w: %d bytes after the last section", ErrDamaged, uint64(ix.size)-at)
	}
	for _, tag := range []string{tagMeta, tagKeyD, tagKeys, tagIDs, tagDir, tagDocs} {
		if _, ok := ix.sections[tag]; !ok {
			return fmt.Errorf("%w: no section %q", ErrDamaged, tag)
		}
	}
	if _, dir := ix.sections[tagDgsD]; dir {
		if _, ok := ix.sections[tagDgst]; !ok {
			return fmt.Errorf("%w: no section %q", ErrDamaged, tagDgst)
		}
	} else if _, ok := ix.sections[tagDgst]; ok {
		return fmt.Errorf("%w: no section %q", ErrDamaged, tagDgsD)
	}
	return nil
}

// readSection reads and verifies a whole section.
func (ix *Index) readSection(tag string, limit uint64) ([]byte, error) {
	s := ix.sections[tag]
	if s.size > limit {
		return nil, fmt.Errorf("%w: section %q has %d bytes, more than the limit of %d", ErrDamaged, tag, s.size, limit)
	}
	return ix.readVerified(fmt.Sprintf("section %q", tag), s.off, s.size, s.crc)
}

// readVerified reads a part of the file that has a checksum of its own; what names it.
func (ix *Index) readVerified(what string, off, size uint64, crc uint32) ([]byte, error) {
	b := make([]byte, size)
	// At the end of the file a reader may say so beside all that was asked for.
	if n, err := ix.r.ReadAt(b, int64(off)); n < len(b) {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, what, err)
	}
	if crc32.Checksum(b, castagnoli) != crc {
		return nil, fmt.Errorf("%w: checksum of %s", ErrDamaged, what)
	}
	return b, nil
}

// Verify reads the whole file and checks every checksum and every document. It
// is for after a download and for tests; lookups verify what they use anyway.
func (ix *Index) Verify() error {
	return ix.VerifyEach(func(int, []byte) error { return nil })
}

// VerifyEach is [Index.Verify], and hands over each document with its number, that of
// [rapsheet.Record]'s Document, as it is read. The bytes are valid until the next one; an error of each ends it.
func (ix *Index) VerifyEach(each func(n int, doc []byte) error) error {
	if _, err := ix.ids(); err != nil {
		return err
	}
	n := 0
	for doc, err := range ix.Documents() {
		if err == nil {
			err = each(n, doc)
		}
		if err != nil {
			return err
		}
		n++
	}
	if n != ix.meta.Records {
		return fmt.Errorf("%w: %d documents, its description says %d", ErrDamaged, n, ix.meta.Records)
	}
	for i := range ix.keys.chunks {
		if _, err := ix.keys.load(&ix.keys.chunks[i]); err != nil {
			return err
		}
	}
	if err := ix.verifyDigests(); err != nil {
		return err
	}
	for tag, s := range ix.sections {
		h := crc32.New(castagnoli)
		if _, err := io.Copy(h, io.NewSectionReader(ix.r, int64(s.off), int64(s.size))); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if h.Sum32() != s.crc {
			return fmt.Errorf("%w: checksum of section %q", ErrDamaged, tag)
		}
	}
	return nil
}

// Lookup gives the records about key, in the order of their ids; none, and no
// error, when the package is not on record. A miss does not allocate. The
// records share memory with the index.
func (ix *Index) Lookup(key rapsheet.Key) ([]rapsheet.Record, error) {
	return ix.keys.lookup(key)
}

// Document reads the full record behind rec, which must come from this index.
func (ix *Index) Document(rec rapsheet.Record) (*osv.Record, error) {
	return ix.document(rec.Document)
}

// ByID gives the full record with this id or alias; several records may share an
// alias. The id is compared as it is written.
func (ix *Index) ByID(id string) ([]*osv.Record, error) {
	t, err := ix.ids()
	if err != nil {
		return nil, err
	}
	payload, _, ok, err := t.find(id)
	if err != nil || !ok {
		return nil, err
	}
	d := decoder{b: payload}
	var out []*osv.Record
	for range d.count(len(payload)) {
		n := d.uint()
		if d.bad || n > uint64(^uint32(0)) {
			return nil, fmt.Errorf("%w: id table", ErrDamaged)
		}
		rec, err := ix.document(uint32(n))
		if err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
	return out, nil
}

// Documents yields every full record as compact JSON, by ecosystem and name. The
// bytes are valid until the next one. An error ends the sequence.
func (ix *Index) Documents() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		blocks, err := ix.docs.load()
		if err != nil {
			yield(nil, err)
			return
		}
		var docs block
		for i := range blocks {
			if err := ix.read(blocks[i], &docs); err != nil {
				yield(nil, err)
				return
			}
			for j := range int(blocks[i].count) {
				if !yield(docs.doc(j), nil) {
					return
				}
			}
		}
	}
}

// documents reads compressed blocks of full records, keeping those used last as far as
// they fit the room for them, the last one always: the findings of one project are often neighbours.
type documents struct {
	load func() ([]docBlock, error)

	mu    sync.Mutex
	room  int64 // bytes
	used  int64
	order list.List // of *keptBlock, the one used last at the front
	kept  map[uint32]*list.Element
	dec   *zstd.Decoder
}

// keptBlock is a decompressed block in memory.
type keptBlock struct {
	first uint32
	*block
}

// CacheDocuments lets the index keep decompressed documents of up to size bytes in memory, for a program that
// reads many of them in no order. By default it keeps those around the last one that was read.
func (ix *Index) CacheDocuments(size int64) {
	ix.docs.mu.Lock()
	ix.docs.room = size
	ix.docs.mu.Unlock()
}

func (d *documents) get(first uint32) *block {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.kept[first]
	if e == nil {
		return nil
	}
	d.order.MoveToFront(e)
	return e.Value.(*keptBlock).block
}

func (d *documents) keep(first uint32, b *block) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept == nil {
		d.kept = map[uint32]*list.Element{}
	}
	if d.kept[first] != nil {
		return // read twice at once
	}
	d.kept[first] = d.order.PushFront(&keptBlock{first, b})
	d.used += int64(len(b.data))
	for d.used > d.room && d.order.Len() > 1 {
		old := d.order.Remove(d.order.Back()).(*keptBlock)
		d.used -= int64(len(old.data))
		delete(d.kept, old.first)
	}
}

type docBlock struct {
	off        uint64
	size       uint32 // compressed
	raw        uint32
	crc        uint32
	first, end uint32 // ordinals of documents
	count      uint32
}

type block struct {
	raw  []byte
	data []byte // the part of raw behind the lengths
	ends []uint32
}

func (b *block) doc(i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = b.ends[i-1]
	}
	return b.data[start:b.ends[i]]
}

const dirEntry = 16

func parseDirectory(b []byte, total uint64) ([]docBlock, error) {
	if len(b)%dirEntry != 0 {
		return nil, fmt.Errorf("%w: document directory", ErrDamaged)
	}
	le := binary.LittleEndian
	out := make([]docBlock, 0, len(b)/dirEntry)
	var off uint64
	var first uint32
	for ; len(b) > 0; b = b[dirEntry:] {
		d := docBlock{off: off, size: le.Uint32(b), raw: le.Uint32(b[4:]), crc: le.Uint32(b[8:]), count: le.Uint32(b[12:]), first: first}
		d.end = first + d.count
		if d.raw > maxBlock || d.count == 0 || d.end < first || uint64(d.size) > total-off {
			return nil, fmt.Errorf("%w: document directory", ErrDamaged)
		}
		off += uint64(d.size)
		first = d.end
		out = append(out, d)
	}
	if off != total {
		return nil, fmt.Errorf("%w: document directory", ErrDamaged)
	}
	return out, nil
}

func (ix *Index) document(n uint32) (*osv.Record, error) {
	blocks, err := ix.docs.load()
	if err != nil {
		return nil, err
	}
	lo, hi := 0, len(blocks)
	for lo < hi {
		mid := (lo + hi) / 2
		if blocks[mid].end <= n {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(blocks) {
		return nil, fmt.Errorf("%w: no document %d", ErrDamaged, n)
	}
	b := blocks[lo]
	data := ix.docs.get(b.first)
	if data == nil {
		if data, err = ix.block(b); err != nil {
			return nil, err
		}
		ix.docs.keep(b.first, data)
	}
	rec, _, err := osv.Parse(data.doc(int(n - b.first)))
	if err != nil {
		return nil, fmt.Errorf("%w: document %d: %w", ErrDamaged, n, err)
	}
	return rec, nil
}

// packed reads and verifies one block as it is in the file.
func (ix *Index) packed(b docBlock) ([]byte, error) {
	return ix.readVerified("documents", ix.sections[tagDocs].off+b.off, uint64(b.size), b.crc)
}

// unpack reads, verifies and decompresses one block, into buf if that is large enough.
func (ix *Index) unpack(b docBlock, dec *zstd.Decoder, buf []byte) (packed, raw []byte, err error) {
	packed, err = ix.packed(b)
	if err != nil {
		return nil, nil, err
	}
	raw, err = dec.DecodeAll(packed, slices.Grow(buf[:0], int(b.raw)))
	if err != nil || uint32(len(raw)) != b.raw {
		return nil, nil, fmt.Errorf("%w: documents from %d do not decompress", ErrDamaged, b.first)
	}
	return packed, raw, nil
}

// block reads, verifies and decompresses one block and finds the documents in it.
func (ix *Index) block(b docBlock) (*block, error) {
	out := &block{}
	return out, ix.read(b, out)
}

// read is block into memory that is there.
func (ix *Index) read(b docBlock, out *block) error {
	dec, err := ix.docs.decoder()
	if err != nil {
		return err
	}
	_, raw, err := ix.unpack(b, dec, out.raw)
	if err != nil {
		return err
	}
	out.raw, out.ends = raw, slices.Grow(out.ends[:0], int(min(b.count, b.raw)))
	// The block begins with the length of each document.
	d := decoder{b: raw}
	var at uint64
	for range b.count {
		at += d.uint()
		if d.bad || at > uint64(b.raw) {
			return fmt.Errorf("%w: lengths of documents from %d", ErrDamaged, b.first)
		}
		out.ends = append(out.ends, uint32(at))
	}
	out.data = raw[d.at:]
	if uint64(len(out.data)) != at {
		return fmt.Errorf("%w: lengths of documents from %d", ErrDamaged, b.first)
	}
	return nil
}

func (d *documents) decoder() (*zstd.Decoder, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dec == nil {
		dec, err := newDecoder()
		if err != nil {
			return nil, err
		}
		d.dec = dec
	}
	return d.dec, nil
}

// newDecoder gives what decompresses blocks, as many at a time as there are processors.
func newDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxBlock))
}
