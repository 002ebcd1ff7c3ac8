// Package machine knows where packages can be on a machine: homes, the directories that package managers and
// editors use in them, and the environment variables that move those.
//
// Flow: [Places] turns what was asked for (this machine, a mounted disk, one home) into a few directories, which
// the command line walks one after the other with package inventory. No place lies in another one.
//
// Promise: it looks names up and lists homes, and reads nothing but the list of users. On a mounted disk and in
// a home it follows no symbolic link: they would lead into the machine that looks on.
package machine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// Profile says how much of a machine is looked at.
type Profile string

// The profiles.
const (
	// Full is every directory.
	Full Profile = "full"
	// Quick is the caches of package managers, what they install for users and for the system, and editors, wherever
	// those are by default or by the environment. Projects are not looked for.
	Quick Profile = "quick"
)

// Options say which machine, and how much of it. The zero value is this one, whole.
type Options struct {
	Profile Profile
	// OS is the machine's system, as in runtime.GOOS.
	OS string
	// Getenv gives the environment of this machine's user. It counts for this machine only.
	Getenv func(string) string
	// Root is where the machine's disk is mounted; "" means this machine.
	Root string
	// Home, if set, is the one home that is looked at, and nothing else.
	Home string
	// Filesystems says whether places in the network are looked into.
	Filesystems inventory.Filesystems
}

// Place is a directory to walk.
type Place struct {
	// Path is the directory.
	Path string
	// As is where kinds of files are to believe that it is, "" where it is. A cache that was moved by the
	// environment is recognised as what it is by where it is by default.
	As string
	// Exclude are directories in it that are no part of it, see [inventory.Options].
	Exclude []string
}

// Places gives the directories to walk, in order, and notes about what is not walked. Notes come with a place
// that is missing for another reason than that it does not exist.
func Places(opt Options) ([]Place, []*rapsheet.Note, error) {
	f := &finder{opt: opt, top: opt.Root, told: map[string]bool{}}
	switch {
	case opt.Home != "":
		f.top = opt.Home
		if err := directory(opt.Home); err != nil {
			return nil, nil, err
		}
		if opt.Profile == Full {
			f.add(opt.Home, "")
		} else {
			f.home(opt.Home)
		}
	case opt.Root != "":
		if err := directory(opt.Root); err != nil {
			return nil, nil, err
		}
		if opt.Profile == Full {
			f.add(opt.Root, "")
		} else {
			f.quick(opt.Root)
		}
	default:
		f.moved()
		if opt.Profile == Full {
			for _, top := range tops(opt.OS) {
				f.add(top, "")
			}
		} else {
			f.quick("/")
		}
	}
	if opt.Profile == Quick {
		f.note(rapsheet.NoteInfo, cmp.Or(f.top, "/"), "quick profile: caches, tools and editors; projects elsewhere were not looked for")
	}
	return f.disjoint(), f.notes, nil
}

func directory(name string) error {
	info, err := os.Stat(name)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: name, Err: errors.New("is no directory")}
	}
	return err
}

