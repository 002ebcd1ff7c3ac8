package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/catalog"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/internal/store"
)

func (a *app) statusCommand() *cobra.Command {
	var st storeFlags
	var limit int
	cmd := &cobra.Command{
		Use:   "status",
		Short: "show what the store holds: records, sources, holds, campaigns, releases",
		Args:  args(cobra.NoArgs, "to look at another store: --store"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCatalog(cmd.Context(), &st, nil, func(c *catalog.Catalog) error {
				s, err := c.Status(cmd.Context(), limit)
				if err != nil {
					return err
				}
				a.printStatus(c.Store.Name(), &s)
				return nil
			})
		},
	}
	st.bind(cmd)
	cmd.Flags().IntVar(&limit, "limit", 5, "show this many of the newest releases, quarantined documents and audit entries")
	return cmd
}

func (a *app) printStatus(name string, s *catalog.Status) {
	w := a.stdout
	total := 0
	for _, n := range s.Records {
		total += n
	}
	fmt.Fprintf(w, "store:       %s\n", printable.Line(name))
	fmt.Fprintf(w, "own ids:     %s\n", catalog.OwnID(s.Org, 0)[:len(catalog.OwnID(s.Org, 0))-1]+"…")
	fmt.Fprintf(w, "records:     %d: %d in force, %d disputed, %d withdrawn\n", total, s.Records[store.Active], s.Records[store.Disputed], s.Records[store.Withdrawn])
	fmt.Fprintf(w, "held:        %d claims wait for `rapsheet catalog review`\n", s.HeldClaims)
	for _, g := range slices.Sorted(maps.Keys(s.Held)) {
		fmt.Fprintf(w, "  %-22s %d\n", g, s.Held[g])
	}
	fmt.Fprintf(w, "sources:     %d\n", len(s.Sources))
	for _, x := range s.Sources {
		fmt.Fprintf(w, "  %-32s %-7s %7d claims, imported %s\n", x.Name, x.Kind, x.Claims, when(x.Imported))
	}
	if len(s.Campaigns) > 0 {
		fmt.Fprintf(w, "campaigns:   %d\n", len(s.Campaigns))
		for _, x := range s.Campaigns {
			fmt.Fprintf(w, "  %-32s %7d records%s\n", printable.Line(x.Name), x.Members, since(x.Started))
		}
	}
	if len(s.Inputs) > 0 {
		fmt.Fprintf(w, "guards know: %d lists\n", len(s.Inputs))
		for _, x := range s.Inputs {
			fmt.Fprintf(w, "  %-9s %s, added %s\n", x.Kind, printable.Line(x.Name), when(x.Added))
		}
	}
	if s.Quarantined > 0 {
		fmt.Fprintf(w, "unreadable:  %d documents kept aside\n", s.Quarantined)
		for _, q := range s.Quarantine {
			fmt.Fprintf(w, "  %s %s: %s\n", q.Source, printable.Line(q.Name), printable.Line(q.Reason))
		}
	}
	if len(s.Releases) > 0 {
		fmt.Fprintln(w, "releases, the newest first:")
		for _, r := range s.Releases {
			fmt.Fprintf(w, "  %d of %s: %d records, %d disputed, %d withdrawn\n", r.Sequence, when(r.Time), r.Records, r.Disputed, r.Withdrawn)
		}
	}
	if len(s.Audit) > 0 {
		fmt.Fprintln(w, "audit, the newest first:")
		for _, e := range s.Audit {
			fmt.Fprintf(w, "  %s %s: %s: %s\n", when(e.Time), printable.Line(e.Actor), printable.Line(e.Action), printable.Line(e.Detail))
		}
	}
}

// since says from when, if that is known.
func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", from " + t.UTC().Format(time.DateOnly)
}

func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

