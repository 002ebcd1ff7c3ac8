package source

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

// zip reads the *.json entries of a zip in the order of its directory.
//
// The directory is read here and not by archive/zip, which loads all of it
// before a limit can apply, takes a thousand entries that share one body (62 KB
// that become 10 GB), and looks neither at local headers nor at what lies around
// the archive. Whatever two programs could read differently is refused.
// Format: APPNOTE.TXT 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
func (e *emitter) zip(f io.ReaderAt, size int64) error {
	entries, err := e.zipDirectory(f, size)
	if err != nil {
		return fmt.Errorf("zip: %w", err)
	}
	if err := e.zipBodies(f, entries); err != nil {
		return fmt.Errorf("zip: %w", err)
	}
	return nil
}

// Sizes and signatures of the records of a zip (APPNOTE 4.3).
const (
	zipLocalSize   = 30
	zipCentralSize = 46
	zipEndSize     = 22
	zip64LocSize   = 20
	zip64EndSize   = 56

	zipLocalSig   = 0x04034b50
	zipCentralSig = 0x02014b50
	zipEndSig     = 0x06054b50
	zip64LocSig   = 0x07064b50
	zip64EndSig   = 0x06064b50

	zipStore   = 0
	zipDeflate = 8

	zipFlagEncrypted  = 1 << 0
	zipFlagDescriptor = 1 << 3

	max16 = 0xffff
	max32 = 0xffffffff

	// deflateOverhead is more than what deflate adds to data that does not
	// shrink, as long as documents are within their limit.
	deflateOverhead = 1 << 20

	// maxZipDirectory bounds the directory in bytes: 2,000,000 entries with names of 200.
	maxZipDirectory = 512 << 20
)

// zipEntry is one entry to be told about: a record, or the reason why not.
type zipEntry struct {
	name   string
	reason error
	body   int64 // offset of the compressed data
	csize  int64
	usize  int64
	crc    uint32
	method uint16
}

// span is the bytes of one entry, header and data.
type span struct{ start, end int64 }

var le = binary.LittleEndian

func zipDamaged(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrDamaged)...)
}

func readAt(f io.ReaderAt, p []byte, off int64) error {
	if n, err := f.ReadAt(p, off); n < len(p) {
		return damaged(err)
	}
	return nil
}

// zipEnd finds the directory: its offset, size and number of entries.
func zipEnd(f io.ReaderAt, size int64) (off, length int64, count uint64, err error) {
	tail := make([]byte, min(size, zipEndSize+max16))
	base := size - int64(len(tail))
	if err := readAt(f, tail, base); err != nil {
		return 0, 0, 0, err
	}
	at := -1
	for i := len(tail) - zipEndSize; i >= 0; i-- {
		if le.Uint32(tail[i:]) == zipEndSig && i+zipEndSize+int(le.Uint16(tail[i+20:])) == len(tail) {
			if at >= 0 {
				return 0, 0, 0, zipDamaged("two ends of the directory")
			}
			at = i
		}
	}
	if at < 0 {
		return 0, 0, 0, zipDamaged("no end of the directory: cut off, or followed by other data")
	}
	end := tail[at:]
	if le.Uint16(end[4:]) != 0 && le.Uint16(end[4:]) != max16 {
		return 0, 0, 0, errors.New("archive in several parts")
	}
	count = uint64(le.Uint16(end[10:]))
	ulen, uoff := uint64(le.Uint32(end[12:])), uint64(le.Uint32(end[16:]))
	dirEnd := base + int64(at)

	var loc [zip64LocSize]byte
	if dirEnd >= zip64LocSize {
		if err := readAt(f, loc[:], dirEnd-zip64LocSize); err != nil {
			return 0, 0, 0, err
		}
	}
	if le.Uint32(loc[:]) == zip64LocSig && (count == max16 || ulen == max32 || uoff == max32) {
		var end64 [zip64EndSize]byte
		at64 := le.Uint64(loc[8:])
		locAt := uint64(dirEnd - zip64LocSize)
		if at64 > locAt || locAt-at64 < zip64EndSize {
			return 0, 0, 0, zipDamaged("zip64 end of the directory is at %d", at64)
		}
		if err := readAt(f, end64[:], int64(at64)); err != nil {
			return 0, 0, 0, err
		}
		if le.Uint32(end64[:]) != zip64EndSig || le.Uint64(end64[4:]) != locAt-at64-12 {
			return 0, 0, 0, zipDamaged("no zip64 end of the directory at %d", at64)
		}
		count, ulen, uoff = le.Uint64(end64[32:]), le.Uint64(end64[40:]), le.Uint64(end64[48:])
		dirEnd = int64(at64)
	}
	if uoff > uint64(dirEnd) || ulen != uint64(dirEnd)-uoff {
		return 0, 0, 0, zipDamaged("directory of %d bytes at %d does not end at %d", ulen, uoff, dirEnd)
	}
	return int64(uoff), int64(ulen), count, nil
}

