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

// azure is a feed of Azure Artifacts: packages published to it and those saved from its upstreams.
//
// Recorded from documentation, not from a running server: learn.microsoft.com/en-us/rest/api/azure/devops/artifacts
// (feed-management/get-feed, artifact-details/get-packages, artifactspackagetypes/…/delete-package-version; 7.1).
type azure struct {
	c      *client
	others *tally
	// project is "" for a feed of the organization.
	org, project, feed string
	pkgs               *url.URL          // where packages are served from
	upstream           map[string]string // source id → host
}

const azureTop = 1000

func isAzure(u *url.URL) bool {
	h := strings.ToLower(u.Hostname())
	return h == "feeds.dev.azure.com" || h == "pkgs.dev.azure.com"
}

// openAzure takes …/ORG[/PROJECT]/_packaging/FEED/… and …/ORG[/PROJECT]/_apis/packaging/Feeds/FEED.
func openAzure(ctx context.Context, c *client, opt Options) (*paged, error) {
	a := &azure{c: c, others: newTally(c, "packages")}
	before, after, ok := strings.Cut(strings.Trim(c.base.Path, "/"), "/_packaging/")
	if !ok {
		lower := strings.ToLower(c.base.Path)
		if i := strings.Index(lower, "/_apis/packaging/feeds/"); i >= 0 {
			before, after, ok = strings.Trim(c.base.Path[:i], "/"), c.base.Path[i+len("/_apis/packaging/feeds/"):], true
		}
	}
	a.org, a.project, _ = strings.Cut(before, "/")
	a.feed, _, _ = strings.Cut(after, "/")
	if !ok || a.org == "" || a.feed == "" || strings.Contains(a.project, "/") {
		return nil, fmt.Errorf("%s: not the address of an Azure Artifacts feed", shown(c.base))
	}
	pkgs := *c.base
	pkgs.Path, pkgs.RawPath = "", ""
	feeds := pkgs
	if isAzure(c.base) {
		pkgs.Host, feeds.Host = "pkgs.dev.azure.com", "feeds.dev.azure.com"
	}
	c.base, a.pkgs = &feeds, &pkgs
	if t := c.auth.token; t != "" {
		// A personal access token is the password of any user.
		c.auth = credentials{login: login{password: t}, pat: true}
	}
	return &paged{service: a, others: a.others, maxEmpty: maxEmpty}, nil
}

func (a *azure) below(base *url.URL, elems ...string) (*url.URL, error) {
	root := []string{a.org}
	if a.project != "" {
		root = append(root, a.project)
	}
	return below(base, append(append(root, "_apis", "packaging"), elems...)...)
}

type azurePackage struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Protocol string `json:"protocolType"`
	Versions []struct {
		Version  string `json:"version"`
		Latest   bool   `json:"isLatest"`
		Deleted  bool   `json:"isDeleted"`
		Upstream string `json:"directUpstreamSourceId"`
	} `json:"versions"`
}

func (a *azure) upstreams(ctx context.Context) error {
	if a.upstream != nil {
		return nil
	}
	u, err := a.below(a.c.base, "feeds", a.feed)
	if err != nil {
		return err
	}
	var got struct {
		Sources []struct {
			ID       string `json:"id"`
			Location string `json:"location"`
		} `json:"upstreamSources"`
	}
	if _, err := a.c.get(ctx, withQuery(u, "api-version", "7.1"), &got); err != nil {
		return err
	}
	a.upstream = map[string]string{}
	for _, s := range got.Sources {
		a.upstream[s.ID] = hostOf(s.Location)
	}
	return nil
}

func (a *azure) page(ctx context.Context, from string) (Page, error) {
	skip, err := parseCount(from)
	if err != nil {
		return Page{}, err
	}
	if err := a.upstreams(ctx); err != nil {
		return Page{}, err
	}
	u, err := a.below(a.c.base, "Feeds", a.feed, "packages")
	if err != nil {
		return Page{}, err
	}
	var got struct {
		Value []azurePackage `json:"value"`
	}
	q := withQuery(u, "includeAllVersions", "true", "$top", strconv.Itoa(azureTop), "$skip", strconv.Itoa(skip), "api-version", "7.1")
	if _, err := a.c.get(ctx, q, &got); err != nil {
		return Page{}, err
	}
	s := sheet{kind: "azure-artifacts"}
	for _, p := range got.Value {
		eco, known := ecosystemOf(p.Protocol)
		if !known {
			a.others.add(p.Protocol)
			continue
		}
		for _, v := range p.Versions {
			if v.Deleted {
				continue // in the recycle bin
			}
			at, err := a.version(p.Protocol, p.Name, v.Version)
			if err != nil {
				s.refused++
				continue
			}
			upstream := a.upstream[v.Upstream]
			if v.Upstream == "" || strings.Trim(v.Upstream, "0-") == "" {
				upstream = strings.ToLower(a.pkgs.Host)
			}
			s.add(eco, p.Name, v.Version, at, upstream, nil)
		}
	}
	next := ""
	if len(got.Value) > 0 {
		next = cursor{Token: strconv.Itoa(skip + len(got.Value))}.String()
	}
	return s.done(shown(u), next), nil
}

// version is where the calls for one version are; Maven's have group and artifact in them.
func (a *azure) version(protocol, name, version string) (*url.URL, error) {
	elems := []string{"feeds", a.feed, strings.ToLower(protocol)}
	if strings.EqualFold(protocol, "maven") {
		group, artifact, _ := strings.Cut(name, ":")
		return a.below(a.pkgs, append(elems, "groups", group, "artifacts", artifact, "versions", version)...)
	}
	if strings.EqualFold(protocol, "npm") && strings.HasPrefix(name, "@") {
		scope, base, _ := strings.Cut(strings.TrimPrefix(name, "@"), "/")
		return a.below(a.pkgs, append(elems, "packages", "@"+scope, base, "versions", version)...)
	}
	return a.below(a.pkgs, append(elems, "packages", name, "versions", version)...)
}

// Holding asks the feed for the package again, by its name.
func (a *azure) Holding(ctx context.Context, s rapsheet.Sighting) (rapsheet.Holding, error) {
	h := a.c.holding()
	h.Registry = shown(a.c.base) + "/" + a.org + "/" + a.feed
	at, err := url.Parse(s.Location.Path)
	if err != nil || !sameOrigin(at, a.pkgs) {
		return h, errors.New("the sighting is of another registry")
	}
	eco, _ := ecosystem.Find(s.Package.Ecosystem)
	u, err := a.below(a.c.base, "Feeds", a.feed, "packages")
	if err != nil || eco == nil {
		return h, err
	}
	var got struct {
		Value []azurePackage `json:"value"`
	}
	q := withQuery(u, "packageNameQuery", s.Package.Name, "includeAllVersions", "true", "$top", strconv.Itoa(azureTop), "api-version", "7.1")
	if _, err := a.c.get(ctx, q, &got); err != nil {
		return h, err
	}
	h.Served = rapsheet.ServedNo
	for _, p := range got.Value {
		if of, ok := ecosystemOf(p.Protocol); !ok || of != eco || eco.Canonical(p.Name) != eco.Canonical(s.Package.Name) {
			continue
		}
		for _, v := range p.Versions {
			if v.Version == s.Package.Version && !v.Deleted {
				h.Served, h.Latest = rapsheet.ServedYes, v.Latest
				h.Purge = []string{a.c.auth.curlDelete(withQuery(at, "api-version", "7.1"))}
			}
		}
	}
	return h, nil
}
