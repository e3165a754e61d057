#!/usr/bin/python3
"""Random schemas, values and writes through tidegate, against a comparison that knows nothing of its code.

TIDEGATE_SEED=N repeats one run; TIDEGATE_LONG=1 goes through many seeds (TIDEGATE_SEEDS of them). TIDEGATE_KEEP=DIR keeps
the file of a seed that failed."""
import os
import pathlib
import random
import sqlite3
import sys
import tempfile
import time
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
from support import catalog                              # noqa: E402
from support.compare import Comparison, key_text          # noqa: E402
from support.expect import quarantined, unfit_rows        # noqa: E402
from support.shapes import Column, Shapes, KINDS, literal, quoted    # noqa: E402
from support.target import Target                         # noqa: E402
from support.tidegate import Tidegate, built              # noqa: E402
from support.values import Text                           # noqa: E402
from support.writer import Background, Writer             # noqa: E402

LONG = bool(os.environ.get("TIDEGATE_LONG"))
SEEDS = int(os.environ.get("TIDEGATE_SEEDS", 60 if LONG else 4))
PHASES = 10 if LONG else 7
LARGE = 50_000   # rows of one transaction


class Run:
    """One seed: a schema, its app, one pipeline."""

    def __init__(self, seed, target, folder):
        self.seed, self.target, self.rng = seed, target, random.Random(seed)
        self.path = str(pathlib.Path(folder) / f"app{seed}.db")
        self.shapes = Shapes(self.rng)
        self.tables, self.history = self.shapes.schema(), []
        connection = sqlite3.connect(self.path)
        connection.execute(f"PRAGMA page_size = {self.rng.choice([512, 1024, 4096, 4096, 65536])}")
        connection.execute(f"PRAGMA auto_vacuum = {self.rng.choice([0, 0, 1, 2])}")
        self.mode = self.rng.choice(["DELETE", "TRUNCATE", "PERSIST", "WAL"])
        connection.execute(f"PRAGMA journal_mode = {self.mode}")
        for table in self.tables:
            for statement in table.statements:
                connection.execute(statement)
        connection.commit()
        connection.close()
        self.writer = Writer(self.path, self.tables, self.rng)
        self.fill()

    def fill(self):
        """Rows from before tidegate. A time column has a true time among them, so that its type is no accident."""
        writer = self.writer
        writer.run("BEGIN")
        for table in self.tables:
            for _ in range(self.rng.choice([0, 5, 30, 120])):
                writer.insert(table)
            for column in table.written:
                if column.declared in ("DATE", "DATETIME", "TIMESTAMP", "TIME") and column.name not in table.key:
                    writer.run(f"UPDATE {quoted(table.name)} SET {quoted(column.name)} = {literal(column.make(self.rng))} WHERE {writer.some_rows(table)}")
        writer.run("COMMIT")

    def go(self):
        with Tidegate(self.path, self.target.url) as self.tidegate:
            if self.rng.random() < 0.5:
                self.tidegate.start()
                with Background(self.writer):
                    self.tidegate.wait_phase("streaming")
            else:
                self.tidegate.start().wait_phase("streaming")
            self.check("snapshot")
            for number in range(PHASES):
                kinds = self.rng.sample(self.actions(), self.rng.randint(1, 3))
                for kind in kinds:
                    self.history.append(kind.__name__)
                    kind()
                self.check(f"phase {number}: {[kind.__name__ for kind in kinds]}")
            self.mend()
            done = self.tidegate.stop()
            assert done.code == 0, done.err
        self.writer.close()

    def actions(self):
        return [self.burst, self.burst, self.beside, self.vacuum, self.new_table, self.add_column, self.new_index, self.checkpoints, self.flip_mode,
                self.large, self.stop_and_start, self.kill_and_start, self.kill_under_load, self.foreign_rows]

    def burst(self):
        self.writer.burst(self.rng.randint(1, 30))

    def beside(self):
        with Background(self.writer):
            time.sleep(0.4)

    def vacuum(self):
        self.writer.run("VACUUM")

    def checkpoints(self):
        for kind in self.rng.sample(["PASSIVE", "FULL", "RESTART", "TRUNCATE"], 2):
            self.writer.transaction()
            self.writer.connection.execute(f"PRAGMA wal_checkpoint({kind})").fetchall()

    def flip_mode(self):
        """Must not succeed while tidegate reads, and must harm nothing."""
        connection = sqlite3.connect(self.path, timeout=0.2)
        try:
            connection.execute(f"PRAGMA journal_mode = {self.rng.choice(['DELETE', 'TRUNCATE'])}")
        except sqlite3.OperationalError:
            pass
        connection.close()
        self.writer.burst(3)

    def new_table(self):
        makers = [self.shapes.integer_key, self.shapes.text_key, self.shapes.composite_key, self.shapes.no_key, self.shapes.nullable_key]
        table = self.rng.choice(makers)()
        for statement in table.statements:
            self.writer.run(statement)
        self.tables.append(table)
        for _ in range(self.rng.randint(0, 20)):
            self.writer.insert(table)

    def add_column(self):
        table = self.rng.choice(self.tables)
        declared = self.rng.choice(["INTEGER", "TEXT", "REAL", "BLOB"] if table.strict else [kind for kind in KINDS if kind])
        default = self.rng.choice(["", "", f"DEFAULT {literal(KINDS[declared](self.rng))}", f"NOT NULL DEFAULT {literal(KINDS[declared](self.rng))}"])
        if "CAST" in default or "- 1" in default:
            default = ""
        column = Column(f"added {len(table.columns)}", declared, KINDS[declared], self.rng.choice([0, 0.1]), not_null="NOT NULL" in default, suffix=default.replace("NOT NULL ", ""))
        if self.writer.run(f"ALTER TABLE {quoted(table.name)} ADD COLUMN {column.sql}"):
            table.columns.append(column)
        if self.rng.random() < 0.5:
            self.writer.update(table)

    def new_index(self):
        table = self.rng.choice(self.tables)
        table.indexes.clear()
        self.shapes.add_indexes(table)
        for statement in table.indexes:
            self.writer.run(statement)

    def large(self):
        self.writer.run("CREATE TABLE IF NOT EXISTS large (id INTEGER PRIMARY KEY, t TEXT, r REAL)")
        self.writer.run("BEGIN")
        what = self.rng.choice(["insert", "update", "delete"])
        if what == "insert" or not self.writer.connection.execute("SELECT count(*) FROM large").fetchone()[0]:
            self.writer.run(f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {LARGE}) INSERT INTO large (t, r) SELECT 'row ' || i, i / 4.0 FROM n")
        elif what == "update":
            self.writer.run("UPDATE large SET t = t || 'x', r = -r WHERE id % 2")
        else:
            self.writer.run("DELETE FROM large WHERE id % 3 = 0")
        self.writer.run("COMMIT")

    def stop_and_start(self):
        self.tidegate.stop()
        self.writer.burst(self.rng.randint(0, 10))
        if self.rng.random() < 0.3:
            self.writer.run(f"PRAGMA journal_mode = {self.rng.choice(['DELETE', 'PERSIST'])}")
            self.writer.burst(2)
        self.tidegate.start().wait_phase("streaming")

    def kill_and_start(self):
        self.tidegate.kill()
        self.writer.burst(self.rng.randint(0, 10))
        self.tidegate.start().wait_phase("streaming")

    def kill_under_load(self):
        with Background(self.writer):
            for _ in range(2):
                time.sleep(self.rng.uniform(0, 0.3))
                self.tidegate.restart()
            self.tidegate.wait_phase("streaming")

    def foreign_rows(self):
        """What another program does: one big statement over every row of a table."""
        table = self.rng.choice(self.tables)
        column = self.rng.choice(table.written)
        if column.name not in table.key and not column.unique:
            self.writer.run(f"UPDATE OR IGNORE {quoted(table.name)} SET {quoted(column.name)} = {literal(self.writer.value(table, column))}")

    def mend(self):
        """Without the rows that do not fit, nothing may stay in the quarantine."""
        connection = self.target.connect()
        try:
            for (name, key), _ in unfit_rows(self.path, connection).items():
                self.delete_row(name, key)
            self.tidegate.sync()
            deadline = time.monotonic() + 20
            while (held := quarantined(connection)) and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            connection.close()
        assert not held, f"{self.about('mended')}\nstill in quarantine: {dict(list(held.items())[:8])}\n{self.tidegate.log[-1500:]}"
        self.check("mended")

    def delete_row(self, name, key):
        """By the rowid, where there is one; else every row whose key reads like this."""
        reader = catalog.open_sqlite(self.path)
        columns, names = catalog.sqlite_columns(reader, name)
        by_rowid = catalog.has_rowid(reader, name)
        for rowid, raw in list(catalog.sqlite_rows(reader, name, columns)):
            named = tuple(key_text(raw[[column for column, _ in columns].index(part)]) for part in names)
            if key not in (named, (str(rowid),)):
                continue
            where = f"_rowid_ = {rowid}" if by_rowid else " AND ".join(f"{quoted(part)} = {exact(raw[[column for column, _ in columns].index(part)])}" for part in names)
            reader.rollback()
            self.writer.run(f"DELETE FROM {quoted(name)} WHERE {where}")
        reader.close()

    def check(self, when):
        try:
            self.tidegate.sync(timeout=60)
        except AssertionError as failure:
            raise AssertionError(f"{self.about(when)}\n{failure}") from None
        connection = self.target.connect()
        try:
            differences = Comparison(self.path, connection, check_types=False).run()
            expected, held = unfit_rows(self.path, connection), quarantined(connection)
        finally:
            connection.close()
        # A row in quarantine leaves its old values in the target, which may stand in the way of another row's new ones.
        holders = {table for table, _ in expected}
        extra = {name: held[name] for name in held.keys() - expected.keys() if not (held[name][1] == "23505" and name[0] in holders)}
        missing = {name: expected[name] for name in expected.keys() - held.keys()}
        assert not (differences or extra or missing or self.writer.locked), (
            f"{self.about(when)}\ndifferences: {differences[:10]}\nin quarantine without need: {dict(list(extra.items())[:8])}\n"
            f"not in quarantine: {dict(list(missing.items())[:8])}\nlocked: {self.writer.locked[:5]}\n{self.schema(differences, extra, missing)}\n{self.tidegate.log[-1500:]}")

    def about(self, when):
        return f"TIDEGATE_SEED={self.seed}, {when}, after {self.history}, mode {self.mode}"

    def schema(self, differences, extra, missing):
        names = {it.table for it in differences} | {table for table, _ in [*extra, *missing]}
        rows = sqlite3.connect(self.path).execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND tbl_name IN (%s)" % ",".join("?" * len(names)), [*names])
        return "\n".join(row[1] for row in rows)[:3000]


