package cmd

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"example.com/gox/internal/wrap"
	"example.com/gox/profiles"
)

// verbs returns gox's verbs and their subcommands, by their names in a call.
func verbs(t *testing.T) map[string]*cli.Command {
	t.Helper()
	g := &gox{&wrap.Run{Process: &wrap.Process{Stdout: os.Stdout, Stderr: os.Stderr}}}
	all := map[string]*cli.Command{}
	var walk func(prefix string, commands []*cli.Command)
	walk = func(prefix string, commands []*cli.Command) {
		for _, c := range commands {
			all[prefix+c.Name] = c
			walk(prefix+c.Name+" ", c.Subcommands)
		}
	}
	walk("", g.app().Commands)
	return all
}

// Each verb says what it does, with an example to paste that it understands,
// and its flags say what they do.
func TestVerbsHelp(t *testing.T) {
	all := verbs(t)
	for name, c := range all {
		if c.Usage == "" {
			t.Errorf("%s: no usage", name)
		}
		if name == "help" {
			continue // its help is gox's
		}
		var examples []string
		for line := range strings.Lines(c.Description) {
			if strings.HasPrefix(line, "   gox ") {
				examples = append(examples, line)
			}
		}
		if !slices.ContainsFunc(examples, func(line string) bool { return strings.Contains(line, " "+name) }) {
			t.Errorf("%s: no example of a call in its help:\n%s", name, c.Description)
		}
		for _, f := range c.Flags {
			if d, ok := f.(cli.DocGenerationFlag); !ok || d.GetUsage() == "" {
				t.Errorf("%s: %s: no usage", name, f.Names()[0])
			}
		}
	}
	for name := range all {
		verb, _, _ := strings.Cut(name, " ")
		if !wrap.IsVerb(verb) {
			t.Errorf("%s: not recognised as a verb", verb)
		}
	}
}

// The file that the help of profile shows is one.
func TestProfileHelpFile(t *testing.T) {
	var text strings.Builder
	description, _, _ := strings.Cut(verbs(t)["profile"].Description, "   gox ")
	for line := range strings.Lines(description) {
		if line, ok := strings.CutPrefix(line, "   "); ok {
			text.WriteString(line)
		}
	}
	file := filepath.Join(t.TempDir(), profiles.FileName)
	if err := os.WriteFile(file, []byte(text.String()+"[profile.base]\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	set, err := profiles.Load(profiles.Search{File: file, UID: -1})
	if err != nil {
		t.Fatal(err)
	}
	profile, err := set.Resolve("office")
	if err != nil {
		t.Fatal(err)
	}
	if dangers := profile.Dangers(); len(dangers) > 0 || len(profile.Values()) < 10 {
		t.Errorf("dangers %v, %d values", dangers, len(profile.Values()))
	}
}

// What a verb's help shows as an example, its flags allow.
func TestVerbsExamples(t *testing.T) {
	all := verbs(t)
	call := regexp.MustCompile(`gox (?:-p \S+ |--go \S+ )*([a-z]+(?: [a-z]+)?)((?: --?[a-z][a-z-]*)*)`)
	checked := 0
	for name, c := range all {
		for line := range strings.Lines(c.Description) {
			m := call.FindStringSubmatch(line)
			if !strings.HasPrefix(line, "   ") || m == nil {
				continue
			}
			verb, _, _ := strings.Cut(m[1], " ")
			if !wrap.IsVerb(verb) {
				continue // go's
			}
			called := all[m[1]]
			if called == nil {
				called = all[verb]
			}
			for _, f := range strings.Fields(m[2]) {
				if !slices.ContainsFunc(called.Flags, func(flag cli.Flag) bool { return slices.Contains(flag.Names(), strings.TrimLeft(f, "-")) }) {
					t.Errorf("%s: %s: it has no flag %s", name, strings.TrimSpace(line), f)
				}
			}
			checked++
		}
	}
	if checked < len(all)-2 {
		t.Errorf("only %d examples of %d verbs", checked, len(all))
	}
}

// gox --help names each of gox's own flags, and no other.
func TestRootHelpFlags(t *testing.T) {
	_, rest, _ := strings.Cut(rootHelp, "\nflags:\n")
	section, _, _ := strings.Cut(rest, "\n\n")
	var told []string
	for _, m := range regexp.MustCompile(`(?m)^   (?:-(\w)(?:, )?)? *(?:--(\w+))?`).FindAllStringSubmatch(section, -1) {
		for _, name := range m[1:] {
			if name != "" {
				told = append(told, name)
			}
		}
	}
	flags := wrap.Flags()
	slices.Sort(told)
	slices.Sort(flags)
	if told = slices.Compact(told); !slices.Equal(told, flags) {
		t.Errorf("gox --help names\n%q, the flags are\n%q", told, flags)
	}
}

// gox --help names each variable that gox reads.
func TestRootHelpVariables(t *testing.T) {
	files, err := filepath.Glob("../internal/wrap/*.go")
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`Getenv\("(GOX_\w+)"\)`).FindAllStringSubmatch(string(text), -1) {
			read[m[1]] = true
		}
	}
	if len(read) < 4 {
		t.Fatalf("found %v", read)
	}
	for name := range read {
		if !strings.Contains(rootHelp, name) {
			t.Errorf("gox --help does not tell of %s", name)
		}
	}
}
