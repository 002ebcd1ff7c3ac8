package source

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rapsheet/rapsheet/internal/atomicfile"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/httpretry"
)

// errUnchanged says that a file still has the ETag it was asked with.
var errUnchanged = errors.New("unchanged")

// StatusError is an answer of a server that is not the file asked for.
type StatusError struct {
	URL    string // without credentials
	Status int
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: %d %s", e.URL, e.Status, http.StatusText(e.Status))
}

// Is makes a 404 an [fs.ErrNotExist].
func (e *StatusError) Is(target error) bool {
	return target == fs.ErrNotExist && e.Status == http.StatusNotFound
}

// Bounds of talking to a server.
const (
	maxAttempts   = 5
	maxBackoff    = 30 * time.Second
	maxRetryAfter = 2 * time.Minute
	maxRedirects  = 5
	idleTimeout   = 60 * time.Second
)

// remote is a dump behind HTTP.
type remote struct {
	base     *url.URL
	client   *http.Client
	agent    string
	log      *slog.Logger
	backoff  time.Duration // before the second attempt; doubles
	idle     time.Duration // longest time without a byte
	progress func(done, total int64)
}

var (
	errRedirects = fmt.Errorf("more than %d redirects", maxRedirects)
	errDowngrade = errors.New("redirect from https to http")
	errStalled   = errors.New("no data for too long")
)

// newClient has timeouts for everything but the body, which [remote] watches
// itself: a download may be slow, but not still. The proxy comes from the environment.
func newClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = 30 * time.Second
	t.MaxIdleConnsPerHost = parallelFetches
	t.MaxResponseHeaderBytes = 1 << 20
	return &http.Client{Transport: t, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return errRedirects
		}
		if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
			return errDowngrade
		}
		return nil
	}}
}

// temporary marks an error worth another attempt, after a time if the server said one.
type temporary struct {
	err   error
	after time.Duration
}

func (t *temporary) Error() string { return t.err.Error() }
func (t *temporary) Unwrap() error { return t.err }

// retry runs attempt until it succeeds, fails for good, or maxAttempts.
func (r *remote) retry(ctx context.Context, attempt func() error) error {
	wait := r.backoff
	for n := 1; ; n++ {
		err := attempt()
		if cause := context.Cause(ctx); err != nil && cause != nil {
			return cause
		}
		var t *temporary
		if !errors.As(err, &t) {
			return err
		}
		if n == maxAttempts {
			return fmt.Errorf("%w (after %d attempts)", t.err, n)
		}
		if t.after > maxRetryAfter {
			return fmt.Errorf("%w (the server asks to come back in %v)", t.err, t.after)
		}
		// Jitter keeps many clients from coming back in step.
		pause := max(wait/2+rand.N(wait/2+1), t.after)
		r.log.Info("trying again", "error", t.err, "attempt", n, "pause", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		wait = min(2*wait, maxBackoff)
	}
}

// do sends one request. The caller handles status 200, 206, 304 and 416; others
// are errors. Closing the body frees the request.
func (r *remote) do(ctx context.Context, u *url.URL, header map[string]string) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	watch := time.AfterFunc(r.idle, func() { cancel(errStalled) })
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		cancel(err)
		return nil, err
	}
	req.Header.Set("User-Agent", r.agent)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		watch.Stop()
		stalled := context.Cause(ctx) == errStalled
		cancel(nil)
		return nil, r.failed(u, err, stalled)
	}
	resp.Body = &watchedBody{resp.Body, r, u, ctx, cancel, watch}
	switch code := resp.StatusCode; {
	case code == http.StatusOK, code == http.StatusPartialContent, code == http.StatusNotModified, code == http.StatusRequestedRangeNotSatisfiable:
		if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "text/html" && code == http.StatusOK {
			resp.Body.Close()
			return nil, fmt.Errorf("%s: got text/html, perhaps a login or error page, instead of the file", shown(u))
		}
		return resp, nil
	case code == http.StatusTooManyRequests, code >= 500, code == http.StatusRequestTimeout:
		resp.Body.Close()
		after, _ := httpretry.After(resp.Header, time.Now())
		return nil, &temporary{&StatusError{shown(u), code}, after}
	default:
		resp.Body.Close()
		return nil, &StatusError{shown(u), code}
	}
}

