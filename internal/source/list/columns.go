package list

import (
	"strings"
	"unicode"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/claim"
)

// meaning is what a column says.
type meaning string

const (
	isIgnored   meaning = "ignored"
	isName      meaning = "name"
	isNamespace meaning = "namespace"
	isVersions  meaning = "versions"
	isEcosystem meaning = "ecosystem"
	isPURL      meaning = "purl"
	isID        meaning = "id"
	isCampaign  meaning = "campaign"
	isDate      meaning = "date"
	isOrigins   meaning = "origins"
	isReference meaning = "reference"
	isDetails   meaning = "details"
	isTitle     meaning = "title"
	isKind      meaning = "kind"
	isState     meaning = "state"  // of the record: whether it is in force
	isDigest    meaning = "digest" // of an archive; it says its algorithm, or its length does
	isMD5       meaning = "md5"
	isSHA1      meaning = "sha1"
	isSHA256    meaning = "sha256"
	isSHA384    meaning = "sha384"
	isSHA512    meaning = "sha512"
	isFile      meaning = "file" // which file a digest is of
)

// meanings are those that a column may be given by an option.
var meanings = []meaning{
	isName, isNamespace, isVersions, isEcosystem, isPURL, isID, isCampaign, isDate, isOrigins, isReference, isDetails, isTitle, isKind, isState,
	isDigest, isMD5, isSHA1, isSHA256, isSHA384, isSHA512, isFile, isIgnored,
}

func meaningNames() string {
	var names []string
	for _, m := range meanings {
		names = append(names, string(m))
	}
	return strings.Join(names, ", ")
}

// meaningOf finds a meaning by its own name, or by a header's.
func meaningOf(s string) (meaning, bool) {
	for _, m := range meanings {
		if string(m) == s {
			return m, true
		}
	}
	h, ok := headers[normalise(s)]
	return h.meaning, ok
}

// header is what a column's header says.
type header struct {
	meaning meaning
	// rank decides between columns of one meaning, the higher first.
	rank int
	// eco is the ecosystem that the header names ("npm package").
	eco string
}

