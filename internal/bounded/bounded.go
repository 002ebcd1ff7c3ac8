// Package bounded holds the readers that keep hostile input finite: a reader
// that fails past a number of bytes or with its context, a zip whose directory is limited, and one
// layer of decompression whose output is counted (a decoder's memory limit caps
// its window, not what comes out of it).
package bounded

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
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

// maxWindow is how far back a stream may refer, in bytes, which is memory that its decoder takes at once. The
// largest that xz chooses by itself is half of it.
const maxWindow = 128 << 20

// ErrWindow says that a stream asks for more memory than it is given.
var ErrWindow = fmt.Errorf("its decoder would need a window of more than %d MiB", maxWindow>>20)

// Decompress takes off one layer of gzip or zstd, recognised by content, or
// none, and bounds what comes out to limit bytes. A second layer inside is left
// as it is. Close releases the decoder and not r.
func Decompress(r io.Reader, limit int64) (rc io.ReadCloser, compression string, err error) {
	br, in := counted(r)
	return decompress(br, in, limit, ratioFloor)
}

// DecompressArchive is [Decompress] for an archive that is read as a stream, whose first GiB may have any ratio, and
// which may be compressed with bzip2 or xz, too.
func DecompressArchive(r io.Reader, limit int64) (io.ReadCloser, error) {
	br, in := counted(r)
	magic, err := br.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte("BZh")):
		return counting(bzip2.NewReader(br), in, limit, archiveFloor, func() {}), nil
	case bytes.Equal(magic, []byte("\xfd7zXZ\x00")):
		zr, err := xz.NewReader(br, maxWindow)
		if err != nil {
			return nil, xzError(err)
		}
		return counting(xzReader{zr}, in, limit, archiveFloor, func() {}), nil
	}
	rc, _, err := decompress(br, in, limit, archiveFloor)
	return rc, err
}

// counted is r, buffered, and the count of what was read of it.
func counted(r io.Reader) (*bufio.Reader, *counter) {
	in := &counter{r: r}
	return bufio.NewReaderSize(in, 64<<10), in
}

// counting bounds what a decoder gives, by limit and by its ratio to in.
func counting(decoder io.Reader, in *counter, limit, floor int64, close func()) io.ReadCloser {
	return &closer{Reader(&ratioReader{r: decoder, in: in, floor: floor}, limit, "decompressed size"), close}
}

func decompress(br *bufio.Reader, in *counter, limit, floor int64) (rc io.ReadCloser, compression string, err error) {
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
		return counting(zr, in, limit, floor, func() { zr.Close() }), Gzip, nil
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		zr, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxWindow))
		if err != nil {
			return nil, Zstd, fmt.Errorf("zstd: %w", err)
		}
		return counting(zr, in, limit, floor, zr.Close), Zstd, nil
	}
	return &closer{Reader(br, limit, "file"), func() {}}, None, nil
}

type xzReader struct{ r *xz.Reader }

func (x xzReader) Read(p []byte) (int, error) {
	n, err := x.r.Read(p)
	return n, xzError(err)
}

// xzError gives the decoder's errors as other decoders have them.
func xzError(err error) error {
	switch err {
	case xz.ErrMemlimit:
		return fmt.Errorf("xz: %w", ErrWindow)
	case xz.ErrBuf:
		return fmt.Errorf("xz: %w", io.ErrUnexpectedEOF)
	}
	return err
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
