// Package corpus makes catalogs for benchmarks and tests: generated records in
// the shape of the public ones, at the size of today's list. It is linked into
// tests and tools only.
//
// The proportions follow the public list as measured on 29,394 real records of
// 2025-03-31 (67 % npm, 28 % PyPI; 74 % with one open range; a GHSA alias on half;
// one or two origins with a random SHA-256 each) and, for the rest, the campaign
// of November 2025: 150,000 npm packages named word-word-number by one actor.
// Names, ids, digests and times are random, so that they compress no better than
// real ones.
package corpus

import (
	"encoding/hex"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet/osv"
)

var words = strings.Fields(`
agus andi budi citra dewi eka fajar gita hadi indra joko kartika lestari maya nanda oki putra rini sari tono umar vina wati yanto zul
bakso rendang sate gado tempe tahu lontong ketupat soto rawon pempek nasi goreng mie ayam bubur kerak telor martabak klepon onde lemper
kyuki breki sluey teate vopi drimo kanto lumra zetti orvan pinka quilo rasto sevil tromi ulkan vexor wadri xenol yarro
async auth base build cache chain cli client cloud code color config core crypto data date db debug dev discord docker
dom electron env event express file fetch flow form format git graph hash helper hook http icon image input json key
lib link list log map mask math mesh model module mongo native net next node npm number object pack page parse path
plugin pool proxy queue query react redis request router schema script sdk secure server service session shell socket solana sort
sql state store stream string style swagger table task telegram test text theme time token tool tree type ui url user util
vault view vue wallet web webpack worker xml yaml zip`)

const letters = "abcdefghijklmnopqrstuvwxyz"

type maker struct {
	r    *rand.Rand
	seen map[string]bool
}

func (m *maker) word() string { return words[m.r.IntN(len(words))] }

func (m *maker) noise(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[m.r.IntN(len(letters))]
	}
	return string(b)
}

func (m *maker) name(kind int) string {
	switch kind % 8 {
	case 0, 1, 2:
		return fmt.Sprintf("%s-%s%d-%s", m.word(), m.word(), m.r.IntN(100), m.word())
	case 3:
		return m.word() + "-" + m.word() + "-" + m.noise(3+m.r.IntN(4))
	case 4:
		return "@" + m.word() + m.noise(3) + "/" + m.word() + "-" + m.word()
	case 5:
		return m.noise(8 + m.r.IntN(10))
	case 6:
		return m.word() + m.noise(1) + m.word()
	}
	return m.word() + m.word() + fmt.Sprint(m.r.IntN(10000))
}

func (m *maker) sha256() string {
	var b [32]byte
	for i := range b {
		b[i] = byte(m.r.Uint32())
	}
	return hex.EncodeToString(b[:])
}

func (m *maker) ghsa() string {
	const alphabet = "23456789cfghjmpqrvwx"
	b := []byte("GHSA-xxxx-xxxx-xxxx")
	for i, c := range b[5:] {
		if c == 'x' {
			b[5+i] = alphabet[m.r.IntN(len(alphabet))]
		}
	}
	return string(b)
}

// Records yields n records, the same for the same seed.
func Records(seed uint64, n int) iter.Seq[*osv.Record] {
	return func(yield func(*osv.Record) bool) {
		m := &maker{r: rand.New(rand.NewPCG(seed, 1)), seen: map[string]bool{}}
		numbers := m.r.Perm(n)
		for i := range n {
			if !yield(m.record(i, numbers[i])) {
				return
			}
		}
	}
}

func (m *maker) record(i, number int) *osv.Record {
	// Three of four are the one campaign.
	campaign := i%4 != 0
	eco, kind, semver := "npm", i%3, true
	if !campaign {
		kind = 3 + m.r.IntN(5)
		switch p := m.r.IntN(100); {
		case p < 28:
			eco, semver = "PyPI", false
		case p < 31:
			eco, semver = "RubyGems", false
		case p < 34:
			eco, semver = "NuGet", false
		}
		if eco != "npm" && kind == 4 {
			kind = 5
		}
	}
	name := m.name(kind)
	for m.seen[eco+name] {
		name = m.name(kind) + m.noise(2)
	}
	m.seen[eco+name] = true

	published := time.Date(2022, 6, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(m.r.Int64N(int64(1200 * 24 * time.Hour))))
	if campaign {
		published = time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(m.r.Int64N(int64(20 * 24 * time.Hour))))
	}
	imported := published.Add(time.Duration(m.r.Int64N(int64(72 * time.Hour))))
	stamp := func(t time.Time) osv.Timestamp { return osv.Timestamp(t.UTC().Format(time.RFC3339)) }

	rangeType := osv.RangeEcosystem
	if semver {
		rangeType = osv.RangeSemver
	}
	a := osv.Affected{Package: osv.Package{Ecosystem: eco, Name: name}}
	var versions []string
	if !campaign && m.r.IntN(100) < 30 {
		for range 1 + m.r.IntN(3) {
			versions = append(versions, fmt.Sprintf("%d.%d.%d", m.r.IntN(10), m.r.IntN(10), m.r.IntN(20)))
		}
		a.Versions = versions
	} else {
		a.Ranges = []osv.Range{{Type: rangeType, Events: []osv.Event{{Introduced: "0"}}}}
	}
	sum := m.sha256()
	source := "amazon-inspector"
	text := "The package " + name + " was found to contain malicious code."
	r := &osv.Record{
		SchemaVersion: "1.7.4",
		ID:            fmt.Sprintf("MAL-2025-%d", 50000+number),
		Modified:      stamp(imported),
		Published:     stamp(published),
		Summary:       fmt.Sprintf("Malicious code in %s (%s)", name, eco),
	}
	if !campaign && m.r.IntN(2) == 0 {
		id := m.ghsa()
		source = "ghsa-malware"
		text = "Any computer that has this package installed or running should be considered fully compromised. All secrets and keys stored on that computer should be rotated immediately from a different computer. The package should be removed, but as full control of the computer may have been given to an outside entity, there is no guarantee that removing the package will remove all malicious software resulting from installing it."
		r.Aliases = []string{id}
		r.References = []osv.Reference{{Type: "ADVISORY", URL: "https://github.com/advisories/" + id}}
		a.DatabaseSpecific = jsontext.Value(`{"cwes":[{"cweId":"CWE-506","description":"The product contains code that appears to be malicious in nature.","name":"Embedded Malicious Code"}]}`)
	}
	r.Details = fmt.Sprintf("\n---\n_-= Per source details. Do not edit below this line.=-_\n\n## Source: %s (%s)\n%s\n", source, sum, text)
	r.Affected = []osv.Affected{a}
	r.Credits = []osv.Credit{{Name: "Amazon Inspector", Type: "FINDER", Contact: []string{"actran@amazon.com"}}}
	r.DatabaseSpecific = jsontext.Value(fmt.Sprintf(`{"malicious-packages-origins":[{"import_time":%q,"modified_time":%q,"sha256":%q,"source":%q}]}`,
		imported.Format(time.RFC3339Nano), stamp(published), sum, source))
	return r
}
