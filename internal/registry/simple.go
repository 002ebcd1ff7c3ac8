package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/net/html"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// simple is a Python index of the simple API
// (https://packaging.python.org/en/latest/specifications/simple-repository-api/): HTML of PEP 503 and JSON of PEP 691,
// yanked files of PEP 592. A yanked file is served to whoever pins it, and so listed.
type simple struct {
	byName
	eco *ecosystem.Ecosystem
}

const (
	acceptSimple = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
	maxFiles     = 1_000_000 // of one project, and projects of an index
)

func openSimple(ctx context.Context, c *client, opt Options) (*paged, error) {
	if strings.EqualFold(c.base.Hostname(), "pypi.org") && c.base.Path == "" {
		c.base = join(c.base, "simple")
	}
	eco, _ := ecosystem.Find("PyPI")
	s := &simple{byName: byName{c: c, kind: "pypi-simple"}, eco: eco}
	s.read = s.project
	if names := namesOf(opt, "PyPI"); len(names) > 0 {
		s.given = true
		s.names = func(context.Context) ([]string, error) { return names, nil }
	} else {
		s.names = s.projects
	}
	return &paged{service: s, others: newTally(c, "packages")}, nil
}

// answersSimple takes /simple below the address, else the address itself.
func answersSimple(ctx context.Context, c *client) (bool, error) {
	for _, below := range []string{"simple", ""} {
		u := c.base
		if below != "" {
			u = join(u, below)
		}
		root := *u
		root.Path, root.RawPath = root.Path+"/", ""
		a, err := c.do(ctx, request{url: &root, accept: acceptSimple, html: true, once: true})
		if err != nil {
			if notThere(err) {
				continue
			}
			return false, err
		}
		kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
		links, err := simpleLinks(kind, a)
		if err == nil && (strings.HasPrefix(kind, "application/vnd.pypi.simple.v1+") || len(links) > 0 && allProjects(links)) {
			c.base = u
			return true, nil
		}
	}
	return false, nil
}

// allProjects tells an index of projects from any page with links: they lead one step down.
func allProjects(links []simpleLink) bool {
	return !slices.ContainsFunc(links, func(l simpleLink) bool {
		return l.name == "" || strings.ContainsAny(l.name, "/ <>")
	})
}

// simpleLink is an anchor, or an entry of the JSON form.
type simpleLink struct {
	name    string // a project or a file
	url     *url.URL
	digests []rapsheet.Digest
	yanked  bool
}

func (s *simple) fetch(ctx context.Context, u *url.URL) ([]simpleLink, error) {
	a, err := s.c.do(ctx, request{url: u, accept: acceptSimple, html: true})
	if err != nil {
		return nil, err
	}
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	links, err := simpleLinks(kind, a)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", shown(a.url), err)
	}
	return links, nil
}

func simpleLinks(kind string, a *answer) ([]simpleLink, error) {
	if strings.HasSuffix(kind, "json") {
		return simpleJSON(a)
	}
	return simpleHTML(a)
}

var (
	errVersion = errors.New("a version of the simple API that is not known: not read")
	errFiles   = fmt.Errorf("more than %d links", maxFiles)
)

func simpleJSON(a *answer) ([]simpleLink, error) {
	var doc struct {
		Meta struct {
			Version string `json:"api-version"`
		} `json:"meta"`
		Projects []struct {
			Name string `json:"name"`
		} `json:"projects"`
		Files []struct {
			Filename string            `json:"filename"`
			URL      string            `json:"url"`
			Hashes   map[string]string `json:"hashes"`
			Yanked   jsontext.Value    `json:"yanked"` // false, true or a reason
		} `json:"files"`
	}
	if err := decode(a.data, &doc); err != nil {
		return nil, err
	}
	// "clients MUST … treat a major version greater than supported as an error"
	if major, _, _ := strings.Cut(doc.Meta.Version, "."); major != "1" {
		return nil, errVersion
	}
	if len(doc.Projects) > maxNames || len(doc.Files) > maxFiles {
		return nil, errFiles
	}
	var links []simpleLink
	for _, p := range doc.Projects {
		links = append(links, simpleLink{name: p.Name})
	}
	for _, f := range doc.Files {
		l := simpleLink{name: f.Filename, yanked: len(f.Yanked) > 0 && f.Yanked.Kind() != 'f' && f.Yanked.Kind() != 'n'}
		if u, err := url.Parse(f.URL); err == nil {
			l.url = a.url.ResolveReference(u)
		}
		for _, alg := range sortedKeys(f.Hashes) {
			l.digests = append(l.digests, ecosystem.Integrity(alg+":"+f.Hashes[alg])...)
		}
		links = append(links, l)
	}
	return links, nil
}

