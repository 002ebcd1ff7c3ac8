package registry

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/module"

	"github.com/rapsheet/rapsheet/ecosystem"
)

// Fakes of registries: their shapes are recorded from documentation, not from a running server, except where a
// comment says so. The pages of the documentation are named beside the code that reads the shapes.

// item is one package version that a fake has.
type item struct{ ecosystem, name, version string }

// fake serves items as one product does.
type fake struct {
	product string
	// at is the path that is opened, below the server's address.
	at string
	// ecosystems that it can serve.
	ecosystems []string
	// named says that packages must be named; paged that its pages have tokens that could go round.
	named, paged bool
	serve        func(f content) http.Handler
	// foreign are the packages of a format without records, as the note says them.
	foreign string
}

type content struct {
	items []item
	size  int  // of a page
	loop  bool // pages go round
}

// page gives items from token on and the token of the next page.
func page[T any](c content, all []T, token string) ([]T, string) {
	from, _ := strconv.Atoi(token)
	if c.loop && len(all) > 0 {
		from %= len(all)
	}
	to := min(from+c.size, len(all))
	next := ""
	if to < len(all) {
		next = strconv.Itoa(to)
	} else if c.loop {
		next = "0"
	}
	return all[min(from, len(all)):to], next
}

type obj = map[string]any

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// grouped gives the names of an ecosystem in order, and their versions.
func (c content) grouped(eco string) (names []string, versions map[string][]string) {
	versions = map[string][]string{}
	for _, i := range c.items {
		if i.ecosystem != eco {
			continue
		}
		if versions[i.name] == nil {
			names = append(names, i.name)
		}
		versions[i.name] = append(versions[i.name], i.version)
	}
	return names, versions
}

func (c content) of(eco string) []item {
	return slices.DeleteFunc(slices.Clone(c.items), func(i item) bool { return i.ecosystem != eco })
}

func address(r *http.Request) string { return "http://" + r.Host }

const (
	someSHA1   = "504c247fd7bec09116b834eab65f702b64bf6f44"
	someSHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

var fakes = []fake{
	{product: "verdaccio", ecosystems: []string{"npm"}, serve: fakeVerdaccio},
	{product: "npm", ecosystems: []string{"npm"}, named: true, serve: fakeVerdaccio},
	{product: "nexus", ecosystems: []string{"npm", "Maven", "PyPI"}, paged: true, serve: fakeNexus, foreign: "repositories of formats without records of malicious packages: docker 2, raw 1"},
	{product: "artifactory", ecosystems: []string{"npm", "Maven", "PyPI"}, paged: true, serve: fakeArtifactory, foreign: "repositories of formats without records of malicious packages: docker 1"},
	{product: "pypi", at: "/simple", ecosystems: []string{"PyPI"}, serve: fakeSimple},
	{product: "goproxy", ecosystems: []string{"Go"}, named: true, serve: fakeGoProxy},
	{product: "athens", ecosystems: []string{"Go"}, paged: true, serve: fakeGoProxy},
	{product: "nuget", at: "/v3/index.json", ecosystems: []string{"NuGet"}, serve: fakeNuGet},
	{product: "gitlab", at: "/groups/acme/tools", ecosystems: []string{"npm", "Maven", "PyPI"}, paged: true, serve: fakeGitLab, foreign: "packages of formats without records of malicious packages: conan 1, generic 1"},
	{product: "devpi", at: "/acme/dev", ecosystems: []string{"PyPI"}, serve: fakeDevpi},
	{product: "github", at: "/orgs/acme", ecosystems: []string{"npm", "RubyGems"}, serve: fakeGitHub},
	{product: "codeartifact", at: "?domain=acme&domain-owner=111122223333&repository=main", ecosystems: []string{"npm", "Maven", "PyPI"}, paged: true, serve: fakeCodeArtifact, foreign: "packages of formats without records of malicious packages: generic 1"},
	{product: "azure", at: "/acme/tools/_packaging/main/npm/registry", ecosystems: []string{"npm", "Maven", "PyPI"}, serve: fakeAzure, foreign: "packages of formats without records of malicious packages: UPack 1"},
	{product: "google", at: "/v1/projects/p/locations/eu/repositories/main", ecosystems: []string{"npm"}, paged: true, serve: fakeGoogle},
}

// fakeVerdaccio has the shapes of a running Verdaccio 5.20.1.
func fakeVerdaccio(c content) http.Handler {
	names, versions := c.grouped("npm")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/-/ping":
			reply(w, obj{})
			return
		case r.URL.Path == "/-/verdaccio/data/packages":
			reply(w, []any{})
			return
		case r.URL.Path == "/-/v1/search":
			objects := []any{}
			for _, n := range names {
				objects = append(objects, obj{"package": obj{"name": n, "dist-tags": obj{}, "versions": obj{}}, "local": true, "searchScore": 100000})
			}
			reply(w, obj{"objects": objects, "total": len(objects), "time": "Sat, 28 Nov 2026 18:37:51 GMT"})
			return
		}
		name, file, archive := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/-/")
		all := versions[name]
		if len(all) == 0 {
			w.WriteHeader(404)
			reply(w, obj{"error": "no such package available"})
			return
		}
		if archive {
			v := strings.TrimSuffix(strings.TrimPrefix(file, path.Base(name)+"-"), ".tgz")
			if !slices.Contains(all, v) {
				http.NotFound(w, r)
			}
			return
		}
		vs := obj{}
		for _, v := range all {
			vs[v] = obj{"name": name, "version": v, "dist": obj{
				"tarball": address(r) + "/" + name + "/-/" + path.Base(name) + "-" + v + ".tgz", "shasum": someSHA1,
			}}
		}
		reply(w, obj{"name": name, "dist-tags": obj{"latest": all[len(all)-1]}, "versions": vs, "time": obj{}, "_rev": "1-5e97d5ed2875d19c", "_attachments": obj{}})
	})
}

