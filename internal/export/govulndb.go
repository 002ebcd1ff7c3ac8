package export

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/module"

	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/osv"
)

// The Go vulnerability database (https://go.dev/doc/security/vuln/database): three indexes and a record for each id, each as JSON and gzipped.
// govulncheck asks for the gzipped ones over HTTP and for the others by file://. It knows ranges with "introduced" and "fixed" only.
var goFormats = []Format{{
	Name: "go-vulndb", About: "a Go vulnerability database, for govulncheck -db",
	Over: "a copy of vuln.go.dev", Tree: writeGoVulnDB,
}}

type goEntry struct {
	SchemaVersion    string          `json:"schema_version"`
	ID               string          `json:"id"`
	Modified         string          `json:"modified"`
	Published        string          `json:"published,omitzero"`
	Aliases          []string        `json:"aliases,omitzero"`
	Summary          string          `json:"summary"`
	Details          string          `json:"details"`
	Affected         []goAffected    `json:"affected"`
	References       []osv.Reference `json:"references"`
	DatabaseSpecific struct {
		URL string `json:"url"`
	} `json:"database_specific"`
}

type goAffected struct {
	Package struct {
		Name      string `json:"name"`
		Ecosystem string `json:"ecosystem"`
	} `json:"package"`
	Ranges            []goRange `json:"ranges"`
	EcosystemSpecific struct{}  `json:"ecosystem_specific"` // no imports: all packages of the module
}

type goRange struct {
	Type   string    `json:"type"`
	Events []goEvent `json:"events"`
}

type goEvent struct {
	Introduced string `json:"introduced,omitzero"`
	Fixed      string `json:"fixed,omitzero"`
}

// The indexes. What upstream's have more is kept.
type (
	goDB struct {
		Modified string `json:"modified"`
	}
	goModule struct {
		Path    string           `json:"path"`
		Vulns   []jsontext.Value `json:"vulns"`
		Unknown jsontext.Value   `json:",embed"`
	}
	goModuleVuln struct {
		ID       string `json:"id"`
		Modified string `json:"modified"`
		// Fixed is the version from which on none is affected: govulncheck does not look at the record from there.
		Fixed string `json:"fixed,omitzero"`
	}
	goVuln struct {
		ID       string   `json:"id"`
		Modified string   `json:"modified"`
		Aliases  []string `json:"aliases,omitzero"`
	}
)

func writeGoVulnDB(ctx context.Context, c *Catalog, dir *os.Root, opt Options) error {
	w := &goWriter{dir: dir, z: gzip.NewWriter(nil)}
	theirs, err := w.upstream(ctx, opt.Over)
	if err != nil {
		return err
	}
	modules := map[string][]goModuleVuln{}
	var vulns []goVuln
	write := func(e *goEntry) error {
		vulns = append(vulns, goVuln{e.ID, e.Modified, e.Aliases})
		for name, fixed := range goFixed(e) {
			modules[name] = append(modules[name], goModuleVuln{e.ID, e.Modified, fixed})
		}
		return w.add("ID/"+e.ID, e)
	}
	several := map[string]*goEntry{} // records that are about several packages come once for each
	for a, err := range c.Advisories(ctx, opt.Links, "Go") {
		if err != nil {
			return err
		}
		events := goEvents(a)
		if len(events) == 0 || theirs.ids[a.ID] {
			continue
		}
		e := several[a.ID]
		if e == nil {
			e = newGoEntry(a, c.Date)
		}
		of := goAffected{Ranges: []goRange{{Type: osv.RangeSemver, Events: events}}}
		of.Package.Name, of.Package.Ecosystem = goPath(a.Name), "Go"
		e.Affected = append(e.Affected, of)
		if len(a.Record.Affected) > 1 {
			several[a.ID] = e
		} else if err := write(e); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(several)) {
		if err := write(several[id]); err != nil {
			return err
		}
	}
	slices.SortFunc(vulns, func(v, w goVuln) int { return strings.Compare(v.ID, w.ID) })
	allVulns, err := jsonValues(vulns)
	if err != nil {
		return err
	}
	at := map[string]int{}
	for i, m := range theirs.modules {
		at[m.Path] = i
	}
	for name, list := range modules {
		slices.SortFunc(list, func(v, w goModuleVuln) int { return strings.Compare(v.ID, w.ID) })
		ours, err := jsonValues(list)
		if err != nil {
			return err
		}
		if i, ok := at[name]; ok {
			theirs.modules[i].Vulns = slices.Concat(ours, theirs.modules[i].Vulns)
		} else {
			theirs.modules = append(theirs.modules, goModule{Path: name, Vulns: ours})
		}
	}
	slices.SortFunc(theirs.modules, func(m, n goModule) int { return strings.Compare(m.Path, n.Path) })
	modified := timeText(c.Date)
	if theirs.modified.After(c.Date) {
		modified = timeText(theirs.modified)
	}
	return errors.Join(
		w.add("index/db", goDB{modified}),
		w.add("index/modules", theirs.modules),
		w.add("index/vulns", slices.Concat(allVulns, theirs.vulns)),
	)
}

