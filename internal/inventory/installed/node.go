package installed

import (
	"context"
	"path"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/npmconfig"
)

// maxPackageJSON bounds a package.json, maxTree what a package manager keeps about a whole
// node_modules, maxAliases the packages that are asked for aliases.
const (
	maxPackageJSON = 8 << 20
	maxTree        = 64 << 20
	maxAliases     = 20_000
)

// isNodePackage matches …/node_modules/name/package.json and …/node_modules/@scope/name/package.json.
// What stands deeper in a package is its own business, such as {"type": "module"} in dist/.
func isNodePackage(base, file string) bool {
	if base != "package.json" {
		return false
	}
	return nodeName(path.Dir(file)) != ""
}

// nodeName gives the name that the package in dir is installed under: what stands after its
// node_modules; "" when dir is no installed package's.
func nodeName(dir string) string {
	above, name := path.Split(dir)
	if scope := path.Base(above); strings.HasPrefix(scope, "@") {
		above, name = path.Dir(path.Clean(above)), scope+"/"+name
	}
	if path.Base(above) != "node_modules" || strings.HasPrefix(name, ".") {
		return ""
	}
	return name
}

// readNodePackage reads the package.json of an installed package
// (docs.npmjs.com/cli/configuring-npm/package-json).
func readNodePackage(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.All()
	if err != nil {
		return err
	}
	l := inventory.NewList(ctx, out, "npm")
	dir := path.Dir(in.Rel)
	tree := nodeTreeOf(in, dir)
	at := nodeName(tree.key(dir))
	var p struct {
		Name      string `json:"name"`
		Version   string `json:"version"`
		Resolved  string `json:"_resolved"`  // npm 6 and older
		Integrity string `json:"_integrity"` // the same
	}
	if err := inventory.DecodeJSON(b, &p); err != nil {
		// The directory still says what somebody meant to install.
		if at != "" {
			if err := l.Add(at, "", 0, rapsheet.Evidence{}); err != nil {
				return l.End(err)
			}
		}
		return l.End(err)
	}
	know := tree.about(dir, p.Name, p.Version)
	if know.resolved == "" {
		know.resolved = p.Resolved
	}
	if know.integrity == "" {
		know.integrity = p.Integrity
	}
	ev := know.evidence(l)
	if p.Name != "" {
		if err := l.Add(p.Name, p.Version, 0, ev); err != nil {
			return l.End(err)
		}
	}
	if at == "" || at == p.Name {
		return l.End(nil)
	}
	switch {
	case know.name != "":
		// The package manager wrote down what it installed in this directory.
		if know.name == p.Name {
			return l.End(nil)
		}
		at = know.name
	case p.Name != "" && tree.alias(in, dir, at, p.Name):
		return l.End(nil)
	}
	return l.End(also(l, p.Name, at, p.Version, ev))
}

// installedPackage is what a package manager wrote down about a package that it installed.
type installedPackage struct {
	name      string // where it says so in so many words
	resolved  string
	integrity string
	host      string // of the registry, when resolved is not known
}

func (p *installedPackage) evidence(l *inventory.List) rapsheet.Evidence {
	var ev rapsheet.Evidence
	switch {
	case p.resolved != "":
		ev = ecosystem.Origin(l.Ecosystem, p.resolved)
		if ev.Origin == rapsheet.OriginURL && strings.Contains(ev.URL, "/-/") {
			ev.Origin = rapsheet.OriginRegistry // the path of a registry's archives
		}
	case p.host != "":
		ev = rapsheet.Evidence{Origin: rapsheet.OriginRegistry, Host: p.host}
	}
	if p.integrity != "" {
		ev.Digests = append(ev.Digests, ecosystem.Integrity(p.integrity)...)
	}
	return ev
}

// nodeTree is what package managers keep about all that is installed below one project's node_modules.
type nodeTree struct {
	modules string // relative to the root of the walk; the keys of hidden are so to its parent
	// hidden is node_modules/.package-lock.json of npm 7 and newer, by the path of a package.
	hidden map[string]hiddenEntry
	// yarn is .yarn-integrity of Yarn 1, by name@version.
	yarn map[string]installedPackage
	// registries are those of pnpm's .modules.yaml, by scope, or "default".
	registries map[string]string
	// config is what .npmrc and .yarnrc.yml of the project say, for packages that nothing else is known of.
	config *npmconfig.Registries
	// users are the same of the homes that the project is in, and of the user who scans. Only the registry of a
	// scope counts there: that a user goes through another registry for everything says nothing about where
	// this project's packages came from, and a proxy of the public one would silence every alarm.
	users []*npmconfig.Registries
}

type hiddenEntry struct {
	Name      string `json:"name"`
	Resolved  string `json:"resolved"`
	Integrity string `json:"integrity"`
}

// nodeTreeOf gives what is known of the tree that the package in dir is part of.
func nodeTreeOf(in *inventory.File, dir string) *nodeTree {
	const name = "node_modules"
	modules := ""
	if dir == name || strings.HasPrefix(dir, name+"/") {
		modules = name
	} else if i := strings.Index(dir, "/"+name+"/"); i >= 0 {
		modules = dir[:i+1+len(name)]
	} else {
		modules = "." // the walk begins in it
	}
	return in.Once("node tree "+modules, func() any { return readNodeTree(in, modules) }).(*nodeTree)
}

