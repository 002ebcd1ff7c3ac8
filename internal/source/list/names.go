package list

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// spellings are what people call the ecosystems, in lower case without spaces,
// dashes, underscores and dots; OSV's own names are in it too.
var spellings = map[string]string{
	"npm": "npm", "npmjs": "npm", "node": "npm", "nodejs": "npm", "js": "npm", "javascript": "npm", "typescript": "npm", "yarn": "npm", "pnpm": "npm",
	"pypi": "PyPI", "pip": "PyPI", "python": "PyPI", "pythonpackageindex": "PyPI", "python3": "PyPI",
	"rubygems": "RubyGems", "rubygem": "RubyGems", "gem": "RubyGems", "gems": "RubyGems", "ruby": "RubyGems", "bundler": "RubyGems",
	"nuget": "NuGet", "net": "NuGet", "dotnet": "NuGet", "csharp": "NuGet", "c#": "NuGet",
	"go": "Go", "golang": "Go", "gomod": "Go", "gomodules": "Go",
	"crates": "crates.io", "cratesio": "crates.io", "cargo": "crates.io", "rust": "crates.io", "crate": "crates.io",
	"packagist": "Packagist", "composer": "Packagist", "php": "Packagist",
	"maven": "Maven", "mavencentral": "Maven", "mvn": "Maven", "java": "Maven", "gradle": "Maven",
	"hex": "Hex", "hexpm": "Hex", "elixir": "Hex", "erlang": "Hex",
	"pub": "Pub", "pubdev": "Pub", "dart": "Pub", "flutter": "Pub",
	"swift": "SwiftURL", "swifturl": "SwiftURL", "swiftpm": "SwiftURL",
	"vscode": "VSCode", "vscodeextension": "VSCode", "visualstudiocode": "VSCode", "vsmarketplace": "VSCode", "openvsx": "VSCode", "editorextension": "VSCode", "vsx": "VSCode",
	"githubactions": "GitHub Actions", "githubaction": "GitHub Actions", "ghactions": "GitHub Actions",
	"hackage": "Hackage", "haskell": "Hackage",
	"cran": "CRAN",
}

var dropPunctuation = strings.NewReplacer(" ", "", "-", "", "_", "", ".", "")

// ecosystemOf gives OSV's name of an ecosystem in anybody's spelling.
func ecosystemOf(s string) (string, bool) {
	if s == "" || len(s) > 64 {
		return "", false
	}
	name, ok := spellings[s]
	if !ok {
		name, ok = spellings[dropPunctuation.Replace(strings.ToLower(strings.TrimSpace(s)))]
	}
	return name, ok
}

// sectionWords may stand around an ecosystem in a heading: "Malicious npm packages".
var sectionWords = map[string]bool{
	"package": true, "packages": true, "malicious": true, "compromised": true, "affected": true, "infected": true,
	"ecosystem": true, "registry": true, "the": true, "list": true, "of": true, "on": true, "all": true, "modules": true, "versions": true, "and": true,
}

// sectionEcosystem gives the one ecosystem that a heading names, if it names
// nothing else.
func sectionEcosystem(heading string) string {
	if len(heading) > 100 {
		return ""
	}
	found := ""
	for _, word := range strings.FieldsFunc(strings.ToLower(heading), func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune("#*:[]()`,=", r)
	}) {
		eco, ok := ecosystemOf(word)
		switch {
		case ok && (found == "" || found == eco):
			found = eco
		case !sectionWords[word]:
			return ""
		}
	}
	return found
}

// pages are where registries show a package: the host, the path before the name,
// and the ecosystem.
var pages = []struct{ host, path, eco string }{
	{"npmjs.com", "/package/", "npm"},
	{"pypi.org", "/project/", "PyPI"},
	{"rubygems.org", "/gems/", "RubyGems"},
	{"nuget.org", "/packages/", "NuGet"},
	{"crates.io", "/crates/", "crates.io"},
	{"pkg.go.dev", "/", "Go"},
	{"packagist.org", "/packages/", "Packagist"},
}

// pageOf reads the address of a package's page at its registry.
func pageOf(s string) (eco, name, version string, ok bool) {
	if !webURL(s) {
		return "", "", "", false
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", "", "", false
	}
	for _, p := range pages {
		rest, found := strings.CutPrefix(u.Path, p.path)
		if !found || strings.TrimPrefix(strings.ToLower(u.Host), "www.") != p.host {
			continue
		}
		name = strings.Trim(rest, "/")
		switch p.eco {
		case "npm":
			name, version, _ = strings.Cut(name, "/v/")
		case "Go":
			name, version, _ = strings.Cut(name, "@")
		case "PyPI", "NuGet", "crates.io":
			name, version, _ = strings.Cut(name, "/")
		case "RubyGems":
			name, version, _ = strings.Cut(name, "/versions/")
		}
		return p.eco, name, version, validName(p.eco, name) == ""
	}
	return "", "", "", false
}

// nameRule is what a name of an ecosystem may look like.
type nameRule struct {
	limit int // bytes
	// extra are the characters that a name may have besides ASCII letters and digits.
	extra string
	// letters allows the letters of every alphabet.
	letters bool
	// form checks what the characters do not say; "" when it is right.
	form func(name string) string
}

