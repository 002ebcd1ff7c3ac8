package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rapsheet/rapsheet"
)

// Options say how to ask a registry.
type Options struct {
	// Type is one of [Types]; "" finds out by asking.
	Type string
	// Names are the packages to ask for where a registry cannot list what it has (a plain npm registry, NuGet
	// without a catalog, a Go module proxy); nil is none. Other registries do not need them.
	Names iter.Seq[rapsheet.Key]
	// AskArchives lets Holding ask for archives also where the registry may fetch one from upstream to answer, which
	// brings it what it may not have: a package that only its metadata knows.
	AskArchives bool
	// Getenv reads the environment, for credentials; nil is an empty one. Netrc is the path of a netrc file; ""
	// is the one that NETRC names, or ~/.netrc.
	Getenv func(string) string
	Netrc  string
	Logger *slog.Logger
	// Transport sends the requests; nil is the standard one, with the proxy of the environment.
	Transport http.RoundTripper
	UserAgent string
	// Rate is how many requests a second are sent at most; 0 is as many as the answers allow.
	Rate float64

	// For tests: pauses before the second attempt, longest times of an answer, and its largest size in bytes.
	backoff, header, body time.Duration
	maxBody               int64
}

// ErrType says that a registry's product is not known and could not be found out.
var ErrType = errors.New("what product the registry is cannot be told")

// product is a row of the table of what can be asked.
type product struct {
	name string
	// is tells the product by the address alone, without asking.
	is func(u *url.URL) bool
	// answers tells the product by asking; nil is never.
	answers func(ctx context.Context, c *client) (bool, error)
	open    func(ctx context.Context, c *client, opt Options) (*paged, error)
}

// products are in the order in which they are asked for: those with an unmistakable answer first.
var products = []product{
	{"codeartifact", isCodeArtifact, nil, openCodeArtifact},
	{"azure", isAzure, nil, openAzure},
	{"google", isGoogle, nil, openGoogle},
	{"github", isGitHub, nil, openGitHub},
	{"nexus", nil, answersNexus, openNexus},
	{"artifactory", hostSuffix(".jfrog.io"), answersArtifactory, openArtifactory},
	{"gitlab", hostSuffix("gitlab.com"), answersGitLab, openGitLab},
	{"devpi", nil, answersDevpi, openDevpi},
	{"verdaccio", nil, answersVerdaccio, openVerdaccio},
	{"athens", nil, answersAthens, openAthens},
	{"nuget", hostSuffix("api.nuget.org"), answersNuGet, openNuGet},
	{"pypi", hostSuffix("pypi.org"), answersSimple, openSimple},
	{"npm", hostSuffix("registry.npmjs.org"), answersNPM, openNPM},
	{"goproxy", hostSuffix("proxy.golang.org"), nil, openGoProxy},
}

// Types lists the products that can be asked.
func Types() []string {
	var names []string
	for _, p := range products {
		names = append(names, p.name)
	}
	return names
}

func hostSuffix(suffix string) func(*url.URL) bool {
	return func(u *url.URL) bool {
		h := "." + strings.ToLower(u.Hostname())
		return strings.HasSuffix(h, "."+strings.TrimPrefix(suffix, "."))
	}
}

// Open connects to the registry at rawURL: the address that its package manager would be configured with, or that
// of its API. Credentials in rawURL are used and are not kept in the address.
func Open(ctx context.Context, rawURL string, opt Options) (Registry, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the registry's address is not an http or https URL") // which may hold a password
	}
	creds, err := findCredentials(u, opt)
	if err != nil {
		return nil, err
	}
	base := *u
	base.User, base.Fragment, base.RawFragment = nil, "", ""
	base.Path, base.RawPath = strings.TrimRight(base.Path, "/"), strings.TrimRight(base.RawPath, "/")
	c := &client{
		base: &base, rt: newTransport(opt.Transport), auth: creds,
		agent: cmp.Or(opt.UserAgent, "rapsheet"),
		log:   opt.Logger, askArchives: opt.AskArchives,
		backoff: cmp.Or(opt.backoff, firstBackoff), header: cmp.Or(opt.header, headerTimeout), body: cmp.Or(opt.body, bodyTimeout),
		maxBody: cmp.Or(opt.maxBody, maxBody),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if opt.Rate > 0 {
		c.every = time.Duration(float64(time.Second) / opt.Rate)
	}
	p, err := find(ctx, c, opt.Type)
	if err != nil {
		return nil, err
	}
	if c.base.RawQuery != "" && p.name != "codeartifact" {
		c.base.RawQuery = "" // only CodeArtifact's address has one
	}
	return p.open(ctx, c, opt)
}

func find(ctx context.Context, c *client, name string) (*product, error) {
	for i := range products {
		p := &products[i]
		if name == p.name || name == "" && p.is != nil && p.is(c.base) {
			return p, nil
		}
	}
	if name != "" {
		return nil, fmt.Errorf("no type of registry is called %q; there are %s", name, strings.Join(Types(), ", "))
	}
	var denied error
	for i := range products {
		p := &products[i]
		if p.answers == nil {
			continue
		}
		yes, err := p.answers(ctx, c)
		var status *StatusError
		switch {
		case err == nil && yes:
			return p, nil
		case err == nil:
		case errors.As(err, &status):
			if status.Status == http.StatusUnauthorized || status.Status == http.StatusForbidden {
				denied = err
			}
		default:
			return nil, err
		}
	}
	if denied != nil {
		return nil, fmt.Errorf("%s: %w: %w", shown(c.base), ErrType, denied)
	}
	return nil, fmt.Errorf("%s: %w: name its type: %s", shown(c.base), ErrType, strings.Join(Types(), ", "))
}

// probe asks once for JSON at u, and whether it is of v's shape; other answers are no.
func (c *client) probe(ctx context.Context, u *url.URL, v any) (bool, error) {
	a, err := c.do(ctx, request{url: u, accept: "application/json", once: true, html: true})
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return false, err
	}
	return decode(a.data, v) == nil, nil
}
