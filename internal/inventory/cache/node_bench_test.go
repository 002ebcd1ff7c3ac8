package cache_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rapsheet/rapsheet/internal/inventory"
	"github.com/rapsheet/rapsheet/internal/inventory/cache"
	"github.com/rapsheet/rapsheet/internal/inventory/installed"
)

// A cache of npm's of 20,000 archives, each with its content; at most 2 s.
func BenchmarkNPMCache(b *testing.B) {
	const entries = 20_000
	root := b.TempDir()
	write := func(name string, data []byte) {
		name = filepath.Join(root, "_cacache", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	split := func(sum []byte) string {
		h := hex.EncodeToString(sum)
		return h[:2] + "/" + h[2:4] + "/" + h[4:]
	}
	for i := range entries {
		url := fmt.Sprintf("https://registry.npmjs.org/package-%d/-/package-%d-1.0.%d.tgz", i, i, i%10)
		content := sha512.Sum512([]byte(url))
		write("content-v2/sha512/"+split(content[:]), []byte(url))
		entry := fmt.Sprintf(`{"key":"make-fetch-happen:request-cache:%s","integrity":"sha512-%s","time":1795891421918,"size":217,"metadata":{"time":1795891421903,"url":"%s","reqHeaders":{},"resHeaders":{"cache-control":"public, immutable, max-age=31557600","content-type":"application/octet-stream","date":"Sat, 28 Nov 2026 18:43:41 GMT","etag":"\"6be9d9b6f9c8b1a6a0f8b6d0a1c2d3e4\"","last-modified":"Sat, 26 Oct 1985 08:15:00 GMT","vary":"Accept-Encoding"},"options":{"compress":true}}}`,
			url, base64.StdEncoding.EncodeToString(content[:]), url)
		key := sha256.Sum256([]byte("make-fetch-happen:request-cache:" + url))
		write("index-v5/"+split(key[:]), fmt.Appendf(nil, "\n%x\t%s", sha1.Sum([]byte(entry)), entry))
	}
	opt := inventory.Options{Kinds: append(cache.Kinds(), installed.Kinds()...)}
	for b.Loop() {
		n := 0
		for _, err := range inventory.Walk(b.Context(), root, opt) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != entries {
			b.Fatalf("%d of %d archives found", n, entries)
		}
	}
}
