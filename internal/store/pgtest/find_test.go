package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// outcome is a test that only notes how it ended.
type outcome struct {
	testing.TB
	skipped, failed string
}

func (*outcome) Helper() {}

func (o *outcome) Skip(args ...any) {
	o.skipped = fmt.Sprint(args...)
	runtime.Goexit()
}

func (o *outcome) Fatalf(format string, args ...any) {
	o.failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestFind(t *testing.T) {
	t.Setenv("PATH", "")
	root := t.TempDir()
	for _, name := range []string{"9/bin/initdb", "9/bin/postgres", "15/bin/initdb", "15/bin/postgres", "16/bin/psql"} {
		if runtime.GOOS == "windows" {
			name += ".exe"
		}
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, pattern, ci string
		want              string
		skips, fails      bool
	}{
		{"the newest that is whole", "*/bin", "", "15/bin", false, false},
		{"one", "9/bin", "true", "9/bin", false, false},
		{"none", "none/bin", "", "", true, false},
		{"a client only", "16/bin", "", "", true, false},
		{"none in CI", "none/bin", "true", "", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("CI", c.ci)
			var o outcome
			var got string
			done := make(chan struct{})
			go func() {
				defer close(done)
				got = find(&o, filepath.Join(root, filepath.FromSlash(c.pattern)))
			}()
			<-done
			if c.want != "" {
				c.want = filepath.Join(root, filepath.FromSlash(c.want))
			}
			if got != c.want || (o.skipped != "") != c.skips || (o.failed != "") != c.fails {
				t.Errorf("found %q, skipped %q, failed %q", got, o.skipped, o.failed)
			}
			if strings.Contains(o.skipped+o.failed, "\n") {
				t.Errorf("more than one line: %q", o.skipped+o.failed)
			}
		})
	}
}