// nameRules are the registries' rules as far as they tell a name from something
// else; a rule that old packages break is not here (npm's lower case).
//
//   - npm: https://docs.npmjs.com/cli/configuring-npm/package-json#name
//   - PyPI: https://packaging.python.org/specifications/name-normalization/
//   - RubyGems: https://guides.rubygems.org/name-your-gem/ and Gem::Specification::VALID_NAME_PATTERN
//   - NuGet: https://learn.microsoft.com/en-us/nuget/reference/nuspec#id
//   - crates.io: https://doc.rust-lang.org/cargo/reference/manifest.html#the-name-field
//   - Maven: https://maven.apache.org/guides/mini/guide-naming-conventions.html
//   - Packagist: https://getcomposer.org/doc/04-schema.md#name
//   - Go: https://go.dev/ref/mod#go-mod-file-ident
//   - VSCode: https://code.visualstudio.com/api/references/extension-manifest
var nameRules = map[string]nameRule{
	"npm":            {limit: 214, extra: "@/._~!'()*-", form: npmForm},
	"PyPI":           {limit: 255, extra: "._-", form: edgesForm},
	"RubyGems":       {limit: 255, extra: "._-"},
	"NuGet":          {limit: 255, extra: "._-", letters: true},
	"crates.io":      {limit: 64, extra: "_-"},
	"Maven":          {limit: 512, extra: ":._-", form: partsForm(":", "group:artifact")},
	"Packagist":      {limit: 255, extra: "/._-", form: partsForm("/", "vendor/name")},
	"Go":             {limit: 512, extra: "/._~!+-", form: moduleForm},
	"VSCode":         {limit: 255, extra: "/._-", form: extensionForm},
	"GitHub Actions": {limit: 512, extra: "/._-", form: actionForm},
	"Hex":            {limit: 255, extra: "_"},
	"Pub":            {limit: 255, extra: "_"},
	"CRAN":           {limit: 255, extra: "."},
	"Hackage":        {limit: 255, extra: "-"},
}

func npmForm(name string) string {
	scope, base, scoped := strings.Cut(name, "/")
	switch {
	case !scoped && strings.Contains(name, "@"), scoped && (len(scope) < 2 || scope[0] != '@' || strings.Contains(scope[1:], "@")):
		return "want name or @scope/name"
	case scoped && (base == "" || strings.ContainsAny(base, "@/")):
		return "want name or @scope/name"
	}
	return ""
}

func edgesForm(name string) string {
	if !alphanumeric(name[0]) || !alphanumeric(name[len(name)-1]) {
		return "it must begin and end with a letter or digit"
	}
	return ""
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// partsForm wants two parts that are not empty.
func partsForm(sep, want string) func(string) string {
	return func(name string) string {
		a, b, ok := strings.Cut(name, sep)
		if !ok || a == "" || b == "" || strings.Contains(b, sep) {
			return "want " + want
		}
		return ""
	}
}

func moduleForm(name string) string {
	host, _, _ := strings.Cut(name, "/")
	if !strings.Contains(host, ".") || host[0] == '.' {
		return "want a module path that begins with a host"
	}
	return ""
}

func extensionForm(name string) string {
	i := strings.IndexAny(name, "./")
	if i <= 0 || i == len(name)-1 {
		return "want publisher.name"
	}
	return ""
}

func actionForm(name string) string {
	owner, repo, _ := strings.Cut(name, "/")
	if owner == "" || repo == "" {
		return "want owner/repository"
	}
	return ""
}

// validName says why name cannot be a package of the ecosystem, "" when it can.
func validName(eco, name string) string {
	if _, known := ecosystem.Find(eco); !known {
		return plausibleName(name)
	}
	if _, ok := ecosystem.KeyOf(rapsheet.Package{Ecosystem: eco, Name: name}); !ok {
		if reason := plausibleName(name); reason != "" {
			return reason
		}
		return "not a name of " + eco
	}
	rule, ok := nameRules[eco]
	if !ok {
		return plausibleName(name)
	}
	if len(name) > rule.limit {
		return "longer than any name of " + eco
	}
	some := false
	for i, r := range name {
		switch {
		case r < utf8.RuneSelf && alphanumeric(name[i]):
			some = true
		case r < utf8.RuneSelf && strings.IndexByte(rule.extra, byte(r)) >= 0:
		case rule.letters && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)):
			some = true
		case unicode.IsSpace(r):
			return "white space in a name of " + eco
		default:
			return "a character that no name of " + eco + " has"
		}
	}
	// npm has packages called "-" and "_": nothing but such characters is a name there.
	if !some && eco != "npm" {
		return "no letter or digit in it"
	}
	if rule.form != nil {
		if reason := rule.form(name); reason != "" {
			return "not a name of " + eco + ": " + reason
		}
	}
	return ""
}

// plausibleName says why name cannot be a name anywhere.
func plausibleName(name string) string {
	switch {
	case name == "":
		return "no name"
	case len(name) > ecosystem.MaxIdentifier:
		return "a name longer than 1,024 bytes"
	case !cleanText(name):
		return "control characters or broken UTF-8 in the name"
	case strings.ContainsFunc(name, unicode.IsSpace):
		return "white space in the name"
	}
	return ""
}

// cleanText reports whether s is valid UTF-8 on one line, without control characters.
func cleanText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// webURL reports whether s is an http or https URL that may be kept as a reference.
func webURL(s string) bool {
	if len(s) > maxURL || len(s) < len("http://a") {
		return false
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || rest == "" || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return false
	}
	return cleanText(s) && !strings.ContainsAny(s, " \t<>\"")
}
