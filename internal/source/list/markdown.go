package list

import (
	"html"
	"regexp"
	"strings"
)

// separator is the line between the header and the rows of a table
// (https://github.github.com/gfm/#tables-extension-).
var separator = regexp.MustCompile(`^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$`)

func isSeparator(line string) bool {
	return len(line) < 4096 && strings.Contains(line, "|") && separator.MatchString(line)
}

// looksMarkdown reports whether lines are a document with a table, or text with
// items of a list that name packages.
func looksMarkdown(ls []string) bool {
	var items, text, fences int
	for i, line := range ls {
		if i == 5000 {
			break
		}
		t := strings.TrimSpace(line)
		switch {
		case isSeparator(t) && i > 0 && strings.Contains(ls[i-1], "|"):
			return true
		case strings.HasPrefix(t, "```"), strings.HasPrefix(t, "~~~"):
			fences++
		case t == "":
		case isHeading(t):
			text++
		default:
			if rest, ok := bullet(t); ok {
				if specs, reason := parseSpecs(rest); reason == "" && len(specs) > 0 {
					items++
				}
			} else if strings.Count(t, " ") > 3 {
				text++
			}
		}
	}
	return items > 0 && text > 0 || fences >= 2
}

// isHeading reports whether a line is an ATX heading of two or more "#", or of one with
// text that names no package; a single "#" may as well be a comment.
func isHeading(t string) bool { return strings.HasPrefix(t, "##") || strings.HasPrefix(t, "# ") }

// readMarkdown reads the tables, the items of lists and the code blocks of a document; text around
// them is comment.
func (p *parser) readMarkdown(text string) {
	ls := lines(text)
	sectionLevel := 0
	fence := ""
	var bare []entry // items and code lines without any version: believed only if the document has nothing else
	for i := 0; i < len(ls) && !p.over; i++ {
		t := strings.TrimSpace(ls[i])
		if fence != "" {
			if strings.HasPrefix(t, fence) && strings.Trim(t, fence[:1]) == "" {
				fence = ""
				p.plain(i, ls[i], false)
				continue
			}
			bare = p.item(i, ls[i], t, bare, true)
			continue
		}
		switch {
		case t == "":
			p.plain(i, ls[i], true)
		case strings.HasPrefix(t, "```"), strings.HasPrefix(t, "~~~"):
			fence = t[:3]
			p.plain(i, ls[i], false)
		case isHeading(t):
			p.plain(i, ls[i], false)
			p.layout(t)
			level := len(t) - len(strings.TrimLeft(t, "#"))
			if eco := sectionEcosystem(t); eco != "" {
				p.section, sectionLevel = eco, level
			} else if level <= sectionLevel {
				p.section, sectionLevel = p.known(), 0
			}
		case i+1 < len(ls) && strings.Contains(t, "|") && isSeparator(strings.TrimSpace(ls[i+1])):
			i = p.markdownTable(ls, i)
		default:
			rest, ok := bullet(t)
			if !ok {
				p.plain(i, ls[i], false)
				continue
			}
			bare = p.item(i, ls[i], rest, bare, false)
		}
	}
	if len(p.entries) == 0 {
		p.entries = bare
		return
	}
	for i := range bare {
		p.note(bare[i].unit, "one word, in a document that gives packages with versions: not taken for a package", true)
	}
}

// known is the ecosystem of a recognised layout, "" for others.
func (p *parser) known() string {
	switch p.m.Layout {
	case layoutNuGet:
		return "NuGet"
	case layoutVSCode:
		return "VSCode"
	}
	return ""
}

// Layouts of documents that say in their title what they list
// (https://github.com/NuGet/NuGetGallery/blob/main/RemovedPackages.md,
// https://github.com/microsoft/vsmarketplace/blob/main/RemovedPackages.md).
const (
	layoutNuGet  = "removed packages of nuget.org"
	layoutVSCode = "removed extensions of the VS Marketplace"
)

// layout recognises a document by its title.
func (p *parser) layout(heading string) {
	low := strings.ToLower(cut(heading, 200))
	if p.m.Layout != "" || !strings.Contains(low, "removed") {
		return
	}
	switch {
	case strings.Contains(low, "nuget.org"):
		p.m.Layout = layoutNuGet
	case strings.Contains(low, "vs marketplace"), strings.Contains(low, "visual studio marketplace"):
		p.m.Layout = layoutVSCode
	default:
		return
	}
	p.section = p.known()
}

