// Package ecosystem knows, for every ecosystem that records speak of, which
// spellings of a name are the same package, how a purl maps to a name and back,
// how versions are ordered, and which hosts are its public registries.
//
// It is a table ([All]) with one file per ecosystem, not an interface per
// ecosystem: callers ask for the [Ecosystem] by name and use its methods. Names
// and versions are hostile data: every function is total, bounded in time for
// inputs of any content up to [MaxIdentifier] bytes, and free of side effects.
package ecosystem

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet"
)

// MaxIdentifier is the length in bytes above which a name, version or purl is refused.
const MaxIdentifier = 1024

// Ecosystem is one row of the table. It is shared: nobody writes to it.
type Ecosystem struct {
	// Name is OSV's name, case-sensitive: "npm", "PyPI", "crates.io", ….
	Name string
	// PURLType is the type written in a purl; PURLAliases are others that are read.
	PURLType    string
	PURLAliases []string
	// Hosts are the public registry's hosts: where a package of that name is the
	// one on record. "*.example.com" stands for all hosts below example.com.
	Hosts []string

	// canonical gives the spelling that all spellings of a name share; it is idempotent.
	canonical func(name string) string
	// join makes a name of a purl's decoded namespace and name, split takes it
	// apart; nil for ecosystems whose names are "namespace/name" or a bare name.
	join  func(namespace, name string) string
	split func(name string) (namespace, base string)
	// spell changes a name to the spelling that its purl type demands; nil for none.
	spell func(name string) string
	// valid is the ecosystem's version grammar and compare its order; ok is false
	// when a version is not valid.
	valid   func(v string) bool
	compare func(a, b string) (c int, ok bool)
	// registryPath reports whether a URL's path has the shape of this kind of
	// registry, so that a URL on an unknown host is a registry's; nil for none.
	registryPath func(path string) bool
	// forge says that the ecosystem's packages are repositories: a repository on
	// one of Hosts is the package on record.
	forge bool
}

// ErrUnknownType says that a purl is well-formed and of a type without records (deb, generic, …).
var ErrUnknownType = errors.New("purl type without an ecosystem of malicious-package records")

// table is the list of ecosystems in the order of [All].
var table = [...]*Ecosystem{
	&npm, &pypi, &rubygems, &nuget, &golang, &crates, &maven, &packagist,
	&hexpm, &pub, &swift, &vscode, &actions, &hackage, &cran,
}

// All lists the ecosystems in a fixed order.
func All() []*Ecosystem { return slices.Clone(table[:]) }

// Find gives the ecosystem of an OSV ecosystem name; a ":suffix" is ignored.
func Find(name string) (*Ecosystem, bool) {
	if i := strings.IndexByte(name, ':'); i >= 0 {
		name = name[:i]
	}
	for _, e := range table {
		if e.Name == name {
			return e, true
		}
	}
	return nil, false
}

// KeyOf gives the key that p is looked up under; ok is false for an unknown
// ecosystem or a name that cannot be one: empty, longer than [MaxIdentifier],
// not UTF-8, with control characters, or with space at either end.
func KeyOf(p rapsheet.Package) (key rapsheet.Key, ok bool) {
	e, ok := Find(p.Ecosystem)
	if !ok || !plausible(p.Name) {
		return rapsheet.Key{}, false
	}
	name := e.canonical(p.Name)
	// What is left of a name may not be one: "host/ .git" ends in a space.
	if name == "" || name != p.Name && !plausible(name) {
		return rapsheet.Key{}, false
	}
	return rapsheet.Key{Ecosystem: e.Name, Name: name}, true
}

// plausible reports whether s can be a name at all.
func plausible(s string) bool {
	if s == "" || len(s) > MaxIdentifier || !printableText(s) {
		return false
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	return !unicode.IsSpace(first) && !unicode.IsSpace(last)
}

// printableText reports whether s is valid UTF-8 without control characters.
func printableText(s string) bool {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c < ' ' || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || unicode.IsControl(r) {
			return false
		}
		i += n
	}
	return true
}

// Canonical gives the one spelling that all spellings of name share in e.
func (e *Ecosystem) Canonical(name string) string { return e.canonical(name) }

// SameName reports whether a record's published name and a sighted name, already
// known to share a key, may be the same package. It is stricter than the key
// only where a purl loses case (Go).
func (e *Ecosystem) SameName(published, sighted string) bool {
	if published == sighted {
		return true
	}
	if e == &golang {
		return sameModule(published, sighted)
	}
	return e.canonical(published) == e.canonical(sighted)
}

// ValidVersion reports whether v can be ordered in e; if not, only exact text equality applies.
func (e *Ecosystem) ValidVersion(v string) bool {
	return v != "" && len(v) <= MaxIdentifier && e.valid(v)
}

// Compare orders two versions that are both [Ecosystem.ValidVersion]: negative
// if a < b. For other versions it gives the order of their text, which means nothing.
func (e *Ecosystem) Compare(a, b string) int {
	if a == b {
		return 0
	}
	if len(a) <= MaxIdentifier && len(b) <= MaxIdentifier {
		if c, ok := e.compare(a, b); ok {
			return c
		}
	}
	return strings.Compare(a, b)
}

// EqualVersion reports whether a and b name the same version: equal in the
// ecosystem's order when both are valid, else equal as text.
func (e *Ecosystem) EqualVersion(a, b string) bool { return e.Compare(a, b) == 0 }

// HoldingVersion reports whether v is a version under which the registry holds
// the name of a removed package (npm's 0.0.1-security and its kin): harmless by itself.
func (e *Ecosystem) HoldingVersion(v string) bool { return e == &npm && npmHolding(v) }

// PublicHost reports whether host (lower case, no port) serves e's public registry.
func (e *Ecosystem) PublicHost(host string) bool {
	for _, h := range e.Hosts {
		if h == host || h[0] == '*' && strings.HasSuffix(host, h[1:]) {
			return true
		}
	}
	return false
}
