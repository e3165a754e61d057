"""What is in a SQLite file and in a target, read plainly: columns, keys, rows."""
import sqlite3

from psycopg2 import sql

from support.values import Text, base_type

HIDDEN_KEY = "_tidegate_rid"   # the target's extra column in a table without a key


def open_sqlite(path):
    """Read-only, exact bytes, one consistent view until close."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30, isolation_level=None)
    connection.text_factory = Text
    connection.execute("BEGIN")
    return connection


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def sqlite_tables(connection):
    """Names of the application's tables. Virtual tables and what they keep for themselves are left out."""
    listed = [(name.decode(), kind.decode()) for name, kind in connection.execute(
        "SELECT name, type FROM pragma_table_list WHERE schema = 'main' ORDER BY name")]
    return [name for name, kind in listed if kind == "table" and not name.startswith(("sqlite_", "_tidegate_"))]


def sqlite_columns(connection, table):
    """([(name, declared type)], [names of the key]); generated columns included."""
    found = connection.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
    columns = [(name.decode(), kind.decode()) for _, name, kind, _, _, _, hidden in found if hidden != 1]
    key = sorted((place, name.decode()) for _, name, _, _, _, place, _ in found if place)
    return columns, [name for _, name in key]


def has_rowid(connection, table):
    return not connection.execute("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", (table,)).fetchone()[0]


def sqlite_rows(connection, table, columns):
    """Yields (rowid or None, values)."""
    names = {name.lower() for name, _ in columns}
    alias = next((name for name in ("rowid", "_rowid_", "oid") if name not in names), None)
    rowid = alias if alias and has_rowid(connection, table) else "NULL"
    listed = ", ".join(quoted(name) for name, _ in columns)
    for row in connection.execute(f"SELECT {rowid}, {listed} FROM {quoted(table)}"):
        yield row[0], row[1:]


def target_columns(cursor, schema, table):
    """{name: type} in column order; empty if there is no such table."""
    cursor.execute("""SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
                      JOIN pg_namespace ON pg_namespace.oid = relnamespace
                      WHERE nspname = %s AND relname = %s AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
                      ORDER BY attnum""", (schema, table))
    return {name: base_type(kind) for name, kind in cursor.fetchall()}


def target_rows(cursor, schema, table, names):
    """Yields tuples of the columns' text, as Postgres prints them with settings that lose nothing."""
    for setting in ("timezone = 'UTC'", "datestyle = 'ISO'", "extra_float_digits = 1", "bytea_output = 'hex'", "statement_timeout = 0"):
        cursor.execute("SET LOCAL " + setting)
    texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names)
    cursor.execute(sql.SQL("SELECT {} FROM {}").format(texts, sql.Identifier(schema, table)))
    yield from cursor


def table_exists(cursor, name):
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (name,))
    return cursor.fetchone()[0]


def count(cursor, schema, table):
    """Rows of a table, or None if there is no such table."""
    if not target_columns(cursor, schema, table):
        return None
    cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table)))
    return cursor.fetchone()[0]
