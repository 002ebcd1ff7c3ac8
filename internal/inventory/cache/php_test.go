package cache_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

func TestComposerFiles(t *testing.T) {
	sha := strings.Repeat("0123456789", 4)
	files := map[string]string{
		".cache/composer/files/evil/plain/" + sha + ".zip":                      string(clienttest.Zip(t, "evil-plain-0123456/src/a.php", "")),
		".cache/composer/files/evil/nested/" + sha + ".zip":                     string(clienttest.Zip(t, "r/tests/composer.json", `{"name": "no/no", "version": "9"}`, "r/composer.json", `{"version": "v1.2.0"}`)),
		".cache/composer/files/evil/spoof/" + sha + ".zip":                      string(clienttest.Zip(t, "composer.json", `{"name": "good/one", "version": "1.0.0"}`)),
		".cache/composer/files/evil/broken/" + sha + ".zip":                     string(clienttest.Zip(t, "composer.json", `{"name": 1}`)),
		".cache/composer/files/evil/tarred/" + sha + ".tar":                     "tar",
		".composer/cache/files/evil/old/" + sha + ".zip":                        "truncated",
		".cache/composer/repo/https---repo.packagist.org/provider-evil~no.json": `{"packages": {}}`,
		".cache/composer/vcs/https---github.com-evil-no.git/HEAD":               "ref: refs/heads/main",
		"project/files/a/b/readme.zip":                                          "",
	}
	compare(t, kept(t, clienttest.Tree(t, files), false), []string{
		".cache/composer/files/evil/broken/" + sha + ".zip evil/broken@",
		"unread .cache/composer/files/evil/broken/" + sha + ".zip: composer.json in the archive is not what it should be",
		".cache/composer/files/evil/nested/" + sha + ".zip evil/nested@v1.2.0",
		".cache/composer/files/evil/plain/" + sha + ".zip evil/plain@",
		`info .cache/composer/files/evil/spoof/` + sha + `.zip: calls itself "good/one" where "evil/spoof" was fetched: both were looked up`,
		".cache/composer/files/evil/spoof/" + sha + ".zip good/one@1.0.0",
		".cache/composer/files/evil/spoof/" + sha + ".zip evil/spoof@1.0.0",
		".cache/composer/files/evil/tarred/" + sha + ".tar evil/tarred@",
		".composer/cache/files/evil/old/" + sha + ".zip evil/old@",
		"unread .composer/cache/files/evil/old/" + sha + ".zip: not a valid zip file",
	})
}

// What `composer global require` installs.
func TestComposerGlobal(t *testing.T) {
	installed := `{"packages": [{"name": "evil/tool", "version": "v1.0.0", "notification-url": "https://packagist.org/downloads/"}], "dev": true}`
	compare(t, everything(t, clienttest.Tree(t, map[string]string{
		".composer/vendor/composer/installed.json":        installed,
		".config/composer/vendor/composer/installed.json": installed,
	})), []string{
		".composer/vendor/composer/installed.json evil/tool@v1.0.0 registry packagist.org",
		".config/composer/vendor/composer/installed.json evil/tool@v1.0.0 registry packagist.org",
	})
}

// A zip of more files than are listed is a note, and the package is still seen.
func TestComposerFileWithTooManyFiles(t *testing.T) {
	var files []string
	for i := range 40_000 {
		files = append(files, fmt.Sprintf("%0200d", i), "")
	}
	name := ".cache/composer/files/evil/large/" + strings.Repeat("0", 40) + ".zip"
	compare(t, kept(t, clienttest.Tree(t, map[string]string{name: string(clienttest.Zip(t, files...))}), false), []string{
		name + " evil/large@",
		"unread " + name + ": a zip with too many files to list",
	})
}
