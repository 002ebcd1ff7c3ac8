package bounded_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"

	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/clienttest"
)

func TestReader(t *testing.T) {
	for _, tt := range []struct {
		size, limit int
		fails       bool
	}{
		{0, 0, false}, {0, 5, false}, {4, 5, false}, {5, 5, false}, {6, 5, true}, {1, 0, true}, {100_000, 5, true},
	} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r },
			"byte":  iotest.OneByteReader,
			"half":  iotest.HalfReader,
			"eof":   iotest.DataErrReader,
		} {
			in := strings.Repeat("x", tt.size)
			got, err := bounded.ReadAll(wrap(strings.NewReader(in)), int64(tt.limit), "thing")
			var limit *bounded.LimitError
			if errors.As(err, &limit) != tt.fails || !tt.fails && err != nil {
				t.Errorf("%s: %d bytes with a limit of %d: %v", name, tt.size, tt.limit, err)
			}
			if want := in[:min(tt.size, tt.limit)]; string(got) != want {
				t.Errorf("%s: %d bytes with a limit of %d: got %d", name, tt.size, tt.limit, len(got))
			}
			if tt.fails && (limit.Limit != int64(tt.limit) || limit.What != "thing") {
				t.Errorf("%s: %+v", name, limit)
			}
		}
	}
}

// The limit stays hit: a reader that ignores the error gets nothing more.
func TestReaderStaysClosed(t *testing.T) {
	r := bounded.Reader(strings.NewReader("abcdef"), 3, "thing")
	buf := make([]byte, 10)
	r.Read(buf)
	if n, err := r.Read(buf); n != 0 || err == nil {
		t.Errorf("read %d bytes after the limit, %v", n, err)
	}
}

func TestDecompress(t *testing.T) {
	text := []byte(`{"bomFormat":"CycloneDX"}`)
	zeros := make([]byte, 8<<20)
	for _, tt := range []struct {
		name  string
		in    []byte
		limit int64
		kind  string
		want  []byte // of what comes out; nil when only the error counts
		err   error  // nil: none
	}{
		{"plain", text, 1 << 20, bounded.None, text, nil},
		{"empty", nil, 1 << 20, bounded.None, []byte{}, nil},
		{"gzip", clienttest.Gzip(text), 1 << 20, bounded.Gzip, text, nil},
		{"zstd", clienttest.Zstd(text), 1 << 20, bounded.Zstd, text, nil},
		// C70: one layer only.
		{"C70 gzip in gzip", clienttest.Gzip(clienttest.Gzip(text)), 1 << 20, bounded.Gzip, clienttest.Gzip(text), nil},
		{"gzip cut off", clienttest.Gzip(text)[:20], 1 << 20, bounded.Gzip, nil, io.ErrUnexpectedEOF},
		// B44, B45: flat bombs. The ratio counts only past a mebibyte of output.
		{"B44 gzip of zeros", clienttest.Gzip(zeros), 1 << 30, bounded.Gzip, nil, bounded.ErrRatio},
		{"B45 zstd of zeros", clienttest.Zstd(zeros), 1 << 30, bounded.Zstd, nil, bounded.ErrRatio},
		{"small and dense", clienttest.Gzip(zeros[:1<<19]), 1 << 30, bounded.Gzip, zeros[:1<<19], nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, kind, err := bounded.Decompress(bytes.NewReader(tt.in), tt.limit)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			got, err := io.ReadAll(r)
			if kind != tt.kind {
				t.Errorf("told as %q, want %q", kind, tt.kind)
			}
			if !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if tt.want != nil && !bytes.Equal(got, tt.want) {
				t.Errorf("got %d bytes, want %d", len(got), len(tt.want))
			}
		})
	}
}

// The limit is on what comes out, for every compression.
func TestDecompressLimit(t *testing.T) {
	text := []byte(strings.Repeat("0123456789abcdef", 100))
	for name, in := range map[string][]byte{"plain": text, "gzip": clienttest.Gzip(text), "zstd": clienttest.Zstd(text)} {
		r, _, err := bounded.Decompress(bytes.NewReader(in), 1000)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		r.Close()
		var limit *bounded.LimitError
		if !errors.As(err, &limit) || limit.Limit != 1000 || len(got) != 1000 {
			t.Errorf("%s: %d bytes and %v", name, len(got), err)
		}
	}
}

