package ecosystem

import (
	"cmp"
	"errors"
	"strings"
	"testing"

	"github.com/google/osv-scalibr/semantic"
	gosemver "golang.org/x/mod/semver"
)

// orders lists versions in ascending order; versions in one string are equal.
var orders = []struct {
	ecosystem, source string
	versions          []string
}{
	{"npm", "https://semver.org/#spec-item-11 and item 10", []string{
		"0 0.0 0.0.0", "1.0.0-alpha v1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
		"1.0.0-rc.1 1.0.0-rc.1+exp.sha.5114f85", "1.0.0 1.0.0+20130313144700 1.0.0+21AF26D3----117B344092BD v1.0.0 1.0 1",
		"2.0.0", "2.1.0", "2.1.1", "99999999999999999999999.0.0", "99999999999999999999999.999999999999999999.99999999999999999",
	}},
	{"npm", "https://semver.org/#spec-item-11: identifiers with hyphens are compared lexically, numbers are lower", []string{
		"1.0.0-1", "1.0.0-2", "1.0.0--", "1.0.0--1", "1.0.0--5", "1.0.0-a", "1.0.0-a.-5", "1.0.0-a-",
	}},
	{"crates.io", "https://docs.rs/semver/latest/semver/struct.Prerelease.html", []string{
		"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0", "1.0.1",
	}},
	{"Go", "https://go.dev/ref/mod#pseudo-versions and #incompatible-versions", []string{
		"v0.0.0-20191109021931-daa7c04131f5 0.0.0-20191109021931-daa7c04131f5", "v0.0.0-20200101000000-000000000000", "v0.0.0",
		"v1.2.3-pre", "v1.2.3-pre.0.20191109021931-daa7c04131f5", "v1.2.3 1.2.3", "v1.2.4-0.20191109021931-daa7c04131f5", "v1.2.4",
		"v4.0.0+incompatible 4.0.0 v4.0.0",
	}},
	{"PyPI", "https://peps.python.org/pep-0440/#summary-of-permitted-suffixes-and-relative-ordering", []string{
		"1.dev0 1.0.dev0", "1.0.dev456", "1.0a0.dev1", "1.0a0", "1.0a1", "1.0a2.dev456", "1.0a12.dev456", "1.0a12 1.0.alpha-12 1.0ALPHA12", "1.0b1.dev456", "1.0b2 1.0-beta_2",
		"1.0b2.post345.dev456", "1.0b2.post345", "1.0rc1.dev456", "1.0rc1 1.0c1 1.0.pre.1 1.0-preview-1", "1.0 1.0.0 1 v1.0 1.0.0.0 V1.0 01.0 0!1.0",
		"1.0+abc.5", "1.0+abc.7", "1.0+5 1.0+05", "1.0.post456.dev34", "1.0.post456 1.0-456 1.0r456 1.0.rev456", "1.0.15", "1.1.dev1", "1!0.1",
	}},
	{"PyPI", "https://peps.python.org/pep-0440/#local-version-identifiers, #implicit-post-release-number and #implicit-development-release-number", []string{
		"1.2.dev 1.2.dev0", "1.2a 1.2a0 1.2.a.0", "1.2", "1.2+ubuntu-1 1.2+ubuntu.1 1.2+Ubuntu_1", "1.2+ubuntu.1.0", "1.2+1", "1.2+1.a",
		"1.2.post.dev1 1.2post0dev1", "1.2.post 1.2.post0 1.2-0",
	}},
	{"PyPI", "https://peps.python.org/pep-0440/#version-epochs", []string{"2013.10", "2014.04", "1!1.0", "1!1.1", "1!2.0", "2!0"}},
	{"RubyGems", "https://docs.ruby-lang.org/en/master/Gem/Version.html", []string{
		"0.9 0.9.0", "1.0.a.2", "1.0.b1 1.0.b.1", "1.0.rc1", "1.0 1 1.0.0 1.0.0.0 1.00", "1.0.1", "1.2.b1", "1.2.b2", "1.2", "1.10", "3.0.pre.1.a", "3.0.pre.1.2", "3.0",
	}},
	{"RubyGems", "https://docs.ruby-lang.org/en/master/Gem/Version.html: a hyphen is .pre., letters are below numbers", []string{
		"1.a 1.0.a 1.0.0.a", "1.a.1 1.a1", "1.a10", "1.alpha", "1.b", "1.pre.1 1-1 1.0.0-1", "1 1.0", "5.2.3 5.2.3.0 05.2.3",
	}},
	{"NuGet", "https://learn.microsoft.com/nuget/concepts/package-versioning#pre-release-versions and #normalized-version-numbers", []string{
		"1.0.1-aaa", "1.0.1-alpha", "1.0.1-alpha.2", "1.0.1-alpha.10", "1.0.1-alpha2", "1.0.1-beta 1.0.1-BETA 1.00.1.0-Beta+x",
		"1.0.1-open", "1.0.1-rc", "1.0.1-zzz", "1.0.1 1.00.01.0 1.0.1+r3456", "1.0.1.6", "1.0.2", "1.1 1.1.0 1.1.0.0",
	}},
	{"Maven", "https://maven.apache.org/pom.html#version-order-specification, examples", []string{
		"1-a1 1-alpha-1 1.alpha1 1-ALPHA-1", "1-beta1", "1-m3 1-milestone-3", "1-rc 1-cr", "1-snapshot 1-SNAPSHOT",
		"1 1.0 1.0.0 1.ga 1.final 1. 1- 1-ga 1-0 1.0.0-0.0.0 1-release 01", "1-sp 1.sp", "1-foo 1.foo 1.0.0-foo.0.0", "1-foo2 1-foo-2", "1-foo10", "1-1", "1.1",
	}},
	{"Maven", "https://maven.apache.org/pom.html#version-order-specification, examples", []string{"1-sp-1", "1-ga-1 1-1"}},
	{"Maven", "https://maven.apache.org/pom.html#version-order-specification, examples", []string{"1-ga.1", "1-sp.1"}},
	{"Maven", "VERSIONS_QUALIFIER of ComparableVersionTest, https://github.com/apache/maven", []string{
		"1-alpha2snapshot", "1-alpha2", "1-alpha-123", "1-beta-2", "1-beta123", "1-m2", "1-m11", "1-rc", "1-rc123", "1-SNAPSHOT", "1",
		"1-sp", "1-sp2", "1-sp123", "1-abc", "1-def", "1-pom-1", "1-1-snapshot", "1-1", "1-2", "1-123",
	}},
	{"Maven", "VERSIONS_NUMBER of ComparableVersionTest, https://github.com/apache/maven", []string{
		"2.0", "2.0.a", "2-1", "2.0.2", "2.0.123", "2.1.0", "2.1-a", "2.1b", "2.1-c", "2.1-1", "2.1.0.1", "2.2", "2.123",
		"11.a2", "11.a11", "11.b2", "11.b11", "11.m2", "11.m11", "11", "11.a", "11b", "11c", "11m",
	}},
	{"Packagist", "https://getcomposer.org/doc/articles/versions.md and https://www.php.net/version_compare", []string{
		"1.0.0-dev 1.0-dev", "1.0.0-alpha-dev", "1.0.0-alpha", "1.0.0-alpha1 1.0a1 v1.0.0-ALPHA1 1.0.0alpha.1", "1.0.0-alpha2", "1.0.0-beta", "1.0.0-beta1-dev", "1.0.0-beta1 1.0-b1", "1.0.0-beta10",
		"1.0.0-RC1 1.0.0rc1", "1.0 1 1.0.0 1.0.0.0 v1.0.0 V1.0 1.0.0-stable 1.0.0+build", "1.0.0-p1 1.0.0-patch1 1.0.0-pl1", "1.0.0.1", "1.0.1", "1.x-dev 1.*-dev", "2.0",
	}},
	{"Packagist", "https://getcomposer.org/doc/articles/versions.md: dates are not padded to four numbers", []string{"1.0", "20100102", "20100102-203040 20100102.203040", "20110102"}},
	{"Hex", "https://hexdocs.pm/elixir/Version.html", []string{"1.0.0-rc.1", "1.0.0 1.0.0+build", "2.0.0"}},
	{"Pub", "https://pub.dev/documentation/pub_semver/latest/pub_semver/Version/compareTo.html: build metadata counts", []string{
		"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0-rc.1+build.1", "1.0.0", "1.0.0+0.3.7", "1.3.7+build", "1.3.7+build.2.b8f12d7", "1.3.7+build.11.e0f985a",
	}},
	{"SwiftURL", "https://semver.org", []string{"1.0.0-beta", "1.0.0 v1.0.0", "1.0.1"}},
	{"VSCode", "https://semver.org", []string{"2023.1.1", "2023.1.10", "2023.10.0"}},
	{"GitHub Actions", "https://semver.org", []string{"v3", "v4 v4.0 v4.0.0 4", "v4.1.2", "v35.7.7", "v45.0.7"}},
	{"Hackage", "https://hackage.haskell.org/package/Cabal-syntax/docs/Distribution-Types-Version.html: lists of numbers", []string{"0", "1", "1.0", "1.0.0", "1.0.1", "1.1", "1.10", "2"}},
	{"CRAN", "https://stat.ethz.ch/R-manual/R-devel/library/utils/html/compareVersion.html", []string{"1.0", "1.0-0 1.0.0 1-0-0", "1.0-3 1.0.3", "1.0-10", "1.2"}},
}

