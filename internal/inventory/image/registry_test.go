package image_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory/image"
)

// server serves a layout as the repository app/x over the distribution API, and refuses what comes without auth.
type server struct {
	*httptest.Server
	layout
	tag     string // digest of tag 1
	refuse  string // the challenge, "" for none; HOST is the server's
	auth    string // the header that is let in
	blobs   string // where blobs are redirected to
	headers []http.Header
}

func serve(t *testing.T, s *server) *server {
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) target() string {
	return image.Scheme + strings.TrimPrefix(s.URL, "http://") + "/app/x:1"
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.headers = append(s.headers, r.Header)
	if r.URL.Path == "/token" {
		user, password, _ := r.BasicAuth()
		if user != "u" || password != "s3cret" || r.URL.Query().Get("scope") != "repository:app/x:pull" || r.URL.Query().Get("service") != "here, there" {
			http.Error(w, "no s3cret", http.StatusForbidden)
			return
		}
		fmt.Fprint(w, `{"token": "t0ken"}`)
		return
	}
	if s.refuse != "" && r.Header.Get("Authorization") != s.auth {
		w.Header().Set("WWW-Authenticate", strings.ReplaceAll(s.refuse, "HOST", s.URL))
		http.Error(w, "s3cret body", http.StatusUnauthorized)
		return
	}
	kind, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/app/x/"), "/")
	if kind == "blobs" && s.blobs != "" {
		http.Redirect(w, r, s.blobs+"/v2/app/x/blobs/"+name+"?signature=s3cret", http.StatusTemporaryRedirect)
		return
	}
	if name == "1" {
		name = s.tag
		w.Header().Set("Docker-Content-Digest", name)
	}
	b, ok := s.layout["blobs/sha256/"+strings.TrimPrefix(name, "sha256:")]
	if !ok {
		http.Error(w, "no such thing: s3cret", http.StatusNotFound)
		return
	}
	fmt.Fprint(w, b)
}

func TestRegistry(t *testing.T) {
	layers := story(t)
	l := layout{}
	d := l.image("amd64", clienttest.Gzip, layers...)
	tag := d["digest"].(string)
	bearer := `Bearer realm="HOST/token",service="here, there",scope="repository:app/x:pull"`
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("u:s3cret"))
	changed := layout{}
	for k, v := range l {
		changed[k] = v
	}
	changed["blobs/sha256/"+tag[7:]] += " "
	login := func(string) (string, string, bool) { return "u", "s3cret", true }
	tests := []struct {
		name  string
		srv   *server
		creds image.Credentials
		want  []string
	}{
		{"anyone may", &server{layout: l, tag: tag}, nil, told},
		{"Basic", &server{layout: l, tag: tag, refuse: `Basic realm="x"`, auth: basic}, login, told},
		{"a token", &server{layout: l, tag: tag, refuse: bearer, auth: "Bearer t0ken"}, login, told},
		{"a token without a login", &server{layout: l, tag: tag, refuse: bearer, auth: "Bearer t0ken"}, nil, []string{"unread T: the token server HOST answered 403 Forbidden (0)"}},
		{"no login", &server{layout: l, tag: tag, refuse: `Basic realm="x"`, auth: basic}, nil, []string{
			"unread T: the registry HOST wants a login, and there is none for it in Docker's configuration (credential helpers are not run) (0)"}},
		{"a wrong login", &server{layout: l, tag: tag, refuse: `Basic realm="x"`, auth: "Basic other"}, login, []string{"unread T: the registry HOST answered 401 Unauthorized (0)"}},
		{"another kind of login", &server{layout: l, tag: tag, refuse: "Negotiate", auth: "never"}, login, []string{"unread T: the registry asks for a login in a way that is not known (0)"}},
		{"a token server that is none", &server{layout: l, tag: tag, refuse: `Bearer realm="file:///etc/passwd"`, auth: "never"}, login, []string{"unread T: the registry's token server is at no address that can be asked (0)"}},
		{"not there", &server{layout: layout{}, tag: tag}, nil, []string{"unread T: the registry HOST answered 404 Not Found (0)"}},
		{"a manifest that is not what its digest says", &server{layout: changed, tag: tag}, nil, []string{"unread T: its content does not have its digest: not read (0)"}},
		{"B53 a page", &server{layout: layout{"blobs/sha256/" + digest([]byte("<html>"))[7:]: "<html>"}, tag: digest([]byte("<html>"))}, nil, []string{"unread T: the manifest is not what it should be (0)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := serve(t, tt.srv)
			opt := options()
			opt.Credentials = tt.creds
			got := lines(t, srv.target(), opt, layers...)
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], strings.TrimPrefix(srv.URL, "http://"), "HOST")
				if strings.Contains(got[i], "s3cret") {
					t.Errorf("a secret is shown: %s", got[i])
				}
			}
			check(t, got, tt.want)
		})
	}
}

