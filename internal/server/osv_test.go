package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/indextest"
)

// osvRecords are of wire formats that clients were seen to read, and of shapes that they were seen to stop at.
var osvRecords = []string{
	`{"schema_version":"1.7.4","id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z","published":"2026-01-01T00:00:00Z","aliases":["GHSA-xxxx-yyyy-zzzz"],"summary":"Malicious code in evil-pkg (npm)","affected":[{"package":{"ecosystem":"npm","name":"evil-pkg","purl":"pkg:npm/evil-pkg"},"versions":["1.2.3","1.2.4"]}]}`,
	`{"schema_version":"1.7.4","id":"MAL-2026-2","modified":"2026-01-03T00:00:00Z","published":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"@scope/bad"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`,
	`{"schema_version":"1.7.4","id":"MAL-2026-3","modified":"2026-01-03T00:00:00.123456789Z","published":"2026-01-01T00:00:00.123456789+01:00","x_new":1,"affected":[{"package":{"ecosystem":"PyPI","name":"evil-pkg","extra":true},"versions":["1.0"],"ranges":[{"type":"SEMVER","events":[{"introduced":"2.0"},{"fixed":"not a version"}]}]}],"references":[{"type":"BLOG","url":"https://blog.example/1"},{"type":"WEB","url":"no address"}]}`,
	`{"schema_version":"1.7.4","id":"MAL-2026-4","modified":"2026-01-03T00:00:00Z","withdrawn":"2026-01-04T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"good"},"versions":["1.0.0"]}]}`,
	`{"schema_version":"1.7.4","id":"MAL-2026-5","modified":"2026-01-03T00:00:00Z","withdrawn":"2026-01-04T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"doubted"},"versions":["1.0.0"]}],"database_specific":{"rapsheet":{"state":"disputed","since":"2026-01-04T00:00:00Z"}}}`,
	`{"schema_version":"1.7.4","id":"MAL-2026-6","modified":"2026-01-03T00:00:00Z","affected":[{"package":{"ecosystem":"RubyGems","name":"evil-pkg"},"versions":["1.2.3"]}]}`,
	`{"schema_version":"1.7.4","id":"MAL-2026-7","modified":"2026-01-03T00:00:00Z","aliases":["GHSA-xxxx-yyyy-zzzz"],"affected":[{"package":{"ecosystem":"npm","name":"ranged"},"ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0"},{"fixed":"2.0.0"}]}]}]}`,
}

const public = "https://list.example/base"

var osvMeta = index.Meta{Source: "test", Date: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)}

// snapshot writes an index of records.
func snapshot(t testing.TB, docs ...string) []byte {
	t.Helper()
	return indextest.Snapshot(t, osvMeta, indextest.Records(t, docs...)...)
}

func newIndex(t testing.TB, docs ...string) *index.Index {
	t.Helper()
	return indextest.New(t, osvMeta, indextest.Records(t, docs...)...)
}

