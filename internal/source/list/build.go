package list

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rapsheet/rapsheet"
	"github.com/rapsheet/rapsheet/ecosystem"
	"github.com/rapsheet/rapsheet/internal/claim"
	"github.com/rapsheet/rapsheet/osv"
)

// group is the entries of one claim, joined: those about one package with the same ids,
// campaign and origins.
type group struct {
	key                    rapsheet.Key
	ids, campaign, origins string
	at                     int // where the claim is in builder.out
	units                  []int
	// next is the next older group of the same package.
	next *group
	// counted says that the package, of which this is the newest group, is counted.
	counted bool
	// open are the units that said nothing about versions.
	open []int
	// refs are the references of the claim, each once.
	refs map[string]bool
}

// maxReferences is how many references one claim keeps.
const maxReferences = 100

// claims joins the entries into claims, in the order of their packages' first mention.
func (p *parser) claims() []claim.Claim {
	b := builder{p: p, packages: make(map[rapsheet.Key]*group, len(p.entries)), out: make([]claim.Claim, 0, len(p.entries))}
	for i := range p.entries {
		b.add(&p.entries[i])
	}
	p.entries = nil // nothing of the largest lists is kept twice
	kept := b.out[:0]
	named := 0
	for _, g := range b.groups {
		first := b.packages[g.key]
		c := &b.out[g.at]
		p.finish(c, g, first)
		c.Normalise()
		if err := c.Validate(); err != nil {
			for _, u := range g.units {
				p.note(u, err.Error(), true)
			}
			continue
		}
		for _, u := range g.units {
			p.units[u].used = true
		}
		if !first.counted {
			first.counted = true
			named++
		}
		p.m.Versions += len(c.Versions)
		switch {
		case c.All:
			p.m.All++
		case len(g.open) > 0 && len(c.Versions) == 0 && c.Open():
			p.m.Open++
		default:
			p.m.Ranges += len(c.Ranges)
		}
		kept = append(kept, *c) // at or before c: groups and claims are in one order
	}
	p.m.Claims, p.m.Packages = len(kept), named
	clear(b.out[len(kept):])
	if len(kept) < cap(kept)/2 {
		return slices.Clone(kept)
	}
	return slices.Clip(kept)
}

// builder joins entries.
type builder struct {
	p        *parser
	packages map[rapsheet.Key]*group // the newest group of each package
	groups   []*group
	out      []claim.Claim // one per group, in the same order
}

// add joins an entry to its group, unless a note says why not.
func (b *builder) add(e *entry) {
	g := b.place(e)
	if g == nil {
		return
	}
	b.p.join(&b.out[g.at], g, e)
}

// place checks an entry and finds the group it belongs to; nil when a note says why there is none.
func (b *builder) place(e *entry) *group {
	p := b.p
	if e.eco == "" {
		p.note(e.unit, "no ecosystem is named, and others are: name it on the line or for the list", true)
		return nil
	}
	eco, known := ecosystem.Find(e.eco)
	if !known && (len(e.eco) > 64 || !cleanText(e.eco) || strings.ContainsAny(e.eco, "/\\<>\"'`")) {
		p.note(e.unit, "not an ecosystem", true)
		return nil
	}
	name, doubt := repairName(e.eco, e.name)
	if reason := validName(e.eco, name); reason != "" {
		p.note(e.unit, reason, true)
		return nil
	}
	set := parseVersions(e.versions, e.eco)
	if len(set.bad) > 0 {
		reason := "versions not understood: " + cut(strings.Join(set.bad, ", "), 100)
		if len(set.exact)+len(set.ranges) == 0 && !set.all {
			p.note(e.unit, reason, true)
			return nil
		}
		p.note(e.unit, reason, false)
	}
	if doubt != "" {
		p.note(e.unit, doubt, false)
	}
	for _, d := range set.doubts {
		p.note(e.unit, d, false)
	}
	if !known {
		p.note(e.unit, "an unknown ecosystem: kept, and matched by nothing", false)
	}
	key := rapsheet.Key{Ecosystem: e.eco, Name: name}
	if known {
		key = rapsheet.Key{Ecosystem: eco.Name, Name: eco.Canonical(name)}
	}
	origins := e.origins
	if len(origins) == 0 {
		origins = []string{p.opt.origin}
	}
	campaign := p.campaignOf(e)
	joined := strings.Join(origins, " ")
	g := b.packages[key]
	n := 0
	for g != nil && (g.ids != e.ids || g.campaign != campaign || g.origins != joined) {
		g = g.next
		n++
	}
	if g == nil {
		if n == maxGroups {
			p.note(e.unit, "more than 256 different ids, campaigns and origins for one package", true)
			return nil
		}
		g = &group{key: key, ids: e.ids, campaign: campaign, origins: joined, next: b.packages[key], at: len(b.out)}
		b.out = append(b.out, claim.Claim{Ecosystem: e.eco, Name: name, Origins: origins, Campaign: campaign})
		b.packages[key] = g
		b.groups = append(b.groups, g)
	}
	c := &b.out[g.at]
	c.Versions = append(c.Versions, set.exact...)
	for _, r := range set.ranges {
		if !slices.ContainsFunc(c.Ranges, func(o osv.Range) bool { return sameRange(&o, &r) }) {
			c.Ranges = append(c.Ranges, r)
		}
	}
	c.All = c.All || set.all
	if !set.stated {
		g.open = append(g.open, e.unit)
	}
	return g
}

