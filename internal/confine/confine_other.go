//go:build !linux

package confine

import (
	"context"
	"errors"
	"runtime"

	"example.com/gox/internal/gocmd"
)

// Run is gocmd.Run under Host. Other policies are refused: errors.Is(err,
// errors.ErrUnsupported) holds.
func Run(ctx context.Context, p Policy, c gocmd.Cmd) (code int, err error) {
	if p.Net != Host {
		return 0, unsupported(p.Net, errors.New("only Linux has what it takes, not "+runtime.GOOS))
	}
	return gocmd.Run(ctx, p.masked(c))
}
