#!/usr/bin/python3
"""A source without WAL, and changes of its schema that cannot be carried: tidegate waits, the app never does."""
import pathlib
import sqlite3
import sys
import tempfile
import threading
import time
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
from support.compare import compare              # noqa: E402
from support.target import Target                # noqa: E402
from support.tidegate import Tidegate, built     # noqa: E402

TOO_LARGE = 1_500_000   # rows; reading them takes well over 100 ms

SCHEMA = """
CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT, w TEXT); CREATE TABLE b (k TEXT PRIMARY KEY NOT NULL, n INTEGER);
INSERT INTO a VALUES (1, 'x', 'y'), (2, 'x', 'y'); INSERT INTO b VALUES ('k', 1);
"""

# name: (the change, a write that the new shape allows, how it is put back)
INCOMPATIBLE = {
    "drop column": ("ALTER TABLE a DROP COLUMN w", "INSERT INTO a (v) VALUES ('meanwhile')", "ALTER TABLE a ADD COLUMN w TEXT"),
    "rename column": ("ALTER TABLE a RENAME COLUMN w TO u", "INSERT INTO a (v, u) VALUES ('meanwhile', 'u')", "ALTER TABLE a RENAME COLUMN u TO w"),
    "rename table": ("ALTER TABLE a RENAME TO c", "INSERT INTO c (v) VALUES ('meanwhile')", "ALTER TABLE c RENAME TO a"),
    "drop table": ("DROP TABLE a", "INSERT INTO b VALUES ('meanwhile', 7)", "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT, w TEXT); INSERT INTO a (v) VALUES ('new')"),
    "change key": ("DROP TABLE a; CREATE TABLE a (id INTEGER, v TEXT, w TEXT, PRIMARY KEY (v, w)); INSERT INTO a VALUES (1, 'p', 'q')", "INSERT INTO b VALUES ('meanwhile', 7)",
                   "DROP TABLE a; CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT, w TEXT); INSERT INTO a (v) VALUES ('new')"),
}


def empty(target):
    target.query("DROP TABLE IF EXISTS a, b, c CASCADE; DROP SCHEMA IF EXISTS tidegate CASCADE")


