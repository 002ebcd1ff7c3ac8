package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// answers serves fixed documents by path, with the query if the key has one; "URL" in them is the server's address.
func answers(t *testing.T, docs map[string]string) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		doc, ok := docs[r.URL.RequestURI()]
		if !ok {
			doc, ok = docs[r.URL.EscapedPath()]
		}
		if !ok {
			w.WriteHeader(404)
			return
		}
		if strings.HasPrefix(doc, "{") || strings.HasPrefix(doc, "[") {
			w.Header().Set("Content-Type", "application/json")
		}
		io.WriteString(w, strings.ReplaceAll(doc, "URL", "http://"+r.Host))
	}))
	t.Cleanup(srv.Close)
	return srv
}

func mustList(t *testing.T, at string, opt Options) (Registry, listing) {
	t.Helper()
	opt.backoff = time.Microsecond
	r, err := Open(t.Context(), at, opt)
	if err != nil {
		t.Fatal(err)
	}
	l := list(t, r, "")
	if l.err != nil {
		t.Fatal(l.err)
	}
	return r, l
}

func messages(l listing) (all []string) {
	for _, n := range l.notes {
		all = append(all, fmt.Sprintf("%s %d %s", n.Kind, n.Count, n.Message))
	}
	return all
}

// The answers are the documentation's own samples, with their digests filled up
// (help.sonatype.com/en/components-api.html, read 2026-11).
func TestNexusSample(t *testing.T) {
	srv := answers(t, map[string]string{
		"/service/rest/v1/repositories": `[{"name": "maven-central", "format": "maven2", "type": "proxy", "url": "URL/repository/maven-central", "attributes": {"proxy": {"remoteUrl": "https://repo1.maven.org/maven2/"}}},
			{"name": "hosted", "format": "pypi", "type": "hosted", "url": "URL/repository/hosted", "attributes": {}}]`,
		"/service/rest/v1/components?repository=hosted": `{"items": [{"id": "1", "repository": "hosted", "format": "pypi", "group": null, "name": "evil", "version": "1.0", "assets": [
			{"downloadUrl": "URL/repository/hosted/packages/evil/1.0/evil-1.0-cp311-linux_x86_64.whl", "path": "packages/evil/1.0/evil-1.0-cp311-linux_x86_64.whl", "checksum": {"sha1": "` + someSHA1 + `", "sha256": {"no": "text"}}},
			{"downloadUrl": "https://elsewhere.example/x", "path": "packages/evil/1.0/evil-1.0.tar.gz", "checksum": {"sha256": "` + someSHA256 + `"}}]}], "continuationToken": null}`,
		"/service/rest/v1/components?repository=maven-central": `{"items": [{"id": "bWF2ZW4tY2VudHJhbDo4ODQ5MWNkMWQxODVkZDEzNjMyNjhmMjIwZTQ1ZDdkZQ", "repository": "maven-central", "format": "maven2",
			"group": "com.google.guava", "name": "guava", "version": "21.0", "assets": [
			{"downloadUrl": "URL/repository/maven-central/com/google/guava/guava/21.0/guava-21.0.jar", "path": "com/google/guava/guava/21.0/guava-21.0.jar", "id": "x", "repository": "maven-central", "format": "maven2",
			 "checksum": {"sha1": "3a3d111be1be1b745edfa7d91678a12d7ed38709", "md5": "ddc91fd850fa6177c91aab5d4e4d1fa6"}},
			{"downloadUrl": "URL/repository/maven-central/com/google/guava/guava/21.0/guava-21.0.jar.sha1", "path": "com/google/guava/guava/21.0/guava-21.0.jar.sha1", "id": "y", "checksum": {}}]},
			{"id": "z", "format": "maven2", "group": "com.google.guava", "name": "guava-parent", "version": "21.0", "assets": [
			{"downloadUrl": "URL/repository/maven-central/com/google/guava/guava-parent/21.0/guava-parent-21.0.pom", "path": "com/google/guava/guava-parent/21.0/guava-parent-21.0.pom", "checksum": {}}]}], "continuationToken": null}`,
	})
	_, l := mustList(t, srv.URL, Options{Type: "nexus"})
	var got []string
	for _, s := range l.raw {
		line := s.Package.String() + " " + s.Evidence.Host + " " + strings.TrimPrefix(s.Location.Path, srv.URL)
		for _, d := range s.Evidence.Digests {
			line += " " + d.Algorithm + ":" + d.Hex[:6]
		}
		got = append(got, line)
	}
	host := strings.TrimPrefix(srv.URL, "http://")
	want := []string{
		"PyPI/evil@1.0 " + host + " /repository/hosted/packages/evil/1.0/evil-1.0-cp311-linux_x86_64.whl sha1:504c24",
		"PyPI/evil@1.0 " + host + " /repository/hosted/packages/evil/1.0/evil-1.0.tar.gz sha256:e3b0c4",
		"Maven/com.google.guava:guava@21.0 repo1.maven.org /repository/maven-central/com/google/guava/guava/21.0/guava-21.0.jar md5:ddc91f sha1:3a3d11",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Without AQL the files are listed, and packages read from their paths; a repository that cannot be listed is said.
func TestArtifactoryWithoutAQL(t *testing.T) {
	srv := answers(t, map[string]string{
		"/artifactory/api/repositories": `[{"key": "mvn", "type": "LOCAL", "packageType": "maven"}, {"key": "npm", "type": "REMOTE", "url": "https://registry.npmjs.org", "packageType": "npm"}, {"key": "secret", "type": "LOCAL", "packageType": "npm"}]`,
		"/artifactory/api/storage/npm-cache?list&deep=1&listFolders=0": `{"uri": "x", "files": [{"uri": "/evil/-/evil-1.0.0.tgz", "sha1": "` + someSHA1 + `"},
			{"uri": "/@acme/evil/-/@acme/evil-2.0.0.tgz", "sha1": "x"}, {"uri": "/.npm/evil/package.json"}, {"uri": "/odd.txt"}]}`,
		"/artifactory/api/storage/mvn?list&deep=1&listFolders=0": `{"uri": "x", "files": [{"uri": "/org/acme/lib/1.0/lib-1.0.jar"}, {"uri": "/org/acme/lib/1.0/lib-1.0.pom"}, {"uri": "/org/acme/lib/maven-metadata.xml"}]}`,
	})
	_, l := mustList(t, srv.URL, Options{Type: "artifactory"})
	want := []string{"Maven/org.acme:lib@1.0", "npm/evil@1.0.0", "npm/@acme/evil@2.0.0"}
	if !slices.Equal(l.found, want) {
		t.Errorf("%v", l.found)
	}
	if len(l.notes) != 1 || l.notes[0].Kind != rapsheet.NoteUnread || l.notes[0].Path != srv.URL+"/artifactory/secret" {
		t.Errorf("%q", messages(l))
	}
}

// A limit may cut properties off the last file of a page: it is asked for again.
func TestArtifactoryReadsTheLastFileAgain(t *testing.T) {
	full := `{"repo": "npm-cache", "path": "b/-", "name": "x.tgz", "properties": [{"key": "npm.name", "value": "b"}, {"key": "npm.version", "value": "1.0.0"}]}`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case strings.HasSuffix(r.URL.Path, "/repositories"):
			io.WriteString(w, `[{"key": "npm", "type": "REMOTE", "packageType": "npm"}]`)
		case strings.Contains(string(body), `"$gt":"b/-"`):
			io.WriteString(w, `{"results": []}`)
		case strings.Contains(string(body), `"$gt":"a/-"`):
			io.WriteString(w, `{"results": [`+full+`]}`)
		default:
			io.WriteString(w, `{"results": [{"repo": "npm-cache", "path": "a/-", "name": "a-1.0.0.tgz"}, {"repo": "npm-cache", "path": "b/-", "name": "x.tgz"}]}`)
		}
	}))
	defer srv.Close()
	_, l := mustList(t, srv.URL, Options{Type: "artifactory"})
	if !slices.Equal(l.found, []string{"npm/a@1.0.0", "npm/b@1.0.0"}) {
		t.Error(l.found)
	}
}

