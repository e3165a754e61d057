#!/usr/bin/python3
"""The value table of facts/sqlite.md, row by row: what `doctor` and `plan` said before, what arrives, what is quarantined
and why, what a [[rule]] changes; then the quarantine's verbs. A value that does not fit is shown nowhere."""
import json
import pathlib
import re
import sqlite3
import sys
import tempfile
import time
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
from support.target import PAST_THE_FENCE, Target                # noqa: E402
from support.tidegate import Tidegate, built     # noqa: E402

MARKER = "Zq7planted"   # part of every misfit text; must never be shown
GOOD = "2024-02-29 12:00:00"


class Case:
    """One column `v` with a value that fits (row 1) and one under test (row 2)."""

    def __init__(self, declared, good, value, reason=None, arrives=None, finding=None, rules=(), kind=None):
        self.declared, self.good, self.value, self.reason = declared, good, value, reason
        self.arrives, self.rules, self.kind = arrives, rules, kind
        self.finding = finding or (f"misfit-{reason.replace('_', '-')}" if reason else None)


# name: (declared type, SQL of a value that fits, SQL of the value under test, ...). `arrives` and what a rule gives are as
# Postgres prints them; a rule of which nothing is expected leaves the row in quarantine.
CASES = {
    "bool_0": Case("BOOLEAN NOT NULL", "1", "0", arrives="false", kind="boolean"),
    "bool_2": Case("BOOLEAN NOT NULL", "1", "2", "not_a_boolean", rules=[("not_a_boolean", "convert", "true")]),
    "bool_yes": Case("BOOLEAN", "1", "'yes'", "not_a_boolean", rules=[("not_a_boolean", "convert", "true"), ("not_a_boolean", "null", None)]),
    "bool_text": Case("BOOLEAN", "1", f"'{MARKER}'", "not_a_boolean", rules=[("not_a_boolean", "null", None), ("not_a_boolean", "text", MARKER)]),
    "bool_empty": Case("BOOLEAN", "0", "''", "not_a_boolean", rules=[("empty", "null", None)]),
    "epoch_s": Case("DATETIME", "0", "1700000000", arrives="2023-11-14 22:13:20+00", finding="times-as-numbers", kind="timestamp with time zone"),
    "epoch_ms": Case("DATETIME", "1600000000000", "1700000000123", arrives="2023-11-14 22:13:20.123+00", finding="times-as-numbers"),
    "julian": Case("DATETIME", "2459580.5", "2459581.5", arrives="2022-01-02 00:00:00+00", finding="times-as-numbers"),
    "epoch_mixed": Case("DATETIME", f"'{GOOD}'", "1700000000", "epoch", rules=[("epoch", "convert", "2023-11-14 22:13:20+00")]),
    "julian_mixed": Case("DATETIME", f"'{GOOD}'", "2459580.5", "julian", rules=[("julian", "convert", "2022-01-01 00:00:00+00")]),
    "date_empty": Case("DATE", "'2024-01-01'", "''", "empty", rules=[("empty", "null", None)]),
    "date_zero": Case("DATE", "'2024-01-01'", "'0000-00-00'", "zero_date", rules=[("zero_date", "null", None), ("zero_date", "text", "0000-00-00")]),
    "datetime_zero": Case("DATETIME", f"'{GOOD}'", "'0000-00-00 00:00:00'", "zero_date", rules=[("zero_date", "null", None)]),
    "date_text": Case("DATE", "'2024-01-01'", f"'{MARKER}'", "not_a_time"),
    "naive": Case("DATETIME", f"'{GOOD}'", "'2024-01-02 03:04:05.6'", arrives="2024-01-02 03:04:05.6+00", finding="naive-times-are-utc", kind="timestamp with time zone"),
    "int_text": Case("INTEGER", "1", f"'{MARKER}'", "not_a_number", rules=[("not_a_number", "text", MARKER), ("not_a_number", "null", None)]),
    "int_fraction": Case("INTEGER", "1", "2.5", "not_a_number", rules=[("not_a_number", "convert", "2"), ("not_a_number", "text", "2.5")]),
    "int_max": Case("INTEGER", "1", "9223372036854775807", arrives="9223372036854775807", kind="bigint"),
    "int_min": Case("INTEGER", "1", "-9223372036854775807 - 1", arrives="-9223372036854775808"),
    "int_wide": Case("INT", "1", "3000000000", arrives="3000000000", kind="bigint"),
    "int_huge": Case("INTEGER", "1", "1e30", "out_of_range", rules=[("out_of_range", "null", None), ("out_of_range", "text", "1e+30")]),
    "varchar_long": Case("VARCHAR(3)", "'abc'", f"'{MARKER}'", arrives=MARKER, finding="varchar-widened", kind="text"),
    "nul": Case("TEXT", "'a'", f"'{MARKER}' || char(0) || 'b'", "nul", rules=[("nul", "strip", MARKER + "b"), ("nul", "null", None)]),
    "utf8": Case("TEXT", "'a'", f"CAST('{MARKER}' || x'fffe' AS TEXT)", "invalid_utf8", rules=[("invalid_utf8", "strip", MARKER)]),
    "blob_in_text": Case("TEXT", "'a'", f"CAST('{MARKER}' AS BLOB)", "wrong_class"),
    "blobs_in_text": Case("TEXT", "x'00ff'", "x'01'", arrives="\\x01", finding="text-holds-blobs", kind="bytea"),
    "text_in_blob": Case("BLOB", "x'00'", f"'{MARKER}'", arrives="\\x" + MARKER.encode().hex(), kind="bytea"),
    "number_in_blob": Case("BLOB", "x'00'", "5", "wrong_class"),
    "numeric_wide": Case("NUMERIC(4,2)", "1.25", "12345.678", arrives="12345.678", finding="numeric-widened", kind="numeric"),
    "real": Case("REAL", "0.5", "0.1", arrives="0.1", kind="double precision"),
    "real_digits": Case("FLOAT", "0.5", "1.7976931348623157e308", arrives="1.7976931348623157e+308", kind="double precision"),
    "infinity": Case("REAL", "0.5", "9e999", arrives="Infinity"),
    "minus_infinity": Case("REAL", "0.5", "-9e999", arrives="-Infinity"),
    "nan": Case("REAL", "0.5", "9e999 - 9e999", arrives=None),
    "json_bad": Case("JSON", "'{}'", f"'{{{MARKER}'", "invalid_json", rules=[("invalid_json", "text", "{" + MARKER), ("invalid_json", "null", None)]),
    "json_good": Case("JSON", "'{}'", "'{\"a\": [1, null]}'", arrives='{"a": [1, null]}', kind="jsonb"),
    "unknown_type": Case("FANCY", "'a'", "'b'", arrives="b", finding="type-unknown", kind="text"),
    "no_type": Case("", "1", "'mixed'", arrives="mixed", finding="type-measured", kind="text"),
}

