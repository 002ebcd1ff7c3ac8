package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/pkgarchive"
)

// ErrUnknown says that a file is neither a zip nor a tar that can be read.
var ErrUnknown = errors.New("neither a zip nor a tar, plain or compressed with gzip, bzip2, xz or zstd")

// Beginnings of files.
var (
	magicZip      = []byte("PK\x03\x04")
	magicEmptyZip = []byte("PK\x05\x06")
	magicGzip     = []byte{0x1f, 0x8b}
	magicBzip2    = []byte("BZh")
	magicZstd     = []byte{0x28, 0xb5, 0x2f, 0xfd}
	magicXZ       = []byte{0xfd, '7', 'z', 'X', 'Z', 0}
)

const headSize = 64 << 10

// Open reads the directory of the archive at, whose size is in bytes. at must stay readable until the tree is closed.
// An archive that is damaged in the middle gives the tree of what stands before that, and a note; the error is for
// one of which nothing could be read.
func Open(ctx context.Context, at io.ReaderAt, size int64, lim Limits) (*Tree, error) {
	lim = lim.withDefaults()
	head := make([]byte, min(size, headSize))
	n, err := at.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, magicZip), bytes.HasPrefix(head, magicEmptyZip):
		return openZipTree(ctx, at, size, lim)
	case isTar(head):
		return openTar(ctx, &window{r: at, size: size}, at, lim)
	case isCompressedTar(head):
		plain, err := bounded.DecompressArchive(io.NewSectionReader(at, 0, size), lim.Bytes)
		if err != nil {
			return nil, err
		}
		defer plain.Close()
		return ReadTar(ctx, plain, lim)
	}
	// Executables may have a zip behind them: self-extracting archives, jars.
	if t, err := openZipTree(ctx, at, size, lim); err == nil {
		return t, nil
	}
	return nil, ErrUnknown
}

// Is reports whether head, the first 64 KiB of a file or all of it, begins a zip or a tar, compressed or not.
func Is(head []byte) bool {
	return bytes.HasPrefix(head, magicZip) || bytes.HasPrefix(head, magicEmptyZip) || isTar(head) || isCompressedTar(head)
}

// isTar recognises a tar by the checksum of its first header (POSIX.1-1988, ustar and what was before it), and an
// empty one by its end marker.
func isTar(head []byte) bool {
	if len(head) < 512 {
		return false
	}
	_, err := tar.NewReader(bytes.NewReader(head)).Next()
	if err == io.EOF {
		return len(head) >= 1024 && bytes.Count(head[:1024], []byte{0}) == 1024
	}
	return err == nil || string(head[257:262]) == "ustar"
}

// isCompressedTar recognises a compressed tar. One whose decoder would need too much memory counts as one: what it is
// nobody will know.
func isCompressedTar(head []byte) bool {
	plain, err := plainHead(head)
	return isTar(plain) || errors.Is(err, bounded.ErrWindow)
}

// plainHead decompresses what it can of the beginning of a file.
func plainHead(head []byte) ([]byte, error) {
	if !slices.ContainsFunc([][]byte{magicGzip, magicBzip2, magicZstd, magicXZ}, func(magic []byte) bool { return bytes.HasPrefix(head, magic) }) {
		return nil, nil
	}
	r, err := bounded.DecompressArchive(bytes.NewReader(head), headSize)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b := make([]byte, 2048)
	n, err := io.ReadFull(r, b) // the head is cut off, so that this may end in an error
	return b[:n], err
}

// ReadTar reads a tar from beginning to end, and keeps its files in a temporary file.
func ReadTar(ctx context.Context, r io.Reader, lim Limits) (*Tree, error) {
	t, err := openTar(ctx, r, nil, lim.withDefaults())
	if err != nil {
		return nil, err
	}
	// The checksum of a compressed stream stands at its end.
	if _, err := io.Copy(io.Discard, bounded.Context(ctx, r)); err != nil && len(t.notes) == 0 {
		t.notes = newBuilder(lim).tree(nil, fmt.Errorf("behind the end of the tar: %w", err)).notes
	}
	if err := ctx.Err(); err != nil {
		_ = t.Close()
		return nil, err
	}
	return t, nil
}

// openTar reads the headers of a tar. Files are read in place if at is not nil, in which case r is an [io.Seeker] over
// it, and are copied otherwise.
func openTar(ctx context.Context, r io.Reader, at io.ReaderAt, lim Limits) (*Tree, error) {
	b := newBuilder(lim)
	var s *spool
	fail := func(err error) (*Tree, error) {
		if s != nil {
			_ = s.close()
		}
		return nil, err
	}
	in := tar.NewReader(r)
	for n := 0; ; n++ {
		if n%256 == 0 && ctx.Err() != nil {
			return fail(ctx.Err())
		}
		h, err := in.Next()
		if err == io.EOF {
			return b.tree(s, nil), nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			if ctx.Err() != nil {
				return fail(ctx.Err())
			}
			return b.tree(s, fmt.Errorf("tar: after %d entries: %w: %w", n, cutOff(err), errFull)), nil
		}
		node, keep := b.node(h)
		if node == nil {
			continue
		}
		if keep {
			sparse := isSparse(h)
			switch {
			case h.Size == 0:
			case sparse && h.Size > lim.File:
				node.err = fmt.Errorf("sparse file: %w", &bounded.LimitError{What: "file", Limit: lim.File})
			case at != nil && !sparse:
				node.at = at
				if node.off, err = r.(io.Seeker).Seek(0, io.SeekCurrent); err != nil {
					return fail(err)
				}
			default:
				if s == nil {
					if s, err = newSpool(lim.Bytes); err != nil {
						return nil, err
					}
				}
				node.at = s.f
				if node.off, err = s.copy(bounded.Context(ctx, in), h.Size); err != nil {
					if ctx.Err() != nil {
						return fail(ctx.Err())
					}
					return b.tree(s, fmt.Errorf("tar: after %d entries: %w: %w", n, cutOff(err), errFull)), nil
				}
			}
		}
		if err := b.add(h.Name, node); err != nil {
			return b.tree(s, err), nil
		}
	}
}

