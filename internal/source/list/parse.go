package list

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/osv"
)

// unitKind is what a line or entry is.
type unitKind byte

const (
	unitEntry unitKind = iota
	unitHeader
	unitBlank
	unitComment
)

// unit is one line (or several that one row takes), or one entry of a JSON document.
type unit struct {
	kind    unitKind
	used    bool // a claim holds something of it
	skipped bool // a note says why something of it was skipped
	span    int  // lines
	line    int  // from 1
	text    string
}

// note is a [source.Note] whose text is not cut out yet.
type note struct {
	unit    int
	reason  string
	skipped bool
}

// entry is one package as a list names it.
type entry struct {
	unit           int
	eco            string // OSV's name, or the list's own word for an unknown one; "" when not named
	name, purl     string
	versions       []string // cells
	ids            string
	campaign       string
	published      time.Time
	title, details string
	origins        []string
	refs           []string
	archives       []string // digests
	pip            bool
}

// parser reads one document.
type parser struct {
	opt     settings
	units   []unit
	notes   []note
	entries []entry
	m       Mapping

	// What the document says of all its entries.
	campaign   string
	details    string
	refs       []string
	indicators []byte
	section    string // the ecosystem of entries that name none; "" for none

	origins map[string][]string // by cell

	cells int  // of all tables so far
	over  bool // one of the limits was hit, and nothing more is kept

	// overridden counts, for each column of the options, the tables that have it.
	overridden []int
}

// parse reads text of a format. The mapping and the notes come with an error too,
// except with one about the limits.
func (s settings) parse(text string, f format) (source.Parsed, Mapping, error) {
	p := parser{opt: s, m: Mapping{Format: string(f), Unit: "line"}, overridden: make([]int, len(s.columns))}
	var err error
	switch f {
	case formatCSV:
		p.readTable(text)
	case formatMarkdown:
		p.readMarkdown(text)
	case formatJSON:
		p.m.Unit = "entry"
		err = p.readJSON(text)
	case formatJSONLines:
		p.readJSONLines(text)
	default:
		p.readLines(text)
	}
	if p.over {
		return source.Parsed{}, Mapping{Format: p.m.Format, Unit: p.m.Unit}, errTooMany
	}
	if i := slices.Index(p.overridden, 0); err == nil && i >= 0 {
		err = fmt.Errorf("columns: the list has no column for %q", s.columns[i].meaning)
	}
	if err == nil {
		err = p.defaultEcosystem()
	}
	var claims []claim.Claim
	if err == nil {
		claims = p.claims()
	}
	p.count()
	out := source.Parsed{Claims: claims, Notes: p.written()}
	p.m.Notes = len(out.Notes)
	if err == nil && len(claims) == 0 {
		err = p.nothing(out.Notes)
	}
	return out, p.m, err
}

// nothing is the error of a list from which no claim came.
func (p *parser) nothing(notes []source.Note) error {
	for _, n := range notes {
		if n.Skipped {
			return fmt.Errorf("no package in %d %s: line %d: %s: %s", p.m.Lines, plural(p.m.Unit), n.Line, n.Reason, printable.Cut(n.Text, 80))
		}
	}
	return fmt.Errorf("no package in %d %s", p.m.Lines, plural(p.m.Unit))
}

func plural(unit string) string {
	if unit == "entry" {
		return "entries"
	}
	return unit + "s"
}

// unit adds a line (or several) that may hold an entry, and gives its number.
func (p *parser) unit(line, span int, text string) int {
	if p.over = p.over || len(p.units) >= maxEntries; p.over && len(p.units) > 0 {
		return len(p.units) - 1
	}
	p.units = append(p.units, unit{span: span, line: line, text: text})
	return len(p.units) - 1
}

// plain adds line i (from 0) that holds no entry.
func (p *parser) plain(i int, text string, blank bool) {
	kind := unitComment
	if blank {
		kind = unitBlank
	}
	p.units = append(p.units, unit{kind: kind, span: 1, line: i + 1, text: text})
}

// spend counts the cells of a row.
func (p *parser) spend(n int) {
	p.cells += n
	p.over = p.over || p.cells > maxCells
}

func (p *parser) note(u int, reason string, skipped bool) {
	if skipped {
		p.units[u].skipped = true
	}
	if p.over {
		return
	}
	p.notes = append(p.notes, note{u, reason, skipped})
}

// written gives the notes in the order of lines.
func (p *parser) written() []source.Note {
	slices.SortStableFunc(p.notes, func(a, b note) int { return a.unit - b.unit })
	out := make([]source.Note, 0, len(p.notes))
	for _, n := range p.notes {
		u := &p.units[n.unit]
		out = append(out, source.Note{Line: u.line, Text: cut(u.text, maxNote), Reason: n.reason, Skipped: n.skipped})
	}
	return out
}

