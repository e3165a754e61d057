#!/usr/bin/python3
"""preset = "supabase-auth" end to end: what doctor says of the users beforehand, what arrives, and what `credentials export` gives for those
whose old password could not be carried over. Passwords are made anew here, in Python."""
import contextlib
import csv
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import sqlite3
import stat
import sys
import tempfile
import unittest

import bcrypt

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.target import Target                # noqa: E402
from support.tidegate import Tidegate, built     # noqa: E402

DONE, REFUSED, USAGE = 0, 2, 4
SECRET, PASSWORD = "0123456789abcdef0123456789abcdef", "open sesame"
LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
SOURCE = """
CREATE TABLE user (id INTEGER PRIMARY KEY, email VARCHAR(120), password_hash VARCHAR(128), role VARCHAR(20), created_at DATETIME);
CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES user(id), tier VARCHAR(20), name VARCHAR(80));
"""
MIGRATION = """
CREATE TYPE public.tier AS ENUM ('gold', 'silver');
CREATE TABLE public.profiles (id uuid PRIMARY KEY REFERENCES auth.users, role varchar(8) NOT NULL);
CREATE TABLE public.children (id uuid PRIMARY KEY, parent_id uuid NOT NULL REFERENCES public.profiles, tier public.tier NOT NULL, name text);
"""
CONFIG = """
[pipeline]
name = "school"
[target]
schema = "existing"
[[map]]
from = "user"
preset = "supabase-auth"
email = "email"
password = "password_hash"
missing_password = "{remedy}"
created_at = "created_at"
app_metadata = {{ role = "role" }}
[[map.to]]
table = "public.profiles"
columns = {{ id = "uuid('user', id)", role = "role" }}
[[map]]
from = "child"
[[map.to]]
table = "public.children"
types = {{ tier = "public.tier" }}
columns = {{ id = "uuid('child', id)", parent_id = "uuid('user', parent_id)", tier = "tier", name = "name" }}
"""


def werkzeug(password):
    return "scrypt:16384:8:1$0123456789abcdef$" + hashlib.scrypt(password.encode(), salt=b"0123456789abcdef", n=16384, r=8, p=1,
                                                                 maxmem=1 << 27).hex()


def temporary_password(key):
    """As apply/mapping/functions/README.md says it."""
    material = hmac.new(SECRET.encode(), b"\0".join([b"tidegate temporary password 1", b"password", b"school", f"[{key}]".encode()]),
                        hashlib.sha256).digest()
    bits = "".join(f"{byte:08b}" for byte in material)
    letters = "".join(LETTERS[int(bits[5 * n:5 * n + 5], 2)] for n in range(20))
    return "-".join(letters[n:n + 4] for n in range(0, 20, 4))


TWO_TABLES = """
[pipeline]
name = "school"
[target]
schema = "existing"
[tables]
include = ["teacher", "parent"]
[[map]]
from = "teacher"
preset = "supabase-auth"
email = "email"
missing_email = "example.org"
missing_password = "temporary"
{teacher}
[[map]]
from = "parent"
preset = "supabase-auth"
email = "email"
missing_email = "example.org"
missing_password = "temporary"
{parent}
"""


