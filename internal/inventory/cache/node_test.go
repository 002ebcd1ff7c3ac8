package cache_test

import (
	"crypto/sha1"
	"crypto/sha512"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// sri is the integrity that npm writes of a content, and where its cache keeps that.
func sri(content string) (integrity, at string) {
	sum := sha512.Sum512([]byte(content))
	h := hex.EncodeToString(sum[:])
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:]), "_cacache/content-v2/sha512/" + h[:2] + "/" + h[2:4] + "/" + h[4:]
}

// line is one of the index of npm's cache: "\n<SHA-1>\t<JSON>".
func line(entry string) string { return fmt.Sprintf("\n%x\t%s", sha1.Sum([]byte(entry)), entry) }

func request(url, integrity, metadata string) string {
	return line(`{"key":"make-fetch-happen:request-cache:` + url + `","integrity":` + integrity + `,"time":1,"size":1,"metadata":{` + metadata + `}}`)
}

// bucket is a place for an index entry; which one is npm's business.
func bucket(digit string) string {
	return "_cacache/index-v5/" + strings.Repeat(digit, 2) + "/" + strings.Repeat(digit, 2) + "/" + strings.Repeat(digit, 60)
}

func TestNPMCache(t *testing.T) {
	quoted := func(s string) string { return `"` + s + `"` }
	one, oneAt := sri("one")
	two, twoAt := sri("two")
	gone, _ := sri("gone")
	git := string(clienttest.TarGz(t, "repo-abc/sub/package.json", `{"name": "no"}`, "repo-abc/package.json", `{"name": "from-git", "version": "3.0.0"}`))
	gitSRI, gitAt := sri(git)
	page, pageAt := sri(`{"name": "one", "versions": {"1.0.0": {}}}`)
	nameless := string(clienttest.TarGz(t, "package/index.js", ""))
	namelessSRI, namelessAt := sri(nameless)
	sum := func(at string) string {
		return strings.ReplaceAll(strings.TrimPrefix(at, "_cacache/content-v2/"), "/", "")[6:12]
	}
	in := func(digit string) string { return bucket(digit) + " " }
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"archives of registries, scoped ones in both spellings, with credentials nowhere", map[string]string{
			bucket("0"): request("https://registry.npmjs.org/one/-/one-1.0.0.tgz", quoted(one), ""),
			bucket("1"): request("https://npm.corp.example/@s%2fone/-/one-2.0.0-rc.1.tgz?token=SECRET", quoted(one), ""),
			bucket("2"): request("https://registry.npmjs.org/@s/two/-/two-1.0.0.tgz", quoted(two), ""),
			oneAt:       "one", twoAt: "two",
		}, []string{
			in("0") + "one@1.0.0 registry registry.npmjs.org sha512:" + sum(oneAt),
			in("1") + "@s/one@2.0.0-rc.1 registry npm.corp.example sha512:" + sum(oneAt),
			in("2") + "@s/two@1.0.0 registry registry.npmjs.org sha512:" + sum(twoAt),
		}},
		{"a packument is no package, nor is an answer in JSON under any other address", map[string]string{
			bucket("0"): request("https://registry.npmjs.org/one", quoted(page), `"reqHeaders":{"accept":"application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"}`),
			bucket("1"): request("https://registry.npmjs.org/two", quoted(page), `"resHeaders":{"content-type":["application/json"]}`),
			bucket("2"): request("https://registry.npmjs.org/three", quoted(page), ""),
			bucket("3"): line(`{"key":"pacote:version-manifest:https://registry.npmjs.org/one/-/one-1.0.0.tgz:sha1-aSbRsZT7xze47tUTdW3i/Np+pAg=","integrity":"` + page + `"}`),
			pageAt:      `{"name": "one", "versions": {"1.0.0": {}}}`,
		}, nil},
		{"the last line of a key counts, and one without integrity deletes", map[string]string{
			bucket("0"): request("https://registry.npmjs.org/one/-/one-1.0.0.tgz", quoted(gone), "") + request("https://registry.npmjs.org/one/-/one-1.0.0.tgz", quoted(one), ""),
			bucket("1"): request("https://registry.npmjs.org/two/-/two-1.0.0.tgz", quoted(two), "") + request("https://registry.npmjs.org/two/-/two-1.0.0.tgz", "null", ""),
			bucket("2"): request("https://registry.npmjs.org/two/-/two-1.0.1.tgz", quoted(two), "") + request("https://registry.npmjs.org/two/-/two-1.0.2.tgz", quoted(two), ""),
			oneAt:       "one", twoAt: "two",
		}, []string{
			in("0") + "one@1.0.0 registry registry.npmjs.org sha512:" + sum(oneAt),
			in("2") + "two@1.0.1 registry registry.npmjs.org sha512:" + sum(twoAt),
			in("2") + "two@1.0.2 registry registry.npmjs.org sha512:" + sum(twoAt),
		}},
		{"an entry under another name keeps its digest", map[string]string{
			bucket("0"): request("https://registry.npmjs.org/harmless/-/harmless-9.9.9.tgz", quoted(one), ""),
			oneAt:       "one",
		}, []string{in("0") + "harmless@9.9.9 registry registry.npmjs.org sha512:" + sum(oneAt)}},
		{"D82 what does not hold is skipped and counted, and the rest is read", map[string]string{
			bucket("0"): strings.Replace(request("https://registry.npmjs.org/forged/-/forged-1.0.0.tgz", quoted(one), ""), "forged", "forced", 1) +
				"\nno tab\n0123\t{}" + line(`{"key": `) + request("https://registry.npmjs.org/one/-/one-1.0.0.tgz", quoted(one), ""),
			bucket("1"): request("https://registry.npmjs.org/gone/-/gone-1.0.0.tgz", quoted(gone), "") + request("https://registry.npmjs.org/odd/-/odd-1.0.0.tgz", `"md5-x"`, ""),
			bucket("2"): line(`{"key":"`+strings.Repeat("x", 5<<20)+`"}`) + request("https://registry.npmjs.org/one/-/one-1.0.1.tgz", quoted(one), ""),
			bucket("3"): "", bucket("4"): "\n",
			oneAt: "one",
		}, []string{
			in("0") + "one@1.0.0 registry registry.npmjs.org sha512:" + sum(oneAt),
			"info " + bucket("0") + ": index entries whose checksum does not hold: npm does not use them (4)",
			"info " + bucket("1") + ": index entries without content: no packages any more (2)",
			in("2") + "one@1.0.1 registry registry.npmjs.org sha512:" + sum(oneAt),
			"unread " + bucket("2") + ": index entries longer than 4194304 bytes (1)",
		}},
		{"an archive from anywhere says its name itself", map[string]string{
			bucket("0"): request("https://codeload.github.com/owner/repo/tar.gz/0123456789", quoted(gitSRI), ""),
			bucket("1"): line(`{"key":"pacote:tarball:git+ssh://git@github.com/owner/repo.git#0123456789","integrity":"` + gitSRI + `"}`),
			bucket("2"): request("https://registry.npmjs.org/from-git/-/download", quoted(gitSRI), ""),
			bucket("3"): request("https://files.example/x.tgz", quoted(namelessSRI), ""),
			bucket("4"): request("https://files.example/picture", quoted(one), ""),
			gitAt:       git, namelessAt: nameless, oneAt: "one",
		}, []string{
			in("0") + "from-git@3.0.0 git github.com sha512:" + sum(gitAt),
			in("1") + "from-git@3.0.0 git github.com sha512:" + sum(gitAt),
			in("2") + "from-git@3.0.0 registry registry.npmjs.org sha512:" + sum(gitAt),
			"unread " + bucket("3") + ": archives without a name in their address: no package.json in it (1)",
		}},
		{"content is not walked, but only npm's", map[string]string{
			"_cacache/content-v2/node_modules/a/package.json": `{"name": "a", "version": "1.0.0"}`,
			"data/content-v2/node_modules/b/package.json":     `{"name": "b", "version": "1.0.0"}`,
		}, []string{"data/content-v2/node_modules/b/package.json b@1.0.0"}},
		{"another version of the index is one note", map[string]string{
			"a/_cacache/index-v6/00/11/x": "?", "a/_cacache/index-v6/00/22/x": "?", "a/_cacache/index-v6/ff/00/x": "?",
			"b/_cacache/index-v6/00/11/x": "?", "not/index-v5/00/00/" + strings.Repeat("0", 60): request("https://registry.npmjs.org/one/-/one-1.0.0.tgz", quoted(one), ""),
		}, []string{
			`unread a/_cacache/index-v6/00/11/x: the index of npm's cache has the version "index-v6", which is not known: nothing in it was read`,
			`unread b/_cacache/index-v6/00/11/x: the index of npm's cache has the version "index-v6", which is not known: nothing in it was read`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := clienttest.Tree(t, tt.files)
			compare(t, counted(t, root, inventory.Options{}), tt.want)
		})
	}

	t.Run("a walk that begins in the index does not look for the content", func(t *testing.T) {
		root := clienttest.Tree(t, map[string]string{bucket("0"): request("https://registry.npmjs.org/one/-/one-1.0.0.tgz", quoted(gone), "")})
		got := nodeLines(t, filepath.Join(root, "_cacache", "index-v5"), inventory.Options{})
		compare(t, got, []string{strings.TrimPrefix(bucket("0"), "_cacache/index-v5/") + " one@1.0.0 registry registry.npmjs.org sha512:" + hex.EncodeToString(decode(t, gone))[:6]})
	})
	t.Run("D82 2 GB of content are not read", func(t *testing.T) {
		root := clienttest.Tree(t, map[string]string{
			bucket("0"): request("https://registry.npmjs.org/one/-/one-1.0.0.tgz", quoted(one), ""),
			bucket("1"): request("https://files.example/x.tgz", quoted(gitSRI), ""),
			oneAt:       "", gitAt: git,
		})
		for _, at := range []string{oneAt, gitAt} {
			if err := os.Truncate(filepath.Join(root, at), 2<<30); err != nil {
				t.Skip(err)
			}
		}
		compare(t, counted(t, root, inventory.Options{Hash: true}), []string{
			in("0") + "one@1.0.0 registry registry.npmjs.org sha512:" + sum(oneAt),
			in("1") + "from-git@3.0.0 url files.example sha512:" + sum(gitAt), // its package.json comes before the zeros
		})
	})
}

