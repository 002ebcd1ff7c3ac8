package catalog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/internal/source"
	"github.com/rapsheet/rapsheet/internal/store"
)

// Catalog works on a store: it imports, decides and tells what is in it.
type Catalog struct {
	Store store.Store
	// Now is the time of what is done.
	Now func() time.Time
	// Actor is who does it, for decisions and the audit log.
	Actor string
	// Check gives the reasons why no release may have a document, none when one may; it may be called
	// concurrently. A claim that would make such a record is held. nil passes all.
	Check func(document []byte) []string
	// Progress, if not nil, is told how far long work has come.
	Progress func(step string, done int)
}

func (c *Catalog) progress(step string) func(int) {
	if c.Progress == nil {
		return nil
	}
	return func(n int) { c.Progress(step, n) }
}

// ImportOptions shape one import.
type ImportOptions struct {
	// Campaign puts every claim that names none into this campaign.
	Campaign string
	// Inputs are lists for the guards to consult, now and later; Org, unless empty, names the block of own
	// ids ([CheckOrg]). Both stay when the import does.
	Inputs []store.Input
	Org    string
	// Force obeys a source that lost much.
	Force bool
	// DryRun does everything and keeps nothing.
	DryRun bool
}

// ImportReport says what an import did, or would do.
type ImportReport struct {
	Source source.Info
	// Documents counts what was fetched, Claims what it says; Same says that the source gave exactly what it gave last time.
	Documents, Claims int
	Same              bool
	// Notes are lines and entries that gave no claim, or one with a doubt: at most maxNotes; NoteCount counts them.
	Notes     []DocumentNote
	NoteCount int
	// Quarantined are documents that nobody could read.
	Quarantined []store.Quarantined
	// NewClaims counts claims that are new or say something else; Gone those that the source no longer has.
	NewClaims, Gone int
	// Kept counts claims that are missing but were not taken as gone, because documents could not be read.
	Kept   int
	Effect Effect
	// Unguarded are ecosystems of new claims for which there is no list of popular packages.
	Unguarded []string
}

// DocumentNote is a note with the document it is about.
type DocumentNote struct {
	Document string
	source.Note
}

const (
	maxNotes      = 1000
	maxQuarantine = 10_000
	maxQuarantied = 64 << 10 // bytes of one document
)

// LossError says that a source lost, or took back, more than it may without being asked.
type LossError struct {
	Source    string
	Lost, Had int
}

func (e *LossError) Error() string {
	return fmt.Sprintf("source %s has lost or withdrawn %d of its %d claims: more than 10 %% is not obeyed", e.Source, e.Lost, e.Had)
}

// maxLoss is the part of a source's claims, in percent, that may vanish at once; a handful always may.
const (
	maxLoss   = 10
	smallLoss = 5
)

// parserVersion is raised when parsers read more than they did, so that a source that did not change
// is read again.
const parserVersion = 2

// errDryRun ends an update of which nothing is to stay.
var errDryRun = errors.New("dry run")

// Import takes in what a source says: everything it gives is parsed, compared with what it said
// before, guarded, merged, and written in one Update, so that an import is there wholly or not
// at all. A document that cannot be read is quarantined and the rest goes on; an error of the
// source as a whole, or one of the store, leaves everything as it was.
func (c *Catalog) Import(ctx context.Context, src source.Source, opt ImportOptions) (*ImportReport, error) {
	info := src.Info()
	if claim.Slug(info.Name) != info.Name || info.Name == "" {
		return nil, fmt.Errorf("%q cannot be the name of a source: lower-case letters, digits and \"-\"", info.Name)
	}
	if opt.Org != "" {
		if err := CheckOrg(opt.Org); err != nil {
			return nil, err
		}
	}
	before, err := c.knownSource(ctx, info)
	if err != nil {
		return nil, err
	}
	sp, err := fetch(ctx, src, before.Cursor, c.progress("documents fetched"))
	if err != nil {
		return nil, err
	}
	defer sp.Close()
	digest := sha256.Sum256(fmt.Appendf(sp.digest[:], "parser %d campaign %q", parserVersion, opt.Campaign))
	var report *ImportReport
	err = c.Store.Update(ctx, func(tx store.Tx) error {
		report = &ImportReport{Source: info, Documents: sp.count}
		for _, input := range opt.Inputs {
			if err := c.putInput(ctx, tx, input); err != nil {
				return err
			}
		}
		if opt.Org != "" {
			if err := c.setOrg(ctx, tx, opt.Org); err != nil {
				return err
			}
		}
		if err := c.importSpooled(ctx, tx, src, sp, digest, opt, report); err != nil {
			return err
		}
		if opt.DryRun {
			return errDryRun
		}
		return nil
	})
	if err != nil && !errors.Is(err, errDryRun) {
		return report, fmt.Errorf("import of %s: %w", info.Name, err)
	}
	return report, nil
}

