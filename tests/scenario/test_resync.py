#!/usr/bin/python3
"""One table is copied again while the others stream: rows that differ, are missing or are too many on the target are as in the source
afterwards, under load, for every kind of table, and whatever step the daemon is killed at.

TIDEGATE_SEED repeats a run."""
import itertools
import pathlib
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from proxy import wait_until                     # noqa: E402
from stage import ROOT, SEED, WAIT               # noqa: E402
from support.pgsource import open_pair, differences   # noqa: E402
from support.tidegate import Tidegate, built     # noqa: E402

SCHEMA = """
CREATE TABLE people (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mail text UNIQUE, body text, born date, size int GENERATED ALWAYS AS
  (length(mail)) STORED, CHECK (born > '1900-01-01'));
ALTER TABLE people ALTER body SET STORAGE EXTERNAL;
CREATE TABLE visits (id int PRIMARY KEY, person int NOT NULL REFERENCES people ON DELETE CASCADE, note text);
CREATE TABLE loose (a int, b text);
ALTER TABLE loose REPLICA IDENTITY FULL;
CREATE TABLE events (day int, id int, line text, PRIMARY KEY (day, id)) PARTITION BY LIST (day);
CREATE TABLE events1 PARTITION OF events FOR VALUES IN (1);
CREATE TABLE events2 PARTITION OF events FOR VALUES IN (2);
CREATE TABLE other (id int PRIMARY KEY, n int);
INSERT INTO people (mail, body, born) SELECT n || '@x', repeat(md5(n::text), 80), '2000-01-01' FROM generate_series(1, 3000) n;
INSERT INTO visits SELECT n, n % 3000 + 1, 'v' FROM generate_series(1, 6000) n;
INSERT INTO loose SELECT n % 7, 'word ' || n % 5 FROM generate_series(1, 500) n;
INSERT INTO events SELECT n % 2 + 1, n, 'line' FROM generate_series(1, 500) n;
INSERT INTO other SELECT n, 0 FROM generate_series(1, 100) n;
"""
# What should never happen to a target: rows lost, altered, exchanged and added.
DAMAGE = """
SET session_replication_role = replica;
DELETE FROM people WHERE id % 10 = 3;
UPDATE people SET body = 'damaged' WHERE id % 10 = 4;
UPDATE people SET mail = 'tmp' WHERE id = 1; UPDATE people SET mail = '1@x' WHERE id = 2; UPDATE people SET mail = '2@x' WHERE id = 1;
INSERT INTO people (id, mail, born) OVERRIDING SYSTEM VALUE VALUES (1000000, 'nobody@x', '2000-01-01');
DELETE FROM loose WHERE ctid IN (SELECT ctid FROM loose LIMIT 50);
INSERT INTO loose VALUES (99, 'nobody');
UPDATE events SET line = 'damaged' WHERE id % 3 = 0;
DELETE FROM events WHERE id % 5 = 0;
"""
pair = None


def setUpModule():
    global pair
    print("seed", SEED, flush=True)
    pair = open_pair()


class Load:
    """An application that writes to all tables until it is stopped."""

    STATEMENTS = [
        "UPDATE people SET born = born + 1 WHERE id = {one}",
        "UPDATE people SET body = repeat(md5('{n}'), 90), mail = mail || 'x' WHERE id = {two}",
        "INSERT INTO people (mail, body, born) VALUES ('new{n}', 'b', '2001-01-01')",
        "DELETE FROM people WHERE id = {two}",
        "UPDATE people SET mail = 'swap{n}' WHERE id = {one}; UPDATE people SET mail = (SELECT 'w' || '{n}') WHERE id = {two}",
        "INSERT INTO visits SELECT 100000 + {n}, max(id), 'v' FROM people",
        "UPDATE loose SET b = b || 'x' WHERE ctid = (SELECT ctid FROM loose WHERE a = {n} % 7 LIMIT 1)",
        "INSERT INTO loose VALUES ({n} % 7, 'more')",
        "UPDATE events SET line = 'n{n}' WHERE id = {one}",
        "UPDATE events SET day = 3 - day WHERE id = {two}",
        "UPDATE other SET n = n + 1 WHERE id = {n} % 100 + 1",
    ]

    numbers = itertools.count(1)   # of all loads, so that no statement fails

    def __init__(self, source, seed):
        self.source, self.rng, self.stopping, self.failure = source, random.Random(seed), threading.Event(), None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        connection = self.source.connect()
        try:
            while not self.stopping.is_set():
                n = next(self.numbers)
                with connection, connection.cursor() as cursor:
                    for statement in self.rng.sample(self.STATEMENTS, 3):
                        cursor.execute(statement.format(n=n, one=self.rng.randrange(1, 1500),
                                                         two=self.rng.randrange(1, 1500)))
                time.sleep(0.005)
        except BaseException as failure:   # told by stop()
            self.failure = failure
        finally:
            connection.close()

    def stop(self):
        self.stopping.set()
        self.thread.join()
        if self.failure:
            raise self.failure


