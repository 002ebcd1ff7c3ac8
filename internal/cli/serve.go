package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/printable"
	"github.com/rapsheet/rapsheet/internal/server"
)

// Limits of connections. A whole request must have come in readLimit, so that slow clients hold nothing for long; answers
// may be large files on slow lines.
const (
	headerLimit = 10 * time.Second
	readLimit   = 60 * time.Second
	writeLimit  = 10 * time.Minute
	idleLimit   = 2 * time.Minute
	headerBytes = 64 << 10
	stopLimit   = 30 * time.Second
)

type serveFlags struct {
	catalog, listen, metrics, public, cert, key, npm string
	reload                                           time.Duration
	conf                                             server.Config
}

func (a *app) serveCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "answer the tools that people already run, over HTTP",
		Long: `Serve answers what package managers and scanners ask of vulnerability databases, from one snapshot,
read-only and without a database. A new snapshot under the same path is taken up without
dropping a request. docs/integrations says for each tool the one setting that points it here.`,
		Example: `  rapsheet serve --listen 127.0.0.1:8090
  rapsheet serve --catalog /srv/releases --listen :443 --tls-cert cert.pem --tls-key key.pem --public https://list.example`,
		Args: args(cobra.NoArgs, "the catalog is --catalog FILE"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), &f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.catalog, "catalog", installedCatalog, "`FILE`, a snapshot or a directory of releases, or the installed catalog (installed)")
	fl.StringVar(&f.listen, "listen", "127.0.0.1:8090", "`ADDRESS` to listen on")
	fl.StringVar(&f.metrics, "metrics", "", "`ADDRESS` to serve metrics on, in Prometheus' text format (default: none)")
	fl.StringVar(&f.public, "public", "", "`URL` under which clients reach this server (default: http:// and the address listened on)")
	fl.StringVar(&f.cert, "tls-cert", "", "`FILE` with the certificate in PEM, for HTTPS")
	fl.StringVar(&f.key, "tls-key", "", "`FILE` with its key")
	fl.StringVar(&f.npm, "npm-upstream", "", "`URL` of the npm registry that the one below /npm/ lies over, or the word public (default: none, and audits only)")
	fl.BoolVar(&f.conf.NPMPassThrough, "npm-pass-through", false, "pass requests to --npm-upstream through, with their credentials, where they would be redirected")
	fl.DurationVar(&f.reload, "reload", 10*time.Second, "how often to look for a new snapshot")
	fl.StringVar(&f.conf.Publisher, "publisher", "rapsheet", "who keeps the list, in `WORDS`, for formats that name it")
	return cmd
}

func (a *app) serve(ctx context.Context, f *serveFlags) (err error) {
	if (f.cert == "") != (f.key == "") {
		return &usageError{"--tls-cert and --tls-key go together", "give both, or neither for plain HTTP"}
	}
	if f.reload < time.Second {
		return &usageError{"--reload is below a second", "give a second or more"}
	}
	if f.conf.Public, err = baseURL("--public", f.public); err != nil {
		return err
	}
	if f.npm == "public" {
		npm, _ := ecosystem.Find("npm")
		f.npm = "https://" + npm.Hosts[0]
	}
	upstream, err := baseURL("--npm-upstream", f.npm)
	if err != nil {
		return err
	}
	if upstream != "" {
		if f.conf.NPMUpstream, err = url.Parse(upstream); err != nil {
			return err
		}
	} else if f.conf.NPMPassThrough {
		return &usageError{"--npm-pass-through needs --npm-upstream", "name the registry to pass requests to"}
	}
	if f.conf.Spool, err = os.MkdirTemp("", "rapsheet-serve-*"); err != nil {
		return err
	}
	defer os.RemoveAll(f.conf.Spool)
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return &usageError{err.Error(), "is the address free, and yours?"}
	}
	defer listener.Close()
	if f.conf.Public == "" {
		scheme := "http"
		if f.cert != "" {
			scheme = "https"
		}
		f.conf.Public = scheme + "://" + listener.Addr().String()
	}
	f.conf.Logger = a.logger()
	s := server.New(f.conf)
	defer s.Close()
	path, err := a.snapshotPath(f.catalog)
	if err != nil {
		return err
	}
	seen, err := a.takeUp(s, path, nil)
	if err != nil {
		return err
	}
	main := newHTTPServer(s.Handler())
	servers := []*http.Server{main}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if f.cert != "" {
			return main.ServeTLS(listener, f.cert, f.key)
		}
		return main.Serve(listener)
	})
	if f.metrics != "" {
		l, err := net.Listen("tcp", f.metrics)
		if err != nil {
			return &usageError{err.Error(), "is the address of --metrics free, and yours?"}
		}
		m := newHTTPServer(s.Metrics())
		servers = append(servers, m)
		g.Go(func() error { return m.Serve(l) })
	}
	fmt.Fprintf(a.stderr, "rapsheet: serving %s on %s\n", path, f.conf.Public)
	g.Go(func() error {
		said := ""
		for tick := time.NewTicker(f.reload); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return nil
			case <-tick.C:
			}
			now, err := a.takeUp(s, path, seen)
			if err != nil {
				if text := printable.Line(err.Error()); text != said { // once, not at every look
					said = text
					fmt.Fprintf(a.stderr, "rapsheet: the new snapshot is not served: %s\n", text)
				}
				continue
			}
			seen, said = now, ""
		}
	})
	g.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
		defer cancel()
		var errs []error
		for _, s := range servers {
			errs = append(errs, s.Shutdown(stop))
		}
		return errors.Join(errs...)
	})
	if err := g.Wait(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func newHTTPServer(h http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerLimit, ReadTimeout: readLimit, WriteTimeout: writeLimit,
		IdleTimeout: idleLimit, MaxHeaderBytes: headerBytes, Protocols: protocols,
	}
}

// snapshotPath is what --catalog of a server names: it is looked at again and again, so it has to be a file or a directory of releases.
func (a *app) snapshotPath(name string) (string, error) {
	if name != installedCatalog {
		return name, nil
	}
	dir, err := a.dataDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, catalogFile), nil
}

// takeUp serves the snapshot at path unless it is the one that was seen.
func (a *app) takeUp(s *server.Server, path string, seen os.FileInfo) (os.FileInfo, error) {
	file := cmp.Or(releaseSnapshot(path), path)
	st, err := os.Stat(file)
	if err != nil {
		return seen, &catalogError{err, "fetch the public list with `rapsheet update`, or name a snapshot with --catalog"}
	}
	if seen != nil && os.SameFile(st, seen) && st.ModTime().Equal(seen.ModTime()) && st.Size() == seen.Size() {
		return seen, nil
	}
	ix, err := index.Open(file)
	if err == nil {
		err = s.Swap(ix)
	}
	if err != nil {
		return seen, unusable(err)
	}
	return st, nil
}