// knownSource gives what the store knows of a source; one that is new has only its name.
func (c *Catalog) knownSource(ctx context.Context, info source.Info) (store.Source, error) {
	out := store.Source{Name: info.Name}
	err := c.Store.View(ctx, func(r store.Reader) error {
		all, err := r.Sources(ctx)
		for _, s := range all {
			if s.Name == info.Name {
				out = s
			}
		}
		return err
	})
	if err != nil {
		return out, err
	}
	if out.Kind != "" && out.Kind != info.Kind {
		return out, fmt.Errorf("source %s was imported as %q before, not as %q: give one of them another name", info.Name, out.Kind, info.Kind)
	}
	return out, nil
}

// statement is one document's claims, ready to be compared.
type statement struct {
	doc    source.Document
	digest store.Digest
	claims []store.Claim
	notes  []source.Note
	err    error
}

func (c *Catalog) importSpooled(ctx context.Context, tx store.Tx, src source.Source, sp *spool, digest store.Digest, opt ImportOptions, report *ImportReport) error {
	info := report.Source
	known, err := sourceIn(ctx, tx, info.Name)
	if err != nil {
		return err
	}
	facts, err := LoadFacts(ctx, tx)
	if err != nil {
		return err
	}
	held, err := c.openHolds(ctx, tx, info.Name)
	if err != nil {
		return err
	}
	news, err := factsSince(ctx, tx, known.Imported)
	if err != nil {
		return err
	}
	if known.Digest == digest && !(news && len(held) > 0) {
		report.Same, report.Claims = true, known.Claims
		return nil
	}
	now := c.Now().UTC()
	in := &intake{info: info, now: now, campaign: opt.Campaign, stamps: map[string]store.Stamp{}, seen: map[string]sighted{}, fresh: map[string]store.Claim{}, report: report}
	for st, err := range tx.Stamps(ctx, info.Name) {
		if err != nil {
			return err
		}
		in.stamps[st.Ref] = st
	}
	for _, r := range sp.rejects {
		in.quarantine(r.Name, nil, r.Reason)
	}
	parsed := 0
	progress := c.progress("documents parsed")
	for s, err := range ordered(ctx, sp.documents(), func(d source.Document) statement { return in.parse(src, d) }) {
		if err != nil {
			return err
		}
		in.take(s)
		if err := in.flush(ctx, tx, false); err != nil {
			return err
		}
		if parsed++; progress != nil && parsed%256 == 0 {
			progress(parsed)
		}
	}
	if err := in.flush(ctx, tx, true); err != nil {
		return err
	}
	if len(in.seen) == 0 && (info.Complete || report.Documents > 0 && len(report.Quarantined) == report.Documents) {
		return nothing(report)
	}
	gone, err := in.missing(opt.Force)
	if err != nil {
		return err
	}

	s, err := newSettler(ctx, tx, now, facts, c.Check)
	if err != nil {
		return err
	}
	s.source, s.gone = info.Name, gone
	s.additive = info.Kind == "list" && !info.Complete
	s.progress = c.progress("packages merged")
	candidates, moved, keys := in.candidates(gone)
	s.moved = moved
	s.firstOf = firstOf(candidates)
	for _, h := range held {
		keys = append(keys, h.Key)
	}
	if err := s.settle(ctx, keys, candidates); err != nil {
		return err
	}
	report.Effect = *s.effect
	report.Unguarded = unguarded(candidates, facts)
	report.Gone = len(gone)
	if len(report.Quarantined) > 0 {
		// What cannot be read is said each time, not only the first.
		digest = store.Digest{}
	}
	if err := tx.AddQuarantine(ctx, report.Quarantined); err != nil {
		return err
	}
	if err := notedCampaigns(ctx, tx, candidates); err != nil {
		return err
	}
	err = tx.PutSource(ctx, store.Source{
		Name: info.Name, Kind: info.Kind, Complete: info.Complete, Cursor: sp.cursor,
		Digest: digest, Imported: now,
	})
	if err != nil {
		return err
	}
	return tx.AddAudit(ctx, store.AuditEntry{
		Time: now, Actor: c.Actor, Action: "import " + info.Name,
		Detail: fmt.Sprintf("%d documents, %d claims new or changed, %d gone; records: %d added, %d changed, %d disputed, %d withdrawn, %d restored; %d claims held",
			report.Documents, report.NewClaims, report.Gone, s.effect.Added, s.effect.Changed, s.effect.Disputed, s.effect.Withdrawn, s.effect.Restored, s.effect.HeldClaims),
	})
}

