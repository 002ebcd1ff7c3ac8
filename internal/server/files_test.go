package server

import (
	"runtime"
	"testing"
)

// Formats that are made one after another are made of one catalog, which nothing holds afterwards.
func TestOneCatalogForFormats(t *testing.T) {
	s := newOSV(t)
	fetch := func(path string) {
		if w := do(s, "GET", path, ""); w.Code != 200 {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	f := s.current.Load().files
	for {
		fetch("/osv/npm/all.zip")
		if c := f.catalog.Value(); c != nil {
			fetch("/osv-offline.zip")
			if f.catalog.Value() != c {
				t.Error("the second format was made of a catalog of its own")
			}
			runtime.KeepAlive(c)
			break
		}
		// It was collected in between: again.
		s = newOSV(t)
		f = s.current.Load().files
	}
	runtime.GC()
	runtime.GC()
	if f.catalog.Value() != nil {
		t.Error("the catalog is held")
	}
	fetch("/govuln/index/db.json")
}
