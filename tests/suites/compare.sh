#!/usr/bin/env bash
# Compares two results of async_nats.sh: passes by program, and every test whose result differs.
#
#   tests/suites/compare.sh REAL OURS
set -euo pipefail

[ $# -eq 2 ] || { sed -n '2,4p' "$0"; exit 2; }
awk '
  { key = $2 " " $3 }
  NR == FNR { real[key] = $1; next }
  { ours[key] = $1 }
  END {
    for (key in real) {
      split(key, part, " ")
      all[part[1]]++
      if (real[key] == "pass") passed[part[1]]++
      if (ours[key] == "pass") too[part[1]]++
    }
    print "| program | tests | nats-server | this broker |\n|---|---|---|---|"
    for (name in all) print "| `" name "` | " all[name] " | " passed[name] + 0 " | " too[name] + 0 " |" | "sort"
    close("sort")
    print ""
    for (key in real) if (ours[key] != real[key]) print key ": " real[key] ", " (key in ours ? ours[key] : "not run") | "sort"
  }
' "$1" "$2"