func sameRange(a, b *osv.Range) bool {
	return a.Type == b.Type && slices.EqualFunc(a.Events, b.Events, func(x, y osv.Event) bool {
		return x.Introduced == y.Introduced && x.Fixed == y.Fixed && x.LastAffected == y.LastAffected
	})
}

// campaignOf is the campaign of an entry: its own, the document's, or the option's.
func (p *parser) campaignOf(e *entry) string {
	c := e.campaign
	if !cleanText(c) || len(c) > maxCampaign {
		p.note(e.unit, "a campaign with control characters or of more than 256 bytes: left out", false)
		c = ""
	}
	switch {
	case c != "":
		return c
	case p.opt.campaign != "":
		return p.opt.campaign
	}
	return p.campaign
}

// join adds what the entry says besides versions.
func (p *parser) join(c *claim.Claim, g *group, e *entry) {
	g.units = append(g.units, e.unit)
	if e.purl != "" && c.PURL == "" {
		c.PURL = e.purl
	}
	if !e.published.IsZero() && (c.Published.IsZero() || e.published.Before(c.Published)) {
		c.Published = e.published
	}
	if c.Summary == "" {
		c.Summary = clip(oneLine(e.title))
	}
	if !strings.HasSuffix(c.Details, osv.ClipMarker) {
		c.Details = clip(joinText(c.Details, strings.ReplaceAll(e.details, "\x00", "\uFFFD")))
	}
	for _, ref := range e.refs {
		p.reference(c, g, e.unit, ref)
	}
	if c.Archives = append(c.Archives, e.archives...); len(c.Archives) > ecosystem.MaxArchives {
		c.Archives = c.Archives[:ecosystem.MaxArchives]
		p.note(e.unit, "more than 10,000 digests of one package: left out", false)
	}
}

// oneLine makes the control characters of a text spaces.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

func (p *parser) reference(c *claim.Claim, g *group, u int, ref string) {
	if g.refs == nil {
		g.refs = map[string]bool{}
	}
	if g.refs[ref] {
		return
	}
	if len(c.References) == maxReferences {
		p.note(u, "more than 100 references of one package: left out", false)
		return
	}
	g.refs[ref] = true
	c.References = append(c.References, osv.Reference{Type: "WEB", URL: ref})
}

// finish completes the claim of a group. first is the newest group of its package.
func (p *parser) finish(c *claim.Claim, g, first *group) {
	for _, ref := range p.refs {
		p.reference(c, g, g.units[0], ref)
	}
	if p.opt.reference != "" {
		p.reference(c, g, g.units[0], p.opt.reference)
	}
	slices.SortFunc(c.References, func(a, b osv.Reference) int { return strings.Compare(a.URL, b.URL) })
	if c.Details == "" {
		c.Details = p.details
	}
	c.Indicators = jsontext.Value(p.indicators)
	p.identify(g, c)
	c.Ref = refOf(g, first)
	switch stated := len(c.Versions) > 0 || len(c.Ranges) > 0 || c.All; {
	case !stated:
		c.Ranges = []osv.Range{openRange(c.Ecosystem)}
		for _, u := range g.open {
			p.note(u, "no version given: taken as open", false)
		}
	default:
		for _, u := range g.open {
			p.note(u, "no version given here: those of the package's other lines count", false)
		}
	}
}

// openRange is the range of a package of which no version is known.
func openRange(eco string) osv.Range {
	typ := osv.RangeEcosystem
	if slices.Contains(semverRanges, eco) {
		typ = osv.RangeSemver
	}
	return osv.Range{Type: typ, Events: []osv.Event{{Introduced: "0"}}}
}

// identify sorts the ids of a row. Only those of the public databases of malicious packages
// name a record; what a vendor calls its own entry must not become one's id.
func (p *parser) identify(g *group, c *claim.Claim) {
	for id := range strings.FieldsFuncSeq(g.ids, func(r rune) bool { return strings.ContainsRune(" ,;|\n\t", r) }) {
		switch {
		case len(id) > ecosystem.MaxIdentifier || !cleanText(id):
			p.note(g.units[0], "an id with control characters or of more than 1,024 bytes: left out", false)
		case noVersion[strings.ToLower(id)]:
		case !strings.HasPrefix(id, "MAL-") && !strings.HasPrefix(id, "GHSA-"):
			if c.OriginID == "" {
				c.OriginID = id
			}
		case c.ID == "":
			c.ID = id
		case id != c.ID && len(c.Aliases) < 100:
			c.Aliases = append(c.Aliases, id)
		}
	}
}

// refOf names the claim within the list: the package, and what tells its claims apart where
// it has several.
func refOf(g, first *group) string {
	ref := g.key.Ecosystem + "/" + g.key.Name
	var ids, campaigns, origins bool
	for o := first; o != nil; o = o.next {
		switch {
		case o == g:
		case o.ids != g.ids:
			ids = true
		case o.campaign != g.campaign:
			campaigns = true
		default:
			origins = true
		}
	}
	if ids {
		ref += "#" + short(g.ids)
	}
	if campaigns {
		ref += "#" + short(g.campaign)
	}
	if origins {
		ref += "#" + short(strings.ReplaceAll(g.origins, " ", "+"))
	}
	return ref
}

// short gives s, or its digest when it is long or could be taken apart at "#".
func short(s string) string {
	if len(s) <= 100 && cleanText(s) && !strings.Contains(s, "#") {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:12])
}
