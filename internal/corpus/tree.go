package corpus

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// perProject is how many files [WriteTree] makes for one project.
const perProject = 333

// WriteTree makes a home at dir with about that many files: projects of JavaScript and Python with what is
// installed in them, 333 files each, and gives how many projects those are. Every tenth project has the package
// bad at version 1.0.0. Files of no interest to a scanner are empty.
func WriteTree(dir string, files int, bad string) (projects int, err error) {
	projects = files / perProject
	for i := range projects {
		p := tree{at: filepath.Join(dir, fmt.Sprintf("src/group-%02d/project-%04d", i%40, i))}
		if i%3 == 2 {
			p.python(i, bad)
		} else {
			p.node(i, bad)
		}
		if p.err != nil {
			return i, p.err
		}
	}
	return projects, nil
}

// tree writes files below a directory until one cannot be written.
type tree struct {
	at    string
	made  string // the directory that was made last
	files int
	err   error
}

func (t *tree) write(content, name string, args ...any) {
	if t.err != nil {
		return
	}
	at := filepath.Join(t.at, filepath.FromSlash(fmt.Sprintf(name, args...)))
	if dir := filepath.Dir(at); dir != t.made {
		if t.err = os.MkdirAll(dir, 0o755); t.err != nil {
			return
		}
		t.made = dir
	}
	t.err = os.WriteFile(at, []byte(content), 0o644)
	t.files++
}

// rest fills the project up with source files.
func (t *tree) rest(ext string) {
	for i := 0; t.files < perProject && t.err == nil; i++ {
		t.write("", "lib/part-%d/file-%d.%s", i/12, i, ext)
	}
}

func (t *tree) node(i int, bad string) {
	var lock, hidden strings.Builder
	for k := range 20 {
		name := fmt.Sprintf("package-%d", (i*7+k*131)%5000)
		if k == 0 && i%10 == 0 {
			name = bad
		}
		entry := fmt.Sprintf(",\n    \"node_modules/%s\": {\"version\": \"1.0.0\", \"resolved\": \"https://registry.npmjs.org/%s/-/%s-1.0.0.tgz\"}", name, name, name)
		lock.WriteString(entry)
		hidden.WriteString(entry)
		t.write(fmt.Sprintf(`{"name": %q, "version": "1.0.0", "license": "MIT", "main": "index.js"}`, name), "node_modules/%s/package.json", name)
		for _, file := range []string{"README.md", "LICENSE", "index.js", "index.d.ts", "lib/a.js", "lib/b.js", "lib/c.js", "lib/util/d.js", "lib/util/e.js", "dist/f.js", "dist/f.js.map"} {
			t.write("", "node_modules/%s/%s", name, file)
		}
	}
	t.write(`{"lockfileVersion": 3, "packages": {"": {}`+hidden.String()+"}}", "node_modules/.package-lock.json")
	t.write(`{"lockfileVersion": 3, "packages": {"": {}`+lock.String()+"}}", "package-lock.json")
	t.write(`{"name": "project", "version": "1.0.0", "private": true}`, "package.json")
	t.rest("ts")
}

func (t *tree) python(i int, bad string) {
	const site = ".venv/lib/python3.11/site-packages/"
	for k := range 15 {
		name := fmt.Sprintf("package_%d", (i*7+k*131)%5000)
		if k == 0 && i%10 == 0 {
			name = bad
		}
		t.write("Metadata-Version: 2.1\nName: "+name+"\nVersion: 1.0.0\n", site+"%s-1.0.0.dist-info/METADATA", name)
		for _, file := range []string{"INSTALLER", "RECORD", "WHEEL", "top_level.txt"} {
			t.write("", site+"%s-1.0.0.dist-info/%s", name, file)
		}
		for f := range 12 {
			t.write("", site+"%s/module_%d.py", name, f)
		}
	}
	t.write("package==1.0.0\n", "requirements.txt")
	t.rest("py")
}
