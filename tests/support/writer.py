"""An app that writes at random: plain connections with sqlite3's default timeout, explicit transactions."""
import sqlite3
import threading

from support.shapes import Raw, literal, quoted

# What an app's own statement can meet: a constraint, a value that the STRICT table refuses, an overflow.
REFUSED = (sqlite3.IntegrityError, sqlite3.DataError)


class Writer:
    def __init__(self, path, tables, rng):
        self.path, self.tables, self.rng = path, tables, rng
        self.locked, self.statements = [], 0
        self.connection = self.connect()

    def connect(self):
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)   # timeout: the default, 5 s
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def close(self):
        self.connection.close()

    def run(self, statement):
        """False where a constraint refused it. A lock that outlasts the timeout is what an app must never see."""
        self.statements += 1
        try:
            self.connection.execute(statement)
            return True
        except REFUSED:
            return False
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                self.locked.append(f"{statement[:80]}: {error}")
                return False
            if "overflow" in str(error) or "UPSERT" in str(error):
                return False
            raise AssertionError(f"{error}\n{statement[:2000]}") from error

    def transaction(self, most=12):
        if not self.run(self.rng.choice(["BEGIN", "BEGIN IMMEDIATE"])):
            return
        for _ in range(self.rng.randint(1, most)):
            self.step(self.rng.choice(self.tables))
        self.end("ROLLBACK" if self.rng.random() < 0.1 else "COMMIT")

    def end(self, word):
        if self.connection.in_transaction:
            self.run(word)
        if self.connection.in_transaction:
            self.run("ROLLBACK")

    def burst(self, transactions):
        for _ in range(transactions):
            self.transaction()

    def step(self, table):
        kinds = [self.insert] * 5 + [self.update] * 4 + [self.delete] * 2 + [self.key_change, self.swap, self.in_place, self.many, self.rowid_change]
        self.rng.choice(kinds)(table)

    def value(self, table, column):
        if table.parent and column.name == table.parent[0]:
            _, parent, name = table.parent
            found = self.connection.execute(f"SELECT quote({quoted(name)}) FROM {quoted(parent.name)} ORDER BY 1").fetchall()
            return Raw(self.rng.choice(found)[0]) if found and self.rng.random() < 0.9 else None
        return column.value(self.rng)

    def insert(self, table):
        how = self.rng.choice(["INSERT", "INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE"])
        values = ", ".join(literal(self.value(table, column)) for column in table.written)
        names = ", ".join(quoted(column.name) for column in table.written)
        upsert = ""
        if table.key and how == "INSERT" and self.rng.random() < 0.3:
            column = self.rng.choice(table.written)
            upsert = f" ON CONFLICT ({', '.join(map(quoted, table.key))}) DO UPDATE SET {quoted(column.name)} = excluded.{quoted(column.name)}"
        self.run(f"{how} INTO {quoted(table.name)} ({names}) VALUES ({values}){upsert}")

    def some_rows(self, table, most=1):
        """A condition that finds up to `most` existing rows."""
        name = quoted(table.name)
        count = self.connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        offset = self.rng.randint(0, max(count - 1, 0))
        by = ", ".join(map(quoted, table.key)) if table.without_rowid else "_rowid_"
        return f"({by}) IN (SELECT {by} FROM {name} ORDER BY {by} LIMIT {most} OFFSET {offset})"

    def update(self, table):
        columns = self.rng.sample(table.written, self.rng.randint(1, min(3, len(table.written))))
        sets = ", ".join(f"{quoted(column.name)} = {literal(self.value(table, column))}" for column in columns if column.name not in table.key)
        if sets:
            self.run(f"UPDATE {self.rng.choice(['', 'OR REPLACE ', 'OR IGNORE '])}{quoted(table.name)} SET {sets} WHERE {self.some_rows(table, self.rng.choice([1, 1, 4]))}")

    def delete(self, table):
        self.run(f"DELETE FROM {quoted(table.name)} WHERE {self.some_rows(table, self.rng.choice([1, 1, 3]))}")

    def key_change(self, table):
        if table.key:
            name = self.rng.choice(table.key)
            value = literal(self.value(table, table.column(name)))
            self.run(f"UPDATE OR REPLACE {quoted(table.name)} SET {quoted(name)} = {value} WHERE {self.some_rows(table)}")

    def rowid_change(self, table):
        if not table.without_rowid:
            self.run(f"UPDATE OR IGNORE {quoted(table.name)} SET _rowid_ = _rowid_ + {self.rng.randint(1, 1000)} WHERE {self.some_rows(table, 2)}")

    def swap(self, table):
        """Two or three rows exchange their unique values."""
        for column in table.written:
            if not column.unique or table.without_rowid:
                continue
            name, unique = quoted(table.name), quoted(column.name)
            rows = [row[0] for row in self.connection.execute(f"SELECT _rowid_ FROM {name} WHERE {unique} IS NOT NULL ORDER BY 1")]
            if len(rows) < 3:
                continue
            chosen = self.rng.sample(rows, self.rng.randint(2, 3))
            values = [self.connection.execute(f"SELECT quote({unique}) FROM {name} WHERE _rowid_ = {row}").fetchone()[0] for row in chosen]
            for row in chosen:
                self.run(f"UPDATE {name} SET {unique} = {-row} WHERE _rowid_ = {row}")
            for row, value in zip(chosen, values[1:] + values[:1]):
                self.run(f"UPDATE {name} SET {unique} = {value} WHERE _rowid_ = {row}")

    def in_place(self, table):
        """Changes that are none to SQLite's own comparison: 1 to 1.0, case under NOCASE, blanks under RTRIM."""
        column = self.rng.choice(table.written)
        name = quoted(column.name)
        change = self.rng.choice([f"CASE typeof({name}) WHEN 'integer' THEN CAST({name} AS REAL) WHEN 'real' THEN CAST({name} AS INTEGER) ELSE {name} END",
                                  f"CASE typeof({name}) WHEN 'text' THEN upper({name}) ELSE {name} END", f"CASE typeof({name}) WHEN 'text' THEN lower({name}) ELSE {name} END",
                                  f"CASE typeof({name}) WHEN 'text' THEN {name} || ' ' ELSE {name} END", f"CASE typeof({name}) WHEN 'text' THEN rtrim({name}) ELSE {name} END",
                                  f"CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) WHEN 'blob' THEN CAST({name} AS TEXT) ELSE {name} END"][: 6 if column.oddness else 5])
        self.run(f"UPDATE OR IGNORE {quoted(table.name)} SET {name} = {change} WHERE {self.some_rows(table, 5)}")

    def many(self, table):
        if self.rng.random() < 0.2:
            self.run(f"DELETE FROM {quoted(table.name)}" if self.rng.random() < 0.3 else f"DELETE FROM {quoted(table.name)} WHERE {self.some_rows(table, 20)}")
        else:
            for _ in range(self.rng.randint(2, 10)):
                self.insert(table)


class Background(threading.Thread):
    """The writer at work beside the test, until stop()."""

    def __init__(self, writer):
        super().__init__(daemon=True)
        self.writer, self.ended, self.failure = writer, threading.Event(), None

    def run(self):
        try:
            while not self.ended.wait(0.002):
                self.writer.transaction()
        except BaseException as failure:   # raised again by stop(), in the test's thread
            self.failure = failure

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.ended.set()
        self.join(60)
        if self.failure and kind is None:
            raise self.failure