func simpleHTML(a *answer) ([]simpleLink, error) {
	z := html.NewTokenizer(bytes.NewReader(a.data))
	z.SetMaxBuf(1 << 20)
	var links []simpleLink
	var open *simpleLink
	var text strings.Builder
	for {
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); err != io.EOF {
				return nil, errors.New("not HTML that can be read")
			}
			return links, nil
		case html.TextToken:
			if open != nil && text.Len() < ecosystem.MaxIdentifier {
				text.Write(z.Text())
			}
		case html.StartTagToken:
			name, attrs := z.TagName()
			switch string(name) {
			case "meta":
				at := attributes(z, attrs)
				if at["name"] == "pypi:repository-version" && !strings.HasPrefix(at["content"], "1.") {
					return nil, errVersion
				}
			case "a":
				at := attributes(z, attrs)
				_, yanked := at["data-yanked"]
				open = &simpleLink{yanked: yanked}
				text.Reset()
				if u, err := url.Parse(strings.TrimSpace(at["href"])); err == nil && at["href"] != "" {
					open.url = a.url.ResolveReference(u)
					open.digests = ecosystem.Integrity(strings.ReplaceAll(open.url.Fragment, "=", ":"))
				}
			}
		case html.SelfClosingTagToken:
			if name, attrs := z.TagName(); string(name) == "meta" {
				at := attributes(z, attrs)
				if at["name"] == "pypi:repository-version" && !strings.HasPrefix(at["content"], "1.") {
					return nil, errVersion
				}
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); string(name) == "a" && open != nil {
				if len(links) == maxNames {
					return nil, errFiles
				}
				open.name = strings.TrimSuffix(strings.TrimSpace(html.UnescapeString(text.String())), "/")
				links = append(links, *open)
				open = nil
			}
		}
	}
}

func attributes(z *html.Tokenizer, more bool) map[string]string {
	at := map[string]string{}
	for more && len(at) < 64 {
		var k, v []byte
		k, v, more = z.TagAttr()
		if _, twice := at[string(k)]; !twice {
			at[string(k)] = string(v)
		}
	}
	return at
}

func (s *simple) projects(ctx context.Context) ([]string, error) {
	root := *s.c.base
	root.Path, root.RawPath = root.Path+"/", ""
	links, err := s.fetch(ctx, &root)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range links {
		if l.name != "" {
			names = append(names, l.name)
		}
	}
	return names, nil
}

// page of a project, with the slash at the end that the specification demands.
func (s *simple) pageOf(name string) (*url.URL, error) {
	u, err := s.c.at(s.eco.Canonical(name))
	if err != nil {
		return nil, err
	}
	u.Path += "/"
	if u.RawPath != "" {
		u.RawPath += "/"
	}
	return u, nil
}

func (s *simple) project(ctx context.Context, name string, out *sheet) error {
	u, err := s.pageOf(name)
	if err != nil {
		return err
	}
	links, err := s.fetch(ctx, u)
	if err != nil {
		return err
	}
	for _, l := range links {
		version, ok := fileOf(s.eco, name, l)
		if !ok {
			continue
		}
		out.add(s.eco, name, version, l.url, "", l.digests)
	}
	return nil
}

// fileOf gives the version of a project's file; ok is false for what is no distribution (a signature, a link) or another
// project's, which pip does not take either.
func fileOf(eco *ecosystem.Ecosystem, project string, l simpleLink) (version string, ok bool) {
	if l.url == nil || l.url.Scheme != "http" && l.url.Scheme != "https" {
		return "", false
	}
	project = eco.Canonical(project)
	for _, file := range []string{path.Base(l.url.Path), l.name} {
		for _, ext := range sdists {
			// An sdist's name is known here, so a "-" in it cannot be mistaken.
			base, is := strings.CutSuffix(file, ext)
			for i := 0; is && i+1 < len(base); i++ {
				if base[i] == '-' && eco.Canonical(base[:i]) == project {
					return base[i+1:], true
				}
			}
		}
		if name, v, ok := pypiFile(file); ok && eco.Canonical(name) == project {
			return v, true
		}
	}
	return "", false
}

// Holding reads the project's page again. A static index has no calls that remove anything.
func (s *simple) Holding(ctx context.Context, seen rapsheet.Sighting) (rapsheet.Holding, error) {
	h := s.c.holding()
	u, err := s.pageOf(seen.Package.Name)
	if err != nil {
		return h, err
	}
	links, err := s.fetch(ctx, u)
	if notThere(err) {
		h.Served = rapsheet.ServedNo
		return h, nil
	}
	if err != nil {
		return h, err
	}
	h.Served = rapsheet.ServedNo
	var versions []string
	var file *url.URL
	for _, l := range links {
		v, ok := fileOf(s.eco, seen.Package.Name, l)
		if !ok {
			continue
		}
		if !l.yanked {
			versions = append(versions, v)
		}
		if v == seen.Package.Version && (file == nil || shown(l.url) == seen.Location.Path) {
			file = l.url
		}
	}
	h.Latest = latestOf(s.eco, versions) == seen.Package.Version
	if file == nil {
		return h, nil
	}
	h.Served = rapsheet.ServedUnknown
	bare := *file
	bare.Fragment, bare.RawFragment = "", ""
	return h, s.c.askedIfSafe(ctx, &h, &bare)
}
