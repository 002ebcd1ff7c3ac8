package ecosystem

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"
	"github.com/package-url/packageurl-go"
	"github.com/rapsheet/rapsheet"
)

func TestParsePURL(t *testing.T) {
	for _, test := range []struct {
		purl                     string
		ecosystem, name, version string
	}{
		// Scopes of npm: the specification's spelling, and the ones tools write.
		{"pkg:npm/%40scope/name@1.0.0", "npm", "@scope/name", "1.0.0"},
		{"pkg:npm/@scope/name@1.0.0", "npm", "@scope/name", "1.0.0"},
		{"pkg:npm/@scope/name", "npm", "@scope/name", ""},
		{"pkg:npm/%40scope%2Fname@1.0.0", "npm", "@scope/name", "1.0.0"}, // C64
		{"pkg:npm/%40scope%2fname", "npm", "@scope/name", ""},
		{"pkg:npm/@scope%2Fname@1.0.0", "npm", "@scope/name", "1.0.0"},
		{"pkg:npm/JSONStream@1.3.5", "npm", "JSONStream", "1.3.5"},
		{"pkg:npm/foo", "npm", "foo", ""},
		{"pkg:npm/foo@", "npm", "foo", ""},
		// C64: trailing ? and #, upper case, slashes, double encoding.
		{"pkg:npm/foo@1.0.0?", "npm", "foo", "1.0.0"},
		{"pkg:npm/foo@1.0.0#", "npm", "foo", "1.0.0"},
		{"pkg:npm/foo@1.0.0?#", "npm", "foo", "1.0.0"},
		{"pkg:npm/foo@1.0.0?a=b#lib/x", "npm", "foo", "1.0.0"},
		{"PKG:NPM/foo@1", "npm", "foo", "1"},
		{"pkg:PyPI/Foo_Bar@1", "PyPI", "Foo_Bar", "1"},
		{"pkg://npm/foo@1", "npm", "foo", "1"},
		{"pkg:/npm/foo@1", "npm", "foo", "1"},
		{"pkg:npm//foo@1", "npm", "foo", "1"},
		{"pkg:npm/foo/@1", "npm", "foo", "1"},
		{"pkg:npm/%2540scope/name@1", "npm", "%40scope/name", "1"},
		// Percent-encoding of versions: + is itself in a path.
		{"pkg:pypi/torch@2.0.0%2Bcu118", "PyPI", "torch", "2.0.0+cu118"},
		{"pkg:pypi/torch@2.0.0+cu118", "PyPI", "torch", "2.0.0+cu118"},
		{"pkg:npm/foo@file:..%2Ffoo", "npm", "foo", "file:../foo"},
		{"pkg:composer/a/b@dev-feature/x", "Packagist", "a/b", "dev-feature/x"},
		// https://github.com/package-url/purl-spec, examples of the types.
		{"pkg:gem/ruby-advisory-db-check@0.12.4", "RubyGems", "ruby-advisory-db-check", "0.12.4"},
		{"pkg:gem/jruby-launcher@1.1.2?platform=java", "RubyGems", "jruby-launcher", "1.1.2"},
		{"pkg:golang/google.golang.org/genproto@abcdedf#/googleapis/api/annotations/", "Go", "google.golang.org/genproto", "abcdedf"},
		{"pkg:golang/github.com/BurntSushi/toml@v1.6.0", "Go", "github.com/BurntSushi/toml", "v1.6.0"},
		{"pkg:golang/github.com/foo/bar/v2@v2.0.0", "Go", "github.com/foo/bar/v2", "v2.0.0"},
		{"pkg:golang/gopkg.in/yaml.v3@v3.0.1", "Go", "gopkg.in/yaml.v3", "v3.0.1"},
		{"pkg:maven/org.apache.xmlgraphics/batik-anim@1.9.1?packaging=sources", "Maven", "org.apache.xmlgraphics:batik-anim", "1.9.1"},
		{"pkg:nuget/EnterpriseLibrary.Common@6.0.1304", "NuGet", "EnterpriseLibrary.Common", "6.0.1304"},
		{"pkg:cargo/rand@0.7.2", "crates.io", "rand", "0.7.2"},
		{"pkg:composer/Laravel/laravel@5.5.0", "Packagist", "Laravel/laravel", "5.5.0"},
		{"pkg:hex/jason@1.1.2", "Hex", "jason", "1.1.2"},
		{"pkg:pub/characters@1.2.0", "Pub", "characters", "1.2.0"},
		{"pkg:swift/github.com/Alamofire/Alamofire@5.4.3", "SwiftURL", "github.com/Alamofire/Alamofire", "5.4.3"},
		{"pkg:hackage/a50@0.5", "Hackage", "a50", "0.5"},
		{"pkg:cran/A3@1.0.0", "CRAN", "A3", "1.0.0"},
		{"pkg:vscode-extension/ms-python/python@2024.1.0", "VSCode", "ms-python.python", "2024.1.0"},
		{"pkg:vscode/ms-python/python", "VSCode", "ms-python.python", ""},
		{"pkg:githubactions/tj-actions/changed-files@v35", "GitHub Actions", "tj-actions/changed-files", "v35"},
		{"pkg:github/Actions/checkout@v4", "GitHub Actions", "Actions/checkout", "v4"},
		{"pkg:github/github/codeql-action/init@v3", "GitHub Actions", "github/codeql-action/init", "v3"},
		{"pkg:nuget/2C%D0%B0ptcha.API@1.0.0", "NuGet", "2C\u0430ptcha.API", "1.0.0"},
	} {
		p, _, err := ParsePURL(test.purl)
		want := rapsheet.Package{Ecosystem: test.ecosystem, Name: test.name, Version: test.version, PURL: test.purl}
		if err != nil || p != want {
			t.Errorf("ParsePURL(%q) = %+v, %v, want %+v", test.purl, p, err, want)
		}
	}
}

