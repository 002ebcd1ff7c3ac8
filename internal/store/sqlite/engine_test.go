package sqlite

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/store"
)

// childEnv makes the test binary a child that opens the store named by it.
const childEnv = "RAPSHEET_SQLITE_TEST_CHILD"

// rowsPerUpdate is how many records the child writes in one Update: enough to fill the -wal
// file and to be killed in the middle.
const rowsPerUpdate = 300

// TestChild is no test of its own: it is the process that others start and kill. It writes one
// Update after the other and says on standard output which were acknowledged.
func TestChild(t *testing.T) {
	path := os.Getenv(childEnv)
	if path == "" {
		t.Skip("started by other tests only")
	}
	s, err := Open(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("open")
	if os.Getenv(childEnv+"_OPEN") != "" {
		return
	}
	for {
		var n int
		if err := s.Update(t.Context(), func(tx store.Tx) error {
			v, err := tx.Setting(t.Context(), "n")
			if err != nil {
				return err
			}
			n, _ = strconv.Atoi(v)
			n++
			return errors.Join(tx.SetSetting(t.Context(), "n", strconv.Itoa(n)), tx.PutRecords(t.Context(), numbered(n)))
		}); err != nil {
			t.Fatal(err)
		}
		fmt.Println("acknowledged", n)
	}
}

// numbered are the records of the n-th Update.
func numbered(n int) []store.Record {
	records := make([]store.Record, rowsPerUpdate)
	for i := range records {
		id := fmt.Sprintf("MAL-%06d-%04d", n, i)
		records[i] = store.Record{ID: id, Key: rapsheet.Key{Ecosystem: "npm", Name: id}, State: store.Active, JSON: bytes.Repeat([]byte("x"), 900)}
	}
	return records
}

func child(t *testing.T, path string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(append(os.Environ(), childEnv+"="+path), env...)
	return cmd
}

// A process that is killed loses nothing it acknowledged and leaves nothing half-written.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes only to kill them")
	}
	path := filepath.Join(t.TempDir(), "catalog.db")
	acknowledged := 0
	for kill := range 10 {
		cmd := child(t, path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Every other life ends only after an update was acknowledged, however slow the machine.
		from := []string{"open", "acknowledged "}[kill%2]
		var once sync.Once
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), from) {
				once.Do(func() {
					time.AfterFunc(time.Duration(rand.IntN(150))*time.Millisecond, func() { cmd.Process.Kill() })
				})
			}
			if n, ok := strings.CutPrefix(lines.Text(), "acknowledged "); ok {
				if acknowledged, err = strconv.Atoi(n); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		s := open(t, path)
		if err := s.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		view(t, s, func(r store.Reader) error {
			v, err := r.Setting(t.Context(), "n")
			if err != nil {
				return err
			}
			// One more than was heard of may be there: killed before it could say so.
			n, _ := strconv.Atoi(v)
			if n < acknowledged || n > acknowledged+1 {
				t.Fatalf("kill %d: %d updates are there, %d were acknowledged", kill, n, acknowledged)
			}
			acknowledged = n
			counts, err := r.CountRecords(t.Context())
			if counts[store.Active] != n*rowsPerUpdate {
				t.Fatalf("kill %d: %d records, want %d", kill, counts[store.Active], n*rowsPerUpdate)
			}
			return err
		})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if acknowledged < 5 {
		t.Errorf("%d updates in 10 lives, want one at least in every other", acknowledged)
	}
}