# Shapes that are no single value.
SHAPES = """
CREATE TABLE nocase (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE); INSERT INTO nocase VALUES (1, 'Ada'), (2, 'Bob');
CREATE TABLE counted (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO counted VALUES (7, 'seven');
CREATE TABLE auto (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT); INSERT INTO auto VALUES (40, 'x'), (50, 'y'); DELETE FROM auto WHERE id = 50;
CREATE TABLE computed (id INTEGER PRIMARY KEY, a INTEGER, twice INTEGER AS (a * 2), js TEXT AS (json_object('a', a)) STORED);
INSERT INTO computed (id, a) VALUES (1, 21);
CREATE TABLE checked (id INTEGER PRIMARY KEY, a INTEGER CHECK (a > 0), at TEXT DEFAULT CURRENT_TIMESTAMP, d DATETIME DEFAULT (datetime('now')));
INSERT INTO checked (id, a) VALUES (1, 5);
CREATE INDEX part ON checked (a) WHERE a > 3; CREATE INDEX expr ON checked (a + 1);
CREATE TABLE owner (id INTEGER PRIMARY KEY); INSERT INTO owner VALUES (1);
CREATE TABLE owned (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES owner); INSERT INTO owned VALUES (1, 1), (2, 99);
CREATE TABLE nullkey (k TEXT PRIMARY KEY, v TEXT); INSERT INTO nullkey VALUES ('a', 'x'), (NULL, 'Zq7planted');
"""


def quoted_rule(table, on, do):
    return f'[[rule]]\ntable = "{table}"\ncolumn = "v"\non = "{on}"\ndo = "{do}"\n\n'


