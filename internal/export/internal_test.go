package export

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// BoltLines gives "bucket/bucket/key value" of everything in a trivy.db, in its order.
func BoltLines(t *testing.T, path string) []string {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var out []string
	err = db.View(func(tx *bbolt.Tx) error {
		var walk func(prefix string, b *bbolt.Bucket) error
		walk = func(prefix string, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				if v == nil {
					return walk(prefix+string(k)+"/", b.Bucket(k))
				}
				out = append(out, prefix+string(k)+" "+string(v))
				return nil
			})
		}
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error { return walk(string(name)+"/", b) })
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// SmallGrype is a database with small pages and a record, and what more says.
func SmallGrype(t testing.TB, more string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vulnerability.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec("PRAGMA page_size=512;" + grypeTables + `
		INSERT INTO db_metadata VALUES ('2026-03-01 00:00:00+00:00', 6, 1, 9);
		INSERT INTO providers VALUES ('github', 'v1', 'vunnel', '2026-03-01 00:00:00+00:00', 'xxh64:0');
		INSERT INTO blobs VALUES (7, '{"id":"GHSA-1"}'), (9, '{"ranges":[]}');
		INSERT INTO vulnerability_handles VALUES (41, 'GHSA-1', 'active', NULL, NULL, NULL, 'github', 7);
		INSERT INTO packages VALUES (3, 'npm', 'EVIL-pkg'), (5, 'npm', 'lodash');
		INSERT INTO affected_package_handles VALUES (8, 41, NULL, 5, 9);` + more)
	if err != nil {
		t.Fatal(err)
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
