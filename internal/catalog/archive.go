package catalog

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/store"
	"github.com/rapsheet/rapsheet/osv"
)

// archiveOwners gives for digests of archives, spelled by [ecosystem.DigestText], the packages that have such an archive: the two
// that sort first, which is enough to know another one.
type archiveOwners map[string][2]rapsheet.Key

func (o archiveOwners) add(digest string, key rapsheet.Key) {
	two, none := o[digest], rapsheet.Key{}
	switch {
	case two[0] == key || two[1] == key:
		return
	case two[0] == none || store.CompareKeys(key, two[0]) < 0:
		two[0], two[1] = key, two[0]
	case two[1] == none || store.CompareKeys(key, two[1]) < 0:
		two[1] = key
	}
	o[digest] = two
}

// has reports whether the package is one of those.
func (o archiveOwners) has(digest string, key rapsheet.Key) bool {
	two, ok := o[digest]
	return ok && slices.Contains(two[:], key)
}

// other gives the first package that has the archive and is not this one.
func (o archiveOwners) other(digest string, key rapsheet.Key) (rapsheet.Key, bool) {
	two := o[digest]
	if two[0] == key {
		two[0] = two[1]
	}
	return two[0], two[0] != rapsheet.Key{}
}

// claimArchives gives the digests of archives that a claim brings into a record: its own, and those of its evidence, which a
// record repeats as it is.
func claimArchives(c *store.Claim) []string {
	out := slices.Clone(c.Archives)
	said, _ := ecosystem.RecordArchives(c.Evidence)
	for _, d := range said {
		out = append(out, ecosystem.DigestText(d))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// recordArchives gives the digests of archives of a record in force.
func recordArchives(rec *store.Record) ([]string, error) {
	if rec.State != store.Active || !bytes.Contains(rec.JSON, []byte(`"digests"`)) && !bytes.Contains(rec.JSON, []byte(`"package_integrity"`)) {
		return nil, nil
	}
	r, _, err := osv.Parse(rec.JSON)
	if err != nil {
		return nil, fmt.Errorf("record %s in the store: %w", rec.ID, err)
	}
	var out []string
	for i := range r.Affected {
		digests, _ := ecosystem.RecordArchives(r.Affected[i].DatabaseSpecific)
		for _, d := range digests {
			out = append(out, ecosystem.DigestText(d))
		}
	}
	return out, nil
}

// archivesOnRecord reads the digests of all records in force. It goes through every record of the store, so it
// is asked for only when a claim with a digest is to be guarded.
func archivesOnRecord(ctx context.Context, r store.Reader) (archiveOwners, error) {
	out := archiveOwners{}
	for rec, err := range r.Records(ctx) {
		if err != nil {
			return nil, err
		}
		digests, err := recordArchives(&rec)
		if err != nil {
			return nil, err
		}
		for _, d := range digests {
			out.add(d, rec.Key)
		}
	}
	return out, nil
}

// anothersArchive objects to a claim with the digest of another package's archive: a sighting with a digest on record is a
// finding whatever it is called, so whoever puts the digest of a common archive under a name of no matter accuses everyone
// who has it. It does not matter who was first: of two packages that one import gives the same archive, none is more credible. A
// digest that the package has on record already accuses nobody new.
func anothersArchive(c *store.Claim, s Scene) Objection {
	for _, d := range claimArchives(c) {
		if other, ok := s.Facts.archives.other(d, c.Key); ok && !s.Facts.archives.has(d, c.Key) {
			return Objection{GuardArchive, fmt.Sprintf("%s is an archive of %s of %s, which you have", d, other.Name, other.Ecosystem)}
		}
		if slices.Contains(s.Archives, d) {
			continue
		}
		if other, ok := s.OnRecord.other(d, c.Key); ok {
			return Objection{GuardArchive, fmt.Sprintf("%s is on record as an archive of %s of %s", d, other.Name, other.Ecosystem)}
		}
		if other, ok := s.Claimed.other(d, c.Key); ok {
			return Objection{GuardArchive, fmt.Sprintf("%s is said to be an archive of %s of %s too", d, other.Name, other.Ecosystem)}
		}
	}
	return Objection{}
}
