#!/bin/sh
# etcd.sh assembles a real workspace from published modules: etcd's server and
# the modules of its repository that the server requires, each at the version
# it requires, laid out as in that repository, under one go.work.
set -eu

# The default is the last release with "go 1.21", so that every go with a
# toolchain line in its vocabulary builds it, up to the newest.
default=v3.5.15
prefix=go.etcd.io/etcd

usage() {
	cat <<USAGE
usage: etcd.sh DIR [VERSION]

Puts the etcd workspace of VERSION (default $default) into DIR, which must be
new, empty or an earlier result of the same VERSION, which is left as it is.

	go.work            uses every module below
	api/ client/ …     the modules, writable
	server/go.alt.mod  server's go.mod with published siblings, not ../api and so on
	profiles.toml      the profiles to build them under

The go command is \$GO, or the first go in PATH. The modules come through its
own module cache and proxies.
USAGE
}

fail() {
	printf 'etcd.sh: %s\n' "$1" >&2
	exit 1
}

case ${1-} in
-h | --help)
	usage
	exit 0
	;;
esac
if [ $# -lt 1 ] || [ $# -gt 2 ] || [ -z "$1" ]; then
	usage >&2
	exit 2
fi
dir=$1
version=${2-$default}
go=${GO:-go}
marker=.etcd-workspace

if [ -f "$dir/$marker" ]; then
	read -r have <"$dir/$marker"
	[ "$have" = "$version" ] || fail "$dir: holds etcd $have, not $version
	remove it, or name another directory"
	exit 0
fi
if [ -e "$dir" ]; then
	[ -d "$dir" ] || fail "$dir: not a directory"
	[ -z "$(ls -A "$dir")" ] || fail "$dir: not empty, and not made by etcd.sh"
fi
mkdir -p "$(dirname "$dir")"
dir=$(cd "$(dirname "$dir")" && pwd)/$(basename "$dir")
[ ! -d "$dir" ] || dir=$(cd "$dir" && pwd)

# All work happens in a sibling, renamed at the end: DIR is complete or absent.
tmp=$dir.tmp-$$
trap 'chmod -R u+w "$tmp" 2>/dev/null || :; rm -rf "$tmp"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$tmp" "$tmp/scratch"

# The caller's workspace, flags and modules have no say. A module of its own
# keeps "go mod download" from writing into the go.sum of one further up.
GOWORK=off
GOFLAGS=
GO111MODULE=on
export GOWORK GOFLAGS GO111MODULE
echo 'module scratch' >"$tmp/scratch/go.mod"

# fetch MODULE VERSION SUBDIR
fetch() {
	(cd "$tmp/scratch" && "$go" mod download "$1@$2")
	mkdir -p "$tmp/$3"
	cp -R "$cache/$1@$2/." "$tmp/$3"
	chmod -R u+w "$tmp/$3"
	# Each module forbids some of its siblings by a replacement with a missing
	# directory. Between modules of one workspace those conflict.
	sed '/FORBIDDE[ND]_DEPENDENCY/d' "$tmp/$3/go.mod" >"$tmp/go.mod"
	mv "$tmp/go.mod" "$tmp/$3/go.mod"
}

cache=$("$go" env GOMODCACHE)
fetch "$prefix/server/v3" "$version" server

# server's own replacements say which siblings it needs and where they stand.
uses=./server
siblings=
awk '
	NF > 2 && $(NF-1) == "=>" && $NF ~ /^\.\.\// { dir[$(NF-2)] = substr($NF, 4) }
	$2 ~ /^v[0-9]/ && !/=>/ { version[$1] = $2 }
	END { for (m in dir) print m, version[m], dir[m] }
' "$tmp/server/go.mod" >"$tmp/siblings"
sort -o "$tmp/siblings" "$tmp/siblings"
while read -r module v subdir; do
	fetch "$module" "$v" "$subdir"
	uses="$uses ./$subdir"
	siblings="$siblings $module@$v"
done <"$tmp/siblings"
[ -n "$siblings" ] || fail "server $version: no sibling modules found in its go.mod"

# The alternate module file: the same requirements, siblings as published.
cd "$tmp/server"
sed "/=> \.\.\//d" go.mod >go.alt.mod
cp go.sum go.alt.sum
# shellcheck disable=SC2086 # a list
"$go" mod download -modfile=go.alt.mod $siblings

cd "$tmp"
rm -r scratch siblings
# Named, or go would look for a go.work further up.
GOWORK=$tmp/go.work
# shellcheck disable=SC2086 # a list
"$go" work init $uses

# go work init writes the line of the go at hand, which an older one refuses.
"$go" work edit -go="$(awk '$1 == "go" { print $2 }' server/go.mod)"

cat >profiles.toml <<'PROFILES'
# One workspace, built in six ways. "./..." matches nothing at its root, which
# is no module itself: name modules ("./server/..."), or, from Go 1.25 on, "work".
default = "proxy"

# at the root: gox build ./server/... ./client/v3/...
[profile.proxy]
description = "the workspace, modules from go's own default proxy"
goproxy     = "default"
mod         = "readonly"        # the module cache decides, vendor/ or not
modcache    = "isolated"

# in server/: gox -p alone build ./...
[profile.alone]
description = "one module by itself; its go.mod replaces its siblings by ../"
extends     = "proxy"
gowork      = "off"

# in server/: gox -p alt build ./...
[profile.alt]
description = "one module by itself, its siblings as published"
extends     = "proxy"
modfile     = "go.alt.mod"

# in server/: gox -p alone mod vendor && gox -p vendor build ./...
[profile.vendor]
description = "one module by itself, everything from its vendor/"
goproxy     = "off"
gowork      = "off"
mod         = "vendor"
modcache    = "isolated"

# at the root, Go 1.22 and later:
#	gox work vendor && gox -p work-vendor build ./server/... ./client/v3/...
[profile.work-vendor]
description = "the workspace, everything from its vendor/"
extends     = "vendor"
gowork      = "auto"

# at the root, after profile proxy: gox -p train build ./server/...
[profile.train]
description = "as proxy, without a network"
extends     = "proxy"
goproxy     = "off"
PROFILES

echo "$version" >"$marker"
[ ! -d "$dir" ] || rmdir "$dir"
mv "$tmp" "$dir"
