package registry

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// artifactory is JFrog Artifactory: files in local repositories and in the caches of remote ones ("<name>-cache"),
// asked for with AQL; where AQL is refused, by the list of a repository's files, without properties.
//
// Recorded from documentation, not from a running server: jfrog.com/help/r/jfrog-rest-apis (get-repositories,
// artifactory-query-language, file-list, delete-item; read 2026-11), shapes of AQL's answers there under aql-execution.
type artifactory struct {
	c      *client
	others *tally
	repos  []artifactoryRepo // sorted by key
	loaded bool
}

type artifactoryRepo struct {
	Key    string `json:"key"`
	Type   string `json:"type"` // LOCAL, REMOTE, VIRTUAL, FEDERATED
	URL    string `json:"url"`
	Format string `json:"packageType"`
}

func openArtifactory(ctx context.Context, c *client, opt Options) (*paged, error) {
	c.base = artifactoryRoot(c.base)
	// API keys begin so (jfrog.com/help: "X-JFrog-Art-Api"); other tokens are for Bearer.
	if strings.HasPrefix(c.auth.token, "AKC") {
		c.auth.header = "X-JFrog-Art-Api"
	}
	a := &artifactory{c: c, others: newTally(c, "repositories")}
	return &paged{service: a, others: a.others, maxEmpty: maxEmpty}, nil
}

// artifactoryRoot ends the address at /artifactory, whatever repository follows.
func artifactoryRoot(u *url.URL) *url.URL {
	v := *u
	if i := strings.Index(v.Path+"/", "/artifactory/"); i >= 0 {
		v.Path, v.RawPath = v.Path[:i], ""
	}
	return join(&v, "artifactory")
}

func answersArtifactory(ctx context.Context, c *client) (bool, error) {
	u := join(artifactoryRoot(c.base), "api/system/ping")
	a, err := c.do(ctx, request{url: u, once: true, html: true, limit: 1 << 20})
	if err != nil {
		if notThere(err) {
			err = nil
		}
		return false, err
	}
	return strings.TrimSpace(string(a.data)) == "OK", nil
}

func (a *artifactory) load(ctx context.Context) error {
	if a.loaded {
		return nil
	}
	u, err := a.c.at("api", "repositories")
	if err != nil {
		return err
	}
	var all []artifactoryRepo
	if _, err := a.c.get(ctx, u, &all); err != nil {
		return err
	}
	for _, r := range all {
		_, known := ecosystemOf(r.Format)
		switch {
		case r.Key == "" || strings.EqualFold(r.Type, "VIRTUAL"): // shows what lies in others
		case !known:
			a.others.add(strings.ToLower(r.Format))
		default:
			a.repos = append(a.repos, r)
		}
	}
	slices.SortFunc(a.repos, func(x, y artifactoryRepo) int { return strings.Compare(x.Key, y.Key) })
	a.loaded = true
	return nil
}

// storage is the name under which a repository's files lie.
func (r artifactoryRepo) storage() string {
	if strings.EqualFold(r.Type, "REMOTE") {
		return r.Key + "-cache"
	}
	return r.Key
}

func (r artifactoryRepo) upstream(c *client) string {
	if strings.EqualFold(r.Type, "REMOTE") {
		return hostOf(r.URL)
	}
	return strings.ToLower(c.base.Host)
}

type aqlItem struct {
	Repo       string `json:"repo"`
	Path       string `json:"path"`
	Name       string `json:"name"`
	SHA1       string `json:"actual_sha1"`
	MD5        string `json:"actual_md5"`
	SHA256     string `json:"sha256"`
	Properties []struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	} `json:"properties"`
}

func (i aqlItem) property(key string) string {
	for _, p := range i.Properties {
		if p.Key == key {
			return p.Value
		}
	}
	return ""
}

const aqlLimit = 5000

