package pkgarchive_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/pkgarchive"
)

// stored is a zip whose entries are not compressed and have no data descriptors, as zip(1) writes them.
func stored(t *testing.T, files ...clienttest.Member) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, f := range files {
		m, err := w.CreateRaw(&zip.FileHeader{Name: f.Name, Method: zip.Store, CompressedSize64: uint64(len(f.Content)), UncompressedSize64: uint64(len(f.Content))})
		if err != nil {
			t.Fatal(err)
		}
		m.Write([]byte(f.Content))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// moved is a zip with something put in at a byte, and the directory changed to that.
func moved(data []byte, at int, what string) []byte {
	out := slices.Concat(data[:at], []byte(what), data[at:])
	dir := bytes.Index(out, []byte("PK\x01\x02"))
	end := bytes.LastIndex(out, []byte("PK\x05\x06"))
	binary.LittleEndian.PutUint32(out[end+16:], uint32(dir))
	for p := dir; p < end && string(out[p:p+4]) == "PK\x01\x02"; {
		if off := binary.LittleEndian.Uint32(out[p+42:]); int(off) >= at {
			binary.LittleEndian.PutUint32(out[p+42:], off+uint32(len(what)))
		}
		le := binary.LittleEndian
		p += 46 + int(le.Uint16(out[p+28:])) + int(le.Uint16(out[p+30:])) + int(le.Uint16(out[p+32:]))
	}
	return out
}

// The directory of a zip says other things than the headers of its entries.
func TestEntries(t *testing.T) {
	files := []clienttest.Member{file("a-1.dist-info/METADATA", "Name: a\nVersion: 1\n"), file("a.py", "import b"), file("b.py", "b")}
	plain, streamed := stored(t, files...), clienttest.ZipOf(t, files...)
	header := func(data []byte, n int) int {
		at := 0
		for range n {
			at += 4 + bytes.Index(data[at+4:], []byte("PK\x03\x04"))
		}
		return at
	}
	hidden := stored(t, file("evil.py", "import os"))
	hidden = hidden[:bytes.Index(hidden, []byte("PK\x01\x02"))]
	behind := bytes.Index(plain, []byte("PK\x01\x02"))
	changed := func(at int, b ...byte) []byte {
		out := bytes.Clone(plain)
		copy(out[at:], b)
		return out
	}
	for _, tt := range []struct {
		name string
		data []byte
		odd  []int
	}{
		{"plain", plain, nil},
		{"with data descriptors", streamed, nil},
		{"empty", stored(t), nil},
		{"behind a program", moved(plain, 0, "#!/bin/sh\nexit\n"), nil},
		{"with padding", moved(plain, header(plain, 1), strings.Repeat("\x00", 50)), nil},
		{"another name", changed(header(plain, 1)+30, 'e', '.', 'p', 'y'), []int{1}},
		{"a shorter name", changed(header(plain, 1)+26, 3), []int{1}},
		{"another size", changed(header(plain, 1)+18, 2), []int{1}},
		{"an entry more at the beginning", moved(plain, 0, string(hidden)), []int{0}},
		{"an entry more in the middle", moved(plain, header(plain, 1), string(hidden)), []int{1}},
		{"an entry more behind a data descriptor", moved(streamed, header(streamed, 2), string(hidden)), []int{2}},
		{"an entry more at the end", moved(plain, behind, string(hidden)), []int{3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := bytes.NewReader(tt.data)
			z, err := zip.NewReader(at, at.Size())
			if err != nil {
				t.Fatal(err)
			}
			starts, odd, err := pkgarchive.Entries(t.Context(), at, z.File)
			if err != nil || !slices.Equal(odd, tt.odd) || len(starts) != len(z.File) {
				t.Errorf("odd %v, want %v; %d of %d starts, %v", odd, tt.odd, len(starts), len(z.File), err)
			}
			found, err := pkgarchive.Read(t.Context(), at, at.Size(), "a-1-py3-none-any.whl")
			if told := slices.ContainsFunc(found.Unread, func(s string) bool { return strings.Contains(s, pkgarchive.ErrHidden.Error()) }); err != nil || told != (tt.odd != nil) {
				t.Errorf("unread %q, %v", found.Unread, err)
			}
		})
	}
}

// The archives of RAPSHEET_ARCHIVES, a directory, are as their writers made them: nothing hides in them.
func TestRealEntries(t *testing.T) {
	root := os.Getenv("RAPSHEET_ARCHIVES")
	if root == "" {
		t.Skip("RAPSHEET_ARCHIVES names no directory")
	}
	n := 0
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !slices.Contains([]string{".jar", ".whl", ".zip", ".nupkg", ".vsix"}, filepath.Ext(name)) {
			return nil
		}
		f, err := os.Open(name)
		if err != nil {
			return nil
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return err
		}
		z, err := zip.NewReader(f, st.Size())
		if errors.Is(err, zip.ErrFormat) {
			return nil
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return nil
		}
		n++
		if _, odd, err := pkgarchive.Entries(t.Context(), f, z.File); err != nil || odd != nil {
			t.Errorf("%s: %v, %v", name, odd, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d archives", n)
}
