package registry

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet"
)

const secret = "s3cr3t-t0ken-value"

// held is what every fake has, as far as its ecosystems go.
var held = []item{
	{"npm", "@acme/evil", "1.0.0"}, {"npm", "@acme/good", "1.0.0"}, {"npm", "@acme/good", "2.0.0-rc.1"}, {"npm", "@acme/x", "0.1.0"}, {"npm", "@acme/y", "0.1.0"},
	{"Maven", "com.evil:lib", "1.0"}, {"Maven", "org.acme.tools:core", "2.0"}, {"Maven", "org.acme.tools:core", "2.1"},
	{"PyPI", "evil-pkg", "1.0"}, {"PyPI", "good", "1.0"}, {"PyPI", "good", "1.10"}, {"PyPI", "x", "2.0"},
	{"Go", "example.com/Evil/mod", "v1.0.0"}, {"Go", "example.com/good", "v1.2.0"}, {"Go", "example.com/good", "v1.10.0"},
	{"NuGet", "Evil.Pkg", "1.0.0"}, {"NuGet", "Good", "1.2.0"}, {"NuGet", "Good", "1.10.0"}, {"NuGet", "X", "2.0.0"},
	{"RubyGems", "evil", "1.0"}, {"RubyGems", "good", "1.10"},
}

func (f fake) holds() []item {
	return slices.DeleteFunc(slices.Clone(held), func(i item) bool { return !slices.Contains(f.ecosystems, i.ecosystem) })
}

func (i item) String() string { return i.ecosystem + "/" + i.name + "@" + i.version }

func lines(items []item) (out []string) {
	for _, i := range items {
		out = append(out, i.String())
	}
	slices.Sort(out)
	return out
}

func environment(name string) string {
	return map[string]string{
		envToken: secret, "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": secret, "AWS_REGION": "eu-west-1",
	}[name]
}

func names(items []item) iter.Seq[rapsheet.Key] {
	return func(yield func(rapsheet.Key) bool) {
		for _, i := range items {
			if !yield(rapsheet.Key{Ecosystem: i.ecosystem, Name: i.name}) {
				return
			}
		}
		yield(rapsheet.Key{Ecosystem: "npm", Name: "not-there"})
		yield(rapsheet.Key{Ecosystem: "Go", Name: "example.com/not/there"})
	}
}

func (f fake) open(t *testing.T, srv *httptest.Server, items []item, log *slog.Logger) (Registry, error) {
	opt := Options{
		Type: f.product, Getenv: environment, Logger: log, backoff: time.Microsecond, maxBody: 256 << 10,
		Transport: srv.Client().Transport, AskArchives: true,
	}
	if f.named {
		opt.Names = names(items)
	}
	return Open(t.Context(), srv.URL+f.at, opt)
}

// listing is all that came of a list.
type listing struct {
	found []string
	notes []*rapsheet.Note
	next  []string // of every page
	after []int    // how many were found up to that page
	err   error
	raw   []rapsheet.Sighting
}

func list(t *testing.T, r Registry, from string) (l listing) {
	t.Helper()
	for p, err := range r.List(t.Context(), from) {
		if err != nil {
			l.err = err
			return l
		}
		for _, s := range p.Sightings {
			l.found = append(l.found, s.Package.String())
		}
		l.raw = append(l.raw, p.Sightings...)
		l.notes = append(l.notes, p.Notes...)
		l.next = append(l.next, p.Next)
		l.after = append(l.after, len(l.found))
		if len(l.next) > 10_000 {
			t.Fatal("no end")
		}
	}
	return l
}

func (l listing) sorted() []string { return slices.Compact(slices.Sorted(slices.Values(l.found))) }

// honest reports whether what is missing is said.
func (l listing) honest(want []string) bool {
	return l.err != nil || slices.Equal(l.sorted(), want) ||
		slices.ContainsFunc(l.notes, func(n *rapsheet.Note) bool { return n.Kind == rapsheet.NoteUnread })
}

func (l listing) all() string {
	text := fmt.Sprint(l.err, l.found, l.next)
	for _, n := range l.notes {
		text += n.Error()
	}
	return text + fmt.Sprint(l.raw)
}

func TestConformance(t *testing.T) {
	for _, f := range fakes {
		t.Run(f.product, func(t *testing.T) {
			t.Run("list", f.testList)
			t.Run("detected", f.testDetected)
			t.Run("busy", f.testBusy)
			t.Run("broken", f.testBroken)
			t.Run("denied", f.testDenied)
			t.Run("redirect", f.testRedirect)
			t.Run("hostile", f.testHostile)
			t.Run("endless", f.testEndless)
		})
	}
}

