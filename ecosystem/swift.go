package ecosystem

import "strings"

// SwiftURL: a package is named by the URL of its repository, "github.com/apple/swift-nio"
// (https://ossf.github.io/osv-schema/#defined-ecosystems). SwiftPM compares
// locations without scheme, user, ".git" and case.
var swift = Ecosystem{
	Name:      "SwiftURL",
	PURLType:  "swift",
	Hosts:     []string{"github.com", "www.github.com", "gitlab.com", "bitbucket.org"},
	canonical: canonicalSwift,
	spell:     canonicalSwift,
	valid:     validSemver,
	compare:   compareSemver,
	forge:     true,
}

// canonicalSwift takes off what does not tell packages apart. What it gives is a
// fixed point, however often a hostile name repeats a prefix or suffix.
func canonicalSwift(name string) string {
	name = lowerASCII(name)
	for {
		before := name
		for _, prefix := range [...]string{"https://", "http://", "ssh://", "git://", "git@", "www."} {
			name = strings.TrimPrefix(name, prefix)
		}
		name = strings.TrimSuffix(strings.Trim(name, "/"), ".git")
		// git@github.com:apple/swift-nio
		if host, path, ok := strings.Cut(name, ":"); ok && path != "" && path[0] != '/' && !isDigit(path[0]) && !strings.Contains(host, "/") {
			name = host + "/" + path
		}
		if name == before {
			return name
		}
	}
}

// SwiftName is the SwiftURL name of a repository, spelt as its location: "github.com/Apple/swift-nio" for
// https://github.com/Apple/swift-nio.git and git@github.com:Apple/swift-nio.git. User and password are left out, and it
// is "" where they cannot be told from the rest.
func SwiftName(location string) string {
	name := location
	if _, rest, ok := strings.Cut(location, "://"); ok {
		name = rest
	} else if host, rest, ok := strings.Cut(location, ":"); ok {
		name = host + "/" + rest
	}
	if host, rest, ok := strings.Cut(name, "/"); ok {
		name = strings.ToLower(host[strings.LastIndexByte(host, '@')+1:]) + "/" + rest
	}
	if strings.Contains(name, "@") || strings.Contains(name, "://") {
		return "" // what is before it may be a password
	}
	return strings.TrimSuffix(strings.TrimSuffix(name, "/"), ".git")
}
