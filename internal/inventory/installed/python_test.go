package installed_test

import (
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/installed"
)

func TestPython(t *testing.T) {
	const site = "lib/python3.11/site-packages/"
	metadata := clienttest.Metadata("a", "1.0")
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"an environment's only index", map[string]string{
			"v/pip.conf":                                    "[global]\nindex-url = https://user:secret@pypi.corp.example/simple\n",
			"v/" + site + "a-1.0.dist-info/METADATA":        metadata,
			"v/" + site + "a-1.0.dist-info/INSTALLER":       "pip\n",
			"v/" + site + "b-1.0.dist-info/METADATA":        clienttest.Metadata("b", "1.0"), // not known who installed it
			"v/" + site + "c-1.0.dist-info/METADATA":        clienttest.Metadata("c", "1.0"),
			"v/" + site + "c-1.0.dist-info/INSTALLER":       "uv", // uv does not read pip.conf
			"v/" + site + "d-1.0.dist-info/METADATA":        clienttest.Metadata("d", "1.0"),
			"v/" + site + "d-1.0.dist-info/INSTALLER":       "pip\n",
			"v/" + site + "d-1.0.dist-info/direct_url.json": `{"url": "https://files.pythonhosted.org/packages/00/11/22/d-1.0.tar.gz", "archive_info": {}}`,
			"w/pip.ini": "[install]\r\nindex-url=https://pypi.org/simple\r\n",
			"w/Lib/site-packages/a-1.0.dist-info/METADATA":  metadata,
			"w/Lib/site-packages/a-1.0.dist-info/INSTALLER": "pip\r\n",
			"x/pip.conf":                              "[global]\nindex-url = https://pypi.corp.example/simple\nextra-index-url = https://pypi.org/simple\n",
			"x/" + site + "a-1.0.dist-info/METADATA":  metadata,
			"x/" + site + "a-1.0.dist-info/INSTALLER": "pip\n",
			"y/pip.conf":                              "[global]\nindex-url = https://pypi.corp.example/simple\n",
			"y/src/a-1.0.dist-info/METADATA":          metadata, // no environment
			"y/src/a-1.0.dist-info/INSTALLER":         "pip\n",
		}, []string{
			"v/" + site + "a-1.0.dist-info/METADATA a@1.0 registry pypi.corp.example",
			"v/" + site + "b-1.0.dist-info/METADATA b@1.0",
			"v/" + site + "c-1.0.dist-info/METADATA c@1.0",
			"v/" + site + "d-1.0.dist-info/METADATA d@1.0 registry files.pythonhosted.org",
			"w/Lib/site-packages/a-1.0.dist-info/METADATA a@1.0 registry pypi.org",
			"x/" + site + "a-1.0.dist-info/METADATA a@1.0",
			"y/src/a-1.0.dist-info/METADATA a@1.0",
		}},
		{"what each program was configured for", map[string]string{
			"etc/pip.conf": "[global]\nindex-url = https://user:secret@system.example/simple\n",
			"usr/local/lib/python3.11/dist-packages/a-1.0.dist-info/METADATA":  metadata,
			"usr/local/lib/python3.11/dist-packages/a-1.0.dist-info/INSTALLER": "pip\n",
			"home/b/.config/pip/pip.conf":                                      "[install]\nindex-url = https://user:secret@home.example/simple\n",
			"home/b/.local/" + site + "a-1.0.dist-info/METADATA":               metadata,
			"home/b/.local/" + site + "a-1.0.dist-info/INSTALLER":              "pip\n",
			"home/b/env/Pipfile": "[[source]]\nname = \"corp\"\nurl = \"https://user:secret@pipenv.example/simple\"\n",
			"home/b/env/.venv/" + site + "a-1.0.dist-info/METADATA":     metadata,
			"home/b/env/.venv/" + site + "a-1.0.dist-info/INSTALLER":    "pip\n",
			"home/b/uv/pyproject.toml":                                  "[[tool.uv.index]]\nurl = \"https://user:secret@uv.example/simple\"\ndefault = true\n",
			"home/b/uv/.venv/" + site + "a-1.0.dist-info/METADATA":      metadata,
			"home/b/uv/.venv/" + site + "a-1.0.dist-info/INSTALLER":     "uv",
			"home/b/poetry/pyproject.toml":                              "[[tool.poetry.source]]\nname = \"corp\"\nurl = \"https://user:secret@poetry.example/simple\"\n",
			"home/b/poetry/.venv/" + site + "a-1.0.dist-info/METADATA":  metadata,
			"home/b/poetry/.venv/" + site + "a-1.0.dist-info/INSTALLER": "Poetry 2.1.3",
			"home/b/poetry/.venv/" + site + "b-1.0.dist-info/METADATA":  clienttest.Metadata("b", "1.0"),
			"home/b/poetry/.venv/" + site + "b-1.0.dist-info/INSTALLER": "Poetry 1.7.0",
			"home/b/pdm/.venv/" + site + "a-1.0.dist-info/METADATA":     metadata,
			"home/b/pdm/.venv/" + site + "a-1.0.dist-info/INSTALLER":    "pdm",
		}, []string{
			"home/b/.local/" + site + "a-1.0.dist-info/METADATA a@1.0 home.example",
			"home/b/env/.venv/" + site + "a-1.0.dist-info/METADATA a@1.0 registry pipenv.example",
			"home/b/pdm/.venv/" + site + "a-1.0.dist-info/METADATA a@1.0",
			"home/b/poetry/.venv/" + site + "a-1.0.dist-info/METADATA a@1.0 registry poetry.example",
			"home/b/poetry/.venv/" + site + "b-1.0.dist-info/METADATA b@1.0",
			"home/b/uv/.venv/" + site + "a-1.0.dist-info/METADATA a@1.0 registry uv.example",
			"usr/local/lib/python3.11/dist-packages/a-1.0.dist-info/METADATA a@1.0 system.example",
		}},
		// The shape is that of pipx 1.7: src/pipx/pipx_metadata_file.py.
		{"pipx", map[string]string{
			"venvs/a/pipx_metadata.json": `{"main_package": {"package": "a", "package_or_url": "a", "package_version": "1.0", "pip_args": ["--index-url=https://user:secret@pypi.corp.example/simple"], "suffix": ""},
				"injected_packages": {
					"git": {"package": "git", "package_or_url": "git+https://user:secret@github.com/o/git.git@v1", "package_version": "2.0", "pip_args": []},
					"link": {"package": "link", "package_or_url": "link @ https://corp.example/link-3.0.zip", "package_version": "3.0", "pip_args": []},
					"here": {"package": "here", "package_or_url": "/work/here", "package_version": "4.0", "pip_args": []},
					"both": {"package": "both", "package_or_url": "both", "package_version": "5.0", "pip_args": ["-i", "https://a.example/simple", "--extra-index-url", "https://b.example/simple"]},
					"plain": {"package": "plain", "package_or_url": "plain[extra]==6.0", "package_version": "6.0"}},
				"python_version": "Python 3.11.7", "pipx_metadata_version": "0.5"}`,
			"venvs/b/pipx_metadata.json": `{"main_package": {"package": null, "package_version": ""}, "pipx_metadata_version": "0.2"}`,
			"venvs/c/pipx_metadata.json": `{"main_package": {"package": "c"}, "pipx_metadata_version": "1.0"}`,
			"venvs/d/pipx_metadata.json": `{"main_package": `,
		}, []string{
			"venvs/a/pipx_metadata.json a@1.0 registry pypi.corp.example",
			"venvs/a/pipx_metadata.json both@5.0",
			"venvs/a/pipx_metadata.json git@2.0 git github.com",
			"venvs/a/pipx_metadata.json here@4.0 file",
			"venvs/a/pipx_metadata.json link@3.0 url corp.example",
			"venvs/a/pipx_metadata.json plain@6.0",
			"unmatchable venvs/b/pipx_metadata.json: entries without a usable name (missing, not UTF-8, or longer than the limit)",
			"unread venvs/c/pipx_metadata.json: metadata of this version of pipx is not known: not read",
			"unread venvs/d/pipx_metadata.json: unexpected EOF",
		}},
		// The shape is that of crates/uv-tool/src/tool.rs and of the sources in crates/uv-distribution-types/src/requirement.rs.
		{"uv's tools", map[string]string{
			"tools/a/uv-receipt.toml": "[tool]\nrequirements = [\n    { name = \"a\", specifier = \">=1\" },\n    { name = \"from-git\", git = \"https://user:secret@github.com/o/r?rev=v1\" },\n" +
				"    { name = \"from-url\", url = \"https://corp.example/from_url-1.0.zip\" },\n    { name = \"own-index\", specifier = \"==3.0\", index = \"https://pypi.corp.example/simple\" },\n" +
				"    { name = \"here\", editable = \"/work/here\" },\n    { specifier = \"==1\" },\n]\nentrypoints = [{ name = \"a\", install-path = \"/home/x/.local/bin/a\" }]\n",
			"tools/a/" + site + "a-1.5.dist-info/METADATA": clienttest.Metadata("a", "1.5"),
			"tools/b/uv-receipt.toml":                      "[tool]\nrequirements = [\"b\"]\n",
			"tools/c/uv-receipt.toml":                      "[tool\n",
			"tools/d/uv-receipt.toml":                      "x = " + strings.Repeat("[", 100) + strings.Repeat("]", 100),
		}, []string{
			"tools/a/uv-receipt.toml a@1.5",
			"tools/a/uv-receipt.toml from-git@ git github.com",
			"tools/a/uv-receipt.toml from-url@ url corp.example",
			"tools/a/uv-receipt.toml own-index@3.0 registry pypi.corp.example",
			"tools/a/uv-receipt.toml here@ file",
			"unmatchable tools/a/uv-receipt.toml: entries without a usable name (missing, not UTF-8, or longer than the limit)",
			"tools/a/" + site + "a-1.5.dist-info/METADATA a@1.5",
			"unread tools/c/uv-receipt.toml: expected '.' or ']' to end table name, but got '\\n' instead",
			"unread tools/d/uv-receipt.toml: nested deeper than any receipt of uv's: not read",
		}},
		// conda's own packages are counted once for each environment and cache; what is from PyPI in them is found.
		{"conda", map[string]string{
			"env/conda-meta/history":                           "==> 2026-01-01 00:00:00 <==\n",
			"env/conda-meta/numpy-2.0.0-py311h64a7726_0.json":  `{"name": "numpy", "version": "2.0.0", "channel": "conda-forge"}`,
			"env/conda-meta/openssl-3.3.1-h4ab18f5_0.json":     `{"name": "openssl"}`,
			"env/conda-meta/state":                             "{}",
			"env/" + site + "a-1.0.dist-info/METADATA":         metadata,
			"env/" + site + "a-1.0.dist-info/INSTALLER":        "conda",
			"pkgs/urls.txt":                                    "https://conda.anaconda.org/t/secret/conda-forge/linux-64/numpy-2.0.0-py311h64a7726_0.conda\n",
			"pkgs/numpy-2.0.0-py311h64a7726_0.conda":           "PK",
			"pkgs/numpy-2.0.0-py311h64a7726_0/info/index.json": "{}",
			"pkgs/old-1.0-0.tar.bz2":                           "BZh",
			"pkgs/cache/497deca9.json":                         "{}",
			"docs/history":                                     "no",
		}, []string{
			"unmatchable env/conda-meta/history: conda packages: an ecosystem without records",
			"env/" + site + "a-1.0.dist-info/METADATA a@1.0",
			"unmatchable pkgs/urls.txt: conda packages: an ecosystem without records",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := walk(t, clienttest.Tree(t, tt.files)); !slices.Equal(got, tt.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
			}
		})
	}
}

