package ecosystem

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet"
)

func find(t testing.TB, name string) *Ecosystem {
	t.Helper()
	e, ok := Find(name)
	if !ok {
		t.Fatalf("Find(%q): not found", name)
	}
	return e
}

func TestCanonical(t *testing.T) {
	for _, test := range []struct{ ecosystem, name, want string }{
		// https://docs.npmjs.com/cli/configuring-npm/package-json#name; JSONStream and jsonstream are two packages.
		{"npm", "JSONStream", "JSONStream"},
		{"npm", "@Scope/name", "@Scope/name"},
		{"npm", "lodash.merge", "lodash.merge"},
		// https://packaging.python.org/specifications/name-normalization/ has these seven spellings.
		{"PyPI", "friendly-bard", "friendly-bard"},
		{"PyPI", "Friendly-Bard", "friendly-bard"},
		{"PyPI", "FRIENDLY-BARD", "friendly-bard"},
		{"PyPI", "friendly.bard", "friendly-bard"},
		{"PyPI", "friendly_bard", "friendly-bard"},
		{"PyPI", "friendly--bard", "friendly-bard"},
		{"PyPI", "FrIeNdLy-._.-bArD", "friendly-bard"},
		// re.sub(r"[-_.]+", "-", name) touches the ends too.
		{"PyPI", "_x.", "-x-"},
		{"PyPI", "\u212aeras", "\u212aeras"},
		{"RubyGems", "RedCloth", "RedCloth"},
		// https://learn.microsoft.com/nuget/reference/nuspec#id
		{"NuGet", "Newtonsoft.Json", "newtonsoft.json"},
		// MAL-2024-3992: the first а of Cаptcha is U+0430, its capital U+0410.
		{"NuGet", "2C\u0430ptcha.API", "2c\u0430ptcha.api"},
		{"NuGet", "2C\u0410PTCHA.api", "2c\u0430ptcha.api"},
		{"NuGet", "2Captcha.API", "2captcha.api"},
		// The letters that Unicode lowers into ASCII, or joins with another letter.
		{"NuGet", "\u212a", "\u212a"},
		{"NuGet", "\u0130", "\u0130"},
		{"NuGet", "\u017f", "\u017f"},
		{"NuGet", "\u212b", "\u212b"},
		{"NuGet", "\u00c5", "\u00e5"},
		// https://go.dev/ref/mod#goproxy-protocol
		{"Go", "github.com/BurntSushi/toml", "github.com/burntsushi/toml"},
		{"Go", "github.com/!burnt!sushi/toml", "github.com/burntsushi/toml"},
		{"Go", "github.com/foo/bar/v2", "github.com/foo/bar/v2"},
		{"Go", "gopkg.in/yaml.v3", "gopkg.in/yaml.v3"},
		{"Go", "github.com/\u212aevin/x", "github.com/\u212aevin/x"},
		// canon_crate_name of crates.io: replace(lower(name), '-', '_')
		{"crates.io", "Serde-JSON", "serde_json"},
		{"crates.io", "serde_json", "serde_json"},
		{"Maven", "org.Apache:Commons", "org.Apache:Commons"},
		// https://getcomposer.org/doc/04-schema.md#name
		{"Packagist", "Laravel/Framework", "laravel/framework"},
		{"Packagist", "\u212a/x", "\u212a/x"},
		{"Hex", "Phoenix", "phoenix"},
		{"Pub", "HTTP", "http"},
		{"SwiftURL", "https://github.com/Apple/swift-nio.git", "github.com/apple/swift-nio"},
		{"SwiftURL", "git@github.com:apple/swift-nio.git", "github.com/apple/swift-nio"},
		{"SwiftURL", "ssh://git@github.com/apple/swift-nio/", "github.com/apple/swift-nio"},
		{"SwiftURL", "github.com/apple/swift-nio", "github.com/apple/swift-nio"},
		{"SwiftURL", "https://https://x.git.git", "x"},
		// https://code.visualstudio.com/api/references/extension-manifest
		{"VSCode", "GoLang.Go", "golang.go"},
		{"VSCode", "golang/go", "golang.go"},
		{"GitHub Actions", "Actions/Checkout", "actions/checkout"},
		{"GitHub Actions", "github/codeql-action/init", "github/codeql-action"},
		{"Hackage", "QuickCheck", "QuickCheck"},
		{"CRAN", "ggplot2", "ggplot2"},
		{"CRAN", "Rcpp", "Rcpp"},
	} {
		if got := find(t, test.ecosystem).Canonical(test.name); got != test.want {
			t.Errorf("%s: Canonical(%q) = %q, want %q", test.ecosystem, test.name, got, test.want)
		}
	}
}

