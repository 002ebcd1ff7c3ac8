package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/registry"
)

// openRegistry connects to the registry at url.
func (a *app) openRegistry(ctx context.Context, url string, f *registryFlags, names []rapsheet.Key) (registry.Registry, error) {
	opt := registry.Options{
		Type: f.kind, Getenv: a.env.Getenv, Logger: a.logger(), UserAgent: "rapsheet/" + a.env.Version, AskArchives: f.archives,
	}
	if names != nil {
		opt.Names = slices.Values(names)
	}
	if a.opener != nil {
		return a.opener(ctx, url, opt)
	}
	reg, err := registry.Open(ctx, url, opt)
	if errors.Is(err, registry.ErrType) {
		return nil, &usageError{err.Error(), "name it with --type"}
	}
	return reg, err
}