func readNodeTree(in *inventory.File, modules string) *nodeTree {
	t := &nodeTree{modules: modules, config: npmconfig.Read(func(name string) ([]byte, bool) {
		return in.ReadFile(path.Join(path.Dir(modules), name), npmconfig.MaxSize)
	})}
	for at := path.Dir(modules); at != "."; {
		at = path.Dir(at)
		t.users = append(t.users, in.Once("npm settings "+at, func() any {
			return npmconfig.Read(func(name string) ([]byte, bool) { return in.ReadFile(path.Join(at, name), npmconfig.MaxSize) })
		}).(*npmconfig.Registries))
	}
	t.users = append(t.users, npmconfig.Read(func(name string) ([]byte, bool) { return in.UserFile(name, npmconfig.MaxSize) }))
	// The packages of a workspace may be written down at the top of its repository.
	for at := modules; ; at = path.Join(path.Dir(path.Dir(at)), "node_modules") {
		if t.read(in, at) {
			t.modules = at
			return t
		}
		if project := path.Dir(at); at == "." || project == "." {
			return t
		}
	}
}

// read reports whether there was anything about the packages in modules.
func (t *nodeTree) read(in *inventory.File, modules string) bool {
	var lock struct {
		Packages map[string]hiddenEntry `json:"packages"`
	}
	if b, ok := in.ReadFile(path.Join(modules, ".package-lock.json"), maxTree); ok && inventory.DecodeJSON(b, &lock) == nil {
		t.hidden = lock.Packages
	}
	var integrity struct {
		Lock map[string]string `json:"lockfileEntries"`
	}
	if b, ok := in.ReadFile(path.Join(modules, ".yarn-integrity"), maxTree); ok && inventory.DecodeJSON(b, &integrity) == nil {
		t.yarn = map[string]installedPackage{}
		for _, resolved := range integrity.Lock {
			// The fragment is the archive's SHA-1.
			archive, sha1, _ := strings.Cut(resolved, "#")
			if name, version, ok := ecosystem.NPMArchive(archive); ok && version != "" {
				p := installedPackage{resolved: archive}
				if sha1 != "" {
					p.integrity = "sha1:" + sha1
				}
				t.yarn[name+"@"+version] = p
			}
		}
	}
	// pnpm writes JSON into its YAML file (@pnpm/modules-yaml).
	var pnpm struct {
		Registries map[string]string `json:"registries"`
	}
	if b, ok := in.ReadFile(path.Join(modules, ".modules.yaml"), maxTree); ok && inventory.DecodeJSON(b, &pnpm) == nil {
		t.registries = pnpm.Registries
	}
	return t.hidden != nil || t.yarn != nil || t.registries != nil
}

// key is the package in dir as the tree's own files name it.
func (t *nodeTree) key(dir string) string {
	switch project := path.Dir(t.modules); {
	case t.modules == ".":
		return "node_modules/" + dir
	case project == ".":
		return dir
	default:
		return strings.TrimPrefix(dir, project+"/")
	}
}

// about gives what is known about the package that is installed in dir and calls itself name.
func (t *nodeTree) about(dir, name, version string) installedPackage {
	below := t.key(dir)
	if e, ok := t.hidden[below]; ok {
		p := installedPackage{name: e.Name, resolved: e.Resolved, integrity: e.Integrity}
		if p.name == "" {
			p.name = nodeName(below)
		}
		return p
	}
	if p, ok := t.yarn[name+"@"+version]; ok {
		return p
	}
	if t.registries != nil && strings.Contains(dir, "/.pnpm/") {
		scope, _, scoped := strings.Cut(name, "/")
		registry := t.registries["default"]
		if own, ok := t.registries[scope]; scoped && ok {
			registry = own
		}
		return installedPackage{host: ecosystem.Origin(nil, registry).Host}
	}
	host := t.config.Host(name)
	for _, user := range t.users {
		if host == "" {
			host = user.ScopeHost(name)
		}
	}
	return installedPackage{host: host}
}

// alias reports whether somebody declared at as another name of the package name: "at": "npm:name@…" in
// the dependencies of the project or of any package beside dir. Many projects have such
// directories (string-width-cjs), and the names are free for anyone to publish.
func (t *nodeTree) alias(in *inventory.File, dir, at, name string) bool {
	beside := path.Dir(dir)
	if strings.HasPrefix(at, "@") {
		beside = path.Dir(beside)
	}
	all := in.Once("node aliases "+beside, func() any { return nodeAliases(in, beside) }).(map[string]string)
	return all[at] == name
}

// nodeAliases collects the aliases that the packages in a node_modules directory, and the package
// that it is in, declare.
func nodeAliases(in *inventory.File, modules string) map[string]string {
	all := map[string]string{}
	if in.FS == nil {
		return all
	}
	declared := func(dir string) {
		b, ok := in.ReadFile(path.Join(dir, "package.json"), maxPackageJSON)
		var p struct {
			Dependencies map[string]string `json:"dependencies"`
			Dev          map[string]string `json:"devDependencies"`
			Optional     map[string]string `json:"optionalDependencies"`
		}
		if !ok || inventory.DecodeJSON(b, &p) != nil {
			return
		}
		for _, deps := range []map[string]string{p.Dependencies, p.Dev, p.Optional} {
			for alias, spec := range deps {
				real, ok := strings.CutPrefix(spec, "npm:")
				if !ok {
					continue
				}
				if i := strings.LastIndexByte(real, '@'); i > 0 {
					real = real[:i]
				}
				all[alias] = real
			}
		}
	}
	if modules != "." {
		declared(path.Dir(modules))
	}
	n := 0
	for _, name := range in.Subdirectories(modules) {
		if !strings.HasPrefix(name, "@") {
			declared(path.Join(modules, name))
			n++
		} else {
			for _, scoped := range in.Subdirectories(path.Join(modules, name)) {
				declared(path.Join(modules, name, scoped))
				n++
			}
		}
		if n > maxAliases {
			break
		}
	}
	return all
}
