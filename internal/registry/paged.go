package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
)

// Bounds of a listing.
const (
	maxCursor   = 64 << 10 // bytes
	maxEmpty    = 1000     // pages in a row with nothing in them
	maxVersions = 100_000  // of one package
	maxNames    = 5_000_000
	batch       = 16 // packages in a page, where each is asked for
	parallel    = 8  // requests under way
)

var (
	errCursor  = errors.New("the place to go on from is not one of this registry")
	errEndless = errors.New("the registry's pages do not end")
)

// service is what each product implements.
type service interface {
	// page gives the page that begins at from, "" being the beginning.
	page(ctx context.Context, from string) (Page, error)
	Holding(ctx context.Context, s rapsheet.Sighting) (rapsheet.Holding, error)
}

// paged makes a listing of a service's pages.
type paged struct {
	service
	// others counts what is of formats without records.
	others *tally
	// maxEmpty is how many pages without content may follow each other; 0 is any number.
	maxEmpty int
}

// List implements [Registry]. A cursor that comes again, at whatever distance, ends it with an error (Brent's
// algorithm: one cursor is kept, and compared with all that follow until twice as many were seen).
func (p *paged) List(ctx context.Context, from string) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		if len(from) > maxCursor {
			yield(Page{}, errCursor)
			return
		}
		kept, seen, power, empty := from, 0, 1, 0
		for {
			page, err := p.page(ctx, from)
			if err == nil && len(page.Next) > maxCursor {
				err = fmt.Errorf("the registry's cursor is longer than %d bytes", maxCursor)
			}
			if err != nil {
				yield(Page{}, err)
				return
			}
			if len(page.Sightings) == 0 {
				empty++
			} else {
				empty = 0
			}
			if page.Next != "" && (page.Next == kept || p.maxEmpty > 0 && empty > p.maxEmpty) {
				yield(Page{}, errEndless)
				return
			}
			if page.Next == "" {
				page.Notes = append(page.Notes, p.others.notes()...)
			}
			if !yield(page, nil) || page.Next == "" {
				return
			}
			from = page.Next
			if seen++; seen == power {
				kept, seen, power = from, 0, power*2
			}
		}
	}
}

// cursor is a place in a listing, in the text that [Page.Next] carries.
type cursor struct {
	// Repo is the repository that is being listed, Token the place in it: the registry's own token or the last name.
	Repo  string `json:"repo,omitzero"`
	Token string `json:"token,omitzero"`
}

// String gives "" for the beginning, which as the next page is the end.
func (c cursor) String() string {
	if c == (cursor{}) {
		return ""
	}
	b, err := json.Marshal(c)
	if err != nil {
		return "" // of two strings that came as JSON: cannot be
	}
	return string(b)
}

func parseCursor(s string) (c cursor, err error) {
	if s == "" {
		return c, nil
	}
	if json.Unmarshal([]byte(s), &c, json.RejectUnknownMembers(true)) != nil || c == (cursor{}) {
		return c, errCursor
	}
	return c, nil
}

// eachToken calls get with "" and then with the token that it gave, until there is none or after limit pages.
func eachToken(limit int, get func(token string) (next string, err error)) error {
	token := ""
	for range limit {
		next, err := get(token)
		if err != nil || next == "" {
			return err
		}
		if next == token {
			break
		}
		token = next
	}
	return errEndless
}

// parseCount reads a cursor whose token is a count, 0 at the beginning and never negative.
func parseCount(s string) (int, error) {
	c, err := parseCursor(s)
	if err != nil || c.Token == "" {
		return 0, err
	}
	n, err := strconv.Atoi(c.Token)
	if err != nil || n < 0 {
		return 0, errCursor
	}
	return n, nil
}

// tally counts, over a whole listing, what is of formats that no record can be about.
type tally struct {
	mu    sync.Mutex
	place string
	what  string // "packages", "repositories"
	count map[string]int
}

func newTally(c *client, what string) *tally {
	return &tally{place: shown(c.base), what: what, count: map[string]int{}}
}

func (t *tally) add(format string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if format = cut(format); len(t.count) < 100 || t.count[format] > 0 {
		t.count[format]++
	} else {
		t.count["others"]++
	}
}

// notes gives one note, or none, and begins anew.
func (t *tally) notes() []*rapsheet.Note {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.count) == 0 {
		return nil
	}
	total := 0
	var parts []string
	for _, f := range slices.Sorted(maps.Keys(t.count)) {
		total += t.count[f]
		parts = append(parts, fmt.Sprintf("%s %d", f, t.count[f]))
	}
	clear(t.count)
	return []*rapsheet.Note{{
		Kind: rapsheet.NoteUnmatchable, Path: t.place, Count: total,
		Message: fmt.Sprintf("%s of formats without records of malicious packages: %s", t.what, strings.Join(parts, ", ")),
	}}
}

