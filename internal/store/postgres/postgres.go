// Package postgres keeps the catalog's working state in PostgreSQL 13 or newer.
//
// Flow: [Open] connects, refuses a server that cannot keep the promises of package
// store, and brings the schema up to date; View and Update then run as described
// there. Everything lives in one schema, "rapsheet" unless the connection string
// names another as its search_path, so that a database may be shared.
//
// A View is a read-only REPEATABLE READ transaction. An Update locks the table
// "writer" before it takes its snapshot, so updates run one after the other and
// REPEATABLE READ is as good as SERIALIZABLE without its bookkeeping
// (https://www.postgresql.org/docs/current/sql-lock.html, the note on LOCK TABLE and
// REPEATABLE READ). Locks belong to the transaction: a client that dies holds none.
//
// The connection string may set, as any run-time parameter of the server,
// lock_timeout (how long an Update waits for another before [store.ErrBusy], 10 s
// unless set; 0 waits for ever), statement_timeout and
// idle_in_transaction_session_timeout (5 min each, so that a client that hangs does
// not hold the lock for ever), and pgxpool's pool_max_conns and kin.
//
// Promise: text and bytes are sent as parameters of the extended protocol, never as
// SQL; the password is in no name, error or log; memory does not grow with the size of a
// batch. Strings that are keys must fit an index entry: about 2,600 bytes for all
// parts of a key together, which the limits of package claim keep to.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapsheet/rapsheet/internal/store"
)

const (
	// attempts bounds how often an Update is tried that the server asks to repeat.
	attempts = 6
	// backoff is the longest wait before the second attempt; it doubles each time.
	backoff = 20 * time.Millisecond
	// endLimit bounds COMMIT and ROLLBACK, which go on when the caller's context has ended.
	endLimit = time.Minute

	defaultSchema = "rapsheet"
)

// schemaName is what search_path may be: one plain identifier, which needs no quotes and
// fits PostgreSQL's 63 bytes.
var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// Store is a store in PostgreSQL. It is safe for concurrent use.
type Store struct {
	pool *pgxpool.Pool
	name string
	log  *slog.Logger
	// wait is how long an Update waits for others, 0 for ever.
	wait time.Duration
	// writer is full while an Update of this process runs: those that wait for it
	// hold no connection, so Views find one.
	writer chan struct{}
}

var _ store.Store = (*Store)(nil)

// Open connects to the database that dsn names, a postgres:// URL or a list of
// keywords and values; what it leaves open comes from the environment as for libpq
// (PGHOST, PGPASSFILE, …). It creates or updates the schema.
//
// Errors: [store.ErrEngine] for a server that is too old or set up to lose or garble
// data, [store.ErrNewer] for a schema made by a newer program, [store.ErrBusy] when
// another process keeps the schema for too long.
func Open(ctx context.Context, dsn string, log *slog.Logger) (*Store, error) {
	cfg, schema, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	s := &Store{
		name:   display(cfg.ConnConfig, schema),
		log:    log,
		writer: make(chan struct{}, 1),
	}
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error { return prepare(ctx, conn, log) }

	if err := migrate(ctx, cfg.ConnConfig, schema, log); err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	var ms int64
	err = s.pool.QueryRow(ctx, `SELECT setting::bigint FROM pg_settings WHERE name = 'lock_timeout'`).Scan(&ms)
	if err != nil {
		s.pool.Close()
		return nil, fmt.Errorf("%s: %w", s.name, translate(err))
	}
	s.wait = time.Duration(ms) * time.Millisecond
	return s, nil
}

