#!/usr/bin/python3
"""The worked example: a Flask app's SQLite file, written to all the while, becomes users who can log in and tables with UUIDs, enums and
policies. tidegate is killed again and again; the judge computes each row anew, in Python.

TIDEGATE_SEED repeats a run."""
import base64
import contextlib
import datetime
import decimal
import hashlib
import json
import os
import pathlib
import random
import sqlite3
import sys
import time
import unittest
import uuid

import bcrypt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.legacy import LegacyApp                 # noqa: E402
from support.target import PAST_THE_FENCE, Target                    # noqa: E402
from support.tidegate import Tidegate, built         # noqa: E402

EXAMPLE = pathlib.Path(__file__).resolve().parent / "flask_to_supabase"
ALL_PIPELINES = uuid.UUID("3f0f2f1e-6a0b-4c8e-9a57-0d6c1b8a4e52")   # apply/mapping/uuid.cpp
SEED = int(os.environ.get("TIDEGATE_SEED") or random.SystemRandom().randrange(10**9))
FAMILIES, RATE, KILLS, WAIT = 60, 40, 6, 120
PASSWORD = "offenes Tor 5"
KNOWN = {"$2b$": "bcrypt", "scrypt:": "firebase_scrypt"}    # what becomes of a hash that can be carried over


def scrypt(password, salt, n=16384, r=8, p=1):
    """As werkzeug 3 writes it."""
    return f"scrypt:{n}:{r}:{p}${salt}$" + hashlib.scrypt(password.encode(), salt=salt.encode(), n=n, r=r, p=p, maxmem=1 << 27).hex()


def pbkdf2(password, salt):
    return f"pbkdf2:sha256:1000${salt}$" + hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), 1000).hex()


def mixed_hashes(path, rng):
    """A long-lived app holds several kinds: its first users get one each."""
    made = [lambda: bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode(), lambda: scrypt(PASSWORD, f"{rng.randrange(10**12):016}"),
            lambda: pbkdf2(PASSWORD, "0123456789abcdef"), lambda: bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4, b"2a")).decode()]
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as file, file:
        for key, in file.execute("SELECT id FROM user ORDER BY id LIMIT 24").fetchall():
            file.execute("UPDATE user SET password_hash = ?, email = ? WHERE id = ?", (made[key % 4](), f"Parent{key}@Example.TEST", key))


def uuid_of(*name):
    if None in name:
        return None
    return str(uuid.uuid5(uuid.uuid5(ALL_PIPELINES, "codopia"), json.dumps(name, separators=(",", ":"), ensure_ascii=False)))


def utc(text):
    return text and datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc)


def read_json(text):
    """A number in a column that SQLite takes for numeric comes as one."""
    return text if text is None else json.loads(str(text), parse_float=decimal.Decimal, parse_int=decimal.Decimal)


def same_password(stored, carried):
    """Is what the target holds right for what the app holds?"""
    if stored.startswith(("$2a$", "$2b$")):
        return carried == stored
    if not stored.startswith("scrypt:"):
        return carried == ""
    method, salt, digest = stored.split("$")
    _, n, r, p = method.split(":")
    _, form, settings, its_salt, sealed = carried.split("$")
    given = dict(setting.split("=", 1) for setting in settings.split(","))
    opened = Cipher(algorithms.AES(bytes.fromhex(digest)[:32]), modes.CTR(bytes(16))).encryptor().update(base64.b64decode(sealed))
    return (form, given["v"], 1 << int(given["n"]), given["r"], given["p"]) == ("fbscrypt", "1", int(n), r, p) \
        and base64.b64decode(its_salt) == salt.encode() and opened == base64.b64decode(given["sk"])


def score_of(number):
    return None if number is None else decimal.Decimal(repr(number)).quantize(decimal.Decimal("0.01"))


def expected(path):
    """What each table of the target must hold, from the app's file."""
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as file:
        read = lambda what: file.execute(f"SELECT {what}").fetchall()    # noqa: E731
        users = read("id, email, username, role, is_active, referred_by, created_at, last_login FROM user")
        return {
            "auth.users": sorted(
                (uuid_of("user", i), email.strip().lower(), {"provider": "email", "providers": ["email"], "role": role}, {"username": name},
                 utc(at), utc(at), utc(at), utc(seen)) for i, email, name, role, _, _, at, seen in users),
            "auth.identities": sorted(
                (uuid_of("user", i), uuid_of("user", i), "email",
                 {"sub": uuid_of("user", i), "email": email.strip().lower(), "email_verified": True, "phone_verified": False},
                 utc(at), utc(seen)) for i, email, _, _, _, _, at, seen in users),
            "public.profiles": sorted(
                (uuid_of("user", i), email.strip().lower(), name, role, bool(active), uuid_of("user", by), utc(at))
                for i, email, name, role, active, by, at, _ in users),
            "public.children": sorted((uuid_of("child", i), uuid_of("user", parent), name, age, tier, born) for i, parent, name, age, tier, born
                                      in read("id, parent_id, name, age, tier, birthday FROM child_profile")),
            "public.projects": sorted((uuid_of("project", i), uuid_of("child", child), title, about, read_json(data), bool(public), utc(at))
                                      for i, child, title, about, data, public, at
                                      in read("id, child_id, title, description, data, is_public, created_at FROM project")),
            "public.lesson_progress": sorted((uuid_of("progress", i), uuid_of("child", child), lesson, score_of(score), bool(done))
                                             for i, child, lesson, score, done
                                             in read("id, child_id, lesson_id, score, completed FROM progress")),
            "public.achievements": sorted((uuid_of("achievement", i), slug, name, points)
                                          for i, slug, name, points in read("id, slug, name, points FROM achievement")),
            "public.user_achievements": sorted((uuid_of("child", child), uuid_of("achievement", i), utc(at))
                                               for child, i, at in read("child_id, achievement_id, awarded_at FROM child_achievement")),
        }


