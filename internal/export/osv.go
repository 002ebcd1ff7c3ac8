package export

import (
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/flate"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/osv"
)

// osvFormats are those of whole OSV records.
var osvFormats = []Format{
	{Name: "osv", About: "a dump in the layout of OSV.dev's bucket, for Dependency-Track and osv-scalibr", Over: "a dump in that layout, without its single records", Tree: writeBucket},
	{Name: "osv-scanner", About: "osv-scanner's database for --offline, in the directories of its old and new versions", Over: "such a database, or a dump of OSV.dev", Tree: writeOSVScanner},
	{Name: "osv-offline", About: "the archive that Renovate reads by its library osv-offline", Over: "its osv-offline.zip", File: writeOSVOffline},
}

// AllZip is what a dump calls the archive of all records of an ecosystem.
const AllZip = "all.zip"

// AllJSON is the list of all ids in a dump.
const AllJSON = "all.json"

// Limits of archives that are merged over.
const (
	maxOverEntries = 2_000_000
	maxOverLine    = 16 << 20
)

// packedDocument is a record as an entry of archives: deflated once, however many they are.
type packedDocument struct {
	header zip.FileHeader
	data   []byte
}

// packing deflates documents one after another.
type packing struct {
	w   *flate.Writer
	buf bytes.Buffer
}

func (p *packing) pack(r *Record) (packedDocument, error) {
	p.buf.Reset()
	if p.w == nil {
		w, err := flate.NewWriter(&p.buf, flate.DefaultCompression)
		if err != nil {
			return packedDocument{}, err
		}
		p.w = w
	} else {
		p.w.Reset(&p.buf)
	}
	if _, err := p.w.Write(r.JSON); err != nil {
		return packedDocument{}, err
	}
	if err := p.w.Close(); err != nil {
		return packedDocument{}, err
	}
	return packedDocument{zip.FileHeader{
		Name: r.ID + ".json", Method: zip.Deflate, Modified: r.Modified.UTC(), CRC32: crc32.ChecksumIEEE(r.JSON),
		CompressedSize64: uint64(p.buf.Len()), UncompressedSize64: uint64(len(r.JSON)),
	}, p.buf.Bytes()}, nil
}

func (d *packedDocument) into(z *zip.Writer) error {
	header := d.header
	w, err := z.CreateRaw(&header)
	if err != nil {
		return err
	}
	_, err = w.Write(d.data)
	return err
}

// eachEcosystem calls write with the records of each ecosystem, by id, each once.
func eachEcosystem(c *Catalog, write func(name string, records []Record) error) error {
	for start := 0; start < len(c.records); {
		name := c.records[start].Key.Ecosystem
		end := start
		for end < len(c.records) && c.records[end].Key.Ecosystem == name {
			end++
		}
		records := slices.Clone(c.records[start:end])
		start = end
		slices.SortFunc(records, func(r, s Record) int { return strings.Compare(r.ID, s.ID) })
		records = slices.CompactFunc(records, func(r, s Record) bool { return r.ID == s.ID })
		if !osv.KnownEcosystem(name) {
			continue // a name of a directory, from a record
		}
		if err := write(name, records); err != nil {
			return err
		}
	}
	return nil
}