@unittest.skipUnless(built(), "tidegate is not built")
class ValuesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.target = Target().start()
        cls.addClassCleanup(cls.target.stop)

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name) / "app.db"
        self.app = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(self.app.close)
        self.target.empty()

    def make(self, cases):
        for name, case in cases.items():
            self.app.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, v {case.declared})")
            self.app.execute(f"INSERT INTO {name} VALUES (1, {case.good}), (2, {case.value}), (3, {case.good})")

    def begin(self, rules=""):
        tidegate = Tidegate(self.path, self.target.url)
        self.addCleanup(tidegate.__exit__)
        if rules:
            (tidegate.base / "tidegate.toml").write_text(rules)
        self.tidegate = tidegate
        self.plan = json.loads(tidegate.verb("plan", "--source", self.path, "--json").out)
        self.doctor = json.loads(tidegate.verb("doctor", "--source", self.path, "--allow-wal", "--json").out)
        tidegate.start().wait_phase("streaming")
        tidegate.sync()
        return tidegate

    def findings(self, table, said=None):
        return {it["code"]: it for it in (said or self.plan)["findings"] if it["table"] == table}

    def planned_type(self, table):
        """The type that the plan's DDL gives column v."""
        written = re.search(rf'CREATE TABLE "public"."{table}" \(\n.*?"v" ([^\n]*?)(?: NOT NULL)?(?:,|\n)', self.plan["ddl"], re.DOTALL)[1]
        return self.target.query("SELECT format_type(to_regtype(%s), NULL)", [re.sub(r"\(.*", "", written)])[0][0]

    def in_target(self, table):
        connection = self.target.connect(options="-c timezone=UTC")
        with connection, connection.cursor() as cursor:
            cursor.execute(f'SELECT id, v::text FROM public."{table}" ORDER BY id')
            rows = dict(cursor.fetchall())
        connection.close()
        return rows

    def type_of(self, table):
        return self.target.query("SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = 'v'", ["public." + table])[0][0]

    def held(self):
        """{(table, key): entry} as the quarantine's list says."""
        done = self.tidegate.verb("quarantine", "list", "--json")
        self.assertEqual(done.code, 0, done.err)
        return {(it["table"], it["key"]): it for it in json.loads(done.out)["entries"]}

    def assert_shown_nowhere(self, *also):
        places = {"the log": self.tidegate.log, "the quarantine": str(self.target.query("SELECT to_jsonb(q) - 'key_bytes', convert_from(key_bytes, 'LATIN1') FROM tidegate.quarantine q")),
                  "checkpoints": str(self.target.query("SELECT to_jsonb(c) FROM tidegate.migration_checkpoints c"))}
        for arguments in [("status",), ("status", "--json"), ("quarantine", "list"), ("events",), ("plan", "--source", self.path, "--json"),
                          ("doctor", "--source", self.path, "--json"), *also]:
            done = self.tidegate.verb(*arguments)
            places[" ".join(map(str, arguments))] = done.out + done.err
        for place, text in places.items():
            self.assertNotIn(MARKER, text, place)

    def test_every_row_of_the_table(self):
        self.make(CASES)
        self.begin()
        held = self.held()
        for name, case in CASES.items():
            with self.subTest(name):
                rows = self.in_target(name)
                self.assertEqual({1, 3} - set(rows), set(), "the rest of the table arrived")
                planned, looked = self.findings(name), self.findings(name, self.doctor)
                self.assertEqual({code: one["level"] for code, one in looked.items()}, {code: one["level"] for code, one in planned.items()})
                if case.finding:
                    self.assertIn(case.finding, looked)
                self.assertEqual(self.type_of(name), self.planned_type(name))
                if case.kind:
                    self.assertEqual(self.type_of(name), case.kind)
                if case.reason:
                    self.assertNotIn(2, rows)
                    entry = held[name, "[2]"]
                    self.assertEqual((entry["column"], entry["reason"], entry["holds"]), ("v", case.reason, "nothing"))
                    self.assertIn("1 row", self.findings(name)[case.finding]["message"])
                    self.assertIn("(the first: [2])", self.findings(name, self.doctor)[case.finding]["message"])
                else:
                    self.assertEqual(rows[2], case.arrives)
        self.assertEqual(set(held), {(name, "[2]") for name, case in CASES.items() if case.reason})
        self.assertEqual(self.tidegate.status()["quarantined"], len(held))
        self.assert_shown_nowhere(("quarantine", "show", next(iter(held.values()))["id"]))

    def test_the_same_values_while_streaming(self):
        """Types were settled by rows that fit; now each value comes by update and by insert."""
        for name, case in CASES.items():
            self.app.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, v {case.declared})")
            self.app.execute(f"INSERT INTO {name} VALUES (1, {case.good}), (3, {case.good})")
        self.begin()
        before = {name: self.in_target(name)[3] for name in CASES}
        for name, case in CASES.items():
            self.app.execute(f"INSERT INTO {name} VALUES (2, {case.value})")
            self.app.execute(f"UPDATE {name} SET v = {case.value} WHERE id = 3")
        self.tidegate.sync()
        held = self.held()
        later = {"no_type": "not_a_number"}   # measured types were narrower; those that only limit a length are widened
        for name, case in CASES.items():
            with self.subTest(name):
                rows, reason = self.in_target(name), case.reason or later.get(name)
                if reason:
                    self.assertEqual((held[name, "[2]"]["reason"], held[name, "[2]"]["holds"]), (reason, "nothing"))
                    self.assertEqual((held[name, "[3]"]["reason"], held[name, "[3]"]["holds"]), (reason, "old row"))
                    self.assertEqual(rows, {1: before[name], 3: before[name]}, "the old row stays")
                else:
                    self.assertEqual((rows[2], rows[3]), (case.arrives, case.arrives))
        self.assert_shown_nowhere()
        self.assertIn(MARKER, self.tidegate.verb("events", "--values").out, "what is searched for can be found")

    def test_rules(self):
        chosen = {f"{name}_{number}": (case, *rule) for name, case in CASES.items() for number, rule in enumerate(case.rules)}
        self.make({name: case for name, (case, *_) in chosen.items()})
        self.begin("".join(quoted_rule(name, on, do) for name, (_, on, do, _) in chosen.items()))
        for name, (_, on, do, wanted) in chosen.items():
            with self.subTest(name, on=on, do=do):
                self.assertEqual(self.in_target(name).get(2, "nothing arrived"), wanted)
                if do == "text":
                    self.assertEqual(self.type_of(name), "text")
                for code, finding in self.findings(name).items():
                    self.assertFalse(code.startswith("misfit") and finding["level"] == "warn", finding)
        self.assertEqual(self.held(), {})

    def test_shapes(self):
        self.app.executescript(SHAPES)
        self.begin()
        query = self.target.query
        with self.assertRaises(Exception, msg="unique without regard to case"):
            query(PAST_THE_FENCE + "INSERT INTO nocase (name) VALUES ('ADA')")
        self.assertEqual(query(PAST_THE_FENCE + "INSERT INTO counted (v) VALUES ('n') RETURNING id"), [(8,)])
        self.assertEqual(query(PAST_THE_FENCE + "INSERT INTO auto (v) VALUES ('n') RETURNING id"), [(51,)])
        self.assertEqual(query("SELECT a, twice, js FROM computed"), [(21, 42, '{"a":21}')])
        with self.assertRaises(Exception, msg="the check holds"):
            query(PAST_THE_FENCE + "INSERT INTO checked (a) VALUES (-1)")
        self.assertTrue(query(PAST_THE_FENCE + "INSERT INTO checked (a) VALUES (9) RETURNING at IS NOT NULL AND abs(extract(epoch FROM now() - d)) < 60")[0][0])
        self.assertEqual(query("SELECT count(*) FROM pg_indexes WHERE tablename = 'checked'")[0][0], 3)
        self.assertEqual(query("SELECT convalidated FROM pg_constraint WHERE contype = 'f' AND conrelid = 'owned'::regclass"), [(False,)])
        self.assertEqual(query("SELECT id FROM owned ORDER BY 1"), [(1,), (2,)])
        self.assertEqual(query("SELECT k FROM nullkey"), [("a",)])
        self.assertEqual([(table, it["reason"]) for (table, _), it in self.held().items()], [("nullkey", "null_key")])
        for said in (self.plan, self.doctor):
            self.assertIn("misfit-null-key", self.findings("nullkey", said))
            self.assertIn("generated-translated", self.findings("computed", said))
            self.assertIn("generated-carried", self.findings("computed", said))
            self.assertIn("1 row (the first: [2])", self.findings("owned", said)["orphans"]["message"])
            self.assertIn("NOT VALID", self.findings("owned", said)["orphans"]["message"])
        self.assertIn("(the first: [2])", self.findings("nullkey", self.doctor)["misfit-null-key"]["message"])
        for written in ('lower("name" COLLATE "C")', "GENERATED BY DEFAULT AS IDENTITY", "CHECK (", "DEFAULT now()", 'WHERE "a" > 3', '(("a" + 1))',
                        "REFERENCES"):
            self.assertIn(written, self.plan["ddl"])
        self.assert_shown_nowhere()

    def test_mend_delete_retry_accept(self):
        self.app.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v BOOLEAN)")
        self.app.execute(f"INSERT INTO t VALUES (1, 1), (2, '{MARKER}'), (3, '{MARKER}'), (4, '{MARKER}'), (5, '{MARKER}')")
        tidegate = self.begin()
        keys = lambda: sorted(key for _, key in self.held())   # noqa: E731
        self.assertEqual(keys(), ["[2]", "[3]", "[4]", "[5]"])
        shown = json.loads(tidegate.verb("quarantine", "show", self.held()["t", "[2]"]["id"], "--json").out)
        self.assertEqual((shown["table"], shown["key"], shown["column"], shown["reason"], shown["state"]), ("t", "[2]", "v", "not_a_boolean", "held"))
        self.app.execute("UPDATE t SET v = 0 WHERE id = 2")
        self.app.execute("DELETE FROM t WHERE id = 3")
        tidegate.sync()
        self.assertEqual((keys(), self.in_target("t")), (["[4]", "[5]"], {1: "true", 2: "false"}))
        retried = json.loads(tidegate.verb("quarantine", "retry", "--all", "--json").out)
        self.assertEqual((retried["retried"], retried["applied"], retried["remaining"]), (2, 0, 2))
        self.assertEqual(tidegate.verb("quarantine", "accept", self.held()["t", "[4]"]["id"]).code, 4, "a reason is wanted")
        self.assertEqual(tidegate.verb("quarantine", "accept", self.held()["t", "[4]"]["id"], "--reason", "known").code, 0)
        self.assertEqual({key: it["state"] for (_, key), it in self.held().items()}, {"[4]": "accepted", "[5]": "held"})
        self.wait_for(lambda: tidegate.status()["quarantined"] == 1)
        self.app.execute(f"INSERT INTO t VALUES (6, '{MARKER}')")
        self.app.execute("UPDATE t SET v = 1 WHERE id = 4")
        tidegate.sync()
        self.assertEqual((keys(), self.in_target("t")), (["[5]", "[6]"], {1: "true", 2: "false", 4: "true"}))
        self.assert_shown_nowhere()

    def test_retry_after_the_target_made_room(self):
        """A row that only the target refused: retry brings it, once the reason is gone."""
        self.app.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
        self.app.execute("INSERT INTO t VALUES (1, 'a')")
        tidegate = self.begin()
        self.target.query("ALTER TABLE t ADD CONSTRAINT short CHECK (length(v) < 4)")
        self.app.execute(f"INSERT INTO t VALUES (2, '{MARKER}'), (3, 'b')")
        tidegate.sync()
        entry = self.held()["t", "[2]"]
        self.assertEqual((entry["reason"], entry["holds"]), ("rejected", "nothing"))
        self.assertEqual(self.in_target("t"), {1: "a", 3: "b"})
        self.assert_shown_nowhere()
        self.target.query("ALTER TABLE t DROP CONSTRAINT short")
        retried = json.loads(tidegate.verb("quarantine", "retry", entry["id"], "--json").out)
        self.assertEqual((retried["applied"], retried["remaining"]), (1, 0))
        self.assertEqual(self.in_target("t"), {1: "a", 2: MARKER, 3: "b"})

    def wait_for(self, condition, timeout=20):
        deadline = time.monotonic() + timeout
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertTrue(condition())


if __name__ == "__main__":
    unittest.main()
