#!/usr/bin/python3
"""verify with a SQLite source: planted differences are found by exact key and nothing else is, nothing is found under load, a run
goes on after kill -9.

TIDEGATE_SEED repeats a run, TIDEGATE_LONG=1 makes it 100 runs under load and 2 million rows."""
import json
import pathlib
import shutil
import sqlite3
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import LONG, SEED, WAIT, Stage, judge, query   # noqa: E402
from support.lag import LagWatch                          # noqa: E402
from support.target import Target                         # noqa: E402
from support.tidegate import Tidegate                     # noqa: E402
from support.writing import Writing                  # noqa: E402

ROWS = 2_000_000 if LONG else 60_000
RUNS_UNDER_LOAD = 100 if LONG else 5
EQUAL, FAILED, REFUSED, DIFFERENT = 0, 1, 2, 3
VERIFY_TIME = 600
MOST_LAG = 2   # seconds, while verify runs
MOST_MEMORY = 256   # MiB, whatever a table's size
HIDDEN = "Marguerite"    # a value, which no output of verify may hold

SCHEMA = """
CREATE TABLE patient (id INTEGER PRIMARY KEY, name TEXT, amount DECIMAL, note TEXT, at DATETIME, facts JSON, doc TEXT, done BOOLEAN);
CREATE TABLE word (word TEXT PRIMARY KEY NOT NULL, n INTEGER, UNIQUE (n));
CREATE TABLE pair (b TEXT, a INTEGER, body TEXT, PRIMARY KEY (b, a)) WITHOUT ROWID;
CREATE TABLE bag (a INTEGER, b TEXT);
CREATE TABLE price (at DECIMAL(8,2) PRIMARY KEY NOT NULL, body TEXT);
CREATE TABLE empty (id INTEGER PRIMARY KEY, body TEXT);
"""


def fill(connection):
    connection.executescript("PRAGMA journal_mode = WAL;" + SCHEMA)
    numbers = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {})"
    connection.execute(numbers.format(ROWS) + f""" INSERT INTO patient SELECT n, '{HIDDEN} ' || n, n / 4.0,
        CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'tab' || char(9) || 'line' || char(10) || 'back\\ ' || n END,
        datetime(1700000000 + n, 'unixepoch') || CASE n % 2 WHEN 0 THEN '.120000' ELSE '' END,
        json_object('b', n, 'a', 'x' || n), json_object('b', n, 'a', 1), n % 2 FROM c""")
    connection.execute(numbers.format(2000) + " INSERT INTO word SELECT CASE n % 2 WHEN 0 THEN 'Wort ' ELSE 'wört ' END || n, n FROM c")
    connection.execute(numbers.format(2000) + " INSERT INTO pair SELECT 'k' || (n % 50), n, 'body ' || n FROM c")
    connection.execute(numbers.format(1000) + " INSERT INTO bag SELECT n % 7, 'bag ' || (n % 3) FROM c")
    connection.execute(numbers.format(1000) + " INSERT INTO price SELECT n / 4.0, 'price ' || n FROM c")
    connection.commit()


