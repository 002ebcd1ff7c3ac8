package lint

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"sync"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// File is one document of a tree.
type File struct {
	// Path is where the document lies in its tree, with slashes. It is a label.
	Path string
	Data []byte
}

// maxFiles is how many documents a tree may have; what is kept of each is about 200 bytes.
const maxFiles = 5_000_000

// batch is how many documents are checked at a time; that many are in memory.
const batch = 512

// Tree checks a stream of documents: each as [Document] does, in the order in which
// they come, and when the stream has ended what they say about each other.
//
// An error of the stream is passed on in its place and ends nothing, unless the
// stream ends there itself. A cancelled context and more than 5,000,000 documents are
// the last thing that is yielded.
func Tree(ctx context.Context, files iter.Seq2[File, error], rules Rules) iter.Seq2[Problem, error] {
	return func(yield func(Problem, error) bool) {
		t := tree{rules: rules, ids: map[string]string{}, packages: map[rapsheet.Key]facts{}, aliases: map[string][]string{}}
		if t.documents(ctx, files, yield) {
			t.cycles(yield)
		}
	}
}

// facts are what documents may disagree about.
type facts struct {
	path, id  string
	aliases   []string
	key       rapsheet.Key
	withdrawn bool
}

func (c *checker) facts(doc *value) facts {
	f := facts{path: c.path, id: doc.str("id"), withdrawn: doc.str("withdrawn") != ""}
	for _, a := range doc.list("aliases") {
		if a.is('"') && a.text != f.id {
			f.aliases = append(f.aliases, a.text)
		}
	}
	if affected := doc.list("affected"); len(affected) == 1 {
		p := packageOf(affected[0])
		f.key, _ = ecosystem.KeyOf(rapsheet.Package{Ecosystem: p.full, Name: p.name})
	}
	return f
}

// tree is what is remembered of the documents so far.
type tree struct {
	rules Rules
	files int
	// ids gives the path of each id, aliases the ids that an id names.
	ids     map[string]string
	aliases map[string][]string
	// packages gives the first record in force of each package.
	packages map[rapsheet.Key]facts
}

type checked struct {
	file     File
	err      error
	problems []Problem
	facts    facts
}

// documents checks the stream in batches, on all processors, and yields in order. It
// reports whether the consumer wants more.
func (t *tree) documents(ctx context.Context, files iter.Seq2[File, error], yield func(Problem, error) bool) bool {
	pending := make([]checked, 0, batch)
	flush := func() bool {
		t.check(pending)
		for i := range pending {
			if !t.yield(&pending[i], yield) {
				return false
			}
		}
		clear(pending)
		pending = pending[:0]
		return true
	}
	for f, err := range files {
		if ctx.Err() != nil {
			break
		}
		if t.files++; t.files > maxFiles {
			yield(Problem{}, fmt.Errorf("more than %d documents", maxFiles))
			return false
		}
		pending = append(pending, checked{file: f, err: err})
		if len(pending) == batch && !flush() {
			return false
		}
	}
	if ctx.Err() != nil {
		yield(Problem{}, context.Cause(ctx))
		return false
	}
	return flush()
}

// check fills in what the documents say, concurrently.
func (t *tree) check(docs []checked) {
	var wg sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), len(docs))
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(docs); i += workers {
				d := &docs[i]
				if d.err == nil {
					d.problems, d.facts = check(d.file.Path, d.file.Data, t.rules)
				}
			}
		})
	}
	wg.Wait()
}

// yield tells the problems of one document, those with documents before it last.
func (t *tree) yield(d *checked, yield func(Problem, error) bool) bool {
	if d.err != nil {
		return yield(Problem{}, d.err)
	}
	for _, p := range d.problems {
		if !yield(p, nil) {
			return false
		}
	}
	f := d.facts
	c := checker{path: f.path, rules: t.rules}
	if f.id != "" {
		if other, ok := t.ids[f.id]; ok {
			c.report(ruleIDTwice, place("id"), "%s is the id of %s as well", quote(f.id), quote(other))
		} else {
			t.ids[f.id] = f.path
			if len(f.aliases) > 0 {
				t.aliases[f.id] = f.aliases
			}
		}
	}
	if f.key.Name != "" && !f.withdrawn {
		if other, ok := t.packages[f.key]; ok && other.id != f.id {
			c.report(rulePackageTwice, nil, "%s %s has another record in force, %s in %s", f.key.Ecosystem, quote(f.key.Name), quote(other.id), quote(other.path))
		} else if !ok {
			t.packages[f.key] = facts{id: f.id, path: f.path}
		}
	}
	for _, p := range c.problems {
		if !yield(p, nil) {
			return false
		}
	}
	return true
}

// cycles reports records of the tree that are, in one step or several, aliases of
// themselves: one thing with several records. Each cycle is reported once for the
// record that closes it.
func (t *tree) cycles(yield func(Problem, error) bool) {
	const open, done = 1, 2
	state := map[string]int{}
	type step struct {
		id   string
		next int
	}
	for _, start := range slices.Sorted(maps.Keys(t.aliases)) {
		if state[start] != 0 {
			continue
		}
		state[start] = open
		for stack := []step{{start, 0}}; len(stack) > 0; {
			top := &stack[len(stack)-1]
			if top.next == len(t.aliases[top.id]) {
				state[top.id] = done
				stack = stack[:len(stack)-1]
				continue
			}
			alias := t.aliases[top.id][top.next]
			top.next++
			if t.aliases[alias] == nil {
				continue
			}
			switch state[alias] {
			case 0:
				state[alias] = open
				stack = append(stack, step{alias, 0})
			case open:
				c := checker{path: t.ids[top.id], rules: t.rules}
				c.report(ruleAliasCycle, place("aliases", top.next-1), "%s and %s are records of this tree and aliases of each other", quote(top.id), quote(alias))
				for _, p := range c.problems {
					if !yield(p, nil) {
						return
					}
				}
			}
		}
	}
}
