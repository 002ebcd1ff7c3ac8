package lockfile

import (
	"slices"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// What a Python lockfile does not say of a package's origin, the configuration of its tool may: pip's
// (pip.pypa.io/en/stable/topics/configuration), and the sources of a project of PDM (pdm-project.org/latest/usage/config).
func TestPythonConfiguration(t *testing.T) {
	root := clienttest.Tree(t, map[string]string{
		"req/requirements.txt":   "a==1\n",
		"extra/requirements.txt": "--extra-index-url https://b.example/simple\na==1\n",
		"index/requirements.txt": "-i https://b.example/simple\na==1\n",
		"links/requirements.txt": "--find-links https://b.example/x\na==1\nhttps://c.example/d-1.0.zip\n",
		"conda/environment.yml":  "dependencies:\n  - pip:\n    - a==1\n",
		"pdm/pdm.lock":           "[[package]]\nname = \"a\"\nversion = \"1\"\n\n[[package]]\nname = \"b\"\nversion = \"1\"\ngit = \"https://github.com/o/b\"\n",
		"pdm/pyproject.toml":     "[[tool.pdm.source]]\nname = \"pypi\"\nurl = \"https://user:secret@pdm.example/simple\"\n",
		"pdm2/pdm.lock":          "[[package]]\nname = \"a\"\nversion = \"1\"\n",
		"pdm2/pyproject.toml":    "[[tool.pdm.source]]\nname = \"corp\"\nurl = \"https://user:secret@pdm.example/simple\"\n",
		"poetry/poetry.lock":     "[[package]]\nname = \"a\"\nversion = \"1\"\n",
		"uv/uv.lock":             "[[package]]\nname = \"a\"\nversion = \"1\"\nsource = { registry = \"https://pypi.org/simple\" }\n",
	})
	for _, tt := range []struct {
		name string
		env  map[string]string
		want []string
	}{
		{"an index of one's own", map[string]string{"PIP_INDEX_URL": "https://user:secret@a.example/simple"}, []string{
			"conda/environment.yml a@1 registry a.example", "extra/requirements.txt a@1", "index/requirements.txt a@1 registry b.example",
			"links/requirements.txt a@1", "links/requirements.txt d@1.0 url c.example",
			"pdm/pdm.lock a@1 registry pdm.example", "pdm/pdm.lock b@1 git github.com", "pdm2/pdm.lock a@1", "poetry/poetry.lock a@1 registry pypi.org",
			"req/requirements.txt a@1 registry a.example", "uv/uv.lock a@1 registry pypi.org",
		}},
		{"beside the public one", map[string]string{"PIP_INDEX_URL": "https://user:secret@a.example/simple", "PIP_EXTRA_INDEX_URL": "https://pypi.org/simple"}, []string{
			"conda/environment.yml a@1", "extra/requirements.txt a@1", "index/requirements.txt a@1 registry b.example",
			"links/requirements.txt a@1", "links/requirements.txt d@1.0 url c.example",
			"pdm/pdm.lock a@1 registry pdm.example", "pdm/pdm.lock b@1 git github.com", "pdm2/pdm.lock a@1", "poetry/poetry.lock a@1 registry pypi.org",
			"req/requirements.txt a@1", "uv/uv.lock a@1 registry pypi.org",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.env["PIP_CONFIG_FILE"] = "/dev/null"
			opt := inventory.Options{Kinds: pythonReaders(), As: "/work", Getenv: func(name string) string { return tt.env[name] }}
			got := clienttest.Lines(t, root, inventory.Walk(t.Context(), root, opt))
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n\t%q\nwant\n\t%q", got, tt.want)
			}
		})
	}
}
