package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rapsheet/rapsheet/index"
)

// metrics count requests by the pattern that answered and by status, never by what a client made up.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	records  prometheus.Gauge
	date     prometheus.Gauge
	swaps    prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rapsheet_http_requests_total", Help: "Requests by pattern and status."}, []string{"pattern", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rapsheet_http_request_seconds", Help: "Time to answer, by pattern.",
			Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30},
		}, []string{"pattern"}),
		records: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rapsheet_catalog_records", Help: "Records in the catalog that is served."}),
		date:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "rapsheet_catalog_date_seconds", Help: "How new the knowledge in the catalog is, as Unix time."}),
		swaps:   prometheus.NewCounter(prometheus.CounterOpts{Name: "rapsheet_catalog_swaps_total", Help: "Catalogs served since the start."}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.records, m.date, m.swaps, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) swapped(meta index.Meta) {
	m.records.Set(float64(meta.Records))
	m.date.Set(float64(meta.Date.Unix()))
	m.swaps.Inc()
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// observe counts what next answers. The pattern is known once the request was routed.
func (m *metrics) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(sw, r)
		pattern := r.Pattern
		if pattern == "" {
			pattern = "none"
		}
		m.requests.WithLabelValues(pattern, strconv.Itoa(sw.status)).Inc()
		m.seconds.WithLabelValues(pattern).Observe(time.Since(start).Seconds())
	})
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
