// Package source is where OSV documents come from: files, directory trees and
// archives on this machine ([Documents]), and a dump in the layout of OSV.dev's
// public bucket, kept up to date in a directory of the user ([Dump], [Stored]).
//
// Flow: a path → what it holds, told by content → one [Document] per record, raw.
// Parsing, claims and records are other packages' work.
//
// Promise: nothing read here touches the file system: records are read in
// memory and names in archives are only labels. What cannot be read is said: a
// problem of one entry is a [*Reject] and the rest goes on; a problem of the
// archive as a whole (cut off, wrong checksum, overlapping or duplicate entries,
// a bomb) ends the stream, because an archive that is silently partial makes a
// scanner miss things. A dump's state changes wholly or not at all.
package source

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

// Document is one raw record.
type Document struct {
	// Name says where in the source the document is: a path in the tree or
	// archive, or "file:line" for JSON lines. It is a label from hostile input:
	// never a path to open, and raw for printing.
	Name string
	// Data is the document as found, not checked to be JSON. The receiver owns it.
	Data []byte
}

// Reject is an entry that was not read, and why. It does not end a stream.
type Reject struct {
	Name   string
	Reason error
}

// Error gives one printable line; the name is quoted.
func (r *Reject) Error() string { return fmt.Sprintf("%q: %v", r.Name, r.Reason) }

// Unwrap gives the reason.
func (r *Reject) Unwrap() error { return r.Reason }

// Errors that end a stream.
var (
	// ErrNoRecords says that a source was read to its end and held no document.
	ErrNoRecords = errors.New("source produced 0 records")
	// ErrFormat says that a file is none of the formats that [Documents] reads.
	ErrFormat = errors.New("unrecognised format, supported: OSV JSON, JSON lines, zip, tar, each of the latter also as gzip or zstd")
	// ErrDamaged says that an archive breaks its format: cut off, wrong checksum, ….
	ErrDamaged = errors.New("damaged archive")
	// ErrDuplicate says that an archive has two entries of one name, which readers take differently.
	ErrDuplicate = errors.New("two entries have the same name")
	// ErrOverlap says that entries of a zip share bytes, as zip bombs do.
	ErrOverlap = errors.New("entries overlap")
	// ErrTooManyEntries says that [Limits].Entries was hit.
	ErrTooManyEntries = errors.New("too many entries")
)

// Limits bound what is read from one source. A field that is zero or negative
// has its default.
type Limits struct {
	Entries int   // files and directories, or lines; default 2,000,000
	Entry   int64 // bytes of one document; default 64 MiB (package osv clips long texts after that)
	Total   int64 // bytes of all documents, decompressed; default 8 GiB
	Depth   int   // levels of directories in a tree; default 128
}

// WithDefaults gives the limits that hold: every field is positive.
func (l Limits) WithDefaults() Limits {
	if l.Entries <= 0 {
		l.Entries = 2_000_000
	}
	if l.Entry <= 0 {
		l.Entry = 64 << 20
	}
	if l.Total <= 0 {
		l.Total = 8 << 30
	}
	if l.Depth <= 0 {
		l.Depth = 128
	}
	return l
}

// The ratio above which data past ratioFloor bytes is taken for a bomb, as in
// package bounded.
const (
	maxRatio   = 200
	ratioFloor = 1 << 20
)

// maxName is the length in bytes above which an entry's name is refused.
const maxName = 1024

