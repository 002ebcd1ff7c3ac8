// Package advisory is a record as formats other than OSV need it: one package, the
// versions as exact ones and spans, a title, one link, the times.
//
// Flow: an OSV record → [Of], one advisory for each package it is about → package
// export writes files of them, package server answers with them; the grammars of
// version constraints that those formats have are here ([Grammar]).
//
// Promise: an advisory covers exactly the versions that its record covers; what a
// format cannot say is left to the format to leave out, and is never widened.
package advisory

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/osv"
)

// Advisory is what a record says about one package. It shares memory with the record.
type Advisory struct {
	// ID is the record's id, "MAL-2024-1".
	ID string
	// Key is the package as all its spellings are looked up, Name as the record spells it.
	Key  rapsheet.Key
	Name string
	// PURL is the package's canonical purl without a version, "" for an ecosystem that has none.
	PURL string
	// Ecosystem is the row of the table; nil for an ecosystem that rapsheet does not order versions of.
	Ecosystem *ecosystem.Ecosystem
	// All says that every version is malicious; Versions and Spans are then empty.
	All bool
	// Versions are exact versions as the record spells them, in the ecosystem's order, each once.
	Versions []string
	// Spans are the runs of versions, ascending and apart from one another; an exact version may lie in one of them.
	Spans []Span
	// Title is one printable line of at most [MaxTitle] bytes.
	Title string
	// URL is where a person reads about it, absolute, http or https.
	URL string
	// Published and Modified are zero where the record does not say.
	Published, Modified time.Time
	// Record is the whole document.
	Record *osv.Record
}

// MaxTitle bounds titles, in bytes; ossf/malicious-packages keeps summaries shorter.
const MaxTitle = 120

// Span is a run of versions. An end that is "" is open: from the first version, or without an end.
type Span struct {
	From string // the first version of the run
	To   string // where it ends
	// Including says that To is part of the run.
	Including bool
}

// Links says where records are shown to people.
type Links struct {
	// Base is the address below which a record is shown under its id, without a slash at the end. "" takes
	// the record's own advisory, or its page at OSV.dev.
	Base string
}

// Of gives an advisory for each package of a registry that rec is about, in the order of the record. There is none for a withdrawn
// record (a disputed one is withdrawn too), for an ecosystem that does not exist, and for a record that covers no version.
func Of(rec *osv.Record, links Links) []Advisory {
	if rec.IsWithdrawn() {
		return nil
	}
	var out []Advisory
	for i := range rec.Affected {
		if a, ok := one(rec, &rec.Affected[i]); ok {
			a.URL = links.of(rec)
			out = append(out, a)
		}
	}
	return out
}

func one(rec *osv.Record, of *osv.Affected) (Advisory, bool) {
	name, _, _ := strings.Cut(of.Package.Ecosystem, ":")
	p := rapsheet.Package{Ecosystem: name, Name: of.Package.Name}
	key, ok := ecosystem.KeyOf(p)
	if !ok {
		return Advisory{}, false
	}
	a := Advisory{ID: rec.ID, Key: key, Name: of.Package.Name, PURL: ecosystem.PURL(p), Record: rec}
	a.Ecosystem, _ = ecosystem.Find(name)
	a.Versions = slices.Clone(of.Versions)
	for i := range of.Ranges {
		if of.Ranges[i].Type != osv.RangeGit {
			a.Spans = append(a.Spans, spans(a.Ecosystem, of.Ranges[i].Events)...)
		}
	}
	a.settle()
	if !a.All && len(a.Versions) == 0 && len(a.Spans) == 0 {
		return Advisory{}, false
	}
	a.Title = title(rec, &a)
	a.Published, _ = rec.Published.Time()
	a.Modified, _ = rec.Modified.Time()
	return a, true
}

// settle orders versions and spans, joins spans that touch, and sees whether everything is covered.
func (a *Advisory) settle() {
	slices.SortFunc(a.Versions, func(v, w string) int { return cmp.Or(a.compare(v, w), strings.Compare(v, w)) })
	a.Versions = slices.Compact(a.Versions)
	slices.SortFunc(a.Spans, func(s, t Span) int { return a.compareFrom(s.From, t.From) })
	joined := a.Spans[:0]
	for _, s := range a.Spans {
		if n := len(joined); n > 0 && a.reaches(joined[n-1], s.From) {
			joined[n-1] = a.longer(joined[n-1], s)
			continue
		}
		joined = append(joined, s)
	}
	a.Spans = joined
	if len(a.Spans) == 1 && a.Spans[0] == (Span{}) {
		a.All, a.Versions, a.Spans = true, nil, nil
	}
}

