package cache_test

import (
	"crypto/md5"
	"fmt"
	"testing"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

func TestGems(t *testing.T) {
	evil := clienttest.Gem(t, "evil", "1.0.0")
	// bundler/source/rubygems/remote.rb, cache_slug, for https://rubygems.org/ and for a source with a user.
	public := fmt.Sprintf("rubygems.org.443.%x", md5.Sum([]byte("rubygems.org.443./")))
	private := fmt.Sprintf("gems.corp.example.secret.443.%x", md5.Sum([]byte("gems.corp.example.secret.443./private")))
	files := map[string]string{
		".gem/ruby/3.1.0/cache/evil-1.0.0.gem":               string(evil),
		".gem/ruby/3.1.0/cache/evil-1.0.0-x86_64-linux.gem":  string(evil),
		".rvm/gems/ruby-3.1.2/cache/good-2.0.0.gem":          string(evil),
		"app/vendor/cache/odd-2fa-1.0-java.gem":              "truncated",
		".bundle/cache/gems/" + public + "/evil-1.0.0.gem":   string(evil),
		".bundle/cache/gems/" + private + "/evil-1.0.0.gem":  string(evil),
		".bundle/cache/compact_index/" + public + "/info/no": "---\n1.0.0 |checksum:00\n",
		"downloads/evil-1.0.0.gem":                           string(evil),
	}
	compare(t, kept(t, clienttest.Tree(t, files), false), []string{
		".bundle/cache/gems/" + private + "/evil-1.0.0.gem evil@1.0.0",
		".bundle/cache/gems/" + public + "/evil-1.0.0.gem evil@1.0.0 registry rubygems.org",
		".gem/ruby/3.1.0/cache/evil-1.0.0-x86_64-linux.gem evil@1.0.0",
		".gem/ruby/3.1.0/cache/evil-1.0.0.gem evil@1.0.0",
		".rvm/gems/ruby-3.1.2/cache/good-2.0.0.gem evil@1.0.0",
		`info .rvm/gems/ruby-3.1.2/cache/good-2.0.0.gem: calls itself "evil" where "good" was fetched: both were looked up`,
		".rvm/gems/ruby-3.1.2/cache/good-2.0.0.gem good@2.0.0",
		"app/vendor/cache/odd-2fa-1.0-java.gem odd-2fa@1.0",
		"unread app/vendor/cache/odd-2fa-1.0-java.gem: not a gem: no metadata in it",
	})
}
