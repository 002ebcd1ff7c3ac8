package publish

import (
	"fmt"
	"os"
	"syscall"
	"testing"
)

// A list may name ecosystems as it likes ("Debian:11", "Debian:12", …): they cost no open file each.
func TestOpenFiles(t *testing.T) {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	var list []Record
	for i := range 400 {
		list = append(list, rec(t, fmt.Sprintf("MAL-0000-acme-%03d", i+1), fmt.Sprintf("Debian:%d", i+1), "x"))
	}
	for i := range list {
		list[i].Upstream = true
	}
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	few := was
	few.Cur = uint64(len(open)) + 150
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was)
	dir := t.TempDir()
	res := mustPublish(t, dir, release(1, list), Options{})
	if res.Manifest.Upstream.Files != 400 {
		t.Errorf("%d reports for upstream", res.Manifest.Upstream.Files)
	}
	// And again, from the release before.
	list[0] = rec(t, "MAL-0000-acme-001", "Debian:1", "x", modified("2026-03-01T00:00:00Z"))
	list[0].Upstream = true
	mustPublish(t, dir, release(2, list), Options{})
}
