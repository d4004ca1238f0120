//go:build !unix

package owned

import "testing"

// asUser runs f.
func asUser(t *testing.T, f func(t *testing.T)) { f(t) }
