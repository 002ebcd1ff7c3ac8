package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// google is a repository of Google Artifact Registry.
//
// Recorded from documentation, not from a running server:
// cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories(.packages(.versions)).
type google struct {
	c *client
	// name is projects/P/locations/L/repositories/R.
	name   []string
	others *tally
	repo   *googleRepo
}

type googleRepo struct {
	Format string `json:"format"` // NPM, PYTHON, MAVEN, GO, DOCKER, …
	Mode   string `json:"mode"`   // STANDARD_REPOSITORY, REMOTE_REPOSITORY, VIRTUAL_REPOSITORY
}

func isGoogle(u *url.URL) bool {
	h := strings.ToLower(u.Hostname())
	return h == "artifactregistry.googleapis.com" || strings.HasSuffix(h, ".pkg.dev")
}

// openGoogle takes https://LOCATION-FORMAT.pkg.dev/PROJECT/REPOSITORY and the API's
// …/v1/projects/P/locations/L/repositories/R.
func openGoogle(ctx context.Context, c *client, opt Options) (*paged, error) {
	g := &google{c: c, others: newTally(c, "packages")}
	parts := strings.Split(strings.Trim(c.base.Path, "/"), "/")
	where, isPkg := strings.CutSuffix(strings.ToLower(c.base.Hostname()), ".pkg.dev")
	switch {
	case isPkg && len(parts) >= 2:
		location := where
		if i := strings.LastIndexByte(where, '-'); i > 0 {
			location = where[:i]
		}
		g.name = []string{"projects", parts[0], "locations", location, "repositories", parts[1]}
		c.base = &url.URL{Scheme: "https", Host: "artifactregistry.googleapis.com"}
	case len(parts) == 7 && parts[0] == "v1" && parts[1] == "projects" && parts[3] == "locations" && parts[5] == "repositories":
		g.name = parts[1:]
		c.base.Path, c.base.RawPath = "", ""
	default:
		return nil, fmt.Errorf("%s: not the address of an Artifact Registry repository", shown(c.base))
	}
	return &paged{service: g, others: g.others, maxEmpty: maxEmpty}, nil
}

func (g *google) at(elems ...string) (*url.URL, error) {
	return below(g.c.base, append(append([]string{"v1"}, g.name...), elems...)...)
}

type googleName struct {
	Name string `json:"name"` // projects/…/packages/P[/versions/V], P and V percent-encoded
	// Tags of a version in the full view: projects/…/tags/latest.
	Tags []struct {
		Name string `json:"name"`
	} `json:"relatedTags"`
}

// last gives what follows the last "/KIND/", decoded.
func (n googleName) last(kind string) string {
	i := strings.LastIndex(n.Name, "/"+kind+"/")
	if i < 0 {
		return ""
	}
	s, err := url.PathUnescape(n.Name[i+len(kind)+2:])
	if err != nil {
		return ""
	}
	return s
}

func (g *google) page(ctx context.Context, from string) (Page, error) {
	cur, err := parseCursor(from)
	if err != nil {
		return Page{}, err
	}
	if g.repo == nil {
		u, err := g.at()
		if err != nil {
			return Page{}, err
		}
		var repo googleRepo
		if _, err := g.c.get(ctx, u, &repo); err != nil {
			return Page{}, err
		}
		g.repo = &repo
	}
	eco, known := ecosystemOf(g.repo.Format)
	if !known {
		g.others.add(strings.ToLower(g.repo.Format))
		return Page{}, nil
	}
	upstream := ""
	if g.repo.Mode == "STANDARD_REPOSITORY" {
		upstream = strings.ToLower(g.c.base.Host)
	}
	u, err := g.at("packages")
	if err != nil {
		return Page{}, err
	}
	var got struct {
		Packages []googleName `json:"packages"`
		Next     string       `json:"nextPageToken"`
	}
	if _, err := g.c.get(ctx, withQuery(u, "pageSize", "100", "pageToken", cur.Token), &got); err != nil {
		return Page{}, err
	}
	s := sheet{kind: "google-artifact-registry"}
	for _, p := range got.Packages {
		name := p.last("packages")
		err := g.versions(ctx, name, func(v googleName) {
			at, err := g.at("packages", name, "versions", v.last("versions"))
			if err != nil {
				s.refused++
				return
			}
			s.add(eco, name, v.last("versions"), at, upstream, nil)
		})
		if err != nil {
			if !notThere(err) && !errors.Is(err, errName) {
				return Page{}, err
			}
			s.unread(shown(u), "%s: %v", name, err)
		}
	}
	return s.done(shown(u), cursor{Token: got.Next}.String()), nil
}

func (g *google) versions(ctx context.Context, name string, each func(googleName)) error {
	u, err := g.at("packages", name, "versions")
	if err != nil {
		return err
	}
	return eachToken(maxVersions/1000, func(token string) (string, error) {
		var got struct {
			Versions []googleName `json:"versions"`
			Next     string       `json:"nextPageToken"`
		}
		if _, err := g.c.get(ctx, withQuery(u, "pageSize", "1000", "view", "FULL", "pageToken", token), &got); err != nil {
			return "", err
		}
		for _, v := range got.Versions {
			each(v)
		}
		return got.Next, nil
	})
}

// Holding looks the version up in the package's list, for its tags.
func (g *google) Holding(ctx context.Context, s rapsheet.Sighting) (rapsheet.Holding, error) {
	h := g.c.holding()
	h.Registry += "/" + strings.Join(g.name, "/")
	at, err := g.c.archive(s)
	if err != nil {
		return h, err
	}
	eco, _ := ecosystem.Find(s.Package.Ecosystem)
	if eco == nil {
		return h, nil
	}
	h.Served = rapsheet.ServedNo
	var all []string
	tagged := false
	err = g.versions(ctx, s.Package.Name, func(v googleName) {
		version := v.last("versions")
		all = append(all, version)
		for _, t := range v.Tags {
			if t := strings.ToLower(t.Name); strings.HasSuffix(t, "/latest") {
				tagged = true
				h.Latest = h.Latest || version == s.Package.Version
			}
		}
		if version == s.Package.Version {
			h.Served = rapsheet.ServedYes
			h.Purge = []string{g.c.auth.curlDelete(at)}
		}
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return h, err
	}
	if !tagged {
		h.Latest = latestOf(eco, all) == s.Package.Version
	}
	return h, nil
}
