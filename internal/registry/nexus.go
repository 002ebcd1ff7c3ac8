package registry

import (
	"cmp"
	"context"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// nexus is Sonatype Nexus Repository 3: what its components API lists lies in its storage.
//
// Recorded from documentation, not from a running server: help.sonatype.com/en/components-api.html,
// search-api.html, repositories-api.html (read 2026-11); names of an asset's members after
// sonatype/nexus-public, AssetXO.
type nexus struct {
	c      *client
	others *tally
	repos  []nexusRepo // sorted by name
	loaded bool
}

type nexusRepo struct {
	Name       string `json:"name"`
	Format     string `json:"format"`
	Type       string `json:"type"` // hosted, proxy, group
	Attributes struct {
		Proxy struct {
			RemoteURL string `json:"remoteUrl"`
		} `json:"proxy"`
	} `json:"attributes"`
}

// upstream is the host that a sighting is resolved from: that of the remote, or the Nexus itself.
func (r nexusRepo) upstream(c *client) string {
	if r.Type == "hosted" {
		return strings.ToLower(c.base.Host)
	}
	return hostOf(r.Attributes.Proxy.RemoteURL)
}

// hostOf gives the lower-case host of an address, "" when it has none.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

type nexusComponents struct {
	Items []nexusComponent `json:"items"`
	Next  string           `json:"continuationToken"`
}

type nexusComponent struct {
	ID         string       `json:"id"`
	Repository string       `json:"repository"`
	Format     string       `json:"format"`
	Group      string       `json:"group"`
	Name       string       `json:"name"`
	Version    string       `json:"version"`
	Assets     []nexusAsset `json:"assets"`
}

type nexusAsset struct {
	Download string `json:"downloadUrl"`
	Path     string `json:"path"`
	// Values are text; a digest that is not is left out.
	Checksum       map[string]jsontext.Value `json:"checksum"`
	LastDownloaded string                    `json:"lastDownloaded"`
	LastModified   string                    `json:"lastModified"`
}

func openNexus(ctx context.Context, c *client, opt Options) (*paged, error) {
	n := &nexus{c: c, others: newTally(c, "repositories")}
	// The address of one repository, as a package manager has it, stands for the whole Nexus.
	if i := strings.Index(c.base.Path+"/", "/repository/"); i >= 0 {
		c.base.Path, c.base.RawPath = c.base.Path[:i], ""
	}
	return &paged{service: n, others: n.others, maxEmpty: maxEmpty}, nil
}

func answersNexus(ctx context.Context, c *client) (bool, error) {
	root := *c.base
	if i := strings.Index(root.Path+"/", "/repository/"); i >= 0 {
		root.Path, root.RawPath = root.Path[:i], ""
	}
	u := join(&root, "service/rest/v1/repositories")
	var repos []nexusRepo
	yes, err := c.probe(ctx, u, &repos)
	return yes && repos != nil, err
}

func (n *nexus) api(elems ...string) (*url.URL, error) {
	return n.c.at(append([]string{"service", "rest", "v1"}, elems...)...)
}

func (n *nexus) load(ctx context.Context) error {
	if n.loaded {
		return nil
	}
	u, err := n.api("repositories")
	if err != nil {
		return err
	}
	var all []nexusRepo
	if _, err := n.c.get(ctx, u, &all); err != nil {
		return err
	}
	// What a group shows lies in its members. A group is listed where no member of its format can be seen.
	seen := map[string]bool{}
	for _, r := range all {
		if r.Type != "group" {
			seen[r.Format] = true
		}
	}
	for _, r := range all {
		_, known := ecosystemOf(r.Format)
		switch {
		case r.Type == "group" && seen[r.Format], r.Name == "":
		case !known:
			n.others.add(r.Format)
		default:
			n.repos = append(n.repos, r)
		}
	}
	slices.SortFunc(n.repos, func(a, b nexusRepo) int { return strings.Compare(a.Name, b.Name) })
	n.loaded = true
	return nil
}

// repo gives the first repository from name on.
func (n *nexus) repo(name string) (r nexusRepo, next string, ok bool) {
	i, _ := slices.BinarySearchFunc(n.repos, name, func(r nexusRepo, name string) int { return strings.Compare(r.Name, name) })
	if i == len(n.repos) {
		return r, "", false
	}
	if i+1 < len(n.repos) {
		next = n.repos[i+1].Name
	}
	return n.repos[i], next, true
}

func (n *nexus) page(ctx context.Context, from string) (Page, error) {
	cur, err := parseCursor(from)
	if err != nil {
		return Page{}, err
	}
	if err := n.load(ctx); err != nil {
		return Page{}, err
	}
	r, next, ok := n.repo(cur.Repo)
	if !ok {
		return Page{}, nil
	}
	if r.Name != cur.Repo {
		cur.Token = "" // the repository is gone, and its token with it
	}
	u, err := n.api("components")
	if err != nil {
		return Page{}, err
	}
	var got nexusComponents
	if _, err := n.c.get(ctx, withQuery(u, "repository", r.Name, "continuationToken", cur.Token), &got); err != nil {
		return Page{}, err
	}
	s := sheet{kind: "nexus"}
	eco, _ := ecosystemOf(r.Format)
	for _, item := range got.Items {
		n.add(&s, eco, r, item)
	}
	switch {
	case got.Next != "":
		return s.done(shown(u), cursor{Repo: r.Name, Token: got.Next}.String()), nil
	case next != "":
		return s.done(shown(u), cursor{Repo: next}.String()), nil
	}
	return s.done(shown(u), ""), nil
}

// add takes every archive of a component: a wheel of each platform has its own digest. A component without one, a .pom
// or an index, is metadata.
func (n *nexus) add(s *sheet, eco *ecosystem.Ecosystem, r nexusRepo, item nexusComponent) {
	for _, a := range item.archives(eco) {
		at := n.c.ours(a.Download)
		if at == nil {
			var err error
			if at, err = n.c.atPath([]string{"repository", r.Name}, a.Path); err != nil {
				s.refused++
				continue
			}
		}
		var digests []rapsheet.Digest
		for _, alg := range sortedKeys(a.Checksum) {
			digests = append(digests, ecosystem.Integrity(alg+":"+strings.Trim(a.Checksum[alg].String(), `"`))...)
		}
		s.add(eco, item.name(eco), item.Version, at, r.upstream(n.c), digests)
	}
}

// name joins group and name: npm's group is the scope without "@", Maven's the groupId, Packagist's the vendor.
func (c nexusComponent) name(eco *ecosystem.Ecosystem) string {
	switch {
	case c.Group == "":
		return c.Name
	case eco.Name == "npm":
		return "@" + strings.TrimPrefix(c.Group, "@") + "/" + c.Name
	case eco.Name == "Maven":
		return c.Group + ":" + c.Name
	case eco.Name == "Packagist":
		return c.Group + "/" + c.Name
	}
	return c.Name
}

// notArchives are the assets of a component that hold no code: digests, signatures, metadata.
var notArchives = []string{".pom", ".sha1", ".md5", ".sha256", ".sha512", ".asc", ".xml", ".mod", ".info", ".json", ".gemspec.rz", ".module", ".nuspec"}

// archives are the assets that are the package. Of Maven's it is the jar, not its sources, or the first where there is
// none of that name.
func (c nexusComponent) archives(eco *ecosystem.Ecosystem) []nexusAsset {
	var all []nexusAsset
	for _, a := range c.Assets {
		p := strings.ToLower(cmp.Or(a.Path, a.Download))
		if slices.ContainsFunc(notArchives, func(ext string) bool { return strings.HasSuffix(p, ext) }) {
			continue
		}
		if eco.Name == "Maven" && path.Base(p) == strings.ToLower(c.Name+"-"+c.Version+".jar") {
			return []nexusAsset{a}
		}
		all = append(all, a)
	}
	if eco.Name == "Maven" && len(all) > 1 {
		return all[:1]
	}
	return all
}

// Holding finds the component again through the search, for its id and times.
func (n *nexus) Holding(ctx context.Context, s rapsheet.Sighting) (rapsheet.Holding, error) {
	h := n.c.holding()
	at, err := n.c.archive(s)
	if err != nil {
		return h, err
	}
	eco, _ := ecosystem.Find(s.Package.Ecosystem)
	if eco == nil {
		return h, nil
	}
	rest, _ := strings.CutPrefix(at.Path, n.c.base.Path+"/repository/")
	repo, _, _ := strings.Cut(rest, "/")
	group, name := splitGroup(eco, s.Package.Name)
	u, err := n.api("search")
	if err != nil {
		return h, err
	}
	var versions []string
	for token, pages := "", 0; pages < 50; pages++ {
		var got nexusComponents
		q := withQuery(u, "repository", repo, "group", group, "name", name, "continuationToken", token)
		if _, err := n.c.get(ctx, q, &got); err != nil {
			return h, err
		}
		for _, item := range got.Items {
			if item.name(eco) != s.Package.Name {
				continue // the search knows wildcards
			}
			versions = append(versions, item.Version)
			if item.Version != s.Package.Version {
				continue
			}
			if del, err := n.api("components", item.ID); err == nil {
				h.Purge = append(h.Purge, n.c.auth.curlDelete(del))
			}
			for _, a := range item.Assets {
				if t := parseTime(a.LastDownloaded); t.After(h.Fetched) {
					h.Fetched = t
				}
			}
		}
		if token == got.Next || got.Next == "" {
			break
		}
		token = got.Next
	}
	h.Latest = latestOf(eco, versions) == s.Package.Version
	if eco.Name == "npm" {
		// npm's tags say it outright. A proxy fetches no archive for this.
		var p packument
		if u, err := n.c.at("repository", repo, s.Package.Name); err == nil {
			if _, err := n.c.json(ctx, request{url: u, accept: abbreviated}, &p); err == nil {
				h.Latest = p.Tags["latest"] == s.Package.Version
			}
		}
	}
	return h, n.c.asked(ctx, &h, at)
}

// splitGroup undoes [nexusComponent.name].
func splitGroup(eco *ecosystem.Ecosystem, full string) (group, name string) {
	switch eco.Name {
	case "npm":
		if scope, base, ok := strings.Cut(full, "/"); ok {
			return strings.TrimPrefix(scope, "@"), base
		}
	case "Maven":
		if g, a, ok := strings.Cut(full, ":"); ok {
			return g, a
		}
	case "Packagist":
		if v, p, ok := strings.Cut(full, "/"); ok {
			return v, p
		}
	}
	return "", full
}

// parseTime reads the times that products write; zero where it is none.
func parseTime(s string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999Z0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
