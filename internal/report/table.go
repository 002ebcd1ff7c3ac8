package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/printable"
)

// csvHeader are the columns of CSV; docs/output.md describes them.
var csvHeader = []string{
	"id", "aliases", "campaign", "ecosystem", "name", "version", "purl", "verdict", "provenance", "malicious",
	"published", "summary", "path", "line", "kind", "disputed", "reason",
	"layer", "gone", "registry", "served", "latest", "fetched",
}

// writeCSV writes RFC 4180 CSV that a spreadsheet can open: a row per finding and
// place, no cell that is taken for a formula, no line breaks in cells.
func writeCSV(buf *bytes.Buffer, r *result) error {
	w := csv.NewWriter(buf)
	w.UseCRLF = true
	rows := [][]string{csvHeader}
	for _, f := range r.all() {
		a := advisory(f)
		var held [4]string
		if h := newJSONHolding(f.Holding); h != nil {
			held = [...]string{h.Registry, h.Served, strconv.FormatBool(h.Latest), h.Fetched}
		}
		for _, l := range f.Locations {
			line := ""
			if l.Line > 0 {
				line = strconv.Itoa(l.Line)
			}
			rows = append(rows, []string{
				f.Record.ID, strings.Join(a.Aliases, " "), campaign(a), f.Package.Ecosystem, f.Package.Name, f.Package.Version,
				purl(f.Package), string(f.Verdict), string(f.Provenance), strconv.FormatBool(f.Malicious()),
				timestamp(a.Published), printable.Cut(summary(f), 500), l.Path, line, l.Kind,
				strconv.FormatBool(f.Record.Disputed), printable.Cut(dispute(f).Reason, 500),
				l.Layer, l.Gone, held[0], held[1], held[2], held[3],
			})
		}
	}
	for i, row := range rows {
		if i > 0 {
			for k := range row {
				row[k] = cell(row[k])
			}
		}
		if err := w.Write(row); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// cell makes s printable and, where a spreadsheet would compute it, text: with an
// apostrophe in front. The full-width signs count in East Asian locales
// (https://owasp.org/www-community/attacks/CSV_Injection).
func cell(s string) string {
	s = printable.Line(s)
	if t := strings.TrimLeft(s, " "); t != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(t)[0]) {
		return "'" + s
	}
	return s
}

// writeMarkdown writes a summary for a pull request or a job page: GitHub
// flavoured Markdown.
func writeMarkdown(buf *bytes.Buffer, r *result) error {
	fmt.Fprintf(buf, "## %s\n", headline(r))
	if r.onlyBuiltIn() {
		fmt.Fprintf(buf, "\n**WARNING:** %s\n", builtInWarning(r))
	}
	if len(r.malicious) > 0 {
		markdownTable(buf, r.malicious)
		fmt.Fprint(buf, "\n### What to do\n\n")
		for i, s := range advice(r.malicious) {
			fmt.Fprintf(buf, "%d. %s\n", i+1, markdown(s))
		}
	}
	if len(r.disputed) > 0 {
		fmt.Fprintf(buf, "\n### Disputed\n\n%s\n", markdown(disputedNote))
		markdownTable(buf, r.disputed)
	}
	if len(r.other) > 0 {
		fmt.Fprint(buf, "\n### Without consequence\n\nThese match a record and do not mean that anything malicious is here.\n")
		markdownTable(buf, r.other)
	}
	shown, rest := 0, 0
	for _, n := range r.notes {
		switch {
		case shown == maxNotes:
			rest++
			continue
		case shown == 0:
			fmt.Fprint(buf, "\n### Notes\n\n")
		}
		shown++
		fmt.Fprintf(buf, "- %s: %s\n", markdown(string(n.Kind)), code(noteLine(n)))
	}
	if rest > 0 {
		fmt.Fprintf(buf, "- and %s more\n", number(rest))
	}
	buf.WriteByte('\n')
	if s := othersLine(r); s != "" {
		fmt.Fprintf(buf, "%s\n\n", markdown(s))
	}
	fmt.Fprintf(buf, "%s\n", markdown(checked(r)))
	for _, s := range catalogs(r) {
		fmt.Fprintf(buf, "\n%s\n", markdown(s))
	}
	return nil
}

func markdownTable(buf *bytes.Buffer, findings []*rapsheet.Finding) {
	fmt.Fprint(buf, "\n| Package | Version | Ecosystem | Record | Campaign | Why | Where |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, f := range findings {
		var where strings.Builder
		for i, l := range f.Locations {
			if i == maxPlaces {
				where.WriteString("<br>and " + number(len(f.Locations)-i) + " more")
				break
			}
			if i > 0 {
				where.WriteString("<br>")
			}
			where.WriteString(code(place(l.Path, l.Line)))
			if l.Layer != "" {
				where.WriteString(" " + markdown(aboutPlace(l)))
			}
		}
		about := why(f)
		if s := printable.Cut(holding(f.Holding), 400); s != "" {
			about += "; " + s
		}
		fmt.Fprintf(buf, "| %s | %s | %s | %s | %s | %s | %s |\n",
			code(printable.Name(f.Package.Name)), code(printable.Name(f.Package.Version)), code(printable.Line(f.Package.Ecosystem)),
			code(printable.Line(f.Record.ID)), code(printable.Cut(campaign(advisory(f)), 100)), markdown(about), where.String())
	}
}

// code shows printable text as code. The element, not backticks: its content can
// be escaped, and code hosts look for no mentions (@name), issues (#1) and
// commits in it.
func code(s string) string {
	if s == "" {
		return ""
	}
	return "<code>" + markdown(s) + "</code>"
}

// markdown escapes printable text for GitHub flavoured Markdown, table cells
// included: ASCII punctuation becomes character references, which are never
// markup (https://github.github.com/gfm/#entity-and-numeric-character-references).
// Dots, dashes and what else means nothing inside a line are left alone, but for
// the dot of "www.", which would make a link.
func markdown(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '.' && i >= 3 && strings.EqualFold(s[i-3:i], "www"),
			r < 0x80 && strings.ContainsRune("!\"#$&'*:<>@[\\]^_`{|}~", r):
			fmt.Fprintf(&b, "&#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