// parse reads the connection string. Its errors say nothing of the string but the name of a
// file that cannot be read: where it is not understood, nobody knows which part is the password.
func parse(dsn string) (cfg *pgxpool.Config, schema string, err error) {
	cfg, err = pgxpool.ParseConfig(dsn)
	if file := (*fs.PathError)(nil); errors.As(err, &file) {
		return nil, "", fmt.Errorf("the PostgreSQL connection string: %w", file)
	}
	if err != nil {
		return nil, "", errors.New("the PostgreSQL connection string is not understood: it is like " +
			"postgres://user@host:5432/database?sslmode=verify-full, with %-escapes for special characters")
	}
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement

	params := cfg.ConnConfig.RuntimeParams
	schema = params["search_path"]
	if schema == "" {
		schema = defaultSchema
	}
	if !schemaName.MatchString(schema) || strings.HasPrefix(schema, "pg_") {
		return nil, "", fmt.Errorf("search_path %.80q: it must be one schema, of lower-case letters, digits and _", schema)
	}
	params["search_path"] = schema
	for name, value := range map[string]string{
		"application_name":                    "rapsheet",
		"lock_timeout":                        "10s",
		"statement_timeout":                   "5min",
		"idle_in_transaction_session_timeout": "5min",
		// A client machine that vanished is noticed after a minute. Ignored on local sockets.
		"tcp_keepalives_idle":     "30",
		"tcp_keepalives_interval": "10",
		"tcp_keepalives_count":    "3",
		// Batches of keys are joined through an index; the default price of a random
		// page is that of a spinning disk and makes the planner read whole tables.
		"random_page_cost": "1.1",
		"work_mem":         "32MB",
		"jit":              "off",
	} {
		if params[name] == "" {
			params[name] = value
		}
	}
	return cfg, schema, nil
}

