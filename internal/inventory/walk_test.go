package inventory_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/lockfile"
)

// makeTree writes files below a new directory: a name that ends in a slash is a
// directory, content that begins with "-> " a symbolic link.
func makeTree(tb testing.TB, files map[string]string) string {
	tb.Helper()
	root := tb.TempDir()
	for name, content := range files {
		at := filepath.Join(root, filepath.FromSlash(name))
		var err error
		if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(at, 0o755)
		} else {
			err = os.MkdirAll(filepath.Dir(at), 0o755)
			if to, ok := strings.CutPrefix(content, "-> "); ok && err == nil {
				err = os.Symlink(to, at)
			} else if err == nil {
				err = os.WriteFile(at, []byte(content), 0o644)
			}
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	return root
}

// options recognise lockfiles.
func options() inventory.Options { return inventory.Options{Kinds: lockfile.Kinds()} }

// lockOf is a package-lock.json of those packages, each "name@version".
func lockOf(packages ...string) string {
	var b strings.Builder
	b.WriteString(`{"lockfileVersion": 3, "packages": {"": {}`)
	for _, p := range packages {
		at := strings.LastIndexByte(p, '@')
		name, version := p[:at], p[at+1:]
		fmt.Fprintf(&b, ",\n\"node_modules/%s\": {\"version\": %q}", name, version)
	}
	b.WriteString("}}\n")
	return b.String()
}

// collect writes a stream down: "path name@version" or "kind path: message", paths relative to root.
func collect(tb testing.TB, root string, stream rapsheet.Sightings) []string {
	tb.Helper()
	root = filepath.ToSlash(root)
	rel := func(path string) string {
		if path == root {
			return "."
		}
		return strings.TrimPrefix(path, root+"/")
	}
	var all []string
	for s, err := range stream {
		var note *rapsheet.Note
		switch {
		case err == nil:
			all = append(all, fmt.Sprintf("%s %s@%s", rel(s.Location.Path), s.Package.Name, s.Package.Version))
		case errors.As(err, &note):
			count := ""
			if note.Count > 0 {
				count = fmt.Sprintf("%d ", note.Count)
			}
			all = append(all, fmt.Sprintf("%s %s: %s%s", note.Kind, rel(note.Path), count, note.Message))
		default:
			all = append(all, "error: "+err.Error())
		}
	}
	return all
}

func expect(tb testing.TB, got []string, want ...string) {
	tb.Helper()
	if !slices.Equal(got, want) {
		tb.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestWalkOrder(t *testing.T) {
	files := map[string]string{
		"z/package-lock.json":                lockOf("z@1.0.0"),
		"b/yarn.lock":                        "a@1:\n  version \"1.0.0\"\n",
		"b/c/package-lock.json":              lockOf("c@1.0.0", "d@1.0.0"),
		"yarn.lock":                          "r@1:\n  version \"1.0.0\"\n",
		"package.json":                       `{"dependencies": {"r": "^1"}}`,
		"b/package.json":                     `{"dependencies": {"r": "^1"}}`,
		"b/node_modules/x/package-lock.json": lockOf("no@1.0.0"),
		".git/package-lock.json":             lockOf("no@1.0.0"),
		".hidden/package-lock.json":          lockOf("h@1.0.0"),
		"empty/":                             "",
		"other.txt":                          "x",
	}
	for i := range 40 {
		files[fmt.Sprintf("many/%02d/package-lock.json", i)] = lockOf(fmt.Sprintf("m%02d@1.0.0", i))
	}
	root := makeTree(t, files)
	want := []string{"yarn.lock r@1.0.0", ".hidden/package-lock.json h@1.0.0", "b/yarn.lock a@1.0.0", "b/c/package-lock.json c@1.0.0", "b/c/package-lock.json d@1.0.0"}
	for i := range 40 {
		want = append(want, fmt.Sprintf("many/%02d/package-lock.json m%02d@1.0.0", i, i))
	}
	want = append(want, "z/package-lock.json z@1.0.0")
	for _, workers := range []int{1, 2, 7} {
		var last inventory.Progress
		stream := inventory.Walk(t.Context(), root, inventory.Options{Kinds: lockfile.Kinds(), Workers: workers, Progress: func(p inventory.Progress) { last = p }})
		expect(t, collect(t, root, stream), want...)
		expect(t, collect(t, root, stream), want...) // a second time
		if last.Sightings != len(want) || last.Files != 47 || last.Entries < 90 {
			t.Errorf("progress %+v", last)
		}
	}
}

func TestWalkFromWorkingDirectory(t *testing.T) {
	root := makeTree(t, map[string]string{"a/package-lock.json": lockOf("x@1.0.0"), "link": "-> a"})
	t.Chdir(root)
	expect(t, collect(t, "-", inventory.Walk(t.Context(), ".", options())), "a/package-lock.json x@1.0.0", "info .: 1 symbolic links not followed")
	expect(t, collect(t, "-", inventory.Walk(t.Context(), "link/", options())), "link/package-lock.json x@1.0.0")
	expect(t, collect(t, "-", inventory.Walk(t.Context(), "./a/package-lock.json", options())), "a/package-lock.json x@1.0.0")
	expect(t, collect(t, "-", inventory.Walk(t.Context(), "none", options())), "unread none: stat: no such file or directory")
}

func TestWalkHostileTrees(t *testing.T) {
	outside := makeTree(t, map[string]string{"package-lock.json": lockOf("secret@1.0.0"), "d/package-lock.json": lockOf("secret@2.0.0")})

	t.Run("D74 links and special files", func(t *testing.T) {
		root := makeTree(t, map[string]string{
			"loop":                "-> .",
			"up":                  "-> ..",
			"slash":               "-> /",
			"proc":                "-> /proc",
			"out/d":               "-> " + outside,
			"out/yarn.lock":       "-> " + outside + "/package-lock.json",
			"in/yarn.lock":        "-> ../z/yarn.lock",
			"gone/yarn.lock":      "-> nowhere",
			"z/yarn.lock":         "z@1:\n  version \"1.0.0\"\n",
			"z/package-lock.json": lockOf("z@2.0.0"),
		})
		if err := makePipe(filepath.Join(root, "z", "pnpm-lock.yaml")); err != nil {
			t.Skip(err)
		}
		if err := makePipe(filepath.Join(root, "z", ".npmrc")); err != nil {
			t.Skip(err)
		}
		expect(t, collect(t, root, inventory.Walk(t.Context(), root, options())),
			"unread out/yarn.lock: symbolic link out of the tree: not followed",
			"z/package-lock.json z@2.0.0",
			"z/yarn.lock z@1.0.0",
			"info .: 8 symbolic links not followed",
			"info .: 2 special files (pipes, sockets, devices) not opened",
		)
	})

	t.Run("D75 replaced by a link between listing and opening", func(t *testing.T) {
		root := makeTree(t, map[string]string{"dir/package-lock.json": lockOf("good@1.0.0")})
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			dir, file := filepath.Join(root, "dir"), filepath.Join(root, "dir", "package-lock.json")
			for {
				select {
				case <-stop:
					return
				default:
				}
				os.Rename(file, file+".was")
				os.Symlink(filepath.Join(outside, "package-lock.json"), file)
				os.Remove(file)
				os.Rename(file+".was", file)
				os.Rename(dir, dir+".was")
				os.Symlink(outside, dir)
				os.Remove(dir)
				os.Rename(dir+".was", dir)
			}
		})
		for range 400 {
			for _, line := range collect(t, root, inventory.Walk(t.Context(), root, options())) {
				if strings.Contains(line, "secret") {
					t.Errorf("read outside the root: %s", line)
				}
			}
		}
		close(stop)
		wg.Wait()
	})

	t.Run("D75 an open never follows a link", func(t *testing.T) {
		root := makeTree(t, map[string]string{"f": "-> " + outside + "/package-lock.json", "d": "-> " + outside, "in": "-> real", "real/x": ""})
		top, err := inventory.OpenTop(root)
		if err != nil {
			t.Fatal(err)
		}
		defer top.Close()
		for _, name := range []string{"f", "d", "in"} {
			for _, directory := range []bool{false, true} {
				if f, err := top.Open(name, directory); err == nil {
					t.Errorf("%s (directory %v) was opened", name, directory)
					f.Close()
				}
			}
		}
	})

	t.Run("D77 unreadable", func(t *testing.T) {
		root := makeTree(t, map[string]string{"a/package-lock.json": lockOf("a@1.0.0"), "b/package-lock.json": lockOf("b@1.0.0"), "c/package-lock.json": lockOf("c@1.0.0")})
		os.Chmod(filepath.Join(root, "a"), 0)
		os.Chmod(filepath.Join(root, "b", "package-lock.json"), 0)
		t.Cleanup(func() { os.Chmod(filepath.Join(root, "a"), 0o755) })
		os.Chmod(filepath.Dir(root), 0o755) // made for its owner only
		withoutRoot(t)                      // who reads everything
		expect(t, collect(t, root, inventory.Walk(t.Context(), root, options())),
			"unread a: open: permission denied", "unread b/package-lock.json: open: permission denied", "c/package-lock.json c@1.0.0")
	})

	t.Run("D78 more entries than the limit", func(t *testing.T) {
		files := map[string]string{"0/package-lock.json": lockOf("first@1.0.0")}
		for i := range 50 {
			files[fmt.Sprintf("1/%02d", i)] = ""
		}
		files["2/package-lock.json"] = lockOf("last@1.0.0")
		root := makeTree(t, files)
		expect(t, collect(t, root, inventory.Walk(t.Context(), root, inventory.Options{Kinds: lockfile.Kinds(), Entries: 20})),
			"0/package-lock.json first@1.0.0", "unread 1: more than 20 entries: the walk stopped here")
		expect(t, collect(t, root, inventory.Walk(t.Context(), root, inventory.Options{Kinds: lockfile.Kinds(), Entries: 55})), "0/package-lock.json first@1.0.0", "2/package-lock.json last@1.0.0")
	})

	t.Run("D78 deeper than the limit", func(t *testing.T) {
		root := makeTree(t, map[string]string{"a/package-lock.json": lockOf("a@1.0.0"), "a/b/package-lock.json": lockOf("b@1.0.0"), "c/package-lock.json": lockOf("c@1.0.0")})
		expect(t, collect(t, root, inventory.Walk(t.Context(), root, inventory.Options{Kinds: lockfile.Kinds(), Depth: 1})),
			"a/package-lock.json a@1.0.0", "unread a/b: deeper than 1 directories: not entered", "c/package-lock.json c@1.0.0")

		// 5,000 deep: longer than any path that the system takes at once.
		deep := t.TempDir()
		if err := makeDeep(deep, 5000); err != nil {
			t.Skip(err)
		}
		got := collect(t, deep, inventory.Walk(t.Context(), deep, options()))
		if len(got) != 1 || !strings.HasSuffix(got[0], "/d: deeper than 128 directories: not entered") {
			t.Errorf("%d lines, the first %.200q", len(got), got)
		}
	})

	t.Run("D78 names that are not UTF-8", func(t *testing.T) {
		root := t.TempDir()
		dir := filepath.Join(root, "x\xffy\x1b[2J")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Skip(err)
		}
		os.WriteFile(filepath.Join(dir, "package-lock.json"), []byte(lockOf("a@1.0.0")), 0o644)
		os.WriteFile(filepath.Join(dir, ".npmrc"), []byte("registry=https://r.example/"), 0o644)
		expect(t, collect(t, root, inventory.Walk(t.Context(), root, options())), "x\xffy\x1b[2J/package-lock.json a@1.0.0")
	})
}