func TestOrder(t *testing.T) {
	for _, order := range orders {
		e := find(t, order.ecosystem)
		type spelled struct {
			version string
			rank    int
		}
		var all []spelled
		for rank, equal := range order.versions {
			for v := range strings.SplitSeq(equal, " ") {
				if !e.ValidVersion(v) {
					t.Errorf("%s: %q is not valid (%s)", e.Name, v, order.source)
				}
				all = append(all, spelled{v, rank})
			}
		}
		for _, a := range all {
			for _, b := range all {
				want := cmp.Compare(a.rank, b.rank)
				if got := cmp.Compare(e.Compare(a.version, b.version), 0); got != want {
					t.Errorf("%s: Compare(%q, %q) = %d, want %d (%s)", e.Name, a.version, b.version, got, want, order.source)
				}
				if e.EqualVersion(a.version, b.version) != (want == 0) {
					t.Errorf("%s: EqualVersion(%q, %q) (%s)", e.Name, a.version, b.version, order.source)
				}
			}
		}
	}
}

func TestValidVersion(t *testing.T) {
	for _, test := range []struct {
		ecosystem, version string
		want               bool
	}{
		// https://semver.org, the lists of valid and invalid versions linked from its regular expression.
		{"npm", "1.1.2-prerelease+meta", true},
		{"npm", "1.0.0-0A.is.legal", true},
		{"npm", "1.0.0-alpha-a.b-c-somethinglong+build.1-aef.1-its-okay", true},
		{"npm", "1.2.3----RC-SNAPSHOT.12.9.1--.12+788", true},
		{"npm", "1.1.2+.123", false},
		{"npm", "+invalid", false},
		{"npm", "-invalid", false},
		{"npm", "alpha", false},
		{"npm", "1.0.0-alpha_beta", false},
		{"npm", "1.0.0-alpha..", false},
		{"npm", "1.0.0-0123", false},
		{"npm", "01.1.1", false},
		{"npm", "1.2.3.DEV", false},
		{"npm", "1.2.31.2.3----RC-SNAPSHOT.12.09.1--..12+788", false},
		{"npm", "1.2.3-0123.0123", false},
		{"npm", "9.8.7+meta+meta", false},
		{"npm", "latest", false},
		{"npm", "^1.0.0", false},
		{"npm", "1.2.3.4", false},
		{"npm", "", false},
		{"npm", "1.0.0\n", false},
		{"npm", "vv1.0.0", false},
		{"npm", "1." + strings.Repeat("1", MaxIdentifier), false},
		{"Go", "(devel)", false},
		{"Go", "v1.2.3+incompatible", true},
		// https://peps.python.org/pep-0440/
		{"PyPI", "1.0.dev1+local.1", true},
		{"PyPI", "1!2.0", true},
		{"PyPI", "!2.0", false},
		{"PyPI", "1.0-", false},
		{"PyPI", "1.0+", false},
		{"PyPI", "1.0+a..b", false},
		{"PyPI", "1.0+a.", false},
		{"PyPI", "1.0.x", false},
		{"PyPI", "2004d", false}, // https://peps.python.org/pep-0440/: "date based releases"; letters are not phases
		{"PyPI", "1.0\u212a", false},
		{"PyPI", "v", false},
		// Gem::Version::VERSION_PATTERN
		{"RubyGems", "1.2.3", true},
		{"RubyGems", "1.2.3.beta-1", true},
		{"RubyGems", "a.1", false},
		{"RubyGems", "1..2", false},
		{"RubyGems", "1.0.0-x86_64-linux", false},
		{"RubyGems", "1.", false},
		{"RubyGems", "1-", false},
		{"RubyGems", "junk", false},
		// https://learn.microsoft.com/nuget/concepts/package-versioning
		{"NuGet", "1.2.3.4-beta.1+sha", true},
		{"NuGet", "1.2.3.4.5", false},
		{"NuGet", "v1.2.3", false},
		{"NuGet", "1.2.3-", false},
		{"NuGet", "1.*", false},
		{"Maven", "anything goes", true},
		{"Maven", "", false},
		{"Maven", "1\x00", false},
		// https://getcomposer.org/doc/articles/versions.md
		{"Packagist", "dev-master", false},
		{"Packagist", "1.0.x-dev", true},
		{"Packagist", "1.0.0.0.0", false},
		{"Packagist", "~1.2", false},
		{"Pub", "1.0.0+1", true},
		{"Hackage", "1.2.3.4.5", true},
		{"Hackage", "1.2-a", false},
		{"Hackage", "1.", false},
		{"CRAN", "1.2-3", true},
		{"CRAN", "1.2-", false},
		{"CRAN", "1.2a", false},
		{"GitHub Actions", "main", false},
		{"GitHub Actions", "8f4b7f84864484a7bf31766abe9204da3cbe65b3", false},
	} {
		if got := find(t, test.ecosystem).ValidVersion(test.version); got != test.want {
			t.Errorf("%s: ValidVersion(%q) = %v", test.ecosystem, test.version, got)
		}
	}
}