COLUMNS = {
    "auth.users": "id::text, email, raw_app_meta_data, raw_user_meta_data, created_at, updated_at, email_confirmed_at, last_sign_in_at",
    "auth.identities": "user_id::text, provider_id, provider, identity_data, created_at, last_sign_in_at",
    "public.profiles": "id::text, email, username, role::text, is_active, referred_by::text, created_at",
    "public.children": "id::text, parent_id::text, name, age, tier::text, birthday::text",
    "public.projects": "id::text, child_id::text, title, description, data::text, is_public, created_at",
    "public.lesson_progress": "id::text, child_id::text, lesson_id, score, completed",
    "public.achievements": "id::text, slug, name, points",
    "public.user_achievements": "child_id::text, achievement_id::text, awarded_at",
}
ORPHANS = """
SELECT 'profiles', count(*) FROM public.profiles p WHERE NOT EXISTS (SELECT FROM auth.users u WHERE u.id = p.id)
UNION ALL SELECT 'identities', count(*) FROM auth.identities i WHERE NOT EXISTS (SELECT FROM auth.users u WHERE u.id = i.user_id)
UNION ALL SELECT 'children', count(*) FROM public.children c WHERE NOT EXISTS (SELECT FROM public.profiles p WHERE p.id = c.parent_id)
UNION ALL SELECT 'projects', count(*) FROM public.projects c WHERE NOT EXISTS (SELECT FROM public.children p WHERE p.id = c.child_id)
UNION ALL SELECT 'lesson_progress', count(*) FROM public.lesson_progress c WHERE NOT EXISTS (SELECT FROM public.children p WHERE p.id = c.child_id)
UNION ALL SELECT 'user_achievements', count(*) FROM public.user_achievements c WHERE NOT EXISTS (SELECT FROM public.children p WHERE p.id = c.child_id)
UNION ALL SELECT 'achievements', count(*) FROM public.user_achievements c WHERE NOT EXISTS (SELECT FROM public.achievements p WHERE p.id = c.achievement_id)
"""


def actual(target):
    tables = {table: target.query(f"SELECT {columns} FROM {table}") for table, columns in COLUMNS.items()}
    tables["public.projects"] = [(*row[:4], read_json(row[4]), *row[5:]) for row in tables["public.projects"]]
    return {table: sorted(rows, key=lambda row: row[:2]) for table, rows in tables.items()}


def whole_rows(target):
    """Everything, as the server prints it."""
    return {table: target.query(f"SELECT t::text FROM {table} t ORDER BY 1") for table in COLUMNS}


def migrated(target):
    for migration in sorted((EXAMPLE / "supabase" / "migrations").glob("*.sql")):
        target.query(migration.read_text())
    return target


