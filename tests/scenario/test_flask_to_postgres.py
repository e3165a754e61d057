#!/usr/bin/python3
"""The worked example of an app that keeps its ids: JSON columns become jsonb, many-to-many gets foreign keys, NOCASE names become citext and e-mails an
index over lower(), alembic_version comes along. The app writes all the while, tidegate is killed again and again; the judge computes each row
anew, in Python.

TIDEGATE_SEED repeats a run."""
import contextlib
import datetime
import decimal
import json
import os
import pathlib
import random
import sqlite3
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.legacy import LegacyApp                 # noqa: E402
from support.target import Target                    # noqa: E402
from support.tidegate import Tidegate, built         # noqa: E402

EXAMPLE = pathlib.Path(__file__).resolve().parent / "flask_to_postgres"
SEED = int(os.environ.get("TIDEGATE_SEED") or random.SystemRandom().randrange(10**9))
FAMILIES, RATE, KILLS, WAIT = 60, 40, 5, 120
KINDS = {dict: "object", list: "array", int: "integer", float: "real", str: "text", type(None): "null"}


def utc(text):
    return text and datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc)


def read_json(text):
    """A number in a column that SQLite takes for numeric comes as one."""
    return text if text is None else json.loads(str(text), parse_float=decimal.Decimal, parse_int=decimal.Decimal)


def kind_of(text):
    if text is None:
        return None
    found = json.loads(str(text))
    return str(found).lower() if isinstance(found, bool) else KINDS[type(found)]


def expected(path):
    """What each table of the target must hold, from the app's file."""
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as file:
        read = lambda what: file.execute(f"SELECT {what}").fetchall()    # noqa: E731
        return {
            "users": [(i, name, mail.strip(" "), bool(active), by, code, utc(at)) for i, name, mail, active, by, code, at
                      in read("id, username, email, is_active, referred_by, school_code, created_at FROM user")],
            "children": read("id, parent_id, name, age FROM child_profile"),
            "projects": [(i, child, title, read_json(data), kind_of(data), bool(public)) for i, child, title, data, public
                         in read("id, child_id, title, data, is_public FROM project")],
            "children_achievements": [(child, i, utc(at)) for child, i, at in read("child_id, achievement_id, awarded_at FROM child_achievement")],
            "school": read("id, code, name, rating FROM school"),
            "achievement": read("id, slug, name, points FROM achievement"),
            "alembic_version": read("version_num FROM alembic_version"),
        }


COLUMNS = {"users": "id, username::text, email, is_active, referred_by, school_code, created_at", "projects": "id, child_id, title, data::text, data_kind, is_public"}
ORPHANS = """
SELECT conrelid::regclass::text, confrelid::regclass::text, (SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1]),
  (SELECT attname FROM pg_attribute WHERE attrelid = confrelid AND attnum = confkey[1])
FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"""


def actual(target):
    tables = {table: target.query(f"SELECT {COLUMNS.get(table, '*')} FROM public.{table}") for table in
              ("users", "children", "projects", "children_achievements", "school", "achievement", "alembic_version")}
    tables["projects"] = [(*row[:3], read_json(row[3]), *row[4:]) for row in tables["projects"]]
    return tables


def by_key(rows):
    return sorted(rows, key=lambda row: row[:2] if isinstance(row[-1], datetime.datetime) else row[0])


