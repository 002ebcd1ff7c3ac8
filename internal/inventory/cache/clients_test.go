package cache_test

import (
	"crypto/sha1"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/cache"
	"github.com/rapsheet/rapsheet/internal/inventory/installed"
	"github.com/rapsheet/rapsheet/internal/inventory/lockfile"
)

// kept gives what caches below root have, see [clienttest.Lines].
func kept(t *testing.T, root string, hash bool) []string {
	t.Helper()
	return clienttest.Lines(t, root, inventory.Walk(t.Context(), root, inventory.Options{Kinds: cache.Kinds(), Hash: hash}))
}

// everything gives what a whole scan of root finds, too.
func everything(t *testing.T, root string) []string {
	t.Helper()
	kinds := slices.Concat(cache.Kinds(), installed.Kinds(), lockfile.Kinds())
	return clienttest.Lines(t, root, inventory.Walk(t.Context(), root, inventory.Options{Kinds: kinds, Hash: true}))
}

func compare(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestGemClient(t *testing.T) {
	t.Parallel()
	gem := clienttest.Program(t, "gem")
	data := clienttest.Gem(t, "planted-gem", "1.2.0")
	dir := clienttest.Tree(t, map[string]string{"planted-gem-1.2.0.gem": string(data)})
	clienttest.Run(t, dir, nil, gem, "install", "--install-dir", "home", "--local", "--no-document", "planted-gem-1.2.0.gem")
	compare(t, everything(t, dir), []string{
		"home/cache/planted-gem-1.2.0.gem planted-gem@1.2.0 " + digests(data),
		"home/specifications/planted-gem-1.2.0.gemspec planted-gem@1.2.0",
	})
}

func TestBundlerClient(t *testing.T) {
	t.Parallel()
	bundle, git := clienttest.Program(t, "bundle"), clienttest.Program(t, "git")
	srv := clienttest.GemServer(t, map[string]string{"planted": "1.0.0"})
	host := strings.TrimPrefix(srv.URL, "http://")
	dir := clienttest.Tree(t, map[string]string{
		"Gemfile":             "source \"" + srv.URL + "\"\ngem \"planted\"\ngem \"forked\", git: \"" + "file:///DIR/repo" + "\"\n",
		".home/README":        "", // Bundler has no use for a home that is not there
		"repo/forked.gemspec": "Gem::Specification.new do |s|\n  s.name = ['for', 'ked'].join\n  s.version = '2.0'\n  s.summary = 's'\n  s.authors = ['a']\nend\n",
	})
	gemfile := filepath.Join(dir, "Gemfile")
	b, err := os.ReadFile(gemfile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(gemfile, []byte(strings.Replace(string(b), "/DIR/", filepath.ToSlash(dir)+"/", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	repo := filepath.Join(dir, "repo")
	clienttest.Run(t, repo, nil, git, "init", "-q")
	clienttest.Run(t, repo, nil, git, "add", ".")
	clienttest.Run(t, repo, nil, git, "-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "-qm", "x")
	commit, err := exec.CommandContext(t.Context(), git, "-C", repo, "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"BUNDLE_PATH=vendor/bundle", "BUNDLE_CACHE_ALL=true", "BUNDLE_GLOBAL_GEM_CACHE=true", "BUNDLE_JOBS=1"}
	clienttest.Run(t, dir, env, bundle, "install")
	clienttest.Run(t, dir, env, bundle, "cache")
	if err := os.RemoveAll(repo); err != nil {
		t.Fatal(err)
	}
	data := clienttest.Gem(t, "planted", "1.0.0")
	at := "repo-" + strings.TrimSpace(string(commit))
	_, ruby, _ := strings.Cut(one(t, filepath.Join(dir, "vendor/bundle/ruby/*")), "vendor/bundle/")
	_, global, _ := strings.Cut(one(t, filepath.Join(dir, ".home/.bundle/cache/gems/*")), ".home/")
	compare(t, everything(t, dir), []string{
		"Gemfile.lock forked@2.0 git",
		"Gemfile.lock planted@1.0.0 registry " + host,
		".home/" + global + "/planted-1.0.0.gem planted@1.0.0 registry " + host + " " + digests(data),
		"vendor/bundle/" + ruby + "/bundler/gems/" + at + "/forked.gemspec forked@2.0 git",
		"vendor/bundle/" + ruby + "/cache/planted-1.0.0.gem planted@1.0.0 " + digests(data),
		"vendor/bundle/" + ruby + "/specifications/planted-1.0.0.gemspec planted@1.0.0",
		"vendor/cache/planted-1.0.0.gem planted@1.0.0 " + digests(data),
		"vendor/cache/" + at + "/forked.gemspec forked@2.0 git",
	})
}

func TestComposerClient(t *testing.T) {
	t.Parallel()
	composer := clienttest.Program(t, "composer")
	srv := clienttest.ComposerRepository(t, map[string]string{
		"evil/planted":   `{"name": "evil/planted"}`,
		"evil/versioned": `{"name": "evil/versioned", "version": "1.0.0"}`,
	})
	host := strings.TrimPrefix(srv.URL, "http://")
	dir := clienttest.Tree(t, map[string]string{"composer.json": `{
		"name": "my/project", "require": {"evil/planted": "*", "evil/versioned": "*"},
		"repositories": [{"type": "composer", "url": "` + srv.URL + `"}, {"packagist.org": false}],
		"config": {"secure-http": false}}`})
	clienttest.Run(t, dir, []string{"COMPOSER_ALLOW_SUPERUSER=1"}, composer, "install", "--no-interaction", "--no-progress")
	file := func(name string) string {
		return fmt.Sprintf(".home/composer/files/%s/%x.zip", name, sha1.Sum([]byte(srv.URL+"/dist/"+name+".zip")))
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file(name))))
		if err != nil {
			t.Fatal(err)
		}
		return digests(b)
	}
	compare(t, everything(t, dir), []string{
		"composer.lock evil/planted@1.0.0 registry " + host,
		"composer.lock evil/versioned@1.0.0 registry " + host,
		file("evil/planted") + " evil/planted@ " + read("evil/planted"),
		file("evil/versioned") + " evil/versioned@1.0.0 " + read("evil/versioned"),
		"vendor/composer/installed.json evil/planted@1.0.0 registry " + host,
		"vendor/composer/installed.json evil/versioned@1.0.0 registry " + host,
	})
}

// one gives the only file that a pattern matches.
func one(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %q, %v", pattern, found, err)
	}
	return filepath.ToSlash(found[0])
}
