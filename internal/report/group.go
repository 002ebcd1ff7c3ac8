package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// collector is the handler of every grouped format.
type collector struct {
	w        io.Writer
	opt      Options
	name     string
	render   func(*bytes.Buffer, *result) error
	scan     rapsheet.Scan
	findings map[findingKey]*group
	notes    map[noteKey]*rapsheet.Note
}

// findingKey is what places of one finding share. Sightings that differ in how well
// their provenance is known are one finding, graded by the best of them; only what
// makes no alarm stands apart from what does.
type findingKey struct {
	id, version string
	pkg         rapsheet.Key
	verdict     rapsheet.Verdict
	malicious   bool
	warning     bool
}

type noteKey struct {
	kind          rapsheet.NoteKind
	message, path string
}

// group is what one finding is made of. head is the sighting that comes first in
// a fixed order, so that the outcome does not depend on who arrived first.
type group struct {
	head      rapsheet.Finding
	locations []rapsheet.Location
	// held is what registries say, each about one of the places.
	held []held
	// text is the sighting that comes first among those with an advisory.
	text *rapsheet.Finding
}

func (c *collector) Begin(s *rapsheet.Scan) error {
	c.scan = *s
	return nil
}

func (c *collector) Finding(f *rapsheet.Finding) error {
	k := findingKey{f.Record.ID, f.Package.Version, keyOf(f.Package), f.Verdict, f.Malicious(), f.Warning()}
	g := c.findings[k]
	if g == nil {
		g = &group{head: *f}
		c.findings[k] = g
	} else if compareSightings(f, &g.head) < 0 {
		g.head = *f
	}
	if f.Advisory != nil && (g.text == nil || compareSightings(f, g.text) < 0) {
		t := *f
		g.text = &t
	}
	g.locations = append(g.locations, f.Locations...)
	if f.Holding != nil {
		g.held = append(g.held, held{f.Locations, f.Holding})
	}
	return nil
}

func (c *collector) Note(n *rapsheet.Note) error {
	k := noteKey{n.Kind, n.Message, n.Path}
	have := c.notes[k]
	if have == nil {
		first := *n
		first.Count = max(n.Count, 1)
		c.notes[k] = &first
		return nil
	}
	have.Count += max(n.Count, 1)
	if n.Line > 0 && (have.Line == 0 || n.Line < have.Line) {
		have.Line = n.Line
	}
	return nil
}

func (c *collector) End(s *rapsheet.Summary) error {
	r := c.result(s)
	var buf bytes.Buffer
	if err := c.render(&buf, r); err != nil {
		return fmt.Errorf("render %s: %w", c.name, err)
	}
	if _, err := c.w.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("write %s: %w", c.name, err)
	}
	return nil
}

// grades are the provenances, best known first.
var grades = []rapsheet.Provenance{
	rapsheet.ProvenanceHash, rapsheet.ProvenanceRegistry, rapsheet.ProvenanceUnknown, rapsheet.ProvenanceElsewhere,
}

// compareSightings orders sightings of one finding: the best grade wins, then the
// first catalog, then the first place; the rest makes the order total.
func compareSightings(a, b *rapsheet.Finding) int {
	if c := cmp.Or(
		cmp.Compare(slices.Index(grades, a.Provenance), slices.Index(grades, b.Provenance)),
		cmp.Compare(a.Catalog, b.Catalog),
	); c != 0 {
		return c
	}
	if c := slices.CompareFunc(a.Locations, b.Locations, compareLocations); c != 0 {
		return c
	}
	return cmp.Or(
		cmp.Compare(a.Package.Name, b.Package.Name),
		cmp.Compare(a.Package.PURL, b.Package.PURL),
		cmp.Compare(a.Why, b.Why),
		cmp.Compare(a.Evidence.Origin, b.Evidence.Origin),
		cmp.Compare(a.Evidence.URL, b.Evidence.URL),
		cmp.Compare(a.Evidence.Host, b.Evidence.Host),
		slices.CompareFunc(a.Evidence.Digests, b.Evidence.Digests, func(a, b rapsheet.Digest) int {
			return cmp.Or(cmp.Compare(a.Algorithm, b.Algorithm), cmp.Compare(a.Hex, b.Hex))
		}),
	)
}

func compareLocations(a, b rapsheet.Location) int {
	return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Layer, b.Layer), cmp.Compare(a.Gone, b.Gone))
}

func compareFindings(a, b *rapsheet.Finding) int {
	return cmp.Or(
		cmp.Compare(a.Package.Ecosystem, b.Package.Ecosystem),
		cmp.Compare(a.Package.Name, b.Package.Name),
		cmp.Compare(a.Package.Version, b.Package.Version),
		cmp.Compare(a.Record.ID, b.Record.ID),
		cmp.Compare(a.Verdict, b.Verdict),
		cmp.Compare(a.Provenance, b.Provenance),
	)
}

