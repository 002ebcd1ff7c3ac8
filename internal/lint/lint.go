// Package lint checks OSV documents about malicious packages the way the CI of
// those who take them in would: single documents, and trees of them.
//
// Flow: [Document] reads one document into a small tree of values (value.go),
// walks it along the schema (schema.go), then looks at the package, its versions
// and ranges (affected.go) and at what the chosen [Rules] want besides
// (upstream.go, served.go); whatever package osv would refuse and no rule has
// named is reported last. [Tree] does so for a stream of documents, on all
// processors and in order, and adds what only shows when documents are seen together
// (tree.go).
//
// Promise: it reads no files and follows no links, terminates in time linear in the
// document for any input, never panics, and names the place of every problem. A
// document without problems of severity error is one that package osv reads and
// that the named receiver accepts as far as its rules are known here.
package lint

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/osv"
)

// Rules names the set of rules that documents are held to.
type Rules int

const (
	// OSV is the schema and what package names and versions must be in their ecosystems.
	OSV Rules = iota + 1
	// Upstream is OSV and what github.com/ossf/malicious-packages accepts.
	Upstream
	// Served is OSV and what our own releases obey, so that every known client reads them.
	Served
)

var rulesNames = [...]string{OSV: "osv", Upstream: "upstream", Served: "served"}

// ParseRules gives the set of the given name: "osv", "upstream" or "served".
func ParseRules(name string) (Rules, error) {
	if i := slices.Index(rulesNames[:], name); i > 0 {
		return Rules(i), nil
	}
	return 0, fmt.Errorf("unknown set of rules %.40q, one of %s", name, strings.Join(rulesNames[1:], ", "))
}

// String gives the name that [ParseRules] reads.
func (r Rules) String() string {
	if r < OSV || r > Served {
		return "rules " + strconv.Itoa(int(r))
	}
	return rulesNames[r]
}

// Severity says what a problem means.
type Severity string

// Severities. The zero value of a rule's severity means that the rule does not apply.
const (
	// Error means that the receiver refuses the document, or that readers disagree about it.
	Error Severity = "error"
	// Warning means that it is accepted and probably not meant.
	Warning Severity = "warning"
)

// Problem is one thing that is wrong with one document.
type Problem struct {
	// Path is the name of the document as it was given; raw, from hostile input.
	Path string
	// Pointer is a JSON pointer (RFC 6901) into the document, "" for all of it or for
	// its place; at most 1 KiB, of a deeper place only the front. Raw.
	Pointer string
	// Rule is the short name of the rule, see [All].
	Rule     string
	Severity Severity
	// Message says what is wrong, in one printable line.
	Message string
	// Advice says what to do about it; it is the same for all problems of a rule.
	Advice string
}

// String gives the problem as one printable line: severity, place, message, rule.
func (p Problem) String() string {
	where := printable.Cut(p.Path, 200)
	if p.Pointer != "" {
		where += "#" + printable.Cut(p.Pointer, 200)
	}
	return fmt.Sprintf("%s: %s: %s [%s]", p.Severity, where, p.Message, p.Rule)
}

// Limits of a document, those of package osv where it has one.
const (
	maxDocument = 8 << 20
	maxDepth    = 64
	// maxValues bounds the memory for documents of nothing but brackets.
	maxValues = 500_000
	// maxProblems is how many problems of one document are reported; one more says that
	// there are others.
	maxProblems = 100
	maxPointer  = 1 << 10
)

// Document checks one document. The path is where it lies in its tree, with slashes;
// rules about places look only at the part that they know ("osv/malicious/…", the
// name of the file), and path may be empty. At most 101 problems are given, in
// the order of the document as far as its rules allow. It keeps no reference to data.
func Document(path string, data []byte, rules Rules) []Problem {
	problems, _ := check(path, data, rules)
	return problems
}

