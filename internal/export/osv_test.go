package export

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

var osvDocs = []string{
	`{"schema_version":"1.7.4","id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z","published":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"evil-pkg"},"versions":["1.2.3"]}],"references":[{"type":"ADVISORY","url":"https://catalog.example/MAL-2026-1"}]}`,
	`{"schema_version":"1.7.4","id":"MAL-2026-2","modified":"2026-01-03T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"@scope/bad"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`,
	`{"schema_version":"1.7.4","id":"MAL-2026-3","modified":"2026-01-03T00:00:00Z","affected":[{"package":{"ecosystem":"Maven","name":"org.evil:lib"},"versions":["1.0"]},{"package":{"ecosystem":"Go","name":"github.com/Evil/Mod"},"versions":["1.0.0"]}]}`,
	`{"schema_version":"1.7.4","id":"GHSA-aaaa-bbbb-cccc","modified":"2026-01-03T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"evil-pkg"},"versions":["9.9.9"]}]}`,
	`{"schema_version":"1.7.4","id":"GHSA-aaaa-bbbb-dddd","modified":"2026-01-03T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"evil-pkg"},"versions":["9.9.8"]}]}`,
	`{"schema_version":"1.7.4","id":"MAL-2026-4","modified":"2026-01-03T00:00:00Z","withdrawn":"2026-01-04T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"good"},"versions":["1.0.0"]}]}`,
}

