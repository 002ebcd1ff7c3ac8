// Command write makes what benchmarks read, for `make bench` and for trying things
// at size:
//
//	go run ./internal/corpus/write -n 200607 > generated.jsonl   # records
//	go run ./internal/corpus/write -campaign 144000 > campaign.csv   # a list
//	go run ./internal/corpus/write -sbom 100000 > app.cdx.json   # a CycloneDX file
//	go run ./internal/corpus/write -tree 1000000 -o DIR          # a home with 3,000 projects
//	go run ./internal/corpus/write -dump catalog.idx -o DIR      # osv-scanner's offline databases
package main

import (
	"archive/zip"
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rapsheet/rapsheet/index"
	"github.com/rapsheet/rapsheet/internal/corpus"
	"github.com/rapsheet/rapsheet/osv"
)

func main() {
	n := flag.Int("n", 0, "write this many generated records as JSON lines")
	seed := flag.Uint64("seed", 1, "the same seed gives the same records")
	rows := flag.Int("campaign", 0, "write a campaign of this many packages as CSV")
	sbom := flag.Int("sbom", 0, "write a CycloneDX file of this many components")
	files := flag.Int("tree", 0, "make a home of this many files")
	catalog := flag.String("dump", "", "write the records of this catalog as osv-scanner reads them offline")
	dir := flag.String("o", "", "directory for -dump and -tree")
	flag.Parse()
	w := bufio.NewWriterSize(os.Stdout, 1<<20)
	var err error
	switch {
	case *n > 0:
		err = records(w, *seed, *n)
	case *rows > 0:
		err = corpus.WriteCampaign(w, *seed, *rows)
	case *sbom > 0:
		err = components(w, *sbom)
	case *files > 0 && *dir != "":
		_, err = corpus.WriteTree(*dir, *files, "evil-in-the-tree")
	case *catalog != "" && *dir != "":
		err = dump(*catalog, *dir)
	default:
		flag.Usage()
		os.Exit(2)
	}
	if err := errors.Join(err, w.Flush()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func records(w io.Writer, seed uint64, n int) error {
	for r := range corpus.Records(seed, n) {
		raw, err := r.Marshal()
		if err != nil {
			return err
		}
		if _, err := w.Write(append(raw, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// components writes what generators usually say of a component: reference, purl,
// hash, licence, links.
func components(w io.Writer, n int) error {
	fmt.Fprint(w, "{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.6\",\"version\":1,\"components\":[\n")
	for i := range n {
		if i > 0 {
			fmt.Fprint(w, ",\n")
		}
		name, v := fmt.Sprintf("pkg-%d-%d", i%977, i), fmt.Sprintf("%d.%d.%d", i%7, i%31, i%11)
		fmt.Fprintf(w, `{"type":"library","bom-ref":"pkg:npm/%s@%s","name":"%s","version":"%s","purl":"pkg:npm/%s@%s",`+
			`"hashes":[{"alg":"SHA-512","content":"%0128x"}],"licenses":[{"license":{"id":"MIT"}}],`+
			`"externalReferences":[{"type":"distribution","url":"https://registry.npmjs.org/%s/-/%s-%s.tgz"},{"type":"vcs","url":"https://github.com/example/%s"}]}`,
			name, v, name, v, name, v, i, name, name, v, name)
	}
	_, err := fmt.Fprint(w, "]}\n")
	return err
}

// dump writes DIR/osv-scalibr/<ecosystem>/all.zip and links DIR/osv-scanner to it:
// versions of osv-scanner look under one or the other name.
func dump(catalog, dir string) (err error) {
	ix, err := index.Open(catalog)
	if err != nil {
		return err
	}
	defer ix.Close()
	zips := map[string]*zip.Writer{}
	var files []*os.File
	defer func() {
		for _, zw := range zips {
			err = errors.Join(err, zw.Close())
		}
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
	}()
	for doc, err := range ix.Documents() {
		if err != nil {
			return err
		}
		r, _, err := osv.Parse(doc)
		if err != nil {
			return err
		}
		eco := r.Affected[0].Package.Ecosystem
		if zips[eco] == nil {
			path := filepath.Join(dir, "osv-scalibr", eco, "all.zip")
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			f, err := os.Create(path)
			if err != nil {
				return err
			}
			files = append(files, f)
			zips[eco] = zip.NewWriter(f)
		}
		w, err := zips[eco].Create(r.ID + ".json")
		if err != nil {
			return err
		}
		if _, err := w.Write(doc); err != nil {
			return err
		}
	}
	if err := os.Symlink("osv-scalibr", filepath.Join(dir, "osv-scanner")); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
