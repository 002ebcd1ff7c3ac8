package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/registry"
	"github.com/rapsheet/rapsheet/internal/report"
)

// registryFlags are the flags of the command registry besides those of every look-up.
type registryFlags struct {
	look  lookFlags
	plan  string
	kind  string
	names string
	// journal is the file of --resume.
	journal string
	// archives is --ask-archives.
	archives bool
}

func (a *app) registryCommand() *cobra.Command {
	var f registryFlags
	cmd := &cobra.Command{
		Use:   "registry URL|DIR",
		Short: "find known malicious packages in an artifact registry",
		Long: `Registry looks up everything that an artifact registry holds: its own packages and
what it has cached from upstream. A package that was taken off the public registry is
still in the caches of others, which go on giving it out.

URL is asked over the registry's API, read-only. DIR is a registry's storage on disk,
recognised by its shape: Verdaccio, Go module proxies and Athens, devpi, bandersnatch,
simple indexes, Maven and NuGet repositories, gem directories, and directories of
archives. Metadata without an archive does not count: the registry knows of the package
and does not have it.

About what is found the registry is asked again: whether it still gives it out, whether
it is what installs without a version get, and what would remove it. Nothing is removed.
--purge-plan writes the calls to a file, to be reviewed and run by hand.

No archive is downloaded. A proxy that is asked whether it gives out an archive fetches
it from upstream if it does not have it, and so has it from then on. Verdaccio, plain npm
registries, simple indexes, NuGet feeds, Go module proxies and devpi's mirrors, which
list what they would fetch, are therefore not asked that: what they list they may have.
--ask-archives asks them too. Their storage tells what they have without a question.

A registry that does not list what it has (a plain npm registry, a Go module proxy) is
asked for the names that --names-from gives: those of the catalog, or of a file with a
package URL or a name on each line. That is a request per name.

With --resume what was listed is kept in FILE. If the program is killed, the same command
goes on where it was; remove FILE to begin anew, or when the names of --names-from are
others than they were.

Credentials come from the environment, RAPSHEET_REGISTRY_TOKEN or RAPSHEET_REGISTRY_USER
and RAPSHEET_REGISTRY_PASSWORD, or from the netrc file that NETRC names or ~/.netrc. They
are sent to the host of URL only and are never printed or stored.`,
		Example: `  rapsheet registry /var/lib/verdaccio/storage
  rapsheet registry https://nexus.example/ --purge-plan plan.sh -o report.txt
  rapsheet registry https://npm.example/ --names-from catalog --resume npm.journal
  rapsheet registry --list incident.csv --format json /srv/pypi/web`,
		Args: args(cobra.ExactArgs(1), "name one registry: the address that package managers use, or the directory of its storage"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.registry(cmd.Context(), &f, args[0]) },
	}
	f.look.bind(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.plan, "purge-plan", "", "write the calls that would remove what was found to `FILE`, or with - to standard output and the report to standard error")
	fl.StringVar(&f.kind, "type", "", "`PRODUCT` at URL, where asking does not tell: "+strings.Join(registry.Types(), ", "))
	fl.StringVar(&f.names, "names-from", "", "ask for these packages where the registry does not list what it has: the word catalog, or a `FILE`")
	fl.BoolVar(&f.archives, "ask-archives", false, "ask whether an archive is given out also where the registry may fetch it from upstream to answer")
	fl.StringVar(&f.journal, "resume", "", "keep what was listed in `FILE`, and go on where an earlier run with it ended")
	return cmd
}

// holder is asked about findings; a registry behind an API and a storage on disk are.
type holder interface {
	Holding(ctx context.Context, s rapsheet.Sighting) (rapsheet.Holding, error)
}

func (a *app) registry(ctx context.Context, f *registryFlags, target string) error {
	if f.plan != "" && f.plan != "-" && filepath.Clean(f.plan) == filepath.Clean(f.look.output) {
		return &usageError{"--purge-plan and --output name the same file", ""}
	}
	remote := strings.Contains(target, "://")
	if !remote && (f.kind != "" || f.names != "" || f.journal != "" || f.archives) {
		return &usageError{"--type, --names-from, --ask-archives and --resume are for a registry's URL", "a directory is read anew each time"}
	}
	if types := registry.Types(); f.kind != "" && !slices.Contains(types, f.kind) {
		return &usageError{fmt.Sprintf("no type of registry is called %q", f.kind), "one of: " + strings.Join(types, ", ")}
	}
	p := a.progress()
	defer p.end()
	cats, err := a.open(ctx, &f.look)
	if err != nil {
		return err
	}
	defer cats.Close()
	if !remote {
		return a.lookAt(ctx, f, cats, target, a.storage(ctx, target, cats.hasDigests(), p), registry.Storage{Dir: filepath.Clean(target)})
	}
	shown, err := shownURL(target)
	if err != nil {
		return err
	}
	names, err := a.names(ctx, f.names, cats)
	if err != nil {
		return err
	}
	reg, err := a.openRegistry(ctx, target, f, names)
	var usage *usageError
	if err != nil && (errors.As(err, &usage) || ctx.Err() != nil) {
		return err
	}
	if err != nil {
		// One that does not answer could not be read, like a file.
		return a.lookAt(ctx, f, cats, shown, unread(shown, err), nil)
	}
	var journal *registry.Journal
	if f.journal != "" {
		journal, err = registry.OpenJournal(f.journal, journalOf(shown, f, names))
		if errors.Is(err, registry.ErrOtherJournal) {
			return &usageError{err.Error(), "name another file, or remove this one to begin anew"}
		}
		if err != nil {
			return err
		}
	}
	err = a.lookAt(ctx, f, cats, shown, counted(registry.Sightings(ctx, reg, shown, journal), p), reg)
	if journal != nil {
		if closed := journal.Close(); err == nil && closed != nil {
			err = &outputError{closed}
		}
	}
	return err
}

