#!/usr/bin/python3
"""What a newcomer does wrong: one clear sentence with the way out, the right exit code, nothing half-done left behind."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.target import TOOL, Target                  # noqa: E402
from support.tidegate import BIN, Done, Tidegate, built   # noqa: E402

FAILED, REFUSED, USAGE = 1, 2, 4
SECRET = "kl3-geheim"      # stands in every wrong URL, and must not stand in any output
SCHEMA = """
CREATE TABLE school (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL);
CREATE TABLE pupil (id INTEGER PRIMARY KEY, school_id INTEGER REFERENCES school(id), name VARCHAR(40));
INSERT INTO school VALUES (1, 'North'), (2, 'South');
INSERT INTO pupil VALUES (10, 1, 'Ada'), (11, 2, 'Ben');
"""


def make_source(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
    return path


class Newcomer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.target = cls.enterClassContext(Target())

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-newcomer-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.source = make_source(self.dir / "app.db")
        self.state = self.dir / "state"
        self.empty_target()

    def empty_target(self):
        self.target.query("SET client_min_messages = warning; DROP SCHEMA IF EXISTS tidegate CASCADE; "
                          "DROP TABLE IF EXISTS public.school, public.pupil CASCADE")

    def url(self, user="postgres", password=SECRET, place=None, database="postgres"):
        scheme, rest = self.target.url.split("://")
        address, options = rest.split("@")[1].split("/postgres?")
        return f"{scheme}://{user}:{password}@{place or address}/{database}?{options}"

    def run_tidegate(self, *arguments, url=None, stdin=""):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGATE_", "SUPABASE_", "PG", "XDG_"))}
        env = {**clean, "HOME": str(self.dir), **({"TIDEGATE_TARGET_URL": url} if url else {})}
        done = subprocess.run([BIN / "tidegate", *map(str, arguments)], env=env, cwd=self.dir, input=stdin,
                              capture_output=True, text=True, timeout=60, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    def run_words(self, source=None, *more):
        return ["run", "--source", source or self.source, "--state", self.state, "--allow-wal", "--yes", *more]

    def told(self, code, exit_code, *says, words=None, url=True, clean=True):
        """Runs it twice, for people and for programs, and holds what it says and leaves against the promise."""
        words, url = words or self.run_words(), self.target.url if url is True else url
        before = self.source.read_bytes()
        done = self.run_tidegate(*words, url=url)
        self.assertEqual(done.code, exit_code, done)
        lines = [line for line in done.err.splitlines() if not line.startswith("20")]    # without the log's
        self.assertEqual(len(lines), 1, done.err)
        self.assertRegex(lines[0], r"^tidegate: .+; .+")
        for word in says:
            self.assertIn(word, lines[0])
        self.check_secrets(done)
        answer = self.run_tidegate(*words, "--json", url=url)
        self.check_secrets(answer)
        self.assertEqual(answer.code, exit_code, answer)
        error = json.loads(answer.err.splitlines()[-1])["error"]
        self.assertEqual((error["code"], error["exit"]), (code, exit_code), error)
        self.assertTrue(error["message"] and error["mend"], error)
        self.assertEqual(self.run_tidegate("explain", code).code, 0, code)
        if clean:
            self.check_clean(before)
        return lines[0]

    def check_secrets(self, done):
        for text in (done.out, done.err):
            self.assertNotIn(SECRET, text)
            self.assertNotIn(self.target.url.split(":")[2].split("@")[0], text)
            self.assertNotIn("terminate called", text)

    def check_clean(self, before):
        self.assertEqual(self.source.read_bytes(), before)
        self.assertEqual(sorted(path.name for path in self.dir.glob("app.db*")), ["app.db"])
        self.assertFalse(self.state.exists())
        self.assertEqual(self.target.query("SELECT to_regnamespace('tidegate')"), [(None,)])

    def start_and_stop(self):
        """A pipeline that ran, and has ended."""
        tide = Tidegate(self.source, self.target.url, state=self.state)
        self.addCleanup(tide.__exit__)
        tide.start().wait_phase("streaming")
        tide.stop()
        return tide

    # --- the source ---

    def test_no_such_file(self):
        self.told("no-such-source", USAGE, "there is no file", words=self.run_words(self.dir / "nothing.db"))
        self.assertFalse((self.dir / "nothing.db").exists())

    def test_not_a_database(self):
        other = self.dir / "notes.txt"
        other.write_text("not a database, but long enough to have a header of a hundred bytes" * 3)
        self.told("source-not-sqlite", USAGE, "is not a SQLite database", words=self.run_words(other))

    def test_a_folder_and_an_empty_file(self):
        (self.dir / "empty.db").touch()
        self.told("source-empty", USAGE, words=self.run_words(self.dir / "empty.db"))
        self.told("source-not-a-file", USAGE, words=self.run_words(self.dir))

    # --- the target ---

    def test_wrong_password(self):
        self.told("28P01", FAILED, "password authentication failed", "percent-encode", url=self.url())

    def test_password_on_the_command_line(self):
        self.told("password-on-command-line", USAGE, "TIDEGATE_TARGET_URL", url=None,
                  words=self.run_words(None, "--target", self.url()))

    def test_no_target(self):
        self.told("no-target", USAGE, "TIDEGATE_TARGET_URL", url=None)

    def test_unreachable_target(self):
        with socket.socket() as taken:     # bound, but nobody listens
            taken.bind(("127.0.0.1", 0))
            self.told("08001", FAILED, "Connection refused", "check host, port",
                      url=self.url(place=f"127.0.0.1:{taken.getsockname()[1]}"))
        self.told("08001", FAILED, "check host, port", url=self.url(place="nowhere.invalid"))

    def test_no_such_database(self):
        password = self.target.url.split(":")[2].split("@")[0]
        self.told("3D000", FAILED, "does not exist", url=self.url(password=password, database="nowhere"))

    def test_wrong_certificate(self):
        ca = self.dir / "other.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=other", "-keyout", self.dir / "other.key", "-out", ca], check=True, capture_output=True)
        url = self.target.url.split("sslrootcert=")[0] + f"sslrootcert={ca}"
        self.told("tls-failed", FAILED, "certificate", "ca_file", url=url)

    def test_pooler_in_transaction_mode(self):
        self.told("transaction-pooler", REFUSED, "5432", url=self.url(place="aws-0-eu-central-1.pooler.supabase.com:6543"))

    def test_missing_rights(self):
        self.target.query(f"CREATE ROLE visitor LOGIN PASSWORD '{SECRET}'")
        self.addCleanup(self.target.query, "DROP ROLE visitor")
        self.told("no-create-on-database", REFUSED, "may not create", "GRANT CREATE ON DATABASE", url=self.url("visitor"))

    def test_table_is_there_already(self):
        self.target.query("CREATE TABLE public.school (id bigint PRIMARY KEY, name text)")
        self.told("table-exists", REFUSED, "public.school", "drop it")
        self.assertEqual(self.target.query("SELECT to_regclass('public.pupil')"), [(None,)])

    def test_foreign_rows_are_refused_and_adopted(self):
        self.target.query("CREATE TABLE public.school (id bigint PRIMARY KEY, name text, motto text DEFAULT 'none'); "
                          "INSERT INTO public.school VALUES (1, 'before', 'mine'), (77, 'foreign', 'mine')")
        config = self.dir / "tidegate.toml"
        config.write_text('[target]\nschema = "existing"\n[tables]\ninclude = ["school"]\n')
        self.told("table-holds-rows", REFUSED, "public.school", "--adopt")
        config.unlink()
        tide = Tidegate(self.source, self.target.url, state=self.state, flags=["--allow-wal", "--adopt"])
        self.addCleanup(tide.__exit__)
        tide.start().wait_phase("streaming")
        # A row that was there under a key of the source becomes the source's; its other columns and other rows stay.
        self.assertEqual(self.target.query("SELECT id, name, motto FROM public.school ORDER BY id"),
                         [(1, "North", "mine"), (2, "South", "none"), (77, "foreign", "mine")])
        self.assertEqual(tide.status()["quarantined"], 0)
        self.assertEqual(self.target.query("SELECT id, name FROM public.pupil ORDER BY id"), [(10, "Ada"), (11, "Ben")])
        self.assertEqual(tide.stop().code, 0)
        done = tide.verb("reset", "--target", "--confirm", "app", "--source", self.source)
        self.assertEqual(done.code, 0, done.out + done.err)
        self.assertEqual(self.target.query("SELECT id, motto FROM public.school ORDER BY id"), [(1, "mine"), (77, "mine")])

    def test_port_taken(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            done = subprocess.run([TOOL, "start", "--dir", self.dir / "pg", "--port", str(port)], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr, f"supabase-local: port {port} is taken; choose another with --port, or leave it out\n")
        self.assertFalse((self.dir / "pg").exists())

    # --- the state directory ---

    def test_state_directory_of_another_pipeline(self):
        self.start_and_stop()
        (self.dir / "tidegate.toml").write_text('[pipeline]\nname = "other"\n')
        self.told("other-pipeline", REFUSED, "belongs to the pipeline app", "--state", clean=False)

    def test_second_daemon_on_one_state_directory(self):
        tide = Tidegate(self.source, self.target.url, state=self.state)
        self.addCleanup(tide.__exit__)
        tide.start().wait_phase("streaming")
        said = self.told("second-daemon", REFUSED, "tidegate stop", clean=False)
        self.assertIn(f"pid {tide.process.pid} ", said)
        tide.sync()

    def test_another_state_directory_on_one_target(self):
        self.start_and_stop()
        shutil.move(self.state, self.dir / "on-another-machine")
        before = self.target.query("SELECT epoch, sequence FROM tidegate.pipelines")
        self.told("other-state-directory", REFUSED, "another state directory", clean=False)
        self.assertFalse(self.state.exists())
        self.assertEqual(self.target.query("SELECT epoch, sequence FROM tidegate.pipelines"), before)

    def test_emptied_target(self):
        self.start_and_stop()
        self.empty_target()
        self.told("target-swapped", REFUSED, "emptied", clean=False)

    def test_restored_target(self):
        """The target stands at a position that this state directory never wrote."""
        self.start_and_stop()
        self.target.query("UPDATE tidegate.pipelines SET sequence = sequence + 1000, digest = 'of another history'")
        self.told("target-not-in-history", REFUSED, "restored", clean=False)

    @unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
    def test_full_disk(self):
        small = self.dir / "small"
        small.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small], check=False, capture_output=True).returncode:
            self.skipTest("this machine lets nobody mount")
        self.addCleanup(subprocess.run, ["umount", "-l", small], check=False)
        with contextlib.closing(sqlite3.connect(self.source)) as connection, connection:
            connection.executemany("INSERT INTO school(name) VALUES (?)", [("x" * 40,)] * 8000)
        self.state = small / "state"
        self.told("state-disk", REFUSED, "--state")

    # --- the configuration ---

    def test_unknown_key(self):
        (self.dir / "tidegate.toml").write_text('[source]\nurl = "app.db"\nallow_wall = true\n')
        said = self.told("unknown-key", USAGE, "allow_wall", "tidegate.toml:3")
        self.assertIn("allow_wal'", said)

    def test_nobody_to_say_yes(self):
        self.told("needs-yes", USAGE, "--yes", words=["run", "--source", self.source, "--state", self.state, "--allow-wal"])

    def test_a_file_of_init_is_accepted_and_used(self):
        done = self.run_tidegate("init", "--source", self.source)
        self.assertEqual(done.code, 0, done)
        (self.dir / ".env").write_text(f"SUPABASE_DB_URL={self.target.url}\n")
        self.assertEqual(self.run_tidegate("init", "--source", self.source).code, REFUSED)
        done = self.run_tidegate("config", "check", "--env-file", ".env")
        self.assertEqual(done.code, 0, done)
        self.check_secrets(done)
        done = self.run_tidegate("doctor", "--env-file", ".env")
        self.assertEqual(done.code, 0, done)
        self.check_secrets(done)


if __name__ == "__main__":
    sys.exit(unittest.main() if built() else 77)
