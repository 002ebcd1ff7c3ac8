// Package report renders a scan: handlers that are told findings and notes as
// they happen and write text for people, JSON and JSON lines for programs, SARIF
// and GitHub workflow commands for code hosts, CycloneDX, CSV, Markdown and JUnit
// for what reads those.
//
// Flow: [New] gives a [rapsheet.Handler] for a format. All formats but jsonl
// collect: findings arrive one per sighting in any order and come out as one per
// record, package version, verdict and consequence with every place it was seen,
// in an order that depends only on what was found. jsonl writes each piece when
// it happens.
//
// The promise: what could not be read is said in every format that has room for
// it, "nothing found" is never said alone when something was not read, and no
// name, path or text of somebody else's makes a sink do anything: control and
// bidi characters are escaped in all of them, and one record stays one record.
// docs/output.md describes the formats.
package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/rapsheet/rapsheet"
)

// Options say how a report is rendered. The zero value is fine.
type Options struct {
	// Color allows ANSI colours in text.
	Color bool
	// Quiet reduces text to one line per finding and loud warnings.
	Quiet bool
	// Width is the column at which prose in text is wrapped; 0 means 80.
	Width int
	// All shows findings of no consequence too: withdrawn, elsewhere, unversioned.
	// Scan.All does the same.
	All bool
	// ToolVersion is the version to name when Scan.Version is empty.
	ToolVersion string
}

// toolName and toolURL are what machine formats say made them; Scan.Tool, when
// set, takes the name's place.
const (
	toolName = "rapsheet"
	toolURL  = "https://github.com/rapsheet/rapsheet"
)

// formatJSONL is the one format that does not collect.
const formatJSONL = "jsonl"

// formats are the collecting formats.
var formats = []struct {
	name   string
	render func(*bytes.Buffer, *result) error
}{
	{"text", writeText},
	{"json", writeJSON},
	{"sarif", writeSARIF},
	{"cyclonedx", writeCycloneDX},
	{"csv", writeCSV},
	{"markdown", writeMarkdown},
	{"junit", writeJUnit},
	{"github", writeGitHub},
}

// Formats lists the names that [New] knows, the default first.
func Formats() []string {
	names := make([]string, 0, len(formats)+1)
	for _, f := range formats {
		names = append(names, f.name)
		if f.name == "json" {
			names = append(names, formatJSONL)
		}
	}
	return names
}

// New gives a handler that writes format to w. Collecting formats hold all
// findings in memory, with the records they point to, and write once, in End.
func New(format string, w io.Writer, opt Options) (rapsheet.Handler, error) {
	if format == formatJSONL {
		return &stream{w: w, opt: opt}, nil
	}
	for _, f := range formats {
		if f.name == format {
			return &collector{w: w, opt: opt, name: format, render: f.render,
				findings: map[findingKey]*group{}, notes: map[noteKey]*rapsheet.Note{}}, nil
		}
	}
	return nil, fmt.Errorf("unknown output format %.40q, one of %s", format, strings.Join(Formats(), ", "))
}
