package list

import (
	"slices"
	"strings"
)

// maxQuoted is how many lines a quoted cell may go on for; a quote that is not closed
// by then is a character like any other, so that it cannot swallow a file.
const maxQuoted = 100

// delimiters are tried in this order.
var delimiters = [...]byte{'\t', ';', ',', '|'}

// sniffDelimiter finds the character that separates columns, 0 when the lines are no
// table: the first of the delimiters by which the lines fall into columns, one of which
// holds names and, without a header, another something else that is known.
func sniffDelimiter(ls []string) byte {
	var sample []string
	for _, l := range ls {
		if t := strings.TrimSpace(l); t != "" && (!isComment(t) || headerComment(t)) {
			sample = append(sample, l)
			if len(sample) == sampled {
				break
			}
		}
	}
	best, bestScore := byte(0), 0
	for _, d := range delimiters {
		records := readCSV(sample, d)
		t, _ := tableOf(records, nil)
		c, ok := columnsOf(&t, nil)
		if !ok || len(c.meanings) < 2 {
			continue
		}
		split := 0
		for _, r := range records {
			if len(r.cells) > 1 {
				split++
			}
		}
		known := 0
		for _, m := range c.meanings {
			if m != isIgnored {
				known++
			}
		}
		// Without a header only a second column of a known meaning tells a table from text with commas.
		if t.header == nil && (known < 2 || split*10 < len(records)*8) || t.header != nil && split == 0 {
			continue
		}
		if score := known*1000 + split; score > bestScore {
			best, bestScore = d, score
		}
	}
	return best
}

// record is one row of a CSV file.
type record struct {
	line, span int // the first line, from 0, and how many lines it takes
	cells      []string
	// unclosed says that a quote was never closed and taken as text.
	unclosed bool
	// over says that cells beyond maxColumns were left out.
	over bool
}

// readCSV splits lines into records (RFC 4180, with what spreadsheets and people make
// of it: any delimiter, quotes inside of cells, rows of any width).
func readCSV(ls []string, delimiter byte) []record {
	out := make([]record, 0, len(ls))
	for i := 0; i < len(ls); {
		r := readRecord(ls, i, delimiter)
		out = append(out, r)
		i += r.span
	}
	return out
}

func readRecord(ls []string, at int, delimiter byte) record {
	r := record{line: at, span: 1}
	rest := ls[at]
	for {
		if len(r.cells) == maxColumns {
			r.over = true
			return r
		}
		cell, after, more, used, ok := readCell(ls, at+r.span-1, rest, delimiter)
		if !ok {
			r.unclosed = true
		}
		r.cells = append(r.cells, cell)
		r.span += used
		if !more {
			return r
		}
		rest = after
	}
}

// readCell reads one cell from the beginning of s, which is the rest of line at. used
// counts the further lines that a quoted cell takes; ok is false for a quote without an end.
func readCell(ls []string, at int, s string, delimiter byte) (cell, after string, more bool, used int, ok bool) {
	quoted := strings.TrimLeft(s, " ")
	if !strings.HasPrefix(quoted, `"`) {
		cell, after, more = strings.Cut(s, string(delimiter))
		return strings.TrimSpace(cell), after, more, 0, true
	}
	var b strings.Builder
	part := quoted[1:]
	for {
		i := strings.IndexByte(part, '"')
		switch {
		case i < 0:
			b.WriteString(part)
			b.WriteByte('\n')
			used++
			if used >= maxQuoted || at+used >= len(ls) {
				// Not closed: the line is taken as it stands.
				cell, after, more = strings.Cut(s, string(delimiter))
				return strings.TrimSpace(cell), after, more, 0, false
			}
			part = ls[at+used]
			continue
		case strings.HasPrefix(part[i+1:], `"`): // "" is a quote
			b.WriteString(part[:i+1])
			part = part[i+2:]
			continue
		}
		b.WriteString(part[:i])
		tail, rest, found := strings.Cut(part[i+1:], string(delimiter))
		// Text after the closing quote belongs to the cell: "a" b.
		b.WriteString(strings.TrimRight(tail, " "))
		return strings.TrimSpace(b.String()), rest, found, used, true
	}
}

// maxPreamble is how many lines of text may stand before a header.
const maxPreamble = 10

// tableOf finds the header among records and gives the table and how many records stand
// before its rows. Rows have the index of their record as unit. A record with the
// headers that overrides name is the header, whatever its words.
func tableOf(records []record, overrides []override) (t table, first int) {
	header := -1
	for i := range records {
		if i == maxPreamble {
			break
		}
		known, ok := isHeader(records[i].cells)
		if ok && (i == 0 || known >= 2) || namesAll(records[i].cells, overrides) {
			header = i
			break
		}
	}
	if header >= 0 {
		t.header = records[header].cells
		first = header + 1
	}
	t.rows = make([]row, 0, len(records)-first)
	for i := first; i < len(records); i++ {
		t.rows = append(t.rows, row{unit: i, cells: records[i].cells})
	}
	return t, first
}

// namesAll reports whether every override that names a header, and there is one, names one of cells.
func namesAll(cells []string, overrides []override) bool {
	named := false
	for _, o := range overrides {
		if o.number > 0 {
			continue
		}
		named = true
		if !slices.ContainsFunc(cells, func(c string) bool { return normalise(c) == o.header }) {
			return false
		}
	}
	return named
}

// readTable reads a CSV file into p.
func (p *parser) readTable(text string) {
	ls := lines(text)
	delimiter := p.opt.delimiter
	if delimiter == 0 {
		delimiter = sniffDelimiter(ls)
	}
	if delimiter == 0 {
		delimiter = ','
	}
	p.m.Delimiter = rune(delimiter)
	records := make([]record, 0, len(ls))
	units := make([]int, 0, len(ls))
	p.units = make([]unit, 0, len(ls))
	for i := 0; i < len(ls); {
		t := strings.TrimSpace(ls[i])
		if t == "" || isComment(t) && !headerComment(t) {
			p.plain(i, ls[i], t == "")
			i++
			continue
		}
		r := readRecord(ls, i, delimiter)
		if strings.TrimSpace(strings.Join(r.cells, "")) == "" {
			p.plain(i, ls[i], true) // ",,,": spreadsheets write empty rows so
			for n := 1; n < r.span; n++ {
				p.plain(i+n, ls[i+n], true)
			}
			i += r.span
			continue
		}
		u := p.unit(i+1, r.span, ls[i])
		if r.unclosed {
			p.note(u, "a quote without an end was read as text", false)
		}
		if r.over {
			p.note(u, "more than 256 columns: the rest was left out", false)
		}
		records, units = append(records, r), append(units, u)
		i += r.span
		if p.spend(len(r.cells)); p.over {
			return
		}
	}
	t, first := tableOf(records, p.opt.columns)
	for i := range first {
		if i < first-1 {
			p.note(units[i], "text before the header", true)
			continue
		}
		p.units[units[i]].kind = unitHeader
		t.line = p.units[units[i]].line
	}
	for i := range t.rows {
		t.rows[i].unit = units[t.rows[i].unit]
	}
	if t.line == 0 && len(t.rows) > 0 {
		t.line = p.units[t.rows[0].unit].line
	}
	p.table(&t)
}

// headerComment reports whether what looks like a comment is the header of a table:
// "#,Package,Version" or "# package,version".
func headerComment(trimmed string) bool {
	if !strings.HasPrefix(trimmed, "#") {
		return false
	}
	for _, d := range delimiters {
		if known, _ := isHeader(strings.Split(trimmed, string(d))); known >= 2 {
			return true
		}
	}
	return false
}
