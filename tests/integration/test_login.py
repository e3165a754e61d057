#!/usr/bin/python3
"""login-check against the tables that a Supabase project has: hashes made by Python, rows as an import writes them."""
import base64
import contextlib
import hashlib
import json
import os
import pathlib
import pty
import select
import signal
import sqlite3
import subprocess
import sys
import tempfile
import termios
import time
import unittest
import uuid

import bcrypt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.target import Target                    # noqa: E402
from support.tidegate import BIN, Tidegate, built    # noqa: E402

DONE, REFUSED, USAGE = 0, 2, 4
PASSWORD = "Grünes Tor 7"
WAIT = 60   # seconds


def firebase(password, n=16384, r=8, p=1):
    signer, salt = b"any signer key at all, of any length", os.urandom(12)
    key = hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, dklen=32, maxmem=1 << 27)
    sealed = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(signer)
    signer, salt, sealed = (base64.b64encode(part).decode() for part in (signer, salt, sealed))
    return f"$fbscrypt$v=1,n={n.bit_length() - 1},r={r},p={p},sk={signer}${salt}${sealed}"


def bcrypted(password, prefix):
    return prefix + bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()[4:]


class LoginCheck(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.target = cls.enterClassContext(Target())
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        with contextlib.closing(sqlite3.connect(folder / "app.db")) as connection:
            connection.execute("CREATE TABLE note (id INTEGER PRIMARY KEY)")
        cls.tide = cls.enterClassContext(Tidegate(folder / "app.db", cls.target.url))

    def setUp(self):
        self.target.query("DELETE FROM auth.users")

    def user(self, email, stored, identity=True, **columns):
        """As complete as Supabase Auth wants it, but for what `columns` says."""
        key = str(uuid.uuid4())
        row = {"instance_id": "00000000-0000-0000-0000-000000000000", "id": key, "aud": "authenticated", "role": "authenticated",
               "email": email, "encrypted_password": stored, "email_confirmed_at": "2024-01-01", "confirmation_token": "",
               "recovery_token": "", "email_change_token_new": "", "email_change": "", "created_at": "2024-01-01",
               "updated_at": "2024-01-01", **columns}
        self.target.query(f"INSERT INTO auth.users ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})", list(row.values()))
        if identity:
            self.target.query("INSERT INTO auth.identities (provider_id, user_id, identity_data, provider) VALUES (%s, %s, %s, 'email')",
                              (key, key, json.dumps({"sub": key, "email": email})))
        return key

    def check(self, email, password, code):
        done = self.tide.verb("login-check", email, "--json", stdin=password + "\n")
        self.assertEqual(done.code, code, done)
        self.assertNotIn(password, done.out + done.err)
        return json.loads(done.out)

    def test_every_accepted_form(self):
        forms = {"2a": bcrypted(PASSWORD, "$2a$"), "2b": bcrypted(PASSWORD, "$2b$"), "2y": bcrypted(PASSWORD, "$2y$"),
                 "scrypt": firebase(PASSWORD), "scrypt2": firebase(PASSWORD, p=2)}
        for name, stored in forms.items():
            with self.subTest(name):
                self.user(f"{name}@example.org", stored)
                self.assertTrue(self.check(f"{name}@example.org", PASSWORD, DONE)["accepted"])
                self.assertTrue(self.check(f"{name.upper()}@Example.ORG", PASSWORD, DONE)["accepted"])
                wrong = self.check(f"{name}@example.org", PASSWORD + "x", REFUSED)
                self.assertEqual([obstacle["code"] for obstacle in wrong["obstacles"]], ["login-wrong-password"])

    def test_conditions_beside_the_password(self):
        stored = bcrypted(PASSWORD, "$2b$")
        broken = {"login-role": {"role": None}, "login-null-column": {"recovery_token": None}, "login-banned": {"banned_until": "2999-01-01"},
                  "login-not-confirmed": {"email_confirmed_at": None}, "login-no-identity": {"identity": False}, "login-not-found": {"aud": None},
                  "login-unusable-hash": {"encrypted_password": "pbkdf2:sha256:1000$salt$00"}}
        for code, columns in broken.items():
            with self.subTest(code):
                email = f"{code}@example.org"
                self.user(email, columns.pop("encrypted_password", stored), **columns)
                self.assertIn(code, [obstacle["code"] for obstacle in self.check(email, PASSWORD, REFUSED)["obstacles"]])
        self.user("past@example.org", stored, banned_until="2001-01-01")
        self.check("past@example.org", PASSWORD, DONE)
        self.assertEqual(self.check("nobody@example.org", PASSWORD, REFUSED)["obstacles"][0]["code"], "login-not-found")

    def test_two_spellings(self):
        for email in ("Ann@example.org", "ann@example.org"):
            self.user(email, bcrypted(PASSWORD, "$2b$"))
        self.assertIn("login-two-spellings", [o["code"] for o in self.check("ann@example.org", PASSWORD, REFUSED)["obstacles"]])

    def test_sample(self):
        for number in range(6):
            self.user(f"{number}@example.org", bcrypted(PASSWORD, "$2b$") if number % 2 else firebase(PASSWORD))
        waiting = self.user("reset@example.org", "")
        done = self.tide.verb("login-check", "--sample", 100, "--json")
        self.assertEqual(done.code, DONE, done)
        self.assertEqual(json.loads(done.out), {"users": 7, "kinds": {"bcrypt": 3, "firebase_scrypt": 3, "none": 1}, "refused": []})
        self.assertEqual(json.loads(self.tide.verb("login-check", "--sample", 3, "--json").out)["users"], 3)
        self.target.query("UPDATE auth.users SET encrypted_password = 'hunter2' WHERE id = %s", (waiting,))
        done = self.tide.verb("login-check", "--sample", 100)
        self.assertEqual(done.code, REFUSED, done)
        self.assertIn(waiting, done.out)
        self.assertNotIn("hunter2", done.out + done.err)

    def test_words(self):
        for words in ((), ("ann@example.org", "--sample", 3), ("--sample", 0)):
            self.assertEqual(self.tide.verb("login-check", *words).code, USAGE, words)
        self.assertEqual(self.tide.verb("login-check", "ann@example.org", stdin="").code, USAGE)

    def test_who_tried_is_in_the_audit(self):
        self.tide.start().wait_phase("streaming")
        self.addCleanup(self.tide.kill)
        self.tide.verb("login-check", "nobody@example.org", "--reason", "a parent called", stdin=PASSWORD + "\n")
        self.tide.verb("login-check", "--sample", 5)
        kept = self.tide.verb("audit", "--json").out
        entries = [(entry["reason"], entry["detail"]) for entry in map(json.loads, kept.splitlines()) if entry.get("action") == "login-check"]
        self.assertEqual(entries, [("a parent called", "one login"), ("", "a sample of 5")])
        self.assertNotIn(PASSWORD, kept)

    def on_terminal(self):
        """The verb's own terminal: (process, the terminal's other end)."""
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        process = subprocess.Popen([BIN / "tidegate", "login-check", "ann@example.org", "--state", str(self.tide.state)], env=self.tide.env(),
                                   cwd=self.tide.base, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        return process, master

    def read_until(self, master, wanted):
        seen, deadline = b"", time.monotonic() + WAIT
        while wanted not in seen and time.monotonic() < deadline:
            if select.select([master], [], [], 1)[0]:
                try:
                    seen += os.read(master, 1000)
                except OSError:
                    break
        self.assertIn(wanted, seen)
        return seen

    def test_terminal_shows_no_password(self):
        self.user("ann@example.org", bcrypted(PASSWORD, "$2b$"))
        process, master = self.on_terminal()
        self.read_until(master, b"Password of ann@example.org:")
        self.wait_for_silence(master)
        os.write(master, PASSWORD.encode() + b"\n")
        seen = self.read_until(master, b"would accept")
        self.assertEqual(process.wait(WAIT), DONE)
        self.assertNotIn(PASSWORD.encode(), seen)

    def test_a_signal_leaves_the_terminal_as_it_was(self):
        process, master = self.on_terminal()
        self.read_until(master, b"Password of")
        self.wait_for_silence(master)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(WAIT), -signal.SIGINT)
        self.assertTrue(echoes(master))

    def wait_for_silence(self, master):
        deadline = time.monotonic() + WAIT
        while echoes(master):
            self.assertLess(time.monotonic(), deadline, "the terminal still echoes")
            time.sleep(0.02)


def echoes(terminal):
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


if __name__ == "__main__":
    sys.exit(unittest.main() if built() else 77)
