package cli_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// hostile is a tree of which a scan has to come to something.
type hostile struct {
	files map[string]string
	// large makes files that take long to make.
	large func(t *testing.T) map[string]string
	// make does what files cannot say; the tree is skipped where it cannot be done.
	make  func(t *testing.T, root string) error
	heavy bool
	flags []string
	// targets are scanned in place of the root, from there.
	targets []string

	status int
	// found is how many places are reported, says what notes and findings have in them, never what has not.
	found int
	says  []string
	never []string
}

const evilLock = `{"lockfileVersion": 3, "packages": {"node_modules/evil-pkg": {"version": "1.2.3"}}}`

// endless writes to a file until it is told to stop.
func endless(t *testing.T, name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer f.Close()
		for n := 0; n < 4<<20; n++ { // a limit all the same: the disk is not the test's
			select {
			case <-stop:
				return
			default:
				if _, err := fmt.Fprintf(f, text, n); err != nil {
					return
				}
			}
		}
	})
	t.Cleanup(func() { close(stop); wg.Wait() })
	return nil
}

// deep makes directories in one another and a lockfile in the last one, deeper than any path that the system takes.
func deep(root, name string, depth int) error {
	at, err := os.OpenRoot(root)
	for range depth {
		if err != nil {
			return err
		}
		if err = at.Mkdir(name, 0o755); err != nil {
			return err
		}
		below, e := at.OpenRoot(name)
		at.Close()
		at, err = below, e
	}
	if err != nil {
		return err
	}
	defer at.Close()
	return at.WriteFile("package-lock.json", []byte(evilLock), 0o644)
}

func sparse(size int64, names ...string) func(*testing.T, string) error {
	return func(_ *testing.T, root string) error {
		for _, name := range names {
			f, err := os.OpenFile(filepath.Join(root, name), os.O_WRONLY|os.O_CREATE, 0o644)
			if err != nil {
				return err
			}
			if err := f.Truncate(size); err != nil {
				f.Close()
				return err
			}
			if err := f.Close(); err != nil {
				return err
			}
		}
		return nil
	}
}

