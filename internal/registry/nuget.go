package registry

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// nuget is a NuGet v3 source (learn.microsoft.com/nuget/api/overview): packages that are named are asked for in the
// package content, else the search is paged through, else the catalog.
//
// Recorded from documentation, not from a running server: learn.microsoft.com/en-us/nuget/api/service-index,
// package-base-address-resource, search-query-service-resource, catalog-resource, registration-base-url-resource
// (read 2026-11).
type nuget struct {
	byName
	eco     *ecosystem.Ecosystem
	index   *url.URL
	content *url.URL // PackageBaseAddress
	search  *url.URL
	catalog *url.URL
	meta    *url.URL // RegistrationsBaseUrl
}

const nugetTake = 100

type nugetIndex struct {
	Resources []struct {
		ID   string   `json:"@id"`
		Type oneOrAll `json:"@type"`
	} `json:"resources"`
}

// oneOrAll is a text, or several: JSON-LD allows both.
type oneOrAll []string

func (o *oneOrAll) UnmarshalJSON(b []byte) error {
	var one string
	if decode(b, &one) == nil {
		*o = oneOrAll{one}
		return nil
	}
	return decode(b, (*[]string)(o))
}

// serviceIndex gives the address of the service index: packages managers are configured with it.
func serviceIndex(u *url.URL) *url.URL {
	if strings.HasSuffix(u.Path, ".json") {
		return u
	}
	if strings.HasSuffix(u.Path, "/v3") {
		return join(u, "index.json")
	}
	return join(u, "v3/index.json")
}

func answersNuGet(ctx context.Context, c *client) (bool, error) {
	var got nugetIndex
	yes, err := c.probe(ctx, serviceIndex(c.base), &got)
	return yes && len(got.Resources) > 0 && len(got.Resources[0].Type) > 0, err
}

func openNuGet(ctx context.Context, c *client, opt Options) (*paged, error) {
	eco, _ := ecosystem.Find("NuGet")
	n := &nuget{byName: byName{c: c, kind: "nuget"}, eco: eco, index: serviceIndex(c.base)}
	var got nugetIndex
	if _, err := c.get(ctx, n.index, &got); err != nil {
		return nil, err
	}
	for _, r := range got.Resources {
		u, err := url.Parse(r.ID)
		if err != nil {
			continue
		}
		if u = n.index.ResolveReference(u); u.Scheme != "http" && u.Scheme != "https" {
			continue
		}
		for _, t := range r.Type {
			name, _, _ := strings.Cut(t, "/")
			switch {
			case name == "PackageBaseAddress" && n.content == nil:
				n.content = u
			case name == "SearchQueryService" && n.search == nil:
				n.search = u
			case name == "Catalog" && n.catalog == nil:
				n.catalog = u
			case t == "RegistrationsBaseUrl/3.6.0", name == "RegistrationsBaseUrl" && n.meta == nil:
				n.meta = u
			}
		}
	}
	if n.content == nil {
		return nil, fmt.Errorf("%s: the service index names no PackageBaseAddress", shown(n.index))
	}
	p := &paged{service: n, others: newTally(c, "packages"), maxEmpty: maxEmpty}
	if names := namesOf(opt, "NuGet"); len(names) > 0 {
		n.given = true
		n.names = func(context.Context) ([]string, error) { return names, nil }
		n.read = n.versionsOf
		p.maxEmpty = 0
	} else if n.search == nil && n.catalog == nil {
		return nil, errNoNames(c, "this NuGet source")
	}
	return p, nil
}

func (n *nuget) page(ctx context.Context, from string) (Page, error) {
	switch {
	case n.given:
		return n.byName.page(ctx, from)
	case n.search != nil:
		return n.searchPage(ctx, from)
	}
	return n.catalogPage(ctx, from)
}

// archive is where a version's package is: "{base}/{lower id}/{lower version}/{lower id}.{lower version}.nupkg".
func (n *nuget) archive(id, version string) (*url.URL, error) {
	id, version = strings.ToLower(id), strings.ToLower(version)
	version, _, _ = strings.Cut(version, "+")
	return below(n.content, id, version, id+"."+version+".nupkg")
}

// below is [client.at] for another base.
func below(base *url.URL, elems ...string) (*url.URL, error) {
	b := *base
	b.Path, b.RawPath = strings.TrimRight(b.Path, "/"), strings.TrimRight(b.RawPath, "/")
	return (&client{base: &b}).at(elems...)
}

func (n *nuget) add(s *sheet, id, version string) {
	at, err := n.archive(id, version)
	if err != nil {
		s.refused++
		return
	}
	s.add(n.eco, id, version, at, "", nil)
}

func (n *nuget) contentVersions(ctx context.Context, id string) ([]string, error) {
	u, err := below(n.content, strings.ToLower(id), "index.json")
	if err != nil {
		return nil, err
	}
	var got struct {
		Versions []string `json:"versions"`
	}
	_, err = n.c.get(ctx, u, &got)
	if len(got.Versions) > maxVersions {
		return nil, fmt.Errorf("more than %d versions", maxVersions)
	}
	return got.Versions, err
}

