package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

// The overlay: a registry below [npmPrefix] that answers audits and leaves all else to the upstream registry. It redirects, so
// that no bytes of packages go through the server; or it passes requests through, for upstreams that ask for credentials,
// which clients do not send to another host after a redirect.

const (
	// npmUpstreamHeader says in an answer to an audit whether the upstream registry's is in it: "merged" or "unavailable".
	npmUpstreamHeader = "Rapsheet-Upstream"
	// npmMergeLimit bounds bodies that are sent on, as the client sent them; larger ones are answered by the catalog alone.
	npmMergeLimit = 8 << 20
	// npmAnswerLimit bounds the upstream's answer, decompressed.
	npmAnswerLimit = 32 << 20
	// defaultNPMTimeout is for the upstream's answer to an audit: npm install waits for it too.
	defaultNPMTimeout = 5 * time.Second
	npmHeaderTimeout  = 30 * time.Second
	npmIdlePerHost    = 128
)

// npmCopy keeps what is written to it, up to [npmMergeLimit].
type npmCopy struct {
	buf   bytes.Buffer
	large bool
}

func (c *npmCopy) Write(p []byte) (int, error) {
	if c.large = c.large || c.buf.Len()+len(p) > npmMergeLimit; !c.large {
		c.buf.Write(p)
	}
	return len(p), nil
}

// npmMerge asks the upstream what the client asked, and hands the answer to merge. When there is none that can be read, the answer is
// the catalog's alone, and says so.
func (s *Server) npmMerge(w http.ResponseWriter, r *http.Request, path string, raw *npmCopy, merge func([]byte) error) {
	said := "merged"
	data, err := s.npmAsk(r, path, raw)
	if err == nil {
		err = merge(data)
	}
	if err != nil {
		said = "unavailable"
		s.log.Warn("npm audit without the upstream registry", "error", err)
	}
	w.Header().Set(npmUpstreamHeader, said)
}

// npmAsk sends a request's body on. Credentials go with it only where requests are passed through; redirects are not followed.
func (s *Server) npmAsk(r *http.Request, path string, raw *npmCopy) ([]byte, error) {
	if raw.large {
		return nil, &bounded.LimitError{What: "the question", Limit: npmMergeLimit}
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.conf.NPMTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, npmTarget(s.conf.NPMUpstream, path, ""), bytes.NewReader(raw.buf.Bytes()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", jsonType)
	req.Header.Set("Accept", jsonType)
	req.Header.Set("User-Agent", "rapsheet")
	if e := r.Header.Get("Content-Encoding"); e != "" {
		req.Header.Set("Content-Encoding", e)
	}
	if a := r.Header.Get("Authorization"); a != "" && s.conf.NPMPassThrough {
		req.Header.Set("Authorization", a)
	}
	resp, err := s.npm.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the upstream registry answers %d", resp.StatusCode)
	}
	return bounded.ReadAll(resp.Body, npmAnswerLimit, "the upstream registry's answer")
}

var errNPMAnswer = errors.New("the upstream registry's answer has another form")

// merge adds the upstream's advisories after ours. Nothing is changed when they cannot be read.
func (b npmBulk) merge(data []byte) error {
	var theirs npmBulk
	if err := json.Unmarshal(data, &theirs); err != nil {
		return errNPMAnswer
	}
	for _, list := range theirs {
		for _, v := range list {
			if v.Kind() != '{' {
				return errNPMAnswer
			}
		}
	}
	for name, list := range theirs {
		b[name] = append(b[name], list...)
	}
	return nil
}

// merge adds the upstream's report to ours. Nothing is changed when it cannot be read.
func (r *npmReport) merge(data []byte) error {
	var theirs npmReport
	if err := json.Unmarshal(data, &theirs); err != nil {
		return errNPMAnswer
	}
	for _, list := range [][]jsontext.Value{theirs.Actions, theirs.Muted} {
		for _, v := range list {
			if v.Kind() != '{' {
				return errNPMAnswer
			}
		}
	}
	for _, v := range theirs.Advisories {
		if v.Kind() != '{' {
			return errNPMAnswer
		}
	}
	r.Actions = append(r.Actions, theirs.Actions...)
	r.Muted = append(r.Muted, theirs.Muted...)
	ours := r.Advisories
	r.Advisories = map[string]jsontext.Value{}
	maps.Copy(r.Advisories, theirs.Advisories)
	maps.Copy(r.Advisories, ours)
	m, t := &r.Metadata, &theirs.Metadata
	m.Vulnerabilities.Info += t.Vulnerabilities.Info
	m.Vulnerabilities.Low += t.Vulnerabilities.Low
	m.Vulnerabilities.Moderate += t.Vulnerabilities.Moderate
	m.Vulnerabilities.High += t.Vulnerabilities.High
	m.Vulnerabilities.Critical += t.Vulnerabilities.Critical
	m.Dependencies, m.Dev, m.Optional, m.Total = max(m.Dependencies, t.Dependencies), t.Dev, t.Optional, max(m.Total, t.Total)
	return nil
}

// npmTransport is how the upstream is reached.
func npmTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = npmIdlePerHost
	t.ResponseHeaderTimeout = npmHeaderTimeout
	return t
}

