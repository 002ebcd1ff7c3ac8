package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/bounded"
)

// Storage is the storage of a registry on disk, which lists by being walked with [Kinds].
type Storage struct {
	// Dir is its directory, as a person would type it.
	Dir string
}

// Holding says what the storage knows about one archive that a walk of Dir saw in it, and what would remove it: the
// files, and what has to be changed in the metadata beside them. Whether the registry still gives it out is
// for the registry to say, and when it was fetched no storage records: both stay unknown. An error means that the
// metadata could not be read; what was found before it stands.
func (s Storage) Holding(ctx context.Context, seen rapsheet.Sighting) (rapsheet.Holding, error) {
	h := rapsheet.Holding{Registry: s.Dir}
	if err := ctx.Err(); err != nil {
		return h, err
	}
	rel, err := filepath.Rel(s.Dir, filepath.FromSlash(seen.Location.Path))
	if err != nil || !filepath.IsLocal(rel) {
		return h, errors.New("the file is not in the storage")
	}
	// Links are followed inside the storage only: what is named here, somebody will remove.
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return h, err
	}
	defer root.Close()
	at := shelf{root: root, rel: filepath.ToSlash(rel), shown: seen.Location.Path}
	base := path.Base(at.rel)
	switch seen.Location.Kind {
	case layoutVerdaccio:
		h.Purge = []string{at.remove(base)}
		tags, err := at.tags()
		if err != nil {
			return h, fmt.Errorf("package.json: %w", err)
		}
		h.Latest = tags["latest"] == seen.Package.Version
		h.Purge = append(h.Purge, at.rewrite("package.json", "jq --arg v "+shellQuote(seen.Package.Version)+" --arg f "+shellQuote(base)+
			` 'del(.versions[$v], .time[$v], ._attachments[$f], ._distfiles[$f]) | ."dist-tags" |= with_entries(select(.value != $v))'`))
	case layoutGoProxy, "go-module-zip":
		version := strings.TrimSuffix(base, ".zip")
		files := []string{base}
		for _, ext := range []string{".mod", ".info", ".ziphash", ".lock"} {
			if at.has(version + ext) {
				files = append(files, version+ext)
			}
		}
		h.Purge = []string{at.remove(files...)}
		if at.has("list") {
			// grep's status is 1 where nothing is left.
			h.Purge = append(h.Purge, strings.Replace(at.rewrite("list", "grep -vxF -e "+shellQuote(seen.Package.Version)+" --"), " && ", "; ", 1))
		}
	case layoutAthens, layoutMaven, layoutNuGet, notedByMaven:
		// A version has its directory.
		if dir := path.Dir(at.rel); dir != "." {
			h.Purge = []string{"rm -r -- " + shellQuote(path.Dir(at.shown))}
		} else {
			h.Purge = []string{at.remove(base)}
		}
	case layoutGems:
		h.Purge = []string{at.remove(base)}
		above := shelf{root: root, rel: path.Dir(at.rel), shown: path.Dir(at.shown)}
		if path.Base(above.rel) == "gems" && above.has("specs.4.8.gz") {
			spec := "quick/Marshal.4.8/" + base + "spec.rz"
			if above.has(spec) {
				h.Purge = append(h.Purge, above.remove(spec))
			}
			h.Purge = append(h.Purge, "gem generate_index --directory "+shellQuote(path.Dir(above.shown)))
		}
	default:
		h.Purge = []string{at.remove(base)}
	}
	return h, nil
}

// shelf is a file of a storage, with those beside it.
type shelf struct {
	root *os.Root
	// rel is the file from the root, shown the same as a person would type it; both slash-separated.
	rel, shown string
}

func (s shelf) has(name string) bool {
	st, err := s.root.Lstat(filepath.FromSlash(path.Join(path.Dir(s.rel), name)))
	return err == nil && st.Mode().IsRegular()
}

// remove is the call that removes files beside it.
func (s shelf) remove(names ...string) string {
	call := "rm --"
	for _, n := range names {
		call += " " + shellQuote(path.Join(path.Dir(s.shown), n))
	}
	return call
}

// rewrite is the call that replaces a file beside it by what filter makes of it.
func (s shelf) rewrite(name, filter string) string {
	file := path.Join(path.Dir(s.shown), name)
	if strings.HasPrefix(file, "-") {
		file = "./" + file
	}
	return fmt.Sprintf("%s %s > %s && mv -- %s %s", filter, shellQuote(file), shellQuote(file+".new"), shellQuote(file+".new"), shellQuote(file))
}

// tags reads Verdaccio's dist-tags.
func (s shelf) tags() (map[string]string, error) {
	f, err := s.root.OpenFile(filepath.FromSlash(path.Join(path.Dir(s.rel), "package.json")), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.Join(err, fs.ErrInvalid)
	}
	return distTags(f)
}

// maxTags bounds the tags of one package.
const maxTags = 10_000

func distTags(r io.Reader) (map[string]string, error) {
	d := packumentReader{jsontext.NewDecoder(bounded.Reader(r, maxStoredPackument, "file"),
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
	tags := map[string]string{}
	err := d.object(func(member []byte) error {
		if string(member) != "dist-tags" {
			return d.skip()
		}
		return d.object(func(member []byte) error {
			tag := string(member)
			v, err := d.text(nil)
			if len(tags) < maxTags {
				tags[tag] = string(v)
			}
			return err
		})
	})
	return tags, err
}