func TestWalkIgnore(t *testing.T) {
	root := makeTree(t, map[string]string{
		".gitignore":                    "# comment\n/build/\n*.tmp\n\\#x/\nvendor/**\n!vendor/keep\na/**/z\n[!x-z]1/\nb/package-lock.json\n",
		"build/package-lock.json":       lockOf("no@1.0.0"),
		"sub/build/package-lock.json":   lockOf("sub-build@1.0.0"),
		"#x/package-lock.json":          lockOf("no@1.0.0"),
		"vendor/package-lock.json":      lockOf("no@1.0.0"),
		"vendor/keep/package-lock.json": lockOf("no@1.0.0"),
		"a/z/package-lock.json":         lockOf("no@1.0.0"),
		"a/b/c/z/package-lock.json":     lockOf("no@1.0.0"),
		"a/b/package-lock.json":         lockOf("a-b@1.0.0"),
		"q1/package-lock.json":          lockOf("no@1.0.0"),
		"x1/package-lock.json":          lockOf("x1@1.0.0"),
		"b/package-lock.json":           lockOf("no@1.0.0"),
		"c/.gitignore":                  "*\n!.gitignore\n!yarn.lock\n",
		"c/package-lock.json":           lockOf("no@1.0.0"),
		"c/yarn.lock":                   "c@1:\n  version \"1.0.0\"\n",
	})
	expect(t, collect(t, root, inventory.Walk(t.Context(), root, inventory.Options{Kinds: lockfile.Kinds(), RespectIgnore: true})),
		"a/b/package-lock.json a-b@1.0.0", "c/yarn.lock c@1.0.0", "sub/build/package-lock.json sub-build@1.0.0", "x1/package-lock.json x1@1.0.0",
		"info .: 9 entries left out by .gitignore")
	all := collect(t, root, inventory.Walk(t.Context(), root, options()))
	if len(all) != 13 {
		t.Errorf("without being asked, something is left out: %q", all)
	}
}

