package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rapsheet/rapsheet/internal/catalog"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/internal/publish"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/internal/store/postgres"
	"github.com/rapsheet/rapsheet/internal/store/sqlite"
)

// storeFile is the name of the built-in store in the user's data directory.
const storeFile = "store.db"

const storeUsage = "working state: `sqlite:PATH` or postgres://… (default: RAPSHEET_STORE, else " + storeFile + " in the data directory)"

// storeFlags are those of every command that works on a store.
type storeFlags struct{ store, actor string }

func (f *storeFlags) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.store, "store", "", storeUsage)
	cmd.Flags().StringVar(&f.actor, "as", "", "who does this, for the audit log (default: RAPSHEET_ACTOR, else the user's name)")
}

// openStore is the one place where a store is opened by its name.
func (a *app) openStore(ctx context.Context, name string) (store.Store, error) {
	if name == "" {
		name = a.env.Getenv("RAPSHEET_STORE")
	}
	if name == "" {
		dir, err := a.dataDir()
		if err != nil {
			return nil, err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		name = "sqlite:" + filepath.Join(dir, storeFile)
	}
	path, isSQLite := strings.CutPrefix(name, "sqlite:")
	var s store.Store
	var err error
	switch {
	case isSQLite && path != "":
		s, err = sqlite.Open(ctx, path, a.logger())
	case strings.HasPrefix(name, "postgres://"), strings.HasPrefix(name, "postgresql://"):
		s, err = postgres.Open(ctx, name, a.logger())
	default:
		return nil, &usageError{"unknown kind of store", "name it sqlite:PATH or postgres://user@host/database"}
	}
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	return s, nil
}

// withCatalog opens the store of the flags for one command.
func (a *app) withCatalog(ctx context.Context, f *storeFlags, p *progress, do func(*catalog.Catalog) error) (err error) {
	s, err := a.openStore(ctx, f.store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	c := &catalog.Catalog{Store: s, Now: a.env.Now, Actor: a.actor(f.actor), Check: publish.Unfit}
	if p != nil {
		c.Progress = func(step string, n int) { p.set("%d %s", n, step) }
	}
	return do(c)
}

// actor is who does what the command does.
func (a *app) actor(named string) string {
	if named == "" {
		named = a.env.Getenv("RAPSHEET_ACTOR")
	}
	if named == "" {
		if u, err := user.Current(); err == nil {
			named = u.Username
		}
	}
	if named == "" {
		named = "unknown"
	}
	return printable.Cut(printable.Line(named), 100)
}

// storeHint says what to do about an error of a store, "" when it is none.
func storeHint(err error) string {
	switch {
	case errors.Is(err, store.ErrBusy):
		return "wait until it has ended and try again; nothing was changed"
	case errors.Is(err, store.ErrNewer):
		return "install a newer rapsheet"
	case errors.Is(err, store.ErrEngine):
		return "nothing was changed; see docs/catalog.md for what a store needs"
	case noRoom(err):
		return "is the disk full, and may you write there? What was there before stays"
	}
	return ""
}

// noRoom reports whether the system, or SQLite, could not write.
func noRoom(err error) bool {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EROFS) {
		return true
	}
	// The primary codes SQLITE_IOERR and SQLITE_FULL (https://www.sqlite.org/rescode.html).
	const ioErr, full = 10, 13
	var coded interface{ Code() int }
	return errors.As(err, &coded) && (coded.Code()&0xff == ioErr || coded.Code()&0xff == full)
}
