// Package inventory finds what is used in a file tree: it walks the tree once
// and turns every file of a [Kind] that it is given into a stream of sightings, each
// with the evidence found beside it (resolved URL, registry host, integrity digests,
// line). The kinds are in the packages below this one.
//
// Flow: [Walk] lists directories in lexical order, files before subdirectories.
// A file whose name one of the kinds ([Options.Kinds]) or the SBOM names know is
// opened beside its directory and handed to a small pool of workers; the results
// are put back into walk order, so two walks of one tree give one stream.
// [ReadFile] and [Read] are the same for a single file and for standard input,
// which are also recognised by content.
//
// Promises: the tree is hostile. No symbolic link is followed below the root,
// no special file is opened, no other device is entered. Names are data. Files,
// entries, depth and time per file are bounded, and memory with them: results
// wait in a small window and never pile up. A reader's panic is a note about its
// file. Whatever could not be read becomes a [rapsheet.NoteUnread] that names it.
//
// Directories of version control (.git, .hg, .svn) are not entered. Where packages are unpacked
// (node_modules, site-packages, the caches of Go and cargo) only kinds that say what is installed
// are asked: the lockfiles in there are those that packages were published with.
// The content of npm's cache, _cacache/content-v2, is left to the reader of its index.
package inventory
