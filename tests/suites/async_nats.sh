#!/usr/bin/env bash
# Runs the test suite of async-nats against a server: one test at a time, each with a time of its own.
#
#   tests/suites/async_nats.sh CHECKOUT SERVER [TABLE]
#
# CHECKOUT  a checkout of nats-io/nats.rs, in which the suite is built (`cargo test --no-run`; see CARGO_TARGET_DIR)
# SERVER    the program that the tests find on their PATH as `nats-server`: this broker, or the real one
# TABLE     where the result of each test is written: `pass`, `fail` or `time`, then its program and its name
#
# Builds nothing of this repository. TEST_SECONDS is the time that one test has. ONLY is a pattern for their names.
# PROGRAMS names test programs that were built before; nothing is built then.
set -euo pipefail

[ $# -ge 2 ] || { sed -n '2,11p' "$0"; exit 2; }
checkout=$(realpath "$1")
server=$(realpath "$2")
table=$(realpath -m "${3:-results.txt}")
seconds=${TEST_SECONDS:-60}
[ -x "$server" ] || { echo "$server cannot be run"; exit 2; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/tmp"
ln -s "$server" "$work/bin/nats-server"
export PATH="$work/bin:$PATH" TMPDIR="$work/tmp" RUST_BACKTRACE=0
nats-server --version

cd "$checkout/async-nats"
programs=${PROGRAMS:-}
[ -n "$programs" ] || programs=$(cargo test --no-run --tests --message-format json 2>"$work/build.log" |
  sed -n 's/.*"executable":"\([^"]*\)".*/\1/p') || { cat "$work/build.log"; exit 1; }

: >"$table"
for program in $programs; do
  name=$(basename "$program" | sed 's/-[0-9a-f]*$//')
  mkdir -p "$table.logs"
  for test in $("$program" --list 2>/dev/null | sed -n 's/: test$//p' | grep -E "${ONLY:-.}" || true); do
    log="$table.logs/$name.${test//::/.}"
    status=0
    # Ends the servers that the test started, too: they are of its process group.
    timeout --kill-after=2 "$seconds" "$program" --exact "$test" --test-threads 1 --nocapture >"$log" 2>&1 </dev/null || status=$?
    case $status in
      0) verdict=pass ;;
      124 | 137) verdict=time ;;
      *) verdict=fail ;;
    esac
    echo "$verdict $name $test" >>"$table"
    rm -rf "$work/tmp" && mkdir "$work/tmp"
  done
  for verdict in pass fail time; do
    printf '%-28s %-5s %s\n' "$name" "$verdict" "$(grep -c "^$verdict $name " "$table" || true)"
  done
done
