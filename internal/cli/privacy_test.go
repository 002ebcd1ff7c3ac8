package cli_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/cli"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/report"
)

// secrets hands out texts that nothing but a leak can print, each for one use of $S.
type secrets struct {
	of map[string]string // secret → where it stands
}

// in puts secrets in place of every $S of a text.
func (s *secrets) in(where, text string) string {
	for n := 1; strings.Contains(text, "$S"); n++ {
		label := fmt.Sprintf("%s, secret %d", where, n)
		sum := sha256.Sum256([]byte(label))
		one := "zq" + hex.EncodeToString(sum[:12])
		s.of[one] = label
		text = strings.Replace(text, "$S", one, 1)
	}
	return text
}

// leaks gives the places whose secrets are in a text: whole, or the first ten letters, to which some parsers cut what they
// quote, or in base64, whatever stands before them.
func (s *secrets) leaks(text string) []string {
	var all []string
	for _, one := range slices.Sorted(maps.Keys(s.of)) {
		forms := []string{one[:10]}
		for _, before := range []string{"", "x", "xx"} {
			encoded := base64.RawStdEncoding.EncodeToString([]byte(before + one))
			forms = append(forms, encoded[4:len(encoded)-4]) // what does not depend on the neighbours
		}
		for _, form := range forms {
			if i := strings.Index(text, form); i >= 0 {
				all = append(all, fmt.Sprintf("%s: …%s…", s.of[one], text[max(0, i-60):min(len(text), i+60)]))
				break
			}
		}
	}
	return all
}

