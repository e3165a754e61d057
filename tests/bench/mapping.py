#!/usr/bin/python3
"""A mapped snapshot and stream against the same rows as they are. See README.md."""
import contextlib
import json
import os
import pathlib
import sqlite3
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from bench import timed                      # noqa: E402
from support.target import Target            # noqa: E402
from support.tidegate import Tidegate        # noqa: E402

EXAMPLE = pathlib.Path(__file__).resolve().parents[1] / "scenario" / "flask_to_supabase"
ROWS = int(os.environ.get("TIDEGATE_BENCH_ROWS", "300000"))
SOURCE = """
CREATE TABLE user (id INTEGER PRIMARY KEY, email VARCHAR(120), name VARCHAR(80), created_at DATETIME);
CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES user, name VARCHAR(80), age INTEGER, birthday DATE)"""
PLAIN = """
CREATE TABLE public."user" (id bigint PRIMARY KEY, email text, name text, created_at timestamptz);
CREATE TABLE public.child (id bigint PRIMARY KEY, parent_id bigint, name text, age smallint, birthday date)"""
MAPPED = """
CREATE TYPE public.tier AS ENUM ('magic', 'lab', 'studio');
CREATE TABLE public.profiles (id uuid PRIMARY KEY, email text, name text, created_at timestamptz);
CREATE TABLE public.children (id uuid PRIMARY KEY, parent_id uuid, name text, age smallint, birthday date, tier public.tier)"""
EXISTING = '[pipeline]\nname = "bench"\n[target]\nschema = "existing"\n'
MAPS = """
[[map]]
from = "user"
[[map.to]]
table = "public.profiles"
columns = { id = "uuid('user', id)", email = "lower(email)", name = "name", created_at = "created_at" }
[[map]]
from = "child"
[[map.to]]
table = "public.children"
columns = { id = "uuid('child', id)", parent_id = "uuid('user', parent_id)", name = "name", age = "age", birthday = "birthday", tier = "case when age < 8 then 'magic' when age < 13 then 'lab' else 'studio' end" }
"""


