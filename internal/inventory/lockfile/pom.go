package lockfile

import (
	"errors"
	"fmt"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"io/fs"
	"regexp"
	"strings"
)

// Limits of a pom.xml together with its parents. Real ones are far below.
const (
	maxPomSize         = 2 << 20 // bytes of one file
	maxPomDependencies = 5_000   // each is compared with each
	maxPomExpanded     = 8 << 20 // bytes of text once every property in it is replaced
	maxPomRounds       = 32      // properties that refer to properties that refer to …
)

// pomGuard holds a pom.xml and its parents to what their extractor can take. It
// replaces properties inside properties without a limit, so that thirty lines
// of "${a}${a}" become gigabytes; here the size is worked out and nothing replaced.
type pomGuard struct {
	values       map[string][]pomValue // what a property's name may stand for
	uses         []pomValue            // texts with references
	dependencies int
	// declared are the dependencies that the files themselves list, in profiles
	// too; their extractor drops one whose version it cannot resolve.
	declared []declaration
}

// declaration is a dependency as it is written.
type declaration struct {
	group, artifact string
	ranged          bool // its version is a range, of which the extractor gives the lower end
	line            int
}

// pomValue is a text with references to properties.
type pomValue struct {
	size int
	refs []string
}

var pomReference = regexp.MustCompile(`\$\{([^}]*)\}`)

// add takes one more file, and reports whether all of them together are within the limits.
func (g *pomGuard) add(b []byte) error {
	if len(b) > maxPomSize {
		return fmt.Errorf("the file is larger than the limit of %d bytes for a pom.xml", maxPomSize)
	}
	if g.values == nil {
		g.values = make(map[string][]pomValue)
	}
	var open []string
	var current declaration
	err := readXML(b, "project", func(e *element) error {
		open = append(open, e.Name.Local)
		if e.Name.Local == "dependency" {
			g.dependencies++
			current = declaration{line: e.line}
		}
		if g.dependencies > maxPomDependencies {
			return inventory.AtLine(e.line, "more than %d dependencies", maxPomDependencies)
		}
		return nil
	}, func(name, text string) error {
		open = open[:len(open)-1]
		v := pomValue{size: len(text)}
		for _, m := range pomReference.FindAllStringSubmatch(text, -1) {
			if m[1] != name { // a property that is itself stays as it is
				v.refs = append(v.refs, m[1])
			}
		}
		if len(v.refs) > 0 {
			g.uses = append(g.uses, v)
		}
		switch where := strings.Join(open, "/"); {
		case name == "dependency" && (where == "project/dependencies" || where == "project/profiles/profile/dependencies"):
			g.declared = append(g.declared, current)
		case len(open) > 0 && open[len(open)-1] == "dependency" && name == "groupId":
			current.group = text
		case len(open) > 0 && open[len(open)-1] == "dependency" && name == "artifactId":
			current.artifact = text
		case len(open) > 0 && open[len(open)-1] == "dependency" && name == "version":
			// https://maven.apache.org/pom.html#dependency-version-requirement-specification; [1.0] is a pin.
			current.ranged = strings.ContainsAny(text, "(),") || strings.Count(text, "[") > 1
		}
		switch {
		case len(open) == 0:
		case open[len(open)-1] == "properties":
			g.values[name] = append(g.values[name], v)
		case len(open) == 1 || open[len(open)-1] == "parent":
			// Maven's names for the parts of a project (maven-model-builder, "Model Interpolation").
			for _, prefix := range []string{"", "project.", "pom.", "parent.", "project.parent."} {
				g.values[prefix+name] = append(g.values[prefix+name], v)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return g.expanded()
}

// expanded bounds the size of every text with its properties replaced. A round
// goes one reference deeper; without a circle it settles.
func (g *pomGuard) expanded() error {
	errLarge := errors.New("its properties expand to more than the limit")
	size := make(map[string]int, len(g.values))
	of := func(v pomValue) int {
		n := v.size
		for _, r := range v.refs {
			n = min(n+size[r], maxPomExpanded+1)
		}
		return n
	}
	for round := 0; ; round++ {
		settled := true
		for name, values := range g.values {
			for _, v := range values {
				if n := of(v); n > size[name] {
					size[name], settled = n, false
				}
			}
			if size[name] > maxPomExpanded {
				return errLarge
			}
		}
		if settled {
			break
		}
		if round >= maxPomRounds {
			return errors.New("its properties refer to each other in a circle, or too deep")
		}
	}
	total := 0
	for _, v := range g.uses {
		if total += of(v); total > maxPomExpanded {
			return errLarge
		}
	}
	return nil
}

// guarded is a tree in which every file that is opened passes through a guard first.
type guarded struct {
	tree
	guard *pomGuard
}

func (t guarded) Open(name string) (fs.File, error) {
	f, err := t.tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b, err := (&inventory.File{R: f}).AnyText()
	if err != nil {
		return nil, err
	}
	if err := t.guard.add(b); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return readFile{strings.NewReader(string(b)), info}, nil
}

// readFile is a file whose content is in memory.
type readFile struct {
	*strings.Reader
	info fs.FileInfo
}

func (f readFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f readFile) Close() error               { return nil }