func (n *nuget) versionsOf(ctx context.Context, id string, s *sheet) error {
	versions, err := n.contentVersions(ctx, id)
	for _, v := range versions {
		n.add(s, id, v)
	}
	return err
}

func (n *nuget) searchPage(ctx context.Context, from string) (Page, error) {
	skip, err := parseCount(from)
	if err != nil {
		return Page{}, err
	}
	var got struct {
		Data []struct {
			ID       string `json:"id"`
			Version  string `json:"version"`
			Versions []struct {
				Version string `json:"version"`
			} `json:"versions"`
		} `json:"data"`
	}
	u := withQuery(n.search, "skip", strconv.Itoa(skip), "take", strconv.Itoa(nugetTake), "prerelease", "true", "semVerLevel", "2.0.0")
	if _, err := n.c.get(ctx, u, &got); err != nil {
		return Page{}, err
	}
	s := sheet{kind: "nuget"}
	if skip == 0 {
		s.Notes = append(s.Notes, &rapsheet.Note{Kind: rapsheet.NoteInfo, Path: shown(n.search), Message: "the search shows no unlisted packages: name packages to ask for those too"})
	}
	for _, d := range got.Data {
		if len(d.Versions) == 0 {
			n.add(&s, d.ID, d.Version)
		}
		for _, v := range d.Versions {
			n.add(&s, d.ID, v.Version)
		}
	}
	next := ""
	// A server may give fewer than asked for: only an empty page is the end.
	if len(got.Data) > 0 {
		next = cursor{Token: strconv.Itoa(skip + len(got.Data))}.String()
	}
	return s.done(shown(n.search), next), nil
}

// catalogPage reads one page of events; a deletion is none of a package that is there.
func (n *nuget) catalogPage(ctx context.Context, from string) (Page, error) {
	i, err := parseCount(from)
	if err != nil {
		return Page{}, err
	}
	var index struct {
		Items []struct {
			ID string `json:"@id"`
		} `json:"items"`
	}
	if _, err := n.c.get(ctx, n.catalog, &index); err != nil {
		return Page{}, err
	}
	s := sheet{kind: "nuget"}
	if i >= len(index.Items) {
		return s.done(shown(n.catalog), ""), nil
	}
	u, err := url.Parse(index.Items[i].ID)
	if err != nil {
		return Page{}, errors.New("the catalog names a page that is no address")
	}
	var events struct {
		Items []struct {
			Type    oneOrAll `json:"@type"`
			ID      string   `json:"nuget:id"`
			Version string   `json:"nuget:version"`
		} `json:"items"`
	}
	if _, err := n.c.get(ctx, n.catalog.ResolveReference(u), &events); err != nil {
		return Page{}, err
	}
	for _, e := range events.Items {
		if len(e.Type) > 0 && e.Type[0] == "nuget:PackageDelete" {
			continue
		}
		n.add(&s, e.ID, e.Version)
	}
	next := ""
	if i+1 < len(index.Items) {
		next = cursor{Token: strconv.Itoa(i + 1)}.String()
	}
	return s.done(shown(n.catalog), next), nil
}

// Holding asks for the archive; an unlisted version is served and is nobody's latest.
func (n *nuget) Holding(ctx context.Context, s rapsheet.Sighting) (rapsheet.Holding, error) {
	h := n.c.holding()
	at, err := n.archive(s.Package.Name, s.Package.Version)
	if err != nil {
		return h, err
	}
	versions, err := n.contentVersions(ctx, s.Package.Name)
	if err != nil && !notThere(err) {
		return h, err
	}
	unlisted, err := n.unlisted(ctx, s.Package.Name)
	if err != nil && !notThere(err) {
		return h, err
	}
	var listed []string
	for _, v := range versions {
		if !unlisted[strings.ToLower(v)] {
			listed = append(listed, v)
		}
	}
	best := latestOf(n.eco, listed)
	h.Latest = best != "" && n.eco.EqualVersion(best, s.Package.Version)
	h.Purge = []string{"dotnet nuget delete " + shellQuote(s.Package.Name) + " " + shellQuote(s.Package.Version) +
		" --source " + shellQuote(shown(n.index)) + ` --api-key "$` + envToken + `" --non-interactive`}
	return h, n.c.askedIfSafe(ctx, &h, at)
}

// unlisted reads the registration index, as far as its pages are in it.
func (n *nuget) unlisted(ctx context.Context, id string) (map[string]bool, error) {
	out := map[string]bool{}
	if n.meta == nil {
		return out, nil
	}
	u, err := below(n.meta, strings.ToLower(id), "index.json")
	if err != nil {
		return out, err
	}
	var got struct {
		Items []struct {
			Items []struct {
				Entry struct {
					Version string `json:"version"`
					Listed  *bool  `json:"listed"`
				} `json:"catalogEntry"`
			} `json:"items"`
		} `json:"items"`
	}
	if _, err := n.c.get(ctx, u, &got); err != nil {
		return out, err
	}
	for _, p := range got.Items {
		for _, i := range p.Items {
			if i.Entry.Listed != nil && !*i.Entry.Listed {
				v, _, _ := strings.Cut(strings.ToLower(i.Entry.Version), "+")
				out[v] = true
			}
		}
	}
	return out, nil
}
