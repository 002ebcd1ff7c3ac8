package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/catalog"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/internal/publish"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/internal/source/list"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/osv"
)

func (a *app) publishCommand() *cobra.Command {
	var st storeFlags
	var output, name string
	var opt publish.Options
	cmd := &cobra.Command{
		Use:   "publish -o DIR",
		Short: "write a release: the snapshot, an OSV dump, reports for upstream",
		Long: `Publish writes what the store holds as the next release in DIR: DIR/current leads to
  catalog.idx     for rapsheet scan --catalog
  osv/            a dump in OSV.dev's layout, for osv-scanner, Dependency-Track and others
  upstream/       new reports, ready for a pull request to ossf/malicious-packages
  campaigns.json  the campaigns and their members
  manifest.json   the SHA-256 of everything

It is checked against the release before (no id vanishes, no time goes back) and read back
before DIR/current changes. A release that is refused or interrupted leaves the old one.`,
		Example: `  rapsheet catalog publish -o /srv/rapsheet
  rapsheet scan --catalog /srv/rapsheet .`,
		Args: args(cobra.NoArgs, "name the directory with -o"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output == "" {
				return &usageError{"no directory to publish into", "say where: -o DIR"}
			}
			ctx := cmd.Context()
			defer limited()()
			p := a.progress()
			defer p.end()
			return a.withCatalog(ctx, &st, p, func(c *catalog.Catalog) error {
				opt.Logger = a.logger()
				opt.Progress = func(n int) { p.set("%d records written", n) }
				return a.publish(ctx, c, output, name, opt)
			})
		},
	}
	st.bind(cmd)
	fl := cmd.Flags()
	fl.StringVarP(&output, "output", "o", "", "the `DIR` of releases; made if it does not exist")
	fl.StringVar(&name, "source", "", "what to call the publisher in the release (default: the block of own ids)")
	fl.IntVar(&opt.Keep, "keep", 3, "keep this many releases")
	fl.BoolVar(&opt.MassWithdrawal, "mass-withdrawal", false, "publish although more than 1 % of the records are taken back")
	fl.BoolVar(&opt.Fresh, "fresh", false, "take nothing over from the release before; the result is the same")
	return cmd
}

// publishMemory is what publishing keeps to while it can, in bytes.
const publishMemory = 600 << 20

// limited lets garbage stay while there is little of anything, and has it collected
// the earlier the more is in use, until undo is called.
func limited() (undo func()) {
	limit := debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(min(limit, publishMemory))
	percent := debug.SetGCPercent(150)
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}

func (a *app) publish(ctx context.Context, c *catalog.Catalog, dir, name string, opt publish.Options) error {
	var res publish.Result
	now := a.env.Now().UTC().Truncate(time.Second)
	err := c.Store.View(ctx, func(r store.Reader) error {
		rel, err := release(ctx, c, r, dir, name, now)
		if err != nil {
			return err
		}
		res, err = publish.Publish(ctx, dir, rel, opt)
		return err
	})
	var invalid *publish.InvalidError
	switch {
	case errors.As(err, &invalid):
		return &catalogError{err, "the release before stays; if the withdrawals are right, add --mass-withdrawal"}
	case errors.Is(err, publish.ErrBusy):
		return &catalogError{err, "wait until it has ended and try again; nothing was changed"}
	case err != nil:
		return err
	}
	m := res.Manifest
	err = c.Store.Update(ctx, func(tx store.Tx) error {
		err := tx.AddRelease(ctx, store.Release{
			Sequence: m.Sequence, Time: now, Digest: res.Digest,
			Records: m.Records.All, Disputed: m.Records.Disputed, Withdrawn: m.Records.Withdrawn,
		})
		if err != nil {
			return err
		}
		return tx.AddAudit(ctx, store.AuditEntry{Time: now, Actor: c.Actor, Action: "publish", Detail: fmt.Sprintf("release %d, %d records", m.Sequence, m.Records.All)})
	})
	if err != nil {
		return fmt.Errorf("release %d is published, and the store could not note it: %w", m.Sequence, err)
	}
	ch := res.Changes
	fmt.Fprintf(a.stdout, "%s: release %d, %d records: %d in force, %d disputed, %d withdrawn\n",
		printable.Line(res.Path), m.Sequence, m.Records.All, m.Records.All-m.Records.Withdrawn-m.Records.Disputed, m.Records.Disputed, m.Records.Withdrawn)
	fmt.Fprintf(a.stdout, "since the release before: %d added, %d changed, %d withdrawn, %d restored\n", len(ch.Added), len(ch.Changed), len(ch.Withdrawn), len(ch.Restored))
	if m.Upstream.Files > 0 {
		fmt.Fprintf(a.stdout, "reports for upstream: %d\n", m.Upstream.Files)
	}
	for i, u := range res.Unreported {
		if i == maxListed {
			fmt.Fprintf(a.stdout, "  … and %d more\n", len(res.Unreported)-maxListed)
			break
		}
		fmt.Fprintf(a.stdout, "  not reported: %s: %s\n", printable.Line(u.ID), printable.Line(u.Reason))
	}
	return nil
}