// journalOf says what a journal is of: places in a listing mean nothing to one that asks otherwise.
// Nor do they to one with other names: those that come before the place, or after a finished listing, would be
// passed over.
func journalOf(shown string, f *registryFlags, names []rapsheet.Key) string {
	of := shown
	if f.kind != "" {
		of += " as " + f.kind
	}
	if f.names != "" {
		sum := sha256.New()
		for _, n := range names {
			fmt.Fprintf(sum, "%q %q\n", n.Ecosystem, n.Name)
		}
		of += fmt.Sprintf(" for the %d names of %s (sha256 %x)", len(names), f.names, sum.Sum(nil)[:8])
	}
	return of
}

// shownURL is an address without what may be secret in it.
func shownURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "", &usageError{"the registry's address is not a URL", "an address looks like https://nexus.example/"} // it may hold a password
	}
	u.User, u.RawQuery, u.Fragment, u.RawFragment = nil, "", "", ""
	return u.String(), nil
}

// storage streams what lies in a directory.
func (a *app) storage(ctx context.Context, dir string, hash bool, p *progress) rapsheet.Sightings {
	st, err := os.Stat(dir)
	if err == nil && !st.IsDir() {
		err = errors.New("is not a directory: the storage of a registry is one")
	}
	if err != nil {
		return unread(dir, err)
	}
	opt := a.inventoryOptions(p)
	opt.Kinds = registry.Kinds()
	opt.SBOM, opt.SniffSBOM, opt.Hash = nil, nil, hash
	return inventory.Walk(ctx, dir, opt)
}