func decode(t *testing.T, integrity string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(integrity, "sha512-"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The files are those that pnpm 10.34.9 and 12.21.0 write, shortened; pnpm 8's is in github.com/pnpm/pnpm at v8.15.9,
// store/cafs/src/getFilePathInCafs.ts.
func TestPNPMStore(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 8)
	sha := func(v, rest string) string { return v + "/" + long[:2] + "/" + long[2:] + rest }
	manifest := sha512.Sum512([]byte(`{"name": "old", "version": "0.1.0"}`))
	h := hex.EncodeToString(manifest[:])
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"pnpm 8: the path is the digest", map[string]string{
			sha("s/v3/files", "-index.json"):                      `{"name": "a", "version": "1.0.0", "files": {}}`,
			sha("s/v3/files", ""):                                 `{"name": "content", "version": "1.0.0"}`,
			"s/v3/files/aa/" + long[:38] + "-index.json":          `{"name": "b", "version": "1.0.0", "files": {}}`,
			"s/v3/github.com+o+r+0123/integrity.json":             `{"name": "c", "version": "1.0.0", "files": {}}`,
			"s/v3/github.com+o+r+4567/integrity-not-built.json":   `{"name": "d", "version": "1.0.0", "files": {}}`,
			"other/v4/files/aa/" + long[:126] + "-index.json":     `{"name": "no", "version": "1.0.0"}`,
			"other/v3/files/aa/" + long[:126] + "-other.json":     `{"name": "no", "version": "1.0.0"}`,
			"other/files/v3/files/aaa/" + long[:126] + "-index.j": `{"name": "no", "version": "1.0.0"}`,
		}, []string{
			sha("s/v3/files", "-index.json") + " a@1.0.0 sha512:012345",
			"s/v3/files/aa/" + long[:38] + "-index.json b@1.0.0 sha1:aa0123",
			"s/v3/github.com+o+r+0123/integrity.json c@1.0.0",
			"s/v3/github.com+o+r+4567/integrity-not-built.json d@1.0.0",
		}},
		{"pnpm 5: only the package.json says the name", map[string]string{
			sha("v3/files", "-index.json"):               `{"files": {"package.json": {"integrity": "sha512-` + base64.StdEncoding.EncodeToString(manifest[:]) + `"}}}`,
			"v3/files/" + h[:2] + "/" + h[2:]:            `{"name": "old", "version": "0.1.0"}`,
			"v3/files/bb/" + long[:126] + "-index.json":  `{"files": {}}`,
			"v3/files/cc/" + long[:126] + "-index.json":  `{"files": `,
			"v3/files/dd/" + long[:126] + "x-index.json": `no digest`,
		}, []string{
			sha("v3/files", "-index.json") + " old@0.1.0 sha512:012345",
			"unread v3/files/bb/" + long[:126] + "-index.json: does not say which package it is of, and the store has no package.json of it",
			"unread v3/files/cc/" + long[:126] + "-index.json: unexpected EOF",
		}},
		{"pnpm 10: half a digest is none, and the file's name is a second witness", map[string]string{
			"store/v10/index/d7/" + long[:62] + "-@corp+tool@1.0.0.json":                                 `{"name":"@corp/tool","version":"1.0.0","requiresBuild":false,"files":{}}`,
			"store/v10/index/d8/" + long[:38] + "-b@1.0.0.json":                                          `{"name":"b","version":"1.0.0+build","files":{}}`,
			"store/v10/index/d9/" + long[:62] + "-evil@2.0.0.json":                                       `{"name":"harmless","version":"1.0.0","files":{}}`,
			"store/v10/index/da/" + long[:62] + "-https+++codeload.github.com+o+r+tar.gz+0123.json":      `{"name":"git","version":"1.0.0","files":{}}`,
			"store/v10/index/db/" + long[:62] + "-local@file+x.tgz.json":                                 `{"name":"local","version":"1.0.0","files":{}}`,
			"store/v10/index/dc/" + long[:62] + "-nameless@1.0.0.json":                                   `{"files":{}}`,
			"store/v10/index/dd/short-x@1.0.0.json":                                                      `{"name":"no","version":"1.0.0"}`,
			"store/v10/projects/0123456789abcdef0123456789abcdef/package.json":                           `{"name":"no","version":"1.0.0"}`,
			"store/v10/files/d7/" + long[:62] + "-@corp+tool@1.0.0.json":                                 `{"name":"no","version":"1.0.0"}`,
			"cache/pnpm/metadata-v1.3/registry.npmjs.org/is-odd.json":                                    `{"name":"no","versions":{}}`,
			"store/v10/https+++registry.example+x.tgz/integrity.json":                                    `{"name":"x","version":"1.0.0","files":{}}`,
			"store/v10/index/de/" + long[:62] + "-is-odd@1.0.0.json/index.json":                          `{}`,
			"store/v10/index/df/" + long[:62] + "-big@1.0.0.json":                                        `{"name":"big","version":"1.0.0","files":{"x":1}}`,
			"store/v10/index/e0/" + long[:62] + "-odd@1.0.0.json":                                        `[]`,
			"store/v10/index/e1/" + long[:62] + "-http+127.0.0.1+tarball-without-a-version-or-name.json": `{"name":"f","version":"1.0.0","files":{}}`,
		}, []string{
			"store/v10/https+++registry.example+x.tgz/integrity.json x@1.0.0",
			"store/v10/index/d7/" + long[:62] + "-@corp+tool@1.0.0.json @corp/tool@1.0.0 registry",
			"store/v10/index/d8/" + long[:38] + "-b@1.0.0.json b@1.0.0+build registry sha1:d80123",
			"store/v10/index/d9/" + long[:62] + "-evil@2.0.0.json harmless@1.0.0 registry",
			`info store/v10/index/d9/` + long[:62] + `-evil@2.0.0.json: calls itself "harmless@1.0.0" where the cache has "evil@2.0.0": both were looked up`,
			"store/v10/index/d9/" + long[:62] + "-evil@2.0.0.json evil@2.0.0 registry",
			"store/v10/index/da/" + long[:62] + "-https+++codeload.github.com+o+r+tar.gz+0123.json git@1.0.0",
			"store/v10/index/db/" + long[:62] + "-local@file+x.tgz.json local@1.0.0",
			"store/v10/index/dc/" + long[:62] + "-nameless@1.0.0.json nameless@1.0.0 registry",
			"store/v10/index/df/" + long[:62] + "-big@1.0.0.json big@1.0.0 registry",
			"unread store/v10/index/df/" + long[:62] + "-big@1.0.0.json: /files/x is not what it should be",
			"store/v10/index/e0/" + long[:62] + "-odd@1.0.0.json odd@1.0.0 registry",
			"unread store/v10/index/e0/" + long[:62] + "-odd@1.0.0.json: the file is not what it should be",
			"store/v10/index/e1/" + long[:62] + "-http+127.0.0.1+tarball-without-a-version-or-name.json f@1.0.0",
		}},
		{"a store of a later version is one note", map[string]string{
			"store/v12/files/00/x": "?", "store/v12/index/00/x": "?", "store/v12/index/01/y": "?",
			".pnpm-store/v100/a/b/c": "?", "elsewhere/v12/files/00/x": "?",
		}, []string{
			`unread .pnpm-store/v100/a/b/c: pnpm's store has the version "v100", which is not known: nothing in it was read`,
			`unread store/v12/files/00/x: pnpm's store has the version "v12", which is not known: nothing in it was read`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			compare(t, nodeLines(t, clienttest.Tree(t, tt.files), inventory.Options{}), tt.want)
		})
	}
}