// window reads a tar's headers: those of small files, which stand close to one another, with one read for many.
type window struct {
	r    io.ReaderAt
	size int64
	pos  int64
	buf  []byte // what stands at from
	from int64
}

const windowSize = 64 << 10

func (w *window) Read(p []byte) (int, error) {
	if w.pos >= w.size {
		return 0, io.EOF
	}
	if w.pos < w.from || w.pos >= w.from+int64(len(w.buf)) {
		if w.buf == nil {
			w.buf = make([]byte, windowSize)
		}
		w.buf = w.buf[:min(windowSize, w.size-w.pos)]
		n, err := w.r.ReadAt(w.buf, w.pos)
		if w.buf, w.from = w.buf[:n], w.pos; n == 0 {
			return 0, err
		}
	}
	n := copy(p, w.buf[w.pos-w.from:])
	w.pos += int64(n)
	return n, nil
}

// Seek implements [io.Seeker]; what the buffer has of the place is kept.
func (w *window) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += w.pos
	case io.SeekEnd:
		offset += w.size
	}
	if offset < 0 {
		return 0, errors.New("before the beginning")
	}
	w.pos = offset
	return offset, nil
}

func cutOff(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("cut off")
	}
	return err
}

func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// node makes the node of an entry, nil for one that is none; keep says that it has content.
func (b *builder) node(h *tar.Header) (n *Node, keep bool) {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		return &Node{size: h.Size}, true
	case tar.TypeDir:
		return NewDir(""), false
	case tar.TypeSymlink:
		return &Node{mode: fs.ModeSymlink}, false
	case tar.TypeLink:
		target := path.Clean("/" + h.Linkname)[1:]
		if to := b.root.Find(target); to != nil && to.mode.IsRegular() && to.target == "" {
			c := *to
			return &c, false
		}
		b.links++
		if len(target) > maxDepth*4 {
			target = ""
		}
		return &Node{mode: fs.ModeIrregular, target: strings.Clone(target)}, false
	case tar.TypeChar, tar.TypeBlock:
		return &Node{mode: fs.ModeDevice}, false
	case tar.TypeFifo:
		return &Node{mode: fs.ModeNamedPipe}, false
	case tar.TypeXGlobalHeader:
		return nil, false
	}
	b.unknown++
	return nil, false
}

// maxZipDirectory bounds a zip's directory, in bytes: some hundred bytes for each entry.
const maxZipDirectory = 64 << 20

func openZipTree(ctx context.Context, at io.ReaderAt, size int64, lim Limits) (*Tree, error) {
	z, err := bounded.Zip(at, size, maxZipDirectory)
	if err != nil {
		return nil, err
	}
	starts, odd, err := pkgarchive.Entries(ctx, at, z.File)
	if err != nil {
		return nil, err
	}
	b := newBuilder(lim)
	b.hidden = len(odd)
	for i, f := range z.File {
		name := f.Name
		if !strings.Contains(name, "/") {
			name = strings.ReplaceAll(name, `\`, "/") // what .NET wrote for long
		}
		n := &Node{mode: f.Mode().Type(), size: int64(f.UncompressedSize64), zip: f}
		switch {
		case strings.HasSuffix(name, "/"), n.mode.IsDir():
			n = NewDir("")
		case f.Flags&1 != 0:
			n.err = errors.New("zip: encrypted")
		case n.size < 0, starts[i] < 0:
			n.err = errors.New("zip: the directory and the entry disagree")
		case f.UncompressedSize64 > 1<<20 && f.UncompressedSize64/200 > f.CompressedSize64:
			n.err = bounded.ErrRatio
		case f.Method == zip.Store && f.CompressedSize64 == f.UncompressedSize64:
			n.zip, n.at, n.off = nil, at, starts[i]
		}
		if err := b.add(name, n); err != nil {
			return b.tree(nil, err), nil
		}
	}
	return b.tree(nil, nil), nil
}

// FirstName gives the name of a tar's first entry, "" for what is no tar; plain says that it is not compressed.
func FirstName(at io.ReaderAt) (name string, plain bool) {
	head := make([]byte, headSize)
	n, _ := at.ReadAt(head, 0)
	head = head[:n]
	if plain = isTar(head); !plain {
		if head, _ = plainHead(head); !isTar(head) {
			return "", false
		}
	}
	h, err := tar.NewReader(bytes.NewReader(head)).Next()
	if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
		return "", plain
	}
	return h.Name, plain
}