// zipDirectory reads and checks the directory and all local headers, before any
// data is read.
func (e *emitter) zipDirectory(f io.ReaderAt, size int64) ([]zipEntry, error) {
	off, length, count, err := zipEnd(f, size)
	if err != nil {
		return nil, err
	}
	switch {
	case count > uint64(e.lim.Entries):
		return nil, fmt.Errorf("%w: %d, more than %d", ErrTooManyEntries, count, e.lim.Entries)
	case length > maxZipDirectory:
		return nil, &bounded.LimitError{What: "zip directory", Limit: maxZipDirectory}
	case count > uint64(length)/zipCentralSize:
		return nil, zipDamaged("%d entries in a directory of %d bytes", count, length)
	}
	// One buffer for the directory: names are copied out of it only for what is told.
	dir := make([]byte, length)
	if err := readAt(f, dir, off); err != nil {
		return nil, err
	}
	var entries []zipEntry
	spans := make([]span, 0, count)
	var csum, usum int64
	for i := range count {
		if err := e.entry(); err != nil {
			return nil, err
		}
		h, rest, err := parseCentral(dir)
		if err != nil {
			return nil, fmt.Errorf("directory entry %d: %w", i+1, err)
		}
		dir = rest
		local, err := h.readLocal(f, off)
		if err != nil {
			return nil, fmt.Errorf("entry %q: %w", clip(string(h.name)), err)
		}
		spans = append(spans, local.span)
		if bytes.HasSuffix(h.name, []byte("/")) && h.usize == 0 {
			continue
		}
		entry := zipEntry{name: string(h.name), body: local.body, csize: h.csize, usize: h.usize, crc: h.crc, method: h.method}
		if entry.reason = h.check(local.lies); entry.reason == nil {
			entry.name = path.Clean(entry.name)
			if err := e.unique(entry.name); err != nil {
				return nil, err
			}
			if e.wanted == nil && !isJSON(entry.name) || e.wanted != nil && !e.wanted(entry.name) {
				continue
			}
			switch {
			case h.usize > e.lim.Entry, h.csize > e.lim.Entry+deflateOverhead:
				entry.reason = e.tooLong()
			case h.usize > ratioFloor && h.usize/maxRatio > h.csize:
				entry.reason = bounded.ErrRatio
			}
		} else {
			entry.name = clip(entry.name)
		}
		if entry.reason == nil {
			csum, usum = csum+h.csize, usum+h.usize
		}
		entries = append(entries, entry)
		if usum > e.lim.Total {
			return nil, &bounded.LimitError{What: "the sum of all entries", Limit: e.lim.Total}
		}
	}
	if len(dir) != 0 {
		return nil, zipDamaged("directory has %d bytes behind its last entry", len(dir))
	}
	if usum > ratioFloor && usum/maxRatio > csum {
		return nil, bounded.ErrRatio
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	for i := 1; i < len(spans); i++ {
		if spans[i].start < spans[i-1].end {
			return nil, fmt.Errorf("%w at byte %d", ErrOverlap, spans[i].start)
		}
	}
	return entries, nil
}

// centralHeader is one entry of the directory (APPNOTE 4.3.12).
type centralHeader struct {
	name    []byte // shares memory with the directory
	creator byte
	flags   uint16
	method  uint16
	crc     uint32
	csize   int64
	usize   int64
	attrs   uint32
	local   int64
}

func parseCentral(dir []byte) (h centralHeader, rest []byte, err error) {
	if len(dir) < zipCentralSize || le.Uint32(dir) != zipCentralSig {
		return h, nil, zipDamaged("not a directory entry")
	}
	nlen, xlen, clen := int(le.Uint16(dir[28:])), int(le.Uint16(dir[30:])), int(le.Uint16(dir[32:]))
	if len(dir) < zipCentralSize+nlen+xlen+clen {
		return h, nil, zipDamaged("cut off")
	}
	csize, usize, local := uint64(le.Uint32(dir[20:])), uint64(le.Uint32(dir[24:])), uint64(le.Uint32(dir[42:]))
	extra := dir[zipCentralSize+nlen:][:xlen]
	if usize == max32 || csize == max32 || local == max32 {
		// Zip64 extended information: only the fields that did not fit, in this order (APPNOTE 4.5.3).
		x := zip64Extra(extra)
		for _, field := range []*uint64{&usize, &csize, &local} {
			if *field != max32 {
				continue
			}
			if len(x) < 8 {
				return h, nil, zipDamaged("zip64 sizes are missing")
			}
			*field, x = le.Uint64(x), x[8:]
		}
	}
	const max63 = 1<<63 - 1
	if usize > max63 || csize > max63 || local > max63 {
		return h, nil, zipDamaged("size or offset beyond 2^63")
	}
	h = centralHeader{
		name:    dir[zipCentralSize:][:nlen],
		creator: dir[5],
		flags:   le.Uint16(dir[8:]),
		method:  le.Uint16(dir[10:]),
		crc:     le.Uint32(dir[16:]),
		csize:   int64(csize),
		usize:   int64(usize),
		attrs:   le.Uint32(dir[38:]),
		local:   int64(local),
	}
	return h, dir[zipCentralSize+nlen+xlen+clen:], nil
}

// zip64Extra finds the extra field with id 1.
func zip64Extra(extra []byte) []byte {
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		extra = extra[4:]
		if n > len(extra) {
			return nil
		}
		if id == 1 {
			return extra[:n]
		}
		extra = extra[n:]
	}
	return nil
}

