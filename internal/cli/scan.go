package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/atomicfile"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/archive"
	"github.com/rapsheet/rapsheet/internal/inventory/cache"
	"github.com/rapsheet/rapsheet/internal/inventory/image"
	"github.com/rapsheet/rapsheet/internal/inventory/installed"
	"github.com/rapsheet/rapsheet/internal/inventory/lockfile"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/internal/report"
	"github.com/rapsheet/rapsheet/internal/sbom"
	"github.com/rapsheet/rapsheet/match"
)

// lookFlags are the flags of every command that looks packages up.
type lookFlags struct {
	catalogs []string
	format   string
	output   string
	quiet    bool
	all      bool
	maxAge   age
	mirrors  []string
	internal []string
	lists    []string
	onlyList bool
	list     sourceFlags
}

func (f *lookFlags) bind(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringArrayVar(&f.catalogs, "catalog", nil, catalogUsage)
	fl.StringVar(&f.format, "format", "text", "output format: "+strings.Join(report.Formats(), ", "))
	fl.StringVarP(&f.output, "output", "o", "", "write the report to `FILE` (whole or not at all) instead of standard output")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "print findings only")
	fl.BoolVar(&f.all, "all", false, "show findings of no consequence too: withdrawn, from elsewhere, without a version")
	fl.Var(&f.maxAge, "max-age", "exit with 4 when the catalog is older than `AGE` (7d, 36h) and nothing was found")
	fl.StringArrayVar(&f.mirrors, "mirror", nil, "`HOST` that serves the public registries' packages (a company's proxy); may be repeated")
	fl.StringArrayVar(&f.internal, "internal", nil, "`PATTERN` of names that are your own (@acme/*, acme-*, npm:tools): no alarm unless they came from the public registry; may be repeated")
	fl.StringArrayVar(&f.lists, "list", nil, "look for what `FILE` lists too: anything that `rapsheet catalog import` reads; may be repeated")
	fl.BoolVar(&f.onlyList, "only-list", false, "look for nothing but what --list names")
	fl.StringVar(&f.list.list.Ecosystem, "list-ecosystem", "", "where lines of --list belong that name no ecosystem")
	fl.StringVar(&f.list.list.Columns, "list-columns", "", "what the columns of --list mean, `MEANING=COLUMN,…`")
	// It fails for a flag that does not exist or has completions already: this one is new.
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(report.Formats(), cobra.ShellCompDirectiveNoFileComp))
}

// age is a duration flag that knows days.
type age time.Duration

func (a *age) Type() string { return "AGE" }

func (a *age) String() string {
	if *a == 0 {
		return ""
	}
	return time.Duration(*a).String()
}

func (a *age) Set(s string) error {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is not a number of days", s)
		}
		*a = age(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return fmt.Errorf("%q is not an age such as 7d or 36h", s)
	}
	*a = age(d)
	return nil
}

func (a *app) scanCommand() *cobra.Command {
	var f lookFlags
	var m machineFlags
	var ignore bool
	cmd := &cobra.Command{
		Use:   "scan [TARGET…]",
		Short: "find known malicious packages in directories, lockfiles and SBOMs",
		Long: `Scan looks every package that the targets list up in the catalog. A target is a
directory (walked once, links not followed), a lockfile, an SBOM (CycloneDX, SPDX,
Syft; plain or compressed), an archive (tar, zip, wheel, nupkg, crate, gem, jar, vsix),
a container image, a package URL, or - for standard input. The default is the current
directory. In a directory it also reads what is installed (node_modules, site-packages,
gems, programs of Go, the extensions of editors) and what package managers have cached.
Nothing is run, and nothing is sent anywhere, but for docker:// references, which ask
their registry.

An image is the file of docker save, an OCI layout or an archive of one, or
docker://HOST/NAME:TAG, which asks that registry. It is read layer by layer, and what a
later layer deleted is found too.

With --machine the target is all of this machine's own disks and every directory that the
environment moves a cache to; with --root a disk that is mounted somewhere; with --home
one home. --profile quick looks only where package managers and editors keep things.

It exits with 1 when a malicious package is found, and with 3 when something could
not be read; what that was stands at the end of the report.`,
		Example: `  rapsheet scan
  rapsheet scan services/ package-lock.json app.cdx.json.gz
  syft dir:. -o syft-json | rapsheet scan -
  rapsheet scan --format sarif -o rapsheet.sarif
  rapsheet scan --catalog installed --catalog our-own-list/
  rapsheet scan --list incident.csv --list-ecosystem npm ~/src
  rapsheet scan image.tar docker://registry.example/team/app:1.4
  rapsheet scan --machine --profile quick
  rapsheet scan --machine --nice --since 24h --format json -o today.json`,
		RunE: func(cmd *cobra.Command, targets []string) error {
			if err := checkTargets(targets); err != nil {
				return err
			}
			p := a.progress()
			defer p.end()
			opt := a.inventoryOptions(p)
			opt.Getenv = a.env.Getenv
			opt.RespectIgnore = ignore
			if err := m.apply(a, &opt); err != nil {
				return err
			}
			cats, err := a.open(cmd.Context(), &f)
			if err != nil {
				return err
			}
			defer cats.Close()
			opt.Hash = cats.hasDigests()
			machine, err := m.sightings(cmd.Context(), a, opt)
			if err != nil {
				return err
			}
			if len(targets) == 0 && machine == nil {
				targets = []string{"."}
			}
			sightings := a.sightings(cmd.Context(), targets, opt)
			if machine != nil {
				sightings = after(sightings, machine)
			}
			return a.look(cmd.Context(), &f, cats, append(targets, m.names()...), sightings)
		},
	}
	f.bind(cmd)
	m.bind(cmd)
	cmd.Flags().StringVar(&a.platform, "platform", "", "of an image for several platforms, read `OS/ARCH` only (linux/amd64)")
	cmd.Flags().BoolVar(&ignore, "respect-ignore", false, "leave out what .gitignore files leave out")
	return cmd
}

