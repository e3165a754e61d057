#!/usr/bin/python3
"""verify with a Postgres source: planted differences are found by exact key and nothing else is, nothing is found under load.

TIDEGATE_SEED repeats a run, TIDEGATE_LONG=1 makes it 100 runs under load and 2 million rows."""
import json
import pathlib
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import LONG, SEED              # noqa: E402
from pgstage import WAIT, PgStage, judge  # noqa: E402
from support.lag import LagWatch          # noqa: E402
from support.pgsource import Pair         # noqa: E402
from support.tidegate import Tidegate     # noqa: E402

ROWS = 2_000_000 if LONG else 60_000
RUNS_UNDER_LOAD, WRITES = (100, 20_000) if LONG else (5, 4000)
EQUAL, FAILED, DIFFERENT = 0, 1, 3
VERIFY_TIME = 600
MOST_LAG = 2   # seconds, while verify runs
MOST_MEMORY = 256   # MiB, whatever a table's size
HIDDEN = "Marguerite"

SCHEMA = f"""
CREATE TABLE patient (id bigint PRIMARY KEY, name text, amount numeric, note text, at timestamptz, facts json, codes int[], ok boolean);
INSERT INTO patient SELECT n, '{HIDDEN} ' || n, n / 4.0, CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE E'tab\\tline\\n' || n END,
  to_timestamp(1700000000 + n), '{{"b": 1, "a": 2}}', ARRAY[n, NULL], n % 2 = 0 FROM generate_series(1, {ROWS}) n;
CREATE TABLE word (word text PRIMARY KEY, n int UNIQUE);
INSERT INTO word SELECT CASE n % 2 WHEN 0 THEN 'Wort ' ELSE 'wört ' END || n, n FROM generate_series(1, 2000) n;
CREATE TABLE pair (a int, b uuid, body char(8), PRIMARY KEY (b, a));
INSERT INTO pair SELECT n, md5(n::text)::uuid, 'b' || n FROM generate_series(1, 2000) n;
CREATE TABLE bag (a int, b text);
ALTER TABLE bag REPLICA IDENTITY FULL;
INSERT INTO bag SELECT n % 7, 'bag ' || n % 3 FROM generate_series(1, 1000) n;
CREATE TABLE empty (id int PRIMARY KEY);
CREATE TABLE part (id int, at date, body text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE part_2 PARTITION OF part DEFAULT;
INSERT INTO part SELECT n, date '2024-12-01' + n % 60, 'p' || n FROM generate_series(1, 1000) n;
"""

PLANTED = [
    ("DELETE FROM patient WHERE id = 17", [("public.patient", ["17"], "missing", [])]),
    ("INSERT INTO patient (id) VALUES (-5)", [("public.patient", ["-5"], "extra", [])]),
    ("UPDATE patient SET amount = amount + 1 WHERE id = 21", [("public.patient", ["21"], "differs", ["amount"])]),
    ("UPDATE patient SET name = lower(name) WHERE id = 22", [("public.patient", ["22"], "differs", ["name"])]),
    ("UPDATE patient SET amount = '7.00' WHERE id = 28", [("public.patient", ["28"], "differs", ["amount"])]),
    ("UPDATE patient SET note = '' WHERE id = 30", [("public.patient", ["30"], "differs", ["note"])]),
    ("UPDATE patient SET note = NULL WHERE id = 31", [("public.patient", ["31"], "differs", ["note"])]),
    ("UPDATE patient SET at = at + interval '1 microsecond' WHERE id = 40", [("public.patient", ["40"], "differs", ["at"])]),
    ("""UPDATE patient SET facts = '{"a": 2, "b": 1}' WHERE id = 41""", [("public.patient", ["41"], "differs", ["facts"])]),
    ("UPDATE patient SET note = note || ' ', ok = NOT ok WHERE id = 50", [("public.patient", ["50"], "differs", ["note", "ok"])]),
    ("UPDATE patient SET codes = '{51,0}' WHERE id = 51", [("public.patient", ["51"], "differs", ["codes"])]),
    ("UPDATE patient p SET name = q.name FROM patient q WHERE (p.id, q.id) IN ((60, 61), (61, 60))",
     [("public.patient", ["60"], "differs", ["name"]), ("public.patient", ["61"], "differs", ["name"])]),
    ("UPDATE word SET word = upper(word) WHERE n = 8",
     [("public.word", ["Wort 8"], "missing", []), ("public.word", ["WORT 8"], "extra", [])]),
    ("UPDATE part SET body = 'other' WHERE id = 5", [("public.part", ["5", "2024-12-06"], "differs", ["body"])]),
    ("INSERT INTO empty VALUES (1)", [("public.empty", ["1"], "extra", [])]),
]


def found_in(report):
    return sorted(((one["table"], one["key"], one["kind"], one["columns"]) for one in report["differences"]), key=str)