// nothing is the error of a source without a single claim, with the first reason for that when there is one.
func nothing(report *ImportReport) error {
	if len(report.Quarantined) == 0 {
		return source.ErrNoRecords
	}
	q := report.Quarantined[0]
	more := ""
	if n := len(report.Quarantined) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	return fmt.Errorf("%w: %s: %s%s", source.ErrNoRecords, q.Name, q.Reason, more)
}

func sourceIn(ctx context.Context, r store.Reader, name string) (store.Source, error) {
	all, err := r.Sources(ctx)
	for _, s := range all {
		if s.Name == name {
			return s, err
		}
	}
	return store.Source{Name: name}, err
}

// openHolds gives the undecided holds on a source's claims.
func (c *Catalog) openHolds(ctx context.Context, r store.Reader, name string) ([]store.Hold, error) {
	holds, err := r.Holds(ctx, store.HoldOpen)
	return slices.DeleteFunc(holds, func(h store.Hold) bool { return h.Source != name }), err
}

// factsSince reports whether guards have learned something after a time.
func factsSince(ctx context.Context, r store.Reader, t time.Time) (bool, error) {
	inputs, err := r.Inputs(ctx)
	return slices.ContainsFunc(inputs, func(in store.Input) bool { return in.Added.After(t) }), err
}

// intake compares what a source says with what it said before.
type intake struct {
	info     source.Info
	now      time.Time
	campaign string
	stamps   map[string]store.Stamp
	seen     map[string]sighted
	// fresh are the new statements by reference.
	fresh  map[string]store.Claim
	docs   []store.Document
	size   int
	report *ImportReport
}

// sighted is a reference met in this import: what it said and in which document.
type sighted struct {
	digest  store.Digest
	doc     string
	clashed bool
}

// parse reads one document; it is called concurrently.
func (in *intake) parse(src source.Source, d source.Document) statement {
	s := statement{doc: d, digest: sha256.Sum256(d.Data)}
	p, err := src.Parse(d)
	s.notes = p.Notes
	if err != nil {
		s.err = err
		return s
	}
	several := severalPackages(p.Claims)
	s.claims = make([]store.Claim, 0, len(p.Claims))
	for _, cl := range p.Claims {
		if several[cl.ID] {
			// A record is about one package: each of these gets one, under an id of its own.
			cl.Aliases = append(slices.Clone(cl.Aliases), cl.ID)
			cl.ID = ""
		}
		cl.Source, cl.Document = in.info.Name, s.digest
		if cl.Campaign == "" {
			cl.Campaign = in.campaign
		}
		key := claimKey(&cl)
		cl.Normalise()
		err := cl.Validate()
		if err == nil && strings.HasSuffix(cl.Ref, pendingMark) {
			err = errors.New("a reference that ends in the mark of held claims")
		}
		var b []byte
		if err == nil {
			b, err = cl.Marshal()
		}
		if err != nil {
			s.err = err
			return s
		}
		s.claims = append(s.claims, store.Claim{Claim: cl, Key: key, Digest: claim.Digest(b), Seen: in.now})
	}
	return s
}

// claimKey is what a claim is merged under: see [store.Claim].
func claimKey(cl *claim.Claim) rapsheet.Key {
	key, ok := cl.Key()
	if !ok {
		return rapsheet.Key{Ecosystem: cl.Ecosystem, Name: cl.Name}
	}
	if e, known := ecosystem.Find(cl.Ecosystem); known {
		key.Ecosystem = e.Name
	}
	return key
}