// compare orders versions that the ecosystem can order before those that it cannot, and these by their text.
func (a *Advisory) compare(v, w string) int {
	vo, wo := a.Ordered(v), a.Ordered(w)
	switch {
	case vo && wo:
		return a.Ecosystem.Compare(v, w)
	case vo:
		return -1
	case wo:
		return 1
	}
	return strings.Compare(v, w)
}

// Ordered reports whether the ecosystem can order v: only then is it before or after another one.
func (a *Advisory) Ordered(v string) bool { return a.Ecosystem != nil && a.Ecosystem.ValidVersion(v) }

// Compare orders two versions that are both [Advisory.Ordered].
func (a *Advisory) Compare(v, w string) int { return a.Ecosystem.Compare(v, w) }

func (a *Advisory) compareFrom(v, w string) int {
	switch {
	case v == w:
		return 0
	case v == "":
		return -1
	case w == "":
		return 1
	}
	return a.compare(v, w)
}

// reaches reports whether s, which begins no later than at from, goes on to it.
func (a *Advisory) reaches(s Span, from string) bool {
	return s.To == "" || from == "" || a.compare(s.To, from) >= 0
}

// longer is s with the later end of both.
func (a *Advisory) longer(s, t Span) Span {
	switch {
	case s.To == "":
		return s
	case t.To == "":
		s.To, s.Including = "", false
		return s
	}
	c := a.compare(s.To, t.To)
	if c < 0 || c == 0 && t.Including && !s.Including {
		s.To, s.Including = t.To, t.Including
	}
	return s
}

// spans reads the events of one range: those of OSV's evaluation, sorted by version, "0" before all
// (https://ossf.github.io/osv-schema/#evaluation). A limit ends a span as a fix does.
func spans(eco *ecosystem.Ecosystem, events []osv.Event) []Span {
	type point struct {
		version string
		kind    int // 0 introduced, 1 fixed or limit, 2 last affected
	}
	var points []point
	for _, e := range events {
		switch {
		case e.Introduced != "":
			v := e.Introduced
			if v == "0" {
				v = ""
			}
			points = append(points, point{v, 0})
		case e.Fixed != "":
			points = append(points, point{e.Fixed, 1})
		case e.LastAffected != "":
			points = append(points, point{e.LastAffected, 2})
		case e.Limit != "" && e.Limit != "*":
			points = append(points, point{e.Limit, 1})
		}
	}
	a := Advisory{Ecosystem: eco}
	for _, p := range points {
		if p.version != "" && !a.Ordered(p.version) && len(points) > 1 {
			return nil // nobody can say what lies between
		}
	}
	slices.SortStableFunc(points, func(p, q point) int {
		return cmp.Or(a.compareFrom(p.version, q.version), cmp.Compare(p.kind, q.kind))
	})
	var out []Span
	open := false
	for _, p := range points {
		switch {
		case p.kind == 0 && !open:
			out, open = append(out, Span{From: p.version}), true
		case p.kind != 0 && open:
			out[len(out)-1].To, out[len(out)-1].Including = p.version, p.kind == 2
			open = false
		}
	}
	return slices.DeleteFunc(out, func(s Span) bool {
		return s.To != "" && s.From != "" && a.compare(s.From, s.To) == 0 && !s.Including
	})
}

func title(rec *osv.Record, a *Advisory) string {
	if s := strings.TrimSpace(rec.Summary); s != "" {
		return printable.Cut(printable.Line(s), MaxTitle)
	}
	return printable.Cut(printable.Line("Malicious code in "+a.Name+" ("+a.Key.Ecosystem+")"), MaxTitle)
}

func (l Links) of(rec *osv.Record) string {
	if l.Base != "" {
		return l.Base + "/" + url.PathEscape(rec.ID)
	}
	for _, r := range rec.References {
		if u, err := url.Parse(r.URL); r.Type == "ADVISORY" && err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil {
			return u.String()
		}
	}
	return "https://osv.dev/vulnerability/" + url.PathEscape(rec.ID)
}
