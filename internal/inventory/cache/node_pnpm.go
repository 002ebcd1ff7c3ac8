package cache

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	_ "modernc.org/sqlite" // the "sqlite" driver

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/bounded"
	"github.com/rapsheet/rapsheet/internal/inventory"
)

// maxPNPMKey is how long a key of the database of pnpm's store may be, in bytes.
const maxPNPMKey = 8 << 10

// isPNPMIndex matches the directories of a store in which there are indexes of packages, wherever the store is:
// v3/files/xx of pnpm 4 to 9, v10/index/xx of pnpm 10, and v3/<package> and v10/<package> for packages without integrity.
func isPNPMIndex(dir string) bool {
	parent, name := cutLast(dir)
	if above, kind := cutLast(parent); lowerHex(name, 2) {
		_, version := cutLast(above)
		return version == "v3" && kind == "files" || version == "v10" && kind == "index"
	}
	_, version := cutLast(parent)
	return version == "v3" || version == "v10"
}

func isPNPMIndexFile(base, _ string) bool {
	switch {
	case strings.HasSuffix(base, "-index.json"): // v3
		return lowerHexPrefix(base, len(base)-len("-index.json"))
	case base == "integrity.json", base == "integrity-not-built.json":
		return true
	case strings.HasSuffix(base, ".json"): // v10
		_, _, ok := cutPNPMIndex(base)
		return ok
	}
	return false
}

func lowerHexPrefix(s string, n int) bool { return n > 0 && lowerHex(s[:n], n) }

// cutPNPMIndex splits the name of an index of pnpm 10, "<digest>-<package>.json": of the digest in hexadecimal what is
// between its 2nd and its 64th digit.
func cutPNPMIndex(base string) (digest, id string, ok bool) {
	digest, id, ok = strings.Cut(strings.TrimSuffix(base, ".json"), "-")
	return digest, id, ok && id != "" && (lowerHex(digest, 62) || lowerHex(digest, 38))
}

// readPNPMIndex reads the index of the files of one package in a store of pnpm 4 to 10 (github.com/pnpm/pnpm,
// store/cafs/src/getFilePathInCafs.ts). Of the older ones the path is the digest of the archive; pnpm 10 keeps only the
// first half of a SHA-512 there, which is no digest.
func readPNPMIndex(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	b, err := bounded.ReadAll(in.R, maxNodeIndex, "index")
	if err != nil {
		return err
	}
	var index struct {
		called
		Files map[string]struct {
			Integrity string `json:"integrity"`
		} `json:"files"`
	}
	torn := inventory.DecodeJSON(b, &index)
	l := inventory.NewList(ctx, out, "npm")
	var ev rapsheet.Evidence
	var known called
	dir, base := path.Split(in.Rel)
	xx := path.Base(dir)
	if digest, ok := strings.CutSuffix(base, "-index.json"); ok {
		ev.Digests = digestOf(xx + digest)
	} else if digest, id, ok := cutPNPMIndex(base); ok {
		ev.Digests = pnpmDigest(xx + digest)
		known = pnpmPackage(id, &ev)
	}
	own := index.called
	if torn == nil && own.Name == "" { // before pnpm 6: in the package.json alone
		if own, err = pnpmManifest(in, path.Join(dir, ".."), index.Files["package.json"].Integrity); err != nil && known.Name == "" {
			return err
		}
	}
	if err := sendCalled(l, own, known, ev); err != nil {
		return l.End(err)
	}
	return l.End(torn)
}

// pnpmDigest gives a digest that is whole: 64 digits are those of a SHA-512 that goes on.
func pnpmDigest(value string) []rapsheet.Digest {
	if len(value) == 64 {
		return nil
	}
	return digestOf(value)
}

// pnpmPackage reads the package out of an index's name, in which "+" stands for what file names cannot have.
func pnpmPackage(id string, ev *rapsheet.Evidence) called {
	if strings.Contains(id, "+++") { // …://…
		return called{}
	}
	known := splitSpec(id)
	if known.Version == "" {
		return called{}
	}
	if scope, name, ok := strings.Cut(known.Name, "+"); ok && strings.HasPrefix(scope, "@") {
		known.Name = scope + "/" + name
	}
	if known.Version[0] < '0' || known.Version[0] > '9' { // file+archive.tgz
		return called{Name: known.Name}
	}
	ev.Origin = rapsheet.OriginRegistry
	return known
}

// pnpmManifest reads a package.json in the store, whose files are named by their SHA-512.
func pnpmManifest(in *inventory.File, files, integrity string) (called, error) {
	for _, d := range ecosystem.Integrity(integrity) {
		var p called
		if b, ok := in.ReadFile(path.Join(files, d.Hex[:2], d.Hex[2:]), maxPackageJSON); ok && inventory.DecodeJSON(b, &p) == nil && p.Name != "" {
			return p, nil
		}
	}
	return called{}, errors.New("does not say which package it is of, and the store has no package.json of it")
}