// counted shows how far a listing is.
func counted(in rapsheet.Sightings, p *progress) rapsheet.Sightings {
	return func(yield func(rapsheet.Sighting, error) bool) {
		n := 0
		for s, err := range in {
			if err == nil {
				if n++; n%100 == 0 {
					p.set("%d packages", n)
				}
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

// lookAt looks up what a registry holds, asks it about what is found, and writes report and plan.
func (a *app) lookAt(ctx context.Context, f *registryFlags, cats *opened, target string, sightings rapsheet.Sightings, of holder) error {
	var plan bytes.Buffer
	through := func(h rapsheet.Handler) rapsheet.Handler {
		if f.plan != "" {
			h = both{h, report.NewPurgePlan(&plan, report.Options{All: f.look.all})}
		}
		_, storage := of.(registry.Storage)
		return &asking{Handler: h, ctx: ctx, of: of, all: f.look.all, hint: !storage && !f.archives}
	}
	on := *a
	if f.plan == "-" && f.look.output == "" {
		on.stdout = a.stderr
	}
	err := on.lookThrough(ctx, &f.look, cats, []string{target}, sightings, through)
	a.status = on.status
	var stale *catalogError
	if f.plan == "" || err != nil && !errors.As(err, &stale) {
		return err
	}
	// Also with nothing in it: one of yesterday is not to be taken for today's.
	written := a.output(f.plan, func(w io.Writer) error {
		_, err := w.Write(plan.Bytes())
		return err
	})
	return cmp.Or(err, written)
}

// both tells two handlers the same.
type both [2]rapsheet.Handler

func (b both) each(tell func(rapsheet.Handler) error) error {
	return errors.Join(tell(b[0]), tell(b[1]))
}

func (b both) Begin(s *rapsheet.Scan) error {
	return b.each(func(h rapsheet.Handler) error { return h.Begin(s) })
}

func (b both) Finding(f *rapsheet.Finding) error {
	return b.each(func(h rapsheet.Handler) error { return h.Finding(f) })
}

func (b both) Note(n *rapsheet.Note) error {
	return b.each(func(h rapsheet.Handler) error { return h.Note(n) })
}

func (b both) End(s *rapsheet.Summary) error {
	return b.each(func(h rapsheet.Handler) error { return h.End(s) })
}

// maxUnanswered is how many questions in a row may fail before no more are asked.
const maxUnanswered = 5

// asking asks a registry about every finding that is shown before it passes it on.
type asking struct {
	rapsheet.Handler
	ctx context.Context
	of  holder
	all bool
	// last is the sighting that was asked about last: the next record may be about the same.
	last       *rapsheet.Finding
	unanswered int
	// hint says that a registry may not have been asked for archives. unasked counts the findings of which it is
	// therefore not known whether they are given out.
	hint    bool
	unasked int
}

// End says what was not asked, and how to ask it.
func (a *asking) End(s *rapsheet.Summary) error {
	if a.hint && a.unasked > 0 {
		n := &rapsheet.Note{Kind: rapsheet.NoteInfo, Count: a.unasked,
			Message: "findings of which it is not known whether they are given out: the registry may fetch an archive to answer, so it was not asked (see --ask-archives)"}
		if err := a.Handler.Note(n); err != nil {
			return err
		}
	}
	return a.Handler.End(s)
}

func (a *asking) Finding(f *rapsheet.Finding) error {
	if !f.Malicious() && !f.Warning() && !a.all {
		return a.Handler.Finding(f)
	}
	if a.last != nil && a.last.Package == f.Package && a.last.Locations[0] == f.Locations[0] {
		f.Holding = a.last.Holding
		return a.Handler.Finding(f)
	}
	if a.unanswered < maxUnanswered {
		h, err := a.of.Holding(a.ctx, rapsheet.Sighting{Package: f.Package, Location: f.Locations[0], Evidence: f.Evidence})
		if a.ctx.Err() != nil {
			return a.ctx.Err()
		}
		if h.Registry != "" {
			f.Holding = &h
		}
		a.unanswered++
		if err == nil {
			a.unanswered = 0
			if h.Served == rapsheet.ServedUnknown {
				a.unasked++
			}
		} else if err := a.unanswerable(f, err); err != nil {
			return err
		}
		a.last = &rapsheet.Finding{Package: f.Package, Locations: slices.Clone(f.Locations), Holding: f.Holding}
	}
	return a.Handler.Finding(f)
}

// unanswerable notes that the finding stands without what the registry would say of it.
func (a *asking) unanswerable(f *rapsheet.Finding, err error) error {
	n := &rapsheet.Note{
		Kind: rapsheet.NoteInfo, Path: f.Locations[0].Path,
		Message: fmt.Sprintf("how it holds %s could not be told: %v", f.Package, err),
	}
	if err := a.Handler.Note(n); err != nil || a.unanswered < maxUnanswered {
		return err
	}
	return a.Handler.Note(&rapsheet.Note{Kind: rapsheet.NoteInfo, Message: fmt.Sprintf("after %d such answers it was asked no more", maxUnanswered)})
}

// allNames is the value of --names-from that stands for the packages on record.
const allNames = "catalog"

// Limits of a file of names: bytes, and bytes of a line.
const (
	maxNamesFile = 256 << 20
	maxNamesLine = 64 << 10
)

// names gives the packages that --names-from means, as they were published, sorted; nil for none.
func (a *app) names(ctx context.Context, from string, cats *opened) ([]rapsheet.Key, error) {
	var seen map[rapsheet.Key]struct{}
	var err error
	switch from {
	case "":
		return nil, nil
	case allNames:
		seen, err = recorded(ctx, cats)
	default:
		seen, err = namesIn(from)
	}
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b rapsheet.Key) int {
		return cmp.Or(cmp.Compare(a.Ecosystem, b.Ecosystem), cmp.Compare(a.Name, b.Name))
	}), nil
}

// recorded gives the packages on record in all catalogs.
func recorded(ctx context.Context, cats *opened) (map[rapsheet.Key]struct{}, error) {
	seen := map[rapsheet.Key]struct{}{}
	for _, ix := range cats.open {
		for doc, err := range ix.Documents() {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, err
			}
			var record struct {
				Affected []struct {
					Package struct {
						Ecosystem string `json:"ecosystem"`
						Name      string `json:"name"`
					} `json:"package"`
				} `json:"affected"`
			}
			if err := json.Unmarshal(doc, &record); err != nil {
				return nil, fmt.Errorf("a record cannot be read: %w", err)
			}
			for _, affected := range record.Affected {
				seen[rapsheet.Key{Ecosystem: affected.Package.Ecosystem, Name: affected.Package.Name}] = struct{}{}
			}
		}
	}
	return seen, nil
}

// unlisting are the ecosystems whose registries may have to be asked by name: a name that says no ecosystem is one of
// that which the registry is of.
var unlisting = []string{"npm", "PyPI", "Go", "NuGet"}

// namesIn reads a file of names: package URLs or names, one a line; what begins with # is a comment.
func namesIn(path string) (map[rapsheet.Key]struct{}, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	seen := map[rapsheet.Key]struct{}{}
	lines := bufio.NewScanner(bounded.Reader(f, maxNamesFile, "file"))
	lines.Buffer(nil, maxNamesLine)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "pkg:"):
			p, _, err := ecosystem.ParsePURL(line)
			if err != nil {
				return nil, &usageError{fmt.Sprintf("%s:%d: %v", path, n, err), ""}
			}
			seen[rapsheet.Key{Ecosystem: p.Ecosystem, Name: p.Name}] = struct{}{}
		default:
			for _, e := range unlisting {
				seen[rapsheet.Key{Ecosystem: e, Name: line}] = struct{}{}
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(seen) == 0 {
		return nil, &usageError{path + " names no package", ""}
	}
	return seen, nil
}
