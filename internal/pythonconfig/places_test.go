package pythonconfig_test

import (
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/pythonconfig"
)

// settings are files by their names, absolute ones of this machine, and variables by "$" and theirs. Those of the machine
// and of the user who scans are in effect where own says so.
type settings struct {
	files map[string]string
	own   bool
}

func (s settings) InEffect() bool { return s.own }

func (s settings) ReadFile(name string, limit int64) ([]byte, bool) {
	text, ok := s.files[name]
	return []byte(text), ok && !strings.HasPrefix(name, "/") && int64(len(text)) <= limit
}

func (s settings) MachineFile(name string, limit int64) ([]byte, bool) {
	text, ok := s.files[name]
	return []byte(text), ok && s.own && strings.HasPrefix(name, "/") && int64(len(text)) <= limit
}

func (s settings) Getenv(name string) string {
	if !s.own {
		return ""
	}
	return s.files["$"+name]
}

// Which files count, and which goes before which: pip.pypa.io/en/stable/topics/configuration/ ("Location", "Precedence"),
// and get_configuration_files and iter_config_files of pip 23.0's _internal/configuration.py.
func TestPip(t *testing.T) {
	index := func(host string) string { return "[global]\nindex-url = https://user:secret@" + host + "/simple\n" }
	const env = "home/anna/src/project/.venv"
	type files = map[string]string
	for _, tt := range []struct {
		name  string
		own   bool
		files files
		want  string
	}{
		{"the system's, of a tree", false, files{"etc/xdg/pip/pip.conf": index("x"), "etc/pip.conf": index("a")}, "a"},
		{"the home that it is in", false, files{"etc/pip.conf": index("a"), "home/anna/.config/pip/pip.conf": index("b"), "home/bert/.config/pip/pip.conf": index("c")}, "b"},
		{"the newer of a home's files", false, files{"home/anna/.pip/pip.conf": index("a"), "home/anna/.config/pip/pip.conf": index("b")}, "b"},
		{"the older", false, files{"home/anna/.pip/pip.conf": index("a")}, "a"},
		{"the environment's before all files", false, files{"home/anna/.pip/pip.conf": index("a"), env + "/pip.conf": index("b")}, "b"},
		{"not this machine's", false, files{"/etc/pip.conf": index("a"), "$PIP_INDEX_URL": "https://b/simple", "$HOME": "/h", "/h/.config/pip/pip.conf": index("c")}, ""},
		{"macOS", false, files{"home/anna/Library/Application Support/pip/pip.conf": index("a"), "home/anna/.config/pip/pip.conf": index("b")}, "a"},
		{"Windows", false, files{"ProgramData/pip/pip.ini": index("a"), "home/anna/pip/pip.ini": index("b"), "home/anna/AppData/Roaming/pip/pip.ini": index("c")}, "c"},
		{"two that do not agree", false, files{"etc/pip.conf": "[global]\nextra-index-url = https://pypi.org/simple\n", "home/anna/.config/pip/pip.conf": index("b")}, ""},

		{"this machine's", true, files{"/etc/pip.conf": index("a"), "etc/pip.conf": index("b")}, "a"},
		{"the user's", true, files{"/etc/pip.conf": index("a"), "$HOME": "/h", "/h/.config/pip/pip.conf": index("b"), "home/anna/.config/pip/pip.conf": index("c")}, "b"},
		{"XDG_CONFIG_DIRS", true, files{"$XDG_CONFIG_DIRS": "/x:/y", "/y/pip/pip.conf": index("a"), "/etc/xdg/pip/pip.conf": index("b")}, "a"},
		{"XDG_CONFIG_HOME", true, files{"$HOME": "/h", "$XDG_CONFIG_HOME": "/z", "/h/.config/pip/pip.conf": index("a"), "/z/pip/pip.conf": index("b")}, "b"},
		{"APPDATA", true, files{"$USERPROFILE": "/u", "$APPDATA": "/r", "/r/pip/pip.ini": index("a")}, "a"},
		{"ProgramData", true, files{"$ProgramData": "/d", "/d/pip/pip.ini": index("a")}, "a"},
		{"PIP_CONFIG_FILE, in place of the user's", true, files{"$HOME": "/h", "/h/.config/pip/pip.conf": index("a"), "$PIP_CONFIG_FILE": "/p", "/p": index("b")}, "b"},
		{"PIP_CONFIG_FILE has the least weight", true, files{"/etc/pip.conf": index("a"), "$PIP_CONFIG_FILE": "/p", "/p": index("b")}, "a"},
		{"PIP_CONFIG_FILE that does not exist", true, files{"$HOME": "/h", "/h/.config/pip/pip.conf": index("a"), "$PIP_CONFIG_FILE": "/p"}, "a"},
		{"no files at all", true, files{"/etc/pip.conf": index("a"), env + "/pip.conf": index("b"), "$PIP_CONFIG_FILE": "/dev/null"}, ""},
		{"a variable", true, files{env + "/pip.conf": index("a"), "$PIP_INDEX_URL": "https://user:secret@b/simple"}, "b"},
		{"a variable without a value", true, files{env + "/pip.conf": index("a"), "$PIP_INDEX_URL": ""}, "a"},
		{"a public one beside it", true, files{"$PIP_INDEX_URL": "https://b/simple", "$PIP_EXTRA_INDEX_URL": "https://pypi.org/simple"}, ""},
		{"one beside PyPI", true, files{"$PIP_EXTRA_INDEX_URL": "https://b/simple"}, ""},
		{"links beside it", true, files{"$PIP_INDEX_URL": "https://b/simple", "$PIP_FIND_LINKS": "/w"}, ""},
		{"the public one, by name", true, files{"$PIP_INDEX_URL": "https://pypi.org/simple"}, "pypi.org"},
	} {
		if got := pythonconfig.Pip(settings{tt.files, tt.own}, env).Host(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// docs.astral.sh/uv/concepts/configuration-files, docs.astral.sh/uv/concepts/indexes, and the variables of
// docs.astral.sh/uv/reference/environment.
func TestUv(t *testing.T) {
	def := func(host string) string {
		return "[[index]]\nurl = \"https://u:secret@" + host + "/simple\"\ndefault = true\n"
	}
	const dir = "home/anna/src/project"
	type files = map[string]string
	for _, tt := range []struct {
		name  string
		own   bool
		files files
		want  string
	}{
		{"nothing", false, files{dir + "/pyproject.toml": "[project]\nname = \"x\"\n"}, ""},
		{"a default", false, files{dir + "/pyproject.toml": "[[tool.uv.index]]\nname = \"corp\"\nurl = \"https://u:secret@A.example:8443/simple\"\ndefault = true\n"}, "a.example:8443"},
		{"one beside PyPI", false, files{dir + "/pyproject.toml": "[[tool.uv.index]]\nurl = \"https://a/simple\"\n"}, ""},
		{"one beside the default", false, files{dir + "/uv.toml": def("a") + "[[index]]\nurl = \"https://b/simple\"\n"}, ""},
		{"an explicit one", false, files{dir + "/uv.toml": def("a") + "[[index]]\nurl = \"https://b/simple\"\nexplicit = true\n"}, ""},
		{"another path of the same host", false, files{dir + "/uv.toml": def("a") + "[[index]]\nurl = \"https://a/other\"\n"}, "a"},
		{"pip's names", false, files{dir + "/pyproject.toml": "[tool.uv]\nindex-url = \"https://a/simple\"\n"}, "a"},
		{"pip's names, a further one", false, files{dir + "/pyproject.toml": "[tool.uv]\nindex-url = \"https://a/simple\"\nextra-index-url = [\"https://pypi.org/simple\"]\n"}, ""},
		{"uv pip has its own", false, files{dir + "/pyproject.toml": "[tool.uv]\nindex-url = \"https://a/simple\"\n[tool.uv.pip]\nindex-url = \"https://b/simple\"\n"}, ""},
		{"links", false, files{dir + "/uv.toml": "find-links = [\"/w\"]\n" + def("a")}, ""},
		{"uv.toml before pyproject.toml", false, files{dir + "/uv.toml": def("a"), dir + "/pyproject.toml": "[tool.uv]\nindex-url = \"https://b/simple\"\n"}, "a"},
		{"the nearest above", false, files{"home/anna/uv.toml": def("a"), "home/anna/src/uv.toml": def("b"), dir + "/pyproject.toml": "[project]\n"}, "b"},
		{"the home's before the system's", false, files{"home/anna/.config/uv/uv.toml": def("a"), "etc/uv/uv.toml": def("b")}, "a"},
		{"of the system's the first counts", false, files{"etc/xdg/uv/uv.toml": "offline = true\n", "etc/uv/uv.toml": def("b")}, ""},
		{"the project's before the user's", true, files{dir + "/uv.toml": def("a"), "$HOME": "/h", "/h/.config/uv/uv.toml": "index-url = \"https://b/simple\"\n"}, "a"},
		{"arrays are joined", true, files{dir + "/uv.toml": def("a"), "$HOME": "/h", "/h/.config/uv/uv.toml": "[[index]]\nurl = \"https://b/simple\"\n"}, ""},
		{"a variable", true, files{dir + "/uv.toml": def("a"), "$UV_DEFAULT_INDEX": "corp=https://u:secret@b/simple"}, "b"},
		{"its older name", true, files{dir + "/uv.toml": def("a"), "$UV_INDEX_URL": "https://b/simple?x=y"}, "b"},
		{"a further one", true, files{dir + "/uv.toml": def("a"), "$UV_INDEX": "https://a/x corp=https://b/simple"}, ""},
		{"its older name, the same host", true, files{dir + "/uv.toml": def("a"), "$UV_EXTRA_INDEX_URL": "https://a/x"}, "a"},
		{"one file for all", true, files{dir + "/uv.toml": def("a"), "$UV_CONFIG_FILE": "/c", "/c": def("b")}, "b"},
		{"no files", true, files{dir + "/uv.toml": def("a"), "$UV_NO_CONFIG": "1"}, ""},
		{"not this machine's", false, files{dir + "/uv.toml": def("a"), "$UV_DEFAULT_INDEX": "https://b/simple"}, "a"},
		{"too deep, and no TOML", false, files{dir + "/uv.toml": def("a") + "x = " + strings.Repeat("[", 100) + strings.Repeat("]", 100), "etc/uv/uv.toml": "["}, ""},
		{"odd types", false, files{dir + "/uv.toml": "index-url = 1\nindex = [1, {default = true, url = 2}]\nextra-index-url = [3]\npip = 4\n"}, ""},
	} {
		if got := pythonconfig.Uv(settings{tt.files, tt.own}, dir).Host(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// python-poetry.org/docs/repositories (and /docs/1.7/repositories), pdm-project.org/latest/usage/config, and
// pipenv.pypa.io/en/latest/indexes.html.
func TestProject(t *testing.T) {
	const corp = "name = \"corp\"\nurl = \"https://u:secret@a/simple\"\n"
	for _, tt := range []struct{ name, tool, text, want string }{
		{"no sources", "Poetry 2.1.0", "[tool.poetry]\nname = \"x\"\n", "none"},
		{"a primary source disables PyPI", "Poetry 1.8.0", "[[tool.poetry.source]]\n" + corp, "a"},
		{"it did not", "Poetry 1.7.1", "[[tool.poetry.source]]\n" + corp + "priority = \"primary\"\n", ""},
		{"a version that cannot be read", "Poetry", "[[tool.poetry.source]]\n" + corp, ""},
		{"a default source", "Poetry 1.5.0", "[[tool.poetry.source]]\n" + corp + "priority = \"default\"\n", "a"},
		{"a default source, before 1.5", "poetry 1.1.0", "[[tool.poetry.source]]\n" + corp + "default = true\n", "a"},
		{"a secondary source", "poetry 2.0.0", "[[tool.poetry.source]]\n" + corp + "secondary = true\n", ""},
		{"a supplemental source", "Poetry 2.0.0", "[[tool.poetry.source]]\n" + corp + "priority = \"supplemental\"\n", ""},
		{"PyPI beside it", "Poetry 2.0.0", "[[tool.poetry.source]]\nname = \"PyPI\"\npriority = \"primary\"\n[[tool.poetry.source]]\n" + corp, ""},
		{"an explicit one beside it", "Poetry 2.0.0", "[[tool.poetry.source]]\n" + corp + "[[tool.poetry.source]]\nname = \"b\"\nurl = \"https://b/simple\"\npriority = \"explicit\"\n", ""},
		{"beside PyPI", "pdm", "[[tool.pdm.source]]\n" + corp, ""},
		{"in place of PyPI", "pdm", "[[tool.pdm.source]]\nname = \"pypi\"\nurl = \"https://u:secret@a/simple\"\n", "a"},
		{"in place of PyPI, and another", "pdm", "[[tool.pdm.source]]\nname = \"pypi\"\nurl = \"https://b/simple\"\n[[tool.pdm.source]]\n" + corp, ""},
		{"links", "pdm", "[[tool.pdm.source]]\nname = \"pypi\"\nurl = \"https://b/simple\"\n[[tool.pdm.source]]\nname = \"w\"\ntype = \"find_links\"\nurl = \"https://b/w\"\n", ""},
		{"one source", "pipenv", "[[source]]\n" + corp + "verify_ssl = true\n[packages]\nx = \"*\"\n", "a"},
		{"one with a variable in it", "pipenv", "[[source]]\nname = \"x\"\nurl = \"https://$USER:$PASSWORD@a/simple\"\n", ""},
		{"two sources", "pipenv", "[[source]]\n" + corp + "[[source]]\nname = \"pypi\"\nurl = \"https://pypi.org/simple\"\n", ""},
		{"no TOML", "pipenv", "[[source\n", "none"},
		{"somebody else", "conda", "[[source]]\n" + corp, "none"},
	} {
		got := "none"
		if p := pythonconfig.Project(settings{files: map[string]string{"p/pyproject.toml": tt.text, "p/Pipfile": tt.text}}, "p", tt.tool); p != nil {
			got = p.Host()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if pythonconfig.Project(settings{}, "p", "pdm") != nil {
		t.Error("a project without a file")
	}
}

func FuzzProject(f *testing.F) {
	f.Add("[[tool.uv.index]]\nurl = \"https://u:p@H:1/x\"\ndefault = true\n[[tool.poetry.source]]\nname = \"a\"\nurl = \"https://H\"\npriority = \"default\"\n[[tool.pdm.source]]\nname = \"pypi\"\nurl = \"https://H\"\n[[source]]\nurl = \"https://H\"\n")
	f.Add("[tool.uv]\nindex-url = \"https://h\"\nextra-index-url = [\"https://h\"]\n[tool.uv.pip]\nno-index = true\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := settings{files: map[string]string{"pyproject.toml": text, "etc/uv/uv.toml": text, "Pipfile": text}}
		all := []*pythonconfig.Indexes{pythonconfig.Uv(s, ".")}
		for _, tool := range []string{"poetry 2.0", "pdm", "pipenv"} {
			if p := pythonconfig.Project(s, ".", tool); p != nil {
				all = append(all, p)
			}
		}
		for _, p := range all {
			for _, h := range append(p.Hosts(), p.Host()) {
				if h != strings.ToLower(h) || strings.ContainsAny(h, "@/ \n") {
					t.Errorf("host %q", h)
				}
			}
		}
	})
}