func (a *app) inventoryOptions(p *progress) inventory.Options {
	return inventory.Options{
		Home: a.home(),
		// A file is read by the first kind that knows it: a cache knows most about what is in it.
		Kinds: slices.Concat(cache.Kinds(), installed.Kinds(), archive.Kinds(), lockfile.Kinds()),
		SBOM: func(ctx context.Context, r io.Reader, path string) rapsheet.Sightings {
			return sbom.Read(ctx, r, path, sbom.Options{})
		},
		SniffSBOM: func(head []byte) bool { _, ok := sbom.Sniff(head); return ok },
		Progress: func(w inventory.Progress) {
			if w.Entries == 0 {
				p.set("%d packages", w.Sightings)
				return
			}
			p.set("%d entries, %d files read, %d packages", w.Entries, w.Files, w.Sightings)
		},
		Logger: a.logger(),
	}
}

// home is the user's, nil when there is none.
func (a *app) home() fs.FS {
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if dir := a.env.Getenv(name); filepath.IsAbs(dir) {
			return os.DirFS(dir)
		}
	}
	return nil
}

// checkTargets refuses references to images that are none before anything shows them: there may be a password in one.
func checkTargets(targets []string) error {
	for _, t := range targets {
		if strings.HasPrefix(t, image.Scheme) {
			if err := image.Check(t); err != nil {
				return &usageError{err.Error(), ""}
			}
		}
	}
	return nil
}

// sightings streams what all targets list.
func (a *app) sightings(ctx context.Context, targets []string, opt inventory.Options) rapsheet.Sightings {
	return func(yield func(rapsheet.Sighting, error) bool) {
		for _, t := range targets {
			for s, err := range a.target(ctx, t, opt) {
				if !yield(s, err) {
					return
				}
			}
		}
	}
}

func (a *app) target(ctx context.Context, t string, opt inventory.Options) rapsheet.Sightings {
	if t == "-" {
		return inventory.Read(ctx, a.stdin, "-", opt)
	}
	if strings.HasPrefix(t, "pkg:") {
		return purl(t)
	}
	if image.Is(t) {
		return image.Scan(ctx, t, image.Options{
			Options: opt, Platform: a.platform, Credentials: image.DockerCredentials(a.env.Getenv), UserAgent: "rapsheet/" + a.env.Version,
		})
	}
	st, err := os.Stat(t)
	switch {
	case err != nil:
		return unread(t, err)
	case st.IsDir():
		return inventory.Walk(ctx, t, opt)
	case archive.IsFile(t):
		return archive.Scan(ctx, t, opt)
	}
	return inventory.ReadFile(ctx, t, opt)
}

// purl is the sighting of a package URL on the command line.
func purl(s string) rapsheet.Sightings {
	return func(yield func(rapsheet.Sighting, error) bool) {
		p, ev, err := ecosystem.ParsePURL(s)
		if err != nil {
			kind := rapsheet.NoteUnread
			if errors.Is(err, ecosystem.ErrUnknownType) {
				kind = rapsheet.NoteUnmatchable
			}
			yield(rapsheet.Sighting{}, &rapsheet.Note{Kind: kind, Path: s, Message: err.Error()})
			return
		}
		yield(rapsheet.Sighting{Package: p, Evidence: ev, Location: rapsheet.Location{Path: s, Kind: "purl"}}, nil)
	}
}