func TestSimpleForms(t *testing.T) {
	srv := answers(t, map[string]string{
		"/simple/": `<!doctype html><a href="/simple/a-b/">A.b</a><a href="/simple/new/">new</a><a href="/simple/none/">none</a><a href="x">`,
		"/simple/a-b/": `<!doctype html>
			<a href="https://files.example/A.B-1.0-py3-none-any.whl#sha256=` + someSHA256 + `" data-yanked>A.B-1.0-py3-none-any.whl</a>
			<a href="a_b-2.0%2Blocal.tar.gz?x=` + secret + `">a_b-2.0+local.tar.gz</a><a href="a-b-3.0rc1.zip">a-b-3.0rc1.zip</a>
			<a href="a_b-1.0-py3-none-any.whl.asc">signature</a><a href="other-9.0-py3-none-any.whl">other's</a><a href="javascript:alert(1)//a-b-4.0.zip">x</a><a>no link</a>`,
		"/simple/new/": `{"meta": {"api-version": "2.0"}, "files": []}`,
	})
	r, l := mustList(t, srv.URL, Options{AskArchives: true})
	want := []string{"PyPI/A.b@1.0", "PyPI/A.b@2.0+local", "PyPI/A.b@3.0rc1"}
	if !slices.Equal(l.found, want) {
		t.Errorf("%v", l.found)
	}
	if l.raw[0].Location.Path != "https://files.example/A.B-1.0-py3-none-any.whl" || len(l.raw[0].Evidence.Digests) != 1 || strings.Contains(l.all(), secret) {
		t.Errorf("%+v", l.raw)
	}
	notes := messages(l)
	slices.Sort(notes)
	if len(notes) != 2 || !strings.Contains(notes[0], "new: ") || !strings.Contains(notes[0], "version of the simple API that is not known") || !strings.Contains(notes[1], "none: 404") {
		t.Errorf("%q", notes)
	}
	if h, err := r.Holding(t.Context(), l.raw[1]); err != nil || !h.Latest || h.Served != rapsheet.ServedNo {
		t.Errorf("%+v %v", h, err)
	}
}

