package list

import (
	"fmt"
	"strings"

	"github.com/rapsheet/rapsheet/internal/printable"
)

// Mapping is how a list was understood: what was guessed, and what became of every
// line. Lines == Header + Blank + Comments + Used + Skipped.
type Mapping struct {
	// Format is "csv", "lines", "json", "json lines" or "markdown".
	Format string
	// Layout names a known list that was recognised ("exposure catalog", "removed packages
	// of nuget.org"), "" for any other.
	Layout string
	// Unit is what Lines and its parts count: "line", or "entry" in a JSON document.
	Unit string
	// Delimiter separates columns; 0 where there are none.
	Delimiter rune
	// Columns are those of all tables, at most 256.
	Columns []Column
	// Ecosystem is where entries belong that name none, "" when there is no such thing;
	// Why says where it was taken from.
	Ecosystem string
	Why       string

	Lines, Header, Blank, Comments, Used, Skipped int

	// Claims and Packages count what came out; a package has several claims when
	// different origins, campaigns or ids stand behind its lines.
	Claims, Packages int
	// Versions counts exact versions, Ranges ranges that have a beginning or an end, All
	// the claims about every version, Open those without any statement about versions.
	Versions, Ranges, All, Open int
	// Notes counts what is to be looked at.
	Notes int
}

// Column is one column of a table and what it was taken for.
type Column struct {
	// Line is the line of the table's header or first row.
	Line int
	// Number counts from 1.
	Number int
	// Header is the column's own name, "" for none; raw, from hostile input.
	Header string
	// Meaning is "name", "namespace", "versions", "ecosystem", "purl", "id", "campaign",
	// "date", "origins", "reference", "details", "title", "kind", "digest" or the algorithm of
	// one ("sha256"), "file" or "ignored".
	Meaning string
	// Why is "header", "content" or "option".
	Why string
}

// String gives the mapping as printable lines of text, each ended by a line break.
func (m Mapping) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "format: %s", m.Format)
	if m.Layout != "" {
		fmt.Fprintf(&b, " (%s)", m.Layout)
	}
	if m.Delimiter != 0 {
		fmt.Fprintf(&b, ", delimiter %q", m.Delimiter)
	}
	b.WriteByte('\n')
	line := 0
	for i, c := range m.Columns {
		if i == 0 || c.Line != line {
			line = c.Line
			fmt.Fprintf(&b, "columns (line %d):\n", line)
		}
		header := printable.Cut(c.Header, 60)
		if header == "" {
			header = "-"
		}
		fmt.Fprintf(&b, "  %d %s -> %s (by %s)\n", c.Number, header, c.Meaning, c.Why)
	}
	if m.Ecosystem != "" {
		fmt.Fprintf(&b, "ecosystem of what names none: %s (%s)\n", printable.Line(m.Ecosystem), printable.Line(m.Why))
	}
	fmt.Fprintf(&b, "%s: %d = %d header + %d blank + %d comment + %d used + %d skipped\n",
		plural(m.Unit), m.Lines, m.Header, m.Blank, m.Comments, m.Used, m.Skipped)
	fmt.Fprintf(&b, "packages: %d in %d claims; %d versions, %d ranges, %d with every version, %d without a version\n",
		m.Packages, m.Claims, m.Versions, m.Ranges, m.All, m.Open)
	fmt.Fprintf(&b, "notes: %d\n", m.Notes)
	return b.String()
}