func (a *app) reviewCommand() *cobra.Command {
	var st storeFlags
	var f catalog.Filter
	var accept, reject, note, all bool
	var narrow, packages []string
	var reason string
	cmd := &cobra.Command{
		Use:   "review [HANDLE…]",
		Short: "decide what the guards hold",
		Long: `Review lists the claims that guards hold, with the reasons. On a terminal it asks about
each; with --accept, --reject, --narrow or --note it decides about those that are named by
handle, package, guard or source. Every decision is kept with its author and its reason.

accept  releases the claim as it is
reject  refuses it, until its source says something else
narrow  releases it with the given versions in place of "every version"
note    writes the reason down and decides nothing`,
		Example: `  rapsheet catalog review
  rapsheet catalog review 1f3a99c0 --accept --reason 'confirmed by the maintainer'
  rapsheet catalog review --package pkg:npm/stylus --reject --reason 'false alarm'
  rapsheet catalog review --package pkg:npm/left-pad --narrow 1.3.1,1.3.2 --reason 'only these'`,
		RunE: func(cmd *cobra.Command, handles []string) error {
			ctx := cmd.Context()
			f.Handles = handles
			for _, p := range packages {
				key, err := keyOfPackage(p)
				if err != nil {
					return err
				}
				f.Keys = append(f.Keys, key)
			}
			verdict, err := oneVerdict(map[string]bool{catalog.Accept: accept, catalog.Reject: reject, catalog.Narrow: len(narrow) > 0, catalog.Note: note})
			if err != nil {
				return err
			}
			if verdict != "" && reason == "" {
				return &usageError{"a decision needs a reason", "add --reason 'why'"}
			}
			if verdict != "" && !all && len(f.Handles)+len(f.Keys) == 0 && f.Guard+f.Source == "" {
				return &usageError{"nothing is named to decide about", "name handles, --package, --guard or --source, or say --all"}
			}
			return a.withCatalog(ctx, &st, nil, func(c *catalog.Catalog) error {
				if verdict != "" {
					err := a.decide(ctx, c, f, verdict, narrow, reason)
					if errors.Is(err, catalog.ErrNothingHeld) {
						return &usageError{err.Error(), "`rapsheet catalog review` lists what is held"}
					}
					return err
				}
				held, err := c.Held(ctx, f)
				if err != nil {
					return err
				}
				if len(held) == 0 {
					fmt.Fprintln(a.stdout, "nothing is held")
					return nil
				}
				if terminal(a.stdin) && terminal(a.stdout) {
					return a.ask(ctx, c, held)
				}
				for i := range held {
					a.printHeld(&held[i])
				}
				fmt.Fprintf(a.stdout, "%d claims are held; decide with --accept, --reject, --narrow or --note\n", len(held))
				return nil
			})
		},
	}
	st.bind(cmd)
	fl := cmd.Flags()
	fl.BoolVar(&accept, "accept", false, "release what is named")
	fl.BoolVar(&reject, "reject", false, "refuse what is named")
	fl.StringSliceVar(&narrow, "narrow", nil, "release what is named, about these `VERSIONS` only")
	fl.BoolVar(&note, "note", false, "write the reason down, decide nothing")
	fl.StringVar(&reason, "reason", "", "why; kept with the decision")
	fl.StringArrayVar(&packages, "package", nil, "claims about the package `PURL`")
	fl.StringVar(&f.Guard, "guard", "", "claims that the guard `NAME` holds")
	fl.StringVar(&f.Source, "source", "", "claims of the source `NAME`")
	fl.BoolVar(&all, "all", false, "all that is held")
	return cmd
}

// oneVerdict gives the one that is set, "" for none.
func oneVerdict(set map[string]bool) (string, error) {
	verdict := ""
	for _, v := range slices.Sorted(maps.Keys(set)) {
		if !set[v] {
			continue
		}
		if verdict != "" {
			return "", &usageError{fmt.Sprintf("--%s and --%s exclude each other", verdict, v), "give one of them"}
		}
		verdict = v
	}
	return verdict, nil
}

func (a *app) decide(ctx context.Context, c *catalog.Catalog, f catalog.Filter, verdict string, versions []string, reason string) error {
	decided, effect, err := c.Decide(ctx, f, verdict, versions, reason)
	if err != nil {
		return err
	}
	for _, h := range decided {
		fmt.Fprintf(a.stdout, "%s: %s %s of %s\n", verdict, h.Claim.Key.Ecosystem, printable.Name(h.Claim.Name), h.Claim.Source)
	}
	a.printChanges(effect)
	return nil
}

