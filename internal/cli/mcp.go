package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/mcp"
)

func (a *app) mcpCommand() *cobra.Command {
	var catalogs, roots []string
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "answer coding assistants over the Model Context Protocol",
		Long: `Mcp speaks the Model Context Protocol on standard input and output, for assistants that write
code: they start it themselves. It has three tools, which only read: check says whether
packages are on record, where_is scans a directory below one of the roots, explain shows
a record. It uses no network.`,
		Example: `  rapsheet mcp
  rapsheet mcp --root ~/src --catalog /srv/catalog.idx`,
		Args: args(cobra.NoArgs, "directories that may be scanned are named with --root DIR"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.mcp(cmd.Context(), catalogs, roots) },
	}
	catalogFlag(cmd, &catalogs)
	cmd.Flags().StringArrayVar(&roots, "root", []string{"."}, "`DIR` that may be scanned, with all below it; may be repeated")
	return cmd
}

func (a *app) mcp(ctx context.Context, catalogs, roots []string) error {
	cats, err := a.catalogs(ctx, catalogs)
	if err != nil {
		return err
	}
	defer cats.Close()
	opt := a.inventoryOptions(nil)
	opt.Progress = nil
	opt.Getenv = a.env.Getenv
	opt.Hash = cats.hasDigests()
	s, err := mcp.New(mcp.Config{
		Indexes: cats.open, Catalogs: cats.infos, Roots: roots, Version: a.env.Version, Logger: a.logger(),
		Walk: func(ctx context.Context, dir string) rapsheet.Sightings { return inventory.Walk(ctx, dir, opt) },
	})
	if err != nil {
		return &usageError{"--root: " + err.Error(), "name directories that exist"}
	}
	if err := s.Serve(ctx, a.stdin, a.stdout); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