func (f fake) testList(t *testing.T) {
	srv := httptest.NewServer(f.serve(content{items: f.holds(), size: 2}))
	defer srv.Close()
	r, err := f.open(t, srv, f.holds(), nil)
	if err != nil {
		t.Fatal(err)
	}
	l := list(t, r, "")
	if l.err != nil {
		t.Fatal(l.err)
	}
	want := lines(f.holds())
	if !slices.Equal(l.sorted(), want) {
		t.Fatalf("got  %v\nwant %v", l.sorted(), want)
	}
	foreign := ""
	for _, n := range l.notes {
		if n.Kind == rapsheet.NoteUnmatchable {
			foreign += n.Message
		} else if n.Kind == rapsheet.NoteUnread {
			t.Error(n)
		}
	}
	if foreign != f.foreign {
		t.Errorf("notes %q, want %q", foreign, f.foreign)
	}
	for i, next := range l.next {
		if next == "" {
			continue
		}
		again, err := f.open(t, srv, f.holds(), nil)
		if err != nil {
			t.Fatal(err)
		}
		rest := list(t, again, next)
		if rest.err != nil || !slices.Equal(rest.found, l.found[l.after[i]:]) {
			t.Errorf("after page %d: %v, want %v (%v)", i, rest.found, l.found[l.after[i]:], rest.err)
		}
	}
	if strings.Contains(l.all(), secret) {
		t.Error("a secret in the list")
	}
	for _, s := range l.raw {
		if s.Location.Path == "" || s.Location.Kind == "" || s.Evidence.Origin != rapsheet.OriginRegistry {
			t.Errorf("%+v", s)
		}
	}
	for _, bad := range []string{"x", `{"repo":1}`, `{}`, `{"other":"x"}`, strings.Repeat("x", maxCursor+1)} {
		again, err := f.open(t, srv, f.holds(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if l := list(t, again, bad); l.err == nil {
			t.Errorf("cursor %.20q is taken", bad)
		}
	}
}

// testDetected opens without a type, where the answers tell.
func (f fake) testDetected(t *testing.T) {
	i := slices.IndexFunc(products, func(p product) bool { return p.name == f.product })
	if products[i].answers == nil {
		t.Skip("is told by its host's name")
	}
	srv := httptest.NewServer(f.serve(content{items: f.holds(), size: 2}))
	defer srv.Close()
	opt := Options{Getenv: environment, backoff: time.Microsecond, Names: names(f.holds())}
	r, err := Open(t.Context(), srv.URL+f.at, opt)
	if err != nil {
		t.Fatal(err)
	}
	want := lines(f.holds())
	if f.product == "npm" {
		f.product = "verdaccio" // its fake is one
	}
	if l := list(t, r, ""); !slices.Equal(l.sorted(), want) {
		t.Errorf("%v %v", l.found, l.err)
	}
}

// testBusy answers every question with 429 or 503 first.
func (f fake) testBusy(t *testing.T) {
	inner := f.serve(content{items: f.holds(), size: 2})
	var n atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) % 3 {
		case 0:
			inner.ServeHTTP(w, r)
		case 1:
			w.Header().Set("Retry-After", "0")
			http.Error(w, "busy", http.StatusTooManyRequests)
		default:
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}
	}))
	defer srv.Close()
	var log strings.Builder
	r, err := f.open(t, srv, f.holds(), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	// Several questions at a time may find the registry busy more often than they ask: then that is said.
	l := list(t, r, "")
	if !l.honest(lines(f.holds())) {
		t.Errorf("%v %v", l.found, l.err)
	}
	if !strings.Contains(log.String(), "trying again") || strings.Contains(log.String(), secret) {
		t.Error(log.String())
	}
}

