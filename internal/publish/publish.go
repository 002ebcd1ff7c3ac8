// Package publish writes a catalog as the files that other tools read, one
// directory per release.
//
// Flow: records come in the order of their ids → each is checked against the
// rules that every known client needs (check.go), compared with the release
// before (state.go), and written to its places (build.go): the snapshot, a dump in the
// layout of OSV.dev's bucket, a tree for a pull request to ossf/malicious-packages
// (upstream.go) → the manifest is written, everything is synced and read back byte
// by byte (verify.go) → the directory takes its name and the link "current" is
// replaced.
//
// The directory:
//
//	.lock, .maker               who publishes, and which program made the release (maker.go)
//	current                     a symbolic link to releases/<sequence>
//	releases/<sequence>/        at least eight digits
//	  manifest.json             size and SHA-256 of everything else, see [Manifest]
//	  catalog.idx               the snapshot (package index)
//	  campaigns.json            when there are campaigns
//	  osv/                      ecosystems.txt, all.zip, modified_id.csv, <ECO>/…
//	  upstream/                 osv/malicious/<eco>/<name>/MAL-0000-….json
//	  .state                    what the next release is compared with
//
// Promise: "current" always leads to a whole release, whenever the publisher is
// killed; a release that breaks a promise of the list (an id vanished, a time
// went back) never becomes current; the same input gives the same bytes, whatever
// was published before.
package publish

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rapsheet/rapsheet/internal/atomicfile"
	"github.com/rapsheet/rapsheet/internal/filelock"
)

// Record is one record of a release.
type Record struct {
	// ID is the record's id, the same as in JSON.
	ID string
	// JSON is the document as it is published, in the one form that package osv writes.
	// It must not change until Publish has returned.
	JSON []byte
	// Disputed says that the record is under doubt; it is only counted.
	Disputed bool
	// Upstream asks for a report to ossf/malicious-packages, see [UpstreamReport].
	Upstream bool
}

// Release is what is to be published.
type Release struct {
	// Sequence counts the releases of one publisher; it is above the one before.
	Sequence uint64
	// Date is when the release was made, to the second.
	Date time.Time
	// Source says in words where the records came from.
	Source string
	// Records are all records, withdrawn ones too, in ascending order of the bytes of their ids.
	Records iter.Seq2[Record, error]
	// Campaigns is the content of campaigns.json, one JSON value; nil for none.
	Campaigns []byte
}

// Options of Publish and Validate.
type Options struct {
	// Keep is how many releases stay, the new one among them; 0 is 3.
	Keep int
	// MassWithdrawal accepts a release that takes back more than 1 % of the records that
	// stood, or more than 100 if that is more.
	MassWithdrawal bool
	// Fresh publishes without the work of the release before: nothing is linked or
	// copied from it. The bytes are the same.
	Fresh bool
	// Logger is told of what was left over and tidied; nil is silence.
	Logger *slog.Logger
	// Progress, if not nil, is told how many records are done; it holds up the work.
	Progress func(records int)
}

// Result is what Publish did.
type Result struct {
	// Path is the directory of the release.
	Path     string
	Manifest Manifest
	// Digest is the SHA-256 of manifest.json, which holds those of all other files.
	Digest  [sha256.Size]byte
	Changes Changes
	// Unreported are records that upstream's rules keep out of the upstream tree.
	Unreported []Unreported
}

// Unreported is one record that was to be in the upstream tree and is not.
type Unreported struct {
	ID string
	// Reason is one printable line.
	Reason string
}

// Errors of Publish and Current, wrapped with what was being done.
var (
	// ErrBusy says that another publisher is using the directory.
	ErrBusy = errors.New("another publisher is using this directory")
	// ErrNothing says that nothing was published in the directory yet.
	ErrNothing = errors.New("nothing is published here")
	// ErrDamaged says that a release is not what its manifest says.
	ErrDamaged = errors.New("release is damaged")
)

// Names in the directory.
const (
	currentName  = "current"
	releasesName = "releases"
	lockName     = ".lock"
	makerName    = ".maker"
	tempPrefix   = ".tmp-"
	linkPrefix   = ".current-"
)

const defaultKeep = 3

// Publish writes rel as the next release of dir, which is created if need be, and
// makes it the current one. On any error the release before stays the current
// one; a release that breaks the rules is refused with [*InvalidError]. It uses all
// processors, and memory in proportion to the records: about 3 kB for each.
func Publish(ctx context.Context, dir string, rel Release, opt Options) (Result, error) {
	res, err := publish(ctx, dir, rel, opt)
	if err != nil {
		return Result{}, fmt.Errorf("publish to %s: %w", dir, err)
	}
	return res, nil
}