func TestParsePURLRefuses(t *testing.T) {
	for _, s := range []string{
		"", "pkg:", "pkg:npm", "pkg:npm/", "pkg:npm//", "pkg:npm/@", "npm/foo", "pkg:/foo", "http://npm/foo",
		"pkg:n pm/foo", "pkg:1npm/foo", "pkg:npm/%zz", "pkg:npm/a%", "pkg:npm/a@%f", "pkg:npm/%", "pkg:npm/@1.0.0/",
		"pkg:npm/a%00b", "pkg:npm/a%0Ab", "pkg:npm/a%FFb", "pkg:npm/a@1%00", "pkg:npm/a\x00", "pkg:npm/a\xff",
		"pkg:%6Epm/foo", "pkg:npm?x/foo", "pkg:npm/?name", "pkg:npm/" + strings.Repeat("a", MaxIdentifier),
	} {
		if p, _, err := ParsePURL(s); err == nil || errors.Is(err, ErrUnknownType) {
			t.Errorf("ParsePURL(%q) = %+v, %v", s, p, err)
		}
	}
}

func TestParsePURLUnknownType(t *testing.T) {
	for _, s := range []string{"pkg:deb/debian/curl@7.50.3-1?arch=i386", "pkg:generic/openssl@1.1.10g", "pkg:docker/cassandra"} {
		if p, _, err := ParsePURL(s); !errors.Is(err, ErrUnknownType) || p.Name == "" || p.Ecosystem != "" {
			t.Errorf("ParsePURL(%q) = %+v, %v", s, p, err)
		}
	}
}

