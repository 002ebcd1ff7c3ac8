package lockfile

import (
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"strings"
	"testing"
	"testing/fstest"
)

// readJavaScript gives content to the reader of that kind, with files beside it.
func readJavaScript(tb testing.TB, kind, content string, beside map[string]string) reading {
	tb.Helper()
	for _, r := range javascriptReaders() {
		if r.Name != kind {
			continue
		}
		in := &inventory.File{Path: "x/" + kind, Rel: "x/" + kind, Size: int64(len(content)), R: strings.NewReader(content)}
		if beside != nil {
			m := fstest.MapFS{}
			for name, text := range beside {
				m["x/"+name] = &fstest.MapFile{Data: []byte(text)}
			}
			in.FS = m
		}
		return readWith(tb.Context(), r, in)
	}
	tb.Fatalf("no reader is called %s", kind)
	return reading{}
}

// Digests in these tests: base64 of "aaaa…" is checked by its first hexadecimal digits only.
const (
	sha512  = "sha512-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaag=="
	seen512 = "sha512:69a69a69"
)

func TestJavaScriptReaders(t *testing.T) {
	tests := []struct {
		name, kind, content string
		beside              map[string]string
		want                []seen
		notes               []string
		err                 string
	}{
		{
			name: "package-lock 3, every kind of entry", kind: "package-lock.json",
			content: `{
  "name": "root", "lockfileVersion": 3,
  "packages": {
    "": {"name": "root", "version": "9.9.9", "dependencies": {"a": "^1"}},
    "node_modules/a": {"version": "1.0.0", "resolved": "https://registry.npmjs.org/a/-/a-1.0.0.tgz", "integrity": "` + sha512 + `"},
    "node_modules/a/node_modules/@s/b": {"version": "2.0.0", "resolved": "https://npm.corp.example/@s/b/-/b-2.0.0.tgz"},
    "node_modules/alias": {"name": "real", "version": "3.0.0", "resolved": "https://registry.npmjs.org/real/-/real-3.0.0.tgz"},
    "node_modules/w": {"resolved": "packages/w", "link": true},
    "packages/w": {"name": "@my/w", "version": "4.0.0"},
    "packages/@my/v": {"version": "4.1.0"},
    "node_modules/g": {"version": "5.0.0", "resolved": "git+ssh://git@github.com/o/g.git#0123456789012345678901234567890123456789"},
    "node_modules/f": {"version": "6.0.0", "resolved": "file:../f-6.0.0.tgz", "integrity": "sha512-!"},
    "node_modules/u": {"version": "7.0.0", "resolved": "https://example.com/dl/u.tgz"},
    "node_modules/a/node_modules/in": {"version": "8.0.0", "inBundle": true},
    "node_modules/n": {"version": "9.0.0", "optional": true, "peer": true},
    "node_modules/@s/n": {"version": "9.1.0"}
  },
  "dependencies": {"not-read": {"version": "1.0.0"}}
}`,
			beside: map[string]string{".npmrc": "; mine\nregistry = https://Registry.Corp.example:8443/npm/\n//registry.corp.example/:_authToken=secret\n@s:registry=https://scoped.example\n"},
			want: []seen{
				{"a", "1.0.0", 5, "registry registry.npmjs.org", seen512},
				{"@s/b", "2.0.0", 6, "registry npm.corp.example", ""},
				{"real", "3.0.0", 7, "registry registry.npmjs.org", ""},
				{"@my/w", "4.0.0", 9, "file", ""},
				{"@my/v", "4.1.0", 10, "file", ""},
				{"g", "5.0.0", 11, "git github.com", ""},
				{"f", "6.0.0", 12, "file", ""},
				{"u", "7.0.0", 13, "url example.com", ""},
				{"in", "8.0.0", 14, "", ""},
				{"n", "9.0.0", 15, "registry registry.corp.example:8443", ""},
				{"@s/n", "9.1.0", 16, "registry scoped.example", ""},
			},
		},
		{
			name: "package-lock whose URLs lead to other packages", kind: "package-lock.json",
			content: `{"lockfileVersion": 3, "packages": {
"node_modules/good": {"version": "1.0.0", "resolved": "https://registry.npmjs.org/evil/-/evil-6.6.6.tgz"},
"node_modules/same": {"version": "1.0.0", "resolved": "https://registry.npmjs.org/same/-/same-1.0.1.tgz"},
"node_modules/@s/x": {"version": "1.0.0+build", "resolved": "https://registry.yarnpkg.com/@s%2fx/-/x-1.0.0.tgz"}}}`,
			want: []seen{
				{"good", "1.0.0", 2, "registry registry.npmjs.org", ""},
				{"evil", "6.6.6", 2, "registry registry.npmjs.org", ""},
				{"same", "1.0.0", 3, "registry registry.npmjs.org", ""},
				{"same", "1.0.1", 3, "registry registry.npmjs.org", ""},
				{"@s/x", "1.0.0+build", 4, "registry registry.yarnpkg.com", ""},
			},
		},
		{
			name: "package-lock 1", kind: "package-lock.json",
			content: `{
  "lockfileVersion": 1,
  "dependencies": {
    "a": {
      "version": "1.0.0", "resolved": "https://registry.npmjs.org/a/-/a-1.0.0.tgz", "integrity": "` + sha512 + `",
      "dependencies": {
        "b": {"version": "2.0.0", "bundled": true},
        "c": {"version": "npm:@s/real@3.0.0", "resolved": "https://registry.npmjs.org/@s/real/-/real-3.0.0.tgz"}
      }
    },
    "g": {"version": "github:o/g#0123", "from": "github:o/g"},
    "f": {"version": "file:../f"},
    "t": {"version": "https://example.com/t.tgz", "integrity": "` + sha512 + `"}
  }
}`,
			want: []seen{
				{"b", "2.0.0", 7, "", ""},
				{"@s/real", "3.0.0", 8, "registry registry.npmjs.org", ""},
				{"a", "1.0.0", 4, "registry registry.npmjs.org", seen512},
				{"g", "", 11, "git github.com", ""},
				{"f", "", 12, "file", ""},
				{"t", "", 13, "url example.com", seen512},
			},
		},
		{
			name: "D80 package-lock with keys that are magic in JavaScript", kind: "package-lock.json",
			content: `{"__proto__": {"packages": {"node_modules/no": {}}}, "constructor": 1, "packages": {
"node_modules/__proto__": {"version": "1.0.0"},
"node_modules/constructor": {"version": "2.0.0", "__proto__": {"version": "6.6.6"}, "constructor": {"name": "x"}},
"node_modules/\u0065scaped": {"\u0076ersion": "3.0.0"}}}`,
			want: []seen{
				{"__proto__", "1.0.0", 2, "registry", ""},
				{"constructor", "2.0.0", 3, "registry", ""},
				{"escaped", "3.0.0", 4, "registry", ""},
			},
		},
		{
			name: "package-lock with entries of the wrong type", kind: "package-lock.json",
			content: `{"packages": {"node_modules/a": "1.0.0",
"node_modules/b": {"version": 7, "resolved": false, "integrity": null},
"node_modules/": {"version": "1.0.0"}}}`,
			want:  []seen{{"b", "", 2, "registry", ""}},
			notes: []string{`unread 0: the entry "node_modules/a" is not understood`, "unmatchable 1: entries without a usable name (missing, not UTF-8, or longer than the limit)"},
		},
		{
			name: "D79 package-lock with a merge conflict", kind: "package-lock.json",
			content: "{\n\"packages\": {\n\"node_modules/a\": {\"version\": \"1.0.0\"},\n<<<<<<< HEAD\n\"node_modules/b\": {\"version\": \"1.0.0\"}\n=======\n>>>>>>> x\n}}",
			want:    []seen{{"a", "1.0.0", 3, "registry", ""}},
			err:     "line 4: unresolved merge conflict",
		},
		{name: "package-lock cut off", kind: "package-lock.json", content: "{\"packages\": {\n\"node_modules/a\": {\"version\": \"1.0.0\"},\n\"node_mod",
			want: []seen{{"a", "1.0.0", 2, "registry", ""}}, err: "line 3: the file is cut off"},
		{name: "package-lock with a repeated key", kind: "package-lock.json", content: "{\"packages\": {\n\"node_modules/a\": {\"version\": \"1.0.0\",\n\"version\": \"6.6.6\"}}}",
			err: "line 3: duplicate object member name"},
		{name: "package-lock not UTF-8", kind: "package-lock.json", content: "{\"packages\": {\n\"node_modules/a\xff\": {\"version\": \"1.0.0\"}}}", err: "line 2: invalid UTF-8"},
		{name: "package-lock, something behind it", kind: "package-lock.json", content: "{}\n{}", err: "line 2: more than one JSON value"},
		{name: "package-lock, no object", kind: "package-lock.json", content: "[]", err: "line 1: not a JSON object"},
		{name: "package-lock, empty", kind: "package-lock.json", content: "", err: "the file is empty"},
		{name: "package-lock with byte order mark", kind: "package-lock.json", content: "\ufeff{\"packages\": {\"node_modules/a\": {}}}", want: []seen{{"a", "", 1, "registry", ""}}},

		{
			name: "yarn 1", kind: "yarn.lock",
			content: `# yarn lockfile v1


a@^1.0.0, a@~1.0.1:
  version "1.0.1"
  resolved "https://registry.yarnpkg.com/a/-/a-1.0.1.tgz#0123456789abcdef0123456789abcdef01234567"
  integrity ` + sha512 + `
  dependencies:
    version "^6.6.6"
    resolved "^1.0.0"

"@s/b@>= 1, < 3", "alias@npm:@s/b@2.0.0":
  version "2.0.0"
  resolved "https://npm.corp.example/@s/b/-/b-2.0.0.tgz"

"g@github:o/g":
  version "3.0.0"
  resolved "https://codeload.github.com/o/g/tar.gz/0123456789012345678901234567890123456789"

"h@git+https://github.com/o/h.git":
  version "3.1.0"
  resolved "git+https://github.com/o/h.git#0123456789012345678901234567890123456789"

"f@file:./f":
  version "4.0.0"

x@1:
  version "5.0.0"
`,
			beside: map[string]string{".npmrc": "registry=${NPM_REGISTRY}\n"},
			want: []seen{
				{"a", "1.0.1", 4, "registry registry.yarnpkg.com", seen512 + " sha1:01234567"},
				{"@s/b", "2.0.0", 12, "registry npm.corp.example", ""},
				{"g", "3.0.0", 16, "git github.com", ""},
				{"h", "3.1.0", 20, "git github.com", ""},
				{"f", "4.0.0", 24, "file", ""},
				{"x", "5.0.0", 27, "registry", ""},
			},
		},
		{
			name: "D81 yarn 1 with carriage returns and tabs", kind: "yarn.lock",
			content: "# yarn lockfile v1\r\n\r\na@^1.0.0:\r\n\tversion \"1.0.0\"\r\n\tdependencies:\r\n\t\tversion \"6.6.6\"\r\n\r\nb@2:\r\n\tversion \"2.0.0\"\r\n",
			want:    []seen{{"a", "1.0.0", 3, "registry", ""}, {"b", "2.0.0", 8, "registry", ""}},
		},
		{name: "D81 yarn 1 nested without end", kind: "yarn.lock",
			content: "a@1:\n  version \"1.0.0\"\n" + nested(2000), want: []seen{{"a", "1.0.0", 1, "registry", ""}}},
		{name: "yarn 1 with a merge conflict", kind: "yarn.lock", content: "a@1:\n  version \"1.0.0\"\n\n<<<<<<< HEAD\nb@1:\n", err: "line 4: unresolved merge conflict"},
		{name: "yarn, a line without end", kind: "yarn.lock", content: "a@1:\n  version \"" + strings.Repeat("1", maxLine), err: "line 2: a line is longer than 1048576 bytes"},
		{name: "yarn, another file", kind: "yarn.lock", content: "\n  indented: true\n", err: "line 2: a property outside any entry: not a yarn.lock"},
		{
			name: "yarn 2 and later", kind: "yarn.lock",
			content: `__metadata:
  version: 8
  cacheKey: 10c0

"a@npm:^1.0.0, a@npm:~1.0.1":
  version: 1.0.1
  resolution: "a@npm:1.0.1"
  dependencies:
    version: "npm:^6.6.6"
  checksum: 10c0/0123456789abcdef
  conditions: os=darwin & cpu=arm64
  languageName: node
  linkType: hard

"alias@npm:@s/b@^2":
  version: 2.0.0
  resolution: "@s/b@npm:2.0.0"

"c@npm:3":
  version: 3.0.0
  resolution: "c@npm:3.0.0::__archiveUrl=https%3A%2F%2Fnpm.corp.example%2Fc%2F-%2Fc-3.0.0.tgz"

"p@patch:p@npm%3A4.0.0#~/.yarn/patches/p.patch":
  version: 4.0.0
  resolution: "p@patch:p@npm%3A4.0.0#~/.yarn/patches/p.patch::version=4.0.0&hash=0123"

"g@https://github.com/o/g.git":
  version: 5.0.0
  resolution: "g@https://github.com/o/g.git#commit=0123456789012345678901234567890123456789"

"w@workspace:^, w@workspace:packages/w":
  version: 0.0.0-use.local
  resolution: "w@workspace:packages/w"

"l@portal:../l::locator=root%40workspace%3A.":
  version: 0.0.0-use.local
  resolution: "l@portal:../l::locator=root%40workspace%3A."

? "long@npm:1, long@npm:2"
:
  version: 6.0.0
  resolution: "long@npm:6.0.0"

"root@workspace:.":
  version: 0.0.0-use.local
  resolution: "root@workspace:."
`,
			beside: map[string]string{".yarnrc.yml": "npmRegistryServer: \"https://all.example\"\nnpmScopes:\n  s:\n    npmRegistryServer: https://scoped.example/npm\n"},
			want: []seen{
				{"a", "1.0.1", 5, "registry all.example", ""},
				{"@s/b", "2.0.0", 15, "registry scoped.example", ""},
				{"c", "3.0.0", 19, "registry npm.corp.example", ""},
				{"p", "4.0.0", 23, "registry all.example", ""},
				{"g", "5.0.0", 27, "git github.com", ""},
				{"w", "", 31, "file", ""},
				{"l", "0.0.0-use.local", 35, "file", ""},
				{"long", "6.0.0", 39, "registry all.example", ""},
			},
		},

		{
			name: "pnpm 9", kind: "pnpm-lock.yaml",
			content: `lockfileVersion: '9.0'

importers:

  .:
    dependencies:
      a:
        specifier: ^1.0.0
        version: 1.0.0
      linked:
        specifier: workspace:*
        version: link:../linked

packages:

  a@1.0.0:
    resolution: {integrity: ` + sha512 + `}
    engines: {node: '>=6'}
    peerDependencies:
      version: '*'

  '@s/b@2.0.0':
    resolution: {integrity: ` + sha512 + `, tarball: https://npm.corp.example/@s/b/-/b-2.0.0.tgz}

  g@https://codeload.github.com/o/g/tar.gz/0123456789012345678901234567890123456789:
    resolution: {tarball: https://codeload.github.com/o/g/tar.gz/0123456789012345678901234567890123456789}
    version: 3.0.0

  h@git+https://git.example.com/h.git#0123:
    resolution: {commit: '0123', repo: https://git.example.com/h.git, type: git}
    version: 3.1.0

  d@file:../d:
    resolution: {directory: ../d, type: directory}

  t@file:t.tgz:
    resolution: {integrity: ` + sha512 + `, tarball: file:t.tgz}
    version: 4.0.0

snapshots:

  a@1.0.0(peer@1.0.0):
    dependencies:
      evil: 6.6.6
`,
			beside: map[string]string{".npmrc": "registry=https://all.example/\n"},
			want: []seen{
				{"linked", "", 10, "file", ""},
				{"a", "1.0.0", 16, "registry all.example", seen512},
				{"@s/b", "2.0.0", 22, "registry npm.corp.example", seen512},
				{"g", "3.0.0", 25, "git github.com", ""},
				{"h", "3.1.0", 29, "git git.example.com", ""},
				{"d", "", 33, "file", ""},
				{"t", "4.0.0", 36, "file", seen512},
			},
		},
		{
			name: "pnpm 6", kind: "pnpm-lock.yaml",
			content: "lockfileVersion: '6.0'\ndependencies:\n  l:\n    specifier: link:../l\n    version: link:../l\npackages:\n\n  /a@1.0.0(@s/b@2.0.0)(c@3.0.0):\n    resolution: {integrity: " + sha512 + "}\n\n  /@s/b@2.0.0_patched:\n    resolution:\n      integrity: " + sha512 + "\n\n  ? /c@3.0.0(long@1.0.0)\n  : resolution: {integrity: " + sha512 + "}\n    dev: true\n  registry.example.org/d@4.0.0:\n    resolution: {integrity: " + sha512 + "}\n",
			want: []seen{
				{"l", "", 3, "file", ""},
				{"a", "1.0.0", 8, "registry", seen512},
				{"@s/b", "2.0.0_patched", 11, "registry", seen512},
				{"c", "3.0.0", 15, "registry", seen512},
				{"d", "4.0.0", 18, "registry registry.example.org", seen512},
			},
		},
		{
			name: "pnpm 5", kind: "pnpm-lock.yaml",
			content: "lockfileVersion: 5.4\ndependencies:\n  l: link:../l\npackages:\n  /a/1.0.0_@s+b@2.0.0:\n    resolution: {integrity: " + sha512 + "}\n  /@s/b/2.0.0:\n    resolution: {integrity: " + sha512 + "}\n  registry.example.org/@s/c/3.0.0:\n    resolution: {integrity: " + sha512 + "}\n  github.com/o/g/0123:\n    resolution: {commit: '0123', repo: 'git+ssh://git@github.com/o/g.git', type: git}\n    name: g\n    version: 4.0.0\n",
			want: []seen{
				{"l", "", 3, "file", ""},
				{"a", "1.0.0", 5, "registry", seen512},
				{"@s/b", "2.0.0", 7, "registry", seen512},
				{"@s/c", "3.0.0", 9, "registry registry.example.org", seen512},
				{"g", "4.0.0", 11, "git github.com", ""},
			},
		},
		{
			name: "D81 pnpm with an alias bomb", kind: "pnpm-lock.yaml",
			content: "lockfileVersion: '9.0'\npackages:\n  a@1.0.0:\n    resolution: &a [x,x,x,x,x,x,x,x,x,x]\n    name: [" + strings.Repeat("&b [*a,*a,*a,*a,*a,*a,*a,*a,*a], ", 9) + "]\n  b@1.0.0:\n    resolution: *a\n  c@1.0.0:\n    resolution: {integrity: " + sha512 + "}\n",
			want:    []seen{{"c", "1.0.0", 8, "registry", seen512}},
			notes: []string{
				"unread 0: the entry is not understood: yaml: unmarshal errors:   line 2: cannot unmarshal !!seq into struct { Integrity string; Tarball string; Registry string; Type string; Repo string; Directory string }   line 3: cannot unmarshal !!seq into string",
				"unread 0: the entry is not understood: yaml: unknown anchor 'a' referenced",
			},
		},
		{name: "pnpm written as JSON", kind: "pnpm-lock.yaml", content: `{"lockfileVersion": "9.0", "packages": {"a@1.0.0": {}}}`, err: "line 1: not laid out as pnpm does: a key of a block mapping expected"},
		{name: "pnpm with its packages in one line", kind: "pnpm-lock.yaml", content: "lockfileVersion: '9.0'\npackages: {a@1.0.0: {}}\n", err: "line 2: not laid out as pnpm does: packages in one line"},
		{name: "pnpm of the future", kind: "pnpm-lock.yaml", content: "lockfileVersion: '10.0'\npackages:\n", err: `line 1: lockfileVersion "10.0" is not supported (5 to 9 are)`},
		{name: "pnpm with a merge conflict", kind: "pnpm-lock.yaml", content: "lockfileVersion: '9.0'\npackages:\n<<<<<<< HEAD\n", err: "line 3: unresolved merge conflict"},
		{name: "pnpm without a version", kind: "pnpm-lock.yaml", content: "packages:\n  a@1.0.0: {}\n", err: "line 1: no lockfileVersion before packages"},

		{
			name: "bun", kind: "bun.lock",
			content: `{
  // a comment, with "quotes" and a comma,
  "lockfileVersion": 1, /* , } */
  "workspaces": {"": {"name": "root",},},
  "packages": {
    "a": ["a@1.0.0", "", {"dependencies": {"x": "^1",},}, "` + sha512 + `"],

    "alias": ["@s/b@2.0.0", "https://npm.corp.example/", {}, "` + sha512 + `"],
    "c": ["c@3.0.0", "https://npm.corp.example/c/-/c-3.0.0.tgz", {}, "` + sha512 + `"],
    "g": ["g@github:o/g#0123456", {}, "o-g-0123456"],
    "t": ["t@https://example.com/t.tgz", {}, "` + sha512 + `"],
    "f": ["f@file:deps/f", {}],
    "w": ["w@workspace:packages/w"],
    "r": ["r@root:", {"bin": "x"}],
    "bad": [1, "", {}],
    "worse": "a@1.0.0",
  },
}
`,
			want: []seen{
				{"a", "1.0.0", 6, "registry", seen512},
				{"@s/b", "2.0.0", 8, "registry npm.corp.example", seen512},
				{"c", "3.0.0", 9, "registry npm.corp.example", seen512},
				{"g", "", 10, "git github.com", ""},
				{"t", "", 11, "url example.com", seen512},
				{"f", "", 12, "file", ""},
				{"w", "", 13, "file", ""},
			},
			notes: []string{`unread 0: the entry "bad" is not understood`, `unread 0: the entry "worse" is not understood`},
		},
		{name: "bun, commas that JSON with comments has not either", kind: "bun.lock", content: "{\"packages\": {\n,,}}", err: `line 2: invalid character ','`},
		{name: "bun, binary", kind: "bun.lockb", content: "#!/usr/bin/env bun\nbun-lockfile-format-v0\n", err: "binary lockfile: run `bun install --save-text-lockfile` and scan the bun.lock it writes"},
		{name: "bun, binary and text", kind: "bun.lockb", content: "#!/usr/bin/env bun\n", beside: map[string]string{"bun.lock": "{}"},
			notes: []string{"info 0: binary lockfile not read: the bun.lock beside it is"}},

		{name: "deno 2", kind: "deno.lock", content: `{"version": "2", "remote": {"https://deno.land/x.ts": "00", "https://deno.land/y.ts": "00"}, "npm": {"specifiers": {"a@^1": "a@1.0.0"},
"packages": {"a@1.0.0": {"integrity": "` + sha512 + `", "dependencies": {}}}}}`,
			want: []seen{{"a", "1.0.0", 2, "registry", seen512}}, notes: []string{"unmatchable 2: modules from URLs"}},
		{name: "deno 3", kind: "deno.lock", content: `{"version": "3", "packages": {"specifiers": {}, "jsr": {"@std/x@1.0.0": {}},
"npm": {"@s/a@1.0.0_peer@2.0.0": {"integrity": "` + sha512 + `"}}}}`,
			want: []seen{{"@s/a", "1.0.0", 2, "registry", seen512}}, notes: []string{"unmatchable 1: packages from JSR"}},
		{name: "deno 5", kind: "deno.lock", content: `{"version": "5",
"npm": {"a@1.0.0": {"integrity": "` + sha512 + `", "tarball": "https://npm.corp.example/a/-/a-1.0.0.tgz"}}}`,
			want: []seen{{"a", "1.0.0", 2, "registry npm.corp.example", seen512}}},

		{
			name: "D85 package.json", kind: "package.json",
			content: `{"name": "root", "version": "1.0.0",
"dependencies": {"exact": "1.2.3", "equal": "=1.2.3", "pre": "v1.2.3-rc.1+b", "range": "^1.2.3", "partial": "1.2", "tag": "latest", "any": "",
"alias": "npm:@s/real@1.0.0", "alias2": "npm:real@^1", "alias3": "npm:2.0.0", "git": "git+https://github.com/o/g.git#v1", "short": "o/r#main", "hub": "github:o/r",
"tgz": "https://example.com/x.tgz", "file": "file:../x", "ws": "workspace:*", "link": "link:./x", "path": "../y", "odd": "zzz:1", "typed": 1},
"devDependencies": {"dup": "1.0.0", "dup": "2.0.0"}, "peerDependencies": {"peer": ">=1"}, "optionalDependencies": {"opt": "1.0.0"}, "scripts": {"x": "1.0.0"}}`,
			want: []seen{
				{"exact", "1.2.3", 2, "registry", ""}, {"equal", "1.2.3", 2, "registry", ""}, {"pre", "1.2.3-rc.1+b", 2, "registry", ""},
				{"range", "", 2, "registry", ""}, {"partial", "", 2, "registry", ""}, {"tag", "", 2, "registry", ""}, {"any", "", 2, "registry", ""},
				{"@s/real", "1.0.0", 3, "registry", ""}, {"real", "", 3, "registry", ""}, {"alias3", "2.0.0", 3, "registry", ""},
				{"git", "", 3, "git github.com", ""}, {"short", "", 3, "git github.com", ""}, {"hub", "", 3, "git github.com", ""},
				{"tgz", "", 4, "url example.com", ""}, {"file", "", 4, "file", ""}, {"ws", "", 4, "file", ""}, {"link", "", 4, "file", ""}, {"path", "", 4, "file", ""},
				{"odd", "", 4, "", ""}, {"typed", "", 4, "registry", ""},
				{"dup", "1.0.0", 5, "registry", ""}, {"dup", "2.0.0", 5, "registry", ""}, {"peer", "", 5, "registry", ""}, {"opt", "1.0.0", 5, "registry", ""},
			},
		},
		{name: "package.json beside a lockfile", kind: "package.json", content: `{"dependencies": {"a": "1.0.0"}}`, beside: map[string]string{"yarn.lock": ""}},
		{name: "D86 a workspace outside the tree is not followed", kind: "package-lock.json", content: `{"packages": {"node_modules/up": {"resolved": "../../..", "link": true}, "../../..": {"name": "up", "version": "1.0.0"}}}`,
			want: []seen{{"up", "1.0.0", 1, "file", ""}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := readJavaScript(t, tt.kind, tt.content, tt.beside)
			for i := range max(len(got.saw), len(tt.want)) {
				var g, w seen
				if i < len(got.saw) {
					g = got.saw[i]
				}
				if i < len(tt.want) {
					w = tt.want[i]
				}
				if g != w {
					t.Errorf("sighting %d:\n got %+v\nwant %+v", i, g, w)
				}
			}
			if strings.Join(got.notes, "\n") != strings.Join(tt.notes, "\n") {
				t.Errorf("notes:\n%s\nwant:\n%s", strings.Join(got.notes, "\n"), strings.Join(tt.notes, "\n"))
			}
			msg := ""
			if got.err != nil {
				msg = got.err.Error()
			}
			if tt.err == "" && msg != "" || !strings.HasPrefix(msg, tt.err) {
				t.Errorf("error %q, want %q", msg, tt.err)
			}
		})
	}
}