func TestPNPMDatabase(t *testing.T) {
	root := clienttest.Tree(t, map[string]string{
		"store/v11/files/00/x": "", "foreign/v11/index.db": "not SQLite, and nobody's store", "broken/v11/files/00/x": "",
		"broken/v11/index.db": "not SQLite", "empty/v11/files/00/x": "",
	})
	open := func(dir string) *sql.DB {
		db, err := sql.Open("sqlite", filepath.Join(root, dir, "v11", "index.db"))
		if err != nil {
			t.Fatal(err)
		}
		db.SetMaxOpenConns(1)
		return db
	}
	run := func(db *sql.DB, query string, args ...any) {
		t.Helper()
		if _, err := db.Exec(query, args...); err != nil {
			t.Fatal(err)
		}
	}
	integrity, _ := sri("x")
	db := open("store")
	run(db, "PRAGMA journal_mode = WAL")
	run(db, "CREATE TABLE package_index (key TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID")
	run(db, "CREATE TABLE package_index_alias (key TEXT PRIMARY KEY, target TEXT NOT NULL) WITHOUT ROWID")
	for _, key := range []string{
		integrity + "\t@corp/tool@1.0.0",
		integrity + "\tplanted@https://registry.npmjs.org/evil/-/evil-2.0.0.tgz",
		"from-git@https://codeload.github.com/o/r/tar.gz/0123\tnot-built",
		"https://codeload.github.com/o/r/tar.gz/4567\tbuilt",
		"no tab", integrity + "\t" + strings.Repeat("x", 9<<10),
	} {
		run(db, "INSERT INTO package_index VALUES (?, x'00')", key)
	}
	run(db, "INSERT INTO package_index_alias VALUES (?, 'x'), (?, 'x')", integrity+"\talso@1.0.0", integrity+"\t@corp/tool@1.0.0")
	other := open("empty")
	run(other, "CREATE VIEW package_index AS SELECT 'a' AS key")
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}

	// The database is open: what is in its log alone counts, and nothing is written beside it.
	files := func() string {
		var all []string
		dir := filepath.Join(root, "store", "v11")
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() {
				continue
			}
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprintf("%s %x", e.Name(), sha1.Sum(b)))
		}
		return strings.Join(all, " ")
	}
	before := files()
	if !strings.Contains(before, "index.db-wal") {
		t.Fatal("the test's database has no log")
	}
	got := counted(t, root, inventory.Options{})
	if after := files(); after != before {
		t.Errorf("before\n\t%s\nafter\n\t%s", before, after)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	digest := " sha512:" + hex.EncodeToString(decode(t, integrity))[:6]
	compare(t, got, []string{
		"unread broken/v11/index.db: file is not a database (26)",
		"unread empty/v11/index.db: has no table package_index: not an index of pnpm's store that is known",
		"store/v11/index.db from-git@ git github.com",
		"store/v11/index.db @corp/tool@1.0.0 registry" + digest,
		"store/v11/index.db evil@2.0.0 registry registry.npmjs.org" + digest,
		`info store/v11/index.db: calls itself "evil@2.0.0" where the cache has "planted@2.0.0": both were looked up`,
		"store/v11/index.db planted@2.0.0 registry registry.npmjs.org" + digest,
		"store/v11/index.db also@1.0.0 registry" + digest,
		"unmatchable store/v11/index.db: packages from git or other places, of which the store does not say the name (1)",
		"unread store/v11/index.db: keys that are not of the known form (2)",
	})
}

