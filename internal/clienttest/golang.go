package clienttest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/module"
)

// GoModule is the zip of a module of one package of nothing (go.dev/ref/mod#zip-files).
func GoModule(t *testing.T, path, version string) []byte {
	t.Helper()
	top := path + "@" + version + "/"
	name := path[strings.LastIndexByte(path, '/')+1:]
	return Zip(t,
		top+"go.mod", "module "+path+"\n",
		top+"nothing.go", "package "+strings.ToLower(name)+"\n\nfunc Nothing() {}\n",
	)
}

// GoProxy serves one version of modules without requirements, path → zip, by go.dev/ref/mod#goproxy-protocol.
func GoProxy(t *testing.T, version string, modules map[string][]byte) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for path, data := range modules {
			escaped, err := module.EscapePath(path)
			if err != nil {
				t.Error(err)
			}
			switch r.URL.Path {
			case "/" + escaped + "/@v/list":
				fmt.Fprintln(w, version)
				return
			case "/" + escaped + "/@v/" + version + ".info":
				fmt.Fprintf(w, `{"Version": %q}`, version)
				return
			case "/" + escaped + "/@v/" + version + ".mod":
				fmt.Fprintf(w, "module %s\n", path)
				return
			case "/" + escaped + "/@v/" + version + ".zip":
				_, _ = w.Write(data)
				return
			}
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// RunGo runs the go command in dir; it asks that proxy and nobody else, and what it keeps is below [Home], but for
// what it has compiled, which is the same for all.
func RunGo(t *testing.T, dir string, proxy *httptest.Server, args ...string) {
	t.Helper()
	program := Program(t, "go")
	home := Home(dir)
	// Else it leaves a process of its own behind, which counts what was run.
	telemetry := filepath.Join(home, "go", "telemetry")
	if err := os.MkdirAll(telemetry, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(telemetry, "mode"), []byte("off"), 0o644); err != nil {
		t.Fatal(err)
	}
	compiled := os.Getenv("GOCACHE")
	if user, err := os.UserCacheDir(); err == nil && compiled == "" {
		compiled = filepath.Join(user, "go-build")
	}
	Run(t, dir, []string{
		"GOPROXY=" + proxy.URL, "GONOSUMDB=*", "GOFLAGS=-mod=mod -modcacherw", "GOTOOLCHAIN=local", "CGO_ENABLED=0",
		"GOPATH=" + filepath.Join(home, "go"), "GOCACHE=" + compiled,
	}, program, args...)
}