func (a *app) printChanges(e *catalog.Effect) {
	for i, ch := range e.Records {
		if i == maxListed {
			fmt.Fprintf(a.stdout, "  … and %d more\n", e.Total()-maxListed)
			return
		}
		fmt.Fprintf(a.stdout, "  %s: %s %s %s\n", ch.What, printable.Line(ch.ID), ch.Key.Ecosystem, printable.Name(ch.Key.Name))
	}
	if e.Total() == 0 {
		fmt.Fprintln(a.stdout, "  no record changed")
	}
}

func (a *app) printHeld(h *catalog.HeldClaim) {
	w := a.stdout
	fmt.Fprintf(w, "%s  %s %s: %s, said by %s (origins: %s)\n", h.Handle, h.Claim.Key.Ecosystem, printable.Name(h.Claim.Name),
		printable.Cut(printable.Line(statementText(&h.Claim.Claim)), 200), h.Claim.Source, printable.Line(strings.Join(h.Claim.Origins, ", ")))
	for _, x := range h.Holds {
		fmt.Fprintf(w, "    %s, since %s: %s\n", x.Guard, when(x.Raised), printable.Line(x.Reason))
	}
	for _, r := range h.Records {
		fmt.Fprintf(w, "    on record: %s, %s\n", printable.Line(r.ID), stateWord(r.State))
	}
}

func stateWord(s store.State) string {
	switch s {
	case store.Disputed:
		return "disputed"
	case store.Withdrawn:
		return "withdrawn"
	}
	return "in force"
}

// statementText says in words which versions a claim is about.
func statementText(c *claim.Claim) string {
	switch {
	case c.All:
		return "every version"
	case c.Open() && len(c.Versions) == 0:
		return "every version (no version given)"
	case len(c.Versions) == 0 && len(c.Ranges) == 0:
		return "no statement about versions"
	case len(c.Versions) == 0:
		return "a range of versions"
	}
	return strings.Join(c.Versions, ", ")
}

// ask goes through what is held on a terminal. It ends with the last claim, with q, and where nobody answers any more.
func (a *app) ask(ctx context.Context, c *catalog.Catalog, held []catalog.HeldClaim) error {
	for i := range held {
		h := &held[i]
		fmt.Fprintf(a.stdout, "\n%d of %d\n", i+1, len(held))
		a.printHeld(h)
		err := a.askAbout(ctx, c, h)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, catalog.ErrNothingHeld):
			fmt.Fprintln(a.stdout, "it is not held any more")
		case err != nil:
			return err
		}
	}
	return nil
}

// askAbout asks about one claim until it is decided or skipped; io.EOF ends the review.
func (a *app) askAbout(ctx context.Context, c *catalog.Catalog, h *catalog.HeldClaim) error {
	for {
		answer, err := a.prompt(ctx, a.stdout, "[a]ccept, [r]eject, [n]arrow, no[t]e, [s]kip, [q]uit? ")
		if err != nil {
			return err
		}
		verdict := ""
		switch strings.ToLower(answer) {
		case "a":
			verdict = catalog.Accept
		case "r":
			verdict = catalog.Reject
		case "n":
			verdict = catalog.Narrow
		case "t":
			verdict = catalog.Note
		case "s", "":
			return nil
		case "q":
			return io.EOF
		default:
			fmt.Fprintf(a.stdout, "%q is not one of them\n", printable.Cut(answer, 20))
			continue
		}
		var versions []string
		if verdict == catalog.Narrow {
			text, err := a.prompt(ctx, a.stdout, "versions, separated by commas: ")
			if err != nil {
				return err
			}
			for v := range strings.SplitSeq(text, ",") {
				if v = strings.TrimSpace(v); v != "" {
					versions = append(versions, v)
				}
			}
			if len(versions) == 0 {
				fmt.Fprintln(a.stdout, "without versions nothing is decided")
				continue
			}
		}
		reason, err := a.prompt(ctx, a.stdout, "reason: ")
		if err != nil {
			return err
		}
		if reason == "" {
			fmt.Fprintln(a.stdout, "without a reason nothing is decided")
			continue
		}
		return a.decide(ctx, c, catalog.Filter{Handles: []string{h.Handle}}, verdict, versions, reason)
	}
}