// release describes the next release of what the store holds.
func release(ctx context.Context, c *catalog.Catalog, r store.Reader, dir, name string, now time.Time) (publish.Release, error) {
	org, err := c.Org(ctx, r)
	if err != nil {
		return publish.Release{}, err
	}
	if name == "" {
		name = org
	}
	rel := publish.Release{Date: now, Source: name}
	last, err := r.Releases(ctx, 1)
	if err != nil {
		return rel, err
	}
	for _, x := range last {
		rel.Sequence = x.Sequence
	}
	switch _, m, err := publish.Current(dir); {
	case err == nil:
		rel.Sequence = max(rel.Sequence, m.Sequence)
	case !errors.Is(err, publish.ErrNothing) && !errors.Is(err, os.ErrNotExist):
		return rel, err
	}
	rel.Sequence++
	if rel.Campaigns, err = campaigns(ctx, r); err != nil {
		return rel, err
	}
	own := strings.TrimSuffix(catalog.OwnID(org, 0), "0")
	rel.Records = func(yield func(publish.Record, error) bool) {
		for rec, err := range r.Records(ctx) {
			out := publish.Record{ID: rec.ID, JSON: rec.JSON, Disputed: rec.State == store.Disputed, Upstream: rec.State == store.Active && strings.HasPrefix(rec.ID, own)}
			if !yield(out, err) {
				return
			}
		}
	}
	return rel, nil
}

// campaignEntry is one campaign in campaigns.json.
type campaignEntry struct {
	Name       string   `json:"name"`
	Summary    string   `json:"summary,omitzero"`
	Started    string   `json:"started,omitzero"`
	Ended      string   `json:"ended,omitzero"`
	References []string `json:"references,omitzero"`
	Indicators []string `json:"indicators,omitzero"`
	Records    []string `json:"records"`
}

// campaigns writes campaigns.json: every campaign with the ids of its records.
func campaigns(ctx context.Context, r store.Reader) ([]byte, error) {
	list, err := r.Campaigns(ctx)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	out := struct {
		Campaigns []campaignEntry `json:"campaigns"`
	}{}
	date := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.DateOnly)
	}
	for _, c := range list {
		e := campaignEntry{c.Name, c.Summary, date(c.Started), date(c.Ended), c.References, c.Indicators, []string{}}
		for rec, err := range r.Members(ctx, c.Name) {
			if err != nil {
				return nil, err
			}
			e.Records = append(e.Records, rec.ID)
		}
		out.Campaigns = append(out.Campaigns, e)
	}
	return json.Marshal(out, json.Deterministic(true))
}

func (a *app) diffCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "say what changed between two catalogs or releases",
		Example: `  rapsheet catalog diff releases/00000006 releases/00000007
  rapsheet catalog diff old.idx new.idx`,
		Args: args(cobra.ExactArgs(2), "name two catalogs: snapshots, release directories, or records"),
		RunE: func(cmd *cobra.Command, paths []string) error {
			cats, err := a.catalogs(cmd.Context(), paths)
			if err != nil {
				return err
			}
			defer cats.Close()
			old, err := digests(cmd.Context(), cats.open[0])
			if err != nil {
				return err
			}
			now, err := digests(cmd.Context(), cats.open[1])
			if err != nil {
				return err
			}
			changes := map[string][]string{}
			for id, n := range now {
				o, there := old[id]
				switch {
				case !there:
					changes["added"] = append(changes["added"], id)
				case !o.withdrawn && n.withdrawn:
					changes["withdrawn"] = append(changes["withdrawn"], id)
				case o.withdrawn && !n.withdrawn:
					changes["restored"] = append(changes["restored"], id)
				case o.sum != n.sum:
					changes["changed"] = append(changes["changed"], id)
				}
			}
			for id := range old {
				if _, there := now[id]; !there {
					changes["vanished"] = append(changes["vanished"], id)
				}
			}
			for _, what := range []string{"added", "changed", "withdrawn", "restored", "vanished"} {
				ids := changes[what]
				slices.Sort(ids)
				fmt.Fprintf(a.stdout, "%s: %d\n", what, len(ids))
				for i, id := range ids {
					if limit > 0 && i == limit {
						fmt.Fprintf(a.stdout, "  … and %d more (--limit 0 shows all)\n", len(ids)-limit)
						break
					}
					rec := now[id]
					if what == "vanished" {
						rec = old[id]
					}
					fmt.Fprintf(a.stdout, "  %s  %s\n", printable.Line(id), printable.Name(rec.pkg))
				}
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "list at most this many records of each kind, 0 for all")
	return cmd
}

