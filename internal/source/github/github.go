// Package github makes claims of GitHub's malware advisories in the shape of its
// REST API, GET /advisories?type=malware
// (https://docs.github.com/en/rest/security-advisories/global-advisories):
// from the API ([New]) or from a saved answer ([Open]). The same advisories as
// OSV files are package osvfeed's.
//
// Flow: pages, oldest change first → one document per advisory → [Parse] → one
// claim per package.
//
// Promise: the token goes to the one host it was given for and into no message;
// every answer is bounded; a page is used wholly or not at all, and what was
// fetched before an error is not taken for the whole.
package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/source"
)

// DefaultBase is GitHub's API.
const DefaultBase = "https://api.github.com"

// Name is what the source is called: the same as in the upstream repository's
// origins, so that a copy there is not a second finder.
const Name = "ghsa-malware"

// Bounds of what is read.
const (
	maxPage    = 64 << 20
	maxPages   = 100_000
	maxFile    = 512 << 20
	maxObjects = 2_000_000
)

// Options say how to reach the API.
type Options struct {
	// Token is a GitHub token, "" for none: 60 requests an hour are free. It is sent only to
	// the API's host, and only over https (or to this machine).
	Token string
	// Client is used for HTTP, with its own redirects refused; nil is one with timeouts and
	// the proxy of the environment.
	Client *http.Client
	// Version is the program's, for the User-Agent "rapsheet/<version>".
	Version string
	// Logger is told of waits; nil is silence.
	Logger *slog.Logger
	// MaxWait is how long one wait for the rate limit may be; 0 is 15 minutes.
	MaxWait time.Duration

	backoff time.Duration // for tests; 0 is one second
	timeout time.Duration // of one request, for tests; 0 is two minutes
}

// Source is a source of GitHub advisories; make one with [New] or [Open].
type Source struct {
	read   func(ctx context.Context, since string, s *Source) iter.Seq2[source.Document, error]
	cursor string
}

// New reads the advisories from the API at base, a URL; "" is [DefaultBase]. A
// cursor is the time of the newest change that was seen, as RFC 3339. It fails
// on a URL that is none, has credentials, or would show the token to the network.
func New(base string, o Options) (*Source, error) {
	c, err := newClient(base, o)
	if err != nil {
		return nil, fmt.Errorf("GitHub advisories: %w", err)
	}
	return &Source{read: func(ctx context.Context, since string, s *Source) iter.Seq2[source.Document, error] {
		return func(yield func(source.Document, error) bool) {
			cursor, err := c.fetch(ctx, since, yield)
			switch {
			case errors.Is(err, errStop):
			case err != nil:
				yield(source.Document{}, fmt.Errorf("GitHub advisories: %w", err))
			default:
				s.cursor = cursor
			}
		}
	}}, nil
}

// Open reads a saved answer: a JSON list of advisories, or one. It has no cursor.
func Open(path string) *Source {
	return &Source{read: func(ctx context.Context, _ string, _ *Source) iter.Seq2[source.Document, error] {
		return func(yield func(source.Document, error) bool) {
			if err := readFile(ctx, path, yield); err != nil && !errors.Is(err, errStop) {
				yield(source.Document{}, fmt.Errorf("%s: %w", path, err))
			}
		}
	}}
}

// Info describes the source; its Kind is "github". It is not complete: advisories
// are withdrawn, not removed.
func (s *Source) Info() source.Info { return source.Info{Name: Name, Kind: "github"} }

// Fetch streams the advisories changed at since, an earlier Cursor, or later;
// "" is all. A source that gives none at all is [source.ErrNoRecords].
func (s *Source) Fetch(ctx context.Context, since string) iter.Seq2[source.Document, error] {
	return s.read(ctx, since, s)
}

// Cursor is where the next Fetch goes on.
func (s *Source) Cursor() string { return s.cursor }

// Parse is [Parse].
func (s *Source) Parse(doc source.Document) (source.Parsed, error) { return Parse(doc) }

var _ source.Source = (*Source)(nil)

var errStop = errors.New("stop")

func readFile(ctx context.Context, path string, yield func(source.Document, error) bool) error {
	f, err := os.Open(path)
	if err != nil {
		return source.Unnamed(err)
	}
	defer f.Close()
	data, err := bounded.ReadAll(f, maxFile, "file")
	if err != nil {
		return err
	}
	list, err := split(data)
	if err != nil {
		return err
	}
	for _, a := range list {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		if !yield(a.document, nil) {
			return errStop
		}
	}
	if len(list) == 0 {
		return source.ErrNoRecords
	}
	return nil
}

// advisory is one element of an answer, as found.
type advisory struct {
	document source.Document
	updated  time.Time
}

// loose takes apart what is judged later, one advisory at a time: a fault in one
// is not the page's.
var loose = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// split takes an answer apart. It fails on an answer that is not a list of
// objects, or one object, to its end.
func split(data []byte) ([]advisory, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	trimmed := bytes.TrimSpace(data)
	switch {
	case len(trimmed) == 0:
		return nil, fmt.Errorf("empty: %w", source.ErrNoRecords)
	case trimmed[0] == '<':
		return nil, errors.New("a page of HTML or XML, perhaps a login page, instead of advisories")
	case trimmed[0] == '{':
		trimmed = append(append([]byte{'['}, trimmed...), ']')
	case trimmed[0] != '[':
		return nil, errors.New("not JSON")
	}
	dec := jsontext.NewDecoder(bytes.NewReader(trimmed), loose)
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	var list []advisory
	for dec.PeekKind() != ']' {
		v, err := dec.ReadValue()
		if err != nil {
			return nil, damaged(err)
		}
		if v.Kind() != '{' {
			return nil, fmt.Errorf("advisory %d is not an object", len(list)+1)
		}
		if len(list) == maxObjects {
			return nil, fmt.Errorf("more than %d advisories", maxObjects)
		}
		a := advisory{document: source.Document{Name: fmt.Sprintf("advisory %d", len(list)+1), Data: bytes.Clone(v)}}
		var about struct {
			ID      string `json:"ghsa_id"`
			Updated string `json:"updated_at"`
		}
		// One that says neither still is a document; its fault is Parse's to tell.
		if err := json.Unmarshal(v, &about, loose); err == nil {
			if ghsaID.MatchString(about.ID) {
				a.document.Name = about.ID
			}
			if t, err := time.Parse(time.RFC3339, about.Updated); err == nil {
				a.updated = t
			}
		}
		list = append(list, a)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, damaged(err)
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return nil, errors.New("there is more behind the end of the list")
	}
	return list, nil
}

func damaged(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("cut off: %w", io.ErrUnexpectedEOF)
	}
	return err
}
