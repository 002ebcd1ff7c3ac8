// Package tomltable looks values up in decoded TOML by their exact keys, whatever their types are: package toml's structs match
// keys in any case, and one value of another type than expected would make a whole file unread.
package tomltable

// Table is a TOML table. Like a nil map, a nil one has nothing in it.
type Table map[string]any

// Text gives the string at key, "" if there is none.
func (t Table) Text(key string) string {
	s, _ := t[key].(string)
	return s
}

// Is reports whether the boolean at key is true.
func (t Table) Is(key string) bool {
	b, _ := t[key].(bool)
	return b
}

// Table gives the table at key, nil if there is none.
func (t Table) Table(key string) Table {
	m, _ := t[key].(map[string]any)
	return m
}

// Tables gives the tables of the array at key, however it is written.
func (t Table) Tables(key string) []Table {
	var all []Table
	switch list := t[key].(type) {
	case []map[string]any:
		for _, m := range list {
			all = append(all, m)
		}
	case []any:
		for _, v := range list {
			if m, ok := v.(map[string]any); ok {
				all = append(all, m)
			}
		}
	}
	return all
}