class Credentials(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.target = cls.enterClassContext(Target())
        cls.hash = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-credentials-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.target.query("SET client_min_messages = warning; DROP SCHEMA IF EXISTS tidegate CASCADE; "
                          "DROP TABLE IF EXISTS public.children, public.profiles; DROP TYPE IF EXISTS public.tier; DELETE FROM auth.users")
        self.target.query(MIGRATION)
        self.source = self.dir / "app.db"
        self.write(SOURCE, [])
        self.users([(1, "Ann@Example.org", self.hash, "parent"), (2, "ben@example.org", werkzeug(PASSWORD), "parent"),
                    (3, "cleo@example.org", "pbkdf2:sha256:1000$salt$00", "teacher"), (4, "dan@example.org", None, "parent"),
                    (5, "eve@example.org", "pbkdf2:sha1:1000$salt$00", "parent")])

    def write(self, script, rows):
        with contextlib.closing(sqlite3.connect(self.source)) as connection, connection:
            (connection.executemany if rows else lambda text, _: connection.executescript(text))(script, rows)

    def users(self, rows):
        self.write("INSERT INTO user VALUES (?, ?, ?, ?, '2024-01-02 03:04:05')", rows)

    def children(self, rows):
        self.write("INSERT INTO child VALUES (?, ?, ?, 'Kim')", rows)

    def pipeline(self, remedy, secret=SECRET):
        tide = Tidegate(self.source, self.target.url, env={"TIDEGATE_CREDENTIALS_SECRET": secret, "TIDEGATE_SOURCE_URL": str(self.source)})
        self.addCleanup(tide.__exit__)
        (tide.base / "tidegate.toml").write_text(CONFIG.format(remedy=remedy))
        return tide

    def findings(self, tide):
        done = tide.verb("doctor", "--json", "--allow-wal")
        self.assertIn(done.code, (DONE, REFUSED), done)
        for hidden in ("example.org", "pbkdf2:", "hunter2", "bronze", SECRET):
            self.assertNotIn(hidden, done.out + done.err)
        return {finding["code"]: finding["message"] for finding in json.loads(done.out)["findings"]}

    def test_two_tables_of_users(self):
        """Who has the same key in both is two people, and each table's rows stay its own."""
        ids = [("", ""), ("id = \"uuid('user', 'teacher', id)\"", "id = \"uuid('user', 'parent', id)\"")]
        for teacher, parent in ids:
            with self.subTest(teacher):
                self.write("DROP TABLE IF EXISTS teacher; DROP TABLE IF EXISTS parent; CREATE TABLE teacher (id INTEGER PRIMARY KEY, email TEXT);"
                           "CREATE TABLE parent (id INTEGER PRIMARY KEY, email TEXT); INSERT INTO teacher VALUES (5, NULL), (6, 'six@example.org');"
                           "INSERT INTO parent VALUES (5, NULL), (7, 'seven@example.org')", [])
                tide = self.pipeline("temporary")
                (tide.base / "tidegate.toml").write_text(TWO_TABLES.format(teacher=teacher, parent=parent))
                tide.start().wait_phase("streaming")
                read = "SELECT count(*), count(DISTINCT u.id), count(DISTINCT email), count(DISTINCT encrypted_password) FROM auth.users AS u"
                self.assertEqual(self.target.query(read), [(4, 4, 4, 4)])
                self.assertEqual(self.target.query("SELECT count(DISTINCT i.id), count(DISTINCT user_id) FROM auth.identities AS i"), [(4, 4)])
                self.export(tide, f"two-{bool(teacher)}.csv")
                with (self.dir / f"two-{bool(teacher)}.csv").open() as file:
                    for row in csv.DictReader(file):
                        stored, = self.target.query(f"SELECT encrypted_password FROM auth.users WHERE id = '{row['id']}'")
                        self.assertTrue(bcrypt.checkpw(row["temporary_password"].encode(), stored[0].encode()))
                self.write("DELETE FROM teacher WHERE id = 5; UPDATE parent SET email = 'five@example.org' WHERE id = 5", [])
                tide.sync()
                self.assertEqual(self.target.query("SELECT email FROM auth.users ORDER BY 1"),
                                 [("five@example.org",), ("seven@example.org",), ("six@example.org",)])
                self.assertEqual(tide.verb("verify").code, DONE)
                tide.stop()
                self.assertEqual(tide.verb("reset", "--target", "--confirm", "school").code, DONE)
                self.assertEqual(self.target.query("SELECT count(*) FROM auth.users"), [(0,)])

    def export(self, tide, name="credentials.csv", code=DONE):
        done = tide.verb("credentials", "export", "--out", self.dir / name, "--reason", "letters to parents")
        self.assertEqual(done.code, code, done)
        self.assertNotIn(temporary_password(3), done.out + done.err)
        if code:
            return done
        self.assertEqual(stat.S_IMODE(os.stat(self.dir / name).st_mode), 0o600)
        with open(self.dir / name, encoding="utf-8", newline="") as file:
            return {row["email"]: (row["kind"], row["remedy"], row["temporary_password"]) for row in csv.DictReader(file)}

    def login(self, tide, email, password, code):
        done = tide.verb("login-check", email, stdin=password + "\n")
        self.assertEqual(done.code, code, done)

    def test_a_reset_for_those_whose_hash_cannot_be_carried_over(self):
        tide = self.pipeline("reset")
        said = self.findings(tide)
        self.assertIn("passwords-not-carried", said)
        self.assertEqual(self.export(tide, code=REFUSED).out, "")
        self.assertFalse((self.dir / "credentials.csv").exists())
        tide.start().wait_phase("streaming")
        self.login(tide, "ann@example.org", PASSWORD, DONE)
        self.login(tide, "ben@example.org", PASSWORD, DONE)
        self.login(tide, "cleo@example.org", PASSWORD, REFUSED)
        self.assertEqual(self.export(tide), {"cleo@example.org": ("werkzeug_pbkdf2", "reset", ""), "dan@example.org": ("none", "reset", ""),
                                             "eve@example.org": ("werkzeug_pbkdf2", "reset", "")})
        self.assertEqual(self.export(tide, code=REFUSED).out, "", "a file that is there is not overwritten")
        kept = [json.loads(line) for line in tide.verb("audit", "--json").out.splitlines()]
        self.assertIn("letters to parents", [entry.get("reason") for entry in kept if entry.get("action") == "credentials export"])

    def test_temporary_passwords(self):
        tide = self.pipeline("temporary")
        tide.start().wait_phase("streaming")
        self.login(tide, "ann@example.org", PASSWORD, DONE)
        for key, email in ((3, "cleo@example.org"), (4, "dan@example.org")):
            self.login(tide, email, temporary_password(key), DONE)
        self.target.query("UPDATE auth.users SET encrypted_password = %s WHERE email = 'eve@example.org'", (self.hash,))
        self.assertEqual(self.export(tide), {"cleo@example.org": ("werkzeug_pbkdf2", "temporary password", temporary_password(3)),
                                             "dan@example.org": ("none", "temporary password", temporary_password(4))},
                         "who has another password by now is not listed")
        tide.kill()
        other = self.pipeline("temporary", secret="another secret of 16 bytes or more")
        other.state = tide.state
        other.start()
        self.assertNotEqual(other.wait(), 0)
        self.assertIn("the mapping is not the one", other.log)

    def test_without_a_secret_there_are_no_temporary_passwords(self):
        done = self.pipeline("temporary", secret="").verb("doctor", "--json")
        self.assertEqual(done.code, USAGE)
        self.assertIn("no-credentials-secret", done.err)
        done = self.pipeline("temporary", secret="short").verb("doctor", "--json")
        self.assertIn("credentials-secret-short", done.out + done.err)

    def test_doctor_finds_what_will_not_arrive(self):
        self.users([(6, "ANN@example.org ", self.hash, "parent"), (7, "gus@example.org", "hunter2", "headmistress")])
        self.children([(1, 1, "gold"), (2, 99, "gold"), (3, 98, "silver"), (4, 2, "bronze"), (5, 2, None), (6, None, "gold")])
        said = self.findings(self.pipeline("reset"))
        self.assertIn("user [1], user [6]", said["email-twice"])
        self.assertIn("2 rows (the first: child [2], child [3])", said["map-orphans"])
        self.assertIn("column tier of public.children is an enum, and has no such value as 1 row (the first: child [4])", said["map-enum"])
        self.assertIn("map-null", said)
        self.assertIn("column role of public.profiles does not fit (too_long) in 1 row (the first: user [7])", said["map-misfit"])
        self.assertIn("passwords-not-carried", said)

    def test_doctor_has_nothing_to_say_of_good_rows(self):
        self.write("DELETE FROM user WHERE id > 2", [])
        self.children([(1, 1, "gold"), (2, 2, "silver")])
        said = self.findings(self.pipeline("reset"))
        self.assertEqual({code for code in said if code.startswith(("map-", "email", "passwords"))}, set())

    def test_what_the_preset_makes_is_shown(self):
        shown = self.pipeline("reset").verb("config", "show").out
        self.assertIn("password_hash(password_hash)", shown)
        self.assertIn('table = "auth.identities"', shown)


if __name__ == "__main__":
    sys.exit(unittest.main() if built() else 77)