// cut shortens s to at most n bytes without halving a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// count says what became of every line. A line that nothing was made of and nobody gave a reason
// for gets a note, so that none is lost.
func (p *parser) count() {
	for i := range p.units {
		u := &p.units[i]
		p.m.Lines += u.span
		switch {
		case u.kind == unitHeader:
			p.m.Header += u.span
		case u.kind == unitBlank:
			p.m.Blank += u.span
		case u.kind == unitComment:
			p.m.Comments += u.span
		case u.used:
			p.m.Used += u.span
		default:
			p.m.Skipped += u.span
			if !u.skipped {
				p.note(i, "not understood", true)
			}
		}
	}
}

// specs adds the packages that a line names.
func (p *parser) specs(u int, specs []spec) {
	for i := range specs {
		p.entries = append(p.entries, p.entryOf(u, &specs[i]))
	}
}

func (p *parser) entryOf(u int, s *spec) entry {
	e := entry{unit: u, eco: s.eco, name: s.name, purl: s.purl, versions: s.versions, pip: s.pip}
	if e.eco == "" {
		e.eco = p.section
	}
	if s.link != "" && webURL(s.link) {
		e.refs = []string{s.link}
	}
	return e
}

// notMalware are whole cells that say that a row is about something else: safe-chain's list has
// TELEMETRY and PROTESTWARE beside MALWARE and blocks only the latter, nuget.org's list of
// removed packages has copyright violations.
var notMalware = map[string]bool{
	"telemetry": true, "protestware": true, "copyright violation": true, "copyright": true, "clean": true, "benign": true, "safe": true,
	"false positive": true, "false-positive": true, "not malicious": true, "not affected": true, "legitimate": true,
}

// notInForce are states of a record that was taken back or is doubted; those of our own tables are among them.
var notInForce = map[string]bool{"withdrawn": true, "disputed": true, "retracted": true, "revoked": true, "rejected": true}

// table adds the rows of a table.
func (p *parser) table(t *table) {
	c, ok := columnsOf(t, p.opt.columns)
	for i, o := range p.opt.columns {
		for j, m := range c.meanings {
			if m == o.meaning && c.why[j] == "option" {
				p.overridden[i]++
			}
		}
	}
	for i, m := range c.meanings {
		if len(p.m.Columns) == maxColumns {
			break
		}
		col := Column{Line: t.line, Number: i + 1, Meaning: string(m), Why: c.why[i]}
		if i < len(t.header) {
			col.Header = t.header[i]
		}
		p.m.Columns = append(p.m.Columns, col)
	}
	if !ok {
		for i := range t.rows {
			p.note(t.rows[i].unit, "no column of its table names packages", true)
		}
		return
	}
	dates := orderUnknown
	if i := c.find(isDate); i >= 0 {
		for r := range t.rows {
			dates = dates.with(t.rows[r].cell(i))
		}
	}
	p.entries = slices.Grow(p.entries, len(t.rows))
	for i := range t.rows {
		p.row(&c, &t.rows[i], dates)
	}
}

