package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/machine"
)

// machineFlags say which machines and homes are scanned, and how much of them.
type machineFlags struct {
	machine        bool
	roots, homes   []string
	profile        string
	allFilesystems bool
	nice           bool
	since          moment
}

func (m *machineFlags) bind(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.BoolVar(&m.machine, "machine", false, "scan this machine: all its own disks, and where the environment says that caches are")
	fl.StringArrayVar(&m.roots, "root", nil, "scan the machine whose disk is mounted at `DIR`; may be repeated")
	fl.StringArrayVar(&m.homes, "home", nil, "scan the home `DIR` and nothing else; may be repeated")
	fl.StringVar(&m.profile, "profile", string(machine.Full), "how much of a machine or home: full, or quick (where package managers and editors keep things)")
	fl.BoolVar(&m.allFilesystems, "all-filesystems", false, "enter network file systems too")
	fl.BoolVar(&m.nice, "nice", false, "leave processor and disk to others: lowest priority, one file at a time")
	fl.Var(&m.since, "since", "read only files that are new or changed since `TIME` (2026-11-28, 2026-11-28T09:00:00Z) or for an age (24h, 7d)")
	// It fails for a flag that does not exist or has completions already: this one is new.
	_ = cmd.RegisterFlagCompletionFunc("profile", cobra.FixedCompletions([]string{"full", "quick"}, cobra.ShellCompDirectiveNoFileComp))
}

// moment is a flag for a time, or for how long ago.
type moment struct {
	at  time.Time
	ago age
}

func (m *moment) Type() string { return "TIME" }

func (m *moment) String() string {
	if m.at.IsZero() {
		return m.ago.String()
	}
	return m.at.Format(time.RFC3339)
}

func (m *moment) Set(s string) error {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			*m = moment{at: t}
			return nil
		}
	}
	if m.ago.Set(s) != nil || m.ago == 0 {
		return fmt.Errorf("%q is neither a time such as 2026-11-28T09:00:00Z nor an age such as 24h or 7d", s)
	}
	m.at = time.Time{}
	return nil
}

// time gives the moment, seen from now; zero if there is none.
func (m *moment) time(now time.Time) time.Time {
	if m.ago > 0 {
		return now.Add(-time.Duration(m.ago))
	}
	return m.at
}

// apply changes how everything is walked, and this process's priority.
func (m *machineFlags) apply(a *app, opt *inventory.Options) error {
	switch machine.Profile(m.profile) {
	case machine.Full, machine.Quick:
	default:
		return &usageError{fmt.Sprintf("unknown profile %q", m.profile), "one of: full, quick"}
	}
	if m.profile == string(machine.Quick) && !m.machine && len(m.roots)+len(m.homes) == 0 {
		return &usageError{"--profile goes with --machine, --root or --home", ""}
	}
	opt.Since = m.since.time(a.env.Now())
	if m.allFilesystems {
		opt.Filesystems = inventory.AllFilesystems
	}
	if m.nice {
		opt.Workers = 1
		if err := lowPriority(); err != nil {
			a.logger().Warn("priority not lowered", "error", err)
		}
	}
	return nil
}

// names are what the report calls the targets.
func (m *machineFlags) names() []string {
	var all []string
	if m.machine {
		all = append(all, "this machine")
	}
	return append(append(all, m.roots...), m.homes...)
}

// sightings streams what the machines and homes hold; it is nil when none was asked for.
func (m *machineFlags) sightings(ctx context.Context, a *app, opt inventory.Options) (rapsheet.Sightings, error) {
	opt.Filesystems = max(opt.Filesystems, inventory.LocalFilesystems)
	ask := machine.Options{Profile: machine.Profile(m.profile), OS: runtime.GOOS, Getenv: a.env.Getenv, Filesystems: opt.Filesystems}
	var asked []machine.Options
	if m.machine {
		asked = append(asked, ask)
	}
	for _, dir := range m.roots {
		one := ask
		one.Root = filepath.Clean(dir)
		asked = append(asked, one)
	}
	for _, dir := range m.homes {
		one := ask
		one.Home = filepath.Clean(dir)
		asked = append(asked, one)
	}
	if len(asked) == 0 {
		return nil, nil
	}
	var all []rapsheet.Sightings
	for _, one := range asked {
		places, notes, err := machine.Places(one)
		if err != nil {
			return nil, &usageError{err.Error(), "name a directory"}
		}
		all = append(all, noted(notes, func(func(rapsheet.Sighting, error) bool) {}))
		for _, p := range places {
			walk := opt
			if one.Root != "" || one.Home != "" {
				walk.Getenv = nil // somebody else's
			}
			walk.As, walk.Exclude = p.As, p.Exclude
			all = append(all, inventory.Walk(ctx, p.Path, walk))
		}
	}
	return after(all...), nil
}

// after streams one after the other.
func after(all ...rapsheet.Sightings) rapsheet.Sightings {
	return func(yield func(rapsheet.Sighting, error) bool) {
		for _, one := range all {
			for s, err := range one {
				if !yield(s, err) {
					return
				}
			}
		}
	}
}
