package registry

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/filelock"
)

// Limits of a journal: the bytes of one line and the lines of one page, far above what registries list at once, and
// how long what was written may wait for the disk.
const (
	maxJournalLine = 1 << 20
	maxJournalPage = 1_000_000
	journalSync    = 2 * time.Second
)

// Journal is a file of what a registry has listed so far, so that a listing that was killed goes on where it was.
// It is for one goroutine, and locked against other processes while it is open.
//
// The file is JSON lines. The first says whose journal it is:
//
//	{"rapsheet_journal": 1, "of": "https://nexus.example/"}
//
// Every page that the registry gave is then its sightings and notes, a line each, and a mark with the place where to
// go on, "" after the last:
//
//	{"sighting": {"ecosystem": "npm", "name": "a", "version": "1.0.0", "path": "…", …}}
//	{"note": {"kind": "unread", "path": "…", "message": "…"}}
//	{"page": {"next": "…"}}
//
// What follows the last mark belongs to a page that was not written to its end: it is cut off, and the page asked
// for again. Credentials are in no sighting, note or mark.
type Journal struct {
	f *os.File
	w *bufio.Writer
	// start is where the pages begin, end the end of the last whole page; both in bytes.
	start, end int64
	// next is where to go on, once the pages have been replayed.
	next   string
	done   bool
	synced time.Time
}

// ErrOtherJournal says that a file is no journal, or that of something else.
var ErrOtherJournal = errors.New("the journal is of something else")

const journalVersion = 1

type journalLine struct {
	Version  int              `json:"rapsheet_journal,omitzero"`
	Of       string           `json:"of,omitzero"`
	Sighting *journalSighting `json:"sighting,omitzero"`
	Note     *journalNote     `json:"note,omitzero"`
	Page     *journalMark     `json:"page,omitzero"`
}

type journalMark struct {
	Next string `json:"next"`
}

type journalSighting struct {
	Ecosystem string            `json:"ecosystem"`
	Name      string            `json:"name"`
	Version   string            `json:"version,omitzero"`
	PURL      string            `json:"purl,omitzero"`
	Path      string            `json:"path,omitzero"`
	Line      int               `json:"line,omitzero"`
	Kind      string            `json:"kind,omitzero"`
	Layer     string            `json:"layer,omitzero"`
	Gone      string            `json:"gone,omitzero"`
	Origin    rapsheet.Origin   `json:"origin,omitzero"`
	URL       string            `json:"url,omitzero"`
	Host      string            `json:"host,omitzero"`
	Mirror    bool              `json:"mirror,omitzero"`
	Digests   []rapsheet.Digest `json:"digests,omitzero"`
}

type journalNote struct {
	Kind    rapsheet.NoteKind `json:"kind"`
	Path    string            `json:"path,omitzero"`
	Line    int               `json:"line,omitzero"`
	Message string            `json:"message"`
	Count   int               `json:"count,omitzero"`
}

// OpenJournal opens the journal at path, or begins one. of says in one line what is listed and how: another
// journal's is [ErrOtherJournal], because its places mean nothing here. of is written to the file: it holds no credentials.
func OpenJournal(path, of string) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	j := &Journal{f: f, w: bufio.NewWriterSize(f, 64<<10)}
	if err := j.open(of); err != nil {
		f.Close()
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	return j, nil
}

func (j *Journal) open(of string) error {
	switch ok, err := filelock.Try(j.f); {
	case err != nil:
		return err
	case !ok:
		return errors.New("another process is writing it")
	}
	st, err := j.f.Stat()
	switch {
	case err != nil:
		return err
	case !st.Mode().IsRegular():
		return errors.New("not a regular file")
	}
	first, err := readJournalLine(bufio.NewReader(j.f))
	var head journalLine
	switch {
	case errors.Is(err, io.EOF) && st.Size() < maxJournalLine && (len(first) == 0 || bytes.HasPrefix([]byte(`{"rapsheet_journal":`), first[:min(len(first), 20)])):
		// Nothing, or a first line that was not written to its end.
		if err := j.f.Truncate(0); err != nil {
			return err
		}
		if _, err := j.f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if err := j.line(&journalLine{Version: journalVersion, Of: of}); err != nil {
			return err
		}
		if err := j.flush(true); err != nil {
			return err
		}
		j.start, err = j.f.Seek(0, io.SeekCurrent)
		j.end = j.start
		return err
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case unmarshalJournal(first, &head) != nil || head.Version == 0:
		return fmt.Errorf("%w: it is not a journal", ErrOtherJournal)
	case head.Version != journalVersion:
		return fmt.Errorf("%w: its version %d is not known", ErrOtherJournal, head.Version)
	case head.Of != of:
		return fmt.Errorf("%w: of %s", ErrOtherJournal, head.Of)
	}
	j.start = int64(len(first))
	j.end = j.start
	return nil
}

// Close writes what waits to the disk and closes the file.
func (j *Journal) Close() error {
	return errors.Join(j.flush(true), j.f.Close())
}

// Done reports whether the whole registry is in the journal; known once it was replayed.
func (j *Journal) Done() bool { return j.done }