func nexusItem(i item, host string) (repo string, o obj) {
	format := map[string]string{"npm": "npm", "Maven": "maven2", "PyPI": "pypi"}[i.ecosystem]
	repo = format + "-proxy"
	eco, _ := ecosystem.Find(i.ecosystem)
	group, name := splitGroup(eco, i.name)
	var assets []any
	add := func(p string) {
		assets = append(assets, obj{
			"downloadUrl": host + "/repository/" + repo + "/" + (&url.URL{Path: p}).EscapedPath(), "path": p, "id": "YXNzZXQ", "repository": repo, "format": format,
			"checksum": obj{"sha1": someSHA1, "sha256": someSHA256}, "contentType": "application/octet-stream",
			"lastModified": "2026-10-01T10:00:00.000+00:00", "lastDownloaded": "2026-11-02T03:04:05.678+00:00", "blobCreated": "2026-10-01T10:00:00.000+00:00", "fileSize": 10,
		})
	}
	switch format {
	case "maven2":
		dir := strings.ReplaceAll(group, ".", "/") + "/" + name + "/" + i.version + "/" + name + "-" + i.version
		add(dir + ".pom")
		add(dir + "-sources.jar")
		add(dir + ".jar")
		add(dir + ".jar.sha1")
	case "npm":
		add(i.name + "/-/" + name + "-" + i.version + ".tgz")
	case "pypi":
		add("packages/" + name + "/" + i.version + "/" + name + "-" + i.version + ".tar.gz")
	}
	var g any
	if group != "" {
		g = group
	}
	return repo, obj{"id": base64.RawURLEncoding.EncodeToString([]byte(repo + ":" + i.name + i.version)), "repository": repo, "format": format, "group": g, "name": name, "version": i.version, "assets": assets}
}