func TestParsePURLEvidence(t *testing.T) {
	sum := strings.Repeat("0123456789", 4)
	for _, test := range []struct {
		purl string
		want rapsheet.Evidence
	}{
		{"pkg:npm/a@1", rapsheet.Evidence{}},
		{"pkg:npm/a@1?repository_url=https://npm.corp.example/r", rapsheet.Evidence{
			Origin: rapsheet.OriginRegistry, URL: "https://npm.corp.example/r", Host: "npm.corp.example"}},
		// https://github.com/package-url/purl-spec: pkg:maven/…?repository_url=repo.spring.io%2Frelease
		{"pkg:maven/g/a@1?repository_url=repo.spring.io%2Frelease", rapsheet.Evidence{
			Origin: rapsheet.OriginRegistry, URL: "https://repo.spring.io/release", Host: "repo.spring.io"}},
		{"pkg:maven/g/a@1?repository_url=nexus.example:8443/r", rapsheet.Evidence{
			Origin: rapsheet.OriginRegistry, URL: "https://nexus.example:8443/r", Host: "nexus.example:8443"}},
		{"pkg:npm/a@1?vcs_url=git%2Bssh://git%40github.com/o/r.git%23abcdef1", rapsheet.Evidence{
			Origin: rapsheet.OriginGit, URL: "ssh://github.com/o/r.git", Host: "github.com"}},
		{"pkg:npm/a@1?vcs_url=git%2Bhttps://github.com/o/r.git%400123456789abcdef0123456789abcdef01234567", rapsheet.Evidence{
			Origin: rapsheet.OriginGit, URL: "https://github.com/o/r.git", Host: "github.com"}},
		// The repository that a package names in its metadata, not where it came from.
		{"pkg:npm/a@1?vcs_url=git%2Bhttps://github.com/o/r.git", rapsheet.Evidence{}},
		{"pkg:npm/a@1?vcs_url=git%2Bssh://git%40github.com/o/r.git%23main", rapsheet.Evidence{}},
		{"pkg:npm/a@1?download_url=https://u:p%40host.example/a.zip%3Ftoken=x", rapsheet.Evidence{
			Origin: rapsheet.OriginURL, URL: "https://host.example/a.zip", Host: "host.example"}},
		// A place to download from says more than a repository, which any package may name.
		{"pkg:npm/a@1?vcs_url=git%2Bhttps://github.com/o/r&download_url=https://registry.npmjs.org/a/-/a-1.tgz", rapsheet.Evidence{
			Origin: rapsheet.OriginRegistry, URL: "https://registry.npmjs.org/a/-/a-1.tgz", Host: "registry.npmjs.org"}},
		{"pkg:npm/a@1?Checksum=sha1:" + sum + ",sha256:ab&download_url=%zz", rapsheet.Evidence{
			Digests: []rapsheet.Digest{{Algorithm: "sha1", Hex: sum}}}},
		{"pkg:cargo/a@1?repository_url=https://github.com/rust-lang/crates.io-index", rapsheet.Evidence{
			Origin: rapsheet.OriginRegistry, URL: "https://github.com/rust-lang/crates.io-index", Host: "crates.io"}},
	} {
		_, got, err := ParsePURL(test.purl)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("ParsePURL(%q)\n got %+v, %v\nwant %+v", test.purl, got, err, test.want)
		}
	}
}

func TestPURL(t *testing.T) {
	for _, test := range []struct{ ecosystem, name, version, want string }{
		{"npm", "@scope/name", "1.0.0", "pkg:npm/%40scope/name@1.0.0"},
		{"npm", "JSONStream", "", "pkg:npm/JSONStream"},
		{"npm", "a//b", "", "pkg:npm/a%2F%2Fb"},
		{"npm", "a b?#@%", "1", "pkg:npm/a%20b%3F%23%40%25@1"},
		{"PyPI", "Zope.Interface_x", "2.0.0+cu118", "pkg:pypi/zope.interface-x@2.0.0%2Bcu118"},
		{"Go", "github.com/BurntSushi/toml", "v1.6.0", "pkg:golang/github.com/burntsushi/toml@v1.6.0"},
		{"Maven", "org.apache:commons", "1", "pkg:maven/org.apache/commons@1"},
		{"Packagist", "Laravel/Laravel", "", "pkg:composer/laravel/laravel"},
		{"NuGet", "2C\u0430ptcha.API", "1.0.0", "pkg:nuget/2C%D0%B0ptcha.API@1.0.0"},
		{"RubyGems", "rails", "7.0", "pkg:gem/rails@7.0"},
		{"crates.io", "serde_json", "1", "pkg:cargo/serde_json@1"},
		{"VSCode", "ms-python.python", "1", "pkg:vscode-extension/ms-python/python@1"},
		{"GitHub Actions", "Actions/Checkout/x", "v4", "pkg:githubactions/actions/checkout@v4"},
		{"SwiftURL", "https://github.com/apple/swift-nio.git", "2.0.0", "pkg:swift/github.com/apple/swift-nio@2.0.0"},
		{"Debian", "bash", "", ""},
		{"npm", "", "", ""},
		{"npm", "a\n", "", ""},
	} {
		if got := PURL(rapsheet.Package{Ecosystem: test.ecosystem, Name: test.name, Version: test.version}); got != test.want {
			t.Errorf("PURL(%s, %q, %q) = %q, want %q", test.ecosystem, test.name, test.version, got, test.want)
		}
	}
}

