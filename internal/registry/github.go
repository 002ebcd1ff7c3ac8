package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// gitHub is GitHub Packages of an organization or user, with the REST API of github.com or of an Enterprise Server.
// Its packages were published there.
//
// Recorded from documentation, not from a running server: docs.github.com/en/rest/packages/packages
// (X-GitHub-Api-Version 2022-11-28). The list of package types there is npm, maven, rubygems, docker, nuget, container;
// the last two hold images and are not asked for.
type gitHub struct {
	c *client
	// owner is "orgs" or "users", and a name.
	owner []string
}

var gitHubTypes = []string{"maven", "npm", "nuget", "rubygems"}

func isGitHub(u *url.URL) bool {
	h := strings.ToLower(u.Hostname())
	return h == "github.com" || h == "api.github.com" || strings.HasSuffix(h, ".pkg.github.com")
}

func openGitHub(ctx context.Context, c *client, opt Options) (*paged, error) {
	parts := strings.Split(strings.Trim(c.base.Path, "/"), "/")
	if isGitHub(c.base) && !strings.EqualFold(c.base.Hostname(), "api.github.com") {
		// https://github.com/orgs/acme, https://github.com/acme, https://npm.pkg.github.com/acme
		c.base = &url.URL{Scheme: "https", Host: "api.github.com"}
	}
	g := &gitHub{c: c}
	for i := 0; i+1 < len(parts); i++ {
		if parts[i] == "orgs" || parts[i] == "users" {
			g.owner = parts[i : i+2]
			if base := "/" + strings.Join(parts[:i], "/"); c.base.Path != "" {
				c.base.Path = strings.TrimRight(base, "/")
			}
		}
	}
	if g.owner == nil && len(parts) == 1 && parts[0] != "" {
		g.owner = []string{"orgs", parts[0]}
		c.base.Path = ""
	}
	if g.owner == nil {
		return nil, fmt.Errorf("%s: name an organization or user: …/orgs/NAME or …/users/NAME", shown(c.base))
	}
	return &paged{service: g, others: newTally(c, "packages"), maxEmpty: maxEmpty}, nil
}

type gitHubPackage struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

func (g *gitHub) at(elems ...string) (*url.URL, error) {
	return g.c.at(append(g.owner[:2:2], elems...)...)
}

func (g *gitHub) get(ctx context.Context, u *url.URL, v any) (more bool, err error) {
	h, err := g.c.json(ctx, request{url: u, accept: "application/vnd.github+json", header: map[string]string{"X-GitHub-Api-Version": "2022-11-28"}}, v)
	return linkNext(h) != "", err
}

// page gives the versions of the packages on one page of one type. The number of the page is the cursor.
func (g *gitHub) page(ctx context.Context, from string) (Page, error) {
	cur, err := parseCursor(from)
	if err != nil {
		return Page{}, err
	}
	t, n := 0, 1
	if cur.Repo != "" {
		for t < len(gitHubTypes) && gitHubTypes[t] != cur.Repo {
			t++
		}
		if n, err = strconv.Atoi(cur.Token); err != nil || n < 1 || t == len(gitHubTypes) {
			return Page{}, errCursor
		}
	}
	kind := gitHubTypes[t]
	u, err := g.at("packages")
	if err != nil {
		return Page{}, err
	}
	var got []gitHubPackage
	more, err := g.get(ctx, withQuery(u, "package_type", kind, "per_page", "20", "page", strconv.Itoa(n)), &got)
	if err != nil {
		return Page{}, err
	}
	eco, _ := ecosystemOf(kind)
	s := sheet{kind: "github-packages"}
	if kind == "maven" && n == 1 && len(got) > 0 {
		s.Notes = append(s.Notes, &rapsheet.Note{
			Kind: rapsheet.NoteInfo, Path: shown(u),
			Message: "GitHub gives Maven's group and artifact joined by a dot: they are parted at the last one",
		})
	}
	for _, p := range got {
		if err := g.versions(ctx, kind, p.Name, func(v gitHubPackage, at *url.URL) {
			s.add(eco, g.name(eco, p.Name), v.Name, at, "", nil)
		}); err != nil {
			if !notThere(err) && !errors.Is(err, errName) {
				return Page{}, err
			}
			s.unread(shown(u), "%s: %v", p.Name, err)
		}
	}
	for i := range s.Sightings {
		s.Sightings[i].Evidence.Host = kind + ".pkg.github.com"
	}
	switch {
	case more:
		return s.done(shown(u), cursor{Repo: kind, Token: strconv.Itoa(n + 1)}.String()), nil
	case t+1 < len(gitHubTypes):
		return s.done(shown(u), cursor{Repo: gitHubTypes[t+1], Token: "1"}.String()), nil
	}
	return s.done(shown(u), ""), nil
}

// name gives npm's packages their scope, which is the owner; Maven's are "group.artifact" and cannot be taken apart
// with certainty: the last part is taken for the artifact.
func (g *gitHub) name(eco *ecosystem.Ecosystem, name string) string {
	switch eco.Name {
	case "npm":
		return "@" + strings.ToLower(g.owner[1]) + "/" + name
	case "Maven":
		if i := strings.LastIndexByte(name, '.'); i > 0 && !strings.Contains(name, ":") {
			return name[:i] + ":" + name[i+1:]
		}
	}
	return name
}

func (g *gitHub) versions(ctx context.Context, kind, name string, each func(v gitHubPackage, at *url.URL)) error {
	list, err := g.at("packages", kind, name, "versions")
	if err != nil {
		return err
	}
	for n, more := 1, true; more && n <= maxVersions/100; n++ {
		var got []gitHubPackage
		if more, err = g.get(ctx, withQuery(list, "per_page", "100", "page", strconv.Itoa(n)), &got); err != nil {
			return err
		}
		more = more && len(got) > 0
		for _, v := range got {
			at, err := below(list, strconv.FormatInt(v.ID, 10))
			if err != nil {
				return err
			}
			each(v, at)
		}
	}
	return nil
}

// Holding asks for the version by its id, which is in the sighting's location.
func (g *gitHub) Holding(ctx context.Context, s rapsheet.Sighting) (rapsheet.Holding, error) {
	h := g.c.holding()
	at, err := g.c.archive(s)
	if err != nil {
		return h, err
	}
	var v gitHubPackage
	if _, err := g.get(ctx, at, &v); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			h.Served = rapsheet.ServedNo
			return h, nil
		}
		return h, err
	}
	h.Served = rapsheet.ServedYes
	h.Purge = []string{g.c.auth.curlDelete(at)}
	parts := strings.Split(strings.TrimPrefix(at.EscapedPath(), g.c.base.EscapedPath()), "/")
	eco, _ := ecosystem.Find(s.Package.Ecosystem)
	if eco == nil || len(parts) < 6 {
		return h, nil
	}
	// …/orgs/NAME/packages/TYPE/PACKAGE/versions/ID
	name, err := url.PathUnescape(parts[5])
	if err != nil {
		return h, nil
	}
	var all []string
	err = g.versions(ctx, parts[4], name, func(v gitHubPackage, _ *url.URL) { all = append(all, v.Name) })
	h.Latest = latestOf(eco, all) == s.Package.Version
	return h, err
}
