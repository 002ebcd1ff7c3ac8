package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/advisory"
	"github.com/rapsheet/rapsheet/internal/catalog"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/export"
	"github.com/rapsheet/rapsheet/internal/source/claimfile"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/osv"
)

func (a *app) exportCommand() *cobra.Command {
	var st storeFlags
	var from, output, name, eco string
	var all bool
	var opt export.Options
	cmd := &cobra.Command{
		Use:   "export FORMAT",
		Short: "write records in the formats of other tools",
		Long: `Export writes the records in force (with --all also those disputed or withdrawn, in formats that
can say so) as other tools read them, from the store, or from a snapshot with --catalog. The formats:

` + formatHelp() + `
A format that is a directory needs -o DIR; what an earlier export left there is replaced.`,
		Example: `  rapsheet catalog export csv --campaign shai-hulud-2 -o campaign.csv
  rapsheet catalog export osv-scanner --catalog installed -o ~/osv-db`,
		Args: args(cobra.ExactArgs(1), "name one format; choose with --campaign and --ecosystem"),
		RunE: func(cmd *cobra.Command, words []string) error {
			ctx := cmd.Context()
			format, ok := export.Find(words[0])
			if !ok && words[0] != claimsFormat {
				return &usageError{fmt.Sprintf("unknown format %q", words[0]), "one of: " + strings.Join(formatNames(), ", ")}
			}
			if format.File == nil && output == "" {
				return &usageError{words[0] + " is a directory", "say where: -o DIR"}
			}
			if opt.Over != "" && format.Over == "" {
				return &usageError{words[0] + " cannot be merged over another file", "leave out --over"}
			}
			var err error
			if opt.Links.Base, err = baseURL("--links", opt.Links.Base); err != nil {
				return err
			}
			if opt.Server, err = baseURL("--server", opt.Server); err != nil {
				return err
			}
			if ok && format.Needs == "--server" && opt.Server == "" {
				return &usageError{words[0] + " holds addresses of its own files", "say where it will be served: --server URL"}
			}
			want := func(rec *osv.Record) bool {
				return (all || !rec.IsWithdrawn()) && (name == "" || export.Campaign(rec) == name) &&
					(eco == "" || slices.ContainsFunc(rec.Affected, func(of osv.Affected) bool { return of.Package.Ecosystem == eco }))
			}
			if ok && format.Needs == "--links" && opt.Links.Base == "" {
				return &usageError{words[0] + " names who publishes by an address", "say where records are shown: --links URL"}
			}
			if from != "" {
				if !ok || st.store != "" {
					return &usageError{"--catalog and the store exclude each other", "claim files are written from a store only"}
				}
				o, err := a.catalogs(ctx, []string{from})
				if err != nil {
					return err
				}
				defer o.Close()
				return a.export(ctx, format, chosen(o.open[0].Documents(), want), o.infos[0].Date, output, opt)
			}
			return a.withCatalog(ctx, &st, nil, func(c *catalog.Catalog) error {
				return c.Store.View(ctx, func(r store.Reader) error {
					records := r.Records(ctx)
					if name != "" {
						campaigns, err := r.Campaigns(ctx)
						if err != nil {
							return err
						}
						if !slices.ContainsFunc(campaigns, func(c store.Campaign) bool { return c.Name == name }) {
							return &usageError{"no campaign is called " + name, "`rapsheet catalog campaign` lists them"}
						}
						records = r.Members(ctx, name)
					}
					if !ok {
						return exportClaims(ctx, r, output, func(yield func(store.Record, error) bool) {
							for rec, err := range records {
								if err == nil && (!all && rec.State != store.Active || eco != "" && rec.Key.Ecosystem != eco) {
									continue
								}
								if !yield(rec, err) {
									return
								}
							}
						})
					}
					name = "" // the store has chosen
					documents := chosen(func(yield func([]byte, error) bool) {
						for rec, err := range records {
							if !yield(rec.JSON, err) {
								return
							}
						}
					}, want)
					return a.export(ctx, format, documents, time.Time{}, output, opt)
				})
			})
		},
	}
	st.bind(cmd)
	fl := cmd.Flags()
	fl.StringVar(&from, "catalog", "", "take the records of `FILE`, a snapshot or release, or of the installed catalog (installed), instead of the store's")
	fl.StringVarP(&output, "output", "o", "", "write to `FILE`, or the directory (whole or not at all), instead of standard output")
	fl.StringVar(&name, "campaign", "", "records of the campaign `NAME` only")
	fl.StringVar(&eco, "ecosystem", "", "records of the ecosystem `NAME` only")
	fl.BoolVar(&all, "all", false, "disputed and withdrawn records too")
	fl.StringVar(&opt.Over, "over", "", "merge over `PATH`, what the ecosystem's own keepers publish in this format, all of which is kept")
	fl.StringVar(&opt.Links.Base, "links", "", "`URL` below which each record is shown under its id (default: the record's own advisory, else its page at osv.dev)")
	fl.StringVar(&opt.Server, "server", "", "`URL` that the directory will be served under, for formats with addresses of their own files")
	fl.StringVar(&opt.Publisher, "publisher", "rapsheet", "who publishes, in `WORDS`, for formats that name it")
	return cmd
}

