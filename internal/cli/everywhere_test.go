package cli_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the "sqlite" driver

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/cli"
	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// planted is a place in a home that has evil-pkg 1.2.3.
type planted struct {
	tool string
	// at is the file that a report has to name, from the home, and content what is in it.
	at, content string
	// beside are more files that belong to the place, by their names from the directory of at.
	beside map[string]string
}

const (
	evilArchive = "https://registry.npmjs.org/evil-pkg/-/evil-pkg-1.2.3.tgz"
	evilPackage = `{"name": "evil-pkg", "version": "1.2.3"}`
	evilSHA1    = "0123456789abcdef0123456789abcdef01234567"
	evilSRI     = "sha512-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaag=="
	evilCDX     = `{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "library", "name": "evil-pkg", "version": "1.2.3", "purl": "pkg:npm/evil-pkg@1.2.3"}]}`
)

// npmIndexLine is a line of the index of npm's cache (github.com/npm/cacache, lib/entry-index.js).
func npmIndexLine(entry string) string {
	return fmt.Sprintf("\n%x\t%s", sha1.Sum([]byte(entry)), entry)
}

// everywhere is one package in forty places of one home. The formats are those of the tools that are named; where they
// are read, package by package, the tests have files that the tools themselves wrote.
func everywhere(t *testing.T) []planted {
	const pnp = `{"packageRegistryData": [[null, [[null, {}]]], ["evil-pkg", [["npm:1.2.3", {"packageLocation": "../x/"}]]]]}`
	lock := func(version int) string {
		return fmt.Sprintf(`{"lockfileVersion": %d, "packages": {"": {}, "node_modules/evil-pkg": {"version": "1.2.3", "resolved": %q, "integrity": %q}}}`, version, evilArchive, evilSRI)
	}
	pnpm := func(version, key string) string {
		return "lockfileVersion: " + version + "\n\npackages:\n\n  " + key + ":\n    resolution: {integrity: " + evilSRI + "}\n"
	}
	tgz := string(clienttest.Tarball(t, evilPackage))
	digest := ecosystem.Integrity(evilSRI)[0].Hex
	zip := string(clienttest.Zip(t, "node_modules/evil-pkg/package.json", evilPackage))
	return []planted{
		// Lockfiles and manifests.
		{"npm 7 and newer", "src/npm/package-lock.json", lock(3), nil},
		{"npm 6", "src/old/package-lock.json", `{"lockfileVersion": 1, "dependencies": {"evil-pkg": {"version": "1.2.3", "resolved": "` + evilArchive + `"}}}`, nil},
		{"npm shrinkwrap", "src/published/npm-shrinkwrap.json", lock(2), nil},
		{"npm, without a lockfile", "src/pinned/package.json", `{"dependencies": {"evil-pkg": "1.2.3"}}`, nil},
		{"Yarn 1", "src/yarn1/yarn.lock", "# yarn lockfile v1\n\n\nevil-pkg@^1.0.0:\n  version \"1.2.3\"\n  resolved \"" + evilArchive + "#" + evilSHA1 + "\"\n", nil},
		{"Yarn 4", "src/berry/yarn.lock", "__metadata:\n  version: 8\n\n\"evil-pkg@npm:^1.0.0\":\n  version: 1.2.3\n  resolution: \"evil-pkg@npm:1.2.3\"\n", nil},
		{"pnpm 7", "src/pnpm7/pnpm-lock.yaml", pnpm("5.4", "/evil-pkg/1.2.3"), nil},
		{"pnpm 8", "src/pnpm8/pnpm-lock.yaml", pnpm("'6.0'", "/evil-pkg@1.2.3"), nil},
		{"pnpm 9", "src/pnpm9/pnpm-lock.yaml", pnpm("'9.0'", "evil-pkg@1.2.3"), nil},
		{"bun", "src/bun/bun.lock", `{"lockfileVersion": 1, "workspaces": {"": {}}, "packages": {"evil-pkg": ["evil-pkg@1.2.3", "", {}, "` + evilSRI + `"],}}`, nil},
		{"Deno", "src/deno/deno.lock", `{"version": "5", "npm": {"evil-pkg@1.2.3": {"integrity": "` + evilSRI + `"}}}`, nil},
		// SBOMs of builds.
		{"CycloneDX", "builds/app.cdx.json", evilCDX, nil},
		{"CycloneDX in XML", "builds/xml/bom.xml", `<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.6"><components><component type="library"><name>evil-pkg</name><version>1.2.3</version><purl>pkg:npm/evil-pkg@1.2.3</purl></component></components></bom>`, nil},
		{"CycloneDX, gzip", "builds/app.cdx.json.gz", string(gzipOf([]byte(evilCDX))), nil},
		{"CycloneDX, zstd", "builds/app.cdx.json.zst", string(zstdOf([]byte(evilCDX))), nil},
		{"SPDX", "builds/app.spdx.json", `{"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "packages": [{"SPDXID": "SPDXRef-1", "name": "evil-pkg", "versionInfo": "1.2.3", "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:npm/evil-pkg@1.2.3"}]}]}`, nil},
		{"Syft", "builds/app.syft.json", `{"artifacts": [{"id": "1", "name": "evil-pkg", "version": "1.2.3", "type": "npm", "purl": "pkg:npm/evil-pkg@1.2.3"}], "schema": {"version": "16.0.0", "url": "https://raw.githubusercontent.com/anchore/syft/main/schema/json/schema-16.0.0.json"}}`, nil},
		// What is installed.
		{"npm install", "src/installed/node_modules/evil-pkg/package.json", evilPackage, map[string]string{"../.package-lock.json": lock(3)}},
		{"npm install, two versions", "src/nested/node_modules/host/node_modules/evil-pkg/package.json", evilPackage, nil},
		{"npm install, under another name", "src/alias/node_modules/harmless/package.json", evilPackage, map[string]string{"../.package-lock.json": strings.Replace(lock(3), "node_modules/evil-pkg\": {", "node_modules/harmless\": {\"name\": \"evil-pkg\", ", 1)}},
		{"pnpm install", "src/strict/node_modules/.pnpm/evil-pkg@1.2.3/node_modules/evil-pkg/package.json", evilPackage, map[string]string{"../../../../.modules.yaml": `{"registries": {"default": "https://registry.npmjs.org/"}}`}},
		{"bun install, isolated", "src/isolated/node_modules/.bun/evil-pkg@1.2.3/node_modules/evil-pkg/package.json", evilPackage, nil},
		{"yarn install, Yarn 1", "src/classic/node_modules/evil-pkg/package.json", evilPackage, map[string]string{"../.yarn-integrity": `{"lockfileEntries": {"evil-pkg@^1.0.0": "` + evilArchive + "#" + evilSHA1 + `"}}`}},
		{"Plug'n'Play", "src/pnp/.pnp.cjs", "const RAW_RUNTIME_STATE =\n'" + pnp + "';\n", nil},
		{"Plug'n'Play, apart from its script", "src/pnp-data/.pnp.data.json", pnp, nil},
		{"npm install -g", ".npm-global/lib/node_modules/evil-pkg/package.json", evilPackage, nil},
		{"nvm", ".nvm/versions/node/v22.1.0/lib/node_modules/evil-pkg/package.json", evilPackage, nil},
		{"fnm", ".local/share/fnm/node-versions/v22.1.0/installation/lib/node_modules/evil-pkg/package.json", evilPackage, nil},
		{"Volta", ".volta/tools/image/packages/evil-pkg/lib/node_modules/evil-pkg/package.json", evilPackage, nil},
		{"npx", ".npm/_npx/0123456789abcdef/node_modules/evil-pkg/package.json", evilPackage, nil},
		{"an editor's extension", ".vscode/extensions/acme.tool-1.0.0/node_modules/evil-pkg/package.json", evilPackage, nil},
		// Caches.
		{"npm's cache", ".npm/_cacache/index-v5/00/11/" + strings.Repeat("0", 60),
			npmIndexLine(`{"key":"make-fetch-happen:request-cache:` + evilArchive + `","integrity":"` + evilSRI + `","time":1}`),
			map[string]string{"../../../content-v2/sha512/" + digest[:2] + "/" + digest[2:4] + "/" + digest[4:]: tgz}},
		{"pnpm's store, to pnpm 9", ".pnpm-store/v3/files/" + digest[:2] + "/" + digest[2:] + "-index.json", `{"name": "evil-pkg", "version": "1.2.3", "files": {}}`, nil},
		{"pnpm's store, pnpm 10", ".local/share/pnpm/store/v10/index/" + digest[:2] + "/" + digest[2:64] + "-evil-pkg@1.2.3.json", `{"name": "evil-pkg", "version": "1.2.3", "files": {}}`, nil},
		{"pnpm's store, pnpm 11", ".local/share/pnpm/store/v11/index.db", pnpmDatabase(t, evilSRI+"\tevil-pkg@1.2.3"), map[string]string{"files/00/x": ""}},
		{"Yarn 1's cache", ".cache/yarn/v6/npm-evil-pkg-1.2.3-" + evilSHA1 + "-integrity/node_modules/evil-pkg/package.json", evilPackage,
			map[string]string{".yarn-metadata.json": `{"remote": {"type": "tarball", "reference": "` + evilArchive + `", "hash": "` + evilSHA1 + `"}}`}},
		{"Yarn 4's cache", ".yarn/berry/cache/evil-pkg-npm-1.2.3-0123456789-10c0.zip", zip, nil},
		{"bun's cache", ".bun/install/cache/evil-pkg@1.2.3@@@1/package.json", evilPackage, nil},
		{"Corepack", ".cache/node/corepack/v1/evil-pkg/1.2.3/.corepack", `{"locator": {"name": "evil-pkg", "reference": "1.2.3"}}`, nil},
		// Archives.
		{"an offline mirror", "mirror/evil-pkg-1.2.3.tgz", tgz, nil},
	}
}