// localHeader is what counts of the header in front of an entry's data.
type localHeader struct {
	span span
	body int64
	lies bool // sizes or checksum differ from the directory's
}

// readLocal reads the header in front of the data (APPNOTE 4.3.7) and holds it
// against the directory. Everything must lie before dirStart.
func (h *centralHeader) readLocal(f io.ReaderAt, dirStart int64) (localHeader, error) {
	buf := make([]byte, zipLocalSize+len(h.name))
	if h.local > dirStart-int64(len(buf)) {
		return localHeader{}, zipDamaged("its header is beyond the directory")
	}
	if err := readAt(f, buf, h.local); err != nil {
		return localHeader{}, err
	}
	if le.Uint32(buf) != zipLocalSig {
		return localHeader{}, zipDamaged("no header at byte %d", h.local)
	}
	if !bytes.Equal(buf[zipLocalSize:], h.name) || int(le.Uint16(buf[26:])) != len(h.name) ||
		le.Uint16(buf[8:]) != h.method || (le.Uint16(buf[6:])^h.flags)&(zipFlagEncrypted|zipFlagDescriptor) != 0 {
		return localHeader{}, zipDamaged("its header and the directory disagree")
	}
	body := h.local + int64(len(buf)) + int64(le.Uint16(buf[28:]))
	if body > dirStart || h.csize > dirStart-body {
		return localHeader{}, zipDamaged("its data runs into the directory")
	}
	l := localHeader{span: span{h.local, body + h.csize}, body: body}
	if h.flags&zipFlagDescriptor == 0 {
		csize, usize := int64(le.Uint32(buf[18:])), int64(le.Uint32(buf[22:]))
		l.lies = le.Uint32(buf[14:]) != h.crc || csize != max32 && csize != h.csize || usize != max32 && usize != h.usize
	}
	return l, nil
}

// check says why an entry is not read.
func (h *centralHeader) check(lies bool) error {
	if err := checkName(string(h.name)); err != nil {
		return err
	}
	const (
		unix, macOS                 = 3, 19
		typeMask, typeFile, typeDir = 0o170000, 0o100000, 0o040000
	)
	if h.creator == unix || h.creator == macOS {
		switch h.attrs >> 16 & typeMask {
		case 0, typeFile:
		case typeDir:
			return errors.New("directory with content in an archive")
		case 0o120000:
			return errors.New("symbolic link in an archive")
		default:
			return errors.New("device or other special file in an archive")
		}
	}
	switch {
	case strings.HasSuffix(string(h.name), "/"):
		return errors.New("directory with content in an archive")
	case h.flags&zipFlagEncrypted != 0:
		return errors.New("encrypted entry")
	case h.method != zipStore && h.method != zipDeflate:
		return fmt.Errorf("compression method %d is not supported", h.method)
	case lies:
		return errors.New("its header and the directory disagree on its size or checksum")
	}
	return nil
}

