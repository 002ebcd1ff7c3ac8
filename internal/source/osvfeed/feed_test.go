package osvfeed

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/source"
)

// got is what a feed gave: names in order, "!name" for a reject.
type got struct {
	names []string
	data  map[string]string
	err   error
}

func fetch(t *testing.T, f *Feed) got {
	t.Helper()
	g := got{data: map[string]string{}}
	for doc, err := range f.Fetch(t.Context(), "ignored") {
		var reject *source.Reject
		switch {
		case g.err != nil:
			t.Fatalf("the stream goes on after %v", g.err)
		case errors.As(err, &reject):
			g.names = append(g.names, "!"+reject.Name)
		case err != nil:
			g.err = err
		default:
			g.names = append(g.names, doc.Name)
			g.data[doc.Name] = string(doc.Data)
		}
	}
	return g
}

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, data := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var checkout = map[string]string{
	"README.md":                                              "x",
	"config.json":                                            "{}",
	"internal/testdata/MAL-2024-1.json":                      document("MAL-2024-1", evil, ""),
	"osv/malicious/npm/evil/MAL-2025-1.json":                 document("MAL-2025-1", evil, ""),
	"osv/malicious/npm/evil/notes.txt":                       "x",
	"osv/withdrawn/npm/@s/good/MAL-2025-2.json":              document("MAL-2025-2", evil, ""),
	"osv/malicious/npm/MAL-0000-acme-1/MAL-0000-acme-1.json": document("", evil, ""),
}

var inTree = []string{
	"osv/malicious/npm/MAL-0000-acme-1/MAL-0000-acme-1.json",
	"osv/malicious/npm/evil/MAL-2025-1.json",
	"osv/withdrawn/npm/@s/good/MAL-2025-2.json",
}

func TestTree(t *testing.T) {
	dir := write(t, t.TempDir(), checkout)
	archive := filepath.Join(t.TempDir(), "main.zip")
	var b bytes.Buffer
	zw := zip.NewWriter(&b)
	for name, data := range checkout {
		w, err := zw.Create("malicious-packages-main/" + name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, data)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(archive, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	prefixed := func(prefix string) []string {
		var out []string
		for _, n := range inTree {
			out = append(out, prefix+n)
		}
		return out
	}
	tests := []struct {
		name string
		feed *Feed
		want []string
	}{
		{"checkout", Tree(dir, "ossf"), inTree},
		{"osv", Tree(filepath.Join(dir, "osv"), "ossf"), inTree},
		{"osv/withdrawn", Tree(filepath.Join(dir, "osv", "withdrawn"), "ossf"), inTree[2:]},
		{"archive", Tree(archive, "ossf"), prefixed("malicious-packages-main/")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := fetch(t, tt.feed)
			slices.Sort(g.names)
			if g.err != nil || !slices.Equal(g.names, tt.want) {
				t.Errorf("got %q, %v, want %q", g.names, g.err, tt.want)
			}
			for name, data := range g.data {
				p, err := tt.feed.Parse(source.Document{Name: name, Data: []byte(data)})
				if err != nil || len(p.Claims) != 1 {
					t.Errorf("%s: %+v, %v", name, p, err)
				} else if withdrawn := strings.Contains(name, "withdrawn"); withdrawn == p.Claims[0].Withdrawn.IsZero() {
					t.Errorf("%s: withdrawn %v", name, p.Claims[0].Withdrawn)
				}
			}
		})
	}
	if info := Tree(dir, "ossf").Info(); info != (source.Info{Name: "ossf", Kind: "osv", Complete: true}) {
		t.Errorf("info %+v", info)
	}
	if g := fetch(t, Tree(filepath.Join(dir, "internal"), "ossf")); !errors.Is(g.err, source.ErrNoRecords) || len(g.names) != 0 {
		t.Errorf("outside of the layout: %q, %v", g.names, g.err)
	}
	if g := fetch(t, Tree(filepath.Join(dir, "absent"), "ossf")); !errors.Is(g.err, fs.ErrNotExist) {
		t.Errorf("absent: %v", g.err)
	}
	if f := Documents(dir, "d"); f.Info().Complete || len(fetch(t, f).names) != 5 {
		t.Errorf("documents: %+v, %q", f.Info(), fetch(t, f).names)
	}
}

func TestDump(t *testing.T) {
	base, state := t.TempDir(), t.TempDir()
	var b bytes.Buffer
	zw := zip.NewWriter(&b)
	for _, id := range []string{"MAL-2025-1", "GHSA-rv2q-8j8h-77ch"} {
		w, err := zw.Create(id + ".json")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, document(id, evil, ""))
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, base, map[string]string{
		"ecosystems.txt":               "npm\n",
		"npm/all.zip":                  b.String(),
		"npm/GHSA-rv2q-8j8h-77ch.json": document("GHSA-rv2q-8j8h-77ch", evil, ""),
		"npm/modified_id.csv":          "2025-01-02T00:00:00Z,MAL-2025-1\n2025-01-02T00:00:00Z,GHSA-rv2q-8j8h-77ch\n",
	})
	f := Dump(&source.Dump{Base: base}, state, "osv-dev")
	for range 2 {
		if g := fetch(t, f); g.err != nil || len(g.names) != 1 {
			t.Fatalf("got %q, %v", g.names, g.err)
		}
	}
	if !f.Info().Complete || f.Cursor() != "" {
		t.Errorf("info %+v, cursor %q", f.Info(), f.Cursor())
	}
	if err := os.Remove(filepath.Join(base, "npm", "modified_id.csv")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(base, "npm", "all.zip"), []byte("<html>"), 0o644); err != nil {
		t.Fatal(err)
	}
	f.Options.Full = true
	var eco *source.EcosystemError
	if g := fetch(t, f); !errors.As(g.err, &eco) || len(g.names) != 0 {
		t.Errorf("a damaged dump: %q, %v", g.names, g.err)
	}
}

