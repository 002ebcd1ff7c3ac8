package registry

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

func testClient(t *testing.T, handler http.HandlerFunc) *client {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return clientAt(t, srv.URL, nil)
}

func clientAt(t *testing.T, at string, rt http.RoundTripper) *client {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	return &client{
		base: u, rt: newTransport(rt), auth: credentials{token: secret}, agent: "rapsheet/test", log: slog.New(slog.DiscardHandler),
		backoff: time.Microsecond, header: 5 * time.Second, body: 5 * time.Second, maxBody: 1 << 20,
	}
}

func TestRetries(t *testing.T) {
	tests := []struct {
		name   string
		status int
		header string
		fails  int64 // how often
		asked  int64
		ok     bool
	}{
		{"429", 429, "0", 2, 3, true}, {"502", 502, "", 4, 5, true}, {"503", 503, "", 5, 5, false}, {"504", 504, "", 1, 2, true},
		{"429 for an hour", 429, "3600", 9, 1, false},
		{"500 is an answer", 500, "", 9, 1, false}, {"404", 404, "", 9, 1, false}, {"401", 401, "", 9, 1, false},
	}
	for _, test := range tests {
		var n atomic.Int64
		c := testClient(t, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) <= test.fails {
				w.Header().Set("Retry-After", test.header)
				w.WriteHeader(test.status)
				return
			}
			fmt.Fprint(w, "{}")
		})
		_, err := c.do(t.Context(), request{url: c.base})
		if (err == nil) != test.ok || n.Load() != test.asked {
			t.Errorf("%s: asked %d times, %v", test.name, n.Load(), err)
		}
	}
	var n atomic.Int64
	c := testClient(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) < 3 {
			panic(http.ErrAbortHandler) // the connection is cut
		}
		fmt.Fprint(w, "{}")
	})
	if _, err := c.do(t.Context(), request{url: c.base}); err != nil {
		t.Error(err)
	}
}

func TestRedirects(t *testing.T) {
	var got http.Header
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		if back := r.URL.Query().Get("back"); back != "" {
			http.Redirect(w, r, back, http.StatusFound)
			return
		}
		fmt.Fprint(w, "{}")
	}))
	defer other.Close()
	tls := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusFound)
	}))
	defer tls.Close()
	var auth []string
	var c *client
	c = testClient(t, func(w http.ResponseWriter, r *http.Request) {
		auth = append(auth, r.Header.Get("Authorization"))
		to := map[string]string{
			"/here": "/end", "/there": other.URL, "/loop": "/loop?x=" + secret, "/nowhere": "", "/odd": "ftp://x/", "/bad": "http://[::1:" + secret,
			"/back": other.URL + "?back=" + url.QueryEscape(c.base.String()+"/end"), "/user": "http://u:" + secret + "@" + r.Host + "/end",
		}
		if target, ok := to[r.URL.Path]; ok {
			w.Header().Set("Location", target)
			w.WriteHeader(http.StatusFound)
			return
		}
		fmt.Fprint(w, "{}")
	})
	bearer := "Bearer " + secret
	tests := []struct {
		path string
		auth []string
		err  string
	}{
		{"/here", []string{bearer, bearer}, ""},
		{"/there", []string{bearer}, ""},
		// Once another host was asked, nothing more is trusted.
		{"/back", []string{bearer, ""}, ""},
		{"/user", []string{bearer, bearer}, ""},
		{"/loop", []string{bearer, bearer, bearer, bearer, bearer, bearer}, "more than 5 redirects"},
		{"/nowhere", []string{bearer}, "redirect to nowhere"},
		{"/odd", []string{bearer}, "redirect to nowhere"},
		{"/bad", []string{bearer}, "redirect to nowhere"},
	}
	for _, test := range tests {
		auth, got = nil, nil
		_, err := c.do(t.Context(), request{url: join(c.base, test.path[1:]), header: map[string]string{"X-Harmless": "1"}})
		if (err == nil) != (test.err == "") || err != nil && (!strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), secret)) {
			t.Errorf("%s: %v", test.path, err)
		}
		if fmt.Sprint(auth) != fmt.Sprint(test.auth) {
			t.Errorf("%s: %q", test.path, auth)
		}
		if got.Get("Authorization") != "" {
			t.Errorf("%s: another host got credentials", test.path)
		}
	}
	// A POST is not sent again to where it is told to.
	auth = nil
	if _, err := c.do(t.Context(), request{method: http.MethodPost, url: join(c.base, "here"), body: "x"}); err == nil || len(auth) != 1 {
		t.Errorf("a POST followed a redirect: %v %v", err, auth)
	}
	s := clientAt(t, tls.URL, tls.Client().Transport)
	got = nil
	if _, err := s.do(t.Context(), request{url: s.base}); !errors.Is(err, errDowngrade) || got != nil {
		t.Errorf("https to http: %v", err)
	}
}

