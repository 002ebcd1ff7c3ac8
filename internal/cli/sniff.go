package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/rapsheet/rapsheet/internal/source/github"
)

// sniff tells what kind of source a path is, by what is there.
func sniff(path string) (string, error) {
	if isURL(path) {
		if strings.Contains(path, "/advisories") || strings.HasPrefix(path, github.DefaultBase) {
			return formatGitHub, nil
		}
		return formatDump, nil
	}
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if st.IsDir() {
		return sniffDir(path), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return sniffFile(f), nil
}

func sniffDir(path string) string {
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(path, name))
		return err == nil
	}
	claims, _ := filepath.Glob(filepath.Join(filepath.Clean(path), "*.claim.yaml"))
	deep, _ := filepath.Glob(filepath.Join(filepath.Clean(path), "*", "*.claim.yaml"))
	switch {
	case exists("ecosystems.txt"):
		return formatDump
	case len(claims)+len(deep) > 0:
		return formatClaims
	}
	return formatOSV
}

// sniffSize is how much of a file is looked at.
const sniffSize = 256 << 10

func sniffFile(f io.Reader) string {
	head := beginning(f)
	if isZip(head) {
		return formatOSV
	}
	return sniffPlain(unpacked(head))
}

func isZip(head []byte) bool {
	return bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06"))
}

// unpacked gives the beginning of a gzip or zstd stream decompressed, and any other as it is.
func unpacked(head []byte) []byte {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		if r, err := gzip.NewReader(bytes.NewReader(head)); err == nil {
			return beginning(r)
		}
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		if r, err := zstd.NewReader(bytes.NewReader(head), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20)); err == nil {
			defer r.Close()
			return beginning(r)
		}
	}
	return head
}

// beginning gives the first sniffSize bytes of a stream, or as many as can be read.
func beginning(r io.Reader) []byte {
	out := make([]byte, sniffSize)
	n, _ := io.ReadFull(r, out)
	return out[:n]
}

func sniffPlain(head []byte) string {
	if len(head) > 262 && string(head[257:262]) == "ustar" || len(head) >= 512 && len(bytes.Trim(head, "\x00")) == 0 {
		// A tar, if only its end marker.
		return formatOSV
	}
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	members := firstMembers(head)
	switch {
	case members["affected"], members["id"] && (members["schema_version"] || members["modified"]):
		// What OSV requires is an id and when it was modified (https://ossf.github.io/osv-schema/); the
		// packages may stand behind a long text.
		return formatOSV
	case members["ghsa_id"]:
		return formatGitHub
	}
	return formatList
}

// firstMembers gives the names of the members of a JSON object, or of the first object in an
// array, as far as the beginning of the document shows them. Faults in it are for its reader to tell.
func firstMembers(head []byte) map[string]bool {
	out := map[string]bool{}
	dec := jsontext.NewDecoder(bytes.NewReader(head), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	depth := 0
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return out
		}
		switch tok.Kind() {
		case '[':
			if depth = dec.StackDepth(); depth > 1 {
				return out
			}
			continue
		case '{':
		default:
			return out
		}
		break
	}
	for {
		name, err := dec.ReadToken()
		if err != nil || name.Kind() != '"' {
			return out
		}
		out[name.String()] = true
		if dec.SkipValue() != nil {
			return out
		}
	}
}

// isTree reports whether a path is in the layout of ossf/malicious-packages, by its directories, or by being a
// bare git repository.
func isTree(path string) bool {
	st, err := os.Stat(path)
	if err != nil {
		return false
	}
	if !st.IsDir() {
		return isTreeArchive(path)
	}
	for _, name := range []string{"osv/malicious", "malicious", "objects"} {
		if st, err := os.Stat(filepath.Join(path, filepath.FromSlash(name))); err == nil && st.IsDir() {
			return true
		}
	}
	base := filepath.Base(filepath.Clean(path))
	return base == "malicious" || base == "withdrawn"
}

// isTreeArchive reports whether an archive begins with, or, being a zip, ends in a directory of, files in
// that layout.
func isTreeArchive(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := beginning(f)
	if isZip(head) {
		if st, err := f.Stat(); err == nil {
			head = beginning(io.NewSectionReader(f, max(0, st.Size()-sniffSize), sniffSize))
		}
	} else {
		head = unpacked(head)
	}
	return bytes.Contains(head, []byte("osv/malicious/")) || bytes.Contains(head, []byte("osv/withdrawn/"))
}
