package inside

import (
	"fmt"
	"testing"
)

func TestSocketAddr(t *testing.T) {
	for addr, want := range map[string]string{
		DoorAddr:           "&{Port:1 Addr:[127 0 0 1]",
		"127.3.2.1:65535":  "&{Port:65535 Addr:[127 3 2 1]",
		"[::1]:80":         "&{Port:80 ZoneId:0 Addr:[0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1]",
		"127.0.0.1:65536":  "",
		"127.0.0.1":        "",
		"127.0.1:80":       "",
		"127.0.0.1.1:80":   "",
		"256.0.0.1:80":     "",
		"[::2]:80":         "",
		"localhost:80":     "",
		"":                 "",
		"127.0.0.1:80:443": "",
	} {
		sa, _, err := socketAddr(addr)
		if got := fmt.Sprintf("%+v", sa); err == nil != (want != "") || want != "" && got[:len(want)] != want {
			t.Errorf("%q: %s, %v", addr, got, err)
		}
	}
}
