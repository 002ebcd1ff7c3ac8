package lockfile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// readGoMod reads go.mod (https://go.dev/ref/mod#go-mod-file): what is required,
// and where that is replaced, what it is replaced by, since that is what is
// built. It says nothing of where a module is fetched from.
//
// go.sum is no inventory and not read: it lists every version that was ever
// weighed, most of them only as the hash of a go.mod (https://go.dev/ref/mod#go-sum-files).
// go.work lists directories, each with a go.mod of its own.
func readGoMod(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := in.Text()
	if err != nil {
		return err
	}
	if err := boundGoMod(b); err != nil {
		return err
	}
	f, err := modfile.Parse("go.mod", b, nil)
	if err != nil {
		// A go command newer than this parser may know more directives. ParseLax
		// passes over unknown ones, and over replace too: that is said.
		lax, laxErr := modfile.ParseLax("go.mod", b, nil)
		if laxErr != nil || lax.Module == nil {
			return goModError(err)
		}
		f = lax
		out.Note(rapsheet.NoteInfo, 0, "read without its replace directives: %v", goModError(err))
	}
	l := inventory.NewList(ctx, out, "Go")
	replaced := make(map[string]*modfile.Replace, len(f.Replace))
	for _, r := range f.Replace {
		replaced[r.Old.Path+"@"+r.Old.Version] = r
	}
	for _, r := range f.Require {
		name, version, line := r.Mod.Path, r.Mod.Version, r.Syntax.Start.Line
		var ev rapsheet.Evidence
		// A replacement of one version wins over one of all versions.
		by := replaced[name+"@"+version]
		if by == nil {
			by = replaced[name+"@"]
		}
		switch {
		case by == nil:
		case by.New.Version == "":
			// A directory: the module keeps its name, and is not the one on record.
			ev, line = inventory.Local(by.New.Path), by.Syntax.Start.Line
		default:
			name, version, line = by.New.Path, by.New.Version, by.Syntax.Start.Line
		}
		if err := l.Add(name, version, line, ev); err != nil {
			return l.End(err)
		}
	}
	return l.End(nil)
}

// boundGoMod holds what the parser would build a syntax tree of: it is some
// hundred times larger than the text, and a go.mod is small.
func boundGoMod(b []byte) error {
	const limit = 16 << 20
	if len(b) > limit {
		return fmt.Errorf("the file is larger than the limit of %d bytes for a go.mod", limit)
	}
	return inventory.Lines(b, func(int, string) error { return nil })
}

// goModError is the first of the parser's errors, without what it quotes from the file.
func goModError(err error) error {
	var all modfile.ErrorList
	if !errors.As(err, &all) || len(all) == 0 {
		return errors.New("not a go.mod")
	}
	reason := all[0].Err.Error()
	if !strings.HasPrefix(reason, "usage: ") {
		if i := strings.IndexAny(reason, ":\"'`("); i >= 0 {
			reason = reason[:i]
		}
	}
	return inventory.AtLine(all[0].Pos.Line, "%s", strings.TrimSpace(reason))
}
