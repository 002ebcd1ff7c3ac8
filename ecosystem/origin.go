package ecosystem

import (
	"net/url"
	"strings"

	"github.com/rapsheet/rapsheet"
)

// maxOrigin is the length in bytes above which a place of origin is not read;
// URLs with signed queries are longer than names.
const maxOrigin = 8 << 10

// Origin reads what lockfiles and SBOMs write as the place a package was
// resolved from: registry and archive URLs, git and scp-like URLs, "file:",
// "link:", "workspace:", "github:owner/repo", plain paths. Credentials, query,
// fragment and the commit of a repository are left out of the URL it keeps; a URL
// whose authority does not parse is left out whole. e may be nil.
//
// A URL is a registry's when its host is one of e's public ones or its path has
// the shape of that kind of registry; which of the two it was is told by
// [Ecosystem.PublicHost]. "npm:" and the like, which name no host, are the
// configured registry: Origin registry without Host. What is not understood is
// [rapsheet.OriginUnknown], never a guess that would excuse a package.
func Origin(e *Ecosystem, raw string) rapsheet.Evidence {
	raw = strings.TrimSpace(raw)
	if raw == "" || len(raw) > maxOrigin || !printableText(raw) {
		return rapsheet.Evidence{}
	}
	scheme, rest := cutScheme(raw)
	switch kind, transport := schemeOf(scheme); kind {
	case schemeNone:
		return plainOrigin(e, raw)
	case schemeAlias:
		return aliasOrigin(rest)
	case schemePatch:
		return patchOrigin(rest)
	case schemeFile:
		return fileOrigin(scheme+":", rest)
	case schemeWeb:
		return webOrigin(e, transport, rest)
	case schemeIndex:
		return indexOrigin(transport, rest)
	case schemeRepository:
		return repositoryOrigin(e, transport, rest)
	case schemeForge:
		return shorthandOrigin(e, transport, rest)
	}
	return rapsheet.Evidence{}
}

// cutScheme cuts "scheme:" off in lower case; a single letter is a Windows
// drive, and a "scheme" with a dot is the host of an scp-like URL without user.
func cutScheme(raw string) (scheme, rest string) {
	i := strings.IndexByte(raw, ':')
	if i < 2 || !isLetter(raw[0]) {
		return "", raw
	}
	for j := 0; j < i; j++ {
		if c := raw[j]; !isAlnum(c) && c != '+' && c != '-' {
			return "", raw
		}
	}
	return lowerASCII(raw[:i]), raw[i+1:]
}

type schemeKind int

const (
	schemeUnknown schemeKind = iota
	schemeNone
	schemeAlias      // the configured registry
	schemePatch      // yarn: a patched package
	schemeFile       // a path
	schemeWeb        // http and https
	schemeIndex      // cargo: a registry's index
	schemeRepository // version control
	schemeForge      // "github:owner/repo"
)

// schemeOf classifies a scheme and gives the transport below it, or a forge's host.
func schemeOf(scheme string) (schemeKind, string) {
	switch scheme {
	case "":
		return schemeNone, ""
	case "npm", "jsr":
		return schemeAlias, ""
	case "patch":
		return schemePatch, ""
	// npm, yarn, pnpm and cargo: https://yarnpkg.com/protocols,
	// https://doc.rust-lang.org/cargo/reference/pkgid-spec.html.
	case "file", "link", "workspace", "portal", "path", "path+file", "exec", "git+file", "registry+file", "local-registry":
		return schemeFile, ""
	case "http", "https":
		return schemeWeb, scheme
	case "git", "ssh", "svn", "hg", "bzr":
		return schemeRepository, scheme
	case "github":
		return schemeForge, "github.com"
	case "gitlab":
		return schemeForge, "gitlab.com"
	case "bitbucket":
		return schemeForge, "bitbucket.org"
	case "gist":
		return schemeForge, "gist.github.com"
	}
	below, transport, ok := strings.Cut(scheme, "+")
	if ok {
		switch below {
		case "registry", "sparse":
			return schemeIndex, transport
		case "git", "hg", "svn", "bzr":
			return schemeRepository, transport
		}
	}
	return schemeUnknown, ""
}

// aliasOrigin reads what follows "npm:": a version or range of the configured
// registry. yarn adds the archive's URL as "::__archiveUrl=<encoded>" where it is
// not the registry's own.
func aliasOrigin(rest string) rapsheet.Evidence {
	ev := rapsheet.Evidence{Origin: rapsheet.OriginRegistry}
	_, archive, ok := strings.Cut(rest, "::__archiveUrl=")
	if !ok {
		return ev
	}
	archive, _, _ = strings.Cut(archive, "&")
	archive, err := url.PathUnescape(archive)
	if err != nil || !printableText(archive) {
		return ev
	}
	scheme, below := cutScheme(archive)
	if kind, transport := schemeOf(scheme); kind == schemeWeb {
		if l, ok := parseLocation(below); ok {
			ev.URL, ev.Host = l.url(transport), l.authority(transport)
		}
	}
	return ev
}

