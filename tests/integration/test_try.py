#!/usr/bin/python3
"""deploy/try.py as somebody at a terminal meets it: it tells its story, waits for a key, and leaves nothing behind."""
import contextlib
import os
import pathlib
import pty
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.guard import guard                      # noqa: E402
from support.terminal import read_until              # noqa: E402
from support.tidegate import BIN, ROOT, built        # noqa: E402

TRY = ROOT / "deploy" / "try.py"


class Try(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-try-"))
        self.dir.chmod(0o755)   # the server has a user of its own
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.source = self.dir / "app.db"
        with contextlib.closing(sqlite3.connect(self.source)) as connection:
            connection.executescript("CREATE TABLE pupil (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO pupil(name) VALUES ('Ada'), ('Ben')")

    def on_terminal(self, *command):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(list(map(str, command)), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                                   env={**os.environ, "TIDEGATE_BIN_DIR": str(BIN), "TMPDIR": str(self.dir)})
        os.close(theirs)
        self.addCleanup(os.close, ours)
        self.addCleanup(guard.forget, guard.kill_later(process.pid))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, ours

    def test_a_file_until_a_key_is_pressed(self):
        before = self.source.read_bytes()
        process, terminal = self.on_terminal("/usr/bin/python3", TRY, self.source)
        told = read_until(self, terminal, "Press any key")
        self.assertIn("2 rows read from both ends, value by value: no differences", told)
        look = re.search(r"PGPASSFILE=(\S+) psql '([^']+)'", told)
        rows = subprocess.run(["psql", "-X", "-At", look.group(2), "-c", "SELECT name FROM pupil ORDER BY id"], text=True, check=True,
                              capture_output=True, env={**os.environ, "PGPASSFILE": look.group(1)}).stdout
        self.assertEqual(rows.split(), ["Ada", "Ben"])
        os.write(terminal, b" ")
        read_until(self, terminal, "Everything arrived.")
        self.assertEqual(process.wait(30), 0)
        self.assertEqual(self.source.read_bytes(), before, "the file itself stays as it was")
        self.assertEqual([path.name for path in self.dir.iterdir()], ["app.db"])

    def configured(self, config, *more):
        (self.dir / "tidegate.toml").write_text(config)
        return subprocess.run(["/usr/bin/python3", TRY, "--config", self.dir / "tidegate.toml", *more], capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL, check=False,
                              env={**os.environ, "TIDEGATE_BIN_DIR": str(BIN), "TIDEGATE_TARGET_URL": "postgresql://real@192.0.2.1/postgres"})

    def migration(self, text):
        folder = self.dir / "supabase" / "migrations"
        folder.mkdir(parents=True)
        (folder / "20260101000000_tables.sql").write_text(text)

    def test_a_configuration_is_rehearsed(self):
        """The real target's address is one that nothing answers: it is not met."""
        before = self.source.read_bytes()
        self.migration("CREATE TABLE public.pupil (id bigint PRIMARY KEY, name text NOT NULL CHECK (name <> 'Ben'))")
        done = self.configured('[source]\nurl = "app.db"\n[target]\nschema = "existing"\n[log]\nfile = "real.log"\n')
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"pupil +public\.pupil +1 +1 +1")
        self.assertIn("NOT everything is as it should be", done.stdout)
        self.assertNotIn("192.0.2.1", done.stdout)
        self.assertEqual(self.source.read_bytes(), before)
        self.assertEqual(sorted(path.name for path in self.dir.iterdir()), ["app.db", "supabase", "tidegate.toml"])

    def test_what_cannot_be_rehearsed_is_said(self):
        done = self.configured('[source]\nurl = "postgresql://app@192.0.2.1/app"\n')
        self.assertIn("SQLite files only", done.stderr)
        self.assertEqual(done.returncode, 1)
        done = self.configured('[source]\nurl = "app.db"\nspeed = 3\n')
        self.assertIn("cannot be used", done.stderr)
        self.assertIn("names no source", self.configured("[pipeline]\nname = \"pupils\"\n").stderr)
        self.migration("CREATE TABLE public.pupil (id nonsense)")
        done = self.configured('[source]\nurl = "app.db"\n')
        self.assertIn('20260101000000_tables.sql: type "nonsense" does not exist', done.stderr)

    def test_the_sample_app_is_judged_by_its_ledger(self):
        done = subprocess.run(["/usr/bin/python3", TRY, "--families", "20", "--seconds", "2", "--rate", "40"], capture_output=True, text=True,
                              timeout=120, stdin=subprocess.DEVNULL, check=False, env={**os.environ, "TIDEGATE_BIN_DIR": str(BIN)})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Everything arrived.", done.stdout)


if __name__ == "__main__":
    sys.exit(unittest.main() if built() else 77)
