package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/errgroup"

	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/filelock"
	"github.com/rapsheet/rapsheet/osv"
)

// DefaultBase is OSV.dev's public bucket (https://google.github.io/osv.dev/data/).
const DefaultBase = "https://osv-vulnerabilities.storage.googleapis.com"

// Bounds of what a dump may be.
const (
	parallelFetches   = 8
	defaultMaxChanges = 2000
	maxList           = 1 << 20   // bytes of ecosystems.txt
	maxModified       = 256 << 20 // bytes of a modified_id.csv
	maxRecord         = 16 << 20  // bytes of one <ID>.json
	maxFetched        = 1 << 30   // bytes of all records fetched one by one
	keptRejects       = 100       // of EcosystemResult.Rejects
	// futureLimit is how far ahead a clock may be; a time beyond it is not
	// taken for how far a list was followed, or later changes would be missed.
	futureLimit = 24 * time.Hour
)

// ErrBusy says that another update is using the directory.
var ErrBusy = errors.New("another update is using this directory")

// ShrunkError says that more than 10 % of an ecosystem's live records would
// be lost. Nothing was changed; [Options].Force takes the smaller source.
type ShrunkError struct {
	Ecosystem string
	Had, Has  int // live records held, and what the source now has
}

func (e *ShrunkError) Error() string {
	return fmt.Sprintf("the source has only %d live records where %d are held; keeping those (force to accept)", e.Has, e.Had)
}

// EcosystemError is what went wrong with one ecosystem; what is held of it did not change.
type EcosystemError struct {
	Ecosystem string
	Err       error
}

func (e *EcosystemError) Error() string { return fmt.Sprintf("ecosystem %q: %v", e.Ecosystem, e.Err) }

// Unwrap gives the cause.
func (e *EcosystemError) Unwrap() error { return e.Err }

// Dump is a database dump in the layout of OSV.dev's bucket:
//
//	ecosystems.txt               one name per line
//	<ECO>/all.zip                every record as <ID>.json
//	<ECO>/modified_id.csv        "<RFC 3339 time>,<ID>", newest first
//	<ECO>/<ID>.json              one record
type Dump struct {
	// Base is a URL (http or https) or a directory; "" is [DefaultBase]. Credentials
	// in the URL are used and never shown or stored.
	Base string
	// Client is used for HTTP as it is; nil is one with timeouts, at most 5
	// redirects, none from https to http, and the proxy of the environment.
	Client *http.Client
	// Ecosystems are the ones to keep, by OSV's names; nil is all of ecosystems.txt.
	Ecosystems []string
	// Version is the program's, for the User-Agent "rapsheet/<version>".
	Version string
	// Logger is told of retries and oddities; nil is silence.
	Logger *slog.Logger
	// Progress, if not nil, is told how far a step has come. Calls never overlap,
	// come often, and hold up the work.
	Progress func(Progress)

	backoff time.Duration // for tests; 0 is half a second
	idle    time.Duration // for tests; 0 is idleTimeout
}

// Progress is how far one step of an update has come.
type Progress struct {
	Ecosystem string
	Step      Step
	Done      int64
	Total     int64 // 0 or less when not known
}

// Step is a step of an update.
type Step string

// Steps, with the unit of their progress.
const (
	StepList     Step = "list"     // asking for modified_id.csv; no unit
	StepDownload Step = "download" // of all.zip; bytes
	StepRead     Step = "read"     // of all.zip; documents
	StepFetch    Step = "fetch"    // of single records; records
)

// Options of one update.
type Options struct {
	// Force accepts a source that shrank, and starts over when the state cannot be read.
	Force bool
	// Full downloads all.zip even where less would do.
	Full bool
	// MaxChanges is how many changed records are fetched one by one before
	// all.zip is cheaper; 0 is 2,000.
	MaxChanges int
	// Limits bound what is read from all.zip.
	Limits Limits
}

// Result is what an update did.
type Result struct {
	// Ecosystems are in the order of their names, up to the one at which the context ended.
	Ecosystems []EcosystemResult
}

// EcosystemResult is what an update did for one ecosystem.
type EcosystemResult struct {
	Ecosystem string
	Err       error // nil, or why nothing changed
	Full      bool  // all.zip was read
	Changed   bool  // the records held are not the ones from before

	Records int // malicious records now held, withdrawn ones too
	Live    int // those not withdrawn
	Added   int
	Updated int
	Removed int

	// Other counts records of all.zip that are not about malicious packages: not kept.
	Other int
	// Rejected counts what was not accepted as a record, in this update;
	// Rejects are the first 100.
	Rejected int
	Rejects  []*Reject
	// Newest is the last modification followed.
	Newest time.Time
}

