package rapsheet_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// floors is the house of docs/design.md: a package imports only from floors below
// its own. A package that stands nowhere here has no place yet: decide on one.
var floors = map[string]int{
	"osv":                          0,
	".":                            1,
	"ecosystem":                    2,
	"index":                        3,
	"match":                        3,
	"internal/sbom":                4,
	"internal/inventory":           4,
	"internal/npmconfig":           3,
	"internal/pythonconfig":        3,
	"internal/nugetconfig":         3,
	"internal/pkgarchive":          3,
	"internal/inventory/installed": 5,
	"internal/inventory/lockfile":  5,
	"internal/inventory/cache":     5,
	"internal/inventory/archive":   5,
	"internal/machine":             5,
	"internal/inventory/image":     6,
	"internal/registry":            6,
	"internal/claim":               3,
	"internal/source":              4,
	"internal/store":               4,
	"internal/lint":                4,
	"internal/bucket":              3,
	"internal/source/osvfeed":      5,
	"internal/source/github":       5,
	"internal/source/list":         5,
	"internal/source/claimfile":    5,
	"internal/store/sqlite":        5,
	"internal/store/postgres":      5,
	"internal/publish":             5,
	"internal/advisory":            4,
	"internal/export":              5,
	"internal/server":              6,
	"internal/mcp":                 6,
	"internal/report":              4,
	"internal/catalog/builtin":     4,
	"internal/catalog":             5,
	"internal/cli":                 7,
	"cmd/rapsheet":                 8,
}

// leaves import nothing of the project and may be used on every floor from leafFloor up.
var leaves = map[string]bool{
	"internal/atomicfile": true,
	"internal/bounded":    true,
	"internal/filelock":   true,
	"internal/httpretry":  true,
	"internal/printable":  true,
	"internal/tomltable":  true,
}

const leafFloor = 2

// tools are programs and data for tests, benchmarks and packaging; nothing that ships imports them.
var tools = map[string]bool{
	"internal/corpus":          true,
	"internal/corpus/write":    true,
	"internal/cli/man":         true,
	"internal/clienttest":      true,
	"internal/indextest":       true,
	"internal/store/storetest": true,
	"internal/store/pgtest":    true,
}

// groundFloor lists the modules that package osv may use besides the standard library.
var groundFloor = []string{"github.com/go-json-experiment/json"}

const module = "github.com/rapsheet/rapsheet"

// goImports gives the imports of every package of the module, tests left out.
func goImports(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "examples" || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(p))
		out[pkg] = append(out[pkg], []string{}...)
		for _, im := range f.Imports {
			s, err := strconv.Unquote(im.Path.Value)
			if err != nil {
				return err
			}
			out[pkg] = append(out[pkg], s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFloors(t *testing.T) {
	for pkg, imports := range goImports(t) {
		floor, known := floors[pkg]
		if !known && !leaves[pkg] && !tools[pkg] {
			t.Errorf("%s stands on no floor: give it one here and in docs/design.md", pkg)
			continue
		}
		for _, im := range imports {
			rest, ours := strings.CutPrefix(im, module)
			if !ours {
				if pkg == "osv" && strings.Contains(im, ".") && !allowed(im) {
					t.Errorf("%s imports %s: the ground floor is the standard library and a JSON package", pkg, im)
				}
				continue
			}
			to := path.Join(".", strings.TrimPrefix(rest, "/"))
			switch {
			case tools[pkg]:
			case tools[to]:
				t.Errorf("%s imports %s, which is for tests", pkg, to)
			case leaves[pkg]:
				t.Errorf("%s imports %s: a leaf imports nothing of the project", pkg, to)
			case leaves[to]:
				if floor < leafFloor {
					t.Errorf("%s imports %s: leaves are for floors from %d up", pkg, to, leafFloor)
				}
			case floors[to] >= floor:
				t.Errorf("%s (floor %d) imports %s (floor %d): imports go down", pkg, floor, to, floors[to])
			}
		}
	}
}

func allowed(im string) bool {
	for _, m := range groundFloor {
		if im == m || strings.HasPrefix(im, m+"/") {
			return true
		}
	}
	return false
}

// The table above and the one in docs/design.md are the same house.
func TestFloorsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	for pkg, floor := range floors {
		name := pkg
		if name == "." {
			name = "rapsheet"
		}
		if !strings.Contains(string(doc), "| "+strconv.Itoa(floor)+" | `"+name+"`") {
			t.Errorf("docs/design.md does not have %s on floor %d", name, floor)
		}
	}
	for pkg := range leaves {
		if !strings.Contains(string(doc), "`"+pkg+"`") {
			t.Errorf("docs/design.md does not name the leaf %s", pkg)
		}
	}
}
