package cache

import (
	"archive/zip"
	"errors"
	"io"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

// maxZipDirectory bounds what is read to list a zip, in bytes; an entry takes 46 and its name.
const maxZipDirectory = 8 << 20

// zipFile is an entry of a zip.
type zipFile = zip.File

// listZip lists the entries of a zip of that size. Names in it are data.
func listZip(at io.ReaderAt, size int64) ([]*zipFile, error) {
	limited := &listingAt{at: at, left: maxZipDirectory}
	z, err := zip.NewReader(limited, size)
	if err != nil {
		if limited.left < 0 {
			return nil, errZipDirectory
		}
		return nil, errors.New("not a valid zip file")
	}
	limited.open = true // entries are read one by one, within limits of their own
	return z.File, nil
}

// readZipped reads an entry of up to limit bytes.
func readZipped(f *zipFile, limit int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, errors.New("not a valid zip file")
	}
	defer r.Close()
	return bounded.ReadAll(r, limit, "file in the archive")
}

var errZipDirectory = errors.New("a zip with too many files to list")

// listingAt reads no more than left bytes until it is open. It is for one goroutine.
type listingAt struct {
	at   io.ReaderAt
	left int64
	open bool
}

func (l *listingAt) ReadAt(p []byte, off int64) (int, error) {
	if !l.open {
		if l.left -= int64(len(p)); l.left < 0 {
			return 0, errZipDirectory
		}
	}
	return l.at.ReadAt(p, off)
}

// hexDigits reports whether s is of lower-case hexadecimal digits.
func hexDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}