// Documents streams the records at a path in the source's own order, which for a
// directory tree is the order of names. The path may be
//
//   - a directory: every *.json below it at any depth; other files are skipped.
//     Symbolic links are not followed, .git is not entered, archives are not opened;
//   - one OSV record as JSON;
//   - JSON lines: one record per line;
//   - a zip or tar archive: its *.json entries; archives inside are not opened.
//
// A single file may be compressed as a whole with gzip (any number of members;
// what follows them must be a member too) or zstd, except a zip. Formats are told by
// content, not by name.
//
// An error that is a [*Reject] is about one entry and the stream goes on; any
// other error is the last thing yielded and means that the source as a whole
// must not be used, even though documents were yielded before. A source without
// a single document ends in [ErrNoRecords]. The context's error, wrapped, ends
// the stream too. The stream may be ranged over more than once.
func Documents(ctx context.Context, path string, lim Limits) iter.Seq2[Document, error] {
	return stream(ctx, path, lim, func(e *emitter) error {
		info, err := os.Stat(path)
		if err != nil {
			return Unnamed(err)
		}
		switch {
		case info.IsDir():
			return e.tree(path)
		case !info.Mode().IsRegular():
			return errors.New("neither a file nor a directory")
		}
		f, err := os.Open(path)
		if err != nil {
			return Unnamed(err)
		}
		defer f.Close()
		return e.file(f, info.Size(), filepath.Base(path))
	})
}

// Unnamed takes the path out of an error that is about to be wrapped with it.
func Unnamed(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// stream runs read with an emitter for each range over the result. The errors
// that end it are wrapped with the source's name.
func stream(ctx context.Context, name string, lim Limits, read func(*emitter) error) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		e := &emitter{ctx: ctx, lim: lim.WithDefaults(), yield: yield}
		err := e.alive()
		if err == nil {
			err = read(e)
		}
		if err == nil && e.documents == 0 {
			err = ErrNoRecords
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(Document{}, fmt.Errorf("%s: %w", name, err))
		}
	}
}

// errStop unwinds a reader whose consumer has enough.
var errStop = errors.New("stop")

// emitter is one run over a source: what was counted so far and whom to tell.
type emitter struct {
	ctx       context.Context
	lim       Limits
	yield     func(Document, error) bool
	entries   int
	documents int
	total     int64
	names     map[[16]byte]struct{}
	wanted    func(name string) bool // of the entries of a zip; nil is isJSON
}

func (e *emitter) alive() error { return context.Cause(e.ctx) }

// entry counts one entry of any kind.
func (e *emitter) entry() error {
	e.entries++
	if e.entries > e.lim.Entries {
		return fmt.Errorf("%w: more than %d", ErrTooManyEntries, e.lim.Entries)
	}
	return e.alive()
}

// unique fails on a name seen before. Only digests are kept: two million names
// of hostile length would not fit.
func (e *emitter) unique(name string) error {
	if e.names == nil {
		e.names = make(map[[16]byte]struct{})
	}
	sum := sha256.Sum256([]byte(name))
	k := [16]byte(sum[:16])
	if _, dup := e.names[k]; dup {
		return fmt.Errorf("%w: %q", ErrDuplicate, clip(name))
	}
	e.names[k] = struct{}{}
	return nil
}

func (e *emitter) document(name string, data []byte) error {
	e.total += int64(len(data))
	if e.total > e.lim.Total {
		return &bounded.LimitError{What: "the sum of all documents", Limit: e.lim.Total}
	}
	e.documents++
	if !e.yield(Document{Name: name, Data: data}, nil) {
		return errStop
	}
	return nil
}

func (e *emitter) reject(name string, reason error) error {
	if !e.yield(Document{}, &Reject{Name: clip(name), Reason: reason}) {
		return errStop
	}
	return nil
}

func clip(name string) string {
	if len(name) > maxName {
		return name[:maxName] + "…"
	}
	return name
}

func isJSON(name string) bool { return strings.EqualFold(path.Ext(name), ".json") }

