package clienttest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

// npm installs through Verdaccio from the registry behind it, publishes to it, and both archives lie in its storage.
func TestVerdaccio(t *testing.T) {
	npm := clienttest.Program(t, "npm")
	upstream := clienttest.NPMRegistry(t, map[string]string{"harmless": "{}"})
	url, storage := clienttest.Verdaccio(t, upstream.URL)

	clienttest.Run(t, clienttest.Tree(t, map[string]string{"package.json": "{}"}), nil, npm,
		"install", "harmless", "--registry", url, "--no-audit", "--no-fund")
	clienttest.Run(t, clienttest.Tree(t, map[string]string{"package.json": `{"name": "@private/own", "version": "1.0.0"}`}), nil, npm,
		"publish", "--registry", url, "--"+url[len("http:"):]+"/:_authToken=anyone")
	var archives []string
	err := fs.WalkDir(os.DirFS(storage), ".", func(p string, _ fs.DirEntry, err error) error {
		if filepath.Ext(p) == ".tgz" {
			archives = append(archives, p)
		}
		return err
	})
	if want := []string{"@private/own/own-1.0.0.tgz", "harmless/harmless-1.0.0.tgz"}; err != nil || !slices.Equal(archives, want) {
		t.Errorf("%v, %v; want %v", archives, err, want)
	}
}
