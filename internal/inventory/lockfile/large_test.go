package lockfile

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// bigLock is a package-lock.json, version 3, of n packages, shaped like npm's own.
func bigLock(n int, minified bool) []byte {
	var b bytes.Buffer
	b.WriteString("{\n  \"name\": \"x\",\n  \"lockfileVersion\": 3,\n  \"packages\": {\n    \"\": {}")
	for i := range n {
		fmt.Fprintf(&b, `,
    "node_modules/package-%d": {
      "version": "1.%d.0",
      "resolved": "https://registry.npmjs.org/package-%d/-/package-%d-1.%d.0.tgz",
      "integrity": "%s",
      "dev": true,
      "license": "MIT",
      "dependencies": {
        "package-%d": "^1.0.0",
        "package-%d": "^2.0.0"
      },
      "engines": {
        "node": ">=12"
      }
    }`, i, i%10, i, i, i%10, sha512, i+1, i+2)
	}
	b.WriteString("\n  }\n}\n")
	if minified {
		return []byte(strings.NewReplacer("\n", "", "  ", "").Replace(b.String()))
	}
	return b.Bytes()
}

func countTo(n *int) func(rapsheet.Sighting, error) bool {
	return func(_ rapsheet.Sighting, err error) bool {
		if err == nil {
			*n++
		}
		return true
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func benchmarkReader(b *testing.B, kind string, content []byte, want int) {
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		for _, r := range javascriptReaders() {
			if r.Name != kind {
				continue
			}
			n := 0
			in := &inventory.File{Path: kind, Rel: kind, R: bytes.NewReader(content)}
			out := &inventory.Sink{File: in, Kind: kind, Yield: countTo(&n)}
			if err := r.Read(b.Context(), in, out); err != nil || n != want {
				b.Fatalf("%d sightings, %v", n, err)
			}
		}
	}
}

func BenchmarkPackageLock(b *testing.B) {
	benchmarkReader(b, "package-lock.json", bigLock(3400, false), 3400)
}

func BenchmarkPnpmLock(b *testing.B) {
	var s strings.Builder
	s.WriteString("lockfileVersion: '9.0'\n\npackages:\n")
	for i := range 3400 {
		fmt.Fprintf(&s, "\n  '@scope/package-%d@1.%d.0':\n    resolution: {integrity: %s}\n    engines: {node: '>=12'}\n    peerDependencies:\n      react: '*'\n", i, i%10, sha512)
	}
	benchmarkReader(b, "pnpm-lock.yaml", []byte(s.String()), 3400)
}

func BenchmarkYarnLock(b *testing.B) {
	var s strings.Builder
	s.WriteString("# yarn lockfile v1\n")
	for i := range 3400 {
		fmt.Fprintf(&s, "\npackage-%d@^1.0.0:\n  version \"1.%d.0\"\n  resolved \"https://registry.yarnpkg.com/package-%d/-/package-%d-1.%d.0.tgz#0123456789abcdef0123456789abcdef01234567\"\n  integrity %s\n  dependencies:\n    x \"^1\"\n", i, i%10, i, i, i%10, sha512)
	}
	benchmarkReader(b, "yarn.lock", []byte(s.String()), 3400)
}

// The memory for a lockfile does not grow with it, nor do its lines have to be short.
func TestD79LargeMinifiedLock(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 300 MB")
	}
	const total = 300 << 20
	entry := []byte(`"license":"MIT","dependencies":{"aaaaaaaaaaaaaaaa":"^1.0.0","bbbbbbbbbbbbbbbbbbbb":"^2.0.0"},"funding":"` + strings.Repeat("x", 1000) + `"}`)
	i, written, n := 0, 0, 0
	pending := []byte(`{"lockfileVersion":3,"packages":{"":{}`)
	r := readerFunc(func(p []byte) (int, error) {
		if len(pending) == 0 {
			switch {
			case i < 0:
				return 0, io.EOF
			case written > total:
				pending = []byte("}}")
				n, i = i, -1
			default:
				pending = append(fmt.Appendf(pending, `,"node_modules/p%d":{"version":"1.0.0",`, i), entry...)
				i++
			}
		}
		done := copy(p, pending)
		pending = pending[done:]
		written += done
		return done, nil
	})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	got := 0
	in := &inventory.File{Path: "package-lock.json", Rel: "package-lock.json", R: r}
	err := readPackageLock(t.Context(), in, &inventory.Sink{File: in, Yield: countTo(&got)})
	runtime.ReadMemStats(&after)
	if err != nil || got != n {
		t.Errorf("%d of %d packages, %v", got, n, err)
	}
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 128<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	} else {
		t.Logf("%d packages; the heap grew by %d MiB", n, grown>>20)
	}
}
