// Package registry lists what an artifact registry holds, its own packages and what it has cached from
// upstream: over its API, or from its storage on disk.
//
// Flow: a [Registry] gives its content page by page ([Registry.List]); the pages' sightings are matched like any
// others, and about what is found the registry is asked again ([Registry.Holding]): is it still served, is it
// what `latest` means, what would remove it. Storage on disk is walked like any tree, by kinds of its own ([Kinds]).
//
// What a sighting of an API means: where the product lists its storage (Nexus, Artifactory, Athens, GitLab, GitHub,
// CodeArtifact, Azure, Google, devpi's stages), the package is there. Where it lists names or is asked for them
// (Verdaccio, npm, a simple index, NuGet, a Go module proxy), it is what the registry would serve, from its storage or
// from upstream: whether it does, only asking for the archive tells, and a proxy answers that by fetching what it does
// not have. Holding therefore asks these only with [Options.AskArchives]. A sighting's host is the upstream's where the registry says it, the registry's own
// where the package was published there, and empty where nobody says.
//
// Verdaccio 5.20.1, static simple indexes and Go proxies are tested as they run; all other products by the shapes of
// their documentation, which is named beside the code that reads them.
//
// Promise: it reads, and removes nothing. Credentials come from the environment or netrc, go to the host they
// are for, and are in no sighting, note, error or log. Answers are bounded, and memory does not grow with
// the size of a registry.
package registry

import (
	"context"
	"iter"

	"github.com/rapsheet/rapsheet"
)

// Registry is one artifact registry behind an API. It is for one goroutine.
type Registry interface {
	// List gives the content in pages, beginning after the page whose Next is from; "" is the beginning.
	// An error ends the sequence. What cannot be read without ending it is a note in a page.
	List(ctx context.Context, from string) iter.Seq2[Page, error]
	// Holding says what the registry knows about one package version that it listed.
	Holding(ctx context.Context, s rapsheet.Sighting) (rapsheet.Holding, error)
}

// Page is a part of a registry's content.
type Page struct {
	Sightings []rapsheet.Sighting
	Notes     []*rapsheet.Note
	// Next is where to go on after this page, in another process too; "" after the last.
	Next string
}
