package index

import (
	"bytes"
	"crypto/sha256"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// Reuse lets WriteTo take compressed blocks of documents from prev where the new
// snapshot has the same block: compressing is most of the work of writing, and
// between two releases little changes. The bytes that are written are the same
// as without: a snapshot by a program that compresses otherwise is not used. All documents of
// prev are read and verified; their compressed bytes stay in memory until the
// builder is gone. prev may be closed afterwards.
func (b *Builder) Reuse(prev *Index) error {
	blocks, err := prev.docs.load()
	if err != nil {
		return err
	}
	type result struct {
		sum    [sha256.Size]byte
		packed []byte
	}
	results := make([]result, len(blocks))
	workers := min(runtime.GOMAXPROCS(0), max(1, len(blocks)))
	same := make([]bool, workers)
	var g errgroup.Group
	for w := range workers {
		g.Go(func() error {
			dec, err := newDecoder()
			if err != nil {
				return err
			}
			defer dec.Close()
			var buf []byte
			for i := w; i < len(blocks); i += workers {
				packed, raw, err := prev.unpack(blocks[i], dec, buf)
				if err != nil {
					return err
				}
				results[i], buf = result{sha256.Sum256(raw), packed}, raw
				if i == w {
					// Another version of the compressor, or another level, shows at once.
					enc, err := b.encoder()
					if err != nil {
						return err
					}
					same[w] = bytes.Equal(enc.EncodeAll(raw, nil), packed)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, ok := range same {
		if !ok {
			return nil
		}
	}
	b.packed = make(map[[sha256.Size]byte][]byte, len(results))
	for _, r := range results {
		b.packed[r.sum] = r.packed
	}
	return nil
}