func load(t *testing.T, docs ...string) *Catalog {
	t.Helper()
	var seq iter.Seq2[[]byte, error] = func(yield func([]byte, error) bool) {
		for _, d := range docs {
			if !yield([]byte(d), nil) {
				return
			}
		}
	}
	c, err := Load(t.Context(), seq, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// writeTo writes a format to a new place and gives that.
func writeTo(t *testing.T, name string, c *Catalog, opt Options) (string, error) {
	t.Helper()
	f, ok := Find(name)
	if !ok {
		t.Fatal(name)
	}
	at := filepath.Join(t.TempDir(), "out")
	if f.Tree != nil {
		return at, WriteTree(t.Context(), f, c, at, opt)
	}
	out, err := os.Create(at)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	return at, f.File(t.Context(), c, out, opt)
}

// entries are the names and contents of a zip in its order.
func entries(t *testing.T, name string) (names []string, content map[string]string) {
	t.Helper()
	z, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	content = map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		names, content[f.Name] = append(names, f.Name), string(data)
	}
	return names, content
}

func TestOSVTree(t *testing.T) {
	at, err := writeTo(t, "osv", load(t, osvDocs...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	all, content := entries(t, filepath.Join(at, "all.zip"))
	if want := []string{"GHSA-aaaa-bbbb-cccc.json", "GHSA-aaaa-bbbb-dddd.json", "MAL-2026-1.json", "MAL-2026-2.json", "MAL-2026-3.json", "MAL-2026-4.json"}; !slices.Equal(all, want) {
		t.Errorf("all.zip: %q", all)
	}
	for name, want := range map[string]string{
		"ecosystems.txt":        "Go\nMaven\nnpm\n",
		"Maven/modified_id.csv": "2026-01-03T00:00:00Z,MAL-2026-3\n",
		"npm/MAL-2026-1.json":   content["MAL-2026-1.json"],
		"Go/MAL-2026-3.json":    content["MAL-2026-3.json"],
		"PyPI/modified_id.csv":  "",
		"Hackage/all.zip":       "PK\x05\x06" + strings.Repeat("\x00", 18),
	} {
		got, err := os.ReadFile(filepath.Join(at, name))
		if err != nil || string(got) != want {
			t.Errorf("%s: %v\n%q", name, err, got)
		}
	}
	list, err := os.ReadFile(filepath.Join(at, "modified_id.csv"))
	if err != nil || !strings.HasSuffix(string(list), "2026-01-03T00:00:00Z,npm/MAL-2026-4\n2026-01-02T00:00:00Z,npm/MAL-2026-1\n") {
		t.Errorf("%s", list)
	}
}

// The same records give the same bytes, in whatever order they come.
func TestOSVReproducible(t *testing.T) {
	backwards := slices.Clone(osvDocs)
	slices.Reverse(backwards)
	for _, f := range osvFormats {
		var sums [2]string
		for i, docs := range [][]string{osvDocs, backwards} {
			at, err := writeTo(t, f.Name, load(t, docs...), Options{})
			if err != nil {
				t.Fatal(err)
			}
			h := sha256.New()
			err = filepath.WalkDir(at, func(p string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				data, err := os.ReadFile(p)
				fmt.Fprintf(h, "%s %d\n", strings.TrimPrefix(p, at), len(data))
				h.Write(data)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			sums[i] = fmt.Sprintf("%x", h.Sum(nil))
		}
		if sums[0] != sums[1] {
			t.Errorf("%s differs", f.Name)
		}
	}
}

// upstream has a CVE of its own in a spelling of its own, one of our malicious ids, one of our others, and an id with a colon.
var upstreamFiles = []string{
	"CVE-2020-1.json", `{ "id":"CVE-2020-1", "modified":"2020-01-01T00:00:00Z","new":{"x":1},"affected":[{"package":{"ecosystem":"npm","name":"lodash"},"versions":["1.0.0"]}]}`,
	"GHSA-aaaa-bbbb-cccc.json", `{"id":"GHSA-aaaa-bbbb-cccc","modified":"2020-01-01T00:00:00Z","summary":"upstream","affected":[{"package":{"ecosystem":"npm","name":"evil-pkg"},"versions":["9.9.9"]}]}`,
	"MAL-2026-1.json", `{"id":"MAL-2026-1","modified":"2020-01-01T00:00:00Z","summary":"upstream","affected":[{"package":{"ecosystem":"npm","name":"evil-pkg"},"versions":["1"]}]}`,
	"openSUSE-SU-2019:0003-1.json", `{"id":"openSUSE-SU-2019:0003-1","modified":"2020-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"openSUSE:15","name":"x"},"versions":["1"]},{"package":{"ecosystem":"npm","name":"x"},"versions":["1"]}]}`,
}

func TestOSVOver(t *testing.T) {
	dir := clienttest.Tree(t, map[string]string{
		"npm/all.zip":            string(clienttest.Zip(t, upstreamFiles...)),
		"Debian/all.zip":         string(clienttest.Zip(t, upstreamFiles[6], upstreamFiles[7])),
		"PyPI/all.zip":           string(clienttest.Zip(t)),
		"[EMPTY]/all.zip":        "not read",
		"osv-scanner/Go/all.zip": string(clienttest.Zip(t, upstreamFiles[:2]...)),
	})
	single := filepath.Join(clienttest.Tree(t, map[string]string{"all.zip": string(clienttest.Zip(t, upstreamFiles...))}), "all.zip")
	want := []string{"MAL-2026-1.json", "MAL-2026-2.json", "MAL-2026-4.json", "CVE-2020-1.json", "GHSA-aaaa-bbbb-cccc.json", "openSUSE-SU-2019:0003-1.json", "GHSA-aaaa-bbbb-dddd.json"}
	for name, over := range map[string]string{"directory": dir, "file": single} {
		at, err := writeTo(t, "osv-scanner", load(t, osvDocs...), Options{Over: over})
		if err != nil {
			t.Fatal(err)
		}
		names, content := entries(t, filepath.Join(at, "osv-scalibr", "npm", "all.zip"))
		if !slices.Equal(names, want) {
			t.Errorf("%s: %q", name, names)
		}
		if content["CVE-2020-1.json"] != upstreamFiles[1] || !strings.Contains(content["GHSA-aaaa-bbbb-cccc.json"], "upstream") || strings.Contains(content["MAL-2026-1.json"], "upstream") {
			t.Errorf("%s: %q", name, content)
		}
		if name == "file" {
			if names, _ := entries(t, filepath.Join(at, "osv-scanner", "openSUSE", "all.zip")); len(names) != 1 {
				t.Errorf("openSUSE: %q", names)
			}
			continue
		}
		if names, _ := entries(t, filepath.Join(at, "osv-scanner", "Debian", "all.zip")); len(names) != 1 {
			t.Errorf("Debian: %q", names)
		}
		if names, _ := entries(t, filepath.Join(at, "osv-scanner", "Go", "all.zip")); len(names) != 2 {
			t.Errorf("Go: %q", names)
		}
	}
}

// An upstream that cannot be kept whole is an error, not a database with a hole.
func TestOSVOverHostile(t *testing.T) {
	good := clienttest.Zip(t, upstreamFiles...)
	broken := bytes.Clone(good)
	broken[100] ^= 0xff
	for name, data := range map[string][]byte{
		"path":       clienttest.Zip(t, "../../x.json", upstreamFiles[1]),
		"other id":   clienttest.Zip(t, "CVE-2020-2.json", upstreamFiles[1]),
		"time":       clienttest.Zip(t, "CVE-2020-1.json", `{"id":"CVE-2020-1","modified":"1\n2"}`),
		"duplicate":  clienttest.Zip(t, append(slices.Clone(upstreamFiles), upstreamFiles[:2]...)...),
		"not JSON":   clienttest.Zip(t, "CVE-2020-1.json", `<html>`),
		"bomb":       clienttest.Zip(t, "CVE-2020-1.json", strings.Repeat(" ", 64<<20)),
		"damaged":    broken,
		"cut off":    good[:len(good)-30],
		"no archive": []byte("<html>login</html>"),
	} {
		over := filepath.Join(clienttest.Tree(t, map[string]string{"all.zip": string(data)}), "all.zip")
		at, err := writeTo(t, "osv-scanner", load(t, osvDocs...), Options{Over: over})
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: something is left", name)
		}
	}
}

func TestOSVOffline(t *testing.T) {
	at, err := writeTo(t, "osv-offline", load(t, osvDocs...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	names, content := entries(t, at)
	want := []string{"crates.io.nedb", "go.nedb", "hackage.nedb", "hex.nedb", "maven.nedb", "npm.nedb", "nuget.nedb", "packagist.nedb", "pub.nedb", "pypi.nedb", "rubygems.nedb"}
	if !slices.Equal(names, want) || content["hex.nedb"] != "" || strings.Count(content["npm.nedb"], "\n") != 5 {
		t.Errorf("%q %q", names, content)
	}
	for file, part := range map[string]string{
		"npm.nedb": `"pkg:npm/%40scope/bad"`, "maven.nedb": `"pkg:maven/org.evil/lib"`,
		// The library does not change the case of names as the purl type says.
		"go.nedb": `"pkg:golang/github.com/Evil/Mod"`,
	} {
		if !strings.Contains(content[file], part) {
			t.Errorf("%s: %s", file, content[file])
		}
	}
	upstream := filepath.Join(clienttest.Tree(t, map[string]string{"up.zip": string(clienttest.Zip(t,
		"npm.nedb", `{"id":"CVE-2020-1","_id":"0123456789abcdef"}`+"\n"+`{"id":"MAL-2026-1","_id":"1123456789abcdef"}`+"\n"+`{"id":"GHSA-aaaa-bbbb-cccc","_id":"2123456789abcdef"}`+"\n",
		"cran.nedb", `{"id":"CVE-2020-3","_id":"0123456789abcdef"}`+"\n"))}), "up.zip")
	if at, err = writeTo(t, "osv-offline", load(t, osvDocs...), Options{Over: upstream}); err != nil {
		t.Fatal(err)
	}
	names, content = entries(t, at)
	var got []string
	for line := range strings.Lines(content["npm.nedb"]) {
		_, id, _ := strings.Cut(line, `"id":"`)
		id, _, _ = strings.Cut(id, `"`)
		got = append(got, id)
	}
	if want := []string{"MAL-2026-1", "MAL-2026-2", "MAL-2026-4", "CVE-2020-1", "GHSA-aaaa-bbbb-cccc", "GHSA-aaaa-bbbb-dddd"}; !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) ||
		!slices.Contains(names, "cran.nedb") || !strings.HasPrefix(got[0], "MAL-") {
		t.Errorf("%q %q", names, got)
	}
	for name, data := range map[string][]byte{
		"not JSON": clienttest.Zip(t, "npm.nedb", "x\n"), "path": clienttest.Zip(t, "../npm.nedb", "{}\n"), "below": clienttest.Zip(t, "x/npm.nedb", "{}\n"), "no zip": []byte("x"),
		"long line": clienttest.Zip(t, "npm.nedb", `{"id":"`+strings.Repeat("x", 10<<20)+`"}`),
	} {
		over := filepath.Join(clienttest.Tree(t, map[string]string{"up.zip": string(data)}), "up.zip")
		if _, err := writeTo(t, "osv-offline", load(t, osvDocs...), Options{Over: over}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestOfflinePURL(t *testing.T) {
	// What Node prints for "pkg:npm/" + name.split("/").map(encodeURIComponent).join("/").
	for name, want := range map[string]string{
		"@scope/bad": "pkg:npm/%40scope/bad", "a!'()*~b": "pkg:npm/a!'()*~b", "a b+c": "pkg:npm/a%20b%2Bc", "é": "pkg:npm/%C3%A9",
	} {
		if got := offlinePURL("npm", name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// OSV-Scanner without a network, with the export alone.
func TestOSVScannerOffline(t *testing.T) {
	scanner := clienttest.Scanner(t, "osv-scanner")
	db, err := writeTo(t, "osv-scanner", load(t, osvDocs...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	scan := func(name, version string) (string, int) {
		dir := clienttest.Tree(t, map[string]string{
			"package-lock.json": fmt.Sprintf(`{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"app","version":"1.0.0"},"node_modules/%s":{"version":%q}}}`, name, version),
			"requirements.txt":  "flask==3.0.0\n",
			"pubspec.lock":      "packages:\n  path:\n    dependency: transitive\n    description:\n      name: path\n      url: \"https://pub.dev\"\n    source: hosted\n    version: \"1.8.0\"\n",
		})
		cmd := exec.CommandContext(t.Context(), scanner, "scan", "source", "--offline", "--format", "json", "--local-db-path", db, dir)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return out.String(), cmd.ProcessState.ExitCode()
	}
	if out, status := scan("evil-pkg", "1.2.3"); status != 1 || !strings.Contains(out, `"MAL-2026-1"`) || !strings.Contains(out, "https://catalog.example/MAL-2026-1") {
		t.Errorf("exit %d\n%s", status, out)
	}
	for _, clean := range [][2]string{{"evil-pkg", "1.2.4"}, {"good", "1.0.0"}} {
		if out, status := scan(clean[0], clean[1]); status != 0 {
			t.Errorf("%s: exit %d\n%s", clean, status, out)
		}
	}
}

func TestInOrder(t *testing.T) {
	var list []int
	for i := range 10_000 {
		list = append(list, i)
	}
	double := func(in []int) ([]int, error) {
		var out []int
		for _, v := range in {
			if v == 5000 {
				return out, context.DeadlineExceeded
			}
			out = append(out, 2*v)
		}
		return out, nil
	}
	n := 0
	for v, err := range inOrder(t.Context(), values(list), double) {
		if err != nil {
			if n != 5000 || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v after %d", err, n)
			}
			return
		}
		if v != 2*n {
			t.Fatalf("%d at %d", v, n)
		}
		n++
	}
	t.Error("no error")
}