func TestNuGetNamedAndUnlisted(t *testing.T) {
	srv := answers(t, map[string]string{
		"/v3/index.json":                         `{"version": "3.0.0", "resources": [{"@id": "URL/c", "@type": "PackageBaseAddress/3.0.0"}, {"@id": "URL/cat/index.json", "@type": "Catalog/3.0.0"}, {"@id": "URL/r/", "@type": "RegistrationsBaseUrl/3.6.0"}]}`,
		"/c/evil.pkg/index.json":                 `{"versions": ["1.0.0", "2.0.0", "3.0.0-beta"]}`,
		"/c/evil.pkg/1.0.0/evil.pkg.1.0.0.nupkg": "PK",
		"/c/evil.pkg/2.0.0/evil.pkg.2.0.0.nupkg": "PK",
		"/r/evil.pkg/index.json":                 `{"items": [{"items": [{"catalogEntry": {"version": "2.0.0", "listed": false}}, {"catalogEntry": {"version": "1.0.0", "listed": true}}]}]}`,
		"/cat/index.json":                        `{"commitId": "x", "count": 2, "items": [{"@id": "URL/cat/page0.json", "count": 2}, {"@id": "URL/cat/page1.json", "count": 1}]}`,
		"/cat/page0.json":                        `{"items": [{"@id": "x", "@type": "nuget:PackageDetails", "nuget:id": "Evil.Pkg", "nuget:version": "1.0.0"}, {"@type": "nuget:PackageDelete", "nuget:id": "Gone", "nuget:version": "1.0.0"}]}`,
		"/cat/page1.json":                        `{"items": [{"@id": "x", "@type": ["nuget:PackageDetails"], "nuget:id": "Evil.Pkg", "nuget:version": "2.0.0"}]}`,
	})
	_, l := mustList(t, srv.URL, Options{Type: "nuget"})
	if !slices.Equal(l.found, []string{"NuGet/Evil.Pkg@1.0.0", "NuGet/Evil.Pkg@2.0.0"}) || len(l.next) != 2 {
		t.Errorf("catalog: %v", l.found)
	}
	r, l := mustList(t, srv.URL+"/v3/index.json", Options{Type: "nuget", AskArchives: true, Names: keys("NuGet", "evil.pkg", "none")})
	if len(l.found) != 3 || len(l.notes) > 0 {
		t.Fatalf("named: %v %q", l.found, messages(l))
	}
	for i, want := range []string{"yes true", "yes false", "no false"} {
		if h, err := r.Holding(t.Context(), l.raw[i]); err != nil || fmt.Sprintf("%s %v", h.Served, h.Latest) != want {
			t.Errorf("%s: %+v %v, want %s", l.found[i], h, err, want)
		}
	}
}

