package postgres

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/store"
)

// What each setting means for what was acknowledged:
// https://www.postgresql.org/docs/current/runtime-config-wal.html.
func TestSettings(t *testing.T) {
	good := settings{version: 13_00_00, encoding: "UTF8", fsync: "on", fullPageWrites: "on", synchronousCommit: "on", conformingStrings: "on"}
	for _, c := range []struct {
		name   string
		change func(*settings)
		wrong  string
	}{
		{"as it should be", func(*settings) {}, ""},
		{"17.2", func(s *settings) { s.version = 17_00_02 }, ""},
		{"12.22", func(s *settings) { s.version = 12_00_22 }, "server_version_num"},
		{"LATIN1", func(s *settings) { s.encoding = "LATIN1" }, "server_encoding"},
		{"SQL_ASCII", func(s *settings) { s.encoding = "SQL_ASCII" }, "server_encoding"},
		{"fsync", func(s *settings) { s.fsync = "off" }, "fsync"},
		{"torn pages", func(s *settings) { s.fullPageWrites = "off" }, "full_page_writes"},
		{"asynchronous commit", func(s *settings) { s.synchronousCommit = "off" }, "synchronous_commit"},
		{"local commit", func(s *settings) { s.synchronousCommit = "local" }, ""},
		{"remote_apply", func(s *settings) { s.synchronousCommit = "remote_apply" }, ""},
		{"backslashes", func(s *settings) { s.conformingStrings = "off" }, "standard_conforming_strings"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := good
			c.change(&s)
			err := s.check()
			switch {
			case c.wrong == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.wrong != "" && (!errors.Is(err, store.ErrEngine) || !strings.Contains(err.Error(), c.wrong)):
				t.Errorf("error is %v, want ErrEngine about %s", err, c.wrong)
			}
		})
	}
}

func TestParse(t *testing.T) {
	for _, v := range []string{"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSERVICE", "PGOPTIONS"} {
		t.Setenv(v, "")
	}
	for _, c := range []struct {
		name, dsn string
		want      string // the name for people, or
		err       string // a part of the error
	}{
		{"plain", "postgres://u:s3cret@db.example.org/cat", "postgres://u@db.example.org:5432/cat", ""},
		{"port", "postgresql://u:s3cret@db:6543/cat?sslmode=disable", "postgres://u@db:6543/cat", ""},
		{"IPv6", "postgres://u:s3cret@[::1]/cat", "postgres://u@[::1]:5432/cat", ""},
		{"password as parameter", "postgres://u@db/cat?password=s3cret", "postgres://u@db:5432/cat", ""},
		{"keywords", "host=db user=u password=s3cret dbname=cat", "postgres://u@db:5432/cat", ""},
		{"quoted password", `host=db user=u password='s3cret x' dbname=cat`, "postgres://u@db:5432/cat", ""},
		{"socket", "postgres://u:s3cret@/cat?host=/run/pg&port=5433", "postgres://u@/cat?host=%2Frun%2Fpg&port=5433", ""},
		{"hostile user", "postgres://%1b%5b2J:s3cret@db/c%0ad", "postgres://%1B%5B2J@db:5432/c%0Ad", ""},
		{"schema", "postgres://u:s3cret@db/cat?search_path=team_1", "postgres://u@db:5432/cat?search_path=team_1", ""},
		{"two schemas", "postgres://u:s3cret@db/cat?search_path=a,public", "", "search_path"},
		{"quoted schema", "postgres://u:s3cret@db/cat?search_path=%22a%22", "", "search_path"},
		{"system schema", "postgres://u:s3cret@db/cat?search_path=pg_temp", "", "search_path"},
		{"bad escape in the password", "postgres://u:s3cret%zz@db/cat", "", "not understood"},
		{"unescaped @ and slash", "postgres://u:s3cret/@db:port/cat", "", "not understood"},
		{"bad port", "host=db password=s3cret port=s3cret", "", "not understood"},
		{"missing file", "postgres://u:s3cret@db/cat?sslmode=verify-full&sslrootcert=/nonexistent/ca.pem", "", "/nonexistent/ca.pem"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, schema, err := parse(c.dsn)
			if err != nil {
				if c.err == "" || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("error %q, want one with %q and without the password", err, c.err)
				}
				return
			}
			if c.err != "" {
				t.Fatalf("no error, want %q", c.err)
			}
			if got := display(cfg.ConnConfig, schema); got != c.want {
				t.Errorf("name is %s, want %s", got, c.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("postgres://u:p@db/cat?search_path=x&lock_timeout=5s")
	f.Add("host=db user=u password='a b' dbname=cat")
	f.Add("postgres://u:p@a:1,b:2/cat?target_session_attrs=read-write")
	f.Add("postgres://u:\x1b@[::1%25x]/\x00")
	f.Fuzz(func(t *testing.T, dsn string) {
		cfg, schema, err := parse(dsn)
		if err != nil {
			return
		}
		u, err := url.Parse(display(cfg.ConnConfig, schema))
		if err != nil {
			t.Skip("a host that no URL can have, which no server has either")
		}
		if _, has := u.User.Password(); has || u.Query().Has("password") {
			t.Errorf("%q is shown as %q", dsn, u)
		}
	})
}