// pnpmDatabase is the index of a store of pnpm 11 (github.com/pnpm/pnpm, store/index).
func pnpmDatabase(t *testing.T, key string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "index.db")
	db, err := sql.Open("sqlite", name)
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		"CREATE TABLE package_index (key TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID",
		"INSERT INTO package_index VALUES ('" + key + "', x'00')",
	} {
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// plant puts every place into a new home.
func plant(t *testing.T, places []planted) (home string) {
	t.Helper()
	files := map[string]string{}
	for _, p := range places {
		files[p.at] = p.content
		for name, content := range p.beside {
			files[path.Join(path.Dir(p.at), name)] = content
		}
	}
	return clienttest.Tree(t, files)
}

// evilPkgCatalog lists evil-pkg 1.2.3.
func evilPkgCatalog(t *testing.T) string {
	t.Helper()
	return writeFile(t, "list.jsonl", []byte(`{"schema_version": "1.7.4", "id": "MAL-2026-1", "modified": "2026-11-01T00:00:00Z", "published": "2026-11-01T00:00:00Z", "summary": "Malicious code", "affected": [{"package": {"ecosystem": "npm", "name": "evil-pkg"}, "versions": ["1.2.3"]}]}`+"\n"))
}

// ran is what a command came to.
type ran struct {
	status         int
	stdout, stderr string
}

// rapsheetIn runs a command with an environment of its own.
func rapsheetIn(ctx context.Context, environment map[string]string, args ...string) ran {
	env := cli.Env{Now: func() time.Time { return now }, Version: "test", Getenv: func(k string) string { return environment[k] }}
	var out, errs bytes.Buffer
	status := cli.Run(ctx, env, strings.NewReader(""), &out, &errs, args)
	return ran{status, out.String(), errs.String()}
}

// scanned is a report in JSON, as far as these tests look at it.
type scanned struct {
	Summary struct {
		Unread   int  `json:"unread"`
		Complete bool `json:"complete"`
	} `json:"summary"`
	Findings []struct {
		ID        string `json:"id"`
		Malicious bool   `json:"malicious"`
		Package   struct {
			Name    string `json:"name"`
			Version string `json:"version"`
		} `json:"package"`
		Provenance struct {
			Origin string `json:"origin"`
			Host   string `json:"host"`
		} `json:"provenance"`
		Locations []struct {
			Path string `json:"path"`
		} `json:"locations"`
	} `json:"findings"`
	Notes []struct {
		Kind    string `json:"kind"`
		Path    string `json:"path"`
		Line    int    `json:"line"`
		Message string `json:"message"`
		Count   int    `json:"count"`
	} `json:"notes"`
}

func (r ran) json(t *testing.T) scanned {
	t.Helper()
	var s scanned
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
		t.Fatalf("status %d, %v: %s%s", r.status, err, r.stdout, r.stderr)
	}
	return s
}

