package modstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"example.com/gox/internal/modcache"
	"example.com/gox/internal/owned"
)

// answersDir is where what go has said stands, under the key of the question:
// the SHA-256 of what follows the first line, in that line, and the answer.
const answersDir = "answers"

// answerFile returns where the answer to question is, all that it depends on.
func (s Store) answerFile(question []byte) string {
	return s.verified(filepath.Join(answersDir, fmt.Sprintf("%x", sha256.Sum256(question))))
}

// Answer returns what Remember was told of question, and notes the use. An
// answer that is damaged is none.
func (s Store) Answer(question []byte) (answer []byte, ok bool) {
	if s.check() != nil {
		return nil, false
	}
	file := s.answerFile(question)
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, false
	}
	sum, answer, _ := bytes.Cut(data, []byte("\n"))
	if string(sum) != sumOf(answer) {
		return nil, false
	}
	note(file)
	return answer, true
}

// Remember keeps the answer to question for the next time: until Prune finds
// that it was not asked for long. Both hold no secret; whoever asks the same
// question must want the same answer. It is there whole or not at all.
func (s Store) Remember(question, answer []byte) error {
	if err := s.check(); err != nil {
		return err
	}
	dir := s.verified(answersDir)
	if err := owned.Make(dir, owned.Marker{Kind: kindVerified, Name: answersDir}); err != nil {
		return err
	}
	tmp := filepath.Join(dir, fmt.Sprintf(".%016x", rand.Uint64()))
	err := os.WriteFile(tmp, append([]byte(sumOf(answer)+"\n"), answer...), 0o666)
	if err == nil {
		err = os.Rename(tmp, s.answerFile(question))
	}
	if err != nil {
		os.Remove(tmp)
		return owned.Mend(dir, err)
	}
	return nil
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// note notes by its modification time that file is in use.
func note(file string) error {
	fi, err := os.Lstat(file)
	if err == nil && time.Since(fi.ModTime()).Abs() > useNoted {
		err = os.Chtimes(file, time.Time{}, time.Now())
	}
	return err
}

// pruneAnswers removes answers that were not asked for as long, and adds them to
// gone. The caller holds the lock alone.
func (s Store) pruneAnswers(opts modcache.PruneOptions, gone *modcache.Entry) error {
	entries, err := os.ReadDir(s.verified(answersDir))
	var errs []error
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil || e.Name() == owned.MarkerName || opts.Now.Sub(fi.ModTime()) < opts.UnusedFor {
			continue
		}
		if !opts.DryRun {
			if err := os.Remove(s.verified(filepath.Join(answersDir, e.Name()))); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
				continue
			}
		}
		gone.Files, gone.Size = gone.Files+1, gone.Size+fi.Size()
	}
	return errors.Join(append(errs, ignoreMissing(err))...)
}