@unittest.skipUnless(built(), "the binaries are not built")
class Resync(unittest.TestCase):
    def setUp(self):
        self.rng = random.Random(SEED)
        self.source, self.target = pair.databases("again")
        self.addCleanup(self.source.drop)
        self.source.execute(SCHEMA)
        self.tide = Tidegate(self.source.url, self.target.url, flags=[])
        self.addCleanup(self.tide.__exit__)
        self.load = None
        self.addCleanup(lambda: self.load and self.load.stop())

    def begin(self):
        self.tide.start().wait_phase("streaming", timeout=WAIT)

    def run_load(self):
        if self.load:   # of a subtest that failed
            self.end_load()
        self.load = Load(self.source, self.rng.randrange(10**9))

    def end_load(self):
        load, self.load = self.load, None
        load.stop()

    def damage(self):
        """The stream writes the same rows, and one of both may have to give way."""
        for _ in range(10):
            try:
                return self.target.execute(DAMAGE)
            except psycopg2.errors.DeadlockDetected:
                time.sleep(0.1)
        return self.target.execute(DAMAGE)

    def assert_equal(self):
        self.tide.sync(timeout=WAIT)
        self.assertEqual(differences(self.source, self.target), [], self.tide.log[-3000:])
        self.assertEqual(self.tide.status()["quarantined"], 0, self.tide.verb("quarantine", "list").out)
        left = self.target.execute("SELECT relname FROM pg_class WHERE relname LIKE 'resync\\_%'")
        self.assertEqual([name for name, in left if not name.endswith("_pkey")], [])
        self.assertEqual(self.target.execute("SELECT count(*) FROM tidegate.resyncs"), [(0,)])

    def resync(self, table, code=0):
        try:
            done = self.tide.verb("resync", table, timeout=WAIT)
        except subprocess.TimeoutExpired:
            self.fail(f"the resync of {table} does not end:\n{self.tide.log[-3000:]}")
        self.assertEqual(done.code, code, done.err + self.tide.log[-3000:])
        return done

    def state(self, table):
        return next(each["state"] for each in self.tide.status()["tables"] if each["source"] == table)

    def test_damaged_tables_are_mended_under_load(self):
        self.begin()
        self.run_load()
        time.sleep(0.5)
        self.damage()
        for table in ("people", "public.loose", "events"):
            self.resync(table)
        time.sleep(0.3)
        self.end_load()
        self.assert_equal()

    def test_the_others_stream_on_and_the_table_shows_old_rows_until_it_is_done(self):
        self.begin()
        blocker = self.source.connect()
        with blocker.cursor() as cursor:
            cursor.execute("UPDATE visits SET note = 'open' WHERE id = 1")   # the new snapshot waits for this transaction's end
        done = {}
        attached = threading.Thread(target=lambda: done.update(verb=self.tide.verb("resync", "people")), daemon=True)
        attached.start()
        wait_until(lambda: self.state("public.people") == "resync", "the resync begins")
        self.source.execute("UPDATE other SET n = 77; UPDATE people SET born = '2010-10-10' WHERE id = 5")
        self.tide.sync(timeout=WAIT)
        self.assertEqual(self.target.execute("SELECT sum(n) FROM other"), [(7700,)])
        self.assertEqual(self.target.execute("SELECT count(*), max(born)::text FROM people"), [(3000, "2010-10-10")])
        self.assertEqual(self.state("public.people"), "resync")
        self.assertIn("table public.people is not in step", self.tide.verb("cutover", "--dry-run").out)
        blocker.rollback()
        blocker.close()
        attached.join(WAIT)
        self.assertEqual(done["verb"].code, 0, done["verb"].err)
        self.assertIn("in step again: 3,000 rows copied", done["verb"].out)
        self.assertEqual(self.state("public.people"), "streaming")
        self.assertNotIn("not in step", self.tide.verb("cutover", "--dry-run").out)
        self.assert_equal()

    def test_rows_that_the_target_refuses_are_named(self):
        self.begin()
        self.target.execute("CREATE UNIQUE INDEX ON people (born, body) WHERE id > 2990 AND born > '2020-01-01'")
        self.source.execute("UPDATE people SET born = '2021-01-01', body = 'same' WHERE id > 2998")
        self.tide.sync()
        self.assertEqual(self.tide.status()["quarantined"], 1)
        self.resync("people")
        self.assertEqual(self.tide.status()["quarantined"], 1, self.tide.log[-3000:])
        self.assertEqual(self.target.execute("SELECT count(*) FROM people WHERE id > 2998"), [(2,)])
        self.source.execute("UPDATE people SET born = '2019-01-01' WHERE id > 2998")
        self.tide.sync()
        self.assert_equal()

    def test_columns_of_others_and_rows_that_refer_to_it_stay(self):
        self.begin()
        self.target.execute("SET session_replication_role = replica; ALTER TABLE people ADD mine text DEFAULT 'm'; UPDATE people SET mine = 'kept' WHERE id < 100")
        self.damage()
        self.resync("people")
        self.assert_equal_but_for_the_column()
        self.assertEqual(self.target.execute("SELECT count(*) FROM visits"), [(6000,)])
        self.assertEqual(self.target.execute("SELECT count(*) FROM people WHERE mine = 'kept'"), [(89,)])   # some were lost by the damage

    def assert_equal_but_for_the_column(self):
        self.tide.sync()
        self.assertEqual(self.tide.status()["quarantined"], 0, self.tide.verb("quarantine", "list").out)
        columns = "SELECT id, mail, body, born, size FROM people ORDER BY id"
        self.assertEqual(self.source.execute(columns), self.target.execute(columns))

    def test_what_cannot_be_is_refused(self):
        self.begin()
        done = self.resync("nothing", code=4)
        self.assertIn("no table nothing is replicated", done.err)
        self.tide.stop()
        self.assertEqual(self.tide.verb("resync", "people").code, 1)

    def failpoints(self):
        text = "".join(path.read_text() for path in (ROOT / "replicator" / "pipeline").glob("resync*.cpp"))
        elsewhere = r"resync-new-table|mapped-"   # test_postgres_schema, test_mapped_schema
        return [name for name in re.findall(r'\bfailpoint\("([^"]+)"\)', text) if not re.match(elsewhere, name)]

    def test_killed_at_every_step(self):
        self.begin()
        names = self.failpoints() + ["round-begun", "split-after-commit", "chunk-before-commit", "chunk-after-commit"]
        self.assertGreater(len(names), 8)
        for name in names:
            with self.subTest(failpoint=name):
                self.run_load()
                self.damage()
                self.tide.restart(failpoint=name).wait_phase("streaming", timeout=WAIT)
                self.tide.verb("resync", "people")
                self.assertEqual(self.tide.wait(), -signal.SIGKILL, self.tide.log[-3000:])
                self.begin()
                wait_until(lambda: self.state("public.people") == "streaming", "the resync ends")
                self.resync("loose")
                self.resync("events")
                self.end_load()
                self.assert_equal()

    def test_killed_at_random_under_load(self):
        self.begin()
        for _ in range(4):
            self.run_load()
            self.damage()
            for table in ("people", "loose", "events"):
                threading.Thread(target=self.tide.verb, args=("resync", table), daemon=True).start()
            for _ in range(2):
                time.sleep(self.rng.random() * 2)
                self.tide.kill()
                self.begin()
            wait_until(lambda: {each["state"] for each in self.tide.status()["tables"]} == {"streaming"}, "the resyncs end")
            for table in ("people", "loose", "events"):   # those that the kill had kept from being ordered
                self.resync(table)
            self.end_load()
            self.assert_equal()