// testBroken breaks the answer to each question in turn, in each way: nothing may be missing without being said.
func (f fake) testBroken(t *testing.T) {
	inner := f.serve(content{items: f.holds(), size: 2})
	want := lines(f.holds())
	breaks := map[string]func(w http.ResponseWriter, body []byte){
		"500":  func(w http.ResponseWriter, _ []byte) { http.Error(w, "oops", 500) },
		"html": func(w http.ResponseWriter, _ []byte) { fmt.Fprint(w, "<!doctype html><title>Log in</title>") },
		"cut": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Type", "application/json")
			w.Write(body[:len(body)/2])
		},
		"closed": func(w http.ResponseWriter, body []byte) {
			w.Header().Set("Content-Length", "1000000")
			w.Write(body)
		},
		"endless": func(w http.ResponseWriter, _ []byte) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"x":"`)
			for range 1 << 10 { // as if it were 10 GB
				if _, err := io.WriteString(w, strings.Repeat("x", 1<<10)); err != nil {
					return
				}
			}
		},
	}
	for name, broken := range breaks {
		for k := int64(1); k < 40; k++ {
			var n atomic.Int64
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				rec := httptest.NewRecorder()
				inner.ServeHTTP(rec, r)
				if i := n.Add(1); i == k || name == "closed" && i >= k && i < k+maxAttempts {
					broken(w, rec.Body.Bytes())
					return
				}
				for h, v := range rec.Header() {
					w.Header()[h] = v
				}
				w.WriteHeader(rec.Code)
				w.Write(rec.Body.Bytes())
			}))
			r, err := f.open(t, srv, f.holds(), nil)
			l := listing{err: err}
			if err == nil {
				l = list(t, r, "")
			}
			srv.Close()
			// A text answer cut short, or HTML where HTML is expected, cannot be told from a shorter one.
			text := f.product == "goproxy" && name == "cut" || f.product == "pypi" && (name == "cut" || name == "html")
			if !l.honest(want) && !text {
				t.Errorf("%s at %d: %v is missing, and nothing says so", name, k, missing(want, l.sorted()))
			}
			if strings.Contains(l.all(), secret) {
				t.Errorf("%s at %d: a secret is shown: %v", name, k, l.err)
			}
			if n.Load() < k {
				break
			}
		}
	}
}

func missing(want, got []string) []string {
	return slices.DeleteFunc(slices.Clone(want), func(s string) bool { return slices.Contains(got, s) })
}

func (f fake) testDenied(t *testing.T) {
	for _, status := range []int{401, 403} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, r.Header.Get("Authorization")+r.Header.Get("PRIVATE-TOKEN"), status)
		}))
		r, err := f.open(t, srv, f.holds(), nil)
		l := listing{err: err}
		if err == nil {
			l = list(t, r, "")
		}
		srv.Close()
		if l.err == nil || !strings.Contains(l.err.Error(), fmt.Sprint(status)) && !strings.Contains(l.err.Error(), "does not list") {
			t.Errorf("%d: %v, found %v", status, l.err, l.found)
		}
		if strings.Contains(l.all(), secret) {
			t.Error("a secret is shown")
		}
	}
}

// testRedirect sends each question elsewhere in turn: no credentials may follow it.
func (f fake) testRedirect(t *testing.T) {
	inner := f.serve(content{items: f.holds(), size: 2})
	var leaked atomic.Value
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, v := range r.Header {
			if name == "Authorization" || name == "Private-Token" || name == "X-Jfrog-Art-Api" || strings.HasPrefix(name, "X-Amz") || strings.Contains(strings.Join(v, ""), secret) {
				leaked.Store(name)
			}
		}
		inner.ServeHTTP(w, r)
	}))
	defer other.Close()
	elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	var authorized atomic.Int64
	for k := int64(1); k < 12; k++ {
		var n atomic.Int64
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" || r.Header.Get("PRIVATE-TOKEN") != "" {
				authorized.Add(1)
			}
			if n.Add(1) == k {
				http.Redirect(w, r, elsewhere+r.URL.RequestURI(), http.StatusFound)
				return
			}
			inner.ServeHTTP(w, r)
		}))
		r, err := f.open(t, srv, f.holds(), nil)
		l := listing{err: err}
		if err == nil {
			l = list(t, r, "")
		}
		srv.Close()
		if !l.honest(lines(f.holds())) {
			t.Errorf("at %d: %v", k, l.err)
		}
	}
	if leaked.Load() != nil {
		t.Errorf("%v went to another host", leaked.Load())
	}
	if authorized.Load() == 0 {
		t.Error("the registry itself got no credentials")
	}
}

func (f fake) testHostile(t *testing.T) {
	var items []item
	for _, eco := range f.ecosystems {
		for _, name := range []string{"../../etc/passwd", "..", "a\x1b[2J", "a\nb", "", strings.Repeat("x", 2000), "a'; rm -rf /; '", "a b", "%2e%2e", "a?x=1", "a#b", "@", "@/", "--flag", "a\u202eb", "\u0000"} {
			items = append(items, item{eco, name, "1.0.0"}, item{eco, name, "../1"}, item{eco, "ok", "1.0\x1b[0m"}, item{eco, "ok", strings.Repeat("1", 3000)})
		}
	}
	good := f.holds()
	srv := httptest.NewServer(f.serve(content{items: slices.Concat(items, good), size: 7}))
	defer srv.Close()
	r, err := f.open(t, srv, slices.Concat(items, good), nil)
	if err != nil {
		t.Fatal(err)
	}
	l := list(t, r, "")
	if l.err != nil {
		t.Fatal(l.err)
	}
	if m := missing(lines(good), l.found); len(m) > 0 {
		t.Errorf("not found among hostile names: %v", m)
	}
	for _, s := range l.raw {
		if strings.ContainsAny(s.Package.Name+s.Package.Version+s.Location.Path, "\x00\x1b\n") {
			t.Errorf("%+v", s)
		}
		h, err := r.Holding(t.Context(), s)
		if err != nil && strings.ContainsAny(err.Error(), "\x1b\n\x00") {
			t.Errorf("%q", err)
		}
		for _, p := range h.Purge {
			if strings.ContainsAny(p, "\n\x1b\x00") || strings.Contains(p, "rm -rf") && !strings.Contains(p, `'\''; rm -rf`) && !strings.Contains(p, "%27") {
				t.Errorf("%q", p)
			}
		}
	}
}

