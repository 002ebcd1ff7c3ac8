package cache_test

import (
	"database/sql"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/cache"
)

// fuzz fuzzes the kind that reads the file at a path; see [clienttest.FuzzKind].
func fuzz(f *testing.F, at, beside string, seeds ...[2]string) {
	clienttest.FuzzKind(f, cache.Kinds(), at, beside, false, seeds...)
}

func FuzzNPMBucket(f *testing.F) {
	integrity, at := sri("x")
	fuzz(f, bucket("0"), at,
		[2]string{request("https://u:SECRET@registry.npmjs.org/@s%2fone/-/one-1.0.0.tgz?SECRET", `"`+integrity+`"`, ""), "x"},
		[2]string{request("https://codeload.github.com/o/r/tar.gz/0", `"`+integrity+`"`, `"resHeaders":{"content-type":["x"]}`) + line(`{"key":"pacote:tarball:file:x"}`), "\x1f\x8b"})
}

func FuzzDenoPackage(f *testing.F) {
	fuzz(f, "h/.deno/npm/registry.npmjs.org/a/1.0.0/package.json", "h/.deno/npm/registry.npmjs.org/a/registry.json",
		[2]string{`{"name": "b", "version": "1.0.0"}`, `{"versions": {"1.0.0": {"dist": {"integrity": "sha1-aSbRsZT7xze47tUTdW3i/Np+pAg="}}}}`},
		[2]string{`{"name": 1}`, `{"versions": {"1.0.0": {"dist": {"shasum": "` + strings.Repeat("0", 40) + `"}}, "1.0.0": 1}}`})
}

// FuzzDenoDirectory fuzzes what the directory of a package in Deno's cache says.
func FuzzDenoDirectory(f *testing.F) {
	for _, seed := range []string{"/h/.deno/npm/h_1/a/b/@s/n/1.0.0_1", "/npm/registry.npmjs.org/_jjju6tq/1.0.0", "/deno-dir/npm/1/@//1..0", "/deno/npm/1.0.0", "1.0.0"} {
		f.Add(seed)
	}
	kinds := cache.Kinds()
	deno := &kinds[slices.IndexFunc(kinds, func(k inventory.Kind) bool { return k.Name == "deno-cache" })]
	f.Fuzz(func(t *testing.T, dir string) {
		if !deno.Dir(dir) {
			return
		}
		at := dir + "/package.json"
		in := &inventory.File{Path: at, Rel: "package.json", R: strings.NewReader(`{}`)}
		err := deno.Read(t.Context(), in, &inventory.Sink{File: in, Kind: deno.Name, Yield: func(s rapsheet.Sighting, err error) bool {
			if err == nil && (s.Package.Name == "" || s.Evidence.Origin != rapsheet.OriginRegistry || strings.ContainsAny(s.Evidence.Host, "/@")) {
				t.Errorf("%q: %+.200v", dir, s)
			}
			return true
		}})
		if err != nil {
			t.Errorf("%q: %v", dir, err)
		}
	})
}

// FuzzNPMEntry is FuzzNPMBucket behind the checksum of a line.
func FuzzNPMEntry(f *testing.F) {
	integrity, at := sri("x")
	f.Add(`{"key":"make-fetch-happen:request-cache:https://u:SECRET@h/one/-/one-1.0.0.tgz","integrity":"`+integrity+`"}`, "")
	f.Add(`{"key":"pacote:tarball:git+ssh://u:SECRET@h/o/r.git","integrity":"`+integrity+`","metadata":{"reqHeaders":{"accept":1}}}`, `{}`)
	kind := cache.Kinds()[0]
	f.Fuzz(func(t *testing.T, one, two string) {
		content := line(one) + line(two)
		in := &inventory.File{Path: bucket("0"), Rel: bucket("0"), R: strings.NewReader(content), FS: fstest.MapFS{at: {Data: []byte("x")}}}
		_ = kind.Read(t.Context(), in, &inventory.Sink{File: in, Yield: func(s rapsheet.Sighting, err error) bool {
			if strings.Contains(s.Evidence.URL, "SECRET") {
				t.Errorf("evidence with credentials: %q", s.Evidence.URL)
			}
			if err == nil && s.Package.Name == "" {
				t.Errorf("seen: %+.200v", s)
			}
			return true
		}})
	})
}

