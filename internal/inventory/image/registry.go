package image

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/httpretry"
)

// Credentials gives the user and the password for a registry, by its lower-case host and port; ok is false if there
// are none.
type Credentials func(host string) (user, password string, ok bool)

// DockerCredentials reads the credentials that `docker login` keeps in a file: the auths of $DOCKER_AUTH_CONFIG (the
// content of such a file, as GitLab and others set it), of $DOCKER_CONFIG/config.json, or of ~/.docker/config.json.
// Credential helpers are programs, and are not run.
func DockerCredentials(getenv func(string) string) Credentials {
	type auth struct {
		Auth     string `json:"auth"` // base64 of user:password
		Username string `json:"username"`
		Password string `json:"password"`
	}
	load := func(b []byte) map[string]auth {
		var c struct {
			Auths map[string]auth `json:"auths"`
		}
		if json.Unmarshal(b, &c) != nil {
			return nil // an error would show what is in it
		}
		byHost := map[string]auth{}
		for key, a := range c.Auths {
			key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
			host, _, _ := strings.Cut(strings.ToLower(key), "/")
			if host == "index."+dockerHub {
				host = dockerHub
			}
			byHost[host] = a
		}
		return byHost
	}
	return func(host string) (user, password string, ok bool) {
		var all []map[string]auth
		if s := getenv("DOCKER_AUTH_CONFIG"); s != "" {
			all = append(all, load([]byte(s)))
		}
		if dir := cmp.Or(getenv("DOCKER_CONFIG"), filepath.Join(getenv("HOME"), ".docker")); dir != "" {
			if f, err := os.Open(filepath.Join(dir, "config.json")); err == nil {
				b, err := bounded.ReadAll(f, 1<<20, "file")
				f.Close()
				if err == nil {
					all = append(all, load(b))
				}
			}
		}
		for _, auths := range all {
			a, found := auths[host]
			if !found {
				continue
			}
			if b, err := base64.StdEncoding.DecodeString(a.Auth); err == nil && a.Auth != "" {
				if user, password, ok = strings.Cut(strings.TrimRight(string(b), "\x00"), ":"); ok {
					return user, password, true
				}
			}
			if a.Username != "" {
				return a.Username, a.Password, true
			}
		}
		return "", "", false
	}
}

// Times and sizes of requests.
const (
	headerTimeout = 30 * time.Second
	idleTimeout   = 60 * time.Second // without a byte of a body
	maxToken      = 1 << 20
	maxTries      = 4 // of a request that the registry has no time for
	maxWait       = 30 * time.Second
)

// registry is one repository of a registry, over the OCI distribution API (github.com/opencontainers/distribution-spec).
// It is for one goroutine.
type registry struct {
	ref    reference
	client *http.Client
	creds  Credentials
	agent  string
	// authorization is the header that the registry asked for, "" while it has not.
	authorization string
}

func newRegistry(ref reference, creds Credentials, agent string) *registry {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = headerTimeout
	// Layers come compressed as they are; their digests are of what is sent.
	t.DisableCompression = true
	return &registry{ref: ref, creds: creds, agent: agent, client: &http.Client{
		Transport: t,
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			switch {
			case len(via) >= 5:
				return errors.New("too many redirects")
			case via[0].URL.Scheme == "https" && req.URL.Scheme != "https":
				return errors.New("a redirect away from TLS")
			}
			return nil // the standard client sends credentials to the first host only
		},
	}}
}

// accept are the media types of manifests that are read.
var accept = []string{
	"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json",
}

// manifest gets a manifest by tag or digest. That of a tag is held against the digest that the registry says.
func (r *registry) manifest(ctx context.Context, name string) ([]byte, descriptor, error) {
	resp, err := r.get(ctx, "manifests/"+name, accept)
	if err != nil {
		return nil, descriptor{}, err
	}
	defer resp.Body.Close()
	b, err := bounded.ReadAll(resp.Body, maxManifest, "manifest")
	if err != nil {
		return nil, descriptor{}, err
	}
	digest := name
	if !digestForm.MatchString(digest) {
		digest = resp.Header.Get("Docker-Content-Digest")
	}
	if digest != "" {
		h, err := newHash(digest)
		if err != nil {
			return nil, descriptor{}, err
		}
		if h.Write(b); digestOf(h, digest) != digest {
			return nil, descriptor{}, errDigest
		}
	}
	return b, descriptor{Digest: digest}, nil
}

// blob implements store; manifests have an address of their own.
func (r *registry) blob(ctx context.Context, d descriptor) (io.ReadCloser, error) {
	if !digestForm.MatchString(d.Digest) {
		return nil, errors.New("its digest is neither a SHA-256 nor a SHA-512")
	}
	at := "blobs/" + d.Digest
	if strings.Contains(d.MediaType, "manifest") || strings.Contains(d.MediaType, "image.index") {
		at = "manifests/" + d.Digest
	}
	resp, err := r.get(ctx, at, accept)
	if err != nil {
		return nil, err
	}
	if d.Size <= 0 {
		return resp.Body, nil
	}
	return &limited{bounded.Reader(resp.Body, d.Size, "blob"), resp.Body}, nil
}

type limited struct {
	io.Reader
	io.Closer
}

