#!/usr/bin/python3
"""Starts a plain PostgreSQL for the C++ tests of the Postgres stream. Arguments go to them, e.g. --gtest_filter=..."""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.pg_cluster import PgCluster  # noqa: E402


def run(*arguments, server=None, **options):
    """`server`: the folder with another server than Debian's."""
    program = pathlib.Path(os.environ["TIDEGATE_BIN_DIR"]) / "tests" / "tidegate-stream-tests"
    with PgCluster(server) as cluster:
        environment = {**os.environ, "TIDEGATE_TEST_SOURCE": cluster.url, "TIDEGATE_TEST_SOURCE_ADMIN": cluster.admin_url}
        return subprocess.run([program, *arguments], env=environment, check=False, **options)


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]).returncode)