// A batch is what one worker inflates at a time: enough to be worth the handover,
// little enough that the batches in flight stay small beside one large entry.
const (
	batchEntries = 64
	batchBytes   = 1 << 20
	maxWorkers   = 4
)

type zipBatch struct {
	entries []zipEntry
	results []zipResult // shorter than entries only behind a fatal error
	done    chan struct{}
}

// zipResult is what became of an entry: data, a reject, or the end.
type zipResult struct {
	data   []byte
	reject error
	fatal  error
}

// zipBodies inflates entries on all cores and tells them in order.
func (e *emitter) zipBodies(f io.ReaderAt, entries []zipEntry) error {
	workers := min(runtime.GOMAXPROCS(0), maxWorkers)
	work := make(chan *zipBatch)
	order := make(chan *zipBatch, workers)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(order)
		defer close(work)
		for len(entries) > 0 {
			n := batchLength(entries)
			b := &zipBatch{entries: entries[:n], done: make(chan struct{})}
			entries = entries[n:]
			select {
			case order <- b:
			case <-stop:
				return
			}
			select {
			case work <- b:
			case <-stop:
				return
			}
		}
	})
	for range workers {
		wg.Go(func() {
			var r inflater
			for b := range work {
				for i := range b.entries {
					res := r.read(f, &b.entries[i])
					b.results = append(b.results, res)
					if res.fatal != nil {
						break
					}
				}
				close(b.done)
			}
		})
	}
	defer wg.Wait()
	defer close(stop)
	for b := range order {
		<-b.done
		for i, res := range b.results {
			err := e.alive()
			name := b.entries[i].name
			switch {
			case err != nil:
			case res.fatal != nil:
				err = fmt.Errorf("entry %q: %w", name, res.fatal)
			case res.reject != nil:
				err = e.reject(name, res.reject)
			default:
				err = e.document(name, res.data)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func batchLength(entries []zipEntry) int {
	var size int64
	for i, entry := range entries {
		if size += entry.usize; i > 0 && (i == batchEntries || size > batchBytes) {
			return i
		}
	}
	return len(entries)
}

// inflater reads entries, one after another; it keeps its decoder.
type inflater struct {
	flate io.ReadCloser
	raw   []byte // compressed data: the decoder is faster from memory
}

// read gives an entry's data. A size that the data does not have is the entry's
// problem; data that does not decode or has another checksum is the archive's.
func (r *inflater) read(f io.ReaderAt, entry *zipEntry) zipResult {
	if entry.reason != nil {
		return zipResult{reject: entry.reason}
	}
	r.raw = slices.Grow(r.raw[:0], int(entry.csize))[:entry.csize]
	if err := readAt(f, r.raw, entry.body); err != nil {
		return zipResult{fatal: err}
	}
	var in io.Reader = bytes.NewReader(r.raw)
	if entry.method == zipDeflate {
		if r.flate == nil {
			r.flate = flate.NewReader(in)
		} else if err := r.flate.(flate.Resetter).Reset(in, nil); err != nil {
			return zipResult{fatal: err}
		}
		in = r.flate
	}
	// A byte more than declared is asked for, to see the end of the data.
	data := make([]byte, entry.usize+1)
	n, err := io.ReadFull(in, data)
	data = data[:n]
	switch {
	case err == nil:
		return zipResult{reject: fmt.Errorf("declares %d bytes and holds more", entry.usize)}
	case err == io.EOF || err == io.ErrUnexpectedEOF && ended(in):
	default:
		return zipResult{fatal: damagedBody(err)}
	}
	if crc32.ChecksumIEEE(data) != entry.crc {
		return zipResult{fatal: zipDamaged("wrong checksum")}
	}
	if int64(n) != entry.usize {
		return zipResult{reject: fmt.Errorf("declares %d bytes and holds %d", entry.usize, n)}
	}
	return zipResult{data: data}
}

// ended tells the end of the data from data that is cut off: both make
// io.ReadFull say "unexpected EOF", and only the decoder keeps apart which.
func ended(in io.Reader) bool {
	var b [1]byte
	n, err := in.Read(b[:])
	return n == 0 && err == io.EOF
}

func damagedBody(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return zipDamaged("cut off")
	}
	var corrupt flate.CorruptInputError
	if errors.As(err, &corrupt) {
		return zipDamaged("%v", err)
	}
	return err
}