func (a *app) reconcileCommand() *cobra.Command {
	var st storeFlags
	var sf sourceFlags
	var paths []string
	var campaign string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "reconcile LIST",
		Short: "compare somebody's list with the catalog",
		Long: `Reconcile reads a source as import does and says what differs: packages that the catalog
lacks (missing), whose record was taken back (withdrawn), whose claims are held (held),
about which other versions are on record (versions), and, with --campaign, members of the
campaign that the list lacks (extra). It compares with the store, or with --catalog.
It exits with 1 when something differs.`,
		Example: `  rapsheet catalog reconcile vendor.csv --campaign shai-hulud-2
  rapsheet catalog reconcile vendor.csv --catalog installed --json`,
		Args: args(cobra.ExactArgs(1), "name one list"),
		RunE: func(cmd *cobra.Command, sources []string) error {
			ctx := cmd.Context()
			p := a.progress()
			defer p.end()
			claims, notes, err := a.claims(ctx, sources[0], &sf, p)
			if err != nil {
				return err
			}
			a.warn(notes)
			var diffs []catalog.Difference
			var same int
			if len(paths) > 0 {
				cats, err := a.catalogs(ctx, paths)
				if err != nil {
					return err
				}
				defer cats.Close()
				diffs, same, err = catalog.Reconcile(claims, lookup(cats.open), nil, nil)
				if err != nil {
					return unusable(err)
				}
			} else if err := a.withCatalog(ctx, &st, p, func(c *catalog.Catalog) error {
				diffs, same, err = c.Reconcile(ctx, claims, campaign)
				return err
			}); err != nil {
				return err
			}
			if len(diffs) > 0 {
				a.status = rapsheet.ExitFound
			}
			if asJSON {
				return a.printDifferencesJSON(diffs, same)
			}
			a.printDifferences(diffs, same)
			return nil
		},
	}
	st.bind(cmd)
	sf.bind(cmd)
	cmd.Flags().StringArrayVar(&paths, "catalog", nil, catalogUsage)
	cmd.Flags().StringVar(&campaign, "campaign", "", "the list should have every record of the campaign `NAME`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the differences as JSON")
	return cmd
}

func (a *app) printDifferences(diffs []catalog.Difference, same int) {
	count := map[catalog.DifferenceKind]int{}
	for _, d := range diffs {
		count[d.Kind]++
		fmt.Fprintf(a.stdout, "%s: %s %s", d.Kind, d.Key.Ecosystem, printable.Name(d.Key.Name))
		if len(d.Records) > 0 {
			fmt.Fprintf(a.stdout, " (%s)", printable.Line(strings.Join(d.Records, ", ")))
		}
		if len(d.OnlyList) > 0 {
			fmt.Fprintf(a.stdout, "; only in the list: %s", printable.Line(strings.Join(d.OnlyList, " ")))
		}
		if len(d.OnlyCatalog) > 0 {
			fmt.Fprintf(a.stdout, "; only in the catalog: %s", printable.Line(strings.Join(d.OnlyCatalog, " ")))
		}
		if d.Detail != "" {
			fmt.Fprintf(a.stdout, "; %s", d.Detail)
		}
		fmt.Fprintln(a.stdout)
	}
	fmt.Fprintf(a.stdout, "%d packages agree, %d differ", same, len(diffs))
	for _, k := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(a.stdout, ", %s %d", k, count[k])
	}
	fmt.Fprintln(a.stdout)
}

