package registry_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// What the go command downloads it lays down as a module proxy does, and another one downloads from there: with a
// zip for what it built with, and no more than a go.mod for what it only weighed.
func TestGoProxyStorage(t *testing.T) {
	program := clienttest.Program(t, "go")
	// The format of https://go.dev/ref/mod#zip-files.
	archive := func(mod, gomod string) string {
		top := mod + "@v1.0.0/"
		return string(clienttest.Zip(t, top+"go.mod", gomod, top+"m.go", "package m\n"))
	}
	files := map[string]string{}
	for mod, gomod := range map[string]string{
		"example.org/Harmless/m": "module example.org/Harmless/m\n\nrequire example.org/weighed v1.0.0\n",
		"example.org/weighed":    "module example.org/weighed\n",
	} {
		at := map[string]string{"example.org/Harmless/m": "example.org/!harmless/m", "example.org/weighed": "example.org/weighed"}[mod] + "/@v/"
		files[at+"list"] = "v1.0.0\n"
		files[at+"v1.0.0.info"] = `{"Version": "v1.0.0"}`
		files[at+"v1.0.0.mod"] = gomod
		files[at+"v1.0.0.zip"] = archive(mod, gomod)
	}
	srv := httptest.NewServer(http.FileServer(http.Dir(clienttest.Tree(t, files))))
	defer srv.Close()
	download := func(proxy string) (modcache string) {
		modcache = t.TempDir()
		dir := clienttest.Tree(t, map[string]string{
			"go.mod":  "module example.org/main\n\ngo 1.16\n\nrequire example.org/Harmless/m v1.0.0\n",
			"main.go": "package main\n\nimport _ \"example.org/Harmless/m\"\n\nfunc main() {}\n",
		})
		clienttest.Run(t, dir, []string{
			"GOPROXY=" + proxy, "GOSUMDB=off", "GOMODCACHE=" + modcache, "GOCACHE=" + t.TempDir(), "GOFLAGS=-modcacherw -mod=mod", "GOTOOLCHAIN=local",
		}, program, "list", "-deps", "./...")
		return modcache
	}
	storage := filepath.Join(download(srv.URL), "cache", "download")
	if _, err := os.Stat(filepath.Join(storage, "example.org", "weighed", "@v", "v1.0.0.mod")); err != nil {
		t.Errorf("the go command did not weigh the other module: %v", err)
	}
	download("file://" + filepath.ToSlash(storage))
	want := []string{"example.org/!harmless/m/@v/v1.0.0.zip example.org/Harmless/m@v1.0.0 (go-module-zip)"}
	if got := stored(t, storage, false); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// pip installs from a directory of projects behind a web server that knows nothing of Python.
func TestSimpleStorage(t *testing.T) {
	program := clienttest.Program(t, "python3")
	if exec.Command(program, "-m", "pip", "--version").Run() != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("pip is missing: scripts/test installs it")
		}
		t.Skip("pip is not here")
	}
	root := clienttest.Tree(t, map[string]string{
		"simple/harmless-pkg/harmless_pkg-1.0-py3-none-any.whl": string(clienttest.Wheel(t, "harmless_pkg", "1.0")),
	})
	srv := httptest.NewServer(http.FileServer(http.Dir(root)))
	defer srv.Close()
	target := t.TempDir()
	clienttest.Run(t, t.TempDir(), nil, program, "-m", "pip", "install", "--isolated", "--index-url", srv.URL+"/simple/", "--target", target,
		"--disable-pip-version-check", "--no-cache-dir", "harmless.pkg")
	if _, err := os.Stat(filepath.Join(target, "harmless_pkg.py")); err != nil {
		t.Errorf("pip did not install it: %v", err)
	}
	want := []string{"simple/harmless-pkg/harmless_pkg-1.0-py3-none-any.whl harmless_pkg@1.0 (simple-index)"}
	if got := stored(t, root, false); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