// headers are what people write above columns, normalised.
var headers = map[string]header{
	"packagename": {isName, 9, ""}, "package": {isName, 8, ""}, "packages": {isName, 8, ""}, "pkg": {isName, 8, ""}, "pkgname": {isName, 8, ""},
	"packageid": {isName, 7, ""}, "affectedpackage": {isName, 8, ""}, "affectedpackages": {isName, 8, ""}, "maliciouspackage": {isName, 8, ""},
	"maliciouspackages": {isName, 8, ""}, "compromisedpackage": {isName, 8, ""}, "compromisedpackages": {isName, 8, ""},
	"maliciouspackagename": {isName, 9, ""}, "module": {isName, 6, ""}, "modulename": {isName, 7, ""}, "modulepath": {isName, 7, ""},
	"library": {isName, 5, ""}, "libraryname": {isName, 5, ""}, "libraries": {isName, 5, ""}, "dependency": {isName, 5, ""}, "component": {isName, 5, ""}, "componentname": {isName, 5, ""},
	"artifact": {isName, 6, ""}, "artifactid": {isName, 6, ""}, "artifactname": {isName, 6, ""}, "project": {isName, 4, ""}, "projectname": {isName, 4, ""},
	"name": {isName, 3, ""}, "names": {isName, 3, ""}, "identifier": {isName, 2, ""}, "packageidentifier": {isName, 7, ""},
	"extensionidentifier": {isName, 7, ""}, "extensionid": {isName, 7, ""}, "extension": {isName, 4, ""}, "extensionname": {isName, 5, ""},
	"coordinates": {isName, 4, ""}, "packageversion": {isVersions, 6, ""}, "paket": {isName, 7, ""}, "paketname": {isName, 7, ""},

	"npmpackage": {isName, 8, "npm"}, "npmpackages": {isName, 8, "npm"}, "npmpackagename": {isName, 9, "npm"}, "npmname": {isName, 8, "npm"}, "npmmodule": {isName, 8, "npm"},
	"pypipackage": {isName, 8, "PyPI"}, "pythonpackage": {isName, 8, "PyPI"}, "pypiproject": {isName, 8, "PyPI"}, "pypiname": {isName, 8, "PyPI"},
	"gem": {isName, 8, "RubyGems"}, "gemname": {isName, 8, "RubyGems"}, "rubygem": {isName, 8, "RubyGems"}, "gems": {isName, 8, "RubyGems"},
	"crate": {isName, 8, "crates.io"}, "cratename": {isName, 8, "crates.io"}, "crates": {isName, 8, "crates.io"},
	"nugetpackage": {isName, 8, "NuGet"}, "nugetid": {isName, 8, "NuGet"}, "nugetpackageid": {isName, 8, "NuGet"},
	"gomodule": {isName, 8, "Go"}, "golangmodule": {isName, 8, "Go"}, "composerpackage": {isName, 8, "Packagist"}, "mavencoordinates": {isName, 8, "Maven"}, "mavenartifact": {isName, 8, "Maven"},

	"scope": {isNamespace, 2, ""}, "namespace": {isNamespace, 3, ""}, "group": {isNamespace, 2, ""}, "groupid": {isNamespace, 4, ""},

	"packageversions": {isVersions, 9, ""}, "versions": {isVersions, 8, ""}, "version": {isVersions, 7, ""}, "versionen": {isVersions, 7, ""},
	"affectedversions": {isVersions, 9, ""}, "affectedversion": {isVersions, 9, ""}, "maliciousversions": {isVersions, 10, ""}, "maliciousversion": {isVersions, 10, ""},
	"compromisedversions": {isVersions, 10, ""}, "compromisedversion": {isVersions, 10, ""}, "infectedversions": {isVersions, 10, ""}, "infectedversion": {isVersions, 10, ""},
	"badversions": {isVersions, 9, ""}, "badversion": {isVersions, 9, ""}, "vulnerableversions": {isVersions, 8, ""}, "vulnerableversion": {isVersions, 8, ""},
	"impactedversions": {isVersions, 9, ""}, "impactedversion": {isVersions, 9, ""}, "versionrange": {isVersions, 5, ""}, "vulnerableversionrange": {isVersions, 8, ""},
	"affected": {isVersions, 4, ""}, "range": {isVersions, 3, ""}, "ver": {isVersions, 4, ""}, "trojanizedversions": {isVersions, 10, ""},

	"ecosystem": {isEcosystem, 9, ""}, "registry": {isEcosystem, 7, ""}, "packagemanager": {isEcosystem, 8, ""}, "packageecosystem": {isEcosystem, 8, ""},
	"manager": {isEcosystem, 4, ""}, "platform": {isEcosystem, 3, ""}, "language": {isEcosystem, 3, ""}, "eco": {isEcosystem, 7, ""}, "packagetype": {isEcosystem, 6, ""},
	"repository": {isEcosystem, 2, ""}, "packageregistry": {isEcosystem, 7, ""}, "purltype": {isEcosystem, 5, ""},

	"purl": {isPURL, 9, ""}, "packageurl": {isPURL, 8, ""}, "purls": {isPURL, 8, ""},

	"id": {isID, 5, ""}, "malid": {isID, 9, ""}, "osvid": {isID, 9, ""}, "ghsa": {isID, 8, ""}, "ghsaid": {isID, 8, ""}, "advisoryid": {isID, 7, ""}, "advisory": {isID, 3, ""}, "recordid": {isID, 6, ""}, "entryid": {isID, 6, ""}, "uuid": {isID, 1, ""},

	"campaign": {isCampaign, 9, ""}, "campaignname": {isCampaign, 9, ""}, "attack": {isCampaign, 4, ""}, "incident": {isCampaign, 5, ""}, "wave": {isCampaign, 2, ""}, "operation": {isCampaign, 2, ""},

	"date": {isDate, 4, ""}, "published": {isDate, 9, ""}, "publishedat": {isDate, 9, ""}, "publisheddate": {isDate, 9, ""}, "publishdate": {isDate, 9, ""}, "datepublished": {isDate, 9, ""},
	"releasedate": {isDate, 5, ""}, "releasedon": {isDate, 5, ""}, "firstseen": {isDate, 8, ""}, "discovered": {isDate, 6, ""}, "discoveredat": {isDate, 6, ""}, "discoverydate": {isDate, 6, ""},
	"detected": {isDate, 6, ""}, "detectedat": {isDate, 6, ""}, "detectiondate": {isDate, 6, ""}, "reported": {isDate, 5, ""}, "reportedat": {isDate, 5, ""}, "reportdate": {isDate, 5, ""}, "reporteddate": {isDate, 5, ""},
	"dateadded": {isDate, 3, ""}, "added": {isDate, 2, ""}, "addedat": {isDate, 3, ""}, "removaldate": {isDate, 3, ""}, "removed": {isDate, 2, ""}, "removedat": {isDate, 3, ""}, "timestamp": {isDate, 4, ""}, "time": {isDate, 2, ""}, "created": {isDate, 3, ""}, "createdat": {isDate, 3, ""}, "datum": {isDate, 3, ""},
	"publishedutc": {isDate, 9, ""}, "dateutc": {isDate, 5, ""}, "uploaddate": {isDate, 6, ""}, "uploaded": {isDate, 6, ""},

	"sources": {isOrigins, 9, ""}, "source": {isOrigins, 7, ""}, "vendor": {isOrigins, 6, ""}, "vendors": {isOrigins, 8, ""}, "reportedby": {isOrigins, 8, ""}, "reporter": {isOrigins, 7, ""}, "reporters": {isOrigins, 7, ""},
	"origin": {isOrigins, 8, ""}, "origins": {isOrigins, 9, ""}, "foundby": {isOrigins, 7, ""}, "discoveredby": {isOrigins, 7, ""}, "detectedby": {isOrigins, 7, ""}, "finder": {isOrigins, 7, ""}, "credit": {isOrigins, 5, ""}, "credits": {isOrigins, 5, ""}, "researcher": {isOrigins, 5, ""}, "feed": {isOrigins, 4, ""}, "feeds": {isOrigins, 4, ""},

	"reference": {isReference, 9, ""}, "references": {isReference, 9, ""}, "url": {isReference, 6, ""}, "urls": {isReference, 6, ""}, "link": {isReference, 6, ""}, "links": {isReference, 6, ""}, "ref": {isReference, 5, ""}, "refs": {isReference, 5, ""},
	"sourceurl": {isReference, 7, ""}, "advisoryurl": {isReference, 7, ""}, "blog": {isReference, 5, ""}, "blogpost": {isReference, 5, ""}, "article": {isReference, 4, ""}, "writeup": {isReference, 4, ""}, "report": {isReference, 2, ""}, "reporturl": {isReference, 5, ""},

	"details": {isDetails, 9, ""}, "detail": {isDetails, 9, ""}, "description": {isDetails, 8, ""}, "desc": {isDetails, 7, ""}, "reason": {isDetails, 6, ""}, "notes": {isDetails, 4, ""}, "note": {isDetails, 4, ""}, "comment": {isDetails, 3, ""}, "comments": {isDetails, 3, ""}, "behaviour": {isDetails, 3, ""}, "behavior": {isDetails, 3, ""}, "payload": {isDetails, 2, ""},

	"title": {isTitle, 5, ""}, "summary": {isTitle, 6, ""},

	"type": {isKind, 5, ""}, "kind": {isKind, 5, ""}, "category": {isKind, 4, ""}, "classification": {isKind, 5, ""}, "verdict": {isKind, 6, ""}, "status": {isKind, 3, ""}, "malwaretype": {isKind, 4, ""}, "label": {isKind, 2, ""},

	"state": {isState, 5, ""}, "recordstate": {isState, 6, ""},

	"digest": {isDigest, 5, ""}, "digests": {isDigest, 5, ""}, "integrity": {isDigest, 5, ""}, "checksum": {isDigest, 4, ""}, "checksums": {isDigest, 4, ""}, "hashes": {isDigest, 3, ""},
	"packagehash": {isDigest, 5, ""}, "packagedigest": {isDigest, 5, ""}, "archivehash": {isDigest, 5, ""}, "archivedigest": {isDigest, 5, ""},
	"md5": {isMD5, 5, ""}, "md5sum": {isMD5, 5, ""}, "sha1": {isSHA1, 5, ""}, "sha1sum": {isSHA1, 5, ""}, "shasum": {isDigest, 4, ""},
	"sha256": {isSHA256, 5, ""}, "sha256sum": {isSHA256, 5, ""}, "sha384": {isSHA384, 5, ""}, "sha512": {isSHA512, 5, ""}, "sha512sum": {isSHA512, 5, ""}, "sha512sri": {isSHA512, 5, ""},
	"file": {isFile, 4, ""}, "filename": {isFile, 5, ""}, "filepath": {isFile, 5, ""}, "path": {isFile, 3, ""}, "maliciousfile": {isFile, 6, ""}, "infectedfile": {isFile, 6, ""},

	"severity": {isIgnored, 0, ""}, "no": {isIgnored, 0, ""}, "nr": {isIgnored, 0, ""}, "index": {isIgnored, 0, ""}, "downloads": {isIgnored, 0, ""}, "weeklydownloads": {isIgnored, 0, ""},
	"license": {isIgnored, 0, ""}, "author": {isIgnored, 0, ""}, "maintainer": {isIgnored, 0, ""}, "publisher": {isIgnored, 0, ""}, "hash": {isIgnored, 0, ""}, "cve": {isIgnored, 0, ""}, "confidence": {isIgnored, 0, ""}, "score": {isIgnored, 0, ""},
	"safeversion": {isIgnored, 0, ""}, "fixedversion": {isIgnored, 0, ""}, "safeversions": {isIgnored, 0, ""}, "fixedin": {isIgnored, 0, ""},
}

