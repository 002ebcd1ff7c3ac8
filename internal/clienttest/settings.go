package clienttest

import "strings"

// Settings are the settings that packages pythonconfig and nugetconfig read: files by their names, absolute ones of this
// machine, and variables by "$" and theirs. Those of the machine and of the user who scans are in effect where Own says so.
type Settings struct {
	Files map[string]string
	Own   bool
}

// InEffect is Own.
func (s Settings) InEffect() bool { return s.Own }

// ReadFile gives a file of the tree that is looked at.
func (s Settings) ReadFile(name string, limit int64) ([]byte, bool) {
	text, ok := s.Files[name]
	return []byte(text), ok && !strings.HasPrefix(name, "/") && int64(len(text)) <= limit
}

// MachineFile gives a file of the machine, where it is in effect.
func (s Settings) MachineFile(name string, limit int64) ([]byte, bool) {
	text, ok := s.Files[name]
	return []byte(text), ok && s.Own && strings.HasPrefix(name, "/") && int64(len(text)) <= limit
}

// Getenv gives a variable, "" where the environment is not in effect.
func (s Settings) Getenv(name string) string {
	if !s.Own {
		return ""
	}
	return s.Files["$"+name]
}