func publish(ctx context.Context, dir string, rel Release, opt Options) (Result, error) {
	log := opt.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if rel.Sequence == 0 {
		return Result{}, errors.New("a release needs a sequence number above 0")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Result{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Result{}, err
	}
	defer root.Close()
	unlock, err := lock(root)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	if err := root.Mkdir(releasesName, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return Result{}, err
	}
	current, err := readCurrent(root)
	if err != nil && !errors.Is(err, ErrNothing) {
		return Result{}, err
	}
	if rel.Sequence <= current {
		return Result{}, fmt.Errorf("sequence %d is not above %d, which is published", rel.Sequence, current)
	}
	if err := tidy(root, current, log); err != nil {
		return Result{}, err
	}
	self, known := program()
	var prev *previous
	if current > 0 {
		if prev, err = openPrevious(root, current); err != nil {
			return Result{}, fmt.Errorf("the release before, %d: %w", current, err)
		}
		defer prev.close()
		prev.ours = known && madeBy(root, self, prev.digest)
	}

	temp := path.Join(releasesName, tempPrefix+releaseName(rel.Sequence)+"-"+rand.Text()[:8])
	if err := root.Mkdir(temp, 0o755); err != nil {
		return Result{}, err
	}
	// After the rename there is nothing of that name; a failure here is tidied by the next.
	defer func() { _ = root.RemoveAll(temp) }()
	res, err := build(ctx, root, temp, prev, rel, opt)
	if err != nil {
		return Result{}, err
	}
	// What is read back comes from the system's memory in either order, so the disk need not be waited for first.
	var g errgroup.Group
	g.Go(func() error {
		if err := atomicfile.SyncTree(root, temp); err != nil {
			return fmt.Errorf("sync the release: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		if err := verifyIn(ctx, root, temp, res.Manifest, nil); err != nil {
			return fmt.Errorf("read back the release: %w", err)
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return Result{}, err
	}
	name := path.Join(releasesName, releaseName(rel.Sequence))
	if err := root.Rename(temp, name); err != nil {
		return Result{}, err
	}
	if err := atomicfile.SyncDir(root, releasesName); err != nil {
		return Result{}, err
	}
	if err := swap(root, name); err != nil {
		return Result{}, err
	}
	res.Path = path.Join(dir, name)
	if known {
		if err := noteMaker(root, self, res.Digest); err != nil {
			log.Warn("the next release will take longer", "error", err)
		}
	}
	// The release is out: what cannot be deleted now is deleted by the next one.
	if err := prune(root, opt.Keep); err != nil {
		log.Warn("old releases could not be deleted", "error", err)
	}
	return res, nil
}

func releaseName(sequence uint64) string { return fmt.Sprintf("%08d", sequence) }

func parseRelease(name string) (sequence uint64, ok bool) {
	n, err := strconv.ParseUint(name, 10, 64)
	return n, err == nil && n > 0 && releaseName(n) == name
}

// readCurrent gives the sequence number that "current" leads to.
func readCurrent(root *os.Root) (uint64, error) {
	target, err := root.Readlink(currentName)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, ErrNothing
	}
	if err != nil {
		return 0, err
	}
	// A link made on Windows comes back with its separators.
	rest, ok := strings.CutPrefix(strings.ReplaceAll(target, `\`, "/"), releasesName+"/")
	n, number := parseRelease(rest)
	if !ok || !number {
		return 0, fmt.Errorf("%s leads to %q, which is no release", currentName, target)
	}
	return n, nil
}

// Current gives the directory of the current release of dir, and its manifest.
// The path stays valid for as long as Options.Keep keeps the release.
func Current(dir string) (string, Manifest, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", Manifest{}, err
	}
	defer root.Close()
	n, err := readCurrent(root)
	if err != nil {
		return "", Manifest{}, fmt.Errorf("%s: %w", dir, err)
	}
	name := path.Join(releasesName, releaseName(n))
	m, _, err := readManifest(root, name)
	if err != nil {
		return "", Manifest{}, fmt.Errorf("%s: %w", dir, err)
	}
	return path.Join(dir, name), m, nil
}

// tidy removes what a publisher that was killed left: releases in the making, new
// links, and releases past the current one, which nobody was ever led to.
func tidy(root *os.Root, current uint64, log *slog.Logger) error {
	remove := func(name string) error {
		log.Warn("removing what an earlier publisher left", "name", name)
		return root.RemoveAll(name)
	}
	top, err := names(root, ".")
	if err != nil {
		return err
	}
	for _, name := range top {
		if strings.HasPrefix(name, linkPrefix) {
			if err := remove(name); err != nil {
				return err
			}
		}
	}
	releases, err := names(root, releasesName)
	if err != nil {
		return err
	}
	for _, name := range releases {
		n, ok := parseRelease(name)
		if strings.HasPrefix(name, tempPrefix) || ok && n > current {
			if err := remove(path.Join(releasesName, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// swap makes "current" lead to the release.
func swap(root *os.Root, release string) error {
	link := linkPrefix + rand.Text()[:8]
	if err := root.Symlink(release, link); err != nil {
		return err
	}
	if err := root.Rename(link, currentName); err != nil {
		_ = root.Remove(link) // the first failure is the one to tell
		return err
	}
	return atomicfile.SyncDir(root, ".")
}

// prune deletes the oldest releases. One that is half deleted has lost its manifest first,
// so it cannot be taken for whole.
func prune(root *os.Root, keep int) error {
	if keep <= 0 {
		keep = defaultKeep
	}
	list, err := names(root, releasesName)
	if err != nil {
		return err
	}
	var old []uint64
	for _, name := range list {
		if n, ok := parseRelease(name); ok {
			old = append(old, n)
		}
	}
	slices.Sort(old)
	var errs []error
	for _, n := range old[:max(0, len(old)-keep)] {
		name := path.Join(releasesName, releaseName(n))
		if err := root.Remove(path.Join(name, manifestName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, root.RemoveAll(name))
	}
	return errors.Join(errs...)
}

// names lists a directory in order.
func names(root *os.Root, dir string) ([]string, error) {
	f, err := root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := f.Readdirnames(-1)
	slices.Sort(list)
	return list, err
}

// lock takes the directory's lock. The file stays: removing it would let two
// processes lock two files of the same name.
func lock(root *os.Root) (unlock func(), err error) {
	f, err := root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	ok, err := filelock.Try(f)
	if err == nil && !ok {
		err = ErrBusy
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock: %w", err)
	}
	return func() { f.Close() }, nil
}
