package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/archive"
	"github.com/rapsheet/rapsheet/internal/inventory/installed"
	"github.com/rapsheet/rapsheet/internal/inventory/lockfile"
)

func kinds() []inventory.Kind {
	return slices.Concat(installed.Kinds(), lockfile.Kinds(), archive.Kinds())
}

type entry = clienttest.Member

// bzip2Tar is a tar with one package-lock.json, by Python's tarfile and bz2: Go cannot write it.
const bzip2Tar = "QlpoOTFBWSZTWemcnpIAAJHfgsyAUAfvEAAAgQDvv98KAgAICCAAlIaTVPUe1Jk0DTxNQA09qTygSSpibUxMQwgYTINML49WYEGb4gRy+c3DRO3oEMFEr25cZD73zH2c/scPaOaCgLjBCRkIaIWE7gcnmiAM2BklG0Z54BhZLlT01qOE4iMwFpPBdxHcPFLbBXVfEBRW9H1T95Gg9akg2F3JFOFCQ6Zyekg="

// xzTar is the same by xz 5.4, and xzZeros a MiB of zeros by xz -6 --check=none.
const (
	xzTar   = "/Td6WFoAAArh+wyhAgAhARYAAAB0L+Wj4Av/AMZdADgYSJnNF3UkWhiGGgNVOA15waWe3OAGKw3s0H02oesAQGby/34mK2+WvLZ0s0VEqkT48l02okbgGHlJ+GvhnFGpU4QCxlJP4g8N1/jhimJM9pAZmyweM8V+A29BofKOer5hTHuz8shCQcsAS7lrPOkp/iRDMFIlkdA/JyprJAQ9Kr79ZC9X/qx6DgyXt3PAIJqRFLqxBV+7YaOPDTyPPnQVGLzjVw2LKt+q7vWpOqt3Y9OfDZebKC6g7EeB/r1FDzq03ZsIAAAAABs+CfKLa1oxHSmNr6jHCfaD/T2fi9sj1FgPqRP2sPkRAAH6AYAYAADhg1C1tunfHAIAAAAAClla"
	xzZeros = "/Td6WFoAAAD/EtlBAgAhARYAAAB0L+Wj7///ANldAABv/f//o7f/Rz5IFXI5YVG4kijmo4YH+e7kHoLTL8U6PAFLsX7JiopNL6MN2X+m44wjEVPgWRjFdYrid/i2lH8MasDedElk4ulcU7IE2PdEDKtfDW1G6eXDdoi3llestk3haR1v+0uIEGxCy4g/XACP0E6vJiiUcR89jyThcJ6nI1/sKMuF0ZWYin4qkfIndfcZwAaYTZj92K/VkA/EJVP49ZE2MQWlsO5vwXBNRwzRkRGqrWAdus6xJxhcWYbpZlJYvul2rFnk5VsFCPnH2q38+1Iq9+SVJQAAAAAAAAHtAYCAQACPF/qoqAAK/AIAAAAAAFla"
)