// realData gives a file of the shared data beside the repository, or skips.
func realData(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		t.Skip("no go.mod above the working directory")
	}
	path := filepath.Join(dir, "..", "shared", "data", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("real data is absent: %s", name)
	}
	return path
}

// Every package on record has a key, and its purl leads back to the key.
func TestRoundTripOfRealData(t *testing.T) {
	if testing.Short() {
		t.Skip("29,393 records")
	}
	f, err := os.Open(realData(t, "osv/malicious-packages-2025-03-31.tar.zst"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	keys := map[rapsheet.Key]string{}
	versions, unordered := 0, map[string]int{}
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg || !strings.HasSuffix(h.Name, ".json") {
			continue
		}
		var record struct {
			Affected []struct {
				Package struct {
					Ecosystem string `json:"ecosystem"`
					Name      string `json:"name"`
					PURL      string `json:"purl"`
				} `json:"package"`
				Versions []string `json:"versions"`
			} `json:"affected"`
		}
		if err := json.UnmarshalRead(tr, &record); err != nil {
			t.Fatalf("%s: %v", h.Name, err)
		}
		for _, a := range record.Affected {
			p := rapsheet.Package{Ecosystem: a.Package.Ecosystem, Name: a.Package.Name, Version: "1.0+x"}
			key, ok := KeyOf(p)
			if !ok {
				t.Errorf("%s: no key for %q", h.Name, a.Package.Name)
				continue
			}
			keys[key] = p.Name
			e := find(t, key.Ecosystem)
			if again := e.Canonical(key.Name); again != key.Name {
				t.Errorf("%s: Canonical(%q) = %q", h.Name, key.Name, again)
			}
			for _, s := range []string{PURL(p), a.Package.PURL} {
				if s == "" {
					continue
				}
				back, _, err := ParsePURL(s)
				if err != nil {
					t.Errorf("%s: %v", h.Name, err)
					continue
				}
				if got, ok := KeyOf(back); !ok || got != key {
					t.Errorf("%s: %q gives %v, not %v", h.Name, s, got, key)
				}
			}
			for _, v := range a.Versions {
				versions++
				if !e.ValidVersion(v) {
					unordered[key.Ecosystem+" "+v]++
				}
			}
		}
	}
	if len(keys) < 20000 {
		t.Errorf("only %d keys", len(keys))
	}
	t.Logf("%d keys, %d versions, %d without an order: %v", len(keys), versions, len(unordered), unordered)
}

// The purls of real SBOMs read as packageurl-go reads them, save for the case
// that it takes away and the "_" that it rewrites.
func TestParsePURLOfRealSBOMs(t *testing.T) {
	pattern := regexp.MustCompile(`pkg:[^"<>\s\\]+`)
	seen := 0
	for _, name := range []string{"juice-shop.cdx.json", "protonmail-webclient.cdx.json", "cern-lhc-vdm-editor.cdx.json", "laravel.cdx.xml"} {
		text, err := os.ReadFile(realData(t, "sboms/"+name))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range pattern.FindAllString(string(text), -1) {
			p, _, err := ParsePURL(s)
			u, wantErr := packageurl.FromString(s)
			if err != nil || wantErr != nil {
				if !errors.Is(err, ErrUnknownType) {
					t.Errorf("%s: %q: %v, packageurl-go: %v", name, s, err, wantErr)
				}
				continue
			}
			seen++
			e := find(t, p.Ecosystem)
			want := e.joinName(u.Namespace, u.Name)
			if p.Version != u.Version || e.Canonical(p.Name) != e.Canonical(want) {
				t.Errorf("%s: ParsePURL(%q) = %+v, packageurl-go reads %q", name, s, p, want)
			}
		}
	}
	if seen < 1000 {
		t.Errorf("only %d purls", seen)
	}
}

func FuzzParsePURL(f *testing.F) {
	for _, s := range []string{
		"pkg:npm/%40scope/name@1.0.0", "pkg:npm/@scope/name@1.0.0", "pkg:npm/%2540a@1", "PKG://PyPI/A_b@1%2B2?download_url=https://x/y#z",
		"pkg:maven/g/a@1", "pkg:maven/g%2F%2Fx/a:b", "pkg:golang/github.com/%21a/B/v2@v2.0.0", "pkg:vscode/a.b/c.d", "pkg:github/a/b/c",
		"pkg:swift/github.com/a/b.git", "pkg:swift/https:%2F%2Fx/y", "pkg:nuget/2C%D0%B0ptcha", "pkg:cran/%2F", "pkg:composer/%E2%84%AA/x", "pkg:deb/a",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, _, err := ParsePURL(s)
		if err != nil {
			return
		}
		key, ok := KeyOf(p)
		if !ok {
			if got := PURL(p); got != "" {
				t.Errorf("%q has no key and the purl %q", s, got)
			}
			return
		}
		e, _ := Find(p.Ecosystem)
		if again := e.Canonical(key.Name); again != key.Name {
			t.Errorf("%s: Canonical(%q) = %q", e.Name, key.Name, again)
		}
		canonical := PURL(p)
		if len(canonical) > MaxIdentifier {
			return // encoding made it too long to be read again
		}
		back, _, err := ParsePURL(canonical)
		if err != nil {
			t.Fatalf("%q gives %q: %v", s, canonical, err)
		}
		if back.Version != p.Version {
			t.Errorf("%q: version %q became %q", s, p.Version, back.Version)
		}
		if got, ok := KeyOf(back); !ok || got != key {
			t.Errorf("%q: key %v became %v by way of %q", s, key, got, canonical)
		}
		if again := PURL(back); again != canonical {
			t.Errorf("%q: %q is not a fixed point: %q", s, canonical, again)
		}
	})
}

