package profiles

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// reach makes a Set of the texts of the files in it; "" is no such file.
func reach(t testing.TB, local, project, user string) *Set {
	t.Helper()
	set := &Set{userRead: true}
	for _, f := range []struct{ path, text string }{{"/repo/profiles.local.toml", local}, {"/repo/profiles.toml", project}} {
		if f.text != "" {
			parsed, err := parse(f.path, Project, []byte(f.text))
			if err != nil {
				t.Fatal(err)
			}
			set.project = append(set.project, parsed)
		}
	}
	if user != "" {
		var err error
		if set.user, err = parse("/config/gox/profiles.toml", User, []byte(user)); err != nil {
			t.Fatal(err)
		}
	}
	return set
}

// resolved lays the named profiles of a project's file above one another.
func resolved(t testing.TB, text string, names ...string) *Profile {
	t.Helper()
	p, err := reach(t, "", text, "").Resolve(names...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestResolve(t *testing.T) {
	const project = `
[profile.base]
description = "the base"
goproxy  = "https://base.example"
gosumdb  = "sum.golang.google.cn"
mod      = "readonly"
[profile.base.env]
A = "base"
B = "base"
[profile.office]
extends  = "base"
goproxy  = "https://office.example"
[profile.office.env]
A = "office"
[profile.deep]
extends  = "office"
mod      = ""
[profile.ci]
mod      = "vendor"
goproxy  = "https://ci.example"
[profile.mine]
extends  = "laptop"
[profile.alone]
extends  = ""
mod      = "mod"
`
	const user = `
[profile.laptop]
extends = "offline"
gowork  = "off"
[profile.office]
goproxy = "https://elsewhere.example"
[profile.home]
extends = "office"
gosumdb = "off"
[profile.mirror]
goproxy = "https://mine.example"
`
	const local = `
[profile.office]
gosumdb = "off"
[profile.office.env]
B = "local"
[profile.alone]
extends = "ci"
[profile.ci]
extends = ""
`
	for _, tt := range []struct {
		name        string
		local, user bool
		layers      string
		want        string
	}{
		{name: "one", layers: "ci", want: "goproxy=https://ci.example mod=vendor"},
		{name: "extends", layers: "office", want: "description=the base extends=base goproxy=https://office.example gosumdb=sum.golang.google.cn mod=readonly env.A=office env.B=base"},
		{name: "extends twice, mod taken back", layers: "deep", want: "description=the base extends=office goproxy=https://office.example gosumdb=sum.golang.google.cn env.A=office env.B=base"},
		{name: "layers, the last wins", layers: "office ci", want: "description=the base extends=base goproxy=https://ci.example gosumdb=sum.golang.google.cn mod=vendor env.A=office env.B=base"},
		{name: "layers, then its chain", layers: "ci deep", want: "description=the base extends=office goproxy=https://office.example gosumdb=sum.golang.google.cn env.A=office env.B=base"},
		{name: "the same layer twice", layers: "office ci office", want: "description=the base extends=base goproxy=https://office.example gosumdb=sum.golang.google.cn mod=readonly env.A=office env.B=base"},
		{name: "extends nothing", layers: "alone", want: "mod=mod"},
		{name: "local overlay", local: true, layers: "office", want: "description=the base extends=base goproxy=https://office.example gosumdb=off mod=readonly env.A=office env.B=local"},
		{name: "local overlay extends", local: true, layers: "alone", want: "extends=ci goproxy=https://ci.example mod=mod"},
		{name: "built in", layers: "offline", want: "description=no network: what the module cache holds, and nothing else goproxy=off gonoproxy=none"},
		{name: "the user's", user: true, layers: "laptop", want: "description=no network: what the module cache holds, and nothing else extends=offline goproxy=off gonoproxy=none gowork=off"},
		{name: "the project's before the user's", user: true, layers: "office", want: "description=the base extends=base goproxy=https://office.example gosumdb=sum.golang.google.cn mod=readonly env.A=office env.B=base"},
		{name: "the user's before the built in", user: true, layers: "mirror", want: "goproxy=https://mine.example"},
		{name: "from the project to the user's to the built in", user: true, layers: "mine", want: "description=no network: what the module cache holds, and nothing else extends=laptop goproxy=off gonoproxy=none gowork=off"},
		{name: "from the user's to the project's", user: true, layers: "home", want: "description=the base extends=office goproxy=https://office.example gosumdb=off mod=readonly env.A=office env.B=base"},
		{name: "none", layers: "", want: "description=plain go: changes nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			with := func(yes bool, text string) string {
				if yes {
					return text
				}
				return ""
			}
			p, err := reach(t, with(tt.local, local), project, with(tt.user, user)).Resolve(strings.Fields(tt.layers)...)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range p.Values() {
				got = append(got, fmt.Sprintf("%s=%s", v.Key, v))
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestResolveFaults(t *testing.T) {
	const known = "(known: a, b, c, default, direct, lost, mirror, offline, self, vendor)"
	const project = `
[profile.a]
extends = "b"
[profile.b]
extends = "c"
[profile.c]
extends = "a"
[profile.self]
extends = "self"
[profile.lost]
extends = "mirorr"
`
	for _, tt := range []struct{ name, layer, want string }{
		{"circle", "a", "/repo/profiles.toml:7: [profile.c] extends: goes in a circle: a extends b extends c extends a\n\ttake the extends out of one of them"},
		{"circle of one", "self", "/repo/profiles.toml:9: [profile.self] extends: goes in a circle: self extends self\n\ttake the extends out of one of them"},
		{"unknown, near", "ofline", "unknown profile \"ofline\" " + known + "\n\tdid you mean offline?"},
		{"unknown, far", "warehouse", "unknown profile \"warehouse\" " + known + "\n\tsee them all with: gox profile list"},
		{"unknown, empty", "", "unknown profile \"\" " + known + "\n\tsee them all with: gox profile list"},
		{"unknown in extends", "lost", "/repo/profiles.toml:11: [profile.lost] extends: unknown profile \"mirorr\" " + known + "\n\tdid you mean mirror?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := reach(t, "", project, "").Resolve("default", tt.layer)
			if err == nil {
				t.Fatal("no error")
			}
			if got := err.Error(); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
			if problemsOf(err) == nil {
				t.Errorf("%T is no Problem", err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	set := reach(t, "[profile.b]", "[profile.a]\n[profile.b]", "[profile.a]\n[profile.z]\n[profile.direct]")
	got, err := set.Names()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "b", "default", "direct", "mirror", "offline", "vendor", "z"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDefault(t *testing.T) {
	for _, tt := range []struct{ name, local, project, user, want, pos string }{
		{"none", "", "[profile.x]", "", "default", ""},
		{"project", "", "\ndefault = 'x'", "", "x", "/repo/profiles.toml:2"},
		{"local first", "default = 'y'", "default = 'x'", "default = 'z'", "y", "/repo/profiles.local.toml:1"},
		{"project before user", "[profile.x]", "default = 'x'", "default = 'z'", "x", "/repo/profiles.toml:1"},
		{"user", "", "[profile.x]", "default = 'z'", "z", "/config/gox/profiles.toml:1"},
		{"taken back", "default = ''", "default = 'x'", "", "x", "/repo/profiles.toml:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name, pos, err := reach(t, tt.local, tt.project, tt.user).Default()
			if err != nil {
				t.Fatal(err)
			}
			if name != tt.want || pos.String() != tt.pos {
				t.Errorf("got %q at %q, want %q at %q", name, pos, tt.want, tt.pos)
			}
		})
	}
}

func TestProfile(t *testing.T) {
	const text = `
[profile.plain]
description = "does nothing"
extends = "default"
[profile.local]
go = "local"
[profile.old]
go = "1.18"
[profile.root]
go = "../go"
[profile.home]
go = "~/sdk/go"
`
	for _, tt := range []struct {
		name, layers string
		empty        bool
		pos          string
		goPath       string // of Go, "" where that is nil or a version
		goValue      string
	}{
		{name: "description alone", layers: "plain", empty: true, pos: "/repo/profiles.toml:2"},
		{name: "built in", layers: "default", empty: true, pos: "built-in"},
		{name: "local go", layers: "local", pos: "/repo/profiles.toml:5"},
		{name: "version", layers: "old", pos: "/repo/profiles.toml:7", goValue: "1.18"},
		{name: "GOROOT", layers: "root", pos: "/repo/profiles.toml:9", goValue: "../go", goPath: "/go"},
		{name: "GOROOT at home", layers: "home", pos: "/repo/profiles.toml:11", goValue: "~/sdk/go", goPath: "/home/me/sdk/go"},
		{name: "layers", layers: "home old plain", pos: "/repo/profiles.toml:2", goValue: "1.18"},
		{name: "local go above another", layers: "old local", pos: "/repo/profiles.toml:5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := resolved(t, text, strings.Fields(tt.layers)...)
			if p.Empty() != tt.empty {
				t.Errorf("Empty is %v", p.Empty())
			}
			if got := p.Pos().String(); got != tt.pos {
				t.Errorf("Pos is %s, want %s", got, tt.pos)
			}
			if want := strings.ReplaceAll(tt.layers, " ", "+"); p.Name != want {
				t.Errorf("Name is %q, want %q", p.Name, want)
			}
			v := p.Go()
			if v == nil {
				if tt.goValue != "" {
					t.Error("Go is nil")
				}
				return
			}
			if v.String() != tt.goValue || v.IsPath() != (tt.goPath != "") {
				t.Errorf("Go is %q, IsPath %v", v, v.IsPath())
			}
			if v.IsPath() && v.Path("/home/me") != tt.goPath {
				t.Errorf("Path is %q, want %q", v.Path("/home/me"), tt.goPath)
			}
		})
	}
}
