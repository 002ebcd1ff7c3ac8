package inventory

import "sync"

// memoSize is how many results of [File.Once] a walk remembers.
const memoSize = 16

// Once gives what load gives, for what many files of a tree have in common: the lockfile that
// npm leaves in node_modules, say. The walk remembers the results for the last few keys;
// load may be called again, and what it gives is shared between goroutines.
func (in *File) Once(key string, load func() any) any {
	if in.memo == nil {
		return load()
	}
	return in.memo.get(key, load)
}

// memo is safe for concurrent use.
type memo struct {
	mu      sync.Mutex
	entries []*memoEntry // used last comes last
}

type memoEntry struct {
	key   string
	once  sync.Once
	value any
}

func (m *memo) get(key string, load func() any) any {
	e := m.entry(key)
	e.once.Do(func() { e.value = load() })
	return e.value
}

func (m *memo) entry(key string) *memoEntry {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := &memoEntry{key: key}
	for i, old := range m.entries {
		if old.key == key {
			e = old
			m.entries = append(m.entries[:i], m.entries[i+1:]...)
			break
		}
	}
	if len(m.entries) == memoSize {
		m.entries = append(m.entries[:0], m.entries[1:]...)
	}
	m.entries = append(m.entries, e)
	return e
}