// The store that a registry sends for its blobs gets no credentials, and what is wrong with it is said without the
// address, which is signed.
func TestRegistryRedirects(t *testing.T) {
	layers := story(t)
	l := layout{}
	d := l.image("amd64", clienttest.Gzip, layers...)
	cdn := serve(t, &server{layout: l})
	// The same machine by another name: cookies and credentials are for names.
	elsewhere := strings.Replace(cdn.URL, "127.0.0.1", "localhost", 1)
	srv := serve(t, &server{layout: l, tag: d["digest"].(string), refuse: "Basic", auth: "Basic " + base64.StdEncoding.EncodeToString([]byte("u:s3cret")), blobs: elsewhere})
	opt := options()
	opt.Credentials = func(string) (string, string, bool) { return "u", "s3cret", true }
	check(t, lines(t, srv.target(), opt, layers...), told)
	if len(cdn.headers) == 0 {
		t.Fatal("not redirected")
	}
	for _, h := range cdn.headers {
		if h.Get("Authorization") != "" {
			t.Error("credentials were sent elsewhere")
		}
	}
	cdn.Close()
	got := lines(t, srv.target(), opt, layers...)
	if len(got) == 0 {
		t.Fatal("nothing said")
	}
	for _, line := range got {
		if !strings.HasPrefix(line, "unread ") && !strings.HasPrefix(line, "info ") || strings.Contains(line, "s3cret") {
			t.Errorf("got %s", line)
		}
	}
}

func TestReferences(t *testing.T) {
	sum := "sha256:" + strings.Repeat("0a", 32)
	for in, want := range map[string]string{
		"docker://alpine":                    "docker://docker.io/library/alpine:latest",
		"docker://o/r:1":                     "docker://docker.io/o/r:1",
		"docker://Ghcr.io/o/r@" + sum:        "docker://ghcr.io/o/r@" + sum,
		"docker://localhost:5000/r:1@" + sum: "docker://localhost:5000/r:1@" + sum,
		"docker://[::1]:5000/a/b":            "docker://[::1]:5000/a/b:latest",
		"docker://":                          "",
		"docker://host.example/":             "",
		"docker://host.example/../x":         "",
		"docker://host.example/UP":           "",
		"docker://host.example/x:a b":        "",
		"docker://host.example/x@sha256:00":  "",
		"docker://user:pw@host.example/x":    "",
		"docker://host.example:99/x?y=z":     "",
	} {
		got, err := image.ParseReference(in)
		if (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%s: %s, %v; want %q", in, got, err, want)
		}
	}
}