# What is done behind tidegate's back: statement on the target, and what verify must say of it: (table, key, kind, columns).
PLANTED = [
    ("DELETE FROM patient WHERE id = 17", [("patient", [17], "missing", [])]),
    ("INSERT INTO patient (id, name) VALUES (-5, 'nobody')", [("patient", [-5], "extra", [])]),
    (f"INSERT INTO patient (id, name) VALUES ({ROWS + 9}, 'nobody')", [("patient", [ROWS + 9], "extra", [])]),
    ("UPDATE patient SET amount = amount + 1 WHERE id = 21", [("patient", [21], "differs", ["amount"])]),
    ("UPDATE patient SET name = lower(name) WHERE id = 22", [("patient", [22], "differs", ["name"])]),
    ("UPDATE patient SET amount = '7.0' WHERE id = 28", [("patient", [28], "differs", ["amount"])]),
    ("UPDATE patient SET note = '' WHERE id = 30", [("patient", [30], "differs", ["note"])]),
    ("UPDATE patient SET note = NULL WHERE id = 31", [("patient", [31], "differs", ["note"])]),
    ("UPDATE patient SET at = at + interval '1 microsecond' WHERE id = 40", [("patient", [40], "differs", ["at"])]),
    ("UPDATE patient SET doc = '{\"a\":1,\"b\":41}' WHERE id = 41", [("patient", [41], "differs", ["doc"])]),
    ("UPDATE patient SET facts = '{\"a\":\"x42\",\"b\":42}' WHERE id = 42", []),   # jsonb knows no order of keys
    ("UPDATE patient SET facts = '{\"a\":\"x43\",\"b\":43.0}' WHERE id = 43", [("patient", [43], "differs", ["facts"])]),
    ("UPDATE patient SET note = note || ' ', done = NOT done WHERE id = 50", [("patient", [50], "differs", ["note", "done"])]),
    ("""UPDATE patient p SET name = q.name FROM patient q WHERE (p.id, q.id) IN ((60, 61), (61, 60))""",
     [("patient", [60], "differs", ["name"]), ("patient", [61], "differs", ["name"])]),
    ("UPDATE word SET word = upper(word) WHERE n = 8", [("word", ["Wort 8"], "missing", []), ("word", ["WORT 8"], "extra", [])]),
    ("UPDATE word SET n = -n WHERE n = 9", [("word", ["wört 9"], "differs", ["n"])]),
    ("DELETE FROM pair WHERE a = 77", [("pair", ["k27", 77], "missing", [])]),
    ("UPDATE pair SET body = body || ' ' WHERE a = 78", [("pair", ["k28", 78], "differs", ["body"])]),
    ("UPDATE bag SET b = 'Bag 1' WHERE _tidegate_rid = 4", [("bag", [4], "differs", ["b"])]),
    ("DELETE FROM price WHERE at = 12.5", [("price", [12.5], "missing", [])]),
    ("UPDATE price SET body = '' WHERE at = 2", [("price", [2], "differs", ["body"])]),
    ("INSERT INTO empty VALUES (1, NULL)", [("empty", [1], "extra", [])]),
]


def found_in(report):
    return sorted(((one["table"], one["key"], one["kind"], one["columns"]) for one in report["differences"]), key=str)


def write(connection, n):
    """To rows that nobody plants anything in."""
    connection.execute("UPDATE patient SET name = name || '.', amount = ? WHERE id = ?", (n / 8, 1000 + n % 5000))
    connection.execute("INSERT INTO bag VALUES (?, 'more')", (n,))
    connection.execute("UPDATE word SET n = n + 1000000 WHERE n = ?", (n % 500 + 1000,))


