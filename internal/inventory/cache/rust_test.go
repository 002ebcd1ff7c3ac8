package cache_test

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

func TestCargoHome(t *testing.T) {
	const (
		archives = ".cargo/registry/cache/"
		sources  = ".cargo/registry/src/"
		// The directory of the git index of crates.io, on 64 bits before Cargo 1.85.
		index = "github.com-1ecc6299db9ec823/"
	)
	root := clienttest.Tree(t, map[string]string{
		archives + index + "serde-1.0.200.crate":                               "",
		archives + index + "a-2-3.0.0.crate":                                   "",
		archives + index + "linux-raw-sys-0.4.14-alpha-1.2+build-7.0.0.crate":  "",
		archives + index + "nothing.crate":                                     "",
		archives + index + "no-1.0.crate":                                      "",
		archives + index + "serde-1.0.200.crate.part":                          "",
		archives + "index.crates.io-1949cf8c6b5b557f/rand_core-0.6.4.crate":    "",
		archives + "crates.corp.example-0123456789abcdef/own-0.1.0.crate":      "",
		archives + "github.com-0123456789abcdef/x-1.0.0.crate":                 "",
		archives + "-0123456789abcdef/local-1.0.0.crate":                       "",
		archives + "odd/y-1.0.0.crate":                                         "",
		archives + "user@host/z-1.0.0.crate":                                   "",
		sources + index + "serde-1.0.200/.cargo-ok":                            "ok",
		sources + index + "serde-1.0.200/Cargo.toml":                           "[package]\nname = \"harmless\"\n",
		sources + index + "serde-1.0.200/tests/.cargo-ok":                      "",
		sources + index + "half-1.0.0/Cargo.toml":                              "",
		".cargo/registry/index/index.crates.io-1949cf8c6b5b557f/.cache/an/d/x": "",
		".cargo/git/checkouts/x-0123456789abcdef/0123456/.cargo-ok":            "",
	})
	none := ": entries without a usable name (missing, not UTF-8, or longer than the limit)"
	compare(t, cached(t, root, false), []string{
		archives + "-0123456789abcdef/local-1.0.0.crate local@1.0.0 registry",
		archives + "crates.corp.example-0123456789abcdef/own-0.1.0.crate own@0.1.0 registry crates.corp.example",
		archives + "github.com-0123456789abcdef/x-1.0.0.crate x@1.0.0 registry",
		archives + index + "a-2-3.0.0.crate a-2@3.0.0 registry crates.io",
		archives + index + "linux-raw-sys-0.4.14-alpha-1.2+build-7.0.0.crate linux-raw-sys@0.4.14-alpha-1.2+build-7.0.0 registry crates.io",
		"unmatchable " + archives + index + "no-1.0.crate" + none,
		"unmatchable " + archives + index + "nothing.crate" + none,
		archives + index + "serde-1.0.200.crate serde@1.0.200 registry crates.io",
		archives + "index.crates.io-1949cf8c6b5b557f/rand_core-0.6.4.crate rand_core@0.6.4 registry index.crates.io",
		archives + "odd/y-1.0.0.crate y@1.0.0",
		archives + "user@host/z-1.0.0.crate z@1.0.0",
		sources + index + "serde-1.0.200/.cargo-ok serde@1.0.200 registry crates.io",
	})
}

// What Cargo downloads, from a registry of the test's own.
func TestCargoClient(t *testing.T) {
	cargo, env := clienttest.Cargo(t)
	data := clienttest.Crate(t, "planted", "1.0.0")
	srv := clienttest.CrateRegistry(t, "1.0.0", map[string][]byte{"planted": data})
	dir := clienttest.Tree(t, map[string]string{
		"Cargo.toml":         "[package]\nname = \"project\"\nversion = \"0.1.0\"\n\n[dependencies]\nplanted = { version = \"1\", registry = \"test\" }\n",
		"src/lib.rs":         "",
		".cargo/config.toml": "[registries]\ntest = { index = \"sparse+" + srv.URL + "/\" }\n",
	})
	clienttest.Run(t, dir, env, cargo, "fetch")
	hash := regexp.MustCompile(`127\.0\.0\.1-[0-9a-f]{16}`)
	var got []string
	for _, line := range cached(t, dir, true) {
		line = hash.ReplaceAllString(line, "INDEX")
		if strings.HasPrefix(line, ".home/.cargo/registry/cache/") {
			if !strings.Contains(line, fmt.Sprintf(" sha256:%.3x ", sha256.Sum256(data))) {
				t.Errorf("the crate's digest is not there: %s", line)
			}
			line, _, _ = strings.Cut(line, " md5:")
		}
		got = append(got, line)
	}
	compare(t, got, []string{
		".home/.cargo/registry/cache/INDEX/planted-1.0.0.crate planted@1.0.0 registry 127.0.0.1",
		".home/.cargo/registry/src/INDEX/planted-1.0.0/.cargo-ok planted@1.0.0 registry 127.0.0.1",
	})
}