func newGoEntry(a *advisory.Advisory, date time.Time) *goEntry {
	e := &goEntry{
		SchemaVersion: "1.7.4", ID: a.ID, Modified: timeText(date), Aliases: a.Record.Aliases, Summary: a.Title,
		Details: cmp.Or(plain(a.Record.Details), a.Title), References: []osv.Reference{{Type: "ADVISORY", URL: a.URL}},
	}
	if !a.Modified.IsZero() {
		e.Modified = timeText(a.Modified)
	}
	if !a.Published.IsZero() {
		e.Published = timeText(a.Published)
	}
	e.DatabaseSpecific.URL = a.URL // which govulncheck prints as "More info"
	return e
}

// goEvents writes what a covers as runs from a version up to, and without, another one. Every version has an immediate
// successor, so that no other version comes in.
func goEvents(a *advisory.Advisory) []goEvent {
	var events []goEvent
	for _, s := range a.Merged(func(string) bool { return true }) {
		from, until := "0", ""
		if s.From != "" {
			from = semverText(s.From)
		}
		if s.To != "" {
			until = semverText(s.To)
			if s.Including {
				until = semverNext(until)
			}
		}
		if n := len(events); n > 0 && events[n-1].Fixed == from {
			events = events[:n-1] // the run goes on
		} else {
			events = append(events, goEvent{Introduced: from})
		}
		if until != "" {
			events = append(events, goEvent{Fixed: until})
		}
	}
	return events
}

// goFixed gives for each module of e the version from which on none is affected, "" for none.
func goFixed(e *goEntry) map[string]string {
	out := map[string]string{}
	for _, of := range e.Affected {
		name := of.Package.Name
		events := of.Ranges[0].Events
		fixed := events[len(events)-1].Fixed
		if _, twice := out[name]; twice {
			fixed = "" // the record is looked at
		}
		out[name] = fixed
	}
	return out
}

// goPath undoes the escaping of the module proxy, which some records have; it is the path of a go.mod file then.
func goPath(name string) string {
	if p, err := module.UnescapePath(name); err == nil && strings.Contains(name, "!") {
		return p
	}
	return name
}

// goTime writes a time as the database does, without fractions of a second.
func timeText(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }

func jsonText(v any) (jsontext.Value, error) { return json.Marshal(v, json.Deterministic(true)) }