func (f fake) testEndless(t *testing.T) {
	if !f.paged {
		t.Skip("has no tokens")
	}
	srv := httptest.NewServer(f.serve(content{items: f.holds(), size: 2, loop: true}))
	defer srv.Close()
	r, err := f.open(t, srv, f.holds(), nil)
	if err != nil {
		t.Fatal(err)
	}
	l := list(t, r, "")
	if l.err == nil {
		t.Fatal("a listing that goes round ended without an error")
	}
}

// Holdings of what every fake has: the lower version of two is served and is not the latest.
func TestHolding(t *testing.T) {
	token := `curl --fail -X DELETE -H "Authorization: Bearer $RAPSHEET_REGISTRY_TOKEN" `
	tests := []struct {
		product, name, version, latest, purge string
		fetched                               string
	}{
		{"verdaccio", "@acme/good", "1.0.0", "2.0.0-rc.1", "npm unpublish --force @acme/good@1.0.0 --registry URL/", ""},
		{"npm", "@acme/good", "1.0.0", "2.0.0-rc.1", "npm unpublish --force @acme/good@1.0.0 --registry URL/", ""},
		{"nexus", "@acme/good", "1.0.0", "2.0.0-rc.1", token + "URL/service/rest/v1/components/bnBtLXByb3h5OkBhY21lL2dvb2QxLjAuMA", "2026-11-02T03:04:05.678Z"},
		{"nexus", "org.acme.tools:core", "2.0", "2.1", token + "URL/service/rest/v1/components/bWF2ZW4yLXByb3h5Om9yZy5hY21lLnRvb2xzOmNvcmUyLjA", "2026-11-02T03:04:05.678Z"},
		{"artifactory", "@acme/good", "1.0.0", "2.0.0-rc.1", token + "URL/artifactory/npm-remote-cache/@acme/good/-/@acme/good-1.0.0.tgz", "2026-11-02T03:04:05.678Z"},
		{"artifactory", "good", "1.0", "1.10", token + "URL/artifactory/py-cache/aa/bb/good-1.0.tar.gz", "2026-11-02T03:04:05.678Z"},
		{"pypi", "good", "1.0", "1.10", "", ""},
		{"goproxy", "example.com/good", "v1.2.0", "v1.10.0", "", ""},
		{"athens", "example.com/good", "v1.2.0", "v1.10.0", "", ""},
		{"nuget", "Good", "1.2.0", "1.10.0", `dotnet nuget delete Good 1.2.0 --source URL/v3/index.json --api-key "$RAPSHEET_REGISTRY_TOKEN" --non-interactive`, ""},
		{"gitlab", "@acme/good", "2.0.0-rc.1", "1.0.0", `curl --fail -X DELETE -H "PRIVATE-TOKEN: $RAPSHEET_REGISTRY_TOKEN" URL/api/v4/projects/7/packages/3`, "2026-11-02T03:04:05.678Z"},
		{"devpi", "good", "1.0", "1.10", token + "URL/acme/dev/good/1.0", ""},
		{"github", "@acme/good", "2.0.0-rc.1", "1.0.0", token + "URL/orgs/acme/packages/npm/good/versions/101", ""},
		{"codeartifact", "@acme/good", "1.0.0", "2.0.0-rc.1", "aws codeartifact delete-package-versions --domain acme --domain-owner 111122223333 --repository main --format npm --namespace acme --package good --versions 1.0.0", ""},
		{"azure", "@acme/good", "1.0.0", "2.0.0-rc.1", `curl --fail -X DELETE -u ":$RAPSHEET_REGISTRY_TOKEN" 'URL/acme/tools/_apis/packaging/feeds/main/npm/packages/@acme/good/versions/1.0.0?api-version=7.1'`, ""},
		{"google", "@acme/good", "1.0.0", "2.0.0-rc.1", token + "URL/v1/projects/p/locations/eu/repositories/main/packages/@acme%2Fgood/versions/1.0.0", ""},
	}
	for _, test := range tests {
		t.Run(test.product+"/"+test.name, func(t *testing.T) {
			f := fakes[slices.IndexFunc(fakes, func(f fake) bool { return f.product == test.product })]
			srv := httptest.NewServer(f.serve(content{items: f.holds(), size: 2}))
			defer srv.Close()
			r, err := f.open(t, srv, f.holds(), nil)
			if err != nil {
				t.Fatal(err)
			}
			l := list(t, r, "")
			holding := func(version string) rapsheet.Holding {
				i := slices.IndexFunc(l.raw, func(s rapsheet.Sighting) bool { return s.Package.Name == test.name && s.Package.Version == version })
				if i < 0 {
					t.Fatalf("%s %s is not listed", test.name, version)
				}
				h, err := r.Holding(t.Context(), l.raw[i])
				if err != nil {
					t.Fatal(err)
				}
				return h
			}
			h := holding(test.version)
			purge := strings.ReplaceAll(strings.Join(h.Purge, "\n"), srv.URL, "URL")
			if h.Served != rapsheet.ServedYes || h.Latest || purge != test.purge || !h.Fetched.Equal(parseTime(test.fetched)) {
				t.Errorf("got  %+v\nwant %s", h, cmp.Or(test.purge, "no purge"))
			}
			if h := holding(test.latest); !h.Latest {
				t.Errorf("%s is not the latest: %+v", test.latest, h)
			}
			if strings.Contains(fmt.Sprint(h), secret) {
				t.Error("a secret in a holding")
			}
		})
	}
}

