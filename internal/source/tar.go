package source

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

var zeroBlock [tarBlock]byte

// isTar recognises a POSIX or GNU tar by its first header, and an empty one by
// its end marker.
func isTar(head []byte) bool {
	return len(head) == tarBlock && (bytes.Equal(head[257:262], []byte("ustar")) || bytes.Equal(head, zeroBlock[:]))
}

// tar reads the *.json entries of a tar.
//
// The standard reader takes the end of the data for the end of the archive even
// without the end marker, and never looks behind the marker. Both would hide
// that an archive is cut off or holds more, so both are checked here; reading to
// the very end also verifies the checksum of a compressed archive.
func (e *emitter) tar(br *bufio.Reader) error {
	in := &zeros{r: br}
	tr := tar.NewReader(in)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return fmt.Errorf("tar: after %d entries: %w", e.entries, damaged(err))
		}
		if err := e.tarEntry(tr, h); err != nil {
			return err
		}
	}
	if in.run < tarBlock {
		return fmt.Errorf("tar: after %d entries: the end marker is missing: %w", e.entries, ErrDamaged)
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := br.Read(buf)
		if bytes.Count(buf[:n], []byte{0}) != n {
			return fmt.Errorf("tar: there is data behind the end marker: %w", ErrDamaged)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return damaged(err)
		}
	}
}

func (e *emitter) tarEntry(tr *tar.Reader, h *tar.Header) error {
	if err := e.entry(); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir, tar.TypeXGlobalHeader:
		return nil
	}
	if err := checkName(h.Name); err != nil {
		return e.reject(h.Name, err)
	}
	name := path.Clean(h.Name)
	if err := e.unique(name); err != nil {
		return err
	}
	if h.Typeflag != tar.TypeReg {
		return e.reject(name, fmt.Errorf("%s in an archive", tarType(h.Typeflag)))
	}
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return e.reject(name, errors.New("sparse file in an archive"))
		}
	}
	if !isJSON(name) {
		return nil
	}
	if h.Size > e.lim.Entry {
		return e.reject(name, e.tooLong())
	}
	data := make([]byte, h.Size)
	if _, err := io.ReadFull(tr, data); err != nil {
		return fmt.Errorf("tar: entry %q: %w", name, damaged(err))
	}
	return e.document(name, data)
}

func tarType(flag byte) string {
	switch flag {
	case tar.TypeSymlink:
		return "symbolic link"
	case tar.TypeLink:
		return "hard link"
	case tar.TypeChar, tar.TypeBlock:
		return "device"
	case tar.TypeFifo:
		return "named pipe"
	case tar.TypeGNUSparse:
		return "sparse file"
	}
	return fmt.Sprintf("entry of type %q", flag)
}

// damaged marks the errors of decoders that mean a broken archive.
func damaged(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("cut off: %w", ErrDamaged)
	}
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, tar.ErrFieldTooLong) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// zeros knows how many of the last bytes read were zero.
type zeros struct {
	r   io.Reader
	run int
}

func (z *zeros) Read(p []byte) (int, error) {
	n, err := z.r.Read(p)
	if rest := bytes.TrimRight(p[:n], "\x00"); len(rest) == 0 {
		z.run += n
	} else {
		z.run = n - len(rest)
	}
	return n, err
}
