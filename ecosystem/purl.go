package ecosystem

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/package-url/packageurl-go"
	"github.com/rapsheet/rapsheet"
)

// ParsePURL reads a package URL in any spelling that tools are known to write:
// upper-case scheme and type, "pkg:/" and "pkg://", npm scopes encoded or not,
// "?" and "#" with nothing behind them. A name keeps the case it has in s and is
// percent-decoded once. The package's PURL is s itself, but for credentials and
// queries in addresses among its qualifiers. Those that say where it came from
// (download_url, repository_url, vcs_url, in this order) and checksum become
// evidence. No error repeats qualifiers. It returns [ErrUnknownType] (wrapped), with the
// package's name and version, for types without an ecosystem.
//
// The grammar is https://github.com/package-url/purl-spec. packageurl.FromString
// is not used because it changes names: it lowers golang and composer names, with
// U+212A to k among them, and rewrites "_" in pypi names.
func ParsePURL(s string) (rapsheet.Package, rapsheet.Evidence, error) {
	none := func(format string, args ...any) error { return fmt.Errorf("purl: "+format, args...) }
	if len(s) > MaxIdentifier {
		return rapsheet.Package{}, rapsheet.Evidence{}, none("%d bytes, more than %d", len(s), MaxIdentifier)
	}
	if !printableText(s) {
		shown, _, _ := strings.Cut(s, "?")
		return rapsheet.Package{}, rapsheet.Evidence{}, none("%q has control characters or is not UTF-8", shown)
	}
	if len(s) < 4 || lowerASCII(s[:4]) != "pkg:" {
		shown, _, _ := strings.Cut(s, "?")
		return rapsheet.Package{}, rapsheet.Evidence{}, none("%q does not start with pkg:", shown)
	}
	rest, subpath, _ := strings.Cut(s[4:], "#") // it is inside the package
	rest, query, _ := strings.Cut(rest, "?")
	whole := s
	s = s[:4+len(rest)] // as errors show it
	typ, rest, ok := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	typ = lowerASCII(typ)
	if !ok || !validType(typ) {
		return rapsheet.Package{}, rapsheet.Evidence{}, none("%q has no type and name", s)
	}
	rest = strings.Trim(rest, "/")
	version := ""
	// An "@" that starts the rest is a scope's; any other last one is the version's.
	if at := strings.LastIndexByte(rest, '@'); at > 0 {
		rest, version = strings.TrimRight(rest[:at], "/"), rest[at+1:]
	}
	slash := strings.LastIndexByte(rest, '/')
	name, err := unescape(rest[slash+1:])
	if err != nil {
		return rapsheet.Package{}, rapsheet.Evidence{}, none("%q: name: %w", s, err)
	}
	if version, err = unescape(version); err != nil {
		return rapsheet.Package{}, rapsheet.Evidence{}, none("%q: version: %w", s, err)
	}
	namespace := ""
	for segment := range strings.SplitSeq(rest[:max(slash, 0)], "/") {
		if segment, err = unescape(segment); err != nil {
			return rapsheet.Package{}, rapsheet.Evidence{}, none("%q: namespace: %w", s, err)
		}
		if segment != "" && namespace != "" {
			namespace += "/"
		}
		namespace += segment
	}
	if name == "" || rest[0] == '@' && namespace == "" && !strings.Contains(name, "/") {
		return rapsheet.Package{}, rapsheet.Evidence{}, none("%q has no name", s)
	}
	p := rapsheet.Package{Version: version, PURL: whole}
	if clean := publicQualifiers(query); clean != query {
		p.PURL = s
		if clean != "" {
			p.PURL += "?" + clean
		}
		if subpath != "" {
			p.PURL += "#" + subpath
		}
	}
	e := byPURLType(typ)
	if e == nil {
		p.Name = joinSlash(namespace, name)
		return p, rapsheet.Evidence{}, fmt.Errorf("%w: %q", ErrUnknownType, typ)
	}
	p.Ecosystem, p.Name = e.Name, e.joinName(namespace, name)
	return p, qualifierEvidence(e, query), nil
}

func (e *Ecosystem) joinName(namespace, name string) string {
	if e.join != nil {
		return e.join(namespace, name)
	}
	return joinSlash(namespace, name)
}