// A devpi server with a stage and a mirror: the mirror's list of projects is upstream's.
func TestDevpiServer(t *testing.T) {
	link := `"+links": [{"rel": "releasefile", "href": "http://other.example/root/pypi/+f/e3b/x/evil-1.0.tar.gz", "hash_spec": "sha256=` + someSHA256 + `"}]`
	srv := answers(t, map[string]string{
		"/+api":                               `{"type": "apiconfig", "result": {}}`,
		"/":                                   `{"type": "list:userconfig", "result": {"root": {"username": "root", "indexes": {"pypi": {"type": "mirror", "mirror_url": "https://pypi.org/simple/"}}}, "acme": {"indexes": {"dev": {"type": "stage", "bases": ["root/pypi"]}}}}}`,
		"/acme/dev":                           `{"type": "indexconfig", "result": {"type": "stage", "projects": ["own"]}}`,
		"/acme/dev/own":                       `{"type": "projectconfig", "result": {"2.0": {"name": "own", "+links": [{"rel": "releasefile", "href": "URL/acme/dev/+f/1/2/own-2.0.tar.gz"}]}}}`,
		"/root/pypi?no_projects=":             `{"type": "indexconfig", "result": {"type": "mirror"}}`,
		"/acme/dev?no_projects=":              `{"type": "indexconfig", "result": {"type": "stage"}}`,
		"/root/pypi/evil":                     `{"type": "projectconfig", "result": {"1.0": {` + link + `}}}`,
		"/root/pypi/+f/e3b/x/evil-1.0.tar.gz": "x",
	})
	_, l := mustList(t, srv.URL, Options{})
	if !slices.Equal(l.found, []string{"PyPI/own@2.0"}) || len(l.notes) != 1 || l.notes[0].Kind != rapsheet.NoteUnread {
		t.Errorf("%v %q", l.found, messages(l))
	}
	r, l := mustList(t, srv.URL, Options{Names: keys("PyPI", "evil", "none")})
	if !slices.Equal(l.found, []string{"PyPI/own@2.0", "PyPI/evil@1.0"}) || len(l.notes) > 0 {
		t.Fatalf("%v %q", l.found, messages(l))
	}
	if l.raw[0].Evidence.Host != strings.TrimPrefix(srv.URL, "http://") || l.raw[1].Evidence.Host != "pypi.org" {
		t.Errorf("%+v", l.raw)
	}
	for i, want := range []rapsheet.Served{rapsheet.ServedNo, rapsheet.ServedUnknown} { // a stage says, a mirror would fetch it
		if h, err := r.Holding(t.Context(), l.raw[i]); err != nil || h.Served != want {
			t.Errorf("%s: %+v %v, want %q", l.found[i], h, err, want)
		}
	}
	r, l = mustList(t, srv.URL, Options{AskArchives: true, Names: keys("PyPI", "evil", "none")})
	h, err := r.Holding(t.Context(), l.raw[1])
	if err != nil || h.Served != rapsheet.ServedYes || !h.Latest || len(h.Purge) != 1 || !strings.HasSuffix(h.Purge[0], srv.URL+"/root/pypi/evil/1.0") {
		t.Errorf("%+v %v", h, err)
	}
}