// get asks for a path of the repository, once more with what a refusal asks for, and some times more when the registry has
// no time (429 and 5xx), after what it says or a second, two and four.
func (r *registry) get(ctx context.Context, path string, accept []string) (*http.Response, error) {
	refused := false
	for try := 1; ; {
		once, cancel := context.WithCancelCause(ctx)
		req, err := http.NewRequestWithContext(once, http.MethodGet, r.ref.base()+"/v2/"+r.ref.repository+"/"+path, nil)
		if err != nil {
			cancel(nil)
			return nil, err
		}
		req.Header["Accept"] = accept
		req.Header.Set("User-Agent", r.agent)
		if r.authorization != "" {
			req.Header.Set("Authorization", r.authorization)
		}
		resp, err := r.client.Do(req)
		if err != nil {
			cancel(nil)
			return nil, plainError(err)
		}
		if resp.StatusCode == http.StatusOK {
			resp.Body = newIdle(once, resp.Body, cancel)
			return resp, nil
		}
		resp.Body.Close()
		cancel(nil)
		if busy := resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500; busy && try < maxTries {
			select {
			case <-time.After(pause(resp.Header, time.Second<<(try-1))):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			try++
			continue
		}
		if resp.StatusCode != http.StatusUnauthorized || refused {
			return nil, fmt.Errorf("the registry %s answered %d %s", r.ref.host, resp.StatusCode, http.StatusText(resp.StatusCode))
		}
		refused = true
		if err := r.authorize(ctx, resp.Header.Values("WWW-Authenticate")); err != nil {
			return nil, err
		}
	}
}

// pause is how long to wait by the header of a busy registry, or else otherwise; no longer than maxWait.
func pause(h http.Header, otherwise time.Duration) time.Duration {
	wait, ok := httpretry.After(h, time.Now())
	if !ok {
		wait = otherwise
	}
	return min(wait, maxWait)
}

// plainError is the error of a request without its URL, which a redirect may have given a signature.
func plainError(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// authorize does what a refusal asks for: Basic (RFC 7617), or a token from another server
// (distribution.github.io/distribution/spec/auth/token/).
func (r *registry) authorize(ctx context.Context, challenges []string) error {
	ctx, cancel := context.WithTimeout(ctx, headerTimeout)
	defer cancel()
	user, password, known := "", "", false
	if r.creds != nil {
		user, password, known = r.creds(r.ref.host)
	}
	for _, c := range challenges {
		scheme, rest, _ := strings.Cut(c, " ")
		switch strings.ToLower(scheme) {
		case "basic":
			if !known {
				return fmt.Errorf("the registry %s wants a login, and there is none for it in Docker's configuration (credential helpers are not run)", r.ref.host)
			}
			r.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
			return nil
		case "bearer":
			p := parameters(rest)
			realm, err := url.Parse(p["realm"])
			if err != nil || realm.Host == "" || realm.Scheme != "https" && (realm.Scheme != "http" || !r.ref.loopback()) {
				return errors.New("the registry's token server is at no address that can be asked")
			}
			realm.User = nil
			q := realm.Query()
			if p["service"] != "" {
				q.Set("service", p["service"])
			}
			q.Set("scope", "repository:"+r.ref.repository+":pull")
			realm.RawQuery = q.Encode()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, realm.String(), nil)
			if err != nil {
				return errors.New("the registry's token server is at no address that can be asked")
			}
			req.Header.Set("User-Agent", r.agent)
			// As Docker does, the login goes to the realm that the registry names, over TLS: token servers have other
			// hosts than their registries (auth.docker.io). A redirect from there does not take it on.
			if known {
				req.SetBasicAuth(user, password)
			}
			return r.token(req)
		}
	}
	return errors.New("the registry asks for a login in a way that is not known")
}

// token asks a token server.
func (r *registry) token(req *http.Request) error {
	resp, err := r.client.Do(req)
	if err != nil {
		return fmt.Errorf("token server: %w", plainError(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the token server %s answered %d %s", req.URL.Host, resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	var t struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
	}
	b, err := bounded.ReadAll(resp.Body, maxToken, "token")
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	if t.Token = cmp.Or(t.Token, t.AccessToken); err != nil || t.Token == "" || strings.ContainsAny(t.Token, "\r\n") {
		return errors.New("the token server gave no token")
	}
	r.authorization = "Bearer " + t.Token
	return nil
}

// parameters reads the parameters of a challenge: name="value",… (RFC 9110, section 11.2).
func parameters(s string) map[string]string {
	out := map[string]string{}
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		var value string
		if inner, quoted := strings.CutPrefix(rest, `"`); quoted {
			value, s, _ = strings.Cut(inner, `"`)
		} else {
			value, s, _ = strings.Cut(rest, ",")
		}
		out[strings.ToLower(strings.Trim(name, ", "))] = value
		s = strings.TrimLeft(s, ", ")
	}
	return out
}

// idle is the body of an answer. A read for which nothing comes for a while ends the request.
type idle struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

var errIdle = fmt.Errorf("nothing came for %v", idleTimeout)

func newIdle(ctx context.Context, body io.ReadCloser, cancel context.CancelCauseFunc) *idle {
	timer := time.AfterFunc(idleTimeout, func() { cancel(errIdle) })
	timer.Stop()
	return &idle{body, ctx, cancel, timer}
}

func (i *idle) Read(p []byte) (int, error) {
	i.timer.Reset(idleTimeout)
	defer i.timer.Stop()
	n, err := i.ReadCloser.Read(p)
	if err != nil && errors.Is(context.Cause(i.ctx), errIdle) {
		err = errIdle
	}
	return n, err
}

func (i *idle) Close() error {
	i.cancel(nil)
	return i.ReadCloser.Close()
}
