#!/usr/bin/env bash
# All that must pass before a commit; stops at the first thing that does not.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '==> %s\n' "$*"; }

scripts/install-deps build test check

say "format"
git ls-files -co --exclude-standard -- '*.h' '*.cc' | while IFS= read -r file; do
  [[ ! -e $file ]] || printf '%s\0' "$file"
done | xargs -0 -r clang-format-14 --dry-run -Werror

say "tree and sources"
scripts/tidy.sh

say "lock analysis (clang)"
cmake --preset thread-safety -DCMAKE_CXX_COMPILER=clang++-14 >/dev/null
cmake --build --preset thread-safety

say "each header compiles alone"
cmake --preset dev >/dev/null
cmake --build --preset dev --target all_verify_interface_header_sets

scripts/test

say "installation"
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --preset release >/dev/null
cmake --build --preset release --target larder
cmake --install .build/release --prefix "$prefix" >/dev/null
"$prefix/bin/larder" -V

say "all checks passed"
