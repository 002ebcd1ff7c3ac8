package sameanswers

import (
	"net/url"
	"slices"
	"strings"

	"github.com/google/osv-scalibr/semantic"

	"github.com/rapsheet/rapsheet"
)

// compare orders two versions by osv-scalibr's package semantic, which is not ours; what it has no order for (VSCode, GitHub Actions) has that of SemVer.
// ok is false for what is no version.
func compare(eco, v, w string) (c int, ok bool) {
	if eco == "VSCode" || eco == "GitHub Actions" {
		eco, v, w = "npm", strings.TrimPrefix(v, "v"), strings.TrimPrefix(w, "v")
	}
	if eco == "Packagist" && (strings.HasPrefix(v, "dev-") || strings.HasPrefix(w, "dev-")) {
		return 0, false // branches are equal by their name alone
	}
	a, err := semantic.Parse(v, eco)
	if err != nil {
		return 0, false
	}
	c, err = a.CompareStr(w)
	return c, err == nil
}

// holds evaluates comparisons joined by commas or blanks and, above them, by "|" or "||"; nothing and "*" hold for every version.
func holds(eco, constraint, version string) bool {
	for _, alternative := range strings.Split(strings.ReplaceAll(constraint, "||", "|"), "|") {
		if every(strings.FieldsFunc(alternative, func(r rune) bool { return r == ',' || r == ' ' }), func(term string) bool { return term == "*" || comparison(eco, term, version) }) {
			return true
		}
	}
	return false
}

func every(terms []string, hold func(string) bool) bool {
	return !slices.ContainsFunc(terms, func(t string) bool { return !hold(t) })
}

func comparison(eco, term, version string) bool {
	than := strings.TrimLeft(term, "<>=!~^")
	c, ok := compare(eco, version, than)
	switch sign := term[:len(term)-len(than)]; sign {
	case "", "=", "==":
		return version == than || ok && c == 0
	case "!=":
		return version != than && !(ok && c == 0)
	case "<":
		return ok && c < 0
	case "<=":
		return ok && c <= 0
	case ">":
		return ok && c > 0
	case ">=":
		return ok && c >= 0
	}
	return false
}

// event of a range of OSV.
type event struct {
	Introduced, Fixed, Limit string
	LastAffected             string `json:"last_affected"`
}

// affected is OSV's evaluation (https://ossf.github.io/osv-schema/#evaluation) of one package of a record.
type affected struct {
	Package  struct{ Ecosystem, Name, PURL string }
	Versions []string
	Ranges   []struct {
		Type   string
		Events []event
	}
}

func (a *affected) holds(eco, version string) bool {
	if slices.Contains(a.Versions, version) {
		return true
	}
	for _, r := range a.Ranges {
		in := false
		for _, e := range r.Events {
			at := func(v string) int {
				c, ok := compare(eco, version, v)
				if !ok {
					return -1
				}
				return c
			}
			switch {
			case e.Introduced == "0", e.Introduced != "" && at(e.Introduced) >= 0:
				in = true
			case e.Fixed != "" && at(e.Fixed) >= 0, e.LastAffected != "" && at(e.LastAffected) > 0:
				in = false
			}
		}
		if in && r.Type != "GIT" {
			return true
		}
	}
	return false
}

// purlTypes are those of https://github.com/package-url/purl-spec/tree/main/types.
var purlTypes = map[string]string{
	"npm": "npm", "PyPI": "pypi", "RubyGems": "gem", "Go": "golang", "crates.io": "cargo", "Maven": "maven", "NuGet": "nuget", "Packagist": "composer",
	"Hex": "hex", "Pub": "pub", "SwiftURL": "swift", "VSCode": "vscode-extension", "GitHub Actions": "githubactions", "CRAN": "cran", "Hackage": "hackage",
}

// purl is the package's purl, written down here a second time; the name stays as it is spelled.
func purl(p rapsheet.Package) string {
	name := p.Name
	switch p.Ecosystem {
	case "Maven", "VSCode":
		name = strings.NewReplacer(":", "/").Replace(name)
		if p.Ecosystem == "VSCode" {
			name = strings.Replace(name, ".", "/", 1)
		}
	}
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = strings.NewReplacer("@", "%40", "+", "%2B").Replace(url.PathEscape(parts[i]))
	}
	out := "pkg:" + purlTypes[p.Ecosystem] + "/" + strings.Join(parts, "/")
	if p.Version != "" {
		out += "@" + strings.NewReplacer("@", "%40", "+", "%2B", ":", "%3A").Replace(url.PathEscape(p.Version))
	}
	return out
}

// client is a package's name as the ecosystem's own clients ask for it and as tools compare it: PEP 503's form, NuGet's, Composer's
// and VS Code's in small letters, all others as they are.
func client(eco, name string) string {
	switch eco {
	case "PyPI":
		out := strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(name))
		for strings.Contains(out, "--") {
			out = strings.ReplaceAll(out, "--", "-")
		}
		return out
	case "NuGet", "Packagist", "VSCode", "GitHub Actions":
		return strings.ToLower(name)
	}
	return name
}
