package cli

import (
	"context"
	"iter"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/registry"
)

// openRegistry connects to the registry at url.
func (a *app) openRegistry(ctx context.Context, url, kind string, names iter.Seq[rapsheet.Key]) (registry.Registry, error) {
	if a.opener != nil {
		return a.opener(ctx, url, kind, names)
	}
	return nil, &usageError{"this program cannot ask registries over their APIs", "name the directory of the registry's storage"}
}