// harmless are words in a header of versions that are not the bad ones.
var harmless = []string{"safe", "fix", "patch", "latest", "clean", "good", "unaffected", "secure", "remed", "upgrade", "schema", "current", "recommended", "legit"}

// normalise drops case, spaces and punctuation: "Package Name(s)" is "packagenames".
func normalise(s string) string {
	if len(s) > 100 {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// headerOf gives what a header says; ok is false for one that says nothing known.
func headerOf(s string) (header, bool) {
	n := normalise(s)
	if n == "" {
		return header{}, false
	}
	if h, ok := headers[n]; ok {
		return h, true
	}
	if h, ok := headers[strings.TrimSuffix(n, "s")]; ok {
		return h, true
	}
	for _, word := range harmless {
		if strings.Contains(n, word) {
			return header{meaning: isIgnored}, strings.Contains(n, "version")
		}
	}
	switch {
	case strings.Contains(n, "version"):
		return header{meaning: isVersions, rank: 1}, true
	case strings.Contains(n, "package") && strings.HasSuffix(n, "name"):
		return header{meaning: isName, rank: 1}, true
	}
	return header{}, false
}

// table is rows of cells with or without a header.
type table struct {
	line   int // of the header or the first row
	header []string
	rows   []row
}

type row struct {
	unit  int // the line or entry it came from
	cells []string
	eco   string   // the ecosystem of the row's section, "" for none
	links []string // that stand behind the text of cells
}

func (r *row) cell(i int) string {
	if i < 0 || i >= len(r.cells) {
		return ""
	}
	return r.cells[i]
}

// sampled is how many rows are looked at to guess a column by its content.
const sampled = 200

// share gives how many of the first cells of a column that hold something satisfy is,
// and how many there are.
func (t *table) share(column int, is func(string) bool) (yes, all int) {
	for i := range t.rows {
		if i == sampled {
			break
		}
		if s := strings.TrimSpace(t.rows[i].cell(column)); s != "" {
			all++
			if is(s) {
				yes++
			}
		}
	}
	return yes, all
}

// mostly reports whether nine of ten cells of a column satisfy is.
func (t *table) mostly(column int, is func(string) bool) bool {
	yes, all := t.share(column, is)
	return yes > 0 && yes*10 >= all*9
}

func isEcosystemCell(s string) bool { _, ok := ecosystemOf(s); return ok }
func isURLCell(s string) bool       { return webURL(firstWord(s)) }
func isPURLCell(s string) bool      { return len(s) > 4 && strings.EqualFold(s[:4], "pkg:") }
func isDateCell(s string) bool      { t, _ := parseDate(s, dayFirst); return !t.IsZero() && len(s) > 6 }

// isDigestCell reports whether a cell can be nothing but a digest: it names the algorithm, or has the length of one that no
// commit has.
func isDigestCell(s string) bool {
	_, ok := ecosystem.ArchiveDigest("", s)
	return ok && (len(s) >= 64 || strings.ContainsAny(s, "-:="))
}

func firstWord(s string) string {
	i := strings.IndexAny(s, " ,;\n\t")
	if i < 0 {
		return s
	}
	return s[:i]
}

// isVersionsCell reports whether every part of a cell is a version.
func isVersionsCell(s string) bool {
	if isDateCell(s) {
		return false
	}
	set := parseVersions([]string{s}, "")
	if set.all || !set.stated {
		return len(s) > 1 || s == "*"
	}
	if len(set.exact) == 0 || !set.onlyUnordered() {
		return len(set.bad) > 0 && set.onlyUnordered()
	}
	for _, v := range set.exact {
		if !strongVersion(v) {
			return false
		}
	}
	return true
}

// isNameCell reports whether a cell can be a name: one word with a letter.
func isNameCell(s string) bool {
	return plausibleName(s) == "" && strings.ContainsFunc(s, unicode.IsLetter) && !webURL(s) && !strings.ContainsAny(s, "\"'`<>{}[]|\\$%^&?*=,;")
}

// columnMap is what the columns of a table were taken for.
type columnMap struct {
	meanings []meaning
	why      []string
	// eco is the ecosystem that the header of the names names.
	eco string
}

func (c *columnMap) set(i int, m meaning, why string) {
	for len(c.meanings) <= i {
		c.meanings = append(c.meanings, isIgnored)
		c.why = append(c.why, "content")
	}
	c.meanings[i], c.why[i] = m, why
}

func (c *columnMap) find(m meaning) int {
	for i, x := range c.meanings {
		if x == m {
			return i
		}
	}
	return -1
}

// columnsOf decides what the columns of t mean: by option, by header, by content. ok is false
// when no column names packages.
func columnsOf(t *table, overrides []override) (c columnMap, ok bool) {
	width := len(t.header)
	for i := range t.rows {
		if i == sampled {
			break
		}
		width = max(width, len(t.rows[i].cells))
	}
	for i := range width {
		c.set(i, isIgnored, "content")
	}
	taken := make([]bool, width)
	for _, o := range overrides {
		for i := range width {
			if o.number == i+1 || o.number == 0 && i < len(t.header) && normalise(t.header[i]) == o.header {
				c.set(i, o.meaning, "option")
				taken[i] = true
			}
		}
	}
	if t.header != nil {
		c.byHeader(t, taken)
	} else {
		c.byContent(t, taken)
	}
	return c, c.find(isName) >= 0 || c.find(isPURL) >= 0
}

// single are the meanings that only one column has; several may hold the rest.
var single = []meaning{isName, isNamespace, isVersions, isEcosystem, isPURL, isID, isCampaign, isDate, isFile}

func (c *columnMap) byHeader(t *table, taken []bool) {
	ranks := make([]header, len(t.header))
	for i, text := range t.header {
		if taken[i] {
			continue
		}
		h, ok := headerOf(text)
		if !ok {
			continue
		}
		// The same word means different things in different lists: the cells decide.
		switch h.meaning {
		case isKind, isOrigins, isID, isReference:
			switch {
			case h.meaning != isID && t.mostly(i, isEcosystemCell):
				h = header{meaning: isEcosystem, rank: 1}
			case h.meaning == isOrigins && t.mostly(i, isURLCell), h.meaning == isID && t.mostly(i, isURLCell):
				h = header{meaning: isReference, rank: 1}
			}
		case isEcosystem:
			if t.mostly(i, isURLCell) {
				h = header{meaning: isReference, rank: 1}
			}
		}
		ranks[i] = h
		c.set(i, h.meaning, "header")
	}
	for _, m := range single {
		best := -1
		for i := range c.meanings {
			switch {
			case c.meanings[i] != m:
			case c.why[i] == "option":
				best = i
			case best < 0, c.why[best] != "option" && ranks[i].rank > ranks[best].rank:
				best = i
			}
		}
		for i := range c.meanings {
			if c.meanings[i] == m && i != best && c.why[i] != "option" {
				c.meanings[i] = isIgnored
				// A catalog's entry has the package's name in "package" and its own in "name".
				if m == isName && normalise(t.header[i]) == "name" {
					c.meanings[i] = isTitle
				}
			}
		}
		if best >= 0 && best < len(ranks) && m == isName {
			c.eco = ranks[best].eco
		}
	}
	// "group" and "scope" are columns of many things: only beside a name do they belong to it.
	if i := c.find(isNamespace); i >= 0 && c.find(isName) < 0 {
		c.meanings[i] = isIgnored
	}
}

func (c *columnMap) byContent(t *table, taken []bool) {
	take := func(m meaning, is func(string) bool) {
		if c.find(m) >= 0 {
			return
		}
		for i := range c.meanings {
			if !taken[i] && t.mostly(i, is) {
				c.set(i, m, "content")
				taken[i] = true
				return
			}
		}
	}
	take(isDigest, isDigestCell)
	take(isPURL, isPURLCell)
	take(isReference, isURLCell)
	take(isDate, isDateCell)
	take(isEcosystem, isEcosystemCell)
	take(isVersions, isVersionsCell)
	// "a@1, b@2" is no table of names: each cell is a package with its version.
	if c.find(isPURL) < 0 {
		take(isName, func(s string) bool { return isNameCell(s) && !strings.Contains(s[1:], "@") })
	}
}

// isHeader reports whether cells are a table's header, and how many of its words are known.
func isHeader(cells []string) (known int, ok bool) {
	named := false
	for _, cell := range cells {
		cell = strings.TrimSpace(cell)
		if cell != "" && (strongVersion(cell) || isPURLCell(cell) || webURL(cell)) && !isNumber(cell) {
			return 0, false
		}
		if h, ok := headerOf(cell); ok {
			known++
			named = named || h.meaning == isName || h.meaning == isPURL
		}
	}
	// Two packages could be called "version" and "date"; nobody's list begins with both.
	return known, known >= 2 || named && (len(cells) == 1 || known*2 >= len(cells))
}

func isNumber(s string) bool { return strings.Trim(s, "0123456789") == "" }

// splitOrigins gives the slugs of those that a cell names.
func splitOrigins(cell string) []string {
	var out []string
	for part := range strings.FieldsFuncSeq(strings.ReplaceAll(cell, " and ", ","), func(r rune) bool { return strings.ContainsRune(",;|\n/&+", r) }) {
		if noVersion[strings.ToLower(strings.TrimSpace(part))] {
			continue
		}
		if s := claim.Slug(part); s != "" {
			out = append(out, s)
		}
	}
	return out
}
