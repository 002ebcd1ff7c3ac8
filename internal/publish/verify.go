package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/bucket"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/osv"
)

// Changes are the ids by which a release differs from the one before, in ascending order;
// an id is in one list only.
type Changes struct {
	Added     []string `json:"added,omitzero"`
	Changed   []string `json:"changed,omitzero"`
	Withdrawn []string `json:"withdrawn,omitzero"`
	Restored  []string `json:"restored,omitzero"`
	// Vanished ids are in the release before and not in this one, which is never allowed.
	Vanished []string `json:"vanished,omitzero"`
}

// InvalidError says why a release may not follow the one before, or may not be published at all.
type InvalidError struct {
	// Problems are one printable line each, at most 20.
	Problems []string
}

func (e *InvalidError) Error() string {
	const said = 3
	text := strings.Join(e.Problems[:min(said, len(e.Problems))], "; ")
	if n := len(e.Problems) - said; n > 0 {
		text += fmt.Sprintf("; and at least %d more problems", n)
	}
	return text
}

const maxProblems = 20

// differ compares two releases record by record.
type differ struct {
	changes  Changes
	oldLive  int
	problems []string
}

// problem takes note of one; when there are enough, it ends the comparison.
func (d *differ) problem(id, text string) error {
	d.problems = append(d.problems, "record "+printable.Cut(id, 80)+": "+text)
	if len(d.problems) == maxProblems {
		return &InvalidError{d.problems}
	}
	return nil
}

// vanish takes an entry that the new release does not have.
func (d *differ) vanish(old *entry) error {
	d.changes.Vanished = append(d.changes.Vanished, old.id)
	return d.problem(old.id, "was published and is gone: withdraw it instead")
}

// compare takes an entry of the new release and that of the old one, nil when it is new.
func (d *differ) compare(old, e *entry) error {
	c := &d.changes
	if old == nil {
		c.Added = append(c.Added, e.id)
		return nil
	}
	if !old.withdrawn {
		d.oldLive++
	}
	switch {
	case old.sum == e.sum:
		return nil
	case e.withdrawn && !old.withdrawn:
		c.Withdrawn = append(c.Withdrawn, e.id)
	case !e.withdrawn && old.withdrawn:
		c.Restored = append(c.Restored, e.id)
	default:
		c.Changed = append(c.Changed, e.id)
	}
	if a, b := old.key(), e.key(); a != b {
		return d.problem(e.id, fmt.Sprintf("was about %s of %s and is now about %s of %s: an id is never used twice",
			printable.Name(a.Name), printable.Cut(a.Ecosystem, 64), printable.Name(b.Name), printable.Cut(b.Ecosystem, 64)))
	}
	was, is := osv.Timestamp(old.published), osv.Timestamp(e.published)
	if !sameTime(was, is) {
		return d.problem(e.id, fmt.Sprintf("published was %s and is now %s: it never changes", was, is))
	}
	if was, is := osv.Timestamp(old.modified), osv.Timestamp(e.modified); !laterTime(was, is) {
		return d.problem(e.id, fmt.Sprintf("has changed, and modified went from %s to %s: it must increase", was, is))
	}
	return nil
}

// The times have been read before; one that cannot be is not the same as anything.
func sameTime(a, b osv.Timestamp) bool {
	x, errX := a.Time()
	y, errY := b.Time()
	return errX == nil && errY == nil && x.Equal(y)
}

func laterTime(a, b osv.Timestamp) bool {
	x, errX := a.Time()
	y, errY := b.Time()
	return errX == nil && errY == nil && y.After(x)
}

// err gives the verdict when all has been compared.
func (d *differ) err(opt Options) error {
	limit := max(100, d.oldLive/100)
	if n := len(d.changes.Withdrawn); n > limit && !opt.MassWithdrawal {
		d.problems = append(d.problems, fmt.Sprintf("%d of %d records are withdrawn at once, more than the limit of %d", n, d.oldLive, limit))
	}
	if len(d.problems) > 0 {
		return &InvalidError{d.problems}
	}
	return nil
}