// patchOrigin reads yarn's "patch:<name>@<encoded source>#<patch file>": the
// package comes from where the source says.
func patchOrigin(rest string) rapsheet.Evidence {
	rest, _, _ = strings.Cut(rest, "#")
	at := strings.IndexByte(strings.TrimPrefix(rest, "@"), '@')
	if at < 0 {
		return rapsheet.Evidence{}
	}
	source, err := url.PathUnescape(strings.TrimPrefix(rest, "@")[at+1:])
	if err != nil {
		return rapsheet.Evidence{}
	}
	scheme, below := cutScheme(source)
	switch kind, _ := schemeOf(scheme); kind {
	case schemeAlias:
		return aliasOrigin(below)
	case schemeFile:
		return rapsheet.Evidence{Origin: rapsheet.OriginFile}
	case schemePatch, schemeUnknown:
		return rapsheet.Evidence{}
	case schemeNone:
		// A bare range is the registry's.
		return rapsheet.Evidence{Origin: rapsheet.OriginRegistry}
	}
	return Origin(&npm, source)
}

// fileOrigin keeps a path as the URL when nothing in it can be a credential.
func fileOrigin(scheme, path string) rapsheet.Evidence {
	ev := rapsheet.Evidence{Origin: rapsheet.OriginFile}
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	if rest, ok := strings.CutPrefix(path, "///"); ok && scheme != "" {
		path = "/" + rest
	}
	drive := strings.TrimPrefix(path, "/")
	if len(drive) > 1 && isLetter(drive[0]) && drive[1] == ':' {
		drive = drive[2:]
	}
	if path != "" && !strings.Contains(path, "//") && !strings.Contains(drive, ":") && !strayAt(path) {
		ev.URL = scheme + path
	}
	return ev
}

// webOrigin classifies an http or https URL; rest starts at the "//".
func webOrigin(e *Ecosystem, scheme, rest string) rapsheet.Evidence {
	l, ok := parseLocation(rest)
	if !ok {
		return rapsheet.Evidence{}
	}
	ev := rapsheet.Evidence{Origin: rapsheet.OriginURL, URL: l.url(scheme), Host: l.authority(scheme)}
	switch repository, isRepository := l.repository(); {
	case e == &crates && l.cratesIndex():
		ev.Origin, ev.Host = rapsheet.OriginRegistry, crates.Hosts[0]
	case e != nil && e.PublicHost(l.host):
		ev.Origin = rapsheet.OriginRegistry
	case isRepository:
		ev.Origin = rapsheet.OriginGit
		ev.URL, ev.Host = repository.url(scheme), repository.authority(scheme)
	case e != nil && e.registryPath != nil && e.registryPath(l.path):
		ev.Origin = rapsheet.OriginRegistry
	}
	return ev
}

// indexOrigin reads cargo's "registry+<url>" and "sparse+<url>". The git index of
// crates.io stands for crates.io.
func indexOrigin(transport, rest string) rapsheet.Evidence {
	l, ok := parseLocation(rest)
	if !ok {
		return rapsheet.Evidence{}
	}
	ev := rapsheet.Evidence{Origin: rapsheet.OriginRegistry, URL: l.url(transport), Host: l.authority(transport)}
	if l.cratesIndex() {
		ev.Host = crates.Hosts[0]
	}
	return ev
}

// registryAt reads the base of a registry, with or without a scheme.
func registryAt(e *Ecosystem, raw string) rapsheet.Evidence {
	scheme, rest := cutScheme(raw)
	kind, transport := schemeOf(scheme)
	// "repo.example.com:8443/maven" has a port and no scheme.
	if kind == schemeNone || kind == schemeUnknown && !strings.HasPrefix(rest, "//") {
		kind, transport, rest = schemeWeb, "https", "//"+strings.TrimPrefix(raw, "//")
	}
	if kind != schemeWeb {
		return Origin(e, raw)
	}
	ev := indexOrigin(transport, rest)
	if e != &crates && ev.Host == crates.Hosts[0] {
		return Origin(e, raw)
	}
	return ev
}

