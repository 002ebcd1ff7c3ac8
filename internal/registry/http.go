package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/httpretry"
)

// Bounds of talking to a registry.
const (
	headerTimeout = 30 * time.Second
	bodyTimeout   = 5 * time.Minute
	maxBody       = 64 << 20 // bytes of one answer, decompressed
	maxAttempts   = 5
	firstBackoff  = time.Second
	maxBackoff    = 30 * time.Second
	maxRetryAfter = 2 * time.Minute
	maxRedirects  = 5
)

// StatusError is an answer that is not the one asked for.
type StatusError struct {
	URL    string // without credentials, query and fragment
	Status int
}

func (e *StatusError) Error() string {
	hint := ""
	switch e.Status {
	case http.StatusUnauthorized:
		hint = " (no credentials, or wrong ones)"
	case http.StatusForbidden:
		hint = " (the credentials do not suffice)"
	}
	return fmt.Sprintf("%s: %d %s%s", e.URL, e.Status, http.StatusText(e.Status), hint)
}

// Is makes 404 and 410 an [fs.ErrNotExist].
func (e *StatusError) Is(target error) bool {
	return target == fs.ErrNotExist && (e.Status == http.StatusNotFound || e.Status == http.StatusGone)
}

var (
	errRedirects = fmt.Errorf("more than %d redirects", maxRedirects)
	errDowngrade = errors.New("redirect from https to http")
	errRedirect  = errors.New("redirect to nowhere")
	errSlow      = errors.New("the answer takes too long")
	errName      = errors.New("the name cannot stand in a path")
	errSecret    = errors.New("the request failed (the reason is not shown: it has a credential in it)")
	errProxy     = errors.New("the proxy that the environment names has no valid address")
)

// client talks to one registry. It is safe for concurrent use.
type client struct {
	base  *url.URL // without credentials, path without a slash at the end
	rt    http.RoundTripper
	auth  credentials
	agent string
	log   *slog.Logger
	// backoff is the pause before the second attempt; it doubles. header and body are
	// the longest times to the header and to the end of an answer.
	backoff, header, body time.Duration
	maxBody               int64 // bytes of one answer, decompressed
	// askArchives is that of [Options].
	askArchives bool
	// every is the time between the starts of two requests.
	every time.Duration

	mu   sync.Mutex
	next time.Time // when the next request may start
}

// newTransport gives rt, or the standard transport with bounds. It is used without an [http.Client], which would carry
// a product's own header, such as PRIVATE-TOKEN, along a redirect to any host, and repeats addresses in its errors.
func newTransport(rt http.RoundTripper) http.RoundTripper {
	if rt != nil {
		return rt
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = parallel
	t.MaxResponseHeaderBytes = 1 << 20
	return t
}

// request is one question to the registry.
type request struct {
	method string // "" is GET
	url    *url.URL
	accept string
	header map[string]string
	body   string
	// html allows an HTML answer, which elsewhere is taken for a login page; head wants no body.
	html, head bool
	// once asks one time only.
	once  bool
	limit int64 // of the answer in bytes; 0 is the client's
}

// answer is a whole answer with status 200.
type answer struct {
	data   []byte
	header http.Header
	url    *url.URL // after redirects
}

// at gives the URL of a path below the registry's address; each element is one segment, whatever is in it.
func (c *client) at(elems ...string) (*url.URL, error) {
	u := *c.base
	raw := u.EscapedPath()
	for _, e := range elems {
		if e == "" || e == "." || e == ".." {
			return nil, errName
		}
		u.Path += "/" + e
		raw += "/" + url.PathEscape(e)
	}
	u.RawPath = raw
	return &u, nil
}

// atPath is at for a path of several segments; empty ones are left out.
func (c *client) atPath(prefix []string, path string) (*url.URL, error) {
	elems := prefix[:len(prefix):len(prefix)]
	for e := range strings.SplitSeq(path, "/") {
		if e != "" {
			elems = append(elems, e)
		}
	}
	return c.at(elems...)
}

// join adds a path that needs no escaping, which begins without a slash; unlike [url.URL.JoinPath] it keeps what is there.
func join(u *url.URL, path string) *url.URL {
	v := *u
	if v.RawPath != "" {
		v.RawPath = strings.TrimRight(v.RawPath, "/") + "/" + path
	}
	v.Path = strings.TrimRight(v.Path, "/") + "/" + path
	return &v
}

func withQuery(u *url.URL, pairs ...string) *url.URL {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	v := *u
	v.RawQuery = q.Encode()
	return &v
}

// shown is u for messages, locations and evidence: without what may be a secret.
func shown(u *url.URL) string {
	s := *u
	s.User, s.RawQuery, s.Fragment, s.RawFragment = nil, "", "", ""
	return s.String()
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(hostPort(a), hostPort(b))
}

func hostPort(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	case u.Scheme == "http":
		port = "80"
	}
	return u.Hostname() + ":" + port
}