// Verify reads every byte of a release and holds it against the manifest: nothing
// is missing, nothing is changed, nothing is there that the manifest does not
// know. The error wraps [ErrDamaged] when that is not so.
func Verify(ctx context.Context, releaseDir string) error {
	_, err := verifyDir(ctx, releaseDir, nil)
	return err
}

func verifyDir(ctx context.Context, releaseDir string, each func(eco, id string, doc []byte) error) (Manifest, error) {
	root, err := os.OpenRoot(releaseDir)
	if err != nil {
		return Manifest{}, err
	}
	defer root.Close()
	m, _, err := readManifest(root, ".")
	if err == nil {
		err = verifyIn(ctx, root, ".", m, each)
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("verify %s: %w", releaseDir, err)
	}
	return m, nil
}

// Validate reads the release in newDir like [Verify], checks each of its records,
// and compares it with the one in oldDir, "" for none. Changes are complete when
// the error is nil or an [*InvalidError] with fewer than 20 problems.
func Validate(ctx context.Context, newDir, oldDir string, opt Options) (Changes, error) {
	entries, err := readEntries(newDir)
	if err != nil {
		return Changes{}, err
	}
	m, err := verifyDir(ctx, newDir, func(eco, id string, doc []byte) error {
		return checkDocument(entries, eco, id, doc)
	})
	if err != nil {
		return Changes{}, err
	}
	if m.Records.All != len(entries) {
		return Changes{}, fmt.Errorf("validate %s: %w: %d records in the manifest, %d in %s", newDir, ErrDamaged, m.Records.All, len(entries), stateName)
	}
	var old []*entry
	if oldDir != "" {
		if old, err = readEntries(oldDir); err != nil {
			return Changes{}, err
		}
	}
	var d differ
	for _, e := range entries {
		for len(old) > 0 && old[0].id < e.id {
			if err := d.vanish(old[0]); err != nil {
				return d.changes, err
			}
			old = old[1:]
		}
		var before *entry
		if len(old) > 0 && old[0].id == e.id {
			before, old = old[0], old[1:]
		}
		if err := d.compare(before, e); err != nil {
			return d.changes, err
		}
	}
	for _, e := range old {
		if err := d.vanish(e); err != nil {
			return d.changes, err
		}
	}
	return d.changes, d.err(opt)
}

func readEntries(dir string) ([]*entry, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var out []*entry
	err = func() error {
		m, _, err := readManifest(root, ".")
		if err != nil {
			return err
		}
		s, err := readState(root, ".", &m)
		if err != nil {
			return err
		}
		for {
			e, err := s.next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			out = append(out, e)
		}
	}()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", dir, err)
	}
	return out, nil
}

// checkDocument checks one file of the dump by itself and against its entry.
func checkDocument(entries []*entry, eco, id string, doc []byte) error {
	r, _, err := osv.Parse(doc)
	if err != nil {
		return err
	}
	if problems := check(r); len(problems) > 0 {
		return errors.New(problems[0])
	}
	base, err := bucket.Directory(r.Affected[0].Package.Ecosystem)
	if err != nil {
		return err
	}
	i, found := slices.BinarySearchFunc(entries, id, func(e *entry, id string) int { return strings.Compare(e.id, id) })
	if !found || r.ID != id || base != eco {
		return fmt.Errorf("%w: it is not the document of %s in %s", ErrDamaged, id, eco)
	}
	want, got := *entries[i], newEntry(r, doc)
	got.packed, got.offset, got.reported, got.report = want.packed, want.offset, want.reported, want.report
	if got != want {
		return fmt.Errorf("%w: it is not what %s says", ErrDamaged, stateName)
	}
	return nil
}

