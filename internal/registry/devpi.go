package registry

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// devpi is a devpi server, or one index of it. The list of a mirror's projects is upstream's: mirrors are asked for
// the packages that are named, and left out, with a note, where none are.
//
// Recorded from its source and documentation, not from a running server: devpi.net/docs/devpi/devpi/stable/+d/ (curl.html),
// devpi-server 6, views.py (index_get, project_get, version_delete), and wire formats of model.py.
type devpi struct {
	byName
	eco    *ecosystem.Ecosystem
	wanted []string          // the names that the user gives
	mirror map[string]string // index → host of its upstream
	kinds  map[string]string // path of an index → its type, as far as was asked
	left   []*rapsheet.Note  // about mirrors that are not listed
}

func openDevpi(ctx context.Context, c *client, opt Options) (*paged, error) {
	eco, _ := ecosystem.Find("PyPI")
	for _, end := range []string{"/+simple", "/simple"} {
		c.base.Path, c.base.RawPath = strings.TrimSuffix(c.base.Path, end), ""
	}
	d := &devpi{byName: byName{c: c, kind: "devpi"}, eco: eco, wanted: namesOf(opt, "PyPI"), mirror: map[string]string{}, kinds: map[string]string{}}
	d.byName.given = len(d.wanted) > 0
	d.names, d.read = d.projects, d.project
	return &paged{service: d, others: newTally(c, "packages")}, nil
}

func answersDevpi(ctx context.Context, c *client) (bool, error) {
	u, err := c.at("+api")
	if err != nil {
		return false, err
	}
	var got struct {
		Type string `json:"type"`
	}
	yes, err := c.probe(ctx, u, &got)
	return yes && got.Type == "apiconfig", err
}

type devpiIndex struct {
	Type     string   `json:"type"`
	Upstream string   `json:"mirror_url"`
	Projects []string `json:"projects"`
}

// indexes gives the indexes below the address: "user/index", or all of the server.
func (d *devpi) indexes(ctx context.Context) (map[string]devpiIndex, error) {
	out := map[string]devpiIndex{}
	if parts := strings.Split(strings.Trim(d.c.base.Path, "/"), "/"); len(parts) >= 2 {
		var got struct {
			Result devpiIndex `json:"result"`
		}
		_, err := d.c.get(ctx, d.c.base, &got)
		out[""] = got.Result
		return out, err
	}
	root := *d.c.base
	root.Path += "/"
	var got struct {
		Result map[string]struct {
			Indexes map[string]devpiIndex `json:"indexes"`
		} `json:"result"`
	}
	if _, err := d.c.get(ctx, &root, &got); err != nil {
		return nil, err
	}
	for user, r := range got.Result {
		for index, i := range r.Indexes {
			out[user+"/"+index] = i
		}
	}
	return out, nil
}