// Qualifiers are kept as they are, but for what opens doors: purl-spec, "known qualifiers" names three that are addresses.
func TestPURLKeepsNoCredentials(t *testing.T) {
	for in, want := range map[string]string{
		"pkg:npm/a@1?arch=x64&vcs_url=git%2Bhttps://github.com/o/a.git%400123abc": "",
		"pkg:npm/a@1?repository_url=https://npm.example/x#sub/path":               "",
		"pkg:npm/%40s/a@1":                           "",
		"pkg:npm/a@1?vcs_url=git@github.com/o/a.git": "",
		"pkg:npm/a@1?arch=x64&download_url=https://u:secret@npm.example/a.tgz%3Ftoken%3Dsecret&x=y#sub": "pkg:npm/a@1?arch=x64&download_url=https%3A%2F%2Fnpm.example%2Fa.tgz&x=y#sub",
		"pkg:npm/a@1?vcs_url=git%2Bhttps%3A%2F%2Fx%3Asecret%40github.com%2Fo%2Fa.git%400123abc":         "pkg:npm/a@1?vcs_url=git%2Bhttps%3A%2F%2Fgithub.com%2Fo%2Fa.git%400123abc",
		"pkg:npm/a@1?download_url=https://u:sec/ret@npm.example/a.tgz":                                  "pkg:npm/a@1",
		"pkg:npm/a@1?vcs_url=u:secret@npm.example:a.git&x=y":                                            "pkg:npm/a@1?x=y",
		"pkg:npm/a@1?download_url=https://npm.example/?token=secret":                                    "pkg:npm/a@1?download_url=https%3A%2F%2Fnpm.example%2F",
		"pkg:npm/a@1?download_url=%zzsecret&x=y":                                                        "pkg:npm/a@1?x=y",
	} {
		p, _, err := ParsePURL(in)
		if want == "" {
			want = in
		}
		if err != nil || p.PURL != want {
			t.Errorf("%s: %q, %v, want %q", in, p.PURL, err, want)
		}
	}
	for _, in := range []string{"pkg:npm?x=secret", "pkg:npm/%zz?x=secret", "purl:npm/a?x=secret", "pkg:npm/a\x01?x=secret", "pkg:npm/a@%zz?x=secret", "pkg:strange/a?x=secret"} {
		if _, _, err := ParsePURL(in); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", in, err)
		}
	}
}