// cut shortens a name of a format for a message.
func cut(s string) string {
	if s == "" {
		return "unnamed"
	}
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

// formats maps what products call a format to the OSV ecosystem.
var formats = map[string]string{
	"npm": "npm", "pypi": "PyPI", "python": "PyPI", "nuget": "NuGet",
	"maven": "Maven", "maven2": "Maven", "gradle": "Maven", "ivy": "Maven", "sbt": "Maven",
	"gems": "RubyGems", "gem": "RubyGems", "rubygems": "RubyGems", "ruby": "RubyGems",
	"go": "Go", "golang": "Go", "cargo": "crates.io", "composer": "Packagist",
	"cran": "CRAN", "r": "CRAN", "pub": "Pub", "hex": "Hex", "swift": "SwiftURL",
}

func ecosystemOf(format string) (*ecosystem.Ecosystem, bool) {
	return ecosystem.Find(formats[strings.ToLower(format)])
}

// sheet collects one page.
type sheet struct {
	Page
	kind    string
	refused int
}

// add takes one package version; at is the archive's address, upstream the host it was fetched from, "" when not
// known. Names are hostile: what cannot be a name or version is counted.
func (s *sheet) add(e *ecosystem.Ecosystem, name, version string, at *url.URL, upstream string, digests []rapsheet.Digest) {
	p := rapsheet.Package{Ecosystem: e.Name, Name: name, Version: version}
	if _, ok := ecosystem.KeyOf(p); !ok || !plainVersion(version) {
		s.refused++
		return
	}
	// A registry that is not public may pass on the public one's packages: then nobody says where from.
	if host := strings.ToLower(at.Hostname()); upstream == "" && e.PublicHost(host) {
		upstream = host
	}
	s.Sightings = append(s.Sightings, rapsheet.Sighting{
		Package:  p,
		Location: rapsheet.Location{Path: shown(at), Kind: s.kind},
		Evidence: rapsheet.Evidence{Origin: rapsheet.OriginRegistry, URL: shown(at), Host: upstream, Digests: digests},
	})
}

func plainVersion(v string) bool {
	// A version is checked by the rules of names: length, UTF-8, control characters.
	_, ok := ecosystem.KeyOf(rapsheet.Package{Ecosystem: "npm", Name: v})
	return v == "" || ok
}

func (s *sheet) unread(at string, format string, args ...any) {
	s.Notes = append(s.Notes, &rapsheet.Note{Kind: rapsheet.NoteUnread, Path: at, Message: fmt.Sprintf(format, args...)})
}

// done gives the page, with a note on what was refused.
func (s *sheet) done(place, next string) Page {
	if s.refused > 0 {
		s.Notes = append(s.Notes, &rapsheet.Note{
			Kind: rapsheet.NoteUnmatchable, Path: place, Count: s.refused,
			Message: "packages with a name or version that cannot be one",
		})
	}
	s.Next = next
	return s.Page
}

// byName lists a registry package by package. The names are sorted, and the cursor is the last one that is done:
// it holds in another process, and when names have come or gone.
type byName struct {
	c    *client
	kind string
	// names gives all names; they are kept. given says that they are the user's: that the registry does not know
	// one is then no news.
	names func(ctx context.Context) ([]string, error)
	given bool
	// read adds what the registry has of one name to s.
	read func(ctx context.Context, name string, s *sheet) error

	sorted []string
	loaded bool
}

func (b *byName) page(ctx context.Context, from string) (Page, error) {
	cur, err := parseCursor(from)
	if err != nil {
		return Page{}, err
	}
	if !b.loaded {
		names, err := b.names(ctx)
		if err != nil {
			return Page{}, err
		}
		slices.Sort(names)
		b.sorted, b.loaded = slices.Compact(names), true
	}
	rest := b.sorted
	if cur.Token != "" {
		i, found := slices.BinarySearch(rest, cur.Token)
		if found {
			i++
		}
		rest = rest[i:]
	}
	now := rest[:min(batch, len(rest))]
	sheets := make([]sheet, len(now))
	errs := make([]error, len(now))
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i, name := range now {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wg.Done() }()
			sheets[i].kind = b.kind
			errs[i] = b.read(ctx, name, &sheets[i])
		}()
	}
	wg.Wait()
	if ctx.Err() != nil {
		return Page{}, context.Cause(ctx)
	}
	out := sheet{kind: b.kind}
	failed := 0
	unread := map[string]*rapsheet.Note{}
	for i := range sheets {
		out.Sightings = append(out.Sightings, sheets[i].Sightings...)
		out.Notes = append(out.Notes, sheets[i].Notes...)
		out.refused += sheets[i].refused
		err := errs[i]
		if err == nil || b.given && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		// One package that cannot be read says nothing about the others. Those that share a status share a note.
		failed++
		reason := err.Error()
		var status *StatusError
		if errors.As(err, &status) {
			reason = fmt.Sprintf("%d %s", status.Status, http.StatusText(status.Status))
		}
		if n := unread[reason]; n != nil {
			n.Count++
			continue
		}
		unread[reason] = &rapsheet.Note{Kind: rapsheet.NoteUnread, Path: shown(b.c.base), Message: now[i] + ": " + reason, Count: 1}
		out.Notes = append(out.Notes, unread[reason])
	}
	for _, n := range unread {
		if n.Count > 1 {
			n.Message = fmt.Sprintf("%s (and %d more)", n.Message, n.Count-1)
		}
	}
	// If none can, the registry is the reason.
	if failed == len(now) && failed > 0 && !errors.Is(errs[0], fs.ErrNotExist) {
		return Page{}, errs[0]
	}
	next := ""
	if len(now) < len(rest) {
		next = cursor{Token: now[len(now)-1]}.String()
	}
	return out.done(shown(b.c.base), next), nil
}