// repositoryOrigin reads a version control URL; rest starts at the "//". In
// ecosystems whose packages are repositories, one at a public forge is the
// package on record.
func repositoryOrigin(e *Ecosystem, transport, rest string) rapsheet.Evidence {
	ev := rapsheet.Evidence{Origin: rapsheet.OriginGit}
	// pip writes the commit as "@<commit>" behind the path; the first one there
	// is cut, and the ones of the authority are not there.
	start := len(rest) - len(strings.TrimLeft(rest, "/"))
	if slash := strings.IndexByte(rest[start:], '/'); slash >= 0 {
		if at := strings.IndexByte(rest[start+slash:], '@'); at > 0 {
			if strings.Contains(rest[start+slash:start+slash+at], ":") {
				return ev // what is before the "@" may be a user and password
			}
			rest = rest[:start+slash+at]
		}
	}
	l, ok := parseLocation(scpPath(rest))
	if !ok {
		return ev
	}
	if r, ok := l.repository(); ok {
		l = r
	}
	ev.URL, ev.Host = l.url(transport), l.authority(transport)
	if e != nil && e.forge && e.PublicHost(l.host) {
		ev.Origin = rapsheet.OriginRegistry
	}
	return ev
}

// scpPath repairs "//git@host:owner/repo", which npm writes and is not a URL, to
// "//git@host/owner/repo". Without a user it stays as it is and does not parse:
// what is behind the colon may then be a password.
func scpPath(rest string) string {
	end := strings.IndexByte(rest[min(2, len(rest)):], '/') + 2
	if end < 2 {
		end = len(rest)
	}
	at := strings.LastIndexByte(rest[:end], '@')
	if at < 0 {
		return rest
	}
	colon := strings.IndexByte(rest[at:end], ':')
	if colon < 0 || digits(rest[at+colon+1:end]) {
		return rest
	}
	return rest[:at+colon] + "/" + rest[at+colon+1:]
}

// shorthandOrigin reads what follows "github:" and its kin: owner/repo, perhaps with
// "user:password@" before it and "#commit" behind it.
func shorthandOrigin(e *Ecosystem, host, rest string) rapsheet.Evidence {
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	return repositoryOrigin(e, "https", "//"+host+"/"+strings.Trim(rest, "/"))
}

// forgeHosts are where a path of two segments is a repository.
var forgeHosts = [...]string{"github.com", "gitlab.com", "bitbucket.org"}

func isForge(host string) bool {
	for _, h := range forgeHosts {
		if h == host {
			return true
		}
	}
	return false
}

// plainOrigin reads text without a scheme: an scp-like URL, yarn's
// "name@protocol:…", a host, a repository without a scheme, or else a path.
func plainOrigin(e *Ecosystem, raw string) rapsheet.Evidence {
	if strings.HasPrefix(raw, "//") {
		return webOrigin(e, "https", raw)
	}
	slash := strings.IndexByte(raw, '/')
	colon := strings.IndexByte(raw, ':')
	// A package's name comes before its protocol: "@scope/name@npm:1.0.0".
	if at := strings.LastIndexByte(raw[:max(colon, 0)], '@'); at > 0 {
		scheme, rest := cutScheme(raw[at+1:])
		switch kind, _ := schemeOf(scheme); kind {
		case schemeAlias:
			return aliasOrigin(rest)
		case schemePatch:
			return patchOrigin(rest)
		case schemeFile:
			return fileOrigin(scheme+":", rest)
		case schemeWeb, schemeIndex, schemeRepository:
			return Origin(e, raw[at+1:])
		}
	}
	if colon > 1 && (slash < 0 || colon < slash) {
		if strings.HasPrefix(raw[colon:], "://") {
			return rapsheet.Evidence{}
		}
		// user@host:path, or host.name:path
		if strings.IndexByte(raw[:colon], '@') > 0 {
			return repositoryOrigin(e, "ssh", "//"+raw)
		}
		if host := lowerASCII(raw[:colon]); isForge(host) {
			return repositoryOrigin(e, "ssh", "//"+host+"/"+raw[colon+1:])
		}
		return rapsheet.Evidence{}
	}
	host := lowerASCII(raw[:max(slash, 0)])
	if slash < 0 {
		host = lowerASCII(raw)
	}
	switch {
	case e == nil || strings.HasPrefix(raw, "."):
	case e == &actions && slash > 0 && !e.PublicHost(host):
		// "uses: owner/repo@v4"
		return rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: "github.com"}
	case slash < 0 && e.PublicHost(host):
		return rapsheet.Evidence{Origin: rapsheet.OriginRegistry, URL: "https://" + host, Host: host}
	case slash > 0 && e.forge && e.PublicHost(host):
		return webOrigin(e, "https", "//"+raw)
	case slash > 0 && isForge(host):
		// pnpm's "github.com/owner/repo/commit"
		if parts := strings.SplitN(raw, "/", 4); len(parts) > 2 {
			return repositoryOrigin(e, "https", "//"+host+"/"+parts[1]+"/"+parts[2])
		}
	}
	return fileOrigin("", raw)
}