// failed sorts errors of the network: most pass, a redirect that is refused does not.
func (r *remote) failed(u *url.URL, err error, stalled bool) error {
	if stalled {
		err = errStalled
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err // its text repeats the URL, with credentials
	}
	err = fmt.Errorf("%s: %w", shown(u), err)
	if errors.Is(err, errRedirects) || errors.Is(err, errDowngrade) {
		return err
	}
	return &temporary{err: err}
}

// watchedBody fails a read when no byte came for the idle time.
type watchedBody struct {
	io.ReadCloser
	r      *remote
	u      *url.URL
	ctx    context.Context
	cancel context.CancelCauseFunc
	watch  *time.Timer
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.watch.Reset(b.r.idle)
	if err != nil && err != io.EOF {
		err = b.r.failed(b.u, err, context.Cause(b.ctx) == errStalled)
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.watch.Stop()
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}

func (r *remote) url(elems []string) *url.URL {
	escaped := make([]string, len(elems))
	for i, e := range elems {
		escaped[i] = url.PathEscape(e)
	}
	return r.base.JoinPath(escaped...)
}

func (r *remote) String() string { return shown(r.base) }

// shown is u for messages and files: without what may be a secret.
func shown(u *url.URL) string {
	s := *u
	s.User, s.RawQuery, s.Fragment = nil, "", ""
	return s.String()
}

func (r *remote) get(ctx context.Context, limit int64, etag string, elems ...string) (data []byte, newETag string, err error) {
	u := r.url(elems)
	var header map[string]string
	if etag != "" {
		header = map[string]string{"If-None-Match": etag}
	}
	err = r.retry(ctx, func() error {
		resp, err := r.do(ctx, u, header)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusNotModified && etag != "" {
			return errUnchanged
		}
		if resp.StatusCode != http.StatusOK {
			return &StatusError{shown(u), resp.StatusCode}
		}
		newETag = resp.Header.Get("ETag")
		data, err = bounded.ReadAll(resp.Body, limit, shown(u))
		return err
	})
	return data, newETag, err
}

func (r *remote) close() {}

// partial is what an unfinished download is of; it is stored beside it.
type partial struct {
	URL  string `json:"url"`
	ETag string `json:"etag"`
	Size int64  `json:"size"`
}

// archive downloads <ecosystem>/all.zip into dir, taking up an earlier download
// of the same thing where it stopped. done removes the file.
func (r *remote) archive(ctx context.Context, dir, ecosystem string) (f *os.File, done func(), err error) {
	u := r.url([]string{ecosystem, "all.zip"})
	path := filepath.Join(dir, url.PathEscape(ecosystem)+".zip.partial")
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, nil, err
	}
	done = func() {
		f.Close()
		os.Remove(path)
		os.Remove(path + ".json")
	}
	err = r.retry(ctx, func() error { return r.download(ctx, u, f, path+".json") })
	if err != nil {
		// What arrived stays for the next time, unless it is known to be wrong.
		if errors.Is(err, ErrDamaged) {
			done()
		} else {
			f.Close()
		}
		return nil, nil, err
	}
	return f, done, nil
}