func TestDockerCredentials(t *testing.T) {
	home := clienttest.Tree(t, map[string]string{
		".docker/config.json": `{"auths": {"https://index.docker.io/v1/": {"auth": "dTpw"}, "host.example:5000": {"username": "a", "password": "b"}, "bad.example": {"auth": "%"}, "helper.example": {}}, "credsStore": "x"}`,
		"other/config.json":   `{"auths": {"other.example": {"auth": "dTpw"}}}`,
	})
	env := map[string]string{"HOME": home}
	creds := image.DockerCredentials(func(k string) string { return env[k] })
	is := func(host, want string) {
		t.Helper()
		u, p, ok := creds(host)
		if got := u + ":" + p; (want != "") != ok || ok && got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
	is("docker.io", "u:p")
	is("host.example:5000", "a:b")
	is("host.example", "")
	is("bad.example", "")
	is("helper.example", "")
	env["DOCKER_CONFIG"] = filepath.Join(home, "other")
	is("other.example", "u:p")
	is("docker.io", "")
	env["DOCKER_AUTH_CONFIG"] = `{"auths": {"gitlab.example": {"auth": "dTpw"}}}`
	is("gitlab.example", "u:p")
	is("other.example", "u:p")
	env["DOCKER_AUTH_CONFIG"] = `{`
	is("other.example", "u:p")
}

// A registry with TLS whose token server has another host, and which is busy twice. The login goes to the token server and
// to nobody else, and not on to where that redirects.
func TestRegistryTLS(t *testing.T) {
	layers := story(t)
	l := layout{}
	d := l.image("amd64", clienttest.Gzip, layers...)
	busy, moved := 2, false
	var logins []string // the hosts that got one
	var h http.HandlerFunc = func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); ok {
			logins = append(logins, r.Host)
		}
		switch {
		case r.Host == "auth.example.com" && moved:
			http.Redirect(w, r, "https://other.example.com/token", http.StatusFound)
		case r.Host == "auth.example.com":
			fmt.Fprint(w, `{"access_token": "t0ken"}`)
		case r.Host != "example.com":
			http.Error(w, "no", http.StatusForbidden)
		case busy > 0:
			busy--
			w.Header().Set("Retry-After", "0")
			http.Error(w, "later", []int{http.StatusServiceUnavailable, http.StatusTooManyRequests}[busy])
		case r.Header.Get("Authorization") != "Bearer t0ken":
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://auth.example.com/token"`)
			http.Error(w, "no", http.StatusUnauthorized)
		default:
			name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
			if name == "1" {
				name = d["digest"].(string)
			}
			fmt.Fprint(w, l["blobs/sha256/"+strings.TrimPrefix(name, "sha256:")])
		}
	}
	srv := httptest.NewTLSServer(h) // its certificate is for example.com and *.example.com
	t.Cleanup(srv.Close)
	old := http.DefaultTransport
	t.Cleanup(func() { http.DefaultTransport = old })
	tr := srv.Client().Transport.(*http.Transport).Clone()
	tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, srv.Listener.Addr().String())
	}
	http.DefaultTransport = tr
	opt := options()
	opt.Credentials = func(host string) (string, string, bool) { return "u", "s3cret", host == "example.com" }
	const target = "docker://example.com/app/x:1"
	check(t, lines(t, target, opt, layers...), told)
	if busy != 0 || !slices.Equal(logins, []string{"auth.example.com"}) {
		t.Errorf("%d times busy left, logins at %v", busy, logins)
	}
	logins, moved = nil, true
	check(t, lines(t, target, opt, layers...), []string{"unread T: the token server auth.example.com answered 403 Forbidden (0)"})
	if !slices.Equal(logins, []string{"auth.example.com"}) {
		t.Errorf("logins at %v", logins)
	}
	// Without the authority's certificate nothing is asked.
	logins = nil
	tr = tr.Clone()
	tr.TLSClientConfig.RootCAs = x509.NewCertPool()
	http.DefaultTransport = tr
	got := lines(t, target, opt, layers...)
	if len(got) != 1 || !strings.Contains(got[0], "certificate") || logins != nil {
		t.Errorf("got %q, logins at %v", got, logins)
	}
}

func TestPause(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"soon": time.Second, "7": 7 * time.Second, "99999": 30 * time.Second, "Wed, 21 Oct 2215 07:28:00 GMT": 30 * time.Second,
	} {
		if got := image.Pause(http.Header{"Retry-After": {header}}, time.Second); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}