func fakeNexus(c content) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/service/rest/v1/repositories", func(w http.ResponseWriter, r *http.Request) {
		proxy := func(name, format, remote string) obj {
			return obj{"name": name, "format": format, "type": "proxy", "url": address(r) + "/repository/" + name, "attributes": obj{"proxy": obj{"remoteUrl": remote}}}
		}
		reply(w, []any{
			proxy("npm-proxy", "npm", "https://registry.npmjs.org"), proxy("maven2-proxy", "maven2", "https://repo1.maven.org/maven2/"),
			proxy("pypi-proxy", "pypi", "https://pypi.org/"), proxy("docker-proxy", "docker", "https://registry-1.docker.io"),
			obj{"name": "npm-all", "format": "npm", "type": "group", "url": address(r) + "/repository/npm-all", "attributes": obj{}},
			obj{"name": "images", "format": "docker", "type": "hosted", "url": address(r) + "/repository/images", "attributes": obj{}},
			obj{"name": "files", "format": "raw", "type": "hosted", "url": address(r) + "/repository/files", "attributes": obj{}},
		})
	})
	list := func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		var all []obj
		for _, i := range c.items {
			if repo, o := nexusItem(i, address(r)); repo == q.Get("repository") && (q.Get("name") == "" || q.Get("name") == o["name"]) {
				all = append(all, o)
			}
		}
		items, next := page(c, all, q.Get("continuationToken"))
		if items == nil {
			items = []obj{}
		}
		var token any
		if next != "" {
			token = next
		}
		reply(w, obj{"items": items, "continuationToken": token})
	}
	mux.HandleFunc("/service/rest/v1/components", list)
	mux.HandleFunc("/service/rest/v1/search", list)
	mux.HandleFunc("/repository/", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/repository/npm-proxy/") && !strings.Contains(r.URL.Path, "/-/") {
			r.URL.Path = strings.TrimPrefix(r.URL.Path, "/repository/npm-proxy")
			fakeVerdaccio(c).ServeHTTP(w, r)
		}
	})
	return mux
}

func fakeArtifactory(c content) http.Handler {
	type file struct {
		repo, path, name string
		o                obj
	}
	var files []file
	for _, i := range c.items {
		eco, _ := ecosystem.Find(i.ecosystem)
		group, name := splitGroup(eco, i.name)
		f := file{}
		var props []any
		switch i.ecosystem {
		case "npm":
			f = file{repo: "npm-remote-cache", path: i.name + "/-", name: name + "-" + i.version + ".tgz"}
			if group != "" {
				f.path += "/@" + group
			}
			props = []any{obj{"key": "npm.name", "value": i.name}, obj{"key": "npm.version", "value": i.version}}
		case "Maven":
			f = file{repo: "mvn-cache", path: strings.ReplaceAll(group, ".", "/") + "/" + name + "/" + i.version, name: name + "-" + i.version + ".jar"}
		case "PyPI":
			f = file{repo: "py-cache", path: "aa/bb", name: name + "-" + i.version + ".tar.gz"}
			props = []any{obj{"key": "pypi.name", "value": i.name}, obj{"key": "pypi.version", "value": i.version}}
		}
		f.o = obj{
			"repo": f.repo, "path": f.path, "name": f.name, "actual_sha1": someSHA1, "sha256": someSHA256, "actual_md5": "d41d8cd98f00b204e9800998ecf8427e",
			"stats": []any{obj{"downloaded": "2026-11-02T03:04:05.678Z"}}, "properties": props,
		}
		files = append(files, f, file{f.repo, f.path, f.name + ".sha1", obj{"repo": f.repo, "path": f.path, "name": f.name + ".sha1"}})
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.path+"\x00"+a.name, b.path+"\x00"+b.name) })
	mux := http.NewServeMux()
	mux.HandleFunc("/artifactory/api/system/ping", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "OK") })
	mux.HandleFunc("/artifactory/api/repositories", func(w http.ResponseWriter, r *http.Request) {
		reply(w, []any{
			obj{"key": "npm-remote", "type": "REMOTE", "url": "https://registry.npmjs.org", "packageType": "Npm"},
			obj{"key": "mvn", "type": "REMOTE", "url": "https://repo1.maven.org/maven2/", "packageType": "Maven"},
			obj{"key": "py", "type": "REMOTE", "url": "https://files.pythonhosted.org/", "packageType": "Pypi"},
			obj{"key": "npm", "type": "VIRTUAL", "url": address(r) + "/artifactory/npm", "packageType": "Npm"},
			obj{"key": "images", "type": "LOCAL", "url": address(r) + "/artifactory/images", "packageType": "Docker"},
		})
	})
	mux.HandleFunc("/artifactory/api/search/aql", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		find, rest, ok := strings.Cut(strings.TrimPrefix(string(body), "items.find("), ").include(")
		var q struct {
			Repo string
			Or   []struct {
				Path obj
				And  []struct {
					Path string
					Name obj
				} `json:"$and"`
			} `json:"$or"`
		}
		if !ok || r.Header.Get("Content-Type") != "text/plain" || json.Unmarshal([]byte(find), &q) != nil || !strings.Contains(rest, ".limit(") {
			http.Error(w, "bad query", 400)
			return
		}
		afterPath, afterName := "", ""
		if len(q.Or) == 2 {
			afterPath, _ = q.Or[0].Path["$gt"].(string)
			afterName, _ = q.Or[1].And[1].Name["$gt"].(string)
			if q.Or[1].And[0].Path != afterPath {
				http.Error(w, "bad query", 400)
				return
			}
		}
		results := []obj{}
		for _, f := range files {
			behind := c.loop || f.path > afterPath || f.path == afterPath && f.name > afterName
			if f.repo == q.Repo && behind && (len(results) < c.size || !strings.Contains(rest, ".sort(")) {
				results = append(results, f.o)
			}
		}
		reply(w, obj{"results": results, "range": obj{"start_pos": 0, "end_pos": len(results), "total": len(results)}})
	})
	mux.HandleFunc("/artifactory/api/npm/npm-remote/", func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = strings.TrimPrefix(r.URL.Path, "/artifactory/api/npm/npm-remote")
		fakeVerdaccio(c).ServeHTTP(w, r)
	})
	mux.HandleFunc("/artifactory/api/storage/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "stats" {
			reply(w, obj{"uri": address(r) + r.URL.Path, "lastDownloaded": 1793588645678, "downloadCount": 3, "lastDownloadedBy": "ci"})
			return
		}
		list := []obj{}
		for _, f := range files {
			if "/artifactory/api/storage/"+f.repo == r.URL.Path {
				list = append(list, obj{"uri": "/" + f.path + "/" + f.name, "size": 10, "folder": false, "sha1": someSHA1, "sha2": someSHA256})
			}
		}
		reply(w, obj{"uri": address(r) + r.URL.Path, "created": "2026-11-02T03:04:05.678Z", "files": list})
	})
	mux.HandleFunc("/artifactory/", func(w http.ResponseWriter, r *http.Request) {
		if !slices.ContainsFunc(files, func(f file) bool { return "/artifactory/"+f.repo+"/"+f.path+"/"+f.name == r.URL.Path }) {
			http.NotFound(w, r)
		}
	})
	return mux
}

