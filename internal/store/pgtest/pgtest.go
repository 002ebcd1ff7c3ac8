// Package pgtest starts a real PostgreSQL for tests: a private server in a
// temporary directory, from the binaries that the machine has, which nobody else
// can connect to and which ends with the test process.
//
// Flow: [Start] starts the one server of the test process, at the first call, and
// makes a new empty database in it for each call; [Main], called from TestMain,
// stops it at the end. Without Main the server stops when the last test that uses
// it ends, and the next one pays for a new one. [New] gives a server that a test
// has for itself and may kill.
//
// Promise: it never connects to a server that it did not start, and the server
// runs with the durability of a production one (fsync stays on).
package pgtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	superuser = "rapsheet_test"
	// startLimit bounds initdb, a start and a recovery after a crash.
	startLimit = 60 * time.Second
	// maxSocketPath is what fits into sun_path everywhere (Darwin has 104 bytes with the final NUL).
	maxSocketPath = 103
)

// shared is the server of this test process: it exists once per process because
// starting one costs seconds, and tests of one package do not know each other.
var shared struct {
	sync.Mutex
	server *Server
	users  int
	// kept says that Main stops the server.
	kept bool
}

// Main runs the tests of m, stops the shared server and gives the exit status. Use it as
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
func Main(m *testing.M) int {
	shared.Lock()
	shared.kept = true
	shared.Unlock()

	code := m.Run()

	shared.Lock()
	defer shared.Unlock()
	if shared.server != nil {
		if err := shared.server.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "pgtest:", err)
			code = max(code, 1)
		}
		shared.server = nil
	}
	return code
}

// Start gives the connection string of a new, empty database of the shared server;
// the database is dropped when the test ends. A machine without PostgreSQL skips the
// test, or fails it when the environment has CI=true.
func Start(t testing.TB) string {
	t.Helper()
	bin := find(t, debian)

	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		s, err := start(bin)
		if err != nil {
			t.Fatalf("pgtest: %v", err)
		}
		shared.server = s
	}
	shared.users++
	t.Cleanup(func() { release(t) })
	return shared.server.Database(t)
}

func release(t testing.TB) {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	shared.users--
	if shared.users == 0 && !shared.kept {
		if err := shared.server.stop(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
		shared.server = nil
	}
}

// Server is a running PostgreSQL.
type Server struct {
	bin  string
	dir  string
	host string
	port int
	// password is of the superuser.
	password  string
	databases atomic.Int64

	run *process
}

// New starts a server that only this test uses; it stops when the test ends. It
// skips or fails as [Start] does.
func New(t testing.TB) *Server {
	t.Helper()
	s, err := start(find(t, debian))
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return s
}

// Database makes a new, empty database and gives its connection string. It is
// dropped when the test ends, if the server still runs then.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	if err := s.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil && s.run.alive() {
			t.Errorf("pgtest: %v", err)
		}
	})
	return s.dsn(name)
}

// Exec runs one statement as superuser, outside of the databases of the tests.
func (s *Server) Exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.dsn("postgres"))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// Kill kills every process of the server with SIGKILL, as a crash of the machine
// would: nothing is flushed, no client is told.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if err := s.run.kill(); err != nil {
		t.Fatalf("pgtest: kill: %v", err)
	}
}