func view(t *testing.T, s *Store, f func(store.Reader) error) {
	t.Helper()
	if err := s.View(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// Processes and handles that open a new file at once all end well.
func TestOpenedAtOnce(t *testing.T) {
	for range 5 {
		path := filepath.Join(t.TempDir(), "new", "catalog.db")
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if out, err := child(t, path, childEnv+"_OPEN=1").CombinedOutput(); err != nil {
					t.Errorf("a second process: %v\n%s", err, out)
				}
			})
		}
		for range 3 {
			wg.Go(func() {
				s, err := Open(t.Context(), path, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := open(t, path).Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes of files are of Unix")
	}
	// What means something in a URI, to SQLite or to a shell.
	for _, name := range []string{"catalog.db", "a b?mode=ro&x#y%41%.db", "é 'quoted' ;--.db", ":memory:", "file:x"} {
		dir := filepath.Join(t.TempDir(), "new dir", "sub")
		path := filepath.Join(dir, name)
		s := open(t, path)
		if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.SetSetting(t.Context(), "a", "b") }); err != nil {
			t.Fatal(err)
		}
		if s.Name() != "sqlite:"+path {
			t.Errorf("name is %q", s.Name())
		}
		for p, want := range map[string]os.FileMode{dir: 0o700, filepath.Dir(dir): 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600} {
			fi, err := os.Stat(p)
			if err != nil {
				t.Error(err)
				continue
			}
			if got := fi.Mode().Perm(); got != want {
				t.Errorf("%s has mode %v, want %v", p, got, want)
			}
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
			t.Errorf("%s holds %v, %v; want the file, -wal and -shm", dir, entries, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("after closing, %s holds %v, %v; want the file", dir, entries, err)
		}
	}
}

// A file of something else is refused and not changed.
func TestForeign(t *testing.T) {
	database := func(statements ...string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			db := raw(t, path)
			for _, q := range statements {
				if _, err := db.ExecContext(t.Context(), q); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name  string
		make  func(t *testing.T, path string)
		want  string
		is    error
		taken bool
	}{
		{name: "another program's tables", make: database("CREATE TABLE t (a)"), want: "belongs to another program"},
		{name: "another program's mark", make: database("PRAGMA application_id = 1"), want: "belongs to another program"},
		{name: "no database", make: func(t *testing.T, path string) {
			if err := os.WriteFile(path, bytes.Repeat([]byte("name,version\n"), 1000), 0o600); err != nil {
				t.Fatal(err)
			}
		}, want: "not a database"},
		{name: "a directory", make: func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, want: "unable to open"},
		{name: "a newer program's", make: func(t *testing.T, path string) {
			s := open(t, path)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			database("INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)")(t, path)
		}, want: "migration 999", is: store.ErrNewer},
		{name: "an empty file", make: func(t *testing.T, path string) {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, taken: true},
		{name: "marked and left", make: database(fmt.Sprintf("PRAGMA application_id = %d", applicationID)), taken: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			c.make(t, path)
			before, _ := os.ReadFile(path)
			s, err := Open(t.Context(), path, slog.New(slog.DiscardHandler))
			if c.taken {
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Fatalf("error is %v, want %q", err, c.want)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

// raw opens a file without any of our settings.
func raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestTrusted(t *testing.T) {
	for _, c := range []struct {
		version, journal        string
		sync, foreign, readOnly int
		ok                      bool
	}{
		{"3.51.3", "wal", 2, 1, 1, true},
		{"3.51.4", "wal", 2, 1, 1, true},
		{"3.52.0", "wal", 2, 1, 1, true},
		{"3.100.0", "wal", 2, 1, 1, true},
		{"4.0.0", "wal", 2, 1, 1, true},
		{"3.51.2", "wal", 2, 1, 1, false},
		{"3.9.9", "wal", 2, 1, 1, false},
		{"3.51", "wal", 2, 1, 1, false},
		{"", "wal", 2, 1, 1, false},
		{"3.x.9", "wal", 2, 1, 1, false},
		{"3.51.3", "delete", 2, 1, 1, false},
		{"3.51.3", "memory", 2, 1, 1, false},
		{"3.51.3", "wal", 1, 1, 1, false},
		{"3.51.3", "wal", 2, 0, 1, false},
		{"3.51.3", "wal", 2, 1, 0, false},
	} {
		err := trusted(c.version, c.journal, c.sync, c.foreign, c.readOnly)
		if c.ok != (err == nil) || err != nil && !errors.Is(err, store.ErrEngine) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Each connection of the pools has the settings, not only the first.
func TestConnections(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	var nest func(depth int) error
	nest = func(depth int) error {
		return s.View(t.Context(), func(r store.Reader) error {
			conn := r.(*reader).conn
			for pragma, want := range map[string]string{"query_only": "1", "synchronous": "2", "foreign_keys": "1", "journal_mode": "wal", "busy_timeout": "10000"} {
				var got string
				if err := conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil {
					return err
				}
				if got != want {
					t.Errorf("reader %d: %s is %s, want %s", depth, pragma, got, want)
				}
			}
			if _, err := conn.ExecContext(t.Context(), "DELETE FROM settings"); err == nil {
				t.Error("a reader can write")
			}
			if depth == 5 {
				return nil
			}
			return nest(depth + 1)
		})
	}
	if err := nest(0); err != nil {
		t.Fatal(err)
	}
}

func TestBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	first, second := open(t, path), open(t, path)
	first.Wait, second.Wait = 150*time.Millisecond, 150*time.Millisecond
	err := first.Update(t.Context(), func(store.Tx) error {
		for _, s := range []*Store{first, second} {
			err := s.Update(t.Context(), func(store.Tx) error {
				t.Error("two updates run at once")
				return nil
			})
			if !errors.Is(err, store.ErrBusy) {
				t.Errorf("%v, want ErrBusy", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			if err := s.Update(ctx, func(store.Tx) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, want the context's error", err)
			}
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Store{first, second} {
		if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.SetSetting(t.Context(), "a", "b") }); err != nil {
			t.Error(err)
		}
	}
}

// bad-inputs.md 103: disk full. The state before is kept, the error says what it was, and the
// store works again when there is room. limit fills the store, free makes room again.
func fullDisk(t *testing.T, s *Store, free func(), want string) {
	t.Helper()
	var failed error
	good := 0
	for failed == nil {
		if good > 1000 {
			t.Fatal("the disk is never full")
		}
		if failed = s.Update(t.Context(), func(tx store.Tx) error {
			if err := tx.SetSetting(t.Context(), "n", strconv.Itoa(good+1)); err != nil {
				return err
			}
			return tx.PutRecords(t.Context(), numbered(good+1))
		}); failed == nil {
			good++
		}
	}
	if !strings.Contains(failed.Error(), want) || !strings.Contains(failed.Error(), s.path) {
		t.Errorf("error is %q, want %q and the path", failed, want)
	}
	if good == 0 {
		t.Error("no update fitted: the test shows nothing")
	}
	check := func(n int) {
		t.Helper()
		view(t, s, func(r store.Reader) error {
			v, err := r.Setting(t.Context(), "n")
			if err != nil {
				return err
			}
			counts, err := r.CountRecords(t.Context())
			if v != strconv.Itoa(n) || counts[store.Active] != n*rowsPerUpdate {
				t.Errorf("%s updates and %d records, want %d and %d", v, counts[store.Active], n, n*rowsPerUpdate)
			}
			return err
		})
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
	check(good)
	free()
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(tx.SetSetting(t.Context(), "n", strconv.Itoa(good+1)), tx.PutRecords(t.Context(), numbered(good+1)))
	}); err != nil {
		t.Fatal(err)
	}
	check(good + 1)
}

func TestPagesFull(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	limit := func(pages int) {
		if _, err := s.writer.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(500) // 2 MB
	fullDisk(t, s, func() { limit(1 << 30) }, "full")
}

// A function that goes on after a failed statement writes nothing: SQLite may have ended the
// transaction, and what comes then would be acknowledged by nobody.
func TestFailureHidden(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	if _, err := s.writer.ExecContext(t.Context(), "PRAGMA max_page_count = 100"); err != nil {
		t.Fatal(err)
	}
	err := s.Update(t.Context(), func(tx store.Tx) error {
		for n := range 100 {
			if err := tx.PutRecords(t.Context(), numbered(n)); err != nil {
				for range 3 {
					if err := tx.SetSetting(t.Context(), "n", "after"); err == nil {
						t.Error("a write after the failure was taken")
					}
					if _, err := tx.Setting(t.Context(), "n"); err == nil {
						t.Error("a read after the failure was answered")
					}
				}
				return nil
			}
		}
		t.Error("nothing failed")
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("an update that hid its failure gave %v", err)
	}
	view(t, s, func(r store.Reader) error {
		v, err := r.Setting(t.Context(), "n")
		counts, err2 := r.CountRecords(t.Context())
		if v != "" || counts[store.Active] != 0 {
			t.Errorf("setting %q and %d records are there", v, counts[store.Active])
		}
		return errors.Join(err, err2)
	})
}

// Only what is in an index is looked up, not searched for.
func TestPlans(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	for query, c := range map[string]struct{ args, want string }{
		allSources:       {"", "SEARCH claims USING COVERING INDEX claims_past (source=? AND status=?)"},
		stampsOf:         {"s", "SEARCH claims USING INDEX sqlite_autoindex_claims_1 (source=?)"},
		claimsOf:         {"sj", "SEARCH c USING INDEX claims_key (ecosystem=? AND name=?)"},
		setStatus:        {"ssj", "SEARCH claims USING COVERING INDEX sqlite_autoindex_claims_1 (source=? AND ref=?)"},
		allRecords:       {"", "SCAN r USING INDEX sqlite_autoindex_records_1"},
		recordsOf:        {"sj", "SEARCH r USING INDEX records_key (ecosystem=? AND name=?)"},
		recordsByID:      {"j", "SEARCH r USING INDEX sqlite_autoindex_records_1 (id=?)"},
		holdsOf:          {"sj", "SEARCH h USING INDEX holds_key (ecosystem=? AND name=?)"},
		decisionsOf:      {"sj", "SEARCH d USING INDEX decisions_key (ecosystem=? AND name=?)"},
		allCampaigns:     {"", "SEARCH r USING COVERING INDEX records_campaign (campaign=?)"},
		membersOf:        {"s", "SEARCH r USING INDEX records_campaign (campaign=?)"},
		newestQuarantine: {"s", "SCAN quarantine USING INDEX quarantine_time"},
	} {
		var args []any
		for _, a := range c.args {
			args = append(args, map[rune]string{'s': "", 'j': "[]"}[a])
		}
		rows, err := s.writer.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		var plan strings.Builder
		for rows.Next() {
			var a, b, c int
			var line string
			if err := rows.Scan(&a, &b, &c, &line); err != nil {
				t.Fatal(err)
			}
			plan.WriteString(line + "\n")
		}
		rows.Close()
		if !strings.Contains(plan.String(), c.want) || strings.Contains(plan.String(), "TEMP B-TREE") {
			t.Errorf("%s:\n%swant %q and no sorting", query, plan.String(), c.want)
		}
	}
}

// What runs when the store is closed goes on to its end; then nothing begins.
func TestCloseInside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s := open(t, path)
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		return s.View(t.Context(), func(r store.Reader) error {
			if err := s.Close(); err != nil {
				return err
			}
			_, err := r.CountQuarantine(t.Context())
			return errors.Join(err, tx.SetSetting(t.Context(), "n", "kept"))
		})
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), func(store.Tx) error { return nil }); err == nil || errors.Is(err, store.ErrBusy) {
		t.Errorf("an update of a closed store gave %v", err)
	}
	view(t, open(t, path), func(r store.Reader) error {
		v, err := r.Setting(t.Context(), "n")
		if v != "kept" {
			t.Errorf("the acknowledged setting is %q", v)
		}
		return err
	})
}

func TestCheckFindsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s := open(t, path)
	for n := range 3 {
		if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.PutRecords(t.Context(), numbered(n)) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// From the middle on, pages belong to the tables that were filled.
	for i := len(b) / 2; i+4096 < len(b); i += 16 * 4096 {
		copy(b[i-i%4096:], bytes.Repeat([]byte{0xa5}, 4096))
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = Open(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Logf("damage was found at once: %v", err)
		return
	}
	defer s.Close()
	if err := s.Check(t.Context()); err == nil {
		t.Error("damage was not found")
	}
}
