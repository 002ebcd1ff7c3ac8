package publish

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/rapsheet/rapsheet/internal/bucket"
)

// probes is how many entries are compressed again to see whether the program that
// made the release before compresses as this one does.
const probes = 16

// sameCompressor reports whether compressed bytes of the release before may be
// used: the output must not depend on which version of the program made the last one.
func sameCompressor(prev *previous) (bool, error) {
	s := *prev.state // from the beginning, without moving it
	var p bucket.Packer
	for range probes {
		e, err := s.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, err
		}
		packed := make([]byte, e.packed)
		if _, err := prev.zip.ReadAt(packed, int64(e.offset)); err != nil {
			return false, fmt.Errorf("%w: %s: %w", ErrDamaged, bucket.Archive, err)
		}
		doc, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxDocument))
		if err != nil {
			return false, fmt.Errorf("%w: %s: %w", ErrDamaged, bucket.Archive, err)
		}
		again, err := p.Pack(doc)
		if err != nil || !bytes.Equal(again, packed) {
			return false, err
		}
	}
	return true, nil
}

// archive is one archive of the dump in the making.
type archive struct {
	*bucket.Zip
	out *output
}

func newArchive(out *output) *archive { return &archive{bucket.NewZip(out.w), out} }
