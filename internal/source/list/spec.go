package list

import (
	"strings"
	"unicode"

	"github.com/rapsheet/rapsheet/ecosystem"
)

// spec is a package as one piece of text names it, with its versions.
type spec struct {
	eco, name, purl string
	versions        []string
	link            string
	// pip says that the version stood after "==", which is PyPI's way.
	pip bool
}

// versioned reports whether the text says anything about versions.
func (s *spec) versioned() bool { return len(s.versions) > 0 }

// parseSpecs reads the packages that one line names: one, with any number of
// versions, or several with a version each, "a@1, b@2". The reason says why there is none.
func parseSpecs(s string) (specs []spec, reason string) {
	one, whole, reason := parseSpec(s)
	if reason == "" && whole {
		return []spec{one}, ""
	}
	if strings.ContainsAny(s, ",;") {
		if specs := several(s); specs != nil {
			return specs, ""
		}
	}
	if reason != "" {
		return nil, reason
	}
	return []spec{one}, ""
}

// several reads "a@1, b@2, 2.1, c@3": a piece that is only a version belongs to the
// package before it. It gives nil if any piece is something else.
func several(s string) []spec {
	var out []spec
	for piece := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ';' }) {
		piece = strings.TrimSpace(piece)
		if len(out) > 0 && strongVersion(piece) {
			out[len(out)-1].versions = append(out[len(out)-1].versions, piece)
			continue
		}
		one, whole, reason := parseSpec(piece)
		if reason != "" || !whole || !one.versioned() {
			return nil
		}
		out = append(out, one)
	}
	return out
}

// parseSpec reads one package. whole is false when something after the name was not
// understood as versions and is kept as it is.
func parseSpec(s string) (out spec, whole bool, reason string) {
	s, out.link = undress(s)
	if s == "" {
		return out, false, "no package"
	}
	if len(s) > 64<<10 {
		return out, false, "a line of more than 64 KiB"
	}
	if len(s) > 4 && strings.EqualFold(s[:4], "pkg:") {
		return purlSpec(s, out)
	}
	if eco, name, version, ok := pageOf(s); ok {
		out.eco, out.name, out.link = eco, name, s
		if version != "" {
			out.versions = []string{version}
		}
		return out, true, ""
	}
	if webURL(s) {
		return out, false, "a URL, not a package"
	}
	out.eco, s = ecosystemPrefix(s)
	if len(s) > 4 && strings.EqualFold(s[:4], "pkg:") {
		return purlSpec(s, out)
	}
	end := nameEnd(s)
	out.name = s[:end]
	if out.eco == "" {
		if eco, name, _, ok := pageOf(out.link); ok && name == out.name {
			out.eco = eco
		}
	}
	rest, sep := s[end:], ""
	trimmed := strings.TrimLeftFunc(rest, unicode.IsSpace)
	switch {
	case trimmed == "":
		return named(out, true)
	case trimmed == ":":
		return out, false, "a heading, not a package"
	case strings.HasPrefix(trimmed, "=="):
		out.pip, sep = true, "=="
	case trimmed[0] == '@' || trimmed[0] == ':':
		sep = trimmed[:1]
		trimmed = trimmed[1:]
	default:
		for _, dash := range [...]string{"- ", "– ", "— ", "-> ", "→ ", "=> "} {
			if after, ok := strings.CutPrefix(trimmed, dash); ok {
				trimmed = after
				break
			}
		}
	}
	trimmed = strings.TrimSpace(trimmed)
	set := parseVersions([]string{trimmed}, "")
	// Without an ecosystem ranges cannot be read yet: only what is no version at all counts.
	whole = trimmed != "" && set.onlyUnordered()
	if !whole && (sep == "" || sep == ":" || len(set.exact) == 0 && strings.ContainsFunc(trimmed, unicode.IsSpace)) {
		return out, false, "not a package with versions"
	}
	if trimmed == "" {
		trimmed = "-"
	}
	out.versions = []string{trimmed}
	return named(out, whole)
}

// named checks that the name is one word.
func named(s spec, whole bool) (spec, bool, string) {
	if reason := plausibleName(s.name); reason != "" {
		return s, false, reason
	}
	if strings.HasSuffix(s.name, ":") {
		return s, false, "a heading, not a package"
	}
	if strings.ContainsAny(s.name, "\"'`<>{}[]|\\$%^&?*=") {
		return s, false, "a character that no name has"
	}
	if !strings.ContainsFunc(s.name, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		return s, false, "no letter or digit in the name"
	}
	return s, whole, ""
}

