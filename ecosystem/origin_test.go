package ecosystem

import (
	"fmt"
	neturl "net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
)

func TestOrigin(t *testing.T) {
	const (
		unknown  = rapsheet.OriginUnknown
		registry = rapsheet.OriginRegistry
		git      = rapsheet.OriginGit
		url      = rapsheet.OriginURL
		file     = rapsheet.OriginFile
	)
	const sha = "0123456789abcdef0123456789abcdef01234567"
	for _, test := range []struct {
		ecosystem, raw string
		origin         rapsheet.Origin
		url, host      string
	}{
		// npm, package-lock.json: https://docs.npmjs.com/cli/configuring-npm/package-lock-json
		{"npm", "https://registry.npmjs.org/lodash/-/lodash-4.17.21.tgz", registry, "https://registry.npmjs.org/lodash/-/lodash-4.17.21.tgz", "registry.npmjs.org"},
		{"npm", "https://registry.npmjs.org:443/a/-/a-1.tgz", registry, "https://registry.npmjs.org/a/-/a-1.tgz", "registry.npmjs.org"},
		{"npm", "HTTPS://Registry.NPMJS.org./a/-/a-1.tgz", registry, "https://registry.npmjs.org/a/-/a-1.tgz", "registry.npmjs.org"},
		{"npm", "http://localhost:4873/@s/a/-/a-1.tgz", registry, "http://localhost:4873/@s/a/-/a-1.tgz", "localhost:4873"},
		{"npm", "https://artifactory.example/artifactory/api/npm/npm-local/a/-/a-1.tgz", registry, "https://artifactory.example/artifactory/api/npm/npm-local/a/-/a-1.tgz", "artifactory.example"},
		{"npm", "https://npm.pkg.github.com/download/@o/a/1.0.0/" + sha, registry, "https://npm.pkg.github.com/download/@o/a/1.0.0/" + sha, "npm.pkg.github.com"},
		{"npm", "https://host.example/x.tgz", url, "https://host.example/x.tgz", "host.example"},
		{"npm", "https://[::1]:8080/a/-/a-1.tgz", registry, "https://[::1]:8080/a/-/a-1.tgz", "[::1]:8080"},
		{"npm", "git+ssh://git@github.com/o/r.git#" + sha, git, "ssh://github.com/o/r.git", "github.com"},
		{"npm", "git+ssh://git@github.com:o/r.git#" + sha, git, "ssh://github.com/o/r.git", "github.com"},
		{"npm", "git+https://user:secret@git.example:8443/o/r.git?x=1#" + sha, git, "https://git.example:8443/o/r.git", "git.example:8443"},
		{"npm", "git://github.com/o/r.git", git, "git://github.com/o/r.git", "github.com"},
		{"npm", "git@github.com:o/r.git", git, "ssh://github.com/o/r.git", "github.com"},
		{"npm", "git@gitlab.example:group/sub/r.git#v1", git, "ssh://gitlab.example/group/sub/r.git", "gitlab.example"},
		{"npm", "github:o/r#" + sha, git, "https://github.com/o/r", "github.com"},
		{"npm", "github:user:token@o/r", git, "https://github.com/o/r", "github.com"},
		{"npm", "gitlab:o/r", git, "https://gitlab.com/o/r", "gitlab.com"},
		{"npm", "gist:" + sha, git, "https://gist.github.com/" + sha, "gist.github.com"},
		{"npm", "https://codeload.github.com/o/r/tar.gz/" + sha, git, "https://github.com/o/r", "github.com"},
		{"npm", "https://github.com/o/r/archive/refs/tags/v1.tar.gz", git, "https://github.com/o/r", "github.com"},
		{"npm", "https://api.github.com/repos/o/r/tarball/" + sha, git, "https://github.com/o/r", "github.com"},
		{"npm", "https://github.com/o/r/releases/download/v1/a-1.tgz", url, "https://github.com/o/r/releases/download/v1/a-1.tgz", "github.com"},
		{"npm", "https://github.com/o/r", git, "https://github.com/o/r", "github.com"},
		{"npm", "https://git.example/o/r.git", git, "https://git.example/o/r.git", "git.example"},
		{"npm", "github.com/o/r/" + sha, git, "https://github.com/o/r", "github.com"},
		// Credentials, queries and fragments.
		{"npm", "https://user:p%40ss@npm.corp.example/a/-/a-1.tgz?token=t#sha", registry, "https://npm.corp.example/a/-/a-1.tgz", "npm.corp.example"},
		{"npm", "https://user:p@ss@npm.corp.example/a/-/a-1.tgz", registry, "https://npm.corp.example/a/-/a-1.tgz", "npm.corp.example"},
		{"npm", "https://user:12/34@npm.corp.example/a/-/a-1.tgz", unknown, "", ""},
		{"npm", "https://user:p#w@npm.corp.example/a/-/a-1.tgz", unknown, "", ""},
		{"npm", "https://user:p?w@npm.corp.example/a/-/a-1.tgz", unknown, "", ""},
		{"npm", `https://user:pw\@npm.corp.example/a`, url, "https://npm.corp.example/a", "npm.corp.example"},
		{"npm", "https:///a", unknown, "", ""},
		{"npm", "https://", unknown, "", ""},
		{"npm", "https:foo", unknown, "", ""},
		// yarn: https://yarnpkg.com/protocols
		{"npm", "npm:4.17.21", registry, "", ""},
		{"npm", "npm:@scope/name@1.0.0", registry, "", ""},
		{"npm", "@scope/name@npm:1.0.0", registry, "", ""},
		{"npm", "npm:1.0.0::__archiveUrl=https%3A%2F%2Fu%3Ap%40npm.corp.example%2Fa%2F-%2Fa-1.tgz", registry, "https://npm.corp.example/a/-/a-1.tgz", "npm.corp.example"},
		{"npm", "patch:lodash@npm%3A4.17.21#~/.yarn/patches/lodash.patch", registry, "", ""},
		{"npm", "patch:@s/a@npm%3A1.0.0#./a.patch", registry, "", ""},
		{"npm", "lodash@patch:lodash@npm%3A4.17.21#~/.yarn/patches/lodash.patch::version=4.17.21&hash=abc", registry, "", ""},
		{"npm", "patch:a@https%3A%2F%2Fgithub.com%2Fo%2Fr.git#x", git, "https://github.com/o/r.git", "github.com"},
		{"npm", "patch:a@workspace%3A.#x", file, "", ""},
		{"npm", "workspace:^", file, "workspace:^", ""},
		{"npm", "workspace:packages/a", file, "workspace:packages/a", ""},
		{"npm", "link:../a", file, "link:../a", ""},
		{"npm", "portal:../a", file, "portal:../a", ""},
		{"npm", "file:a-1.0.0.tgz", file, "file:a-1.0.0.tgz", ""},
		{"npm", "file:../@scope/a", file, "file:../@scope/a", ""},
		{"npm", "file:///srv/a.tgz", file, "file:/srv/a.tgz", ""},
		{"npm", "file://user:secret@host/srv/a.tgz", file, "", ""},
		{"npm", "packages/a", file, "packages/a", ""},
		{"npm", "../a", file, "../a", ""},
		{"npm", "/srv/a", file, "/srv/a", ""},
		{"npm", `C:\src\a`, file, `C:\src\a`, ""},
		{"npm", `..\a`, file, `..\a`, ""},
		{"npm", "token@host/a", file, "", ""},
		// PyPI
		{"PyPI", "https://files.pythonhosted.org/packages/ab/cd/" + sha + "/a-1.0-py3-none-any.whl#sha256=x", registry, "https://files.pythonhosted.org/packages/ab/cd/" + sha + "/a-1.0-py3-none-any.whl", "files.pythonhosted.org"},
		{"PyPI", "https://pypi.org/simple", registry, "https://pypi.org/simple", "pypi.org"},
		{"PyPI", "https://u:p@pypi.corp.example/simple/", registry, "https://pypi.corp.example/simple/", "pypi.corp.example"},
		{"PyPI", "git+https://github.com/o/r@" + sha + "#egg=r", git, "https://github.com/o/r", "github.com"},
		{"PyPI", "git+https://user:secret@github.com/o/r.git@feature/x#egg=r", git, "https://github.com/o/r.git", "github.com"},
		{"PyPI", "git+ssh://git@github.com/o/r@v1", git, "ssh://github.com/o/r", "github.com"},
		{"PyPI", "https://host.example/a-1.0.tar.gz", url, "https://host.example/a-1.0.tar.gz", "host.example"},
		{"PyPI", "hg+https://hg.example/r", git, "https://hg.example/r", "hg.example"},
		// cargo: https://doc.rust-lang.org/cargo/reference/pkgid-spec.html
		{"crates.io", "registry+https://github.com/rust-lang/crates.io-index", registry, "https://github.com/rust-lang/crates.io-index", "crates.io"},
		{"crates.io", "sparse+https://index.crates.io/", registry, "https://index.crates.io/", "index.crates.io"},
		{"crates.io", "registry+https://github.com/evil/index", registry, "https://github.com/evil/index", "github.com"},
		{"crates.io", "registry+ssh://git@git.corp.example/index.git", registry, "ssh://git.corp.example/index.git", "git.corp.example"},
		{"crates.io", "git+https://github.com/o/r?rev=" + sha + "#" + sha, git, "https://github.com/o/r", "github.com"},
		{"crates.io", "path+file:///srv/a", file, "path+file:/srv/a", ""},
		// RubyGems: Gemfile.lock names a source by its base.
		{"RubyGems", "https://rubygems.org/", registry, "https://rubygems.org/", "rubygems.org"},
		{"RubyGems", "https://token@gems.corp.example/", registry, "https://gems.corp.example/", "gems.corp.example"},
		{"RubyGems", "https://github.com/o/r.git", git, "https://github.com/o/r.git", "github.com"},
		// Packagist's dists are archives of repositories.
		{"Packagist", "https://api.github.com/repos/o/r/zipball/" + sha, registry, "https://api.github.com/repos/o/r/zipball/" + sha, "api.github.com"},
		{"Packagist", "https://github.com/o/r.git", registry, "https://github.com/o/r.git", "github.com"},
		{"Packagist", "https://git.corp.example/o/r.git", git, "https://git.corp.example/o/r.git", "git.corp.example"},
		{"Packagist", "https://repo.corp.example/dists/o/r/1.zip", registry, "https://repo.corp.example/dists/o/r/1.zip", "repo.corp.example"},
		{"SwiftURL", "https://github.com/apple/swift-nio.git", registry, "https://github.com/apple/swift-nio.git", "github.com"},
		{"SwiftURL", "git@github.com:apple/swift-nio.git", registry, "ssh://github.com/apple/swift-nio.git", "github.com"},
		{"GitHub Actions", "actions/checkout@v4", registry, "", "github.com"},
		{"GitHub Actions", "./.github/actions/x", file, "./.github/actions/x", ""},
		{"Go", "https://proxy.golang.org/github.com/!burnt!sushi/toml/@v/v1.6.0.zip", registry, "https://proxy.golang.org/github.com/!burnt!sushi/toml/@v/v1.6.0.zip", "proxy.golang.org"},
		{"Go", "https://athens.corp.example/x/@v/v1.zip", registry, "https://athens.corp.example/x/@v/v1.zip", "athens.corp.example"},
		{"Maven", "https://repo1.maven.org/maven2/g/a/1/a-1.jar", registry, "https://repo1.maven.org/maven2/g/a/1/a-1.jar", "repo1.maven.org"},
		{"Maven", "https://nexus.example/r/g/a/1/a-1-sources.jar", registry, "https://nexus.example/r/g/a/1/a-1-sources.jar", "nexus.example"},
		{"Maven", "https://host.example/some/thing.jar", url, "https://host.example/some/thing.jar", "host.example"},
		{"NuGet", "https://api.nuget.org/v3/index.json", registry, "https://api.nuget.org/v3/index.json", "api.nuget.org"},
		{"NuGet", "https://pkgs.dev.azure.com/o/_packaging/f/nuget/v3/index.json", registry, "https://pkgs.dev.azure.com/o/_packaging/f/nuget/v3/index.json", "pkgs.dev.azure.com"},
		{"Pub", "https://pub.dev", registry, "https://pub.dev", "pub.dev"},
		{"Pub", "https://pub.corp.example", registry, "https://pub.corp.example", "pub.corp.example"},
		{"npm", "registry.npmjs.org", registry, "https://registry.npmjs.org", "registry.npmjs.org"},
		// No ecosystem.
		{"", "https://registry.npmjs.org/a/-/a-1.tgz", url, "https://registry.npmjs.org/a/-/a-1.tgz", "registry.npmjs.org"},
		{"", "git@github.com:o/r", git, "ssh://github.com/o/r", "github.com"},
		{"", "x", file, "x", ""},
		// Nothing, and nothing understood.
		{"npm", "", unknown, "", ""},
		{"npm", "  ", unknown, "", ""},
		{"npm", "a\x00b", unknown, "", ""},
		{"npm", "a\xffb", unknown, "", ""},
		{"npm", "user:secret@host/x", unknown, "", ""},
		{"npm", "x@ftps://user:secret@host/o/r@v1", unknown, "", ""},
		{"npm", "javascript:alert(1)", unknown, "", ""},
		{"npm", "https://host.example/" + strings.Repeat("a", maxOrigin), unknown, "", ""},
	} {
		var e *Ecosystem
		if test.ecosystem != "" {
			e = find(t, test.ecosystem)
		}
		want := rapsheet.Evidence{Origin: test.origin, URL: test.url, Host: test.host}
		if got := Origin(e, test.raw); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: Origin(%q)\n got %+v\nwant %+v", test.ecosystem, test.raw, got, want)
		}
	}
}

