package export

import "slices"

// Formats lists the formats by the order in which they are shown.
func Formats() []Format {
	return slices.Concat(
		osvFormats,
		listFormats,
		documentFormats,
		blocklistFormats,
		goFormats,
		rubyFormats,
		rustFormats,
		nugetFormats,
		grypeFormats,
		trivyFormats,
	)
}

// Find gives the format of a name.
func Find(name string) (Format, bool) {
	all := Formats()
	i := slices.IndexFunc(all, func(f Format) bool { return f.Name == name })
	if i < 0 {
		return Format{}, false
	}
	return all[i], true
}