func isPNPMDatabaseDir(dir string) bool {
	_, name := cutLast(dir)
	return name == "v11"
}

// isUnknownPNPMStore matches the directories two levels below a store of a version that came after this program.
func isUnknownPNPMStore(dir string) bool {
	dir, _ = cutLast(dir)
	dir, _ = cutLast(dir)
	parent, name := cutLast(dir)
	if n, err := strconv.Atoi(storeVersion(name)); err != nil || n < 12 {
		return false
	}
	_, store := cutLast(parent)
	return store == "store" || store == ".pnpm-store"
}

// readPNPMDatabase reads index.db of a store of pnpm 11 and newer: a table whose keys are the archive's integrity, a
// tab, and the package (github.com/pnpm/pnpm, store/index). The database is copied first, with its log, as SQLite may
// write even where it only reads.
func readPNPMDatabase(ctx context.Context, in *inventory.File, out *inventory.Sink) error {
	if !in.HasSibling("files") {
		return nil // somebody else's index.db
	}
	dir, err := os.MkdirTemp("", "rapsheet-*")
	if err != nil {
		return fmt.Errorf("no temporary directory: %w", err)
	}
	defer os.RemoveAll(dir)
	db := filepath.Join(dir, "index.db")
	if err := copyTo(db, in.R); err != nil {
		return err
	}
	if wal, err := openSibling(in, "index.db-wal"); err == nil {
		err = copyTo(db+"-wal", bounded.Context(ctx, wal))
		wal.Close()
		if err != nil {
			return err
		}
	}
	l := inventory.NewList(ctx, out, "npm")
	return l.End(readPNPMKeys(ctx, db, l))
}

func openSibling(in *inventory.File, name string) (io.ReadCloser, error) {
	if in.FS == nil {
		return nil, os.ErrNotExist
	}
	return in.FS.Open(path.Join(path.Dir(in.Rel), name))
}

func copyTo(name string, r io.Reader) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

func readPNPMKeys(ctx context.Context, name string, l *inventory.List) error {
	// The file is anyone's: no function that its schema names is called.
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(name), RawQuery: "_pragma=trusted_schema(0)"}).String())
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	tables, err := pnpmTables(ctx, db)
	if err != nil {
		return err
	}
	if len(tables) == 0 {
		return errors.New("has no table package_index: not an index of pnpm's store that is known")
	}
	p := pnpmKeys{l: l, seen: map[string]bool{}}
	for _, table := range tables {
		if err := p.table(ctx, db, table); err != nil {
			return err
		}
	}
	if p.nameless > 0 {
		l.Unmatchable(0, p.nameless, "packages from git or other places, of which the store does not say the name")
	}
	if p.odd > 0 {
		l.Out.Send(rapsheet.Sighting{}, &rapsheet.Note{Kind: rapsheet.NoteUnread, Path: l.Out.File.Path, Message: "keys that are not of the known form", Count: p.odd})
	}
	return nil
}

// pnpmTables gives those tables that the database has. A view in their place is none.
func pnpmTables(ctx context.Context, db *sql.DB) ([]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('package_index', 'package_index_alias') ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		all = append(all, name)
	}
	return all, rows.Err()
}

// pnpmKeys sends the packages of keys, each once.
type pnpmKeys struct {
	l             *inventory.List
	seen          map[string]bool
	nameless, odd int
}

func (p *pnpmKeys) table(ctx context.Context, db *sql.DB, table string) error {
	rows, err := db.QueryContext(ctx, `SELECT CASE WHEN typeof(key) = 'text' AND length(CAST(key AS BLOB)) <= ? THEN key END FROM `+table+` ORDER BY key`, maxPNPMKey)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key sql.NullString
		if err := rows.Scan(&key); err != nil {
			return err
		}
		if err := p.key(key); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (p *pnpmKeys) key(key sql.NullString) error {
	integrity, id, ok := strings.Cut(key.String, "\t")
	switch {
	case !key.Valid || !ok || id == "":
		p.odd++
		return nil
	case p.seen[key.String]:
		return nil
	case len(p.seen) == inventory.MaxEntries:
		return fmt.Errorf("more than %d packages", inventory.MaxEntries)
	}
	p.seen[key.String] = true
	if id == "built" || id == "not-built" {
		integrity, id = "", integrity // a package from git, or without integrity
	}
	known := splitSpec(id)
	ev := rapsheet.Evidence{Origin: rapsheet.OriginRegistry}
	if strings.Contains(id, ":") { // name@https://…, or the address alone
		from := id
		if strings.Contains(known.Version, ":") {
			from, known.Version = known.Version, ""
		} else {
			known = called{}
		}
		var archived called
		if ev, archived = archiveEvidence(p.l, from); archived.Name != "" {
			ev.Digests = ecosystem.Integrity(integrity)
			return sendCalled(p.l, archived, known, ev)
		}
	}
	if known.Name == "" {
		p.nameless++
		return nil
	}
	ev.Digests = ecosystem.Integrity(integrity)
	return p.l.Add(known.Name, known.Version, 0, ev)
}