// fakeSimple speaks HTML for projects whose names have an even length, JSON for others and for the index.
func fakeSimple(c content) http.Handler {
	names, versions := c.grouped("PyPI")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, "/simple/")
		name = strings.TrimSuffix(name, "/")
		switch {
		case strings.HasPrefix(r.URL.Path, "/files/"):
			return
		case ok && name == "":
			projects := []any{}
			for _, n := range names {
				projects = append(projects, obj{"name": n})
			}
			w.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
			json.NewEncoder(w).Encode(obj{"meta": obj{"api-version": "1.1"}, "projects": projects})
		case ok && len(versions[name]) > 0 && len(name)%2 == 0:
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.0"></head><body>`)
			for _, v := range versions[name] {
				fmt.Fprintf(w, `<a href="../../files/%s-%s.tar.gz#sha256=%s" data-requires-python="&gt;=3">%s-%s.tar.gz</a><br>`, url.PathEscape(name), url.PathEscape(v), someSHA256, name, v)
			}
		case ok && len(versions[name]) > 0:
			files := []any{}
			for _, v := range versions[name] {
				files = append(files, obj{"filename": name + "-" + v + ".tar.gz", "url": "../../files/" + url.PathEscape(name+"-"+v) + ".tar.gz", "hashes": obj{"sha256": someSHA256}, "yanked": false})
			}
			w.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
			json.NewEncoder(w).Encode(obj{"meta": obj{"api-version": "1.0"}, "name": name, "files": files})
		default:
			http.NotFound(w, r)
		}
	})
}

func fakeGoProxy(c content) http.Handler {
	_, versions := c.grouped("Go")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/catalog" {
			all := []obj{}
			for _, i := range c.of("Go") {
				all = append(all, obj{"module": i.name, "version": i.version})
			}
			mods, next := page(c, all, r.URL.Query().Get("token"))
			res := obj{"modules": mods}
			if next != "" {
				res["next"] = next
			}
			reply(w, res)
			return
		}
		dir, file, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/@")
		mod, err := module.UnescapePath(dir)
		all := versions[mod]
		switch {
		case err != nil || len(all) == 0:
			w.WriteHeader(410)
			fmt.Fprintln(w, "not found")
		case file == "v/list":
			fmt.Fprintln(w, strings.Join(all, "\n"))
		case file == "latest":
			reply(w, obj{"Version": all[len(all)-1], "Time": "2026-11-02T03:04:05Z"})
		}
	})
}