func TestGitLabStatuses(t *testing.T) {
	list := func(status string) string {
		return fmt.Sprintf("/api/v4/projects/acme%%2Ftools/packages?order_by=created_at&per_page=100&sort=asc%s", status)
	}
	srv := answers(t, map[string]string{
		"/api/v4/projects/acme%2Ftools":            `{"id": 7}`,
		list(""):                                   `[{"id": 1, "name": "evil", "version": "1.0.0", "package_type": "npm", "status": "default"}, {"id": 2, "name": "going", "version": "1.0.0", "package_type": "npm", "status": "pending_destruction"}]`,
		list("&status=hidden"):                     `[{"id": 3, "name": "hidden", "version": "1.0.0", "package_type": "npm", "status": "hidden"}, {"id": 4, "name": "a/b", "version": null, "package_type": "maven", "status": "hidden"}]`,
		"/api/v4/projects/acme%2Ftools/packages/3": `{"id": 3, "name": "hidden", "version": "1.0.0", "package_type": "npm", "status": "hidden"}`,
		"/api/v4/projects/acme%2Ftools/packages?order_by=created_at&package_name=hidden&per_page=100&sort=desc": `[]`,
	})
	r, l := mustList(t, srv.URL+"/acme/tools", Options{Type: "gitlab"})
	if !slices.Equal(l.found, []string{"npm/evil@1.0.0", "npm/hidden@1.0.0"}) {
		t.Fatalf("%v %q", l.found, messages(l))
	}
	for i, want := range []rapsheet.Served{rapsheet.ServedNo, rapsheet.ServedYes} {
		if h, err := r.Holding(t.Context(), l.raw[i]); err != nil || h.Served != want {
			t.Errorf("%s: %+v %v", l.found[i], h, err)
		}
	}
}

// The next page is where the list is, and its address keeps no token.
func TestGitLabNext(t *testing.T) {
	g := gitlab{}
	at, err := url.Parse("https://gitlab.example/api/v4/groups/7/packages")
	if err != nil {
		t.Fatal(err)
	}
	for link, want := range map[string]string{
		`<https://gitlab.example/api/v4/groups/7/packages?cursor=abc&per_page=100>; rel="next"`:                              "cursor=abc&per_page=100",
		`<https://gitlab.example/x>; rel="first", </api/v4/groups/7/packages?cursor=a&private_token=x>; title="t"; rel=next`: "cursor=a",
		`<https://evil.example/api/v4/groups/7/packages?cursor=abc>; rel="next"`:                                             "error",
		`<https://gitlab.example/api/v4/user?cursor=abc>; rel="next"`:                                                        "error",
		`<https://gitlab.example/api/v4/groups/7/packages?page=1>; rel="prev"`:                                               "",
		``: "",
	} {
		got, err := g.next(at, http.Header{"Link": {link}})
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %q", link, got)
		}
	}
}