// The cache of Yarn 1 as version 1.22.22 writes it.
func TestYarnClassicCache(t *testing.T) {
	integrity, at := sri("x")
	digest := " sha512:" + strings.ReplaceAll(strings.TrimPrefix(at, "_cacache/content-v2/sha512/"), "/", "")[:6]
	hash := strings.Repeat("0123456789", 4)
	dir := func(cache, name string) string {
		return cache + "/npm-" + strings.ReplaceAll(name, "/", "-") + "-1.0.0-" + hash + "-integrity/node_modules/" + name + "/"
	}
	compare(t, nodeLines(t, clienttest.Tree(t, map[string]string{
		dir("v6", "@corp/tool") + "package.json":        `{"name": "@corp/tool", "version": "1.0.0"}`,
		dir("v6", "@corp/tool") + ".yarn-metadata.json": `{"manifest": {"name": "@corp/tool"}, "remote": {"type": "tarball", "reference": "https://npm.corp.example/@corp/tool/-/tool-1.0.0.tgz", "hash": "` + hash + `", "integrity": "` + integrity + `", "cacheIntegrity": "` + integrity + `"}}`,
		dir("v6", "@corp/tool") + "lib/package.json":    `{"type": "module"}`,
		dir("v6", "alias") + "package.json":             `{"name": "other", "version": "1.0.0"}`,
		dir("v6", "alias") + ".yarn-metadata.json":      `{"remote": {"type": "tarball", "reference": "https://registry.yarnpkg.com/other/-/other-1.0.0.tgz", "hash": "` + hash + `"}}`,
		dir("v6", "evil") + "package.json":              `{"name": "harmless", "version": "1.0.0"}`,
		dir("v6", "evil") + ".yarn-metadata.json":       `{"remote": {"type": "tarball", "reference": "https://registry.yarnpkg.com/evil/-/evil-1.0.0.tgz"}}`,
		dir("v6", "git") + "package.json":               `{"name": "git", "version": "1.0.0"}`,
		dir("v6", "git") + ".yarn-metadata.json":        `{"remote": {"type": "git", "reference": "https://github.com/o/r.git", "hash": "` + hash + `"}}`,
		dir("v6", "lone") + "package.json":              `{"name": "lone", "version": "1.0.0"}`,
		dir("v6", "torn") + "package.json":              `{"name": `,
		dir("v6", "torn") + ".yarn-metadata.json":       `{`,
		"v1/npm-early-1.0.0-" + hash + "/package.json":  `{"name": "early", "version": "1.0.0"}`,
		"packages/npm-thing/package.json":               `{"name": "no", "version": "1.0.0"}`,
	}), inventory.Options{}), []string{
		"v1/npm-early-1.0.0-" + hash + "/package.json early@1.0.0",
		dir("v6", "@corp/tool") + "package.json @corp/tool@1.0.0 registry npm.corp.example" + digest,
		dir("v6", "alias") + "package.json other@1.0.0 registry registry.yarnpkg.com sha1:012345",
		dir("v6", "evil") + "package.json harmless@1.0.0 registry registry.yarnpkg.com",
		"info " + dir("v6", "evil") + `package.json: calls itself "harmless@1.0.0" where the cache has "evil@1.0.0": both were looked up`,
		dir("v6", "evil") + "package.json evil@1.0.0 registry registry.yarnpkg.com",
		dir("v6", "git") + "package.json git@1.0.0 git github.com",
		dir("v6", "lone") + "package.json lone@1.0.0",
		"info " + dir("v6", "torn") + "package.json: where it came from is not known: .yarn-metadata.json beside it could not be read",
		dir("v6", "torn") + "package.json torn@",
		"unread " + dir("v6", "torn") + "package.json: unexpected EOF",
	})
}

