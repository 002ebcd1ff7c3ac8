package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// onlyFile fails unless dir holds exactly one file, named name with content want.
func onlyFile(t *testing.T, dir, name, want string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != name {
			t.Errorf("left behind: %s", e.Name())
		}
	}
	got, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("content is %.40q, want %.40q", got, want)
	}
}

func put(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, s := range []string{"one", "", strings.Repeat("x", 3*bufferSize+1)} {
		if err := Write(path, 0o600, put(s)); err != nil {
			t.Fatal(err)
		}
		onlyFile(t, dir, "f", s)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, want 0600", info.Mode())
	}
}

func TestWriteLongName(t *testing.T) {
	dir := t.TempDir()
	name := strings.Repeat("n", 255)
	if err := Write(filepath.Join(dir, name), 0o644, put("x")); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, dir, name, "x")
}

func TestFailureKeepsTarget(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		name string
		fill func(io.Writer) error
	}{
		{"at once", func(io.Writer) error { return boom }},
		{"after some bytes", func(w io.Writer) error { _, _ = io.WriteString(w, "new"); return boom }},
		{"after a full buffer", func(w io.Writer) error { _, _ = w.Write(make([]byte, 2*bufferSize)); return boom }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
			err := Write(path, 0o644, tt.fill)
			if !errors.Is(err, boom) || !strings.Contains(err.Error(), path) {
				t.Errorf("error is %v, want boom with the path", err)
			}
			onlyFile(t, dir, "f", "old")
		})
	}
}

func TestPanicKeepsTarget(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = Write(path, 0o644, func(io.Writer) error { panic("boom") })
	}()
	onlyFile(t, dir, "f", "old")
}

func TestTargetIsDirectory(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	err := Write(path, 0o644, put("x"))
	if err == nil || strings.Contains(err.Error(), tempSuffix) {
		t.Errorf("error is %v, want one that does not name the temporary file", err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestMissingDirectory(t *testing.T) {
	err := Write(filepath.Join(t.TempDir(), "no", "f"), 0o644, put("x"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v, want not exist", err)
	}
	for _, path := range []string{"", ".", "..", "a/"} {
		if _, err := Create(path, 0o644); err == nil {
			t.Errorf("Create(%q) made a file", path)
		}
	}
}

func TestSymlinkIsReplaced(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "f")
	if err := os.Symlink(other, path); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	if err := Write(path, 0o644, put("new")); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, dir, "f", "new")
	if got, _ := os.ReadFile(other); string(got) != "other" {
		t.Errorf("the link's target was written: %q", got)
	}
}

func TestRandomAccess(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	f, err := Create(path, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Abort()
	if _, err := f.Write([]byte("header....")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("body"), 10); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(6, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("1234")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 14)
	if _, err := f.ReadAt(b, 0); err != nil || string(b) != "header1234body" {
		t.Errorf("read back %q, %v", b, err)
	}
	if _, err := f.ReadAt(b, 1); err != io.EOF {
		t.Errorf("error at the end is %v, want io.EOF", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the target is there before Commit")
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	f.Abort()
	onlyFile(t, dir, "f", "header1234body")
	if err := f.Commit(); err == nil {
		t.Error("a second Commit passed")
	}
}

func TestAbort(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Create(path, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	f.Abort()
	f.Abort()
	onlyFile(t, dir, "f", "old")
	if err := f.Commit(); err == nil {
		t.Error("Commit after Abort passed")
	}
}

func TestIsTemp(t *testing.T) {
	f, err := Create(filepath.Join(t.TempDir(), "state.json"), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Abort()
	for name, want := range map[string]bool{
		filepath.Base(f.f.Name()): true,
		"state.json":              false,
		".other.json.X.tmp":       false,
		"notes.tmp":               false,
	} {
		if got := IsTemp(name, "state.json"); got != want {
			t.Errorf("IsTemp(%q) is %v", name, got)
		}
	}
}