// readerOf replaces what Walk would use by one reader, for a file called "test".
func readerOf(read func(ctx context.Context, in *inventory.File, out *inventory.Sink) error) *inventory.Kind {
	return &inventory.Kind{Name: "test", Match: func(base, _ string) bool { return base == "test" }, Read: read}
}

func runReader(tb testing.TB, opt inventory.Options, r io.Reader, read func(ctx context.Context, in *inventory.File, out *inventory.Sink) error) []string {
	tb.Helper()
	return collect(tb, "-", func(yield func(rapsheet.Sighting, error) bool) {
		inventory.RunOne(tb.Context(), opt, &inventory.File{Path: "test", R: r}, readerOf(read), yield)
	})
}

// endless gives the same bytes for ever.
type endless string

func (e endless) Read(p []byte) (int, error) { return copy(p, e), nil }

func TestReaderLimits(t *testing.T) {
	t.Run("a panic is a note", func(t *testing.T) {
		got := runReader(t, inventory.Options{}, strings.NewReader(""), func(_ context.Context, _ *inventory.File, out *inventory.Sink) error {
			out.Sighting(rapsheet.Package{Name: "before", Version: "1"}, 1, rapsheet.Evidence{})
			var m map[string]int
			m["x\ny"] = 1
			return nil
		})
		expect(t, got, "test before@1", "unread test: internal error, please report it: the reader panicked: assignment to entry in nil map")
	})
	t.Run("D76 a file that grows for ever", func(t *testing.T) {
		got := runReader(t, inventory.Options{FileSize: 1 << 20}, endless("x"), func(_ context.Context, in *inventory.File, _ *inventory.Sink) error {
			_, err := in.All()
			return err
		})
		expect(t, got, "unread test: file is larger than the limit of 1048576 bytes")
	})
	t.Run("a file that takes too long", func(t *testing.T) {
		got := runReader(t, inventory.Options{PerFile: 20 * time.Millisecond, FileSize: 1 << 60}, endless("x"), func(_ context.Context, in *inventory.File, out *inventory.Sink) error {
			out.Sighting(rapsheet.Package{Name: "before", Version: "1"}, 1, rapsheet.Evidence{})
			_, err := io.Copy(io.Discard, in.R)
			return err
		})
		expect(t, got, "test before@1", "unread test: reading takes longer than 20ms: the rest was not read")
	})
	// In a bubble of synctest time stands still while anything runs: what the reader itself takes is nothing.
	t.Run("a consumer that takes long is not the file's fault", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			for _, err := range func(yield func(rapsheet.Sighting, error) bool) {
				opt := inventory.Options{PerFile: 50 * time.Millisecond}
				inventory.RunOne(t.Context(), opt, &inventory.File{Path: "test", R: strings.NewReader("")}, readerOf(func(_ context.Context, _ *inventory.File, out *inventory.Sink) error {
					for range 5000 {
						out.Sighting(rapsheet.Package{Name: "x"}, 1, rapsheet.Evidence{})
					}
					return nil
				}), yield)
			} {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n%2000 == 1 {
					time.Sleep(80 * time.Millisecond)
				}
			}
			if n != 5000 {
				t.Errorf("%d sightings", n)
			}
		})
	})
	t.Run("a panic of the consumer is its own", func(t *testing.T) {
		defer func() {
			if recover() != "mine" {
				t.Error("the consumer's panic did not reach it")
			}
		}()
		root := makeTree(t, map[string]string{"package-lock.json": lockOf("a@1.0.0")})
		for range inventory.Walk(t.Context(), root, options()) {
			panic("mine")
		}
	})
}

