#!/usr/bin/python3
"""A Postgres source through the daemon: each folder of postgres/ is one workload, and its tables end equal.

In a folder: setup.sql (before the run), during.sql (while the copy runs, if it is there), changes.sql (while it streams), target.sql
(on the target, before the run). expect.py says what differs from "every table equal, nothing in quarantine":
CONFIG (tidegate.toml), FLAGS (of run), COMPARE (queries that give the same on both ends, for tables that cannot be compared
whole), EXCEPT (tables left to those), QUARANTINED (how many rows), before(case) (instead of changes.sql), check(case) (at the end).
TIDEGATE_WORKLOAD=name,name runs only those; TIDEGATE_LONG=1 makes the big ones bigger.
"""
import concurrent.futures
import importlib.util
import os
import pathlib
import sys
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.pgsource import SETTINGS, Pair, differences, tables_of   # noqa: E402
from support.tidegate import Tidegate, built                          # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent / "postgres"
LONG = os.environ.get("TIDEGATE_LONG") == "1"
ONLY = [name for name in os.environ.get("TIDEGATE_WORKLOAD", "").split(",") if name]
FOLDERS = sorted(path for path in HERE.iterdir() if (path / "setup.sql").exists() and (not ONLY or path.name in ONLY))
AT_ONCE = 3        # pipelines
PATIENCE = 1200 if LONG else 200
# Durability has its own tests; here commits are to be quick.
SERVER = {"max_prepared_transactions": 20, "max_replication_slots": 60, "max_wal_senders": 60, "max_connections": 200, "fsync": "off"}


def expectation(folder):
    """expect.py as a module, or one without anything in it."""
    path = folder / "expect.py"
    if not path.exists():
        return types.ModuleType("expect")
    spec = importlib.util.spec_from_file_location(f"expect_{folder.name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Case(unittest.TestCase):
    """One workload, from its folder to its end. A TestCase for the sake of its assertions."""

    def __init__(self, folder, pair):
        super().__init__()
        self.folder, self.long, self.expect = folder, LONG, expectation(folder)
        self.source, self.target = pair.databases(folder.name[:20].replace("-", "_"))
        self.tide = Tidegate(self.source.url, self.target.url, flags=getattr(self.expect, "FLAGS", []))
        (self.tide.base / "tidegate.toml").write_text(getattr(self.expect, "CONFIG", ""))

    def psql(self, database, script):
        """One of the folder's scripts, if it is there; statement by statement, so it says BEGIN itself."""
        if not (self.folder / script).exists():
            return
        done = database.start("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", f"long={int(LONG)}", "-f", str(self.folder / script))
        out, _ = done.communicate(timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, f"{script}: {out[-2000:]}")

    def run_all(self):
        self.psql(self.source, "setup.sql")
        self.psql(self.target, "target.sql")
        self.tide.start()
        if (self.folder / "during.sql").exists():
            self.tide.wait_status(lambda status: self.source.execute(
                "SELECT 1 FROM pg_replication_slots WHERE database = current_database() AND NOT temporary"), what="a slot")
            self.psql(self.source, "during.sql")
        self.tide.wait_phase("streaming", timeout=PATIENCE)
        self.assert_equal("after the snapshot")
        if hasattr(self.expect, "before"):
            self.expect.before(self)
        self.psql(self.source, "changes.sql")
        self.assert_equal("after the stream")
        # A mapped row that entered by an update which did not send all of it is read again behind the position of `sync`.
        held = getattr(self.expect, "QUARANTINED", 0)
        self.tide.wait_status(lambda status: status["quarantined"] == held, what=f"{held} rows in quarantine")
        if hasattr(self.expect, "check"):
            self.expect.check(self)

    def assert_equal(self, when):
        self.tide.sync(PATIENCE)
        left_out = getattr(self.expect, "EXCEPT", [])
        connection = self.source.connect()
        tables = [table for table in tables_of(connection) if table[1] not in left_out]
        connection.close()
        self.assertEqual(differences(self.source, self.target, tables), [], f"{when}\n{self.tide.log[-3000:]}")
        for query in getattr(self.expect, "COMPARE", []):
            self.assert_same(query, when)

    def assert_same(self, query, when="at the end"):
        here, there = (database.execute(f"{SETTINGS}; {query}") for database in (self.source, self.target))
        self.assertEqual(here, there, f"{when}: {query}\n{self.tide.log[-2000:]}")

    def close(self):
        self.tide.__exit__()
        self.source.drop()
        self.target.drop()


def run(folder, pair):
    case = Case(folder, pair)
    try:
        case.run_all()
    finally:
        case.close()


@unittest.skipUnless(built(), "the binaries are not built")
class Workloads(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        pair = Pair(**SERVER)
        cls.addClassCleanup(pair.close)
        pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
        cls.addClassCleanup(pool.shutdown, cancel_futures=True)
        cls.runs = {folder.name: pool.submit(run, folder, pair) for folder in FOLDERS}


def make_test(name):
    return lambda self: self.runs[name].result()


for each in FOLDERS:
    setattr(Workloads, "test_" + each.name, make_test(each.name))

if __name__ == "__main__":
    unittest.main()