func unread(target string, err error) rapsheet.Sightings {
	return func(yield func(rapsheet.Sighting, error) bool) {
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		yield(rapsheet.Sighting{}, &rapsheet.Note{Kind: rapsheet.NoteUnread, Path: target, Message: err.Error()})
	}
}

// declared marks the sightings that were resolved from a declared mirror, and those whose names are declared internal.
func declared(in rapsheet.Sightings, mirrors []string, names []internalName) rapsheet.Sightings {
	if len(mirrors) == 0 && len(names) == 0 {
		return in
	}
	hosts := make([]string, 0, len(mirrors))
	for _, m := range mirrors {
		hosts = append(hosts, strings.ToLower(m))
	}
	return func(yield func(rapsheet.Sighting, error) bool) {
		for s, err := range in {
			host, _, _ := strings.Cut(s.Evidence.Host, ":")
			if host != "" && (slices.Contains(hosts, host) || slices.Contains(hosts, s.Evidence.Host)) {
				s.Evidence.Mirror = true
			}
			s.Evidence.Internal = slices.ContainsFunc(names, func(n internalName) bool { return n.is(s.Package) })
			if !yield(s, err) {
				return
			}
		}
	}
}

// internalName is a pattern of --internal: names in one ecosystem, or in all where none is named.
type internalName struct{ ecosystem, pattern string }

// internalNames reads patterns: [ECOSYSTEM:]NAME, where * in the name stands for anything.
func internalNames(patterns []string) ([]internalName, error) {
	var all []internalName
	for _, p := range patterns {
		n := internalName{pattern: p}
		if before, after, ok := strings.Cut(p, ":"); ok {
			if e, known := ecosystem.Find(before); known { // a Maven name has a colon of its own
				n = internalName{e.Name, after}
			}
		}
		if strings.Trim(n.pattern, "*") == "" {
			return nil, &usageError{fmt.Sprintf("--internal %q would silence everything", p), "name a scope or a prefix: --internal '@acme/*'"}
		}
		all = append(all, n)
	}
	return all, nil
}

// is reports whether the pattern is about p, by the name that every spelling of it shares.
func (n internalName) is(p rapsheet.Package) bool {
	if n.ecosystem != "" && n.ecosystem != p.Ecosystem {
		return false
	}
	pattern, name := n.pattern, p.Name
	if e, ok := ecosystem.Find(p.Ecosystem); ok {
		name = e.Canonical(name)
		parts := strings.Split(pattern, "*")
		for i, part := range parts {
			parts[i] = e.Canonical(part)
		}
		pattern = strings.Join(parts, "*")
	}
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return name == pattern
	}
	name, ok := strings.CutPrefix(name, first)
	for ok {
		part, more, wild := strings.Cut(rest, "*")
		if !wild {
			return strings.HasSuffix(name, part)
		}
		_, name, ok = strings.Cut(name, part)
		rest = more
	}
	return false
}

// noted puts notes before a stream.
func noted(notes []*rapsheet.Note, in rapsheet.Sightings) rapsheet.Sightings {
	return func(yield func(rapsheet.Sighting, error) bool) {
		for _, n := range notes {
			if !yield(rapsheet.Sighting{}, n) {
				return
			}
		}
		in(yield)
	}
}

// open checks the flags and opens the catalogs that they name.
func (a *app) open(ctx context.Context, f *lookFlags) (*opened, error) {
	if !slices.Contains(report.Formats(), f.format) {
		return nil, &usageError{fmt.Sprintf("unknown format %q", f.format), "one of: " + strings.Join(report.Formats(), ", ")}
	}
	if f.onlyList && (len(f.lists) == 0 || len(f.catalogs) > 0) {
		return nil, &usageError{"--only-list goes with --list and without --catalog", ""}
	}
	o := &opened{}
	if !f.onlyList {
		var err error
		if o, err = a.catalogs(ctx, f.catalogs); err != nil {
			return nil, err
		}
	}
	for _, path := range f.lists {
		if err := a.addList(ctx, o, path, &f.list); err != nil {
			o.Close()
			return nil, err
		}
	}
	return o, nil
}

