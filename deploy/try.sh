#!/usr/bin/env bash
# Shows tidegate at work on this machine: installs and builds what is missing, then replicates into a throw-away target.
# Usage: deploy/try.sh                 a sample app under load
#        deploy/try.sh PATH.db         a copy of any SQLite file
#        deploy/try.sh PATH.db --live  the file itself (it is switched to WAL mode)
#        deploy/try.sh --config tidegate.toml   the real settings and mapping, on a copy of their source
# More: deploy/try.sh --help. Nothing is left running.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)

# A wrong path is told before minutes of building.
case "${1:-}" in
  "" | -*) ;;
  *) [ -f "$1" ] || { echo "try.sh: there is no file $1; check the path" >&2; exit 4; } ;;
esac

case " $* " in
  *" --help "* | *" -h "*) ;;
  *)
    "$root/deploy/packages.sh" build test
    echo "Building (the first time takes some minutes) ..."
    log=$(mktemp)
    if ! (cd "$root" && cmake --preset release && cmake --build --preset release --target tidegate) >"$log" 2>&1; then
      tail -n 40 "$log" >&2
      echo "try.sh: the build failed; the whole log is in $log" >&2
      exit 1
    fi
    rm -f "$log"
    ;;
esac
exec /usr/bin/python3 "$root/deploy/try.py" "$@"
