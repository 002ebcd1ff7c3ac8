package cli_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rapsheet/rapsheet"
)

// A journal is replayed as a stream: of ten times as many pages the program takes no more memory.
func TestRegistryReplayMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("200,000 packages")
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/service/rest/v1/repositories" {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `[]`)
			return
		}
		http.NotFound(w, r)
	}))
	defer srv.Close()
	list := evilCatalog(t, "not-there@1.0.0")
	resident := func(pages int) int64 {
		path := filepath.Join(t.TempDir(), "journal")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w := bufio.NewWriter(f)
		fmt.Fprintf(w, "{\"rapsheet_journal\": 1, \"of\": %q}\n", srv.URL)
		for page := range pages {
			for i := range 100 {
				fmt.Fprintf(w, `{"sighting": {"ecosystem": "npm", "name": "package-%d-%d", "version": "1.0.0", "path": "%s/repository/r/package-%d-%d/-/package-%d-%d-1.0.0.tgz", "kind": "nexus", "origin": "registry", "digests": [{"Algorithm": "sha1", "Hex": "%040x"}]}}`+"\n",
					page, i, srv.URL, page, i, page, i, i)
			}
			next := fmt.Sprint(page + 1)
			if page+1 == pages {
				next = ""
			}
			fmt.Fprintf(w, "{\"page\": {\"next\": %q}}\n", next)
		}
		if w.Flush() != nil || f.Close() != nil {
			t.Fatal("the journal could not be written")
		}
		r, cmd := runProgram(t, rapsheet.ExitClean, "registry", srv.URL, "--catalog", list, "--format", "json", "--resume", path)
		if r.Summary.Packages != 100*pages {
			t.Fatalf("%d packages, want %d", r.Summary.Packages, 100*pages)
		}
		return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	}
	small, large := resident(200), resident(2000)
	t.Logf("%d MiB for 20,000 packages, %d MiB for 200,000", small>>20, large>>20)
	if large > small+32<<20 {
		t.Errorf("%d MiB for 20,000 packages, and %d MiB for 200,000", small>>20, large>>20)
	}
}
