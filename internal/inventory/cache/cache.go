// Package cache reads what package managers keep for themselves: the archives that they downloaded once
// and will install again without asking anyone.
//
// Flow: [Kinds] is the table that a walk of package inventory is given. Every kind knows the directories of one
// tool's cache by their names in the path ([inventory.Kind.Dir]), wherever the cache is, and reads its files one
// by one; it gives name, version, and what the cache knows of the registry, the URL and the digest.
//
// Promise: only what is there counts: a cached answer about a package is not a cached package. A cache whose
// version the kind does not know is a note, never silence. Nothing is written, locked or repaired.
package cache

import (
	"slices"

	"github.com/rapsheet/rapsheet/internal/inventory"
)

// Kinds gives the files of package managers' caches.
func Kinds() []inventory.Kind {
	return slices.Concat(nodeKinds(), pythonKinds(), goKinds(), rustKinds(), javaKinds(), dotnetKinds(), rubyKinds(), phpKinds(),
		dartKinds(), hexKinds(), haskellKinds(), editorKinds(), homebrewKinds())
}
