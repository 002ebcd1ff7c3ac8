// Package store is the contract for the catalog's working state: raw documents,
// claims, derived records, decisions, holds, cursors, quarantine, campaigns,
// releases and the audit log. Two engines keep it, sqlite and postgres; they share
// no SQL, and storetest holds both to what is written here.
//
// # Transactions
//
// Everything is read in a View and written in an Update. A View sees one state of
// the store from its beginning to its end, whatever is written meanwhile. An
// Update sees its own writes and becomes visible wholly, when its function has
// returned nil and Update has returned nil; otherwise nothing of it happened. What
// Update acknowledged survives the death of the process and of the machine.
//
// Updates are serialised: of two that run at once one waits, and one that waits too
// long gives [ErrBusy]. An engine may call the function of an Update more than
// once, after undoing what it did, so the function must not keep state from a
// call that failed.
//
// # Data
//
// Strings are UTF-8 without NUL; the engines refuse others alike, with [ErrText], also where a
// read asks for one. Bytes are any bytes. Times are kept in UTC, floored to the microsecond; the
// zero time stays zero.
// Sequences over many rows are iterators; while one is being ranged over, no other
// call may be made in the same transaction. An error ends the sequence. Orders that
// are promised compare strings by their bytes. Where a method takes a limit, 0 or less
// gives nothing.
package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"iter"
	"time"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/internal/claim"
)

// Errors of every engine, wrapped with what was being done.
var (
	// ErrBusy says that another writer kept the store for longer than this one may wait.
	ErrBusy = errors.New("another import is writing to this store")
	// ErrText says that a string cannot be stored: it is not UTF-8, or has a NUL.
	ErrText = errors.New("text is not UTF-8 without NUL")
	// ErrNewer says that the store was written by a newer version of the program.
	ErrNewer = errors.New("the store was made by a newer version of rapsheet")
	// ErrEngine says that the engine cannot promise what this package promises (too old, wrong settings).
	ErrEngine = errors.New("the database engine cannot be trusted with the catalog")
)

// Digest is a SHA-256.
type Digest = [sha256.Size]byte

// Store is an open store. It is safe for concurrent use.
type Store interface {
	// View runs f on one unchanging state of the store.
	View(ctx context.Context, f func(Reader) error) error
	// Update runs f and makes what it wrote durable, wholly or not at all.
	Update(ctx context.Context, f func(Tx) error) error
	// Name is the store's string without secrets, for messages.
	Name() string
	Close() error
}

// Reader reads within a transaction. It must not be used after it.
type Reader interface {
	// Setting gives a value kept under a name; "" when there is none.
	Setting(ctx context.Context, name string) (string, error)

	// Sources lists what was imported from, by name.
	Sources(ctx context.Context) ([]Source, error)

	// Document gives a raw document; ok is false when the source never had it.
	Document(ctx context.Context, source string, digest Digest) (doc Document, ok bool, err error)

	// Stamps yields what is known of every claim of a source, gone ones too, by reference.
	Stamps(ctx context.Context, source string) iter.Seq2[Stamp, error]
	// Claims gives every claim about the packages, by key, source and reference. Asking for
	// many keys at once is cheaper than one by one.
	Claims(ctx context.Context, keys []rapsheet.Key) ([]Claim, error)

	// Records yields all records, by id.
	Records(ctx context.Context) iter.Seq2[Record, error]
	// RecordsOf gives the records about the packages, by key and id.
	RecordsOf(ctx context.Context, keys []rapsheet.Key) ([]Record, error)
	// RecordsByID gives those of the ids that are taken, by id.
	RecordsByID(ctx context.Context, ids []string) ([]Record, error)
	// CountRecords counts records by state.
	CountRecords(ctx context.Context) (map[State]int, error)

	// Holds gives the holds in a state, by key, source, reference and guard.
	Holds(ctx context.Context, state HoldState) ([]Hold, error)
	// HoldsOf gives all holds about the packages, in the same order.
	HoldsOf(ctx context.Context, keys []rapsheet.Key) ([]Hold, error)

	// Decisions gives what was decided about the packages, oldest first.
	Decisions(ctx context.Context, keys []rapsheet.Key) ([]Decision, error)

	// Campaigns lists the campaigns by name, each with its number of members.
	Campaigns(ctx context.Context) ([]Campaign, error)
	// Members yields the records of a campaign, by id.
	Members(ctx context.Context, campaign string) iter.Seq2[Record, error]

	// Inputs lists what the guards know, by kind and name, without Data.
	Inputs(ctx context.Context) ([]Input, error)
	// Input gives one with its Data; ok is false when there is none.
	Input(ctx context.Context, kind, name string) (in Input, ok bool, err error)

	// Quarantine gives the newest entries by their Time, newest first, at most limit; of those
	// with one time the one written last comes first.
	Quarantine(ctx context.Context, limit int) ([]Quarantined, error)
	// CountQuarantine counts all entries.
	CountQuarantine(ctx context.Context) (int, error)

	// Releases lists the newest releases, newest first, at most limit.
	Releases(ctx context.Context, limit int) ([]Release, error)

	// Audit gives the entries added last, the last one first whatever their times, at most limit.
	Audit(ctx context.Context, limit int) ([]AuditEntry, error)
}