func unbase64(t testing.TB, s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const npmLock = `{"lockfileVersion": 3, "packages": {"": {"name": "app"}, "node_modules/a": {"version": "1.0.0", "resolved": "https://registry.npmjs.org/a/-/a-1.0.0.tgz"}}}`

// scan writes data to a file called name and gives what is found in it; see [clienttest.Lines].
func scan(t *testing.T, name string, data []byte) []string {
	t.Helper()
	root := clienttest.Tree(t, map[string]string{name: string(data)})
	at := filepath.Join(root, name)
	if !archive.IsFile(at) {
		t.Errorf("%s is no archive", name)
	}
	return clienttest.Lines(t, root, archive.Scan(t.Context(), at, inventory.Options{Kinds: kinds(), Workers: 2}))
}

func TestScan(t *testing.T) {
	tree := []entry{
		{Name: "app/package.json", Content: `{"name": "app", "version": "9.9.9"}`},
		{Name: "app/package-lock.json", Content: npmLock},
		{Name: "app/node_modules/.package-lock.json", Content: `{"packages": {"node_modules/b": {"resolved": "https://registry.npmjs.org/b/-/b-2.0.0.tgz"}}}`},
		{Name: "app/node_modules/b/package.json", Content: `{"name": "b", "version": "2.0.0"}`},
		{Name: "app/vendor/c-3.0-py3-none-any.whl", Content: string(clienttest.Wheel(t, "c", "3.0"))},
	}
	inside := func(name string) []string {
		return []string{
			name + "!/app/package-lock.json a@1.0.0 registry registry.npmjs.org",
			name + "!/app/node_modules/b/package.json b@2.0.0 registry registry.npmjs.org",
			name + "!/app/vendor/c-3.0-py3-none-any.whl c@3.0",
		}
	}
	bundled := clienttest.Gzip(clienttest.TarOf(t, entry{Name: "package/package.json", Content: `{"name": "outer", "version": "1.0.0", "bundledDependencies": ["inner"]}`},
		entry{Name: "package/node_modules/inner/package.json", Content: `{"name": "inner", "version": "6.6.6"}`}))
	pom := entry{Name: "META-INF/maven/g/a/pom.properties", Content: "groupId=g\nartifactId=a\nversion=1\n"}
	nested := clienttest.TarOf(t, entry{Name: "one.zip", Content: string(clienttest.ZipOf(t, entry{Name: "two-1.0.tar.gz", Content: string(clienttest.Gzip(clienttest.TarOf(t,
		entry{Name: "package-lock.json", Content: npmLock}, entry{Name: "three.tar", Content: string(clienttest.TarOf(t, entry{Name: "x", Content: "y"}))})))}))})
	tests := []struct {
		name string
		file string
		data []byte
		want []string
	}{
		{"a tar", "app.tar", clienttest.TarOf(t, tree...), inside("app.tar")},
		{"gzip", "app.tar.gz", clienttest.Gzip(clienttest.TarOf(t, tree...)), inside("app.tar.gz")},
		{"zstd", "app.tar.zst", clienttest.Zstd(clienttest.TarOf(t, tree...)), inside("app.tar.zst")},
		{"bzip2", "app.tar.bz2", unbase64(t, bzip2Tar), []string{"app.tar.bz2!/package-lock.json a@1.0.0 registry"}},
		{"xz", "app.tar.xz", unbase64(t, xzTar), []string{"app.tar.xz!/package-lock.json a@1.0.0 registry registry.npmjs.org"}},
		{"xz inside", "app.zip", clienttest.ZipOf(t, entry{Name: "a.txz", Content: string(clienttest.XZ(clienttest.TarOf(t, tree...), 22))}), inside("app.zip!/a.txz")},
		{"a zip", "app.zip", clienttest.ZipOf(t, tree...), inside("app.zip")},
		{"any name", "blob", clienttest.Gzip(clienttest.TarOf(t, tree...)), inside("blob")},
		{"npm's tarball and what is bundled in it", "outer-1.0.0.tgz", bundled, []string{
			"outer-1.0.0.tgz outer@1.0.0",
			"outer-1.0.0.tgz!/package/node_modules/inner/package.json inner@6.6.6",
		}},
		{"a wheel that is another than its name says", "b-2.0-py3-none-any.whl", clienttest.Wheel(t, "a", "1.0"), []string{
			"b-2.0-py3-none-any.whl a@1.0",
			`info b-2.0-py3-none-any.whl: says "a@1.0" inside and "b@2.0" in its name: both were looked up`,
			"b-2.0-py3-none-any.whl b@2.0",
		}},
		{"a jar and the jars in it", "app.jar", clienttest.ZipOf(t, pom, entry{Name: "BOOT-INF/lib/b.jar", Content: string(clienttest.ZipOf(t, entry{Name: "META-INF/maven/g/b/pom.properties", Content: "version=2"}))}), []string{
			"app.jar g:a@1",
			"app.jar!/BOOT-INF/lib/b.jar g:b@2",
		}},
		{"B46 archives inside archives, to a depth", "n.tar", nested, []string{
			"n.tar!/one.zip!/two-1.0.tar.gz!/package-lock.json a@1.0.0 registry registry.npmjs.org",
			"unread n.tar!/one.zip!/two-1.0.tar.gz!/three.tar: more than 2 archives inside one another: not opened",
		}},
		{"B35 B36 B37 names that lead out are read where they stand", "x.zip", clienttest.ZipOf(t,
			entry{Name: "../../package-lock.json", Content: npmLock}, entry{Name: "/abs/package-lock.json", Content: npmLock}, entry{Name: `win\package-lock.json`, Content: npmLock}), []string{
			"info x.zip: entries with absolute names, or names that lead out of the archive: read as if they stood in it",
			"x.zip!/package-lock.json a@1.0.0 registry registry.npmjs.org",
			"x.zip!/abs/package-lock.json a@1.0.0 registry registry.npmjs.org",
			"x.zip!/win/package-lock.json a@1.0.0 registry registry.npmjs.org",
		}},
		{"B38 names that are none", "x.tar", clienttest.TarOf(t, entry{Name: strings.Repeat("n", 300) + "/package-lock.json", Content: npmLock}, entry{Name: "new\nline/package-lock.json", Content: npmLock}), []string{
			"unread x.tar: entries with names that no file system takes: not read",
			"x.tar!/new line/package-lock.json a@1.0.0 registry registry.npmjs.org",
		}},
		{"B39 B40 links and devices", "x.tar", clienttest.TarOf(t,
			entry{Name: "package-lock.json", Content: "/etc/passwd", Type: tar.TypeSymlink}, entry{Name: "out", Content: "../../etc", Type: tar.TypeSymlink},
			entry{Name: "null", Type: tar.TypeChar}, entry{Name: "fifo", Type: tar.TypeFifo}, entry{Name: "gone", Content: "not/there", Type: tar.TypeLink},
			entry{Name: "a/package-lock.json", Content: npmLock}, entry{Name: "b/package-lock.json", Content: "a/package-lock.json", Type: tar.TypeLink}), []string{
			"info x.tar: hard links to what is not in the archive: not followed",
			"x.tar!/a/package-lock.json a@1.0.0 registry registry.npmjs.org",
			"x.tar!/b/package-lock.json a@1.0.0 registry registry.npmjs.org",
			"info x.tar!: symbolic links not followed",
			"info x.tar!: special files (pipes, sockets, devices) not opened",
		}},
		{"B41 a name three times", "x.tar", clienttest.TarOf(t, entry{Name: "package-lock.json", Content: strings.ReplaceAll(npmLock, "1.0.0", "1.0.1")},
			entry{Name: "./package-lock.json", Content: strings.ReplaceAll(npmLock, "1.0.0", "1.0.2")}, entry{Name: "package-lock.json", Content: npmLock}), []string{
			"info x.tar: entries that stand in the archive more than once: each was read",
			"x.tar!/package-lock.json a@1.0.0 registry registry.npmjs.org",
			"x.tar!/package-lock.json a@1.0.1 registry registry.npmjs.org",
			"x.tar!/package-lock.json a@1.0.2 registry registry.npmjs.org",
		}},
		{"B41 a name too often", "x.tar", clienttest.TarOf(t, slices.Repeat([]entry{{Name: "x", Content: "x"}}, 11)...), []string{
			"info x.tar: entries that stand in the archive more than once: each was read",
			"unread x.tar: entries that stand in the archive more than 9 times: not read",
		}},
		{"B41 a name twice in a zip", "x.zip", clienttest.ZipOf(t, entry{Name: "package-lock.json", Content: strings.ReplaceAll(npmLock, "1.0.0", "6.6.6")}, entry{Name: "package-lock.json", Content: npmLock}), []string{
			"info x.zip: entries that stand in the archive more than once: each was read",
			"x.zip!/package-lock.json a@1.0.0 registry registry.npmjs.org",
			"x.zip!/package-lock.json a@6.6.6 registry registry.npmjs.org",
		}},
		{"a file where a directory was", "x.tar", clienttest.TarOf(t, entry{Name: "a/b/package-lock.json", Content: npmLock}, entry{Name: "a", Content: "x"}), []string{
			"info x.tar: entries that stand in the archive more than once: each was read",
			"x.tar!/a/b/package-lock.json a@1.0.0 registry registry.npmjs.org",
		}},
		{"a file where a directory is", "x.tar", clienttest.TarOf(t, entry{Name: "a/package-lock.json", Content: npmLock}, entry{Name: "a", Content: "x"}, entry{Name: "a/b/package-lock.json", Content: npmLock}), []string{
			"info x.tar: entries that stand in the archive more than once: each was read",
			"x.tar!/a/b/package-lock.json a@1.0.0 registry registry.npmjs.org",
			"x.tar!/a/package-lock.json a@1.0.0 registry registry.npmjs.org",
		}},
		{"B44 a bomb inside", "x.zip", clienttest.ZipOf(t, entry{Name: "package-lock.json", Content: strings.Repeat(" ", 8<<20)}, entry{Name: "b/package-lock.json", Content: npmLock}), []string{
			"unread x.zip!/package-lock.json: open: decompresses to more than 200 times its size",
			"x.zip!/b/package-lock.json a@1.0.0 registry registry.npmjs.org",
		}},
		{"zeros before what counts", "x.tar.gz", clienttest.Gzip(clienttest.TarOf(t, entry{Name: "zeros", Content: strings.Repeat("\x00", 4<<20)}, entry{Name: "package-lock.json", Content: npmLock})), []string{
			"x.tar.gz!/package-lock.json a@1.0.0 registry registry.npmjs.org",
		}},
		{"B45 a bomb", "x.tar.zst", bomb(t, entry{Name: "package-lock.json", Content: npmLock}), []string{
			"unread x.tar.zst: tar: after 1 entries: decompresses to more than 200 times its size: the rest was not read",
			"x.tar.zst!/package-lock.json a@1.0.0 registry registry.npmjs.org",
		}},
		{"xz with a window of a gigabyte", "x.tar.xz", clienttest.XZ(clienttest.TarOf(t, entry{Name: "package-lock.json", Content: npmLock}), 36), []string{
			"unread x.tar.xz: xz: its decoder would need a window of more than 128 MiB",
		}},
		{"xz with a window of a gigabyte inside", "x.zip", clienttest.ZipOf(t, entry{Name: "x.tar.xz", Content: string(clienttest.XZ(clienttest.TarOf(t, tree...), 36))}), []string{
			"unread x.zip!/x.tar.xz: xz: its decoder would need a window of more than 128 MiB",
		}},
		{"B48 xz cut off", "x.tar.xz", clienttest.XZ(clienttest.TarOf(t, entry{Name: "package-lock.json", Content: npmLock}, entry{Name: "y", Content: strings.Repeat("y", 90_000)}), 22)[:70_000], []string{
			"unread x.tar.xz: tar: after 1 entries: cut off: the rest was not read",
			"x.tar.xz!/package-lock.json a@1.0.0 registry registry.npmjs.org",
		}},
		{"B48 cut off", "x.tar", clienttest.TarOf(t, entry{Name: "package-lock.json", Content: npmLock}, entry{Name: "y", Content: strings.Repeat("y", 5000)})[:4000], []string{
			"unread x.tar: tar: after 2 entries: cut off: the rest was not read",
			"x.tar!/package-lock.json a@1.0.0 registry registry.npmjs.org",
		}},
		{"B50 a sparse file of a terabyte", "x.tar", append(sparse("package-lock.json", 1<<40), clienttest.TarOf(t, entry{Name: "z/package-lock.json", Content: npmLock})...), []string{
			"unread x.tar!/package-lock.json: open: sparse file: file is larger than the limit of 268435456 bytes",
			"x.tar!/z/package-lock.json a@1.0.0 registry registry.npmjs.org",
		}},
		{"a package that is none", "x-1.0.0.tgz", []byte("<html>"), []string{
			"x-1.0.0.tgz x@1.0.0",
			"unread x-1.0.0.tgz: is neither a zip nor a tar",
		}},
		{"an empty tar", "x.tar", clienttest.TarOf(t), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if testing.Short() && strings.HasPrefix(tt.name, "B45 ") {
				t.Skip("more than a gibibyte")
			}
			got := scan(t, tt.file, tt.data)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
			}
		})
	}
}