// aql asks for files behind the last one seen, in the order of path and name. That is better than an offset: it
// stays right when files come and go, and the database does not count to it.
func (a *artifactory) aql(ctx context.Context, repo string, after artifactoryFile) ([]aqlItem, error) {
	type m = map[string]any
	find := m{"repo": repo, "type": "file"}
	if after != (artifactoryFile{}) {
		find["$or"] = []m{
			{"path": m{"$gt": after.Path}},
			{"$and": []m{{"path": after.Path}, {"name": m{"$gt": after.Name}}}},
		}
	}
	query, err := json.Marshal(find, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	u, err := a.c.at("api", "search", "aql")
	if err != nil {
		return nil, err
	}
	body := "items.find(" + string(query) + `).include("repo","path","name","actual_sha1","actual_md5","sha256","property")` +
		`.sort({"$asc":["path","name"]}).limit(` + itoa(aqlLimit) + ")"
	var got struct {
		Results []aqlItem `json:"results"`
	}
	_, err = a.c.json(ctx, request{method: http.MethodPost, url: u, accept: "application/json", header: map[string]string{"Content-Type": "text/plain"}, body: body}, &got)
	return got.Results, err
}

// artifactoryFile is a place in a repository.
type artifactoryFile struct {
	Path string `json:"path"`
	Name string `json:"name"`
}

func (a *artifactory) page(ctx context.Context, from string) (Page, error) {
	cur, err := parseCursor(from)
	if err != nil {
		return Page{}, err
	}
	if err := a.load(ctx); err != nil {
		return Page{}, err
	}
	i, found := slices.BinarySearchFunc(a.repos, cur.Repo, func(r artifactoryRepo, key string) int { return strings.Compare(r.Key, key) })
	if i == len(a.repos) {
		return Page{}, nil
	}
	var after artifactoryFile
	if found && cur.Token != "" {
		if json.Unmarshal([]byte(cur.Token), &after) != nil || after == (artifactoryFile{}) {
			return Page{}, errCursor
		}
	}
	r := a.repos[i]
	s := sheet{kind: "artifactory"}
	place := shown(a.c.base) + "/" + r.storage()
	next := ""
	if i+1 < len(a.repos) {
		next = cursor{Repo: a.repos[i+1].Key}.String()
	}
	items, err := a.aql(ctx, r.storage(), after)
	var status *StatusError
	if errors.As(err, &status) && (status.Status == http.StatusBadRequest || status.Status == http.StatusForbidden || status.Status == http.StatusNotFound) {
		items, err = a.files(ctx, r.storage())
		if errors.As(err, &status) && status.Status < 500 {
			// One repository that cannot be seen says nothing about the others.
			s.unread(place, "not listed: %v", err)
			return s.done(place, next), nil
		}
	} else if err == nil && len(items) > 0 {
		// A limit may cut the properties of the last file off: it comes again, unless it is alone.
		if len(items) > 1 {
			items = items[:len(items)-1]
		}
		last := items[len(items)-1]
		token, err := json.Marshal(artifactoryFile{last.Path, last.Name})
		if err != nil {
			return Page{}, err
		}
		next = cursor{Repo: r.Key, Token: string(token)}.String()
	}
	if err != nil {
		return Page{}, err
	}
	eco, _ := ecosystemOf(r.Format)
	for _, item := range items {
		a.add(&s, eco, r, item)
	}
	return s.done(place, next), nil
}

// files lists all files of a repository at once.
func (a *artifactory) files(ctx context.Context, repo string) ([]aqlItem, error) {
	u, err := a.c.at("api", "storage", repo)
	if err != nil {
		return nil, err
	}
	q := *u
	q.RawQuery = "list&deep=1&listFolders=0"
	var got struct {
		Files []struct {
			URI  string `json:"uri"`
			SHA1 string `json:"sha1"`
			SHA2 string `json:"sha2"`
		} `json:"files"`
	}
	if _, err := a.c.get(ctx, &q, &got); err != nil {
		return nil, err
	}
	var items []aqlItem
	for _, f := range got.Files {
		dir, name := path.Split(strings.TrimPrefix(f.URI, "/"))
		items = append(items, aqlItem{Repo: repo, Path: strings.TrimSuffix(dir, "/"), Name: name, SHA1: f.SHA1, SHA256: f.SHA2})
	}
	return items, nil
}

func (a *artifactory) add(s *sheet, eco *ecosystem.Ecosystem, r artifactoryRepo, item aqlItem) {
	full := strings.TrimPrefix(strings.TrimPrefix(item.Path, ".")+"/"+item.Name, "/")
	name, version, ok := artifactoryPackage(eco, item, full)
	if !ok {
		return
	}
	at, err := a.c.atPath([]string{r.storage()}, full)
	if err != nil {
		s.refused++
		return
	}
	var digests []rapsheet.Digest
	for _, d := range [...][2]string{{"sha256", item.SHA256}, {"sha1", item.SHA1}, {"md5", item.MD5}} {
		digests = append(digests, ecosystem.Integrity(d[0]+":"+d[1])...)
	}
	s.add(eco, name, version, at, r.upstream(a.c), digests)
}

// artifactoryPackage reads a file's package: the properties that Artifactory sets for the format
// (jfrog.com/help, "Npm Registry", "PyPI Repositories", "NuGet Repositories", "RubyGems Repositories", "Cargo", "Composer",
// "Go Registry": npm.name, pypi.name, nuget.id, gem.name, crate.name, composer.name, go.name), else the path.
func artifactoryPackage(eco *ecosystem.Ecosystem, item aqlItem, full string) (name, version string, ok bool) {
	lower := strings.ToLower(item.Name)
	if slices.ContainsFunc(notArchives, func(ext string) bool { return strings.HasSuffix(lower, ext) }) {
		return "", "", false
	}
	for _, keys := range [...][2]string{
		{"npm.name", "npm.version"}, {"pypi.name", "pypi.version"}, {"nuget.id", "nuget.version"}, {"gem.name", "gem.version"},
		{"crate.name", "crate.version"}, {"composer.name", "composer.version"}, {"go.name", "go.version"},
	} {
		if n, v := item.property(keys[0]), item.property(keys[1]); n != "" && v != "" {
			return n, v, true
		}
	}
	return packageOfPath(eco, full)
}

// Holding asks for the file's times and the versions beside it.
func (a *artifactory) Holding(ctx context.Context, s rapsheet.Sighting) (rapsheet.Holding, error) {
	h := a.c.holding()
	at, err := a.c.archive(s)
	if err != nil {
		return h, err
	}
	eco, _ := ecosystem.Find(s.Package.Ecosystem)
	if eco == nil {
		return h, nil
	}
	rest, _ := strings.CutPrefix(at.Path, a.c.base.Path+"/")
	repo, file, _ := strings.Cut(rest, "/")
	h.Purge = []string{a.c.auth.curlDelete(at)}
	if u, err := a.c.atPath([]string{"api", "storage", repo}, file); err == nil {
		q := *u
		q.RawQuery = "stats"
		var stats struct {
			Downloaded int64 `json:"lastDownloaded"` // milliseconds
		}
		if _, err := a.c.get(ctx, &q, &stats); err == nil && stats.Downloaded > 0 {
			h.Fetched = unixMilli(stats.Downloaded)
		} else if err != nil && !notThere(err) {
			return h, err
		}
	}
	if eco.Name == "npm" {
		virtual := strings.TrimSuffix(repo, "-cache")
		var p packument
		if u, err := a.c.at("api", "npm", virtual, s.Package.Name); err == nil {
			if _, err := a.c.json(ctx, request{url: u, accept: abbreviated}, &p); err == nil {
				h.Latest = p.Tags["latest"] == s.Package.Version
			}
		}
	} else {
		versions, err := a.versions(ctx, eco, repo, s.Package.Name)
		if err != nil && !notThere(err) {
			return h, err
		}
		h.Latest = latestOf(eco, versions) == s.Package.Version
	}
	return h, a.c.asked(ctx, &h, at)
}

// versions gives those of one package that lie in a repository.
func (a *artifactory) versions(ctx context.Context, eco *ecosystem.Ecosystem, repo, name string) ([]string, error) {
	pattern := map[string]string{"PyPI": "pypi.name", "NuGet": "nuget.id", "RubyGems": "gem.name", "crates.io": "crate.name", "Packagist": "composer.name", "Go": "go.name"}
	find := map[string]any{"repo": repo, "type": "file"}
	if key := pattern[eco.Name]; key != "" {
		find["@"+key] = name
	} else {
		group, artifact := splitGroup(eco, name)
		find["path"] = map[string]string{"$match": strings.ReplaceAll(group, ".", "/") + "/" + artifact + "/*"}
	}
	query, err := json.Marshal(find, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	u, err := a.c.at("api", "search", "aql")
	if err != nil {
		return nil, err
	}
	var got struct {
		Results []aqlItem `json:"results"`
	}
	body := "items.find(" + string(query) + `).include("repo","path","name","property").limit(` + itoa(aqlLimit) + ")"
	if _, err := a.c.json(ctx, request{method: http.MethodPost, url: u, header: map[string]string{"Content-Type": "text/plain"}, body: body}, &got); err != nil {
		return nil, err
	}
	var versions []string
	for _, item := range got.Results {
		if n, v, ok := artifactoryPackage(eco, item, item.Path+"/"+item.Name); ok && eco.Canonical(n) == eco.Canonical(name) {
			versions = append(versions, v)
		}
	}
	return versions, nil
}
