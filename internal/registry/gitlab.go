package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// gitlab is the package registry of a group, with its subgroups, or of a project. Its packages were published there.
//
// Recorded from documentation, not from a running server: docs.gitlab.com/api/packages/ and
// docs.gitlab.com/api/rest/ (pagination), read 2026-11. Digests are not in the list, only in one answer per
// package, and are left out.
type gitlab struct {
	c      *client
	others *tally
	// api is the address of /api/v4; group or project is an id or a path, project where both are set.
	api    *url.URL
	path   string
	group  bool
	either bool // which of the two is to be found out
}

// gitlabListed are the statuses that are listed one after the other: "" gives default, deprecated and error.
var gitlabListed = []string{"", "hidden"}

func openGitLab(ctx context.Context, c *client, opt Options) (*paged, error) {
	c.auth.header = "PRIVATE-TOKEN"
	g := &gitlab{c: c, others: newTally(c, "packages")}
	if err := g.parse(); err != nil {
		return nil, err
	}
	return &paged{service: g, others: g.others, maxEmpty: maxEmpty}, nil
}

// parse reads the address of a group's or project's page, of its API, or of its registry for a package manager
// (…/api/v4/projects/7/packages/npm).
func (g *gitlab) parse() error {
	root := *g.c.base
	before, rest, isAPI := strings.Cut(root.Path+"/", "/api/v4/")
	if !isAPI {
		before, rest = "", strings.Trim(root.EscapedPath(), "/")
	} else if _, raw, ok := strings.Cut(root.EscapedPath()+"/", "/api/v4/"); ok {
		rest = strings.Trim(raw, "/")
	}
	if before, _, ok := strings.Cut(rest, "/-/"); ok {
		rest = before
	}
	kind, path, _ := strings.Cut(rest, "/")
	switch {
	case kind == "groups" && path != "", kind == "projects" && isAPI && path != "":
		g.group = kind == "groups"
	default:
		g.either, path = true, rest
	}
	if isAPI {
		path, _, _ = strings.Cut(path, "/")
	}
	path, err := url.PathUnescape(path)
	if err != nil || path == "" || len(path) > 1024 {
		return fmt.Errorf("%s: name a group or project of the GitLab in the address", shown(g.c.base))
	}
	g.path = path
	root.Path, root.RawPath = before, ""
	g.c.base = &root
	g.api = join(&root, "api/v4")
	return nil
}

// answersGitLab asks for the version: it needs credentials, and GitLab says in a header that it is the one that refuses.
func answersGitLab(ctx context.Context, c *client) (bool, error) {
	root := *c.base
	before, _, isAPI := strings.Cut(root.Path+"/", "/api/v4/")
	if !isAPI {
		before = ""
	}
	root.Path, root.RawPath = before, ""
	yes := false
	asker := watch{c.rt, func(h http.Header) { yes = yes || h.Get("X-Gitlab-Meta") != "" }}
	probe := &client{base: c.base, rt: asker, agent: c.agent, log: c.log, backoff: c.backoff, header: c.header, body: c.body, maxBody: c.maxBody}
	_, err := probe.do(ctx, request{url: join(&root, "api/v4/version"), once: true, html: true})
	var status *StatusError
	if errors.As(err, &status) {
		err = nil
	}
	return yes, err
}

// watch shows the header of every answer, those that are errors too.
type watch struct {
	http.RoundTripper
	see func(http.Header)
}

func (w watch) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(r)
	if err == nil {
		w.see(resp.Header)
	}
	return resp, err
}

type gitlabPackage struct {
	ID         int64  `json:"id"`
	Name       string `json:"name"`
	Version    string `json:"version"`
	Type       string `json:"package_type"`
	Status     string `json:"status"`
	ProjectID  int64  `json:"project_id"`
	Downloaded string `json:"last_downloaded_at"`
}

func (g *gitlab) at(elems ...string) (*url.URL, error) { return below(g.api, elems...) }

func (g *gitlab) listing() (*url.URL, error) {
	if g.group {
		return g.at("groups", g.path, "packages")
	}
	return g.at("projects", g.path, "packages")
}

func (g *gitlab) page(ctx context.Context, from string) (Page, error) {
	cur, err := parseCursor(from)
	if err != nil {
		return Page{}, err
	}
	i := 0
	if cur.Repo != "" {
		if cur.Repo != "hidden" {
			return Page{}, errCursor
		}
		i = 1
	}
	if g.either {
		if err := g.settle(ctx); err != nil {
			return Page{}, err
		}
	}
	u, err := g.listing()
	if err != nil {
		return Page{}, err
	}
	q := withQuery(u, "per_page", "100", "order_by", "created_at", "sort", "asc", "status", gitlabListed[i])
	if cur.Token != "" {
		q.RawQuery = cur.Token
	}
	var got []gitlabPackage
	header, err := g.c.get(ctx, q, &got)
	if err != nil {
		return Page{}, err
	}
	s := sheet{kind: "gitlab"}
	for _, p := range got {
		g.add(&s, p)
	}
	next, err := g.next(u, header)
	switch {
	case err != nil:
		return Page{}, err
	case next != "":
		return s.done(shown(u), cursor{Repo: gitlabListed[i], Token: next}.String()), nil
	case i+1 < len(gitlabListed):
		return s.done(shown(u), cursor{Repo: gitlabListed[i+1]}.String()), nil
	}
	return s.done(shown(u), ""), nil
}