// zeros is an endless file of nothing.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func zipBomb(t *testing.T, name string, size int64) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(f, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipBomb(t *testing.T, begin string, size int64) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, begin); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(w, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Section D of bad-inputs.md, by number, at the entry of the command: what the readers and the walk promise one by one is
// what a user gets. The number of entries after which a walk stops is no flag: it is tested where the walk is.
func TestHostileTrees(t *testing.T) {
	good := map[string]string{"good/package-lock.json": evilLock}
	with := func(files ...string) map[string]string {
		all := map[string]string{"good/package-lock.json": evilLock}
		for i := 0; i+1 < len(files); i += 2 {
			all[files[i]] = files[i+1]
		}
		return all
	}
	bucket := func(n string) string { return ".npm/_cacache/index-v5/00/" + n + "/" + strings.Repeat("0", 60) }
	digest := ecosystem.Integrity(evilSRI)[0].Hex
	content := ".npm/_cacache/content-v2/sha512/" + digest[:2] + "/" + digest[2:4] + "/" + digest[4:]
	entry := func(key, integrity string) string {
		return npmIndexLine(`{"key":"make-fetch-happen:request-cache:` + key + `","integrity":"` + integrity + `"}`)
	}
	leaky := []string{"--catalog", leakyCatalog(t), "--all"}
	for name, tt := range map[string]hostile{
		"D74 links that lead around and out": {files: good, make: func(_ *testing.T, root string) error {
			for at, to := range map[string]string{"loop": ".", "up": "..", "slash": "/", "proc": "/proc", "good/yarn.lock": "/etc/passwd", "good/bun.lock": "/dev/zero"} {
				if err := os.Symlink(to, filepath.Join(root, at)); err != nil {
					return err
				}
			}
			return nil
		}, status: rapsheet.ExitFound, found: 1, says: []string{"6 symbolic links not followed", "good/yarn.lock: symbolic link out of the tree: not followed", "good/bun.lock: symbolic link out of the tree: not followed"},
			never: []string{"root:"}},
		"D74 pipes, sockets and links to them": {files: good, make: func(t *testing.T, root string) error {
			if err := syscall.Mkfifo(filepath.Join(root, "good", "pnpm-lock.yaml"), 0o644); err != nil {
				return err
			}
			if err := syscall.Mkfifo(filepath.Join(root, ".npmrc"), 0o644); err != nil {
				return err
			}
			if err := os.Symlink("good/pnpm-lock.yaml", filepath.Join(root, "yarn.lock")); err != nil {
				return err
			}
			t.Chdir(root) // a socket's path is short
			l, err := net.Listen("unix", "bun.lock")
			if err == nil {
				t.Cleanup(func() { l.Close() })
			}
			return err
		}, status: rapsheet.ExitFound, found: 1, says: []string{"3 special files (pipes, sockets, devices) not opened", "1 symbolic links not followed"}},
		"D74 a socket as a target": {files: good, make: func(t *testing.T, root string) error {
			t.Chdir(root)
			l, err := net.Listen("unix", "package-lock.json")
			if err == nil {
				t.Cleanup(func() { l.Close() })
			}
			return err
		}, targets: []string{"package-lock.json"}, status: rapsheet.ExitIncomplete, says: []string{"is a special file: not opened"}},
		"D76 a file that grows while it is read": {files: with("package-lock.json", `{"lockfileVersion": 3, "packages": {`), heavy: true, make: func(t *testing.T, root string) error {
			return endless(t, filepath.Join(root, "package-lock.json"), `"node_modules/n%d": {"version": "1.0.0"}, `)
		}, status: rapsheet.ExitFound, found: 1, says: []string{"package-lock.json:"}},
		"D78 5,000 directories in one another": {files: good, make: func(_ *testing.T, root string) error { return deep(root, "d", 5000) }, status: rapsheet.ExitFound, found: 1,
			says: []string{"deeper than 128 directories: not entered"}},
		"D78 a path longer than the system takes":            {files: good, make: func(_ *testing.T, root string) error { return deep(root, strings.Repeat("x", 255), 20) }, status: rapsheet.ExitFound, found: 2},
		"D78 a name that is not UTF-8 and clears the screen": {files: with("a\xff\x1b[2J\u202eb/package-lock.json", evilLock), status: rapsheet.ExitFound, found: 2, says: []string{`\x1b[2J`}},
		"D79 a lockfile of 300 MB": {files: with("package-lock.json", strings.TrimSuffix(evilLock, "}")+`, "x": [0`), heavy: true, make: func(_ *testing.T, root string) error {
			f, err := os.OpenFile(filepath.Join(root, "package-lock.json"), os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			chunk := bytes.Repeat([]byte(",1234567"), 1<<17)
			for range 300 {
				if _, err := f.Write(chunk); err != nil {
					return err
				}
			}
			return nil
		}, status: rapsheet.ExitFound, found: 2, says: []string{"is larger than the limit of 268435456 bytes"}},
		"D79 minified, in one line": {files: with("package-lock.json", `{"lockfileVersion": 3, "packages": {`+manyPackages(100_000)+`"node_modules/evil-pkg": {"version": "1.2.3"}}}`),
			status: rapsheet.ExitFound, found: 2},
		"D79 a merge conflict": {files: map[string]string{"package-lock.json": "{\n\"packages\": {\n<<<<<<< HEAD\n}}"}, status: rapsheet.ExitIncomplete, says: []string{"package-lock.json:3: unresolved merge conflict"}},
		"D80 keys of JavaScript's prototypes": {files: with("package-lock.json", `{"__proto__": {"packages": {}}, "constructor": 1, "packages": {"node_modules/__proto__": {"version": "1.0.0"}, "node_modules/evil-pkg": {"version": "1.2.3", "__proto__": {"version": "9.9.9"}}}}`),
			status: rapsheet.ExitFound, found: 2},
		"D81 Yarn 1 with carriage returns and tabs": {files: with("yarn.lock", "# yarn lockfile v1\r\n\r\nevil-pkg@^1.0.0:\r\n\tversion \"1.2.3\"\r\n"), status: rapsheet.ExitFound, found: 2},
		"D81 Yarn 1 nested without end":             {files: with("yarn.lock", "evil-pkg@1:\n  version \"1.2.3\"\n"+nestedLines(3000)), status: rapsheet.ExitFound, found: 2},
		"D81 an alias bomb": {files: with("pnpm-lock.yaml", "lockfileVersion: '9.0'\npackages:\n  a@1.0.0:\n    resolution: &a [x,x,x,x,x,x,x,x,x,x]\n    name: ["+strings.Repeat("&b [*a,*a,*a,*a,*a,*a,*a,*a,*a], ", 9)+"]\n  evil-pkg@1.2.3:\n    resolution: {integrity: "+evilSRI+"}\n"),
			status: rapsheet.ExitFound, found: 2, says: []string{"pnpm-lock.yaml"}},
		"D82 entries of npm's cache that do not hold": {files: with(
			bucket("01"), strings.Replace(entry("https://registry.npmjs.org/forged/-/forged-1.0.0.tgz", evilSRI), "forged", "forced", 1)+entry(evilArchive, evilSRI),
			bucket("02"), entry("https://registry.npmjs.org/evil-pkg/-/evil-pkg-1.2.3.tgz", "sha512-"+strings.Repeat("b", 86)+"=="),
			content, ""), make: sparse(2<<30, content), status: rapsheet.ExitFound, found: 2, says: []string{"index entries whose checksum does not hold", "index entries without content"}},
		"D82 a line of 100 MB in the index": {heavy: true, large: func(*testing.T) map[string]string {
			return with(bucket("03"), npmIndexLine(`{"key":"`+strings.Repeat("x", 100<<20)+`"}`)+entry(evilArchive, evilSRI), content, "")
		},
			status: rapsheet.ExitFound, found: 2, says: []string{"index entries longer than"}},
		"D83 a package that calls itself otherwise": {files: map[string]string{"node_modules/evil-pkg/package.json": `{"name": "harmless", "version": "1.2.3"}`, "node_modules/good/package.json": evilPackage},
			status: rapsheet.ExitFound, found: 2, says: []string{`calls itself "harmless" where "evil-pkg" is installed`, `calls itself "evil-pkg" where "good" is installed`}},
		"D84 from other registries": {files: map[string]string{
			"Cargo.lock":  "[[package]]\nname = \"leaky\"\nversion = \"1.0.0\"\nsource = \"registry+https://crates.corp.example/index\"\n",
			"poetry.lock": "[[package]]\nname = \"leaky\"\nversion = \"1.0.0\"\n\n[package.source]\ntype = \"legacy\"\nurl = \"https://pypi.corp.example/simple\"\n",
			"yarn.lock":   "leaky@1:\n  version \"1.0.0\"\n  resolved \"https://npm.corp.example/leaky/-/leaky-1.0.0.tgz\"\n",
		}, flags: leaky, status: rapsheet.ExitClean, found: 3, says: []string{"crates.corp.example", "pypi.corp.example", "npm.corp.example"}},
		"D85 from git, files and addresses": {files: map[string]string{
			"a/package-lock.json": `{"packages": {"node_modules/leaky": {"version": "1.0.0", "resolved": "git+ssh://git@github.com/acme/leaky.git#0123"}}}`,
			"b/package-lock.json": `{"packages": {"node_modules/leaky": {"version": "1.0.0", "resolved": "file:../leaky.tgz"}}}`,
			"c/package-lock.json": `{"packages": {"node_modules/leaky": {"version": "1.0.0", "resolved": "http://files.example/leaky.tgz"}}}`,
		}, flags: leaky, status: rapsheet.ExitClean, found: 3},
		"D86 a workspace above the tree": {files: map[string]string{"package-lock.json": evilLock, "a/b/c/package-lock.json": `{"packages": {"node_modules/up": {"resolved": "../../..", "link": true}, "../../..": {"name": "up", "version": "1.0.0"}}}`,
			"a/b/c/package.json": `{"workspaces": ["../../.."], "dependencies": {"up": "file:../../.."}}`}, targets: []string{"a/b/c"}, status: rapsheet.ExitClean},
		"files of 1 TB": {files: good, make: sparse(1<<40, "evil.tgz", "evil-1.0-py3-none-any.whl", "package-lock.json", "app.cdx.json", "image.tar", "x.jar", "x-1.0.tar.gz", "index.db"), status: rapsheet.ExitFound, found: 1,
			says: []string{"evil-1.0-py3-none-any.whl: ", "package-lock.json: ", "app.cdx.json: ", "x.jar: "}},
		"files of 1 TB as targets": {files: good, make: sparse(1<<40, "evil.tgz", "evil-1.0-py3-none-any.whl", "package-lock.json", "app.cdx.json", "x.jar"),
			targets: []string{"good", "evil.tgz", "evil-1.0-py3-none-any.whl", "package-lock.json", "app.cdx.json", "x.jar"}, status: rapsheet.ExitFound, found: 1,
			says: []string{"evil.tgz: ", "evil-1.0-py3-none-any.whl: ", "package-lock.json: ", "app.cdx.json: ", "x.jar: "}},
		"bombs in a tree": {heavy: true, large: func(t *testing.T) map[string]string {
			return with("x-1.0-py3-none-any.whl", zipBomb(t, "x-1.0.dist-info/METADATA", 300<<20), "x.tgz", gzipBomb(t, "", 300<<20), "app.cdx.json.gz", gzipBomb(t, evilCDX[:len(evilCDX)-1]+`, "x": "`, 300<<20))
		},
			status: rapsheet.ExitFound, found: 2, says: []string{"x-1.0-py3-none-any.whl: "}},
		"bombs as targets": {heavy: true, large: func(t *testing.T) map[string]string {
			return with("x.zip", zipBomb(t, "package-lock.json", 300<<20), "x.tar.gz", string(gzipOf(tarOf(t, tarMember{member: member{"package-lock.json", strings.Repeat("\x00", 64<<20)}}))))
		},
			targets: []string{"good", "x.zip", "x.tar.gz"}, status: rapsheet.ExitFound, found: 1, says: []string{"x.zip!/package-lock.json: ", "x.tar.gz!/package-lock.json: "}},
		"100,000 entries in one directory": {files: good, heavy: true, make: func(_ *testing.T, root string) error {
			for n := range 100_000 {
				if err := syscall.Mknod(filepath.Join(root, fmt.Sprint(n)), syscall.S_IFREG|0o644, 0); err != nil {
					return err
				}
			}
			return nil
		}, status: rapsheet.ExitFound, found: 1},
		"a lockfile that lost its content": {files: map[string]string{"package-lock.json": strings.Repeat("\x00", 4096)}, status: rapsheet.ExitIncomplete, says: []string{"package-lock.json: "}},
		"a lockfile that lost its content, as a target": {files: map[string]string{"package-lock.json": strings.Repeat("\x00", 4096)}, targets: []string{"package-lock.json"},
			status: rapsheet.ExitIncomplete, says: []string{"package-lock.json: "}},
		"an empty tar": {files: map[string]string{"x.tar": strings.Repeat("\x00", 10240)}, targets: []string{"x.tar"}, status: rapsheet.ExitClean},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.heavy && testing.Short() {
				t.Skip("large")
			}
			if tt.large != nil {
				tt.files = tt.large(t)
			}
			root := clienttest.Tree(t, tt.files)
			if tt.make != nil {
				if err := tt.make(t, root); err != nil {
					t.Skip(err)
				}
			}
			targets := []string{root}
			if tt.targets != nil {
				targets = nil
				for _, at := range tt.targets {
					targets = append(targets, filepath.Join(root, at))
				}
			}
			flags := tt.flags
			if flags == nil {
				flags = []string{"--catalog", evilPkgCatalog(t)}
			}
			// What is not bounded would go on for hours.
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			environment := map[string]string{"HOME": t.TempDir()}
			r := rapsheetIn(ctx, environment, append(append([]string{"scan", "--format", "json"}, flags...), targets...)...)
			report := r.json(t)
			var b strings.Builder
			for _, n := range report.Notes {
				fmt.Fprintf(&b, "%s: %s\n%d %s\n", n.Path, n.Message, n.Count, n.Message)
				if n.Line > 0 {
					fmt.Fprintf(&b, "%s:%d: %s\n", n.Path, n.Line, n.Message)
				}
			}
			all := b.String() + r.stdout
			if n := len(report.paths(root)); r.status != tt.status || n != tt.found || ctx.Err() != nil {
				t.Errorf("status %d, %d places, want %d and %d, %v:\n%.3000s%s", r.status, n, tt.status, tt.found, ctx.Err(), all, r.stderr)
			}
			if !strings.HasPrefix(name, "D78 a name") { // JSON keeps names as they are
				wantPrintable(t, r.stderr)
			} else if text := rapsheetIn(ctx, environment, append(append([]string{"scan"}, flags...), targets...)...); true {
				all = text.stdout
				wantPrintable(t, text.stdout+text.stderr)
			}
			for _, want := range tt.says {
				if !strings.Contains(all, want) {
					t.Errorf("no %q in\n%.3000s", want, all)
				}
			}
			for _, not := range append(tt.never, "panicked") {
				if strings.Contains(all, not) {
					t.Errorf("%q is in\n%.3000s", not, all)
				}
			}
		})
	}
}