class Verify(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pair = Pair()
        cls.addClassCleanup(cls.pair.close)
        cls.source, cls.target = cls.pair.databases()
        cls.source.execute(SCHEMA)
        cls.source.run("psql", "-qc", "ANALYZE")
        cls.tide = cls.enterClassContext(Tidegate(cls.source.url, cls.target.url, flags=()))
        cls.tide.start().wait_phase("streaming", timeout=WAIT * 4)

    def verify(self, *arguments, code=EQUAL):
        done = self.tide.verb("verify", "--json", *arguments, timeout=VERIFY_TIME)
        self.assertEqual(done.code, code, done.err + done.out[:3000] + self.tide.log[-2000:])
        self.assertNotIn(HIDDEN, done.out + done.err)
        return json.loads(done.out)

    def plant(self, statement):
        self.target.execute("SET session_replication_role = replica; SET timezone = 'UTC'; " + statement)

    def within_bounds(self, lag):
        print(f"{ROWS} rows: lag at most {lag.worst:.2f} s in {lag.looks} looks, {self.tide.peak_memory():.0f} MiB at most", flush=True)
        self.assertLess(self.tide.peak_memory(), MOST_MEMORY)
        if LONG:   # a short run may share its cores with other tests
            self.assertLess(lag.worst, MOST_LAG)

    def test_1_equal(self):
        report = self.verify()
        self.assertEqual(report["rows"], ROWS + 2000 + 2000 + 1000 + 1000)
        self.assertEqual((report["equal"], report["differences"], report["remarks"]), (True, [], []))
        self.assertEqual(len(report["positions"]), 1)
        counted = self.verify("--counts")
        self.assertEqual(counted["rows"], report["rows"])
        self.assertEqual({table["rows"] for table in counted["tables"]}, {table["target_rows"] for table in counted["tables"]})
        sample = self.verify("--sample", "500", "--table", "patient")
        self.assertTrue(0 < sample["rows"] < ROWS, sample["rows"])

    def test_2_planted_differences_are_found_and_nothing_else(self):
        expected = sorted((one for _, found in PLANTED for one in found), key=str)
        for statement, _ in PLANTED:
            self.plant(statement)
        writing = self.source.start("psql", "-qc", """
            DO $$ BEGIN FOR i IN 1..%d LOOP UPDATE patient SET name = name || '.' WHERE id = 1000 + i %% 3000;
            INSERT INTO bag VALUES (i, 'more'); COMMIT; END LOOP; END $$""" % WRITES)
        with LagWatch(self.tide) as lag:
            report = self.verify(code=DIFFERENT)
        self.within_bounds(lag)
        writing.communicate(timeout=WAIT)
        self.assertEqual(found_in(report), [tuple(one) for one in expected])
        self.assertEqual(report["differing"], len(expected))

    def test_2b_repair_leaves_none(self):
        self.verify(code=DIFFERENT)
        done = self.tide.verb("repair", "--json", timeout=VERIFY_TIME)
        self.assertEqual((done.code, json.loads(done.out)["differing"]), (EQUAL, 0), done.err + self.tide.log[-2000:])
        self.assertEqual(self.verify()["differing"], 0)
        self.assertEqual(self.tide.status()["quarantined"], 0)

    def test_2c_a_run_goes_on_after_kill(self):
        """What was found before it stays found, and no row is looked at twice."""
        for statement in PLANTED[:3]:
            self.plant(statement[0])
        self.tide.stop()
        self.tide.start(failpoint="verify-after-unit:3").wait_phase("streaming", timeout=WAIT)
        self.assertEqual(self.tide.verb("verify", timeout=VERIFY_TIME).code, FAILED)
        self.tide.wait()
        self.source.execute("UPDATE patient SET name = name || '.' WHERE id = 2000")
        self.tide.start().wait_phase("streaming", timeout=WAIT)
        deadline = time.monotonic() + WAIT
        while True:
            report = json.loads(self.tide.verb("verify", "status", "--json").out)
            if report["state"] != "running":
                break
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.2)
        self.assertEqual((report["state"], {table["done"] for table in report["tables"]}), ("completed", {True}))
        self.assertEqual(len(report["positions"]), 2, "before and after")
        self.assertEqual(found_in(report), sorted((tuple(one) for _, found in PLANTED[:3] for one in found), key=str))
        self.assertEqual(report["rows"], self.verify(code=DIFFERENT)["rows"])
        self.assertEqual(self.tide.verb("repair", timeout=VERIFY_TIME).code, EQUAL)

    def test_3_rows_without_a_key_are_counted(self):
        self.plant("DELETE FROM bag WHERE ctid = (SELECT min(ctid) FROM bag WHERE (a, b) = (1, 'bag 1'))")
        report = self.verify("--table", "bag", code=DIFFERENT)
        self.assertEqual([(one["kind"], one["key"]["times"]) for one in report["differences"]], [("missing", 1)])
        self.assertIn("cannot be repaired", self.tide.verb("repair", "--dry-run").out)


class UnderLoad(unittest.TestCase):
    def test_no_false_difference(self):
        print("seed", SEED, flush=True)
        with tempfile.TemporaryDirectory(prefix="tidegate-load-") as folder:
            stage = PgStage(folder)
            self.addCleanup(stage.close)
            source, target, tide = stage.pipeline()
            load = stage.load(source)
            tide.start().wait_phase("streaming", timeout=WAIT)
            with LagWatch(tide) as lag:
                for number in range(RUNS_UNDER_LOAD):
                    with self.subTest(run=number):
                        done = tide.verb("verify", "--json", timeout=VERIFY_TIME)
                        self.assertEqual(done.code, EQUAL, done.err + done.out[:2000] + tide.log[-2000:])
            print(f"lag meanwhile: at most {lag.worst:.2f} s, {lag.looks} looks", flush=True)
            if LONG:   # a short run may share its cores with other tests
                self.assertLess(lag.worst, MOST_LAG)
            judge(self, source, target, tide, load, None)


if __name__ == "__main__":
    unittest.main()