// replay gives what is in the journal, page by page, and cuts off what is not a whole page. It gives false if yield did.
func (j *Journal) replay(ctx context.Context, yield func(rapsheet.Sighting, error) bool) (bool, error) {
	if _, err := j.f.Seek(j.start, io.SeekStart); err != nil {
		return false, err
	}
	r := bufio.NewReaderSize(j.f, 256<<10)
	var page []journalLine
	at := j.start
	for len(page) <= maxJournalPage && !j.done {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		b, err := readJournalLine(r)
		var l journalLine
		if err != nil || unmarshalJournal(b, &l) != nil {
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, errJournalLine) {
				return false, err
			}
			break
		}
		at += int64(len(b))
		if l.Page == nil {
			page = append(page, l)
			continue
		}
		for i := range page {
			if !page[i].send(yield) {
				return false, nil
			}
		}
		page = page[:0]
		j.end, j.next, j.done = at, l.Page.Next, l.Page.Next == ""
	}
	if err := j.f.Truncate(j.end); err != nil {
		return false, err
	}
	_, err := j.f.Seek(j.end, io.SeekStart)
	return true, err
}

func (l *journalLine) send(yield func(rapsheet.Sighting, error) bool) bool {
	if n := l.Note; n != nil {
		return yield(rapsheet.Sighting{}, &rapsheet.Note{Kind: n.Kind, Path: n.Path, Line: n.Line, Message: n.Message, Count: n.Count})
	}
	s := l.Sighting
	if s == nil {
		return true // of a later version, which would have another number if it mattered
	}
	return yield(rapsheet.Sighting{
		Package:  rapsheet.Package{Ecosystem: s.Ecosystem, Name: s.Name, Version: s.Version, PURL: s.PURL},
		Location: rapsheet.Location{Path: s.Path, Line: s.Line, Kind: s.Kind, Layer: s.Layer, Gone: s.Gone},
		Evidence: rapsheet.Evidence{Origin: s.Origin, URL: s.URL, Host: s.Host, Mirror: s.Mirror, Digests: s.Digests},
	}, nil)
}

// add appends a page.
func (j *Journal) add(p *Page) error {
	for i := range p.Sightings {
		s := &p.Sightings[i]
		err := j.line(&journalLine{Sighting: &journalSighting{
			s.Package.Ecosystem, s.Package.Name, s.Package.Version, s.Package.PURL,
			s.Location.Path, s.Location.Line, s.Location.Kind, s.Location.Layer, s.Location.Gone,
			s.Evidence.Origin, s.Evidence.URL, s.Evidence.Host, s.Evidence.Mirror, s.Evidence.Digests,
		}})
		if err != nil {
			return err
		}
	}
	for _, n := range p.Notes {
		if err := j.line(&journalLine{Note: &journalNote{n.Kind, n.Path, n.Line, n.Message, n.Count}}); err != nil {
			return err
		}
	}
	if err := j.line(&journalLine{Page: &journalMark{p.Next}}); err != nil {
		return err
	}
	j.next, j.done = p.Next, p.Next == ""
	return j.flush(j.done || time.Since(j.synced) >= journalSync)
}

func (j *Journal) line(l *journalLine) error {
	b, err := json.Marshal(l, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return err
	}
	if len(b) >= maxJournalLine {
		return errJournalLine
	}
	_, err = j.w.Write(append(b, '\n'))
	return err
}

// flush writes what waits to the file, and with sync to the disk.
func (j *Journal) flush(sync bool) error {
	if err := j.w.Flush(); err != nil {
		return err
	}
	if !sync {
		return nil
	}
	j.synced = time.Now()
	return j.f.Sync()
}

var errJournalLine = fmt.Errorf("a line of the journal is longer than %d bytes", maxJournalLine)

// readJournalLine gives the next line with its line feed; io.EOF with what is there of a line without one.
func readJournalLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		b, err := r.ReadSlice('\n')
		line = append(line, b...)
		if len(line) > maxJournalLine {
			return nil, errJournalLine
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

func unmarshalJournal(b []byte, l *journalLine) error { return json.Unmarshal(b, l) }

// Sightings streams the whole content of a registry, which is shown as name. With a journal, what is in that comes
// first and the registry is asked for the rest; every page is in the journal before it is in the stream. A listing
// that ends early is a note, like everything that could not be read. The stream can be ranged over once.
func Sightings(ctx context.Context, r Registry, name string, j *Journal) rapsheet.Sightings {
	return func(yield func(rapsheet.Sighting, error) bool) {
		note := func(kind rapsheet.NoteKind, format string, args ...any) bool {
			return yield(rapsheet.Sighting{}, &rapsheet.Note{Kind: kind, Path: name, Message: fmt.Sprintf(format, args...)})
		}
		failed := func(what string, err error) {
			if ctx.Err() != nil {
				yield(rapsheet.Sighting{}, ctx.Err())
				return
			}
			note(rapsheet.NoteUnread, "%s: %v", what, err)
		}
		from := ""
		if j != nil {
			more, err := j.replay(ctx, yield)
			if err != nil {
				failed("the journal could not be read", err)
				return
			}
			if !more {
				return
			}
			if from = j.next; j.done {
				note(rapsheet.NoteInfo, "the journal is finished: nothing was listed anew")
				return
			}
			if from != "" && !note(rapsheet.NoteInfo, "the beginning comes from the journal") {
				return
			}
		}
		for p, err := range r.List(ctx, from) {
			if err != nil {
				failed("the listing ended early, the rest was not checked", err)
				return
			}
			if j != nil {
				if err := j.add(&p); err != nil {
					failed("the journal could not be written", err)
					return
				}
			}
			for _, s := range p.Sightings {
				if !yield(s, nil) {
					return
				}
			}
			for _, n := range p.Notes {
				if !yield(rapsheet.Sighting{}, n) {
					return
				}
			}
		}
		if err := ctx.Err(); err != nil {
			yield(rapsheet.Sighting{}, err)
		}
	}
}
