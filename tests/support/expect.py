"""Which rows of a SQLite file have no honest place in a target: computed from both catalogues and the values alone.

Written from the value table, not from tidegate's code; unfit_rows() is what the quarantine must name, no more and no less."""
import json
import math

from psycopg2 import sql

from support import catalog
from support.compare import json_key_text, key_text
from support.values import Text, Unfit, base_type, from_sqlite


class TargetColumn:
    def __init__(self, name, kind, not_null, generated):
        self.name, self.kind, self.not_null, self.generated = name, base_type(kind), not_null, generated
        self.limits = [int(part) for part in kind.partition("(")[2].partition(")")[0].split(",") if part.strip().isdigit()]

    def fits(self, raw, in_key):
        if raw is None:
            return not self.not_null
        if in_key and self.kind in ("text", "citext", "character varying") and not isinstance(raw, Text):
            return False   # 1 and '1' are two keys in SQLite and must not become one row
        try:
            value = from_sqlite(self.kind, raw)
        except Unfit:
            return False
        return not self.limits or within(self.kind, self.limits, value)


def within(kind, limits, value):
    if kind == "character varying":
        return len(value) <= limits[0]
    if kind != "numeric":
        return True
    if not math.isfinite(value):
        return False
    precision, scale = limits
    _, digits, exponent = value.normalize().as_tuple()
    whole = len(digits) + exponent if value else 0
    return whole <= precision - scale and -exponent <= scale


def target_columns(cursor, table, schema="public"):
    cursor.execute("""SELECT attname, format_type(atttypid, atttypmod), attnotnull, attgenerated <> '' FROM pg_attribute
                      WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped""",
                   (sql.Identifier(schema, table).as_string(cursor),))
    return {row[0]: TargetColumn(*row) for row in cursor.fetchall()}


def unfit_rows(path, connection):
    """{(source table, key as in the quarantine): columns that do not fit}"""
    found = {}
    source = catalog.open_sqlite(path)
    try:
        with connection.cursor() as cursor:
            for table in catalog.sqlite_tables(source):
                found.update(unfit_in_table(source, cursor, table))
    finally:
        source.close()
        connection.rollback()
    return found


def unfit_in_table(source, cursor, table):
    columns, key = catalog.sqlite_columns(source, table)
    target = target_columns(cursor, table)
    by_rowid = catalog.HIDDEN_KEY in target
    names = [name for name, _ in columns]
    places = [names.index(name) for name in key]
    for rowid, raw in catalog.sqlite_rows(source, table, columns):
        bad = [name for name, value in zip(names, raw) if not target[name].generated
               and not target[name].fits(value, name in key and not by_rowid)]
        if bad:
            named = (str(rowid),) if by_rowid else tuple(key_text(raw[place]) for place in places)
            yield (table, named), bad


def quarantined(connection):
    """{(source table, key): (reason, sqlstate, column)} of what is held."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT source_table, source_key::text, reason, sqlstate, column_name FROM tidegate.quarantine WHERE state = 'held'")
        rows = cursor.fetchall()
    connection.rollback()
    return {(table, tuple(map(json_key_text, json.loads(key)))): rest for table, key, *rest in rows}