// verifyIn verifies the release in dir of root; each, if not nil, is given every
// record, concurrently.
func verifyIn(ctx context.Context, root *os.Root, dir string, m Manifest, each func(eco, id string, doc []byte) error) error {
	sub, err := root.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer sub.Close()
	v := &verifier{root: sub, m: &m, each: each, want: map[string]File{}}
	for _, f := range m.Files {
		if _, twice := v.want[f.Path]; twice || f.Path == manifestName {
			return fmt.Errorf("%w: the manifest has %q twice or lists itself", ErrDamaged, f.Path)
		}
		v.want[f.Path] = f
	}
	if err := v.top(ctx); err != nil {
		return err
	}
	if len(v.want) > 0 {
		for name := range v.want {
			return fmt.Errorf("%w: %s is missing", ErrDamaged, printable.Cut(name, 200))
		}
	}
	return v.snapshot()
}

type verifier struct {
	root *os.Root
	m    *Manifest
	each func(eco, id string, doc []byte) error

	mu   sync.Mutex
	want map[string]File // not seen yet
}

func damaged(name, what string) error {
	return fmt.Errorf("%w: %s %s", ErrDamaged, printable.Cut(name, 200), what)
}

func (v *verifier) top(ctx context.Context) error {
	list, err := listDir(v.root, ".")
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, d := range list {
		g.Go(func() error {
			switch name := d.Name(); {
			case name == manifestName && d.Type().IsRegular():
				return nil
			case name == dumpName && d.IsDir():
				return v.dump(ctx)
			case name == upstreamName && d.IsDir():
				return v.upstream(ctx)
			default:
				return v.file(ctx, name, d)
			}
		})
	}
	return g.Wait()
}

