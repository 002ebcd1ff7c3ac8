//go:build unix

package source

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

func TestTree(t *testing.T) {
	dir := t.TempDir()
	outside := t.TempDir()
	put := func(root, name, data string) {
		t.Helper()
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(outside, "secret.json", "secret")
	put(dir, "osv/malicious/npm/b/MAL-2.json", rec("MAL-2"))
	put(dir, "osv/malicious/npm/a/MAL-1.json", rec("MAL-1"))
	put(dir, "osv/malicious/.id-allocator", "1")
	put(dir, "README.md", "hi")
	put(dir, ".git/refs/heads/x.json", "deadbeef")
	put(dir, "z/big.json", strings.Repeat("x", 2000))
	put(dir, "all.zip", string(zipOf(t, entry{name: "MAL-9.json", body: rec("MAL-9")})))
	for link, target := range map[string]string{
		"c/loop":      "..",
		"c/out":       outside,
		"c/link.json": filepath.Join(outside, "secret.json"),
		"c/in.json":   "../osv/malicious/npm/a/MAL-1.json",
		"c/readme":    "../README.md",
	} {
		if err := os.MkdirAll(filepath.Join(dir, "c"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "c/pipe.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := []string{"!c/in.json", "!c/link.json", "!c/loop", "!c/out", "!c/pipe.json",
		"osv/malicious/npm/a/MAL-1.json", "osv/malicious/npm/b/MAL-2.json", "!z/big.json"}
	for range 2 { // the same every time
		g := read(t, dir, Limits{Entry: 1000})
		g.want(t, want...)
		if g.data["osv/malicious/npm/a/MAL-1.json"] != rec("MAL-1") {
			t.Error("wrong data")
		}
	}
	read(t, dir, Limits{Entries: 5}).fails(t, ErrTooManyEntries)
	read(t, dir, Limits{Depth: 3}).want(t, append(slices.Clone(want[:5]), "!osv/malicious/npm/a", "!osv/malicious/npm/b", "z/big.json")...)
	read(t, t.TempDir(), Limits{}).fails(t, ErrNoRecords)
	var limit *bounded.LimitError
	if g := read(t, dir, Limits{Total: 100}); !errors.As(g.err, &limit) {
		t.Errorf("error is %v, want the limit of the sum", g.err)
	}
}

// TestHelperLimited is the process of TestWritesFail that cannot write large files.
func TestHelperLimited(t *testing.T) {
	base, dir, ok := strings.Cut(os.Getenv("RAPSHEET_TEST_LIMITED"), " ")
	if !ok {
		t.Skip("only run by TestWritesFail")
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = 8 << 10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	for _, opt := range []Options{{}, {Full: true}} {
		if _, err := client(base, "npm").Update(t.Context(), dir, opt); !errors.Is(err, syscall.EFBIG) {
			t.Errorf("error is %v", err)
		}
	}
}

func TestWritesFail(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 3,000 records until a process may write no more")
	}
	d := newDump(t)
	for i := range 3000 { // more than the limit, compressed
		d.put("npm", fmt.Sprintf("MAL-2024-%d", i), day, fmt.Sprintf(`"aliases":["%x"],`, crc32.ChecksumIEEE([]byte(fmt.Sprint(i)))))
	}
	d.publish()
	dir := t.TempDir()
	mustUpdate(t, client(d.dir, "npm"), dir, Options{})
	before := snapshot(t, dir)
	d.put("npm", "MAL-2025-31", day.Add(99*time.Hour), "")
	d.publish()
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperLimited$")
	cmd.Env = append(os.Environ(), "RAPSHEET_TEST_LIMITED="+d.dir+" "+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	same(t, dir, before)
	mustUpdate(t, client(d.dir, "npm"), dir, Options{})
	d.holds(dir, "npm")
}
