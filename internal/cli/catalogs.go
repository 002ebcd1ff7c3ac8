package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/catalog"
	"github.com/rapsheet/rapsheet/internal/catalog/builtin"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/match"
)

// catalogFile is the name of the snapshot in the user's data directory.
const catalogFile = "catalog.idx"

// opened is the catalogs of one run.
type opened struct {
	indexes []match.Index
	infos   []rapsheet.Catalog
	open    []*index.Index
	// lists counts those made of lists (--list), which come last; notes are what could not be read of them.
	lists int
	notes []*rapsheet.Note
}

func (o *opened) Close() {
	for _, ix := range o.open {
		ix.Close()
	}
}

func (o *opened) add(ix *index.Index, source string, builtIn bool) {
	m := ix.Meta()
	o.open = append(o.open, ix)
	o.indexes = append(o.indexes, ix)
	o.infos = append(o.infos, rapsheet.Catalog{
		Source: source, Sequence: m.Sequence, Date: m.Date, Records: m.Records, Packages: m.Packages, BuiltIn: builtIn,
	})
}

// hasDigests reports whether some record has digests of archives, so that hashing archives is of use.
func (o *opened) hasDigests() bool {
	return slices.ContainsFunc(o.open, (*index.Index).HasDigests)
}

// stale gives an error when the newest knowledge in the catalogs is older than limit. A list of today
// makes a catalog no younger.
func (o *opened) stale(now time.Time, limit time.Duration) error {
	catalogs := o.infos[:len(o.infos)-o.lists]
	if limit <= 0 || len(catalogs) == 0 {
		return nil
	}
	for _, c := range catalogs {
		if now.Sub(c.Date) <= limit {
			return nil
		}
	}
	return &catalogError{
		fmt.Errorf("the catalog is of %s, older than --max-age allows", o.infos[0].Date.Format(time.DateOnly)),
		"fetch the public list with `rapsheet update`",
	}
}

// dataDir is where rapsheet keeps what belongs to the user: RAPSHEET_HOME, or the
// platform's directory for application data.
func (a *app) dataDir() (string, error) {
	get := a.env.Getenv
	if d := get("RAPSHEET_HOME"); d != "" {
		return d, nil
	}
	switch runtime.GOOS {
	case "windows":
		if d := get("LocalAppData"); d != "" {
			return filepath.Join(d, "rapsheet"), nil
		}
	case "darwin":
		if d := get("HOME"); d != "" {
			return filepath.Join(d, "Library", "Application Support", "rapsheet"), nil
		}
	default:
		if d := get("XDG_DATA_HOME"); filepath.IsAbs(d) {
			return filepath.Join(d, "rapsheet"), nil
		}
		if d := get("HOME"); d != "" {
			return filepath.Join(d, ".local", "share", "rapsheet"), nil
		}
	}
	return "", &usageError{"no home directory is known to keep the catalog in", "set RAPSHEET_HOME to a directory"}
}

const catalogUsage = "`FILE|DIR|ZIP`, a snapshot, a directory of releases, or records to use instead of the installed catalog, or the word installed; may be repeated"

// installedCatalog is the value of --catalog that stands for the catalog that is used
// when none is named.
const installedCatalog = "installed"

// catalogs opens the catalogs named by --catalog; without one, the installed one.
func (a *app) catalogs(ctx context.Context, paths []string) (*opened, error) {
	if len(paths) == 0 {
		paths = []string{installedCatalog}
	}
	o := &opened{}
	for _, p := range paths {
		var err error
		if p == installedCatalog {
			err = a.addInstalled(o)
		} else {
			var ix *index.Index
			if ix, err = a.openCatalog(ctx, p); err == nil {
				o.add(ix, p, false)
			}
		}
		if err != nil {
			o.Close()
			return nil, err
		}
	}
	return o, nil
}

