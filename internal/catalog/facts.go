package catalog

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/store"
)

// Kinds of what guards consult, as they stand in a store ([store.Input]).
const (
	// InputPopular is a list of names, most important first, named after its ecosystem: a name per line.
	InputPopular = "popular"
	// InputInventory is what the user has: a line "<ecosystem> TAB <name>" for each package, or, where digests of its
	// archives are known, a line with " TAB <digest>" for each.
	InputInventory = "inventory"
	// InputListing is what registries list: a line "<ecosystem> TAB <name> TAB <version>" for each version.
	InputListing = "listing"
)

// Facts is what guards know beyond the claims.
type Facts struct {
	rank map[rapsheet.Key]int // from 1
	// folded finds the known good name that a name reads like.
	folded    map[rapsheet.Key]string
	inventory map[rapsheet.Key]int // in how many inputs it stands
	// archives are the packages of the inventories by the digests of their archives.
	archives archiveOwners
	listing  map[rapsheet.Key][]string
	// Ecosystems with a list of popular names.
	popular map[string]bool
}

// maxInput is how many lines of one input are used.
const maxInput = 5_000_000

// LoadFacts reads all inputs of a store.
func LoadFacts(ctx context.Context, r store.Reader) (*Facts, error) {
	f := NewFacts()
	inputs, err := r.Inputs(ctx)
	if err != nil {
		return nil, err
	}
	for _, in := range inputs {
		full, ok, err := r.Input(ctx, in.Kind, in.Name)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if err := f.Add(full); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// NewFacts knows nothing.
func NewFacts() *Facts {
	return &Facts{
		rank: map[rapsheet.Key]int{}, folded: map[rapsheet.Key]string{}, inventory: map[rapsheet.Key]int{},
		archives: archiveOwners{}, listing: map[rapsheet.Key][]string{}, popular: map[string]bool{},
	}
}

// Add takes in one input. Lines that name no package are an error.
func (f *Facts) Add(in store.Input) error {
	s := bufio.NewScanner(bytes.NewReader(in.Data))
	have := map[rapsheet.Key]bool{}
	for n := 1; s.Scan(); n++ {
		if n > maxInput {
			return fmt.Errorf("%s list %s: more than %d lines", in.Kind, in.Name, maxInput)
		}
		fields := strings.Split(s.Text(), "\t")
		if in.Kind == InputPopular {
			fields = []string{in.Name, s.Text()}
		}
		if len(fields) < 2 {
			return fmt.Errorf("%s list %s: line %d is no \"ecosystem TAB name\"", in.Kind, in.Name, n)
		}
		key, ok := ecosystem.KeyOf(rapsheet.Package{Ecosystem: fields[0], Name: fields[1]})
		if !ok {
			return fmt.Errorf("%s list %s: line %d: %q cannot be a package of %s", in.Kind, in.Name, n, fields[1], fields[0])
		}
		switch in.Kind {
		case InputPopular:
			f.popular[key.Ecosystem] = true
			if _, again := f.rank[key]; !again {
				f.rank[key] = n
			}
			f.knowGood(key)
		case InputInventory:
			if !have[key] {
				have[key] = true
				f.inventory[key]++
				f.knowGood(key)
			}
			if len(fields) > 2 {
				d, ok := ecosystem.ArchiveDigest("", fields[2])
				if !ok {
					return fmt.Errorf("%s list %s: line %d: %.80q is not the digest of an archive", in.Kind, in.Name, n, fields[2])
				}
				f.archives.add(ecosystem.DigestText(d), key)
			}
		case InputListing:
			if len(fields) > 2 {
				f.listing[key] = append(f.listing[key], fields[2])
			}
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%s list %s: %w", in.Kind, in.Name, err)
	}
	return nil
}

// Ecosystems are those with a list of popular names.
func (f *Facts) Ecosystems() []string {
	var out []string
	for e := range f.popular {
		out = append(out, e)
	}
	slices.Sort(out)
	return out
}

func (f *Facts) knowGood(key rapsheet.Key) {
	to := rapsheet.Key{Ecosystem: key.Ecosystem, Name: fold(key.Name)}
	if old, again := f.folded[to]; !again || f.rank[key] != 0 && (f.rank[rapsheet.Key{Ecosystem: key.Ecosystem, Name: old}] == 0) {
		f.folded[to] = key.Name
	}
}

// fold brings names together that people and tools take for one another: compatibility forms
// (NFKC), letter case, spaces, invisible characters. Separators stay: names that differ in
// them are different packages, and a favourite of attackers.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || unicode.IsControl(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKC.String(name))
}