func newOSV(t testing.TB) *Server {
	t.Helper()
	s := New(Config{Public: public, Spool: t.TempDir()})
	if err := s.Swap(newIndex(t, osvRecords...)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func do(s *Server, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

// ids gives the ids of an answer in their order, or the answer where there are none.
func ids(body string) string {
	var out []string
	for _, part := range strings.Split(body, `"id":"`)[1:] {
		id, _, _ := strings.Cut(part, `"`)
		out = append(out, id)
	}
	if len(out) == 0 {
		return body
	}
	return strings.Join(out, " ")
}

func TestQuery(t *testing.T) {
	s := newOSV(t)
	for _, tt := range []struct{ name, body, want string }{
		{"exact", `{"package":{"name":"evil-pkg","ecosystem":"npm"},"version":"1.2.3"}`, "MAL-2026-1"},
		{"equal, not textual", `{"package":{"name":"evil-pkg","ecosystem":"npm"},"version":"v1.2.3"}`, "MAL-2026-1"},
		{"equal in PyPI", `{"package":{"name":"Evil_Pkg","ecosystem":"PyPI"},"version":"1.0.0"}`, "MAL-2026-3"},
		{"other version", `{"package":{"name":"evil-pkg","ecosystem":"npm"},"version":"1.2.5"}`, "{}"},
		{"every version", `{"package":{"name":"@scope/bad","ecosystem":"npm"},"version":"9"}`, "MAL-2026-2"},
		{"range", `{"package":{"name":"ranged","ecosystem":"npm"},"version":"1.5.0"}`, "MAL-2026-7"},
		{"behind range", `{"package":{"name":"ranged","ecosystem":"npm"},"version":"2.0.0"}`, "{}"},
		{"no version", `{"package":{"name":"evil-pkg","ecosystem":"npm"}}`, "MAL-2026-1"},
		{"suffix", `{"package":{"name":"evil-pkg","ecosystem":"npm:x"},"version":"1.2.3"}`, "MAL-2026-1"},
		{"no ecosystem", `{"package":{"name":"evil-pkg"},"version":"1.2.3"}`, "MAL-2026-1 MAL-2026-6"},
		{"no ecosystem, no version", `{"package":{"name":"evil-pkg"}}`, `{"code":3,"message":"invalid query"}`},
		{"case of ecosystem", `{"package":{"name":"evil-pkg","ecosystem":"NPM"},"version":"1.2.3"}`, `{"code":3,"message":"invalid ecosystem"}`},
		{"ecosystem of others", `{"package":{"name":"evil-pkg","ecosystem":"Debian:12"},"version":"1.2.3"}`, "{}"},
		{"purl", `{"package":{"purl":"pkg:npm/%40scope/bad@1.0.0"}}`, "MAL-2026-2"},
		{"purl, version beside", `{"package":{"purl":"pkg:npm/%40scope/bad"},"version":"1.0.0"}`, "MAL-2026-2"},
		{"purl, no version", `{"package":{"purl":"pkg:pypi/evil-pkg"}}`, "MAL-2026-3"},
		{"purl, two versions", `{"package":{"purl":"pkg:npm/x@1"},"version":"1"}`, `{"code":3,"message":"version specified in params and PURL query"}`},
		{"purl and name", `{"package":{"purl":"pkg:npm/x","name":"x"}}`, `{"code":3,"message":"name specified in a PURL query"}`},
		{"purl and ecosystem", `{"package":{"purl":"pkg:npm/x","ecosystem":"npm"}}`, `{"code":3,"message":"ecosystem specified in a PURL query"}`},
		{"unknown type", `{"package":{"purl":"pkg:deb/debian/x@1"}}`, "{}"},
		{"no purl", `{"package":{"purl":"x"}}`, `{"code":3,"message":"invalid query"}`},
		{"withdrawn", `{"package":{"name":"good","ecosystem":"npm"},"version":"1.0.0"}`, "{}"},
		{"withdrawn, no version", `{"package":{"name":"good","ecosystem":"npm"}}`, "{}"},
		{"disputed", `{"package":{"name":"doubted","ecosystem":"npm"},"version":"1.0.0"}`, "{}"},
		{"holding version", `{"package":{"name":"@scope/bad","ecosystem":"npm"},"version":"0.0.1-security"}`, "{}"},
		{"commit", `{"commit":"6879efc2c1596d11a6a6ad296f80063b558d5e0f"}`, "{}"},
		{"bad commit", `{"commit":"zz"}`, `{"code":3,"message":"invalid hash"}`},
		{"nothing", `{}`, `{"code":3,"message":"no query provided"}`},
		{"null", `null`, `{"code":3,"message":"no query provided"}`},
		{"first page", `{"package":{"name":"evil-pkg","ecosystem":"npm"},"page_token":"RklSU1RfUEFHRV9UT0tFTg=="}`, "MAL-2026-1"},
		{"forged page", `{"package":{"name":"evil-pkg","ecosystem":"npm"},"page_token":"abc"}`, `{"code":3,"message":"invalid cursor"}`},
		{"unknown member", `{"package":{"name":"evil-pkg","ecosystem":"npm","x":[{}]},"version":"1.2.3","y":1}`, "MAL-2026-1"},
		{"empty body", ``, `{"code":3,"message":"invalid JSON"}`},
		{"cut off", `{"package":{"name":"evil`, `{"code":3,"message":"invalid JSON"}`},
		{"twice", `{"version":"1","version":"2"}`, `{"code":3,"message":"invalid JSON"}`},
		{"wrong type", `{"package":[]}`, `{"code":3,"message":"invalid JSON"}`},
		{"garbage behind", `{"commit":"zz"} x`, `{"code":3,"message":"invalid JSON"}`},
		{"invalid UTF-8", "{\"package\":{\"name\":\"a\xff\",\"ecosystem\":\"npm\"}}", `{"code":3,"message":"invalid JSON"}`},
		{"deep", `{"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, `{"code":3,"message":"the body is nested deeper than 64"}`},
		{"brackets in text", `{"package":{"name":"evil-pkg","ecosystem":"npm"},"version":"1.2.3","y":"` + strings.Repeat(`[\"`, 100) + `"}`, "MAL-2026-1"},
		{"control characters", `{"package":{"name":"a\u0000","ecosystem":"npm"}}`, "{}"},
	} {
		w := do(s, "POST", "/v1/query", tt.body)
		if got := ids(w.Body.String()); got != tt.want {
			t.Errorf("%s: %d %s, want %s", tt.name, w.Code, got, tt.want)
		}
		if want := strings.HasPrefix(tt.want, `{"code"`); want != (w.Code == 400) || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: status %d, %s", tt.name, w.Code, w.Header().Get("Content-Type"))
		}
	}
}

// The bodies as OSV-Scanner 2.6.0 sends and reads them, recorded from it.
func TestBatchGolden(t *testing.T) {
	s := newOSV(t)
	w := do(s, "POST", "/v1/querybatch", `{"queries":[{"version":"1.0.0","package":{"name":"@scope/none","ecosystem":"npm"}},{"version":"1.2.3","package":{"name":"evil-pkg","ecosystem":"npm"}},{"version":"1.0.0","package":{"name":"good","ecosystem":"npm"}}]}`)
	if want := `{"results":[{},{"vulns":[{"id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z"}]},{}]}`; w.Body.String() != want {
		t.Errorf("got  %s\nwant %s", w.Body, want)
	}
	one := `{"package":{"name":"evil-pkg","ecosystem":"npm"},"version":"1.2.3"}`
	for _, tt := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"none", `{"queries":[]}`, 200, `{"results":[]}`},
		{"null", `{"queries":null}`, 200, `{"results":[]}`},
		{"1,000", `{"queries":[` + strings.Repeat(one+",", 999) + one + `]}`, 200, ""},
		{"1,001", `{"queries":[` + strings.Repeat(one+",", 1000) + one + `]}`, 400, `{"code":3,"message":"too many queries"}`},
		{"a million", `{"queries":[` + strings.Repeat("{},", 1_000_000) + `{}]}`, 400, `{"code":3,"message":"too many queries"}`},
		{"one bad", `{"queries":[` + one + `,{"package":{"name":"x","ecosystem":"nope"}}]}`, 400, `{"code":3,"message":"error in query at index 1: invalid ecosystem"}`},
		{"no array", `{"queries":{}}`, 400, `{"code":3,"message":"invalid JSON"}`},
	} {
		w := do(s, "POST", "/v1/querybatch", tt.body)
		if w.Code != tt.status || tt.want != "" && w.Body.String() != tt.want {
			t.Errorf("%s: %d %.200s", tt.name, w.Code, w.Body)
		}
	}
	if got := strings.Count(do(s, "POST", "/v1/querybatch", `{"queries":[`+strings.Repeat(one+",", 999)+one+`]}`).Body.String(), "MAL-2026-1"); got != 1000 {
		t.Errorf("%d answers of 1,000", got)
	}
	// The time in a list is that in the record, as pip-audit can read it.
	w = do(s, "POST", "/v1/querybatch", `{"queries":[{"package":{"purl":"pkg:pypi/evil-pkg@1.0"}}]}`)
	if want := `{"results":[{"vulns":[{"id":"MAL-2026-3","modified":"2026-01-03T00:00:00.123456Z"}]}]}`; w.Body.String() != want {
		t.Errorf("got  %s\nwant %s", w.Body, want)
	}
}

func TestVulns(t *testing.T) {
	s := newOSV(t)
	for _, tt := range []struct {
		path   string
		status int
		want   string
	}{
		{"MAL-2026-4", 200, "MAL-2026-4"},
		{"mal-2026-4", 404, `{"code":5,"message":"Vulnerability not found"}`},
		{"GHSA-xxxx-yyyy-zzzz", 404, `{"code":5,"message":"Vulnerability not found, but the following aliases were: MAL-2026-1 MAL-2026-7"}`},
		{strings.Repeat("A", 101), 400, `{"code":3,"message":"ID is too long"}`},
		{"%2e%2e%2fetc", 404, `{"code":5,"message":"Vulnerability not found"}`},
	} {
		w := do(s, "GET", "/v1/vulns/"+tt.path, "")
		if got := ids(w.Body.String()); w.Code != tt.status || got != tt.want {
			t.Errorf("%s: %d %s", tt.path, w.Code, got)
		}
	}
	if w := do(s, "POST", "/v1experimental/determineversion", `{"name":"zlib"}`); w.Body.String() != `{"matches":[]}` {
		t.Errorf("determineversion: %s", w.Body)
	}
}

// Every fact here is one that a client was seen to stop at (pip-audit: digits of a second, versions that are none; OSV-Scanner: members and
// values that are not in the schema; uv: references; osv-offline: purls).
func TestRecordIsPlain(t *testing.T) {
	s := newOSV(t)
	const want = `{"schema_version":"1.7.4","id":"MAL-2026-3","modified":"2026-01-03T00:00:00.123456Z","published":"2025-12-31T23:00:00.123456Z",` +
		`"affected":[{"package":{"ecosystem":"PyPI","name":"evil-pkg","purl":"pkg:pypi/evil-pkg"},"versions":["1.0","2.0"]}],` +
		`"references":[{"type":"ADVISORY","url":"https://list.example/base/advisories/MAL-2026-3"},{"type":"WEB","url":"https://blog.example/1"}]}`
	if got := do(s, "GET", "/v1/vulns/MAL-2026-3", "").Body.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// What pip-audit sends, without a content type, and what comes back.
	r := httptest.NewRequest("POST", "/v1/query", strings.NewReader(`{"package": {"name": "evil-pkg", "ecosystem": "PyPI"}, "version": "1.0"}`))
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	if got := w.Body.String(); got != `{"vulns":[`+want+`]}` {
		t.Errorf("got  %s", got)
	}
}

func TestBodies(t *testing.T) {
	s := newOSV(t)
	const query = `{"package":{"name":"evil-pkg","ecosystem":"npm"},"version":"1.2.3"}`
	zipped := func(text string) string { return string(clienttest.Gzip([]byte(text))) }
	for _, tt := range []struct {
		name, body, encoding string
		status               int
	}{
		{"gzip", zipped(query), "gzip", 200},
		{"gzip twice", zipped(zipped(query)), "gzip", 400},
		{"no gzip", query, "gzip", 400},
		{"brotli", query, "br", 415},
		{"large", query + strings.Repeat(" ", 5<<20), "", 413},
		{"bomb", zipped(strings.Repeat(" ", 50<<20)), "gzip", 413},
	} {
		for _, contentType := range []string{"application/json", "text/plain", "application/x-www-form-urlencoded"} {
			w := do(s, "POST", "/v1/query", tt.body, "Content-Encoding", tt.encoding, "Content-Type", contentType)
			if w.Code != tt.status {
				t.Errorf("%s: %d %.100s", tt.name, w.Code, w.Body)
			}
		}
	}
}

// A proxy may take the path of the public address off, or leave it on.
func TestBasePath(t *testing.T) {
	s := newOSV(t)
	for path, want := range map[string]int{
		"/v1/vulns/MAL-2026-1": 200, "/base/v1/vulns/MAL-2026-1": 200, "/base/base/v1/vulns/MAL-2026-1": 404, "/other/v1/vulns/MAL-2026-1": 404,
	} {
		if w := do(s, "GET", path, ""); w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestNoCatalog(t *testing.T) {
	s := New(Config{Public: public, Spool: t.TempDir()})
	if w := do(s, "POST", "/v1/query", `{}`); w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d", w.Code)
	}
}

// Requests during swaps are answered from one of the snapshots.
func TestSwap(t *testing.T) {
	s := newOSV(t)
	stop := make(chan struct{})
	ended := make(chan string)
	go func() {
		bad := ""
		for done := false; !done; {
			if w := do(s, "POST", "/v1/query", `{"package":{"name":"evil-pkg","ecosystem":"npm"},"version":"1.2.3"}`); w.Code != 200 || ids(w.Body.String()) != "MAL-2026-1" {
				bad = w.Body.String()
			}
			select {
			case <-stop:
				done = true
			default:
			}
		}
		ended <- bad
	}()
	for range 20 {
		if err := s.Swap(newIndex(t, osvRecords...)); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if bad := <-ended; bad != "" {
		t.Errorf("during a swap: %s", bad)
	}
}
