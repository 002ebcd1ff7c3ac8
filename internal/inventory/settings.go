package inventory

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

// InEffect reports whether the environment and the settings of the user who scans are in effect where the file is
// ([Options.Getenv]): on this machine, and not in somebody else's home.
func (in *File) InEffect() bool {
	if in.getenv == nil || in.place == "" {
		return false
	}
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if home := in.getenv(name); filepath.IsAbs(home) && strings.HasPrefix(in.place, strings.TrimSuffix(filepath.ToSlash(filepath.Clean(home)), "/")+"/") {
			return true
		}
	}
	return !inHome(in.place)
}

// inHome reports whether an absolute slash-separated path is in one of the directories where systems have homes.
func inHome(place string) bool {
	_, place, _ = strings.Cut(place, "/") // a drive stands before it, or nothing
	first, rest, _ := strings.Cut(place, "/")
	switch first {
	case "home", "Users":
		return strings.Contains(rest, "/")
	case "var":
		first, _, _ = strings.Cut(rest, "/")
	}
	return first == "root"
}

// Getenv gives a variable of the environment that is in effect ([File.InEffect]), "" where none is.
func (in *File) Getenv(name string) string {
	if !in.InEffect() {
		return ""
	}
	return in.getenv(name)
}

// MachineFile gives a file of this machine, by its absolute path, up to limit bytes: a setting that is in effect
// ([File.InEffect]). It is false where none is, and for what cannot be read or is no regular file.
func (in *File) MachineFile(name string, limit int64) ([]byte, bool) {
	if !filepath.IsAbs(name) || !in.InEffect() {
		return nil, false
	}
	f, err := os.OpenFile(filepath.FromSlash(name), os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	b, err := bounded.ReadAll(f, limit, "file")
	return b, err == nil
}
