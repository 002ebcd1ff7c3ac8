package pkgarchive

import (
	"regexp"
	"strings"
)

// Name patterns. The versions are those that the registries accept; where names may have digits in them, the version
// is what could not be part of a name.
var (
	nugetName  = regexp.MustCompile(`^(.+?)\.(\d+(?:\.\d+){1,3}(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)$`)
	semverName = regexp.MustCompile(`^(.+?)-v?(\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]*)?)$`)
	gemName    = regexp.MustCompile(`^(.+?)-(\d+(?:\.[0-9A-Za-z]+)*)(?:-[0-9A-Za-z_.-]+)?$`)
	vsixName   = regexp.MustCompile(`^([0-9A-Za-z-]+\.[0-9A-Za-z_-]+?)-(\d+\.\d+\.\d+)(?:[-@][0-9A-Za-z-]+)?$`)
	sdistStem  = regexp.MustCompile(`^(.+)-(\d[0-9A-Za-z.+!_-]*)$`)
)

// ByName says which format and package a file is from its name alone. The package's Name is "" where names of the
// format do not say it in full, as those of jars. ok is false for names that no package archive has, and for those
// that any archive may have (.zip, .tar.gz); a .tgz may be something else than npm's.
func ByName(base string) (format string, p Package, ok bool) {
	stem, ext, found := cutExtension(base)
	if !found {
		return "", p, false
	}
	match := func(eco string, re *regexp.Regexp) Package {
		if m := re.FindStringSubmatch(stem); m != nil {
			return Package{Ecosystem: eco, Name: m[1], Version: m[2]}
		}
		return Package{}
	}
	switch ext {
	case ".whl", ".egg":
		// {distribution}-{version}(-{build})?-{python}-{abi}-{platform}.whl, no part has a "-"
		// (packaging.python.org/en/latest/specifications/binary-distribution-format/); eggs are {name}-{version}-py{X.Y}.
		format = Wheel
		if ext == ".egg" {
			format = Egg
		}
		if parts := strings.Split(stem, "-"); len(parts) >= 2 && parts[0] != "" && len(parts) <= 6 {
			p = Package{Ecosystem: "PyPI", Name: parts[0], Version: parts[1]}
		}
		return format, p, true
	case ".nupkg":
		return NuGet, match("NuGet", nugetName), true
	case ".crate":
		return Crate, match("crates.io", semverName), true
	case ".gem":
		return Gem, match("RubyGems", gemName), true
	case ".tgz":
		return NPM, match("npm", semverName), true
	case ".vsix":
		return VSIX, match("VSCode", vsixName), true
	}
	return Jar, p, true
}

// cutExtension splits off the extension of a package archive, in lower case.
func cutExtension(base string) (stem, ext string, ok bool) {
	i := strings.LastIndexByte(base, '.')
	if i <= 0 {
		return "", "", false
	}
	switch ext = strings.ToLower(base[i:]); ext {
	case ".whl", ".egg", ".nupkg", ".crate", ".gem", ".tgz", ".vsix", ".jar", ".war", ".ear":
		return base[:i], ext, true
	}
	return "", "", false
}

// sdistName reads {name}-{version}.tar.gz; before PEP 625 names had dashes in them.
func sdistName(base string) Package {
	stem := base
	for _, ext := range []string{".zip", ".gz", ".bz2", ".xz", ".tgz", ".tar"} {
		stem = strings.TrimSuffix(stem, ext)
	}
	if m := sdistStem.FindStringSubmatch(stem); m != nil {
		return Package{Ecosystem: "PyPI", Name: m[1], Version: m[2]}
	}
	return Package{}
}