// The header of a product goes where Authorization goes, and no further.
func TestProductHeaderStaysHome(t *testing.T) {
	var got http.Header
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = r.Header }))
	defer other.Close()
	c := testClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("PRIVATE-TOKEN") != secret {
			t.Error("the registry got no token")
		}
		http.Redirect(w, r, other.URL, http.StatusFound)
	})
	c.auth.header = "PRIVATE-TOKEN"
	if _, err := c.do(t.Context(), request{url: c.base}); err != nil || got == nil || got.Get("PRIVATE-TOKEN") != "" {
		t.Error(err, got)
	}
}

func TestBodies(t *testing.T) {
	c := testClient(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			for range 8 {
				if _, err := z.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
			z.Close()
		case "/gzip":
			if r.Header.Get("Accept-Encoding") != "gzip" {
				t.Error("gzip is not asked for")
			}
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			io.WriteString(z, `{"a": 1}`)
			z.Close()
		case "/twice":
			io.WriteString(w, `{"a": 1, "a": 2}`)
		case "/utf8":
			io.WriteString(w, "{\"b\": \"\xff\"}")
		case "/type":
			io.WriteString(w, `{"a": "`+secret+`"}`)
		case "/bom":
			io.WriteString(w, "\ufeff{\"a\": 1}")
		case "/hang":
			<-r.Context().Done()
		case "/trickle":
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	})
	tests := []struct{ path, err string }{
		{"gzip", ""}, {"bom", ""},
		{"bomb", "larger than the limit"}, {"twice", "not valid JSON"}, {"utf8", "not valid JSON"}, {"type", "not the JSON expected"},
		{"hang", "takes too long (after 5 attempts)"}, {"trickle", "takes too long (after 5 attempts)"},
	}
	for _, test := range tests {
		var v struct {
			A int    `json:"a"`
			B string `json:"b"`
		}
		c.header, c.body = time.Minute, time.Minute
		if strings.Contains(test.err, "long") {
			c.header, c.body = 50*time.Millisecond, 50*time.Millisecond
		}
		_, err := c.get(t.Context(), join(c.base, test.path), &v)
		if (err == nil) != (test.err == "") || err != nil && (!strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), secret)) {
			t.Errorf("%s: %v", test.path, err)
		}
	}
	c.header, c.body = time.Minute, time.Minute
	var limit *bounded.LimitError
	if _, err := c.do(t.Context(), request{url: join(c.base, "bomb")}); !errors.As(err, &limit) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.do(ctx, request{url: c.base}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestRate(t *testing.T) {
	c := testClient(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "{}") })
	c.every = 20 * time.Millisecond
	start := time.Now()
	for range 4 {
		if _, err := c.do(t.Context(), request{url: c.base}); err != nil {
			t.Fatal(err)
		}
	}
	// The first goes at once; only a lower bound holds on any machine.
	if took := time.Since(start); took < 60*time.Millisecond {
		t.Errorf("4 requests in %v", took)
	}
}