// Archives of Yarn 4.18.1 and its forerunners.
func TestYarnZips(t *testing.T) {
	pkg := func(name, says string) string {
		return string(clienttest.Zip(t, "node_modules/", "", "node_modules/"+name+"/package.json", says, "node_modules/"+name+"/lib/package.json", `{"type": "module"}`))
	}
	var many []string
	for i := range 300 { // names are in the directory too
		many = append(many, fmt.Sprintf("node_modules/a/%060000d", i), "")
	}
	compare(t, nodeLines(t, clienttest.Tree(t, map[string]string{
		"berry/cache/@corp-tool-npm-1.0.0-797e0d3567-10c0.zip":    pkg("@corp/tool", `{"name": "@corp/tool", "version": "1.0.0"}`),
		".yarn/cache/a-npm-b-npm-1.0.0-rc.1-797e0d3567-8.zip":     pkg("a-npm-b", `{"name": "a-npm-b", "version": "1.0.0-rc.1"}`),
		"anywhere/planted-npm-1.0.0-6719c16e3a-50da05a39b.zip":    pkg("planted", `{"name": "planted", "version": "1.0.0"}`),
		".yarn/cache/evil-npm-2.0.0-6719c16e3a-50da05a39b.zip":    pkg("evil", `{"name": "harmless", "version": "1.0.0"}`),
		".yarn/cache/confused-npm-6.6.6-6719c16e3a-a.zip":         pkg("confused", `{"name": "confused", "version": "1.0.0"}`),
		".yarn/cache/typescript-patch-6719c16e3a-50da05a39b.zip":  pkg("typescript", `{"name": "typescript", "version": "5.0.0"}`),
		".yarn/cache/other.zip":                                   pkg("other", `{"name": "other", "version": "1.0.0"}`),
		".yarn/cache/torn-npm-1.0.0-6719c16e3a-50da05a39b.zip":    pkg("torn", `{`),
		".yarn/cache/vendor-npm-1.0.0-6719c16e3a-50da05a39b.zip":  string(clienttest.Zip(t, "vendor/package.json", `{"name": "vendor"}`)),
		".yarn/cache/nozip-npm-1.0.0-6719c16e3a-50da05a39b.zip":   "no zip",
		".yarn/cache/toolong-npm-1.0.0-6719c16e3a-50da05a39b.zip": string(clienttest.Zip(t, many...)),
		"downloads/report.zip":                                    pkg("no", `{"name": "no", "version": "1.0.0"}`),
		"downloads/report-6719c16e3a-50da05a39b.zip":              pkg("no", `{"name": "no", "version": "1.0.0"}`),
	}), inventory.Options{}), []string{
		".yarn/cache/a-npm-b-npm-1.0.0-rc.1-797e0d3567-8.zip a-npm-b@1.0.0-rc.1 registry",
		".yarn/cache/confused-npm-6.6.6-6719c16e3a-a.zip confused@1.0.0 registry",
		`info .yarn/cache/confused-npm-6.6.6-6719c16e3a-a.zip: calls itself "confused@1.0.0" where the cache has "confused@6.6.6": both were looked up`,
		".yarn/cache/confused-npm-6.6.6-6719c16e3a-a.zip confused@6.6.6 registry",
		".yarn/cache/evil-npm-2.0.0-6719c16e3a-50da05a39b.zip harmless@1.0.0 registry",
		`info .yarn/cache/evil-npm-2.0.0-6719c16e3a-50da05a39b.zip: calls itself "harmless@1.0.0" where the cache has "evil@2.0.0": both were looked up`,
		".yarn/cache/evil-npm-2.0.0-6719c16e3a-50da05a39b.zip evil@2.0.0 registry",
		"unread .yarn/cache/nozip-npm-1.0.0-6719c16e3a-50da05a39b.zip: not a valid zip file",
		".yarn/cache/other.zip other@1.0.0",
		"unread .yarn/cache/toolong-npm-1.0.0-6719c16e3a-50da05a39b.zip: a zip with too many files to list",
		".yarn/cache/torn-npm-1.0.0-6719c16e3a-50da05a39b.zip torn@1.0.0 registry",
		"unread .yarn/cache/torn-npm-1.0.0-6719c16e3a-50da05a39b.zip: unexpected EOF",
		".yarn/cache/typescript-patch-6719c16e3a-50da05a39b.zip typescript@5.0.0",
		"unread .yarn/cache/vendor-npm-1.0.0-6719c16e3a-50da05a39b.zip: no package.json below node_modules in it: not an archive of Yarn's that is known",
		"anywhere/planted-npm-1.0.0-6719c16e3a-50da05a39b.zip planted@1.0.0 registry",
		"berry/cache/@corp-tool-npm-1.0.0-797e0d3567-10c0.zip @corp/tool@1.0.0 registry",
	})
}