// look matches a stream of sightings and reports; it sets the exit status.
func (a *app) look(ctx context.Context, f *lookFlags, cats *opened, targets []string, sightings rapsheet.Sightings) error {
	return a.lookThrough(ctx, f, cats, targets, sightings, func(h rapsheet.Handler) rapsheet.Handler { return h })
}

// lookThrough is look with the report's handler behind one that through puts before it.
func (a *app) lookThrough(ctx context.Context, f *lookFlags, cats *opened, targets []string, sightings rapsheet.Sightings,
	through func(rapsheet.Handler) rapsheet.Handler) error {
	names, err := internalNames(f.internal)
	if err != nil {
		return err
	}
	return a.output(f.output, func(w io.Writer) error {
		bw := bufio.NewWriterSize(w, 64<<10)
		h, err := report.New(f.format, bw, report.Options{
			Color: f.output == "" && a.colour(), Width: a.width(), Quiet: f.quiet, All: f.all,
		})
		if err != nil {
			return err
		}
		if f.format == "jsonl" {
			// A reader of the stream sees each piece as it comes.
			h = &flushing{Handler: h, w: bw}
		}
		h = through(h)
		started := a.env.Now()
		err = h.Begin(&rapsheet.Scan{
			Tool: "rapsheet", Version: a.env.Version, Started: started, Targets: targets, Catalogs: cats.infos, All: f.all,
		})
		if err != nil {
			return err
		}
		sum, broken := match.Run(ctx, cats.indexes, declared(noted(cats.notes, sightings), f.mirrors, names), h)
		if broken != nil {
			if err := h.Note(stopped(broken)); err != nil {
				return err
			}
			sum.Complete = false
			sum.Unread++
		}
		sum.Elapsed = a.env.Now().Sub(started)
		if err := h.End(&sum); err != nil {
			return err
		}
		if err := bw.Flush(); err != nil {
			return err
		}
		a.status = sum.Status()
		if a.status == rapsheet.ExitFound {
			return nil
		}
		if broken != nil {
			return broken
		}
		return cats.stale(started, time.Duration(f.maxAge))
	})
}

// stopped is the note about a scan that ended early.
func stopped(err error) *rapsheet.Note {
	msg := "the scan stopped early, the rest was not checked: " + err.Error()
	if errors.Is(err, context.Canceled) {
		msg = "interrupted: the rest was not checked"
	}
	return &rapsheet.Note{Kind: rapsheet.NoteUnread, Message: msg}
}

// flushing flushes after every piece.
type flushing struct {
	rapsheet.Handler
	w *bufio.Writer
}

func (f *flushing) Finding(x *rapsheet.Finding) error {
	if err := f.Handler.Finding(x); err != nil {
		return err
	}
	return f.w.Flush()
}

// writeFile writes a file whole or not at all.
func writeFile(path string, write func(io.Writer) error) error {
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return &usageError{fmt.Sprintf("cannot write %s: %v", path, errors.Unwrap(err)), "does the directory exist?"}
	}
	var stopped error
	err := atomicfile.Write(path, 0o644, func(w io.Writer) error {
		stopped = write(w)
		// A report that was written to its end is kept, whatever status it means.
		var cat *catalogError
		if errors.As(stopped, &cat) {
			return nil
		}
		return stopped
	})
	switch {
	case stopped != nil:
		return stopped
	case err != nil:
		return &outputError{err}
	}
	return nil
}

// outputError is a report that could not be written.
type outputError struct{ err error }

func (e *outputError) Error() string { return "write the output: " + e.err.Error() }
func (e *outputError) Unwrap() error { return e.err }