func jsonValues[T any](list []T) ([]jsontext.Value, error) {
	out := make([]jsontext.Value, len(list))
	for i := range list {
		v, err := jsonText(list[i])
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// goWriter writes files in both forms.
type goWriter struct {
	dir *os.Root
	z   *gzip.Writer // used again and again: a new one costs a megabyte
}

// add writes v as name.json and name.json.gz.
func (w *goWriter) add(name string, v any) error {
	data, err := jsonText(v)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	zipped, err := w.gzip(data)
	if err != nil {
		return err
	}
	return errors.Join(add(w.dir, name+".json", data), add(w.dir, name+".json.gz", zipped))
}

func (w *goWriter) gzip(data []byte) ([]byte, error) {
	var buf bytes.Buffer
	w.z.Reset(&buf) // without a time, so that the bytes are the same
	if _, err := w.z.Write(data); err != nil {
		return nil, err
	}
	err := w.z.Close()
	return buf.Bytes(), err
}

// goTheirs is what the indexes of a database to merge over say.
type goTheirs struct {
	modified time.Time
	modules  []goModule
	vulns    []jsontext.Value
	ids      map[string]bool
}

// upstream copies the database at path into w's directory and takes its indexes out again, which are written anew. Records
// that are only there in one of the two forms get the other one.
func (w *goWriter) upstream(ctx context.Context, path string) (*goTheirs, error) {
	dir := w.dir
	t := &goTheirs{modules: []goModule{}, ids: map[string]bool{}}
	if path == "" {
		return t, nil
	}
	if err := copyOver(ctx, path, dir, "index"); err != nil {
		return nil, err
	}
	var db goDB
	for name, into := range map[string]any{"index/db": &db, "index/modules": &t.modules, "index/vulns": &t.vulns} {
		data, err := goTake(dir, name)
		if err == nil {
			err = json.Unmarshal(data, into)
		}
		if err != nil {
			return nil, fmt.Errorf("what is to be merged over: %s.json: %v", name, err) //nolint:errorlint // not about what is written
		}
	}
	t.modified, _ = osv.Timestamp(db.Modified).Time()
	// govulncheck believes the last of several entries for a module: they become one.
	first := map[string]int{}
	once := t.modules[:0]
	for _, m := range t.modules {
		if i, twice := first[m.Path]; twice {
			once[i].Vulns = append(once[i].Vulns, m.Vulns...)
			continue
		}
		first[m.Path] = len(once)
		once = append(once, m)
	}
	t.modules = once
	records, err := fs.ReadDir(dir.FS(), "ID")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, d := range records {
		id, ok := strings.CutSuffix(strings.TrimSuffix(d.Name(), ".gz"), ".json")
		if !ok || d.IsDir() || t.ids[id] {
			continue
		}
		t.ids[id] = true
		if err := w.complete("ID/" + id + ".json"); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// goTake reads an index and removes both of its files.
func goTake(dir *os.Root, name string) ([]byte, error) {
	data, err := readJSON(dir, name+".json")
	if err != nil {
		return nil, err
	}
	for _, f := range []string{name + ".json", name + ".json.gz"} {
		if err := dir.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return data, nil
}

// readJSON reads a file, or the gzipped one beside it.
func readJSON(dir *os.Root, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = dir.Open(name + ".gz"); err == nil {
			defer f.Close()
			z, err := gzip.NewReader(f)
			if err != nil {
				return nil, err
			}
			return bounded.ReadAll(io.Reader(z), maxOverFile, path.Base(name))
		}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return bounded.ReadAll(f, maxOverFile, path.Base(name))
}

// complete gives a record of upstream's the form that it lacks.
func (w *goWriter) complete(name string) error {
	dir := w.dir
	_, plain := dir.Lstat(name)
	_, zipped := dir.Lstat(name + ".gz")
	if plain == nil && zipped == nil {
		return nil
	}
	data, err := readJSON(dir, name)
	if err != nil {
		return fmt.Errorf("what is to be merged over: %s: %v", name, err) //nolint:errorlint // not about what is written
	}
	if plain != nil {
		return add(dir, name, data)
	}
	data, err = w.gzip(data)
	return errors.Join(err, add(dir, name+".gz", data))
}
