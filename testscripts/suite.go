package testscripts

import (
	"context"
	"slices"
	"strings"
	"sync"
)

// A Suite is scripts to run, each on each of several go commands.
type Suite struct {
	Scripts []*Script
	Runners []*Runner // one for each go
	// Jobs is how many scripts run at once. Zero is one.
	Jobs int
	// Done, if not nil, is told of each result as it comes. Its calls do not
	// overlap.
	Done func(Result)
}

// Run runs all of it and returns the results in the order of Scripts, then of
// Runners. Of those that passed they have no transcript and no requests, which
// only Done sees: there are thousands.
//
// When ctx is done, what runs is brought to its end, and the rest is left out.
func (s Suite) Run(ctx context.Context) []Result {
	type job struct{ script, runner int }
	var jobs []job
	for r := range s.Runners {
		for i := range s.Scripts {
			jobs = append(jobs, job{i, r})
		}
	}
	// What waits for time to pass begins first, and others fill its time.
	slices.SortStableFunc(jobs, func(a, b job) int { return s.Scripts[b.script].waits() - s.Scripts[a.script].waits() })

	results := make([]*Result, len(jobs))
	work := make(chan job)
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range max(1, s.Jobs) {
		workers.Go(func() {
			for j := range work {
				res := s.Runners[j.runner].Run(ctx, s.Scripts[j.script])
				mu.Lock()
				if s.Done != nil && (res.Err == nil || ctx.Err() == nil) {
					s.Done(res)
				}
				if res.Err == nil {
					res.Transcript, res.Requests = "", nil
				}
				results[j.script*len(s.Runners)+j.runner] = &res
				mu.Unlock()
			}
		})
	}
feed:
	for _, j := range jobs {
		select {
		case work <- j:
		case <-ctx.Done():
			break feed
		}
	}
	close(work)
	workers.Wait()
	var there []Result
	for _, res := range results {
		if res != nil {
			there = append(there, *res)
		}
	}
	return there
}

// waits says how long a script waits for time to pass, by its look: 0 or 1.
func (s *Script) waits() int {
	if strings.Contains(s.Text, "\nexit never=") || strings.Contains(s.Text, " slow=") {
		return 1
	}
	return 0
}
