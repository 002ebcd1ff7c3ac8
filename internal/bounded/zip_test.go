package bounded_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

// A directory takes 46 bytes for each entry, and its name (APPNOTE.TXT, 4.3.12).
func TestZip(t *testing.T) {
	content := bytes.Repeat([]byte("content "), 1<<15)
	pack := func(entries int) []byte {
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		for i := range entries {
			f, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("%0154d", i)})
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				f.Write(content)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	broken := errors.New("broken")
	for _, tt := range []struct {
		name    string
		at      io.ReaderAt
		size    int
		limit   int64
		entries int
		err     error // nil: none
	}{
		{name: "empty", at: bytes.NewReader(pack(0)), size: len(pack(0)), limit: 64 << 10},
		{name: "less than the content", at: bytes.NewReader(pack(1)), size: len(pack(1)), limit: 64 << 10, entries: 1},
		{name: "200,000 of 256 KiB", at: bytes.NewReader(pack(1000)), size: len(pack(1000)), limit: 256 << 10, entries: 1000},
		{name: "200,000 of 190,000", at: bytes.NewReader(pack(1000)), size: len(pack(1000)), limit: 190_000, err: &bounded.LimitError{}},
		{name: "not even its end", at: bytes.NewReader(pack(0)), size: len(pack(0)), limit: 5, err: &bounded.LimitError{}},
		{name: "no zip", at: strings.NewReader(strings.Repeat("x", 5000)), size: 5000, limit: 256 << 10, err: zip.ErrFormat},
		{name: "broken", at: brokenAt{broken}, size: 5000, limit: 256 << 10, err: broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			z, err := bounded.Zip(tt.at, int64(tt.size), tt.limit)
			var limit *bounded.LimitError
			if errors.As(tt.err, &limit) {
				if z != nil || !errors.As(err, &limit) || limit.Limit != tt.limit {
					t.Errorf("error %v, want one of the limit", err)
				}
				return
			}
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if tt.err != nil {
				return
			}
			if len(z.File) != tt.entries {
				t.Errorf("%d entries, want %d", len(z.File), tt.entries)
			}
			if tt.entries == 0 {
				return
			}
			r, err := z.File[0].Open()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
				t.Errorf("got %d bytes of an entry and %v, want %d", len(got), err, len(content))
			}
		})
	}
}

type brokenAt struct{ err error }

func (b brokenAt) ReadAt([]byte, int64) (int, error) { return 0, b.err }
