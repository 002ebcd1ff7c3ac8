package source

import (
	"compress/flate"
	"context"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// Entry is a file in a zip.
type Entry struct {
	Name  string
	f     io.ReaderAt
	entry zipEntry
}

// Entries gives the files of a zip of size bytes whose names are wanted, in the order of its directory, checked as the
// archives that [Documents] reads; unlike there, one that cannot be read is the error of the whole. It is for archives of few and large files.
func Entries(ctx context.Context, f io.ReaderAt, size int64, lim Limits, wanted func(name string) bool) ([]Entry, error) {
	e := &emitter{ctx: ctx, lim: lim.WithDefaults(), wanted: wanted}
	var head [4]byte
	if err := readAt(f, head[:], 0); err != nil || !isZip(head[:]) {
		return nil, fmt.Errorf("%w: not a zip", ErrFormat)
	}
	list, err := e.zipDirectory(f, size)
	if err != nil {
		return nil, fmt.Errorf("zip: %w", err)
	}
	var out []Entry
	for _, entry := range list {
		if entry.reason != nil {
			return nil, fmt.Errorf("zip: entry %q: %w", clip(entry.name), entry.reason)
		}
		out = append(out, Entry{entry.name, f, entry})
	}
	return out, nil
}

// Open reads the file from its beginning. What is not as the archive's directory says, in size or
// checksum, is an error before the end.
func (e *Entry) Open() io.Reader {
	var r io.Reader = io.NewSectionReader(e.f, e.entry.body, e.entry.csize)
	if e.entry.method == zipDeflate {
		r = flate.NewReader(r)
	}
	return &checkedReader{r: r, left: e.entry.usize, want: e.entry.crc, sum: crc32.NewIEEE()}
}

// checkedReader holds what is read against a size and a checksum.
type checkedReader struct {
	r    io.Reader
	left int64
	want uint32
	sum  hash.Hash32
}

func (c *checkedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.sum.Write(p[:n])
	if c.left -= int64(n); c.left < 0 {
		return 0, zipDamaged("holds more than it declares")
	}
	switch {
	case err == io.EOF && (c.left != 0 || c.sum.Sum32() != c.want):
		return 0, zipDamaged("wrong size or checksum")
	case err != nil && err != io.EOF:
		return n, damagedBody(err)
	}
	return n, err
}
