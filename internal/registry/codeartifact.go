package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// codeArtifact is a repository of AWS CodeArtifact: what it has, of its own and from external connections.
//
// Recorded from documentation, not from a running server: docs.aws.amazon.com/codeartifact/latest/APIReference
// (2018-09-22: ListPackages, ListPackageVersions, DescribePackageVersion, DeletePackageVersions).
type codeArtifact struct {
	c                         *client
	others                    *tally
	domain, owner, repository string
}

func isCodeArtifact(u *url.URL) bool {
	h := strings.ToLower(u.Hostname())
	return strings.HasPrefix(h, "codeartifact.") && strings.HasSuffix(h, ".amazonaws.com") || strings.Contains(h, ".d.codeartifact.")
}

// openCodeArtifact takes the address that package managers have,
// https://DOMAIN-OWNER.d.codeartifact.REGION.amazonaws.com/FORMAT/REPOSITORY/, or the API's with the
// query domain=…&repository=…&domain-owner=….
func openCodeArtifact(ctx context.Context, c *client, opt Options) (*paged, error) {
	a := &codeArtifact{c: c, others: newTally(c, "packages")}
	getenv := opt.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	region := cmp.Or(getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION"))
	host := strings.ToLower(c.base.Hostname())
	if who, rest, ok := strings.Cut(host, ".d.codeartifact."); ok {
		parts := strings.Split(strings.Trim(c.base.Path, "/"), "/")
		i := strings.LastIndexByte(who, '-')
		if len(parts) < 2 || i < 0 {
			return nil, fmt.Errorf("%s: not the address of a CodeArtifact repository", shown(c.base))
		}
		a.domain, a.owner, a.repository = who[:i], who[i+1:], parts[1]
		region, _, _ = strings.Cut(rest, ".")
		c.base = &url.URL{Scheme: "https", Host: "codeartifact." + rest}
	} else {
		q := c.base.Query()
		a.domain, a.owner, a.repository = q.Get("domain"), q.Get("domain-owner"), q.Get("repository")
		c.base.RawQuery = ""
		if r, ok := strings.CutPrefix(host, "codeartifact."); ok {
			region, _, _ = strings.Cut(r, ".")
		}
	}
	if a.domain == "" || a.repository == "" || region == "" {
		return nil, fmt.Errorf("%s: the domain, repository or region is not said", shown(c.base))
	}
	c.auth = credentials{aws: &signer{
		id: getenv("AWS_ACCESS_KEY_ID"), secret: getenv("AWS_SECRET_ACCESS_KEY"), session: getenv("AWS_SESSION_TOKEN"),
		region: region, service: "codeartifact", now: time.Now,
	}}
	if c.auth.aws.id == "" || c.auth.aws.secret == "" {
		return nil, errors.New("CodeArtifact needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	return &paged{service: a, others: a.others, maxEmpty: maxEmpty}, nil
}

type codeArtifactPackage struct {
	Format    string `json:"format"`
	Namespace string `json:"namespace"`
	Package   string `json:"package"`
}

type codeArtifactVersions struct {
	Default  string `json:"defaultDisplayVersion"`
	Next     string `json:"nextToken"`
	Versions []struct {
		Version string `json:"version"`
		Status  string `json:"status"` // Published, Unfinished, Unlisted, Archived, Disposed
		Origin  struct {
			Entry struct {
				Connection string `json:"externalConnectionName"`
			} `json:"domainEntryPoint"`
			Type string `json:"originType"` // INTERNAL, EXTERNAL, UNKNOWN
		} `json:"origin"`
	} `json:"versions"`
}

// connections are the public registries by the names of CodeArtifact's external connections
// (docs.aws.amazon.com/codeartifact/latest/ug/external-connection.html).
var connections = map[string]string{
	"public:npmjs": "registry.npmjs.org", "public:pypi": "pypi.org", "public:nuget-org": "api.nuget.org",
	"public:maven-central": "repo.maven.apache.org", "public:crates-io": "crates.io", "public:ruby-gems-org": "rubygems.org",
}

func (a *codeArtifact) post(ctx context.Context, path string, pairs []string, v any) error {
	u, err := a.c.atPath([]string{"v1"}, path)
	if err != nil {
		return err
	}
	pairs = append(pairs, "domain", a.domain, "domain-owner", a.owner, "repository", a.repository)
	_, err = a.c.json(ctx, request{method: http.MethodPost, url: withQuery(u, pairs...), accept: "application/json"}, v)
	return err
}

func (a *codeArtifact) page(ctx context.Context, from string) (Page, error) {
	cur, err := parseCursor(from)
	if err != nil {
		return Page{}, err
	}
	var got struct {
		Packages []codeArtifactPackage `json:"packages"`
		Next     string                `json:"nextToken"`
	}
	if err := a.post(ctx, "packages", []string{"max-results", "100", "next-token", cur.Token}, &got); err != nil {
		return Page{}, err
	}
	s := sheet{kind: "codeartifact"}
	place := shown(a.c.base) + "/" + a.domain + "/" + a.repository
	for _, p := range got.Packages {
		eco, known := ecosystemOf(p.Format)
		if !known {
			a.others.add(p.Format)
			continue
		}
		name := nexusComponent{Group: p.Namespace, Name: p.Package}.name(eco)
		err := a.versions(ctx, p, func(v codeArtifactVersions) {
			for _, one := range v.Versions {
				if one.Status == "Disposed" { // the assets are gone
					continue
				}
				upstream := strings.ToLower(a.c.base.Host)
				if one.Origin.Type != "INTERNAL" {
					upstream = connections[one.Origin.Entry.Connection]
				}
				at, err := below(a.c.base, "v1", "package", "version", p.Format, name, one.Version)
				if err != nil {
					s.refused++
					continue
				}
				s.add(eco, name, one.Version, at, upstream, nil)
			}
		})
		if err != nil {
			if !notThere(err) {
				return Page{}, err
			}
			s.unread(place, "%s: %v", name, err)
		}
	}
	return s.done(place, cursor{Token: got.Next}.String()), nil
}

func (a *codeArtifact) versions(ctx context.Context, p codeArtifactPackage, each func(codeArtifactVersions)) error {
	return eachToken(maxVersions/1000, func(token string) (string, error) {
		var got codeArtifactVersions
		pairs := []string{"format", p.Format, "namespace", p.Namespace, "package", p.Package, "max-results", "1000", "next-token", token}
		if err := a.post(ctx, "package/versions", pairs, &got); err != nil {
			return "", err
		}
		each(got)
		return got.Next, nil
	})
}

// Holding reads the status: Published and Unlisted versions can be fetched.
func (a *codeArtifact) Holding(ctx context.Context, s rapsheet.Sighting) (rapsheet.Holding, error) {
	h := a.c.holding()
	h.Registry += "/" + a.domain + "/" + a.repository
	eco, _ := ecosystem.Find(s.Package.Ecosystem)
	parts := strings.Split(s.Location.Path, "/version/")
	if eco == nil || len(parts) != 2 {
		return h, nil
	}
	format, _, _ := strings.Cut(parts[1], "/")
	group, name := splitGroup(eco, s.Package.Name)
	p := codeArtifactPackage{Format: format, Namespace: group, Package: name}
	err := a.versions(ctx, p, func(v codeArtifactVersions) {
		h.Latest = h.Latest || v.Default == s.Package.Version
		for _, one := range v.Versions {
			if one.Version != s.Package.Version {
				continue
			}
			h.Served = rapsheet.ServedNo
			if one.Status == "Published" || one.Status == "Unlisted" {
				h.Served = rapsheet.ServedYes
			}
		}
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return h, err
	}
	if h.Served == rapsheet.ServedUnknown {
		h.Served = rapsheet.ServedNo
		return h, nil
	}
	call := "aws codeartifact delete-package-versions --domain " + shellQuote(a.domain)
	if a.owner != "" {
		call += " --domain-owner " + shellQuote(a.owner)
	}
	call += " --repository " + shellQuote(a.repository) + " --format " + shellQuote(format)
	if group != "" {
		call += " --namespace " + shellQuote(group)
	}
	h.Purge = []string{call + " --package " + shellQuote(name) + " --versions " + shellQuote(s.Package.Version)}
	return h, nil
}
