package registry

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// npmRegistry is Verdaccio, or any registry that npm installs from.
//
// Verdaccio (asked for real: 5.20.1) gives the names of all that lies in its storage, its own packages and those of
// its upstreams, as search results when "local" is in the query: without it the upstreams are searched. Its paging
// of them is broken (it takes "size" for the end), so all names come in one answer. Plain registries give no names;
// CouchDB-like ones have _all_docs.
//
// A packument of a proxy lists what it would serve, whether it has it or not: Verdaccio says over no address which
// archives it has cached (5.20.1 empties _attachments and leaves out _distfiles). Only asking for the archive tells,
// with HEAD too, and a proxy answers by fetching what it does not have: that is left to [Options.AskArchives].
type npmRegistry struct {
	byName
	eco *ecosystem.Ecosystem
}

func openVerdaccio(ctx context.Context, c *client, opt Options) (*paged, error) {
	r := newNPM(c, "verdaccio")
	r.names = r.searchNames
	return &paged{service: r, others: newTally(c, "packages")}, nil
}

func openNPM(ctx context.Context, c *client, opt Options) (*paged, error) {
	r := newNPM(c, "npm-registry")
	if names := namesOf(opt, "npm"); len(names) > 0 {
		r.given = true
		r.names = func(context.Context) ([]string, error) { return names, nil }
	} else {
		r.names = r.allDocs
	}
	return &paged{service: r, others: newTally(c, "packages")}, nil
}

func newNPM(c *client, kind string) *npmRegistry {
	eco, _ := ecosystem.Find("npm")
	r := &npmRegistry{byName: byName{c: c, kind: kind}, eco: eco}
	r.read = r.packument
	return r
}

// answersVerdaccio asks for the list of the web page; it is an array, empty where there are no own packages.
func answersVerdaccio(ctx context.Context, c *client) (bool, error) {
	u, err := c.at("-", "verdaccio", "data", "packages")
	if err != nil {
		return false, err
	}
	var list []jsontext.Value
	yes, err := c.probe(ctx, u, &list)
	return yes && list != nil, err
}

// answersNPM asks for npm's ping (docs.npmjs.com/cli/commands/npm-ping): an object, empty in most registries.
func answersNPM(ctx context.Context, c *client) (bool, error) {
	u, err := c.at("-", "ping")
	if err != nil {
		return false, err
	}
	var object map[string]jsontext.Value
	yes, err := c.probe(ctx, u, &object)
	return yes && object != nil, err
}

// searchNames reads the search of github.com/npm/registry, docs/REGISTRY-API.md.
func (r *npmRegistry) searchNames(ctx context.Context) ([]string, error) {
	u, err := r.c.at("-", "v1", "search")
	if err != nil {
		return nil, err
	}
	q := *u
	q.RawQuery = "text=&size=1000000&from=0&local=1"
	var found struct {
		Objects []struct {
			Package struct {
				Name string `json:"name"`
			} `json:"package"`
		} `json:"objects"`
	}
	if _, err := r.c.get(ctx, &q, &found); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(found.Objects))
	for _, o := range found.Objects {
		if o.Package.Name != "" {
			names = append(names, o.Package.Name)
		}
	}
	return names, nil
}

// allDocs reads CouchDB's list of documents (docs.couchdb.org, api/database/bulk-api.html).
func (r *npmRegistry) allDocs(ctx context.Context) ([]string, error) {
	u, err := r.c.at("_all_docs")
	if err != nil {
		return nil, err
	}
	var found struct {
		Rows []struct {
			ID string `json:"id"`
		} `json:"rows"`
	}
	if _, err := r.c.json(ctx, request{url: u, accept: "application/json", once: true}, &found); err != nil {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
		return nil, errNoNames(r.c, "a plain npm registry")
	}
	var names []string
	for _, row := range found.Rows {
		if row.ID != "" && !strings.HasPrefix(row.ID, "_design/") {
			names = append(names, row.ID)
		}
	}
	return names, nil
}

// packument is what is needed of github.com/npm/registry, docs/responses/package-metadata.md.
type packument struct {
	Tags     map[string]string `json:"dist-tags"`
	Rev      string            `json:"_rev"`
	Versions map[string]struct {
		Dist struct {
			Tarball   string `json:"tarball"`
			Integrity string `json:"integrity"`
			Shasum    string `json:"shasum"`
		} `json:"dist"`
	} `json:"versions"`
}

const abbreviated = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"

func (r *npmRegistry) packument(ctx context.Context, name string, s *sheet) error {
	u, err := r.c.at(name)
	if err != nil {
		return err
	}
	var p packument
	if _, err := r.c.json(ctx, request{url: u, accept: abbreviated}, &p); err != nil {
		return err
	}
	if len(p.Versions) > maxVersions {
		return fmt.Errorf("%d versions, more than %d", len(p.Versions), maxVersions)
	}
	for _, v := range sortedKeys(p.Versions) {
		d := p.Versions[v].Dist
		at := r.c.ours(d.Tarball)
		if d.Tarball == "" || at == nil {
			// The npm client asks this registry, wherever the packument points.
			if at, err = r.tarball(name, v); err != nil {
				s.refused++
				continue
			}
		}
		digests := ecosystem.Integrity(d.Integrity)
		if d.Shasum != "" {
			digests = append(digests, ecosystem.Integrity("sha1:"+d.Shasum)...)
		}
		s.add(r.eco, name, v, at, "", digests)
	}
	return nil
}

// tarball is where registries have archives (github.com/npm/registry-url and all registries that imitate npm's).
func (r *npmRegistry) tarball(name, version string) (*url.URL, error) {
	return r.c.atPath(nil, name+"/-/"+path.Base(name)+"-"+version+".tgz")
}

// Holding asks for the tags and for the archive.
func (r *npmRegistry) Holding(ctx context.Context, s rapsheet.Sighting) (rapsheet.Holding, error) {
	h := r.c.holding()
	at, err := r.c.archive(s)
	if err != nil {
		return h, err
	}
	u, err := r.c.at(s.Package.Name)
	if err != nil {
		return h, err
	}
	var p packument
	if _, err := r.c.json(ctx, request{url: u, accept: abbreviated}, &p); err != nil && !notThere(err) {
		return h, err
	}
	h.Latest = p.Tags["latest"] == s.Package.Version
	h.Purge = []string{
		"npm unpublish --force " + shellQuote(s.Package.Name+"@"+s.Package.Version) + " --registry " + shellQuote(shown(r.c.base)+"/"),
	}
	return h, r.c.askedIfSafe(ctx, &h, at)
}