// result is a whole scan, grouped and in order: what the formats render.
type result struct {
	opt  Options
	scan rapsheet.Scan
	sum  rapsheet.Summary
	// malicious, disputed and other are the findings to show; hidden counts by reason
	// the findings of no consequence that are not shown.
	malicious, disputed, other []*rapsheet.Finding
	hidden                     map[string]int
	// hosts are the registries because of which findings make no alarm, sorted: a
	// company's proxy of the public registry would be one of them.
	hosts []string
	notes []*rapsheet.Note
}

func (c *collector) result(s *rapsheet.Summary) *result {
	r := &result{opt: c.opt, scan: c.scan, sum: *s, hidden: map[string]int{}}
	r.scan.Tool = cmp.Or(r.scan.Tool, toolName)
	r.scan.Version = cmp.Or(r.scan.Version, r.opt.ToolVersion)
	r.opt.All = r.opt.All || r.scan.All
	for _, g := range c.findings {
		f := &g.head
		if g.text != nil {
			f.Advisory = g.text.Advisory
		}
		slices.SortFunc(g.locations, compareLocations)
		f.Locations = slices.Compact(g.locations)
		f.Holding = together(g.held)
		if f.Provenance == rapsheet.ProvenanceElsewhere && f.Evidence.Origin == rapsheet.OriginRegistry &&
			f.Verdict != rapsheet.VerdictWithdrawn && !f.Record.Disputed {
			r.hosts = append(r.hosts, f.Evidence.Host)
		}
		switch {
		case f.Malicious():
			r.malicious = append(r.malicious, f)
		case f.Warning():
			r.disputed = append(r.disputed, f)
		case r.opt.All:
			r.other = append(r.other, f)
		default:
			r.hidden[noAlarm(f)]++
		}
	}
	slices.Sort(r.hosts)
	r.hosts = slices.Compact(r.hosts)
	slices.SortFunc(r.malicious, compareFindings)
	slices.SortFunc(r.disputed, compareFindings)
	slices.SortFunc(r.other, compareFindings)
	r.notes = slices.SortedFunc(maps.Values(c.notes), func(a, b *rapsheet.Note) int {
		return cmp.Or(
			cmp.Compare(noteRank(a.Kind), noteRank(b.Kind)),
			cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Message, b.Message),
		)
	})
	return r
}

func noteRank(k rapsheet.NoteKind) int {
	return slices.Index([]rapsheet.NoteKind{rapsheet.NoteUnread, rapsheet.NoteUnmatchable, rapsheet.NoteInfo}, k)
}

// all are the findings to show, those that matter first.
func (r *result) all() []*rapsheet.Finding { return slices.Concat(r.malicious, r.disputed, r.other) }

// others counts the findings of no consequence, shown or not.
func (r *result) others() int {
	n := len(r.other)
	for _, h := range r.hidden {
		n += h
	}
	if n == 0 {
		n = r.sum.Other
	}
	return n
}

// packages counts distinct package versions: two records about one package are
// one package.
func packages(findings []*rapsheet.Finding) int {
	type version struct {
		key     rapsheet.Key
		version string
	}
	seen := map[version]struct{}{}
	for _, f := range findings {
		seen[version{keyOf(f.Package), f.Package.Version}] = struct{}{}
	}
	return len(seen)
}

// keyOf is the name that all spellings of a package share.
func keyOf(p rapsheet.Package) rapsheet.Key {
	if key, ok := ecosystem.KeyOf(p); ok {
		return key
	}
	return rapsheet.Key{Ecosystem: p.Ecosystem, Name: p.Name}
}

// places counts distinct places of findings.
func places(findings []*rapsheet.Finding) int {
	type place struct {
		path string
		line int
	}
	seen := map[place]struct{}{}
	for _, f := range findings {
		for _, l := range f.Locations {
			seen[place{l.Path, l.Line}] = struct{}{}
		}
	}
	return len(seen)
}

// onlyBuiltIn reports whether the scan had nothing but the list inside the program.
func (r *result) onlyBuiltIn() bool {
	return len(r.scan.Catalogs) > 0 &&
		!slices.ContainsFunc(r.scan.Catalogs, func(c rapsheet.Catalog) bool { return !c.BuiltIn })
}

// Reasons why a finding is no alarm. A disputed one is shown all the same; the
// others have no consequence.
const (
	reasonDisputed    = "disputed"
	reasonWithdrawn   = "withdrawn"
	reasonElsewhere   = "elsewhere"
	reasonUnversioned = "unversioned"
)

func noAlarm(f *rapsheet.Finding) string {
	switch {
	case f.Warning():
		return reasonDisputed
	case f.Verdict == rapsheet.VerdictWithdrawn:
		return reasonWithdrawn
	case f.Provenance == rapsheet.ProvenanceElsewhere:
		return reasonElsewhere
	}
	return reasonUnversioned
}