// confided are files that any reader may come across, with $S where people and tools keep secrets. What is called leaky is on record,
// so that reports tell all that they know of it.
func confided() map[string]string {
	const at = "https://user:$S@npm.corp.example/leaky/-/leaky-1.0.0.tgz?token=$S"
	const py = "https://user:$S@pypi.corp.example/files/leaky-1.0.0-py3-none-any.whl?sig=$S"
	const git = "git+https://x:$S@github.com/acme/leaky.git"
	return map[string]string{
		// Settings.
		".npmrc": "//npm.corp.example/:_authToken=$S\n_auth=$S\n//npm.corp.example/:_password=$S\nregistry=https://user:$S@npm.corp.example/?token=$S\n" +
			"@scope:registry=https://$S:x@scope.example/$S\nemail=$S@example.org\n",
		".yarnrc":              "registry \"https://user:$S@npm.corp.example/\"\n\"//npm.corp.example/:_authToken\" \"$S\"\n",
		".yarnrc.yml":          "npmAuthToken: $S\nnpmAuthIdent: \"user:$S\"\nnpmRegistryServer: \"https://user:$S@npm.corp.example/\"\nnpmScopes:\n  scope:\n    npmRegistryServer: https://user:$S@scope.example\n    npmAuthToken: $S\n",
		".config/pip/pip.conf": "[global]\nindex-url = https://user:$S@pypi.corp.example/simple\nextra-index-url = https://user:$S@two.example/simple\n",
		".config/uv/uv.toml":   "[[index]]\nurl = \"https://user:$S@pypi.corp.example/simple\"\n",
		".pip/pip.conf":        "[global]\nindex-url = https://user:$S@old.corp.example/simple\n",
		"etc/pip.conf":         "[global]\nindex-url = https://user:$S@system.corp.example/simple\nfind-links = https://user:$S@links.example/\n",
		"i/uv/uv.toml":         "index-url = \"https://user:$S@pypi.corp.example/simple\"\n[[index]]\nurl = \"https://user:$S@pypi.corp.example/other?$S\"\n[pip]\nindex-url = \"https://user:$S@pypi.corp.example/simple\"\n",
		"i/uv/.venv/lib/python3.11/site-packages/leaky-1.0.0.dist-info/METADATA":  "Metadata-Version: 2.1\nName: leaky\nVersion: 1.0.0\n",
		"i/uv/.venv/lib/python3.11/site-packages/leaky-1.0.0.dist-info/INSTALLER": "uv",
		"i/uvproject/pyproject.toml": "[tool.uv]\nextra-index-url = [\"https://user:$S@pypi.corp.example/simple\"]\n[[tool.uv.index]]\nname = \"corp\"\nurl = \"https://user:$S@pypi.corp.example/simple\"\ndefault = true\n",
		"i/uvproject/.venv/lib/python3.11/site-packages/leaky-1.0.0.dist-info/METADATA":  "Metadata-Version: 2.1\nName: leaky\nVersion: 1.0.0\n",
		"i/uvproject/.venv/lib/python3.11/site-packages/leaky-1.0.0.dist-info/INSTALLER": "uv",
		"i/poetry/pyproject.toml": "[[tool.poetry.source]]\nname = \"corp\"\nurl = \"https://user:$S@pypi.corp.example/simple\"\n",
		"i/poetry/.venv/lib/python3.11/site-packages/leaky-1.0.0.dist-info/METADATA":  "Metadata-Version: 2.1\nName: leaky\nVersion: 1.0.0\n",
		"i/poetry/.venv/lib/python3.11/site-packages/leaky-1.0.0.dist-info/INSTALLER": "Poetry 2.1.3",
		"i/pipenv/Pipfile": "[[source]]\nname = \"corp\"\nurl = \"https://user:$S@pypi.corp.example/simple\"\n",
		"i/pipenv/.venv/lib/python3.11/site-packages/leaky-1.0.0.dist-info/METADATA":  "Metadata-Version: 2.1\nName: leaky\nVersion: 1.0.0\n",
		"i/pipenv/.venv/lib/python3.11/site-packages/leaky-1.0.0.dist-info/INSTALLER": "pip\n",
		"src/pdm2/pyproject.toml":                "[[tool.pdm.source]]\nname = \"pypi\"\nurl = \"https://user:$S@pypi.corp.example/simple\"\n",
		"src/pdm2/pdm.lock":                      "[[package]]\nname = \"leaky\"\nversion = \"1.0.0\"\n",
		"src/net2/nuget.config":                  `<configuration><packageSources><clear/><add key="corp" value="https://user:$S@nuget.corp.example/v3/index.json?key=$S"/></packageSources><packageSourceCredentials><corp><add key="Username" value="$S"/><add key="ClearTextPassword" value="$S"/></corp></packageSourceCredentials><apikeys><add key="https://nuget.corp.example" value="$S"/></apikeys></configuration>`,
		"src/net2/packages.lock.json":            `{"version": 1, "dependencies": {"net8.0": {"leaky": {"type": "Direct", "resolved": "1.0.0", "contentHash": "$S"}}}}`,
		"src/net2/old/packages.config":           `<packages><package id="leaky" version="1.0.0"/></packages>`,
		"src/plainpip/requirements.txt":          "leaky==1.0.0\n",
		".config/pypoetry/auth.toml":             "[http-basic.corp]\nusername = \"user\"\npassword = \"$S\"\n",
		".nuget/NuGet/NuGet.Config":              `<configuration><packageSources><add key="corp" value="https://user:$S@nuget.corp.example/v3/index.json"/></packageSources><packageSourceCredentials><corp><add key="ClearTextPassword" value="$S"/></corp></packageSourceCredentials></configuration>`,
		".m2/settings.xml":                       "<settings><servers><server><id>corp</id><password>$S</password></server></servers></settings>",
		".m2/settings-security.xml":              "<settingsSecurity><master>{$S}</master></settingsSecurity>",
		".gradle/gradle.properties":              "corpPassword=$S\n",
		".composer/auth.json":                    `{"http-basic": {"corp.example": {"username": "user", "password": "$S"}}, "github-oauth": {"github.com": "$S"}}`,
		".netrc":                                 "machine npm.corp.example login user password $S\n",
		".cargo/credentials.toml":                "[registry]\ntoken = \"$S\"\n",
		".cargo/config.toml":                     "[registries.corp]\nindex = \"sparse+https://user:$S@crates.corp.example/\"\ntoken = \"$S\"\n",
		".docker/config.json":                    `{"auths": {"hub.example": {"auth": "$S"}}}`,
		".pypirc":                                "[pypi]\nusername = __token__\npassword = $S\n",
		".gem/credentials":                       "---\n:rubygems_api_key: $S\n",
		".bundle/config":                         "---\nBUNDLE_GEMS__CORP__EXAMPLE: \"user:$S\"\n",
		".git-credentials":                       "https://user:$S@github.com\n",
		".config/gh/hosts.yml":                   "github.com:\n    oauth_token: $S\n",
		"src/env/.env":                           "NPM_TOKEN=$S\n",
		"src/npm/.npmrc":                         "registry=https://user:$S@npm.corp.example/\n_authToken=$S\n",
		"src/npm/package-lock.json":              `{"lockfileVersion": 3, "packages": {"node_modules/leaky": {"version": "1.0.0", "resolved": "` + at + `#$S"}, "node_modules/two": {"version": "1.0.0"}, "node_modules/g/node_modules/leaky": {"version": "1.0.0", "resolved": "` + git + `#$S"}}}`,
		"src/npm6/package-lock.json":             `{"lockfileVersion": 1, "dependencies": {"leaky": {"version": "1.0.0", "resolved": "` + at + `"}, "g": {"version": "` + git + `#$S", "from": "` + git + `", "dependencies": {"leaky": {"version": "https://user:$S@host.example/x.tgz?$S"}}}}}`,
		"src/odd/package-lock.json":              `{"lockfileVersion": 3, "packages": {"node_modules/leaky": {"version": "1.0.0", "resolved": "https://user:$S@host:port/leaky/-/leaky-1.0.0.tgz"}, "node_modules/b/node_modules/leaky": {"version": "1.0.0", "resolved": "user:$S@host.example:leaky.git"}, "node_modules/c/node_modules/leaky": {"version": "1.0.0", "resolved": "https://user:$S%zz@host.example/leaky.tgz"}, "node_modules/d/node_modules/leaky": {"version": "1.0.0", "resolved": "https://user:p@ss/$S@host.example/leaky.tgz"}, "node_modules/e/node_modules/leaky": {"version": "1.0.0", "resolved": "file:///x/user:$S@y"}, "node_modules/f/node_modules/leaky": {"version": "1.0.0", "resolved": "strange://user:$S@y"}}}`,
		"src/yarn/yarn.lock":                     "# yarn lockfile v1\n\n\nleaky@^1.0.0, leaky@" + git + ":\n  version \"1.0.0\"\n  resolved \"" + strings.Replace(at, "token", "_authToken", 1) + "#0123\"\n\n\"leaky@" + git + "\":\n  version \"1.0.0\"\n  resolved \"" + git + "#$S\"\n",
		"src/berry/yarn.lock":                    "__metadata:\n  version: 8\n\n\"leaky@npm:^1.0.0\":\n  version: 1.0.0\n  resolution: \"leaky@npm:1.0.0::__archiveUrl=https%3A%2F%2Fuser%3A$S%40npm.corp.example%2Fleaky%2F-%2Fleaky-1.0.0.tgz%3Ftoken%3D$S\"\n\n\"leaky@https://x:$S@github.com/acme/leaky.git\":\n  version: 1.0.0\n  resolution: \"leaky@https://x:$S@github.com/acme/leaky.git#commit=$S\"\n",
		"src/pnpm/pnpm-lock.yaml":                "lockfileVersion: '9.0'\n\npackages:\n\n  leaky@1.0.0:\n    resolution: {tarball: '" + at + "'}\n\n  leaky@" + git + "#$S:\n    resolution: {commit: $S, repo: 'https://x:$S@github.com/acme/leaky.git', type: git}\n    version: 1.0.0\n",
		"src/bun/bun.lock":                       `{"lockfileVersion": 1, "workspaces": {"": {}}, "packages": {"leaky": ["leaky@1.0.0", "` + at + `", {}, ""], "g": ["leaky@` + git + `#$S", {}, "$S"]}}`,
		"src/deno/deno.lock":                     `{"version": "5", "npm": {"leaky@1.0.0": {"integrity": "", "tarball": "` + at + `"}}, "remote": {"https://user:$S@deno.example/x.ts?token=$S": "0123"}}`,
		"src/manifest/package.json":              `{"dependencies": {"leaky": "` + at + `", "g": "` + git + `#$S"}, "devDependencies": {"leaky": "1.0.0"}, "scripts": {"x": "curl -H $S"}}`,
		"src/pip/requirements.txt":               "--index-url https://user:$S@pypi.corp.example/simple\n--extra-index-url https://user:$S@two.example/simple\nleaky==1.0.0\nleaky @ " + py + "#sha256=$S\n-e " + git + "@$S#egg=leaky\n-r https://user:$S@host.example/more.txt\n-c ../$S.txt\n--find-links https://user:$S@host.example/\n",
		"src/conda/environment.yml":              "channels:\n  - https://conda.example/t/$S/main\ndependencies:\n  - pip:\n    - --index-url https://user:$S@pypi.corp.example/simple\n    - leaky==1.0.0\n    - " + git + "@$S#egg=leaky\n",
		"src/poetry/poetry.lock":                 "[[package]]\nname = \"leaky\"\nversion = \"1.0.0\"\n\n[package.source]\ntype = \"legacy\"\nurl = \"https://user:$S@pypi.corp.example/simple\"\nreference = \"$S\"\n\n[[package]]\nname = \"leaky\"\nversion = \"1.0.0\"\n\n[package.source]\ntype = \"git\"\nurl = \"https://x:$S@github.com/acme/leaky.git\"\nreference = \"$S\"\nresolved_reference = \"$S\"\n",
		"src/uv/uv.lock":                         "version = 1\n\n[[package]]\nname = \"leaky\"\nversion = \"1.0.0\"\nsource = { registry = \"https://user:$S@pypi.corp.example/simple\" }\nwheels = [{ url = \"" + py + "\" }]\n\n[[package]]\nname = \"leaky\"\nversion = \"1.0.0\"\nsource = { git = \"https://x:$S@github.com/acme/leaky.git?rev=$S#$S\" }\n",
		"src/pdm/pdm.lock":                       "[[package]]\nname = \"leaky\"\nversion = \"1.0.0\"\nurl = \"" + py + "\"\n\n[[package]]\nname = \"leaky\"\nversion = \"1.0.0\"\ngit = \"https://x:$S@github.com/acme/leaky.git\"\nrevision = \"$S\"\n",
		"src/pipenv/Pipfile.lock":                `{"_meta": {"sources": [{"name": "corp", "url": "https://user:$S@pypi.corp.example/simple"}]}, "default": {"leaky": {"version": "==1.0.0", "index": "corp"}, "g": {"git": "https://x:$S@github.com/acme/leaky.git", "ref": "$S"}}}`,
		"src/pylock/pylock.toml":                 "lock-version = \"1.0\"\ncreated-by = \"x\"\n\n[[packages]]\nname = \"leaky\"\nversion = \"1.0.0\"\nindex = \"https://user:$S@pypi.corp.example/simple\"\nwheels = [{ url = \"" + py + "\", hashes = {} }]\n\n[[packages]]\nname = \"leaky\"\nversion = \"1.0.0\"\nvcs = { type = \"git\", url = \"https://x:$S@github.com/acme/leaky.git\", commit-id = \"$S\" }\n",
		"src/gems/Gemfile.lock":                  "GIT\n  remote: https://x:$S@github.com/acme/leaky.git\n  revision: $S\n  specs:\n    leaky (1.0.0)\n\nGEM\n  remote: https://user:$S@gems.corp.example/\n  specs:\n    leaky (1.0.0)\n",
		"src/cargo/Cargo.lock":                   "version = 3\n\n[[package]]\nname = \"leaky\"\nversion = \"1.0.0\"\nsource = \"registry+https://user:$S@crates.corp.example/index\"\n\n[[package]]\nname = \"leaky\"\nversion = \"1.0.0\"\nsource = \"" + git + "?branch=$S#$S\"\n",
		"src/php/composer.lock":                  `{"packages": [{"name": "acme/leaky", "version": "1.0.0", "dist": {"type": "zip", "url": "https://user:$S@php.corp.example/dist/acme/leaky/1.0.0.zip?token=$S"}, "source": {"type": "git", "url": "https://x:$S@github.com/acme/leaky.git", "reference": "$S"}}]}`,
		"src/php/auth.json":                      `{"bearer": {"corp.example": "$S"}}`,
		"src/php/vendor/composer/installed.json": `{"packages": [{"name": "acme/leaky", "version": "1.0.0", "dist": {"type": "zip", "url": "https://user:$S@php.corp.example/x.zip?token=$S"}, "source": {"type": "git", "url": "https://x:$S@github.com/acme/leaky.git", "reference": "$S"}}]}`,
		"src/net/obj/project.assets.json":        `{"version": 3, "libraries": {"leaky/1.0.0": {"type": "package", "sha512": ""}}, "project": {"restore": {"sources": {"https://user:$S@nuget.corp.example/v3/index.json": {}}}}}`,
		"src/dart/pubspec.lock":                  "packages:\n  leaky:\n    dependency: transitive\n    description:\n      name: leaky\n      url: \"https://user:$S@pub.corp.example\"\n    source: hosted\n    version: \"1.0.0\"\n  other:\n    description:\n      url: \"https://x:$S@github.com/acme/leaky.git\"\n      resolved-ref: $S\n    source: git\n    version: \"1.0.0\"\n",
		"src/swift/Package.resolved":             `{"version": 2, "pins": [{"identity": "leaky", "kind": "remoteSourceControl", "location": "https://x:$S@github.com/acme/leaky.git", "state": {"version": "1.0.0", "revision": "$S"}}]}`,
		"src/swift/.build/workspace-state.json":  `{"object": {"dependencies": [{"packageRef": {"identity": "leaky", "kind": "remoteSourceControl", "location": "https://x:$S@github.com/acme/leaky.git"}, "state": {"checkoutState": {"version": "1.0.0", "revision": "$S"}, "name": "sourceControlCheckout"}, "subpath": "leaky"}]}, "version": 6}`,
		"src/mvn/pom.xml":                        "<project><repositories><repository><url>https://user:$S@maven.corp.example/</url></repository></repositories><dependencies><dependency><groupId>acme</groupId><artifactId>leaky</artifactId><version>1.0.0</version></dependency></dependencies></project>",
		"src/ci/.github/workflows/ci.yml":        "jobs:\n  x:\n    steps:\n      - uses: acme/leaky@1.0.0\n        with:\n          token: $S\n      - run: curl https://user:$S@host.example\n        env: {T: $S}\n",
		"src/mod/go.mod":                         "module x\n\nrequire example.com/leaky v1.0.0 // $S\n",
		// What is installed.
		"i/npm/node_modules/.package-lock.json":                                     `{"packages": {"node_modules/leaky": {"version": "1.0.0", "resolved": "` + at + `"}}}`,
		"i/npm/node_modules/leaky/package.json":                                     `{"name": "leaky", "version": "1.0.0"}`,
		"i/npm6/node_modules/leaky/package.json":                                    `{"name": "leaky", "version": "1.0.0", "_resolved": "` + git + `#$S", "_from": "` + git + `"}`,
		"i/yarn/node_modules/.yarn-integrity":                                       `{"lockfileEntries": {"leaky@^1.0.0": "` + at + `#0123"}}`,
		"i/yarn/node_modules/leaky/package.json":                                    `{"name": "leaky", "version": "1.0.0"}`,
		"i/pnpm/node_modules/.modules.yaml":                                         `{"registries": {"default": "https://user:$S@npm.corp.example/?$S"}}`,
		"i/pnpm/node_modules/.pnpm/leaky@1.0.0/node_modules/leaky/package.json":     `{"name": "leaky", "version": "1.0.0"}`,
		"i/pnp/.pnp.data.json":                                                      `{"packageRegistryData": [["leaky", [["npm:1.0.0::__archiveUrl=https%3A%2F%2Fuser%3A$S%40npm.corp.example%2Fleaky%2F-%2Fleaky-1.0.0.tgz", {}], ["https://x:$S@github.com/acme/leaky.git#commit=$S", {}]]]]}`,
		"i/venv/pip.conf":                                                           "[global]\nindex-url = https://user:$S@pypi.corp.example/simple\n",
		"i/venv/lib/python3.11/site-packages/leaky-1.0.0.dist-info/METADATA":        "Metadata-Version: 2.1\nName: leaky\nVersion: 1.0.0\nHome-page: https://user:$S@host.example\n\n$S\n",
		"i/venv/lib/python3.11/site-packages/leaky-1.0.0.dist-info/direct_url.json": `{"url": "` + py + `", "archive_info": {"hash": "sha256=$S"}}`,
		"i/vcs/lib/python3.11/site-packages/leaky-1.0.0.dist-info/METADATA":         "Metadata-Version: 2.1\nName: leaky\nVersion: 1.0.0\n",
		"i/vcs/lib/python3.11/site-packages/leaky-1.0.0.dist-info/direct_url.json":  `{"url": "https://x:$S@github.com/acme/leaky.git", "vcs_info": {"vcs": "git", "commit_id": "$S", "requested_revision": "$S"}}`,
		"i/plain/pip.conf":                                                          "[global]\nindex-url = https://user:$S@pypi.corp.example/simple\n",
		"i/plain/lib/python3.11/site-packages/leaky-1.0.0.dist-info/METADATA":       "Metadata-Version: 2.1\nName: leaky\nVersion: 1.0.0\n",
		"i/plain/lib/python3.11/site-packages/leaky-1.0.0.dist-info/INSTALLER":      "pip\n",
		".local/share/pipx/venvs/leaky/pipx_metadata.json":                          `{"pipx_metadata_version": "0.5", "main_package": {"package": "leaky", "package_or_url": "` + git + `@$S", "package_version": "1.0.0", "pip_args": ["--index-url", "https://user:$S@pypi.corp.example/simple"]}, "injected_packages": {"leaky": {"package": "leaky", "package_or_url": "leaky", "package_version": "1.0.0", "pip_args": ["--index-url=https://user:$S@pypi.corp.example/simple"]}}}`,
		".local/share/uv/tools/leaky/uv-receipt.toml":                               "[tool]\nrequirements = [{ name = \"leaky\", specifier = \"==1.0.0\", git = \"https://x:$S@github.com/acme/leaky.git?rev=$S\" }, { name = \"leaky\", url = \"" + py + "\" }, { name = \"leaky\", index = \"https://user:$S@pypi.corp.example/simple\" }]\n\n[tool.options]\nindex = [{ url = \"https://user:$S@pypi.corp.example/simple\" }]\n",
		"miniconda3/conda-meta/history":                                             "==> 2026-01-01 <==\n# cmd: conda install -c https://conda.example/t/$S/main leaky\n",
		"miniconda3/conda-meta/leaky-1.0.0-0.json":                                  `{"name": "leaky", "version": "1.0.0", "url": "https://conda.example/t/$S/main/leaky-1.0.0-0.conda", "channel": "https://user:$S@conda.example/t/$S/main"}`,
		".cargo/.crates.toml":                                                       "[v1]\n\"leaky 1.0.0 (registry+https://user:$S@crates.corp.example/index)\" = [\"leaky\"]\n",
		".cargo/.crates2.json":                                                      `{"installs": {"leaky 1.0.0 (registry+https://user:$S@crates.corp.example/index)": {"bins": ["leaky"]}, "leaky 1.0.0 (` + git + `?rev=$S#$S)": {"bins": ["x"]}}}`,
		"i/r/library/leaky/DESCRIPTION":                                             "Package: leaky\nVersion: 1.0.0\nRepository: CRAN\nRemoteUrl: https://x:$S@github.com/acme/leaky\nBuilt: R 4.3.0\n",
		// Caches.
		".npm/_cacache/index-v5/00/22/" + strings.Repeat("1", 60):                                          `{"key":"make-fetch-happen:request-cache:` + at + `","integrity":"` + evilSRI + `","metadata":{"url":"` + at + `","reqHeaders":{"authorization":"Bearer $S"}}}`,
		".npm/_cacache/index-v5/00/33/" + strings.Repeat("1", 60):                                          `{"key":"pacote:tarball:` + git + `#$S","integrity":"` + evilSRI + `"}`,
		".cache/yarn/v6/npm-leaky-1.0.0-" + evilSHA1 + "-integrity/node_modules/leaky/package.json":        `{"name": "leaky", "version": "1.0.0"}`,
		".cache/yarn/v6/npm-leaky-1.0.0-" + evilSHA1 + "-integrity/node_modules/leaky/.yarn-metadata.json": `{"remote": {"type": "tarball", "reference": "` + at + `", "hash": "` + evilSHA1 + `"}}`,
		".cache/node/corepack/v1/leaky/1.0.0/.corepack":                                                    `{"locator": {"name": "leaky", "reference": "` + at + `"}, "hash": "sha512.$S"}`,
		".cache/pip/wheels/aa/bb/cc/0123/origin.json":                                                      `{"url": "` + py + `", "archive_info": {"hashes": {"sha256": "$S"}}}`,
		".nuget/packages/leaky/1.0.0/.nupkg.metadata":                                                      `{"version": 2, "contentHash": "$S", "source": "https://user:$S@nuget.corp.example/v3/index.json?key=$S"}`,
		".m2/repository/acme/leaky/1.0.0/leaky-1.0.0.pom":                                                  "<project><repositories><repository><url>https://user:$S@maven.corp.example/</url></repository></repositories></project>",
		".m2/repository/acme/leaky/1.0.0/_remote.repositories":                                             "#$S\nleaky-1.0.0.jar>corp=\n",
		// SBOMs.
		"s/app.cdx.json":  `{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "library", "name": "leaky", "version": "1.0.0", "purl": "pkg:npm/leaky@1.0.0?repository_url=https://user:$S@npm.corp.example%2F%3Ftoken%3D$S&vcs_url=git%2Bhttps://x:$S@github.com/acme/leaky.git%40$S&download_url=https%3A%2F%2Fuser%3A$S%40npm.corp.example%2Fx.tgz", "externalReferences": [{"type": "distribution", "url": "` + at + `"}, {"type": "vcs", "url": "` + git + `"}], "properties": [{"name": "x", "value": "$S"}]}]}`,
		"s/bom.xml":       `<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.6"><components><component type="library"><name>leaky</name><version>1.0.0</version><purl>pkg:npm/leaky@1.0.0?download_url=https://user:$S@npm.corp.example/x.tgz</purl><externalReferences><reference type="distribution"><url>https://user:$S@npm.corp.example/leaky/-/leaky-1.0.0.tgz?token=$S</url></reference></externalReferences></component></components></bom>`,
		"s/app.spdx.json": `{"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "packages": [{"SPDXID": "SPDXRef-1", "name": "leaky", "versionInfo": "1.0.0", "downloadLocation": "` + at + `", "sourceInfo": "$S", "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:npm/leaky@1.0.0?vcs_url=` + git + `"}]}, {"SPDXID": "SPDXRef-2", "name": "leaky", "versionInfo": "1.0.0", "downloadLocation": "` + git + `@$S", "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:pypi/leaky@1.0.0"}]}]}`,
		"s/app.syft.json": `{"artifacts": [{"id": "1", "name": "leaky", "version": "1.0.0", "type": "npm", "purl": "pkg:npm/leaky@1.0.0?download_url=https://user:$S@npm.corp.example/x.tgz", "metadata": {"resolved": "` + at + `", "url": "` + at + `"}}], "schema": {"version": "16.0.0", "url": "https://raw.githubusercontent.com/anchore/syft/main/schema/json/schema-16.0.0.json"}}`,
	}
}

