#!/usr/bin/python3
"""The snapshot of a Postgres source between two real servers: tables of every kind, rounds, crashes, zombies."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.postgres_source import PostgresSource   # noqa: E402
from support.target import Target                    # noqa: E402

TOOL = pathlib.Path(os.environ["TIDEGATE_BIN_DIR"]) / "tests" / "tidegate-snapshot"
ONE_DAY = 86_400_000
KILLED = -9
IN_APP = "SET search_path = app; "


class Table:
    """How the tool is told of a table; the target's is made by the same DDL, without what comes after the load."""

    def __init__(self, name, key=("id",), partitioned=False, schema="app"):
        self.name, self.key, self.partitioned, self.schema = name, list(key), partitioned, schema

    def order(self, columns):
        return {"name": f"{self.schema}.{self.name}", "schema": self.schema, "table": self.name, "columns": columns, "key": self.key,
                "partitioned": self.partitioned, "target_schema": self.schema, "target": self.name}


class SnapshotCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.source = cls.enterClassContext(PostgresSource())
        cls.target = cls.enterClassContext(Target())

    def setUp(self):
        self.pipeline = self.id().rpartition(".")[2]
        self.both("DROP SCHEMA IF EXISTS app CASCADE; CREATE SCHEMA app")

    def both(self, ddl):
        self.source.run(IN_APP + ddl)
        self.target.query(IN_APP + ddl)

    def write(self, sql):
        self.source.run(IN_APP + sql)

    def columns(self, table):
        found = self.source.run("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
                                " AND attgenerated = '' ORDER BY attnum", (f'"{table.schema}"."{table.name}"',))
        return [name for name, in found]

    def begin(self, *tables, failpoint="", changes=(), **settings):
        """The tool as a process that has its order."""
        order = {"pipeline": self.pipeline, "jobs": 2, "max_age_ms": ONE_DAY, "chunk_rows": 100, "chunk_bytes": 32768, "pause_ms": 0,
                 "tables": [table.order(self.columns(table)) for table in tables], "changes": list(changes), **settings}
        environment = {**os.environ, "TIDEGATE_TEST_SOURCE": self.source.url, "TIDEGATE_TEST_TARGET": self.target.url,
                       "TIDEGATE_FAILPOINT": failpoint}
        process = subprocess.Popen([TOOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True)
        process.stdin.write(json.dumps(order))
        process.stdin.close()
        return process

    def end(self, process):
        with process:
            output = process.stdout.read()
        return process.returncode, json.loads(output) if output else None

    def copy(self, *tables, **settings):
        code, answer = self.end(self.begin(*tables, **settings))
        self.assertEqual(code, 0, answer)
        self.assertTrue(answer["whole"])
        return answer

    def assert_equal_tables(self, *names):
        for name in names:
            query = (f'SELECT count(*), coalesce(md5(string_agg(t::text, chr(10) ORDER BY t::text COLLATE "C")), \'\') FROM app.{name} AS t')
            with self.subTest(table=name):
                self.assertEqual(self.target.query(query), self.source.run(query))

    def chunks(self, table):
        return self.target.query("SELECT number, sequence, rows FROM tidegate.chunks WHERE pipeline = %s AND source_table = %s ORDER BY 1",
                                 (self.pipeline, f"{table.schema}.{table.name}"))


class Tables(SnapshotCase):
    def test_integer_key_in_many_chunks(self):
        self.both("CREATE TABLE t(id bigint PRIMARY KEY, v text, n int)")
        self.write("INSERT INTO t SELECT i * 3 - 2000, CASE WHEN i % 7 > 0 THEN repeat('x', i % 50) END, i FROM generate_series(1, 5000) i")
        self.copy(Table("t"))
        self.assert_equal_tables("t")
        chunks = self.chunks(Table("t"))
        self.assertGreater(len(chunks), 20)
        self.assertEqual(sum(rows for _, _, rows in chunks), 5000)
        self.assertEqual(len({sequence for _, sequence, _ in chunks}), 1)
        self.assertLess(max(rows for _, _, rows in chunks), 500)


if __name__ == "__main__":
    unittest.main()