// B45: the same in xz, whose decoder takes its time for more than a GiB.
func TestXZBomb(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long under the race detector")
	}
	head := bombHead(t, entry{Name: "package-lock.json", Content: npmLock})
	got := scan(t, "x.tar.xz", append(clienttest.XZ(head, 22), bytes.Repeat(unbase64(t, xzZeros), 1100)...))
	want := []string{
		"unread x.tar.xz: tar: after 1 entries: decompresses to more than 200 times its size: the rest was not read",
		"x.tar.xz!/package-lock.json a@1.0.0 registry registry.npmjs.org",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// bomb is a tar with first and a file of 8 GiB, of which 1.25 GiB of zeros are there, compressed to some kilobytes.
func bomb(t testing.TB, first entry) []byte {
	// A sequence of frames is a stream (RFC 8878, section 3).
	return append(clienttest.Zstd(bombHead(t, first)), bytes.Repeat(clienttest.Zstd(make([]byte, 64<<20)), 20)...)
}

// bombHead is a tar with first and the header of a file of 8 GiB.
func bombHead(t testing.TB, first entry) []byte {
	var head bytes.Buffer
	w := tar.NewWriter(&head)
	for _, h := range []*tar.Header{{Name: first.Name, Size: int64(len(first.Content))}, {Name: "zeros", Size: 8 << 30}} {
		h.Format = tar.FormatGNU
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Name == first.Name {
			io.WriteString(w, first.Content)
		}
	}
	return head.Bytes()
}

// sparse is the header of an old GNU sparse file of that size with no data in it (tar.h of GNU tar, oldgnu_header).
func sparse(name string, size int64) []byte {
	h := make([]byte, 512)
	copy(h, name)
	copy(h[100:], "0000644\x00")
	copy(h[108:], "0000000\x00")
	copy(h[116:], "0000000\x00")
	copy(h[124:], "00000000000\x00")
	copy(h[136:], "00000000000\x00")
	h[156] = 'S'
	copy(h[257:], "ustar  \x00")
	base256 := func(at int, v int64) {
		h[at] = 0x80
		binary.BigEndian.PutUint64(h[at+4:], uint64(v))
	}
	base256(386, size) // the first of four parts: at the end, of no length
	copy(h[398:], "00000000000\x00")
	base256(483, size)
	copy(h[148:], "        ")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

// The same file in a directory, with and without digests.
func TestKinds(t *testing.T) {
	files := map[string]string{
		"mirror/left-pad-1.3.0.tgz":           string(clienttest.Tarball(t, `{"name": "left-pad", "version": "1.3.0"}`)),
		"mirror/nginx-1.0.0.tgz":              string(clienttest.Gzip(clienttest.TarOf(t, entry{Name: "nginx/Chart.yaml", Content: "x"}))),
		"wheels/A-1.0-py3-none-any.WHL":       string(clienttest.Wheel(t, "A", "1.0")),
		"sdist/p-1.0.tar.gz":                  string(clienttest.Gzip(clienttest.TarOf(t, entry{Name: "p-1.0/PKG-INFO", Content: "Name: p\nVersion: 1.0\n"}))),
		"backup-2024.tar.gz":                  string(clienttest.Gzip(clienttest.TarOf(t, entry{Name: "repo/package.json", Content: `{"name": "repo", "version": "1.0.0"}`}))),
		"broken-2024-01-02.tar.gz":            "\x1f\x8b",
		"broken-1.0rc1.tar.gz":                "\x1f\x8b",
		"cut-1.0.tar.gz":                      string(clienttest.Gzip(clienttest.TarOf(t, entry{Name: "cut-1.0/setup.py", Content: "x"}))[:50]),
		"bad-1.0.tar.gz":                      string(clienttest.Gzip(clienttest.TarOf(t, entry{Name: "bad-1.0/PKG-INFO", Content: "Name: \xff\n"}))),
		"lib/x-1.2.jar":                       string(clienttest.ZipOf(t, entry{Name: "META-INF/MANIFEST.MF"})),
		"a.1.0.0.nupkg":                       "PK",
		"node_modules/published/with/b-1.tgz": "x",
		"node_modules/published/with/b.jar":   "x",
		"go/pkg/mod/m@v1.0.0/testdata/b.jar":  "x",
		"cargo/registry/src/i/c-1.0.0/b.whl":  "x",
		"lib/site-packages/virtualenv/seed/wheels/embed/pip-23.0-py3-none-any.whl": string(clienttest.Wheel(t, "pip", "23.0")),
		"lib/site-packages/x/tests/b-1.0.0.tgz":                                    "x",
	}
	root := clienttest.Tree(t, files)
	walk := func(hash bool) []string {
		return clienttest.Lines(t, root, inventory.Walk(t.Context(), root, inventory.Options{Kinds: kinds(), Hash: hash}))
	}
	want := []string{
		"a.1.0.0.nupkg a@1.0.0",
		"unread a.1.0.0.nupkg: zip: not a valid zip file",
		"bad-1.0.tar.gz bad@1.0",
		"unread bad-1.0.tar.gz: 1 members could not be read: bad-1.0/PKG-INFO: not UTF-8",
		"unread broken-1.0rc1.tar.gz: named like a source package: gzip: unexpected EOF",
		"info broken-2024-01-02.tar.gz: an archive that cannot be read, by its name no package: gzip: unexpected EOF",
		"unread cut-1.0.tar.gz: named like a source package: unexpected EOF",
		"unmatchable lib/x-1.2.jar: jar archive that does not say which package it is",
		"lib/site-packages/virtualenv/seed/wheels/embed/pip-23.0-py3-none-any.whl pip@23.0",
		"mirror/left-pad-1.3.0.tgz left-pad@1.3.0",
		"sdist/p-1.0.tar.gz p@1.0",
		"wheels/A-1.0-py3-none-any.WHL A@1.0",
	}
	if got := walk(false); !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	jar := false
	for _, line := range walk(true) {
		jar = jar || strings.HasPrefix(line, "lib/x-1.2.jar x@1.2 md5:")
		if strings.Contains(line, "left-pad") && strings.Count(line, ":") != 4 {
			t.Errorf("without digests: %s", line)
		}
	}
	if !jar {
		t.Error("a jar that does not say which package it is cannot be found by its digest")
	}
	// Larger than packages are: a note, and nothing that was not read.
	large := filepath.Join(t.TempDir(), "linux-6.1.tar.gz")
	if err := os.WriteFile(large, []byte{0x1f, 0x8b}, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 200<<20); err != nil {
		t.Fatal(err)
	}
	got := clienttest.Lines(t, filepath.Dir(large), inventory.Walk(t.Context(), filepath.Dir(large), inventory.Options{Kinds: kinds()}))
	if len(got) != 1 || !strings.HasPrefix(got[0], "info linux-6.1.tar.gz: named like a source package, and larger") {
		t.Errorf("got %q", got)
	}
}

// What a tree gives is what [fs.FS] promises.
func TestFS(t *testing.T) {
	entries := []entry{{Name: "a/b/c.txt", Content: "hello"}, {Name: "a/d.txt", Content: strings.Repeat("x", 2000)}, {Name: "empty", Type: tar.TypeDir}, {Name: "zero"}}
	for name, data := range map[string][]byte{"tar": clienttest.TarOf(t, entries...), "tar.gz": clienttest.Gzip(clienttest.TarOf(t, entries...)), "zip": clienttest.ZipOf(t, entries[0], entries[1], entry{Name: "empty/"}, entries[3])} {
		t.Run(name, func(t *testing.T) {
			tree, err := archive.Open(t.Context(), bytes.NewReader(data), int64(len(data)), archive.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			if err := fstest.TestFS(archive.FS{Root: tree.Root}, "a/b/c.txt", "a/d.txt", "empty", "zero"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	var many []entry
	for i := range 100 {
		many = append(many, entry{Name: fmt.Sprintf("d%d/f", i), Content: "0123456789"})
	}
	for _, tt := range []struct {
		name string
		data []byte
		lim  archive.Limits
		want string
	}{
		{"B47 entries", clienttest.TarOf(t, many...), archive.Limits{Entries: 50}, "more than 50 entries: the rest was not read"},
		{"B47 entries of a zip", clienttest.ZipOf(t, many...), archive.Limits{Entries: 50}, "more than 50 entries: the rest was not read"},
		{"bytes", clienttest.Gzip(clienttest.TarOf(t, many...)), archive.Limits{Bytes: 10_000}, "tar: after 10 entries: decompressed size is larger than the limit of 10000 bytes: the rest was not read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree, err := archive.Open(t.Context(), bytes.NewReader(tt.data), int64(len(tt.data)), tt.lim)
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			notes := tree.Notes("x")
			if len(notes) != 1 || notes[0].Kind != rapsheet.NoteUnread || notes[0].Message != tt.want {
				t.Errorf("got %v, want %s", notes, tt.want)
			}
			if tree.Root.Find("d1/f") == nil {
				t.Error("what stands before the limit is missing")
			}
		})
	}
}

// B42: a zip whose entries share their bytes is refused as a whole.
func TestOverlap(t *testing.T) {
	one := clienttest.ZipOf(t, entry{Name: "00", Content: "x"})
	dir, end := bytes.Index(one, []byte("PK\x01\x02")), bytes.Index(one, []byte("PK\x05\x06"))
	data := bytes.Clone(one[:dir])
	for i := range 50 {
		data = append(data, bytes.Replace(one[dir:end], []byte("00"), fmt.Appendf(nil, "%02d", i), 1)...)
	}
	tail := bytes.Clone(one[end:])
	binary.LittleEndian.PutUint16(tail[8:], 50)
	binary.LittleEndian.PutUint16(tail[10:], 50)
	binary.LittleEndian.PutUint32(tail[12:], uint32(50*(end-dir)))
	got := scan(t, "x.zip", append(data, tail...))
	if len(got) != 1 || !strings.HasPrefix(got[0], "unread x.zip: zip: entries overlap") {
		t.Errorf("got %q", got)
	}
}

func TestStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	at := filepath.Join(t.TempDir(), "x.tar")
	if err := os.WriteFile(at, clienttest.TarOf(t, entry{Name: "package-lock.json", Content: npmLock}, entry{Name: "z/package-lock.json", Content: npmLock}), 0o600); err != nil {
		t.Fatal(err)
	}
	n := 0
	for range archive.Scan(ctx, at, inventory.Options{Kinds: kinds()}) {
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d sightings before the consumer had enough", n)
	}
	cancel()
	var last error
	for _, err := range archive.Scan(ctx, at, inventory.Options{Kinds: kinds()}) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("got %v", last)
	}
}

// Whatever the archive is, its tree is within the limits and can be walked.
func FuzzOpen(f *testing.F) {
	for _, s := range [][]byte{
		clienttest.TarOf(f, entry{Name: "../a/package-lock.json", Content: npmLock}, entry{Name: "l", Content: "a", Type: tar.TypeLink}),
		clienttest.Gzip(clienttest.TarOf(f, entry{Name: "x", Content: "y"})), clienttest.ZipOf(f, entry{Name: "a"}, entry{Name: "b", Content: "c"}), sparse("s", 1<<40), clienttest.Zstd(clienttest.TarOf(f)), clienttest.XZ(clienttest.TarOf(f, entry{Name: "a", Content: "b"}), 22),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, err := archive.Open(t.Context(), bytes.NewReader(data), int64(len(data)), archive.Limits{Entries: 100, Bytes: 1 << 20})
		if err != nil {
			return
		}
		defer tree.Close()
		n := 0
		err = fs.WalkDir(archive.FS{Root: tree.Root}, ".", func(name string, d fs.DirEntry, err error) error {
			if n++; err != nil || !d.Type().IsRegular() {
				return err
			}
			if f, err := (archive.FS{Root: tree.Root}).Open(name); err == nil {
				io.Copy(io.Discard, io.LimitReader(f, 1<<20))
				f.Close()
			}
			return nil
		})
		if err != nil || n > 102 {
			t.Errorf("%d entries, %v", n, err)
		}
	})
}
