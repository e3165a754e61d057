#!/usr/bin/python3
"""Rows that exchange unique values within one transaction, in columns of every type: the target never sees the steps in between,
and must take the outcome without quarantining a row."""
import pathlib
import shutil
import sqlite3
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import tidegate              # noqa: E402
from support.compare import Comparison    # noqa: E402
from support.target import Target         # noqa: E402

# Declared type -> the value of row n.
TYPES = {
    "TEXT": "'word ' || {n}", "VARCHAR(40)": "'word ' || {n}", "VARCHAR(2)": "char(96 + {n})", "VARCHAR(20) COLLATE NOCASE": "'Word ' || {n}",
    "BIGINT": "{n} * 10", "DOUBLE": "{n} / 8.0", "NUMERIC(6,2)": "{n} + 0.25", "DATE": "'2020-01-0' || {n}",
    "DATETIME": "'2020-01-0' || {n} || ' 10:00:00'", "TIME": "'10:0' || {n} || ':00'", "BLOB": "CAST('b' || {n} AS BLOB)",
}
ROWS = 6
SPARE = 9   # a value that no row has, as SQLite needs it between the steps


class ExchangeTest(unittest.TestCase):
    def setUp(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-exchange-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.path = folder / "app.db"
        self.file = sqlite3.connect(self.path, timeout=30)
        self.addCleanup(self.file.close)
        self.target = Target().start()
        self.addCleanup(self.target.stop)

    def test_in_columns_of_every_type(self):
        self.make_tables()
        self.tidegate = tidegate.Tidegate(self.path, self.target.url).start()
        self.addCleanup(self.tidegate.__exit__)
        self.tidegate.wait_phase("streaming")
        for name, cycle in (("two rows", [1, 2]), ("a ring of three", [3, 4, 5]), ("two pairs", [1, 3]), ("all", list(range(1, ROWS + 1)))):
            with self.subTest(exchange=name):
                self.rotate(cycle)
                self.assert_equal()

    def make_tables(self):
        with self.file:
            for number, (declared, value) in enumerate(TYPES.items()):
                for null in ("", "NOT NULL"):
                    table = f"t{number}{'n' if null else ''}"
                    self.file.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, v {declared} {null} UNIQUE)")
                    for row in range(1, ROWS + 1):
                        self.file.execute(f"INSERT INTO {table} VALUES ({row}, {value.format(n=row)})")

    def rotate(self, cycle):
        """Each row of the cycle gets the next one's value, in every table, in one transaction."""
        with self.file:
            for number, value in enumerate(TYPES.values()):
                for table in (f"t{number}", f"t{number}n"):
                    held = dict(self.file.execute(f"SELECT id, v FROM {table}"))
                    self.file.execute(f"UPDATE {table} SET v = {value.format(n=SPARE)} WHERE id = {cycle[0]}")
                    for row, following in reversed(list(zip(cycle, [*cycle[1:], cycle[0]]))):
                        self.file.execute(f"UPDATE {table} SET v = ? WHERE id = ?", (held[following], row))

    def assert_equal(self):
        self.tidegate.sync()
        connection = self.target.connect()
        self.addCleanup(connection.close)
        found = Comparison(self.path, connection)
        self.assertEqual((found.run(), found.excepted), ([], 0), self.target.query(
            "SELECT source_table, source_key, column_name, reason, sqlstate FROM tidegate.quarantine"))


if __name__ == "__main__":
    unittest.main()
