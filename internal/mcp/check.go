package mcp

import (
	"context"
	"errors"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/match"
)

// CheckInput are the arguments of check.
type CheckInput struct {
	Packages []Wanted `json:"packages" jsonschema:"the packages to look up, at most 1000"`
}

// CheckOutput answers in the order of the packages.
type CheckOutput struct {
	Packages []Checked `json:"packages"`
	Catalogs []Catalog `json:"catalogs"`
}

// Checked is the answer for one package.
type Checked struct {
	Package string `json:"package"`
	// Status is malicious, disputed, not_malicious (on record, but not this version or not in force), not_on_record or not_checked.
	Status   string    `json:"status" jsonschema:"malicious, disputed, not_malicious (records exist and mean no alarm, see findings), not_on_record, or not_checked"`
	Note     string    `json:"note,omitempty"`
	Findings []Finding `json:"findings,omitempty"`
}

func (s *Server) check(ctx context.Context, _ *mcp.CallToolRequest, in CheckInput) (*mcp.CallToolResult, CheckOutput, error) {
	out := CheckOutput{Packages: []Checked{}, Catalogs: s.catalogs()}
	if len(in.Packages) == 0 || len(in.Packages) > maxPackages {
		return nil, out, fmt.Errorf("%d packages: give 1 to %d at a time", len(in.Packages), maxPackages)
	}
	for i := range in.Packages {
		sighting, err := in.Packages[i].sighting()
		switch {
		case errors.Is(err, errUnmatchable):
			out.Packages = append(out.Packages, Checked{Package: name(sighting.Package.String()), Status: "not_checked", Note: err.Error()})
			continue
		case err != nil:
			return nil, CheckOutput{}, fmt.Errorf("package %d: %w", i+1, err)
		}
		c, err := s.checkOne(ctx, sighting)
		if err != nil {
			return nil, CheckOutput{}, err
		}
		out.Packages = append(out.Packages, c)
	}
	return nil, out, nil
}

func (s *Server) checkOne(ctx context.Context, sighting rapsheet.Sighting) (Checked, error) {
	c := checking{Checked: Checked{Package: name(sighting.Package.String()), Status: "not_on_record"}}
	stream := func(yield func(rapsheet.Sighting, error) bool) { yield(sighting, nil) }
	sum, err := match.Run(ctx, s.indexes, stream, &c)
	switch {
	case err != nil:
		return Checked{}, errors.New(line(err.Error()))
	case sum.Findings > 0:
		c.Status = "malicious"
	case sum.Disputed > 0:
		c.Status = "disputed"
	case sum.Other > 0:
		c.Status = "not_malicious"
	case sum.Unmatchable > 0 || !sum.Complete:
		c.Status = "not_checked"
	}
	return c.Checked, nil
}

// checking collects what is found about one package.
type checking struct {
	Checked
	more int
}

func (c *checking) Begin(*rapsheet.Scan) error  { return nil }
func (c *checking) End(*rapsheet.Summary) error { return nil }

func (c *checking) Finding(f *rapsheet.Finding) error {
	if len(c.Findings) == maxLocations {
		c.more++
		c.Checked.Note = fmt.Sprintf("%d more records are about it", c.more)
		return nil
	}
	c.Findings = append(c.Findings, finding(f))
	return nil
}

func (c *checking) Note(n *rapsheet.Note) error {
	c.Checked.Note = line(n.Error())
	return nil
}
