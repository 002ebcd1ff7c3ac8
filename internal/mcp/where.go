package mcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/match"
)

// WhereInput are the arguments of where_is.
type WhereInput struct {
	Directory string  `json:"directory,omitempty" jsonschema:"the directory to scan, inside one of the roots that the user allowed; default: the first root"`
	Package   *Wanted `json:"package,omitempty" jsonschema:"look for this package, malicious or not; without a version for every version; default: every malicious package on record"`
}

// WhereOutput is what a directory holds.
type WhereOutput struct {
	Directory string    `json:"directory"`
	Complete  bool      `json:"complete" jsonschema:"false: something could not be read (see notes), so that nothing found does not mean nothing there"`
	Checked   int       `json:"checked" jsonschema:"package versions seen"`
	Seen      []Seen    `json:"seen,omitempty" jsonschema:"where the package asked for is"`
	Findings  []Finding `json:"findings" jsonschema:"what is on record, most serious first"`
	More      int       `json:"more,omitempty" jsonschema:"findings and places beyond those told"`
	Notes     []string  `json:"notes,omitempty"`
	Catalogs  []Catalog `json:"catalogs"`
}

// Seen is one place of the package asked for.
type Seen struct {
	Package  string `json:"package"`
	Location string `json:"location"`
}

// resolve makes a path absolute and follows its links.
func resolve(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	st, err := os.Stat(dir)
	if err == nil && !st.IsDir() {
		err = fmt.Errorf("%s is not a directory", dir)
	}
	return dir, err
}

// errOutside does not say whether the path exists.
var errOutside = errors.New("not a directory inside the roots that the user allowed; roots are given with rapsheet mcp --root DIR")

// inside gives the directory to walk.
func (s *Server) inside(dir string) (string, error) {
	if len(s.roots) == 0 {
		return "", errOutside
	}
	if dir == "" {
		return s.roots[0], nil
	}
	if len(dir) > ecosystem.MaxIdentifier || strings.ContainsRune(dir, 0) {
		return "", errOutside
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(s.roots[0], dir)
	}
	dir, err := resolve(dir)
	if err != nil {
		return "", errOutside
	}
	for _, root := range s.roots {
		if rel, err := filepath.Rel(root, dir); err == nil && filepath.IsLocal(rel) {
			return dir, nil
		}
	}
	return "", errOutside
}

func (s *Server) whereIs(ctx context.Context, _ *mcp.CallToolRequest, in WhereInput) (*mcp.CallToolResult, WhereOutput, error) {
	dir, err := s.inside(in.Directory)
	if err != nil {
		return nil, WhereOutput{}, err
	}
	h := &searching{places: map[string]int{}, WhereOutput: WhereOutput{Directory: line(dir), Findings: []Finding{}, Catalogs: s.catalogs()}}
	if in.Package != nil {
		wanted, err := in.Package.sighting()
		if err != nil {
			return nil, WhereOutput{}, fmt.Errorf("package: %w", err)
		}
		key, ok := ecosystem.KeyOf(wanted.Package)
		if !ok {
			return nil, WhereOutput{}, errors.New("package: not a name that can be looked up")
		}
		h.key, h.version = key, wanted.Package.Version
	}
	ctx, cancel := context.WithTimeout(ctx, maxWalk)
	defer cancel()
	select { // a walk uses the whole machine
	case s.walking <- struct{}{}:
		defer func() { <-s.walking }()
	case <-ctx.Done():
		return nil, WhereOutput{}, ctx.Err()
	}
	sum, err := match.Run(ctx, s.indexes, h.only(s.conf.Walk(ctx, dir)), h)
	if err != nil {
		return nil, WhereOutput{}, errors.New(line("the scan stopped early: " + err.Error()))
	}
	h.Complete = sum.Complete
	slices.SortStableFunc(h.WhereOutput.Findings, func(a, b Finding) int {
		return cmp.Or(rank(a)-rank(b), strings.Compare(a.Package, b.Package), strings.Compare(a.ID, b.ID))
	})
	return nil, h.WhereOutput, nil
}

func rank(f Finding) int {
	switch {
	case f.Malicious:
		return 0
	case f.Disputed:
		return 1
	}
	return 2
}

// searching collects what a walk finds.
type searching struct {
	WhereOutput
	key     rapsheet.Key // of the package asked for; zero for all on record
	version string
	places  map[string]int // of a finding: where it is in Findings
	notes   int
}

// only lets through what was asked for, and tells where it is.
func (h *searching) only(in rapsheet.Sightings) rapsheet.Sightings {
	return func(yield func(rapsheet.Sighting, error) bool) {
		for s, err := range in {
			if err == nil {
				h.Checked++
			}
			if err == nil && h.key != (rapsheet.Key{}) {
				if key, ok := ecosystem.KeyOf(s.Package); !ok || key != h.key || h.version != "" && h.version != s.Package.Version {
					continue
				}
				if len(h.Seen) == maxFindings {
					h.More++
				} else {
					h.Seen = append(h.Seen, Seen{name(s.Package.String()), place(s.Location)})
				}
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

func place(l rapsheet.Location) string {
	if l.Line > 0 {
		return fmt.Sprintf("%s:%d", line(l.Path), l.Line)
	}
	return line(l.Path)
}

func (h *searching) Begin(*rapsheet.Scan) error  { return nil }
func (h *searching) End(*rapsheet.Summary) error { return nil }

func (h *searching) Finding(x *rapsheet.Finding) error {
	if h.key == (rapsheet.Key{}) && !x.Malicious() && !x.Warning() {
		return nil
	}
	f := finding(x)
	id := fmt.Sprintf("%q %q %q %t", f.ID, f.Package, f.Verdict, f.Malicious)
	i, ok := h.places[id]
	if !ok {
		if len(h.WhereOutput.Findings) == maxFindings {
			h.More++
			return nil
		}
		i = len(h.WhereOutput.Findings)
		h.places[id] = i
		h.WhereOutput.Findings = append(h.WhereOutput.Findings, f)
	}
	known := &h.WhereOutput.Findings[i]
	for _, l := range x.Locations {
		if len(known.Locations) == maxLocations {
			h.More++
		} else {
			known.Locations = append(known.Locations, place(l))
		}
	}
	return nil
}

// Note keeps what the answer cannot be trusted without.
func (h *searching) Note(n *rapsheet.Note) error {
	if n.Kind != rapsheet.NoteUnread {
		return nil
	}
	h.notes++
	if h.notes <= maxNotes {
		h.Notes = append(h.Notes, line(n.Error()))
	} else {
		h.Notes = append(h.Notes[:maxNotes], fmt.Sprintf("and %d more that could not be read", h.notes-maxNotes))
	}
	return nil
}
