package lockfile

import (
	"context"
	"fmt"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// isWorkflow matches workflow files.
func isWorkflow(base, file string) bool {
	ext := path.Ext(base)
	dir := path.Dir(file)
	return (ext == ".yml" || ext == ".yaml") &&
		(dir == ".github/workflows" || strings.HasSuffix(dir, "/.github/workflows"))
}

// readWorkflow reads a GitHub Actions workflow or an action's metadata
// (https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax,
// .../metadata-syntax): every uses of a job, of its steps, or of a composite
// action's steps. A version is the ref as written: a tag, a branch or a commit.
// An action in a subdirectory is its repository's; one in the same repository
// ("./…") is none of anybody else's.
func readWorkflow(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	root, err := readYAML(in)
	if err != nil {
		return err
	}
	w := workflow{l: inventory.NewList(ctx, out, "GitHub Actions")}
	return w.l.End(w.read(root))
}

type workflow struct {
	l *inventory.List
	// visited counts nodes looked at: aliases make a small file name many.
	visited int
}

func (w *workflow) read(root *yaml.Node) error {
	if runs := member(root, "runs"); runs != nil {
		if err := w.steps(member(runs, "steps")); err != nil {
			return err
		}
	}
	jobs := member(root, "jobs")
	if jobs == nil || jobs.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(jobs.Content); i += 2 {
		if err := w.uses(jobs.Content[i+1]); err != nil {
			return err
		}
		if err := w.steps(member(jobs.Content[i+1], "steps")); err != nil {
			return err
		}
	}
	return nil
}

func (w *workflow) steps(steps *yaml.Node) error {
	if steps == nil || steps.Kind != yaml.SequenceNode {
		return nil
	}
	for _, step := range steps.Content {
		if err := w.uses(step); err != nil {
			return err
		}
	}
	return nil
}

// uses reads the uses of a job or step.
func (w *workflow) uses(n *yaml.Node) error {
	if w.visited++; w.visited > inventory.MaxEntries {
		return fmt.Errorf("more than %d steps", inventory.MaxEntries)
	}
	value := member(n, "uses")
	if value == nil || value.Kind != yaml.ScalarNode {
		return nil
	}
	use := strings.TrimSpace(value.Value)
	switch {
	case strings.HasPrefix(use, "./") || strings.HasPrefix(use, "../"):
		return nil
	case strings.HasPrefix(use, "docker://"):
		w.l.Skip("container images: an ecosystem without records")
		return nil
	case strings.Contains(use, "${{"):
		w.l.Skip("actions named by an expression")
		return nil
	}
	at := strings.LastIndexByte(use, '@')
	name, ref := use, ""
	if at >= 0 {
		name, ref = use[:at], use[at+1:]
	}
	owner, rest, _ := strings.Cut(name, "/")
	repo, _, _ := strings.Cut(rest, "/")
	if owner == "" || repo == "" {
		return w.l.Add("", "", value.Line, rapsheet.Evidence{})
	}
	name = owner + "/" + repo
	// The runner fetches it from the forge, which is this ecosystem's registry.
	ev := w.l.Registry("https://github.com/" + name)
	ev.Origin = rapsheet.OriginRegistry
	return w.l.Add(name, ref, value.Line, ev)
}
