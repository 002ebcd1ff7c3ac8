// Package catalog turns sources into the list: it decides which documents are
// records of malicious packages, joins what several sources say, and builds the
// snapshot.
//
// Flow: internal/source yields raw documents, package osv reads them, [Build]
// keeps the malicious ones and accounts for every other one with a reason, and
// package index writes the result.
package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/osv"
)

// Input is one named stream of documents.
type Input struct {
	Name      string
	Documents iter.Seq2[source.Document, error]
}

// Report accounts for every document that a build was given.
type Report struct {
	// Documents counts what was read, Records what is in the catalog.
	Documents int
	Records   int
	// Skipped counts documents that are fine and not wanted, by reason.
	Skipped map[string]int
	// Rejected lists documents that could not be used.
	Rejected []Rejection
	// Flags counts what was odd and accepted, by kind.
	Flags map[string]int
}

// Rejection is one document that could not be used.
type Rejection struct {
	Source, Name string
	Reason       string
}

// Reasons for which a good document is not in the catalog.
const (
	skipBenign  = "not about a malicious package"
	skipSame    = "the same record again"
	skipOlder   = "an older state of a record that another source has"
	skipNothing = "names no package"
)

// document is a raw document, or the reason why its source could not give it.
type document struct {
	name string
	data []byte
	err  error
}

type parsed struct {
	name     string
	item     index.Item
	id       string
	modified time.Time
	flags    []osv.Flag
	skip     string
	err      error
}

// Build reads inputs in order into a builder. A document that cannot be used is
// in the report and does not stop the build; an input that fails as a whole does.
//
// The same id twice in one input with different content rejects both: which one
// is true cannot be told. Across inputs the record modified last wins; a time more
// than a day after now is nobody's and counts as none.
func Build(ctx context.Context, inputs []Input, now time.Time, progress func(documents int)) (*index.Builder, Report, error) {
	latest := now.Add(24 * time.Hour)
	b := &builder{
		b:      &index.Builder{Latest: latest},
		byID:   map[string]kept{},
		report: Report{Skipped: map[string]int{}, Flags: map[string]int{}},
	}
	for i, in := range inputs {
		for p, err := range parse(ctx, in.Documents) {
			if err != nil {
				return nil, b.report, fmt.Errorf("%s: %w", in.Name, err)
			}
			if p.modified.After(latest) {
				p.modified = time.Time{}
			}
			b.add(i, in.Name, p)
			if progress != nil && b.report.Documents%1024 == 0 {
				progress(b.report.Documents)
			}
		}
	}
	return b.b, b.report, nil
}

type kept struct {
	handle   int
	input    int
	name     string
	modified time.Time
	json     []byte
	rejected bool
}

type builder struct {
	b      *index.Builder
	byID   map[string]kept
	report Report
}

func (b *builder) reject(source, name, format string, args ...any) {
	b.report.Rejected = append(b.report.Rejected, Rejection{source, name, fmt.Sprintf(format, args...)})
}

func (b *builder) add(input int, source string, p parsed) {
	b.report.Documents++
	for _, f := range p.flags {
		b.report.Flags[string(f.Kind)]++
	}
	switch {
	case p.err != nil:
		b.reject(source, p.name, "%v", p.err)
		return
	case p.skip != "":
		b.report.Skipped[p.skip]++
		return
	}
	old, again := b.byID[p.id]
	switch {
	case !again:
	case !old.rejected && bytes.Equal(old.json, p.item.JSON()):
		b.report.Skipped[skipSame]++
		return
	case old.input == input:
		b.reject(source, p.name, "id %s stands in %s too, with other content", p.id, old.name)
		if !old.rejected {
			b.reject(source, old.name, "id %s stands in %s too, with other content", p.id, p.name)
			b.b.Remove(old.handle)
			b.report.Records--
			old.rejected = true
			b.byID[p.id] = old
		}
		return
	case !p.modified.After(old.modified) && !old.rejected:
		b.report.Skipped[skipOlder]++
		return
	case !old.rejected:
		b.b.Remove(old.handle)
		b.report.Records--
		b.report.Skipped[skipOlder]++
	}
	handle := b.b.Add(p.item)
	b.report.Records++
	b.byID[p.id] = kept{handle: handle, input: input, name: p.name, modified: p.modified, json: b.b.JSON(handle)}
}

// parse reads documents on every core and yields them in their order. Only an
// error that ends the source is yielded as one.
func parse(ctx context.Context, docs iter.Seq2[source.Document, error]) iter.Seq2[parsed, error] {
	return ordered(ctx, accounted(docs), read)
}

// accounted makes a document of what a source could not give.
func accounted(docs iter.Seq2[source.Document, error]) iter.Seq2[document, error] {
	return func(yield func(document, error) bool) {
		for d, err := range docs {
			var r *source.Reject
			out := document{name: d.Name, data: d.Data}
			if errors.As(err, &r) {
				out, err = document{name: r.Name, err: r.Reason}, nil
			}
			if !yield(out, err) {
				return
			}
		}
	}
}

// read turns one document into an item, or says why not.
func read(d document) parsed {
	p := parsed{name: d.name}
	if d.err != nil {
		p.err = d.err
		return p
	}
	r, flags, err := osv.ParseNamed(d.data, d.name, osv.DefaultLimits())
	if err != nil {
		p.err = err
		return p
	}
	p.flags = flags
	if !r.Malicious() {
		p.skip = skipBenign
		return p
	}
	if len(r.Affected) == 0 {
		p.skip = skipNothing
		return p
	}
	if p.item, err = index.Prepare(r); err != nil {
		p.err = err
		return p
	}
	p.id = strings.Clone(r.ID)
	p.modified, _ = r.Modified.Time()
	return p
}