func TestIntegrity(t *testing.T) {
	// The digests of the empty text, from RFC 6234 and RFC 1321 and known to every tool.
	const (
		md5         = "d41d8cd98f00b204e9800998ecf8427e"
		sha1        = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
		sha1Base    = "2jmj7l5rSw0yVb/vlWAYkK/YBwk="
		sha256      = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
		sha256Base  = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
		sha384      = "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b"
		sha384Base  = "OLBgp1GsljhM2TJ+sbHjaiH9txEUvgdDTAzHv2P24donTt6/529l+9Ua0vFImLlb"
		sha512      = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
		sha512Base  = "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="
		other       = "0000000000000000000000000000000000000000"
		shortBase64 = "AAAA"
	)
	for _, test := range []struct {
		raw  string
		want []string // "algorithm hex"
	}{
		{"sha512-" + sha512Base, []string{"sha512 " + sha512}},
		{"sha512-" + sha512Base + " sha1-" + sha1Base, []string{"sha512 " + sha512, "sha1 " + sha1}},
		{"  sha1-" + sha1Base + "\n\tsha384-" + sha384Base + "?opt=x ", []string{"sha1 " + sha1, "sha384 " + sha384}},
		{"sha256-" + strings.TrimRight(sha256Base, "="), []string{"sha256 " + sha256}},
		{"sha256:" + sha256, []string{"sha256 " + sha256}},
		{"sha256=" + sha256, []string{"sha256 " + sha256}},
		{"sha256-" + sha256, []string{"sha256 " + sha256}},
		{"SHA-256:" + strings.ToUpper(sha256), []string{"sha256 " + sha256}},
		{"--hash=sha256:" + sha256, []string{"sha256 " + sha256}},
		{"md5:" + md5 + ",sha1:" + sha1, []string{"md5 " + md5, "sha1 " + sha1}},
		{"sha512:" + sha512, []string{"sha512 " + sha512}},
		{"sha1-" + sha1Base + " sha1:" + sha1, []string{"sha1 " + sha1}},
		{"sha1:" + sha1 + " sha1:" + other, []string{"sha1 " + sha1, "sha1 " + other}},
		// Left out.
		{"", nil},
		{sha1, nil},
		{"h1:" + sha256Base, nil},
		{"10c0/" + sha512, nil}, // yarn: the digest of its own archive
		{"sha3-" + sha512Base, nil},
		{"sha512-" + sha1Base, nil},
		{"sha256:" + sha1, nil},
		{"sha1:" + sha1 + "0", nil},
		{"sha1:" + sha1[:39] + "g", nil},
		{"sha1-" + shortBase64, nil},
		{"sha1-", nil},
		{"sha1-!!!!", nil},
		{"-", nil},
		{"\u212a:x", nil},
	} {
		var got []string
		for _, d := range Integrity(test.raw) {
			got = append(got, d.Algorithm+" "+d.Hex)
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("Integrity(%q) = %q, want %q", test.raw, got, test.want)
		}
	}
	var many strings.Builder
	for i := range 2 * maxDigests {
		fmt.Fprintf(&many, "sha1:%040x ", i)
	}
	if got := len(Integrity(many.String())); got != maxDigests {
		t.Errorf("%d digests kept", got)
	}
}

