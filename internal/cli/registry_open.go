package cli

import (
	"context"
	"errors"
	"iter"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/registry"
)

// openRegistry connects to the registry at url.
func (a *app) openRegistry(ctx context.Context, url, kind string, names iter.Seq[rapsheet.Key]) (registry.Registry, error) {
	if a.opener != nil {
		return a.opener(ctx, url, kind, names)
	}
	reg, err := registry.Open(ctx, url, registry.Options{
		Type: kind, Names: names, Getenv: a.env.Getenv, Logger: a.logger(), UserAgent: "rapsheet/" + a.env.Version,
	})
	if errors.Is(err, registry.ErrType) {
		return nil, &usageError{err.Error(), "name it with --type"}
	}
	return reg, err
}