class FlaskToSupabase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print("seed", SEED, flush=True)
        cls.rng = random.Random(SEED)
        cls.app = cls.enterClassContext(LegacyApp(families=FAMILIES))
        mixed_hashes(cls.app.path, cls.rng)

    def pipeline(self, target):
        tide = self.enterContext(Tidegate(self.app.path, target.url))
        for name in ("tidegate.toml", "policies.sql"):
            (tide.base / name).write_text((EXAMPLE / name).read_text())
        return tide

    def judge(self, tide, target):
        tide.wait_phase("streaming", timeout=WAIT)
        tide.sync(timeout=WAIT)
        tide.wait_status(lambda status: status["quarantined"] == 0, WAIT, "an empty quarantine: children come when their parents do")
        expects, holds = expected(self.app.path), actual(target)
        for table, rows in expects.items():
            self.assertGreater(len(rows), 0, table)
            self.assertEqual(holds[table], sorted(rows, key=lambda row: row[:2]), table)
        self.assertEqual({name: count for name, count in target.query(ORPHANS) if count}, {})
        self.assertEqual(target.query("SELECT source_table, source_key, column_name, reason FROM tidegate.quarantine"), [])
        self.check_passwords(target)

    def check_passwords(self, target):
        carried = dict(target.query("SELECT id::text, encrypted_password FROM auth.users"))
        with contextlib.closing(sqlite3.connect(self.app.path, timeout=30)) as file:
            for key, stored in file.execute("SELECT id, password_hash FROM user"):
                self.assertTrue(same_password(stored, carried[uuid_of("user", key)]), key)

    def killed_under_load(self, tide):
        load = self.app.load(rate=RATE, threads=2, seed=self.rng.randrange(10**9))
        self.addCleanup(load.stopping.set)
        for failpoint in ("load-after-commit:2", "post-sql-before-commit", "post-sql-after-commit", "realtime-before-commit", "realtime-after-commit", "apply-before-commit:2",
                          "apply-after-commit:2"):
            tide.start(failpoint=failpoint)
            self.assertEqual(tide.wait(timeout=WAIT), -9, failpoint)
        for _ in range(KILLS):
            tide.start()
            time.sleep(0.5 + self.rng.random())
            tide.kill()
        tide.start()
        tide.wait_phase("streaming", timeout=WAIT)
        summary = load.stop()
        self.assertEqual(summary["failed"], {}, summary["errors"])

    def test_users_log_in_and_rows_arrive(self):
        target = migrated(self.enterContext(Target()))
        tide = self.pipeline(target)
        self.killed_under_load(tide)
        self.judge(tide, target)
        self.check_logins(tide, target)
        self.check_policies(target)
        self.check_verify(tide, target)
        self.check_plan(tide)
        again = migrated(self.enterContext(Target()))
        second = self.pipeline(again)
        second.start()
        self.judge(second, again)
        self.assertEqual(whole_rows(again), whole_rows(target), "a second run from the same source gives the same rows, byte for byte")

    def check_logins(self, tide, target):
        """At least one user of each kind of hash, with the right password and a wrong one."""
        with contextlib.closing(sqlite3.connect(self.app.path, timeout=30)) as file:
            users = file.execute("SELECT email, password_hash FROM user WHERE email LIKE 'Parent%@Example.TEST'").fetchall()
        kinds = set()
        for email, stored in users:
            kind = next((kind for start, kind in KNOWN.items() if stored.startswith(start)), None)
            if kind in kinds:
                continue
            kinds.add(kind)
            right = tide.verb("login-check", email, "--json", stdin=PASSWORD + "\n")
            self.assertEqual((right.code, json.loads(right.out)["hash"]), (0, kind) if kind else (2, json.loads(right.out)["hash"]), right)
            self.assertEqual(tide.verb("login-check", email, stdin="another\n").code, 2)
        self.assertLessEqual(set(KNOWN.values()), kinds, "the load left users of each kind")
        sample = tide.verb("login-check", "--sample", 1000, "--json")
        self.assertEqual((sample.code, json.loads(sample.out)["refused"]), (0, []), sample)

    def check_plan(self, tide):
        """What a way back could take back is said before anything runs."""
        plan = json.loads(tide.verb("plan", "--json", "--source", self.app.path).out)
        user, = (each for each in plan["way_back"] if each["table"] == "user")
        self.assertEqual((user["remembered"], user["lost"], user["unread"]), (["id", "referred_by"], ["email", "password_hash"], ["school_code"]))
        shown = tide.verb("plan", "--source", self.app.path).out
        self.assertIn("changes would be lost, since expressions make something else of it: email, password_hash", shown)

    def check_verify(self, tide, target):
        """tidegate's own proof says the same as the judge, and sees what somebody changed."""
        proven = tide.verb("verify", "--json")
        self.assertEqual((proven.code, json.loads(proven.out)["differences"], json.loads(proven.out)["remarks"]), (0, [], []), proven.err)
        self.assertEqual({table["target"] for table in json.loads(proven.out)["tables"]} - set(COLUMNS), set())
        (user,), = target.query("SELECT id::text FROM auth.users ORDER BY id LIMIT 1")
        (before,), = target.query("SELECT email FROM auth.users WHERE id = %s", (user,))
        target.query(PAST_THE_FENCE + "UPDATE auth.users SET email = 'x' || email WHERE id = %s", (user,))
        seen = json.loads(tide.verb("verify", "--json", "--table", "auth.users").out)
        self.assertEqual([(one["table"], one["key"], one["kind"], one["columns"]) for one in seen["differences"]],
                         [("user -> auth.users", [user], "differs", ["email"])])
        self.assertNotIn(before, json.dumps(seen))
        self.assertEqual(tide.verb("repair").code, 0)

    def check_policies(self, target):
        """A parent sees her own children and nobody else's; clients are told of projects alone."""
        self.assertEqual(target.query("SELECT file FROM tidegate.post_sql"), [("policies.sql",)])
        self.assertEqual(target.query("SELECT tablename::text FROM pg_publication_tables WHERE pubname = 'supabase_realtime'"), [("projects",)])
        (parent, own), = target.query("SELECT parent_id::text, count(*) FROM public.children GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1")
        connection = target.connect()
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT set_config('request.jwt.claims', %s, true)", (json.dumps({"sub": parent, "role": "authenticated"}),))
            cursor.execute("SET LOCAL ROLE authenticated")
            cursor.execute("SELECT count(*) FROM public.children")
            self.assertEqual(cursor.fetchone()[0], own)
        connection.close()


if __name__ == "__main__":
    sys.exit(unittest.main() if built() else 77)
