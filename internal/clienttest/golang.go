package clienttest

import (
	"archive/zip"
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/mod/module"
)

// GoModule is the zip of a module of one package of nothing (go.dev/ref/mod#zip-files).
func GoModule(t *testing.T, path, version string) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	name := path[strings.LastIndexByte(path, '/')+1:]
	for _, f := range [][2]string{
		{"go.mod", "module " + path + "\n"},
		{"nothing.go", "package " + strings.ToLower(name) + "\n\nfunc Nothing() {}\n"},
	} {
		w, err := z.Create(path + "@" + version + "/" + f[0])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, f[1])
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
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
				w.Write(data)
				return
			}
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// GoEnv are the variables by which the go command asks that proxy and nobody else, and keeps its toolchain.
func GoEnv(proxy *httptest.Server) []string {
	return []string{"GOPROXY=" + proxy.URL, "GONOSUMDB=*", "GOFLAGS=-mod=mod -modcacherw", "GOTOOLCHAIN=local", "CGO_ENABLED=0"}
}
