package osvfeed

import (
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/osv"
)

// hint is where else the document names the package: in its path, its purl, a
// link or a text; "" when all agree. An ingest that lost an npm scope once put
// "react" on the list where everything else said "@zettle-bo/react".
func (p *parser) hint(pkg osv.Package) string {
	if p.inLayout && p.place.name != "" && !samePlace(pkg, p.place.name) {
		return p.place.name
	}
	if pkg.PURL != "" {
		if named, _, err := ecosystem.ParsePURL(pkg.PURL); err == nil {
			switch eco, _ := ecosystem.Find(pkg.Ecosystem); {
			case eco == nil || eco.Name != named.Ecosystem:
				return pkg.PURL
			case eco.Canonical(named.Name) != eco.Canonical(pkg.Name):
				return named.Name
			}
		}
	}
	if pkg.Ecosystem != "npm" || pkg.Name == "" || pkg.Name[0] == '@' || strings.Contains(pkg.Name, "/") {
		return ""
	}
	for _, r := range p.rec.References {
		if scoped := scopedMention(r.URL, pkg.Name); scoped != "" {
			return scoped
		}
	}
	for _, text := range []string{p.rec.Summary, p.rec.Details} {
		if scoped := scopedMention(text, pkg.Name); scoped != "" {
			return scoped
		}
	}
	return ""
}

// samePlace reports whether a name in upstream's layout, which is lower case, may
// be the package's.
func samePlace(pkg osv.Package, name string) bool {
	slashed := func(s string) string { return strings.ReplaceAll(s, ":", "/") }
	if strings.EqualFold(slashed(pkg.Name), slashed(name)) {
		return true
	}
	a, okA := ecosystem.KeyOf(rapsheet.Package{Ecosystem: pkg.Ecosystem, Name: pkg.Name})
	b, okB := ecosystem.KeyOf(rapsheet.Package{Ecosystem: pkg.Ecosystem, Name: name})
	return okA && okB && a == b
}

// unescaper undoes how scopes are written in URLs.
var unescaper = strings.NewReplacer("%40", "@", "%2F", "/", "%2f", "/")

// scopedMention finds "@scope/name" in text and gives it, "" if it is not there.
// Only this very name behind a scope counts: texts speak of other packages.
func scopedMention(text, name string) string {
	if strings.IndexByte(text, '%') >= 0 {
		text = unescaper.Replace(text)
	}
	for from := 0; ; {
		i := strings.Index(text[from:], "/"+name)
		if i < 0 {
			return ""
		}
		slash := from + i
		end := slash + 1 + len(name)
		from = slash + 1
		start := slash
		for start > 0 && nameByte(text[start-1]) {
			start--
		}
		// "user@host/name" is an address, not a scope.
		scoped := start > 0 && start < slash && text[start-1] == '@' && (start == 1 || !nameByte(text[start-2]))
		if scoped && !continues(text[end:]) && len(text[start-1:end]) <= ecosystem.MaxIdentifier {
			return text[start-1 : end]
		}
	}
}

// continues reports whether a name goes on at the start of rest. A full stop
// that ends a sentence does not.
func continues(rest string) bool {
	rest = strings.TrimLeft(rest, ".")
	return rest != "" && (nameByte(rest[0]) && rest[0] != '.')
}

// nameByte reports whether c may be part of an npm name or scope.
func nameByte(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return c == '-' || c == '_' || c == '.' || c == '~'
}
