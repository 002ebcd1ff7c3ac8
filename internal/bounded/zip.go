package bounded

import (
	"archive/zip"
	"io"
)

// Zip is [zip.NewReader] for a zip that nobody vouches for: it reads up to limit bytes of at to list the entries, each of
// which takes 46 and its name, and fails with a *[LimitError] past that. What is read afterwards, of the entries
// themselves, is not limited, and may be read concurrently if at may.
func Zip(at io.ReaderAt, size, limit int64) (*zip.Reader, error) {
	dir := &directory{at: at, left: limit, err: &LimitError{What: "the zip's directory", Limit: limit}}
	z, err := zip.NewReader(dir, size)
	if dir.left < 0 {
		return nil, dir.err // package zip may have put another in its place
	}
	dir.listed = true
	return z, err
}

// directory is a zip, of which up to left bytes are read until it is listed.
type directory struct {
	at     io.ReaderAt
	left   int64
	err    *LimitError
	listed bool
}

func (d *directory) ReadAt(p []byte, off int64) (int, error) {
	if !d.listed {
		if d.left -= int64(len(p)); d.left < 0 {
			return 0, d.err
		}
	}
	return d.at.ReadAt(p, off)
}
