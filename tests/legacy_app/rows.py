"""Rows to and from JSON, and a record of what a session wrote.

Every answer of the app to a write is {"at": N, "written": [{"op", "table", "key", "row"}, ...]}: the rows as they are
in the database at the commit. `at` is the machine's monotonic clock, read while the transaction holds SQLite's write
lock, so that sorting answers by it gives the order of the commits, across all workers."""
import base64
import datetime
import decimal
import time

from sqlalchemy import event, inspect

from models import db

PARSERS = {
    datetime.datetime: datetime.datetime.fromisoformat, datetime.date: datetime.date.fromisoformat,
    datetime.time: datetime.time.fromisoformat, decimal.Decimal: decimal.Decimal, bytes: base64.b64decode,
}


def to_json(value):
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, (bytes, memoryview)):
        return base64.b64encode(value).decode()
    return value


def from_json(model, fields):
    """Keyword arguments for a model: each JSON value as its column's Python type."""
    parsed = {}
    for name, value in fields.items():
        kind = model.__table__.c[name].type
        parser = None if isinstance(kind, db.JSON) else PARSERS.get(kind.python_type)
        parsed[name] = parser(value) if parser and value is not None else value
    return parsed


def row_of(thing):
    """A mapped object, or a row of a Core table, as JSON."""
    if hasattr(thing, "_mapping"):
        return {name: to_json(value) for name, value in thing._mapping.items()}
    return {column.key: to_json(getattr(thing, column.key)) for column in inspect(thing).mapper.column_attrs}


def key_of(thing, identity=None):
    names = [column.name for column in inspect(thing).mapper.primary_key]
    values = identity or [getattr(thing, name) for name in names]
    return {name: to_json(value) for name, value in zip(names, values)}


def record(session, op, table, key, thing=None, **more):
    session.info.setdefault("wrote", []).append((op, table, key, thing, more))


@event.listens_for(db.session, "after_flush")
def note_flush(session, _context):
    """An update that changes the key counts as a delete of the old key and an insert of the new one."""
    for thing in session.new:
        record(session, "insert", thing.__table__.name, key_of(thing), thing)
    for thing in session.dirty:
        if not session.is_modified(thing):
            continue
        table, old, new = thing.__table__.name, key_of(thing, inspect(thing).identity), key_of(thing)
        if old != new:
            record(session, "delete", table, old)
        record(session, "update" if old == new else "insert", table, new, thing)
    for thing in session.deleted:
        record(session, "delete", thing.__table__.name, key_of(thing, inspect(thing).identity))


def written(session):
    """The net writes of the session so far, one per key, with the rows read back from the database."""
    net = {}
    for op, table, key, thing, more in session.info.pop("wrote", []):
        name = (table, tuple(key.items()))
        if op == "update" and name in net and net[name]["op"] == "insert":
            op = "insert"
        net.pop(name, None)
        net[name] = {"op": op, "table": table, "key": key, "thing": thing, **more}
    for entry in net.values():
        thing = entry.pop("thing")
        if thing is not None:
            if not hasattr(thing, "_mapping"):
                session.refresh(thing)
            entry["row"] = row_of(thing)
    return list(net.values())


def commit():
    """Commits and returns the answer for it. A failed commit raises; nothing is retried here."""
    session = db.session()
    session.flush()
    answer = {"written": written(session), "at": time.monotonic_ns()}
    session.commit()
    return answer