@unittest.skipUnless(built(), "the binaries are not built")
class OfSqlite(unittest.TestCase):
    """The same from the shadow of a SQLite file."""

    def test_damaged_tables_are_mended_while_the_application_writes(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "app.db"
            live = sqlite3.connect(path, timeout=30, isolation_level=None)
            live.executescript("""PRAGMA journal_mode = wal;
                CREATE TABLE people (id INTEGER PRIMARY KEY, mail TEXT UNIQUE, n INTEGER NOT NULL);
                CREATE TABLE loose (a INTEGER, b TEXT);
                WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000)
                  INSERT INTO people SELECT n, n || '@x', 0 FROM c;
                INSERT INTO loose SELECT n % 7, 'word' FROM (SELECT id AS n FROM people);""")
            _, target = pair.databases("file")
            with Tidegate(path, target.url) as tide:
                tide.start().wait_phase("streaming", timeout=WAIT)
                target.execute("""SET session_replication_role = replica; DELETE FROM people WHERE id % 3 = 0;
                                  UPDATE people SET mail = 'x' || mail WHERE id % 3 = 1; INSERT INTO people VALUES (9999, 'nobody', 0);
                                  DELETE FROM loose WHERE a = 3""")
                verbs = [threading.Thread(target=tide.verb, args=("resync", table)) for table in ("people", "loose")]
                for verb in verbs:
                    verb.start()
                number = 0
                while any(verb.is_alive() for verb in verbs):
                    number += 1
                    live.execute("UPDATE people SET n = n + 1 WHERE id = ?", (number % 3000 + 1,))
                    live.execute("UPDATE loose SET b = b || 'x' WHERE rowid = ?", (number % 3000 + 1,))
                    time.sleep(0.01)
                tide.sync(timeout=WAIT)
                for table, columns in (("people", "id, mail, n"), ("loose", "a, b")):
                    query = f"SELECT {columns} FROM {table} ORDER BY 1, 2"
                    self.assertEqual(target.execute(query), live.execute(query).fetchall(), tide.log[-3000:])
                self.assertEqual(tide.status()["quarantined"], 0)
            live.close()


if __name__ == "__main__":
    unittest.main()
