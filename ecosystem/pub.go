package ecosystem

import "strings"

// Pub: names are lower case with underscores (https://dart.dev/tools/pub/pubspec#name).
var pub = Ecosystem{
	Name:      "Pub",
	PURLType:  "pub",
	Hosts:     []string{"pub.dev", "pub.dartlang.org", "pub-web.flutter-io.cn", "pub.flutter-io.cn"},
	canonical: lowerASCII,
	valid:     func(v string) bool { _, ok := parseRelease(v, 3, leadingZeros); return ok },
	compare:   comparePub,
	// A lockfile names a hosted source by its base URL
	// (https://github.com/dart-lang/pub/blob/master/doc/repository-spec-v2.md).
	registryPath: func(path string) bool {
		return !archivePath(path) || strings.Contains(path, "/packages/") || strings.Contains(path, "/archives/")
	},
}

// comparePub is SemVer's order, and unlike it build metadata counts: a version
// with it is above the one without (https://pub.dev/packages/pub_semver).
func comparePub(a, b string) (int, bool) {
	x, okA := parseRelease(a, 3, leadingZeros)
	y, okB := parseRelease(b, 3, leadingZeros)
	if !okA || !okB {
		return 0, false
	}
	if c := compareReleases(&x, &y); c != 0 {
		return c, true
	}
	switch {
	case x.build == y.build:
		return 0, true
	case x.build == "":
		return -1, true
	case y.build == "":
		return 1, true
	}
	return compareIdentifiers(x.build, y.build), true
}
