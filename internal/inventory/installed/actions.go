package installed

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/rapsheet/rapsheet/internal/inventory"
)

// runnerActions is the directory below a runner's work directory in which it keeps the actions that it downloaded.
const runnerActions = "/_actions/"

// isRunnerAction matches what a runner of GitHub Actions writes when it has an action:
// _work/_actions/<owner>/<repository>/<ref>.completed beside the directory <ref> (actions/runner,
// src/Runner.Worker/ActionManager.cs).
func isRunnerAction(base, file string) bool {
	return strings.HasSuffix(base, ".completed") && strings.Contains(file, runnerActions)
}

// readRunnerAction reads the path. A ref may have slashes.
func readRunnerAction(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	place := in.Path
	if abs, err := filepath.Abs(place); err == nil {
		place = filepath.ToSlash(abs)
	}
	_, action, _ := strings.Cut(place, runnerActions)
	part := strings.SplitN(strings.TrimSuffix(action, ".completed"), "/", 3)
	if len(part) < 3 {
		return nil // not a runner's
	}
	l := inventory.NewList(ctx, out, "GitHub Actions")
	name := part[0] + "/" + part[1]
	return l.End(l.Add(name, part[2], 0, l.Registry("https://github.com/"+name)))
}