func fakeNuGet(c content) http.Handler {
	names, versions := c.grouped("NuGet")
	mux := http.NewServeMux()
	mux.HandleFunc("/v3/index.json", func(w http.ResponseWriter, r *http.Request) {
		reply(w, obj{"version": "3.0.0", "resources": []any{
			obj{"@id": address(r) + "/v3/content/", "@type": "PackageBaseAddress/3.0.0", "comment": "…"},
			obj{"@id": address(r) + "/query", "@type": "SearchQueryService/3.5.0"},
			obj{"@id": address(r) + "/v3/registration/", "@type": []string{"RegistrationsBaseUrl/3.6.0"}},
		}})
	})
	mux.HandleFunc("/query", func(w http.ResponseWriter, r *http.Request) {
		got, _ := page(c, names, r.URL.Query().Get("skip"))
		data := []any{}
		for _, n := range got {
			vs := []any{}
			for _, v := range versions[n] {
				vs = append(vs, obj{"version": v, "downloads": 3, "@id": "…"})
			}
			data = append(data, obj{"id": n, "version": versions[n][0], "versions": vs, "totalDownloads": 3})
		}
		reply(w, obj{"totalHits": len(names), "data": data})
	})
	mux.HandleFunc("/v3/content/", func(w http.ResponseWriter, r *http.Request) {
		id, file, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v3/content/"), "/")
		for n, vs := range versions {
			if strings.ToLower(n) != id {
				continue
			}
			if file == "index.json" {
				reply(w, obj{"versions": vs})
				return
			}
			if v, _, _ := strings.Cut(file, "/"); slices.Contains(vs, v) {
				return
			}
		}
		http.NotFound(w, r)
	})
	mux.HandleFunc("/v3/registration/", func(w http.ResponseWriter, r *http.Request) {
		leaves := []any{}
		for n, vs := range versions {
			for _, v := range vs {
				if "/v3/registration/"+strings.ToLower(n)+"/index.json" == r.URL.Path {
					leaves = append(leaves, obj{"catalogEntry": obj{"id": n, "version": v, "listed": true}})
				}
			}
		}
		reply(w, obj{"count": 1, "items": []any{obj{"count": len(leaves), "items": leaves}}})
	})
	return mux
}

func fakeGitLab(c content) http.Handler {
	all := []obj{}
	for n, i := range c.items {
		name := i.name
		if i.ecosystem == "Maven" {
			g, a, _ := strings.Cut(name, ":")
			name = strings.ReplaceAll(g, ".", "/") + "/" + a
		}
		all = append(all, obj{
			"id": n + 1, "name": name, "version": i.version, "package_type": strings.ToLower(i.ecosystem), "status": "default", "created_at": "2026-11-01T00:00:00.000Z",
			"last_downloaded_at": "2026-11-02T03:04:05.678Z", "project_id": 7, "project_path": "acme/tools/x", "tags": []any{},
			"_links": obj{"web_path": "/acme/tools/x/-/packages/1", "delete_api_path": "/api/v4/projects/7/packages/1"},
		})
	}
	all = append(all, obj{"id": 900, "name": "tool", "version": "1", "package_type": "generic", "status": "default", "project_id": 7}, obj{"id": 901, "name": "lib", "version": "1", "package_type": "conan", "status": "default", "project_id": 7})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Gitlab-Meta", `{"correlation_id":"01","version":"1"}`)
		q := r.URL.Query()
		switch p := r.URL.EscapedPath(); {
		case p == "/api/v4/version":
			w.WriteHeader(401)
			reply(w, obj{"message": "401 Unauthorized"})
		case p == "/api/v4/groups/acme%2Ftools/packages" && q.Get("status") == "hidden":
			reply(w, []any{})
		case p == "/api/v4/groups/acme%2Ftools/packages":
			got, next := page(c, all, q.Get("cursor"))
			if next != "" {
				q.Set("cursor", next)
				w.Header().Set("Link", "<"+address(r)+p+"?"+q.Encode()+`>; rel="next", <`+address(r)+p+`>; rel="first"`)
			}
			reply(w, got)
		case p == "/api/v4/projects/7/packages":
			reply(w, slices.DeleteFunc(slices.Clone(all), func(o obj) bool { return o["name"] != q.Get("package_name") }))
		case strings.HasPrefix(p, "/api/v4/projects/7/packages/"):
			for _, o := range all {
				if p == fmt.Sprintf("/api/v4/projects/7/packages/%d", o["id"]) {
					reply(w, o)
					return
				}
			}
			w.WriteHeader(404)
			reply(w, obj{"message": "404 Not found"})
		default:
			w.WriteHeader(404)
			reply(w, obj{"error": "404 Not Found"})
		}
	})
}