func FuzzPNPMIndex(f *testing.F) {
	integrity, at := sri("{}")
	at = strings.Replace(strings.TrimPrefix(at, "_cacache/content-v2/sha512/"), "/", "", 2)
	fuzz(f, "v3/files/00/"+strings.Repeat("0", 126)+"-index.json", "v3/files/"+at[:2]+"/"+at[2:],
		[2]string{`{"name": "a", "version": "1.0.0"}`, ""}, [2]string{`{"files": {"package.json": {"integrity": "` + integrity + `"}}}`, `{"name": "a"}`})
}

func FuzzPNPMDatabase(f *testing.F) {
	at := filepath.Join(f.TempDir(), "index.db")
	db, err := sql.Open("sqlite", at)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE package_index (key TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID; INSERT INTO package_index VALUES ('sha512-x' || char(9) || 'a@1.0.0', x'00'), ('a@https://u:SECRET@h/a/-/a-1.tgz' || char(9) || 'built', x'00')"); err != nil {
		f.Fatal(err)
	}
	if err := db.Close(); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(at)
	if err != nil {
		f.Fatal(err)
	}
	fuzz(f, "store/v11/index.db", "store/v11/files/00/x", [2]string{string(b), ""})
}

func FuzzYarnClassic(f *testing.F) {
	dir := "v6/npm-a-1.0.0-0-integrity/node_modules/a/"
	fuzz(f, dir+"package.json", dir+".yarn-metadata.json",
		[2]string{`{"name": "a", "version": "1.0.0"}`, `{"remote": {"type": "tarball", "reference": "https://u:SECRET@h/b/-/b-1.tgz#0", "hash": "0", "integrity": "x", "cacheIntegrity": ""}}`})
}

func FuzzYarnZip(f *testing.F) {
	fuzz(f, ".yarn/cache/a-npm-1.0.0-0123456789-10c0.zip", "x",
		[2]string{"PK\x05\x06" + strings.Repeat("\x00", 18), ""})
}

func FuzzBunPackage(f *testing.F) {
	fuzz(f, "cache/@s/a@1.0.0@@h__0@@@1/package.json", "x", [2]string{`{"name": "a", "version": "1.0.0"}`, ""})
}

func FuzzCorepack(f *testing.F) {
	fuzz(f, "corepack/v1/a/1.0.0/.corepack", "x", [2]string{`{"locator": {"name": "yarn", "reference": "4.0.0+sha1.0"}, "hash": "sha1.0"}`, ""},
		[2]string{`{"locator": {"name": "yarn", "reference": "https://u:SECRET@h/x"}}`, ""})
}

// FuzzNodeKinds asks the kinds about any path, and reads what they match: paths are data.
func FuzzNodeKinds(f *testing.F) {
	for _, at := range []string{
		"_cacache/index-v5/00/00/" + strings.Repeat("0", 60), "_cacache/index-v6/0/0/x", "v3/files/00/" + strings.Repeat("0", 126) + "-index.json",
		"v10/index/00/" + strings.Repeat("0", 62) + "-@s+a@1.0.0.json", "v11/index.db", "store/v12/a/b/c", "v6/npm-a/node_modules/@s/a/package.json",
		"@s/a@1.0.0@@h__0@@@1/package.json", "@GH@@@@1/package.json", "corepack/v1/a/1/.corepack", ".yarn/cache/-npm-.zip",
	} {
		f.Add(at, `{"name": "a", "version": "1.0.0"}`)
	}
	kinds := cache.Kinds()
	f.Fuzz(func(t *testing.T, at, content string) {
		dir, base := path.Split("/" + at)
		for _, k := range kinds {
			if k.Dir != nil && !k.Dir(path.Clean(dir)) || !k.Match(base, "/"+at) {
				continue
			}
			in := &inventory.File{Path: at, Rel: at, Size: int64(len(content)), R: strings.NewReader(content)}
			_ = k.Read(t.Context(), in, &inventory.Sink{File: in, Yield: func(s rapsheet.Sighting, err error) bool {
				if err == nil && (s.Package.Name == "" || len(s.Package.Name) > ecosystem.MaxIdentifier) {
					t.Errorf("seen: %+.200v", s)
				}
				return true
			}})
		}
	})
}