// row adds what one row of a table names.
func (p *parser) row(c *columnMap, r *row, dates order) {
	e := entry{unit: r.unit, refs: r.links}
	var namespace, ecoCell, name, file string
	var digests []digestCell
	more := false
	for i, cell := range r.cells {
		if i >= len(c.meanings) {
			more = more || strings.TrimSpace(cell) != ""
			break
		}
		cell = strings.TrimSpace(cell)
		if cell == "" {
			continue
		}
		if !utf8.ValidString(cell) {
			p.note(r.unit, "not UTF-8", true)
			return
		}
		switch c.meanings[i] {
		case isName:
			name = cell
		case isNamespace:
			namespace = cell
		case isVersions:
			e.versions = append(e.versions, strings.Split(cell, "\n")...)
		case isEcosystem:
			ecoCell = cell
		case isPURL:
			e.purl = cell
		case isID:
			e.ids = cell
		case isCampaign:
			e.campaign = cell
		case isDate:
			when, reason := parseDate(cell, dates)
			if reason != "" && !noVersion[strings.ToLower(cell)] {
				p.note(r.unit, reason+": left out", false)
			}
			e.published = when
		case isOrigins:
			if webURL(cell) {
				e.refs = append(e.refs, cell)
			} else {
				e.origins = p.originsOf(e.origins, cell)
			}
		case isReference:
			for ref := range strings.FieldsFuncSeq(cell, func(r rune) bool { return strings.ContainsRune(" \t\n;|", r) }) {
				ref = strings.Trim(ref, ",<>()[]\"")
				switch {
				case webURL(ref):
					e.refs = append(e.refs, ref)
				case strings.Contains(ref, ":"):
					p.note(r.unit, "a reference that is not an http or https URL: left out", false)
				}
			}
		case isDigest, isMD5, isSHA1, isSHA256, isSHA384, isSHA512:
			digests = append(digests, digestCell{c.meanings[i], cell})
		case isFile:
			file = cell
		case isTitle:
			e.title = cell
		case isState:
			if notInForce[strings.ToLower(cell)] {
				p.note(r.unit, "the list itself says that it is "+strings.ToLower(cell), true)
				return
			}
		case isDetails, isKind:
			if notMalware[strings.ToLower(cell)] {
				p.note(r.unit, "the list itself calls it "+strings.ToLower(cell)+", not malware", true)
				return
			}
			if c.meanings[i] == isDetails {
				e.details = joinText(e.details, cell)
			}
		}
	}
	if more {
		p.note(r.unit, "more cells than columns: the rest was left out", false)
	}
	if len(digests) > 0 {
		e.archives = p.archives(r.unit, file, digests)
	}
	switch eco, known := ecosystemOf(ecoCell); {
	case known:
		e.eco = eco
	case ecoCell != "":
		e.eco = ecoCell
	case c.eco != "":
		e.eco = c.eco
	default:
		e.eco = r.eco
	}
	if e.purl != "" {
		p.rowPURL(e, name)
		return
	}
	if name == "" {
		p.note(r.unit, "no name", true)
		return
	}
	p.rowName(e, namespace, name, c.find(isVersions) >= 0)
}

// digestCell is a cell with digests, and what its column says of them.
type digestCell struct {
	column meaning
	text   string
}

// archives reads the digests of a row. file is what the row says they are digests of, "" when it does not say: then it is the
// package's archive.
func (p *parser) archives(u int, file string, cells []digestCell) []string {
	if file != "" && !archiveName(file) {
		p.note(u, "a digest of a file in the package, not of its archive: left out", false)
		return nil
	}
	var out []string
	bad := 0
	for _, c := range cells {
		algorithm := string(c.column)
		if c.column == isDigest {
			algorithm = ""
		}
		for text := range strings.FieldsFuncSeq(c.text, func(r rune) bool { return strings.ContainsRune(" \t\n,;|", r) }) {
			d, ok := ecosystem.ArchiveDigest(algorithm, text)
			switch {
			case ok:
				out = append(out, ecosystem.DigestText(d))
			case !noVersion[strings.ToLower(text)]:
				bad++
			}
		}
	}
	if bad > 0 {
		p.note(u, "what should be the digest of an archive is none: left out", false)
	}
	return out
}

// archiveName reports whether a file is what a registry serves as a package, by how its name ends.
func archiveName(file string) bool {
	file = strings.ToLower(file)
	return slices.ContainsFunc([]string{
		".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar", ".zip", ".whl", ".egg", ".gem", ".nupkg", ".crate", ".jar", ".war", ".aar", ".vsix",
	}, func(ext string) bool { return strings.HasSuffix(file, ext) })
}

// originsOf adds the origins of a cell to have, sorted and each once. Most rows have the same
// cell, and share what it says.
func (p *parser) originsOf(have []string, cell string) []string {
	key := cell
	if len(have) > 0 {
		key = strings.Join(have, ",") + "," + cell
	}
	if known, ok := p.origins[key]; ok {
		return known
	}
	all := slices.Concat(have, splitOrigins(cell))
	slices.Sort(all)
	all = slices.Clip(slices.Compact(all))
	if p.origins == nil {
		p.origins = map[string][]string{}
	}
	p.origins[key] = all
	return all
}

// rowPURL adds a row that has a purl: that names the package.
func (p *parser) rowPURL(e entry, name string) {
	s, _, reason := parseSpec(e.purl)
	if reason == "" && s.purl == "" {
		reason = "not a purl"
	}
	if reason != "" {
		if name == "" {
			p.note(e.unit, reason, true)
			return
		}
		p.note(e.unit, reason+": the name was taken", false)
		e.purl = ""
		p.rowName(e, "", name, len(e.versions) > 0)
		return
	}
	if name != "" && name != s.name {
		base := s.name[strings.LastIndexAny(s.name, "/:")+1:]
		switch {
		case strings.EqualFold(name, s.name):
			s.name = name // purls of some types are in small letters, Go's for one
		case name != base:
			p.note(e.unit, "the name and the purl disagree: the purl was taken", false)
		}
	}
	e.eco, e.name, e.purl = s.eco, s.name, s.purl
	if len(e.versions) == 0 || !parseVersions(e.versions, e.eco).stated {
		e.versions = s.versions
	}
	p.entries = append(p.entries, e)
}

