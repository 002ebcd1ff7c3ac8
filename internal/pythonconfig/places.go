package pythonconfig

import (
	"path"
	"slices"
	"strings"
)

// Settings gives the files that may be in effect somewhere.
type Settings interface {
	// ReadFile gives a file of the tree that is looked at, by its slash-separated path from the root.
	ReadFile(name string, limit int64) ([]byte, bool)
	// InEffect says that the environment and the settings of this machine count.
	InEffect() bool
	// Getenv gives a variable of that environment, "" where none counts, and MachineFile a file by its absolute path.
	Getenv(name string) string
	MachineFile(name string, limit int64) ([]byte, bool)
}

// Pip reads what is in effect for pip where it installs into the environment, a directory of the tree: the settings of
// this machine and its user, or else of the tree as a machine and of the homes in it that the directory is in; then those of
// the environment itself. The order is pip's (pip/_internal/configuration.py, iter_config_files), and so are
// the places, of every system: no two systems share one.
func Pip(s Settings, environment string) *Indexes {
	r := reader{s: s}
	own := s.Getenv("PIP_CONFIG_FILE")
	if own == "/dev/null" || strings.EqualFold(own, "nul") { // os.devnull: no file counts
		return readPip(s.Getenv)
	}
	named := own != "" && r.machine(own)
	r.system("pip/pip.conf", "pip/pip.ini")
	if s.InEffect() {
		r.machine("/etc/pip.conf")
	} else {
		r.tree("etc/pip.conf")
	}
	if !named {
		r.user(environment, true, []string{".pip/pip.conf", "pip/pip.ini"}, "pip/pip.conf", "pip/pip.ini")
	}
	wide := len(r.files)
	for _, name := range []string{"pip.conf", "pip.ini"} {
		r.tree(path.Join(environment, name))
	}
	p := readPip(s.Getenv, r.files...)
	p.wide = readPip(nothing, r.files[wide:]...).Host() != p.Host()
	return p
}

// nothing is an environment without a variable.
func nothing(string) string { return "" }

// Uv reads what is in effect for uv in a directory of the tree (docs.astral.sh/uv/concepts/configuration-files): of the
// nearest directory with uv.toml or [tool.uv], then the user's and the system's.
func Uv(s Settings, dir string) *Indexes {
	var project []table
	for at := dir; len(project) == 0; at = path.Dir(at) {
		if b, ok := s.ReadFile(path.Join(at, "uv.toml"), MaxSize); ok {
			project = append(project, readTOML(b))
		} else if b, ok := s.ReadFile(path.Join(at, "pyproject.toml"), MaxSize); ok {
			if uv := readTOML(b).table("tool").table("uv"); uv != nil {
				project = append(project, uv)
			}
		}
		if at == "." {
			break
		}
	}
	r := reader{s: s}
	r.system("uv/uv.toml", "uv/uv.toml")
	// Of the system's only the first that is found counts, that of XDG.
	r.files = r.files[:min(1, len(r.files))]
	r.user(dir, false, nil, "uv/uv.toml", "uv/uv.toml")
	if own := s.Getenv("UV_CONFIG_FILE"); own != "" { // in place of all others
		project, r.files = nil, nil
		r.machine(own)
	}
	if isTrue(s.Getenv("UV_NO_CONFIG")) {
		project, r.files = nil, nil
	}
	own := readUv(nothing, project...)
	for _, b := range slices.Backward(r.files) {
		project = append(project, readTOML(b))
	}
	u := readUv(s.Getenv, project...)
	u.wide = own.Host() != u.Host()
	return u
}

// Project reads the sources that a project, a directory of the tree, declares for a tool: pipenv, or what an installed
// distribution's INSTALLER says, "pdm" or "Poetry 2.1.3". It is nil where it declares none.
func Project(s Settings, dir, installer string) *Indexes {
	name := "pyproject.toml"
	tool, version, _ := strings.Cut(strings.ToLower(installer), " ")
	if tool == "pipenv" {
		name = "Pipfile"
	}
	b, ok := s.ReadFile(path.Join(dir, name), MaxSize)
	if !ok {
		return nil
	}
	doc := readTOML(b)
	switch tool {
	case "pipenv":
		return readPipenv(doc)
	case "pdm":
		return readPdm(doc.table("tool").table("pdm"))
	case "poetry":
		return readPoetry(doc.table("tool").table("poetry"), version)
	}
	return nil
}

// reader collects the contents of files in the order of their weight, the weightiest last.
type reader struct {
	s     Settings
	files [][]byte
}

func (r *reader) keep(b []byte, ok bool) bool {
	if ok {
		r.files = append(r.files, b)
	}
	return ok
}

func (r *reader) tree(name string) bool    { return r.keep(r.s.ReadFile(name, MaxSize)) }
func (r *reader) machine(name string) bool { return r.keep(r.s.MachineFile(name, MaxSize)) }

// system reads what an administrator set: name where Unix has such files and on macOS, windows on Windows.
func (r *reader) system(name, windows string) {
	const mac = "Library/Application Support"
	if !r.s.InEffect() {
		r.tree(path.Join("etc/xdg", name))
		if name == "uv/uv.toml" {
			r.tree(path.Join("etc", name))
		}
		r.tree(path.Join(mac, name))
		r.tree(path.Join("ProgramData", windows))
		return
	}
	dirs := r.s.Getenv("XDG_CONFIG_DIRS")
	if dirs == "" {
		dirs = "/etc/xdg"
	}
	for dir := range strings.SplitSeq(dirs, ":") {
		r.machine(path.Join(dir, name))
	}
	if name == "uv/uv.toml" {
		r.machine(path.Join("/etc", name))
	}
	r.machine(path.Join("/"+mac, name))
	if dir := r.s.Getenv("ProgramData"); dir != "" {
		r.machine(path.Join(dir, windows))
	}
}

// user reads what users set: those whose homes dir is in, or the one who scans. mac says that macOS has a place of its
// own; old are earlier places below a home, which the later ones override.
func (r *reader) user(dir string, mac bool, old []string, name, windows string) {
	home := func(read func(string) bool, home, config, roaming string) {
		for _, o := range old {
			read(path.Join(home, o))
		}
		if !mac || !read(path.Join(home, "Library/Application Support", name)) {
			read(path.Join(config, name))
		}
		read(path.Join(roaming, windows))
	}
	if !r.s.InEffect() {
		homes := []string{dir}
		for at := dir; at != "."; {
			at = path.Dir(at)
			homes = append(homes, at)
		}
		for _, at := range slices.Backward(homes) {
			home(r.tree, at, path.Join(at, ".config"), path.Join(at, "AppData/Roaming"))
		}
		return
	}
	at := r.s.Getenv("HOME")
	if at == "" {
		at = r.s.Getenv("USERPROFILE")
	}
	config, roaming := r.s.Getenv("XDG_CONFIG_HOME"), r.s.Getenv("APPDATA")
	if config == "" && at != "" {
		config = path.Join(at, ".config")
	}
	home(func(name string) bool { return r.machine(name) }, at, config, roaming)
}