// nested is a property inside a property inside …, n deep, each one blank more.
func nested(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i+3) + "x:\n")
	}
	return b.String()
}

func TestTarballName(t *testing.T) {
	tests := []struct{ url, name, version string }{
		{"https://registry.npmjs.org/a/-/a-1.0.0.tgz", "a", "1.0.0"},
		{"https://registry.npmjs.org/@s/b/-/b-1.0.0-rc.1.tgz", "@s/b", "1.0.0-rc.1"},
		{"https://registry.yarnpkg.com/@s%2fb/-/b-1.0.0.tgz", "@s/b", "1.0.0"},
		{"https://corp.example/artifactory/api/npm/npm/@s/b/-/@s/b-1.0.0.tgz", "@s/b", "1.0.0"},
		{"https://corp.example/npm/a/-/other.tgz", "a", ""},
		{"https://npm.pkg.github.com/download/@s/b/1.0.0/0123", "", ""},
		{"https://corp.example/-/a-1.0.0.tgz", "", ""},
		{"https://corp.example/%zz/-/a-1.0.0.tgz", "", ""},
		{"https:///-/", "", ""},
		{"a/-/a-1.0.0.tgz", "", ""},
	}
	for _, tt := range tests {
		name, version, ok := ecosystem.NPMArchive(tt.url)
		if name != tt.name || version != tt.version || ok != (tt.name != "") {
			t.Errorf("%s: %q %q %v, want %q %q", tt.url, name, version, ok, tt.name, tt.version)
		}
	}
}
