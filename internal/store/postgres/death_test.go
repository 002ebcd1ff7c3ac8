package postgres_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/internal/store/pgtest"
)

// clientEnv makes this test binary a process that stops in the midst of an Update of the
// database that it names.
const clientEnv = "RAPSHEET_TEST_POSTGRES_CLIENT"

// The server is killed again and again while a client writes. What was acknowledged is there
// afterwards; what was not is there wholly or not at all.
func TestServerKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers only to kill them")
	}
	server := pgtest.New(t)
	s := open(t, server.Database(t))
	ctx := t.Context()
	acknowledged, started := 0, 0
	for round := range 5 {
		done := make(chan error)
		go func() {
			for {
				started++
				err := s.Update(ctx, func(tx store.Tx) error {
					n := strconv.Itoa(started)
					return errors.Join(
						tx.AddAudit(ctx, store.AuditEntry{Time: time.Unix(int64(started), 0), Detail: n}),
						tx.PutDocuments(ctx, []store.Document{{Source: "s", Digest: store.Digest{byte(started), byte(started >> 8)}, Name: n, Data: make([]byte, 100<<10)}}),
						tx.SetSetting(ctx, "last", n),
					)
				})
				if err != nil {
					done <- err
					return
				}
				acknowledged = started
			}
		}()
		time.Sleep(50*time.Millisecond + rand.N(200*time.Millisecond))
		server.Kill(t)
		if err := <-done; err == nil {
			t.Fatal("an Update without a server was acknowledged")
		}
		server.Restart(t)
		err := s.View(ctx, func(r store.Reader) error {
			last, err := r.Setting(ctx, "last")
			audit, err2 := r.Audit(ctx, 1)
			if err := errors.Join(err, err2); err != nil {
				return err
			}
			n, err := strconv.Atoi(last)
			if err != nil || n < acknowledged || n > started {
				t.Fatalf("round %d: the last update is %q; %d was acknowledged and %d started", round, last, acknowledged, started)
			}
			_, ok, err := r.Document(ctx, "s", store.Digest{byte(n), byte(n >> 8)})
			if len(audit) != 1 || audit[0].Detail != last || !ok {
				t.Errorf("round %d: update %s is torn: audit %v, document %v", round, last, audit, ok)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d updates acknowledged", acknowledged)
	if acknowledged == 0 {
		t.Error("nothing was ever acknowledged")
	}
}

// A client that is killed in the midst of an Update leaves no lock and nothing of what it wrote.
func TestClientKilled(t *testing.T) {
	if dsn := os.Getenv(clientEnv); dsn != "" {
		die(t, dsn)
	}
	dsn := pgtest.Start(t)
	s := open(t, dsn)
	cmd := exec.Command(os.Args[0], "-test.run=^TestClientKilled$")
	cmd.Env = append(os.Environ(), clientEnv+"="+dsn)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	ready := false
	for sc := bufio.NewScanner(out); !ready && sc.Scan(); {
		ready = sc.Text() == "READY"
	}
	if !ready {
		t.Fatal("the client never wrote")
	}
	short := open(t, dsn+"&lock_timeout=100ms")
	err = short.Update(t.Context(), func(store.Tx) error { return nil })
	if !errors.Is(err, store.ErrBusy) {
		t.Fatalf("beside a running Update: %v, want ErrBusy", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	err = s.Update(t.Context(), func(tx store.Tx) error {
		value, err := tx.Setting(t.Context(), "dead")
		if value != "" {
			t.Errorf("the dead client's setting is %q", value)
		}
		return err
	})
	if err != nil {
		t.Errorf("after its death: %v", err)
	}
}

func die(t *testing.T, dsn string) {
	s := open(t, dsn)
	s.Update(t.Context(), func(tx store.Tx) error {
		if err := tx.SetSetting(t.Context(), "dead", "written"); err != nil {
			return err
		}
		fmt.Println("READY")
		time.Sleep(time.Minute)
		return nil
	})
}

// An Update whose context ends in the midst leaves no lock either.
func TestCancelled(t *testing.T) {
	dsn := pgtest.Start(t)
	s := open(t, dsn)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, func(tx store.Tx) error {
		err := tx.SetSetting(ctx, "a", strings.Repeat("x", 100))
		cancel()
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v, want the context's", err)
	}
	err = open(t, dsn+"&lock_timeout=2s").Update(t.Context(), func(tx store.Tx) error {
		if v, err := tx.Setting(t.Context(), "a"); v != "" || err != nil {
			t.Errorf("a cancelled Update wrote %q, %v", v, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
