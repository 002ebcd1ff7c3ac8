package cache_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/cache"
)

// pythonCache gives what is cached below root without the paths, sorted: "name@version origin host digest…".
func pythonCache(t *testing.T, root string, hash bool) []string {
	t.Helper()
	var all []string
	for _, line := range clienttest.Lines(t, root, inventory.Walk(t.Context(), root, inventory.Options{Kinds: cache.Kinds(), Hash: hash})) {
		if strings.Contains(line, "symbolic links not followed") {
			continue
		}
		_, line, _ = strings.Cut(line, " ")
		all = append(all, line)
	}
	slices.Sort(all)
	return all
}

func short(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data))[:6] }

// What pip downloads stays in its cache when the environment is gone: in http up to 23.2, in http-v2 from 23.3.
func TestPipCache(t *testing.T) {
	wheel, sdist := clienttest.Wheel(t, "planted", "1.0"), clienttest.Sdist(t, "source", "2.0")
	files := map[string][]byte{"planted-1.0-py3-none-any.whl": wheel, "source-2.0.tar.gz": sdist}
	for _, pip := range []struct {
		from, below, layout string
		registry            bool // whose headers say what a file is
	}{{"22.3", "23.3", "http", true}, {"23.3", "", "http-v2", false}} {
		t.Run(pip.layout, func(t *testing.T) {
			t.Parallel()
			python := clienttest.Pip(t, pip.from, pip.below)
			srv := clienttest.PythonIndex(t, pip.registry, files)
			dir := t.TempDir()
			args := []string{"-m", "pip", "install", "--disable-pip-version-check", "--cache-dir", "cache", "--trusted-host", "127.0.0.1", "--index-url", srv.URL + "/simple/", "--no-compile", "--no-build-isolation"}
			clienttest.Run(t, dir, nil, python, append(args, "--target", "installed", "planted", "source")...)
			if err := os.RemoveAll(filepath.Join(dir, "installed")); err != nil {
				t.Fatal(err)
			}
			root := filepath.Join(dir, "cache")
			if _, err := os.Stat(filepath.Join(root, pip.layout)); err != nil {
				t.Fatal(err)
			}
			// Twice the source: as it came, and the wheel that was built of it, with its origin.
			built := "source@2.0 registry " + strings.TrimPrefix(srv.URL, "http://") + " sha256:" + short(sdist)
			want := []string{"planted@1.0", "source@2.0", built}
			if got := pythonCache(t, root, false); !slices.Equal(got, want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
			}
			var hashed []string
			for _, line := range pythonCache(t, root, true) {
				for _, data := range [][]byte{wheel, sdist} {
					if strings.Contains(line, "sha256:"+short(data)) && !strings.Contains(line, "registry") {
						hashed = append(hashed, line[:strings.IndexByte(line, ' ')])
					}
				}
			}
			if !slices.Equal(hashed, []string{"planted@1.0", "source@2.0"}) {
				t.Errorf("the archives' own digests are with %q", hashed)
			}
		})
	}
}

// Poetry's artifacts and PDM's answers. Both are asked for in the project's own index.
func TestPythonProjectCaches(t *testing.T) {
	wheel, sdist := clienttest.Wheel(t, "planted", "1.0"), clienttest.Sdist(t, "source", "2.0")
	srv := clienttest.PythonIndex(t, true, map[string][]byte{"planted-1.0-py3-none-any.whl": wheel, "source-2.0.tar.gz": sdist})
	tests := []struct {
		client  string
		project string
		env     []string
		args    []string
		cache   string
		want    []string
	}{
		{"poetry", "[tool.poetry]\nname = \"p\"\nversion = \"1\"\ndescription = \"\"\nauthors = []\n\n[tool.poetry.dependencies]\npython = \"*\"\nplanted = \"1.0\"\nsource = \"2.0\"\n\n" +
			"[[tool.poetry.source]]\nname = \"own\"\nurl = \"" + srv.URL + "/simple/\"\ndefault = true\n",
			[]string{"POETRY_VIRTUALENVS_IN_PROJECT=true", "POETRY_VIRTUALENVS_OPTIONS_NO_PIP=true", "POETRY_VIRTUALENVS_OPTIONS_NO_SETUPTOOLS=true"},
			[]string{"install", "--no-root", "--no-interaction"}, "pypoetry", []string{"artifacts planted@1.0", "artifacts source@2.0", "cache planted@1.0", "cache source@2.0"}},
		{"pdm", "[project]\nname = \"p\"\nversion = \"1\"\nrequires-python = \">=3.7\"\ndependencies = [\"planted==1.0\", \"source==2.0\"]\n\n" +
			"[[tool.pdm.source]]\nname = \"pypi\"\nurl = \"" + srv.URL + "/simple/\"\nverify_ssl = false\n",
			[]string{"PDM_USE_VENV=0", "PDM_CHECK_UPDATE=0"},
			[]string{"install", "--no-self"}, "pdm", []string{"http planted@1.0", "http source@2.0", "wheels source@2.0"}},
	}
	for _, tt := range tests {
		t.Run(tt.client, func(t *testing.T) {
			t.Parallel()
			client := clienttest.Program(t, tt.client)
			dir := clienttest.Tree(t, map[string]string{"pyproject.toml": tt.project})
			clienttest.Run(t, dir, tt.env, client, tt.args...)
			root := filepath.Join(clienttest.Home(dir), tt.cache)
			var got []string // by the cache's own parts
			for _, line := range clienttest.Lines(t, root, inventory.Walk(t.Context(), root, inventory.Options{Kinds: cache.Kinds()})) {
				at, what, _ := strings.Cut(line, " ")
				at, _, _ = strings.Cut(at, "/")
				got = append(got, at+" "+what)
			}
			slices.Sort(got)
			if got = slices.Compact(got); !slices.Equal(got, tt.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
			}
		})
	}
}
