package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/catalog"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/internal/source/claimfile"
	"github.com/rapsheet/rapsheet/internal/source/github"
	"github.com/rapsheet/rapsheet/internal/source/list"
	"github.com/rapsheet/rapsheet/internal/source/osvfeed"
	"github.com/rapsheet/rapsheet/internal/store"
)

// sourceFlags say how a source is to be read.
type sourceFlags struct {
	format, name, revision string
	list                   list.Options
	delimiter              string
}

func (f *sourceFlags) bind(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.format, "format", "", "read as `FORMAT`: list, osv, dump, github or claims (default: told by content)")
	fl.StringVar(&f.name, "name", "", "call the source `NAME`, the same at each import (default: from the file's name)")
	fl.StringVar(&f.revision, "revision", "", "read the git repository at `REV` instead of its files")
	fl.StringVar(&f.list.Ecosystem, "ecosystem", "", "lists: where lines belong that name no ecosystem")
	fl.StringVar(&f.list.Columns, "columns", "", "lists: what columns mean, `MEANING=COLUMN,…`, for example name=package,versions=2")
	fl.StringVar(&f.delimiter, "delimiter", "", "lists: what separates columns, one character or the word tab")
	fl.StringVar(&f.list.Origin, "origin", "", "lists: who found the packages, where no column says so")
	fl.StringVar(&f.list.Reference, "reference", "", "lists: a `URL` that every entry refers to")
	fl.BoolVar(&f.list.Complete, "complete", false, "lists: what is missing from the list was taken back")
}

// Formats of --format.
const (
	formatList   = "list"
	formatOSV    = "osv"
	formatDump   = "dump"
	formatGitHub = "github"
	formatClaims = "claims"
)