// location is the parts of a URL that are kept.
type location struct {
	host string // lower case
	port string // "" when not said
	path string // starts with "/", or is ""
}

// parseLocation reads "//authority/path?query#fragment" and keeps host, port and
// path. It refuses what is not exactly that, such as an unencoded "/" in a
// password: then no part is known to be free of credentials. Hosts written with
// "\" or other tricks are refused for the same reason.
func parseLocation(rest string) (l location, ok bool) {
	rest, ok = strings.CutPrefix(rest, "//")
	if !ok {
		return l, false
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		// An "@" behind it may end a userinfo with a "?" or "#" in it.
		if !strings.Contains(rest[:i], "/") && strings.Contains(rest[i:], "@") {
			return l, false
		}
		rest = rest[:i]
	}
	authority := rest
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, l.path = rest[:i], rest[i:]
	}
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	if strings.HasPrefix(authority, "[") {
		end := strings.IndexByte(authority, ']')
		if end < 0 {
			return l, false
		}
		l.host, l.port = authority[:end+1], authority[end+1:]
		if l.port != "" && l.port[0] != ':' {
			return l, false
		}
		l.port = strings.TrimPrefix(l.port, ":")
	} else {
		l.host, l.port, _ = strings.Cut(authority, ":")
	}
	l.host = strings.TrimSuffix(lowerASCII(l.host), ".")
	if l.host == "" || len(l.host) > 255 || l.port != "" && (!digits(l.port) || len(l.port) > 5) || strayAt(l.path) || strings.Contains(l.path, "://") {
		return l, false
	}
	for i := 0; i < len(l.host); i++ {
		c := l.host[i]
		if c < 0x80 && !isAlnum(c) && !strings.ContainsRune(".-_:[]", rune(c)) {
			return l, false
		}
	}
	return l, true
}

// strayAt reports whether path has an "@" that does not start a segment, as a scope's does.
func strayAt(path string) bool {
	for i := 1; i < len(path); i++ {
		if path[i] == '@' && path[i-1] != '/' && path[i-1] != '\\' {
			return true
		}
	}
	return false
}

// authority gives host and port, without the port that scheme implies.
func (l location) authority(scheme string) string {
	switch {
	case l.port == "",
		l.port == "443" && scheme == "https",
		l.port == "80" && scheme == "http",
		l.port == "22" && scheme == "ssh",
		l.port == "9418" && scheme == "git":
		return l.host
	}
	return l.host + ":" + l.port
}

func (l location) url(scheme string) string {
	return scheme + "://" + l.authority(scheme) + l.path
}

// repository reports whether the location is a repository at a forge, an archive
// that the forge makes of one, or a path that ends in ".git", and gives the
// repository without commit.
func (l location) repository() (location, bool) {
	segments := strings.SplitN(strings.Trim(l.path, "/"), "/", 5)
	at := func(i int) string {
		if i < len(segments) {
			return segments[i]
		}
		return ""
	}
	repo := func(owner, name string) (location, bool) {
		return location{host: "github.com", path: "/" + owner + "/" + name}, owner != "" && name != ""
	}
	switch l.host {
	case "codeload.github.com":
		return repo(at(0), at(1))
	case "api.github.com":
		// /repos/<owner>/<repo>/zipball/<commit>
		if at(0) == "repos" {
			return repo(at(1), at(2))
		}
	case "github.com", "www.github.com":
		switch at(2) {
		case "archive", "tarball", "zipball", "tree", "commit":
			return repo(at(0), at(1))
		}
	}
	if strings.HasSuffix(l.path, ".git") || isForge(l.host) && len(segments) == 2 && !archivePath(l.path) {
		return l, true
	}
	return l, false
}

// cratesIndex reports whether the location is the git index of crates.io.
func (l location) cratesIndex() bool {
	path := strings.TrimSuffix(strings.TrimSuffix(lowerASCII(l.path), "/"), ".git")
	return l.host == "github.com" && path == "/rust-lang/crates.io-index"
}

// archivePath reports whether path ends like an archive of some ecosystem.
func archivePath(path string) bool {
	path = lowerASCII(path)
	for _, ext := range [...]string{
		".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar", ".zip", ".whl", ".egg", ".gem", ".nupkg", ".crate",
		".jar", ".war", ".ear", ".aar", ".pom", ".vsix",
	} {
		if strings.HasSuffix(path, ext) {
			return true
		}
	}
	return false
}