func fakeDevpi(c content) http.Handler {
	names, versions := c.grouped("PyPI")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Devpi-Server-Version", "6.10.0")
		name, ok := strings.CutPrefix(r.URL.Path, "/acme/dev")
		name = strings.Trim(name, "/")
		switch {
		case strings.HasSuffix(r.URL.Path, "/+api"):
			reply(w, obj{"type": "apiconfig", "result": obj{"login": address(r) + "/+login", "authstatus": []any{"noauth", "", []any{}}}})
		case !ok:
			w.WriteHeader(404)
		case name == "":
			reply(w, obj{"type": "indexconfig", "result": obj{"type": "stage", "bases": []any{"root/pypi"}, "volatile": true, "projects": names}})
		case strings.HasPrefix(name, "+f/"):
		case len(versions[name]) > 0:
			result := obj{}
			for _, v := range versions[name] {
				result[v] = obj{"name": name, "version": v, "+links": []any{
					obj{"rel": "releasefile", "href": address(r) + "/acme/dev/+f/e3b/0c44298fc1c14/" + url.PathEscape(name+"-"+v) + ".tar.gz", "hash_spec": "sha256=" + someSHA256, "log": []any{}},
					obj{"rel": "doczip", "href": address(r) + "/acme/dev/+f/1/2/x.doc.zip"},
				}}
			}
			reply(w, obj{"type": "projectconfig", "result": result})
		default:
			w.WriteHeader(404)
		}
	})
}

func fakeGitHub(c content) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/orgs/acme/packages")
		if !ok {
			w.WriteHeader(404)
			return
		}
		kinds := map[string]string{"npm": "npm", "rubygems": "RubyGems"}
		pages := func(all []obj) {
			from, _ := strconv.Atoi(r.URL.Query().Get("page"))
			got, next := page(c, all, strconv.Itoa((from-1)*c.size))
			if next != "" {
				q := r.URL.Query()
				q.Set("page", strconv.Itoa(from+1))
				w.Header().Set("Link", "<"+address(r)+r.URL.EscapedPath()+"?"+q.Encode()+`>; rel="next"`)
			}
			reply(w, got)
		}
		parts := strings.Split(strings.Trim(rest, "/"), "/")
		if parts[0] == "" {
			names, _ := c.grouped(kinds[r.URL.Query().Get("package_type")])
			all := []obj{}
			for n, name := range names {
				all = append(all, obj{"id": n + 1, "name": strings.TrimPrefix(name, "@acme/"), "package_type": r.URL.Query().Get("package_type"), "version_count": 1, "visibility": "private"})
			}
			pages(all)
			return
		}
		name, _ := url.PathUnescape(parts[1])
		if parts[0] == "npm" {
			name = "@acme/" + name
		}
		_, versions := c.grouped(kinds[parts[0]])
		all := []obj{}
		for n, v := range versions[name] {
			all = append(all, obj{"id": 100 + n, "name": v, "metadata": obj{"package_type": parts[0]}})
		}
		if len(parts) == 4 {
			for _, o := range all {
				if fmt.Sprint(o["id"]) == parts[3] {
					reply(w, o)
					return
				}
			}
			w.WriteHeader(404)
			return
		}
		pages(all)
	})
}