func (a *app) importCommand() *cobra.Command {
	var st storeFlags
	var sf sourceFlags
	var opt catalog.ImportOptions
	var yes bool
	var popular, have, listings []string
	cmd := &cobra.Command{
		Use:   "import SOURCE…",
		Short: "take in reports, feeds and lists",
		Long: `Import reads what a source says about malicious packages, merges it with what other
sources said, and shows what that changes. What a guard objects to is held until somebody
decides (` + "`rapsheet catalog review`" + `); everything else is in the next release
(` + "`rapsheet catalog publish`" + `). An import is there wholly or not at all.

A source is a list (CSV, TSV, lines, JSON, Markdown; - is standard input), a tree of
ossf/malicious-packages, OSV documents (directory, zip, tar, JSON lines), a dump in
OSV.dev's layout (directory or URL), GitHub's advisories (URL of the REST API, or its
answers in a file), or a directory of claim files (docs/claim-files.md).

Guards know what they are told: --popular and --inventory are remembered.`,
		Example: `  rapsheet catalog import list.csv --campaign shai-hulud-2 --dry-run
  rapsheet catalog import malicious-packages/ --popular npm=npm.txt --yes
  rapsheet catalog import removed.md --ecosystem NuGet --origin nuget-team --yes`,
		Args: args(cobra.MinimumNArgs(1), "name what to import: a file, a directory or a URL"),
		RunE: func(cmd *cobra.Command, sources []string) error {
			ctx := cmd.Context()
			if !yes && !opt.DryRun && !terminal(a.stdin) {
				return &usageError{"there is nobody to ask", "add --yes to import, or --dry-run to see what it would do"}
			}
			if sf.name != "" && len(sources) > 1 {
				return &usageError{"--name is for one source", "import them one by one"}
			}
			if opt.Org != "" {
				if err := catalog.CheckOrg(opt.Org); err != nil {
					return &usageError{err.Error(), "for example --org acme gives MAL-0000-acme-1"}
				}
			}
			defer sparing()()
			p := a.progress()
			defer p.end()
			var err error
			if opt.Inputs, err = a.inputs(ctx, popular, have, listings, p); err != nil {
				return err
			}
			return a.withCatalog(ctx, &st, p, func(c *catalog.Catalog) error {
				for _, s := range sources {
					if err := a.importOne(ctx, c, s, &sf, opt, yes, p); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	st.bind(cmd)
	sf.bind(cmd)
	fl := cmd.Flags()
	fl.StringVar(&opt.Campaign, "campaign", "", "put what the source says into the campaign `NAME`")
	fl.BoolVar(&opt.DryRun, "dry-run", false, "show what it would do, and change nothing")
	fl.BoolVarP(&yes, "yes", "y", false, "ask nothing; hold what the guards hold")
	fl.BoolVar(&opt.Force, "force", false, "obey a source that lost more than 10 % of its claims")
	fl.StringVar(&opt.Org, "org", "", "the block of own ids, MAL-0000-`NAME`-…; remembered (default: "+catalog.DefaultOrg+")")
	fl.StringArrayVar(&popular, "popular", nil, "names of popular packages, most important first: `ECOSYSTEM=FILE`; remembered")
	fl.StringArrayVar(&have, "inventory", nil, "an SBOM, a directory of SBOMs or a project that you have; remembered under its `PATH`")
	fl.StringArrayVar(&listings, "listing", nil, "a list of all versions that registries have: `FILE`, read as lists are; remembered")
	return cmd
}

// importOne imports one source: what was guessed is shown, then what it does, then it is asked.
func (a *app) importOne(ctx context.Context, c *catalog.Catalog, path string, sf *sourceFlags, opt catalog.ImportOptions, yes bool, p *progress) error {
	src, err := a.source(ctx, path, sf, opt.Campaign, p)
	if err != nil {
		return err
	}
	if l, ok := src.(*list.List); ok {
		for doc, err := range l.Fetch(ctx, "") {
			if err != nil {
				return err
			}
			m, err := l.Mapping(doc)
			if err != nil {
				return listError(path, err)
			}
			fmt.Fprintf(a.stdout, "%s\n", printable.Line(path))
			for line := range strings.Lines(m.String()) {
				fmt.Fprint(a.stdout, "  ", line)
			}
		}
	}
	trial := opt
	trial.DryRun = opt.DryRun || !yes
	report, err := c.Import(ctx, src, trial)
	if err != nil {
		return importError(path, err)
	}
	p.set("")
	a.printImport(report, trial.DryRun)
	if !trial.DryRun || opt.DryRun {
		return nil
	}
	if report.Same {
		return nil
	}
	answer, err := a.prompt(ctx, a.stderr, "Import this? [y/N] ")
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
		fmt.Fprintln(a.stdout, "nothing was changed")
		return nil
	}
	if _, err := c.Import(ctx, src, opt); err != nil {
		return importError(path, err)
	}
	fmt.Fprintln(a.stdout, "imported")
	return nil
}

func listError(path string, err error) error {
	return &usageError{fmt.Sprintf("%s: %v", path, err), "the mapping can be given: --ecosystem, --columns, --delimiter (see `rapsheet catalog import --help`)"}
}

// importError says what was left alone when an import failed.
func importError(path string, err error) error {
	var loss *catalog.LossError
	var shrunk *source.ShrunkError
	var fetch *catalog.FetchError
	switch {
	case errors.As(err, &loss), errors.As(err, &shrunk):
		return &catalogError{err, "nothing was changed; if the source is right, accept it with --force"}
	case errors.Is(err, source.ErrNoRecords):
		if !strings.Contains(err.Error(), path) {
			err = fmt.Errorf("%s: %w", path, err)
		}
		return &catalogError{err, "nothing was changed; is this the right place?"}
	case errors.As(err, &fetch):
		return sourceFault(err)
	}
	return err
}

// sourceFault makes the source answerable for an error of reading it that nothing else explains.
func sourceFault(err error) error {
	if status, _ := classify(err); err != nil && status == rapsheet.ExitInternal && !noRoom(err) {
		return &catalogError{err, "nothing was changed; is this the right place, and does it answer?"}
	}
	return err
}

// source finds out what a path is and how to read it.
func (a *app) source(ctx context.Context, path string, f *sourceFlags, campaign string, p *progress) (source.Source, error) {
	name := claim.Slug(f.name)
	if f.name != "" && name == "" {
		return nil, &usageError{fmt.Sprintf("%q cannot name a source", f.name), "use letters, digits and \"-\""}
	}
	lopt := f.list
	lopt.Name, lopt.Campaign = name, campaign
	switch {
	case f.delimiter == "tab":
		lopt.Delimiter = '\t'
	case len(f.delimiter) == 1:
		lopt.Delimiter = rune(f.delimiter[0])
	case f.delimiter != "":
		return nil, &usageError{"--delimiter is one character", "for example --delimiter ';' or --delimiter tab"}
	}
	if path == "-" {
		data, err := bounded.ReadAll(a.stdin, 64<<20, "standard input")
		if err != nil {
			return nil, err
		}
		if lopt.Name == "" {
			return nil, &usageError{"a list from standard input has no name", "name the source with --name"}
		}
		l, err := list.New(data, lopt)
		return l, asUsage(err)
	}
	format := f.format
	if format == "" {
		var err error
		if format, err = sniff(path); err != nil {
			return nil, err
		}
	}
	if name == "" {
		name = sourceName(path)
	}
	if f.revision != "" {
		return osvfeed.Revision(path, f.revision, name), nil
	}
	switch format {
	case formatList:
		lopt.Name = name
		l, err := list.Open(path, lopt)
		return l, asUsage(err)
	case formatClaims:
		return claimfile.Open(path, name), nil
	case formatGitHub:
		if isURL(path) {
			base, _, _ := strings.Cut(path, "/advisories")
			token := ""
			if base == github.DefaultBase || base == a.env.Getenv("GITHUB_API_URL") {
				token = a.env.Getenv("GITHUB_TOKEN")
			}
			src, err := github.New(base, github.Options{Token: token, Version: a.env.Version, Logger: a.logger()})
			return src, asUsage(err)
		}
		return github.Open(path), nil
	case formatDump:
		dir, err := a.dataDir()
		if err != nil {
			return nil, err
		}
		state := filepath.Join(dir, "sources", name)
		if err := os.MkdirAll(state, 0o755); err != nil {
			return nil, err
		}
		d := &source.Dump{Base: path, Version: a.env.Version, Logger: a.logger(), Progress: func(s source.Progress) {
			p.set("%s: %s, %d", s.Ecosystem, s.Step, s.Done)
		}}
		if d.Ecosystems, err = a.wanted(ctx, d, nil); err != nil {
			return nil, sourceFault(err)
		}
		return osvfeed.Dump(d, state, name), nil
	case formatOSV:
		if isTree(path) {
			return osvfeed.Tree(path, name), nil
		}
		return osvfeed.Documents(path, name), nil
	}
	return nil, &usageError{fmt.Sprintf("unknown format %q", format), "one of: list, osv, dump, github, claims"}
}

func asUsage(err error) error {
	if err != nil {
		return &usageError{err.Error(), "see `rapsheet catalog import --help`"}
	}
	return nil
}

func isURL(s string) bool { return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") }

// sourceName makes the name of a source from where it is.
func sourceName(path string) string {
	if isURL(path) {
		if u, err := url.Parse(path); err == nil {
			return claim.Slug(u.Hostname() + u.Path)
		}
	}
	base := filepath.Base(strings.TrimSuffix(filepath.Clean(path), string(filepath.Separator)))
	if abs, err := filepath.Abs(path); err == nil {
		base = filepath.Base(abs)
	}
	for {
		ext := filepath.Ext(base)
		if !slices.Contains(knownExtensions, strings.ToLower(ext)) || ext == base {
			return claim.Slug(base)
		}
		base = strings.TrimSuffix(base, ext)
	}
}

var knownExtensions = []string{".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".md", ".zip", ".tar", ".gz", ".tgz", ".zst", ".tzst", ".git"}

// inputs reads what the flags name for the guards to consult.
func (a *app) inputs(ctx context.Context, popular, have, listings []string, p *progress) (out []store.Input, err error) {
	add := func(kind, name string, lines []string) error {
		in, err := catalog.NewInput(kind, name, lines, a.env.Now())
		out = append(out, in)
		return err
	}
	for _, v := range popular {
		eco, path, ok := strings.Cut(v, "=")
		e, known := ecosystem.Find(eco)
		if !ok || !known {
			return nil, &usageError{fmt.Sprintf("--popular %s names no ecosystem", v), "for example --popular npm=names.txt"}
		}
		data, err := readInput(path)
		if err != nil {
			return nil, err
		}
		var names []string
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				names = append(names, line)
			}
		}
		if err := add(catalog.InputPopular, e.Name, names); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	for _, path := range have {
		lines := map[string]bool{}
		for s, err := range a.sightings(ctx, []string{path}, a.inventoryOptions(p)) {
			var note *rapsheet.Note
			if errors.As(err, &note) {
				if note.Kind == rapsheet.NoteUnread {
					fmt.Fprintf(a.stderr, "rapsheet: %s: %s\n", note.Kind, printable.Line(note.Error()))
					a.status = rapsheet.ExitIncomplete
				}
				continue
			}
			if err != nil {
				return nil, err
			}
			if key, ok := ecosystem.KeyOf(s.Package); ok {
				name := key.Ecosystem + "\t" + key.Name
				lines[name] = true
				for _, d := range s.Evidence.Digests {
					lines[name+"\t"+ecosystem.DigestText(d)] = true
				}
			}
		}
		if len(lines) == 0 {
			return nil, &usageError{fmt.Sprintf("%s lists no package", path), "name an SBOM, a project, or a directory of them"}
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		if err := add(catalog.InputInventory, abs, slices.Sorted(maps.Keys(lines))); err != nil {
			return nil, err
		}
	}
	for _, path := range listings {
		l, err := list.Open(path, list.Options{})
		if err != nil {
			return nil, asUsage(err)
		}
		var lines []string
		for doc, err := range l.Fetch(ctx, "") {
			if err != nil {
				return nil, err
			}
			parsed, err := l.Parse(doc)
			if err != nil {
				return nil, listError(path, err)
			}
			for _, cl := range parsed.Claims {
				key, ok := cl.Key()
				for _, v := range cl.Versions {
					if ok {
						lines = append(lines, key.Ecosystem+"\t"+key.Name+"\t"+v)
					}
				}
			}
		}
		if err := add(catalog.InputListing, filepath.Base(path), lines); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func readInput(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return bounded.ReadAll(f, 64<<20, path)
}

// printImport prints what an import did, or would do.
func (a *app) printImport(r *catalog.ImportReport, trial bool) {
	w := a.stdout
	verb := "imported"
	if trial {
		verb = "would import"
	}
	if r.Same {
		fmt.Fprintf(w, "%s: the same as last time, 0 changes\n", r.Source.Name)
		return
	}
	e := &r.Effect
	fmt.Fprintf(w, "%s: %s %d claims of %d documents, %d of them new or changed", r.Source.Name, verb, r.Claims, r.Documents, r.NewClaims)
	if r.Gone > 0 {
		fmt.Fprintf(w, ", %d gone", r.Gone)
	}
	fmt.Fprintf(w, "\nrecords: %d added, %d changed, %d disputed, %d withdrawn, %d restored\n", e.Added, e.Changed, e.Disputed, e.Withdrawn, e.Restored)
	fmt.Fprintf(w, "of these: %d cover every version; %d in the top 1,000 of popular packages, %d in the top 10,000; %d of packages that you have\n",
		e.AllVersions, e.Top1000, e.Top10000, e.InventoryHits)
	for i, h := range e.Popular {
		if i == maxListed {
			fmt.Fprintf(w, "  … and %d more\n", len(e.Popular)-maxListed)
			break
		}
		fmt.Fprintf(w, "  number %d of %s: %s (%s)\n", h.Rank, h.Key.Ecosystem, printable.Name(h.Key.Name), printable.Line(h.ID))
	}
	for i, h := range e.Inventory {
		if i == maxListed {
			fmt.Fprintf(w, "  … and %d more\n", e.InventoryHits-maxListed)
			break
		}
		fmt.Fprintf(w, "  you have: %s %s (%s)\n", h.Key.Ecosystem, printable.Name(h.Key.Name), printable.Line(h.ID))
	}
	if e.HeldClaims > 0 {
		fmt.Fprintf(w, "held: %d claims, waiting for `rapsheet catalog review`\n", e.HeldClaims)
		for _, g := range slices.Sorted(maps.Keys(e.Held)) {
			fmt.Fprintf(w, "  %s: %d\n", g, e.Held[g])
		}
		for i, h := range e.Holds {
			if i == maxListed {
				fmt.Fprintf(w, "  … and more\n")
				break
			}
			fmt.Fprintf(w, "    %s %s: %s\n", h.Key.Ecosystem, printable.Name(h.Key.Name), printable.Line(h.Reason))
		}
	}
	a.printNotes(r)
	if len(r.Quarantined) > 0 {
		a.status = rapsheet.ExitIncomplete
		fmt.Fprintf(w, "could not be read, and kept aside: %d\n", len(r.Quarantined))
		for i, q := range r.Quarantined {
			if i == maxListed {
				fmt.Fprintf(w, "  … and %d more\n", len(r.Quarantined)-maxListed)
				break
			}
			fmt.Fprintf(w, "  %s: %s\n", printable.Line(q.Name), printable.Line(q.Reason))
		}
	}
	if r.Kept > 0 {
		fmt.Fprintf(w, "%d claims are missing from the source and were not taken as withdrawn, because documents could not be read\n", r.Kept)
	}
	if len(r.Unguarded) > 0 {
		fmt.Fprintf(w, "no list of popular packages for %s: claims about popular packages are not held (--popular ECOSYSTEM=FILE)\n", strings.Join(r.Unguarded, ", "))
	}
}

// notesListed is how many notes with the same reason are printed one by one.
const notesListed = 5

// printNotes prints what was not understood, by reason.
func (a *app) printNotes(r *catalog.ImportReport) {
	if r.NoteCount == 0 {
		return
	}
	fmt.Fprintf(a.stdout, "notes: %d\n", r.NoteCount)
	byReason := map[string][]catalog.DocumentNote{}
	for _, n := range r.Notes {
		byReason[n.Reason] = append(byReason[n.Reason], n)
	}
	for i, reason := range slices.Sorted(maps.Keys(byReason)) {
		if i == maxListed {
			fmt.Fprintf(a.stdout, "  … and %d more reasons\n", len(byReason)-maxListed)
			return
		}
		notes := byReason[reason]
		fmt.Fprintf(a.stdout, "  %s: %d\n", printable.Line(reason), len(notes))
		for _, n := range notes[:min(len(notes), notesListed)] {
			where := printable.Line(n.Document)
			if n.Line > 0 {
				where += fmt.Sprintf(":%d", n.Line)
			}
			fmt.Fprintf(a.stdout, "    %s: %s\n", where, printable.Cut(printable.Line(n.Text), 100))
		}
		if len(notes) > notesListed {
			fmt.Fprintf(a.stdout, "    … and %d more\n", len(notes)-notesListed)
		}
	}
}