func manyPackages(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"node_modules/n%d":{"version":"1.0.0"},`, i)
	}
	return b.String()
}

func nestedLines(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i+4) + "x:\n")
	}
	return b.String()
}

// A lockfile that is replaced by a link while the tree is walked never shows what the link leads to.
func TestReplacedWhileWalked(t *testing.T) {
	t.Run("D75 replaced between listing and opening", func(t *testing.T) {
		outside := clienttest.Tree(t, map[string]string{"package-lock.json": evilLock})
		root := clienttest.Tree(t, map[string]string{"dir/package-lock.json": `{"packages": {"node_modules/good": {"version": "1.0.0"}}}`})
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			file := filepath.Join(root, "dir", "package-lock.json")
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
			}
		})
		catalog := evilPkgCatalog(t)
		for range 40 {
			if r := rapsheetIn(t.Context(), nil, "scan", "--catalog", catalog, "--format", "json", root); len(r.json(t).Findings) > 0 {
				t.Fatalf("read outside the root: %s", r.stdout)
			}
		}
		close(stop)
		wg.Wait()
	})
}

// What may not be read is named, and the scan is incomplete.
func TestUnreadableTrees(t *testing.T) {
	t.Run("D77 a directory and a file without permission", func(t *testing.T) {
		root := clienttest.Tree(t, map[string]string{"a/package-lock.json": evilLock, "b/package-lock.json": evilLock, "c/package-lock.json": `{"packages": {"node_modules/good": {"version": "1.0.0"}}}`})
		catalog := evilPkgCatalog(t)
		for path, mode := range map[string]os.FileMode{filepath.Join(root, "a"): 0, filepath.Join(root, "b", "package-lock.json"): 0, filepath.Dir(root): 0o755, filepath.Dir(catalog): 0o755} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() { os.Chmod(filepath.Join(root, "a"), 0o755) })
		asNobody(t)
		r := rapsheetIn(t.Context(), nil, "scan", "--catalog", catalog, root)
		text := strings.Join(strings.Fields(r.stdout), " ")
		if r.status != rapsheet.ExitIncomplete || !strings.Contains(text, "/a: open: permission denied") || !strings.Contains(text, "/b/package-lock.json: open: permission denied") {
			t.Errorf("status %d: %s%s", r.status, r.stdout, r.stderr)
		}
	})
}