// download is one attempt: it asks for what f lacks and checks the whole.
func (r *remote) download(ctx context.Context, u *url.URL, f *os.File, notePath string) error {
	have, header := resume(u, f, notePath)
	resp, err := r.do(ctx, u, header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	total := resp.ContentLength
	switch resp.StatusCode {
	case http.StatusOK:
		have = 0
		if err := f.Truncate(0); err != nil {
			return err
		}
		// A weak ETag does not promise the same bytes, so nothing can be taken up later.
		note := partial{shown(u), resp.Header.Get("ETag"), total}
		if note.ETag != "" && !strings.HasPrefix(note.ETag, "W/") && total > 0 {
			if err := writeNote(notePath, note); err != nil {
				return err
			}
		} else {
			os.Remove(notePath)
		}
	case http.StatusPartialContent:
		start, size, ok := contentRange(resp.Header.Get("Content-Range"))
		etag := resp.Header.Get("ETag")
		if !ok || start != have || etag != "" && etag != header["If-Range"] {
			os.Remove(notePath)
			return &temporary{err: fmt.Errorf("%s: asked for bytes from %d, got %.80q", shown(u), have, resp.Header.Get("Content-Range"))}
		}
		total = size
	default:
		os.Remove(notePath)
		return &temporary{err: &StatusError{shown(u), resp.StatusCode}}
	}
	const limit = 8 << 30
	if total > limit {
		return &bounded.LimitError{What: shown(u), Limit: limit}
	}
	if _, err := f.Seek(have, io.SeekStart); err != nil {
		return err
	}
	r.progress(have, total)
	n, err := io.Copy(f, bounded.Reader(&progressReader{resp.Body, have, total, r.progress}, limit-have, shown(u)))
	if err != nil {
		return err
	}
	if total >= 0 && have+n != total {
		return &temporary{err: fmt.Errorf("%s: got %d bytes of %d", shown(u), have+n, total)}
	}
	want, ok := googleCRC(resp.Header)
	if !ok {
		return nil
	}
	got, err := fileCRC(f)
	if err != nil {
		return err
	}
	if got != want {
		os.Remove(notePath)
		return fmt.Errorf("%s: crc32c is %08x, the server says %08x: %w", shown(u), got, want, ErrDamaged)
	}
	return nil
}

// resume says how much of u is in f already, and how to ask for the rest.
func resume(u *url.URL, f *os.File, notePath string) (have int64, header map[string]string) {
	// Without this the transport asks for gzip, and lengths are of something else.
	header = map[string]string{"Accept-Encoding": "identity"}
	var note partial
	nf, err := os.Open(notePath)
	if err != nil {
		return 0, header
	}
	defer nf.Close()
	data, err := bounded.ReadAll(nf, 64<<10, notePath)
	if err != nil || json.Unmarshal(data, &note) != nil || note.URL != shown(u) || note.ETag == "" {
		return 0, header
	}
	info, err := f.Stat()
	if err != nil || info.Size() == 0 || info.Size() >= note.Size {
		return 0, header
	}
	header["Range"] = fmt.Sprintf("bytes=%d-", info.Size())
	header["If-Range"] = note.ETag
	return info.Size(), header
}

func writeNote(path string, note partial) error {
	data, err := json.Marshal(note)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, 0o644, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// contentRange reads "bytes <start>-<end>/<size>" (RFC 9110, section 14.4).
func contentRange(s string) (start, size int64, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes ")
	span, total, cut := strings.Cut(s, "/")
	first, last, dash := strings.Cut(span, "-")
	start, err1 := strconv.ParseInt(first, 10, 64)
	end, err2 := strconv.ParseInt(last, 10, 64)
	size, err3 := strconv.ParseInt(total, 10, 64)
	ok = ok && cut && dash && err1 == nil && err2 == nil && err3 == nil && start >= 0 && end == size-1
	return start, size, ok
}

// googleCRC reads the CRC-32C of Google's storage, base64 of four bytes in network
// order (https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash).
func googleCRC(h http.Header) (uint32, bool) {
	for _, line := range h.Values("X-Goog-Hash") {
		for part := range strings.SplitSeq(line, ",") {
			v, ok := strings.CutPrefix(strings.TrimSpace(part), "crc32c=")
			if !ok {
				continue
			}
			if b, err := base64.StdEncoding.DecodeString(v); err == nil && len(b) == 4 {
				return binary.BigEndian.Uint32(b), true
			}
		}
	}
	return 0, false
}

func fileCRC(f *os.File) (uint32, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	if _, err := io.Copy(h, f); err != nil {
		return 0, err
	}
	return h.Sum32(), nil
}

type progressReader struct {
	r           io.Reader
	done, total int64
	tell        func(done, total int64)
}

func (p *progressReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.done += int64(n)
	p.tell(p.done, p.total)
	return n, err
}
