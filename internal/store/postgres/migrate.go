package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/binary"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/rapsheet/rapsheet/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate creates the schema or brings it up to date. Processes that start at once do
// so one after the other, under an advisory lock that ends with its connection.
func migrate(ctx context.Context, cfg *pgx.ConnConfig, schema string, log *slog.Logger) (err error) {
	cfg = cfg.Copy()
	// A migration of a large table may take longer than a statement should.
	cfg.RuntimeParams["statement_timeout"] = "0"
	db := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		return prepare(ctx, conn, log)
	}))
	defer db.Close()

	lock, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", translate(err))
	}
	defer lock.Close()
	if _, err := lock.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, migrationLock(schema)); err != nil {
		return fmt.Errorf("wait for another process to prepare schema %s: %w", schema, translate(err))
	}
	if err := createSchema(ctx, lock, schema); err != nil {
		return err
	}
	return up(ctx, db, schema, log)
}

// migrationLock is the number that stands for the schema among the advisory locks of
// the database, which all programs share: hence a digest and no small number.
func migrationLock(schema string) int64 {
	sum := sha256.Sum256([]byte("rapsheet migrations of schema " + schema))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// createSchema makes the schema where it is missing. CREATE SCHEMA IF NOT EXISTS alone asks
// for the right to create even when the schema is there.
func createSchema(ctx context.Context, conn *sql.Conn, schema string) error {
	var exists bool
	err := conn.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)`, schema).Scan(&exists)
	if err == nil && !exists {
		_, err = conn.ExecContext(ctx, `CREATE SCHEMA `+pgx.Identifier{schema}.Sanitize())
	}
	if err != nil {
		return fmt.Errorf("create schema %s: %w", schema, translate(err))
	}
	return nil
}

// up runs the migrations that are missing.
func up(ctx context.Context, db *sql.DB, schema string, log *slog.Logger) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, dir,
		goose.WithTableName(schema+".schema_version"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	has, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("version of schema %s: %w", schema, translate(err))
	}
	if has > want {
		return fmt.Errorf("%w: schema %s has version %d, this program knows %d", store.ErrNewer, schema, has, want)
	}
	if has == want {
		return nil
	}
	done, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("bring schema %s up to date: %w", schema, translate(err))
	}
	for _, r := range done {
		log.InfoContext(ctx, "postgres: schema changed", "schema", schema, "version", r.Source.Version, "took", r.Duration)
	}
	return nil
}
