package registry

import (
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/rapsheet/rapsheet/ecosystem"
)

func itoa(n int) string { return strconv.Itoa(n) }

func unixMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// packageOfPath reads a package out of an archive's path in a repository of its ecosystem; ok is false for what
// is no archive or follows another layout.
func packageOfPath(eco *ecosystem.Ecosystem, full string) (name, version string, ok bool) {
	dir, file := path.Split(full)
	dir = strings.Trim(dir, "/")
	switch eco.Name {
	case "npm":
		// <name>/-/<name>-<version>.tgz (github.com/npm/registry, package-metadata.md); Artifactory adds the scope: -/@scope/….
		before, after, found := strings.Cut("/"+full, "/-/")
		before = strings.Trim(before, "/")
		base, isTar := strings.CutSuffix(path.Base(after), ".tgz")
		v, named := strings.CutPrefix(base, path.Base(before)+"-")
		return before, v, found && isTar && named && v != ""
	case "PyPI":
		return pypiFile(file)
	case "NuGet":
		// learn.microsoft.com/nuget/concepts/package-versioning: the version begins at the first part that is a number.
		base, isPackage := strings.CutSuffix(strings.ToLower(file), ".nupkg")
		if !isPackage || strings.HasSuffix(base, ".symbols") {
			return "", "", false
		}
		parts := strings.Split(file[:len(base)], ".")
		for i := 1; i < len(parts); i++ {
			if parts[i] != "" && parts[i][0] >= '0' && parts[i][0] <= '9' {
				return strings.Join(parts[:i], "."), strings.Join(parts[i:], "."), true
			}
		}
	case "RubyGems":
		// guides.rubygems.org/specification-reference: versions begin with a digit; a platform may follow.
		base, isGem := strings.CutSuffix(file, ".gem")
		for i := strings.IndexByte(base, '-'); isGem && i >= 0; {
			if rest := base[i+1:]; rest != "" && rest[0] >= '0' && rest[0] <= '9' && i > 0 {
				v, _, _ := strings.Cut(rest, "-")
				return base[:i], v, true
			}
			j := strings.IndexByte(base[i+1:], '-')
			if j < 0 {
				break
			}
			i += 1 + j
		}
	case "crates.io":
		base, isCrate := strings.CutSuffix(file, ".crate")
		for i := 1; isCrate && i+1 < len(base); i++ {
			core, _, _ := strings.Cut(base[i+1:], "-")
			core, _, _ = strings.Cut(core, "+")
			if base[i] == '-' && strings.Count(core, ".") == 2 && semver.IsValid("v"+base[i+1:]) {
				return base[:i], base[i+1:], true
			}
		}
	case "Go":
		// go.dev/ref/mod#goproxy-protocol
		mod, rest, found := strings.Cut(full, "/@v/")
		v, isZip := strings.CutSuffix(rest, ".zip")
		if !found || !isZip {
			return "", "", false
		}
		m, err1 := module.UnescapePath(mod)
		ver, err2 := module.UnescapeVersion(v)
		return m, ver, err1 == nil && err2 == nil
	case "Maven":
		// maven.apache.org/repository/layout.html: group/artifact/version/artifact-version[-classifier].ext
		parts := strings.Split(dir, "/")
		if n := len(parts); n >= 3 && strings.HasPrefix(file, parts[n-2]+"-") && !strings.HasPrefix(file, "maven-metadata") {
			return strings.Join(parts[:n-2], ".") + ":" + parts[n-2], parts[n-1], true
		}
	case "Packagist":
		// Artifactory, "PHP Composer Repositories": <vendor>/<name>/…/<name>-<version>.zip
		parts := strings.Split(dir, "/")
		base, isZip := strings.CutSuffix(file, ".zip")
		if isZip && len(parts) >= 2 {
			if v, named := strings.CutPrefix(base, parts[1]+"-"); named && v != "" {
				return parts[0] + "/" + parts[1], v, true
			}
		}
	case "CRAN":
		base, isTar := strings.CutSuffix(file, ".tar.gz")
		n, v, found := strings.Cut(base, "_")
		return n, v, isTar && found && v != ""
	}
	return "", "", false
}

// sdists are the endings of source distributions that pip takes.
var sdists = []string{".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz", ".tar.Z", ".tar"}

// pypiFile reads the name of a distribution: a wheel's (packaging.python.org, binary-distribution-format), an
// egg's, or an sdist's, whose version begins behind the last "-" that a digit follows.
func pypiFile(file string) (name, version string, ok bool) {
	for _, ext := range []string{".whl", ".egg"} {
		if base, is := strings.CutSuffix(file, ext); is {
			parts := strings.Split(base, "-")
			if len(parts) < 3 || parts[0] == "" || parts[1] == "" {
				return "", "", false
			}
			return parts[0], parts[1], true
		}
	}
	for _, ext := range sdists {
		base, is := strings.CutSuffix(file, ext)
		if !is {
			continue
		}
		for i := len(base) - 2; i > 0; i-- {
			if base[i] == '-' && base[i+1] >= '0' && base[i+1] <= '9' {
				return base[:i], base[i+1:], true
			}
		}
		return "", "", false
	}
	return "", "", false
}
