// Package bounded holds the readers that keep hostile input finite: a reader
// that fails past a number of bytes or with its context, a zip whose directory is limited, and one
// layer of decompression whose output is counted (a decoder's memory limit caps
// its window, not what comes out of it).
package bounded

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// LimitError says which limit was hit. It is returned by reads, wrapped or not.
type LimitError struct {
	What  string // what is limited: "file", "decompressed size", …
	Limit int64  // bytes
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s is larger than the limit of %d bytes", e.What, e.Limit)
}

type reader struct {
	r    io.Reader
	left int64
	err  *LimitError
}

// Reader reads at most limit bytes from r; a byte more is a *[LimitError], not
// an end of file.
func Reader(r io.Reader, limit int64, what string) io.Reader {
	return &reader{r: r, left: limit, err: &LimitError{What: what, Limit: limit}}
}

func (b *reader) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, b.err
	}
	// One byte more than allowed is asked for, to tell the end from the limit.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if int64(n) > b.left {
		n = int(b.left)
		b.left = -1
		return n, b.err
	}
	b.left -= int64(n)
	return n, err
}

// ReadAll reads r to its end, or fails with a *[LimitError] after limit bytes.
func ReadAll(r io.Reader, limit int64, what string) ([]byte, error) {
	return io.ReadAll(Reader(r, limit, what))
}

// Compressions that [Decompress] recognises by content.
const (
	None = ""
	Gzip = "gzip"
	Zstd = "zstd"
)

// ratioFloor is the output size up to which any compression ratio is fine, and
// maxRatio the ratio above which input past it is taken for a bomb. Real
// lockfiles and SBOMs stay below 60:1 (shared/bad-inputs.md, limits).
//
// Archives of whole file systems have long runs of zeros in them, and may begin with one: a database
// that was made with its full size, a disk image. Their floor is archiveFloor.
const (
	ratioFloor   = 1 << 20
	archiveFloor = 1 << 30
	maxRatio     = 200
)

// ErrRatio says that a stream expands so much that it is taken for a bomb.
var ErrRatio = errors.New("decompresses to more than 200 times its size")

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

type ratioReader struct {
	r     io.Reader
	in    *counter
	out   int64
	floor int64
}

func (r *ratioReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.out += int64(n)
	if r.out > r.floor && r.out > maxRatio*r.in.n {
		return n, ErrRatio
	}
	return n, err
}

// Decompress takes off one layer of gzip or zstd, recognised by content, or
// none, and bounds what comes out to limit bytes. A second layer inside is left
// as it is. Close releases the decoder and not r.
func Decompress(r io.Reader, limit int64) (rc io.ReadCloser, compression string, err error) {
	return decompress(r, limit, ratioFloor)
}

// DecompressArchive is [Decompress] for an archive that is read as a stream, whose first GiB may have any ratio.
func DecompressArchive(r io.Reader, limit int64) (rc io.ReadCloser, compression string, err error) {
	return decompress(r, limit, archiveFloor)
}

func decompress(r io.Reader, limit, floor int64) (rc io.ReadCloser, compression string, err error) {
	in := &counter{r: r}
	br := bufio.NewReaderSize(in, 64<<10)
	magic, err := br.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, None, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		zr, err := gzip.NewReader(br)
		if err != nil {
			return nil, Gzip, fmt.Errorf("gzip: %w", err)
		}
		return &closer{Reader(&ratioReader{r: zr, in: in, floor: floor}, limit, "decompressed size"), func() { zr.Close() }}, Gzip, nil
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		zr, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(128<<20))
		if err != nil {
			return nil, Zstd, fmt.Errorf("zstd: %w", err)
		}
		return &closer{Reader(&ratioReader{r: zr, in: in, floor: floor}, limit, "decompressed size"), zr.Close}, Zstd, nil
	}
	return &closer{Reader(br, limit, "file"), func() {}}, None, nil
}

// Expand is r through a decoder that [DecompressArchive] does not know, with the same limits on what comes out.
func Expand(r io.Reader, limit int64, decoder func(io.Reader) io.Reader) io.Reader {
	in := &counter{r: r}
	return Reader(&ratioReader{r: decoder(in), in: in, floor: archiveFloor}, limit, "decompressed size")
}

type closer struct {
	io.Reader
	close func()
}

func (c *closer) Close() error {
	c.close()
	return nil
}

// Deep reports whether more brackets are open in a text than depth, or more dots are in a line of it than dots: parsers of TOML
// recurse for the first, and copy a dotted key for each of its parts. It counts those in strings too, which only refuses more.
func Deep(b []byte, depth, dots int) bool {
	open, inLine := 0, 0
	for _, c := range b {
		switch c {
		case '[', '{':
			open++
		case ']', '}':
			open = max(0, open-1)
		case '.':
			inLine++
		case '\n':
			inLine = 0
		}
		if open > depth || inLine > dots {
			return true
		}
	}
	return false
}