// checkName says what is wrong with the name of an archive's entry. A name is
// only a label here, but one that tries to be a path elsewhere, or that two
// programs read differently, marks an entry nobody should trust.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("entry without a name")
	case len(name) > maxName:
		return &bounded.LimitError{What: "entry name", Limit: maxName}
	case !utf8.ValidString(name):
		return errors.New("entry name is not UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("entry name has control characters")
	case strings.Contains(name, `\`):
		return errors.New("entry name has a backslash")
	case strings.HasPrefix(name, "/"), len(name) > 1 && name[1] == ':':
		return errors.New("entry name is an absolute path")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return errors.New(`entry name has a ".."`)
		}
	}
	return nil
}

// input is what a single file is read from.
type input interface {
	io.Reader
	io.ReaderAt
}

var (
	zipMagic      = []byte("PK\x03\x04")
	zipEmptyMagic = []byte("PK\x05\x06")
	gzipMagic     = []byte{0x1f, 0x8b}
	zstdMagic     = []byte{0x28, 0xb5, 0x2f, 0xfd}
	utf8BOM       = []byte("\xef\xbb\xbf")
)

func isZip(head []byte) bool {
	return bytes.HasPrefix(head, zipMagic) || bytes.HasPrefix(head, zipEmptyMagic)
}

// file reads a single file of size bytes; label names it in documents' names.
func (e *emitter) file(f input, size int64, label string) error {
	var head [4]byte
	if n, err := f.ReadAt(head[:], 0); err != nil && err != io.EOF {
		return Unnamed(err)
	} else if isZip(head[:n]) {
		return e.zip(f, size)
	}
	r, compression, err := bounded.Decompress(&aliveReader{e, f}, e.lim.Total)
	if err != nil {
		return err
	}
	defer r.Close()
	in := io.Reader(r)
	if compression != bounded.None {
		in = &decoded{e, r}
	}
	br := bufio.NewReaderSize(in, 64<<10)
	if err := e.content(br, compression, label); err != nil {
		if compression != bounded.None && !errors.Is(err, errStop) {
			return fmt.Errorf("%s: %w", compression, err)
		}
		return err
	}
	return nil
}

// aliveReader ends a long read when the context does.
type aliveReader struct {
	e *emitter
	r io.Reader
}

func (a *aliveReader) Read(p []byte) (int, error) {
	if err := a.e.alive(); err != nil {
		return 0, err
	}
	return a.r.Read(p)
}

// decoded marks what a decoder finds wrong with its input as [ErrDamaged].
type decoded struct {
	e *emitter
	r io.Reader
}

func (d *decoded) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	var limit *bounded.LimitError
	switch {
	case err == nil, err == io.EOF, errors.Is(err, bounded.ErrRatio), errors.As(err, &limit), d.e.alive() != nil:
		return n, err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return n, fmt.Errorf("cut off: %w", ErrDamaged)
	}
	return n, fmt.Errorf("%w: %w", ErrDamaged, err)
}

const tarBlock = 512

// content tells apart what is left when one layer of compression is off.
func (e *emitter) content(br *bufio.Reader, compression, label string) error {
	head, err := br.Peek(tarBlock)
	if err != nil && err != io.EOF {
		return err
	}
	switch {
	case len(head) == 0:
		return fmt.Errorf("empty: %w", ErrNoRecords)
	case isTar(head):
		return e.tar(br)
	case isZip(head):
		return fmt.Errorf("a zip inside %s is not opened: %w", compression, ErrFormat)
	case bytes.HasPrefix(head, gzipMagic), bytes.HasPrefix(head, zstdMagic):
		return fmt.Errorf("compressed more than once: %w", ErrFormat)
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return fmt.Errorf("not UTF-8: %w", ErrFormat)
	}
	text := bytes.TrimSpace(bytes.TrimPrefix(head, utf8BOM))
	if len(text) == 0 && len(head) < tarBlock {
		return fmt.Errorf("only white space: %w", ErrNoRecords)
	}
	switch {
	case len(text) == 0, text[0] == '{':
		return e.records(br, label)
	case text[0] == '[':
		return fmt.Errorf("a list of records is not a format of OSV; write one record per line (JSON lines), or one per file: %w", ErrFormat)
	case text[0] == '<':
		return fmt.Errorf("a page of HTML or XML: %w", ErrFormat)
	}
	return ErrFormat
}

// records reads JSON: one record, or one per line.
//
// In one valid document a line that ends in "}" is never followed by one that
// begins with "{", and in JSON lines it always is; that tells them apart without
// trusting the first record to be well-formed. A file of one line is both.
func (e *emitter) records(br *bufio.Reader, label string) error {
	number := 0
	var first []byte
	for len(bytes.TrimSpace(first)) == 0 {
		line, long, err := e.line(br)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		number++
		if long {
			if err := e.reject(lineName(label, number), e.tooLong()); err != nil {
				return err
			}
			return e.lines(br, label, number)
		}
		first = line
	}
	gap, next, err := e.gap(br)
	if err == errLong {
		return e.reject(label, e.tooLong())
	}
	if err != nil {
		return err
	}
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(first, utf8BOM))
	if next == '{' && bytes.HasPrefix(trimmed, []byte("{")) && bytes.HasSuffix(trimmed, []byte("}")) || namedLines(label) {
		if err := e.entry(); err != nil {
			return err
		}
		if err := e.document(lineName(label, number), bytes.TrimSpace(first)); err != nil {
			return err
		}
		return e.lines(br, label, number+bytes.Count(gap, []byte("\n")))
	}
	if err := e.entry(); err != nil {
		return err
	}
	data, err := bounded.ReadAll(io.MultiReader(bytes.NewReader(first), bytes.NewReader(gap), br), e.lim.Entry, "document")
	var long *bounded.LimitError
	if errors.As(err, &long) && long.What == "document" {
		return e.reject(label, err)
	}
	if err != nil {
		return err
	}
	return e.document(label, data)
}

// namedLines settles a file whose first line is broken: a name that says JSON
// lines keeps the other lines readable.
func namedLines(label string) bool {
	label = strings.ToLower(label)
	for _, compressed := range []string{".gz", ".zst"} {
		label = strings.TrimSuffix(label, compressed)
	}
	return strings.HasSuffix(label, ".jsonl") || strings.HasSuffix(label, ".ndjson")
}

func lineName(label string, number int) string { return fmt.Sprintf("%s:%d", label, number) }

func (e *emitter) tooLong() error {
	return &bounded.LimitError{What: "document", Limit: e.lim.Entry}
}

// lines reads the rest of JSON lines, the first number of which are read.
// Blank lines are skipped.
func (e *emitter) lines(br *bufio.Reader, label string, number int) error {
	for {
		line, long, err := e.line(br)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("after line %d: %w", number, err)
		}
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 && !long {
			continue
		}
		if err := e.entry(); err != nil {
			return err
		}
		if long {
			err = e.reject(lineName(label, number), e.tooLong())
		} else {
			err = e.document(lineName(label, number), line)
		}
		if err != nil {
			return err
		}
	}
}

// line reads one line with its end, or io.EOF when there is none. A line longer
// than the limit is read over and reported as long.
func (e *emitter) line(br *bufio.Reader) (line []byte, long bool, err error) {
	for {
		part, err := br.ReadSlice('\n')
		if int64(len(line)+len(part)) > e.lim.Entry+1 { // its end does not count
			line, long = nil, true
		} else if !long {
			line = append(line, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && (long || len(line) > 0):
			return line, long, nil
		}
		return line, long, err
	}
}

var errLong = errors.New("longer than a document may be")

// gap reads white space and tells the byte after it, 0 at the end; errLong if
// that alone is too long for a document.
func (e *emitter) gap(br *bufio.Reader) (gap []byte, next byte, err error) {
	for {
		b, err := br.ReadByte()
		if err == io.EOF {
			return gap, 0, nil
		}
		if err != nil {
			return nil, 0, err
		}
		switch b {
		case ' ', '\t', '\r', '\n':
			if gap = append(gap, b); int64(len(gap)) > e.lim.Entry {
				return nil, 0, errLong
			}
		default:
			return gap, b, br.UnreadByte()
		}
	}
}
