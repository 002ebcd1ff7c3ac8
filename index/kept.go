package index

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/rapsheet/rapsheet"
)

// kept is the snapshot before the one in the making, as far as records are taken over from it.
type kept struct {
	ix      *Index
	ids     table
	records []keptRecord // by number of the document
	blocks  []docBlock
}

// keptRecord is what matching knows of a document. Of documents with no package or
// several, unique is false: they are made ready anew.
type keptRecord struct {
	entry   entry
	aliases []string
	known   bool
	unique  bool
}

// Keep lets records that are the same as in prev be taken over with
// [Builder.Same]; it reads and verifies the tables of names and ids. The bytes that
// are written are the same as without only if this very program wrote prev, and not
// with Quick: that is for the caller to know. prev stays open until WriteTo has returned.
func (b *Builder) Keep(prev *Index) error {
	k := &kept{ix: prev}
	var err error
	if k.blocks, err = prev.docs.load(); err != nil {
		return err
	}
	if n := len(k.blocks); n > 0 {
		if int64(k.blocks[n-1].end) != int64(prev.meta.Records) {
			return fmt.Errorf("%w: %d documents, its description says %d", ErrDamaged, k.blocks[n-1].end, prev.meta.Records)
		}
		k.records = make([]keptRecord, prev.meta.Records)
	}
	if err := k.readNames(); err != nil {
		return err
	}
	if k.ids, err = prev.ids(); err != nil {
		return err
	}
	err = k.ids.each(func(id string, payload []byte, _ uint64) error {
		d := decoder{b: payload}
		for range d.count(len(payload)) {
			n := d.uint()
			if d.bad || n >= uint64(len(k.records)) {
				return errTable
			}
			if r := &k.records[n]; r.entry.rec.ID != id {
				r.aliases = append(r.aliases, id)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.kept = k
	// As much again, and room for what is new: growing in steps copies tens of megabytes each time.
	n := len(k.records) + len(k.records)/64
	b.docs, b.entries = slices.Grow(b.docs, n), slices.Grow(b.entries, n)
	return nil
}

// readNames fills in the records from the table of names.
func (k *kept) readNames() error {
	keys := k.ix.keys
	for _, eco := range keys.ecosystems {
		for i := eco.lo; i < eco.hi; i++ {
			t, err := keys.load(&keys.chunks[i])
			if err != nil {
				return err
			}
			err = t.each(func(name string, payload []byte, base uint64) error {
				list, err := decodeRecords(payload, uint32(base), eco.name, name)
				if err != nil {
					return err
				}
				for _, rec := range list {
					if int64(rec.Document) >= int64(len(k.records)) {
						return errTable
					}
					r := &k.records[rec.Document]
					r.known, r.unique = true, !r.known
					r.entry = entry{key: rapsheet.Key{Ecosystem: eco.name, Name: name}, rec: rec}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Same gives the item of a record whose document, of size bytes, is byte for byte
// the one with this id in the snapshot given to [Builder.Keep]. What the tables do not hold
// comes from the caller: the ecosystem of the package as the document writes
// it, the modification, whether it is withdrawn. Where ok is false the record has
// to be prepared. [Builder.JSON] has nothing for such an item. It is safe for
// concurrent use, but not beside the Builder's other methods that change it.
func (b *Builder) Same(id, ecosystem string, size uint64, modified time.Time, withdrawn bool) (it Item, ok bool) {
	k := b.kept
	if k == nil {
		return Item{}, false
	}
	payload, _, ok, err := k.ids.find(id)
	if err != nil || !ok {
		return Item{}, false
	}
	d := decoder{b: payload}
	for range d.count(len(payload)) {
		n := d.uint()
		if d.bad || n >= uint64(len(k.records)) {
			return Item{}, false
		}
		r := &k.records[n]
		if !r.unique || r.entry.rec.ID != id {
			continue
		}
		return Item{
			doc: document{
				id: id, from: int(n) + 1, size: int(size), aliases: r.aliases, sortKey: sortKey(r.entry.key),
				withdrawn: withdrawn, disputed: r.entry.rec.Disputed, ecosystem: ecosystem, modified: modified,
			},
			entry: r.entry,
		}, true
	}
	return Item{}, false
}

// whole gives the block of the snapshot before that holds exactly docs.
func (k *kept) whole(docs []document) (docBlock, bool) {
	if k == nil || docs[0].from == 0 {
		return docBlock{}, false
	}
	i := k.find(docs[0].from - 1)
	if i == len(k.blocks) || k.blocks[i].first != uint32(docs[0].from-1) || int(k.blocks[i].count) != len(docs) {
		return docBlock{}, false
	}
	for j := range docs {
		if docs[j].from != docs[0].from+j {
			return docBlock{}, false
		}
	}
	return k.blocks[i], true
}

// find gives the place of the block with document n.
func (k *kept) find(n int) int {
	return sort.Search(len(k.blocks), func(i int) bool { return int(k.blocks[i].end) > n })
}

// fetch gives docs with the documents that were not read yet.
func (k *kept) fetch(docs []document) ([]document, error) {
	if k == nil || !slices.ContainsFunc(docs, func(d document) bool { return d.from > 0 }) {
		return docs, nil
	}
	docs = slices.Clone(docs)
	var open *block
	at := -1
	for i := range docs {
		d := &docs[i]
		if d.from == 0 {
			continue
		}
		n := d.from - 1
		if is := k.find(n); is != at {
			var err error
			if open, err = k.ix.block(k.blocks[is]); err != nil {
				return nil, err
			}
			at = is
		}
		d.json = open.doc(n - int(k.blocks[at].first))
		if len(d.json) != d.size {
			return nil, fmt.Errorf("%w: record %s has %d bytes, not %d", ErrDamaged, d.id, len(d.json), d.size)
		}
	}
	return docs, nil
}