// recordCommand is withdraw, dispute or restore.
func (a *app) recordCommand(verdict, short, long string) *cobra.Command {
	var st storeFlags
	var reason string
	var now bool
	cmd := &cobra.Command{
		Use:     verdict + " ID… --reason WHY",
		Short:   short,
		Long:    long,
		Example: fmt.Sprintf("  rapsheet catalog %s MAL-2024-2929 --reason 'the scope was lost: @zettle-bo/react was meant'", verdict),
		Args:    args(cobra.MinimumNArgs(1), "name a record by its id"),
		RunE: func(cmd *cobra.Command, ids []string) error {
			if strings.TrimSpace(reason) == "" {
				return &usageError{"a decision needs a reason", "add --reason 'why'"}
			}
			return a.withCatalog(cmd.Context(), &st, nil, func(c *catalog.Catalog) error {
				for _, id := range ids {
					rec, _, err := c.DecideRecord(cmd.Context(), id, verdict, nil, reason, now)
					var stands *catalog.StandsError
					switch {
					case errors.As(err, &stands):
						return &usageError{stands.Error(), "dispute it (`rapsheet catalog dispute`), or add --now if you know better than they do"}
					case errors.Is(err, catalog.ErrNoRecord):
						return &usageError{err.Error(), "`rapsheet catalog status` shows what the store holds"}
					case err != nil:
						return err
					}
					fmt.Fprintf(a.stdout, "%s is %s\n", printable.Line(rec.ID), stateWord(rec.State))
					if verdict == catalog.Withdraw && rec.State == store.Disputed {
						fmt.Fprintln(a.stdout, "It is shown as doubtful and fails no build. The same command again withdraws it for good.")
					}
				}
				return nil
			})
		},
	}
	st.bind(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept with the decision, and in the record")
	if verdict == catalog.Withdraw {
		cmd.Flags().BoolVar(&now, "now", false, "withdraw at once, without dispute, whoever stands by it")
	}
	return cmd
}

func (a *app) narrowCommand() *cobra.Command {
	var st storeFlags
	var reason string
	var versions []string
	cmd := &cobra.Command{
		Use:   "narrow ID --versions VERSIONS --reason WHY",
		Short: "put versions in place of a record's \"every version\"",
		Long: `Narrow is for a record about every version of a package that also has clean ones, for
example because the name passed to a new owner: the versions count from now on, whatever
source goes on to say "every version". Exact versions that sources name are added as before.`,
		Example: `  rapsheet catalog narrow MAL-2023-462 --versions 1.0.0,1.0.1 --reason 'the name has a new owner since 2.0.0'`,
		Args:    args(cobra.ExactArgs(1), "name one record by its id"),
		RunE: func(cmd *cobra.Command, ids []string) error {
			if len(versions) == 0 || strings.TrimSpace(reason) == "" {
				return &usageError{"a narrowing needs versions and a reason", "add --versions 1.0.0,1.0.1 --reason 'why'"}
			}
			return a.withCatalog(cmd.Context(), &st, nil, func(c *catalog.Catalog) error {
				rec, effect, err := c.DecideRecord(cmd.Context(), ids[0], catalog.Narrow, versions, reason, false)
				if errors.Is(err, catalog.ErrNoRecord) {
					return &usageError{err.Error(), "`rapsheet catalog status` shows what the store holds"}
				}
				if err != nil {
					return err
				}
				fmt.Fprintf(a.stdout, "%s is %s\n", printable.Line(rec.ID), stateWord(rec.State))
				a.printChanges(effect)
				return nil
			})
		},
	}
	st.bind(cmd)
	cmd.Flags().StringSliceVar(&versions, "versions", nil, "the `VERSIONS` that are malicious, separated by commas")
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept with the decision, and in the record")
	return cmd
}

func (a *app) campaignCommand() *cobra.Command {
	var st storeFlags
	var change store.Campaign
	var started, ended string
	var limit int
	cmd := &cobra.Command{
		Use:   "campaign [NAME]",
		Short: "list campaigns, or show and describe one",
		Example: `  rapsheet catalog campaign
  rapsheet catalog campaign shai-hulud-2 --reference https://example.org/report --started 2025-11-21`,
		Args: args(cobra.MaximumNArgs(1), "name one campaign"),
		RunE: func(cmd *cobra.Command, names []string) error {
			ctx := cmd.Context()
			for _, t := range []struct {
				text string
				to   *time.Time
			}{{started, &change.Started}, {ended, &change.Ended}} {
				if t.text == "" {
					continue
				}
				var err error
				if *t.to, err = time.Parse(time.DateOnly, t.text); err != nil {
					return &usageError{fmt.Sprintf("%q is not a date", t.text), "write it as 2025-11-21"}
				}
			}
			return a.withCatalog(ctx, &st, nil, func(c *catalog.Catalog) error {
				s, err := c.Status(ctx, 0)
				if err != nil {
					return err
				}
				if len(names) == 0 {
					for _, x := range s.Campaigns {
						fmt.Fprintf(a.stdout, "%s  %d records%s\n", printable.Line(x.Name), x.Members, since(x.Started))
					}
					return nil
				}
				change.Name = names[0]
				edits := change.Summary != "" || len(change.References)+len(change.Indicators) > 0 || !change.Started.IsZero() || !change.Ended.IsZero()
				i := slices.IndexFunc(s.Campaigns, func(x store.Campaign) bool { return x.Name == names[0] })
				if i < 0 && !edits {
					return &usageError{"no campaign is called " + printable.Line(names[0]), "`rapsheet catalog campaign` lists them; `rapsheet catalog import --campaign` makes one"}
				}
				var x store.Campaign
				if i >= 0 {
					x = s.Campaigns[i]
				}
				if edits {
					members := x.Members
					if x, err = c.EditCampaign(ctx, change); err != nil {
						return err
					}
					x.Members = members
				}
				return a.printCampaign(ctx, c, x, limit)
			})
		},
	}
	st.bind(cmd)
	fl := cmd.Flags()
	fl.StringVar(&change.Summary, "summary", "", "say in a line what it was")
	fl.StringVar(&started, "started", "", "the first `DATE`, as 2025-11-21")
	fl.StringVar(&ended, "ended", "", "the last `DATE`")
	fl.StringArrayVar(&change.References, "reference", nil, "a `URL` to add")
	fl.StringArrayVar(&change.Indicators, "indicator", nil, "a domain, address or digest to add")
	fl.IntVar(&limit, "limit", 20, "list at most this many of its records, 0 for all")
	return cmd
}

func (a *app) printCampaign(ctx context.Context, c *catalog.Catalog, x store.Campaign, limit int) error {
	w := a.stdout
	fmt.Fprintf(w, "campaign:   %s\n", printable.Line(x.Name))
	if x.Summary != "" {
		fmt.Fprintf(w, "summary:    %s\n", printable.Line(x.Summary))
	}
	if !x.Started.IsZero() {
		fmt.Fprintf(w, "started:    %s\n", x.Started.Format(time.DateOnly))
	}
	if !x.Ended.IsZero() {
		fmt.Fprintf(w, "ended:      %s\n", x.Ended.Format(time.DateOnly))
	}
	for _, r := range x.References {
		fmt.Fprintf(w, "reference:  %s\n", printable.Line(r))
	}
	for _, r := range x.Indicators {
		fmt.Fprintf(w, "indicator:  %s\n", printable.Line(r))
	}
	fmt.Fprintf(w, "records:    %d\n", x.Members)
	n := 0
	return c.Store.View(ctx, func(r store.Reader) error {
		for rec, err := range r.Members(ctx, x.Name) {
			if err != nil {
				return err
			}
			if n++; limit > 0 && n > limit {
				fmt.Fprintf(w, "  … and %d more (--limit 0 shows all)\n", x.Members-limit)
				return nil
			}
			fmt.Fprintf(w, "  %s  %s %s, %s\n", printable.Line(rec.ID), rec.Key.Ecosystem, printable.Name(rec.Key.Name), stateWord(rec.State))
		}
		return nil
	})
}

// keyOfPackage is the key of a package URL in an argument.
func keyOfPackage(s string) (rapsheet.Key, error) {
	p, _, err := ecosystem.ParsePURL(s)
	if err != nil {
		return rapsheet.Key{}, &usageError{fmt.Sprintf("%q is not a package URL: %v", s, err), "a package URL looks like pkg:npm/name"}
	}
	key, _ := ecosystem.KeyOf(p)
	return key, nil
}