// claimsFormat is the one format that is written from the store's claims and not from records.
const claimsFormat = "claims"

func formatNames() []string {
	out := []string{claimsFormat}
	for _, f := range export.Formats() {
		out = append(out, f.Name)
	}
	slices.Sort(out)
	return out
}

// formatHelp lists the formats for --help, one to a line.
func formatHelp() string {
	var b strings.Builder
	for _, f := range export.Formats() {
		kind := ""
		if f.Tree != nil {
			kind = " (directory)"
		}
		if f.Over != "" {
			kind += ", --over " + f.Over
		}
		fmt.Fprintf(&b, "  %-18s %s%s\n", f.Name, f.About, kind)
	}
	fmt.Fprintf(&b, "  %-18s %s\n", claimsFormat, "claim files, one for each claim that the records rest on; docs/claim-files.md (directory)")
	return b.String()
}

// baseURL checks an address that others are put below, and gives it without a slash at its end.
func baseURL(flag, raw string) (string, error) {
	if raw == "" {
		return "", nil
	}
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", &usageError{flag + " is not an address that others can be put below", "give it as https://host/path, without credentials or a query"}
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// chosen are the documents whose records are wanted.
func chosen(documents iter.Seq2[[]byte, error], want func(*osv.Record) bool) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for doc, err := range documents {
			if err == nil {
				var rec *osv.Record
				if rec, _, err = osv.Parse(doc); err != nil {
					err = fmt.Errorf("record %.100q: %w", doc, err)
				} else if !want(rec) {
					continue
				}
			}
			if !yield(doc, err) {
				return
			}
		}
	}
}

func (a *app) export(ctx context.Context, f export.Format, documents iter.Seq2[[]byte, error], date time.Time, output string, opt export.Options) error {
	c, err := export.Load(ctx, documents, date)
	if err != nil {
		return err
	}
	left := map[string]int{}
	opt.Leave = func(_ *advisory.Advisory, why string) { left[why]++ }
	defer func() {
		for _, why := range slices.Sorted(maps.Keys(left)) {
			fmt.Fprintf(a.stderr, "rapsheet: %d left out: %s\n", left[why], why)
		}
	}()
	if f.File != nil {
		return a.output(output, func(w io.Writer) error { return f.File(ctx, c, w, opt) })
	}
	err = export.WriteTree(ctx, f, c, output, opt)
	var path *fs.PathError
	switch {
	case errors.Is(err, export.ErrExists):
		return &usageError{err.Error(), "name a directory that is not there: what is in it would be lost"}
	case errors.As(err, &path):
		return &outputError{err}
	}
	return err
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
