// Package claim holds the claim: what one source says about one package, before
// anything is merged or believed.
//
// Flow: a source parses a raw document into claims (internal/source), the store
// keeps them (internal/store), the catalog merges the claims of a package into a
// record (internal/catalog). A claim is never edited: a source that says
// something else makes another claim under the same reference.
//
// Promise: the same statement has the same [Claim.Digest], whenever and through
// whichever document it came.
package claim

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/osv"
)

// Claim is what one source says about one package.
type Claim struct {
	// Source is the name of the source, a slug ([Slug]).
	Source string `json:"-"`
	// Ref is the source's own name for the claim: unique within the source and the same
	// whenever the source says something about the same thing again.
	Ref string `json:"-"`
	// Document is the SHA-256 of the raw document the claim was read from.
	Document [sha256.Size]byte `json:"-"`

	// Ecosystem and Name are the package as the source spells it.
	Ecosystem string `json:"ecosystem"`
	Name      string `json:"name"`
	// PURL is the package URL as the source wrote it, "" when it wrote none.
	PURL string `json:"purl,omitzero"`
	// Hint is where else the source's document names the package ("@scope/name" in a
	// path or a text) when that differs from Name; "" when nothing differs.
	Hint string `json:"hint,omitzero"`

	// ID is the id under which the source publishes the record, "" when it gives none.
	ID string `json:"id,omitzero"`
	// Aliases are other ids of the same record, sorted.
	Aliases []string `json:"aliases,omitzero"`
	// Origins says who found it: sorted slugs, not the feed that passed it on. Two claims
	// are independent when one has an origin that the other has not.
	Origins []string `json:"origins,omitzero"`

	// Versions are the exact versions that the source calls malicious, as it spells them.
	Versions []string `json:"versions,omitzero"`
	// Ranges are its ranges; GIT ranges are kept and match nothing.
	Ranges []osv.Range `json:"ranges,omitzero"`
	// All means that the source says in so many words that every version is malicious. A
	// range from 0 without an end does not say so: sources write it for want of versions.
	All bool `json:"all,omitzero"`
	// Archives are the digests of archives that the source calls malicious, each as [ecosystem.DigestText] spells it.
	// They are of the claim's versions, of which is not said: with one version it is that one's. A digest names one archive whatever its
	// versions: no range that gives way to another claim's takes it along. Digests of files in archives are indicators.
	Archives []string `json:"archives,omitzero"`

	Published time.Time `json:"published,omitzero"`
	Modified  time.Time `json:"modified,omitzero"`
	// Withdrawn is when the source took the claim back, zero when it stands.
	Withdrawn time.Time `json:"withdrawn,omitzero"`

	Summary    string          `json:"summary,omitzero"`
	Details    string          `json:"details,omitzero"`
	References []osv.Reference `json:"references,omitzero"`
	Credits    []osv.Credit    `json:"credits,omitzero"`
	// Campaign is the name of the campaign that the source puts the package into.
	Campaign string `json:"campaign,omitzero"`
	// OriginID is the origin's own id and OriginSHA256 (hex) the digest of the origin's own
	// document, where a feed passes them on (database_specific.malicious-packages-origins).
	OriginID     string `json:"origin_id,omitzero"`
	OriginSHA256 string `json:"origin_sha256,omitzero"`
	// Imported is when the feed took it from its origin, where it says so.
	Imported time.Time `json:"imported,omitzero"`
	// Indicators are domains, addresses and the like: OSV's database_specific.iocs.
	Indicators jsontext.Value `json:"indicators,omitzero"`
	// Evidence is OSV's affected[].database_specific as the source wrote it (cwes, indicators): package-level facts.
	Evidence jsontext.Value `json:"evidence,omitzero"`
}

// Key is what the claim is merged under; ok is false for an unknown ecosystem or a name that
// cannot be one. A package of an unknown ecosystem keeps its own spelling as key.
func (c *Claim) Key() (key rapsheet.Key, ok bool) {
	return ecosystem.KeyOf(rapsheet.Package{Ecosystem: c.Ecosystem, Name: c.Name})
}

// Open reports whether the claim covers every version by a range from 0 without an end.
func (c *Claim) Open() bool {
	for _, g := range c.Ranges {
		if len(g.Events) == 1 && g.Events[0].Introduced == "0" {
			return true
		}
	}
	return false
}

// Marshal is the claim's statement as canonical JSON: without Source, Ref and Document, so that
// equal statements are equal bytes.
func (c *Claim) Marshal() ([]byte, error) {
	b, err := json.Marshal(c, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("claim %s: %w", c.Ref, err)
	}
	return b, nil
}

// Unmarshal reads what Marshal wrote.
func (c *Claim) Unmarshal(data []byte) error {
	if err := json.Unmarshal(data, c); err != nil {
		return fmt.Errorf("stored claim: %w", err)
	}
	return nil
}

