package catalog

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/internal/store"
)

// spool is a fetch at rest: the documents of a source in a temporary file, so that the network and the
// store's writer are never waited for at the same time, and an update that an engine repeats reads
// the same again.
type spool struct {
	file    *os.File
	size    int64
	count   int
	rejects []*source.Reject
	// digest is over names and contents in their order, rejects included.
	digest store.Digest
	cursor string
}

// FetchError says that a source could not be read as a whole; nothing of it was taken. Its text is that of
// the error it wraps.
type FetchError struct {
	Source string
	Err    error
}

func (e *FetchError) Error() string { return e.Err.Error() }
func (e *FetchError) Unwrap() error { return e.Err }

// fetch spools everything that a source gives since a cursor.
func fetch(ctx context.Context, src source.Source, since string, progress func(documents int)) (sp *spool, err error) {
	f, err := os.CreateTemp("", "rapsheet-import-*")
	if err != nil {
		return nil, fmt.Errorf("room for what is fetched: %w", err)
	}
	sp = &spool{file: f}
	defer func() {
		if err != nil {
			sp.Close()
			sp = nil
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	sum := sha256.New()
	info := src.Info()
	for doc, err := range src.Fetch(ctx, since) {
		var r *source.Reject
		switch {
		case errors.As(err, &r):
			sp.rejects = append(sp.rejects, r)
			sum.Write([]byte(r.Error()))
			continue
		case err != nil:
			return sp, &FetchError{info.Name, err}
		}
		var head [16]byte
		binary.LittleEndian.PutUint64(head[:8], uint64(len(doc.Name)))
		binary.LittleEndian.PutUint64(head[8:], uint64(len(doc.Data)))
		for _, b := range [][]byte{head[:], []byte(doc.Name), doc.Data} {
			sum.Write(b)
			if _, err := w.Write(b); err != nil {
				return sp, fmt.Errorf("spooling what is fetched: %w", err)
			}
			sp.size += int64(len(b))
		}
		sp.count++
		if progress != nil && sp.count%1024 == 0 {
			progress(sp.count)
		}
	}
	if err := w.Flush(); err != nil {
		return sp, fmt.Errorf("spooling what is fetched: %w", err)
	}
	sum.Sum(sp.digest[:0])
	sp.cursor = src.Cursor()
	return sp, nil
}

// documents reads the spool from its beginning.
func (sp *spool) documents() iter.Seq2[source.Document, error] {
	return func(yield func(source.Document, error) bool) {
		r := bufio.NewReaderSize(io.NewSectionReader(sp.file, 0, sp.size), 1<<20)
		for range sp.count {
			doc, err := readSpooled(r)
			if err != nil {
				yield(source.Document{}, fmt.Errorf("reading back what was fetched: %w", err))
				return
			}
			if !yield(doc, nil) {
				return
			}
		}
	}
}

func readSpooled(r io.Reader) (source.Document, error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return source.Document{}, err
	}
	name := make([]byte, binary.LittleEndian.Uint64(head[:8]))
	if _, err := io.ReadFull(r, name); err != nil {
		return source.Document{}, err
	}
	data := make([]byte, binary.LittleEndian.Uint64(head[8:]))
	if _, err := io.ReadFull(r, data); err != nil {
		return source.Document{}, err
	}
	return source.Document{Name: string(name), Data: data}, nil
}

// Close removes the file.
func (sp *spool) Close() {
	sp.file.Close()
	os.Remove(sp.file.Name())
}