func purlSpec(s string, out spec) (spec, bool, string) {
	text, rest, _ := strings.Cut(s, " ")
	p, _, err := ecosystem.ParsePURL(text)
	if err != nil {
		return out, false, "not a purl of a known ecosystem"
	}
	out.eco, out.name, out.purl = p.Ecosystem, p.Name, text
	if p.Version != "" {
		out.versions = []string{p.Version}
	}
	rest = strings.TrimSpace(rest)
	if rest == "" {
		return out, true, ""
	}
	if set := parseVersions([]string{rest}, ""); !set.onlyUnordered() {
		return out, false, "not a purl with versions"
	}
	out.versions = append(out.versions, rest)
	return out, true, ""
}

// undress takes off what surrounds a package in text: bullets are gone already;
// quotes, backticks, emphasis, a link around it, a comma or semicolon after it.
func undress(s string) (text, link string) {
	for range 8 { // nested at most so deep; each round takes something off
		before := s
		s = strings.TrimSpace(s)
		s = strings.TrimSpace(strings.TrimRight(s, ",;"))
		if t, u, after, ok := markdownLink(s); ok && strings.Trim(after, " .") == "" {
			s, link = t, u
		}
		for _, q := range [...]string{"**", "__", "`", "\"", "'", "*"} {
			if len(s) > 2*len(q) && strings.HasPrefix(s, q) && strings.HasSuffix(s, q) {
				s = s[len(q) : len(s)-len(q)]
			}
		}
		// `name`: versions …, **name** 1.0, "name": "1.0"
		for _, q := range [...]string{"**", "`", "\""} {
			if after, ok := strings.CutPrefix(s, q); ok {
				if name, rest, ok := strings.Cut(after, q); ok && name != "" {
					s = strings.TrimSpace(name) + rest
				}
			}
		}
		if s == before {
			break
		}
	}
	return s, link
}

// markdownLink reads [text](url) at the beginning of s.
func markdownLink(s string) (text, link, after string, ok bool) {
	if !strings.HasPrefix(s, "[") {
		return "", "", "", false
	}
	text, rest, ok := strings.Cut(s[1:], "](")
	if !ok {
		return "", "", "", false
	}
	link, after, ok = strings.Cut(rest, ")")
	link, _, _ = strings.Cut(link, " ") // [text](url "title")
	return text, link, after, ok
}

// ecosystemPrefix takes "npm:" or "npm/" off. A word before a slash is an ecosystem only if
// what follows can be a name there: composer/composer is a package of Packagist.
func ecosystemPrefix(s string) (eco, rest string) {
	i := strings.IndexAny(s, ":/@ \t=")
	if i <= 0 || s[i] != ':' && s[i] != '/' {
		return "", s
	}
	eco, ok := ecosystemOf(s[:i])
	after := strings.TrimLeft(s[i+1:], " ")
	if !ok || after == "" {
		return "", s
	}
	if s[i] == ':' {
		// "node:1.0.2" is a package called node.
		if first, _, _ := strings.Cut(after, " "); strongVersion(strings.TrimRight(first, ",")) || first == "*" {
			return "", s
		}
		return eco, after
	}
	name := after[:nameEnd(after)]
	if validName(eco, name) != "" {
		return "", s
	}
	return eco, after
}

// nameEnd is where a name at the beginning of s ends.
func nameEnd(s string) int {
	i := 0
	for i < len(s) && s[i] == '@' { // npm scopes; "@@" is a known mistake of exporters
		i++
	}
	for ; i < len(s); i++ {
		switch s[i] {
		case ' ', '\t', '@', '=', '<', '>', '(', '[', ',', ';', '|':
			return i
		case '~':
			if strings.HasPrefix(s[i:], "~=") || strings.HasPrefix(s[i:], "~>") {
				return i
			}
		case ':':
			// group:artifact goes on; name:1.0, "name: 1.0" and a heading end.
			rest := s[i+1:]
			first := rest[:strings.IndexAny(rest+" ", " ,;|\t")]
			if first == "" || first == "*" || strongVersion(first) || strings.IndexByte("<>=^~", first[0]) >= 0 || everyVersion[strings.ToLower(first)] {
				return i
			}
		}
	}
	return len(s)
}

// repairName corrects what is certainly a slip and says which: exporters double the "@" of npm's
// scopes ("@@antv/g2" in exposure-catalog-antv-mini-shai-hulud.json).
func repairName(eco, name string) (repaired, doubt string) {
	if eco == "npm" && strings.HasPrefix(name, "@@") {
		once := "@" + strings.TrimLeft(name, "@")
		if validName(eco, once) == "" {
			return once, "a doubled @ was read as one"
		}
	}
	return name, ""
}
