package testscripts

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// inherited returns what of the caller's environment programs need to start.
func (r *Runner) inherited() []string {
	var env []string
	for _, kv := range r.Environ {
		name, _, _ := strings.Cut(kv, "=")
		if runtime.GOOS == "windows" {
			name = strings.ToUpper(name)
		}
		switch {
		case name == "PATH":
			env = append(env, "PATH="+kv[len("PATH="):])
		case runtime.GOOS == "windows" && (name == "SYSTEMROOT" || name == "PATHEXT" || name == "COMSPEC"):
			env = append(env, kv)
		}
	}
	return env
}

// setup makes the closed environment of a script.
func (p *play) setup(e *testscript.Env) error {
	p.work = e.WorkDir
	if err := p.makeHome(); err != nil {
		return err
	}
	// Not through a version manager's shim, which chooses as it likes.
	path := []string{filepath.Dir(p.Go)}
	if p.script.own {
		bin, vars, err := p.makeOwn()
		if err != nil {
			return err
		}
		path, e.Vars = append(path, bin...), append(e.Vars, vars...)
	}
	for _, kv := range p.inherited() {
		if name, value, _ := strings.Cut(kv, "="); name == "PATH" {
			path = append(path, value)
		} else {
			e.Vars = append(e.Vars, kv)
		}
	}
	p.path = strings.Join(path, string(os.PathListSeparator))
	home, temp := p.sub(".home"), p.sub(".tmp")
	p.env = []string{
		"PATH=" + p.path,
		"HOME=" + home,
		"TMPDIR=" + temp,
		"GIT_CONFIG_GLOBAL=" + p.sub(".home", ".gitconfig"),
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"LC_ALL=C",
	}
	if runtime.GOOS == "windows" {
		p.env = append(p.env, "USERPROFILE="+home, "APPDATA="+filepath.Join(home, "AppData", "Roaming"), "LOCALAPPDATA="+filepath.Join(home, "AppData", "Local"), "TMP="+temp, "TEMP="+temp)
	}
	// testscript's own come first, and it looks for WORK in the first.
	e.Vars = append(e.Vars, p.env...)
	e.Vars = append(e.Vars,
		"GOCACHE="+cmp.Or(p.GOCACHE, p.sub(".gocache")),
		"GOENV=off",
		"GOFLAGS=",
		"GOMODCACHE="+p.sub(".modcache"),
		"GOPATH="+p.sub(".gopath"),
		"GOPROXY=off",
		"GOSUMDB=off",
		"GOTOOLCHAIN=local",
		"CGO_ENABLED=0",
		"GOTRACEBACK=single", // go's default, not testscript's
		"GIT_SSH_COMMAND=no-ssh-in-scripts",
		"GIT_SSL_CAINFO="+p.sub(".home", "ca.pem"),
		"SSL_CERT_FILE="+p.sub(".home", "ca.pem"),
		"HTTP_PROXY="+p.world.proxy,
		"HTTPS_PROXY="+p.world.proxy,
		"http_proxy="+p.world.proxy, // libcurl reads this spelling only
		"REFUSED="+closedURL,
	)
	for _, kv := range e.Vars {
		name, _, _ := strings.Cut(kv, "=")
		p.names[name] = true
	}
	for _, name := range p.script.environNames() {
		p.names[name] = true
	}
	return nil
}

// sub returns the path of what is in the work directory.
func (p *play) sub(names ...string) string {
	return filepath.Join(p.work, filepath.Join(names...))
}

// makeHome makes the HOME, with certificates and git's configuration.
func (p *play) makeHome() error {
	home := p.sub(".home")
	files := map[string]string{
		filepath.Join(home, "ca.pem"):     string(p.world.ca.pem()),
		filepath.Join(home, ".gitconfig"): gitConfig,
	}
	// A go with telemetry (since 1.23) starts one more process per run.
	for _, dir := range []string{".config", "Library/Application Support", "AppData/Roaming"} {
		files[filepath.Join(home, filepath.FromSlash(dir), "go", "telemetry", "mode")] = "off\n"
	}
	for name, data := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(name, []byte(data), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// makeOwn makes what the user's own scripts have besides: gox, which is in bin,
// the repository, the downloads.
func (p *play) makeOwn() (bin, vars []string, err error) {
	if p.Gox != "" {
		dir := p.sub(".bin")
		// .jj is what gox takes for the root of a repository, and go for nothing: no
		// profiles are looked for further up.
		for _, dir := range []string{dir, p.sub(".jj")} {
			if err := os.Mkdir(dir, 0o777); err != nil {
				return nil, nil, err
			}
		}
		if err := link(p.Gox, filepath.Join(dir, "gox"+filepath.Ext(p.Gox))); err != nil {
			return nil, nil, err
		}
		bin = append(bin, dir)
		// Whatever a profile says: the go under test is this one.
		vars = append(vars, "GOX_GO="+p.Go, "GOX_CACHE="+p.sub(goxCache))
	}
	if p.Repo != "" && p.script.WantsRepo() {
		if err := copyTree(p.sub("repo"), p.Repo); err != nil {
			return nil, nil, err
		}
		vars = append(vars, "REPO="+p.sub("repo"))
	}
	if p.Downloads != "" {
		vars = append(vars, "DOWNLOADS="+p.Downloads)
	}
	return bin, vars, nil
}

// environ returns the environment of the script's commands. testscript shows
// no list of it, only the value of a name: hence those that scripts can set
// are known by name.
func (p *play) environ(ts *testscript.TestScript) []string {
	env := []string{"PWD=" + ts.MkAbs("")}
	for name := range maps.Keys(p.names) {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// goxCache is where gox keeps what it downloads, in a script's work directory.
const goxCache = ".gox"

// gitConfig keeps git from the network and from the system's configuration.
const gitConfig = `[user]
	name = gox
	email = gox@example.com
[init]
	defaultBranch = main
[protocol "git"]
	allow = never
[gc]
	auto = 0
[safe]
	directory = *
[core]
	fsync = none
`
