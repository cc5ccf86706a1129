#!/usr/bin/env bash
# Checks what no compiler does: the arrows between folders, the tree, and how the sources are written.
set -euo pipefail
cd "$(dirname "$0")/.."
git rev-parse --is-inside-work-tree >/dev/null

failed=0

# complain RULE: prints the lines on standard input under the rule they break, if there are any.
complain() {
  local offenders
  offenders=$(cat)
  [[ -n $offenders ]] || return 0
  printf 'tidy: %s\n%s\n' "$1" "$offenders" | sed '2,$s/^/  /' >&2
  failed=1
}

# matches PATTERN FILE...: the lines that a Perl pattern finds; none is no failure.
matches() {
  local -r pattern=$1
  shift
  (($# == 0)) || grep -nPHI -- "$pattern" "$@" || (($? == 1))
}

# Tracked files and those about to be, that are still there.
mapfile -d '' -t files < <(git ls-files -z -co --exclude-standard | while IFS= read -r -d '' file; do
  [[ ! -e $file ]] || printf '%s\0' "$file"
done)

# The files whose name matches a pattern go into the array `selected`.
selected=()
select_files() {
  selected=()
  local file
  for file in "${files[@]}"; do
    [[ ! $file =~ $1 ]] || selected+=("$file")
  done
}

readonly code='\.(h|cc)$'

# forbid_includes FOLDERS HEADERS RULE
forbid_includes() {
  select_files "^($1)/.*$code"
  complain "$3" < <(matches "^\s*#\s*include\s*[<\"]($2)" "${selected[@]}")
}
forbid_includes protocol 'slab/|server/' 'protocol/ includes nothing of slab/ or server/'
forbid_includes slab 'protocol/|server/' 'slab/ includes nothing of protocol/ or server/'
forbid_includes protocol 'event2?[/.]|fmt/|xxhash|cxxopts|sys/|netinet/|unistd|pthread|mutex|chrono' \
  'protocol/ knows no socket, clock, lock or library'
forbid_includes slab 'event2?[/.]|fmt/|cxxopts|sys/socket|netinet/|arpa/|netdb' \
  'slab/ knows no socket and no wire'
forbid_includes 'protocol|slab|server' 'tests/|catch2/|benchmark/' \
  'production code includes nothing of tests/'
# The arrows between rooms: see scripts/rooms.
known_rooms=' '
while read -ra rooms; do
  [[ ${#rooms[@]} -gt 0 && ${rooms[0]} != '#' ]] || continue
  known_rooms+="${rooms[0]} "
  allowed_headers=
  for room in "${rooms[@]}"; do
    if [[ $room == *.h ]]; then
      allowed_headers+="|${room%.h}\\.h"
    else
      [[ $known_rooms == *" $room "* ]] || complain "scripts/rooms: ${rooms[0]} uses a room below it" <<<"$room"
      allowed_headers+="|$room/[^/\"]*"
    fi
  done
  select_files "^${rooms[0]}/[^/]*$code"
  mapfile -t selected < <(printf '%s\n' "${selected[@]}" | grep -v '/main\.cc$')
  complain "${rooms[0]} includes nothing of rooms that scripts/rooms does not give it" < <(
    matches "^\s*#\s*include\s*\"(?!(${allowed_headers:1})\")" "${selected[@]}")
done <scripts/rooms

# Headers that include a header, directly or by others: repeated until no further one is found.
select_files '\.h$'
includers=$(
  grep -HoP '^\s*#\s*include\s*"\K[^"]+' -- "${selected[@]}" | awk -F: '
    { from[NR] = $1; to[NR] = $2 }
    END {
      found["slab/cache.h"] = 1
      do {
        more = 0
        for (i = 1; i <= NR; ++i) {
          if (to[i] in found && !(from[i] in found)) more = found[from[i]] = 1
        }
      } while (more)
      for (file in found) print file
    }' | sort)
complain 'headers of server/ but those of command/ and app/ do without slab/cache.h' < <(
  grep -P '^server/(?!command/|app/)' <<<"$includers" || true)

select_files "$code"
complain 'includes are written from the root' < <(matches '^\s*#\s*include\s*"(\.|[^/"]*")' \
  "${selected[@]}")

select_files '\.h$'
complain 'a header starts with #pragma once' < <(
  ((${#selected[@]} == 0)) || grep -L '^#pragma once$' "${selected[@]}" || true)
complain 'headers define LARDER_ macros only' < <(
  matches '^\s*#\s*define\s+(?!LARDER_)' "${selected[@]}")

# Contracts are asserted: see slab/check.h and protocol/README.md.
readonly checks_per_1000_lines_min=13
readonly check='^(?!\s*(//|#)).*\b(LARDER_ASSERT|LARDER_CHECK|static_assert|assert)\('
for folder in protocol slab server; do
  select_files "^$folder/.*$code"
  lines=$(cat -- "${selected[@]}" | wc -l)
  count=$(matches "$check" "${selected[@]}" | wc -l)
  complain "at least $checks_per_1000_lines_min checks in 1000 lines of each folder" < <(
    ((count * 1000 >= checks_per_1000_lines_min * lines)) || echo "$folder/: $count in $lines lines")
done

select_files "$code|^scripts/|^\.ci/|(^|/)CMake[^/]*$|\.(md|json|py|sh|cmake)$"
complain 'lines end in LF' < <(matches '\r$' "${selected[@]}")
complain 'no blanks at the end of a line' < <(matches '[ \t]+$' "${selected[@]}")
complain 'no tabs' < <(matches '\t' "${selected[@]}")
# Spelt in halves, for this file is looked at too.
complain 'unfinished work is an issue, not a mark' < <(
  matches '\b(TO''DO|FIX''ME|XX''X)\b' "${selected[@]}")

allowed='^(CMakeLists\.txt|CMakePresets\.json|LICENSE|README\.md|\..*|(protocol|slab|server|tests|scripts)/.*)$'
complain 'nothing else lies at the top of the tree' < <(
  printf '%s\n' "${files[@]}" | grep -vE "$allowed" || true)

exit "$failed"
