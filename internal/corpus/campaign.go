package corpus

import (
	"fmt"
	"io"
	"math/rand/v2"
)

// Shares of a campaign's packages, after the one of December 2022, in which 136,258 packages
// were NuGet's and most others PyPI's.
const (
	campaignNuGet = 136_258
	campaignNPM   = 212
	campaignSize  = 144_000
)

// WriteCampaign writes n packages of one generated campaign as CSV, "ecosystem,name,version" with a
// header: of 144,000 exactly 136,258 are NuGet's, 212 npm's and the rest PyPI's, in proportion for other n.
// The same seed gives the same bytes.
func WriteCampaign(w io.Writer, seed uint64, n int) error {
	m := &maker{r: rand.New(rand.NewPCG(seed, 1))}
	if _, err := io.WriteString(w, "ecosystem,name,version\n"); err != nil {
		return err
	}
	nuget, npm := n*campaignNuGet/campaignSize, n*campaignNPM/campaignSize
	for i := range n {
		eco := "PyPI"
		switch {
		case i < nuget:
			eco = "NuGet"
		case i < nuget+npm:
			eco = "npm"
		}
		// Names of that campaign were words strung together with dashes; the number keeps them apart.
		name := fmt.Sprintf("%s-%s-%s-%d", m.word(), m.word(), m.word(), i)
		if _, err := fmt.Fprintf(w, "%s,%s,%d.%d.%d\n", eco, name, 1+m.r.IntN(3), m.r.IntN(10), m.r.IntN(10)); err != nil {
			return err
		}
	}
	return nil
}