// item reads an item of a list, or a line of a code block.
func (p *parser) item(i int, line, t string, bare []entry, code bool) []entry {
	if code && t == "" {
		p.plain(i, line, true)
		return bare
	}
	if code && isComment(t) {
		p.plain(i, line, false)
		if eco := sectionEcosystem(t); eco != "" {
			p.section = eco
		}
		return bare
	}
	t = withoutComment(t)
	u := p.unit(i+1, 1, line)
	if !cleanText(strings.ReplaceAll(t, "\t", " ")) {
		p.note(u, "control characters or broken UTF-8", true)
		return bare
	}
	specs, reason := parseSpecs(unbullet(html.UnescapeString(t)))
	if reason != "" {
		p.note(u, reason, true)
		return bare
	}
	for j := range specs {
		e := p.entryOf(u, &specs[j])
		if specs[j].versioned() || specs[j].purl != "" {
			p.entries = append(p.entries, e)
		} else {
			bare = append(bare, e)
		}
	}
	return bare
}

// markdownTable reads the table whose header is line at and gives its last line.
func (p *parser) markdownTable(ls []string, at int) int {
	t := table{line: at + 1}
	for _, c := range markdownCells(ls[at], 0) {
		t.header = append(t.header, c.text)
	}
	for i := at; i < at+2; i++ {
		u := p.unit(i+1, 1, ls[i])
		p.units[u].kind = unitHeader
	}
	end := at + 1
	for i := at + 2; i < len(ls); i++ {
		trimmed := strings.TrimSpace(ls[i])
		if trimmed == "" || !strings.Contains(trimmed, "|") || i+1 < len(ls) && isSeparator(strings.TrimSpace(ls[i+1])) {
			break
		}
		end = i
		u := p.unit(i+1, 1, ls[i])
		r := row{unit: u, eco: p.section}
		var links []string
		for _, c := range markdownCells(ls[i], len(t.header)) {
			if len(r.cells) == maxColumns {
				break
			}
			r.cells = append(r.cells, c.text)
			links = append(links, c.link)
		}
		if r.eco == "" {
			for _, link := range links {
				if eco, _, _, ok := pageOf(link); ok {
					r.eco = eco
				}
			}
		}
		for _, link := range links {
			if webURL(link) {
				r.links = append(r.links, link)
			}
		}
		t.rows = append(t.rows, r)
		if p.spend(len(r.cells)); p.over {
			return end
		}
	}
	p.table(&t)
	return end
}

// markdownCell is a cell's text without markup, and the first link in it.
type markdownCell struct{ text, link string }

// markdownCells splits a row at "|" that is not escaped. With more cells than the width
// of the header (0 for none), "|" inside of code does not count: people write `1.0 || 1.1`.
func markdownCells(line string, width int) []markdownCell {
	parts := splitPipes(line, false)
	if width > 0 && len(parts) > width {
		if again := splitPipes(line, true); len(again) < len(parts) {
			parts = again
		}
	}
	out := make([]markdownCell, 0, len(parts))
	for _, part := range parts {
		text, link := markdownText(part)
		out = append(out, markdownCell{text, link})
	}
	return out
}

func splitPipes(line string, code bool) []string {
	line = strings.TrimSpace(line)
	line = strings.TrimPrefix(line, "|")
	if strings.HasSuffix(line, "|") && !strings.HasSuffix(line, `\|`) {
		line = line[:len(line)-1]
	}
	var out []string
	start, inCode := 0, false
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\':
			i++
		case line[i] == '`' && code:
			inCode = !inCode
		case line[i] == '|' && !inCode:
			out = append(out, line[start:i])
			start = i + 1
		}
	}
	return append(out, line[start:])
}

var (
	lineBreak = regexp.MustCompile(`(?i)<br\s*/?>`)
	htmlTag   = regexp.MustCompile(`</?[a-zA-Z][^<>]*>`)
	anyLink   = regexp.MustCompile(`!?\[([^\[\]]*)\]\(([^()\s]*)(?:\s[^()]*)?\)`)
)

// markdownText gives the text of a cell without its markup, and the first link.
func markdownText(s string) (text, link string) {
	s = lineBreak.ReplaceAllString(s, "\n")
	s = htmlTag.ReplaceAllString(s, "")
	for _, m := range anyLink.FindAllStringSubmatch(s, 1) {
		link = m[2]
	}
	s = anyLink.ReplaceAllString(s, "$1")
	s = strings.ReplaceAll(html.UnescapeString(s), "`", "")
	s = strings.ReplaceAll(s, "**", "")
	s = strings.TrimSpace(s)
	for _, q := range [...]string{"__", "_", "*"} {
		if len(s) > 2*len(q) && strings.HasPrefix(s, q) && strings.HasSuffix(s, q) {
			s = s[len(q) : len(s)-len(q)]
		}
	}
	if strings.IndexByte(s, '\\') >= 0 {
		s = unescape(s)
	}
	return s, link
}

// unescape takes the backslash off ASCII punctuation
// (https://spec.commonmark.org/0.31.2/#backslash-escapes).
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && s[i+1] > ' ' && s[i+1] < 0x7f && !alphanumeric(s[i+1]) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
