// Package pkgarchive says which package an archive is: a wheel or sdist, an npm tarball, a nupkg, a crate, a gem,
// a jar, a vsix.
//
// Flow: a reader of caches, registries or trees has an archive and its file name, and asks [Read].
//
// Promise: archives are hostile. Only the directory of a zip and the few members that name the package are read, within
// limits of size, count and ratio; nothing is extracted to disk, and member names are data.
package pkgarchive
