package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/osv"
)

// advisoryJSON has the members of the API's documented example
// (https://docs.github.com/en/rest/security-advisories/global-advisories#list-global-security-advisories).
func advisoryJSON(id, updated, vulnerabilities string) string {
	return fmt.Sprintf(`{"ghsa_id":%q,"cve_id":null,"url":"https://api.github.com/advisories/%[1]s","html_url":"https://github.com/advisories/%[1]s",
"repository_advisory_url":null,"summary":"Malware in evil","description":"Any computer that has it","type":"malware","severity":"critical","source_code_location":"",
"identifiers":[{"value":%[1]q,"type":"GHSA"},{"value":"CVE-2025-1","type":"CVE"}],"references":["https://blog.example/evil","https://github.com/advisories/%[1]s"],
"published_at":"2025-01-01T00:00:00Z","updated_at":%[2]q,"github_reviewed_at":"2025-01-01T00:00:00Z","nvd_published_at":null,"withdrawn_at":null,
"vulnerabilities":[%[3]s],"cvss":{"vector_string":null,"score":null},"cwes":[{"cwe_id":"CWE-506","name":"Embedded Malicious Code"}],
"credits":[{"user":{"login":"octocat","id":1,"type":"User"},"type":"finder"},{"user":null,"type":"analyst"}]}`, id, updated, vulnerabilities)
}

func vuln(eco, name, constraint string) string {
	return fmt.Sprintf(`{"package":{"ecosystem":%q,"name":%q},"first_patched_version":null,"vulnerable_version_range":%q,"vulnerable_functions":[]}`, eco, name, constraint)
}

func idOf(n int) string { return fmt.Sprintf("GHSA-aaaa-bbbb-%04d", n) }

func TestParse(t *testing.T) {
	p, err := Parse(source.Document{Data: []byte(advisoryJSON(idOf(1), "2025-01-02T00:00:00Z", vuln("npm", "@scope/evil", ">= 0")+","+vuln("pip", "Evil_Py", "= 1.2.3")+","+vuln("pip", "Evil_Py", "= 1.2.4")+","+vuln("other", "x", ">= 0")))})
	if err != nil {
		t.Fatal(err)
	}
	day := func(d int) time.Time { return time.Date(2025, 1, d, 0, 0, 0, 0, time.UTC) }
	want := claim.Claim{
		Ref: idOf(1) + "#npm/@scope/evil", Ecosystem: "npm", Name: "@scope/evil", ID: idOf(1), Aliases: []string{"CVE-2025-1"}, Origins: []string{"ghsa-malware"},
		Ranges: []osv.Range{{Type: "SEMVER", Events: []osv.Event{{Introduced: "0"}}}}, Published: day(1), Modified: day(2),
		Summary: "Malware in evil", Details: "Any computer that has it",
		References: []osv.Reference{{Type: "ADVISORY", URL: "https://github.com/advisories/" + idOf(1)}, {Type: "WEB", URL: "https://blog.example/evil"}},
		Credits:    []osv.Credit{{Name: "octocat", Type: "FINDER"}},
	}
	other := want
	other.Ref, other.Ecosystem, other.Name, other.Ranges, other.Versions = idOf(1)+"#PyPI/Evil_Py", "PyPI", "Evil_Py", nil, []string{"1.2.3", "1.2.4"}
	if !reflect.DeepEqual(p.Claims, []claim.Claim{want, other}) {
		t.Errorf("got  %+v\nwant %+v", p.Claims, []claim.Claim{want, other})
	}
	if len(p.Notes) != 1 || !p.Notes[0].Skipped || p.Notes[0].Text != "other" {
		t.Errorf("notes %+v", p.Notes)
	}
}

