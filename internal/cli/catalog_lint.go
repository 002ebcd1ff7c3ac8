package cli

import (
	"errors"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/lint"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/internal/source"
)

func (a *app) lintCommand() *cobra.Command {
	var rules string
	var quiet bool
	cmd := &cobra.Command{
		Use:   "lint PATH…",
		Short: "check records against the schema and the rules of their readers",
		Long: `Lint checks OSV records in directories, archives and single files: osv is the OSV schema
and the rules of ecosystems; upstream adds what ossf/malicious-packages accepts, with the
places of files; served adds what every known reader of a release needs.
It exits with 1 when there are errors, and with 3 when something could not be read.`,
		Example: `  rapsheet catalog lint malicious-packages/ --rules upstream
  rapsheet catalog lint MAL-0000-acme-1.json`,
		Args: args(cobra.MinimumNArgs(1), "name records: a directory, an archive or a file"),
		RunE: func(cmd *cobra.Command, paths []string) error {
			set, err := lint.ParseRules(rules)
			if err != nil {
				return &usageError{err.Error(), "--rules osv, upstream or served"}
			}
			documents, faults, warnings := 0, 0, 0
			for _, path := range paths {
				files := func(yield func(lint.File, error) bool) {
					for d, err := range source.Documents(cmd.Context(), path, source.Limits{}) {
						if err == nil {
							documents++
						}
						if !yield(lint.File{Path: d.Name, Data: d.Data}, err) {
							return
						}
					}
				}
				if err := a.lintTree(cmd, files, set, quiet, &faults, &warnings); err != nil {
					return err
				}
			}
			fmt.Fprintf(a.stdout, "%d documents: %d errors, %d warnings\n", documents, faults, warnings)
			if faults > 0 {
				a.status = rapsheet.ExitFound
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&rules, "rules", "osv", "osv, upstream or served")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "do not print warnings")
	return cmd
}

func (a *app) lintTree(cmd *cobra.Command, files iter.Seq2[lint.File, error], set lint.Rules, quiet bool, faults, warnings *int) error {
	for p, err := range lint.Tree(cmd.Context(), files, set) {
		var reject *source.Reject
		switch {
		case errors.As(err, &reject):
			fmt.Fprintln(a.stderr, "rapsheet: "+printable.Line(reject.Error()))
			a.status = rapsheet.ExitIncomplete
			continue
		case err != nil:
			return err
		case p.Severity == lint.Warning:
			if *warnings++; quiet {
				continue
			}
		default:
			*faults++
		}
		fmt.Fprintln(a.stdout, p)
		if p.Advice != "" {
			fmt.Fprintln(a.stdout, "  "+printable.Line(p.Advice))
		}
	}
	return nil
}