// Names of directories from bun 1.4.5, and from its source where a case is hard to get.
func TestBunCache(t *testing.T) {
	says := func(name, version string) string { return fmt.Sprintf(`{"name": %q, "version": %q}`, name, version) }
	compare(t, nodeLines(t, clienttest.Tree(t, map[string]string{
		"cache/@corp/tool@1.0.0@@127.0.0.1__378b51c3bbd4e0db@@@1/package.json":        says("@corp/tool", "1.0.0"),
		"cache/planted@1.0.0@@@1/package.json":                                        says("planted", "1.0.0"),
		"cache/planted@1.0.0@@@1/lib/package.json":                                    `{"type": "module"}`,
		"cache/planted@1.0.0@@@1/node_modules/bundled/package.json":                   says("bundled", "1.0.0"),
		"cache/pre@1.0.0-23bd1ad1b5c8f4de@@@1/package.json":                           says("pre", "1.0.0-rc.1"),
		"cache/own@1.0.0@@npm.corp.example@@@1/package.json":                          says("own", "1.0.0"),
		"cache/long@1.0.0@@registry.npm__378b51c3bbd4e0db@@@1/package.json":           says("long", "1.0.0"),
		"cache/patched@1.0.0@@@1_patch_hash=378b51c3bbd4e0db/package.json":            says("patched", "1.0.0"),
		"cache/evil@2.0.0@@@1/package.json":                                           says("harmless", "1.0.0"),
		"cache/torn@1.0.0@@@1/package.json":                                           `{`,
		"cache/@T@378b51c3bbd4e0db@@@1/package.json":                                  says("archive", "1.0.0"),
		"cache/@GH@owner-repo-0123456@@@1/package.json":                               says("hub", "1.0.0"),
		"cache/@G@0123456789012345678901234567890123456789/package.json":              says("git", "1.0.0"),
		"cache/later@1.0.0@@@2/package.json":                                          says("later", "1.0.0"),
		"cache/planted/1.0.0@@@1/package.json":                                        says("planted", "1.0.0"),
		"cache/013921ecdb2db130-ac4c0a3c1723f214.npm":                                 says("no", "1.0.0"),
		"project/node_modules/.cache/inside@1.0.0@@@1/package.json":                   says("inside", "1.0.0"),
		"project/node_modules/.bun/isolated@1.0.0/node_modules/isolated/package.json": says("isolated", "1.0.0"),
	}), inventory.Options{}), []string{
		"cache/@G@0123456789012345678901234567890123456789/package.json git@1.0.0 git",
		"cache/@GH@owner-repo-0123456@@@1/package.json hub@1.0.0 git",
		"cache/@T@378b51c3bbd4e0db@@@1/package.json archive@1.0.0",
		"cache/@corp/tool@1.0.0@@127.0.0.1__378b51c3bbd4e0db@@@1/package.json @corp/tool@1.0.0 registry 127.0.0.1",
		"cache/evil@2.0.0@@@1/package.json harmless@1.0.0 registry registry.npmjs.org",
		`info cache/evil@2.0.0@@@1/package.json: calls itself "harmless@1.0.0" where the cache has "evil@2.0.0": both were looked up`,
		"cache/evil@2.0.0@@@1/package.json evil@2.0.0 registry registry.npmjs.org",
		"cache/later@1.0.0@@@2/package.json later@1.0.0",
		"cache/long@1.0.0@@registry.npm__378b51c3bbd4e0db@@@1/package.json long@1.0.0 registry",
		"cache/own@1.0.0@@npm.corp.example@@@1/package.json own@1.0.0 registry npm.corp.example",
		"cache/patched@1.0.0@@@1_patch_hash=378b51c3bbd4e0db/package.json patched@1.0.0 registry registry.npmjs.org",
		"cache/planted/1.0.0@@@1/package.json planted@1.0.0 registry registry.npmjs.org",
		"cache/planted@1.0.0@@@1/package.json planted@1.0.0 registry registry.npmjs.org",
		"cache/planted@1.0.0@@@1/node_modules/bundled/package.json bundled@1.0.0",
		"cache/pre@1.0.0-23bd1ad1b5c8f4de@@@1/package.json pre@1.0.0-rc.1 registry registry.npmjs.org",
		"cache/torn@1.0.0@@@1/package.json torn@1.0.0 registry registry.npmjs.org",
		"unread cache/torn@1.0.0@@@1/package.json: unexpected EOF",
		"project/node_modules/.bun/isolated@1.0.0/node_modules/isolated/package.json isolated@1.0.0",
		"project/node_modules/.cache/inside@1.0.0@@@1/package.json inside@1.0.0 registry registry.npmjs.org",
	})
}

