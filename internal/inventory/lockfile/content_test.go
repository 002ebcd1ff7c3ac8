package lockfile

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/rapsheet/rapsheet/internal/inventory"
)

func TestReadByContent(t *testing.T) {
	scalibr := filepath.Join(scalibrDir(t), "language", "javascript")
	tests := []struct{ file, kind string }{
		{"packagelockjson/testdata/one-package.v1.json", "package-lock.json"},
		{"packagelockjson/testdata/one-package.v2.json", "package-lock.json"},
		{"packagelockjson/testdata/workspaces.v3.json", "package-lock.json"},
		{"yarnlock/testdata/one-package.v1.lock", "yarn.lock"},
		{"yarnlock/testdata/one-package.v2.lock", "yarn.lock"},
		{"pnpmlock/testdata/one-package.yaml", "pnpm-lock.yaml"},
		{"pnpmlock/testdata/one-package.v9.yaml", "pnpm-lock.yaml"},
		{"bunlock/testdata/one-package.json5", "bun.lock"},
		{"bunlock/testdata/urls.json5", "bun.lock"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(scalibr, filepath.FromSlash(tt.file)))
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for s, err := range inventory.Read(t.Context(), bytes.NewReader(b), "-", inventory.Options{Kinds: Kinds()}) {
				if err != nil || s.Location.Kind != tt.kind || s.Location.Path != "-" {
					t.Errorf("%v %v, want kind %s", s.Location, err, tt.kind)
				}
				n++
			}
			if n == 0 {
				t.Error("nothing read")
			}
		})
	}
}
