package registry

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Credentials of every kind reach the registry, win in the documented order, and are in nothing that comes out.
func TestCredentials(t *testing.T) {
	netrc := filepath.Join(t.TempDir(), "netrc")
	if err := os.WriteFile(netrc, []byte("machine 127.0.0.1 login nn password "+secret+"-n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".netrc"), []byte("default login hh password "+secret+"-h\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "netrc")
	if err := os.WriteFile(bad, []byte("password "+secret+" "+secret), 0o600); err != nil {
		t.Fatal(err)
	}
	basic := func(user, password string) string {
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(user, password)
		return r.Header.Get("Authorization")
	}
	type env map[string]string
	tests := []struct {
		name, product string
		env           env
		user, netrc   string
		header, want  string
		curl          string
	}{
		{"token", "nexus", env{envToken: secret, envUser: "u", envPassword: "p"}, "x:y@", netrc, "Authorization", "Bearer " + secret, `-H "Authorization: Bearer $RAPSHEET_REGISTRY_TOKEN"`},
		{"user and password", "nexus", env{envUser: "u", envPassword: secret}, "x:y@", netrc, "Authorization", basic("u", secret), `-u "$RAPSHEET_REGISTRY_USER:$RAPSHEET_REGISTRY_PASSWORD"`},
		{"URL", "nexus", nil, "u:" + secret + "@", netrc, "Authorization", basic("u", secret), `-u "$RAPSHEET_REGISTRY_USER:$RAPSHEET_REGISTRY_PASSWORD"`},
		{"URL, escaped", "nexus", nil, "u:" + secret + "%2F@", netrc, "Authorization", basic("u", secret+"/"), `-u "$RAPSHEET_REGISTRY_USER:$RAPSHEET_REGISTRY_PASSWORD"`},
		{"netrc", "nexus", nil, "", netrc, "Authorization", basic("nn", secret+"-n"), "--netrc"},
		{"NETRC", "nexus", env{"NETRC": netrc, "HOME": home}, "", "", "Authorization", basic("nn", secret+"-n"), "--netrc"},
		{"~/.netrc", "nexus", env{"HOME": home}, "", "", "Authorization", basic("hh", secret+"-h"), "--netrc"},
		{"none", "nexus", env{"HOME": "/nonexistent"}, "", "", "Authorization", "", "curl --fail -X DELETE http"},
		{"Artifactory, token", "artifactory", env{envToken: secret}, "", "", "Authorization", "Bearer " + secret, `-H "Authorization: Bearer $RAPSHEET_REGISTRY_TOKEN"`},
		{"Artifactory, API key", "artifactory", env{envToken: "AKCp" + secret}, "", "", "X-JFrog-Art-Api", "AKCp" + secret, `-H "X-JFrog-Art-Api: $RAPSHEET_REGISTRY_TOKEN"`},
		{"GitLab", "gitlab", env{envToken: secret}, "", "", "PRIVATE-TOKEN", secret, `-H "PRIVATE-TOKEN: $RAPSHEET_REGISTRY_TOKEN"`},
		{"Azure", "azure", env{envToken: secret}, "", "", "Authorization", basic("", secret), `-u ":$RAPSHEET_REGISTRY_TOKEN"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var f fake
			for _, one := range fakes {
				if one.product == test.product {
					f = one
				}
			}
			inner := f.serve(content{items: f.holds(), size: 2})
			n := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get(test.header); got != test.want {
					t.Errorf("%s %q, want %q", r.URL, got, test.want)
				}
				if n++; n == 1 {
					w.Header().Set("Retry-After", "0")
					http.Error(w, test.want, 429)
					return
				}
				inner.ServeHTTP(w, r)
			}))
			defer srv.Close()
			var log strings.Builder
			r, err := Open(t.Context(), strings.Replace(srv.URL, "//", "//"+test.user, 1)+f.at, Options{
				Type: test.product, Getenv: func(k string) string { return test.env[k] }, Netrc: test.netrc,
				Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), backoff: time.Microsecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			l := list(t, r, "")
			if l.err != nil || len(l.raw) == 0 {
				t.Fatal(l.err)
			}
			h, err := r.Holding(t.Context(), l.raw[0])
			if err != nil || len(h.Purge) != 1 || !strings.Contains(h.Purge[0], test.curl) {
				t.Errorf("%v %v", h.Purge, err)
			}
			if all := l.all() + fmt.Sprint(h) + log.String(); strings.Contains(all, secret) {
				t.Error("a secret comes out")
			}
		})
	}
	for _, raw := range []string{
		"http://u:" + secret + "@127.0.0.1:1/", "http://127.0.0.1:1/?token=" + secret, "http://u:" + secret + "@[::1/", "ftp://u:" + secret + "@h/", secret + "://h",
		"http://u:" + secret + "%zz@h/", "", "http://", "h/p", "//u:" + secret + "@h",
	} {
		_, err := Open(t.Context(), raw, Options{Type: "nuget", backoff: time.Microsecond})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", raw, err)
		}
		if _, err := Open(t.Context(), raw, Options{backoff: time.Microsecond}); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", raw, err)
		}
	}
	if _, err := Open(t.Context(), "http://h", Options{Netrc: bad}); err == nil || strings.Contains(err.Error(), secret) {
		t.Error(err)
	}
	// What the transport says may repeat what it was given.
	broken := roundTripper(func(r *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("cannot send %v with %v", r.URL, r.Header)
	})
	for _, env := range []env{{envToken: secret}, {envUser: "u", envPassword: secret}} {
		_, err := Open(t.Context(), "http://h", Options{Type: "nuget", Transport: broken, Getenv: func(k string) string { return env[k] }, backoff: time.Microsecond})
		if err == nil || strings.Contains(err.Error(), secret) || !errors.Is(err, errSecret) {
			t.Error(err)
		}
	}
	proxy := http.DefaultTransport.(*http.Transport).Clone()
	proxy.Proxy = func(*http.Request) (*url.URL, error) {
		return nil, fmt.Errorf("invalid proxy address %q", "http://u:"+secret+"@:bad") // as golang.org/x/net/http/httpproxy says it
	}
	if _, err := Open(t.Context(), "http://h", Options{Type: "nuget", Transport: proxy, backoff: time.Microsecond}); !errors.Is(err, errProxy) || strings.Contains(err.Error(), secret) {
		t.Error(err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestOpenUnknown(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>hello</html>") }))
	defer srv.Close()
	if _, err := Open(t.Context(), srv.URL, Options{}); !errors.Is(err, ErrType) {
		t.Error(err)
	}
	if _, err := Open(t.Context(), srv.URL, Options{Type: "cargo-cult"}); err == nil || !strings.Contains(err.Error(), "nexus") {
		t.Error(err)
	}
	for _, name := range []string{"npm", "goproxy"} {
		r, err := Open(t.Context(), srv.URL, Options{Type: name})
		if err == nil {
			err = list(t, r, "").err
		}
		if err == nil || !strings.Contains(err.Error(), "name the packages") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Addresses that tell their product without asking, and what is asked then.
func TestAddresses(t *testing.T) {
	tests := []struct{ raw, asked string }{
		{"https://acme-111122223333.d.codeartifact.eu-west-1.amazonaws.com/npm/main/", "https://codeartifact.eu-west-1.amazonaws.com/v1/packages?domain=acme&domain-owner=111122223333&max-results=100&repository=main"},
		{"https://codeartifact.us-east-2.amazonaws.com/?domain=acme&repository=main", "https://codeartifact.us-east-2.amazonaws.com/v1/packages?domain=acme&max-results=100&repository=main"},
		{"https://pkgs.dev.azure.com/acme/tools/_packaging/main/npm/registry/", "https://feeds.dev.azure.com/acme/tools/_apis/packaging/feeds/main?api-version=7.1"},
		{"https://pkgs.dev.azure.com/acme/_packaging/main/nuget/v3/index.json", "https://feeds.dev.azure.com/acme/_apis/packaging/feeds/main?api-version=7.1"},
		{"https://feeds.dev.azure.com/acme/tools/_apis/packaging/Feeds/main", "https://feeds.dev.azure.com/acme/tools/_apis/packaging/feeds/main?api-version=7.1"},
		{"https://europe-west1-npm.pkg.dev/project/repo/", "https://artifactregistry.googleapis.com/v1/projects/project/locations/europe-west1/repositories/repo"},
		{"https://npm.pkg.github.com/Acme", "https://api.github.com/orgs/Acme/packages?package_type=maven&page=1&per_page=20"},
		{"https://github.com/orgs/acme/packages", "https://api.github.com/orgs/acme/packages?package_type=maven&page=1&per_page=20"},
		{"https://api.github.com/users/joe", "https://api.github.com/users/joe/packages?package_type=maven&page=1&per_page=20"},
		{"https://gitlab.com/groups/acme/tools/-/packages", "https://gitlab.com/api/v4/groups/acme%2Ftools/packages?order_by=created_at&per_page=100&sort=asc"},
		{"https://gitlab.com/api/v4/projects/7/packages/npm/", "https://gitlab.com/api/v4/projects/7/packages?order_by=created_at&per_page=100&sort=asc"},
		{"https://gitlab.com/api/v4/groups/a%2Fb/-/packages/npm/", "https://gitlab.com/api/v4/groups/a%2Fb/packages?order_by=created_at&per_page=100&sort=asc"},
		{"https://gitlab.com/acme/tools", "https://gitlab.com/api/v4/projects/acme%2Ftools"},
		{"https://acme.jfrog.io/artifactory/api/npm/npm-remote/", "https://acme.jfrog.io/artifactory/api/repositories"},
		{"https://acme.jfrog.io", "https://acme.jfrog.io/artifactory/api/repositories"},
		{"https://pypi.org", "https://pypi.org/simple/"},
		{"https://api.nuget.org/v3/index.json", "https://api.nuget.org/v3/index.json"},
	}
	for _, test := range tests {
		asked := ""
		stop := errors.New("stop")
		r, err := Open(t.Context(), test.raw, Options{Getenv: environment, backoff: time.Microsecond, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if asked == "" {
				asked = r.URL.String()
			}
			return nil, stop
		})})
		if err == nil {
			err = list(t, r, "").err
		}
		if asked != test.asked || !errors.Is(err, stop) {
			t.Errorf("%s:\n%s\n%s (%v)", test.raw, asked, test.asked, err)
		}
	}
}
