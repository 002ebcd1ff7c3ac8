package registry

import (
	"context"
	"net/url"
	"strings"

	"golang.org/x/mod/module"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// goProxy is a Go module proxy (https://go.dev/ref/mod#goproxy-protocol), asked for the modules that are named; a list
// of versions is what it would serve. Athens adds a catalog of what it has stored.
type goProxy struct {
	byName
	eco *ecosystem.Ecosystem
	// stores says that it has what it lists.
	stores bool
}

func openGoProxy(ctx context.Context, c *client, opt Options) (*paged, error) {
	names := namesOf(opt, "Go")
	if len(names) == 0 {
		return nil, errNoNames(c, "a Go module proxy")
	}
	g := newGoProxy(c, "goproxy")
	g.given = true
	g.names = func(context.Context) ([]string, error) { return names, nil }
	return &paged{service: g, others: newTally(c, "packages")}, nil
}

func newGoProxy(c *client, kind string) *goProxy {
	eco, _ := ecosystem.Find("Go")
	g := &goProxy{byName: byName{c: c, kind: kind}, eco: eco}
	g.read = g.module
	return g
}

// zip is where a module version's archive is; a path that no module can have is an error.
func (g *goProxy) file(mod, version, ext string) (*url.URL, error) {
	dir, err := module.EscapePath(mod)
	if err != nil {
		return nil, errName // the reason repeats the name
	}
	v, err := module.EscapeVersion(version)
	if err != nil {
		return nil, errName
	}
	return g.c.atPath(nil, dir+"/@v/"+v+ext)
}

func (g *goProxy) module(ctx context.Context, mod string, s *sheet) error {
	dir, err := module.EscapePath(mod)
	if err != nil {
		// Records name what no proxy can have.
		return &StatusError{shown(g.c.base), 404}
	}
	versions, err := g.versions(ctx, dir)
	if err != nil {
		return err
	}
	if len(versions) == 0 {
		// Without tagged versions there may be a commit.
		if v, err := g.latest(ctx, mod); err != nil {
			return err
		} else if v != "" {
			versions = []string{v}
		}
	}
	for _, v := range versions {
		at, err := g.file(mod, v, ".zip")
		if err != nil {
			s.refused++
			continue
		}
		s.add(g.eco, mod, v, at, "", nil)
	}
	return nil
}

func (g *goProxy) versions(ctx context.Context, dir string) ([]string, error) {
	u, err := g.c.atPath(nil, dir+"/@v/list")
	if err != nil {
		return nil, err
	}
	a, err := g.c.do(ctx, request{url: u})
	if err != nil {
		return nil, err
	}
	var versions []string
	for line := range strings.Lines(string(a.data)) {
		v, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if v != "" && len(versions) < maxVersions {
			versions = append(versions, v)
		}
	}
	return versions, nil
}

// latest is what a go command gets that names no version, "" when the proxy does not say.
func (g *goProxy) latest(ctx context.Context, mod string) (string, error) {
	dir, err := module.EscapePath(mod)
	if err != nil {
		return "", nil
	}
	u, err := g.c.atPath(nil, dir+"/@latest")
	if err != nil {
		return "", err
	}
	var info struct {
		Version string
	}
	_, err = g.c.get(ctx, u, &info)
	if notThere(err) {
		return "", nil
	}
	return info.Version, err
}

// Holding asks what @latest is, or computes it as the go command does, and for the archive.
func (g *goProxy) Holding(ctx context.Context, s rapsheet.Sighting) (rapsheet.Holding, error) {
	h := g.c.holding()
	at, err := g.file(s.Package.Name, s.Package.Version, ".zip")
	if err != nil {
		return h, err
	}
	latest, err := g.latest(ctx, s.Package.Name)
	if err != nil {
		return h, err
	}
	if dir, err := module.EscapePath(s.Package.Name); err == nil {
		// "The go command uses the highest release, then the highest pre-release, and only then @latest."
		versions, err := g.versions(ctx, dir)
		if err != nil && !notThere(err) {
			return h, err
		}
		if len(versions) > 0 {
			latest = latestOf(g.eco, versions)
		}
	}
	h.Latest = latest == s.Package.Version
	if g.stores {
		return h, g.c.asked(ctx, &h, at)
	}
	return h, g.c.askedIfSafe(ctx, &h, at)
}

// athens lists what an Athens proxy has stored (docs.gomods.io; gomods/athens, pkg/download/addons and
// cmd/proxy/actions/catalog.go): recorded from its source, not from a running server. It has no call that removes a
// module: that is done in its storage.
type athens struct{ *goProxy }

func openAthens(ctx context.Context, c *client, opt Options) (*paged, error) {
	g := newGoProxy(c, "athens")
	g.stores = true
	return &paged{service: athens{g}, others: newTally(c, "packages"), maxEmpty: maxEmpty}, nil
}

type athensCatalog struct {
	Modules []struct {
		Module  string `json:"module"`
		Version string `json:"version"`
	} `json:"modules"`
	Next string `json:"next"`
}

func answersAthens(ctx context.Context, c *client) (bool, error) {
	u, err := c.at("catalog")
	if err != nil {
		return false, err
	}
	var got athensCatalog
	yes, err := c.probe(ctx, withQuery(u, "pagesize", "1"), &got)
	return yes && got.Modules != nil, err
}

func (a athens) page(ctx context.Context, from string) (Page, error) {
	cur, err := parseCursor(from)
	if err != nil {
		return Page{}, err
	}
	u, err := a.c.at("catalog")
	if err != nil {
		return Page{}, err
	}
	var got athensCatalog
	if _, err := a.c.get(ctx, withQuery(u, "pagesize", "1000", "token", cur.Token), &got); err != nil {
		return Page{}, err
	}
	s := sheet{kind: "athens"}
	for _, m := range got.Modules {
		at, err := a.file(m.Module, m.Version, ".zip")
		if err != nil {
			s.refused++
			continue
		}
		s.add(a.eco, m.Module, m.Version, at, "", nil)
	}
	return s.done(shown(u), cursor{Token: got.Next}.String()), nil
}
