#!/usr/bin/env bash
# Runs every fuzz target of the module for a while each: fuzz.sh 5s
# Inputs are not made smaller on the way: where work is done side by side the
# fuzzer would take that for new paths and do nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
span=${1:-5s}
found=0
while IFS=: read -r file target; do
  found=$((found + 1))
  echo "fuzz $target ($(dirname "$file"), $span)"
  go test -run '^$' -fuzz "^$target\$" -fuzztime "$span" -fuzzminimizetime 1x "./$(dirname "$file")" >/tmp/fuzz.$$ 2>&1 ||
    { cat /tmp/fuzz.$$; rm -f /tmp/fuzz.$$; exit 1; }
  rm -f /tmp/fuzz.$$
done < <(git ls-files '*_test.go' | xargs grep -HoE '^func Fuzz[A-Za-z0-9_]+' | sed 's/func //')
[ "$found" -gt 0 ] || { echo "fuzz.sh: no fuzz target found" >&2; exit 1; }