// addInstalled opens the user's own catalog; if there is none, the built-in list.
func (a *app) addInstalled(o *opened) error {
	dir, err := a.dataDir()
	if err == nil {
		path := filepath.Join(dir, catalogFile)
		ix, err := index.Open(path)
		if err == nil {
			o.add(ix, path, false)
			return nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			// A catalog that is there and unusable is never replaced by a smaller one in silence.
			return unusable(err)
		}
	}
	ix, err := builtIn()
	if err != nil {
		return err
	}
	o.add(ix, "built-in", true)
	return nil
}

// openCatalog opens a snapshot, or builds one in memory from whatever
// `catalog build` takes.
func (a *app) openCatalog(ctx context.Context, path string) (*index.Index, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, &catalogError{err, "is the path of --catalog spelled right?"}
	}
	if snapshot := releaseSnapshot(path); st.IsDir() && snapshot != "" {
		ix, err := index.Open(snapshot)
		return ix, unusable(err)
	}
	if st.Mode().IsRegular() {
		ix, err := index.Open(path)
		if err == nil {
			return ix, nil
		}
		if !errors.Is(err, index.ErrFormat) {
			return nil, unusable(err)
		}
	}
	in := catalog.Input{Name: path, Documents: source.Documents(ctx, path, source.Limits{})}
	b, report, err := catalog.Build(ctx, []catalog.Input{in}, a.env.Now(), nil)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, &catalogError{err, "a catalog is a snapshot, or OSV records as a directory, .json, .jsonl, .zip or .tar"}
	}
	if report.Records == 0 {
		return nil, &catalogError{fmt.Errorf("%s has no record of a malicious package", path), "see `rapsheet catalog build --help` for what is read"}
	}
	if n := len(report.Rejected); n > 0 {
		fmt.Fprintf(a.stderr, "rapsheet: %s: %d records could not be used (`rapsheet catalog build` lists them)\n", path, n)
	}
	return inMemory(b, index.Meta{Source: path})
}

// addList makes a catalog of a list, for this run alone.
func (a *app) addList(ctx context.Context, o *opened, path string, sf *sourceFlags) error {
	claims, notes, err := a.claims(ctx, path, sf, nil)
	var usage *usageError
	if errors.As(err, &usage) {
		return &usageError{usage.msg, "the mapping can be given: --list-ecosystem, --list-columns (see `rapsheet catalog import --help` for what a list may be)"}
	}
	if err != nil {
		return err
	}
	b, records, err := catalog.AdHoc(claims, a.env.Now())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if records == 0 {
		return &usageError{path + " names no package", "see `rapsheet catalog import --dry-run " + path + "` for how it is read"}
	}
	ix, err := inMemory(b, index.Meta{Source: path})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	o.lists++
	o.notes = append(o.notes, notes...)
	o.add(ix, path, false)
	return nil
}

// sparing makes the collector run earlier until undo is called: a build holds
// every record at once and makes garbage of the same size while reading.
func sparing() (undo func()) {
	old := debug.SetGCPercent(40)
	return func() { debug.SetGCPercent(old) }
}

// inMemory makes an index that is used once.
func inMemory(b *index.Builder, meta index.Meta) (*index.Index, error) {
	b.Quick = true
	var buf bytes.Buffer
	if err := b.WriteTo(&buf, meta); err != nil {
		return nil, err
	}
	return index.New(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
}

// builtIn makes the index of the built-in records.
func builtIn() (*index.Index, error) {
	var b index.Builder
	for r, err := range builtin.Records() {
		if err != nil {
			return nil, fmt.Errorf("built-in catalog: %w", err)
		}
		it, err := index.Prepare(r)
		if err != nil {
			return nil, fmt.Errorf("built-in catalog: %w", err)
		}
		b.Add(it)
	}
	return inMemory(&b, index.Meta{Source: "built-in"})
}

// output gives where a report goes: standard output, or a file written whole or not at all.
func (a *app) output(path string, write func(io.Writer) error) error {
	if path == "" || path == "-" {
		return write(a.stdout)
	}
	return writeFile(path, write)
}