func TestEqualVersionOfInvalid(t *testing.T) {
	e := find(t, "npm")
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"latest", "latest", true},
		{"latest", "Latest", false},
		{"", "", true},
		{"", "0", false},
		{"1.0.0.0", "1.0.0", false},
	} {
		if got := e.EqualVersion(test.a, test.b); got != test.want {
			t.Errorf("EqualVersion(%q, %q) = %v", test.a, test.b, got)
		}
	}
}

// samples are versions of all grammars, to be compared with other implementations.
func samples() []string {
	var all []string
	for _, order := range orders {
		for _, equal := range order.versions {
			all = append(all, strings.Fields(equal)...)
		}
	}
	return all
}

// The Go toolchain's own package is the authority on Go's versions.
func TestGoOrderAgainstModSemver(t *testing.T) {
	e := find(t, "Go")
	for _, a := range samples() {
		if valid := gosemver.IsValid(a); valid && !e.ValidVersion(a) {
			t.Errorf("ValidVersion(%q) = false, x/mod takes it", a)
		}
		for _, b := range samples() {
			if !gosemver.IsValid(a) || !gosemver.IsValid(b) {
				continue
			}
			if got, want := cmp.Compare(e.Compare(a, b), 0), gosemver.Compare(a, b); got != want {
				t.Errorf("Compare(%q, %q) = %d, x/mod says %d", a, b, got, want)
			}
		}
	}
}