// severalPackages gives the ids under which a document speaks of more than one package.
func severalPackages(claims []claim.Claim) map[string]bool {
	type pkg struct{ ecosystem, name string }
	first := map[string]pkg{}
	var out map[string]bool
	for i := range claims {
		c := &claims[i]
		p := pkg{c.Ecosystem, c.Name}
		if f, there := first[c.ID]; c.ID != "" && there && f != p {
			if out == nil {
				out = map[string]bool{}
			}
			out[c.ID] = true
		} else if !there {
			first[c.ID] = p
		}
	}
	return out
}

// take compares one document's claims with what the source said before.
func (in *intake) take(s statement) {
	for _, n := range s.notes {
		in.report.NoteCount++
		if len(in.report.Notes) < maxNotes {
			in.report.Notes = append(in.report.Notes, DocumentNote{s.doc.Name, n})
		}
	}
	if s.err != nil {
		in.quarantine(s.doc.Name, s.doc.Data, s.err)
		return
	}
	fresh := false
	for _, c := range s.claims {
		in.report.Claims++
		if first, again := in.seen[c.Ref]; again {
			if first.digest != c.Digest && !first.clashed {
				// Which of the two is true cannot be told: neither is taken.
				delete(in.fresh, c.Ref)
				in.seen[c.Ref] = sighted{first.digest, first.doc, true}
				in.quarantine(s.doc.Name, s.doc.Data, fmt.Errorf("%s stands in %s too, with other content", c.Ref, first.doc))
				in.quarantine(first.doc, nil, fmt.Errorf("%s stands in %s too, with other content", c.Ref, s.doc.Name))
			}
			continue
		}
		in.seen[c.Ref] = sighted{digest: c.Digest, doc: s.doc.Name}
		old, there := in.stamps[c.Ref]
		pending, waits := in.stamps[c.Ref+pendingMark]
		switch {
		case waits && pending.Digest == c.Digest && !past(pending.Status):
			continue
		case there && old.Digest == c.Digest && !past(old.Status):
			continue
		}
		in.fresh[c.Ref] = c
		fresh = true
	}
	if fresh {
		in.docs = append(in.docs, store.Document{Source: in.info.Name, Digest: s.digest, Name: s.doc.Name, Data: s.doc.Data, Received: in.now})
		in.size += len(s.doc.Data)
	}
}

// flush writes raw documents in batches.
func (in *intake) flush(ctx context.Context, tx store.Tx, all bool) error {
	if len(in.docs) == 0 || !all && len(in.docs) < 5000 && in.size < 32<<20 {
		return nil
	}
	err := tx.PutDocuments(ctx, in.docs)
	in.docs, in.size = nil, 0
	return err
}

func (in *intake) quarantine(name string, data []byte, reason error) {
	if len(in.report.Quarantined) == maxQuarantine {
		return
	}
	in.report.Quarantined = append(in.report.Quarantined, store.Quarantined{
		Source: in.info.Name, Name: strings.ToValidUTF8(strings.ReplaceAll(name, "\x00", "�"), "�"), Digest: sha256.Sum256(data),
		Reason: strings.ToValidUTF8(strings.ReplaceAll(reason.Error(), "\x00", "�"), "�"),
		Data:   data[:min(len(data), maxQuarantied)], Time: in.now,
	})
}

// missing gives the references that a complete source no longer has. Losing much is an error, and
// so is withdrawing much at once. When documents could not be read, what they said before may be what is
// missing, and nothing is taken as gone.
func (in *intake) missing(force bool) (map[string]bool, error) {
	gone := map[string]bool{}
	had, lost := 0, 0
	for ref, st := range in.stamps {
		if past(st.Status) || st.Status == store.Rejected {
			continue
		}
		had++
		base, pending := strings.CutSuffix(ref, pendingMark)
		if _, there := in.seen[base]; there {
			// A held statement that the source no longer makes is not waited for.
			if pending && in.seen[base].digest != st.Digest {
				gone[ref] = true
			}
			continue
		}
		if in.info.Complete {
			gone[ref] = true
			lost++
		}
	}
	for ref, c := range in.fresh {
		if _, old := in.stamps[ref]; old && !c.Withdrawn.IsZero() {
			lost++
		}
	}
	if lost > smallLoss && lost*100 > had*maxLoss && !force {
		return nil, &LossError{in.info.Name, lost, had}
	}
	if len(in.report.Quarantined) > 0 && lost > 0 && in.info.Complete {
		for ref := range gone {
			if !strings.HasSuffix(ref, pendingMark) {
				delete(gone, ref)
				in.report.Kept++
			}
		}
	}
	return gone, nil
}