// Digest identifies the statement: the SHA-256 of [Claim.Marshal].
func Digest(marshalled []byte) [sha256.Size]byte { return sha256.Sum256(marshalled) }

// Limits of what a claim may hold; shared/bad-inputs and package osv use the same.
const (
	MaxVersions   = 100_000
	maxRef        = 2 * ecosystem.MaxIdentifier
	maxOrigins    = 256
	maxText       = 64 << 10
	maxReferences = 10_000
)

// Normalise brings the claim into the one order and spelling that equal
// statements share: sorted aliases, origins, versions and digests without repeats, times
// in UTC.
func (c *Claim) Normalise() {
	for _, l := range []*[]string{&c.Aliases, &c.Origins, &c.Versions, &c.Archives} {
		slices.Sort(*l)
		*l = slices.Compact(*l)
		if len(*l) == 0 {
			*l = nil
		}
	}
	for _, t := range []*time.Time{&c.Published, &c.Modified, &c.Withdrawn, &c.Imported} {
		if !t.IsZero() {
			*t = t.UTC()
		}
	}
}

// Validate says what makes the claim unusable: no package, identifiers that cannot be one,
// NUL or broken UTF-8, more than the limits.
func (c *Claim) Validate() error {
	if c.Ecosystem == "" {
		return errors.New("claim without an ecosystem")
	}
	if _, known := ecosystem.Find(c.Ecosystem); known {
		if _, ok := c.Key(); !ok {
			return fmt.Errorf("%.80q cannot be the name of a package of %s", c.Name, c.Ecosystem)
		}
	}
	texts := []struct {
		what, s string
		max     int
	}{
		{"ecosystem", c.Ecosystem, 64}, {"name", c.Name, ecosystem.MaxIdentifier}, {"purl", c.PURL, maxRef},
		{"reference", c.Ref, maxRef}, {"id", c.ID, ecosystem.MaxIdentifier}, {"campaign", c.Campaign, 256},
		{"hint", c.Hint, ecosystem.MaxIdentifier}, {"summary", c.Summary, maxText}, {"details", c.Details, 2 * maxText},
	}
	for _, t := range texts {
		if err := checkText(t.what, t.s, t.max); err != nil {
			return err
		}
	}
	if c.Name == "" || c.Ref == "" {
		return errors.New("claim without a name or a reference")
	}
	if len(c.Versions) > MaxVersions {
		return fmt.Errorf("%d versions: the limit is %d", len(c.Versions), MaxVersions)
	}
	if len(c.Origins) > maxOrigins || len(c.References) > maxReferences {
		return fmt.Errorf("%d origins and %d references: the limits are %d and %d", len(c.Origins), len(c.References), maxOrigins, maxReferences)
	}
	for _, v := range c.Versions {
		if v == "" {
			return errors.New("an empty version")
		}
		if err := checkText("version", v, ecosystem.MaxIdentifier); err != nil {
			return err
		}
	}
	if len(c.Archives) > ecosystem.MaxArchives {
		return fmt.Errorf("%d digests of archives: the limit is %d", len(c.Archives), ecosystem.MaxArchives)
	}
	for _, s := range c.Archives {
		if d, ok := ecosystem.ArchiveDigest("", s); !ok || ecosystem.DigestText(d) != s {
			return fmt.Errorf("%.80q is not the digest of an archive", s)
		}
	}
	for _, r := range c.References {
		if err := checkText("reference", r.Type+r.URL, maxText); err != nil {
			return err
		}
	}
	for _, r := range c.Credits {
		if err := checkText("credit", r.Name+r.Type+strings.Join(r.Contact, ""), maxText); err != nil {
			return err
		}
	}
	for _, l := range [][]string{c.Origins, c.Aliases} {
		for _, s := range l {
			if err := checkText("origin or alias", s, ecosystem.MaxIdentifier); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkText(what, s string, max int) error {
	switch {
	case len(s) > max:
		return fmt.Errorf("%s of %d bytes: the limit is %d", what, len(s), max)
	case strings.IndexByte(s, 0) >= 0:
		return fmt.Errorf("%s contains NUL", what)
	case !utf8.ValidString(s):
		return fmt.Errorf("%s is not UTF-8", what)
	}
	return nil
}

// Slug spells a name the way sources and origins are named: lower-case letters,
// digits and single "-" (upstream's rule for origins, ^[a-z0-9-]+$), at most 64
// bytes. It is "" when nothing is left.
func Slug(name string) string {
	var b strings.Builder
	dash := false
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			if dash && b.Len() > 0 {
				b.WriteByte('-')
			}
			dash = false
			b.WriteRune(r)
		} else {
			dash = true
		}
		if b.Len() >= 64 {
			break
		}
	}
	return b.String()
}
