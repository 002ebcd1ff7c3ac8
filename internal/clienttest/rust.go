package clienttest

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Cargo finds Cargo, and the variables that it needs more. Where it is rustup's, its toolchains are in the real home.
func Cargo(t *testing.T) (name string, env []string) {
	t.Helper()
	name = Program(t, "cargo")
	if home, err := os.UserHomeDir(); err == nil && os.Getenv("RUSTUP_HOME") == "" {
		if dir := filepath.Join(home, ".rustup"); isDirectory(dir) {
			env = append(env, "RUSTUP_HOME="+dir)
		}
	}
	return name, env
}

func isDirectory(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.IsDir()
}

// Crate is the archive of a library of nothing, as cargo package makes it.
func Crate(t *testing.T, name, version string) []byte {
	t.Helper()
	top := name + "-" + version + "/"
	return TarGz(t,
		top+"Cargo.toml", fmt.Sprintf("[package]\nname = %q\nversion = %q\nedition = \"2018\"\n", name, version),
		top+"src/lib.rs", "pub fn nothing() {}\n",
	)
}

// CrateRegistry serves one version of crates without dependencies, name → archive and version, by a sparse index
// (doc.rust-lang.org/cargo/reference/registry-index.html, which Cargo reads since 1.68). Names have four letters or more.
func CrateRegistry(t *testing.T, version string, crates map[string][]byte) *httptest.Server {
	t.Helper()
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/config.json" {
			fmt.Fprintf(w, `{"dl": "%s/dl/{crate}/{version}"}`, srv.URL)
			return
		}
		for name, data := range crates {
			switch r.URL.Path {
			case "/" + strings.ToLower(name[:2]+"/"+name[2:4]+"/"+name):
				fmt.Fprintf(w, `{"name": %q, "vers": %q, "deps": [], "cksum": "%x", "features": {}, "yanked": false}`+"\n", name, version, sha256.Sum256(data))
				return
			case "/dl/" + name + "/" + version:
				_, _ = w.Write(data)
				return
			}
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv
}