// Tx reads and writes within a transaction. Nothing is ever deleted but what
// the methods say. Put methods over slices are one batch: engines write them
// in one go, and a call with 10,000 rows is what they are made for. Of two rows in a
// batch that replace each other the last stays, except where a method says otherwise.
type Tx interface {
	Reader

	// SetSetting keeps a value under a name.
	SetSetting(ctx context.Context, name, value string) error
	// PutSource adds a source or replaces what is known of it.
	PutSource(ctx context.Context, s Source) error
	// PutDocuments keeps raw documents; one that is there already stays as it is, and of two
	// with one source and digest in a batch the first does.
	PutDocuments(ctx context.Context, docs []Document) error
	// PutClaims adds claims or replaces those with the same source and reference.
	PutClaims(ctx context.Context, claims []Claim) error
	// SetClaimStatus changes the status of claims and nothing else. References that the source
	// does not have are passed over.
	SetClaimStatus(ctx context.Context, source string, refs []string, status Status) error
	// PutRecords adds records or replaces those with the same id.
	PutRecords(ctx context.Context, records []Record) error
	// PutHolds adds holds or replaces those with the same source, reference and guard.
	PutHolds(ctx context.Context, holds []Hold) error
	// DropHolds deletes open holds (a claim changed and the reason is gone); decided ones stay.
	DropHolds(ctx context.Context, holds []Hold) error
	// AddDecision appends a decision and gives its sequence number, from 1, without gaps reused;
	// the Seq of d is ignored.
	AddDecision(ctx context.Context, d Decision) (int64, error)
	// PutCampaign adds a campaign or replaces what is known of it.
	PutCampaign(ctx context.Context, c Campaign) error
	// PutInput adds or replaces what the guards know under a kind and name.
	PutInput(ctx context.Context, in Input) error
	// AddQuarantine keeps what could not be read; the same source, name and digest again replaces the entry.
	AddQuarantine(ctx context.Context, q []Quarantined) error
	// AddRelease appends a release; its sequence must be above every other.
	AddRelease(ctx context.Context, r Release) error
	// AddAudit appends to the audit log.
	AddAudit(ctx context.Context, e AuditEntry) error
}

// Source is what is known of one source.
type Source struct {
	Name string
	// Kind is the parser it is read with ("osv", "list", "claims", …).
	Kind string
	// Complete says that each import gives the source's whole state, so that what is missing was taken back.
	Complete bool
	// Cursor is where the next fetch goes on, in the source's own terms.
	Cursor string
	// Digest identifies the last state imported, zero when there is no such thing.
	Digest Digest
	// Claims counts its claims that are neither [Gone] nor [Dropped]; what is put here is ignored.
	Claims   int
	Imported time.Time
}

// Document is a raw document as it was received.
type Document struct {
	Source   string
	Digest   Digest
	Name     string
	Data     []byte
	Received time.Time
}

