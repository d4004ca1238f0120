package confine

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"example.com/gox/internal/redact"
)

// SourcesOf returns what a go command reaches under Sources: the module
// proxies of its GOPROXY, its checksum database, the hosts that GOPRIVATE and
// GONOPROXY name, and those to which git's url.<base>.insteadOf leads by http or
// https. What "direct" would reach besides is any host there is, and so nothing of
// it is among them. getenv returns the values of go's and git's variables.
func SourcesOf(getenv func(string) string) ([]string, error) {
	var allow []string
	add := func(what, value string) error {
		if !strings.Contains(value, "://") {
			value = "https://" + value // as go does
		}
		u, err := url.Parse(value)
		if err != nil {
			return fmt.Errorf("%s: %s: not a URL\n\tgox explain %[1]s", what, redact.Text(value))
		}
		port := u.Port()
		switch {
		case u.Hostname() == "", u.Scheme != "http" && u.Scheme != "https": // file:, ssh:
			return nil
		case port != "":
		case u.Scheme == "http":
			port = "80"
		default:
			port = "443"
		}
		allow = append(allow, net.JoinHostPort(u.Hostname(), port))
		return nil
	}
	for entry := range strings.FieldsFuncSeq(getenv("GOPROXY"), func(r rune) bool { return r == ',' || r == '|' }) {
		if entry = strings.TrimSpace(entry); entry == "" || entry == "direct" || entry == "off" {
			continue
		}
		if err := add("GOPROXY", entry); err != nil {
			return nil, err
		}
	}
	// NAME, NAME+KEY, or one of these and a URL.
	if f := strings.Fields(getenv("GOSUMDB")); len(f) > 0 && f[0] != "off" {
		name, _, _ := strings.Cut(f[len(f)-1], "+")
		if len(f) > 1 {
			name = f[1]
		}
		if err := add("GOSUMDB", name); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"GOPRIVATE", "GONOPROXY"} {
		for pattern := range strings.SplitSeq(getenv(name), ",") {
			host, _, _ := strings.Cut(strings.TrimSpace(pattern), "/")
			if host != "" && host != "none" {
				allow = append(allow, host)
			}
		}
	}
	// Where git is told to go instead, in the variables that a profile sets.
	count, _ := strconv.Atoi(getenv("GIT_CONFIG_COUNT"))
	for i := range min(count, 1000) {
		key := getenv(fmt.Sprint("GIT_CONFIG_KEY_", i))
		base, ok := strings.CutPrefix(key, "url.")
		end := strings.LastIndexByte(base, '.')
		if !ok || end < 0 || !strings.EqualFold(base[end:], ".insteadOf") || !strings.Contains(base, "://") {
			continue
		}
		if err := add(key, base[:end]); err != nil {
			return nil, err
		}
	}
	slices.Sort(allow)
	return slices.Compact(allow), nil
}

// CheckAllow returns an error unless entry can be one of Policy.Allow: a host, or
// host:port, in which "*", "?" and "[…]" match as in path.Match.
func CheckAllow(entry string) error {
	host, port, err := net.SplitHostPort(entry)
	if err != nil {
		host, port = entry, "1"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	_, bad := path.Match(host, "")
	switch {
	case strings.Trim(host, "*?.") == "":
		return fmt.Errorf("--allow %q: every host\n\t--net host", entry)
	case err != nil || n == 0, bad != nil, strings.ContainsAny(host, "/@ \t\n\x00"), strings.Contains(host, ":") && !strings.Contains(entry, "["):
		return fmt.Errorf("--allow %q: neither HOST nor HOST:PORT\n\tas in --allow git.example or --allow git.example:443", entry)
	}
	return nil
}

// allows reports whether one of the entries of allow covers addr, a host:port.
// An entry is a host, whose every port it covers, or host:port. In the host
// "*", "?" and "[…]" match as in path.Match.
func allows(allow []string, addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return slices.ContainsFunc(allow, func(entry string) bool {
		h, p, err := net.SplitHostPort(entry)
		if err != nil {
			h, p = entry, port
		}
		ok, err := path.Match(strings.ToLower(h), host)
		return ok && err == nil && p == port
	})
}

// loopbacks returns the host:port entries of allow that are of this machine.
// Clients do not take the way through a proxy to get there, and so each has a
// listener of its own in the command's network.
func loopbacks(allow []string) (list []string) {
	for _, entry := range allow {
		host, port, err := net.SplitHostPort(entry)
		if err != nil || port == "" {
			continue
		}
		ip, err := netip.ParseAddr(host)
		if strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback() {
			list = append(list, entry)
		}
	}
	return list
}
