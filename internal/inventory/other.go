package inventory

// otherReaders is the part of the table for every ecosystem but JavaScript's and Python's.
func otherReaders() []reader {
	own := []reader{
		{kind: "Gemfile.lock", match: named("Gemfile.lock", "gems.locked"), read: readGemfileLock},
		{kind: "Cargo.lock", match: named("Cargo.lock"), read: readCargoLock},
		{kind: "go.mod", match: named("go.mod"), read: readGoMod},
		{kind: "packages.lock.json", match: named("packages.lock.json"), read: readPackagesLock},
		{kind: "project.assets.json", match: named("project.assets.json"), read: readProjectAssets},
		{kind: "deps.json", match: isDepsJSON, read: readDepsJSON},
		{kind: "packages.config", match: named("packages.config"), read: readPackagesConfig},
		{kind: "msbuild", match: isMSBuild, read: readMSBuild},
		{kind: "paket.lock", match: named("paket.lock"), read: readPaketLock},
		{kind: "composer.lock", match: named("composer.lock"), read: readComposerLock},
		{kind: "workflow", match: isWorkflow, read: readWorkflow},
		{kind: "action.yml", match: named("action.yml", "action.yaml"), read: readWorkflow},
		{kind: "extensions.json", match: isExtensions, read: readExtensions},
		{kind: "pubspec.lock", match: named("pubspec.lock"), read: readPubspecLock},
		{kind: "Package.resolved", match: named("Package.resolved"), read: readPackageResolved},
		{kind: "mix.lock", match: named("mix.lock"), read: readMixLock},
		{kind: "rebar.lock", match: named("rebar.lock"), read: readRebarLock},
		{kind: "verification-metadata.xml", match: isVerificationMetadata, read: readVerificationMetadata},
	}
	return append(own, scalibrReaders()...)
}