func (v *verifier) dump(ctx context.Context) error {
	list, err := listDir(v.root, dumpName)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	// While one directory is listed, another is read.
	g.SetLimit(runtime.GOMAXPROCS(0))
	seen := 0
	for _, d := range list {
		if _, eco := v.m.Ecosystems[d.Name()]; eco && d.IsDir() {
			seen++
			g.Go(func() error { return v.ecosystem(ctx, d.Name()) })
			continue
		}
		g.Go(func() error { return v.file(ctx, path.Join(dumpName, d.Name()), d) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if seen != len(v.m.Ecosystems) {
		return damaged(dumpName, "lacks the directory of an ecosystem")
	}
	return nil
}

// ecosystem reads an ecosystem's directory; while one part is read the next is listed. v.each is
// called concurrently.
func (v *verifier) ecosystem(ctx context.Context, eco string) error {
	where := path.Join(dumpName, eco)
	dir, err := openFolder(v.root, where)
	if err != nil {
		return err
	}
	defer dir.close()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	var found []digested
	for err == nil {
		var list []os.DirEntry
		if list, err = dir.list(512); err != nil && err != io.EOF {
			return errors.Join(err, g.Wait())
		}
		g.Go(func() error {
			part, err := v.documents(ctx, eco, dir, list)
			mu.Lock()
			defer mu.Unlock()
			found = append(found, part...)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if want := v.m.Ecosystems[eco]; setOf(found) != want {
		return damagedSet(where, want)
	}
	return nil
}

// documents reads a part of an ecosystem's directory, and gives the records in it.
func (v *verifier) documents(ctx context.Context, eco string, dir *folder, list []os.DirEntry) ([]digested, error) {
	found := make([]digested, 0, len(list))
	var buf []byte
	for _, d := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		name := path.Join(dumpName, eco, d.Name())
		id, ok := strings.CutSuffix(d.Name(), ".json")
		if !ok || checkID(id) != nil {
			if err := v.file(ctx, name, d); err != nil {
				return nil, err
			}
			continue
		}
		if !d.Type().IsRegular() {
			return nil, damaged(name, "is not a file")
		}
		var err error
		if buf, err = dir.read(d.Name(), buf[:0]); err == nil && v.each != nil {
			err = v.each(eco, id, buf)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", printable.Cut(name, 200), err)
		}
		found = append(found, digested{d.Name(), sha256.Sum256(buf)})
	}
	return found, nil
}

func (v *verifier) upstream(ctx context.Context) error {
	top, err := openFolder(v.root, upstreamName)
	if err != nil {
		return err
	}
	defer top.close()
	w := &reportWalk{ctx: ctx}
	if err := w.directory(top, "", 0); err != nil {
		return err
	}
	if got := setOf(w.found); got != v.m.Upstream {
		return damagedSet(upstreamName, v.m.Upstream)
	}
	return nil
}

// reportWalk reads all files of a tree.
type reportWalk struct {
	ctx context.Context

	mu    sync.Mutex
	found []digested
}

// directory reads what is in d, which is name. Large directories are shared out.
func (w *reportWalk) directory(d *folder, name string, depth int) error {
	// A name has at most 1,024 bytes, so its path has at most half as many elements.
	if depth > 600 {
		return damaged(path.Join(upstreamName, name), "is too deep")
	}
	list, err := d.list(-1)
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for part := range slices.Chunk(list, 512) {
		read := func() error { return w.entries(d, name, part, depth) }
		if len(list) == len(part) {
			return read()
		}
		g.Go(read)
	}
	return g.Wait()
}

func (w *reportWalk) entries(d *folder, dir string, list []os.DirEntry, depth int) error {
	var found []digested
	var buf []byte
	for _, e := range list {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		name := path.Join(dir, e.Name())
		var err error
		switch {
		case e.IsDir():
			var sub *folder
			if sub, err = d.sub(e.Name()); err == nil {
				err = errors.Join(w.directory(sub, name, depth+1), sub.close())
			}
		case e.Type().IsRegular():
			buf, err = d.read(e.Name(), buf[:0])
			found = append(found, digested{name, sha256.Sum256(buf)})
		default:
			err = damaged(path.Join(upstreamName, name), "is not a file")
		}
		if err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found = append(w.found, found...)
	return nil
}

func damagedSet(where string, want Set) error {
	return damaged(where, fmt.Sprintf("does not hold the %d files that the manifest says, or one is changed", want.Files))
}

// appendAll appends at most maxDocument bytes.
func appendAll(buf []byte, read func([]byte) (int, error)) ([]byte, error) {
	for {
		if len(buf) > maxDocument {
			return buf, &bounded.LimitError{What: "record", Limit: maxDocument}
		}
		buf = slices.Grow(buf, 4<<10)
		n, err := read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// file verifies one file that the manifest names.
func (v *verifier) file(ctx context.Context, name string, d os.DirEntry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	v.mu.Lock()
	want, ok := v.want[name]
	delete(v.want, name)
	v.mu.Unlock()
	if !ok {
		return damaged(name, "is not in the manifest")
	}
	if !d.Type().IsRegular() {
		return damaged(name, "is not a file")
	}
	f, err := v.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	got, err := digestOf(f, name)
	if err != nil {
		return err
	}
	if got != want {
		return damaged(name, "is not what the manifest says")
	}
	return nil
}

// digestOf reads r to its end.
func digestOf(r io.Reader, name string) (File, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return File{}, err
	}
	return File{Path: name, Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}

// snapshot checks that the snapshot opens and is of this release.
func (v *verifier) snapshot() error {
	f, err := v.root.Open(snapshotName)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	ix, err := index.New(f, st.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", snapshotName, err)
	}
	defer ix.Close()
	if meta := ix.Meta(); meta.Sequence != v.m.Sequence || meta.Records != v.m.Records.All || meta.Withdrawn != v.m.Records.Withdrawn {
		return damaged(snapshotName, "is that of another release")
	}
	return nil
}

// listDir gives what is in a directory, in any order.
func listDir(root *os.Root, dir string) ([]os.DirEntry, error) {
	f, err := root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}