func TestPaths(t *testing.T) {
	c := clientAt(t, "https://h/base%20x", nil)
	for _, test := range []struct {
		elems []string
		want  string
	}{
		{[]string{"@acme/evil"}, "https://h/base%20x/@acme%2Fevil"},
		{[]string{"a", "b?c#d"}, "https://h/base%20x/a/b%3Fc%23d"},
		{[]string{"%2e%2e"}, "https://h/base%20x/%252e%252e"},
		{[]string{"a'b"}, "https://h/base%20x/a%27b"},
		{[]string{".."}, ""}, {[]string{"."}, ""}, {[]string{""}, ""}, {[]string{"a", ".."}, ""},
	} {
		u, err := c.at(test.elems...)
		if err != nil && test.want == "" {
			continue
		}
		if err != nil || u.String() != test.want {
			t.Errorf("%q: %v %v", test.elems, u, err)
		}
	}
}

func TestNetrc(t *testing.T) {
	tests := []struct {
		name, text, host string
		want             login
		ok, bad          bool
	}{
		{"one line", "machine h login u password p", "h", login{"u", "p"}, true, false},
		{"lines", "machine other\n\tlogin x\n\tpassword y\nmachine H\n login u\n password p\n account a\n", "h", login{"u", "p"}, true, false},
		{"first entry counts", "machine h login a password b machine h login c password d", "h", login{"a", "b"}, true, false},
		{"default", "machine x login a password b\ndefault login d password e\n", "h", login{"d", "e"}, true, false},
		{"default after", "machine h login a password b default login d password e", "h", login{"a", "b"}, true, false},
		{"none", "machine x login a password b", "h", login{}, false, false},
		{"empty", "", "h", login{}, false, false},
		{"comment", "# machine h login no password no\nmachine h login u password p#q # x\n", "h", login{"u", "p#q"}, true, false},
		{"quoted", `machine h login "u v" password "p\"q"`, "h", login{"u v", `p"q`}, true, false},
		{"macro", "macdef init\nmachine h login no password no\n\nmachine h login u password p\n", "h", login{"u", "p"}, true, false},
		{"macro at the end", "machine x login a password b\nmacdef m\nmachine h login no password no", "h", login{}, false, false},
		{"no prefix of a host", "machine h.example login u password p", "h", login{}, false, false},
		{"windows", "machine h\r\nlogin u\r\npassword p\r\n", "h", login{"u", "p"}, true, false},
		{"no value", "machine h login", "h", login{}, false, true},
		{"not a netrc", "{\"" + secret + "\": 1}", "h", login{}, false, true},
		{"open quote", `machine h login "` + secret, "h", login{}, false, true},
		{"control", "machine h login u password a\x00" + secret, "h", login{}, false, true},
		{"many words", strings.Repeat("default login x\n", maxNetrcTokens) + "x", "h", login{"x", ""}, true, false},
	}
	for _, test := range tests {
		got, ok, err := netrc(test.text, test.host)
		if got != test.want || ok != test.ok || (err != nil) != test.bad {
			t.Errorf("%s: %v %v %v", test.name, got, ok, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, []byte(strings.Repeat("#"+secret+"\n", 1<<17)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := netrcFile(big, "h"); err == nil || strings.Contains(err.Error(), secret) {
		t.Error(err)
	}
	if _, ok, err := netrcFile(filepath.Join(dir, "none"), "h"); ok || err != nil {
		t.Error(err)
	}
	if _, _, err := netrcFile(dir, "h"); err == nil {
		t.Error("a directory is a netrc file")
	}
}

func FuzzNetrc(f *testing.F) {
	f.Add("machine h login u password p\nmacdef m\nx\n\ndefault login \"a\\\"b\" # c\n", "h")
	f.Add("machine", "")
	f.Fuzz(func(t *testing.T, text, host string) {
		l, ok, err := netrc(text, host)
		if err != nil && err.Error() != errNetrc.Error() {
			t.Error(err)
		}
		if !ok && l != (login{}) || strings.ContainsAny(l.user+l.password, "\x00\n") {
			t.Errorf("%v %v", l, ok)
		}
	})
}