// spoil gives the ways to break a file so that its reader has something to complain about, with a secret where it does.
func spoil(text string) []string {
	i := max(0, strings.LastIndex(text, "$S")) + len("$S")
	return []string{
		text[:min(i, len(text))],                                                // cut off behind a secret
		text[:min(i, len(text))] + "\x01" + text[min(i, len(text)):],            // a control character behind it
		"  ! $S !\n" + text,                                                     // something before the beginning
		text + "\n  ! $S !\n",                                                   // and behind the end
		strings.ReplaceAll(text, `"`, "") + "\n  ! $S !",                        // no quotes
		strings.NewReplacer(": {", ": \"$S\"", ": [", ": \"$S\"").Replace(text), // texts in place of objects
		strings.Replace(text, "ion\": ", "ion\": {\"$S\": 1}, \"x\": ", 2),      // objects in place of texts
		strings.Replace(text, "\n", "\n<<<<<<< $S\n", 1),
		strings.ReplaceAll(text, "user:", "user:[$S"),
		strings.ReplaceAll(text, "=", "= $S ="),
		strings.ReplaceAll(text, "https:", "https://%$S:"),
		strings.ReplaceAll(text, ".example", ".example:$S"),
	}
}

// leakyCatalog lists leaky, whole, in every ecosystem that a file is of.
func leakyCatalog(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for i, p := range [][2]string{{"npm", "leaky"}, {"PyPI", "leaky"}, {"NuGet", "leaky"}, {"RubyGems", "leaky"}, {"Packagist", "acme/leaky"}, {"crates.io", "leaky"},
		{"Maven", "acme:leaky"}, {"Pub", "leaky"}, {"SwiftURL", "github.com/acme/leaky"}, {"Go", "example.com/leaky"}, {"GitHub Actions", "acme/leaky"}, {"CRAN", "leaky"}} {
		fmt.Fprintf(&b, `{"schema_version": "1.7.4", "id": "MAL-2026-%d", "modified": "2026-11-01T00:00:00Z", "published": "2026-11-01T00:00:00Z", "summary": "Malicious code", "affected": [{"package": {"ecosystem": %q, "name": %q}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}], "versions": ["1.0.0"]}]}`+"\n", i+1, p[0], p[1])
	}
	return writeFile(t, "list.jsonl", []byte(b.String()))
}

