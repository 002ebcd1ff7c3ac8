package match_test

import (
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/indextest"
	"github.com/rapsheet/rapsheet/match"
	"github.com/rapsheet/rapsheet/osv"
)

// Names and versions in the spellings that tools really write, through the whole
// way from a purl to a verdict. Each group is one record; the rule and its source
// stand with the group.
var nameTests = []struct {
	rule     string // with its source
	eco      string
	name     string
	versions []string // empty: every version
	hit      []string
	miss     []string
}{
	{
		rule: "letters of another alphabet are other letters (MAL-2024-3992); NuGet ids compare without case " +
			"(https://learn.microsoft.com/nuget/reference/nuspec#id)",
		eco: "NuGet", name: "2C\u0430ptcha.API", versions: []string{"1.10.2"},
		hit: []string{
			"pkg:nuget/2C%D0%B0ptcha.API@1.10.2", "pkg:nuget/2c%d0%b0ptcha.api@1.10.2", "pkg:nuget/2C\u0430PTCHA.api@1.10.2",
			"pkg:nuget/2C%D0%90ptcha.API@1.10.2", // the capital of the same Cyrillic letter
			"pkg:nuget/2C%D0%B0ptcha.API@1.10.2.0",
		},
		miss: []string{"pkg:nuget/2Captcha.API@1.10.2", "pkg:nuget/2captcha.api@1.10.2", "pkg:nuget/2C%D0%B0ptcha.API@1.10.3"},
	},
	{
		rule: "KELVIN SIGN lower-cases to the Latin k in Unicode and is not that letter in an id",
		eco:  "NuGet", name: "Kit.Core",
		hit:  []string{"pkg:nuget/kit.core@1.0.0", "pkg:nuget/KIT.CORE@1.0.0"},
		miss: []string{"pkg:nuget/%E2%84%AAit.Core@1.0.0"},
	},
	{
		rule: "NuGet versions have up to four parts, trailing zeros do not count, prereleases compare without case " +
			"(https://learn.microsoft.com/nuget/concepts/package-versioning#normalized-version-numbers)",
		eco: "NuGet", name: "Evil", versions: []string{"1.0.0", "2.1.0.5", "3.0.0-Beta"},
		hit: []string{
			"pkg:nuget/Evil@1.0", "pkg:nuget/Evil@1.0.0.0", "pkg:nuget/Evil@1.00.0", "pkg:nuget/Evil@2.1.0.5", "pkg:nuget/Evil@3.0.0-beta",
			"pkg:nuget/Evil@1.0.0+build.7",
		},
		miss: []string{"pkg:nuget/Evil@2.1.0", "pkg:nuget/Evil@2.1.0.4", "pkg:nuget/Evil@3.0.0", "pkg:nuget/Evil@1.0.0-beta"},
	},
	{
		rule: "PyPI names compare after PEP 503: runs of . - _ are one -, without case",
		eco:  "PyPI", name: "Ctx_Evil.Tool", versions: []string{"1.0"},
		hit: []string{
			"pkg:pypi/ctx-evil-tool@1.0", "pkg:pypi/Ctx_Evil.Tool@1.0", "pkg:pypi/ctx--evil__tool@1.0", "pkg:pypi/CTX.EVIL.TOOL@1.0",
			"pkg:PyPI/ctx-evil-tool@1.0", "pkg:pypi/ctx_evil_tool@1.0.0", "pkg:pypi/ctx-evil-tool@v1.0", "pkg:pypi/ctx-evil-tool@1",
		},
		miss: []string{"pkg:pypi/ctxeviltool@1.0", "pkg:pypi/ctx-evil@1.0", "pkg:pypi/ctx-evil-tool@1.0.1"},
	},
	{
		rule: "PyPI versions compare by PEP 440: local labels, posts, development releases and spellings of prereleases",
		eco:  "PyPI", name: "evil", versions: []string{"1.0", "2.0rc1", "1!3.0", "4.0.post1"},
		hit: []string{
			"pkg:pypi/evil@2.0.RC1", "pkg:pypi/evil@2.0-c1", "pkg:pypi/evil@2.0preview1", "pkg:pypi/evil@1%213.0", "pkg:pypi/evil@4.0-1", "pkg:pypi/evil@4.0.rev1",
		},
		miss: []string{
			"pkg:pypi/evil@1.0%2Blocal", "pkg:pypi/evil@1.0.post1", "pkg:pypi/evil@1.0.dev1", "pkg:pypi/evil@2.0", "pkg:pypi/evil@3.0", "pkg:pypi/evil@4.0",
		},
	},
	{
		rule: "an npm scope in every spelling of a purl (https://github.com/package-url/purl-spec, npm)",
		eco:  "npm", name: "@scope/evil", versions: []string{"1.0.0"},
		hit: []string{
			"pkg:npm/%40scope/evil@1.0.0", "pkg:npm/@scope/evil@1.0.0", "pkg:npm/%40scope%2Fevil@1.0.0", "pkg:npm/%40scope%2fevil@1.0.0",
			"pkg:NPM/%40scope/evil@1.0.0", "PKG:npm/%40scope/evil@1.0.0", "pkg://npm/%40scope/evil@1.0.0", "pkg:npm/%40scope/evil@1.0.0?",
			"pkg:npm/%40scope/evil@1.0.0#", "pkg:npm/%40scope/evil@1.0.0?arch=x#lib/index.js",
		},
		miss: []string{
			"pkg:npm/evil@1.0.0", "pkg:npm/scope/evil@1.0.0", "pkg:npm/%40other/evil@1.0.0",
			"pkg:npm/%2540scope/evil@1.0.0", // encoded twice: a name with a percent sign
		},
	},
	{
		rule: "npm names are taken as published; old ones have capitals (https://docs.npmjs.com/cli/configuring-npm/package-json#name)",
		eco:  "npm", name: "EvilStream",
		hit:  []string{"pkg:npm/EvilStream@1.0.0"},
		miss: []string{"pkg:npm/evilstream@1.0.0"},
	},
	{
		rule: "SemVer: build metadata does not count, prereleases do (https://semver.org/#spec-item-10, 9)",
		eco:  "npm", name: "evil", versions: []string{"1.2.3", "2.0.0-rc.1"},
		hit:  []string{"pkg:npm/evil@1.2.3%2Bbuild.5", "pkg:npm/evil@1.2.3+build", "pkg:npm/evil@v1.2.3", "pkg:npm/evil@2.0.0-rc.1"},
		miss: []string{"pkg:npm/evil@1.2.3-rc.1", "pkg:npm/evil@2.0.0", "pkg:npm/evil@2.0.0-rc.10", "pkg:npm/evil@1.2", "pkg:npm/evil@latest"},
	},
	{
		rule: "introduced 0 covers prereleases and versions that do not parse (https://ossf.github.io/osv-schema/#affectedrangesevents-fields)",
		eco:  "npm", name: "all-evil",
		hit: []string{"pkg:npm/all-evil@0.0.0-0", "pkg:npm/all-evil@0.0.0-alpha", "pkg:npm/all-evil@999.9.9", "pkg:npm/all-evil@latest", "pkg:npm/all-evil"},
		miss: []string{
			"pkg:npm/all-evil@0.0.1-security", // npm's placeholder for a removed package
		},
	},
	{
		rule: "Go module paths in purls lose their case (https://github.com/package-url/purl-spec, golang), in proxies it is " +
			"escaped (https://go.dev/ref/mod#goproxy-protocol); versions with and without v, pseudo-versions",
		eco: "Go", name: "github.com/Evil/Mod", versions: []string{"1.0.0", "0.0.0-20250101120000-abcdef123456"},
		hit: []string{
			"pkg:golang/github.com/Evil/Mod@v1.0.0", "pkg:golang/github.com/evil/mod@v1.0.0", "pkg:golang/github.com/evil/mod@1.0.0",
			"pkg:golang/github.com/%21evil/%21mod@v1.0.0", "pkg:golang/github.com%2FEvil%2FMod@v1.0.0",
			"pkg:golang/github.com/evil/mod@v0.0.0-20250101120000-abcdef123456", "pkg:golang/github.com/evil/mod@v1.0.0#sub/dir",
		},
		miss: []string{
			"pkg:golang/github.com/EVIL/mod@v1.0.0", "pkg:golang/github.com/evil/mod/v2@v1.0.0",
			"pkg:golang/github.com/evil/mod@v0.0.0-20250101120001-abcdef123456", "pkg:golang/github.com/evil@v1.0.0",
		},
	},
	{
		rule: "Maven's group and artifact (https://github.com/package-url/purl-spec, maven); trailing zeros and release words " +
			"do not count (https://maven.apache.org/pom.html#version-order-specification)",
		eco: "Maven", name: "com.evil:lib", versions: []string{"1.0", "2.0-alpha1"},
		hit: []string{
			"pkg:maven/com.evil/lib@1.0", "pkg:maven/com.evil/lib@1.0.0", "pkg:maven/com.evil/lib@1", "pkg:maven/com.evil/lib@1.0.ga",
			"pkg:maven/com.evil/lib@2.0-alpha-1", "pkg:maven/com.evil/lib@1.0?type=jar&classifier=sources",
		},
		miss: []string{"pkg:maven/com.evil/lib@1.0-SNAPSHOT", "pkg:maven/com/evil@1.0", "pkg:maven/lib@1.0", "pkg:maven/com.evil/lib@2.0"},
	},
	{
		rule: "Packagist names compare without case (https://getcomposer.org/doc/04-schema.md#name); versions with v and in four parts",
		eco:  "Packagist", name: "Evil/Lib", versions: []string{"1.0.0"},
		hit:  []string{"pkg:composer/evil/lib@1.0.0", "pkg:composer/EVIL/lib@v1.0.0", "pkg:composer/evil/lib@1.0.0.0", "pkg:composer/evil%2Flib@1.0"},
		miss: []string{"pkg:composer/evil/lib@1.0.1", "pkg:composer/lib@1.0.0", "pkg:composer/evil/lib@dev-main"},
	},
	{
		rule: "crates.io takes - and _ for the same and ignores case (https://github.com/rust-lang/crates.io, crate name uniqueness)",
		eco:  "crates.io", name: "evil-crate", versions: []string{"0.1.0"},
		hit:  []string{"pkg:cargo/evil-crate@0.1.0", "pkg:cargo/evil_crate@0.1.0", "pkg:cargo/Evil_Crate@0.1.0", "pkg:cargo/evil-crate@0.1.0+meta"},
		miss: []string{"pkg:cargo/evilcrate@0.1.0", "pkg:cargo/evil-crate@0.1.1"},
	},
	{
		rule: "RubyGems names are taken as published, versions by Gem::Version (https://docs.ruby-lang.org/en/master/Gem/Version.html)",
		eco:  "RubyGems", name: "evil_gem", versions: []string{"1.0", "2.0.pre1"},
		hit:  []string{"pkg:gem/evil_gem@1.0", "pkg:gem/evil_gem@1.0.0", "pkg:gem/evil_gem@2.0.pre1", "pkg:gem/evil_gem@2.0.pre.1"},
		miss: []string{"pkg:gem/evil-gem@1.0", "pkg:gem/Evil_gem@1.0", "pkg:gem/evil_gem@2.0", "pkg:gem/evil_gem@1.0.1"},
	},
	{
		rule: "VS Code extensions are publisher.name without case (https://github.com/package-url/purl-spec, vscode-extension)",
		eco:  "VSCode", name: "Evil.Theme", versions: []string{"1.0.0"},
		hit:  []string{"pkg:vscode-extension/evil/theme@1.0.0", "pkg:vscode-extension/Evil/Theme@1.0.0"},
		miss: []string{"pkg:vscode-extension/theme@1.0.0", "pkg:vscode-extension/evil/theme@1.0.1"},
	},
	{
		rule: "GitHub repositories compare without case; tags with and without v",
		eco:  "GitHub Actions", name: "Evil/Action", versions: []string{"1.2.0"},
		hit:  []string{"pkg:githubactions/evil/action@v1.2.0", "pkg:github/Evil/action@1.2.0"},
		miss: []string{"pkg:githubactions/evil/action@v1", "pkg:githubactions/other/action@v1.2.0"},
	},
	{
		rule: "versions that do not parse match to the letter",
		eco:  "PyPI", name: "odd", versions: []string{"v_05", "1.0"},
		hit:  []string{"pkg:pypi/odd@v_05", "pkg:pypi/odd@1.0.0"},
		miss: []string{"pkg:pypi/odd@v_5", "pkg:pypi/odd@V_05", "pkg:pypi/odd@%5E1.0"},
	},
}