class Verify(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.target = cls.enterClassContext(Target())
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-verify-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        cls.path = cls.dir / "app.db"
        connection = sqlite3.connect(cls.path)
        fill(connection)
        connection.close()
        cls.tide = cls.enterClassContext(Tidegate(cls.path, cls.target.url))
        cls.tide.start().wait_phase("streaming", timeout=WAIT * 4)

    def verify(self, *arguments, code=EQUAL):
        done = self.tide.verb("verify", "--json", *arguments, timeout=VERIFY_TIME)
        self.assertEqual(done.code, code, done.err + done.out[:3000] + self.tide.log[-2000:])
        self.assertNotIn(HIDDEN, done.out + done.err)
        return json.loads(done.out)

    def plant(self, statement):
        connection = self.target.connect()
        with connection, connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica; SET timezone = 'UTC'")
            cursor.execute(statement)
            self.assertGreater(cursor.rowcount, 0, statement)
        connection.close()

    def within_bounds(self, lag):
        print(f"{ROWS} rows: lag at most {lag.worst:.2f} s in {lag.looks} looks, {self.tide.peak_memory():.0f} MiB at most", flush=True)
        self.assertLess(self.tide.peak_memory(), MOST_MEMORY)
        if LONG:   # a short run may share its cores with other tests
            self.assertLess(lag.worst, MOST_LAG)

    def test_1_equal(self):
        report = self.verify()
        self.assertEqual(report["rows"], ROWS + 2000 + 2000 + 1000 + 1000)
        self.assertEqual((report["equal"], report["differences"], report["excepted"], report["remarks"]), (True, [], [], []))
        self.assertEqual(len(report["positions"]), 1)
        self.assertEqual(len(report["tables"]), 6)
        self.assertEqual(self.tide.status()["stages"]["verification"], "completed")
        self.assertIn("no difference in", self.tide.verb("verify", "status").out)

    def test_2_planted_differences_are_found_and_nothing_else(self):
        expected = sorted((one for _, found in PLANTED for one in found), key=str)
        for statement, _ in PLANTED:
            self.plant(statement)
        with Writing(self.path, write) as app:
            with LagWatch(self.tide) as lag:
                report = self.verify("--reason", "planted", code=DIFFERENT)
            self.assertGreater(app.commits, 0)
        self.within_bounds(lag)
        self.assertEqual(found_in(report), [tuple(one) for one in expected])
        self.assertEqual({one["side"] for one in report["differences"]}, {"target"})
        self.assertEqual(report["differing"], len(expected))
        status = self.tide.status()
        self.assertEqual(status["stages"]["verification"], "failed")
        self.assertEqual(status["next_steps"], ["tidegate verify status", "tidegate repair --dry-run"])
        text = self.tide.verb("verify", "status")
        self.assertEqual(text.code, DIFFERENT)
        self.assertIn("patient [21] differs in amount", text.out)
        self.assertNotIn(HIDDEN, text.out)

    def repair(self, code=EQUAL):
        with Writing(self.path, write):
            done = self.tide.verb("repair", "--json", "--reason", "planted", timeout=VERIFY_TIME)
        self.assertEqual(done.code, code, done.err + done.out[:3000] + self.tide.log[-2000:])
        self.assertNotIn(HIDDEN, done.out + done.err)
        return json.loads(done.out)

    def test_2b_repair_leaves_none(self):
        self.verify(code=DIFFERENT)
        shown = self.tide.verb("repair", "--dry-run").out
        self.assertIn("patient [-5] is deleted, unless the source has it by now", shown)
        self.assertIn("patient [17] is written again", shown)
        self.assertEqual(self.verify(code=DIFFERENT)["differing"], sum(len(found) for _, found in PLANTED), "nothing was done yet")
        self.assertEqual(self.repair()["differing"], 0)
        self.assertEqual(self.verify()["differing"], 0)
        self.assertEqual(self.tide.verb("repair").out.strip(), "nothing to repair: verify found no row that differs")

    def test_2c_counts_and_samples(self):
        counted = self.verify("--counts")
        self.assertEqual({table["rows"] - table["target_rows"] for table in counted["tables"]}, {0})
        sampled = self.verify("--sample", "300")
        self.assertEqual({table["source"]: table["rows"] for table in sampled["tables"]},
                         {"patient": 300, "word": 300, "pair": 300, "bag": 300, "price": 300, "empty": 0})
        self.plant("DELETE FROM pair WHERE a % 2 = 0")
        self.assertEqual(self.verify("--counts", "--table", "pa*", code=DIFFERENT)["differing"], 1)
        missed = self.verify("--sample", "300", "--table", "pair", code=DIFFERENT)
        self.assertEqual({(one["table"], one["kind"], one["key"][1] % 2) for one in missed["differences"]}, {("pair", "missing", 0)})
        self.verify("--table", "pair", code=DIFFERENT)
        self.repair()

    def test_3_a_shadow_that_is_not_the_live_file(self):
        state = sqlite3.connect(self.tide.state / "state.db", timeout=30)
        with state:
            shadow, = state.execute("SELECT 'shadow_' || id FROM source_tables WHERE name = 'bag'").fetchone()
            state.execute(f"UPDATE {shadow} SET c1 = 1.0 WHERE c0 = 1 AND c1 = 1")
            self.assertEqual(state.total_changes, 1)
            state.execute(f"DELETE FROM {shadow} WHERE c0 = 2")
        state.close()
        report = self.verify("--table", "bag", code=DIFFERENT)
        found = [(one["key"], one["kind"], one["columns"]) for one in report["differences"] if one["side"] == "shadow"]
        self.assertEqual(found, [([1], "differs", ["a"]), ([2], "missing", [])])
        self.assertEqual(self.repair()["differing"], 0)

    def test_3b_round_and_round_until_it_is_stopped(self):
        first, rate = self.verify("--table", "patient")["run"], ROWS // 2
        began = time.monotonic()
        self.assertEqual(self.tide.verb("verify", "--continuous", "--table", "patient", "--rate", rate, "--rest", "100ms").code, EQUAL)
        self.assertEqual(self.tide.verb("verify").code, REFUSED)
        self.tide.wait_status(lambda status: status["verify"] and status["verify"]["rows"] > 0, what="some rows compared")
        while json.loads(self.tide.verb("verify", "status", "--json").out)["run"] < first + 3:
            self.assertLess(time.monotonic(), began + WAIT)
            time.sleep(0.2)
        # Both ends were read, twice; a file and its shadow are as many rows as the target has.
        self.assertGreater(time.monotonic() - began, 2 * ROWS / rate, "faster than it was asked to be")
        self.assertEqual(self.tide.verb("verify", "stop").out.strip(), "stopped")
        self.assertIsNone(self.tide.status()["verify"])

    def test_4_verbs(self):
        self.assertEqual(self.tide.verb("verify", "--table", "nothing*", timeout=VERIFY_TIME).code, FAILED)
        self.assertEqual(self.tide.verb("verify", "stop").out.strip(), "nothing to stop: verify does not run")
        self.tide.verb("pause")
        try:
            refused = self.tide.verb("verify")
            self.assertEqual(refused.code, REFUSED)
            self.assertIn("tidegate resume", refused.err)
        finally:
            self.tide.verb("resume")


class BesideTheRows(unittest.TestCase):
    """References, columns, indexes, the operator's rules."""

    def test_all_are_named(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-verify-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        connection = sqlite3.connect(folder / "app.db")
        connection.executescript(f"""PRAGMA journal_mode = WAL;
            CREATE TABLE parent (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL, kind TEXT);
            CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent(id), n INTEGER);
            CREATE INDEX child_n ON child (n);
            INSERT INTO parent VALUES (1, '{HIDDEN}', 'good'), (2, 'Ben', 'bad'), (3, 'Cleo', NULL);
            INSERT INTO child VALUES (1, 1, 5), (2, 2, 6), (3, NULL, 7);""")
        connection.close()
        config = folder / "tidegate.toml"
        config.write_text("""[[check]]\ntable = "parent"\nmust = "kind in ('good', 'bad')"\n""")
        with Target() as target, Tidegate(folder / "app.db", target.url) as tide:
            tide.start(flags=["--config", str(config)]).wait_phase("streaming", timeout=WAIT)

            def verified(code):
                done = tide.verb("verify", "--json", timeout=VERIFY_TIME)
                self.assertEqual(done.code, code, done.err + done.out)
                self.assertNotIn(HIDDEN, done.out)
                return {(one["code"], one["table"]) for one in json.loads(done.out)["remarks"]}
            self.assertEqual(verified(EQUAL), set())
            query(target.url, """SET session_replication_role = replica; UPDATE parent SET kind = 'ugly' WHERE id = 2;
                                 DELETE FROM parent WHERE id = 1""")
            query(target.url, "DROP INDEX child_n; ALTER TABLE parent ALTER name DROP NOT NULL")
            self.assertEqual(verified(DIFFERENT), {("verify-rule-broken", "parent"), ("verify-orphans", "child"),
                                                   ("verify-catalogue", "child"), ("verify-catalogue", "parent")})
            # The same names, and other things behind them.
            query(target.url, "CREATE SCHEMA other; CREATE TABLE other.child (n int); CREATE INDEX child_n ON other.child (n)")
            query(target.url, "ALTER TABLE child DROP CONSTRAINT child_pkey; ALTER TABLE child ADD CONSTRAINT child_pkey CHECK (id > 0)")
            said = json.loads(tide.verb("verify", "--json", timeout=VERIFY_TIME).out)["remarks"]
            self.assertLessEqual({"the index child_n is gone from the target, or is not what it was", "the key (id) of the target is not unique any more"},
                                 {one["message"] for one in said})


class UnderLoad(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print("seed", SEED, flush=True)
        cls.stage = Stage().seed()
        cls.addClassCleanup(cls.stage.close)

    def test_no_false_difference(self):
        load, pipeline = self.stage.load(), self.stage.pipeline()
        self.addCleanup(load.stopping.set)
        pipeline.start().wait_phase("streaming", timeout=WAIT)
        with LagWatch(pipeline) as lag:
            for number in range(RUNS_UNDER_LOAD):
                with self.subTest(run=number):
                    done = pipeline.verb("verify", "--json", timeout=VERIFY_TIME)
                    self.assertEqual(done.code, EQUAL, done.err + done.out[:2000] + pipeline.log[-2000:])
                    self.assertGreater(json.loads(done.out)["rows"], 0)
        print(f"lag meanwhile: at most {lag.worst:.2f} s, {lag.looks} looks", flush=True)
        if LONG:   # a short run may share its cores with other tests
            self.assertLess(lag.worst, MOST_LAG)
        judge(self, self.stage, pipeline, load)

    def test_a_run_goes_on_after_kill(self):
        pipeline = self.stage.pipeline()
        pipeline.start(failpoint="verify-after-unit:3").wait_phase("streaming", timeout=WAIT)
        self.assertEqual(pipeline.verb("verify", timeout=VERIFY_TIME).code, FAILED)
        pipeline.wait()
        pipeline.start().wait_phase("streaming", timeout=WAIT)
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            report = json.loads(pipeline.verb("verify", "status", "--json").out)
            if report["state"] != "running":
                break
            time.sleep(0.2)
        self.assertEqual((report["state"], report["equal"], report["run"]), ("completed", True, 1))
        self.assertEqual({table["done"] for table in report["tables"]}, {True})
        pipeline.kill()


if __name__ == "__main__":
    unittest.main()