// candidates gives the new statements by package, the references that moved to another package with the
// one before, and every package that is touched.
func (in *intake) candidates(gone map[string]bool) (out map[rapsheet.Key][]store.Claim, moved map[string]rapsheet.Key, keys []rapsheet.Key) {
	moved = map[string]rapsheet.Key{}
	out = make(map[rapsheet.Key][]store.Claim, len(in.fresh))
	keys = make([]rapsheet.Key, 0, len(in.fresh)+len(gone))
	for _, ref := range sortedKeys(in.fresh) {
		c := in.fresh[ref]
		if old, there := in.stamps[ref]; there && old.Key != c.Key {
			moved[ref] = old.Key
		}
		out[c.Key] = append(out[c.Key], c)
		keys = append(keys, c.Key)
		delete(in.fresh, ref)
		in.report.NewClaims++
	}
	for ref := range gone {
		keys = append(keys, in.stamps[ref].Key)
	}
	return out, moved, keys
}

// firstOf gives for every id the package that sorts first among those it is claimed for.
func firstOf(candidates map[rapsheet.Key][]store.Claim) map[string]rapsheet.Key {
	out := map[string]rapsheet.Key{}
	for key, claims := range candidates {
		for _, c := range claims {
			if first, there := out[c.ID]; c.ID != "" && (!there || store.CompareKeys(key, first) < 0) {
				out[c.ID] = key
			}
		}
	}
	return out
}

func unguarded(candidates map[rapsheet.Key][]store.Claim, facts *Facts) []string {
	var out []string
	for key := range candidates {
		if !facts.popular[key.Ecosystem] && !slices.Contains(out, key.Ecosystem) {
			out = append(out, key.Ecosystem)
		}
	}
	slices.Sort(out)
	return out
}

// notedCampaigns makes an entry for every campaign that a claim names for the first time. It began when its first
// claim was published, if any says so.
func notedCampaigns(ctx context.Context, tx store.Tx, candidates map[rapsheet.Key][]store.Claim) error {
	known, err := tx.Campaigns(ctx)
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, k := range known {
		have[k.Name] = true
	}
	started := map[string]time.Time{}
	for _, claims := range candidates {
		for _, cl := range claims {
			if cl.Campaign == "" || have[cl.Campaign] {
				continue
			}
			if old := started[cl.Campaign]; old.IsZero() || !cl.Published.IsZero() && cl.Published.Before(old) {
				started[cl.Campaign] = cl.Published
			}
		}
	}
	for _, name := range sortedKeys(started) {
		if err := tx.PutCampaign(ctx, store.Campaign{Name: name, Started: started[name]}); err != nil {
			return err
		}
	}
	return nil
}

// CheckOrg says why a word cannot name a block of own ids.
func CheckOrg(org string) error {
	if claim.Slug(org) != org || org == "" || len(org) > 32 {
		return fmt.Errorf("%q cannot name a block of ids: at most 32 lower-case letters, digits and \"-\"", org)
	}
	if _, err := strconv.Atoi(org); err == nil {
		return fmt.Errorf("%q cannot name a block of ids: it would read as a number", org)
	}
	return nil
}

// setOrg names the block that own ids are taken from; ids given before stay.
func (c *Catalog) setOrg(ctx context.Context, tx store.Tx, org string) error {
	old, err := tx.Setting(ctx, settingOrg)
	if err != nil || old == org {
		return err
	}
	if err := tx.SetSetting(ctx, settingOrg, org); err != nil {
		return err
	}
	return tx.AddAudit(ctx, store.AuditEntry{Time: c.Now().UTC(), Actor: c.Actor, Action: "org", Detail: org})
}
