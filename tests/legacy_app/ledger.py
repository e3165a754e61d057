#!/usr/bin/python3
"""Holds a ledger of acknowledged writes against a database: is the last acknowledged state of each key there, once?

The database is a target (psycopg2 connection) or the app's own SQLite file; both are read as canonical values."""
import argparse
import collections
import dataclasses
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import catalog                                                        # noqa: E402
from support.values import expected_types, from_ledger, from_sqlite, from_target, number   # noqa: E402


@dataclasses.dataclass
class Expected:
    """row is None if the key was deleted last; in doubt if a request for it had no clear answer since."""
    row: dict
    copies: int = 1
    doubt: bool = False


@dataclasses.dataclass(frozen=True)
class Problem:
    kind: str      # missing_table, lost, duplicate, value, undead, stranger
    table: str
    key: tuple = ()
    column: str = None
    detail: str = ""


@dataclasses.dataclass
class Verdict:
    keys: int = 0
    deleted: int = 0
    doubtful: int = 0
    rows: int = 0
    problems: list = dataclasses.field(default_factory=list)

    @property
    def clean(self):
        return not self.problems

    def __str__(self):
        words = (f"ledger: {self.keys} keys, of them {self.deleted} deleted and {self.doubtful} in doubt (not checked); "
                 f"{self.rows} rows looked at; {len(self.problems)} problems")
        return "\n".join([words, *(f"  {problem}" for problem in self.problems[:20])])


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line, parse_float=number) for line in lines if line.endswith("\n")]


def fold(entries):
    """{table: ((key names), {key values: Expected})}, in the order of the commits."""
    tables = {}
    for entry in sorted(entries, key=lambda entry: entry["at"]):
        names, keys = tables.setdefault(entry["table"], (tuple(entry["key"]), {}))
        key = tuple(entry["key"][name] for name in names)
        if entry["op"] == "doubt":
            keys.setdefault(key, Expected(None)).doubt = True
        else:
            row = None if entry["op"] == "delete" else entry["row"]
            keys[key] = Expected(row, entry.get("copies", 1))
    return tables


class TargetRows:
    """Tables of a target. A connection that is not in autocommit mode: one view of the data."""

    def __init__(self, connection, schema="public"):
        self.connection, self.schema = connection, schema

    def read(self, table):
        """({column: type}, [{column: canonical value}]), or None if there is no such table."""
        with self.connection.cursor() as cursor:
            types = catalog.target_columns(cursor, self.schema, table)
            types.pop(catalog.HIDDEN_KEY, None)
            if not types:
                return None
            rows = [{name: from_target(types[name], text) for name, text in zip(types, row)}
                    for row in catalog.target_rows(cursor, self.schema, table, list(types))]
        return types, rows

    def close(self):
        self.connection.rollback()


class SqliteRows:
    """Tables of the app's file, as the types that a target would have for them."""

    def __init__(self, path):
        self.connection = catalog.open_sqlite(path)

    def read(self, table):
        columns, _ = catalog.sqlite_columns(self.connection, table)
        if not columns:
            return None
        types = {name: sorted(expected_types(declared)[0])[0] for name, declared in columns}
        rows = [{name: from_sqlite(types[name], raw) for name, raw in zip(types, row)}
                for _, row in catalog.sqlite_rows(self.connection, table, columns)]
        return types, rows

    def close(self):
        self.connection.close()


def check(path, database, complete=False):
    """complete: the ledger has every row of its tables, so a row that it does not know is one too many."""
    verdict = Verdict()
    try:
        for table, (names, keys) in fold(read(path)).items():
            verdict.keys += len(keys)
            verdict.deleted += sum(state.row is None and not state.doubt for state in keys.values())
            verdict.doubtful += sum(state.doubt for state in keys.values())
            verdict.problems += check_table(verdict, table, names, keys, database.read(table), complete)
    finally:
        database.close()
    return verdict


def check_table(verdict, table, names, keys, content, complete):
    if content is None:
        return [Problem("missing_table", table)]
    types, rows = content
    verdict.rows += len(rows)
    found, problems = collections.defaultdict(list), []
    for row in rows:
        found[tuple(row.get(name) for name in names)].append(row)
    for key, state in keys.items():
        there = found.pop(tuple(from_ledger(types[name], part) for name, part in zip(names, key)), [])
        if not state.doubt:
            problems += check_key(table, key, state, there, types)
    if complete:
        problems += [Problem("stranger", table, key) for key in found]
    return problems


def check_key(table, key, state, there, types):
    if state.row is None:
        return [Problem("undead", table, key)] if there else []
    if len(there) < state.copies:
        return [Problem("lost", table, key, detail=f"{len(there)} of {state.copies}")]
    if len(there) > state.copies:
        return [Problem("duplicate", table, key, detail=f"{len(there)} for {state.copies}")]
    wrong = {name for row in there for name, value in state.row.items() if not same(types.get(name), value, row.get(name))}
    return [Problem("value", table, key, name) for name in sorted(wrong)]


def same(kind, acknowledged, stored):
    """The app's JSON does not tell SQL's NULL from JSON's null in a JSON column."""
    if kind is None:
        return False
    if kind in ("json", "jsonb") and acknowledged is None:
        return stored in (None, (None, "word"))
    return from_ledger(kind, acknowledged) == stored


def main():
    parser = argparse.ArgumentParser(description="Holds a ledger against a target (URL in TIDEGATE_TARGET_URL) or a SQLite file.")
    parser.add_argument("ledger")
    parser.add_argument("--sqlite", help="look into this file instead of the target")
    parser.add_argument("--complete", action="store_true", help="rows that the ledger does not know are a problem")
    flags = parser.parse_args()
    if flags.sqlite:
        database = SqliteRows(flags.sqlite)
    else:
        import psycopg2
        database = TargetRows(psycopg2.connect(os.environ["TIDEGATE_TARGET_URL"]))
    verdict = check(flags.ledger, database, flags.complete)
    print(verdict)
    return 0 if verdict.clean else 3


if __name__ == "__main__":
    sys.exit(main())