func TestPackageOfPath(t *testing.T) {
	tests := []struct{ ecosystem, path, want string }{
		{"npm", "evil/-/evil-1.0.0.tgz", "evil 1.0.0"}, {"npm", "@acme/evil/-/evil-1.0.0-rc.1.tgz", "@acme/evil 1.0.0-rc.1"},
		{"npm", "@acme/evil/-/@acme/evil-1.0.0.tgz", "@acme/evil 1.0.0"}, {"npm", "a/-/b-1.0.0.tgz", ""}, {"npm", "a/a-1.0.0.tgz", ""}, {"npm", "a/-/a-.tgz", ""},
		{"PyPI", "x/y/Evil_Pkg-1.0-py3-none-any.whl", "Evil_Pkg 1.0"}, {"PyPI", "evil-pkg-1.0.post1.tar.gz", "evil-pkg 1.0.post1"}, {"PyPI", "x-2-1.0.zip", "x-2 1.0"}, {"PyPI", "readme.txt", ""}, {"PyPI", "evil.whl", ""}, {"PyPI", "-1.tar.gz", ""},
		{"NuGet", "Evil.Pkg.1.0.0.nupkg", "Evil.Pkg 1.0.0"}, {"NuGet", "evil.2fa.1.0.0-beta.1.nupkg", "evil 2fa.1.0.0-beta.1"}, {"NuGet", "Evil.1.0.symbols.nupkg", ""}, {"NuGet", "Evil.nupkg", ""},
		{"RubyGems", "gems/evil-pkg-1.0.gem", "evil-pkg 1.0"}, {"RubyGems", "gems/nokogiri-1.16.0-x86_64-linux.gem", "nokogiri 1.16.0"}, {"RubyGems", "evil.gem", ""}, {"RubyGems", "-1.gem", ""},
		{"crates.io", "crates/evil/evil-pkg-1.0.0.crate", "evil-pkg 1.0.0"}, {"crates.io", "x-86-1.0.0-rc.1.crate", "x-86 1.0.0-rc.1"}, {"crates.io", "x.crate", ""},
		{"Go", "github.com/!evil/mod/@v/v1.0.0.zip", "github.com/Evil/mod v1.0.0"}, {"Go", "github.com/x/@v/v1.0.0.mod", ""}, {"Go", "a/@v/!!.zip", ""},
		{"Maven", "org/acme/tools/core/1.0/core-1.0.jar", "org.acme.tools:core 1.0"}, {"Maven", "org/acme/maven-metadata.xml", ""}, {"Maven", "org/acme/core/1.0-SNAPSHOT/core-1.0-20260101.1-1.jar", "org.acme:core 1.0-SNAPSHOT"},
		{"Packagist", "acme/evil/1.0/evil-1.0.zip", "acme/evil 1.0"}, {"Packagist", "evil.zip", ""},
		{"CRAN", "src/contrib/evil_1.0.tar.gz", "evil 1.0"}, {"CRAN", "x.tar.gz", ""}, {"Hex", "x", ""},
	}
	for _, test := range tests {
		eco, ok := ecosystem.Find(test.ecosystem)
		if !ok {
			t.Fatal(test.ecosystem)
		}
		name, version, ok := packageOfPath(eco, test.path)
		got := name + " " + version
		if !ok {
			got = ""
		}
		if got != test.want {
			t.Errorf("%s %s: %q, want %q", test.ecosystem, test.path, got, test.want)
		}
	}
}

func TestLatestOf(t *testing.T) {
	for _, test := range []struct{ ecosystem, versions, want string }{
		{"npm", "1.0.0 2.0.0-rc.1 1.10.0 1.9.0", "1.10.0"}, {"npm", "2.0.0-rc.1 2.0.0-rc.2", "2.0.0-rc.2"}, {"npm", "", ""},
		{"PyPI", "1.0 1.10 2.0rc1 2.0.dev1 1.9.post1", "1.10"}, {"PyPI", "1.0 1.0.post1", "1.0.post1"}, {"PyPI", "1!1.0 2.0", "1!1.0"}, {"PyPI", "1.0 1.0+local", "1.0+local"},
		{"Go", "v1.0.0 v1.10.0 v1.11.0-pre", "v1.10.0"}, {"Maven", "1.0 1.10 2.0-SNAPSHOT", "1.10"}, {"RubyGems", "1.0 2.0.pre 1.10", "1.10"}, {"NuGet", "1.0.0 2.0.0-beta", "1.0.0"},
	} {
		eco, _ := ecosystem.Find(test.ecosystem)
		if got := latestOf(eco, strings.Fields(test.versions)); got != test.want {
			t.Errorf("%s %s: %q, want %q", test.ecosystem, test.versions, got, test.want)
		}
	}
}