func TestVersionRange(t *testing.T) {
	type ev = osv.Event
	tests := []struct {
		eco, constraint, patched string
		exact                    []string
		events                   []ev
		doubt, bad               bool
	}{
		{"npm", ">= 0", "", nil, []ev{{Introduced: "0"}}, false, false},
		{"npm", "> 0", "", nil, []ev{{Introduced: "0"}}, false, false},
		{"npm", ">=0", "", nil, []ev{{Introduced: "0"}}, false, false},
		{"npm", "= 1.2.3", "1.2.4", []string{"1.2.3"}, nil, false, false},
		{"npm", "= 1.2.3, = 1.2.5", "", []string{"1.2.3", "1.2.5"}, nil, false, false},
		{"npm", ">= 1.0.0, < 2.0.0", "2.0.0", nil, []ev{{Introduced: "1.0.0"}, {Fixed: "2.0.0"}}, false, false},
		{"npm", "< 2.0.0,>= 1.0.0", "", nil, []ev{{Introduced: "1.0.0"}, {Fixed: "2.0.0"}}, false, false},
		{"npm", "<= 2.0.0", "", nil, []ev{{Introduced: "0"}, {LastAffected: "2.0.0"}}, false, false},
		{"npm", ">= 1.0.0", "1.5.0", nil, []ev{{Introduced: "1.0.0"}, {Fixed: "1.5.0"}}, false, false},
		{"npm", ">= 2.0.0", "1.5.0", nil, []ev{{Introduced: "2.0.0"}}, false, false},
		{"npm", "> 1.0.0", "", nil, []ev{{Introduced: "1.0.1-0"}}, false, false},
		{"npm", "> 1.0.0-a, < 1.0.0", "", nil, []ev{{Introduced: "1.0.0-a.0"}, {Fixed: "1.0.0"}}, false, false},
		{"PyPI", "> 1.0", "", nil, []ev{{Introduced: "1.0"}}, true, false},
		{"PyPI", ">= 1!1.0, <= 1!2", "", nil, []ev{{Introduced: "1!1.0"}, {LastAffected: "1!2"}}, false, false},
		{"npm", "= anything at all", "", []string{"anything at all"}, nil, false, false},
		{"npm", ">= one", "", nil, nil, false, true},
		{"npm", "^1.0.0", "", nil, nil, false, true},
		{"npm", "1.0.0", "", nil, nil, false, true},
		{"npm", "!= 1.0.0", "", nil, nil, false, true},
		{"npm", ">= 1.0.0, > 2.0.0", "", nil, nil, false, true},
		{"npm", "< 1.0.0, <= 2.0.0", "", nil, nil, false, true},
		{"npm", ">= 2.0.0, < 1.0.0", "", nil, nil, false, true},
		{"npm", "= 1.0.0, >= 2.0.0", "", nil, nil, false, true},
		{"npm", ">= 1.0.0,", "", nil, nil, false, true},
		{"npm", ">=", "", nil, nil, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.eco+" "+tt.constraint, func(t *testing.T) {
			exact, g, doubt, err := versionRange(tt.eco, tt.constraint, tt.patched)
			if (err != nil) != tt.bad {
				t.Fatalf("error %v, want one: %v", err, tt.bad)
			}
			if err != nil {
				return
			}
			var events []ev
			if g != nil {
				events = g.Events
			}
			if !slices.Equal(exact, tt.exact) || !reflect.DeepEqual(events, tt.events) || (doubt != "") != tt.doubt {
				t.Errorf("got %q, %+v, %q", exact, events, doubt)
			}
		})
	}
}

