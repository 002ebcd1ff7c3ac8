package archive

import (
	"bytes"
	"io"
	"os"
	"syscall"
	"testing"
)

// What is kept of zeros takes no space, and is read as zeros.
func TestSpoolHoles(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s, err := newSpool(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	var want []byte
	for _, part := range [][]byte{[]byte("begin"), make([]byte, 8<<20), []byte("end"), make([]byte, 100), make([]byte, 4<<20)} {
		off, err := s.copy(bytes.NewReader(part), int64(len(part)))
		if err != nil || off != int64(len(want)) {
			t.Fatalf("%d, %v", off, err)
		}
		want = append(want, part...)
	}
	got, err := io.ReadAll(io.NewSectionReader(s.f, 0, s.size))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d are the same, %v", len(got), len(want), err)
	}
	st, err := s.f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if used := st.Sys().(*syscall.Stat_t).Blocks * 512; used > 1<<20 {
		t.Errorf("%d bytes on disk", used)
	}
	if _, err := s.copy(bytes.NewReader([]byte("short")), 10); err != io.EOF && err != io.ErrUnexpectedEOF {
		t.Errorf("cut off: %v", err)
	}
	if _, err := os.Stat(s.f.Name()); err == nil {
		t.Error("it still has a name")
	}
}