// Restart starts a server that was killed; it returns when recovery has ended.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(startLimit)
	for {
		err := s.launch()
		if err == nil {
			return
		}
		// A killed process of the old server is gone only a moment later, on a busy machine, and
		// the new one refuses to share its memory.
		if !strings.Contains(err.Error(), "pre-existing shared memory block") || time.Now().After(deadline) {
			t.Fatalf("pgtest: restart: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (s *Server) dsn(database string) string {
	u := url.URL{
		Scheme: "postgres",
		User:   url.UserPassword(superuser, s.password),
		Path:   "/" + database,
	}
	q := url.Values{"sslmode": {"disable"}}
	if s.host == "" {
		q.Set("host", s.dir)
		q.Set("port", strconv.Itoa(s.port))
	} else {
		u.Host = net.JoinHostPort(s.host, strconv.Itoa(s.port))
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// debian is where Debian puts the server's programs, which are not in PATH there.
const debian = "/usr/lib/postgresql/*/bin"

// find gives the directory of the server's programs, or skips or fails the test.
func find(t testing.TB, pattern string) string {
	t.Helper()
	bin, ok := look(pattern)
	switch {
	case ok:
	case os.Getenv("CI") == "true":
		t.Fatalf("pgtest: no initdb and postgres in PATH or %s, and CI may not skip this engine", pattern)
	default:
		t.Skip("no PostgreSQL here: install the server package (Debian: postgresql) to run this test")
	}
	return bin
}

// look tries PATH first, then the directories of the pattern, the newest version first.
func look(pattern string) (bin string, ok bool) {
	var dirs []string
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	versions, _ := filepath.Glob(pattern)
	slices.SortFunc(versions, func(a, b string) int { return version(b) - version(a) })
	for _, dir := range append(dirs, versions...) {
		if executable(dir, "initdb") && executable(dir, "postgres") {
			return dir, true
		}
	}
	return "", false
}

func version(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	return n
}

func executable(dir, name string) bool {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	info, err := os.Stat(filepath.Join(dir, name))
	return err == nil && info.Mode().IsRegular()
}

// start makes a cluster and starts its server.
func start(bin string) (_ *Server, err error) {
	dir, err := shortTempDir()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, port: 5432, password: rand.Text()}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	if runtime.GOOS == "windows" || len(s.socket()) > maxSocketPath {
		s.host = "127.0.0.1"
		if s.port, err = freePort(); err != nil {
			return nil, err
		}
	}
	if err := s.initdb(); err != nil {
		return nil, err
	}
	if err := s.launch(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) socket() string {
	return filepath.Join(s.dir, fmt.Sprintf(".s.PGSQL.%d", s.port))
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// shortTempDir makes a directory of which the path leaves room for a socket's name
// and that an unprivileged user can reach; testing's own are neither.
func shortTempDir() (string, error) {
	parent := os.TempDir()
	if runtime.GOOS != "windows" && (len(parent) > 60 || os.Geteuid() == 0) {
		parent = "/tmp"
	}
	dir, err := os.MkdirTemp(parent, "pgtest-")
	if err != nil {
		return "", fmt.Errorf("directory of the server: %w", err)
	}
	return dir, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// initdb makes the cluster. The server runs with fsync; only the copying of the
// templates, which no test relies on, is not synced.
func (s *Server) initdb() error {
	pwfile := filepath.Join(s.dir, "password")
	if err := os.WriteFile(pwfile, []byte(s.password+"\n"), 0o600); err != nil {
		return fmt.Errorf("password of the server: %w", err)
	}
	if err := giveAway(s.dir, pwfile); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"),
		"--pgdata="+s.data(), "--username="+superuser, "--pwfile="+pwfile, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
	if err := s.prepare(cmd); err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, tail(out))
	}
	return nil
}

// prepare makes cmd run in the server's directory, in English, as a user that
// PostgreSQL accepts, and with nothing of the environment that means a server.
func (s *Server) prepare(cmd *exec.Cmd) error {
	cmd.Dir = s.dir
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}
	if runtime.GOOS == "windows" {
		cmd.Env = append(cmd.Env, "SystemRoot="+os.Getenv("SystemRoot"))
	}
	return asServer(cmd)
}

// launch starts the server on its cluster and waits until it answers.
func (s *Server) launch() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("log of the server: %w", err)
	}
	defer log.Close()
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port), "-c", "max_connections=60"}
	if s.host == "" {
		args = append(args, "-c", "listen_addresses=", "-c", "unix_socket_directories="+s.dir)
	} else {
		args = append(args, "-c", "listen_addresses="+s.host, "-c", "unix_socket_directories=")
	}
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := s.prepare(cmd); err != nil {
		return err
	}
	run, err := spawn(cmd)
	if err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	s.run = run
	if err := s.await(); err != nil {
		err = errors.Join(err, run.kill())
		out, _ := os.ReadFile(log.Name())
		return fmt.Errorf("postgres does not answer: %w\n%s", err, tail(out))
	}
	return nil
}

func (s *Server) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for {
		err := s.Exec(ctx, "SELECT 1")
		switch {
		case err == nil:
			return nil
		case !s.run.alive():
			return errors.New("it ended")
		case ctx.Err() != nil:
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stop ends the server without waiting for its clients and removes what it had.
func (s *Server) stop() error {
	err := s.run.stop()
	if rerr := os.RemoveAll(s.dir); err == nil {
		err = rerr
	}
	if err != nil {
		return fmt.Errorf("stop postgres: %w", err)
	}
	return nil
}

// process is a started server.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// spawn starts cmd from a thread that lives as long as the process: Linux sends the
// parent-death signal when the thread that forked ends, not when the process does
// (prctl(2), PR_SET_PDEATHSIG).
func spawn(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // that it ended matters, not how: most are killed
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stop asks for an immediate shutdown, which takes the server's children with it.
func (p *process) stop() error {
	if !p.alive() {
		return nil
	}
	if err := p.cmd.Process.Signal(quit); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(10 * time.Second):
		return p.kill()
	}
}

// kill kills the server and its children.
func (p *process) kill() error {
	if !p.alive() {
		return nil
	}
	kids := children(p.cmd.Process.Pid)
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.done
	for _, pid := range kids {
		if kid, err := os.FindProcess(pid); err == nil {
			err := kid.Kill()
			if err != nil && !errors.Is(err, os.ErrProcessDone) {
				return err
			}
		}
	}
	return nil
}

// tail is the end of a server's log, where the reason is.
func tail(log []byte) string {
	const limit = 4 << 10
	if len(log) > limit {
		log = log[len(log)-limit:]
	}
	return strings.TrimSpace(string(bytes.ToValidUTF8(log, []byte("?"))))
}
