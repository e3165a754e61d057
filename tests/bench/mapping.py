#!/usr/bin/python3
"""A mapped snapshot and stream against the same rows as they are. See README.md."""
import os
import pathlib
import sqlite3
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from bench import timed                      # noqa: E402
from support.target import Target            # noqa: E402
from support.tidegate import Tidegate        # noqa: E402

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


def change_all(path):
    connection = sqlite3.connect(path, timeout=60)
    with connection:
        connection.execute("UPDATE child SET age = 3 + (age + 1) % 16")
    connection.close()


def run(folder, name, migrations, config):
    """Seconds until the rows are there, and until a change of all children is."""
    path = folder / f"{name}.db"
    make_database(path)
    with Target() as target, Tidegate(path, target.url) as tide:
        target.query(migrations)
        (tide.base / "tidegate.toml").write_text(config)
        snapshot = timed(lambda: (tide.start(), tide.wait_phase("streaming", timeout=600)))
        tide.sync(timeout=600)
        stream = timed(lambda: (change_all(path), tide.sync(timeout=600)))
        tide.stop()
    return snapshot, stream


def main():
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as name:
        folder = pathlib.Path(name)
        plain, mapped = run(folder, "plain", PLAIN, EXISTING), run(folder, "mapped", MAPPED, EXISTING + MAPS)
    for what, before, after in zip(("snapshot", "stream"), plain, mapped):
        print(f"{what} of {ROWS:,} rows: as they are {before:.1f} s, mapped {after:.1f} s ({before / after:.2f} of the throughput)")


if __name__ == "__main__":
    main()
