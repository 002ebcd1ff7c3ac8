package report

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/printable"
)

const (
	maxPlaces  = 10 // places shown per finding
	maxNotes   = 20 // notes shown per kind
	maxLinks   = 3
	maxDetails = 320 // characters of a record's details
)

// ANSI styles; a writer without colour prints none.
const (
	styleReset  = "\x1b[0m"
	styleBold   = "\x1b[1m"
	styleDim    = "\x1b[2m"
	styleAlarm  = "\x1b[1;31m"
	styleClean  = "\x1b[32m"
	styleUneasy = "\x1b[1;33m"
)

// textWriter writes wrapped, optionally coloured text. What is passed to it is
// printable already.
type textWriter struct {
	buf   *bytes.Buffer
	color bool
	width int
}

func (t *textWriter) line(style, s string) {
	if t.color && style != "" {
		s = style + s + styleReset
	}
	t.buf.WriteString(s)
	t.buf.WriteByte('\n')
}

// wrap writes s at column indent, lead on the first line in front of it. Words
// longer than a line stay whole: they are paths and links.
func (t *textWriter) wrap(style, lead string, indent int, s string) {
	pad := strings.Repeat(" ", indent)
	prefix := lead + strings.Repeat(" ", max(indent-utf8.RuneCountInString(lead), 0))
	row, used := "", 0
	for word := range strings.SplitSeq(s, " ") {
		n := utf8.RuneCountInString(word)
		if used > 0 && indent+used+1+n > t.width {
			t.line(style, prefix+row)
			prefix, row, used = pad, "", 0
			// What was harmless inside a line may not be at the start of one.
			word = printable.Line(word)
		}
		if used > 0 {
			row, used = row+" ", used+1
		}
		row, used = row+word, used+n
	}
	t.line(style, prefix+row)
}

// field writes a labelled paragraph of a finding.
func (t *textWriter) field(style, label, s string) {
	if s != "" {
		t.wrap(style, "    "+label, 13, s)
	}
}

func writeText(buf *bytes.Buffer, r *result) error {
	t := &textWriter{buf: buf, color: r.opt.Color, width: cmp.Or(max(r.opt.Width, 0), 80)}
	if r.opt.Quiet {
		t.quiet(r)
		return nil
	}
	head, style := headline(r), styleClean
	switch {
	case len(r.malicious) > 0:
		style = styleAlarm
	case len(r.disputed) > 0, !r.sum.Complete, r.sum.Sightings == 0, r.onlyBuiltIn():
		style = styleUneasy
	}
	if !r.sum.Complete && len(r.notes) > 0 {
		head += " (below)"
	}
	t.line(style, head)
	for _, f := range r.malicious {
		t.finding(f, styleAlarm)
	}
	if len(r.malicious) > 0 {
		t.line("", "")
		t.line(styleBold, "What to do")
		for i, s := range advice(r.malicious) {
			t.wrap("", fmt.Sprintf("  %d. ", i+1), 5, s)
		}
		t.purge(r.malicious)
	}
	if len(r.disputed) > 0 {
		t.line("", "")
		t.line(styleBold, "Disputed")
		t.wrap("", "", 2, disputedNote)
		for _, f := range r.disputed {
			t.finding(f, styleUneasy)
		}
	}
	if len(r.other) > 0 {
		t.line("", "")
		t.line(styleBold, "Without consequence")
		t.wrap(styleDim, "", 2, "These match a record and do not mean that anything malicious is here.")
		for _, f := range r.other {
			t.finding(f, styleDim)
		}
	}
	t.notes(r)
	t.line("", "")
	if s := othersLine(r); s != "" {
		t.wrap(styleDim, "", 0, s)
	}
	t.wrap("", "", 0, checked(r))
	if r.sum.Unparsed > 0 {
		t.wrap(styleDim, "", 0, count(r.sum.Unparsed, "comparison")+" of versions fell back to exact text because a version could not be parsed")
	}
	for _, s := range catalogs(r) {
		t.wrap("", "", 0, s)
	}
	if r.onlyBuiltIn() {
		t.line("", "")
		t.wrap(styleUneasy, "WARNING: ", 9, builtInWarning(r))
	}
	return nil
}