// paths gives the places of all findings, from root.
func (s scanned) paths(root string) []string {
	var all []string
	for _, f := range s.Findings {
		for _, l := range f.Locations {
			all = append(all, strings.TrimPrefix(l.Path, filepath.ToSlash(root)+"/"))
		}
	}
	slices.Sort(all)
	return all
}

// TestNothingHidden plants one package in every kind of place that a home has, and then takes one of them away after the other.
func TestNothingHidden(t *testing.T) {
	places := everywhere(t)
	if len(places) != 40 {
		t.Errorf("%d places", len(places))
	}
	home, catalog := plant(t, places), evilPkgCatalog(t)
	left := map[string]bool{}
	for _, p := range places {
		left[p.at] = true
	}
	scan := func() {
		t.Helper()
		r := rapsheetIn(t.Context(), map[string]string{"HOME": home}, "scan", "--catalog", catalog, "--home", home, "--format", "json")
		report := r.json(t)
		if r.status != rapsheet.ExitFound || len(report.Findings) != 1 || !report.Summary.Complete || r.stderr != "" {
			t.Errorf("status %d, %d findings, complete %v: %s", r.status, len(report.Findings), report.Summary.Complete, r.stderr)
		}
		got, want := report.paths(home), slices.Sorted(maps.Keys(left))
		for _, p := range places {
			if n := len(slices.DeleteFunc(slices.Clone(got), func(at string) bool { return at != p.at })); left[p.at] && n != 1 {
				t.Errorf("%s: %s is reported %d times", p.tool, p.at, n)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d places, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
			for _, n := range report.Notes {
				t.Logf("%+v", n)
			}
		}
	}
	scan()
	for _, at := range []string{places[0].at, ".npm/_cacache/index-v5/00/11/" + strings.Repeat("0", 60), ".local/share/pnpm/store/v11/index.db"} {
		if err := os.Remove(filepath.Join(home, filepath.FromSlash(at))); err != nil {
			t.Fatal(err)
		}
		delete(left, at)
		scan()
	}
	if len(left) != 37 {
		t.Errorf("%d places are left", len(left))
	}
}

// until ends a command once it has written what it was waiting for.
type until struct {
	bytes.Buffer
	text string
	end  func()
}

func (u *until) Write(p []byte) (int, error) {
	n, err := u.Buffer.Write(p)
	if strings.Contains(u.String(), u.text) {
		u.end()
	}
	return n, err
}

// A cache that the environment has moved away is found, and recognised as npm's by that alone. The quick profile looks at
// this machine's own places too: the scan ends when it has found what was planted, which is in the first of them, where there
// is a file system in memory.
func TestMovedCache(t *testing.T) {
	if testing.Short() {
		t.Skip("looks into places of this machine")
	}
	places := everywhere(t)
	i := slices.IndexFunc(places, func(p planted) bool { return p.tool == "npm's cache" })
	from := plant(t, places[i:i+1])
	first, err := os.MkdirTemp("/dev/shm", "rapsheet-*")
	if err != nil {
		first = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(first) })
	moved := filepath.Join(first, "moved")
	if err := os.CopyFS(moved, os.DirFS(filepath.Join(from, ".npm"))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	want := filepath.ToSlash(filepath.Join(moved, strings.TrimPrefix(places[i].at, ".npm/")))
	out, errs := &until{text: want, end: cancel}, bytes.Buffer{}
	env := cli.Env{Now: func() time.Time { return now }, Version: "test", Getenv: func(k string) string {
		return map[string]string{"HOME": t.TempDir(), "npm_config_cache": moved}[k]
	}}
	status := cli.Run(ctx, env, strings.NewReader(""), out, &errs, []string{"scan", "--catalog", evilPkgCatalog(t), "--machine", "--profile", "quick", "--format", "jsonl"})
	if status != rapsheet.ExitFound || !strings.Contains(out.String(), want) || !strings.Contains(out.String(), `"kind":"npm-cache"`) {
		t.Errorf("status %d, %s is not reported: %s%s", status, want, out.String(), errs.String())
	}
}

// TestDeterminism scans the same trees at different times, with one processor and with four: what is reported differs in the
// times and in nothing else.
func TestDeterminism(t *testing.T) {
	home := plant(t, everywhere(t))
	s := &secrets{of: map[string]string{}}
	for name, text := range confided() {
		for i, content := range append(spoil(text)[:2], text) {
			at := filepath.Join(home, "more", fmt.Sprint(i), filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, []byte(s.in(name, content)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	lists := []string{"--catalog", evilPkgCatalog(t), "--catalog", leakyCatalog(t)}
	// The fields that are times, as docs/output.schema.json and SARIF 2.1.0 (3.20.7, 3.20.8) have them.
	times := regexp.MustCompile(`"(elapsed_seconds|started|startTimeUtc|endTimeUtc)":\s*("[^"]*"|[0-9.e+-]+)`)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, format := range []string{"json", "jsonl", "sarif"} {
		t.Run(format, func(t *testing.T) {
			var first, masked string
			for i, processors := range []int{1, 4, 4} {
				runtime.GOMAXPROCS(processors)
				at := now
				env := cli.Env{Version: "test", Getenv: func(k string) string { return map[string]string{"HOME": home}[k] }, Now: func() time.Time {
					at = at.Add(time.Duration(i+1) * time.Second) // no two runs take the same time
					return at
				}}
				var out, errs bytes.Buffer
				status := cli.Run(t.Context(), env, strings.NewReader(""), &out, &errs, append([]string{"scan", "--home", home, "--format", format, "--all"}, lists...))
				if status != rapsheet.ExitFound || errs.Len() > 0 {
					t.Fatalf("status %d: %s", status, errs.String())
				}
				text := times.ReplaceAllString(out.String(), `"$1":0`)
				if i == 0 {
					first, masked = out.String(), text
					continue
				}
				if text != masked {
					was, is := strings.Split(masked, "\n"), strings.Split(text, "\n")
					for n := range min(len(was), len(is)) {
						if was[n] != is[n] {
							t.Fatalf("run %d, line %d:\n\t%.500s\nwas\n\t%.500s", i, n+1, is[n], was[n])
						}
					}
					t.Fatalf("run %d: %d lines, was %d", i, len(is), len(was))
				}
				if out.String() == first && times.MatchString(first) {
					t.Error("the times are the same: nothing was masked")
				}
			}
		})
	}
}
