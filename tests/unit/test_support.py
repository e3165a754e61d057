#!/usr/bin/python3
"""The tests' own instruments, held against planted differences: a comparer that finds nothing proves nothing."""
import decimal
import json
import pathlib
import sqlite3
import sys
import tempfile
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "legacy_app")]
import ledger                                                          # noqa: E402
from support.compare import Comparison                                 # noqa: E402
from support.target import Target                                      # noqa: E402
from support.values import Text, Unfit, expected_types, from_ledger, from_sqlite, from_target    # noqa: E402

SOURCE = """
CREATE TABLE "user" (id INTEGER PRIMARY KEY, name VARCHAR(20) COLLATE NOCASE, ok BOOLEAN, at DATETIME, born DATE, wakes TIME,
  score NUMERIC(6,2), ratio FLOAT, raw BLOB, data JSON);
INSERT INTO "user" VALUES
  (1, 'Ada', 1, '2024-02-29 12:00:00.000001', '1815-12-10', '07:30:00', 12.5, 0.1, x'00ff', '{"a": [1, true, null, "ü"]}'),
  (2, '', 0, '1969-12-31 23:59:59', NULL, '23:59:59.999999', -3, 1e300, x'', '0.1'),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'null');
CREATE TABLE pair (a INTEGER, b TEXT, v INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID;
INSERT INTO pair VALUES (1, 'x', 10), (1, 'y', 20);
CREATE TABLE log (at DATETIME, what TEXT);
INSERT INTO log VALUES ('2024-01-01 00:00:00', 'same'), ('2024-01-01 00:00:00', 'same'), (NULL, 'other');
"""
TARGET = """
DROP SCHEMA IF EXISTS tidegate CASCADE;
DROP TABLE IF EXISTS "user", pair, log;
CREATE TABLE "user" (id bigint PRIMARY KEY, name extensions.citext, ok boolean, at timestamptz, born date, wakes time,
  score numeric(6,2), ratio double precision, raw bytea, data jsonb);
INSERT INTO "user" VALUES
  (1, 'Ada', true, '2024-02-29 12:00:00.000001Z', '1815-12-10', '07:30', 12.5, 0.1, '\\x00ff', '{"a": [1, true, null, "ü"]}'),
  (2, '', false, '1969-12-31 23:59:59Z', NULL, '23:59:59.999999', -3, 1e300, '', '0.1'),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'null');
CREATE TABLE pair (a bigint, b text, v bigint, PRIMARY KEY (a, b));
INSERT INTO pair VALUES (1, 'x', 10), (1, 'y', 20);
CREATE TABLE log (_tidegate_rid bigint, at timestamptz, what text);
INSERT INTO log VALUES (1, '2024-01-01Z', 'same'), (2, '2024-01-01Z', 'same'), (3, NULL, 'other');
CREATE SCHEMA tidegate;
CREATE TABLE tidegate.quarantine (source_table text, source_key text);
"""
# What is done to the target, and the one (kind, table, column) that must be found.
PLANTED = [
    ("UPDATE \"user\" SET name = 'ada' WHERE id = 1", "value", "user", "name"),
    ("UPDATE \"user\" SET name = NULL WHERE id = 2", "value", "user", "name"),
    ("UPDATE \"user\" SET name = '' WHERE id = 3", "value", "user", "name"),
    ("UPDATE \"user\" SET ok = NULL WHERE id = 2", "value", "user", "ok"),
    ("UPDATE \"user\" SET at = at + interval '1 microsecond' WHERE id = 1", "value", "user", "at"),
    ("UPDATE \"user\" SET at = at + interval '1 hour' WHERE id = 2", "value", "user", "at"),
    ("UPDATE \"user\" SET born = born + 1", "value", "user", "born"),
    ("UPDATE \"user\" SET wakes = '07:30:01' WHERE id = 1", "value", "user", "wakes"),
    ("UPDATE \"user\" SET score = 12.51 WHERE id = 1", "value", "user", "score"),
    ("UPDATE \"user\" SET ratio = 0.1::real WHERE id = 1", "value", "user", "ratio"),
    ("UPDATE \"user\" SET raw = '\\x00fe' WHERE id = 1", "value", "user", "raw"),
    ("UPDATE \"user\" SET data = '{\"a\": [true, true, null, \"ü\"]}' WHERE id = 1", "value", "user", "data"),
    ("UPDATE \"user\" SET data = NULL WHERE id = 3", "value", "user", "data"),
    ("UPDATE pair SET v = 11 WHERE b = 'x'", "value", "pair", "v"),
    ("DELETE FROM pair WHERE b = 'x'", "missing_row", "pair", None),
    ("INSERT INTO pair VALUES (2, 'x', 1)", "extra_row", "pair", None),
    ("DELETE FROM log WHERE _tidegate_rid = 1", "missing_row", "log", None),
    ("INSERT INTO log VALUES (4, '2024-01-01Z', 'same')", "duplicate_row", "log", None),
    ("INSERT INTO log VALUES (4, NULL, 'strange')", "extra_row", "log", None),
    ("DROP TABLE pair", "missing_table", "pair", None),
    ("ALTER TABLE pair DROP COLUMN v", "missing_column", "pair", "v"),
    ("ALTER TABLE pair ADD COLUMN w int", "extra_column", "pair", "w"),
    ("ALTER TABLE pair ALTER v TYPE text", "type", "pair", "v"),
    ("ALTER TABLE \"user\" ALTER at TYPE text USING to_char(at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US')", "type", "user", "at"),
    ("ALTER TABLE \"user\" ALTER ratio TYPE real USING 0", "type", "user", "ratio"),
]


class CompareTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.target = Target().start()
        cls.addClassCleanup(cls.target.stop)

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name) / "source.db"
        self.source(SOURCE)
        self.target.query(TARGET)
        self.connection = self.target.connect()
        self.addCleanup(self.connection.close)

    def source(self, script):
        connection = sqlite3.connect(self.path)
        connection.executescript(script)
        connection.close()

    def found(self, **options):
        self.comparison = Comparison(self.path, self.connection, **options)
        return self.comparison.run()

    def test_equal(self):
        self.assertEqual(self.found(), [])
        self.assertEqual((self.comparison.rows, self.comparison.excepted), (8, 0))

    def test_each_planted_difference_is_named(self):
        for change, kind, table, column in PLANTED:
            with self.subTest(change=change):
                self.target.query(TARGET)
                self.target.query(change)
                found = {(it.kind, it.table, it.column) for it in self.found()}
                self.assertIn((kind, table, column), found)
                self.assertEqual({it[1] for it in found}, {table})
                self.connection.rollback()

    def test_quarantined_rows_are_excepted_on_both_sides(self):
        self.source("INSERT INTO \"user\" (id, ok) VALUES (4, 'yes'); INSERT INTO pair VALUES (7, 'it''s', 'x'); INSERT INTO log VALUES (1.5, 'n')")
        kinds = sorted((it.kind, it.table) for it in self.found())
        self.assertEqual(kinds, [("missing_row", "log"), ("missing_row", "pair"), ("missing_row", "user"), ("unfit", "log"), ("unfit", "pair"), ("unfit", "user")])
        self.target.query("""INSERT INTO tidegate.quarantine VALUES ('user', '["4"]'), ('pair', '[7, "it''s"]'), ('log', '["4"]')""")
        self.target.query("INSERT INTO pair VALUES (7, 'it''s', 1); INSERT INTO log VALUES (4, NULL, 'older')")
        self.assertEqual(self.found(), [])
        self.assertEqual(self.comparison.excepted, 3)

    def test_a_wider_type_is_right_only_where_it_is_needed(self):
        self.target.query("ALTER TABLE pair ALTER v TYPE numeric")
        self.assertEqual([(it.kind, it.column) for it in self.found()], [("type", "v")])
        self.source("INSERT INTO pair VALUES (2, 'z', 2.5)")
        self.target.query("INSERT INTO pair VALUES (2, 'z', 2.5)")
        self.assertEqual(self.found(), [])
        self.assertEqual(self.found(tables=["user"], check_types=False), [])


class ValuesTest(unittest.TestCase):
    def test_unfit(self):
        for kind, raw in [("boolean", 2), ("boolean", Text(b"yes")), ("bigint", 2.5), ("bigint", Text(b"12")), ("text", Text(b"a\0b")),
                          ("text", Text(b"\xff")), ("text", b"blob"), ("timestamp with time zone", 1700000000), ("date", Text(b"0000-00-00")),
                          ("date", Text(b"")), ("jsonb", Text(b"{'a'}")), ("jsonb", Text(b'"\\u0000"')), ("jsonb", Text(b'"\\ud800"')),
                          ("jsonb", Text(b"NaN")), ("bytea", 5), ("numeric", Text(b"n/a")), ("double precision", 2**53 + 1)]:
            with self.subTest(kind=kind, raw=raw), self.assertRaises(Unfit):
                from_sqlite(kind, raw)

    def test_the_three_sides_meet(self):
        for kind, raw, printed, acknowledged in [
                ("timestamp with time zone", Text(b"2024-01-02T03:04:05.5+02:00"), "2024-01-02 01:04:05.5+00", "2024-01-02T01:04:05.500000"),
                ("timestamp without time zone", Text(b"2024-01-02"), "2024-01-02 00:00:00", "2024-01-02T00:00:00"),
                ("time without time zone", Text(b"07:30"), "07:30:00", "07:30:00"), ("numeric", 0.1, "0.10", "0.1"),
                ("numeric", float("inf"), "Infinity", "Infinity"), ("bigint", 2**63 - 1, str(2**63 - 1), 2**63 - 1),
                ("double precision", 1.1, "1.1", decimal.Decimal("1.1")), ("bytea", Text(b"ab"), "\\x6162", "YWI="),
                ("jsonb", 1e22, "10000000000000000000000", decimal.Decimal("1e22")), ("jsonb", Text(b'{"b":1,"a":2}'), '{"a": 2, "b": 1.0}', {"a": 2, "b": 1})]:
            with self.subTest(kind=kind, raw=raw):
                self.assertEqual(from_sqlite(kind, raw), from_target(kind, printed))
                self.assertEqual(from_ledger(kind, acknowledged), from_target(kind, printed))

    def test_what_postgres_prints_beyond_python_stands_for_itself(self):
        self.assertEqual(from_target("timestamp with time zone", "infinity"), ("as printed", "infinity"))

    def test_expected_types(self):
        for declared, kind in [("INTEGER", "bigint"), ("unsigned big int", "bigint"), ("BOOLEAN", "boolean"), ("VARCHAR(20)", "text"),
                               ("DATETIME", "timestamp with time zone"), ("DECIMAL(10,2)", "numeric"), ("DOUBLE PRECISION", "double precision"),
                               ("JSON", "jsonb"), ("", "bytea"), ("BLOB", "bytea"), ("DATE", "date"), ("STRING", "numeric")]:
            with self.subTest(declared=declared):
                self.assertIn(kind, expected_types(declared)[0])


class LedgerTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        base = pathlib.Path(self.folder.name)
        self.path, self.db = base / "ledger", base / "app.db"
        connection = sqlite3.connect(self.db)
        connection.executescript("""CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, at DATETIME, ok BOOLEAN, n NUMERIC(6,2));
          INSERT INTO t VALUES (1, 'new', '2024-01-02 00:00:00.000000', 1, 2.5), (5, NULL, NULL, NULL, NULL);
          CREATE TABLE log (token TEXT, what TEXT); INSERT INTO log VALUES ('a', 'x'), ('a', 'x')""")
        connection.close()
        self.entries = [self.row(1, "old", at=10), self.row(1, "new", at=30, op="update"), self.gone(2, at=40), self.row(2, "x", at=20),
                        {"at": 50, "op": "insert", "table": "log", "key": {"token": "a"}, "row": {"token": "a", "what": "x"}, "copies": 2}]

    def row(self, key, name, at, op="insert"):
        return {"at": at, "op": op, "table": "t", "key": {"id": key},
                "row": {"id": key, "name": name, "at": "2024-01-02T00:00:00", "ok": True, "n": "2.50"}}

    def gone(self, key, at, op="delete"):
        return {"at": at, "op": op, "table": "t", "key": {"id": key}}

    def verdict(self, *more, complete=False, tail=""):
        self.path.write_text("".join(json.dumps(entry) + "\n" for entry in [*self.entries, *more]) + tail)
        return ledger.check(self.path, ledger.SqliteRows(self.db), complete)

    def problems(self, *more, **options):
        return [(it.kind, it.table, it.key, it.column) for it in self.verdict(*more, **options).problems]

    def test_clean(self):
        self.assertEqual(self.problems(), [])
        self.assertEqual((self.verdict().keys, self.verdict().deleted), (3, 1))
        self.assertEqual(self.problems(tail='{"at": 60, "op": "del'), [])

    def test_each_planted_problem_is_named(self):
        self.assertEqual(self.problems(self.row(3, "x", 60)), [("lost", "t", (3,), None)])
        self.assertEqual(self.problems(self.gone(1, 60)), [("undead", "t", (1,), None)])
        self.assertEqual(self.problems(self.row(1, "newer", 60)), [("value", "t", (1,), "name")])
        self.assertEqual(self.problems(complete=True), [("stranger", "t", (5,), None)])
        self.assertEqual(self.problems({**self.row(9, "x", 60), "table": "nowhere"}), [("missing_table", "nowhere", (), None)])
        self.entries[-1]["copies"] = 1
        self.assertEqual(self.problems(), [("duplicate", "log", ("a",), None)])
        self.entries[-1]["copies"] = 3
        self.assertEqual(self.problems(), [("lost", "log", ("a",), None)])

    def test_each_column_is_looked_at(self):
        for column, value in [("at", "2024-01-02T00:00:01"), ("ok", False), ("n", "2.51"), ("name", None), ("unknown", 1)]:
            wrong = self.row(1, "new", 60)
            wrong["row"][column] = value
            self.assertEqual(self.problems(wrong), [("value", "t", (1,), column)])

    def test_doubt_is_counted_and_ended_by_a_later_answer(self):
        doubt = self.gone(1, 60, op="doubt")
        self.assertEqual(self.problems(self.row(1, "newer", 55), doubt), [])
        self.assertEqual(self.verdict(doubt).doubtful, 1)
        self.assertEqual(self.problems(doubt, self.row(1, "newer", 70)), [("value", "t", (1,), "name")])


if __name__ == "__main__":
    unittest.main()