// temporary marks an error worth another attempt, after a time if the server said one.
type temporary struct {
	err   error
	after time.Duration
}

func (t *temporary) Error() string { return t.err.Error() }
func (t *temporary) Unwrap() error { return t.err }

// do asks until there is an answer with status 200, an error for good, or maxAttempts are made. Only questions
// that change nothing are asked, so each may be asked again.
func (c *client) do(ctx context.Context, r request) (*answer, error) {
	wait := c.backoff
	for n := 1; ; n++ {
		a, err := c.attempt(ctx, r)
		if err == nil {
			return a, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var t *temporary
		if !errors.As(err, &t) {
			return nil, err
		}
		if r.once {
			return nil, t.err
		}
		if n == maxAttempts {
			return nil, fmt.Errorf("%w (after %d attempts)", t.err, n)
		}
		if t.after > maxRetryAfter {
			return nil, fmt.Errorf("%w (the server asks to come back in %v)", t.err, t.after)
		}
		// Jitter keeps many clients from coming back in step.
		pause := max(wait/2+rand.N(wait/2+1), t.after)
		c.log.Info("trying again", "error", t.err, "attempt", n, "pause", pause)
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
		wait = min(2*wait, maxBackoff)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// turn waits until the rate allows a request.
func (c *client) turn(ctx context.Context) error {
	if c.every <= 0 {
		return nil
	}
	c.mu.Lock()
	now := time.Now()
	at := c.next
	if at.Before(now) {
		at = now
	}
	c.next = at.Add(c.every)
	c.mu.Unlock()
	return sleep(ctx, at.Sub(now))
}

// attempt asks once, following redirects. Credentials go to the registry's own scheme, host and port only, and
// no more once another host had a say in where to go.
func (c *client) attempt(ctx context.Context, r request) (*answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(c.header, func() { cancel(errSlow) })
	defer watch.Stop()
	at, trusted := r.url, true
	for hop := 0; ; hop++ {
		if err := c.turn(ctx); err != nil {
			return nil, err
		}
		watch.Reset(c.header)
		trusted = trusted && sameOrigin(at, c.base)
		resp, err := c.send(ctx, r, at, trusted)
		if err != nil {
			return nil, c.failed(ctx, at, err)
		}
		to, err := location(resp, at)
		if to == nil && err == nil {
			watch.Reset(c.body)
			return c.finish(ctx, r, at, resp)
		}
		resp.Body.Close()
		switch {
		case err != nil:
		case r.method != "" && r.method != http.MethodHead:
			err = &StatusError{shown(at), resp.StatusCode}
		case hop == maxRedirects:
			err = errRedirects
		case at.Scheme == "https" && to.Scheme != "https":
			err = errDowngrade
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", shown(r.url), err)
		}
		at = to
	}
}

func (c *client) send(ctx context.Context, r request, at *url.URL, trusted bool) (*http.Response, error) {
	method := r.method
	if method == "" {
		method = http.MethodGet
	}
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	bare := *at
	bare.User, bare.Fragment = nil, ""
	req, err := http.NewRequestWithContext(ctx, method, bare.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", c.agent)
	if r.accept != "" {
		req.Header.Set("Accept", r.accept)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	if trusted {
		c.auth.authorize(req, r.body)
	}
	return c.rt.RoundTrip(req)
}

// location gives where a redirect leads, nil when resp is none.
func location(resp *http.Response, at *url.URL) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" {
		return nil, errRedirect // the parser's error repeats the address
	}
	to = at.ResolveReference(to)
	if to.Scheme != "http" && to.Scheme != "https" || to.Host == "" {
		return nil, errRedirect
	}
	return to, nil
}

func (c *client) finish(ctx context.Context, r request, at *url.URL, resp *http.Response) (*answer, error) {
	defer resp.Body.Close()
	switch code := resp.StatusCode; code {
	case http.StatusOK, http.StatusPartialContent:
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		after, _ := httpretry.After(resp.Header, time.Now())
		return nil, &temporary{&StatusError{shown(at), code}, after}
	default:
		return nil, &StatusError{shown(at), code}
	}
	a := &answer{header: resp.Header, url: at}
	if r.head {
		return a, nil
	}
	limit := r.limit
	if limit == 0 {
		limit = c.maxBody
	}
	var err error
	if a.data, err = bounded.ReadAll(resp.Body, limit, "the answer"); err != nil {
		return nil, c.failed(ctx, at, err)
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if !r.html && (kind == "text/html" || bytes.HasPrefix(bytes.TrimSpace(a.data[:min(len(a.data), 512)]), []byte("<"))) {
		return nil, fmt.Errorf("%s: got HTML, perhaps a login or error page, instead of data", shown(at))
	}
	return a, nil
}

// failed makes an error of the network fit to be shown, and sorts it: most pass, what is too large does not.
func (c *client) failed(ctx context.Context, at *url.URL, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	var limit *bounded.LimitError
	switch {
	case strings.Contains(err.Error(), "invalid proxy address"):
		return fmt.Errorf("%s: %w", shown(at), errProxy) // the text repeats the proxy's URL
	case c.auth.in(err.Error()):
		return fmt.Errorf("%s: %w", shown(at), errSecret)
	case errors.As(err, &limit), errors.As(err, new(*tls.CertificateVerificationError)):
		return fmt.Errorf("%s: %w", shown(at), err)
	}
	return &temporary{err: fmt.Errorf("%s: %w", shown(at), err)}
}

// get asks for JSON below the registry's address and reads it into v.
func (c *client) get(ctx context.Context, u *url.URL, v any) (http.Header, error) {
	return c.json(ctx, request{url: u, accept: "application/json"}, v)
}

func (c *client) json(ctx context.Context, r request, v any) (http.Header, error) {
	a, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := decode(a.data, v); err != nil {
		return nil, fmt.Errorf("%s: %w", shown(a.url), err)
	}
	return a.header, nil
}

// decode reads JSON strictly: duplicate members, invalid UTF-8 and lone surrogates are errors, since two readers
// could see two packages in them. The error does not repeat what is in the document.
func decode(data []byte, v any) error {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if err := json.Unmarshal(data, v); err != nil {
		var semantic *json.SemanticError
		if errors.As(err, &semantic) {
			return fmt.Errorf("not the JSON expected, at byte %d", semantic.ByteOffset)
		}
		return errors.New("not valid JSON, or cut off")
	}
	return nil
}

// exists asks whether an archive is given out: yes, no, or unknown where the registry wants other credentials
// to say so or does not answer. A proxy that does not have the archive yet fetches it to answer.
func (c *client) exists(ctx context.Context, u *url.URL) (known, yes bool, err error) {
	_, err = c.do(ctx, request{method: http.MethodHead, url: u, head: true})
	var status *StatusError
	if errors.As(err, &status) && (status.Status == http.StatusMethodNotAllowed || status.Status == http.StatusNotImplemented) {
		_, err = c.do(ctx, request{url: u, head: true, header: map[string]string{"Range": "bytes=0-0"}})
	}
	switch {
	case err == nil:
		return true, true, nil
	case errors.As(err, &status):
		gone := errors.Is(err, fs.ErrNotExist) || status.Status == http.StatusUnavailableForLegalReasons
		return gone, false, nil
	}
	return false, false, err
}