def make_database(path):
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA journal_mode = WAL;" + SOURCE)
    connection.executemany("INSERT INTO user VALUES (?, ?, ?, ?)", (
        (i, f"Person{i}@Example.org", f"Person {i}", f"2024-01-{i % 28 + 1:02} 10:11:{i % 60:02}.123456") for i in range(ROWS // 3)))
    connection.executemany("INSERT INTO child VALUES (?, ?, ?, ?, ?)", (
        (i, i // 2, f"Child {i}", 3 + i % 16, f"2015-03-{i % 28 + 1:02}") for i in range(ROWS - ROWS // 3)))
    connection.commit()
    connection.close()


# The tables of tests/legacy_app that the worked example maps; the names are those of its models.
EXAMPLE_SOURCE = """
CREATE TABLE user (id INTEGER NOT NULL PRIMARY KEY, email VARCHAR(120) NOT NULL UNIQUE, username VARCHAR(80) COLLATE NOCASE NOT NULL UNIQUE,
  password_hash VARCHAR(128) NOT NULL, role VARCHAR(20) NOT NULL, is_active BOOLEAN NOT NULL, created_at DATETIME NOT NULL, last_login DATETIME,
  referred_by INTEGER REFERENCES user);
CREATE TABLE child_profile (id INTEGER NOT NULL PRIMARY KEY, parent_id INTEGER NOT NULL REFERENCES user, name VARCHAR(80) NOT NULL, age INTEGER NOT NULL,
  tier VARCHAR(30) NOT NULL, birthday DATE, bedtime TIME);
CREATE TABLE project (id INTEGER NOT NULL PRIMARY KEY, child_id INTEGER NOT NULL REFERENCES child_profile, title VARCHAR(200) NOT NULL, description TEXT,
  data JSON, is_public BOOLEAN, created_at DATETIME);
CREATE TABLE progress (id INTEGER NOT NULL PRIMARY KEY, child_id INTEGER NOT NULL REFERENCES child_profile, lesson_id INTEGER NOT NULL,
  score NUMERIC(6, 2), time_spent FLOAT, completed BOOLEAN NOT NULL, updated_at DATETIME, UNIQUE (child_id, lesson_id));
CREATE TABLE achievement (id INTEGER NOT NULL PRIMARY KEY, slug VARCHAR(60) NOT NULL UNIQUE, name VARCHAR(120) NOT NULL, points SMALLINT NOT NULL);
CREATE TABLE child_achievement (child_id INTEGER NOT NULL REFERENCES child_profile, achievement_id INTEGER NOT NULL REFERENCES achievement,
  awarded_at DATETIME NOT NULL, PRIMARY KEY (child_id, achievement_id))"""
AT = "2024-01-17 10:11:12.123456"
HASH = "$2b$12$" + "abcdefghij" * 5 + "klm"
TIERS = ("magic_workshop", "innovation_lab", "professional_studio")


def make_example(path):
    """A tenth of the rows are users, a fifth children; most are progress."""
    users, children, progress = ROWS // 10, ROWS // 5, ROWS * 2 // 5
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA journal_mode = WAL;" + EXAMPLE_SOURCE)
    for sql, rows in (
            ("user VALUES (?,?,?,?,?,?,?,?,?)", ((i, f"Person{i}@Example.org", f"person{i}", HASH, "parent", 1, AT, AT, i - 1 if i > 1 else None)
                                                 for i in range(1, users + 1))),
            ("child_profile VALUES (?,?,?,?,?,?,NULL)", ((i, 1 + i % users, f"Child {i}", 3 + i % 16, TIERS[i % 3], "2015-03-07") for i in range(1, children + 1))),
            ("project VALUES (?,?,?,?,?,?,?)", ((i, 1 + i % children, f"Project {i}", "about", json.dumps({"blocks": [i, 2], "lang": "en"}), i % 2, AT)
                                                for i in range(1, children + 1))),
            ("progress VALUES (?,?,?,?,?,?,?)", ((i, 1 + i % children, i // children, i % 100 + 0.5, 12.5, i % 2, AT) for i in range(1, progress + 1))),
            ("achievement VALUES (?,?,?,?)", ((i, f"slug-{i}", f"Achievement {i}", 10) for i in range(1, 11))),
            ("child_achievement VALUES (?,?,?)", ((i, 1 + i % 10, AT) for i in range(1, users + 1)))):
        connection.executemany("INSERT INTO " + sql, rows)
    connection.commit()
    connection.close()


def change(path, statement):
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as connection, connection:
        connection.execute(statement)


def run(path, make, statement, files=(), migrations=()):
    """Seconds until the rows are there, and until those that the statement changes are."""
    make(path)
    with Target() as target, Tidegate(path, target.url) as tide:
        for migration in migrations:
            target.query(migration)
        for name, text in files:
            (tide.base / name).write_text(text)
        snapshot = timed(lambda: (tide.start(), tide.wait_phase("streaming", timeout=600)))
        tide.sync(timeout=600)
        stream = timed(lambda: (change(path, statement), tide.sync(timeout=600)))
        assert tide.status()["quarantined"] == 0
        tide.stop()
    return snapshot, stream


def show(title, plain, mapped):
    for what, before, after in zip(("snapshot", "stream"), plain, mapped):
        print(f"{title}, {what} of {ROWS:,} rows: as they are {before:.1f} s, mapped {after:.1f} s ({before / after:.2f} of the throughput)", flush=True)


def two_tables(folder):
    update = "UPDATE child SET age = 3 + (age + 1) % 16"
    show("two tables", run(folder / "plain.db", make_database, update, [("tidegate.toml", EXISTING)], [PLAIN]),
         run(folder / "mapped.db", make_database, update, [("tidegate.toml", EXISTING + MAPS)], [MAPPED]))


def worked_example(folder):
    """With auth.users, identities, enums, foreign keys and all; unmapped, into tables that tidegate makes."""
    update = "UPDATE child_profile SET age = 3 + (age + 1) % 16"
    files = [(name, (EXAMPLE / name).read_text()) for name in ("tidegate.toml", "policies.sql")]
    migrations = [path.read_text() for path in sorted((EXAMPLE / "supabase" / "migrations").glob("*.sql"))]
    show("Flask to Supabase", run(folder / "app.db", make_example, update), run(folder / "app-mapped.db", make_example, update, files, migrations))


def main():
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as name:
        for bench in (two_tables, worked_example):
            bench(pathlib.Path(name))


if __name__ == "__main__":
    main()
