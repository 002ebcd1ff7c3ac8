package export

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/rapsheet/rapsheet/internal/advisory"
)

// NuGet's vulnerability information (https://learn.microsoft.com/nuget/api/vulnerability-info): a service index, an index of pages, and
// two pages. Pages add up, and none can take back what another says, so the base has everything and the update nothing.
var nugetFormats = []Format{{
	Name: "nuget", About: "a NuGet source of vulnerability information, for auditSources",
	Needs: "--server", Tree: writeNuGet,
}}

type (
	nugetService struct {
		Version   string          `json:"version"`
		Resources []nugetResource `json:"resources"`
	}
	nugetResource struct {
		ID      string `json:"@id"`
		Type    string `json:"@type"`
		Comment string `json:"comment"`
	}
	nugetPage struct {
		Name    string `json:"@name"`
		ID      string `json:"@id"`
		Updated string `json:"@updated"`
		Comment string `json:"comment,omitzero"`
	}
	nugetEntry struct {
		Severity int    `json:"severity"` // 0 to 3, critical
		URL      string `json:"url"`
		Versions string `json:"versions"`

		low, high string // of Versions, "" for open
	}
)

func writeNuGet(ctx context.Context, c *Catalog, dir *os.Root, opt Options) error {
	ids := map[string][]nugetEntry{}
	var order *advisory.Advisory // any one: all are of the same ecosystem
	for a, err := range c.Advisories(ctx, opt.Links, "NuGet") {
		if err != nil {
			return err
		}
		order = a
		id := strings.ToLower(a.Name)
		for _, s := range a.Merged(func(v string) bool { _, ok := nugetVersion(v); return ok }) {
			ids[id] = append(ids[id], newNuGetEntry(s, a.URL))
		}
	}
	names := make([]string, 0, len(ids))
	for id, list := range ids {
		names = append(names, id)
		slices.SortFunc(list, func(e, f nugetEntry) int {
			return cmp.Or(compareOpen(order, f.high, e.high, 1), compareOpen(order, f.low, e.low, -1), strings.Compare(e.URL, f.URL))
		})
	}
	slices.Sort(names)
	base, err := nugetBase(names, ids)
	if err != nil {
		return err
	}
	update := []byte("[]") // an empty page is an array
	basePath := fmt.Sprintf("vulnerabilities/base-%.8x.json", sha256.Sum256(base))
	updatePath := fmt.Sprintf("vulnerabilities/update-%.8x.json", sha256.Sum256(update))
	date := timeText(c.Date)
	service, err := jsonText(nugetService{"3.0.0", []nugetResource{{opt.Server + "/vulnerabilities/index.json", "VulnerabilityInfo/6.7.0", "known malicious packages"}}})
	if err != nil {
		return err
	}
	index, err := jsonText([]nugetPage{
		{"base", opt.Server + "/" + basePath, date, "every package on record"},
		{"update", opt.Server + "/" + updatePath, date, ""},
	})
	return errors.Join(err,
		add(dir, "index.json", service), add(dir, "vulnerabilities/index.json", index),
		add(dir, basePath, base), add(dir, updatePath, update),
	)
}

func nugetBase(names []string, ids map[string][]nugetEntry) ([]byte, error) {
	if len(names) == 0 {
		return []byte("[]"), nil
	}
	var buf bytes.Buffer
	for i, id := range names {
		buf.WriteByte("{,"[min(i, 1)])
		key, err := jsonText(id)
		if err != nil {
			return nil, err
		}
		list, err := jsonText(ids[id])
		if err != nil {
			return nil, err
		}
		buf.Write(key)
		buf.WriteByte(':')
		buf.Write(list)
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

func newNuGetEntry(s advisory.Span, url string) nugetEntry {
	low, _ := nugetVersion(s.From)
	high, _ := nugetVersion(s.To)
	open, closing := "[", ")"
	if s.From == "" {
		open = "("
	}
	if s.Including && s.To != "" {
		closing = "]"
	}
	return nugetEntry{Severity: 3, URL: url, Versions: open + low + ", " + high + closing, low: s.From, high: s.To}
}

// compareOpen orders two ends of spans; open, which is 1 or -1, says where one that is "" belongs.
func compareOpen(a *advisory.Advisory, v, w string, open int) int {
	switch {
	case v == w:
		return 0
	case v == "":
		return open
	case w == "":
		return -open
	}
	return a.Compare(v, w)
}

// nugetVersion writes a version as NuGet normalises it (https://learn.microsoft.com/nuget/concepts/package-versioning#normalized-version-numbers):
// three numbers without leading zeros, a fourth only if it is not 0, no build metadata. A number of more than 31 bits is none to NuGet.
func nugetVersion(v string) (string, bool) {
	v, _, _ = strings.Cut(v, "+")
	core, pre, has := strings.Cut(v, "-")
	numbers := strings.Split(core, ".")
	for i, n := range numbers {
		x, err := strconv.ParseInt(n, 10, 32)
		if err != nil {
			return "", false
		}
		numbers[i] = strconv.FormatInt(x, 10)
	}
	for len(numbers) < 3 {
		numbers = append(numbers, "0")
	}
	if len(numbers) == 4 && numbers[3] == "0" {
		numbers = numbers[:3]
	}
	out := strings.Join(numbers, ".")
	if has {
		out += "-" + pre
	}
	return out, true
}
