package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/catalog"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/source/claimfile"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/osv"
)

func (a *app) exportCommand() *cobra.Command {
	var st storeFlags
	var format, output, campaign, eco string
	var all bool
	cmd := &cobra.Command{
		Use:   "export",
		Short: "write records in other shapes: JSON lines, CSV, lines",
		Long: `Export writes the records of the store that are in force (with --all also those disputed
or withdrawn): jsonl is one OSV record per line, csv a table with a row per record, lines
"ecosystem:name@version", one version per line and "*" for every version; claims a new directory of
claim files (docs/claim-files.md), one for each claim that those records rest on.`,
		Example: `  rapsheet catalog export --format csv --campaign shai-hulud-2 -o campaign.csv`,
		Args:    args(cobra.NoArgs, "choose with --campaign and --ecosystem"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			write := map[string]func(io.Writer, iter.Seq2[store.Record, error]) error{"jsonl": exportJSONL, "csv": exportCSV, "lines": exportLines}[format]
			if write == nil && format != "claims" {
				return &usageError{fmt.Sprintf("unknown format %q", format), "one of: jsonl, csv, lines, claims"}
			}
			if format == "claims" && output == "" {
				return &usageError{"claim files need a directory", "say where: -o DIR"}
			}
			ctx := cmd.Context()
			return a.withCatalog(ctx, &st, nil, func(c *catalog.Catalog) error {
				return c.Store.View(ctx, func(r store.Reader) error {
					records := r.Records(ctx)
					if campaign != "" {
						all, err := r.Campaigns(ctx)
						if err != nil {
							return err
						}
						if !slices.ContainsFunc(all, func(c store.Campaign) bool { return c.Name == campaign }) {
							return &usageError{"no campaign is called " + campaign, "`rapsheet catalog campaign` lists them"}
						}
						records = r.Members(ctx, campaign)
					}
					chosen := func(yield func(store.Record, error) bool) {
						for rec, err := range records {
							if err == nil && (!all && rec.State != store.Active || eco != "" && rec.Key.Ecosystem != eco) {
								continue
							}
							if !yield(rec, err) {
								return
							}
						}
					}
					if write == nil {
						return exportClaims(ctx, r, output, chosen)
					}
					return a.output(output, func(w io.Writer) error {
						bw := bufio.NewWriterSize(w, 64<<10)
						if err := write(bw, chosen); err != nil {
							return err
						}
						return bw.Flush()
					})
				})
			})
		},
	}
	st.bind(cmd)
	fl := cmd.Flags()
	fl.StringVar(&format, "format", "jsonl", "jsonl, csv, lines or claims")
	fl.StringVarP(&output, "output", "o", "", "write to `FILE`, or the directory of claim files (whole or not at all), instead of standard output")
	fl.StringVar(&campaign, "campaign", "", "records of the campaign `NAME` only")
	fl.StringVar(&eco, "ecosystem", "", "records of the ecosystem `NAME` only")
	fl.BoolVar(&all, "all", false, "disputed and withdrawn records too")
	return cmd
}

func exportJSONL(w io.Writer, records iter.Seq2[store.Record, error]) error {
	for rec, err := range records {
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s\n", rec.JSON); err != nil {
			return err
		}
	}
	return nil
}

// exportCSV writes RFC 4180 with the columns that `catalog import` reads back.
func exportCSV(w io.Writer, records iter.Seq2[store.Record, error]) error {
	c := csv.NewWriter(w)
	if err := c.Write([]string{"id", "ecosystem", "name", "versions", "purl", "state", "campaign", "published", "modified"}); err != nil {
		return err
	}
	for rec, err := range records {
		if err != nil {
			return err
		}
		doc, _, err := osv.Parse(rec.JSON)
		if err != nil {
			return fmt.Errorf("record %s in the store: %w", rec.ID, err)
		}
		a := doc.Affected[0]
		err = c.Write([]string{
			rec.ID, a.Package.Ecosystem, a.Package.Name, strings.Join(versionWords(&a), " "), a.Package.PURL,
			stateWord(rec.State), rec.Campaign, string(doc.Published), string(doc.Modified),
		})
		if err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

func exportLines(w io.Writer, records iter.Seq2[store.Record, error]) error {
	for rec, err := range records {
		if err != nil {
			return err
		}
		doc, _, err := osv.Parse(rec.JSON)
		if err != nil {
			return fmt.Errorf("record %s in the store: %w", rec.ID, err)
		}
		for _, v := range versionWords(&doc.Affected[0]) {
			if _, err := fmt.Fprintf(w, "%s:%s@%s\n", doc.Affected[0].Package.Ecosystem, doc.Affected[0].Package.Name, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// versionWords lists exact versions, and ranges as lists write them.
func versionWords(a *osv.Affected) []string {
	out := slices.Clone(a.Versions)
	for _, g := range a.Ranges {
		if g.Type == osv.RangeGit {
			continue
		}
		text := ""
		for _, e := range g.Events {
			switch {
			case e.Introduced != "" && e.Introduced != "0":
				text += ",>=" + e.Introduced
			case e.Fixed != "":
				text += ",<" + e.Fixed
			case e.LastAffected != "":
				text += ",<=" + e.LastAffected
			}
		}
		if text == "" {
			text = ",*"
		}
		out = append(out, text[1:])
	}
	return out
}

// exportClaims writes a claim file for every claim in force about the packages of the records, into a new directory. The
// names of files are made of slugs and a digest, so that no name of a package is a path.
func exportClaims(ctx context.Context, r store.Reader, dir string, records iter.Seq2[store.Record, error]) error {
	var keys []rapsheet.Key
	for rec, err := range records {
		if err != nil {
			return err
		}
		keys = append(keys, rec.Key)
	}
	slices.SortFunc(keys, func(a, b rapsheet.Key) int {
		return cmp.Or(strings.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Name, b.Name))
	})
	keys = slices.Compact(keys)
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return &usageError{fmt.Sprintf("%s is there already", dir), "name a directory that is not: what was in it would be mixed with what is written"}
	}
	temp, err := os.MkdirTemp(filepath.Dir(filepath.Clean(dir)), ".claims-*")
	if err != nil {
		return &outputError{err}
	}
	defer os.RemoveAll(temp)
	for batch := range slices.Chunk(keys, 5000) {
		claims, err := r.Claims(ctx, batch)
		if err != nil {
			return err
		}
		for _, c := range claims {
			if c.Status != store.Standing {
				continue
			}
			data, err := claimfile.Write(c.Claim)
			if err != nil {
				return fmt.Errorf("claim %s of %s: %w", c.Ref, c.Source, err)
			}
			sub := filepath.Join(temp, claim.Slug(c.Ecosystem))
			if err := os.MkdirAll(sub, 0o755); err != nil {
				return &outputError{err}
			}
			name := fmt.Sprintf("%s-%x%s", claim.Slug(c.Name), c.Digest[:4], claimfile.Extension)
			if err := os.WriteFile(filepath.Join(sub, name), data, 0o644); err != nil {
				return &outputError{err}
			}
		}
	}
	if err := os.Chmod(temp, 0o755); err != nil {
		return &outputError{err}
	}
	if err := os.Rename(temp, dir); err != nil {
		return &outputError{err}
	}
	return nil
}