// finding writes one finding; style is the colour of its first line, and a dim
// one keeps the rest short.
func (t *textWriter) finding(f *rapsheet.Finding, style string) {
	t.line("", "")
	name := "  " + title(f.Package) + "  (" + printable.Line(f.Package.Ecosystem)
	if f.Package.Version == "" {
		name += ", no version said"
	}
	t.line(style, name+")")
	a := advisory(f)
	record := printable.Line(f.Record.ID)
	if also := slices.DeleteFunc(slices.Clone(a.Aliases), func(s string) bool { return s == f.Record.ID }); len(also) > 0 {
		record += ", also " + printable.Cut(strings.Join(also, ", "), 200)
	}
	if c := campaign(a); c != "" {
		record += ", campaign " + printable.Cut(c, 100)
	}
	t.field("", "record", record)
	what := printable.Cut(summary(f), 200)
	if p := prose(a.Details, maxDetails); p != "" {
		what = strings.TrimRight(what, ". ") + ". " + p
	}
	t.field("", "what", what)
	t.field("", "why", why(f))
	t.field("", "known", sinceWhen(f))
	t.places(f.Locations)
	t.field("", "held", printable.Cut(holding(f.Holding), 400))
	label := "links"
	for _, s := range links(a, maxLinks) {
		t.field(styleDim, label, s)
		label = ""
	}
}

// sinceWhen says when the record was published and, if so, taken back.
func sinceWhen(f *rapsheet.Finding) string {
	a := advisory(f)
	s := ""
	if d := day(a.Published); d != "" {
		s = "since " + d
	}
	if d := day(a.Withdrawn); d != "" && !f.Record.Disputed {
		s = strings.TrimPrefix(s+", withdrawn "+d, ", ")
	}
	return s
}

func (t *textWriter) places(all []rapsheet.Location) {
	label := "where"
	for i, l := range all {
		if i == maxPlaces {
			t.field("", "", "and "+number(len(all)-i)+" more")
			return
		}
		s := place(l.Path, l.Line)
		if about := aboutPlace(l); about != "" {
			s += "  (" + about + ")"
		}
		// Not wrapped: a path is there to be copied.
		t.line("", fmt.Sprintf("    %-9s%s", label, s))
		label = ""
	}
}

// maxCalls is how many calls that would remove something are shown.
const maxCalls = 10

// purge writes what would remove the findings from the registries that hold them.
func (t *textWriter) purge(findings []*rapsheet.Finding) {
	var calls []string
	seen := map[string]bool{} // two records about one package want the same
	for _, f := range findings {
		if f.Holding == nil {
			continue
		}
		for _, call := range f.Holding.Purge {
			if !seen[call] {
				seen[call] = true
				calls = append(calls, call)
			}
		}
	}
	if len(calls) == 0 {
		return
	}
	t.line("", "")
	t.line(styleBold, "What would remove it")
	t.wrap(styleDim, "", 2, "Nothing of this has been run. --purge-plan FILE writes all of it, to be reviewed and run by hand.")
	for i, call := range calls {
		if i == maxCalls {
			t.line("", "  and "+number(len(calls)-i)+" more")
			return
		}
		// Not wrapped: a call is there to be copied.
		t.line("", "  "+printable.Line(call))
	}
}

func (t *textWriter) notes(r *result) {
	for _, kind := range []struct {
		kind        rapsheet.NoteKind
		title, note string
		style       string
	}{
		{rapsheet.NoteUnread, "Not checked: could not be read", "thing that could not be read", styleUneasy},
		{rapsheet.NoteUnmatchable, "Not checked: cannot be looked up", "thing that cannot be looked up", styleBold},
		{rapsheet.NoteInfo, "Good to know", "note", styleBold},
	} {
		shown := 0
		rest := 0
		for _, n := range r.notes {
			switch {
			case n.Kind != kind.kind:
				continue
			case shown == maxNotes:
				rest++
				continue
			case shown == 0:
				t.line("", "")
				t.line(kind.style, kind.title)
			}
			shown++
			t.wrap("", "  ", 4, noteLine(n))
		}
		if rest > 0 {
			t.line("", "    and "+number(rest)+" more")
		}
	}
}

// quiet writes a line per finding, and nothing else but what must not be missed.
func (t *textWriter) quiet(r *result) {
	for _, f := range r.all() {
		word, style := "MALICIOUS", styleAlarm
		switch {
		case f.Warning():
			word, style = "DISPUTED", styleUneasy
		case !f.Malicious():
			word, style = noAlarm(f), styleDim
		}
		s := fmt.Sprintf("%s %s %s %s %s", word, printable.Line(f.Package.Ecosystem), title(f.Package), printable.Line(f.Record.ID), place(f.Locations[0].Path, f.Locations[0].Line))
		if n := len(f.Locations) - 1; n > 0 {
			s += " and " + count(n, "more place")
		}
		t.line(style, s)
	}
	if !r.sum.Complete {
		t.line(styleUneasy, "WARNING: "+count(max(r.sum.Unread, 1), "thing")+" could not be read")
	}
	if r.onlyBuiltIn() {
		t.line(styleUneasy, "WARNING: "+builtInWarning(r))
	}
}
