package clienttest

import (
	"archive/zip"
	"compress/flate"
	"io"
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