// zips writes the archive of each ecosystem, ours before those of the archives merged over, and calls more with what is done.
func zips(ctx context.Context, c *Catalog, dir *os.Root, over string, names func(eco string) []string, more func(eco string, records []Record) error) error {
	left := map[string]string{} // archives to merge over, by ecosystem
	if over != "" {
		var err error
		if left, err = overZips(over); err != nil {
			return err
		}
	}
	var p packing
	err := eachEcosystem(c, func(eco string, records []Record) error {
		at := names(eco)
		err := create(dir, at[0], func(w io.Writer) error {
			z := zip.NewWriter(w)
			ours := make(map[string]bool, len(records))
			for i := range records {
				if err := ctx.Err(); err != nil {
					return err
				}
				d, err := p.pack(&records[i])
				if err != nil {
					return err
				}
				ours[d.header.Name] = true
				if err := d.into(z); err != nil {
					return err
				}
			}
			if path, ok := left[eco]; ok {
				delete(left, eco)
				if err := mergeZip(ctx, z, path, ours); err != nil {
					return err
				}
			}
			return z.Close()
		})
		if err != nil {
			return err
		}
		for _, other := range at[1:] {
			if err := dir.Link(at[0], other); err != nil {
				return err
			}
		}
		if more != nil {
			return more(eco, records)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, eco := range slices.Sorted(maps.Keys(left)) {
		at := names(eco)
		err := create(dir, at[0], func(w io.Writer) error {
			z := zip.NewWriter(w)
			if err := mergeZip(ctx, z, left[eco], nil); err != nil {
				return err
			}
			return z.Close()
		})
		if err != nil {
			return err
		}
		for _, other := range at[1:] {
			if err := dir.Link(at[0], other); err != nil {
				return err
			}
		}
	}
	return nil
}

// overZips finds the archives of ecosystems in a dump or in osv-scanner's database.
func overZips(path string) (map[string]string, error) {
	out := map[string]string{}
	for _, below := range []string{"osv-scanner", "osv-scalibr", "."} {
		entries, err := os.ReadDir(filepath.Join(path, below))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			at := filepath.Join(path, below, e.Name(), AllZip)
			if st, err := os.Lstat(at); osv.KnownEcosystem(e.Name()) && err == nil && st.Mode().IsRegular() {
				out[e.Name()] = at
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no <ecosystem>/%s", path, AllZip)
	}
	return out, nil
}

// mergeZip copies the entries of an archive but those that are ours already, without unpacking them.
func mergeZip(ctx context.Context, z *zip.Writer, path string, ours map[string]bool) error {
	r, err := zip.OpenReader(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer r.Close()
	if len(r.File) > maxOverEntries {
		return fmt.Errorf("%s has %d entries; at most %d are merged", path, len(r.File), maxOverEntries)
	}
	seen := make(map[string]bool, len(r.File))
	for _, f := range r.File {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case f.FileInfo().IsDir():
			continue
		case !fs.ValidPath(f.Name) || strings.ContainsAny(f.Name, `/\`) || !strings.HasSuffix(f.Name, ".json"):
			return fmt.Errorf("%s: %.100q is no record of a dump", path, f.Name)
		case seen[f.Name]:
			return fmt.Errorf("%s: %.100q is there twice", path, f.Name)
		}
		seen[f.Name] = true
		if ours[f.Name] {
			continue
		}
		if err := z.Copy(f); err != nil {
			return fmt.Errorf("%s: %s: %w", path, f.Name, err)
		}
	}
	return nil
}

// writeBucket writes what OSV.dev's exporter does (https://google.github.io/osv.dev/data/#data-dumps): single records first, then
// archives, then the lists that name them. What is merged over is in the archives and the lists of ecosystems only.
func writeBucket(ctx context.Context, c *Catalog, dir *os.Root, opt Options) error {
	ecosystems := map[string]bool{}
	err := create(dir, AllZip, func(w io.Writer) error {
		all := zip.NewWriter(w)
		// Of a record about two ecosystems the archive of all has one entry.
		err := zips(ctx, c, dir, opt.Over, func(eco string) []string {
			ecosystems[eco] = true
			dir.Mkdir(eco, 0o755) // creating the file in it says why not
			return []string{eco + "/" + AllZip}
		}, func(eco string, records []Record) error {
			for i := range records {
				if err := ctx.Err(); err != nil {
					return err
				}
				if opt.Served {
					break
				}
				if err := dir.WriteFile(eco+"/"+records[i].ID+".json", records[i].JSON, 0o644); err != nil {
					return err
				}
			}
			return create(dir, eco+"/modified_id.csv", func(w io.Writer) error { return modifiedIDs(w, records, "") })
		})
		if err != nil {
			return err
		}
		var p packing
		for _, r := range c.Documents() {
			d, err := p.pack(&r)
			if err != nil {
				return err
			}
			if err := d.into(all); err != nil {
				return err
			}
		}
		return all.Close()
	})
	if err != nil {
		return err
	}
	err = createJSONList(dir, AllJSON, func(add func(any) error) error {
		for _, r := range c.Documents() {
			if err := add(listedRecord{r.ID, r.Modified.UTC()}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := create(dir, "modified_id.csv", func(w io.Writer) error { return modifiedIDs(w, c.records, "/") }); err != nil {
		return err
	}
	return dir.WriteFile("ecosystems.txt", []byte(strings.Join(slices.Sorted(maps.Keys(ecosystems)), "\n")+"\n"), 0o644)
}

// listedRecord is an element of all.json, by which OSV.dev takes records in from an address of somebody else's
// (https://google.github.io/osv.dev/contributing/data, "REST API").
type listedRecord struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
}

// modifiedIDs writes a line for each record, the newest first; separator is "/" where the ecosystem stands before the id.
func modifiedIDs(w io.Writer, records []Record, separator string) error {
	records = slices.Clone(records)
	slices.SortFunc(records, func(r, s Record) int {
		return cmp.Or(s.Modified.Compare(r.Modified), strings.Compare(r.ID, s.ID), strings.Compare(r.Key.Ecosystem, s.Key.Ecosystem))
	})
	for i, r := range records {
		if i > 0 && r.ID == records[i-1].ID && r.Key.Ecosystem == records[i-1].Key.Ecosystem {
			continue
		}
		name := r.ID
		if separator != "" {
			name = r.Key.Ecosystem + separator + r.ID
		}
		if _, err := io.WriteString(w, r.Modified.UTC().Format(time.RFC3339Nano)+","+name+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// emptyZip is an archive without entries (APPNOTE.TXT 4.3.16): osv-scanner stops matching where an ecosystem has no archive at all.
var emptyZip = append([]byte("PK\x05\x06"), make([]byte, 18)...)

// writeOSVScanner writes the archives under the names of versions 1 and 2, and of 2.6 on (osv-scalibr); the second is a link.
func writeOSVScanner(ctx context.Context, c *Catalog, dir *os.Root, opt Options) error {
	names := func(eco string) []string {
		out := []string{"osv-scalibr/" + eco + "/" + AllZip, "osv-scanner/" + eco + "/" + AllZip}
		for _, name := range out {
			dir.MkdirAll(strings.TrimSuffix(name, "/"+AllZip), 0o755) // creating the file in it says why not
		}
		return out
	}
	if err := zips(ctx, c, dir, opt.Over, names, nil); err != nil {
		return err
	}
	for _, eco := range osv.Ecosystems() {
		for _, name := range names(eco) {
			if _, err := dir.Stat(name); err == nil {
				continue
			}
			if err := dir.WriteFile(name, emptyZip, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// offlineNames are the members of Renovate's archive, by ecosystem (github.com/renovatebot/osv-offline).
var offlineNames = map[string]string{
	"crates.io": "crates.io.nedb", "Go": "go.nedb", "Hackage": "hackage.nedb", "Hex": "hex.nedb", "Maven": "maven.nedb", "npm": "npm.nedb",
	"NuGet": "nuget.nedb", "Packagist": "packagist.nedb", "Pub": "pub.nedb", "PyPI": "pypi.nedb", "RubyGems": "rubygems.nedb",
}

// writeOSVOffline writes records in force, which are found by their purl alone: it is added where a record has none. Every
// member is there, an empty one too.
func writeOSVOffline(ctx context.Context, c *Catalog, w io.Writer, opt Options) error {
	var over *zip.ReadCloser
	if opt.Over != "" {
		var err error
		if over, err = zip.OpenReader(opt.Over); err != nil {
			return fmt.Errorf("%s: %w", opt.Over, err)
		}
		defer over.Close()
	}
	byName := map[string][]Record{}
	err := eachEcosystem(c, func(eco string, records []Record) error {
		if name, ok := offlineNames[eco]; ok {
			byName[name] = records
		}
		return nil
	})
	if err != nil {
		return err
	}
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.DefaultCompression) })
	for _, name := range slices.Sorted(maps.Values(offlineNames)) {
		member, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: c.Date})
		if err != nil {
			return err
		}
		bw := bufio.NewWriterSize(member, 64<<10)
		ours := map[string]bool{}
		for _, r := range byName[name] {
			if err := ctx.Err(); err != nil {
				return err
			}
			if r.Withdrawn {
				continue
			}
			line, err := offlineLine(&r)
			if err != nil {
				return err
			}
			ours[r.ID] = true
			bw.Write(line)
			bw.WriteByte('\n')
		}
		if over != nil {
			if err := mergeOffline(ctx, bw, &over.Reader, name, ours); err != nil {
				return fmt.Errorf("%s: %w", opt.Over, err)
			}
		}
		if err := bw.Flush(); err != nil {
			return err
		}
	}
	return z.Close()
}

// offlineLine is a record with the key that NeDB gives documents: 16 letters and digits, here from the record's id.
func offlineLine(r *Record) ([]byte, error) {
	rec, _, err := osv.Parse(r.JSON)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", r.ID, err)
	}
	for i := range rec.Affected {
		if p := &rec.Affected[i].Package; p.PURL == "" {
			p.PURL = ecosystem.PURL(rapsheet.Package{Ecosystem: p.Ecosystem, Name: p.Name})
		}
	}
	b, err := rec.Marshal()
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", r.ID, err)
	}
	sum := sha256.Sum256([]byte(r.ID))
	key := base32.StdEncoding.EncodeToString(sum[:10])
	return append(b[:len(b)-1], `,"_id":"`+key+`"}`...), nil
}

// mergeOffline copies the lines of a member but those of records that are ours.
func mergeOffline(ctx context.Context, w io.Writer, over *zip.Reader, name string, ours map[string]bool) error {
	i := slices.IndexFunc(over.File, func(f *zip.File) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	in, err := over.File[i].Open()
	if err != nil {
		return err
	}
	defer in.Close()
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxOverLine)
	for lines.Scan() {
		if err := ctx.Err(); err != nil {
			return err
		}
		var doc struct {
			ID string `json:"id"`
		}
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if err := json.Unmarshal(lines.Bytes(), &doc); err != nil {
			return fmt.Errorf("%s: a line is no JSON: %w", name, err)
		}
		if ours[doc.ID] {
			continue
		}
		if _, err := w.Write(append(slices.Clone(lines.Bytes()), '\n')); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