// No letter outside ASCII may become one of ASCII, and no two letters may be
// joined unless one is the other's capital.
func TestFoldKeepsLookAlikesApart(t *testing.T) {
	from := map[rune]rune{}
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		l := foldRune(r)
		if l < 0x80 {
			t.Errorf("%U becomes ASCII %q", r, l)
		}
		if foldRune(l) != l {
			t.Errorf("%U: folding is not idempotent", r)
		}
		if l != r {
			if other, ok := from[l]; ok {
				t.Errorf("%U and %U both become %U", r, other, l)
			}
			from[l] = r
		}
		if unicode.SimpleFold(r) == r && unicode.ToLower(r) == r {
			continue // no letter with case
		}
		for _, e := range All() {
			if s := e.Canonical("a" + string(r)); len(s) < 2 || s[1] < 0x80 {
				t.Fatalf("%s: %U becomes %q", e.Name, r, s)
			}
		}
	}
}

// Locations are what git takes (git-scm.com/docs/git-clone, "Git URLs").
func TestSwiftName(t *testing.T) {
	for _, test := range []struct{ location, want string }{
		{"https://github.com/Apple/swift-nio.git", "github.com/Apple/swift-nio"},
		{"https://GitHub.com/apple/swift-nio/", "github.com/apple/swift-nio"},
		{"git@github.com:apple/swift-nio.git", "github.com/apple/swift-nio"},
		{"ssh://git@example.com:2222/a/b.git", "example.com:2222/a/b"},
		{"https://user:secret@github.com/apple/swift-nio", "github.com/apple/swift-nio"},
		{"https://user:se@cret@github.com/a/b", "github.com/a/b"},
		{"https://user:sec/ret@github.com/a/b", ""},
		{"https://x://y/z", ""},
		{"user:secret@github.com", ""},
		{"swift-nio", "swift-nio"},
		{"", ""},
	} {
		if got := SwiftName(test.location); got != test.want {
			t.Errorf("SwiftName(%q) = %q, want %q", test.location, got, test.want)
		}
	}
}

func TestFind(t *testing.T) {
	for _, test := range []struct {
		name, want string
	}{
		{"npm", "npm"}, {"PyPI", "PyPI"}, {"crates.io", "crates.io"}, {"GitHub Actions", "GitHub Actions"},
		{"Maven:https://repo.example.com/", "Maven"},
		{"pypi", ""}, {"NPM", ""}, {"", ""}, {":npm", ""}, {"Debian", ""}, {"npm ", ""},
	} {
		e, ok := Find(test.name)
		if ok != (test.want != "") || ok && e.Name != test.want {
			t.Errorf("Find(%q) = %v, %v, want %q", test.name, e, ok, test.want)
		}
	}
}

func TestKeyOf(t *testing.T) {
	for _, test := range []struct {
		label, ecosystem, name string
		want                   string // "" means refused
	}{
		{"plain", "PyPI", "A_b", "a-b"},
		{"suffix", "Maven:x", "g:a", "g:a"},
		{"C66 homoglyph", "NuGet", "2C\u0430ptcha.API", "2c\u0430ptcha.api"},
		{"inner space", "npm", "a b", "a b"},
		{"longest", "npm", strings.Repeat("a", MaxIdentifier), strings.Repeat("a", MaxIdentifier)},
		{"A25 too long", "npm", strings.Repeat("a", MaxIdentifier+1), ""},
		{"A25 empty", "npm", "", ""},
		{"A25 space", "npm", " ", ""},
		{"A25 leading space", "npm", " a", ""},
		{"A25 trailing no-break space", "npm", "a\u00a0", ""},
		{"A12 NUL", "npm", "a\x00b", ""},
		{"E88 newline", "npm", "a\nb", ""},
		{"E87 C1 control", "npm", "a\u009bb", ""},
		{"DEL", "npm", "a\x7f", ""},
		{"A10 invalid UTF-8", "npm", "a\xffb", ""},
		{"A11 encoded surrogate", "npm", "a\xed\xa0\x80", ""},
		{"A24 unknown ecosystem", "Debian", "bash", ""},
		{"nothing left", "SwiftURL", "https://", ""},
		{"nothing left", "Go", "!", ""},
	} {
		t.Run(test.label, func(t *testing.T) {
			key, ok := KeyOf(rapsheet.Package{Ecosystem: test.ecosystem, Name: test.name})
			if ok != (test.want != "") || key.Name != test.want {
				t.Errorf("KeyOf(%s, %q) = %q, %v, want %q", test.ecosystem, test.name, key.Name, ok, test.want)
			}
		})
	}
}

func TestSameName(t *testing.T) {
	for _, test := range []struct {
		ecosystem, published, sighted string
		want                          bool
	}{
		{"Go", "github.com/BurntSushi/toml", "github.com/BurntSushi/toml", true},
		{"Go", "github.com/BurntSushi/toml", "github.com/burntsushi/toml", true}, // case lost in a purl
		{"Go", "github.com/BurntSushi/toml", "github.com/!burnt!sushi/toml", true},
		{"Go", "github.com/BurntSushi/toml", "github.com/Burntsushi/toml", false},
		{"Go", "github.com/burntsushi/toml", "github.com/BurntSushi/toml", false}, // a typosquat by case
		{"PyPI", "Friendly_Bard", "friendly-bard", true},
		{"PyPI", "a", "b", false},
		{"npm", "JSONStream", "jsonstream", false},
		{"NuGet", "2C\u0430ptcha.API", "2Captcha.API", false},
		{"crates.io", "a-b", "A_B", true},
	} {
		if got := find(t, test.ecosystem).SameName(test.published, test.sighted); got != test.want {
			t.Errorf("%s: SameName(%q, %q) = %v", test.ecosystem, test.published, test.sighted, got)
		}
	}
}