func (d *devpi) projects(ctx context.Context) ([]string, error) {
	indexes, err := d.indexes(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, index := range sortedKeys(indexes) {
		i := indexes[index]
		if i.Type == "mirror" {
			d.mirror[index] = hostOf(i.Upstream)
			if len(d.wanted) == 0 && index == "" {
				return nil, errNoNames(d.c, "a devpi mirror")
			}
			if len(d.wanted) == 0 {
				d.left = append(d.left, &rapsheet.Note{
					Kind: rapsheet.NoteUnread, Path: shown(d.c.base) + "/" + index,
					Message: "a mirror does not list what it has: not asked, name packages to ask for them",
				})
			}
			for _, n := range d.wanted {
				names = append(names, index+" "+n)
			}
			continue
		}
		projects := i.Projects
		if projects == nil && index != "" {
			u, err := d.c.atPath(nil, index)
			if err != nil {
				return nil, err
			}
			var got struct {
				Result devpiIndex `json:"result"`
			}
			if _, err := d.c.get(ctx, u, &got); err != nil {
				return nil, err
			}
			projects = got.Result.Projects
		}
		for _, n := range projects {
			names = append(names, index+" "+n)
		}
	}
	return names, nil
}

func (d *devpi) page(ctx context.Context, from string) (Page, error) {
	p, err := d.byName.page(ctx, from)
	p.Notes, d.left = append(p.Notes, d.left...), nil
	return p, err
}

type devpiVersion struct {
	Links []struct {
		Href     string `json:"href"`
		HashSpec string `json:"hash_spec"`
		Rel      string `json:"rel"`
	} `json:"+links"`
}

func (d *devpi) fetch(ctx context.Context, index, name string) (map[string]devpiVersion, error) {
	u, err := d.c.atPath(nil, index)
	if err != nil {
		return nil, err
	}
	if u, err = below(u, name); err != nil {
		return nil, err
	}
	var got struct {
		Result map[string]devpiVersion `json:"result"`
	}
	if _, err := d.c.get(ctx, u, &got); err != nil {
		return nil, err
	}
	if len(got.Result) > maxVersions {
		return nil, fmt.Errorf("more than %d versions", maxVersions)
	}
	return got.Result, nil
}

func (d *devpi) project(ctx context.Context, where string, s *sheet) error {
	index, name, _ := strings.Cut(where, " ")
	versions, err := d.fetch(ctx, index, name)
	if err != nil {
		return err
	}
	upstream, isMirror := d.mirror[index]
	if !isMirror {
		upstream = strings.ToLower(d.c.base.Host)
	}
	for _, v := range sortedKeys(versions) {
		for _, l := range versions[v].Links {
			at := d.c.rebase(l.Href)
			if at == nil || l.Rel != "" && l.Rel != "releasefile" {
				continue // documentation, test results
			}
			s.add(d.eco, name, v, at, upstream, ecosystem.Integrity(l.HashSpec))
		}
	}
	return nil
}

// Holding reads the versions beside it again; the index is in the archive's address (/user/index/+f/…).
func (d *devpi) Holding(ctx context.Context, s rapsheet.Sighting) (rapsheet.Holding, error) {
	h := d.c.holding()
	at, err := d.c.archive(s)
	if err != nil {
		return h, err
	}
	before, _, ok := strings.Cut(at.Path, "/+")
	if !ok {
		return h, fmt.Errorf("%s: the sighting is of no file of an index", shown(d.c.base))
	}
	index := *d.c.base
	index.Path, index.RawPath = before, ""
	page, err := below(&index, s.Package.Name)
	if err != nil {
		return h, err
	}
	var got struct {
		Result map[string]devpiVersion `json:"result"`
	}
	if _, err := d.c.get(ctx, page, &got); err != nil && !notThere(err) {
		return h, err
	}
	h.Latest = latestOf(d.eco, sortedKeys(got.Result)) == s.Package.Version
	var del *url.URL
	if del, err = below(&index, s.Package.Name, s.Package.Version); err != nil {
		return h, err
	}
	h.Purge = []string{d.c.auth.curlDelete(del)}
	if pulls, err := d.pulls(ctx, &index); err != nil {
		return h, err
	} else if pulls {
		return h, d.c.askedIfSafe(ctx, &h, at)
	}
	return h, d.c.asked(ctx, &h, at)
}

// pulls reports whether an index fetches what it does not have: a mirror does, and one that cannot be seen may.
func (d *devpi) pulls(ctx context.Context, index *url.URL) (bool, error) {
	if !d.c.askArchives && d.kinds[index.Path] == "" {
		var got struct {
			Result devpiIndex `json:"result"`
		}
		// Of a mirror, all projects of upstream would come along.
		if _, err := d.c.get(ctx, &url.URL{Scheme: index.Scheme, Host: index.Host, Path: index.Path, RawQuery: "no_projects="}, &got); err != nil && !notThere(err) {
			return true, err
		}
		d.kinds[index.Path] = cmp.Or(got.Result.Type, "mirror")
	}
	return d.kinds[index.Path] == "mirror", nil
}