// zeros gives that many bytes, one GiB of which is as cheap as one.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), z.left))
	clear(p[:n])
	z.left -= int64(n)
	return n, nil
}

// bzip2Text is "abc" by bzip2 1.0.8, and xzText "hello" by xz 5.4 with the filter for x86 and a SHA-256.
const (
	bzip2Text = "QlpoOTFBWSZTWWSMu3MAAAABADgAIAAhmBmEYXckU4UJBkjLtzA="
	xzText    = "/Td6WFoAAArh+wyhAgEEACEBFgANhjUfAQAEaGVsbG8AAAAALPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQAATUFEoPd8hibS5oBAAAAAApZWg=="
)

func unbase64(tb testing.TB, s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestDecompressArchive(t *testing.T) {
	text := []byte("hello")
	stored := clienttest.XZ(text, 22)
	damaged := bytes.Clone(unbase64(t, xzText))
	damaged[len(damaged)-40] ^= 1 // in the checksum, behind which are the index and the end
	for _, tt := range []struct {
		name string
		in   []byte
		want string
		err  error // nil: none
	}{
		{"plain", text, "hello", nil},
		{"gzip", clienttest.Gzip(text), "hello", nil},
		{"bzip2", unbase64(t, bzip2Text), "abc", nil},
		{"xz", unbase64(t, xzText), "hello", nil},
		{"xz, uncompressed", stored, "hello", nil},
		{"xz, several streams and padding", slices.Concat(stored, stored, make([]byte, 8), stored), "hellohellohello", nil},
		{"xz, an empty stream", clienttest.XZ(nil, 22), "", nil},
		{"xz in xz", clienttest.XZ(stored, 22), string(stored), nil},
		{"xz with the largest window that is read", clienttest.XZ(text, 30), "hello", nil},
		{"xz with a larger one", clienttest.XZ(text, 31), "", bounded.ErrWindow},
		{"xz with one of 4 GiB in its second stream", slices.Concat(stored, clienttest.XZ(text, 40)), "hello", bounded.ErrWindow},
		{"xz cut off", stored[:26], "", io.ErrUnexpectedEOF},
		{"xz without its end", stored[:len(stored)-2], "hello", io.ErrUnexpectedEOF},
		{"xz damaged", damaged, "hello", xz.ErrData},
		{"xz with something behind it", slices.Concat(stored, []byte("something else altogether")), "hello", xz.ErrFormat},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []byte
			r, err := bounded.DecompressArchive(bytes.NewReader(tt.in), 100)
			if err == nil {
				defer r.Close()
				got, err = io.ReadAll(r)
			}
			if string(got) != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%q and %v, want %q and %v", got, err, tt.want, tt.err)
			}
		})
	}
	if _, err := bounded.DecompressArchive(bytes.NewReader([]byte("\xfd7zXZ\x00")), 100); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("nothing but the magic number: %v", err)
	}
}

// An archive may begin with more zeros than a document may have, and is no endless one for that.
func TestDecompressArchiveRatio(t *testing.T) {
	if testing.Short() {
		t.Skip("more than a gibibyte")
	}
	pack := func(n int64) []byte {
		var out bytes.Buffer
		w, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, &zeros{n}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	const floor = 1 << 30
	for _, tt := range []struct {
		size int64
		err  error
	}{{64 << 20, nil}, {floor, nil}, {floor + 64<<20, bounded.ErrRatio}} {
		r, err := bounded.DecompressArchive(bytes.NewReader(pack(tt.size)), 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, r)
		r.Close()
		if !errors.Is(err, tt.err) || n > floor+1<<20 || err == nil && n != tt.size {
			t.Errorf("%d bytes: %d and %v, want %v", tt.size, n, err, tt.err)
		}
	}
}

func FuzzDecompress(f *testing.F) {
	f.Add([]byte("plain"))
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff})
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x04, 0, 9, 0, 0, 'a'})
	f.Add(clienttest.XZ([]byte("a"), 22))
	f.Add(unbase64(f, xzText))
	f.Add(unbase64(f, bzip2Text))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := bounded.DecompressArchive(bytes.NewReader(b), 1<<16)
		if err != nil {
			return
		}
		defer r.Close()
		if n, _ := io.Copy(io.Discard, r); n > 1<<16 {
			t.Errorf("%d bytes past a limit of %d", n, 1<<16)
		}
	})
}
