package cli_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/cli"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/report"
)

// badList is a list of one package, evil-pkg 6.6.6.
const badList = "ecosystem,name,version\nnpm,evil-pkg,6.6.6\n"

// places are 40 places of one home in which evil-pkg 6.6.6 of npm is, by the file that is to be named, and the files
// beside it that belong to it.
func places(t *testing.T) (files map[string]string, want []string) {
	const (
		url      = "https://registry.npmjs.org/evil-pkg/-/evil-pkg-6.6.6.tgz"
		own      = `{"name": "evil-pkg", "version": "6.6.6"}`
		pnp      = `{"packageRegistryData": [["evil-pkg", [["npm:6.6.6", {"packageLocation": "./x/"}]]]]}`
		cdx      = `{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "library", "name": "evil-pkg", "version": "6.6.6", "purl": "pkg:npm/evil-pkg@6.6.6"}]}`
		corepack = `{"locator": {"name": "evil-pkg", "reference": "6.6.6"}, "bin": {}, "hash": "sha512.00"}`
	)
	archive := clienttest.Tarball(t, own)
	sum := sha512.Sum512(archive)
	integrity := "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
	content := hex.EncodeToString(sum[:])
	key := sha256.Sum256([]byte("make-fetch-happen:request-cache:" + url))
	bucket := hex.EncodeToString(key[:])
	entry := fmt.Sprintf(`{"key":"make-fetch-happen:request-cache:%s","integrity":"%s","time":1,"size":1,"metadata":{"url":"%s"}}`, url, integrity, url)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write([]byte(cdx))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	hex126 := strings.Repeat("0", 126)
	rows := [][]string{ // the place, its content, and what else belongs to it
		{"src/01/package-lock.json", `{"lockfileVersion": 3, "packages": {"node_modules/evil-pkg": {"version": "6.6.6"}}}`},
		{"src/02/package-lock.json", `{"lockfileVersion": 1, "dependencies": {"evil-pkg": {"version": "6.6.6"}}}`},
		{"src/03/npm-shrinkwrap.json", `{"lockfileVersion": 2, "packages": {"node_modules/x/node_modules/evil-pkg": {"version": "6.6.6"}}}`},
		{"src/04/yarn.lock", "# yarn lockfile v1\n\nevil-pkg@^6.0.0:\n  version \"6.6.6\"\n"},
		{"src/05/yarn.lock", "__metadata:\n  version: 8\n\n\"evil-pkg@npm:^6.0.0\":\n  version: 6.6.6\n  resolution: \"evil-pkg@npm:6.6.6\"\n"},
		{"src/06/pnpm-lock.yaml", "lockfileVersion: '6.0'\npackages:\n  /evil-pkg@6.6.6:\n    resolution: {integrity: " + integrity + "}\n"},
		{"src/07/pnpm-lock.yaml", "lockfileVersion: '9.0'\npackages:\n  evil-pkg@6.6.6:\n    resolution: {integrity: " + integrity + "}\n"},
		{"src/08/bun.lock", `{"lockfileVersion": 1, "packages": {"evil-pkg": ["evil-pkg@6.6.6", "", {}, "` + integrity + `"]}}`},
		{"src/09/deno.lock", `{"version": "5", "npm": {"evil-pkg@6.6.6": {"integrity": "` + integrity + `"}}}`},
		{"src/10/package.json", `{"dependencies": {"evil-pkg": "6.6.6"}}`},
		{"src/11/bom.json", cdx},
		{"src/12/bom.xml", `<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.5"><components><component type="library"><name>evil-pkg</name><version>6.6.6</version><purl>pkg:npm/evil-pkg@6.6.6</purl></component></components></bom>`},
		{"src/13/app.spdx.json", `{"spdxVersion": "SPDX-2.3", "packages": [{"name": "evil-pkg", "SPDXID": "SPDXRef-1", "versionInfo": "6.6.6", "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:npm/evil-pkg@6.6.6"}]}]}`},
		{"src/14/app.spdx", "SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\nPackageName: evil-pkg\nSPDXID: SPDXRef-1\nPackageVersion: 6.6.6\nExternalRef: PACKAGE-MANAGER purl pkg:npm/evil-pkg@6.6.6\n"},
		{"src/15/app.cdx.json.gz", zipped.String()},
		{"src/16/node_modules/evil-pkg/package.json", own},
		{"src/17/node_modules/x/node_modules/evil-pkg/package.json", own},
		{"src/18/node_modules/.pnpm/evil-pkg@6.6.6/node_modules/evil-pkg/package.json", own},
		{"src/19/node_modules/evil-pkg/package.json", `{"name": "harmless", "version": "6.6.6"}`},
		{"src/20/node_modules/harmless/package.json", own},
		{"src/21/.yarn/cache/evil-pkg-npm-6.6.6-0123456789-10c0.zip", string(clienttest.Zip(t, "node_modules/evil-pkg/package.json", own))},
		{"src/22/.pnp.cjs", "const RAW_RUNTIME_STATE =\n'" + pnp + "';\n"},
		{"src/23/.pnp.data.json", pnp},
		{"src/24/npm-packages-offline-cache/evil-pkg-6.6.6.tgz", string(archive)},
		{"src/25/vendor/renamed.tgz", string(archive)},
		{".nvm/versions/node/v22.1.0/lib/node_modules/evil-pkg/package.json", own},
		{".local/share/fnm/node-versions/v22.1.0/installation/lib/node_modules/evil-pkg/package.json", own},
		{".volta/tools/image/packages/evil-pkg/lib/node_modules/evil-pkg/package.json", own},
		{".asdf/installs/nodejs/22.1.0/lib/node_modules/evil-pkg/package.json", own},
		{".npm-global/lib/node_modules/evil-pkg/package.json", own},
		{".npm/_npx/0123456789abcdef/node_modules/evil-pkg/package.json", own},
		{".npm/_cacache/index-v5/" + bucket[:2] + "/" + bucket[2:4] + "/" + bucket[4:], fmt.Sprintf("\n%x\t%s", sha1.Sum([]byte(entry)), entry),
			".npm/_cacache/content-v2/sha512/" + content[:2] + "/" + content[2:4] + "/" + content[4:], string(archive)},
		{".config/yarn/global/node_modules/evil-pkg/package.json", own},
		{".cache/yarn/v6/npm-evil-pkg-6.6.6-0123456789012345678901234567890123456789-integrity/node_modules/evil-pkg/package.json", own},
		{".yarn/berry/cache/evil-pkg-npm-6.6.6-0123456789-10c0.zip", string(clienttest.Zip(t, "node_modules/evil-pkg/package.json", own))},
		{".local/share/pnpm/store/v3/files/00/" + hex126 + "-index.json", `{"name": "evil-pkg", "version": "6.6.6", "files": {}}`},
		{".local/share/pnpm/store/v10/index/00/" + hex126[:62] + "-evil-pkg@6.6.6.json", `{"name": "evil-pkg", "version": "6.6.6", "files": {}}`},
		{".bun/install/cache/evil-pkg@6.6.6@@@1/package.json", own},
		{".cache/node/corepack/v1/evil-pkg/6.6.6/.corepack", corepack, ".cache/node/corepack/v1/evil-pkg/6.6.6/package.json", own},
		{"AppData/Roaming/npm/node_modules/evil-pkg/package.json", own},
	}
	files = map[string]string{}
	for _, row := range rows {
		for i := 0; i < len(row); i += 2 {
			files[row[i]] = row[i+1]
		}
		want = append(want, row[0])
	}
	slices.Sort(want)
	return files, want
}