func FuzzOrigin(f *testing.F) {
	for _, scheme := range []string{"https://", "git+ssh://", "git+https://", "registry+https://", "sparse+https://", "file://", "//", "", "x@https://", "patch:a@", "npm:1::__archiveUrl=https%3A%2F%2F", "github:"} {
		f.Add("npm", scheme, "user", "s3cr3t", "host.example/o/r.git?token#"+"x")
		f.Add("PyPI", scheme, "", "tok:en", "host:o/r@v1")
		f.Add("crates.io", scheme, "u@v", "a@b:c", "github.com:22/rust-lang/crates.io-index")
	}
	f.Add("npm", "x@dttps://", "", "tok:en", "host:o/r@v1")
	f.Add("npm", "x@htpp:/ttpp://", "u", "a@b:c", "github.com:22/o/r")
	f.Fuzz(func(t *testing.T, ecosystem, scheme, user, password, rest string) {
		e, _ := Find(ecosystem)
		check := func(ev rapsheet.Evidence, raw string) {
			for _, s := range []string{ev.URL, ev.Host} {
				if strings.ContainsAny(s, "?#") || !printableText(s) {
					t.Errorf("Origin(%q) keeps %q", raw, s)
				}
			}
			if ev.Host != lowerASCII(ev.Host) {
				t.Errorf("Origin(%q): host %q", raw, ev.Host)
			}
		}
		raw := scheme + user + ":" + password + "@" + rest
		check(Origin(e, raw), raw)
		for _, qualifier := range []string{"repository_url", "vcs_url", "download_url"} {
			if _, ev, err := ParsePURL("pkg:npm/a?" + qualifier + "=" + neturl.PathEscape(raw)); err == nil {
				check(ev, raw)
			}
		}
		// RFC 3986, section 3.2.1: these characters end the authority, and what is
		// behind them is no userinfo. The marker is found in no other part.
		if strings.ContainsAny(user+password, `/?#`) || strings.ContainsAny(scheme, "?#") || strings.Contains(scheme+rest, "MARK") {
			return
		}
		raw = scheme + user + "MARK:MARK" + password + "@" + rest
		// Without a colon before them, slashes begin a path: "host//a:b@c" has no userinfo.
		if at := strings.Index(scheme, "//"); scheme != "" && (at < 0 || at+2 != len(scheme) || at > 0 && scheme[at-1] != ':') {
			return
		}
		ev := Origin(e, raw)
		if printableText(raw) {
			at := registryAt(&npm, raw)
			ev.URL += at.URL
			ev.Host += at.Host
		}
		if out := strings.ToUpper(ev.URL + ev.Host); strings.Contains(out, "MARK") {
			t.Errorf("Origin(%q) keeps credentials: %+v", raw, ev)
		}
		Integrity(raw)
	})
}