// check is Document, and what other documents may disagree with.
func check(path string, data []byte, rules Rules) ([]Problem, facts) {
	c := checker{path: path, rules: rules}
	doc, err := read(data)
	if err != nil {
		c.report(err.rule, verbatim(err.at), "%s", err.text)
		return c.problems, facts{}
	}
	if data = doc.data; doc.mark {
		c.report(ruleJSON, nil, "a byte order mark at the start")
	}
	c.draft = rules == Upstream && isDraft(path, doc.root.str("id"))
	c.shape(doc.root, &recordShape, nil)
	c.record(doc.root)
	if rules == Upstream {
		c.upstream(doc.root)
	}
	if rules == Served {
		c.served(doc.root)
	}
	f := c.facts(doc.root)
	c.readable(data)
	return c.problems, f
}

// readable reports what package osv refuses, unless an error was found already:
// its problems are those of the rules here in other words.
func (c *checker) readable(data []byte) {
	if c.errors > 0 {
		return
	}
	name := c.path
	if c.draft {
		// Only for its name; the rules for drafts decide whether the place is right.
		name = "MAL-0000-draft.json"
	}
	_, _, err := osv.ParseNamed(data, name, osv.DefaultLimits())
	var problems osv.Problems
	if err != nil && !errors.As(err, &problems) {
		problems = osv.Problems{{Message: err.Error()}}
	}
	for _, p := range problems {
		c.report(ruleReadable, verbatim(p.Pointer), "%s", p.Message)
	}
}

// checker collects the problems of one document.
type checker struct {
	path     string
	rules    Rules
	draft    bool // a new report, which has no id yet
	errors   int
	problems []Problem
}

// report adds a problem unless the rule does not apply. Arguments may be hostile:
// the message is made printable and cut.
func (c *checker) report(r rule, place *spot, format string, args ...any) {
	severity := table[r].severity(c.rules)
	if severity == "" || len(c.problems) > maxProblems {
		return
	}
	if severity == Error {
		c.errors++
	}
	p := Problem{Path: c.path, Pointer: place.String(), Rule: table[r].Name, Severity: severity, Advice: table[r].Advice,
		Message: printable.Cut(fmt.Sprintf(format, args...), 400)}
	if len(c.problems) == maxProblems {
		p.Pointer, p.Message = "", fmt.Sprintf("more than %d problems; the others are not listed", maxProblems)
	}
	c.problems = append(c.problems, p)
}

// quote shows a value of the document in a message.
func quote(s string) string { return strconv.Quote(printable.Cut(s, 80)) }

// spot is a place in a document on the way down.
type spot struct {
	up    *spot
	name  string
	index int // of an element of an array; or one of the below
}

const (
	isMember   = -1
	isVerbatim = -2 // name is a pointer
)

func verbatim(pointer string) *spot { return &spot{nil, pointer, isVerbatim} }

func (p *spot) member(name string) *spot { return &spot{p, name, isMember} }
func (p *spot) element(i int) *spot      { return &spot{p, "", i} }

// String gives the pointer.
func (p *spot) String() string {
	switch {
	case p == nil:
		return ""
	case p.index == isVerbatim:
		return p.name
	}
	front := p.up.String()
	s := front + "/"
	if p.index >= 0 {
		s += strconv.Itoa(p.index)
	} else {
		s += escape.Replace(p.name)
	}
	if len(s) > maxPointer {
		return front
	}
	return s
}

// escape writes a member's name in a pointer (RFC 6901, 3).
var escape = strings.NewReplacer("~", "~0", "/", "~1")

// place gives the place named by members and indexes.
func place(parts ...any) *spot { return (*spot)(nil).below(parts...) }

// below gives the place inside of p named by members and indexes.
func (p *spot) below(parts ...any) *spot {
	for _, x := range parts {
		switch x := x.(type) {
		case int:
			p = p.element(x)
		case string:
			p = p.member(x)
		}
	}
	return p
}
