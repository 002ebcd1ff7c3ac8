package list

import "strings"

// readLines reads a list of one package per line, with comments.
func (p *parser) readLines(text string) {
	first := true
	for i, line := range lines(text) {
		if p.over {
			return
		}
		t := strings.TrimSpace(line)
		switch {
		case t == "":
			p.plain(i, line, true)
			continue
		case isComment(t):
			p.plain(i, line, false)
			// "# npm" above its packages, or nothing that concerns us.
			if eco := sectionEcosystem(t); eco != "" {
				p.section = eco
			}
			continue
		}
		u := p.unit(i+1, 1, line)
		if first {
			first = false
			if h, ok := headerOf(t); ok && (h.meaning == isName || h.meaning == isPURL) {
				p.units[u].kind = unitHeader
				if h.eco != "" {
					p.section = h.eco
				}
				continue
			}
		}
		p.line(u, line)
	}
}

// line reads one line that is no comment.
func (p *parser) line(u int, line string) {
	t := withoutComment(strings.TrimSpace(line))
	if !cleanText(strings.ReplaceAll(t, "\t", " ")) {
		p.note(u, "control characters or broken UTF-8", true)
		return
	}
	t = unbullet(t)
	if eco := sectionEcosystem(t); eco != "" && strings.ContainsAny(t, ":[") {
		p.section = eco
		p.units[u].kind = unitComment
		return
	}
	specs, reason := parseSpecs(t)
	if reason != "" {
		p.note(u, reason, true)
		return
	}
	p.specs(u, specs)
}

// withoutComment takes a comment off the end of a line: "#", "//" or ";" after white space.
func withoutComment(s string) string {
	for i := 1; i < len(s); i++ {
		if s[i-1] != ' ' && s[i-1] != '\t' {
			continue
		}
		if s[i] == '#' || s[i] == ';' || strings.HasPrefix(s[i:], "//") || strings.HasPrefix(s[i:], "<!--") {
			return strings.TrimSpace(s[:i])
		}
	}
	return s
}

// unbullet takes the mark of a list's item off: "- ", "* ", "+ ", "• ", "1. ", "1) ", "[x] ".
func unbullet(s string) string {
	rest, ok := bullet(s)
	if !ok {
		return s
	}
	return rest
}

// bullet reports whether s is an item of a list, and gives what is in it.
func bullet(s string) (rest string, ok bool) {
	s = strings.TrimSpace(s)
	for _, mark := range [...]string{"- ", "* ", "+ ", "• ", "‣ ", "◦ ", "· ", "– ", "-\t", "*\t", "•\t", "•"} {
		if rest, ok = strings.CutPrefix(s, mark); ok {
			break
		}
	}
	if !ok {
		i := 0
		for i < len(s) && i < 6 && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		if i == 0 || i+1 >= len(s) || s[i] != '.' && s[i] != ')' || s[i+1] != ' ' {
			return "", false
		}
		rest = s[i+2:]
	}
	rest = strings.TrimSpace(rest)
	for _, box := range [...]string{"[ ] ", "[x] ", "[X] "} {
		if after, found := strings.CutPrefix(rest, box); found {
			rest = strings.TrimSpace(after)
		}
	}
	return rest, rest != ""
}
