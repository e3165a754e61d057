#!/usr/bin/env bash
# Builds and runs tidegate-sanitizer-tests under a preset: asan (with ubsan) or tsan. Usage: sanitizer.sh PRESET
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
cmake --preset "$1" >/dev/null
cmake --build --preset "$1" --target tidegate-sanitizer-tests
exec "build/$1/tests/tidegate-sanitizer-tests" --gtest_brief=1
