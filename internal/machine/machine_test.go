package machine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/machine"
)

// disk makes directories; "-> " makes a symbolic link.
func disk(t *testing.T, entries ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, e := range entries {
		name, to, link := strings.Cut(e, " -> ")
		at := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if link {
			err = os.Symlink(to, at)
		} else if strings.HasSuffix(name, "passwd") {
			err = os.WriteFile(at, []byte("root:x:0:0:root:/root:/bin/bash\njenkins:x:1:1::/var/lib/jenkins:/bin/sh\ndaemon:x:2:2::/usr/sbin:/bin/false\nbroken\n"), 0o644)
		} else {
			err = os.MkdirAll(at, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func places(t *testing.T, root string, opt machine.Options) (all []string) {
	t.Helper()
	found, notes, err := machine.Places(opt)
	if err != nil {
		t.Fatal(err)
	}
	rel := func(p string) string {
		if r, err := filepath.Rel(root, p); err == nil {
			return filepath.ToSlash(r)
		}
		return p
	}
	for _, p := range found {
		line := rel(p.Path)
		if p.As != "" {
			line += " as " + p.As
		}
		for _, e := range p.Exclude {
			line += " without " + rel(e)
		}
		all = append(all, line)
	}
	for _, n := range notes {
		all = append(all, fmt.Sprintf("%s %s: %s", n.Kind, rel(n.Path), n.Message))
	}
	return all
}

func TestPlaces(t *testing.T) {
	root := disk(t,
		"etc/passwd",
		"home/a/.npm/_cacache", "home/a/.cache/pip", "home/a/.cache/deno/npm", "home/a/.config/Code/x", "home/a/src/project", "home/a/.vscode-server/extensions",
		"home/b/.cargo -> /etc", "home/b/.config -> /etc", "home/b/.local -> ../a/.cache",
		"root/.m2", "var/lib/jenkins/.gradle", "usr/sbin/.npm", "opt/tool", "usr/local/lib/node_modules", "data/npm", "proc/1",
	)
	env := func(k string) string {
		return map[string]string{"npm_config_cache": filepath.Join(root, "data", "npm"), "GOBIN": "relative", "PIP_CACHE_DIR": filepath.Join(root, "none")}[k]
	}
	const quick = "info .: quick profile: caches, tools and editors; projects elsewhere were not looked for"
	for _, tt := range []struct {
		name string
		opt  machine.Options
		want []string
	}{
		{"a mounted disk, whole", machine.Options{Profile: machine.Full, OS: "linux", Root: root, Getenv: env},
			[]string{". without proc without sys without dev"}},
		{"a mounted disk, quickly", machine.Options{Profile: machine.Quick, OS: "linux", Root: root, Getenv: env}, []string{
			"home/a/.cache", "home/a/.config/Code", "home/a/.npm", "home/a/.vscode-server", "opt", "root/.m2", "usr/local/lib", "var/lib/jenkins/.gradle",
			"unread home/b/.local: not followed: symbolic link", "unread home/b/.config: not followed: symbolic link", "unread home/b/.cargo: not followed: symbolic link", quick,
		}},
		{"one home, whole", machine.Options{Profile: machine.Full, OS: "linux", Home: filepath.Join(root, "home", "a"), Getenv: env}, []string{"home/a"}},
		{"one home, quickly", machine.Options{Profile: machine.Quick, OS: "linux", Home: filepath.Join(root, "home", "a"), Getenv: env},
			[]string{"home/a/.cache", "home/a/.config/Code", "home/a/.npm", "home/a/.vscode-server", strings.Replace(quick, " .:", " home/a:", 1)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := places(t, root, tt.opt); !slices.Equal(got, tt.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
			}
		})
	}
	if _, _, err := machine.Places(machine.Options{Profile: machine.Full, Home: filepath.Join(root, "none")}); err == nil {
		t.Error("a home that does not exist is none")
	}
}

// What the environment moved is walked as what it is, once.
func TestMoved(t *testing.T) {
	root := disk(t, "data/npm/_cacache", "elsewhere/go/bin", "deno-dir/npm", "link -> data/npm")
	env := map[string]string{
		"npm_config_cache": filepath.Join(root, "link"),
		"NPM_CONFIG_CACHE": filepath.Join(root, "data", "npm"),
		"DENO_DIR":         filepath.Join(root, "deno-dir"),
		"GOPATH":           filepath.Join(root, "elsewhere", "go") + string(filepath.ListSeparator) + filepath.Join(root, "none"),
		"GOBIN":            filepath.Join(root, "elsewhere", "go", "bin"),
	}
	found, _, err := machine.Places(machine.Options{Profile: machine.Full, OS: "linux", Getenv: func(k string) string { return env[k] }})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	var top machine.Place
	for _, p := range found {
		if p.Path == "/" {
			top = p
			continue
		}
		rel, _ := filepath.Rel(root, p.Path)
		if _, twice := got[rel]; twice {
			t.Errorf("%s twice", rel)
		}
		got[rel] = p.As
	}
	want := map[string]string{"data/npm": "/home/.npm", "deno-dir": "/home/.cache/deno", "elsewhere/go": "/home/go", "elsewhere/go/bin": "/home/go/bin"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	for dir := range want {
		if !slices.Contains(top.Exclude, filepath.ToSlash(filepath.Join(root, dir))) {
			t.Errorf("%s is walked twice: %q", dir, top.Exclude)
		}
	}
}

func TestNetworkPlaces(t *testing.T) {
	root := disk(t, "npm")
	if kind, local := inventory.Filesystem(root); !local {
		t.Skipf("the temporary directory is on %s", kind)
	}
	kind, local := inventory.Filesystem("/proc")
	if local {
		t.Skip("no /proc here")
	}
	found, notes, err := machine.Places(machine.Options{Profile: machine.Quick, OS: "linux", Getenv: func(k string) string {
		return map[string]string{"npm_config_cache": "/proc/self"}[k]
	}})
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(found, func(p machine.Place) bool { return strings.HasPrefix(p.Path, "/proc") }) {
		t.Error("/proc is a place")
	}
	if len(notes) == 0 || notes[0].Path != "/proc/self" || notes[0].Message != "is on another file system ("+kind+"): not entered" {
		t.Errorf("%v", notes)
	}
}