// The environment of the user who scans counts where it is in effect.
func TestPythonEnvironment(t *testing.T) {
	const info = "env/lib/python3.11/site-packages/a-1.0.dist-info/"
	root := clienttest.Tree(t, map[string]string{info + "METADATA": clienttest.Metadata("a", "1.0"), info + "INSTALLER": "pip\n"})
	getenv := func(name string) string {
		return map[string]string{"PIP_INDEX_URL": "https://user:secret@pypi.corp.example/simple", "PIP_CONFIG_FILE": "/dev/null"}[name]
	}
	for _, tt := range []struct {
		as   string
		want string
	}{
		{"/src", info + "METADATA a@1.0 registry pypi.corp.example"},
		{"/home/bert", info + "METADATA a@1.0"},
	} {
		opt := inventory.Options{Kinds: installed.Kinds(), Getenv: getenv, As: tt.as}
		if got := clienttest.Lines(t, root, inventory.Walk(t.Context(), root, opt)); !slices.Equal(got, []string{tt.want}) {
			t.Errorf("%s: got %q, want %q", tt.as, got, tt.want)
		}
	}
}

// The two notes of conda say how many packages they stand for.
func TestCondaCounts(t *testing.T) {
	root := clienttest.Tree(t, map[string]string{
		"conda-meta/history":                 "",
		"conda-meta/a-1-0.json":              "{}",
		"conda-meta/b-c-1-0.json":            "{}",
		"conda-meta/notes.json":              "{}",
		"pkgs/urls.txt":                      "",
		"pkgs/a-1-0.conda":                   "",
		"pkgs/a-1-0/info/index.json":         "{}", // of the archive beside it
		"pkgs/b-c-1-0/info/index.json":       "{}",
		"pkgs/d-1-0.tar.bz2":                 "",
		"pkgs/e-1-0/lib/half-extracted.json": "",
	})
	counts := map[string]int{}
	for _, err := range inventory.Walk(t.Context(), root, inventory.Options{Kinds: installed.Kinds()}) {
		var note *rapsheet.Note
		if !errors.As(err, &note) {
			t.Fatal(err)
		}
		counts[path.Base(note.Path)] = note.Count
	}
	if want := map[string]int{"history": 2, "urls.txt": 3}; !maps.Equal(counts, want) {
		t.Errorf("got %v, want %v", counts, want)
	}
}

func FuzzPipxMetadata(f *testing.F) {
	fuzzKind(f, "venvs/a/pipx_metadata.json", "x",
		[2]string{`{"main_package": {"package": "a", "package_or_url": "a @ git+https://h/r", "package_version": "1", "pip_args": ["-i", "https://h/simple"]}, "pipx_metadata_version": "0.2"}`, ""})
}

func FuzzUvReceipt(f *testing.F) {
	fuzzQuiet(f, "tools/a/uv-receipt.toml", "tools/a/lib/python3/site-packages/a-1.dist-info/METADATA",
		[2]string{"[tool]\nrequirements = [{ name = \"a\", specifier = \"==1\", index = \"https://h/simple\" }]\n", ""})
}
