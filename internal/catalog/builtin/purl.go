package builtin

import (
	"fmt"
	"regexp"
	"strings"
)

// pypiName is a normalised project name
// (https://packaging.python.org/en/latest/specifications/name-normalization/).
var pypiName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// purl gives the package URL of a package without version or qualifiers, for
// the ecosystems of the incidents only (https://github.com/package-url/purl-spec).
// Everything else, and a name that the ecosystem cannot have, is an error.
func purl(ecosystem, name string) (string, error) {
	split := func(sep string) (namespace, rest string, ok bool) {
		namespace, rest, ok = strings.Cut(name, sep)
		return namespace, rest, ok && namespace != "" && rest != ""
	}
	bad := fmt.Errorf("%q is not a name in %s", name, ecosystem)
	if name == "" || strings.ContainsAny(name, " \t\r\n") {
		return "", bad
	}
	switch ecosystem {
	case "npm":
		if strings.HasPrefix(name, "@") {
			scope, rest, ok := split("/")
			if !ok || strings.Contains(rest, "/") {
				return "", bad
			}
			return join("npm", scope, rest), nil
		}
		if strings.Contains(name, "/") {
			return "", bad
		}
		return join("npm", name), nil
	case "PyPI":
		if !pypiName.MatchString(name) {
			return "", bad
		}
		return join("pypi", name), nil
	case "RubyGems", "NuGet", "crates.io":
		if strings.Contains(name, "/") {
			return "", bad
		}
		return join(map[string]string{"RubyGems": "gem", "NuGet": "nuget", "crates.io": "cargo"}[ecosystem], name), nil
	case "Go":
		return join("golang", strings.Split(strings.ToLower(name), "/")...), nil
	case "Maven":
		group, artifact, ok := split(":")
		if !ok {
			return "", bad
		}
		return join("maven", group, artifact), nil
	case "Packagist":
		vendor, project, ok := split("/")
		if !ok {
			return "", bad
		}
		return join("composer", strings.ToLower(vendor), strings.ToLower(project)), nil
	case "VSCode":
		publisher, extension, ok := split(".")
		if !ok {
			return "", bad
		}
		return join("vscode-extension", publisher, extension), nil
	case "GitHub Actions":
		owner, repository, ok := split("/")
		if !ok {
			return "", bad
		}
		return join("githubactions", strings.ToLower(owner), strings.ToLower(repository)), nil
	}
	return "", fmt.Errorf("ecosystem %q is not one that the built-in incidents use", ecosystem)
}

// rangeType gives the type of a range over all versions; SEMVER is for the
// ecosystems whose versions OSV orders that way.
func rangeType(ecosystem string) string {
	switch ecosystem {
	case "npm", "crates.io", "Go":
		return "SEMVER"
	}
	return "ECOSYSTEM"
}

// join writes a package URL, percent-encoding each byte of a segment that a
// package URL does not leave as it is.
func join(kind string, segments ...string) string {
	var b strings.Builder
	b.WriteString("pkg:" + kind)
	for _, s := range segments {
		b.WriteByte('/')
		for i := range len(s) {
			switch c := s[i]; {
			case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0:
				b.WriteByte(c)
			default:
				fmt.Fprintf(&b, "%%%02X", c)
			}
		}
	}
	return b.String()
}