func TestBadAdvisories(t *testing.T) {
	good := advisoryJSON(idOf(1), "2025-01-02T00:00:00Z", vuln("npm", "evil", ">= 0"))
	tests := []struct {
		name, doc     string
		bad           bool
		claims, notes int
	}{
		{"good", good, false, 1, 0},
		{"A1 empty", "", true, 0, 0},
		{"A3 null", "null", true, 0, 0},
		{"A5 cut", good[:len(good)-1], true, 0, 0},
		{"A6 two", good + good, true, 0, 0},
		{"A7 duplicate key", `{"ghsa_id":"x",` + good[1:], true, 0, 0},
		{"A8 case of a key", strings.Replace(good, `"ghsa_id"`, `"GHSA_ID"`, 1), true, 0, 0},
		{"A10 invalid UTF-8", strings.Replace(good, `"evil"`, "\"ev\xffil\"", 1), true, 0, 0},
		{"A11 lone surrogate", strings.Replace(good, `"evil"`, `"\ud800"`, 1), true, 0, 0},
		{"A12 NUL in the name", strings.Replace(good, `"evil"`, `"ev\u0000il"`, 1), true, 0, 0},
		{"A15 depth", `{"x":` + strings.Repeat("[", 20_000), true, 0, 0},
		{"A16 long description", strings.Replace(good, "Any computer", strings.Repeat("x", 1<<20), 1), false, 1, 1},
		{"A19 id", strings.Replace(good, `"ghsa_id":"GHSA-aaaa-bbbb-0001"`, `"ghsa_id":"../../x"`, 1), true, 0, 0},
		{"A24 ecosystem", strings.Replace(good, `"npm"`, `"brew"`, 1), false, 0, 1},
		{"A25 empty name", strings.Replace(good, `"name":"evil"`, `"name":""`, 1), false, 0, 1},
		{"A25 no package", strings.Replace(good, `{"ecosystem":"npm","name":"evil"}`, "null", 1), false, 0, 1},
		{"A29 version", strings.Replace(good, ">= 0", ">= x", 1), false, 1, 1},
		{"no range", strings.Replace(good, `">= 0"`, "null", 1), false, 1, 1},
		{"no vulnerabilities", advisoryJSON(idOf(1), "2025-01-02T00:00:00Z", ""), true, 0, 0},
		{"not malware", strings.Replace(good, `"malware"`, `"reviewed"`, 1), false, 0, 1},
		{"wrong type", strings.Replace(good, `"summary":"Malware in evil"`, `"summary":7`, 1), true, 0, 0},
		{"null lists", strings.Replace(good, `"references":["https://blog.example/evil","https://github.com/advisories/GHSA-aaaa-bbbb-0001"]`, `"references":null`, 1), false, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Parse(source.Document{Data: []byte(tt.doc)})
			if (err != nil) != tt.bad || len(p.Claims) != tt.claims || len(p.Notes) != tt.notes {
				t.Errorf("got %d claims, notes %+v, %v", len(p.Claims), p.Notes, err)
			}
		})
	}
	for withdrawn, want := range map[string]string{"2025-06-01T00:00:00Z": "2025-06-01", "9999-01-01T00:00:00Z": "2025-01-02", "x": "2025-01-02"} {
		p, err := Parse(source.Document{Data: []byte(strings.Replace(good, `"withdrawn_at":null`, `"withdrawn_at":"`+withdrawn+`"`, 1))})
		if err != nil || p.Claims[0].Withdrawn.Format(time.DateOnly) != want {
			t.Errorf("withdrawn %s: got %+v, %v", withdrawn, p.Claims, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(advisoryJSON(idOf(1), "2025-01-02T00:00:00Z", vuln("npm", "evil", ">= 1.0, < 2")+","+vuln("pip", "evil", "= 1"))))
	f.Add([]byte(`{"ghsa_id":"GHSA-aaaa-bbbb-0001","type":"malware","vulnerabilities":[{"package":{"ecosystem":"go","name":"x"},"vulnerable_version_range":"> 1.0.0"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(source.Document{Data: data})
		if err != nil && len(p.Claims) != 0 {
			t.Error("an error and claims")
		}
		for _, c := range p.Claims {
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
			if _, err := c.Marshal(); err != nil {
				t.Error(err)
			}
		}
		if _, err := split(data); err == nil && len(bytes.TrimSpace(data)) == 0 {
			t.Error("nothing is a list")
		}
	})
}

func FuzzVersionRange(f *testing.F) {
	f.Add("npm", ">= 1.0.0, < 2", "2")
	f.Add("PyPI", "> 1.0", "")
	f.Fuzz(func(t *testing.T, eco, constraint, patched string) {
		exact, g, _, err := versionRange(eco, constraint, patched)
		if err == nil && len(exact) == 0 && g == nil {
			t.Error("neither versions nor a range nor an error")
		}
	})
}

// result is what a fetch gave.
type result struct {
	names []string
	err   error
}

func fetchAll(t *testing.T, s *Source, since string) result {
	t.Helper()
	var r result
	for doc, err := range s.Fetch(t.Context(), since) {
		if err != nil {
			r.err = err
			continue
		}
		r.names = append(r.names, doc.Name)
	}
	return r
}

// api is New for a URL that is right.
func api(t *testing.T, base string, o Options) *Source {
	t.Helper()
	s, err := New(base, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// server serves pages of two advisories; after is the number of the page.
func server(t *testing.T, total int, hook func(w http.ResponseWriter, r *http.Request, page int) bool) (string, Options) {
	t.Helper()
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path != "/advisories" || q.Get("type") != "malware" || q.Get("per_page") != "100" || q.Get("sort") != "updated" || q.Get("direction") != "asc" {
			t.Errorf("asked for %s", r.URL)
		}
		page, _ := strconv.Atoi(q.Get("after"))
		if hook != nil && hook(w, r, page) {
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if (page+1)*2 < total {
			q.Set("after", strconv.Itoa(page+1))
			w.Header().Set("Link", fmt.Sprintf(`<%s/advisories?first>; rel="first", <%s/advisories?%s>; rel="next"`, srv.URL, srv.URL, q.Encode()))
		}
		var list []string
		for n := page * 2; n < min(page*2+2, total); n++ {
			list = append(list, advisoryJSON(idOf(n), fmt.Sprintf("2025-01-02T00:00:%02dZ", n), vuln("npm", "evil", ">= 0")))
		}
		fmt.Fprintf(w, "[%s]", strings.Join(list, ","))
	}))
	t.Cleanup(srv.Close)
	return srv.URL, Options{Token: "secret-token", backoff: time.Millisecond, timeout: 5 * time.Second}
}

func TestAPI(t *testing.T) {
	var asked []string
	base, c := server(t, 5, func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		asked = append(asked, r.URL.Query().Get("modified"))
		if r.Header.Get("Authorization") != "Bearer secret-token" || r.Header.Get("Accept") != "application/vnd.github+json" || !strings.HasPrefix(r.UserAgent(), "rapsheet/") {
			t.Errorf("headers %v", r.Header)
		}
		return false
	})
	s := api(t, base, c)
	got := fetchAll(t, s, "")
	if got.err != nil || !slices.Equal(got.names, []string{idOf(0), idOf(1), idOf(2), idOf(3), idOf(4)}) || s.Cursor() != "2025-01-02T00:00:04Z" {
		t.Errorf("got %+v, cursor %q", got, s.Cursor())
	}
	asked = nil
	if got := fetchAll(t, s, s.Cursor()); got.err != nil || asked[0] != ">=2025-01-02T00:00:04Z" {
		t.Errorf("got %+v, asked %q", got, asked)
	}
	if s.Info() != (source.Info{Name: "ghsa-malware", Kind: "github"}) {
		t.Errorf("info %+v", s.Info())
	}
	if got := fetchAll(t, s, "yesterday"); got.err == nil {
		t.Error("a cursor that is no time")
	}
	noneURL, none := server(t, 0, nil)
	if got := fetchAll(t, api(t, noneURL, none), ""); !errors.Is(got.err, source.ErrNoRecords) {
		t.Errorf("no advisories at all: %+v", got)
	}
	s = api(t, noneURL, none)
	if got := fetchAll(t, s, "2025-01-02T00:00:04Z"); got.err != nil || s.Cursor() != "2025-01-02T00:00:04Z" {
		t.Errorf("no changes: %+v, cursor %q", got, s.Cursor())
	}
}

// Each server goes wrong on its second page: what came before is not the whole.
func TestBadServers(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("another host was asked, with %v", r.Header)
	}))
	defer elsewhere.Close()
	status := func(code int, header ...string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		}
	}
	tests := []struct {
		name    string
		answer  func(http.ResponseWriter, *http.Request)
		message string
	}{
		{"500 for ever", status(500), "after 5 attempts"},
		{"404", status(404), "404"},
		{"401", status(401), "401"},
		{"403 without a limit", status(403), "403"},
		{"429 for hours", status(429, "Retry-After", "7200"), "2h0m0s"},
		{"403 until tomorrow", status(403, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(23*time.Hour).Unix(), 10)), "rate limit"},
		{"HTML with 200", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, "<html>log in</html>")
		}, "HTML"},
		{"HTML that says so", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, "log in")
		}, "text/html"},
		{"text", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }, "not JSON"},
		{"empty body", func(http.ResponseWriter, *http.Request) {}, "empty"},
		{"list cut, with the right length", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `[{"ghsa_id":"x"},{"gh`) }, "cut off"},
		{"body cut", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `[{"ghsa_id":"x"},`)
		}, "after 5 attempts"},
		{"more behind the list", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `[][]`) }, "behind"},
		{"a list of numbers", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `[1]`) }, "not an object"},
		{"redirect to another host", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, 302) }, "another host"},
		{"redirect in a circle", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), 302) }, "redirects"},
		{"next page on another host", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "<"+elsewhere.URL+">; rel=next")
			fmt.Fprintf(w, "[%s]", advisoryJSON(idOf(9), "2025-01-02T00:00:00Z", vuln("npm", "x", ">= 0")))
		}, "another host"},
		{"next page over another scheme", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "<https://"+r.Host+"/advisories?after=2>; rel=next")
			fmt.Fprintf(w, "[%s]", advisoryJSON(idOf(9), "2025-01-02T00:00:00Z", vuln("npm", "x", ">= 0")))
		}, "another host"},
		{"next page is this one", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "<"+r.URL.String()+`>; rel="next"`)
			fmt.Fprintf(w, "[%s]", advisoryJSON(idOf(9), "2025-01-02T00:00:00Z", vuln("npm", "x", ">= 0")))
		}, "do not end"},
		{"empty page with a next one", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", `</advisories?type=malware&after=7>; rel="next"`)
			fmt.Fprint(w, "[]")
		}, "empty"},
		{"slow", func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
		}, "after 5 attempts"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, c := server(t, 5, func(w http.ResponseWriter, r *http.Request, page int) bool {
				if page == 1 {
					tt.answer(w, r)
				}
				return page == 1
			})
			if tt.name == "slow" {
				c.timeout = 20 * time.Millisecond
			}
			var log bytes.Buffer
			c.Logger = slog.New(slog.NewTextHandler(&log, nil))
			s := api(t, base, c)
			got := fetchAll(t, s, "")
			if got.err == nil || !strings.Contains(got.err.Error(), tt.message) {
				t.Fatalf("got %+v, want an error with %q", got, tt.message)
			}
			if s.Cursor() != "" {
				t.Errorf("cursor %q after an error", s.Cursor())
			}
			if strings.Contains(got.err.Error()+log.String(), "secret-token") {
				t.Errorf("the token is in %q or %q", got.err, log.String())
			}
		})
	}
	t.Run("limits that pass", func(t *testing.T) {
		times := 0
		base, c := server(t, 5, func(w http.ResponseWriter, r *http.Request, page int) bool {
			if times++; page != 1 || times > 4 {
				return false
			}
			switch times {
			case 2:
				w.Header().Set("X-RateLimit-Remaining", "0")
				w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(-time.Minute).Unix(), 10))
				w.WriteHeader(403)
			case 3:
				w.Header().Set("Retry-After", "0")
				w.WriteHeader(429)
			default:
				w.WriteHeader(502)
			}
			return true
		})
		if got := fetchAll(t, api(t, base, c), ""); got.err != nil || len(got.names) != 5 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("a page too large", func(t *testing.T) {
		if testing.Short() {
			t.Skip("70 MiB")
		}
		base, c := server(t, 5, func(w http.ResponseWriter, r *http.Request, page int) bool {
			_, _ = io.WriteString(w, "[")
			blank := bytes.Repeat([]byte(" "), 1<<20)
			for range 70 {
				if _, err := w.Write(blank); err != nil {
					break
				}
			}
			return true
		})
		c.timeout = time.Hour // it is the size that ends it, however slow the machine
		var limit *bounded.LimitError
		if got := fetchAll(t, api(t, base, c), ""); !errors.As(got.err, &limit) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("cancelled while waiting", func(t *testing.T) {
		base, c := server(t, 5, func(w http.ResponseWriter, r *http.Request, page int) bool {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(429)
			return true
		})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		for _, err := range api(t, base, c).Fetch(ctx, "") {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		}
	})
	for _, base := range []string{"ftp://x", "https://user:secret-token@x.example", "://", "http://x.example"} {
		if _, err := New(base, Options{Token: "secret-token"}); err == nil || strings.Contains(err.Error(), "secret-token") {
			t.Errorf("%s: %v", base, err)
		}
	}
}

func TestFile(t *testing.T) {
	one, two := advisoryJSON(idOf(1), "2025-01-02T00:00:00Z", vuln("npm", "evil", ">= 0")), advisoryJSON(idOf(2), "2025-01-02T00:00:00Z", vuln("npm", "evil", ">= 0"))
	tests := []struct {
		name, data string
		want       []string
		bad        bool
	}{
		{"a list", "[" + one + "," + two + "]\n", []string{idOf(1), idOf(2)}, false},
		{"one", "\ufeff" + one, []string{idOf(1)}, false},
		{"one bad among good ones", `[{"ghsa_id":7},{"a":1,"a":2},` + one + "]", []string{"advisory 1", "advisory 2", idOf(1)}, false},
		{"A1 empty", "", nil, true},
		{"A5 cut", "[" + one + "," + two[:100], nil, true},
		{"A6 two", one + two, nil, true},
		{"B53 HTML", "<!doctype html>", nil, true},
		{"B53 no records", "[]", nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.json")
			if err := os.WriteFile(path, []byte(tt.data), 0o644); err != nil {
				t.Fatal(err)
			}
			s := Open(path)
			got := fetchAll(t, s, "")
			if !slices.Equal(got.names, tt.want) || (got.err != nil) != tt.bad || s.Cursor() != "" {
				t.Errorf("got %+v, cursor %q", got, s.Cursor())
			}
		})
	}
	if got := fetchAll(t, Open(filepath.Join(t.TempDir(), "absent")), ""); !errors.Is(got.err, os.ErrNotExist) {
		t.Errorf("absent: %+v", got)
	}
}
