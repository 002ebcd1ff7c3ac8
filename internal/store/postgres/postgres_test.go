package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/internal/store/pgtest"
	"github.com/rapsheet/rapsheet/internal/store/postgres"
	"github.com/rapsheet/rapsheet/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func open(t testing.TB, dsn string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), dsn, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (store.Store, func(*testing.T) store.Store) {
		dsn := pgtest.Start(t)
		return open(t, dsn), func(t *testing.T) store.Store { return open(t, dsn) }
	})
}

// Processes that start at once on a new database all end with a store.
func TestOpenAtOnce(t *testing.T) {
	dsn := pgtest.Start(t)
	errs := make(chan error)
	const n = 6
	for range n {
		go func() {
			s, err := postgres.Open(t.Context(), dsn, slog.New(slog.DiscardHandler))
			if err == nil {
				err = errors.Join(s.Update(t.Context(), func(tx store.Tx) error {
					return tx.AddAudit(t.Context(), store.AuditEntry{Action: "open"})
				}), s.Close())
			}
			errs <- err
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup string // run in the database
		want  error
	}{
		{"a newer schema", `INSERT INTO rapsheet.schema_version (version_id, is_applied) VALUES (99999, true)`, store.ErrNewer},
		{"asynchronous commit", `ALTER ROLE CURRENT_USER IN DATABASE %s SET synchronous_commit = off`, store.ErrEngine},
		{"other strings", `ALTER ROLE CURRENT_USER IN DATABASE %s SET standard_conforming_strings = off`, store.ErrEngine},
	} {
		t.Run(c.name, func(t *testing.T) {
			dsn := pgtest.Start(t)
			open(t, dsn).Close()
			query(t, dsn, strings.ReplaceAll(c.setup, "%s", database(t, dsn)))
			s, err := postgres.Open(t.Context(), dsn, slog.New(slog.DiscardHandler))
			if err == nil {
				s.Close()
			}
			if !errors.Is(err, c.want) {
				t.Errorf("error is %v, want %v", err, c.want)
			}
		})
	}
}

func TestOpenRefusesEncoding(t *testing.T) {
	dsn := pgtest.Start(t)
	latin := database(t, dsn) + "_latin1"
	query(t, dsn, "CREATE DATABASE "+latin+" TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
	t.Cleanup(func() { query(t, dsn, "DROP DATABASE "+latin+" WITH (FORCE)") })
	s, err := postgres.Open(t.Context(), at(t, dsn, latin), slog.New(slog.DiscardHandler))
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, store.ErrEngine) {
		t.Errorf("error is %v, want ErrEngine", err)
	}
}

// Orders are by bytes whatever the database's own collation is. In English "a" comes
// before "B" (https://www.unicode.org/reports/tr10/, case is a tertiary difference).
func TestForeignCollation(t *testing.T) {
	dsn := pgtest.Start(t)
	english := database(t, dsn) + "_english"
	conn := dial(t, dsn)
	if _, err := conn.Exec(t.Context(), "CREATE DATABASE "+english+" TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C'"); err != nil {
		t.Skipf("this server has no ICU: %v", err)
	}
	t.Cleanup(func() { query(t, dsn, "DROP DATABASE "+english+" WITH (FORCE)") })
	s := open(t, at(t, dsn, english))
	ctx := t.Context()
	keys := []rapsheet.Key{{Ecosystem: "npm", Name: "a"}, {Ecosystem: "npm", Name: "B"}, {Ecosystem: "PyPI", Name: "z"}}
	err := s.Update(ctx, func(tx store.Tx) error {
		var records []store.Record
		for _, k := range keys {
			records = append(records, store.Record{ID: k.Name, Key: k, State: store.Active})
		}
		return tx.PutRecords(ctx, records)
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.View(ctx, func(r store.Reader) error {
		var all string
		for rec, err := range r.Records(ctx) {
			if err != nil {
				return err
			}
			all += rec.ID
		}
		of, err := r.RecordsOf(ctx, keys)
		if err != nil {
			return err
		}
		var byKey string
		for _, rec := range of {
			byKey += rec.ID
		}
		if all != "Baz" || byKey != "zBa" {
			t.Errorf("records in order %s, want Baz; by key %s, want zBa", all, byKey)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// One database may hold several stores, each in its schema.
func TestSchemas(t *testing.T) {
	dsn := pgtest.Start(t)
	ctx := t.Context()
	for _, schema := range []string{"rapsheet", "team_a", "team_b"} {
		s := open(t, dsn+"&search_path="+schema)
		err := s.Update(ctx, func(tx store.Tx) error {
			if v, err := tx.Setting(ctx, "schema"); v != "" || err != nil {
				t.Errorf("%s has another's setting %q, %v", schema, v, err)
			}
			return tx.SetSetting(ctx, "schema", schema)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestBusy(t *testing.T) {
	dsn := pgtest.Start(t) + "&lock_timeout=150ms"
	a, b := open(t, dsn), open(t, dsn)
	ctx := t.Context()
	nothing := func(store.Tx) error { return nil }
	err := a.Update(ctx, func(store.Tx) error {
		for name, s := range map[string]store.Store{"the same": a, "another": b} {
			if err := s.Update(ctx, nothing); !errors.Is(err, store.ErrBusy) {
				t.Errorf("%s store: %v, want ErrBusy", name, err)
			}
			if err := s.View(ctx, func(store.Reader) error { return nil }); err != nil {
				t.Errorf("%s store cannot be read meanwhile: %v", name, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Update(ctx, nothing); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// An Update that waited for another sees what that one wrote, at its first call: its snapshot
// is younger than its lock.
func TestYoungSnapshot(t *testing.T) {
	dsn := pgtest.Start(t)
	a, b := open(t, dsn), open(t, dsn)
	ctx := t.Context()
	waited := make(chan error)
	calls := 0
	err := a.Update(ctx, func(tx store.Tx) error {
		go func() {
			waited <- b.Update(ctx, func(tx store.Tx) error {
				calls++
				v, err := tx.Setting(ctx, "who")
				if v != "a" {
					t.Errorf("the one that waited sees %q", v)
				}
				return errors.Join(err, tx.SetSetting(ctx, "who", "b"))
			})
		}()
		await(t, dsn)
		return tx.SetSetting(ctx, "who", "a")
	})
	if err := errors.Join(err, <-waited); err != nil {
		t.Fatal(err)
	}
	if calls != 1 {
		t.Errorf("%d calls, want 1", calls)
	}
}

// await returns when a connection to the database waits for a lock.
func await(t *testing.T, dsn string) {
	t.Helper()
	conn := dial(t, dsn)
	for waits := false; !waits; time.Sleep(5 * time.Millisecond) {
		err := conn.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)`).Scan(&waits)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The server may ask to repeat a transaction: SQLSTATE 40001 and 40P01
// (https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html).
func TestRepeats(t *testing.T) {
	s := open(t, pgtest.Start(t))
	ctx := t.Context()
	for _, c := range []struct {
		name, code   string
		fails, calls int
	}{
		{"never", "40001", 0, 1},
		{"serialization failure", "40001", 2, 3},
		{"deadlock", "40P01", 1, 2},
		{"for ever", "40001", 1000, 6},
		{"another error", "22012", 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := 0
			err := s.Update(ctx, func(tx store.Tx) error {
				calls++
				if v, err := tx.Setting(ctx, c.name); v != "" || err != nil {
					t.Errorf("call %d sees %q of the one before, %v", calls, v, err)
				}
				if err := tx.SetSetting(ctx, c.name, "set"); err != nil {
					return err
				}
				if calls <= c.fails {
					return fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: c.code})
				}
				return nil
			})
			if calls != c.calls {
				t.Errorf("%d calls, want %d", calls, c.calls)
			}
			if (err != nil) != (c.fails >= c.calls) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// The password is in nothing that anybody reads.
func TestSecret(t *testing.T) {
	dsn := pgtest.Start(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	right, _ := u.User.Password()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := postgres.Open(t.Context(), dsn, logger)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	fail := s.Update(t.Context(), func(tx store.Tx) error {
		return tx.SetSetting(t.Context(), "a", "\x00")
	})
	u.User = url.UserPassword(u.User.Username(), "wr0ngpass")
	_, refused := postgres.Open(t.Context(), u.String(), logger)
	u.User = url.UserPassword(u.User.Username(), "wr0ngpass")
	u.RawQuery = "host=/nonexistent"
	_, absent := postgres.Open(t.Context(), u.String(), logger)
	if refused == nil || absent == nil || !errors.Is(fail, store.ErrText) {
		t.Fatalf("errors are %v, %v, %v", refused, absent, fail)
	}
	for what, text := range map[string]string{
		"name": s.Name(), "error": fmt.Sprintf("%v %+v", fail, fail), "wrong password": refused.Error(), "no server": absent.Error(), "log": log.String(),
	} {
		if strings.Contains(text, right) || strings.Contains(text, "wr0ngpass") {
			t.Errorf("%s has the password: %s", what, text)
		}
	}
}

func dial(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// query runs one statement, in cleanups too.
func query(t *testing.T, dsn, sql string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
}

func database(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}

// at is the connection string of another database of the same server.
func at(t *testing.T, dsn, database string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + database
	return u.String()
}
