// Package server answers over HTTP what existing tools ask of vulnerability databases, from a snapshot, read-only and
// without a database.
//
// Flow: [Server.Swap] makes a snapshot the generation that is served → a request takes the generation of
// its moment and keeps it to its end → the handler of the tool's interface (one file each) asks the
// index → JSON. What tools fetch as files is written by package export, once for each
// generation, into a directory of its own (files.go), and served from there.
//
// Promise: an answer comes from one generation as a whole; a swap drops no request; what
// is not on record is never answered from a snapshot that is damaged: that is a 500. Bodies,
// their decompressed size, the depth of JSON and the number of questions are bounded.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/advisory"
)

// Config is what a server is told once. The zero value of a field has the meaning that stands beside it.
type Config struct {
	// Public is the address under which clients reach the server, without a slash at its end. It is never taken from a
	// request: a Host header is the client's word.
	Public string
	// Publisher is who keeps the list, in words; "" is "rapsheet".
	Publisher string
	// Spool is a directory for files that are made of a snapshot; it must be the server's own.
	Spool string
	// Cache is how many bytes of decompressed records may be kept in memory; 0 is 256 MiB, enough for all there are.
	Cache int64
	// MaxBody bounds a request's body, decompressed; 0 is 64 MiB.
	MaxBody int64
	// NPMUpstream is the registry that the one below /npm lies over, without credentials and a query; nil for none.
	NPMUpstream *url.URL
	// NPMPassThrough passes requests to the upstream registry through, with their credentials, where they would be redirected.
	NPMPassThrough bool
	// NPMTimeout is how long an audit waits for the upstream registry; 0 is 5 seconds.
	NPMTimeout time.Duration
	// Logger is told of errors and swaps, never of what was asked; nil is silence.
	Logger *slog.Logger
}

const (
	defaultMaxBody = 64 << 20
	defaultCache   = 256 << 20
	// minCompressed is the size from which answers are compressed, in bytes.
	minCompressed = 1024
)

// Server serves one snapshot at a time. It is safe for concurrent use.
type Server struct {
	conf    Config
	log     *slog.Logger
	current atomic.Pointer[generation]
	count   atomic.Uint64
	swap    sync.Mutex
	metrics *metrics
	npm     *http.Transport // to the upstream registry
}

// New makes a server that is not ready until the first [Server.Swap].
func New(conf Config) *Server {
	if conf.MaxBody == 0 {
		conf.MaxBody = defaultMaxBody
	}
	if conf.Cache == 0 {
		conf.Cache = defaultCache
	}
	if conf.NPMTimeout == 0 {
		conf.NPMTimeout = defaultNPMTimeout
	}
	if conf.Publisher == "" {
		conf.Publisher = "rapsheet"
	}
	s := &Server{conf: conf, log: conf.Logger, metrics: newMetrics(), npm: npmTransport()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// generation is a snapshot as long as somebody uses it.
type generation struct {
	ix       *index.Index
	meta     index.Meta
	files    *files
	composer composerAll
	times    []int64 // when records were modified, see modifiedTimes
	// users counts requests, and one for being the current generation; at 0 it is closed.
	users atomic.Int64
}

// Swap makes ix what is served, and closes the one before when its last request has ended. The server owns ix
// from here on, also after an error. The snapshot is read through and verified first.
func (s *Server) Swap(ix *index.Index) error {
	s.swap.Lock()
	defer s.swap.Unlock()
	times, err := s.modifiedTimes(ix)
	if err != nil {
		ix.Close()
		return fmt.Errorf("verify the snapshot: %w", err)
	}
	ix.CacheDocuments(s.conf.Cache)
	g := &generation{ix: ix, meta: ix.Meta(), times: times}
	g.users.Store(2) // one is for the files that are made again
	g.files = newFiles(s, g, s.count.Add(1))
	old := s.current.Swap(g)
	s.metrics.swapped(g.meta)
	s.log.Info("serving", "records", g.meta.Records, "date", g.meta.Date, "sequence", g.meta.Sequence)
	if old == nil {
		g.release()
		return nil
	}
	go func() {
		defer g.release()
		g.files.again(old.files)
	}()
	old.release()
	return nil
}

// Close ends serving: requests from now on get 503, and the snapshot is closed when the last request has ended.
func (s *Server) Close() {
	defer s.npm.CloseIdleConnections()
	if old := s.current.Swap(nil); old != nil {
		old.release()
	}
}

// acquire takes the current generation for one request; nil when there is none.
func (s *Server) acquire() *generation {
	for {
		g := s.current.Load()
		if g == nil {
			return nil
		}
		for {
			n := g.users.Load()
			if n == 0 {
				break // closed since it was loaded: there is a newer one
			}
			if g.users.CompareAndSwap(n, n+1) {
				return g
			}
		}
	}
}

func (g *generation) release() {
	if g.users.Add(-1) == 0 {
		g.files.close()
		g.ix.Close()
	}
}

// Handler serves all interfaces.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if s.current.Load() == nil {
			http.Error(w, "no catalog yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	s.pageRoutes(mux)
	s.osvRoutes(mux)
	s.bucketRoutes(mux)
	s.npmRoutes(mux)
	s.composerRoutes(mux)
	s.ecosystemRoutes(mux)
	s.grypeRoutes(mux)
	s.trivyRoutes(mux)
	s.listRoutes(mux)
	compressed, err := gzhttp.NewWrapper(gzhttp.MinSize(minCompressed), gzhttp.EnableZstd(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return s.paths(s.metrics.observe(s.npmOverlay(compressed(mux))))
}

// Metrics serves the metrics in Prometheus' text format, for a port of its own.
func (s *Server) Metrics() http.Handler { return s.metrics.handler() }

// handler answers one request from one generation. An error that is an [*httpError] is said to the client as it
// is; any other is a 500 that says nothing, and is logged.
type handler func(g *generation, w http.ResponseWriter, r *http.Request) error

// handle puts h at a pattern of [http.ServeMux].
func (s *Server) handle(mux *http.ServeMux, pattern string, h handler) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		g := s.acquire()
		if g == nil {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "no catalog yet", http.StatusServiceUnavailable)
			return
		}
		defer g.release()
		err := h(g, w, r)
		var said *httpError
		switch {
		case err == nil, errors.Is(err, context.Canceled):
		case errors.As(err, &said):
			http.Error(w, said.message, said.status)
		default:
			s.log.Error("request failed", "pattern", pattern, "error", err)
			http.Error(w, "internal error", http.StatusInternalServerError)
		}
	})
}

// httpError is an answer that is the client's doing.
type httpError struct {
	status  int
	message string
}

func (e *httpError) Error() string { return e.message }

var notFound = &httpError{http.StatusNotFound, "not found"}

// links says where records are shown: on this server.
func (s *Server) links() advisory.Links { return advisory.Links{Base: s.conf.Public + "/advisories"} }

// modified is when the knowledge of g last changed, as HTTP dates have it.
func (g *generation) modified() time.Time { return g.meta.Date.UTC().Truncate(time.Second) }
