"""Compares a SQLite file with a target: every table, row and value. Written from the documents, not from tidegate's code.

compare() returns the differences; none means that the target holds what the file holds. Rows named in
tidegate.quarantine are excepted (and counted), on both sides."""
import collections
import dataclasses
import json

from support import catalog
from support.values import TYPES, Text, Unfit, expected_types, from_sqlite, from_target

MOST_REPORTED = 50   # differences per table; the rest is only counted


@dataclasses.dataclass(frozen=True)
class Difference:
    kind: str      # missing_table, missing_column, extra_column, type, missing_row, extra_row, duplicate_row, value, unfit, more
    table: str
    key: object = None
    column: str = None
    detail: str = ""


class Comparison:
    """run() fills differences, rows (compared) and excepted (quarantined source rows)."""

    def __init__(self, path, connection, schema="public", tables=None, check_types=True):
        self.source, self.connection, self.schema = catalog.open_sqlite(path), connection, schema
        self.tables, self.check_types = tables, check_types
        self.differences, self.rows, self.excepted = [], 0, 0

    def run(self):
        try:
            with self.connection.cursor() as self.cursor:
                self.quarantined = self.read_quarantine()
                for table in self.tables or catalog.sqlite_tables(self.source):
                    found = list(self.compare_table(table))
                    self.differences += found[:MOST_REPORTED]
                    if len(found) > MOST_REPORTED:
                        self.differences.append(Difference("more", table, detail=f"{len(found) - MOST_REPORTED} more"))
        finally:
            self.source.close()
            self.connection.rollback()
        return self.differences

    def read_quarantine(self):
        """{table: {key as a tuple of texts}}"""
        keys = collections.defaultdict(set)
        if catalog.table_exists(self.cursor, "tidegate.quarantine"):
            self.cursor.execute("SELECT source_table, source_key::text FROM tidegate.quarantine")
            for table, key in self.cursor.fetchall():
                keys[table].add(tuple(map(json_key_text, json.loads(key))))
        return keys

    def compare_table(self, table):
        columns, key = catalog.sqlite_columns(self.source, table)
        types = catalog.target_columns(self.cursor, self.schema, table)
        if not types:
            yield Difference("missing_table", table)
            return
        names = {name for name, _ in columns}
        yield from (Difference("missing_column", table, column=name) for name in names - set(types))
        yield from (Difference("extra_column", table, column=name) for name in set(types) - names - {catalog.HIDDEN_KEY})
        unknown = {name for name, kind in types.items() if name in names and kind not in TYPES}
        yield from (Difference("type", table, column=name, detail=f"{types[name]} is none that tidegate makes") for name in unknown)
        shared = [(name, declared) for name, declared in columns if name in types and name not in unknown]
        by_rid = catalog.HIDDEN_KEY in types   # also where the key may be NULL: then the rowid tells rows apart
        side = Side(table, shared, [types[name] for name, _ in shared], [] if by_rid else key, self.quarantined[table])
        side.read_source(catalog.sqlite_rows(self.source, table, shared))
        names = [name for name, _ in shared] + [catalog.HIDDEN_KEY] * (catalog.HIDDEN_KEY in types)
        side.read_target(catalog.target_rows(self.cursor, self.schema, table, names))
        self.rows += side.count
        self.excepted += side.excepted
        if self.check_types:
            yield from side.wrong_types()
        yield from side.wrong_rows()


class Side:
    """One table, both sides, in canonical values. Without a key the whole row is the key, and rows are counted."""

    def __init__(self, table, columns, types, key, quarantined):
        self.table, self.columns, self.types, self.quarantined = table, columns, types, quarantined
        self.names = [name for name, _ in columns]
        self.key = [self.names.index(name) for name in key if name in self.names]
        self.rids = {text for (text, *more) in quarantined if not more}
        self.unfit, self.cramped = [], set()
        self.source, self.target = collections.defaultdict(list), collections.defaultdict(list)
        self.count = self.excepted = 0

    def read_source(self, rows):
        for rowid, raw in rows:
            self.count += 1
            self.look_at_types(raw)
            if self.is_quarantined(rowid, raw):
                self.excepted += 1
                continue
            values = tuple(self.converted(place, value, raw) for place, value in enumerate(raw))
            self.source[self.key_in(values)].append(values)

    def read_target(self, rows):
        width = len(self.names)
        for row in rows:
            texts, rid = row[:width], row[width:]
            named = tuple(json_key_text(float(texts[at])) if self.types[at] == "double precision" else texts[at] for at in self.key)
            if named in self.quarantined if self.key else rid and rid[0] in self.rids:
                continue
            values = tuple(from_target(kind, text) for kind, text in zip(self.types, texts))
            self.target[self.key_in(values)].append(values)

    def key_in(self, values):
        return tuple(values[place] for place in self.key) if self.key else values

    def is_quarantined(self, rowid, raw):
        if not self.key:
            return rowid is not None and str(rowid) in self.rids
        return tuple(key_text(raw[place]) for place in self.key) in self.quarantined

    def converted(self, place, value, raw):
        """A value that fits nowhere is reported, and differs from anything in the target."""
        try:
            return from_sqlite(self.types[place], value)
        except Unfit as error:
            key = [key_text(raw[at]) for at in self.key] or None
            self.unfit.append(Difference("unfit", self.table, key, self.names[place], str(error)))
            return "unfit", key_text(value)

    def look_at_types(self, raw):
        """Remembers the columns in which some value is too wide for the usual type."""
        for place, value in enumerate(raw):
            usual, _ = expected_types(self.columns[place][1])
            if value is None or place in self.cramped or self.types[place] in usual:
                continue
            try:
                from_sqlite(sorted(usual)[0], value)
            except Unfit:
                self.cramped.add(place)

    def wrong_types(self):
        for place, (name, declared) in enumerate(self.columns):
            usual, wide = expected_types(declared)
            kind = self.types[place]
            if kind not in usual and not (kind in wide and place in self.cramped):
                yield Difference("type", self.table, column=name, detail=f"{declared or 'no type'} became {kind}")

    def wrong_rows(self):
        yield from self.unfit
        for key in self.source.keys() | self.target.keys():
            mine, theirs = self.source.get(key, []), self.target.get(key, [])
            if len(mine) > len(theirs):
                yield Difference("missing_row", self.table, key, detail=f"{len(theirs)} of {len(mine)}")
            elif len(theirs) > len(mine):
                yield Difference("duplicate_row" if mine else "extra_row", self.table, key, detail=f"{len(theirs)} for {len(mine)}")
            elif self.key:
                yield from self.wrong_values(key, mine[0], theirs[0])

    def wrong_values(self, key, mine, theirs):
        for place, name in enumerate(self.names):
            if mine[place] != theirs[place]:
                yield Difference("value", self.table, key, name, f"{short(mine[place])} became {short(theirs[place])}")


def key_text(raw):
    """A key's part as the quarantine writes it."""
    if isinstance(raw, Text):
        return raw.decode("utf-8", "replace")
    if isinstance(raw, bytes):
        return "\\x" + raw.hex()
    return json_key_text(raw)


def json_key_text(part):
    """1 and 1.0 are one key."""
    if isinstance(part, float) and part.is_integer():
        part = int(part)
    return None if part is None else str(part)


def short(value):
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def compare(path, connection, **options):
    """The differences between the file and the target, as a list of Difference."""
    return Comparison(path, connection, **options).run()
