package cache_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/clienttest"
	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/cache"
)

// Homebrew's packages have no records: each place is counted, once.
func TestHomebrew(t *testing.T) {
	url := strings.Repeat("0123456789abcdef", 4) + "--"
	root := clienttest.Tree(t, map[string]string{
		"opt/homebrew/Cellar/a/1.0/README":                                          "",
		"opt/homebrew/Cellar/jq/1.7.1/INSTALL_RECEIPT.json":                         "{}",
		"opt/homebrew/Cellar/jq/1.6/INSTALL_RECEIPT.json":                           "{}",
		"opt/homebrew/Cellar/node/22.1.0_1/INSTALL_RECEIPT.json":                    "{}",
		"opt/homebrew/Cellar/node/22.1.0_1/share/x/INSTALL_RECEIPT.json":            "{}",
		"opt/homebrew/Caskroom/firefox/.metadata/config.json":                       "{}",
		"opt/homebrew/Caskroom/firefox/.metadata/120.0/20240101/Casks/firefox.json": "{}",
		"opt/homebrew/Caskroom/vlc/.metadata/config.json":                           "{}",
		"home/linuxbrew/.linuxbrew/Cellar/jq/1.7.1/INSTALL_RECEIPT.json":            "{}",
		"Library/Caches/Homebrew/downloads/" + url + "jq--1.7.1.bottle.tar.gz":      "",
		"Library/Caches/Homebrew/downloads/" + url + "node--22.tar.gz":              "",
		"Library/Caches/Homebrew/downloads/" + url + "node.tar.gz.incomplete/x":     "",
		"Library/Caches/Homebrew/downloads/notes.txt":                               "",
		"src/INSTALL_RECEIPT.json":                                                  "{}",
	})
	count := func(below string) []string {
		var got []string
		for _, err := range inventory.Walk(t.Context(), root+below, inventory.Options{Kinds: cache.Kinds()}) {
			var note *rapsheet.Note
			if !errors.As(err, &note) {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s %s: %d %s", note.Kind, strings.TrimPrefix(note.Path, root+"/"), note.Count, note.Message))
		}
		return got
	}
	compare(t, count(""), []string{
		"unmatchable Library/Caches/Homebrew/downloads/" + url + "jq--1.7.1.bottle.tar.gz: 2 downloads of Homebrew: an ecosystem without records",
		"unmatchable home/linuxbrew/.linuxbrew/Cellar/jq/1.7.1/INSTALL_RECEIPT.json: 1 versions of Homebrew's formulae: an ecosystem without records",
		"unmatchable opt/homebrew/Caskroom/firefox/.metadata/config.json: 2 Homebrew's casks: an ecosystem without records",
		"unmatchable opt/homebrew/Cellar/jq/1.6/INSTALL_RECEIPT.json: 3 versions of Homebrew's formulae: an ecosystem without records",
	})
	compare(t, count("/opt/homebrew/Cellar"), []string{
		"unmatchable opt/homebrew/Cellar/jq/1.6/INSTALL_RECEIPT.json: 3 versions of Homebrew's formulae: an ecosystem without records",
	})
	compare(t, count("/opt/homebrew/Cellar/jq/1.7.1"), []string{
		"unmatchable opt/homebrew/Cellar/jq/1.7.1/INSTALL_RECEIPT.json: 1 versions of Homebrew's formulae: an ecosystem without records",
	})
}
