package server

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// fuzzPost sends a body, and in gzip if so said.
func fuzzPost(t *testing.T, h http.Handler, path string, body []byte, zipped bool) *httptest.ResponseRecorder {
	header := http.Header{}
	if zipped {
		var buf bytes.Buffer
		z := gzip.NewWriter(&buf)
		z.Write(body)
		z.Close()
		body = buf.Bytes()
		header.Set("Content-Encoding", "gzip")
	}
	r := httptest.NewRequestWithContext(t.Context(), "POST", path, bytes.NewReader(body))
	r.Header = header
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// fuzzServer serves the records of the tests.
func fuzzServer(f *testing.F) http.Handler {
	s := newOSV(f)
	return s.Handler()
}

func FuzzOSVQuery(f *testing.F) {
	f.Add([]byte(`{"package":{"name":"evil-pkg","ecosystem":"npm"},"version":"1.2.3"}`), false, false)
	f.Add([]byte(`{"package":{"purl":"pkg:npm/%40scope/bad@1.0.0"}}`), false, true)
	f.Add([]byte(`{"commit":"6879efc2c1596d11a6a6ad296f80063b558d5e0f","page_token":"RklSU1RfUEFHRV9UT0tFTg=="}`), false, false)
	f.Add([]byte(`{"queries":[{"version":"1.2.3","package":{"name":"evil-pkg","ecosystem":"npm"}},{"package":{"purl":"pkg:pypi/evil-pkg@1.0"}}]}`), true, false)
	h := fuzzServer(f)
	f.Fuzz(func(t *testing.T, body []byte, batch, zipped bool) {
		path := "/v1/query"
		if batch {
			path = "/v1/querybatch"
		}
		w := fuzzPost(t, h, path, body, zipped)
		if w.Code != 200 && w.Code != 400 && w.Code != 413 || !jsontext.Value(w.Body.Bytes()).IsValid() {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w.Code == 200 && !jsontext.Value(body).IsValid() {
			t.Fatal("answered what is not JSON")
		}
	})
}

func FuzzComposer(f *testing.F) {
	f.Add([]byte("packages%5B0%5D=acme%2Fevil&packages%5B1%5D=acme%2Fother"), false, false)
	f.Add([]byte("updatedSince=1700000000&packages[]=acme/evil"), false, true)
	f.Add([]byte(`{"packages":["pkg:\/\/composer\/acme\/evil"],"lists":["malware"]}`), true, false)
	s := New(Config{Public: public, Spool: f.TempDir()})
	err := s.Swap(newIndex(f, `{"id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z","affected":[{"package":{"ecosystem":"Packagist","name":"acme/evil"},"versions":["1.2.3"]}]}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Close)
	h := s.Handler()
	f.Fuzz(func(t *testing.T, body []byte, filter, zipped bool) {
		path := "/composer/api/security-advisories/"
		if filter {
			path = "/composer/filter-api"
		}
		w := fuzzPost(t, h, path, body, zipped)
		switch {
		case w.Code == 200 && jsontext.Value(w.Body.Bytes()).IsValid():
		case w.Code == 400, w.Code == 413:
		default:
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}

// A path names one file or none: what is answered with 200 is spelled in one way.
func FuzzPaths(f *testing.F) {
	for _, p := range []string{
		"/osv/npm/all.zip", "/osv/all.zip", "/osv/npm/MAL-2026-1.json", "/osv/MAL-2026-1.json", "/osv/ecosystems.txt", "/osv/npm/../all.zip", "/osv/%2e%2e/osv/all.zip", "/osv/npm%00/all.zip",
		"/govuln/index/db.json", "/govuln/ID/MAL-2026-1.json", "/nuget/v3/index.json", "/advisories/MAL-2026-1", "/v1/vulns/MAL-2026-1", "/base/osv/all.zip", "/osv-offline.zip", "/v2/x/manifests/2",
	} {
		f.Add(p)
	}
	h := fuzzServer(f)
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Host != "" || !strings.HasPrefix(u.Path, "/") {
			return // package net/http lets no such request through
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, &http.Request{Method: "GET", URL: u, RequestURI: target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Host: "x", Body: http.NoBody})
		if w.Code >= 500 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		p := strings.TrimPrefix(u.Path, "/base")
		if w.Code == 200 && strings.HasPrefix(p, bucketPrefix) && path.Clean(p) != p {
			t.Fatalf("%q was answered", target)
		}
	})
}

// What the upstream registry answers is taken over as a whole or not at all.
func FuzzNPMMerge(f *testing.F) {
	f.Add([]byte(`{"lodash":[{"id":1,"url":"https://github.com/advisories/GHSA-1","title":"t","severity":"high","vulnerable_versions":"<1"}]}`), false)
	f.Add([]byte(`{"actions":[{"action":"review"}],"advisories":{"1":{"id":1}},"muted":[],"metadata":{"vulnerabilities":{"high":1},"dependencies":3}}`), true)
	f.Fuzz(func(t *testing.T, data []byte, tree bool) {
		ours := jsontext.Value(`{"id":4503599627370497}`)
		if tree {
			r := npmReport{Actions: []jsontext.Value{ours}, Advisories: map[string]jsontext.Value{"4503599627370497": ours}, Muted: []jsontext.Value{}}
			err := r.merge(data)
			if string(r.Advisories["4503599627370497"]) != string(ours) || string(r.Actions[0]) != string(ours) || err != nil && len(r.Advisories) != 1 {
				t.Fatalf("%v %v", r, err)
			}
			if w := httptest.NewRecorder(); answer(w, 200, &r) != nil || !jsontext.Value(w.Body.Bytes()).IsValid() {
				t.Fatalf("%s", w.Body)
			}
			return
		}
		b := npmBulk{"evil-pkg": {ours}}
		err := b.merge(data)
		if string(b["evil-pkg"][0]) != string(ours) || err != nil && len(b) != 1 {
			t.Fatalf("%v %v", b, err)
		}
		if w := httptest.NewRecorder(); answer(w, 200, b) != nil || !jsontext.Value(w.Body.Bytes()).IsValid() {
			t.Fatalf("%s", w.Body)
		}
	})
}