// TestPrivacy puts secrets into every kind of file that a reader opens or comes across, whole and broken, and looks for
// them in all that commands write.
func TestPrivacy(t *testing.T) {
	s := &secrets{of: map[string]string{}}
	broken := map[string]string{}
	files := map[string]string{
		".cache/pip/wheels/aa/bb/cc/0123/leaky-1.0.0-py3-none-any.whl": string(clienttest.Wheel(t, "leaky", "1.0.0")),
		".local/share/pnpm/store/v11/index.db":                         pnpmDatabase(t, s.in("index.db", evilSRI+"\tleaky@https://user:$S@npm.corp.example/leaky/-/leaky-1.0.0.tgz?token=$S")),
		".local/share/pnpm/store/v11/files/00/x":                       "",
	}
	add := func(to map[string]string, name, text string) {
		text = s.in(name, text)
		if strings.Contains(name, "_cacache") {
			text = npmIndexLine(text)
		}
		to[name] = text
	}
	for name, text := range confided() {
		add(files, name, text)
		for i, bad := range spoil(text) {
			add(broken, fmt.Sprintf("%d/%s", i, name), bad)
		}
	}
	home, ruin, catalog := clienttest.Tree(t, files), clienttest.Tree(t, broken), leakyCatalog(t)

	environment := map[string]string{"HOME": home, "DOCKER_CONFIG": filepath.Join(home, ".docker")}
	for _, name := range []string{
		"NPM_TOKEN", "NODE_AUTH_TOKEN", "NPM_CONFIG__AUTH", "YARN_NPM_AUTH_TOKEN", "UV_PUBLISH_TOKEN", "TWINE_PASSWORD", "POETRY_HTTP_BASIC_CORP_PASSWORD",
		"GITHUB_TOKEN", "GH_TOKEN", "GITLAB_TOKEN", "CI_JOB_TOKEN", "CARGO_REGISTRY_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOPROXY", "COMPOSER_AUTH", "BUNDLE_GEMS__CORP__EXAMPLE", "NUGET_CREDENTIALS",
		"RAPSHEET_REGISTRY_TOKEN", "HTTPS_PROXY",
	} {
		environment[name] = s.in("$"+name, "$S")
	}
	for _, name := range []string{"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_EXTRA_INDEX_URL"} {
		environment[name] = "https://user:" + s.in("$"+name, "$S") + "@pypi.corp.example/simple?" + s.in("$"+name+", query", "$S")
	}
	environment["PIP_FIND_LINKS"] = ""
	environment["PIP_CONFIG_FILE"] = filepath.Join(home, "etc", "pip.conf")

	// A server that says back all it was told, as those do that are not well.
	tell := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="`+r.Header.Get("Authorization")+`"`)
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintln(w, r.URL, r.Header)
	}))
	defer tell.Close()
	host := strings.TrimPrefix(tell.URL, "http://")
	auth := base64.StdEncoding.EncodeToString([]byte("user:" + s.in("docker", "$S")))
	config := writeFile(t, "config.json", []byte(`{"auths": {"`+host+`": {"auth": "`+auth+`"}}}`))
	image := maps.Clone(environment)
	image["DOCKER_CONFIG"] = filepath.Dir(config)

	findings := 0
	written := t.TempDir()
	check := func(env map[string]string, args ...string) ran {
		t.Helper()
		r := rapsheetIn(t.Context(), env, args...)
		for _, text := range []string{r.stdout, r.stderr} {
			for _, leak := range s.leaks(text) {
				t.Errorf("%s: %s", strings.Join(args[:min(6, len(args))], " "), leak)
			}
		}
		entries, err := os.ReadDir(written)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			b, err := os.ReadFile(filepath.Join(written, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			for _, leak := range s.leaks(string(b)) {
				t.Errorf("%s in %s: %s", strings.Join(args[:min(6, len(args))], " "), e.Name(), leak)
			}
			os.Remove(filepath.Join(written, e.Name()))
		}
		return r
	}
	for _, format := range report.Formats() {
		r := check(environment, "scan", "--catalog", catalog, "--home", home, "--format", format, "--all", "--debug")
		if r.status != rapsheet.ExitFound {
			t.Errorf("%s: status %d", format, r.status)
		}
		if format == "json" {
			for _, f := range r.json(t).Findings {
				findings += len(f.Locations)
			}
		}
	}
	// Fewer would mean that some of the files are not read any more, and say nothing about what is shown of them.
	if findings < 60 {
		t.Errorf("%d places in all", findings)
	}
	check(environment, "scan", "--catalog", catalog, "--home", ruin, "--format", "json", "--all", "--debug")
	// The settings of the user who scans are in effect for a directory.
	if r := check(environment, "scan", "--catalog", catalog, "--format", "json", "--all", "--debug", home); !strings.Contains(r.stdout, "pypi.corp.example") {
		t.Error("no settings were in effect")
	}
	check(environment, "scan", "--catalog", catalog, "--format", "json", "--all", "--debug", ruin)
	check(environment, "scan", "--catalog", catalog, "--home", home, "-o", filepath.Join(written, "report"))
	for _, format := range []string{"cyclonedx", "spdx"} {
		check(environment, "sbom", "--format", format, "--debug", ruin)
		check(environment, "sbom", "--format", format, "-o", filepath.Join(written, "sbom"), home)
	}
	check(environment, "registry", "--catalog", catalog, "--all", "--debug", "--purge-plan", filepath.Join(written, "plan"), "-o", filepath.Join(written, "report"), home)
	check(environment, "registry", "--catalog", catalog, "--debug", "--resume", filepath.Join(written, "journal"), s.in("address", strings.Replace(tell.URL, "http://", "http://user:$S@", 1)+"/x?token=$S"))
	for _, kind := range []string{"npm", "nexus"} {
		check(environment, "registry", "--catalog", catalog, "--debug", "--type", kind, "--names-from", "catalog", tell.URL)
	}
	check(image, "scan", "--catalog", catalog, "--debug", "docker://"+host+"/team/app:1")
	// Every file by itself, as a target.
	var targets []string
	for name := range confided() {
		targets = append(targets, filepath.Join(home, filepath.FromSlash(name)))
		for i := range spoil("") {
			targets = append(targets, filepath.Join(ruin, fmt.Sprint(i), filepath.FromSlash(name)))
		}
	}
	check(environment, append([]string{"scan", "--catalog", catalog, "--format", "jsonl", "--all", "--debug"}, targets...)...)
	// And all of them under the name of another.
	for _, name := range []string{"package-lock.json", "yarn.lock", "requirements.txt", "Cargo.lock", "app.cdx.json"} {
		for _, text := range []string{".npmrc", ".netrc", ".docker/config.json", ".cargo/credentials.toml", ".m2/settings.xml", ".config/gh/hosts.yml"} {
			check(environment, "scan", "--catalog", catalog, "--all", writeFile(t, name, []byte(files[text])))
		}
	}
	var out, errs bytes.Buffer
	env := cli.Env{Now: func() time.Time { return now }, Version: "test", Getenv: func(k string) string { return environment[k] }}
	for _, text := range []string{files[".npmrc"], files[".netrc"], files["src/yarn/yarn.lock"], broken["0/src/npm/package-lock.json"], broken["2/s/app.cdx.json"]} {
		cli.Run(t.Context(), env, strings.NewReader(text), &out, &errs, []string{"scan", "--catalog", catalog, "--debug", "-"})
	}
	for _, leak := range s.leaks(out.String() + errs.String()) {
		t.Errorf("standard input: %s", leak)
	}
}