// display names the store for people: a URL without the password.
func display(c *pgx.ConnConfig, schema string) string {
	u := url.URL{Scheme: "postgres", Path: "/" + c.Database}
	if c.User != "" {
		u.User = url.User(c.User)
	}
	q := url.Values{}
	if strings.HasPrefix(c.Host, "/") || strings.HasPrefix(c.Host, "@") {
		q.Set("host", c.Host)
		if c.Port != 5432 {
			q.Set("port", strconv.Itoa(int(c.Port)))
		}
	} else {
		u.Host = net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))
	}
	if schema != defaultSchema {
		q.Set("search_path", schema)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// prepare checks and sets up a new connection. Every connection is checked: settings can
// change while the program runs.
func prepare(ctx context.Context, conn *pgx.Conn, log *slog.Logger) error {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID,
		Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	var v settings
	err := conn.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
		       current_setting('fsync'), current_setting('full_page_writes'),
		       current_setting('synchronous_commit'), current_setting('standard_conforming_strings')`,
	).Scan(&v.version, &v.encoding, &v.fsync, &v.fullPageWrites, &v.synchronousCommit, &v.conformingStrings)
	if err != nil {
		return fmt.Errorf("read the server's settings: %w", translate(err))
	}
	if err := v.check(); err != nil {
		return err
	}
	if v.version >= 14_00_00 {
		// Without it the server notices only between statements that its client is gone.
		// Not every platform can do it, and then nothing is lost but time.
		_, err := conn.Exec(ctx, `SELECT set_config('client_connection_check_interval', $1, false)`, "2s")
		if err != nil {
			log.DebugContext(ctx, "postgres: client_connection_check_interval", "error", err)
		}
	}
	return nil
}

// settings are those of the server that decide whether it keeps what it acknowledges.
type settings struct {
	version                              int
	encoding, fsync, fullPageWrites      string
	synchronousCommit, conformingStrings string
}

func (v settings) check() error {
	wrong := func(what, is, want string) error {
		return fmt.Errorf("%w: %s is %s, it must be %s", store.ErrEngine, what, is, want)
	}
	switch {
	case v.version < 13_00_00:
		return wrong("server_version_num", strconv.Itoa(v.version), "130000 (PostgreSQL 13) or above")
	case v.encoding != "UTF8":
		return wrong("server_encoding", v.encoding, "UTF8")
	case v.fsync != "on":
		return wrong("fsync", v.fsync, "on")
	case v.fullPageWrites != "on":
		return wrong("full_page_writes", v.fullPageWrites, "on")
	case v.synchronousCommit == "off":
		return wrong("synchronous_commit", v.synchronousCommit, "on, local or a remote level")
	case v.conformingStrings != "on":
		return wrong("standard_conforming_strings", v.conformingStrings, "on")
	}
	return nil
}

// Name is the connection string without its password and options.
func (s *Store) Name() string { return s.name }

// Close waits for running transactions and closes the connections. Its error is always nil.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// View runs f on one snapshot, as package store says; f is called at most once.
func (s *Store) View(ctx context.Context, f func(store.Reader) error) error {
	t, err := s.begin(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly},
		// The snapshot is taken by the first query, not by BEGIN.
		`SELECT`)
	if err != nil {
		return fmt.Errorf("%s: begin to read: %w", s.name, err)
	}
	defer s.rollback(ctx, t)
	return f(&reader{t})
}

// Update runs f in a serialised transaction, as package store says. f is called again
// when the server breaks a deadlock or finds a conflict, at most six times in all.
func (s *Store) Update(ctx context.Context, f func(store.Tx) error) error {
	var deadline time.Time
	if s.wait > 0 {
		deadline = time.Now().Add(s.wait)
	}
	if err := s.acquire(ctx); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	defer func() { <-s.writer }()

	pause := backoff
	for n := 1; ; n++ {
		err := s.update(ctx, deadline, f)
		if err == nil || n == attempts || !repeatable(err) {
			return err
		}
		s.log.DebugContext(ctx, "postgres: update again", "attempt", n+1, "reason", err)
		select {
		case <-time.After(rand.N(pause) + time.Millisecond):
			pause *= 2
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// acquire waits for the other updates of this process.
func (s *Store) acquire(ctx context.Context) error {
	var late <-chan time.Time
	if s.wait > 0 {
		timer := time.NewTimer(s.wait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case s.writer <- struct{}{}:
		return nil
	case <-late:
		return store.ErrBusy
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// update is one attempt.
func (s *Store) update(ctx context.Context, deadline time.Time, f func(store.Tx) error) error {
	var limit int64
	if !deadline.IsZero() {
		limit = max(1, time.Until(deadline).Milliseconds())
	}
	t, err := s.begin(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead},
		// Neither statement takes a snapshot, so the first query sees what the one who had
		// the lock before has committed. SET takes no parameters.
		`SET LOCAL lock_timeout = `+strconv.FormatInt(limit, 10), `LOCK TABLE writer IN EXCLUSIVE MODE`)
	if err != nil {
		return fmt.Errorf("%s: begin to write: %w", s.name, err)
	}
	defer s.rollback(ctx, t)

	if err := f(&tx{reader{t}}); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	// A commit that is interrupted has happened or not, and nobody knows: let it end.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
	defer cancel()
	if err := t.Commit(end); err != nil {
		return fmt.Errorf("%s: commit: %w", s.name, translate(err))
	}
	return nil
}

// begin starts a transaction and runs the statements. What fails because a pooled
// connection is dead (the server was restarted) is tried once more on a new one:
// nothing has happened yet.
func (s *Store) begin(ctx context.Context, opts pgx.TxOptions, statements ...string) (pgx.Tx, error) {
	for again := true; ; again = false {
		t, err := s.pool.BeginTx(ctx, opts)
		for _, sql := range statements {
			if err == nil {
				_, err = t.Exec(ctx, sql)
			}
		}
		if err == nil {
			return t, nil
		}
		dead := t == nil || t.Conn().IsClosed()
		if t != nil {
			s.rollback(ctx, t)
		}
		if !again || !dead || refused(err) || ctx.Err() != nil {
			return nil, translate(err)
		}
		s.pool.Reset()
	}
}

// rollback undoes what was not committed; after a commit it does nothing.
func (s *Store) rollback(ctx context.Context, t pgx.Tx) {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
	defer cancel()
	if err := t.Rollback(end); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
		s.log.DebugContext(ctx, "postgres: rollback", "store", s.name, "error", err)
	}
}

// SQLSTATE codes (https://www.postgresql.org/docs/current/errcodes-appendix.html).
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	lockNotAvailable     = "55P03"
	operatorIntervention = "57P" // a class: the server ends, ended or starts
)

// refused reports whether a living server said no, so that asking again is useless.
func refused(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, store.ErrEngine) || errors.As(err, &pg) && !strings.HasPrefix(pg.Code, operatorIntervention)
}

// repeatable reports whether the server asks to try the transaction again.
func repeatable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == serializationFailure || pg.Code == deadlockDetected)
}

// translate puts the contract's errors before those of the server.
func translate(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == lockNotAvailable {
		return fmt.Errorf("%w (%w)", store.ErrBusy, err)
	}
	return err
}
