package publish

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/rapsheet/rapsheet/internal/bounded"
)

// What a release makes of a record that has not changed is taken over from the
// release before only if this very program made that one: another version may check
// more, write other keys or pack otherwise, and the bytes of a release must not
// depend on what was published before. So a file beside the releases, which is
// part of none, says which program made which release. When it is missing or does
// not fit, everything is done anew; it needs no care when it is written.

const (
	makerMagic = "rapsheet maker 1"
	maxMaker   = 1 << 10
)

// program gives the digest of the running program, and false when it cannot be read.
func program() (sum [sha256.Size]byte, ok bool) {
	// On Linux this is what runs, even if its file was replaced meanwhile.
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		name, err := os.Executable()
		if err != nil {
			return sum, false
		}
		if f, err = os.Open(name); err != nil {
			return sum, false
		}
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, false
	}
	h.Sum(sum[:0])
	return sum, true
}

// makerText is what the file says of a program and of the digest of a manifest.
func makerText(program, manifest [sha256.Size]byte) string {
	return fmt.Sprintf("%s\n%x\n%x\n", makerMagic, program, manifest)
}

// madeBy reports whether the release with this manifest was made by program.
func madeBy(root *os.Root, program, manifest [sha256.Size]byte) bool {
	f, err := root.Open(makerName)
	if err != nil {
		return false
	}
	defer f.Close()
	b, err := bounded.ReadAll(f, maxMaker, makerName)
	return err == nil && string(b) == makerText(program, manifest)
}

// noteMaker writes the file anew.
func noteMaker(root *os.Root, program, manifest [sha256.Size]byte) error {
	// A new file: what is there may be a link to anything.
	if err := root.Remove(makerName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return writeFile(root, makerName, []byte(makerText(program, manifest)))
}