// settle finds out whether the path is a group's or a project's.
func (g *gitlab) settle(ctx context.Context) error {
	for _, kind := range []string{"projects", "groups"} {
		u, err := g.at(kind, g.path)
		if err != nil {
			return err
		}
		_, err = g.c.do(ctx, request{url: u, head: true})
		if err == nil {
			g.group, g.either = kind == "groups", false
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return fmt.Errorf("%s: no group and no project %q, or none that the credentials reach", shown(g.c.base), g.path)
}

// next reads "Link: <…>; rel="next"" (RFC 8288), and gives its query: only the same list at the same host goes on.
func (g *gitlab) next(list *url.URL, h http.Header) (string, error) {
	raw := linkNext(h)
	if raw == "" {
		return "", nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", errors.New("the next page has no address")
	}
	u = list.ResolveReference(u)
	if !sameOrigin(u, list) || u.EscapedPath() != list.EscapedPath() {
		return "", fmt.Errorf("%s: the next page is said to be elsewhere", shown(list))
	}
	q := u.Query()
	for _, secret := range []string{"private_token", "access_token", "job_token"} {
		q.Del(secret)
	}
	return q.Encode(), nil
}

// linkNext gives the target of the link to the next page, "" for none.
func linkNext(h http.Header) string {
	for _, line := range h.Values("Link") {
		for part := range strings.SplitSeq(line, ",") {
			target, params, _ := strings.Cut(strings.TrimSpace(part), ";")
			target, isLink := strings.CutPrefix(strings.TrimSpace(target), "<")
			for p := range strings.SplitSeq(params, ";") {
				if p = strings.TrimSpace(p); isLink && (p == `rel="next"` || p == "rel=next") {
					return strings.TrimSuffix(target, ">")
				}
			}
		}
	}
	return ""
}

func (g *gitlab) add(s *sheet, p gitlabPackage) {
	eco, known := ecosystemOf(p.Type)
	if !known {
		g.others.add(p.Type)
		return
	}
	if p.Status == "pending_destruction" || p.Version == "" && eco.Name == "Maven" {
		return // about to go; Maven's metadata of all versions
	}
	project := g.path
	if p.ProjectID > 0 {
		project = strconv.FormatInt(p.ProjectID, 10)
	}
	at, err := g.at("projects", project, "packages", strconv.FormatInt(p.ID, 10))
	if err != nil {
		s.refused++
		return
	}
	name := p.Name
	if i := strings.LastIndexByte(name, '/'); eco.Name == "Maven" && i > 0 {
		name = strings.ReplaceAll(name[:i], "/", ".") + ":" + name[i+1:]
	}
	s.add(eco, name, p.Version, at, strings.ToLower(g.c.base.Host), nil)
}

// Holding asks for the package by its id, which is in the sighting's location.
func (g *gitlab) Holding(ctx context.Context, s rapsheet.Sighting) (rapsheet.Holding, error) {
	h := g.c.holding()
	at, err := g.c.archive(s)
	if err != nil {
		return h, err
	}
	h.Purge = []string{g.c.auth.curlDelete(at)}
	var p gitlabPackage
	if _, err := g.c.get(ctx, at, &p); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			h.Served, h.Purge = rapsheet.ServedNo, nil
			return h, nil
		}
		return h, err
	}
	switch p.Status {
	case "default", "hidden", "deprecated", "": // those that can be installed
		h.Served = rapsheet.ServedYes
	case "pending_destruction", "error", "processing":
		h.Served = rapsheet.ServedNo
	}
	h.Fetched = parseTime(p.Downloaded)
	eco, _ := ecosystem.Find(s.Package.Ecosystem)
	if eco == nil {
		return h, nil
	}
	i := strings.LastIndexByte(at.EscapedPath(), '/')
	list := *at
	list.RawPath = at.EscapedPath()[:i]
	if list.Path, err = url.PathUnescape(list.RawPath); err != nil {
		return h, err
	}
	var same []gitlabPackage
	if _, err := g.c.get(ctx, withQuery(&list, "package_name", p.Name, "per_page", "100", "order_by", "created_at", "sort", "desc"), &same); err != nil {
		return h, err
	}
	var versions []string
	for _, o := range same {
		if o.Name == p.Name && o.Type == p.Type {
			versions = append(versions, o.Version)
		}
	}
	h.Latest = latestOf(eco, versions) == s.Package.Version
	return h, nil
}
