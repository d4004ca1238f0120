package source

import (
	"fmt"
	"strings"
)

// Words says what supplies m, in few words.
func (m *Module) Words() string {
	switch m.Source {
	case Main:
		return "main module"
	case Use:
		return "go.work use"
	case Directory:
		return "replaced by a directory"
	case Vendor:
		return "vendor"
	case Std:
		return "standard library"
	case ModCache:
		words := "module cache"
		if m.Filled != nil {
			words += ", filled by " + m.Filled.Upstream
		}
		return words
	case GoMod:
		return "its go.mod only"
	case Ask:
		return "to be asked: " + Walk(m.Ask)
	case Nowhere:
		return "nowhere: " + m.Note
	}
	return "unknown: " + m.Note
}

// Answers says in few words what the upstreams said.
func (m *Module) Answers() string {
	var all []string
	for _, a := range m.Probe {
		word := a.Outcome
		if a.Status != 0 {
			word = fmt.Sprint(a.Status)
		}
		all = append(all, a.Upstream+" "+word)
	}
	if m.SumDB != nil {
		all = append(all, m.SumDB.Name+" knows it")
	}
	return strings.Join(all, ", ")
}

// Walk says in which order entries are asked.
func Walk(entries []Entry) string {
	var b strings.Builder
	for i, e := range entries {
		if i > 0 {
			b.WriteString(map[bool]string{true: " | ", false: ", "}[entries[i-1].Always])
		}
		b.WriteString(e.URL)
		if e.Why != "" {
			b.WriteString(" (" + e.Why + ")")
		}
	}
	return b.String()
}

// Why explains m in sentences, one to a line. Paths are as in the evidence.
func (m *Module) Why() []string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	switch m.Source {
	case Main:
		say("It is the main module, read from %s.", m.Dir)
	case Use:
		say("go.work uses it: it is read from %s.", m.Dir)
	case Directory:
		say("A replace directive puts the directory %s in its place.", m.Dir)
	case Vendor:
		say("It is vendored: go reads the vendor directory and no module cache.")
	case Std:
		say("It is part of the standard library, in %s.", m.Dir)
	case ModCache:
		say("It is read from the module cache, %s.", m.Dir)
	case GoMod:
		say("Nothing supplies it: only its go.mod counts, in choosing versions.")
	case Ask:
		say("It is not here, and has to be fetched.")
	case Nowhere:
		say("Nothing supplies it.")
	default:
		say("What supplies it is unknown.")
	}
	if m.Note != "" {
		say("%s.", strings.ToUpper(m.Note[:1])+m.Note[1:])
	}
	if m.Replace != nil && m.Replace.Version != "" {
		say("It is replaced by %s.", m.Replace)
	}
	for i, e := range m.Evidence {
		word := "decided by"
		if i > 0 {
			word = "see also"
		}
		say("\t%s %v%s", word, e, colon(e.Text))
	}
	for _, e := range m.Beats {
		text := colon(e.Text)
		if e.Why != "" {
			text += " (" + e.Why + ")"
		}
		if e.Claim != "" {
			text += " [" + e.Claim + "]"
		}
		say("\tnot %v%s", e, text)
	}
	switch {
	case m.Filled != nil && m.Filled.By == ByRecord:
		say("%s filled the module cache with it: it served these bytes at that time (%s, %s).", m.Filled.Upstream, m.Filled.File, m.Filled.Time.UTC().Format("2006-01-02 15:04:05 MST"))
	case m.Filled != nil:
		say("%s filled the module cache with it: nobody else is asked for it in this isolated cache.", m.Filled.Upstream)
	case m.Source == ModCache:
		say("Who filled the module cache with it is unknown.")
	}
	if m.Origin != nil {
		say("Its .info file says that it is from %s, commit %s; a proxy may have said so.", m.Origin.URL, m.Origin.Hash)
	}
	switch {
	case len(m.Ask) > 0 && m.Source == ModCache:
		say("Were it not there, go would ask %s.", walkLong(m.Ask))
	case len(m.Ask) > 0 && m.Source == Ask:
		say("go would ask %s.", walkLong(m.Ask))
	case m.Source == ModCache:
		say("Were it not there, nobody would be asked.")
	}
	for _, a := range m.Probe {
		say("\t%s", a)
	}
	if m.SumDB != nil {
		say("\tThe checksum database %s says that its go.mod is %s, and its content %s.", m.SumDB.Name, m.SumDB.ModHash, m.SumDB.ZipHash)
	}
	for i, rule := range m.Rules {
		if i == 0 {
			say("The rules:")
		}
		say("\t%s", rule)
	}
	return lines
}

func colon(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// walkLong says in which order entries are asked, and on what condition.
func walkLong(entries []Entry) string {
	var b strings.Builder
	for i, e := range entries {
		if i > 0 {
			b.WriteString(map[bool]string{true: ", then, whatever goes wrong, ", false: ", then, if it is not found there, "}[entries[i-1].Always])
		}
		if e.URL == direct {
			b.WriteString("the module's own repository")
		} else {
			b.WriteString(e.URL)
		}
		if e.Why != "" {
			b.WriteString(", and nobody else, for " + e.Why + " matches")
		}
	}
	return b.String()
}

func (r Rule) String() string {
	text := r.Text
	if r.Since != "" {
		text = "Since go" + r.Since + ": " + text
	}
	if r.Until != "" {
		text = "Up to go" + r.Until + ": " + text
	}
	return text + " [" + r.Claim + "]"
}
