package source

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

// mirror is a dump in a directory. It is opened as a root: what the mirror names
// is read from inside it or not at all.
type mirror struct {
	dir  string
	root *os.Root
}

func newMirror(dir string) (*mirror, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, err
	}
	return &mirror{abs, root}, nil
}

func (m *mirror) String() string { return m.dir }

func (m *mirror) open(elems ...string) (*os.File, error) {
	f, err := OpenRegular(m.root, path.Join(elems...))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(append([]string{m.dir}, elems...)...), Unnamed(err))
	}
	return f, nil
}

func (m *mirror) get(ctx context.Context, limit int64, _ string, elems ...string) ([]byte, string, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, "", err
	}
	f, err := m.open(elems...)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	data, err := bounded.ReadAll(f, limit, path.Join(elems...))
	return data, "", err
}

func (m *mirror) archive(_ context.Context, _, ecosystem string) (*os.File, func(), error) {
	f, err := m.open(ecosystem, "all.zip")
	if err != nil {
		return nil, nil, err
	}
	return f, func() { f.Close() }, nil
}

func (m *mirror) close() { m.root.Close() }
