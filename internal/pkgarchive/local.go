package pkgarchive

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// ErrHidden says that readers of a zip's directory and readers that go from entry to entry see different files in it: the
// trick by which a package shows one content to a scanner and another to an installer
// (blog.pypi.org/posts/2025-08-07-wheel-archive-confusion-attacks).
var ErrHidden = errors.New("the zip's directory and its entries disagree: what only one of them has was not read")

// Entries holds the directory of a zip, at, against the headers that stand before its entries (APPNOTE.TXT, section 4.3.7).
// It gives where the content of each entry begins, -1 where its header cannot be read, and in odd the entries before
// which another one stands than the directory says: of another name, another size, or one that the directory does not
// have; len(files) stands for one behind the last. What is between entries and is none is no matter. A zip whose entries
// share bytes is an error: 62 KB of it can be 10 GB.
//
// An entry that hides in the compressed bytes of another, behind where its stream ends, is not found.
func Entries(ctx context.Context, at io.ReaderAt, files []*zip.File) (starts []int64, odd []int, err error) {
	type span struct {
		start, end int64
		file       int
	}
	spans := make([]span, 0, len(files))
	starts = make([]int64, len(files))
	for i, f := range files {
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		start, err := f.DataOffset()
		if starts[i] = start; err != nil {
			starts[i] = -1
			continue
		}
		spans = append(spans, span{start, start + int64(f.CompressedSize64), i})
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end)) })
	last := int64(0)
	for i, s := range spans {
		if s.start < last && i > 0 || s.end < s.start {
			return nil, nil, fmt.Errorf("zip: entries overlap at byte %d", s.start)
		}
		if i%1024 == 0 && ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if !follows(at, last, i == 0, s.start, files[s.file]) {
			odd = append(odd, s.file)
		}
		last = s.end
	}
	if len(spans) > 0 && !follows(at, last, false, -1, nil) {
		odd = append(odd, len(files))
	}
	return starts, odd, nil
}

const localHeader = "PK\x03\x04"

// follows reports whether the entry that a reader finds behind the byte from, if there is one, is f, whose content begins
// at start. Between the content of an entry and the next header there may be a data descriptor, of 12 to 24 bytes.
func follows(at io.ReaderAt, from int64, first bool, start int64, f *zip.File) bool {
	var b [24 + 30]byte
	n, _ := at.ReadAt(b[:], from)
	for _, skip := range []int{0, 12, 16, 20, 24} {
		if skip > 0 && first || skip+30 > n {
			break
		}
		h := b[skip : skip+30]
		if !bytes.HasPrefix(h, []byte(localHeader)) {
			continue
		}
		if f == nil {
			return false
		}
		flags, size := binary.LittleEndian.Uint16(h[6:]), binary.LittleEndian.Uint32(h[18:])
		name, extra := int64(binary.LittleEndian.Uint16(h[26:])), int64(binary.LittleEndian.Uint16(h[28:]))
		header := from + int64(skip)
		if header+30+name+extra != start || name != int64(len(f.Name)) {
			return false
		}
		if flags&8 == 0 && size != 0xffffffff && uint64(size) != f.CompressedSize64 {
			return false
		}
		own := make([]byte, name)
		_, err := at.ReadAt(own, header+30)
		return err == nil && string(own) == f.Name
	}
	return true
}