class FlaskToPostgres(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print("seed", SEED, flush=True)
        cls.rng = random.Random(SEED)
        cls.app = cls.enterClassContext(LegacyApp(families=FAMILIES))

    def setUp(self):
        self.target = self.enterContext(Target())
        for migration in sorted((EXAMPLE / "supabase" / "migrations").glob("*.sql")):
            self.target.query(migration.read_text())
        self.tide = self.enterContext(Tidegate(self.app.path, self.target.url))
        (self.tide.base / "tidegate.toml").write_text((EXAMPLE / "tidegate.toml").read_text())

    def write(self, *statements):
        with contextlib.closing(sqlite3.connect(self.app.path, timeout=30)) as file, file:
            for statement in statements:
                file.execute(statement)

    def judge(self):
        self.tide.wait_phase("streaming", timeout=WAIT)
        self.tide.sync(timeout=WAIT)
        self.tide.wait_status(lambda status: status["quarantined"] == 0, WAIT, "an empty quarantine")
        expects, holds = expected(self.app.path), actual(self.target)
        for table, rows in expects.items():
            self.assertTrue(rows or "achievement" in table, table)   # the load may take the last one away
            self.assertEqual(by_key(holds[table]), by_key(rows), table)
        for child, parent, column, key in self.target.query(ORPHANS):
            alone = self.target.query(f"SELECT count(*) FROM {child} c WHERE {column} IS NOT NULL AND NOT EXISTS (SELECT FROM {parent} p WHERE p.{key} = c.{column})")
            self.assertEqual(alone, [(0,)], (child, parent))
        proven = self.tide.verb("verify", "--json")
        self.assertEqual((proven.code, json.loads(proven.out)["differences"], json.loads(proven.out)["remarks"]), (0, [], []), proven.err)

    def killed_under_load(self):
        load = self.app.load(rate=RATE, threads=2, seed=self.rng.randrange(10**9))
        self.addCleanup(load.stopping.set)
        for failpoint in ("load-after-commit:2", "apply-before-commit:2", "apply-after-commit:2"):
            self.tide.start(failpoint=failpoint)
            self.assertEqual(self.tide.wait(timeout=WAIT), -9, failpoint)
        for _ in range(KILLS):
            self.tide.start()
            time.sleep(0.5 + self.rng.random())
            self.tide.kill()
        self.tide.start()
        self.tide.wait_phase("streaming", timeout=WAIT)
        summary = load.stop()
        self.assertEqual(summary["failed"], {}, summary["errors"])

    def test_under_load_and_kills(self):
        self.killed_under_load()
        self.judge()
        self.write("UPDATE alembic_version SET version_num = 'f00dfeed0001'")
        self.judge()
        self.check_the_new_model()

    def check_the_new_model(self):
        """What the target's own types are for."""
        (number, name), = self.target.query("SELECT id, username::text FROM users ORDER BY id LIMIT 1")
        self.assertEqual(self.target.query("SELECT id FROM users WHERE username = %s::extensions.citext", (name.swapcase(),)), [(number,)])
        (kinds,), = self.target.query("SELECT count(*) FROM projects WHERE data @> '{}' AND data_kind <> 'object'")
        self.assertEqual(kinds, 0)
        for table in ("users", "children", "projects", "school", "achievement"):
            (next_id, most), = self.target.query(f"SELECT (SELECT last_value + is_called::int FROM {table}_id_seq), (SELECT max(id) FROM {table})")
            self.assertGreater(next_id, most, f"the next row of {table} gets an id of its own")

    def test_names_that_only_postgres_takes_for_equal_are_told(self):
        """NOCASE knows the letters a to z only; and SQLite's unique e-mails may differ in case."""
        user = "INSERT INTO user (id, email, username, password_hash, role, is_active, created_at) VALUES ({}, '{}', '{}', 'x', 'parent', 1, '2024-01-01 00:00:00')"
        self.write(user.format(90001, "a@example.test", "Ärger"), user.format(90002, "b@example.test", "ärger"),
                   user.format(90003, "C@example.test", "carl"), user.format(90004, "c@example.test", "cora"))
        self.addCleanup(self.write, "DELETE FROM user WHERE id > 90000")
        self.tide.start().wait_phase("streaming", timeout=WAIT)
        self.tide.wait_status(lambda status: status["quarantined"] == 2, WAIT, "two rows in quarantine")
        held = self.target.query("SELECT source_key, sqlstate, constraint_name FROM tidegate.quarantine ORDER BY 1")
        self.assertEqual({(state, constraint) for _, state, constraint in held}, {("23505", "users_username_key"), ("23505", "users_email_key")})
        listed = self.tide.verb("quarantine", "list").out
        self.assertIn("rejected by users_email_key", listed)
        proven = json.loads(self.tide.verb("verify", "--json").out)
        self.assertEqual((proven["differences"], sorted(one["table"] for one in proven["excepted"])), ([], ["user -> public.users"] * 2))
        self.write("UPDATE user SET username = 'Zorn' WHERE id = 90001", "UPDATE user SET email = 'c2@example.test' WHERE id = 90003")
        self.judge()


if __name__ == "__main__":
    sys.exit(unittest.main() if built() else 77)