// git runs git for a test's own repository.
func git(t *testing.T, dir, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %q: %v: %s", args, err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out))
}

func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir := write(t, t.TempDir(), files)
	git(t, dir, "", "init", "-q", "-b", "main")
	git(t, dir, "", "add", "-A")
	git(t, dir, "", "commit", "-q", "-m", "one")
	return dir
}

func TestRevision(t *testing.T) {
	dir := repository(t, checkout)
	git(t, dir, "", "tag", "one")
	write(t, dir, map[string]string{"osv/malicious/npm/new/MAL-2025-3.json": document("MAL-2025-3", evil, "")})
	git(t, dir, "", "add", "-A")
	git(t, dir, "", "commit", "-q", "-m", "two")
	bare := filepath.Join(t.TempDir(), "bare.git")
	git(t, dir, "", "clone", "-q", "--bare", ".", bare)
	write(t, dir, map[string]string{"osv/malicious/npm/newer/MAL-2025-4.json": document("MAL-2025-4", evil, "")})

	t.Setenv("GIT_DIR", "/nonexistent") // must not lead astray
	tests := []struct {
		name string
		feed *Feed
		want int
		bad  bool
	}{
		{"work tree", Tree(dir, "o"), 5, false},
		{"HEAD of a checkout", Revision(dir, "HEAD", "o"), 4, false},
		{"tag", Revision(dir, "one", "o"), 3, false},
		{"bare", Tree(bare, "o"), 4, false},
		{"tag of the bare one", Revision(bare, "one", "o"), 3, false},
		{"no such revision", Revision(bare, "two", "o"), 0, true},
		{"an option", Revision(bare, "--output=/tmp/x", "o"), 0, true},
		{"two revisions", Revision(bare, "one..main", "o"), 0, true},
		{"no repository", Revision(t.TempDir(), "HEAD", "o"), 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := fetch(t, tt.feed)
			if len(g.names) != tt.want || (g.err != nil) != tt.bad {
				t.Errorf("got %q, %v", g.names, g.err)
			}
			for name, data := range g.data {
				if want, ok := checkout[name]; ok && data != want {
					t.Errorf("%s: got %q", name, data)
				}
			}
		})
	}
	t.Run("a consumer that has enough", func(t *testing.T) {
		for range Tree(bare, "o").Fetch(t.Context(), "") {
			break
		}
	})
	t.Run("a context that ended", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range Revision(bare, "HEAD", "o").Fetch(ctx, "") {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestBadRepositories(t *testing.T) {
	good := "osv/malicious/npm/evil/MAL-2025-1.json"
	t.Run("B54 links, submodules, filters, large blobs", func(t *testing.T) {
		canary := filepath.Join(t.TempDir(), "canary")
		dir := repository(t, map[string]string{
			good:                                    document("MAL-2025-1", evil, ""),
			"osv/malicious/npm/big/MAL-2025-2.json": strings.Repeat(" ", 4000),
			".gitattributes":                        "*.json filter=evil diff=evil text eol=crlf\n",
		})
		git(t, dir, "", "config", "filter.evil.smudge", "touch "+canary)
		git(t, dir, "", "config", "filter.evil.clean", "touch "+canary)
		git(t, dir, "", "config", "diff.evil.textconv", "touch "+canary)
		git(t, dir, "", "config", "core.fsmonitor", "touch "+canary)
		link := git(t, dir, "/etc/passwd", "hash-object", "-w", "--stdin")
		git(t, dir, "", "update-index", "--add", "--cacheinfo", "120000,"+link+",osv/malicious/npm/link/MAL-2025-3.json")
		git(t, dir, "", "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",osv/malicious/npm/sub")
		tree := git(t, dir, "", "write-tree")
		_ = os.Remove(canary) // the test's own git may have run them
		f := Revision(dir, tree, "o")
		f.Limits.Entry = 1000
		g := fetch(t, f)
		want := []string{"!osv/malicious/npm/big/MAL-2025-2.json", good, "!osv/malicious/npm/link/MAL-2025-3.json", "!osv/malicious/npm/sub"}
		if g.err != nil || !slices.Equal(g.names, want) {
			t.Errorf("got %q, %v", g.names, g.err)
		}
		if g.data[good] != document("MAL-2025-1", evil, "") {
			t.Errorf("not the blob's bytes: %q", g.data[good])
		}
		if _, err := os.Stat(canary); err == nil {
			t.Error("a command of the repository's configuration ran")
		}
	})
	t.Run("B54 a partial clone asks nobody", func(t *testing.T) {
		canary := filepath.Join(t.TempDir(), "canary")
		dir := repository(t, map[string]string{good: document("MAL-2025-1", evil, "")})
		id := git(t, dir, "", "rev-parse", "HEAD:"+good)
		if err := os.Remove(filepath.Join(dir, ".git", "objects", id[:2], id[2:])); err != nil {
			t.Fatal(err)
		}
		git(t, dir, "", "config", "core.repositoryFormatVersion", "1")
		git(t, dir, "", "config", "extensions.partialClone", "origin")
		git(t, dir, "", "config", "remote.origin.promisor", "true")
		git(t, dir, "", "config", "remote.origin.url", "ext::sh -c touch% "+canary)
		git(t, dir, "", "config", "protocol.ext.allow", "always")
		g := fetch(t, Revision(dir, "HEAD", "o"))
		if g.err == nil || len(g.names) != 0 {
			t.Errorf("got %q, %v", g.names, g.err)
		}
		t.Log(g.err)
		if _, err := os.Stat(canary); err == nil {
			t.Error("a command of the repository's configuration ran")
		}
	})
	t.Run("B35 to B38 paths", func(t *testing.T) {
		dir := repository(t, map[string]string{good: document("MAL-2025-1", evil, "")})
		id := git(t, dir, "", "rev-parse", "HEAD:"+good)
		inner := git(t, dir, "100644 blob "+id+"\tMAL-2025-1.json\n", "mktree")
		up := git(t, dir, "040000 tree "+inner+"\t..\x00100644 blob "+id+"\ta\nb.json\x00100644 blob "+id+"\ta\\b.json\x00", "mktree", "-z")
		g := got{}
		tree := git(t, dir, "040000 tree "+up+"\tmalicious\n", "mktree")
		tree = git(t, dir, "040000 tree "+tree+"\tosv\n", "mktree")
		for doc, err := range Revision(dir, tree, "o").Fetch(t.Context(), "") {
			var reject *source.Reject
			if !errors.As(err, &reject) && !errors.Is(err, source.ErrNoRecords) {
				t.Errorf("got %q, %v", doc.Name, err)
			}
			g.names = append(g.names, fmt.Sprint(err))
		}
		if len(g.names) != 4 {
			t.Errorf("got %q, want three rejects and no records", g.names)
		}
	})
	t.Run("B47 too many entries", func(t *testing.T) {
		f := Revision(repository(t, checkout), "HEAD", "o")
		f.Limits.Entries = 3
		if g := fetch(t, f); !errors.Is(g.err, source.ErrTooManyEntries) {
			t.Errorf("got %v", g.err)
		}
	})
	t.Run("B48 a damaged object", func(t *testing.T) {
		dir := repository(t, checkout)
		id := git(t, dir, "", "rev-parse", "HEAD:"+good)
		object := filepath.Join(dir, ".git", "objects", id[:2], id[2:])
		if err := os.Chmod(object, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(object, 20); err != nil {
			t.Fatal(err)
		}
		if g := fetch(t, Revision(dir, "HEAD", "o")); g.err == nil {
			t.Errorf("got %q without an error", g.names)
		}
	})
}