func (a *app) checkCommand() *cobra.Command {
	var f lookFlags
	var verbose bool
	cmd := &cobra.Command{
		Use:   "check PURL…",
		Short: "say whether single packages are on record",
		Example: `  rapsheet check pkg:npm/event-stream@3.3.6
  rapsheet check pkg:pypi/ctx pkg:nuget/Newtonsoft.Json@13.0.3
  rapsheet check --verbose pkg:npm/flatmap-stream@0.1.1   # the full record`,
		Args: args(cobra.MinimumNArgs(1), "name a package, for example `rapsheet check pkg:npm/event-stream@3.3.6`"),
		RunE: func(cmd *cobra.Command, purls []string) error {
			var listed []string // those of a type that has records
			for _, p := range purls {
				_, _, err := ecosystem.ParsePURL(p)
				switch {
				case err == nil:
					listed = append(listed, p)
				case !errors.Is(err, ecosystem.ErrUnknownType):
					return &usageError{fmt.Sprintf("%q is not a package URL: %v", p, err), "a package URL looks like pkg:npm/%40scope/name@1.2.3 or pkg:pypi/name@1.0"}
				}
			}
			sightings := func(yield func(rapsheet.Sighting, error) bool) {
				for _, p := range purls {
					for s, err := range purl(p) {
						if !yield(s, err) {
							return
						}
					}
				}
			}
			cats, err := a.open(cmd.Context(), &f)
			if err != nil {
				return err
			}
			defer cats.Close()
			if err := a.look(cmd.Context(), &f, cats, purls, sightings); err != nil || !verbose {
				return err
			}
			for _, p := range listed {
				recs, err := find(cats.open, p)
				if err != nil {
					return err
				}
				for _, r := range recs {
					if err := a.printRecord(r); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
	f.bind(cmd)
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print the full records too")
	return cmd
}

func (a *app) sbomCommand() *cobra.Command {
	var format, output string
	var ignore bool
	cmd := &cobra.Command{
		Use:   "sbom [TARGET…]",
		Short: "write an SBOM of what the targets list",
		Long: `Sbom reads targets as scan does and writes what their lockfiles and SBOMs list as an SBOM.
Of a container image it also writes what is installed in it, with what a later layer deletes:
that is shipped too. It exits with 3 when something could not be read; what that was is said
on standard error.`,
		Example: `  rapsheet sbom > app.cdx.json
  rapsheet sbom image.tar > image.cdx.json
  rapsheet sbom --format spdx -o app.spdx.json services/`,
		RunE: func(cmd *cobra.Command, targets []string) error {
			write := map[string]func(io.Writer, sbom.Document, iter.Seq[rapsheet.Sighting]) error{
				"cyclonedx": sbom.WriteCycloneDX, "spdx": sbom.WriteSPDX,
			}[format]
			if write == nil {
				return &usageError{fmt.Sprintf("unknown format %q", format), "one of: cyclonedx, spdx"}
			}
			if len(targets) == 0 {
				targets = []string{"."}
			}
			if err := checkTargets(targets); err != nil {
				return err
			}
			p := a.progress()
			defer p.end()
			opt := a.inventoryOptions(p)
			opt.Home = nil
			opt.RespectIgnore = ignore
			return a.writeSBOM(cmd.Context(), output, targets, opt, write)
		},
	}
	cmd.Flags().StringVar(&format, "format", "cyclonedx", "cyclonedx (1.6 JSON) or spdx (2.3 JSON)")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to `FILE` (whole or not at all) instead of standard output")
	cmd.Flags().BoolVar(&ignore, "respect-ignore", false, "leave out what .gitignore files leave out")
	return cmd
}

// listed streams what belongs into an SBOM: of a project what it asks for, not what this machine happens to have; of an
// image, which is what its build made of that, also what is installed in it, with what a later layer deletes.
func (a *app) listed(ctx context.Context, targets []string, opt inventory.Options) rapsheet.Sightings {
	return func(yield func(rapsheet.Sighting, error) bool) {
		for _, t := range targets {
			opt.Kinds = lockfile.Kinds()
			if image.Is(t) {
				opt.Kinds = slices.Concat(installed.Kinds(), archive.Kinds(), lockfile.Kinds())
			}
			for s, err := range a.target(ctx, t, opt) {
				if !yield(s, err) {
					return
				}
			}
		}
	}
}

func (a *app) writeSBOM(ctx context.Context, output string, targets []string, opt inventory.Options,
	write func(io.Writer, sbom.Document, iter.Seq[rapsheet.Sighting]) error) error {
	var stopped error
	found := func(yield func(rapsheet.Sighting) bool) {
		for s, err := range a.listed(ctx, targets, opt) {
			var n *rapsheet.Note
			switch {
			case err == nil:
				if !yield(s) {
					return
				}
			case !errors.As(err, &n):
				stopped = err
				return
			default:
				fmt.Fprintf(a.stderr, "rapsheet: %s: %s\n", n.Kind, printable.Line(n.Error()))
				if n.Kind == rapsheet.NoteUnread {
					a.status = rapsheet.ExitIncomplete
				}
			}
		}
	}
	return a.output(output, func(w io.Writer) error {
		bw := bufio.NewWriterSize(w, 64<<10)
		doc := sbom.Document{
			Name: strings.Join(targets, ", "), Created: a.env.Now(), ToolVersion: a.env.Version,
		}
		if err := write(bw, doc, found); err != nil {
			return err
		}
		if stopped != nil {
			return stopped
		}
		return bw.Flush()
	})
}
