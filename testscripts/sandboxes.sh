#!/bin/sh
# sandboxes.sh closes two real workspaces, builds and tests them inside, builds
# them a second time at another path, and carries each to a machine without a
# network, which is this one with nothing but the loopback interface.
set -eu

usage() {
	cat <<USAGE
usage: sandboxes.sh [-s] DIR

Works in DIR, which is made if need be, with the gox in PATH and the modules
from its profile "mirror". It leaves nothing in gox's cache but modules, and
takes a few minutes the first time.

	etcd   the workspace of etcd.sh
	otel   21 modules of go.opentelemetry.io, by --use

With -s (small) it does all that to three of these modules and no more, within a
minute.
USAGE
}

case ${1-} in
-h | --help)
	usage
	exit 0
	;;
esac
small=
if [ "${1-}" = -s ]; then
	small=y
	shift
fi
if [ $# -ne 1 ] || [ -z "$1" ]; then
	usage >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
go=${GOX_SANDBOX_GO:-1.26}

uses=
for m in "" /trace /metric /sdk /sdk/metric /bridge/opentracing /exporters/zipkin \
	/exporters/otlp/otlptrace /exporters/otlp/otlptrace/otlptracegrpc /exporters/otlp/otlptrace/otlptracehttp \
	/exporters/otlp/otlpmetric/otlpmetricgrpc /exporters/otlp/otlpmetric/otlpmetrichttp \
	/exporters/stdout/stdouttrace /exporters/stdout/stdoutmetric; do
	uses="$uses --use go.opentelemetry.io/otel$m@v1.28.0"
done
for m in /log /sdk/log /exporters/stdout/stdoutlog /exporters/otlp/otlplog/otlploghttp; do
	uses="$uses --use go.opentelemetry.io/otel$m@v0.4.0"
done
for m in b3 jaeger; do
	uses="$uses --use go.opentelemetry.io/contrib/propagators/$m@v1.28.0"
done
uses="$uses --use go.opentelemetry.io/otel/exporters/prometheus@v0.50.0"

# timed COMMAND… runs it and says how long it took.
timed() {
	start=$(date +%s)
	"$@"
	echo "# $(($(date +%s) - start)) s: $*" | head -n1 | cut -c1-100 >&2
}

# closed NAME TESTS… does it all with the sandbox NAME.
closed() {
	name=$1
	shift
	timed gox sandbox run "$name" -- go test "$@"
	timed gox sandbox verify --cached "$name" >"$name.here"
	cat "$name.here"
	rm -f "$name.tar.gz"
	timed gox sandbox export "$name" "$name.tar.gz"
	# The import goes to another cache, which has the toolchains and no modules.
	rm -rf "$name.cache"
	mkdir "$name.cache"
	ln -s "$(dirname "$(dirname "$(gox toolchain path "$go")")")" "$name.cache/toolchain"
	timed unshare -rn sh -c "ip link set lo up && GOX_CACHE=$PWD/$name.cache gox sandbox import $name.tar.gz $name &&
		GOX_CACHE=$PWD/$name.cache gox sandbox verify --cached $name >$name.there"
	cmp "$name.here" "$name.there"
	GOX_CACHE=$PWD/$name.cache gox sandbox remove "$name"
	chmod -R u+w "$name.cache"
	rm -rf "$name.cache"
	gox sandbox remove "$name"
}

if [ -n "$small" ]; then
	timed gox -p mirror sandbox create --go "$go" --use go.opentelemetry.io/otel@v1.28.0 \
		--use go.opentelemetry.io/otel/trace@v1.28.0 --use go.opentelemetry.io/otel/metric@v1.28.0 small
	closed small ./go.opentelemetry.io/otel/trace/... ./go.opentelemetry.io/otel/metric/...
	exit
fi

[ -d etcd ] || sh "$here/etcd.sh" etcd
timed gox -C etcd -p proxy sandbox create --go "$go" etcd
closed etcd ./client/pkg/... ./api/...

# shellcheck disable=SC2086 # a list
timed gox -p mirror sandbox create --go "$go" $uses otel
closed otel ./go.opentelemetry.io/otel/trace/... ./go.opentelemetry.io/otel/sdk/...