def exact(raw):
    return f"CAST(x'{raw.hex()}' AS TEXT)" if isinstance(raw, Text) else literal(raw)


@unittest.skipUnless(built(), "tidegate is not built")
class RandomTest(unittest.TestCase):
    def test_random(self):
        given = os.environ.get("TIDEGATE_SEED")
        first = int(given) if given else random.SystemRandom().randrange(1, 10**6)
        failures = []
        with Target() as target:
            for seed in [first] if given else range(first, first + SEEDS):
                print(f"TIDEGATE_SEED={seed}", flush=True)
                began = time.monotonic()
                with tempfile.TemporaryDirectory() as folder:
                    try:
                        run = Run(seed, target, folder)
                        run.go()
                    except Exception as failure:   # the other seeds may show more
                        failures.append(f"{type(failure).__name__}: {failure}")
                        if os.environ.get("TIDEGATE_KEEP"):
                            sqlite3.connect(run.path).execute("VACUUM INTO ?", (f"{os.environ['TIDEGATE_KEEP']}/seed{seed}.db",))
                        print(failures[-1][:5000], flush=True)
                target.empty()
                print(f"  {time.monotonic() - began:.1f} s", flush=True)
        self.assertEqual(failures, [])


if __name__ == "__main__":
    unittest.main()
