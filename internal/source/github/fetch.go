package github

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/httpretry"
	"github.com/rapsheet/rapsheet/internal/source"
)

// Bounds of talking to the server.
const (
	maxAttempts    = 5
	maxBackoff     = 30 * time.Second
	defaultMaxWait = 15 * time.Minute
	requestTimeout = 2 * time.Minute
	// futureLimit is how far ahead a clock may be: a cursor beyond it would hide later changes.
	futureLimit = 24 * time.Hour
)

// client talks to the API.
type client struct {
	Options
	base *url.URL
	http *http.Client
	log  *slog.Logger
}

func newClient(base string, o Options) (*client, error) {
	if base == "" {
		base = DefaultBase
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("the base is not an http or https URL") // err would repeat it
	}
	if u.User != nil {
		return nil, errors.New("the base has credentials; give the token apart")
	}
	if o.Token != "" && u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, errors.New("a token is not sent over http")
	}
	cl := &client{Options: o, base: u, log: o.Logger}
	if cl.log == nil {
		cl.log = slog.New(slog.DiscardHandler)
	}
	if cl.backoff == 0 {
		cl.backoff = time.Second
	}
	if cl.timeout == 0 {
		cl.timeout = requestTimeout
	}
	if cl.MaxWait <= 0 {
		cl.MaxWait = defaultMaxWait
	}
	if cl.Version == "" {
		cl.Version = "devel"
	}
	h := http.Client{}
	if o.Client != nil {
		h = *o.Client
	}
	h.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		switch {
		case !sameHost(req.URL, u):
			return errElsewhere
		case len(via) > 3:
			return errors.New("more than 3 redirects")
		}
		return nil
	}
	cl.http = &h
	return cl, nil
}

var errElsewhere = errors.New("the server points to another host")

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func sameHost(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host) && a.User == nil
}

// fetch goes through the pages and gives the cursor for the next time.
func (c *client) fetch(ctx context.Context, since string, yield func(source.Document, error) bool) (cursor string, err error) {
	newest := time.Time{}
	query := url.Values{"type": {"malware"}, "per_page": {"100"}, "sort": {"updated"}, "direction": {"asc"}}
	if since != "" {
		if newest, err = time.Parse(time.RFC3339, since); err != nil {
			return "", fmt.Errorf("cursor %.40q is not a time", since)
		}
		query.Set("modified", ">="+newest.UTC().Format(time.RFC3339))
	}
	next := c.base.JoinPath("advisories")
	next.RawQuery = query.Encode()
	seen := make(map[string]bool)
	documents := 0
	latest := time.Now().Add(futureLimit)
	for page := 1; next != nil; page++ {
		if page > maxPages || seen[next.String()] {
			return "", fmt.Errorf("page %d: the pages do not end", page)
		}
		seen[next.String()] = true
		list, link, err := c.page(ctx, next)
		if err != nil {
			return "", fmt.Errorf("page %d: %w", page, err)
		}
		for _, a := range list {
			if a.updated.After(newest) && a.updated.Before(latest) {
				newest = a.updated
			}
			if documents++; documents > maxObjects {
				return "", fmt.Errorf("more than %d advisories", maxObjects)
			}
			if !yield(a.document, nil) {
				return "", errStop
			}
		}
		if next, err = c.following(next, link); err != nil {
			return "", fmt.Errorf("page %d: %w", page, err)
		}
		if len(list) == 0 && next != nil {
			return "", fmt.Errorf("page %d: empty, and yet there is a next one", page)
		}
	}
	if documents == 0 && since == "" {
		return "", source.ErrNoRecords
	}
	if newest.IsZero() {
		return "", nil
	}
	return newest.UTC().Format(time.RFC3339), nil
}

// following reads the next page's URL from the Link header (RFC 8288); nil when
// there is none.
func (c *client) following(from *url.URL, links []string) (*url.URL, error) {
	for _, header := range links {
		for part := range strings.SplitSeq(header, ",") {
			target, params, ok := strings.Cut(strings.TrimSpace(part), ">")
			if !ok || !strings.HasPrefix(target, "<") || !isNext(params) {
				continue
			}
			u, err := from.Parse(target[1:])
			if err != nil {
				return nil, errors.New("the link to the next page is not a URL")
			}
			if !sameHost(u, c.base) {
				return nil, errElsewhere
			}
			return u, nil
		}
	}
	return nil, nil
}

func isNext(params string) bool {
	for p := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(key, "rel") && strings.EqualFold(strings.Trim(value, `"`), "next") {
			return true
		}
	}
	return false
}

// again marks an error worth another attempt, after a time if the server said one.
type again struct {
	err   error
	after time.Duration
}

func (a *again) Error() string { return a.err.Error() }

// page gets one page. Waits are for the rate limit
// (https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api)
// and for what may pass.
func (c *client) page(ctx context.Context, u *url.URL) ([]advisory, []string, error) {
	wait := c.backoff
	for n := 1; ; n++ {
		list, link, err := c.once(ctx, u)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			return nil, nil, cause
		}
		var a *again
		if !errors.As(err, &a) {
			return list, link, err
		}
		pause := max(wait, a.after)
		if a.after > c.MaxWait {
			return nil, nil, fmt.Errorf("%w (the rate limit is over in %v; the longest wait is %v)", a.err, a.after.Round(time.Second), c.MaxWait)
		}
		if n == maxAttempts {
			return nil, nil, fmt.Errorf("%w (after %d attempts)", a.err, n)
		}
		c.log.Info("trying again", "error", a.err, "attempt", n, "pause", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
		wait = min(2*wait, maxBackoff)
	}
}

func (c *client) once(ctx context.Context, u *url.URL) ([]advisory, []string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	req.Header.Set("User-Agent", "rapsheet/"+c.Version)
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if errors.Is(err, errElsewhere) {
			return nil, nil, errElsewhere
		}
		return nil, nil, &again{err: err}
	}
	defer resp.Body.Close()
	if err := status(resp, u); err != nil {
		return nil, nil, err
	}
	data, err := bounded.ReadAll(resp.Body, maxPage, "page")
	var limit *bounded.LimitError
	switch {
	case errors.As(err, &limit):
		return nil, nil, err
	case err != nil:
		return nil, nil, &again{err: damaged(err)}
	}
	list, err := split(data)
	return list, resp.Header.Values("Link"), err
}

// status sorts the answers that are not a page.
func status(resp *http.Response, u *url.URL) error {
	shown := *u
	shown.RawQuery = ""
	err := &source.StatusError{URL: shown.String(), Status: resp.StatusCode}
	after := retryAfter(resp.Header, time.Now())
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "text/html" {
			return fmt.Errorf("%s: got text/html, perhaps a login page, instead of advisories", shown.String())
		}
		return nil
	case code == http.StatusTooManyRequests, code == http.StatusForbidden && after > 0, code >= 500:
		return &again{err, after}
	}
	return err
}

// retryAfter is how long the server asks to wait: Retry-After (RFC 9110, section
// 10.2.3), or until x-ratelimit-reset, in seconds since 1970, when nothing remains.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if after, ok := httpretry.After(h, now); ok {
		return after
	}
	if h.Get("X-Ratelimit-Remaining") != "0" {
		return 0
	}
	n, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return 0
	}
	// A second more: the clocks differ, and an early request counts against the limit.
	return max(time.Unix(n, 0).Sub(now), 0) + time.Second
}