func (a *app) printDifferencesJSON(diffs []catalog.Difference, same int) error {
	type entry struct {
		Kind        string   `json:"kind"`
		Ecosystem   string   `json:"ecosystem"`
		Name        string   `json:"name"`
		PURL        string   `json:"purl,omitzero"`
		Records     []string `json:"records,omitzero"`
		OnlyList    []string `json:"only_list,omitzero"`
		OnlyCatalog []string `json:"only_catalog,omitzero"`
		Detail      string   `json:"detail,omitzero"`
	}
	out := struct {
		Same        int     `json:"same"`
		Differences []entry `json:"differences"`
	}{Same: same, Differences: []entry{}}
	for _, d := range diffs {
		out.Differences = append(out.Differences, entry{
			string(d.Kind), d.Key.Ecosystem, d.Key.Name, ecosystem.PURL(rapsheet.Package{Ecosystem: d.Key.Ecosystem, Name: d.Key.Name}),
			d.Records, d.OnlyList, d.OnlyCatalog, d.Detail,
		})
	}
	b, err := json.Marshal(out, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", escapeJSON(b))
	return err
}

// brief is what a comparison of catalogs looks at.
type brief struct {
	sum       [sha256.Size]byte
	pkg       string
	withdrawn bool
}

// digests gives what every record of a snapshot says, by id.
func digests(ctx context.Context, ix *index.Index) (map[string]brief, error) {
	out := make(map[string]brief, ix.Meta().Records)
	for doc, err := range ix.Documents() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, unusable(err)
		}
		r, _, err := osv.Parse(doc)
		if err != nil {
			return nil, unusable(fmt.Errorf("%w: %w", index.ErrDamaged, err))
		}
		b := brief{sum: sha256.Sum256(doc), withdrawn: r.IsWithdrawn()}
		if len(r.Affected) > 0 {
			b.pkg = r.Affected[0].Package.Ecosystem + "/" + r.Affected[0].Package.Name
		}
		out[strings.Clone(r.ID)] = b
	}
	return out, nil
}

// claims reads everything that a source says, keeping nothing, and notes what it could not.
func (a *app) claims(ctx context.Context, path string, sf *sourceFlags, p *progress) (claims []claim.Claim, notes []*rapsheet.Note, err error) {
	src, err := a.source(ctx, path, sf, "", p)
	if err != nil {
		return nil, nil, err
	}
	for doc, err := range src.Fetch(ctx, "") {
		if err == nil {
			var parsed source.Parsed
			if parsed, err = src.Parse(doc); err == nil {
				sum := sha256.Sum256(doc.Data)
				for _, c := range parsed.Claims {
					c.Source, c.Document = src.Info().Name, sum
					claims = append(claims, c)
				}
				for _, n := range parsed.Notes {
					kind := rapsheet.NoteInfo
					if n.Skipped {
						kind = rapsheet.NoteUnread
					}
					notes = append(notes, &rapsheet.Note{Kind: kind, Path: doc.Name, Line: n.Line, Message: n.Reason + ": " + n.Text})
				}
				continue
			}
			if _, isList := src.(*list.List); isList {
				return nil, nil, listError(path, err)
			}
			err = &source.Reject{Name: doc.Name, Reason: err}
		}
		var reject *source.Reject
		if !errors.As(err, &reject) {
			return nil, nil, err
		}
		a.status = rapsheet.ExitIncomplete
		notes = append(notes, &rapsheet.Note{Kind: rapsheet.NoteUnread, Path: reject.Name, Message: reject.Reason.Error()})
	}
	return claims, notes, nil
}

// warn says on standard error what a source had that could not be used.
func (a *app) warn(notes []*rapsheet.Note) {
	for i, n := range notes {
		if i == maxListed {
			fmt.Fprintf(a.stderr, "rapsheet: … and %d more notes\n", len(notes)-maxListed)
			break
		}
		at := n.Path
		if n.Line > 0 {
			at += ":" + strconv.Itoa(n.Line)
		}
		fmt.Fprintf(a.stderr, "rapsheet: %s: %s\n", printable.Line(at), printable.Cut(printable.Line(n.Message), 300))
	}
}

// lookup asks several snapshots.
func lookup(indexes []*index.Index) func(rapsheet.Key) ([]rapsheet.Record, error) {
	return func(key rapsheet.Key) ([]rapsheet.Record, error) {
		var out []rapsheet.Record
		for _, ix := range indexes {
			some, err := ix.Lookup(key)
			if err != nil {
				return nil, err
			}
			out = append(out, some...)
		}
		return out, nil
	}
}

// releaseSnapshot gives the snapshot in a directory of releases or in one release, "" when it is neither.
func releaseSnapshot(dir string) string {
	for _, name := range []string{filepath.Join("current", catalogFile), catalogFile} {
		if st, err := os.Stat(filepath.Join(dir, name)); err == nil && st.Mode().IsRegular() {
			return filepath.Join(dir, name)
		}
	}
	return ""
}