// Status is where a claim stands. The numbers are stored: never change them.
type Status int

// Statuses of a claim.
const (
	Standing Status = 1 // merged into the record
	Held     Status = 2 // a guard holds it; not merged
	Rejected Status = 3 // a named decision refused it; not merged
	Gone     Status = 4 // its source, whose state is complete, no longer has it
	Dropped  Status = 5 // its source no longer says it, and it never stood; or it was released into another's place
)

// Claim is a claim with its place in the store.
type Claim struct {
	claim.Claim
	// Key is what it is merged under: the canonical name, or the spelling where the ecosystem is unknown.
	Key    rapsheet.Key
	Status Status
	// Digest identifies the statement ([claim.Digest]); it is stored as given.
	Digest Digest
	// Seen is when the statement first came.
	Seen time.Time
}

// Stamp is a claim without its statement.
type Stamp struct {
	Ref      string
	Key      rapsheet.Key
	Document Digest
	Digest   Digest
	Status   Status
}

// State is what a record says to its readers. The numbers are stored: never change them.
type State int

// States of a record.
const (
	Active    State = 1 // in force
	Disputed  State = 2 // doubted: shown, and no reason to fail a build
	Withdrawn State = 3 // taken back; kept
)

// Record is a derived record: what the next release says.
type Record struct {
	ID    string
	Key   rapsheet.Key
	State State
	// Campaign is the name of the campaign it belongs to, "" for none.
	Campaign string
	// Published and Modified are the record's own.
	Published, Modified time.Time
	// JSON is the record as released: one compact OSV document.
	JSON []byte
}

// HoldState is what became of a hold. The numbers are stored: never change them.
type HoldState int

// States of a hold.
const (
	HoldOpen     HoldState = 1 // nobody decided yet
	HoldAccepted HoldState = 2 // released by a decision, for the statement with this digest
	HoldRejected HoldState = 3 // refused by a decision, for the statement with this digest
)

// Hold is one guard's objection to one claim.
type Hold struct {
	Source, Ref, Guard string
	Key                rapsheet.Key
	// Digest is the statement that was objected to.
	Digest Digest
	Reason string
	Raised time.Time
	State  HoldState
	// Decision is the sequence number of the decision, 0 while open.
	Decision int64
}

// Decision is what a named person decided; decisions are never changed, only followed by others.
type Decision struct {
	// Seq is given by [Tx].AddDecision.
	Seq   int64
	Time  time.Time
	Actor string
	// Kind is "accept", "reject", "narrow", "note", "withdraw", "dispute" or "restore".
	Kind string
	Key  rapsheet.Key
	// ID is the record decided about, "" when it is a claim that is held.
	ID string
	// Source and Ref are the claim decided about, "" when it is a record.
	Source, Ref string
	// Versions are what a narrowing leaves.
	Versions []string
	Reason   string
}

// Campaign is one attack.
type Campaign struct {
	Name    string
	Started time.Time
	Ended   time.Time
	Summary string
	// References are URLs, Indicators domains, addresses and digests, one per entry.
	References []string
	Indicators []string
	// Members counts its records; what is put here is ignored.
	Members int
}

// Input is a list that guards consult: what is popular, what the user has, what the registry lists.
type Input struct {
	// Kind is "popular", "inventory" or "listing".
	Kind string
	// Name tells it from others of its kind: an ecosystem for popular names, else a label.
	Name string
	// Data is in the catalog's own form.
	Data  []byte
	Added time.Time
}

// Quarantined is what a source gave and nobody could read.
type Quarantined struct {
	Source, Name string
	Digest       Digest
	Reason       string
	// Data is its beginning: engines keep the first [MaxSample] bytes.
	Data []byte
	Time time.Time
}

// Release is one publication.
type Release struct {
	Sequence uint64
	Time     time.Time
	// Digest is the SHA-256 of the release's manifest.
	Digest                       Digest
	Records, Disputed, Withdrawn int
}

// AuditEntry says who did what.
type AuditEntry struct {
	Time   time.Time
	Actor  string
	Action string
	Detail string
}