// npmOverlay takes the requests that are for the upstream registry, and leaves the others to next.
func (s *Server) npmOverlay(next http.Handler) http.Handler {
	if s.conf.NPMUpstream == nil {
		return next
	}
	var proxy *httputil.ReverseProxy
	if s.conf.NPMPassThrough {
		proxy = s.npmProxy()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, ok := npmRest(r)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		r.Pattern = npmPrefix + "/"
		if !npmPath(rest) {
			_ = answer(w, http.StatusBadRequest, map[string]string{"error": "no registry has such a path"})
			return
		}
		if proxy != nil {
			proxy.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Location", npmTarget(s.conf.NPMUpstream, rest, r.URL.RawQuery))
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
}

// npmRest gives the part of a path that is the upstream's, as it is escaped in the request; ok is false for a request that is
// answered here.
func npmRest(r *http.Request) (rest string, ok bool) {
	path := r.URL.EscapedPath()
	rest, ok = strings.CutPrefix(path, npmPrefix)
	switch {
	case ok && rest == "":
		return "/", true
	case ok && rest[0] == '/':
		audit := rest == npmBulkPath || rest == npmFullPath || rest == npmQuickPath
		return rest, !audit || r.Method != http.MethodPost
	}
	// npm's older versions ask for archives at the root of the registry's host, whatever the registry's path.
	return path, npmArchive.MatchString(path) && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// npmArchive is the path of an archive, /name/-/name-1.0.0.tgz or /@scope/name/-/name-1.0.0.tgz.
var npmArchive = regexp.MustCompile(`^/(@[^/]+(/|%2[fF]))?[^/@][^/]*/-/[^/]+\.tgz$`)

// npmPath reports whether an escaped path stays below the address that it is put behind, however often and by whatever rules it
// is cleaned: it has no empty segment, none that means a directory, and no character that some take for a slash.
func npmPath(escaped string) bool {
	path, err := url.PathUnescape(escaped)
	if err != nil || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "\\%") {
		return false
	}
	for _, c := range path {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	segments := strings.Split(path[1:], "/")
	for i, segment := range segments {
		name, _, _ := strings.Cut(segment, ";") // what follows is a parameter to some servers
		last := i == len(segments)-1
		if name == "." || name == ".." || name == "" && !(last && segment == "") {
			return false
		}
	}
	return true
}

// npmTarget is the upstream's address with an escaped path that [npmPath] has passed.
func npmTarget(upstream *url.URL, rest, query string) string {
	target := upstream.Scheme + "://" + upstream.Host + strings.TrimRight(upstream.EscapedPath(), "/") + rest
	if query != "" {
		target += "?" + query
	}
	return target
}

// npmProxy passes requests through with their credentials, and the upstream's redirects to the client. Package httputil
// leaves out hop-by-hop headers.
func (s *Server) npmProxy() *httputil.ReverseProxy {
	transport := npmTransport()
	transport.DisableCompression = true // encodings are between the client and the upstream
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			rest, _ := npmRest(p.In)
			// The path was checked, and so it parses.
			if u, err := url.Parse(npmTarget(s.conf.NPMUpstream, rest, p.In.URL.RawQuery)); err == nil {
				p.Out.URL = u
			}
			p.Out.Host = s.conf.NPMUpstream.Host
			p.In.Header.Del("Upgrade") // no registry has another protocol
			p.Out.Header.Del("Upgrade")
			p.Out.Header.Del("Connection")
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				s.log.Warn("npm request without the upstream registry", "error", err)
			}
			_ = answer(w, http.StatusBadGateway, map[string]string{"error": "the upstream registry does not answer"})
		},
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}
