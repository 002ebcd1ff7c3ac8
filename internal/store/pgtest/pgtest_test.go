package pgtest_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapsheet/rapsheet/internal/store/pgtest"
)

// holdEnv makes this test binary a process that starts a server and waits to be killed.
const holdEnv = "PGTEST_HOLD"

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func TestStart(t *testing.T) {
	a, b := pgtest.Start(t), pgtest.Start(t)
	if a == b {
		t.Fatal("two calls gave one database")
	}
	conn := connect(t, a)
	for setting, want := range map[string]string{
		"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "server_encoding": "UTF8",
	} {
		var got string
		if err := conn.QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s = %s, want %s", setting, got, want)
		}
	}
	if _, err := conn.Exec(t.Context(), "CREATE TABLE x (i int)"); err != nil {
		t.Fatal(err)
	}
	var tables int
	if err := connect(t, b).QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").Scan(&tables); err != nil {
		t.Fatal(err)
	}
	if tables != 0 {
		t.Errorf("a new database has %d tables", tables)
	}
	if strings.HasPrefix(a, "postgres://rapsheet_test:@") {
		t.Errorf("no password in %s", a)
	}
}

func TestKillAndRestart(t *testing.T) {
	s := pgtest.New(t)
	dsn := s.Database(t)
	conn := connect(t, dsn)
	if _, err := conn.Exec(t.Context(), "CREATE TABLE x AS SELECT 7 AS i"); err != nil {
		t.Fatal(err)
	}
	s.Kill(t)
	if _, err := conn.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Fatal("a killed server answers")
	}
	s.Restart(t)
	var i int
	if err := connect(t, dsn).QueryRow(t.Context(), "SELECT i FROM x").Scan(&i); err != nil || i != 7 {
		t.Fatalf("after the crash: %d, %v", i, err)
	}
}

// A server dies with the process that started it, even when that is killed.
func TestDiesWithTheProcess(t *testing.T) {
	if os.Getenv(holdEnv) != "" {
		fmt.Println("DSN", pgtest.Start(t))
		select {}
	}
	probe := pgtest.Start(t) // skips here when there is no PostgreSQL
	_ = probe
	cmd := exec.Command(os.Args[0], "-test.run=^TestDiesWithTheProcess$")
	cmd.Env = append(os.Environ(), holdEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var dsn string
	for sc := bufio.NewScanner(out); dsn == "" && sc.Scan(); {
		dsn, _ = strings.CutPrefix(sc.Text(), "DSN ")
	}
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if strings.Contains(cfg.Host, "pgtest-") {
			os.RemoveAll(cfg.Host)
		}
	})
	connect(t, dsn).Close(t.Context())
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			return
		}
		conn.Close(t.Context())
		if time.Now().After(deadline) {
			t.Fatal("the server outlived the process that started it")
		}
	}
}