// One package in 40 places of a home is one finding with 40 locations.
func TestNothingHidden(t *testing.T) {
	files, want := places(t)
	if len(want) != 40 {
		t.Fatalf("%d places", len(want))
	}
	home := clienttest.Tree(t, files)
	list := filepath.Join(t.TempDir(), "bad.csv")
	if err := os.WriteFile(list, []byte(badList), 0o644); err != nil {
		t.Fatal(err)
	}
	found := func(status int, out string) (places []string) {
		t.Helper()
		var doc struct {
			Findings []struct {
				Locations []struct{ Path string } `json:"locations"`
			} `json:"findings"`
		}
		if err := json.Unmarshal([]byte(out), &doc); err != nil {
			t.Fatal(err)
		}
		if status != 1 || len(doc.Findings) != 1 {
			t.Fatalf("exit status %d, %d findings\n%s", status, len(doc.Findings), out)
		}
		for _, l := range doc.Findings[0].Locations {
			places = append(places, strings.TrimPrefix(l.Path, filepath.ToSlash(home)+"/"))
		}
		slices.Sort(places)
		return slices.Compact(places)
	}
	sh := newShell(t)
	same := func(got, want []string) {
		t.Helper()
		for _, p := range want {
			if !slices.Contains(got, p) {
				t.Errorf("not found: %s", p)
			}
		}
		for _, p := range got {
			if !slices.Contains(want, p) {
				t.Errorf("found, and not planted: %s", p)
			}
		}
	}
	args := []string{"scan", "--only-list", "--list", list, "--format", "json"}
	status, out, _ := sh.run(append(args, "--home", home)...)
	same(found(status, out), want)
	// One less is one less: the test can fail.
	if err := os.Remove(filepath.Join(home, want[0])); err != nil {
		t.Fatal(err)
	}
	status, out, _ = sh.run(append(args, "--home", home)...)
	same(found(status, out), want[1:])

	// The same for those whose place the environment says, under another name, where nothing but the variable tells
	// what they are.
	moved := t.TempDir()
	if err := os.Rename(filepath.Join(home, ".cache", "yarn"), filepath.Join(moved, "y")); err != nil {
		t.Fatal(err)
	}
	env := cli.Env{Version: "test", Now: func() time.Time { return now }, Getenv: func(k string) string {
		return map[string]string{"RAPSHEET_HOME": sh.home, "HOME": filepath.Join(moved, "nobody"), "YARN_CACHE_FOLDER": filepath.Join(moved, "y")}[k]
	}}
	var stdout, stderr bytes.Buffer
	cli.Run(context.Background(), env, strings.NewReader(""), &stdout, &stderr, append(args, "--machine", "--profile", "quick"))
	if place := filepath.ToSlash(moved) + "/y/v6/npm-evil-pkg-6.6.6-"; !strings.Contains(stdout.String(), place) {
		t.Errorf("what YARN_CACHE_FOLDER names is not looked into\n%s", stderr.String())
	}
}