func TestWalkStops(t *testing.T) {
	files := map[string]string{}
	for i := range 100 {
		var packages []string
		for j := range 200 {
			packages = append(packages, fmt.Sprintf("p%d-%d@1.0.0", i, j))
		}
		files[fmt.Sprintf("%03d/package-lock.json", i)] = lockOf(packages...)
	}
	root := makeTree(t, files)
	before := runtime.NumGoroutine()

	t.Run("when the consumer has enough", func(t *testing.T) {
		for _, after := range []int{1, 64, 65, 5000} {
			n := 0
			for range inventory.Walk(t.Context(), root, options()) {
				if n++; n == after {
					break
				}
			}
		}
	})
	t.Run("when the context ends, with its error last", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n, last := 0, error(nil)
		for _, err := range inventory.Walk(ctx, root, options()) {
			if last != nil {
				t.Fatalf("%v after %v", err, last)
			}
			if n++; n == 10 {
				cancel()
			}
			last = err
		}
		if !errors.Is(last, context.Canceled) || n > 2000 {
			t.Errorf("%d results, the last %v", n, last)
		}
	})
	t.Run("while standard input blocks", func(t *testing.T) {
		r, w := io.Pipe()
		defer w.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		expect(t, collect(t, "", inventory.Read(ctx, r, "-", options())), "error: context deadline exceeded")
	})
	for deadline := time.Now().Add(2 * time.Second); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		time.Sleep(time.Millisecond)
	}
}

