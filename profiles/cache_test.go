package profiles

import (
	"path/filepath"
	"strings"
	"testing"
)

const cacheProfiles = `
[profile.office]
goproxy   = ["https://goproxy.corp.example", "|", "direct"]
goprivate = ["git.corp.example"]
gosumdb   = "sum.golang.google.cn"
[profile.train]
extends = "office"
goproxy = "off"
[profile.module]
extends = "office"
gowork  = "off"
goflags = ["-v"]
[profile.stricter]
extends = "office"
goprivate = []
[profile.back]
extends = "train"
goproxy = ""
goprivate = ""
gosumdb = ""
[profile.lab]
goproxy = "https://lab.example"
[profile.flags]
goflags = ["-v"]
[profile.apart]
extends  = "train"
modcache = "isolated"
[profile.dark]
goproxy  = "off"
modcache = "isolated"
[profile.mine]
modcache = "isolated"
[profile.user]
extends  = "office"
modcache = "shared"
[profile.once]
modcache = "fresh"
[profile.here]
modcache = "./mod"
[profile.homely]
modcache = "~/mod"
[profile.notmine]
extends  = "user"
modcache = ""
[profile.ssh]
extends = "office"
[profile.ssh.git]
url."ssh://git@git.corp.example/".insteadOf = "https://git.corp.example/"
http.sslCAInfo = "/ca.pem"
[profile.words]
description = "says nothing"
`

func TestCache(t *testing.T) {
	const (
		office = "isolated office GOPROXY=https://goproxy.corp.example|direct GONOPROXY= GOPRIVATE=git.corp.example GOSUMDB=sum.golang.google.cn GONOSUMDB= GOINSECURE= GOVCS="
		plain  = " GOPROXY= GONOPROXY= GOPRIVATE= GOSUMDB= GONOSUMDB= GOINSECURE= GOVCS="
	)
	for _, tt := range []struct {
		name      string
		layers    string
		overrides string
		environ   string
		want      string
		origin    string
	}{
		{name: "default", want: "shared", origin: "default"},
		{name: "default, offline by -e", overrides: "GOPROXY=off", want: "shared", origin: "default"},
		{name: "nothing but words", layers: "words", want: "shared", origin: "default"},
		{name: "a source", layers: "office", want: office, origin: "/repo/profiles.toml:2 [profile.office] modcache = isolated, as none is given"},
		{name: "the sources of the environment are overridden", layers: "office", environ: "GOPROXY=x GOSUMDB=off", want: office},
		{name: "-e of something else", layers: "office", overrides: "GOFLAGS=-v CGO_ENABLED=0", want: office},
		{name: "-e of a source", layers: "office", overrides: "GOPROXY=https://x.example", want: strings.Replace(office, "https://goproxy.corp.example|direct", "https://x.example", 1)},

		{name: "offline by extends", layers: "train", want: office},
		{name: "offline by a layer", layers: "office offline", want: office},
		{name: "offline by -e", layers: "office", overrides: "GOPROXY=off", want: office},
		{name: "offline by -e, private modules too", layers: "office", overrides: "GOPROXY=off GONOPROXY=none", want: office},
		{name: "private modules through the proxy", layers: "office", overrides: "GONOPROXY=none", want: strings.Replace(office, "GONOPROXY=", "GONOPROXY=none", 1)},
		{name: "offline by a layer and -e", layers: "office offline", overrides: "GOPROXY=off", want: office},
		{name: "vendor above", layers: "office vendor", want: office},
		{name: "an extending profile that changes no source", layers: "module", want: office},
		{name: "a layer that changes no source", layers: "office flags", want: office},
		{name: "default above", layers: "office default", want: office},
		{name: "above default", layers: "default office", want: office},
		{name: "an extending profile that changes a source", layers: "stricter", want: strings.Replace(strings.Replace(office, "git.corp.example", "none", 1), " office", " stricter", 1)},
		{name: "offline above that", layers: "stricter offline", want: strings.Replace(strings.Replace(office, "git.corp.example", "none", 1), " office", " stricter", 1)},
		{name: "two sources", layers: "office lab", want: "isolated office+lab GOPROXY=https://lab.example GONOPROXY= GOPRIVATE=git.corp.example GOSUMDB=sum.golang.google.cn GONOSUMDB= GOINSECURE= GOVCS="},
		{name: "taken back", layers: "back", want: "isolated back" + plain},
		{name: "addresses for git", layers: "ssh", want: strings.Replace(office, " office", " ssh", 1) + " git.url.ssh://git@git.corp.example/.insteadOf=https://git.corp.example/"},

		{name: "offline alone", layers: "offline", want: "shared", origin: "default"},
		{name: "vendor alone", layers: "vendor", want: "shared", origin: "default"},
		{name: "offline alone, sources in the environment", layers: "offline", environ: "GOPROXY=https://x.example", want: "shared", origin: "default"},
		{name: "no source", layers: "flags", want: "isolated flags" + plain, origin: "/repo/profiles.toml:23 [profile.flags] modcache = isolated, as none is given"},
		{name: "no source, but in the environment", layers: "flags", environ: "GOPROXY=https://x.example GONOSUMDB=y", want: "isolated flags GOPROXY=https://x.example GONOPROXY= GOPRIVATE= GOSUMDB= GONOSUMDB=y GOINSECURE= GOVCS="},
		{name: "no source, offline in the environment", layers: "flags", environ: "GOPROXY=off", want: "isolated flags" + plain},

		{name: "explicit", layers: "mine", want: "isolated mine" + plain, origin: "/repo/profiles.toml:32 [profile.mine] modcache"},
		{name: "explicit, offline", layers: "dark", want: "isolated dark" + plain, origin: "/repo/profiles.toml:30 [profile.dark] modcache"},
		{name: "explicit, offline above a source", layers: "apart", want: office, origin: "/repo/profiles.toml:27 [profile.apart] modcache"},
		{name: "shared", layers: "user", want: "shared", origin: "/repo/profiles.toml:35 [profile.user] modcache"},
		{name: "shared, taken back", layers: "notmine", want: office},
		{name: "fresh", layers: "office once", want: "fresh", origin: "/repo/profiles.toml:37 [profile.once] modcache"},
		{name: "a directory", layers: "here", want: "directory /repo/mod", origin: "/repo/profiles.toml:39 [profile.here] modcache"},
		{name: "a directory at home", layers: "homely", want: "directory /home/me/mod"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// What GOROOT/go.env says is go's own default, which differs between
			// go versions and is no source of the profile's.
			root := tree(t, map[string]string{"go.env": "GOPROXY=https://default.example\nGOSUMDB=sum.example\n"})
			p := resolved(t, cacheProfiles, strings.Fields(tt.layers)...)
			env, problems := p.Env(Inputs{
				Environ: strings.Fields(tt.environ), Overrides: strings.Fields(tt.overrides), Dir: "/nowhere", Home: "/home/me", GOROOT: root, GoVersion: "go1.26.0",
			})
			if err := problems.Err(); err != nil {
				t.Fatal(err)
			}
			c := p.Cache(env, "/home/me")
			got := c.Mode.String()
			if c.Dir != "" {
				got += " " + filepath.ToSlash(c.Dir)
			}
			if c.Name != "" {
				got += " " + c.Name + " " + strings.Join(c.Sources, " ")
			}
			if got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
			if tt.origin != "" && c.Origin.String() != tt.origin {
				t.Errorf("origin\n got %s\nwant %s", c.Origin, tt.origin)
			}
		})
	}
}
