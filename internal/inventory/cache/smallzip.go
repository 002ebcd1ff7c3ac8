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
	z, err := bounded.Zip(at, size, maxZipDirectory)
	if errors.As(err, new(*bounded.LimitError)) {
		return nil, errors.New("a zip with too many files to list")
	}
	if err != nil {
		return nil, errors.New("not a valid zip file")
	}
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

// hexDigits reports whether s is of lower-case hexadecimal digits.
func hexDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}