// fakeSBOM recognises texts that begin with "SBOM" and reads a name from them, decompressing as the real one does.
func fakeSBOM(opt inventory.Options) inventory.Options {
	opt.SniffSBOM = func(head []byte) bool { return bytes.HasPrefix(head, []byte("SBOM")) }
	opt.SBOM = func(_ context.Context, r io.Reader, path string) rapsheet.Sightings {
		return func(yield func(rapsheet.Sighting, error) bool) {
			b, _ := io.ReadAll(r)
			if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
				zr, _ := gzip.NewReader(bytes.NewReader(b))
				b, _ = io.ReadAll(zr)
			}
			yield(rapsheet.Sighting{Package: rapsheet.Package{Name: strings.TrimPrefix(string(b), "SBOM "), Version: "1"}, Location: rapsheet.Location{Path: path}}, nil)
		}
	}
	return opt
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

func TestSBOMs(t *testing.T) {
	root := makeTree(t, map[string]string{
		"a.cdx.json": "SBOM a", "b.spdx": "SBOM b", "bom.json": "SBOM c", "d-bom.xml": "SBOM d", "sbom-e.json": "SBOM e",
		"f.cdx.json.gz": gzipped("SBOM f"),
		"g.cdx.json":    "{}", "h.spdx": "license", "carbom.json": "SBOM no", "data.json": "SBOM no", "bom.json.gz.bak": "SBOM no",
		"named.txt": "SBOM t", "other.txt": "hello", "big.txt": "SBOM " + strings.Repeat("x", 100_000),
	})
	opt := fakeSBOM(options())
	expect(t, collect(t, root, inventory.Walk(t.Context(), root, opt)),
		"a.cdx.json a@1", "b.spdx b@1", "bom.json c@1", "d-bom.xml d@1", "f.cdx.json.gz f@1",
		"unread g.cdx.json: named like an SBOM, and not recognised as one", "sbom-e.json e@1")
	expect(t, collect(t, root, inventory.Walk(t.Context(), root, options()))) // without a reader for them
	expect(t, collect(t, root, inventory.ReadFile(t.Context(), filepath.Join(root, "named.txt"), opt)), "named.txt t@1")
	if got := collect(t, root, inventory.ReadFile(t.Context(), filepath.Join(root, "big.txt"), opt)); len(got) != 1 || len(got[0]) < 100_000 {
		t.Errorf("%d lines of %d bytes: what was looked at to recognise it is missing", len(got), len(got[0]))
	}
	got := collect(t, root, inventory.ReadFile(t.Context(), filepath.Join(root, "other.txt"), opt))
	if len(got) != 1 || !strings.HasPrefix(got[0], "unread other.txt: not recognised: is this a lockfile or an SBOM? supported: bun.lock, package-lock.json") {
		t.Errorf("%q", got)
	}
}

