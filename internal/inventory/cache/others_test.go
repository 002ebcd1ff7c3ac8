package cache_test

import (
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

func TestOtherCaches(t *testing.T) {
	sum := strings.Repeat("0123456789abcdef", 4)
	commit := strings.Repeat("0123456789", 4)
	tests := []struct {
		name  string
		files map[string]string
		hash  bool
		want  []string
	}{
		{"pub", map[string]string{
			".pub-cache/hosted/pub.dev/evil-1.0.0-dev.1/pubspec.yaml":                           "# x\nname: evil\nversion: 1.0.0-dev.1\n",
			".pub-cache/hosted-hashes/pub.dev/evil-1.0.0-dev.1.sha256":                          sum,
			".pub-cache/hosted/pub.dev/evil-1.0.0-dev.1/example/pubspec.yaml":                   "name: evil_example\n",
			".pub-cache/hosted/pub.dev/.cache/evil-versions.json":                               `{"versions": []}`,
			".pub-cache/hosted/http%58%47%47pub.corp.example%588080%47x/own-2.0.0/pubspec.yaml": "name: own\nversion: 2.0.0\n",
			".pub-cache/hosted/pub.dev/spoof-1.0.0/pubspec.yaml":                                "name: harmless\nversion: '3.0.0'\n",
			".pub-cache/git/forked-" + commit + "/pubspec.yaml":                                 "name: forked\nversion: 0.1.0\n",
			".pub-cache/git/cache/forked-" + commit + "/HEAD":                                   "ref: refs/heads/main",
			"src/git/not-" + commit + "/pubspec.yaml":                                           "name: mine\n",
		}, false, []string{
			".pub-cache/git/forked-" + commit + "/pubspec.yaml forked@0.1.0 git",
			".pub-cache/hosted/http%58%47%47pub.corp.example%588080%47x/own-2.0.0/pubspec.yaml own@2.0.0 registry pub.corp.example:8080",
			".pub-cache/hosted/pub.dev/evil-1.0.0-dev.1/pubspec.yaml evil@1.0.0-dev.1 registry pub.dev sha256:012345",
			`info .pub-cache/hosted/pub.dev/spoof-1.0.0/pubspec.yaml: calls itself "harmless" where "spoof" was fetched: both were looked up`,
			".pub-cache/hosted/pub.dev/spoof-1.0.0/pubspec.yaml harmless@3.0.0 registry pub.dev",
			".pub-cache/hosted/pub.dev/spoof-1.0.0/pubspec.yaml spoof@1.0.0 registry pub.dev",
		}},
		{"Hex, of Mix and of rebar3", map[string]string{
			".hex/packages/hexpm/evil-1.0.0-rc.1.tar":         "x",
			".hex/packages/Corp/own-1.0.0.tar":                "x",
			".hex/cache.ets":                                  "x",
			".cache/hex/packages/hexpm/evil-1.1.0.tar":        "x",
			".cache/rebar3/hex/hexpm/packages/evil-1.2.0.tar": "x",
			".cache/rebar3/hex/hexpm/packages.etag/evil":      "x",
			"project/packages/hexpm/no-1.0.0.tar":             "x",
		}, true, []string{
			".cache/hex/packages/hexpm/evil-1.1.0.tar evil@1.1.0 registry repo.hex.pm " + digests([]byte("x")),
			".cache/rebar3/hex/hexpm/packages/evil-1.2.0.tar evil@1.2.0 registry repo.hex.pm " + digests([]byte("x")),
			".hex/packages/Corp/own-1.0.0.tar own@1.0.0 registry corp " + digests([]byte("x")),
			".hex/packages/hexpm/evil-1.0.0-rc.1.tar evil@1.0.0-rc.1 registry repo.hex.pm " + digests([]byte("x")),
		}},
		{"cabal", map[string]string{
			".cabal/packages/hackage.haskell.org/evil-hs/1.0.0.2/evil-hs-1.0.0.2.tar.gz": "x",
			".cabal/packages/hackage.haskell.org/01-index.tar.gz":                        "x",
			".cache/cabal/packages/corp/own/1/own-1.tar.gz":                              "x",
			"src/packages/x/a/1/b-1.tar.gz":                                              "x",
		}, false, []string{
			".cabal/packages/hackage.haskell.org/evil-hs/1.0.0.2/evil-hs-1.0.0.2.tar.gz evil-hs@1.0.0.2 registry hackage.haskell.org",
			".cache/cabal/packages/corp/own/1/own-1.tar.gz own@1 registry corp",
		}},
		{"editors", map[string]string{
			".config/Code/CachedExtensionVSIXs/ms-python.python-2024.1.0-linux-x64":   "x",
			".config/Code/CachedExtensionVSIXs/ms-python.python-2024.1.0.sigzip":      "x",
			".config/Cursor/CachedExtensionVSIXs/evil.name-2-1.0.0":                   "x",
			".config/Code/CachedExtensionVSIXs/.0a1b2c3d-0000-4000-8000-000000000000": "x",
			".config/Code/CachedExtensionVSIXs/0a1b2c3d-0000-4000-8000-000000000000":  "x",
			".vscode-server/extensionsCache/a.b-1.0.0-universal":                      "x",
		}, false, []string{
			".config/Code/CachedExtensionVSIXs/ms-python.python-2024.1.0-linux-x64 ms-python.python@2024.1.0 registry",
			".config/Cursor/CachedExtensionVSIXs/evil.name-2-1.0.0 evil.name-2@1.0.0 registry",
			".vscode-server/extensionsCache/a.b-1.0.0-universal a.b@1.0.0 registry",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			compare(t, kept(t, clienttest.Tree(t, tt.files), tt.hash), tt.want)
		})
	}
}
