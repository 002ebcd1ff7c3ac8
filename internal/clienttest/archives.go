package clienttest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Member is one of an archive. Type is that of tar, 0 for a file; Content is what a link leads to.
type Member struct {
	Name, Content string
	Type          byte
}

// files are members with the names and contents, in turn.
func files(pairs []string) (all []Member) {
	for f := range slices.Chunk(pairs, 2) {
		all = append(all, Member{Name: f[0], Content: f[1]})
	}
	return all
}

// TarOf is a tar of members.
func TarOf(t testing.TB, members ...Member) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, m := range members {
		h := &tar.Header{Name: m.Name, Mode: 0o644, Typeflag: m.Type}
		if m.Type == 0 || m.Type == tar.TypeReg {
			h.Size = int64(len(m.Content))
		} else {
			h.Linkname = m.Content
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, m.Content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TarGz is a compressed tar of files, name and content in turn.
func TarGz(t testing.TB, pairs ...string) []byte {
	t.Helper()
	return Gzip(TarOf(t, files(pairs)...))
}

// ZipOf is a zip of members, every other of which is not compressed.
func ZipOf(t testing.TB, members ...Member) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := ZipWriter(&buf)
	for i, m := range members {
		h := &zip.FileHeader{Name: m.Name, Method: zip.Deflate}
		if i%2 == 1 {
			h.Method = zip.Store
		}
		if m.Type == tar.TypeSymlink {
			h.SetMode(fs.ModeSymlink | 0o777)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, m.Content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// Zip is a zip of files, name and content in turn.
func Zip(t testing.TB, pairs ...string) []byte {
	t.Helper()
	return ZipOf(t, files(pairs)...)
}

// Gzip is b compressed.
func Gzip(b []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, _ = w.Write(b) // a buffer takes everything
	_ = w.Close()
	return buf.Bytes()
}

// Zstd is b compressed.
func Zstd(b []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err) // of the options, of which there are none
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}
