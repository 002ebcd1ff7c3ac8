package clienttest

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"testing"
)

// ZipWriter writes a zip with one compressor for all of its entries, which must be written one after the other.
// archive/zip keeps compressors, of a megabyte each, in a sync.Pool, which under the race detector throws every
// fourth away: a zip of 40,000 entries took a minute.
func ZipWriter(w io.Writer) *zip.Writer {
	var compressor *flate.Writer
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) {
		if compressor != nil {
			compressor.Reset(out)
			return compressor, nil
		}
		var err error
		compressor, err = flate.NewWriter(out, 5) // the level of archive/zip
		return compressor, err
	})
	return z
}

// Zip is an archive of files, name and content in turn.
func Zip(t testing.TB, files ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := ZipWriter(&buf)
	for i := 0; i+1 < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, files[i+1])
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