func TestNames(t *testing.T) {
	cases := 0
	for _, tt := range nameTests {
		a := osv.Affected{Package: osv.Package{Ecosystem: tt.eco, Name: tt.name}, Versions: tt.versions}
		if len(tt.versions) == 0 {
			a.Ranges = []osv.Range{{Type: osv.RangeEcosystem, Events: []osv.Event{{Introduced: "0"}}}}
		}
		ix := indextest.New(t, index.Meta{}, &osv.Record{ID: "MAL-2026-1", Modified: "2026-01-01T00:00:00Z", Affected: []osv.Affected{a}})
		for _, purls := range []struct {
			want  bool
			purls []string
		}{{true, tt.hit}, {false, tt.miss}} {
			for _, purl := range purls.purls {
				cases++
				if got := onRecord(t, ix, purl); got != purls.want {
					t.Errorf("%s/%s %v: %s: got %v, want %v\n%s", tt.eco, tt.name, tt.versions, purl, got, purls.want, tt.rule)
				}
			}
		}
	}
	t.Logf("%d spellings", cases)
}

func onRecord(t *testing.T, ix *index.Index, purl string) bool {
	t.Helper()
	p, _, err := ecosystem.ParsePURL(purl)
	if err != nil {
		t.Errorf("%s: %v", purl, err)
		return false
	}
	key, ok := ecosystem.KeyOf(p)
	if !ok {
		t.Errorf("%s: no key", purl)
		return false
	}
	recs, err := ix.Lookup(key)
	if err != nil {
		t.Fatal(err)
	}
	for i := range recs {
		switch match.Judge(&recs[i], &rapsheet.Sighting{Package: p}).Verdict {
		case rapsheet.VerdictExact, rapsheet.VerdictRange, rapsheet.VerdictPackage:
			return true
		}
	}
	return false
}