func (r *EcosystemResult) reject(rej *Reject) {
	r.Rejected++
	if len(r.Rejects) < keptRejects {
		r.Rejects = append(r.Rejects, rej)
	}
}

// origin is where a dump's files come from: HTTP or a directory.
type origin interface {
	fmt.Stringer // for state and messages: no credentials
	// get reads a small file; errUnchanged if it still has the ETag.
	get(ctx context.Context, limit int64, etag string, elems ...string) (data []byte, newETag string, err error)
	// archive opens an ecosystem's all.zip, downloaded to dir if need be; done
	// must be called and removes the download.
	archive(ctx context.Context, dir, ecosystem string) (f *os.File, done func(), err error)
	close()
}

func (d *Dump) open(progress func(done, total int64)) (origin, error) {
	base := d.Base
	if base == "" {
		base = DefaultBase
	}
	if !strings.HasPrefix(base, "http://") && !strings.HasPrefix(base, "https://") {
		if scheme, _, ok := strings.Cut(base, "://"); ok {
			return nil, fmt.Errorf("dump at a URL of scheme %q: only http, https and directories are supported", scheme)
		}
		m, err := newMirror(base)
		if err != nil {
			return nil, fmt.Errorf("dump: %w", err)
		}
		return m, nil
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return nil, errors.New("dump: the base is not a URL") // err would repeat credentials
	}
	r := &remote{base: u, client: d.Client, agent: "rapsheet/" + d.Version, log: d.logger(), backoff: d.backoff, idle: d.idle, progress: progress}
	if d.Version == "" {
		r.agent = "rapsheet/devel"
	}
	if r.client == nil {
		r.client = newClient()
	}
	if r.backoff == 0 {
		r.backoff = time.Second / 2
	}
	if r.idle == 0 {
		r.idle = idleTimeout
	}
	return r, nil
}

func (d *Dump) logger() *slog.Logger {
	if d.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return d.Logger
}