// A cycle of any length ends, as do pages that stay empty.
func TestListEnds(t *testing.T) {
	for _, cycle := range []int{1, 2, 3, 7, 64, 1000} {
		n := 0
		p := &paged{service: pager(func(from string) Page {
			n++
			return Page{Sightings: make([]rapsheet.Sighting, 1), Next: fmt.Sprint("t", 10+n%cycle)}
		}), others: &tally{count: map[string]int{}}}
		if l := list(t, p, ""); l.err == nil || n > 4*cycle+20 {
			t.Errorf("cycle of %d: %v after %d pages", cycle, l.err, n)
		}
	}
	n := 0
	p := &paged{service: pager(func(from string) Page { n++; return Page{Next: fmt.Sprint(n)} }), others: &tally{count: map[string]int{}}, maxEmpty: 50}
	if l := list(t, p, ""); l.err == nil || n != 51 {
		t.Errorf("empty pages: %v after %d", l.err, n)
	}
}

// FuzzAnswers gives every product's reader the same bytes as every answer: it must end, and give nothing that cannot
// be a package.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		`{"items": [{"id": "x", "format": "npm", "group": "a", "name": "b", "version": "1", "assets": [{"downloadUrl": "http://h/x.tgz", "path": "x.tgz", "checksum": {"sha1": "x"}}]}], "continuationToken": "y", "packages": [{"format": "npm", "package": "x", "name": "a/packages/b"}], "versions": [{"version": "1", "name": "x/versions/1"}]}`,
		`[{"key": "npm", "type": "LOCAL", "packageType": "npm", "name": "npm", "format": "npm", "id": 1, "version": "1.0.0", "package_type": "npm", "status": "default"}]`,
		`{"results": [{"path": "a/-", "name": "a-1.0.0.tgz", "properties": [{"key": "npm.name", "value": "a"}]}], "files": [{"uri": "/x", "filename": "x-1.0.whl", "url": "x-1.0.whl", "hashes": {"sha256": "x"}, "yanked": "y"}], "meta": {"api-version": "1.0"}, "projects": [{"name": "x"}]}`,
		`{"resources": [{"@id": "http://h/c", "@type": ["PackageBaseAddress/3.0.0", "SearchQueryService", "Catalog/3.0.0"]}], "data": [{"id": "X", "versions": [{"version": "1.0.0"}]}], "modules": [{"module": "a.b/c", "version": "v1.0.0"}], "next": "x"}`,
		`{"result": {"type": "stage", "projects": ["x"], "1.0": {"+links": [{"href": "http://h/x", "rel": "releasefile", "hash_spec": "sha256=x"}]}}, "value": [{"name": "x", "protocolType": "Npm", "versions": [{"version": "1"}]}], "format": "NPM"}`,
		`{"name": "x", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {"dist": {"tarball": "http://h/x/-/x-1.0.0.tgz", "integrity": "sha512-x", "shasum": "x"}}}, "objects": [{"package": {"name": "x"}}], "rows": [{"id": "x"}]}`,
		"<!doctype html><meta name=pypi:repository-version content=1.0><a href=\"x-1.0.tar.gz#sha256=x\" data-yanked>x-1.0.tar.gz</a>", "v1.0.0\nv1.1.0 x\n", "OK", "",
	} {
		f.Add(seed, uint8(0))
	}
	f.Fuzz(func(t *testing.T, body string, which uint8) {
		one := fakes[int(which)%len(fakes)]
		asked := 0
		rt := roundTripper(func(r *http.Request) (*http.Response, error) {
			if asked++; asked > 300 {
				return nil, io.ErrUnexpectedEOF
			}
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		})
		opt := Options{Type: one.product, Getenv: environment, Transport: rt, backoff: time.Nanosecond}
		if one.named {
			opt.Names = names(held)
		}
		r, err := Open(t.Context(), "http://h"+one.at, opt)
		if err != nil {
			return
		}
		pages := 0
		for p, err := range r.List(t.Context(), "") {
			if pages++; err != nil || pages > 20 {
				break
			}
			for i, s := range p.Sightings {
				if _, ok := ecosystem.KeyOf(s.Package); !ok || strings.ContainsAny(s.Package.Version, "\n\x1b\x00") {
					t.Fatalf("%q", s.Package.String())
				}
				if i < 3 {
					h, err := r.Holding(t.Context(), s)
					if strings.Contains(fmt.Sprint(h, err), secret) {
						t.Fatal("a secret comes out")
					}
				}
			}
			if p.Next != "" {
				if _, err := parseCursor(p.Next); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func FuzzSimpleHTML(f *testing.F) {
	f.Add(`<a href="x-1.0.tar.gz#sha256=`+someSHA256+`" data-yanked="y">x-1.0.tar.gz</a><base href=z><a href=//[::1]:x>y</a>`, "x")
	f.Fuzz(func(t *testing.T, text, project string) {
		at, err := url.Parse("http://h/simple/x/")
		if err != nil {
			t.Fatal(err)
		}
		links, err := simpleHTML(&answer{data: []byte(text), url: at})
		if err != nil {
			return
		}
		eco, _ := ecosystem.Find("PyPI")
		for _, l := range links {
			if v, ok := fileOf(eco, project, l); ok && v == "" {
				t.Errorf("%q of %q", v, l.name)
			}
		}
	})
}

func TestParseCount(t *testing.T) {
	for _, test := range []struct {
		cursor string
		want   int
		err    error
	}{
		{"", 0, nil}, {`{"token":"0"}`, 0, nil}, {`{"token":"40"}`, 40, nil}, {cursor{Token: "7"}.String(), 7, nil},
		{`{"token":"-1"}`, 0, errCursor}, {`{"token":"x"}`, 0, errCursor}, {`{"token":"1e3"}`, 0, errCursor},
		{`{"token":"99999999999999999999"}`, 0, errCursor}, {`{"token":40}`, 0, errCursor}, {"40", 0, errCursor},
	} {
		if got, err := parseCount(test.cursor); got != test.want || err != test.err {
			t.Errorf("%q: %d and %v, want %d and %v", test.cursor, got, err, test.want, test.err)
		}
	}
}

func TestEachToken(t *testing.T) {
	broken := errors.New("broken")
	for _, test := range []struct {
		next string // after each token
		want string // tokens, in turn
		err  error
	}{
		{"", "-", nil}, {"ab", "-ab", nil}, {"aab", "-a", errEndless}, {"abcd", "-abc", errEndless}, {"a!b", "-a", broken},
	} {
		got := ""
		err := eachToken(4, func(token string) (string, error) {
			got += cmp.Or(token, "-")
			switch rest := test.next[len(got)-1:]; {
			case rest == "":
				return "", nil
			case rest[0] == '!':
				return "b", broken
			default:
				return rest[:1], nil
			}
		})
		if got != test.want || err != test.err {
			t.Errorf("%q: %q and %v, want %q and %v", test.next, got, err, test.want, test.err)
		}
	}
}

func FuzzPackageOfPath(f *testing.F) {
	f.Add("org/acme/core/1.0/core-1.0.jar", "1.0")
	f.Add("evil/-/evil-1.0.0.tgz", `{"repo":"x","token":"y"}`)
	f.Fuzz(func(t *testing.T, full, other string) {
		for _, eco := range ecosystem.All() {
			if _, v, ok := packageOfPath(eco, full); ok && v == "" {
				t.Errorf("%s %q", eco.Name, full)
			}
		}
		if c, err := parseCursor(other); err == nil && other != "" {
			if again, err := parseCursor(c.String()); err != nil || again != c {
				t.Errorf("%q", other)
			}
		}
	})
}

// pager is a service of pages only.
type pager func(from string) Page

func (p pager) page(_ context.Context, from string) (Page, error) { return p(from), nil }

func (p pager) Holding(context.Context, rapsheet.Sighting) (rapsheet.Holding, error) {
	return rapsheet.Holding{}, nil
}
