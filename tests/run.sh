#!/usr/bin/env bash
# Installs what is missing, builds, and runs all tests. Usage: tests/run.sh [--long] [arguments for ctest]
# As root, or as a user with sudo (only to install packages). --long: every randomised test runs at its full length.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

long=OFF
if [ "${1:-}" = --long ]; then
  export TIDEGATE_LONG=1
  long=ON
  shift
fi

deploy/packages.sh build test
cmake --preset release -DTIDEGATE_LONG=$long >/dev/null
cmake --build --preset release
# Most tests wait for servers most of the time.
exec ctest --preset release -j "$(($(nproc) + 1))" "$@"