// rowName adds a row by its name, which may be a whole "name@version".
func (p *parser) rowName(e entry, namespace, name string, versioned bool) {
	if namespace != "" {
		switch {
		case e.eco == "Maven" || e.eco == "" && strings.Contains(namespace, "."):
			name = namespace + ":" + name
		case e.eco == "npm" && !strings.HasPrefix(name, "@"):
			name = "@" + strings.TrimPrefix(namespace, "@") + "/" + name
		case !strings.HasPrefix(name, namespace):
			name = namespace + "/" + name
		}
	}
	whole := e.eco != "" && e.eco != "npm" && validName(e.eco, name) == ""
	if !whole {
		specs, reason := parseSpecs(name)
		switch {
		case reason != "" && e.eco != "" && validName(e.eco, name) == "":
		case reason != "":
			p.note(e.unit, reason, true)
			return
		case len(specs) > 1 || specs[0].name != name:
			if len(specs) > 1 && len(e.archives) > 0 {
				p.note(e.unit, "a digest beside several packages: left out", false)
				e.archives = nil
			}
			for i := range specs {
				one := e
				s := &specs[i]
				one.name, one.purl, one.pip = s.name, s.purl, s.pip
				if s.eco != "" {
					one.eco = s.eco
				}
				if s.link != "" && webURL(s.link) {
					one.refs = append(slices.Clone(one.refs), s.link)
				}
				one.versions = slices.Concat(one.versions, s.versions)
				if versioned && s.versioned() && len(e.versions) > 0 && !slices.Equal(e.versions, s.versions) {
					p.note(e.unit, "versions in the name and in their column: both were taken", false)
				}
				p.entries = append(p.entries, one)
			}
			return
		}
	}
	e.name = name
	p.entries = append(p.entries, e)
}

// joinText joins two texts of one package, the second on a line of its own.
func joinText(a, b string) string {
	switch {
	case a == "" || a == b:
		return b
	case b == "" || len(a) > maxDetails || containsLine(a, b):
		return a
	}
	return a + "\n" + b
}

func containsLine(text, line string) bool {
	for l := range strings.SplitSeq(text, "\n") {
		if l == line {
			return true
		}
	}
	return false
}

// clip cuts a text to the limit, with the marker that says so.
func clip(s string) string {
	if len(s) <= maxDetails {
		return s
	}
	return cut(s, maxDetails-len(osv.ClipMarker)) + osv.ClipMarker
}

// ErrEcosystem says that a list does not say which ecosystem it is about and that its
// content does not prove one: [Options].Ecosystem has to.
var ErrEcosystem = errors.New("the list does not say which ecosystem its packages belong to, and nothing in it proves one: name it")

// defaultEcosystem decides where entries belong that name no ecosystem.
func (p *parser) defaultEcosystem() error {
	var open, scoped, colons, pip, named int
	first := -1
	npmNames := true
	for i := range p.entries {
		e := &p.entries[i]
		if e.eco != "" {
			named++
			continue
		}
		if first < 0 {
			first = i
		}
		open++
		repaired, _ := repairName("npm", e.name)
		if strings.HasPrefix(repaired, "@") && validName("npm", repaired) == "" {
			scoped++
		} else if npmNames && validName("npm", e.name) != "" {
			npmNames = false
		}
		if validName("Maven", e.name) == "" {
			colons++
		}
		if e.pip {
			pip++
		}
	}
	switch {
	case open == 0:
		return nil
	case p.opt.ecosystem != "":
		p.m.Ecosystem, p.m.Why = p.opt.ecosystem, "as said"
	case scoped > 0 && npmNames && scoped*10 >= open:
		p.m.Ecosystem = "npm"
		p.m.Why = fmt.Sprintf("%d of %d names have a scope as only npm has them, and the others can be npm's", scoped, open)
	case colons == open:
		p.m.Ecosystem, p.m.Why = "Maven", "every name is group:artifact"
	case pip == open:
		p.m.Ecosystem, p.m.Why = "PyPI", "every version stands after =="
	case named == 0 && scoped == 0:
		u := &p.units[p.entries[first].unit]
		return fmt.Errorf("line %d: %s: %w", u.line, printable.Cut(u.text, 80), ErrEcosystem)
	}
	for i := range p.entries {
		e := &p.entries[i]
		if e.eco != "" {
			continue
		}
		repaired, _ := repairName("npm", e.name)
		switch {
		case p.m.Ecosystem != "":
			e.eco = p.m.Ecosystem
		case strings.HasPrefix(repaired, "@") && validName("npm", repaired) == "":
			e.eco = "npm"
		}
	}
	return nil
}
