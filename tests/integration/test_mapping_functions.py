#!/usr/bin/python3
"""The functions of a mapping where they are used: hashes that still let their users in, names, telephone numbers and arrays on the target."""
import contextlib
import hashlib
import pathlib
import shutil
import sqlite3
import sys
import tempfile
import unittest

import bcrypt

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.target import Target                # noqa: E402
from support.tidegate import Tidegate, built     # noqa: E402

SECRET, PASSWORD = "0123456789abcdef0123456789abcdef", "open sesame"
MIGRATION = """CREATE TABLE public.people (id bigint PRIMARY KEY, hash text NOT NULL, kind text NOT NULL, first text, last text, phone text,
                                           tags text[], at timestamptz, email text)"""
CONFIG = """
[pipeline]
name = "codopia"
[target]
schema = "existing"
[[map]]
from = "user"
[[map.to]]
table = "public.people"
columns = { id = "id", hash = "coalesce(nullif(password_hash(password), ''), temporary_password(id))", kind = "password_kind(password)", first = "split_name(name, 'first')", last = "split_name(name, 'last')", phone = "e164(phone, 'DE')", tags = "json_to_array(tags)", at = "epoch_to_iso(at)", email = "coalesce(email, missing_email(id, 'none.invalid'))" }
"""


class MappingFunctions(unittest.TestCase):
    def setUp(self):
        self.target = self.enterContext(Target())
        self.target.query(MIGRATION)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-functions-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.source = self.dir / "app.db"
        self.write("CREATE TABLE user (id INTEGER PRIMARY KEY, password TEXT, name TEXT, phone TEXT, tags JSON, at INTEGER, email TEXT)")
        self.tide = Tidegate(self.source, self.target.url, env={"TIDEGATE_CREDENTIALS_SECRET": SECRET})
        self.addCleanup(self.tide.__exit__)
        (self.tide.base / "tidegate.toml").write_text(CONFIG)

    def write(self, text, *values):
        with contextlib.closing(sqlite3.connect(self.source, timeout=10)) as connection, connection:
            connection.execute(text, values)

    def user(self, key, password, name="Ann van Berg", phone="030 1234567", tags='["a", "b,c"]'):
        self.write("INSERT INTO user VALUES (?, ?, ?, ?, ?, 1709209800, NULL)", key, password, name, phone, tags)

    def test_rows_are_made_by_functions(self):
        kept = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        scrypt = "scrypt:16384:8:1$salt$" + hashlib.scrypt(PASSWORD.encode(), salt=b"salt", n=16384, r=8, p=1, maxmem=1 << 27).hex()
        self.user(1, kept)
        self.user(2, scrypt)
        self.user(57, "pbkdf2:sha256:1000$salt$00")
        self.user(4, kept, phone="ask her mother")
        self.tide.start().wait_phase("streaming")
        self.user(5, f"b'{kept}'", name="Berg, Maria", phone=None, tags=None)
        self.tide.sync()
        rows = {row[0]: row[1:] for row in self.target.query("SELECT id, hash, kind, first, last, phone, tags, at::text, email FROM public.people")}
        self.assertEqual(rows[1][:6], (kept, "bcrypt", "Ann", "van Berg", "+49301234567", ["a", "b,c"]))
        self.assertTrue(rows[1][6].startswith("2024-02-29 "), rows[1][6])
        self.assertEqual(rows[1][7], "no-email-1@none.invalid")
        self.assertTrue(rows[2][0].startswith("$fbscrypt$v=1,n=14,r=8,p=1,"), rows[2])
        # The same vector as in tests/unit/password_test.cpp, made in Python.
        self.assertEqual(rows[57][:2], ("$2b$04$kc/pInPV.UHtZN9Jvtesz.yc7BJUXU1gBXTzr2biJilPHfxfuNSgC", "werkzeug_pbkdf2"))
        self.assertEqual(rows[5][:6], (kept, "bcrypt", "Maria", "Berg", None, None))
        self.assertNotIn(4, rows)
        self.assertEqual(self.target.query("SELECT source_key, column_name, reason FROM tidegate.quarantine"),
                         [("[4]", "phone", "expression_failed")])
        for hidden in ("ask her mother", kept, SECRET):
            self.assertNotIn(hidden, self.tide.log)

    def test_another_secret_is_another_mapping(self):
        self.user(1, "!")
        self.tide.start().wait_phase("streaming")
        self.tide.kill()
        self.tide.more_env["TIDEGATE_CREDENTIALS_SECRET"] = "another secret of sixteen bytes or more"
        self.tide.start()
        self.assertNotEqual(self.tide.wait(), 0)
        self.assertIn("the mapping is not the one", self.tide.log)


if __name__ == "__main__":
    sys.exit(unittest.main() if built() else 77)
