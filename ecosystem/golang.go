package ecosystem

import "strings"

// Go: module paths are case-sensitive, and a purl has lost the case: its type
// wants namespace and name in lower case
// (https://github.com/package-url/purl-spec/blob/main/types-doc/golang-definition.md).
// So the key is the path in lower case, and [Ecosystem.SameName] looks at the
// case where it is still there. A major version (/v2, gopkg.in/x.v1) is part of
// the path and makes another module (https://go.dev/ref/mod#major-version-suffixes).
var golang = Ecosystem{
	Name:     "Go",
	PURLType: "golang",
	// A module is named after its repository, so the repository is as good as the proxy.
	Hosts: []string{
		"proxy.golang.org", "sum.golang.org", "goproxy.io", "goproxy.cn", "proxy.golang.com.cn", "pkg.go.dev",
		"mirrors.aliyun.com", "github.com", "gitlab.com", "bitbucket.org", "gopkg.in", "golang.org", "go.googlesource.com",
	},
	canonical: canonicalModule,
	spell:     canonicalModule,
	// Go's versions are SemVer after a "v" (https://go.dev/ref/mod#versions);
	// pseudo-versions are pre-releases, "+incompatible" is build metadata, and
	// some tools leave out the "v".
	valid:        validSemver,
	compare:      compareSemver,
	registryPath: func(path string) bool { return strings.Contains(path, "/@v/") },
	forge:        true,
}

// canonicalModule lowers a module path. "!" is not allowed in one and is how
// proxies write a capital (https://go.dev/ref/mod#goproxy-protocol).
func canonicalModule(path string) string {
	return lowerASCII(strings.ReplaceAll(path, "!", ""))
}

// sameModule reports whether sighted may be the published module: the same path,
// or the published one with its capitals lost on the way through a purl.
func sameModule(published, sighted string) bool {
	published, sighted = unescapeModule(published), unescapeModule(sighted)
	return published == sighted || sighted == lowerASCII(published)
}

// unescapeModule undoes the module proxy's escaping: "!x" is "X".
func unescapeModule(path string) string {
	if strings.IndexByte(path, '!') < 0 {
		return path
	}
	b := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '!' && i+1 < len(path) && 'a' <= path[i+1] && path[i+1] <= 'z' {
			i++
			c = path[i] - ('a' - 'A')
		}
		b = append(b, c)
	}
	return string(b)
}

// EscapeModule writes a module path or version as the module proxy protocol does, "!" and the small letter for each capital
// one, also where it cannot be downloaded (https://go.dev/ref/mod#goproxy-protocol).
func EscapeModule(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b.WriteByte('!')
			b.WriteByte(c + 'a' - 'A')
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
