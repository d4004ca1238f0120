//go:build !linux

package inside

// Main does nothing: only Linux has namespaces.
func Main(args, environ []string) (code int) { return 125 }