// osv-scalibr orders versions for OSV's own scanner. Ours differs from it where
// it differs from the specifications, and nowhere else.
func TestOrderAgainstScalibr(t *testing.T) {
	hyphenNumber := func(v string) bool { return strings.Contains(v, "--") || strings.Contains(v, ".-") }
	differs := map[string]func(v string) bool{
		// Identifiers such as "-5" are words (SemVer, item 11); scalibr reads a negative number.
		"npm": hyphenNumber, "crates.io": hyphenNumber, "Go": hyphenNumber, "Hex": hyphenNumber, "SwiftURL": hyphenNumber, "NuGet": hyphenNumber,
		// Build metadata is compared as a list; scalibr compares it as text.
		"Pub": func(v string) bool { return hyphenNumber(v) || strings.Contains(v, "+") },
		// A hyphen is ".pre." and leading zeros do not count; scalibr knows neither.
		"RubyGems": func(v string) bool { return strings.Contains(v, "-") || strings.Contains(v, "0") },
		// ".qualifier" equals "-qualifier"; scalibr puts it below.
		"Maven": func(v string) bool {
			for i := 1; i < len(v); i++ {
				if v[i-1] == '.' && !isDigit(v[i]) {
					return true
				}
			}
			return false
		},
		// Composer pads to four numbers; scalibr compares what is written.
		"Packagist": func(v string) bool { return true },
	}
	compared := 0
	for _, e := range All() {
		skip := differs[e.Name]
		theirs := map[string]semantic.Version{}
		for _, v := range samples() {
			if !e.ValidVersion(v) || skip != nil && skip(v) {
				continue
			}
			parsed, err := semantic.Parse(v, e.Name)
			if errors.Is(err, semantic.ErrUnsupportedEcosystem) {
				continue // VSCode and GitHub Actions
			}
			if err != nil {
				t.Errorf("%s: scalibr refuses %q: %v", e.Name, v, err)
				continue
			}
			theirs[v] = parsed
		}
		for a, x := range theirs {
			for b, y := range theirs {
				want, err := x.Compare(y)
				if err != nil {
					t.Fatal(err)
				}
				compared++
				if got := cmp.Compare(e.Compare(a, b), 0); got != cmp.Compare(want, 0) {
					t.Errorf("%s: Compare(%q, %q) = %d, scalibr says %d", e.Name, a, b, got, want)
				}
			}
		}
	}
	if compared < 1000 {
		t.Errorf("only %d comparisons", compared)
	}
}

