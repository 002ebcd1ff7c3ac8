package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/rapsheet/rapsheet/internal/store"
)

// applicationID marks the file as ours, "RapS" in its header
// (https://www.sqlite.org/pragma.html#pragma_application_id).
const applicationID = 0x52617053

// minVersion is the first SQLite that can be trusted with a WAL: before 3.51.3, two connections
// that reset it at the same moment could damage the file (https://www.sqlite.org/wal.html#walresetbug).
const minVersion = "3.51.3"

//go:embed migrations/*.sql
var migrations embed.FS

// Open opens the database in the file at path, makes it when it is not there (the directory
// with mode 0700, the file with 0600) and brings its tables up to date. Several processes may
// open one file at once, for the first time too.
//
// A file that is something else is refused and stays as it is. Errors are [store.ErrNewer],
// [store.ErrEngine], [store.ErrBusy], or wrap what the system said.
func Open(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open sqlite:%s: %w", path, err)
	}
	if err := create(abs); err != nil {
		return nil, fmt.Errorf("open sqlite:%s: %w", abs, err)
	}
	s := &Store{Wait: DefaultWait, path: abs, log: log}
	// Both kinds of connection wait for locks the same time as an Update; synchronous and
	// foreign_keys belong to a connection and not to the file.
	common := []string{
		"busy_timeout(" + strconv.FormatInt(DefaultWait.Milliseconds(), 10) + ")",
		"synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)",
	}
	// The writer has 64 MiB of pages so that a large Update does not write the same
	// page over and over; what its -wal file grows to is cut back afterwards.
	writer, err := connect(abs, append(common, "cache_size(-65536)", "journal_size_limit(67108864)"))
	if err != nil {
		return nil, s.fail(ctx, "open", err)
	}
	writer.SetMaxOpenConns(1)
	s.writer = writer
	s.reader, err = connect(abs, append(common, "cache_size(-16384)", "query_only(1)"))
	if err != nil {
		return nil, errors.Join(s.fail(ctx, "open", err), writer.Close())
	}
	s.reader.SetMaxOpenConns(readers)
	s.reader.SetMaxIdleConns(4)
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// create makes the directory and the file, so that they have their modes from the beginning; the
// files beside it get the mode of the file.
//
// The file is made elsewhere, closed and then linked to its name: closing it under its
// name could drop the locks that another handle of this process has on it already
// (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
func create(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	temp := f.Name()
	if err = f.Close(); err == nil {
		err = os.Link(temp, path)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		// A file system without links: two handles of one process must not come first at once.
		if f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			err = f.Close()
		}
	}
	if errors.Is(err, fs.ErrExist) { // another was first
		err = nil
	}
	return errors.Join(err, os.Remove(temp))
}

// connect gives connections to the file with the pragmas set on each.
func connect(path string, pragmas []string) (*sql.DB, error) {
	q := url.Values{"_pragma": pragmas, "_txlock": {"immediate"}, "_defensive": {"1"}, "_dqs": {"0"}, "_error_rc": {"1"}}
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") { // C:/… (https://www.sqlite.org/uri.html#the_uri_path)
		slashed = "/" + slashed
	}
	u := url.URL{Scheme: "file", Path: slashed, RawQuery: q.Encode()}
	c, err := sqlite.NewConnector(u.String())
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

