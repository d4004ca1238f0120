package sandbox

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func exampleManifest() *Manifest {
	return &Manifest{
		Format: manifestFormat, Gox: "devel", Profile: "office+ci", Dir: "server", Work: "go.work",
		Go:   GoVersion{"go1.22.12", "linux", "amd64", "h1:a=", "gcc sha256:00"},
		Tree: Tree{"h1:b=", 3, 4},
		Main: []Main{{"example.test/a", "."}, {"example.test/b", "b \"c\""}},
		Variables: []Variable{
			{Name: "A", Value: "\x1b\n\"'\\\x7f\u2028", Origin: "profiles.toml:3 [profile.office] env.A", value: "\x1b\n\"'\\\x7f\u2028"},
			{Name: "GOPROXY", Value: "https://***@a.test", Origin: "-e", Secret: true, value: "https://u:p@a.test"},
		},
		Modules: []Module{{"a.test/m", "v1.0.0", "h1:c="}, {"a.test/m", "v1.1.0", "h1:d="}},
	}
}

func TestManifest(t *testing.T) {
	m := exampleManifest()
	data := m.Marshal()
	got, err := ParseManifest(data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	if !bytes.Equal(got.Marshal(), data) {
		t.Errorf("read and written again:\n%s\nwant\n%s", got.Marshal(), data)
	}
	if bytes.Contains(data, []byte("u:p")) {
		t.Errorf("a secret:\n%s", data)
	}
	dir := t.TempDir()
	if err := m.write(dir); err != nil {
		t.Fatal(err)
	}
	if got, err = readManifest(dir); err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("read %+v, %v\nwant %+v", got, err, m)
	}
}

func TestParseManifestRefuses(t *testing.T) {
	for _, test := range []struct{ name, data, want string }{
		{"another format", "format = 2\n", "format 2; this gox knows format 1"},
		{"no format", "", "format 0"},
		{"unknown key", "format = 1\ngo.odd = 1\n", "unknown key go.odd"},
		{"a module without a version", "format = 1\n[modules]\n\"a.test/b\" = \"h1:\"\n", "not of the form MODULE@VERSION"},
		{"no TOML", "format", "toml"},
	} {
		if _, err := ParseManifest([]byte(test.data)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// What can be read is written in one way, which can be read.
func FuzzManifest(f *testing.F) {
	f.Add(exampleManifest().Marshal())
	f.Add([]byte("format = 1\n[env]\n\"\" = { value = \"\", origin = \"\\u0000\" }\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest(data)
		if err != nil {
			return
		}
		once := m.Marshal()
		again, err := ParseManifest(once)
		if err != nil {
			t.Fatalf("%v\n%s", err, once)
		}
		if twice := again.Marshal(); !bytes.Equal(once, twice) {
			t.Errorf("%s\nand then\n%s", once, twice)
		}
	})
}

func TestDiffering(t *testing.T) {
	a, b := exampleManifest(), exampleManifest()
	b.Gox = "another"
	if d := differing(a, b); d != nil {
		t.Errorf("another gox: %v", d)
	}
	b.Modules[1].Sum = "h1:e="
	if d := differing(a, b); d == nil || d.Name != `"a.test/m@v1.1.0"` || !strings.Contains(d.How, "h1:d=") || !strings.Contains(d.How, "h1:e=") {
		t.Errorf("another hash: %v", d)
	}
	b.Modules = b.Modules[:1]
	if d := differing(a, b); d == nil || d.Name != `"a.test/m@v1.1.0"` {
		t.Errorf("a module less: %v", d)
	}
}
