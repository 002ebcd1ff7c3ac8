package registry

// ShellQuote is what purge calls are written with.
func ShellQuote(s string) string { return shellQuote(s) }