// ecosystemPattern is what names of ecosystems look like; they become parts of
// URLs and of file names.
var ecosystemPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._+-]*$`)

// maxName bounds them, apart from the pattern: a counted repetition makes a large program.
const maxEcosystem = 64

// List gives the ecosystems that the dump has, sorted.
func (d *Dump) List(ctx context.Context) ([]string, error) {
	org, err := d.open(func(int64, int64) {})
	if err != nil {
		return nil, err
	}
	defer org.close()
	return list(ctx, org)
}

// list reads ecosystems.txt. Names that cannot be ecosystems ("[EMPTY]" is one
// of OSV.dev's) are left out.
func list(ctx context.Context, org origin) ([]string, error) {
	data, _, err := org.get(ctx, maxList, "", "ecosystems.txt")
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("<")) {
		return nil, fmt.Errorf("%s: ecosystems.txt is a page of HTML or XML", org)
	}
	var names []string
	for line := range strings.Lines(string(data)) {
		if name := strings.TrimSpace(line); len(name) <= maxEcosystem && ecosystemPattern.MatchString(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: ecosystems.txt: %w", org, ErrNoRecords)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Update brings what dir holds up to date and is where the network is used. dir
// is made if missing and should hold nothing else; one update at a time may use
// it ([ErrBusy]).
//
// The first time, and when much changed, an ecosystem's all.zip is downloaded
// and its malicious records are kept ([osv.Record.Malicious]). Later only what
// modified_id.csv lists as changed is fetched: MAL- records, GitHub advisories
// (the list does not say which are about malware; the others are not kept), and
// what is held. A record that the source no longer has is dropped; a withdrawn
// one stays, withdrawn.
//
// Ecosystems stand alone: each one is replaced wholly, once all of it is there,
// or stays as it was. Those that failed are joined in the error as
// [*EcosystemError]; when the context ends, finished ones stay updated. The
// Result is valid beside an error. If after all no malicious record is held, the
// error is [ErrNoRecords]. Ecosystems held that were not asked for stay as they are.
func (d *Dump) Update(ctx context.Context, dir string, opt Options) (Result, error) {
	if opt.MaxChanges <= 0 {
		opt.MaxChanges = defaultMaxChanges
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Result{}, err
	}
	unlock, err := lock(dir)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	st, err := readState(dir)
	switch {
	case errors.Is(err, os.ErrNotExist), err != nil && opt.Force:
		st = &state{Version: stateVersion, Ecosystems: make(map[string]ecosystemState)}
	case err != nil:
		return Result{}, fmt.Errorf("%w (force to start over)", err)
	}
	st.sweep(dir)

	u := &update{dump: d, dir: dir, opt: opt, log: d.logger()}
	if u.origin, err = d.open(func(done, total int64) { u.progress(StepDownload, done, total) }); err != nil {
		return Result{}, err
	}
	defer u.origin.close()
	names, err := u.names(ctx)
	if err != nil {
		return Result{}, err
	}
	var res Result
	var errs []error
	for _, name := range names {
		r, err := u.one(ctx, st, name)
		res.Ecosystems = append(res.Ecosystems, r)
		if err != nil {
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			return res, errors.Join(errs...)
		}
	}
	held := 0
	for _, es := range st.Ecosystems {
		held += es.Records
	}
	if held == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("%s: no record of a malicious package: %w", u.origin, ErrNoRecords))
	}
	return res, errors.Join(errs...)
}

// lock takes the directory's lock. The file stays: removing it would let two
// processes lock two files of the same name.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	ok, err := filelock.Try(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	if !ok {
		f.Close()
		return nil, fmt.Errorf("%s: %w", dir, ErrBusy)
	}
	return func() { f.Close() }, nil
}

// update is one run of [Dump.Update].
type update struct {
	dump   *Dump
	dir    string
	opt    Options
	log    *slog.Logger
	origin origin

	mu        sync.Mutex // held while Progress runs
	ecosystem string
}

func (u *update) progress(step Step, done, total int64) {
	if u.dump.Progress == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.dump.Progress(Progress{u.ecosystem, step, done, total})
}

func (u *update) names(ctx context.Context) ([]string, error) {
	if u.dump.Ecosystems == nil {
		return list(ctx, u.origin)
	}
	names := slices.Clone(u.dump.Ecosystems)
	slices.Sort(names)
	names = slices.Compact(names)
	for _, name := range names {
		if len(name) > maxEcosystem || !ecosystemPattern.MatchString(name) {
			return nil, fmt.Errorf("%.80q cannot be the name of an ecosystem", name)
		}
	}
	return names, nil
}

// one updates one ecosystem and makes the change by writing the state.
func (u *update) one(ctx context.Context, st *state, name string) (EcosystemResult, error) {
	u.ecosystem = name
	prev, had := st.Ecosystems[name]
	res := EcosystemResult{Ecosystem: name}
	next, err := u.bring(ctx, name, prev, &res)
	if err == nil {
		after := &state{Version: stateVersion, Ecosystems: maps.Clone(st.Ecosystems)}
		after.Ecosystems[name] = next
		if err = after.write(u.dir); err == nil {
			*st = *after
		}
	}
	if err != nil {
		if !had {
			prev = ecosystemState{}
		}
		err = &EcosystemError{name, err}
		res.Err, res.Changed, next = err, false, prev
		res.Added, res.Updated, res.Removed = 0, 0, 0
	}
	// Only now is it known which files are of no use.
	st.sweep(u.dir)
	res.Records, res.Live, res.Newest = next.Records, next.Live, next.Newest
	return res, err
}

// held is what an update must know of a record that is stored.
type held struct {
	modified  time.Time
	withdrawn bool
}

// bring does the work for one ecosystem: it writes new records files, and leaves
// it to the caller to make the state name them.
func (u *update) bring(ctx context.Context, name string, prev ecosystemState, res *EcosystemResult) (ecosystemState, error) {
	u.progress(StepList, 0, 0)
	now := time.Now().UTC()
	sameBase := prev.File != "" && prev.Base == u.origin.String()
	// What is held is read even if all.zip will replace it: it says what changed.
	have, err := u.held(ctx, name, prev)
	if err != nil {
		if ctx.Err() != nil {
			return prev, err
		}
		u.log.Warn("the stored records cannot be used, fetching all again", "ecosystem", name, "error", err)
		sameBase = false
	}
	full := !sameBase || u.opt.Full
	etag := prev.ETag
	if full {
		etag = ""
	}
	data, etag, err := u.origin.get(ctx, maxModified, etag, name, "modified_id.csv")
	if errors.Is(err, errUnchanged) {
		prev.Checked = now
		return prev, nil
	}
	if err != nil {
		return prev, err
	}
	rows, err := parseModified(data, u.opt.Limits.WithDefaults().Entries)
	if err != nil {
		return prev, fmt.Errorf("modified_id.csv: %w", err)
	}
	newest := newestBefore(rows, now.Add(futureLimit))
	if !full && !u.opt.Force && newest.Before(prev.Newest) {
		// An old copy from somewhere on the way; following it would undo changes.
		// A list that lost much is no old copy.
		_, gone := changes(rows, have, nil, prev.Newest)
		left := prev.Live
		for id := range gone {
			if !have[id].withdrawn {
				left--
			}
		}
		if shrunk(prev.Live, left, prev.Records-len(gone)) {
			return prev, &ShrunkError{name, prev.Live, left}
		}
		u.log.Warn("modified_id.csv is older than what is held, nothing is changed", "ecosystem", name, "newest", newest, "held", prev.Newest)
		prev.Checked = now
		return prev, nil
	}

	next := prev
	current, seen := have, map[string]bool{}
	var todo []modified
	var gone map[string]bool
	if !full {
		todo, gone = changes(rows, current, seen, prev.Newest)
		full = len(todo) > u.opt.MaxChanges
	}
	if full {
		res.Full = true
		if next, current, seen, err = u.full(ctx, name, prev, len(rows), res); err != nil {
			return prev, err
		}
		// The zip may be older than the list: what it lacks is fetched now. What
		// only the zip has is kept: then the list is the older one.
		todo, _ = changes(rows, current, seen, next.Newest)
		gone = nil
		if len(todo) > u.opt.MaxChanges {
			return prev, fmt.Errorf("all.zip lacks %d records that modified_id.csv lists", len(todo))
		}
	}
	if len(todo)+len(gone) > 0 {
		fetched, behind, err := u.fetch(ctx, name, todo, res)
		if err != nil {
			return prev, err
		}
		if next, current, err = u.merge(ctx, name, next, current, fetched, gone); err != nil {
			return prev, err
		}
		if !behind.IsZero() {
			// A record older than the list says: come back for it.
			newest, etag = behind.Add(-time.Nanosecond), ""
		}
	}
	if prev.Live > 0 && !u.opt.Force && shrunk(prev.Live, next.Live, next.Records) {
		return prev, &ShrunkError{name, prev.Live, next.Live}
	}
	compare(have, current, res)
	if next.File != prev.File {
		next.Fetched, res.Changed = now, true
	}
	next.Base, next.Newest, next.ETag, next.Checked = u.origin.String(), newest, etag, now
	return next, nil
}

// shrunk is the guard against a source that lost records by accident: more than
// 10 % of the live ones. A single record may always be withdrawn.
func shrunk(had, has, records int) bool {
	return has*10 < had*9 && (had-has > 1 || records == 0)
}

func newestBefore(rows []modified, limit time.Time) time.Time {
	var newest time.Time
	for _, r := range rows {
		if r.time.After(newest) && r.time.Before(limit) {
			newest = r.time
		}
	}
	return newest
}

// changes says which records of the list must be fetched, and which of those
// held it no longer has. since is how far the list was followed; seen are ids
// that all.zip had, accepted or not.
func changes(rows []modified, have map[string]held, seen map[string]bool, since time.Time) (todo []modified, gone map[string]bool) {
	gone = make(map[string]bool)
	for id := range have {
		gone[id] = true
	}
	listed := make(map[string]bool)
	for _, row := range rows {
		h, held := have[row.id]
		delete(gone, row.id)
		if listed[row.id] {
			continue // newest first: the first row of an id counts
		}
		switch {
		case held && !row.time.Before(since) && !row.time.Equal(h.modified),
			!held && strings.HasPrefix(row.id, "MAL-") && !seen[row.id],
			!held && strings.HasPrefix(row.id, "GHSA-") && !seen[row.id] && !row.time.Before(since):
			listed[row.id] = true
			todo = append(todo, row)
		}
	}
	return todo, gone
}

// compare counts what changed between two states of an ecosystem.
func compare(before, after map[string]held, res *EcosystemResult) {
	for id, a := range after {
		if b, ok := before[id]; !ok {
			res.Added++
		} else if !a.modified.Equal(b.modified) || a.withdrawn != b.withdrawn {
			res.Updated++
		}
	}
	for id := range before {
		if _, ok := after[id]; !ok {
			res.Removed++
		}
	}
}

// stored streams the records of one ecosystem's file.
func (u *update) stored(ctx context.Context, name string, es ecosystemState, use func(data []byte) error) error {
	f, err := os.Open(filepath.Join(u.dir, es.File))
	if err != nil {
		return err
	}
	defer f.Close()
	var failed error
	e := &emitter{ctx: ctx, lim: Limits{}.WithDefaults(), yield: func(doc Document, err error) bool {
		if failed = err; failed == nil {
			failed = use(doc.Data)
		}
		return failed == nil
	}}
	err = (&storedFile{name, es, f}).read(e)
	if failed != nil {
		return failed
	}
	return err
}

// header is what must be known of a record that was accepted before.
type header struct {
	ID        string        `json:"id"`
	Modified  osv.Timestamp `json:"modified"`
	Withdrawn osv.Timestamp `json:"withdrawn"`
}

func readHeader(data []byte) (string, held, error) {
	var h header
	if err := json.Unmarshal(data, &h, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return "", held{}, err
	}
	t, err := h.Modified.Time()
	return h.ID, held{t, h.Withdrawn != ""}, err
}

func (u *update) held(ctx context.Context, name string, es ecosystemState) (map[string]held, error) {
	have := make(map[string]held, es.Records)
	if es.File == "" {
		return have, nil
	}
	err := u.stored(ctx, name, es, func(data []byte) error {
		id, h, err := readHeader(data)
		have[id] = h
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", es.File, err)
	}
	return have, nil
}

// accept parses a document that is to be the record id. The record is nil, and
// so is the error, if it is not about a malicious package.
func accept(id string, data []byte) (*held, error) {
	// Most records of most ecosystems are about vulnerabilities. One that has none
	// of the texts that osv.Record.Malicious looks for, and escapes no ASCII, need
	// not be parsed.
	may := slices.ContainsFunc([]string{"MAL-", "malware", "CWE-506", `\u00`}, func(s string) bool {
		return bytes.Contains(data, []byte(s))
	})
	if !may {
		return nil, nil
	}
	rec, _, err := osv.Parse(data)
	if err != nil {
		return nil, err
	}
	if rec.ID != id {
		return nil, fmt.Errorf("the record in it is %.80q", rec.ID)
	}
	if !rec.Malicious() {
		return nil, nil
	}
	t, err := rec.Modified.Time()
	if err != nil {
		return nil, err
	}
	return &held{t, rec.IsWithdrawn()}, nil
}

// full replaces what is held by what all.zip has.
func (u *update) full(ctx context.Context, name string, prev ecosystemState, rows int, res *EcosystemResult) (next ecosystemState, have map[string]held, seen map[string]bool, err error) {
	f, done, err := u.origin.archive(ctx, u.dir, name)
	if err != nil {
		return prev, nil, nil, err
	}
	// A download that turns out to be unreadable must not be taken up again either.
	defer done()
	info, err := f.Stat()
	if err != nil {
		return prev, nil, nil, err
	}
	next = ecosystemState{Generation: prev.Generation + 1}
	w, err := newRecordsWriter(u.dir, name, next.Generation)
	if err != nil {
		return prev, nil, nil, err
	}
	defer w.abort()
	have, seen = make(map[string]held), make(map[string]bool)
	label := u.origin.String() + "/" + name + "/all.zip"
	documents := stream(ctx, label, u.opt.Limits, func(e *emitter) error {
		var head [4]byte
		if n, _ := f.ReadAt(head[:], 0); !isZip(head[:n]) {
			if bytes.HasPrefix(head[:n], []byte("<")) {
				return errors.New("got a page of HTML or XML instead of a zip")
			}
			return fmt.Errorf("not a zip: %w", ErrDamaged)
		}
		return e.zip(f, info.Size())
	})
	read := int64(0)
	for doc, err := range documents {
		var rej *Reject
		switch {
		case errors.As(err, &rej):
			seen[idOf(rej.Name)] = true
			res.reject(rej)
			continue
		case errors.Is(err, ErrNoRecords) && rows == 0:
			// An ecosystem without records is one, if its list says so too.
			continue
		case err != nil:
			return prev, nil, nil, err
		}
		if read++; read%1000 == 0 {
			u.progress(StepRead, read, int64(rows))
		}
		id := idOf(doc.Name)
		h, err := accept(id, doc.Data)
		if err == nil && h == nil {
			res.Other++
			continue
		}
		if err == nil && seen[id] {
			err = fmt.Errorf("the archive has %q twice", id)
		}
		seen[id] = true
		if err != nil {
			res.reject(&Reject{doc.Name, err})
			continue
		}
		if err := w.add(doc.Data); err != nil {
			return prev, nil, nil, err
		}
		have[id] = *h
		if h.modified.After(next.Newest) {
			next.Newest = h.modified
		}
	}
	u.progress(StepRead, read, int64(rows))
	next.Other, next.Rejected = res.Other, res.Rejected
	return u.finish(w, next, have, seen)
}

func (u *update) finish(w *recordsWriter, next ecosystemState, have map[string]held, seen map[string]bool) (ecosystemState, map[string]held, map[string]bool, error) {
	digest, err := w.commit()
	if err != nil {
		return next, nil, nil, err
	}
	next.File, next.SHA256 = w.name, digest
	next.Records, next.Live = len(have), 0
	for _, h := range have {
		if !h.withdrawn {
			next.Live++
		}
	}
	return next, have, seen, nil
}

func idOf(name string) string { return strings.TrimSuffix(path.Base(name), ".json") }

// fetchedRecord is the answer for one changed record.
type fetchedRecord struct {
	id   string
	data []byte
	held *held // nil: not malicious any more
}

// fetch gets changed records one by one, several at a time. A record that is
// not accepted is a reject, and what is held of it stays. behind is the time of
// the earliest row whose record is older than the row says: an old copy on the way.
func (u *update) fetch(ctx context.Context, name string, todo []modified, res *EcosystemResult) (got map[string]fetchedRecord, behind time.Time, err error) {
	bodies := make([][]byte, len(todo))
	var bytesGot, recordsGot atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallelFetches)
	for i, row := range todo {
		g.Go(func() error {
			data, _, err := u.origin.get(ctx, maxRecord, "", name, row.id+".json")
			if err != nil {
				return fmt.Errorf("record %q, listed in modified_id.csv: %w", row.id, err)
			}
			if bytes.HasPrefix(bytes.TrimSpace(data), []byte("<")) {
				return fmt.Errorf("record %q: got a page of HTML or XML instead of JSON", row.id)
			}
			if bytesGot.Add(int64(len(data))) > maxFetched {
				return &bounded.LimitError{What: "the sum of changed records", Limit: maxFetched}
			}
			bodies[i] = data
			u.progress(StepFetch, recordsGot.Add(1), int64(len(todo)))
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, time.Time{}, err
	}
	got = make(map[string]fetchedRecord, len(todo))
	for i, row := range todo {
		h, err := accept(row.id, bodies[i])
		if err != nil {
			res.reject(&Reject{row.id, err})
			continue
		}
		got[row.id] = fetchedRecord{row.id, bodies[i], h}
		// Clocks of lists are finer than those of some records.
		if h != nil && h.modified.Before(row.time.Add(-time.Second)) && (behind.IsZero() || row.time.Before(behind)) {
			u.log.Warn("a record is older than modified_id.csv says", "id", row.id, "modified", h.modified, "listed", row.time)
			behind = row.time
		}
	}
	return got, behind, nil
}

// merge writes the next generation: what is held, with changed records replaced,
// gone ones left out, and new ones at the end in the order of their ids.
func (u *update) merge(ctx context.Context, name string, es ecosystemState, have map[string]held, got map[string]fetchedRecord, gone map[string]bool) (ecosystemState, map[string]held, error) {
	have = maps.Clone(have)
	changed := len(gone) > 0
	for id, rec := range got {
		old, ok := have[id]
		switch {
		case rec.held == nil && ok:
			changed = true
		case rec.held == nil, ok && rec.held.modified.Before(old.modified):
			// Never malicious, or an old copy: nothing to change.
			delete(got, id)
		default:
			changed = true
		}
	}
	if !changed {
		return es, have, nil
	}
	next := es
	next.Generation++
	w, err := newRecordsWriter(u.dir, name, next.Generation)
	if err != nil {
		return es, nil, err
	}
	defer w.abort()
	err = u.stored(ctx, name, es, func(data []byte) error {
		id, _, err := readHeader(data)
		if err != nil {
			return err
		}
		rec, replaced := got[id]
		delete(got, id)
		switch {
		case gone[id], replaced && rec.held == nil:
			delete(have, id)
			return nil
		case replaced:
			have[id] = *rec.held
			return w.add(rec.data)
		}
		return w.add(data)
	})
	if err != nil {
		return es, nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(got)) {
		have[id] = *got[id].held
		if err := w.add(got[id].data); err != nil {
			return es, nil, err
		}
	}
	next, have, _, err = u.finish(w, next, have, nil)
	return next, have, err
}
