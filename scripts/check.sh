#!/usr/bin/env bash
# All that must pass before a commit: scripts/check.sh [--all]; stops at the first thing that does not.
#
#   (nothing)  the tests of the dev build, and clang's lock analysis
#   --all      the tests of all builds, as .ci/run wants them
set -euo pipefail
cd "$(dirname "$0")/.."

readonly suites=${1:-}
case $suites in
  '' | --all) ;;
  *)
    sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
    exit 64
    ;;
esac

say() { printf '==> %s\n' "$*"; }

scripts/install-deps build test check

say "format"
git ls-files -co --exclude-standard -- '*.h' '*.cc' | while IFS= read -r file; do
  [[ ! -e $file ]] || printf '%s\0' "$file"
done | xargs -0 -r clang-format-14 --dry-run -Werror

say "tree and sources"
scripts/tidy.sh

if [[ -z $suites ]]; then
  say "lock analysis (clang)"
  cmake --preset thread-safety -DCMAKE_CXX_COMPILER=clang++-14 >/dev/null
  cmake --build --preset thread-safety
fi

say "each header compiles alone"
cmake --preset dev >/dev/null
cmake --build --preset dev --target all_verify_interface_header_sets --parallel "$(nproc)"

scripts/test ${suites:+"$suites"}

say "installation"
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --preset release >/dev/null
cmake --build --preset release --target larder
cmake --install .build/release --prefix "$prefix" >/dev/null
"$prefix/bin/larder" -V

say "all checks passed"
