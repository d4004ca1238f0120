package profiles

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestSurvey(t *testing.T) {
	for _, tt := range []struct{ name, files, want string }{
		{"nothing", "main.go", "{false false []}"},
		{"module", "go.mod main.go", "{false false []}"},
		{"workspace", "go.work a/go.mod a/go.alt.mod", "{true false []}"},
		{"vendor", "go.mod vendor/modules.txt", "{false true []}"},
		{"a file called vendor", "go.mod vendor", "{false false []}"},
		{"alternate go.mod files", "go.mod go.office.mod tools.mod go.sum", "{false false [go.office.mod tools.mod]}"},
		{"directories of such names", "go.work/x a.mod/x", "{false false []}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{}
			for _, name := range strings.Fields(tt.files) {
				files["[odd] dir/"+name] = ""
			}
			r, err := Survey(tree(t, files) + "/[odd] dir")
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(struct {
				a, b bool
				c    []string
			}{r.Workspace, r.Vendor, r.Modfiles}); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	if r, err := Survey(t.TempDir() + "/none"); err == nil {
		t.Errorf("a directory that is not there: %+v", r)
	}
}

func TestScaffold(t *testing.T) {
	for _, tt := range []struct {
		name  string
		r     Repository
		names string
		want  []string // lines
		not   string
	}{
		{name: "nothing", names: "proxy train", want: []string{`goproxy     = "default"`, `# goprivate = ["git.corp.example", "*.git.corp.example"]`}},
		{name: "the user's sources", r: Repository{GOPROXY: "https://proxy.example|direct", GOPRIVATE: "git.corp.example, x.example"}, names: "proxy train",
			want: []string{`goproxy     = "https://proxy.example|direct"`, `goprivate   = ["git.corp.example", "x.example"]`}},
		{name: "a password", r: Repository{GOPROXY: "https://u:s3cr3t@proxy.example"}, names: "proxy train", want: []string{`goproxy     = "default"`}, not: "s3cr3t"},
		{name: "a password, no scheme", r: Repository{GOPROXY: "u:s3cr3t@proxy.example"}, names: "proxy train", want: []string{`goproxy     = "default"`}, not: "s3cr3t"},
		{name: "a secret in a query", r: Repository{GOPROXY: "https://proxy.example?s3cr3t"}, names: "proxy train", want: []string{`goproxy     = "default"`}, not: "s3cr3t"},
		{name: "what would be a fault", r: Repository{GOPROXY: "direct,https://proxy.example"}, names: "proxy train", want: []string{`goproxy     = "default"`}},
		{name: "offline for the moment", r: Repository{GOPROXY: "off"}, names: "proxy train", want: []string{`goproxy     = "default"`}},
		{name: "what would need permission", r: Repository{GOPROXY: "file:///srv/proxy", GOPRIVATE: "*,git.corp.example"}, names: "proxy train",
			want: []string{`goproxy     = "default"`, `goprivate   = ["git.corp.example"]`}},
		{name: "workspace", r: Repository{Workspace: true}, names: "module proxy train", want: []string{`gowork      = "off"`}},
		{name: "vendor", r: Repository{Vendor: true}, names: "proxy train vendored", want: []string{`mod         = "vendor"`}},
		{name: "modfiles", r: Repository{Modfiles: []string{"go.office.mod", "tools.mod"}}, names: "office proxy tools train", want: []string{`modfile     = "go.office.mod"        # implies gowork = "off"`}},
		{name: "odd modfiles", r: Repository{Modfiles: []string{"a b.mod", "a-b.mod", "go.mod.mod", "default.mod", ".mod", "proxy.mod", "q\"uo\te\n.mod", "世.mod", "\xff.mod", "\a.mod"}},
			names: "a-b a-b-2 default-2 mod mod-2 mod-3 proxy proxy-2 train"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := Scaffold(tt.r)
			f, err := parse("/repo/profiles.toml", Project, []byte(text))
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if dangers := f.Dangers(); len(dangers) > 0 {
				t.Errorf("needs permission: %v", dangers)
			}
			if f.defaultName != nil {
				t.Errorf("%s is the default", f.defaultName)
			}
			if got := strings.Join(f.Names(), " "); got != tt.names {
				t.Errorf("profiles %s, want %s", got, tt.names)
			}
			for _, name := range f.Names() {
				if _, err := (&Set{project: []*File{f}}).Resolve(name); err != nil {
					t.Error(err)
				}
			}
			for _, line := range tt.want {
				if !slices.Contains(strings.Split(text, "\n"), line) {
					t.Errorf("no line %s in:\n%s", line, text)
				}
			}
			if tt.not != "" && strings.Contains(text, tt.not) {
				t.Errorf("%s in:\n%s", tt.not, text)
			}
		})
	}
}

func FuzzScaffold(f *testing.F) {
	f.Add(true, true, "go.alt.mod", "a\"b.mod", "https://a.example,direct", "git.corp.example")
	f.Add(false, true, "\x00.mod", "\u2028.mod", "\n", "\x7f,*,\"")
	f.Fuzz(func(t *testing.T, workspace, vendor bool, modfile, another, goproxy, goprivate string) {
		r := Repository{Workspace: workspace, Vendor: vendor, Modfiles: []string{modfile + ".mod", another + ".mod"}, GOPROXY: goproxy, GOPRIVATE: goprivate}
		text := Scaffold(r)
		file, err := parse("/repo/profiles.toml", Project, []byte(text))
		if err != nil {
			t.Fatalf("%+v: %v\n%s", r, err, text)
		}
		if dangers := file.Dangers(); len(dangers) > 0 {
			t.Errorf("%+v: %v", r, dangers)
		}
	})
}
