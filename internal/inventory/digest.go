package inventory

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/bounded"
)

// spoolMemory is the size up to which [File.Random] keeps what it cannot read in place in memory.
const spoolMemory = 16 << 20

// Random gives the content for reading anywhere, as zip needs it, and its size in bytes. Content that can
// only be read from beginning to end is kept in memory, or in a temporary file if there is much of it.
// The caller calls done when it is finished. R must not have been read.
func (in *File) Random(ctx context.Context) (at io.ReaderAt, size int64, done func(), err error) {
	if in.at != nil {
		return bounded.ContextAt(ctx, in.at), in.Size, func() {}, nil
	}
	var head bytes.Buffer
	n, err := io.Copy(&head, io.LimitReader(in.R, spoolMemory))
	if err != nil {
		return nil, 0, nil, err
	}
	if n < spoolMemory {
		return bytes.NewReader(head.Bytes()), n, func() {}, nil
	}
	f, err := os.CreateTemp("", "rapsheet-*")
	if err != nil {
		return nil, 0, nil, fmt.Errorf("no temporary file: %w", err)
	}
	done = func() {
		f.Close()
		_ = os.Remove(f.Name()) // a temporary file left over is no reason to fail
	}
	size, err = io.Copy(f, io.MultiReader(&head, in.R))
	if err != nil {
		done()
		return nil, 0, nil, err
	}
	return bounded.ContextAt(ctx, f), size, done, nil
}

// ContentDigests are the digests of the content itself, see [File.Digests]. R must not have been read.
func (in *File) ContentDigests(ctx context.Context) ([]rapsheet.Digest, error) {
	if !in.Hash {
		return nil, nil
	}
	at, size, done, err := in.Random(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return in.Digests(at, size)
}

// Digests reads size bytes of at and gives the digests that records are known to use: MD5, SHA-1, SHA-256 and
// SHA-512. It gives none, and reads nothing, where in.Hash is false.
func (in *File) Digests(at io.ReaderAt, size int64) ([]rapsheet.Digest, error) {
	if !in.Hash {
		return nil, nil
	}
	names := []string{"md5", "sha1", "sha256", "sha512"}
	sums := []hash.Hash{md5.New(), sha1.New(), sha256.New(), sha512.New()}
	var all []io.Writer
	for _, h := range sums {
		all = append(all, h)
	}
	r := bounded.Reader(io.NewSectionReader(at, 0, size), size, "file")
	if _, err := io.Copy(io.MultiWriter(all...), r); err != nil {
		return nil, err
	}
	var out []rapsheet.Digest
	for i, h := range sums {
		out = append(out, rapsheet.Digest{Algorithm: names[i], Hex: hex.EncodeToString(h.Sum(nil))})
	}
	return out, nil
}