class Writing(threading.Thread):
    """An app with sqlite3's default timeout that writes small transactions as fast as it can."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.ended, self.failures, self.count, self.longest = path, threading.Event(), [], 0, 0.0

    def run(self):
        connection = sqlite3.connect(self.path, isolation_level=None)
        while not self.ended.wait(0.002):
            began = time.monotonic()
            try:
                connection.execute("INSERT INTO a (v, w) VALUES (?, 'w')", (f"row {self.count}",))
                self.count += 1
            except sqlite3.OperationalError as error:
                self.failures.append(str(error))
            self.longest = max(self.longest, time.monotonic() - began)
        connection.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join(30)


@unittest.skipUnless(built(), "tidegate is not built")
class SourceChangesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.target = Target().start()
        cls.addClassCleanup(cls.target.stop)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "app.db"
        self.app = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(self.app.close)
        self.app.executescript(SCHEMA)
        empty(self.target)

    def tidegate(self, **options):
        tidegate = Tidegate(self.path, self.target.url, **options)
        self.addCleanup(tidegate.__exit__)
        return tidegate

    def assert_equal(self):
        connection = self.target.connect()
        self.assertEqual(compare(self.path, connection), [])
        connection.close()

    def test_without_wal(self):
        for mode in ("delete", "truncate", "persist"):
            with self.subTest(mode):
                empty(self.target)
                self.app.execute(f"PRAGMA journal_mode = {mode}")
                with self.tidegate(flags=()) as tidegate, Writing(self.path) as writing:
                    tidegate.start().wait_phase("streaming")
                    time.sleep(2)
                    writing.__exit__()
                    tidegate.sync()
                    self.assert_equal()
                    tidegate.stop()
                self.assertEqual(writing.failures, [], "database is locked, without need")
                self.assertGreater(writing.count, 50)
                self.assertLess(writing.longest, 5)
                self.assertEqual(self.app.execute("PRAGMA journal_mode").fetchone()[0], mode, "no consent, no change")

    def test_too_large_without_wal(self):
        self.app.execute("PRAGMA journal_mode = delete")
        self.app.execute(f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {TOO_LARGE}) INSERT INTO a (v, w) SELECT 'row ' || i, i FROM n")
        tidegate = self.tidegate(flags=())
        with Writing(self.path) as writing:
            tidegate.start()
            code = tidegate.wait(timeout=60)
        self.assertEqual(code, 2, tidegate.log)
        sentence = [line for line in tidegate.log.splitlines() if "--allow-wal" in line]
        self.assertTrue(sentence, tidegate.log)
        self.assertIn("100 ms", tidegate.log)
        self.assertEqual(writing.failures, [])
        self.assertEqual(self.target.query("SELECT to_regclass('public.a')")[0][0], None, "nothing was made")

    def test_it_grows_too_large_while_streaming(self):
        self.app.execute("PRAGMA journal_mode = delete")
        tidegate = self.tidegate(flags=())
        tidegate.start().wait_phase("streaming")
        tidegate.sync()
        self.app.execute(f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {TOO_LARGE}) INSERT INTO a (v, w) SELECT 'row ' || i, i FROM n")
        with Writing(self.path) as writing:
            self.assertEqual(tidegate.wait(timeout=60), 2, tidegate.log)
            time.sleep(0.5)
        self.assertEqual(writing.failures, [])
        self.assertIn("--allow-wal", tidegate.log)
        tidegate.start(flags=["--allow-wal"]).wait_phase("streaming")
        tidegate.sync()
        self.assertEqual(self.target.query("SELECT count(*) FROM a"), self.app.execute("SELECT count(*) FROM a").fetchall())

    def test_incompatible_schema_changes(self):
        for name, (change, write, back) in INCOMPATIBLE.items():
            with self.subTest(name):
                self.app.executescript("DROP TABLE IF EXISTS a; DROP TABLE IF EXISTS b; DROP TABLE IF EXISTS c;" + SCHEMA)
                empty(self.target)
                with self.tidegate() as tidegate:
                    tidegate.start().wait_phase("streaming")
                    tidegate.sync()
                    before = self.target.query("SELECT id, v, w FROM a ORDER BY 1")
                    self.app.executescript(change)
                    status = tidegate.wait_status(lambda it: any(error["code"] == "capture" for error in it["errors"]), 20, "an error in status")
                    message = next(error["message"] for error in status["errors"] if error["code"] == "capture")
                    self.assertIn("table a ", message)
                    self.assertEqual(status["next_steps"], ["tidegate explain capture"])
                    self.app.execute(write)
                    self.assertEqual(tidegate.verb("sync", "--timeout", "2").code, 5)
                    self.assertGreater(tidegate.status()["lag"]["seconds"], 1, "what is not read is behind")
                    self.assertEqual(self.target.query("SELECT id, v, w FROM a ORDER BY 1"), before, "nothing lost, nothing half done")
                    if name == "drop column":
                        tidegate.kill()   # a restart finds the same
                        tidegate.start().wait_status(lambda it: any(error["code"] == "capture" for error in it["errors"]), 20, "the error again")
                    self.app.executescript(back)
                    tidegate.wait_status(lambda it: not it["errors"], 20, "the error's end")
                    tidegate.sync()
                    self.assertLess(tidegate.status()["lag"]["seconds"], 1)
                    self.assert_equal()
                    self.assertEqual(tidegate.stop().code, 0)

    def test_pause_on_schema_change(self):
        tidegate = self.tidegate()
        (tidegate.base / "tidegate.toml").write_text('[source]\non_schema_change = "pause"\n')
        tidegate.start().wait_phase("streaming")
        self.app.execute("ALTER TABLE a ADD COLUMN more TEXT")
        status = tidegate.wait_status(lambda it: it["errors"], 20, "an error in status")
        self.assertIn("table a ", status["errors"][0]["message"])
        self.app.execute("ALTER TABLE a DROP COLUMN more")
        tidegate.wait_status(lambda it: not it["errors"], 20, "the error's end")
        self.app.execute("INSERT INTO a (v) VALUES ('after')")
        tidegate.sync()
        self.assert_equal()


if __name__ == "__main__":
    unittest.main()
