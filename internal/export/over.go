package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/rapsheet/rapsheet/internal/printable"
)

// Limits of a tree to merge over. RustSec's and ruby-advisory-db's have some thousand files, the Go vulnerability database
// some ten thousand, none of them above a few megabytes.
const (
	maxOverFiles = 2_000_000
	maxOverFile  = 256 << 20
	maxOverTotal = 8 << 30
)

// copyOver copies the tree at path into dir, byte for byte, but for a repository's .git. The tree is somebody else's: a link, a device
// or an earlier export of rapsheet, which would keep records that were withdrawn since, is an error. sign is a file or directory that it must have.
func copyOver(ctx context.Context, path string, dir *os.Root, sign string) error {
	// The errors of reading are not wrapped: they are not about what is written.
	fail := func(err error) error {
		return cmp.Or(ctx.Err(), fmt.Errorf("what is to be merged over: %v", err)) //nolint:errorlint // see above
	}
	over, err := os.OpenRoot(path)
	if err != nil {
		return fail(err)
	}
	defer over.Close()
	if _, err := over.Lstat(Marker); err == nil {
		return fail(fmt.Errorf("%s is an export of rapsheet itself; name the tree of the ecosystem's own keepers", path))
	}
	if _, err := over.Lstat(sign); err != nil {
		return fail(fmt.Errorf("%s has no %s: it is no tree of this format", path, sign))
	}
	files, total := 0, int64(0)
	return fs.WalkDir(over.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fail(err)
		case ctx.Err() != nil:
			return ctx.Err()
		case name == ".":
			return nil
		case name == ".git":
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return dir.MkdirAll(name, 0o755)
		case !d.Type().IsRegular():
			return fail(fmt.Errorf("%s is neither a file nor a directory: links are not followed", printable.Line(name)))
		}
		if files++; files > maxOverFiles {
			return fail(fmt.Errorf("more than %d files", maxOverFiles))
		}
		n, err := copyFile(over, dir, name, fail)
		if total += n; err == nil && total > maxOverTotal {
			err = fail(fmt.Errorf("more than %d bytes", int64(maxOverTotal)))
		}
		return err
	})
}

func copyFile(from, to *os.Root, name string, fail func(error) error) (n int64, err error) {
	in, err := from.Open(name)
	if err != nil {
		return 0, fail(err)
	}
	defer in.Close()
	if st, err := in.Stat(); err != nil || !st.Mode().IsRegular() {
		return 0, fail(cmp.Or(err, fmt.Errorf("%s is no file", printable.Line(name))))
	}
	out, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	n, err = io.Copy(out, io.LimitReader(in, maxOverFile+1))
	if err == nil && n > maxOverFile {
		err = fail(fmt.Errorf("%s has more than %d bytes", printable.Line(name), int64(maxOverFile)))
	}
	return n, err
}

// add writes a file of ours into dir, with the directories above it. What is there already is upstream's and stays.
func add(dir *os.Root, name string, data []byte) error {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		if err := dir.MkdirAll(name[:i], 0o755); err != nil {
			return err
		}
	}
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// maxDetails bounds descriptions in formats that tools print, in bytes.
const maxDetails = 4 << 10

// plain makes text fit for a terminal, line by line, and cuts it to [maxDetails]. It ends without a newline.
func plain(text string) string {
	var b strings.Builder
	for line := range printable.Lines(text) {
		b.WriteString(line)
		b.WriteByte('\n')
		if b.Len() > maxDetails {
			break
		}
	}
	s := strings.TrimSpace(b.String())
	if len(s) <= maxDetails {
		return s
	}
	cut := maxDetails
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}

// portableName reports whether a package's name is made of what registries allow in names that are directories
// here: ASCII letters, digits, "-", "_" and "."; and is no name that means something else to a file system.
func portableName(name string) bool {
	if name == "" || len(name) > 200 || strings.Trim(name, ".") == "" {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return filepath.IsLocal(name) // Windows keeps names for devices
}
