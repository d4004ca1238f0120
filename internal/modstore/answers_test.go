package modstore

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"example.com/gox/internal/modcache"
)

// An answer is there whole or not at all, whatever became of its file.
func TestAnswers(t *testing.T) {
	s := Store{Root: t.TempDir()}
	q := []byte("what?")
	if _, ok := s.Answer(q); ok {
		t.Error("an answer before there is one")
	}
	if err := s.Remember(q, []byte("this\nand that")); err != nil {
		t.Fatal(err)
	}
	if a, ok := s.Answer(q); !ok || string(a) != "this\nand that" {
		t.Errorf("%q, %v", a, ok)
	}
	if _, ok := s.Answer([]byte("what")); ok {
		t.Error("another's answer")
	}
	file := s.answerFile(q)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		flipped := append([]byte{}, whole...)
		flipped[n] ^= 1
		for what, data := range map[string][]byte{"cut off": whole[:n], "flipped": flipped} {
			if err := os.WriteFile(file, data, 0o666); err != nil {
				t.Fatal(err)
			}
			if a, ok := s.Answer(q); ok {
				t.Errorf("%s at %d: %q", what, n, a)
			}
		}
	}
	if err := s.Remember(q, nil); err != nil {
		t.Fatal(err)
	}
	if a, ok := s.Answer(q); !ok || len(a) > 0 {
		t.Errorf("empty: %q, %v", a, ok)
	}
}

func TestAnswersAtOnce(t *testing.T) {
	s := Store{Root: t.TempDir()}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				q, want := fmt.Appendf(nil, "q%d", j%3), fmt.Sprintf("a%d", j%3)
				if err := s.Remember(q, []byte(want)); err != nil {
					t.Error(err)
				}
				if a, ok := s.Answer(q); !ok || string(a) != want {
					t.Errorf("%d: %q, %v", i, a, ok)
				}
			}
		})
	}
	wg.Wait()
	if left, _ := filepath.Glob(s.verified("answers/.*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// Answers go when nobody has asked for long, and with the store; so does what a
// killed Remember left.
func TestAnswersGo(t *testing.T) {
	s := Store{Root: t.TempDir()}
	old, young := []byte("old"), []byte("young")
	for _, q := range [][]byte{old, young} {
		if err := s.Remember(q, q); err != nil {
			t.Fatal(err)
		}
	}
	week := time.Now().Add(-7 * 24 * time.Hour)
	write(t, s.verified("answers/.0123"), "half")
	for _, file := range []string{s.answerFile(old), s.verified("answers/.0123")} {
		if err := os.Chtimes(file, week, week); err != nil {
			t.Fatal(err)
		}
	}
	for _, dry := range []bool{true, false} {
		if err := os.MkdirAll(s.verified(goModDir), 0o777); err != nil {
			t.Fatal(err)
		}
		gone, err := s.Prune(t.Context(), modcache.PruneOptions{UnusedFor: 24 * time.Hour, DryRun: dry})
		if err != nil || len(gone) != 1 || gone[0].Files != 2 {
			t.Errorf("dry run %v: %+v, %v", dry, gone, err)
		}
	}
	if _, ok := s.Answer(old); ok {
		t.Error("the old answer is there")
	}
	if _, ok := s.Answer(young); !ok {
		t.Error("the young answer is gone")
	}
	// A use counts.
	if err := os.Chtimes(s.answerFile(young), week, week); err != nil {
		t.Fatal(err)
	}
	s.Answer(young)
	if gone, err := s.Prune(t.Context(), modcache.PruneOptions{UnusedFor: 24 * time.Hour}); err != nil || len(gone) != 0 {
		t.Errorf("%+v, %v", gone, err)
	}
}
