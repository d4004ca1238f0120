package cmd

import (
	"context"
	"fmt"
	"sync"

	"example.com/gox/internal/gateway"
	"example.com/gox/internal/gocmd"
	"example.com/gox/internal/redact"
	"example.com/gox/internal/wrap"
	"example.com/gox/profiles"
)

// behind runs go behind the gateway, because the profile asks for what go
// cannot do by itself.
func behind(ctx context.Context, r *wrap.Run, pl *wrap.Plan, args []string) (int, error) {
	g, err := openGateway(ctx, r, pl, nil)
	if err != nil {
		return 0, err
	}
	defer g.Close()
	return r.Child(ctx, pl, args)
}

// openGateway opens a gateway for the plan's run, gives go its address, and
// writes the records where the profile says, and to also where that is not nil.
func openGateway(ctx context.Context, r *wrap.Run, pl *wrap.Plan, also func(gateway.Record)) (*gateway.Gateway, error) {
	c := gateway.Config{
		GOPROXY: pl.Env.Value("GOPROXY"), GOAUTH: pl.Env.Value("GOAUTH"), GoVersion: pl.Go.Version,
		Environ: pl.Env.Environ(), Dir: pl.Dir, Profile: pl.Profile.Name,
		Warn: func(text string) { fmt.Fprintln(r.Stderr, "gox: "+r.Plain(redact.Text(text))) },
	}
	if c.GOPROXY == "" || c.GoVersion == "" {
		said, err := gocmd.EnvJSON(ctx, pl.Go.Path, pl.Dir, pl.Env.Environ(), "GOPROXY", "GOVERSION")
		if err != nil {
			return nil, err
		}
		c.GOPROXY, c.GoVersion = said["GOPROXY"], said["GOVERSION"]
	}
	record := also
	if relay := pl.Profile.Relay(r.Home); relay != nil {
		c.Policy = policy(relay)
		if relay.Record != "" {
			log, once := gateway.Log{Path: relay.Record}, new(sync.Once)
			record = func(rec gateway.Record) {
				if err := log.Append(rec); err != nil {
					once.Do(func() { c.Warn("requests are not all recorded: " + err.Error()) })
				}
				if also != nil {
					also(rec)
				}
			}
		}
	}
	c.Record = record
	g, err := gateway.Start(ctx, c)
	if err != nil {
		return nil, err
	}
	if g.GOPROXY() != c.GOPROXY {
		origin := profiles.Origin{Layer: profiles.Flag, Key: "gox's gateway"}
		pl.Env.Add(profiles.Setting{Name: "GOPROXY", Value: g.GOPROXY(), Origin: origin})
		// All that go starts sees it, so that it holds no password.
		pl.Env.Add(profiles.Setting{Name: wrap.BehindVariable, Value: g.GOPROXY() + "\n" + redact.Text(c.GOPROXY), Origin: origin})
	}
	return g, nil
}

// policy is what a profile asks of the gateway.
func policy(r *profiles.Relay) gateway.Policy {
	return gateway.Policy{
		Retry: r.Retry, Breaker: r.Breaker,
		Connect: r.Connect, TLS: r.TLS, FirstByte: r.FirstByte, Idle: r.Idle,
		Hosts: r.Hosts, Resolver: r.Resolver, CAFile: r.CAFile,
	}
}