func joinSlash(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

func splitSlash(name string) (string, string) {
	i := strings.LastIndexByte(name, '/')
	return name[:max(i, 0)], name[i+1:]
}

var errDecoded = errors.New("control characters or not UTF-8 when percent-decoded")

// unescape percent-decodes s once; "+" is itself.
func unescape(s string) (string, error) {
	s, err := url.PathUnescape(s)
	if err == nil && !printableText(s) {
		err = errDecoded
	}
	return s, err
}

// validType is the specification's rule for types: letters, digits, ".", "+" and
// "-", not starting with a digit; lower-case letters here.
func validType(typ string) bool {
	for i := 0; i < len(typ); i++ {
		c := typ[i]
		if !isAlnum(c) && c != '.' && c != '+' && c != '-' {
			return false
		}
	}
	return typ != "" && !isDigit(typ[0])
}

func byPURLType(typ string) *Ecosystem {
	for _, e := range table {
		if e.PURLType == typ {
			return e
		}
		for _, alias := range e.PURLAliases {
			if alias == typ {
				return e
			}
		}
	}
	return nil
}

// qualifierEvidence reads the qualifiers that say where a package came from
// (https://github.com/package-url/purl-spec, "known qualifiers"). One that does
// not decode says nothing; the package counts all the same.
func qualifierEvidence(e *Ecosystem, query string) rapsheet.Evidence {
	var download, repository, vcs string
	var digests []rapsheet.Digest
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		value, err := unescape(value)
		if err != nil || value == "" {
			continue
		}
		switch lowerASCII(key) {
		case "download_url":
			download = value
		case "repository_url":
			repository = value
		case "vcs_url":
			vcs = value
		case "checksum", "checksums":
			digests = append(digests, Integrity(value)...)
		}
	}
	var ev rapsheet.Evidence
	switch {
	case download != "":
		ev = Origin(e, download)
	case repository != "":
		ev = registryAt(e, repository)
	case pinned(vcs):
		ev = Origin(e, vcs)
	}
	ev.Digests = digests
	return ev
}

// publicQualifiers takes credentials and queries out of the addresses in qualifiers. An address that cannot be told from
// its credentials is left out whole.
func publicQualifiers(query string) string {
	if !strings.ContainsAny(query, "@%?") {
		return query
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		plain, err := url.PathUnescape(value)
		if err != nil {
			continue
		}
		clean, ok := publicAddress(plain)
		switch {
		case !ok:
		case clean == plain:
			kept = append(kept, pair)
		default:
			kept = append(kept, key+"="+strings.ReplaceAll(url.QueryEscape(clean), "+", "%20"))
		}
	}
	return strings.Join(kept, "&")
}

// publicAddress gives an address without user, password and query, and any other text as it is; false for one of which it is not
// clear what they are.
func publicAddress(s string) (string, bool) {
	s, _, _ = strings.Cut(s, "?")
	commit := ""
	if pinned(s) {
		at := strings.LastIndexAny(s, "#@")
		s, commit = s[:at], s[at:]
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s + commit, !strings.Contains(s, "@") || !strings.Contains(s, ":")
	}
	end := strings.IndexAny(rest, "/#")
	if end < 0 {
		end = len(rest)
	}
	host := rest[strings.LastIndexByte(rest[:end], '@')+1 : end]
	// A password may have a slash in it, and what stands in place of a port may be anything.
	if _, err := url.Parse(scheme + "://" + host); err != nil || strings.Contains(rest[end:], "@") {
		return "", false
	}
	return scheme + "://" + host + rest[end:] + commit, true
}

// pinned reports whether a vcs_url names a commit. Without one it is the source
// repository that a package from the registry names in its metadata (CycloneDX's
// tools for Node.js write it so), and says nothing of where the package came from.
func pinned(vcs string) bool {
	at := strings.LastIndexAny(vcs, "#@")
	if at < 0 || len(vcs)-at-1 < 7 {
		return false
	}
	return strings.Trim(vcs[at+1:], "0123456789abcdefABCDEF") == ""
}

// PURL writes the canonical package URL of p, without qualifiers, in the
// spelling that the purl type demands; "" for an unknown ecosystem or a name that
// cannot be one.
func PURL(p rapsheet.Package) string {
	if _, ok := KeyOf(p); !ok {
		return ""
	}
	e, _ := Find(p.Ecosystem)
	name := p.Name
	if e.spell != nil {
		name = e.spell(name)
	}
	split := splitSlash
	if e.split != nil {
		split = e.split
	}
	namespace, base := split(name)
	// What would not come back as it is, such as empty segments, is written as one encoded name.
	if base == "" || e.joinName(namespace, base) != name || hasEmptySegment(namespace) || strings.Trim(base, "/") != base {
		namespace, base = "", name
	}
	// ToString encodes and does not change letters, as FromString and Normalize do.
	u := packageurl.PackageURL{Type: e.PURLType, Namespace: namespace, Name: base, Version: p.Version}
	return u.ToString()
}

func hasEmptySegment(namespace string) bool {
	return namespace != "" && (strings.Trim(namespace, "/") != namespace || strings.Contains(namespace, "//"))
}