// namesOf gives the canonical or published names of e that the options name.
func namesOf(opt Options, e string) []string {
	var names []string
	if opt.Names == nil {
		return nil
	}
	for k := range opt.Names {
		if k.Ecosystem == e && len(names) < maxNames {
			names = append(names, k.Name)
		}
	}
	return names
}

// errNoNames says that a registry lists nothing by itself.
func errNoNames(c *client, product string) error {
	return fmt.Errorf("%s: %s does not list what it has: name the packages to ask for", shown(c.base), product)
}

// latestOf gives the highest of versions, releases before pre-releases, as who names no version gets it.
func latestOf(e *ecosystem.Ecosystem, versions []string) string {
	best := ""
	for _, v := range versions {
		if best == "" || preRelease(e, best) && !preRelease(e, v) || preRelease(e, best) == preRelease(e, v) && e.Compare(v, best) > 0 {
			best = v
		}
	}
	return best
}

// preRelease tells a version that is not chosen by itself: "-" in SemVer and NuGet (docs.npmjs.com, semver.org §9;
// learn.microsoft.com/nuget/concepts/package-versioning), a letter in PyPI's but for .post, and RubyGems'
// (guides.rubygems.org/patterns).
func preRelease(e *ecosystem.Ecosystem, v string) bool {
	v = strings.ToLower(v)
	switch e.Name {
	case "PyPI":
		v, _, _ = strings.Cut(v, "+")
		v = strings.ReplaceAll(v, "post", "")
		_, rest, _ := strings.Cut(v, "!")
		v = cmp.Or(rest, v)
		return strings.ContainsAny(strings.TrimPrefix(v, "v"), "abcrd")
	case "RubyGems":
		return strings.ContainsAny(v, "abcdefghijklmnopqrstuvwxyz")
	case "Maven":
		return strings.HasSuffix(v, "-snapshot")
	}
	v, _, _ = strings.Cut(v, "+")
	return strings.Contains(v, "-")
}

// askedIfSafe is asked for a registry that may not have what it lists, and fetches it from upstream when it is asked
// for: an inventory is not to bring malware to where it was not. Then served stays unknown, but for
// [Options.AskArchives].
func (c *client) askedIfSafe(ctx context.Context, h *rapsheet.Holding, at *url.URL) error {
	if !c.askArchives {
		return nil
	}
	return c.asked(ctx, h, at)
}

// asked fills what is asked of the archive's own address.
func (c *client) asked(ctx context.Context, h *rapsheet.Holding, at *url.URL) error {
	known, yes, err := c.exists(ctx, at)
	switch {
	case err != nil:
		return err
	case known && yes:
		h.Served = rapsheet.ServedYes
	case known:
		h.Served = rapsheet.ServedNo
	}
	return nil
}

// archive gives the address in a sighting's evidence if it is this registry's: a sighting may come from a file.
func (c *client) archive(s rapsheet.Sighting) (*url.URL, error) {
	u, err := url.Parse(s.Location.Path)
	if err != nil || !sameOrigin(u, c.base) {
		return nil, fmt.Errorf("%s: the sighting is of another registry", shown(c.base))
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u, nil
}

func (c *client) holding() rapsheet.Holding { return rapsheet.Holding{Registry: shown(c.base)} }

// ours gives raw if it is an address at the registry itself, else nil: what a registry says of other hosts is
// shown to nobody and not asked.
func (c *client) ours(raw string) *url.URL {
	u, err := url.Parse(raw)
	if err != nil {
		return nil
	}
	u = c.base.ResolveReference(u)
	if !sameOrigin(u, c.base) {
		return nil
	}
	u.User, u.RawQuery, u.Fragment, u.RawFragment = nil, "", "", ""
	return u
}

// rebase gives the path of raw at the registry itself: one behind a proxy may not know its own address.
func (c *client) rebase(raw string) *url.URL {
	u, err := url.Parse(raw)
	if err != nil || u.Path == "" {
		return nil
	}
	v := *c.base
	v.Path, v.RawPath = u.Path, u.RawPath
	return &v
}

// notThere reports whether err is a 404 or its kin, or that the credentials do not reach.
func notThere(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && (errors.Is(err, fs.ErrNotExist) || status.Status == http.StatusForbidden || status.Status == http.StatusUnauthorized)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