// Two scans at one time give the same bytes, in every format.
func TestDeterminism(t *testing.T) {
	files, _ := places(t)
	home := clienttest.Tree(t, files)
	list := filepath.Join(t.TempDir(), "bad.csv")
	if err := os.WriteFile(list, []byte(badList), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, format := range report.Formats() {
		t.Run(format, func(t *testing.T) {
			env := cli.Env{Version: "test", Now: func() time.Time { return now }, Getenv: func(string) string { return "" }}
			scan := func() string {
				var out, errs bytes.Buffer
				status := cli.Run(context.Background(), env, strings.NewReader(""), &out, &errs, []string{"scan", "--only-list", "--list", list, "--format", format, "--home", home})
				if status != 1 || !strings.Contains(out.String(), "evil-pkg") {
					t.Fatalf("exit status %d\n%s", status, errs.String())
				}
				return out.String()
			}
			first := scan()
			for range 3 {
				if again := scan(); again != first {
					t.Fatalf("one scan gives\n%s\nanother\n%s", first, again)
				}
			}
		})
	}
}

// No secret in a file that is read, nor in the environment, is in anything that is written.
func TestPrivacy(t *testing.T) {
	n := 0
	var secrets []string
	secret := func() string {
		n++
		s := fmt.Sprintf("S3cr3tValue%02dx9Qz", n)
		secrets = append(secrets, s)
		return s
	}
	at := func(host string) string { return "https://user:" + secret() + "@" + host }
	files := map[string]string{
		"src/a/.npmrc": "registry=" + at("npm.corp.example") + "/\n//npm.corp.example/:_authToken=" + secret() + "\n_password=" + secret() + "\nbroken " + secret(),
		"src/a/node_modules/evil-pkg/package.json":  `{"name": "evil-pkg", "version": "6.6.6", "_resolved": "` + at("registry.npmjs.org") + `/evil-pkg/-/evil-pkg-6.6.6.tgz?token=` + secret() + `"}`,
		"src/b/.yarnrc.yml":                         "npmRegistryServer: " + at("npm.corp.example") + "\nnpmAuthToken: " + secret() + "\nnpmScopes: {x: {npmAuthIdent: " + secret() + "}}\n",
		"src/b/node_modules/evil-pkg/package.json":  `{"name": "evil-pkg", "version": "6.6.6"}`,
		"src/b2/.yarnrc.yml":                        "npmAuthToken: [" + secret() + "\n",
		"src/b2/node_modules/evil-pkg/package.json": `{"name": "evil-pkg", "version": "6.6.6"}`,
		"src/c/package-lock.json":                   `{"lockfileVersion": 3, "packages": {"node_modules/evil-pkg": {"version": "6.6.6", "resolved": "` + at("registry.npmjs.org") + `/evil-pkg/-/evil-pkg-6.6.6.tgz?auth=` + secret() + `#` + secret() + `"}}}`,
		"src/d/package-lock.json":                   `{"lockfileVersion": 3, "packages": {"node_modules/` + "x" + `": {"version": "1", "resolved": "` + at("h.example") + `" ` + secret(),
		"src/e/yarn.lock":                           "evil-pkg@^6.0.0:\n  version \"6.6.6\"\n  resolved \"" + at("npm.corp.example") + "/evil-pkg/-/evil-pkg-6.6.6.tgz?_authToken=" + secret() + "\"\n",
		"src/f/pnpm-lock.yaml":                      "lockfileVersion: '9.0'\npackages:\n  evil-pkg@6.6.6:\n    resolution: {tarball: '" + at("npm.corp.example") + "/evil-pkg-6.6.6.tgz'}\n",
		"src/g/node_modules/.modules.yaml":          `{"registries": {"default": "` + at("npm.corp.example") + `/"}}`,
		"src/g/node_modules/.pnpm/evil-pkg@6.6.6/node_modules/evil-pkg/package.json": `{"name": "evil-pkg", "version": "6.6.6"}`,
		"src/h/node_modules/.package-lock.json":                                      `{"packages": {"node_modules/evil-pkg": {"version": "6.6.6", "resolved": "git+` + at("git.corp.example") + `/o/r.git#main"}}}`,
		"src/h/node_modules/evil-pkg/package.json":                                   `{"name": "evil-pkg", "version": "6.6.6"}`,
		"src/i/requirements.txt":                                                     "--index-url " + at("pypi.corp.example") + "/simple\nevil==1.0 --hash=sha256:00\ngit+" + at("git.corp.example") + "/o/r.git@main#egg=evil\n" + at("h.example") + "/evil-1.0.tar.gz\n",
		"src/j/Pipfile.lock":                                                         `{"_meta": {"sources": [{"name": "x", "url": "` + at("pypi.corp.example") + `/simple"}]}, "default": {"evil": {"version": "==1.0", "index": "x"}}}`,
		"src/k/poetry.lock":                                                          "[[package]]\nname = \"evil\"\nversion = \"1.0\"\n\n[package.source]\ntype = \"legacy\"\nurl = \"" + at("pypi.corp.example") + "/simple\"\n",
		"src/k/auth.toml":                                                            "[http-basic.x]\npassword = \"" + secret() + "\"\n",
		"src/l/uv.lock":                                                              "version = 1\n[[package]]\nname = \"evil\"\nversion = \"1.0\"\nsource = { registry = \"" + at("pypi.corp.example") + "/simple\" }\n",
		"venv/pip.conf":                                                              "[global]\nindex-url = " + at("pypi.corp.example") + "/simple\nbroken " + secret() + "\n",
		"venv/lib/python3.11/site-packages/evil-1.0.dist-info/METADATA":              "Name: evil\nVersion: 1.0\n\n" + secret(),
		"venv/lib/python3.11/site-packages/evil-1.0.dist-info/INSTALLER":             "pip\n",
		"venv/lib/python3.11/site-packages/other-1.0.dist-info/METADATA":             "Name: other\nVersion: 1.0\n",
		"venv/lib/python3.11/site-packages/other-1.0.dist-info/direct_url.json":      `{"url": "` + at("h.example") + `/other-1.0.tar.gz?sig=` + secret() + `", "archive_info": {}}`,
		"src/m/Gemfile.lock":                                                         "GEM\n  remote: " + at("gems.corp.example") + "/\n  specs:\n    evil (1.0)\n",
		"src/n/composer.lock":                                                        `{"packages": [{"name": "evil/evil", "version": "1.0", "dist": {"type": "zip", "url": "` + at("h.example") + `/x.zip?token=` + secret() + `"}}]}`,
		"src/n/auth.json":                                                            `{"http-basic": {"h.example": {"password": "` + secret() + `"}}}`,
		"src/n/vendor/composer/installed.json":                                       `{"packages": [{"name": "evil/evil", "version": "1.0", "source": {"type": "git", "url": "` + at("git.corp.example") + `/x.git"}}]}`,
		".nuget/packages/evil/1.0.0/.nupkg.metadata":                                 `{"version": 2, "contentHash": "x", "source": "` + at("nuget.corp.example") + `/v3/index.json"}`,
		".cargo/credentials.toml":                                                    "[registry]\ntoken = \"" + secret() + "\"\n",
		".cargo/.crates2.json":                                                       `{"installs": {"evil 1.0.0 (registry+` + at("crates.corp.example") + `/index)": {}}}`,
		"src/o/Cargo.lock":                                                           "[[package]]\nname = \"evil\"\nversion = \"1.0.0\"\nsource = \"registry+" + at("crates.corp.example") + "/index\"\n",
		".m2/settings.xml":                                                           "<settings><servers><server><password>" + secret() + "</password></server></servers></settings>",
		".netrc":                                                                     "machine h.example login u password " + secret() + "\n",
		".docker/config.json":                                                        `{"auths": {"h.example": {"auth": "` + secret() + `"}}}`,
		".local/share/pipx/venvs/evil/pipx_metadata.json":                            `{"pipx_metadata_version": "0.2", "main_package": {"package": "evil", "package_or_url": "git+` + at("git.corp.example") + `/o/r", "package_version": "1.0"}, "injected_packages": {}}`,
		"src/p/app.cdx.json":                                                         `{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "library", "name": "evil-pkg", "version": "6.6.6", "purl": "pkg:npm/evil-pkg@6.6.6?repository_url=` + at("npm.corp.example") + `", "externalReferences": [{"type": "distribution", "url": "` + at("h.example") + `/x.tgz"}]}]}`,
		"src/q/app.spdx.json":                                                        `{"spdxVersion": "SPDX-2.3", "packages": [{"name": "evil-pkg", "SPDXID": "SPDXRef-1", "versionInfo": "6.6.6", "downloadLocation": "` + at("h.example") + `/x.tgz?k=` + secret() + `", "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:npm/evil-pkg@6.6.6"}]}]}`,
		".cache/yarn/v6/npm-evil-pkg-6.6.6-0123456789012345678901234567890123456789-integrity/node_modules/evil-pkg/package.json":        `{"name": "evil-pkg", "version": "6.6.6"}`,
		".cache/yarn/v6/npm-evil-pkg-6.6.6-0123456789012345678901234567890123456789-integrity/node_modules/evil-pkg/.yarn-metadata.json": `{"remote": {"type": "tarball", "reference": "` + at("npm.corp.example") + `/evil-pkg/-/evil-pkg-6.6.6.tgz?t=` + secret() + `"}}`,
	}
	key := "make-fetch-happen:request-cache:" + at("registry.npmjs.org") + "/evil-pkg/-/evil-pkg-6.6.6.tgz?token=" + secret()
	sum := sha256.Sum256([]byte(key))
	bucket, content := hex.EncodeToString(sum[:]), sha512.Sum512([]byte("x"))
	entry := fmt.Sprintf(`{"key":%q,"integrity":"sha512-%s","time":1,"size":1,"metadata":{"url":%q,"reqHeaders":{"authorization":"Bearer %s"}}}`, key, base64.StdEncoding.EncodeToString(content[:]), key, secret())
	files[".npm/_cacache/index-v5/"+bucket[:2]+"/"+bucket[2:4]+"/"+bucket[4:]] = fmt.Sprintf("\n%x\t%s", sha1.Sum([]byte(entry)), entry)
	h := hex.EncodeToString(content[:])
	files[".npm/_cacache/content-v2/sha512/"+h[:2]+"/"+h[2:4]+"/"+h[4:]] = "x"
	home := clienttest.Tree(t, files)
	list := filepath.Join(t.TempDir(), "bad.csv")
	if err := os.WriteFile(list, []byte(badList+"PyPI,evil,\nRubyGems,evil,\nPackagist,evil/evil,\ncrates.io,evil,\nNuGet,evil,\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"HOME": home, "RAPSHEET_HOME": t.TempDir()}
	for _, name := range []string{"NPM_TOKEN", "NODE_AUTH_TOKEN", "PIP_INDEX_URL", "UV_INDEX_URL", "GITHUB_TOKEN", "RAPSHEET_REGISTRY_TOKEN", "RAPSHEET_REGISTRY_PASSWORD", "npm_config__auth"} {
		vars[name] = secret()
	}
	env := cli.Env{Version: "test", Now: func() time.Time { return now }, Getenv: func(k string) string { return vars[k] }}
	run := func(args ...string) {
		t.Helper()
		var out, errs bytes.Buffer
		status := cli.Run(context.Background(), env, strings.NewReader(""), &out, &errs, args)
		if status == 2 || status == 5 {
			t.Errorf("%q: exit status %d: %s", args, status, errs.String())
		}
		for _, s := range secrets {
			for _, spelled := range []string{s, base64.StdEncoding.EncodeToString([]byte(s)), base64.StdEncoding.EncodeToString([]byte("user:" + s))} {
				for name, text := range map[string]string{"standard output": out.String(), "standard error": errs.String()} {
					if i := strings.Index(text, spelled); i >= 0 {
						t.Errorf("%q: a secret is on %s: …%.200q", args, name, text[max(0, i-80):])
					}
				}
			}
		}
	}
	for _, format := range report.Formats() {
		run("scan", "--debug", "--all", "--list", list, "--format", format, "--home", home)
	}
	run("scan", "--list", list, "--machine", "--profile", "quick")
	for _, format := range []string{"cyclonedx", "spdx"} {
		run("sbom", "--debug", "--format", format, home)
	}
	run("registry", "--all", "--list", list, "--purge-plan", "-", home)
	run("registry", "--list", list, at("127.0.0.1:1")+"/?token="+secret())
}
