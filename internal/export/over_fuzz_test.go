package export

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/rapsheet/rapsheet/internal/clienttest"
)

const fuzzRecord = `{"schema_version":"1.7.4","id":"MAL-2026-1","modified":"2026-01-02T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"evil-pkg"},"versions":["1.2.3"]}]}`

// fuzzOver writes a format over a file, with a limit of time that no input of a fuzz target needs.
func fuzzOver(t *testing.T, format, over string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := Load(ctx, values([][]byte{[]byte(fuzzRecord)}), time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	f, ok := Find(format)
	if !ok {
		t.Fatal(format)
	}
	at, opt := filepath.Join(t.TempDir(), "out"), Options{Publisher: "rapsheet", Over: over}
	if f.Tree != nil {
		err = WriteTree(ctx, f, c, at, opt)
	} else {
		err = f.File(ctx, c, io.Discard, opt)
	}
	if ctx.Err() != nil {
		t.Fatal("no end")
	}
	if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Fatalf("not a line: %q", err)
	}
	return at, err
}

func fuzzFile(t *testing.T, name string, data []byte) string {
	at := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(at, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}

// smallTrivy is a database with small pages: one bucket in its own pages, one in its value, a branch and free pages.
func smallTrivy(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trivy.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: 1024, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	db.AllocSize = 1024
	for round := range 3 {
		err = db.Update(func(tx *bbolt.Tx) error {
			for _, name := range []string{"data-source", "npm::GHSA", "vulnerability"} {
				if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
					return err
				}
			}
			b, err := tx.Bucket([]byte("npm::GHSA")).CreateBucketIfNotExists([]byte("evil-pkg"))
			if err != nil {
				return err
			}
			for i := range 20 {
				id := []byte{'C', 'V', 'E', byte('a' + i)}
				if err := tx.Bucket([]byte("vulnerability")).Put(id, bytes.Repeat([]byte{'x'}, 60+round)); err != nil {
					return err
				}
				if i < 2 {
					err = b.Put(id, []byte(`{"VulnerableVersions":["<1"]}`))
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// resum makes the checksums of both pages of meta right.
func resum(data []byte) {
	for at := 0; at <= 1024 && at+80 <= len(data); at += 1024 {
		h := fnv.New64a()
		h.Write(data[at+16 : at+72])
		binary.LittleEndian.PutUint64(data[at+72:], h.Sum64())
	}
}

// A database that is not refused loses nothing, and what is made of it is whole.
func FuzzTrivyOver(f *testing.F) {
	data := smallTrivy(f)
	f.Add(data, uint16(0), uint16(0), false)
	for _, at := range []uint16{16, 24, 32, 48, 56, 64, 1040, 1064, 2056, 2058, 2060, 3072, 3080, 3082, 3090, 4104} {
		f.Add(data, at, uint16(0x0101), true)
		f.Add(data, at, uint16(0xffff), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, at, flip uint16, sum bool) {
		data = slices.Clone(data)
		if int(at)+2 <= len(data) {
			binary.LittleEndian.PutUint16(data[at:], binary.LittleEndian.Uint16(data[at:])^flip)
		}
		if sum {
			resum(data)
		}
		path := fuzzFile(t, "trivy.db", data)
		out, err := fuzzOver(t, "trivy", path)
		if err != nil {
			return
		}
		made := filepath.Join(out, "db", "trivy.db")
		if err := checkBolt(made); err != nil {
			t.Fatal(err)
		}
		after := BoltLines(t, made)
		slices.Sort(after)
		for _, key := range BoltLines(t, path) {
			if _, there := slices.BinarySearch(after, key); !there && !strings.Contains(key, "rapsheet malicious packages") && !strings.Contains(key, "MAL-2026-1") {
				t.Fatalf("lost %q", key)
			}
		}
	})
}

func FuzzGrypeOver(f *testing.F) {
	data := SmallGrype(f, "")
	f.Add(data, uint16(0), uint16(0))
	for _, at := range []uint16{16, 18, 28, 44, 56, 100, 103, 105, 108, 512, 515, 520, 1024, 1536, 2048, 4096} {
		f.Add(data, at, uint16(0x0101))
		f.Add(data, at, uint16(0xffff))
	}
	f.Fuzz(func(t *testing.T, data []byte, at, flip uint16) {
		data = slices.Clone(data)
		if int(at)+2 <= len(data) {
			binary.LittleEndian.PutUint16(data[at:], binary.LittleEndian.Uint16(data[at:])^flip)
		}
		_, _ = fuzzOver(t, "grype", fuzzFile(t, "vulnerability.db", data))
	})
}

func FuzzOSVOver(f *testing.F) {
	f.Add(clienttest.Zip(f, upstreamFiles...))
	f.Add(clienttest.Zip(f, "MAL-2026-1.json", fuzzRecord))
	f.Add(clienttest.Zip(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = fuzzOver(t, "osv", fuzzFile(t, "all.zip", data))
	})
}

func FuzzOSVOfflineOver(f *testing.F) {
	f.Add(`{"id":"CVE-2020-1","_id":"0123456789abcdef"}` + "\n" + `{"id":"MAL-2026-1","_id":"1123456789abcdef"}` + "\n")
	f.Add("\n\n{}\n")
	f.Add(`{"$$indexCreated":{"fieldName":"affected.package.purl"}}` + "\n" + `{"$$deleted":true,"_id":"x"}`)
	f.Fuzz(func(t *testing.T, lines string) {
		_, _ = fuzzOver(t, "osv-offline", fuzzFile(t, "osv-offline.zip", clienttest.Zip(t, "npm.nedb", lines)))
	})
}

func FuzzGoVulnDBOver(f *testing.F) {
	f.Add(`{"modified":"2027-01-01T00:00:00Z"}`, `[{"path":"example.com/evil","vulns":[{"id":"GO-2021-1"}],"new":[1]}]`, `[{"id":"GO-2021-1","modified":"2021-01-01T00:00:00Z"}]`)
	f.Add(`{}`, `[]`, `null`)
	f.Fuzz(func(t *testing.T, db, modules, vulns string) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "index"), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"db": db, "modules": modules, "vulns": vulns} {
			if err := os.WriteFile(filepath.Join(dir, "index", name+".json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = fuzzOver(t, "go-vulndb", dir)
	})
}