// Where version managers and npm's own helpers install programs. .corepack is written by Corepack 0.34.7,
// sources/corepackUtils.ts; Volta's layout is that of github.com/volta-cli/volta, crates/volta-layout/src/v4.rs.
func TestNodePrefixes(t *testing.T) {
	says := func(name string) string { return fmt.Sprintf(`{"name": %q, "version": "1.0.0"}`, name) }
	hash := strings.Repeat("0123456789abcdef", 8)
	compare(t, nodeLines(t, clienttest.Tree(t, map[string]string{
		".nvm/versions/node/v20.0.0/lib/node_modules/a/package.json":                          says("a"),
		".local/share/fnm/node-versions/v20.0.0/installation/lib/node_modules/b/package.json": says("b"),
		".volta/tools/image/packages/@s/c/lib/node_modules/@s/c/package.json":                 says("@s/c"),
		".volta/tools/image/packages/@s/c/lib/node_modules/@s/c/node_modules/d/package.json":  says("d"),
		".volta/tools/image/node/20.0.0/lib/node_modules/npm/package.json":                    says("npm"),
		".asdf/installs/nodejs/20.0.0/lib/node_modules/e/package.json":                        says("e"),
		".npm/_npx/0123456789abcdef/node_modules/f/package.json":                              says("f"),
		".cache/node/corepack/v1/pnpm/9.0.0/package.json":                                     says("pnpm"),
		".cache/node/corepack/v1/pnpm/9.0.0/.corepack":                                        `{"locator":{"name":"pnpm","reference":"9.0.0"},"bin":{},"hash":"sha512.` + hash + `"}`,
		".cache/node/corepack/v1/yarn/4.0.0/.corepack":                                        `{"locator":{"name":"yarn","reference":"4.0.0"},"bin":["yarn"],"hash":"sha224.00"}`,
		".cache/node/corepack/v1/yarn/1.22.22/.corepack":                                      `{"locator":{"name":"yarn","reference":"1.22.22+sha1.aa"}}`,
		".cache/node/corepack/v1/odd/0.0.0/.corepack":                                         `{`,
		".cache/node/corepack/lastKnownGood.json":                                             `{"pnpm": "9.0.0"}`,
		".node/corepack/pnpm/7.0.0/package.json":                                              `{"name": "pnpm", "version": "7.0.0"}`,
		"corepack/tests/fixtures/package.json":                                                says("no"),
	}), inventory.Options{}), []string{
		".asdf/installs/nodejs/20.0.0/lib/node_modules/e/package.json e@1.0.0",
		"unread .cache/node/corepack/v1/odd/0.0.0/.corepack: unexpected EOF",
		".cache/node/corepack/v1/pnpm/9.0.0/.corepack pnpm@9.0.0 sha512:012345",
		".cache/node/corepack/v1/yarn/1.22.22/.corepack yarn@1.22.22",
		".cache/node/corepack/v1/yarn/4.0.0/.corepack @yarnpkg/cli-dist@4.0.0",
		".local/share/fnm/node-versions/v20.0.0/installation/lib/node_modules/b/package.json b@1.0.0",
		".node/corepack/pnpm/7.0.0/package.json pnpm@7.0.0",
		".npm/_npx/0123456789abcdef/node_modules/f/package.json f@1.0.0",
		".nvm/versions/node/v20.0.0/lib/node_modules/a/package.json a@1.0.0",
		".volta/tools/image/node/20.0.0/lib/node_modules/npm/package.json npm@1.0.0",
		".volta/tools/image/packages/@s/c/lib/node_modules/@s/c/package.json @s/c@1.0.0",
		".volta/tools/image/packages/@s/c/lib/node_modules/@s/c/node_modules/d/package.json d@1.0.0",
	})
}
