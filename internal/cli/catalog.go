package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/catalog"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/osv"
)

func (a *app) catalogCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "catalog",
		Short: "keep the list: import, review, publish; build and search catalogs",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{fmt.Sprintf("unknown command %q", "catalog "+args[0]), "see `rapsheet catalog --help`"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.buildCommand(), a.infoCommand(), a.showCommand(), a.searchCommand(),
		a.importCommand(), a.statusCommand(), a.reviewCommand(),
		a.recordCommand(catalog.Withdraw, "take a record back: disputed first, withdrawn the second time",
			`Withdraw takes a record back by way of dispute: the first time it becomes disputed, which
is shown and fails no build, the second time withdrawn. A record that several independent
origins stand by is not withdrawn so. Nothing is deleted: a withdrawn record is kept.`),
		a.recordCommand(catalog.Dispute, "doubt a record: it is shown, and fails no build",
			`Dispute marks a record as doubtful. Scans show it and do not fail for it; tools that know
no doubt see it as withdrawn.`),
		a.recordCommand(catalog.Restore, "put a withdrawn or disputed record back in force",
			`Restore puts a record back in force, whatever its sources say.`),
		a.narrowCommand(), a.campaignCommand(), a.publishCommand(), a.exportCommand(), a.diffCommand(), a.reconcileCommand(), a.lintCommand())
	return cmd
}

// maxListed is how many rejected documents are printed one by one.
const maxListed = 20

