package inside

import (
	"reflect"
	"syscall"
	"testing"
)

func TestTaskThereAndBack(t *testing.T) {
	for name, task := range map[string]Task{
		"little": {Path: "/bin/true", Args: []string{"true"}},
		"much": {
			Net: true, Door: true, Umask: 0o22, Listen: []string{"127.0.0.1:80", "[::1]:80"},
			ReadOnly: []string{"/a b\n", ""}, Path: "/x", Args: []string{"x", "", "3", "true"},
		},
	} {
		got, ok := parseTask(task.Words())
		if !ok {
			t.Fatalf("%s: not understood", name)
		}
		for _, list := range []*[]string{&got.Listen, &got.ReadOnly} {
			if len(*list) == 0 {
				*list = nil
			}
		}
		if !reflect.DeepEqual(got, task) {
			t.Errorf("%s: %+v, want %+v", name, got, task)
		}
	}
}

// FuzzTask: whatever it is started with, the helper does what it was told whole
// or nothing.
func FuzzTask(f *testing.F) {
	words := Task{Net: true, ReadOnly: []string{"/r"}, Path: "/x", Args: []string{"x"}}.Words()
	for n := range words {
		if _, ok := parseTask(words[:n]); ok {
			f.Errorf("%q is taken for a task", words[:n])
		}
	}
	f.Add("true\n\n0\n/x\n0\n-1\n99999999999999999999")
	f.Fuzz(func(t *testing.T, text string) {
		if task, ok := parseTask(split(text, '\n')); ok && len(task.Args) == 0 {
			t.Error("a command without a name")
		}
	})
}

func TestReportThereAndBack(t *testing.T) {
	for _, r := range []Report{
		{Failure: "no loopback"},
		{Listens: []string{DoorAddr, "[::1]:80"}},
		{Start: syscall.ENOENT},
	} {
		got, ok := ParseReport(r.marshal())
		if len(got.Listens) == 0 {
			got.Listens = nil
		}
		if !ok || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v, want %+v", got, r)
		}
	}
	for _, bad := range []string{"", "x", "x\ny"} {
		if r, ok := ParseReport([]byte(bad)); ok {
			t.Errorf("%q: %+v", bad, r)
		}
	}
}