func fakeCodeArtifact(c content) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.Method != http.MethodPost || q.Get("domain") != "acme" || q.Get("repository") != "main" || q.Get("domain-owner") != "111122223333" {
			http.Error(w, "{}", 400)
			return
		}
		type pkg struct{ eco, name string }
		var all []obj
		var last pkg
		for _, i := range c.items {
			eco, _ := ecosystem.Find(i.ecosystem)
			group, name := splitGroup(eco, i.name)
			if now := (pkg{i.ecosystem, i.name}); now != last {
				last = now
				o := obj{"format": strings.ToLower(i.ecosystem), "package": name, "originConfiguration": obj{"restrictions": obj{"publish": "BLOCK", "upstream": "ALLOW"}}}
				if group != "" {
					o["namespace"] = group
				}
				all = append(all, o)
			}
		}
		all = append(all, obj{"format": "generic", "namespace": "x", "package": "y"})
		switch r.URL.Path {
		case "/v1/packages":
			got, next := page(c, all, q.Get("next-token"))
			res := obj{"packages": got}
			if next != "" {
				res["nextToken"] = next
			}
			reply(w, res)
		case "/v1/package/versions":
			vs := []any{}
			latest := ""
			for _, i := range c.items {
				eco, _ := ecosystem.Find(i.ecosystem)
				group, name := splitGroup(eco, i.name)
				if strings.ToLower(i.ecosystem) == q.Get("format") && group == q.Get("namespace") && name == q.Get("package") {
					latest = i.version
					vs = append(vs, obj{"version": i.version, "revision": "abc", "status": "Published", "origin": obj{"originType": "EXTERNAL", "domainEntryPoint": obj{"repositoryName": "store", "externalConnectionName": "public:npmjs"}}})
				}
			}
			reply(w, obj{"defaultDisplayVersion": latest, "format": q.Get("format"), "package": q.Get("package"), "versions": vs})
		default:
			http.Error(w, "{}", 404)
		}
	})
}

func fakeAzure(c content) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch strings.ToLower(r.URL.Path) {
		case "/acme/tools/_apis/packaging/feeds/main":
			reply(w, obj{"id": "f", "name": "main", "upstreamSources": []any{obj{"id": "11111111-0000-0000-0000-000000000000", "name": "npmjs", "protocol": "npm", "location": "https://registry.npmjs.org/"}}})
		case "/acme/tools/_apis/packaging/feeds/main/packages":
			var all []obj
			last := item{}
			for _, i := range c.items {
				v := obj{"version": i.version, "normalizedVersion": i.version, "isLatest": true, "isListed": true, "isDeleted": false, "directUpstreamSourceId": "11111111-0000-0000-0000-000000000000"}
				if last.ecosystem == i.ecosystem && last.name == i.name {
					vs := all[len(all)-1]["versions"].([]obj)
					vs[len(vs)-1]["isLatest"] = false
					all[len(all)-1]["versions"] = append(vs, v)
					continue
				}
				last = i
				all = append(all, obj{"id": "g", "name": i.name, "protocolType": i.ecosystem, "versions": []obj{v, {"version": "0.0.9", "isDeleted": true}}[:1:1]})
			}
			all = append(all, obj{"id": "g", "name": "tool", "protocolType": "UPack", "versions": []obj{{"version": "1.0.0"}}})
			if n := q.Get("packageNameQuery"); n != "" {
				reply(w, obj{"count": 1, "value": slices.DeleteFunc(all, func(o obj) bool { return o["name"] != n })})
				return
			}
			got, _ := page(c, all, q.Get("$skip"))
			reply(w, obj{"count": len(got), "value": got})
		default:
			http.NotFound(w, r)
		}
	})
}

func fakeGoogle(c content) http.Handler {
	const repo = "projects/p/locations/eu/repositories/main"
	names, versions := c.grouped("npm")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/v1/"+repo)
		parts := strings.Split(strings.Trim(rest, "/"), "/")
		switch {
		case ok && rest == "":
			reply(w, obj{"name": repo, "format": "NPM", "mode": "REMOTE_REPOSITORY"})
		case ok && rest == "/packages":
			got, next := page(c, names, r.URL.Query().Get("pageToken"))
			list := []any{}
			for _, n := range got {
				list = append(list, obj{"name": repo + "/packages/" + url.PathEscape(n), "createTime": "2026-11-02T03:04:05.678Z"})
			}
			reply(w, obj{"packages": list, "nextPageToken": next})
		case ok && len(parts) == 3 && parts[2] == "versions":
			name, _ := url.PathUnescape(parts[1])
			list := []any{}
			for n, v := range versions[name] {
				o := obj{"name": repo + "/packages/" + parts[1] + "/versions/" + url.PathEscape(v)}
				if n == len(versions[name])-1 {
					o["relatedTags"] = []any{obj{"name": repo + "/packages/" + parts[1] + "/tags/latest"}}
				}
				list = append(list, o)
			}
			reply(w, obj{"versions": list})
		default:
			http.NotFound(w, r)
		}
	})
}
