// Package sqlite is the built-in engine of internal/store: one file, no server.
//
// Flow: [Open] makes or recognises the file, brings its tables up to date and
// asserts the settings that the promises rest on. View takes a connection of a pool
// that cannot write; Update takes the one connection that writes.
//
// Promise: what Update acknowledged was synced to the disk (WAL with
// synchronous=FULL, https://www.sqlite.org/pragma.html#pragma_synchronous); a full
// disk, a failed write or a killed process leaves the state before. The file and the
// two beside it (-wal, -shm) belong together, on a local disk: SQLite's WAL does not
// work over a network file system (https://www.sqlite.org/wal.html).
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/rapsheet/rapsheet/internal/store"
)

// DefaultWait is how long an Update waits for another to end.
const DefaultWait = 10 * time.Second

// readers is how many Views may run at once; further ones wait for one to end.
const readers = 16

// Store is an open database file. It is safe for concurrent use, by several processes too.
type Store struct {
	// Wait is how long an Update waits for others before it gives [store.ErrBusy];
	// [DefaultWait] unless set before the store's first use.
	Wait time.Duration

	path   string
	log    *slog.Logger
	writer *sql.DB // one connection
	reader *sql.DB
}

var _ store.Store = (*Store)(nil)

// Name is "sqlite:" and the path.
func (s *Store) Name() string { return "sqlite:" + s.path }

// Close closes the store: Views and Updates that run go on to their end, new ones fail. Closing
// the last handle on a file moves what is in the -wal file into it. A second Close does nothing.
func (s *Store) Close() error {
	if err := errors.Join(s.reader.Close(), s.writer.Close()); err != nil {
		return fmt.Errorf("close %s: %w", s.Name(), err)
	}
	return nil
}

// Check reads the whole file and reports damage of its structure, at most ten places
// (https://www.sqlite.org/pragma.html#pragma_quick_check). It takes as long as reading the file.
func (s *Store) Check(ctx context.Context) error {
	rows, err := s.reader.QueryContext(ctx, "PRAGMA quick_check(10)")
	if err != nil {
		return s.fail(ctx, "check", err)
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return s.fail(ctx, "check", err)
		}
		if line != "ok" {
			found = append(found, line)
		}
	}
	if err := rows.Err(); err != nil {
		return s.fail(ctx, "check", err)
	}
	if len(found) > 0 {
		return fmt.Errorf("%s is damaged: %s", s.Name(), strings.Join(found, "; "))
	}
	return nil
}

// View runs f on one state of the store.
func (s *Store) View(ctx context.Context, f func(store.Reader) error) error {
	conn, err := s.reader.Conn(ctx)
	if err != nil {
		return s.fail(ctx, "read", err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return s.fail(ctx, "read", err)
	}
	defer rollback(ctx, conn)
	// BEGIN alone takes no snapshot, the first read does
	// (https://www.sqlite.org/isolation.html).
	var any bool
	if err := conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM settings)").Scan(&any); err != nil {
		return s.fail(ctx, "read", err)
	}
	return f(&reader{s: s, conn: conn})
}

// Update runs f once and makes what it wrote durable, wholly or not at all. After a failed
// statement nothing more is read or written, and Update gives that failure even when f does not.
func (s *Store) Update(ctx context.Context, f func(store.Tx) error) error {
	conn, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	t := &tx{reader: reader{s: s, conn: conn}, stmts: map[string]*sql.Stmt{}}
	committed := false
	// Runs as well when f panics or ends its goroutine.
	defer func() {
		t.close()
		if !committed {
			rollback(ctx, conn)
		}
	}()
	if err := f(t); err != nil {
		return err
	}
	if t.failed != nil {
		return t.failed
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("update %s: %w", s.Name(), err)
	}
	// From here the outcome is the database's alone: a context that ends during the
	// COMMIT must not make an acknowledged update look refused.
	if _, err := conn.ExecContext(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		return s.fail(ctx, "commit", err)
	}
	committed = true
	return nil
}

// begin waits for the writing connection and the lock on the file.
func (s *Store) begin(ctx context.Context) (*sql.Conn, error) {
	wait, cancel := context.WithTimeout(ctx, s.Wait)
	defer cancel()
	conn, err := s.writer.Conn(wait)
	if err == nil {
		for {
			// IMMEDIATE: a transaction that read first and then wants to write could
			// only fail (https://www.sqlite.org/lang_transaction.html).
			_, err = conn.ExecContext(wait, "BEGIN IMMEDIATE")
			if !busy(err) || wait.Err() != nil {
				break
			}
		}
		if err == nil {
			return conn, nil
		}
		// The lock may have been taken in the moment in which the context ended.
		rollback(ctx, conn)
		conn.Close()
	}
	if ctx.Err() == nil && (busy(err) || wait.Err() != nil) {
		return nil, fmt.Errorf("update %s: waited %v: %w", s.Name(), s.Wait, store.ErrBusy)
	}
	return nil, s.fail(ctx, "update", err)
}

// rollback undoes whatever is open. SQLite has done so itself after some errors
// (https://www.sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction) and
// then says that there is nothing to undo. A connection that fails otherwise is not used again.
func rollback(ctx context.Context, conn *sql.Conn) {
	_, err := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	if err == nil || code(err)&0xff == sqlite3.SQLITE_ERROR {
		return
	}
	// The error of Raw is the one that is given to it.
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
}

// fail says what could not be done to which store.
func (s *Store) fail(ctx context.Context, what string, err error) error {
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case busy(err):
		err = fmt.Errorf("%w: %w", store.ErrBusy, err)
	}
	return fmt.Errorf("%s %s: %w", what, s.Name(), err)
}

// code is SQLite's extended result code, 0 for other errors.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

func busy(err error) bool {
	c := code(err) & 0xff
	return c == sqlite3.SQLITE_BUSY || c == sqlite3.SQLITE_LOCKED
}
