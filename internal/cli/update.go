package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/catalog"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/internal/source"
)

// feedDir is where the fetched records are kept, in the user's data directory.
const feedDir = "feed"

func (a *app) updateCommand() *cobra.Command {
	var from string
	var only []string
	var opt source.Options
	cmd := &cobra.Command{
		Use:   "update",
		Short: "fetch the public list of malicious packages",
		Long: `Update fetches the records of malicious packages from a data dump in OSV.dev's layout
into your catalog: the first time each ecosystem's all.zip, later only what changed. A
download that fails or is interrupted leaves the old catalog in place and is resumed the
next time. A source that suddenly lacks more than 10 % of its records is refused.

It is the only command here that uses the network. The catalog is kept in RAPSHEET_HOME,
by default the platform's directory for application data.`,
		Example: `  rapsheet update
  rapsheet update --from https://mirror.example/osv
  rapsheet update --from /mnt/osv-dump --ecosystem npm --ecosystem PyPI`,
		Args: args(cobra.NoArgs, "to fetch from another place: --from URL|DIR"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.update(cmd.Context(), from, only, opt)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "`URL|DIR` of the dump (default: OSV.dev's public bucket)")
	cmd.Flags().StringArrayVar(&only, "ecosystem", nil, "fetch `NAME` only; may be repeated (default: all that rapsheet knows)")
	cmd.Flags().BoolVar(&opt.Full, "full", false, "download everything again")
	cmd.Flags().BoolVar(&opt.Force, "force", false, "accept a source that lost more than 10 % of its records")
	return cmd
}

func (a *app) update(ctx context.Context, from string, only []string, opt source.Options) error {
	dir, err := a.dataDir()
	if err != nil {
		return err
	}
	feed := filepath.Join(dir, feedDir)
	if err := os.MkdirAll(feed, 0o755); err != nil {
		return err
	}
	p := a.progress()
	defer p.end()
	d := &source.Dump{Base: from, Version: a.env.Version, Logger: a.logger(), Progress: func(s source.Progress) {
		if s.Total > 0 {
			p.set("%s: %s, %d of %d", s.Ecosystem, s.Step, s.Done, s.Total)
		} else {
			p.set("%s: %s, %d", s.Ecosystem, s.Step, s.Done)
		}
	}}
	if d.Ecosystems, err = a.wanted(ctx, d, only); err != nil {
		var usage *usageError
		if errors.As(err, &usage) {
			return usage
		}
		return &catalogError{fmt.Errorf("update: %w", err), "the old catalog is still in place"}
	}
	started := a.env.Now()
	result, failed := d.Update(ctx, feed, opt)
	if errors.Is(failed, context.Canceled) {
		return failed
	}
	changed, broken := 0, 0
	for _, e := range result.Ecosystems {
		a.printEcosystem(e)
		if e.Changed {
			changed++
		}
		if e.Err != nil {
			broken++
		}
	}
	path := filepath.Join(dir, catalogFile)
	if err := a.rebuild(ctx, feed, path, d.Base, changed > 0, failed == nil, p); err != nil {
		return errors.Join(failed, err)
	}
	if failed != nil {
		var shrunk *source.ShrunkError
		hint := "the old catalog is still in place"
		switch {
		case errors.As(failed, &shrunk):
			hint = "the old records are kept; if the source is right, accept it with --force"
		case broken < len(result.Ecosystems):
			hint = "what could be fetched is in the catalog; run `rapsheet update` again for the rest"
		}
		if broken > 0 {
			// Each one's error is printed above.
			failed = fmt.Errorf("%d of %d ecosystems failed", broken, len(result.Ecosystems))
		}
		return &catalogError{fmt.Errorf("update: %w", failed), hint}
	}
	p.set("")
	fmt.Fprintf(a.stdout, "%s: up to date as of %s\n", printable.Line(path), started.UTC().Format("2006-01-02 15:04 MST"))
	return nil
}

// wanted gives the ecosystems to fetch: those named, or those that both the dump
// and rapsheet know.
func (a *app) wanted(ctx context.Context, d *source.Dump, only []string) ([]string, error) {
	for _, name := range only {
		if _, ok := ecosystem.Find(name); !ok {
			return nil, &usageError{fmt.Sprintf("unknown ecosystem %q", name), "OSV's names are case-sensitive: " + strings.Join(known(), ", ")}
		}
	}
	if len(only) > 0 {
		return only, nil
	}
	there, err := d.List(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range there {
		if _, ok := ecosystem.Find(name); ok && !strings.Contains(name, ":") {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the dump lists no ecosystem that rapsheet knows: is it in OSV.dev's layout?")
	}
	return out, nil
}

func known() []string {
	var out []string
	for _, e := range ecosystem.All() {
		out = append(out, e.Name)
	}
	return out
}

func (a *app) printEcosystem(e source.EcosystemResult) {
	name := printable.Line(e.Ecosystem)
	switch {
	case e.Err != nil:
		fmt.Fprintf(a.stdout, "%-16s failed, nothing changed: %s\n", name, printable.Line(e.Err.Error()))
		return
	case !e.Changed:
		fmt.Fprintf(a.stdout, "%-16s %d records, nothing new\n", name, e.Records)
	default:
		fmt.Fprintf(a.stdout, "%-16s %d records: %d added, %d changed, %d removed\n", name, e.Records, e.Added, e.Updated, e.Removed)
	}
	if e.Rejected > 0 {
		fmt.Fprintf(a.stdout, "%-16s %d documents could not be used, the first: %s\n", "", e.Rejected, printable.Line(e.Rejects[0].Error()))
	}
}

// rebuild writes the catalog from the fetched records, if they changed or there
// is none yet; otherwise, when all was asked for, it only renews its date.
func (a *app) rebuild(ctx context.Context, feed, path, base string, changed, complete bool, p *progress) error {
	if base == "" {
		base = source.DefaultBase
	}
	old, err := index.Open(path)
	if err == nil {
		defer old.Close()
	}
	if err == nil && !changed {
		if !complete {
			return nil
		}
		return writeFile(path, func(w io.Writer) error { return old.Redate(w, a.env.Now().UTC()) })
	}
	defer sparing()()
	b, report, err := catalog.Build(ctx, []catalog.Input{{Name: feed, Documents: source.Stored(feed)}}, a.env.Now(), func(n int) { p.set("%d records read", n) })
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, source.ErrNoRecords) {
		return nil // nothing was ever fetched; the update's own error says why
	}
	if err != nil {
		return err
	}
	p.set("writing %d records", report.Records)
	meta := index.Meta{Source: safeURL(base)}
	if complete {
		meta.Date = a.env.Now().UTC()
	}
	return writeFile(path, func(w io.Writer) error { return b.WriteTo(w, meta) })
}

// safeURL is base without credentials.
func safeURL(base string) string {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return base
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}