func TestReadFile(t *testing.T) {
	root := makeTree(t, map[string]string{
		"package-lock.json": lockOf("a@1.0.0"), ".npmrc": "registry=https://r.example/", "link.json": "-> package-lock.json", "d/": "",
	})
	at := func(name string) string { return filepath.Join(root, name) }
	for s, err := range inventory.ReadFile(t.Context(), at("package-lock.json"), options()) {
		if err != nil || s.Evidence.Host != "r.example" {
			t.Errorf("%+v %v: what stands beside the file was not read", s, err)
		}
	}
	expect(t, collect(t, root, inventory.ReadFile(t.Context(), at("link.json"), options())), "link.json a@1.0.0")
	expect(t, collect(t, root, inventory.ReadFile(t.Context(), at("d"), options())), "unread d: is a directory")
	expect(t, collect(t, root, inventory.ReadFile(t.Context(), at("none"), options())), "unread none: stat: no such file or directory")
	expect(t, collect(t, root, inventory.ReadFile(t.Context(), os.DevNull, options())), "unread /dev/null: is a special file: not opened")
}

func TestSiblingsAreBounded(t *testing.T) {
	outside := makeTree(t, map[string]string{"secret": "x"})
	root := makeTree(t, map[string]string{"d/big": strings.Repeat("x", 100), "d/f": "hello", "d/out": "-> " + outside + "/secret"})
	top, err := inventory.OpenTop(root)
	if err != nil {
		t.Fatal(err)
	}
	defer top.Close()
	in := &inventory.File{Rel: "d/package.json", FS: top.Files(50)}
	if b, ok := in.Sibling("f", 10); !ok || string(b) != "hello" {
		t.Errorf("%q %v", b, ok)
	}
	for _, name := range []string{"big", "out", "none", "../../x", "../d"} {
		if b, ok := in.Sibling(name, 1000); ok {
			t.Errorf("%s was read: %q", name, b)
		}
	}
	if _, err := fs.ReadFile(in.FS, "d/big"); err == nil {
		t.Error("a file larger than the limit was read")
	}
	if err := makePipe(filepath.Join(root, "d", "pipe")); err == nil {
		if _, ok := in.Sibling("pipe", 10); ok {
			t.Error("a pipe was read")
		}
	}
	if (&inventory.File{Rel: "x", FS: fstest.MapFS{}}).HasSibling("y") || (&inventory.File{}).HasSibling("y") || !in.HasSibling("none", "f") {
		t.Error("hasSibling is wrong")
	}
}

// What is no file of its own is recognised too, by name and by content.
func TestRead(t *testing.T) {
	// deno.lock 4, as docs.deno.com shows it.
	deno := `{"version": "4", "specifiers": {"npm:a@1": "1.0.0"}, "npm": {"a@1.0.0": {"integrity": "x"}}}`
	expect(t, collect(t, "", inventory.Read(t.Context(), strings.NewReader(deno), "-", options())), "- a@1.0.0")
	// A name counts before the content.
	expect(t, collect(t, "", inventory.Read(t.Context(), strings.NewReader("a@1:\n  version \"1.0.0\"\n"), "dir/yarn.lock", options())), "dir/yarn.lock a@1.0.0")
	expect(t, collect(t, "", inventory.Read(t.Context(), strings.NewReader(""), "yarn.lock", options())))
}