// A registry that lists what it may not have is not asked for archives: it would fetch them. One that lists its
// storage is.
func TestHoldingFetchesNothing(t *testing.T) {
	pulls := []string{"verdaccio", "npm", "pypi", "goproxy", "nuget"}
	for _, f := range fakes {
		t.Run(f.product, func(t *testing.T) {
			var asked atomic.Int64
			serve := f.serve(content{items: f.holds(), size: 2})
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				archive := slices.ContainsFunc([]string{".tgz", ".gz", ".zip", ".whl", ".nupkg", ".jar"}, func(ext string) bool { return strings.HasSuffix(r.URL.Path, ext) })
				if r.Method == http.MethodHead || archive {
					asked.Add(1)
				}
				serve.ServeHTTP(w, r)
			}))
			defer srv.Close()
			opt := Options{Type: f.product, Getenv: environment, backoff: time.Microsecond, Names: names(f.holds())}
			r, err := Open(t.Context(), srv.URL+f.at, opt)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range list(t, r, "").raw {
				h, err := r.Holding(t.Context(), s)
				if err != nil {
					t.Fatal(err)
				}
				if slices.Contains(pulls, f.product) && h.Served != rapsheet.ServedUnknown {
					t.Errorf("%v: served %q", s.Package, h.Served)
				}
			}
			if n := asked.Load(); slices.Contains(pulls, f.product) && n > 0 {
				t.Errorf("%d archives were asked for", n)
			}
		})
	}
}

// Memory does not grow with a registry: 40,000 packages in 400 pages.
func TestListIsBounded(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/service/rest/v1/repositories" {
			reply(w, []any{obj{"name": "npm-proxy", "format": "npm", "type": "proxy"}})
			return
		}
		var from int
		fmt.Sscan(r.URL.Query().Get("continuationToken"), &from)
		items := []obj{}
		for i := range 100 {
			_, o := nexusItem(item{"npm", fmt.Sprintf("p%d", from+i), "1.0.0"}, address(r))
			items = append(items, o)
		}
		next := any(fmt.Sprint(from + 100))
		if from+100 == 40_000 {
			next = nil
		}
		reply(w, obj{"items": items, "continuationToken": next})
	}))
	defer srv.Close()
	r, err := Open(t.Context(), srv.URL, Options{Type: "nexus"})
	if err != nil {
		t.Fatal(err)
	}
	var m runtime.MemStats
	n, before := 0, uint64(0)
	for p, err := range r.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if n += len(p.Sightings); n == 4_000 || n == 40_000 {
			runtime.GC()
			runtime.ReadMemStats(&m)
			if n == 4_000 {
				before = m.HeapAlloc
			}
		}
	}
	if n != 40_000 || m.HeapAlloc > before+8<<20 {
		t.Errorf("%d packages, heap from %d to %d", n, before, m.HeapAlloc)
	}
}
