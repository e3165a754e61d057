#!/usr/bin/python3
"""Starts a target for the C++ tests of db/postgres and apply/postgres. Arguments go to them, e.g. --gtest_filter=..."""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.target import Target  # noqa: E402


def main():
    program = pathlib.Path(os.environ["TIDEGATE_BIN_DIR"]) / "tests" / "tidegate-apply-tests"
    with Target() as target:
        environment = {**os.environ, "TIDEGATE_TEST_TARGET": target.url}
        return subprocess.run([program, *sys.argv[1:]], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