func TestPublicHost(t *testing.T) {
	for _, test := range []struct {
		ecosystem, host string
		want            bool
	}{
		{"npm", "registry.npmjs.org", true},
		{"npm", "registry.yarnpkg.com", true},
		{"npm", "registry.npmmirror.com", true},
		{"npm", "npm.pkg.github.com", false},
		{"npm", "registry.npmjs.org.evil.example", false},
		{"npm", "github.com", false},
		{"PyPI", "files.pythonhosted.org", true},
		{"PyPI", "test.pypi.org", false},
		{"crates.io", "static.crates.io", true},
		{"crates.io", "github.com", false},
		{"Packagist", "codeload.github.com", true},
		{"VSCode", "ms-python.gallery.vsassets.io", true},
		{"VSCode", "gallery.vsassets.io.evil.example", false},
		{"VSCode", "xgallery.vsassets.io", false},
		{"Maven", "repo1.maven.org", true},
		{"Maven", "", false},
	} {
		if got := find(t, test.ecosystem).PublicHost(test.host); got != test.want {
			t.Errorf("%s: PublicHost(%q) = %v", test.ecosystem, test.host, got)
		}
	}
}

func TestTable(t *testing.T) {
	types := map[string]string{}
	for _, e := range All() {
		if got, ok := Find(e.Name); !ok || got != e {
			t.Errorf("Find(%q) does not give its row", e.Name)
		}
		if len(e.Hosts) == 0 || e.canonical == nil || e.valid == nil || e.compare == nil {
			t.Errorf("%s: incomplete row", e.Name)
		}
		for _, typ := range append([]string{e.PURLType}, e.PURLAliases...) {
			if other, ok := types[typ]; ok {
				t.Errorf("purl type %s is both %s and %s", typ, e.Name, other)
			}
			types[typ] = e.Name
		}
		seen := map[string]bool{}
		for _, h := range e.Hosts {
			if seen[h] || h == "" || h != lowerASCII(h) {
				t.Errorf("%s: host %q", e.Name, h)
			}
			seen[h] = true
		}
	}
}

func TestHoldingVersion(t *testing.T) {
	for _, test := range []struct {
		ecosystem, version string
		want               bool
	}{
		{"npm", "0.0.1-security", true},
		{"npm", "0.0.1-security.0", true},
		{"npm", "0.0.1-security.12", true},
		{"npm", "0.0.1-security.", false},
		{"npm", "0.0.1-security.x", false},
		{"npm", "0.0.1-securityfix", false},
		{"npm", "1.0.0", false},
		{"npm", "0.0.1", false},
		{"PyPI", "0.0.1-security", false},
	} {
		if got := find(t, test.ecosystem).HoldingVersion(test.version); got != test.want {
			t.Errorf("%s: HoldingVersion(%q) = %v", test.ecosystem, test.version, got)
		}
	}
}

func TestAllocations(t *testing.T) {
	npm, pypi := find(t, "npm"), find(t, "PyPI")
	p := rapsheet.Package{Ecosystem: "npm", Name: "@scope/name"}
	for _, test := range []struct {
		label string
		f     func()
	}{
		{"Canonical of npm", func() { npm.Canonical("@scope/Name") }},
		{"Canonical of PyPI, canonical already", func() { pypi.Canonical("friendly-bard") }},
		{"Find", func() { Find("GitHub Actions") }},
		{"Find with suffix", func() { Find("Maven:https://repo.example.com") }},
		{"KeyOf", func() { KeyOf(p) }},
		{"Compare of npm", func() { npm.Compare("1.2.3-rc.1", "1.2.3-rc.2") }},
		{"Compare of PyPI", func() { pypi.Compare("1.2.3rc1", "1.2.3") }},
	} {
		if n := testing.AllocsPerRun(100, test.f); n != 0 {
			t.Errorf("%s allocates %v times", test.label, n)
		}
	}
}

func BenchmarkKeyOf(b *testing.B) {
	for _, p := range []rapsheet.Package{
		{Ecosystem: "npm", Name: "@babel/core"},
		{Ecosystem: "PyPI", Name: "friendly-bard"},
		{Ecosystem: "PyPI", Name: "Friendly_Bard"},
		{Ecosystem: "CRAN", Name: "ggplot2"},
	} {
		b.Run(p.Ecosystem+" "+p.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				KeyOf(p)
			}
		})
	}
}