// prepare makes the file ours and current, and asserts what the promises rest on.
func (s *Store) prepare(ctx context.Context) error {
	if err := s.recognise(ctx); err != nil {
		return err
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	var version, journal string
	var sync, foreign, readOnly int
	for _, q := range []struct {
		db   *sql.DB
		sql  string
		into any
	}{
		{s.writer, "SELECT sqlite_version()", &version},
		{s.writer, "PRAGMA journal_mode", &journal},
		{s.writer, "PRAGMA synchronous", &sync},
		{s.writer, "PRAGMA foreign_keys", &foreign},
		{s.reader, "PRAGMA query_only", &readOnly},
	} {
		if err := q.db.QueryRowContext(ctx, q.sql).Scan(q.into); err != nil {
			return s.fail(ctx, "open", err)
		}
	}
	if err := trusted(version, journal, sync, foreign, readOnly); err != nil {
		return fmt.Errorf("open %s: %w", s.Name(), err)
	}
	return nil
}

// trusted gives ErrEngine with the reason unless these settings can keep the promises.
func trusted(version, journal string, sync, foreign, readOnly int) error {
	switch {
	case !atLeast(version, minVersion):
		return fmt.Errorf("%w: sqlite %.20q is older than %s", store.ErrEngine, version, minVersion)
	case journal != "wal":
		return fmt.Errorf("%w: journal_mode is %.20q, not wal", store.ErrEngine, journal)
	case sync != 2:
		return fmt.Errorf("%w: synchronous is %d, not 2 (full)", store.ErrEngine, sync)
	case foreign != 1 || readOnly != 1:
		return fmt.Errorf("%w: foreign_keys is %d and query_only of readers %d, not 1", store.ErrEngine, foreign, readOnly)
	}
	return nil
}

// atLeast compares dotted numbers; what is not a number is older than everything.
func atLeast(version, least string) bool {
	have, want := strings.Split(version, "."), strings.Split(least, ".")
	for i, w := range want {
		if i >= len(have) {
			return false
		}
		h, err := strconv.ParseUint(have[i], 10, 32)
		n, err2 := strconv.ParseUint(w, 10, 32)
		if err != nil || err2 != nil {
			return false
		}
		if h != n {
			return h > n
		}
	}
	return true
}

// recognise refuses a file that is not ours, and marks an empty one. Only then is the journal
// set to WAL, which is written into the file.
func (s *Store) recognise(ctx context.Context) error {
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return s.recogniseError(ctx, err)
	}
	defer conn.Close()
	ours, err := mark(ctx, conn)
	if err != nil {
		return s.recogniseError(ctx, err)
	}
	if !ours {
		return fmt.Errorf("open %s: this database belongs to another program", s.Name())
	}
	// Changing the journal needs the file for itself, and SQLite does not always wait for that.
	deadline := time.Now().Add(s.Wait)
	for {
		var mode string
		err := conn.QueryRowContext(ctx, "PRAGMA journal_mode = wal").Scan(&mode)
		if err == nil {
			return nil
		}
		if !busy(err) || time.Now().After(deadline) {
			return s.fail(ctx, "open", err)
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return s.fail(ctx, "open", err)
		}
	}
}

func (s *Store) recogniseError(ctx context.Context, err error) error {
	if code(err)&0xff == sqlite3.SQLITE_NOTADB {
		return fmt.Errorf("open %s: this file is not a database", s.Name())
	}
	return s.fail(ctx, "open", err)
}

// mark reports whether the database has our mark, after giving it to an empty one.
func mark(ctx context.Context, conn *sql.Conn) (bool, error) {
	if id, _, err := header(ctx, conn); id == applicationID || err != nil {
		return err == nil, err
	}
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return false, err
	}
	defer rollback(ctx, conn)
	// Again under the lock: another process may have marked it and begun to fill it.
	id, tables, err := header(ctx, conn)
	if err != nil || id == applicationID {
		return err == nil, err
	}
	if id != 0 || tables > 0 {
		return false, nil
	}
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
		return false, err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err == nil, err
}

func header(ctx context.Context, conn *sql.Conn) (id, tables int64, err error) {
	err = conn.QueryRowContext(ctx, "SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id").Scan(&id, &tables)
	return id, tables, err
}

// migrate applies the migrations that are missing. Goose takes each as one transaction and none
// of it as one with looking what is missing, so that of two processes one can fail; as
// long as the other gets on, it looks again.
func (s *Store) migrate(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.writer, dir, goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	at, err := s.version(ctx)
	for {
		switch {
		case err != nil:
			return s.fail(ctx, "migrate", err)
		case at > newest:
			return fmt.Errorf("open %s: %w: it has migration %d, this one knows %d", s.Name(), store.ErrNewer, at, newest)
		case at == newest:
			return nil
		}
		before := at
		results, upErr := p.Up(ctx)
		for _, r := range results {
			s.log.InfoContext(ctx, "migrated", "store", s.Name(), "migration", r.Source.Version, "took", r.Duration)
		}
		at, err = s.version(ctx)
		if upErr != nil && err == nil && at == before {
			return s.fail(ctx, "migrate", upErr)
		}
	}
}

// version is the newest migration that was applied: -1 when there is not even the table that
// says so, 0 when there is only that.
func (s *Store) version(ctx context.Context) (int64, error) {
	var exists bool
	if err := s.writer.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'goose_db_version')").Scan(&exists); err != nil {
		return 0, err
	}
	if !exists {
		return -1, nil
	}
	var v int64
	err := s.writer.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&v)
	return v, err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