func (a *app) buildCommand() *cobra.Command {
	var output, name string
	var sequence uint64
	cmd := &cobra.Command{
		Use:   "build -o FILE SOURCE…",
		Short: "compile OSV records into a catalog file",
		Long: `Build reads OSV records from directory trees, single .json files, JSON lines, .zip,
.tar, .tar.gz and .tar.zst (recognised by content), keeps those of malicious packages
(MAL- ids, aliases to one, GitHub advisories about malware: CWE-506) and writes one catalog
file. What was left out is counted with the reason. It exits with 3 when records had
to be rejected, and the file is written all the same.`,
		Example: `  rapsheet catalog build -o malicious.idx malicious-packages/osv
  rapsheet catalog build -o all.idx npm/all.zip PyPI/all.zip own.jsonl`,
		Args: args(cobra.MinimumNArgs(1), "name where the records are: a directory, .json, .jsonl, .zip or .tar"),
		RunE: func(cmd *cobra.Command, sources []string) error {
			if output == "" {
				return &usageError{"no output file", "say where to write the catalog: -o FILE"}
			}
			defer sparing()()
			p := a.progress()
			var inputs []catalog.Input
			for _, s := range sources {
				inputs = append(inputs, catalog.Input{Name: s, Documents: source.Documents(cmd.Context(), s, source.Limits{})})
			}
			b, report, err := catalog.Build(cmd.Context(), inputs, a.env.Now(), func(n int) { p.set("%d documents read", n) })
			if err != nil {
				p.end()
				return err
			}
			p.set("writing %d records", report.Records)
			if name == "" {
				name = strings.Join(sources, ", ")
			}
			err = writeFile(output, func(w io.Writer) error {
				return b.WriteTo(w, index.Meta{Source: name, Sequence: sequence})
			})
			p.end()
			if err != nil {
				return err
			}
			a.printBuild(report, output)
			if len(report.Rejected) > 0 {
				a.status = rapsheet.ExitIncomplete
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "the catalog `FILE` to write (whole or not at all)")
	cmd.Flags().StringVar(&name, "source", "", "what to call the source in the catalog (default: the arguments)")
	cmd.Flags().Uint64Var(&sequence, "sequence", 0, "the release's number, if you count releases")
	return cmd
}

func (a *app) printBuild(r catalog.Report, output string) {
	fmt.Fprintf(a.stdout, "%s: %d records of malicious packages from %d documents\n", printable.Line(output), r.Records, r.Documents)
	for _, reason := range slices.Sorted(maps.Keys(r.Skipped)) {
		fmt.Fprintf(a.stdout, "  skipped %d: %s\n", r.Skipped[reason], reason)
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Flags)) {
		fmt.Fprintf(a.stdout, "  accepted %d with a flag: %s\n", r.Flags[kind], kind)
	}
	if len(r.Rejected) == 0 {
		return
	}
	fmt.Fprintf(a.stdout, "  rejected %d:\n", len(r.Rejected))
	for i, x := range r.Rejected {
		if i == maxListed {
			fmt.Fprintf(a.stdout, "    … and %d more\n", len(r.Rejected)-maxListed)
			break
		}
		fmt.Fprintf(a.stdout, "    %s: %s\n", printable.Line(x.Name), printable.Line(x.Reason))
	}
}

func (a *app) infoCommand() *cobra.Command {
	var paths []string
	var verify bool
	cmd := &cobra.Command{
		Use:   "info",
		Short: "describe the catalog in use",
		Example: `  rapsheet catalog info
  rapsheet catalog info --verify --catalog malicious.idx`,
		Args: args(cobra.NoArgs, "name a catalog with --catalog"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cats, err := a.catalogs(cmd.Context(), paths)
			if err != nil {
				return err
			}
			defer cats.Close()
			for i, ix := range cats.open {
				m := ix.Meta()
				fmt.Fprintf(a.stdout, "catalog:    %s\n", printable.Line(cats.infos[i].Source))
				fmt.Fprintf(a.stdout, "made from:  %s\n", printable.Line(m.Source))
				if m.Sequence > 0 {
					fmt.Fprintf(a.stdout, "sequence:   %d\n", m.Sequence)
				}
				days := int(a.env.Now().Sub(m.Date).Hours() / 24)
				fmt.Fprintf(a.stdout, "date:       %s (%d days old)\n", m.Date.UTC().Format("2006-01-02 15:04 MST"), days)
				fmt.Fprintf(a.stdout, "records:    %d about %d packages, %d disputed, %d withdrawn\n", m.Records, m.Packages, m.Disputed, m.Withdrawn-m.Disputed)
				if m.Unmatched > 0 {
					fmt.Fprintf(a.stdout, "unmatched:  %d records of ecosystems that cannot be looked up\n", m.Unmatched)
				}
				for _, e := range slices.Sorted(maps.Keys(m.Ecosystems)) {
					fmt.Fprintf(a.stdout, "  %-16s %d\n", printable.Line(e), m.Ecosystems[e])
				}
				if cats.infos[i].BuiltIn {
					fmt.Fprintln(a.stdout, "This is the built-in list of well-known incidents, no substitute for a catalog: run `rapsheet update`.")
				}
				if !verify {
					continue
				}
				if err := ix.Verify(); err != nil {
					return unusable(err)
				}
				fmt.Fprintln(a.stdout, "verified:   every checksum and every record")
			}
			return nil
		},
	}
	catalogFlag(cmd, &paths)
	cmd.Flags().BoolVar(&verify, "verify", false, "read the whole file and check every checksum and record")
	return cmd
}

func catalogFlag(cmd *cobra.Command, paths *[]string) {
	cmd.Flags().StringArrayVar(paths, "catalog", nil, catalogUsage)
}

func (a *app) showCommand() *cobra.Command {
	var paths []string
	cmd := &cobra.Command{
		Use:   "show ID|PURL…",
		Short: "print full records as JSON",
		Example: `  rapsheet catalog show MAL-2024-3992
  rapsheet catalog show GHSA-9x64-5r7x-2q53
  rapsheet catalog show pkg:npm/flatmap-stream`,
		Args: args(cobra.MinimumNArgs(1), "name a record or a package, for example `rapsheet catalog show MAL-2024-3992`"),
		RunE: func(cmd *cobra.Command, names []string) error {
			cats, err := a.catalogs(cmd.Context(), paths)
			if err != nil {
				return err
			}
			defer cats.Close()
			var missing []string
			for _, name := range names {
				recs, err := find(cats.open, name)
				if err != nil {
					return err
				}
				for _, r := range recs {
					if err := a.printRecord(r); err != nil {
						return err
					}
				}
				if len(recs) == 0 {
					missing = append(missing, name)
				}
			}
			if len(missing) > 0 {
				return &usageError{"not in the catalog: " + strings.Join(missing, ", "), "to search texts: `rapsheet catalog search TEXT`"}
			}
			return nil
		},
	}
	catalogFlag(cmd, &paths)
	return cmd
}

// find gives the records with an id or alias, or about a package.
func find(indexes []*index.Index, name string) ([]*osv.Record, error) {
	var out []*osv.Record
	if !strings.HasPrefix(name, "pkg:") {
		for _, ix := range indexes {
			recs, err := ix.ByID(name)
			if err != nil {
				return nil, unusable(err)
			}
			out = append(out, recs...)
		}
		return out, nil
	}
	p, _, err := ecosystem.ParsePURL(name)
	if err != nil {
		return nil, &usageError{fmt.Sprintf("%q is not a package URL that can be looked up: %v", name, err), "a package URL looks like pkg:npm/name"}
	}
	key, _ := ecosystem.KeyOf(p)
	for _, ix := range indexes {
		recs, err := ix.Lookup(key)
		if err != nil {
			return nil, unusable(err)
		}
		for _, r := range recs {
			doc, err := ix.Document(r)
			if err != nil {
				return nil, unusable(err)
			}
			out = append(out, doc)
		}
	}
	return out, nil
}

// printRecord prints a record as indented JSON; what a terminal would act on is
// written as a JSON escape, which reads back as the same text.
func (a *app) printRecord(r *osv.Record) error {
	raw, err := r.Marshal()
	if err != nil {
		return err
	}
	v := jsontext.Value(raw)
	if err := v.Format(jsontext.Multiline(true), jsontext.WithIndent("  ")); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", escapeJSON(v))
	return err
}

// escapeJSON writes every character of a JSON text that does not print as its
// JSON escape. Outside strings there are none but line breaks, which stay.
func escapeJSON(v []byte) []byte {
	out := make([]byte, 0, len(v))
	for _, r := range string(v) {
		switch {
		case r == '\n' || printable.Rune(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

func (a *app) searchCommand() *cobra.Command {
	var paths []string
	var limit int
	cmd := &cobra.Command{
		Use:   "search TEXT",
		Short: "find records that mention a text",
		Long: `Search prints one line for every record whose document contains TEXT, letters compared
without case: id, package, summary.`,
		Example: `  rapsheet catalog search shai-hulud
  rapsheet catalog search 'discord token' --limit 10`,
		Args: args(cobra.ExactArgs(1), "give one text; put several words into quotes"),
		RunE: func(cmd *cobra.Command, words []string) error {
			cats, err := a.catalogs(cmd.Context(), paths)
			if err != nil {
				return err
			}
			defer cats.Close()
			n := 0
			for _, ix := range cats.open {
				if err := a.search(cmd.Context(), ix, []byte(strings.ToLower(words[0])), limit, &n); err != nil {
					return err
				}
			}
			if n == 0 {
				fmt.Fprintf(a.stderr, "rapsheet: no record mentions %s\n", printable.Line(words[0]))
			}
			if limit > 0 && n > limit {
				fmt.Fprintf(a.stdout, "… and %d more (--limit 0 shows all)\n", n-limit)
			}
			return nil
		},
	}
	catalogFlag(cmd, &paths)
	cmd.Flags().IntVar(&limit, "limit", 50, "print at most this many records, 0 for all")
	return cmd
}

func (a *app) search(ctx context.Context, ix *index.Index, text []byte, limit int, n *int) error {
	for doc, err := range ix.Documents() {
		if err != nil {
			return unusable(err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !bytes.Contains(bytes.ToLower(doc), text) {
			continue
		}
		*n++
		if limit > 0 && *n > limit {
			continue
		}
		r, _, err := osv.Parse(doc)
		if err != nil {
			return unusable(fmt.Errorf("%w: %w", index.ErrDamaged, err))
		}
		var pkg string
		if len(r.Affected) > 0 {
			pkg = r.Affected[0].Package.Ecosystem + "/" + r.Affected[0].Package.Name
		}
		state := ""
		if _, disputed := rapsheet.DisputeOf(r); disputed {
			state = " (disputed)"
		} else if r.IsWithdrawn() {
			state = " (withdrawn)"
		}
		fmt.Fprintf(a.stdout, "%s  %s  %s%s\n", printable.Line(r.ID), printable.Name(pkg), printable.Line(r.Summary), state)
	}
	return nil
}
