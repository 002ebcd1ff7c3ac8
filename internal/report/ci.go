package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/printable"
)

type junitSuites struct {
	XMLName  xml.Name   `xml:"testsuites"`
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Errors   int        `xml:"errors,attr"`
	Suite    junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
	Output   string      `xml:"system-out,omitempty"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
	Skipped *junitProblem `xml:"skipped"`
}

type junitProblem struct {
	Type    string `xml:"type,attr,omitempty"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// writeJUnit writes the XML that CI servers read as test results. All text goes
// through printable, which leaves characters of XML 1.0 only; what encoding/xml
// would replace silently is a visible escape by then.
func writeJUnit(buf *bytes.Buffer, r *result) error {
	s := junitSuite{Name: "malicious-packages", Time: strconv.FormatFloat(r.sum.Elapsed.Seconds(), 'f', 3, 64)}
	for _, f := range r.all() {
		name := printable.Name(f.Package.Name)
		if f.Package.Version != "" {
			name += "@" + printable.Name(f.Package.Version)
		}
		c := junitCase{Class: printable.Line(f.Package.Ecosystem), Name: name}
		p := &junitProblem{Type: printable.Line(f.Record.ID), Message: "on record as malicious: " + why(f), Text: junitText(f)}
		if f.Malicious() {
			c.Failure = p
			s.Failures++
		} else {
			how := " matches without consequence: "
			if f.Warning() {
				how = " matches and is disputed: "
			}
			p.Type, p.Text = "", ""
			p.Message = printable.Line(f.Record.ID) + how + why(f)
			c.Skipped = p
			s.Skipped++
		}
		s.Cases = append(s.Cases, c)
	}
	for _, n := range r.notes {
		if n.Kind != rapsheet.NoteUnread {
			continue
		}
		s.Errors++
		s.Cases = append(s.Cases, junitCase{Class: "unread", Name: place(n.Path, n.Line), Error: &junitProblem{Type: "unread", Message: noteLine(n)}})
	}
	if s.Errors == 0 && !r.sum.Complete {
		s.Errors++
		s.Cases = append(s.Cases, junitCase{Class: "unread", Name: "scan", Error: &junitProblem{Type: "unread", Message: headline(r)}})
	}
	if s.Failures+s.Errors == 0 {
		s.Cases = append(s.Cases, junitCase{Class: toolName, Name: headline(r)})
	}
	s.Tests = len(s.Cases)
	out := []string{headline(r), checked(r)}
	out = append(out, catalogs(r)...)
	if r.onlyBuiltIn() {
		out = append(out, "WARNING: "+builtInWarning(r))
	}
	s.Output = strings.Join(out, "\n")
	b, err := xml.MarshalIndent(junitSuites{Name: r.scan.Tool, Tests: s.Tests, Failures: s.Failures, Errors: s.Errors, Suite: s}, "", "  ")
	if err != nil {
		return err
	}
	buf.WriteString(xml.Header)
	buf.Write(b)
	buf.WriteByte('\n')
	return nil
}

func junitText(f *rapsheet.Finding) string {
	a := advisory(f)
	lines := []string{"", printable.Cut(summary(f), 200)}
	if p := prose(a.Details, maxDetails); p != "" {
		lines = append(lines, p)
	}
	for i, l := range f.Locations {
		if i == maxPlaces {
			lines = append(lines, "and "+number(len(f.Locations)-i)+" more")
			break
		}
		lines = append(lines, place(l.Path, l.Line))
	}
	return strings.Join(append(append(lines, links(a, maxLinks)...), advice([]*rapsheet.Finding{f})[0], ""), "\n")
}

// writeGitHub writes workflow commands, which become annotations of the run:
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
func writeGitHub(buf *bytes.Buffer, r *result) error {
	for _, f := range r.all() {
		level, text := "error", " is on record as malicious: "
		switch {
		case f.Warning():
			level, text = "warning", " matches a disputed record: "
		case !f.Malicious():
			level, text = "notice", " matches a record without consequence: "
		}
		message := title(f.Package) + " (" + printable.Line(f.Package.Ecosystem) + ")" + text + why(f) + ". " + printable.Cut(summary(f), 200)
		if n := len(f.Locations) - 1; n > 0 {
			message += "; in " + count(n, "more place")
		}
		l := f.Locations[0]
		command(buf, level, l.Path, l.Line, printable.Line(f.Record.ID)+": "+title(f.Package), message)
	}
	shown, rest := 0, 0
	for _, n := range r.notes {
		switch {
		case n.Kind != rapsheet.NoteUnread:
			continue
		case shown == maxNotes:
			rest += n.Count
			continue
		}
		shown++
		command(buf, "warning", n.Path, n.Line, "could not be read", noteLine(n))
	}
	if rest > 0 {
		command(buf, "warning", "", 0, "could not be read", "and "+count(rest, "more thing"))
	}
	if r.onlyBuiltIn() {
		command(buf, "warning", "", 0, "built-in list only", builtInWarning(r))
	}
	command(buf, "notice", "", 0, toolName, strings.Join(append([]string{headline(r), checked(r)}, catalogs(r)...), "; "))
	return nil
}

var (
	// The runner undoes these, and only these (actions/toolkit, command.ts).
	commandData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	commandProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func command(buf *bytes.Buffer, level, path string, line int, title, message string) {
	var properties []string
	if path != "" && path != "-" {
		properties = append(properties, "file="+commandProperty.Replace(printable.Line(path)))
		if line > 0 {
			properties = append(properties, "line="+strconv.Itoa(line))
		}
	}
	properties = append(properties, "title="+commandProperty.Replace(title))
	fmt.Fprintf(buf, "::%s %s::%s\n", level, strings.Join(properties, ","), commandData.Replace(message))
}
