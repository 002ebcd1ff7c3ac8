package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/printable"
)

// held is what a registry says about a finding in the places where it was seen.
type held struct {
	places []rapsheet.Location
	says   *rapsheet.Holding
}

// together makes one holding of what a registry says about all places of a finding, nil if nothing: it is served if
// it is from one of them, and all calls are needed to remove it.
func together(all []held) *rapsheet.Holding {
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b held) int {
		return cmp.Or(
			slices.CompareFunc(a.places, b.places, compareLocations),
			cmp.Compare(a.says.Registry, b.says.Registry),
			slices.Compare(a.says.Purge, b.says.Purge),
		)
	})
	out := rapsheet.Holding{Registry: all[0].says.Registry}
	seen := map[string]bool{}
	for _, h := range all {
		if out.Served != rapsheet.ServedYes && h.says.Served != rapsheet.ServedUnknown {
			out.Served = h.says.Served
		}
		out.Latest = out.Latest || h.says.Latest
		if h.says.Fetched.After(out.Fetched) {
			out.Fetched = h.says.Fetched
		}
		for _, call := range h.says.Purge {
			if !seen[call] {
				seen[call] = true
				out.Purge = append(out.Purge, call)
			}
		}
	}
	return &out
}

// NewPurgePlan gives a handler that writes what would remove the findings from the registries that hold them: a
// shell script for a person to review and to run by hand, one call a line, each under a comment that says which
// records want it. What is not beyond doubt is commented out.
func NewPurgePlan(w io.Writer, opt Options) rapsheet.Handler {
	return &collector{w: w, opt: opt, name: "purge plan", render: writePurgePlan,
		findings: map[findingKey]*group{}, notes: map[noteKey]*rapsheet.Note{}}
}

func writePurgePlan(buf *bytes.Buffer, r *result) error {
	comment := func(format string, args ...any) {
		buf.WriteString("# " + printable.Line(fmt.Sprintf(format, args...)) + "\n")
	}
	buf.WriteString("#!/usr/bin/env bash\n")
	comment("What would remove the malicious packages on record from %s.", printable.Cut(strings.Join(r.scan.Targets, ", "), 400))
	s := r.scan.Tool
	if r.scan.Version != "" {
		s += " " + r.scan.Version
	}
	if !r.scan.Started.IsZero() {
		s += " wrote it on " + r.scan.Started.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	comment("%s. Nothing of it has been run: review it, keep copies of what you remove as evidence, and run it by hand.", s)
	comment("%s", headline(r))
	for _, c := range catalogs(r) {
		comment("%s", c)
	}
	buf.WriteString("set -u\n")
	// Records of one package version want the same calls.
	type version struct{ ecosystem, name, version string }
	done := map[string]bool{}
	for _, part := range []struct {
		findings []*rapsheet.Finding
		prefix   string
	}{{r.malicious, ""}, {r.disputed, "# disputed: "}, {r.other, "# without consequence: "}} {
		ids := map[version][]string{}
		var order []*rapsheet.Finding
		for _, f := range part.findings {
			v := version{f.Package.Ecosystem, f.Package.Name, f.Package.Version}
			if ids[v] == nil {
				order = append(order, f)
			}
			ids[v] = append(ids[v], f.Record.ID)
		}
		for _, f := range order {
			buf.WriteString("\n")
			comment("%s (%s): %s", title(f.Package), f.Package.Ecosystem, strings.Join(ids[version{f.Package.Ecosystem, f.Package.Name, f.Package.Version}], ", "))
			if s := holding(f.Holding); s != "" {
				comment("%s", s)
			}
			if f.Holding == nil || len(f.Holding.Purge) == 0 {
				comment("The registry did not say what would remove it from %s.", place(f.Locations[0].Path, f.Locations[0].Line))
				continue
			}
			for _, call := range f.Holding.Purge {
				switch {
				case strings.ContainsFunc(call, func(c rune) bool { return !printable.Rune(c) }):
					comment("not to be run as it is: %s", call)
				case part.prefix == "" && done[call]:
					comment("as above: %s", call)
				default:
					buf.WriteString(part.prefix + call + "\n")
					done[call] = true
				}
			}
		}
	}
	return nil
}