func BenchmarkCompare(b *testing.B) {
	for _, test := range []struct{ ecosystem, a, b string }{
		{"npm", "1.2.3", "1.2.4-rc.1"},
		{"PyPI", "1.2.3", "1.2.3rc1"},
		{"RubyGems", "1.2.3", "1.2.3.rc1"},
		{"Maven", "1.2.3", "1.2.3-rc1"},
		{"Packagist", "1.2.3", "1.2.3-rc1"},
	} {
		e := find(b, test.ecosystem)
		b.Run(test.ecosystem, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e.Compare(test.a, test.b)
			}
		})
	}
	for _, test := range []struct{ label, ecosystem, unit string }{
		{"npm 1 KiB", "npm", "1.0.0-" + strings.Repeat("a.", 508) + "a"},
		{"Maven 1 KiB", "Maven", strings.Repeat("1a", 511) + "1"},
		{"PyPI 1 KiB", "PyPI", strings.Repeat("1.", 511) + "1"},
		{"RubyGems 1 KiB", "RubyGems", "1." + strings.Repeat("1a", 510)},
		{"Packagist 1 KiB", "Packagist", "1.0-beta" + strings.Repeat(".1", 506)},
	} {
		e := find(b, test.ecosystem)
		x, y := test.unit, test.unit[:len(test.unit)-1]+"2"
		b.Run(test.label, func(b *testing.B) {
			for b.Loop() {
				e.Compare(x, y)
			}
		})
	}
}

func FuzzCompare(f *testing.F) {
	for i, v := range samples() {
		f.Add(v, samples()[(i*7+3)%len(samples())])
	}
	for _, v := range []string{"", "-", "+", ".", "v", "1.-1", "1.+1", "1_0", "0x1", "1..1", "1.\u0661", "\u212a", strings.Repeat("9", 1024), strings.Repeat("1a", 512), "1-0.0", "1.-", "-.a"} {
		f.Add(v, "1")
		f.Add(v, v+".1")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, e := range All() {
			x, y := e.Compare(a, b), e.Compare(b, a)
			if cmp.Compare(x, 0) != -cmp.Compare(y, 0) {
				t.Errorf("%s: Compare(%q, %q) = %d, and %d the other way", e.Name, a, b, x, y)
			}
			if e.Compare(a, a) != 0 || !e.EqualVersion(b, b) {
				t.Errorf("%s: %q or %q is not itself", e.Name, a, b)
			}
			if e.EqualVersion(a, b) != (x == 0) {
				t.Errorf("%s: EqualVersion(%q, %q) disagrees with Compare", e.Name, a, b)
			}
			if len(a)+len(b) < 64 && e.ValidVersion(a) && e.ValidVersion(b) {
				// The same order must hold by way of a third version.
				if z := e.Compare(a, "1"); e.ValidVersion("1") && z < 0 && e.Compare("1", b) < 0 && x >= 0 {
					t.Errorf("%s: %q < 1 < %q, and Compare = %d", e.Name, a, b, x)
				}
			}
		}
	})
}