// tops are the directories above all others.
func tops(system string) []string {
	if system != "windows" {
		return []string{"/"}
	}
	var all []string
	for letter := 'A'; letter <= 'Z'; letter++ {
		if drive := string(letter) + `:\`; inventory.LocalDrive(drive) {
			all = append(all, drive)
		}
	}
	return all
}

// finder collects places. What is below top and is reached over a symbolic link is no place, where
// there is a top.
type finder struct {
	opt    Options
	top    string
	places []Place
	notes  []*rapsheet.Note
	told   map[string]bool // directories that could not be listed
}

func (f *finder) note(kind rapsheet.NoteKind, path, message string) {
	f.notes = append(f.notes, &rapsheet.Note{Kind: kind, Path: filepath.ToSlash(path), Message: message})
}

// add adds a directory, if there is one.
func (f *finder) add(name, as string) {
	real, err := f.resolve(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil:
		f.unread(name, err)
		return
	}
	info, err := os.Stat(real)
	if err != nil {
		f.unread(name, err)
		return
	}
	if !info.IsDir() {
		return
	}
	// Somebody who names a disk or a home has asked for it, wherever it is.
	if f.top == "" && f.opt.Filesystems != inventory.AllFilesystems {
		if kind, local := inventory.Filesystem(real); !local {
			f.note(rapsheet.NoteInfo, name, "is on another file system ("+kind+"): not entered")
			return
		}
	}
	if as == "" && real != name {
		as = filepath.ToSlash(name) // recognised by the name that it has, not by that of what the link leads to
	}
	f.places = append(f.places, Place{Path: real, As: as})
}

// unread notes once what could not be looked into.
func (f *finder) unread(name string, err error) {
	var at *fs.PathError
	if errors.As(err, &at) {
		name = at.Path
	}
	if !f.told[name] {
		f.told[name] = true
		f.note(rapsheet.NoteUnread, name, inventory.Reason(err))
	}
}

// resolve gives the directory that name leads to.
func (f *finder) resolve(name string) (string, error) {
	if f.top == "" {
		return filepath.EvalSymlinks(name)
	}
	rel, err := filepath.Rel(f.top, name)
	if err != nil {
		return "", err
	}
	at := f.top
	for _, element := range strings.Split(filepath.ToSlash(rel), "/") {
		if element == "." {
			continue
		}
		at = filepath.Join(at, element)
		info, err := os.Lstat(at)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return "", &fs.PathError{Op: "not followed", Path: at, Err: errors.New("symbolic link")}
		}
	}
	return name, nil
}

// moved adds what the environment has moved away from its default.
func (f *finder) moved() {
	for _, v := range variables {
		value := f.opt.Getenv(v.name)
		if value == "" {
			continue
		}
		for _, dir := range filepath.SplitList(value) {
			if !filepath.IsAbs(dir) {
				continue // tools take it from wherever they are run
			}
			f.add(filepath.Join(dir, v.below), v.as)
		}
	}
}

// quick adds the known places of the system and of all homes below root.
func (f *finder) quick(root string) {
	for _, dir := range systemPlaces {
		f.add(filepath.Join(root, dir), "")
	}
	for _, home := range f.homes(root) {
		f.home(home)
	}
}

// home adds the known places in one home.
func (f *finder) home(dir string) {
	for _, pattern := range homePlaces {
		f.match(dir, pattern)
	}
}

// match adds the directories below dir that a pattern names, element by element.
func (f *finder) match(dir, pattern string) {
	first, rest, more := strings.Cut(pattern, "/")
	names := []string{first}
	if strings.ContainsRune(first, '*') {
		names = nil
		real, err := f.resolve(dir)
		var entries []fs.DirEntry
		if err == nil {
			entries, err = os.ReadDir(real)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.unread(dir, err)
		}
		for _, e := range entries {
			if ok, _ := path.Match(first, e.Name()); ok {
				names = append(names, e.Name())
			}
		}
	}
	for _, name := range names {
		if at := filepath.Join(dir, name); more {
			f.match(at, rest)
		} else {
			f.add(at, "")
		}
	}
}

// maxUsers bounds the list of users, in bytes.
const maxUsers = 16 << 20

// homes lists the homes below root: those of passwd(5), and all that are where homes are.
func (f *finder) homes(root string) []string {
	var all []string
	if home := f.opt.Getenv; f.top == "" && home != nil {
		for _, name := range []string{"HOME", "USERPROFILE"} {
			if dir := home(name); filepath.IsAbs(dir) {
				all = append(all, dir)
			}
		}
	}
	for _, dir := range []string{"home", "Users"} {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				f.unread(filepath.Join(root, dir), err)
			}
			continue
		}
		for _, e := range entries {
			if e.IsDir() {
				all = append(all, filepath.Join(root, dir, e.Name()))
			}
		}
	}
	all = append(all, filepath.Join(root, "root"), filepath.Join(root, "var", "root"))
	if b, err := readBounded(filepath.Join(root, "etc", "passwd"), maxUsers); err == nil {
		for line := range bytes.Lines(b) {
			fields := strings.Split(strings.TrimSpace(string(line)), ":")
			if len(fields) < 7 || !path.IsAbs(fields[5]) || system(path.Clean(fields[5])) {
				continue
			}
			all = append(all, filepath.Join(root, filepath.FromSlash(fields[5])))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// system reports whether a user's home is one of the system's own directories, as those of daemons are.
func system(home string) bool {
	switch first, _, _ := strings.Cut(home[1:], "/"); first {
	case "", "bin", "sbin", "usr", "dev", "etc", "proc", "sys", "run", "nonexistent":
		return true
	}
	return home == "/var" || home == "/home"
}

func readBounded(name string, limit int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is no regular file", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return bounded.ReadAll(file, limit, "list of users")
}

// disjoint gives the places without those that lie in others. One that is known under another name stays
// a place of its own, and is no part of the one around it.
func (f *finder) disjoint() []Place {
	slices.SortStableFunc(f.places, func(a, b Place) int { return strings.Compare(a.Path, b.Path) })
	var out []Place
	for _, p := range f.places {
		around := -1
		for i := range out {
			if inside(p.Path, out[i].Path) {
				around = i
			}
		}
		switch {
		case around < 0:
		case out[around].Path == p.Path:
			if out[around].As == "" {
				out[around].As = p.As
			}
			continue
		case p.As == "" || p.As == filepath.ToSlash(p.Path):
			continue
		}
		out = append(out, p)
	}
	for i := range out {
		if system := f.opt.OS; f.opt.Home == "" && inside(cmp.Or(f.opt.Root, "/"), out[i].Path) {
			for _, dir := range excluded[system] {
				out[i].Exclude = append(out[i].Exclude, filepath.ToSlash(filepath.Join(cmp.Or(f.opt.Root, "/"), dir)))
			}
		}
		for j := range out {
			if i != j && inside(out[j].Path, out[i].Path) {
				out[i].Exclude = append(out[i].Exclude, filepath.ToSlash(out[j].Path))
			}
		}
	}
	return out
}

// inside reports whether a is b or below it.
func inside(a, b string) bool {
	rel, err := filepath.Rel(b, a)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
