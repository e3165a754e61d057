#!/usr/bin/python3
"""[target] seed: reference data that mapped rows refer to is written once, before the first copy, whatever is killed; what fails leaves nothing."""
import contextlib
import pathlib
import shutil
import sqlite3
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.target import Target                # noqa: E402
from support.tidegate import Tidegate, built     # noqa: E402

REFUSED, USAGE, WAIT = 2, 4, 60
SOURCE = """
CREATE TABLE user (id INTEGER PRIMARY KEY, role TEXT);
WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 50) INSERT INTO user SELECT n, CASE n % 2 WHEN 0 THEN 'parent' ELSE 'teacher' END FROM c;
"""
MIGRATION = """
CREATE TABLE public.roles (name text PRIMARY KEY);
CREATE TABLE public.notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, role text REFERENCES public.roles, body text);
CREATE TABLE public.people (id uuid PRIMARY KEY, role text NOT NULL REFERENCES public.roles);
"""
CONFIG = """
[pipeline]
name = "seeded"
[target]
schema = "existing"
seed = {seeds}
[[map]]
from = "user"
[[map.to]]
table = "public.people"
columns = {{ id = "uuid('user', id)", role = "role" }}
"""
ROLES = "-- what people are\nINSERT INTO public.roles VALUES ('teacher'), ('parent');\nSELECT 'a;b';\n"
NOTES = "INSERT INTO public.notes (role, body) VALUES ('teacher', 'BEGIN; no statement');\nINSERT INTO public.notes (role, body) VALUES ('parent', 'ü');"


class Seed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-seed-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        with contextlib.closing(sqlite3.connect(cls.dir / "app.db")) as file:
            file.executescript(SOURCE)

    def setUp(self):
        self.target = self.enterContext(Target())
        self.target.query(MIGRATION)
        self.tide = self.pipeline({"roles.sql": ROLES, "notes.sql": NOTES})

    def pipeline(self, files):
        tide = self.enterContext(Tidegate(self.dir / "app.db", self.target.url))
        for name, text in files.items():
            (tide.base / name).write_text(text)
        (tide.base / "tidegate.toml").write_text(CONFIG.format(seeds=list(files)))
        return tide

    def check(self, notes=2):
        """All that the seeds hold is there once, and everybody who refers to it came."""
        self.tide.wait_phase("streaming", timeout=WAIT)
        self.tide.wait_status(lambda status: status["quarantined"] == 0, WAIT, "nobody in quarantine")
        self.assertEqual(self.target.query("SELECT name FROM roles ORDER BY 1"), [("parent",), ("teacher",)])
        self.assertEqual(self.target.query("SELECT count(*) FROM notes"), [(notes,)])
        self.assertEqual(self.target.query("SELECT count(*) FROM people"), [(50,)])
        self.assertEqual(self.target.query("SELECT file FROM tidegate.seeds WHERE pipeline = 'seeded' ORDER BY ran_at"), [("roles.sql",), ("notes.sql",)])

    def refused(self, tide):
        tide.start()
        self.assertEqual(tide.wait(timeout=WAIT), REFUSED, tide.log)
        return tide.log

    def test_once_through_kills_restarts_and_a_reset(self):
        self.assertIn("Seed notes.sql: carried out once", self.tide.verb("plan", "--source", self.dir / "app.db").out)
        for failpoint in ("seed-before-commit", "seed-after-commit", "seed-before-commit", "seed-after-commit"):
            self.tide.start(failpoint=failpoint)
            self.assertEqual(self.tide.wait(timeout=WAIT), -9, failpoint)
        self.tide.start()
        self.check()
        self.tide.stop()
        self.tide.start()
        self.check()
        self.assertEqual(self.tide.status()["errors"], [])
        self.tide.stop()
        done = self.tide.verb("reset", "--target", "--confirm", "seeded", "--source", self.dir / "app.db")
        self.assertEqual(done.code, 0, done.err)
        self.assertEqual(self.target.query("SELECT count(*) FROM people"), [(0,)])
        self.tide = self.pipeline({"roles.sql": ROLES, "notes.sql": NOTES})
        self.tide.start()
        self.check()

    def test_what_came_too_late_or_was_changed_is_told(self):
        self.tide.start()
        self.check()
        self.tide.stop()
        (self.tide.base / "notes.sql").write_text(NOTES + NOTES)
        (self.tide.base / "late.sql").write_text("DELETE FROM notes")
        (self.tide.base / "tidegate.toml").write_text(CONFIG.format(seeds=["roles.sql", "notes.sql", "late.sql"]))
        self.tide.start()
        self.check()
        told = {error["code"] for error in self.tide.status()["errors"]}
        self.assertEqual(told, {"seed-changed", "seed-not-run"})

    def test_what_fails_leaves_nothing_and_can_be_mended(self):
        notes = self.tide.base / "notes.sql"
        notes.write_text("INSERT INTO public.notes (role) VALUES ('teacher');\nINSERT INTO public.notes (role) VALUES ('janitor')")
        said = self.refused(self.tide)
        self.assertIn("the seed notes.sql, statement 2 of 2", said)
        self.assertIn("23503", said)
        self.assertEqual(self.target.query("SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM roles), (SELECT count(*) FROM people)"), [(0, 2, 0)])
        notes.write_text("INSERT INTO notes (role) VALUES ('teacher'); COMMIT; INSERT INTO notes (role) VALUES ('janitor')")
        self.assertIn("is one transaction, and its statement 2", self.refused(self.tide))
        notes.write_text("SELECT 'never closed")
        self.assertIn("the seed notes.sql cannot be followed", self.refused(self.tide))
        notes.write_text("INSERT INTO people VALUES (gen_random_uuid(), 'teacher')")
        self.assertIn("25006", self.refused(self.tide)[-900:], "a table that tidegate fills is fenced")
        self.assertEqual(self.target.query("SELECT count(*) FROM notes"), [(0,)])
        notes.write_text(NOTES)
        self.tide.start()
        self.check()

    def test_a_file_that_is_not_there_is_refused_with_its_place(self):
        (self.tide.base / "roles.sql").unlink()
        done = self.tide.verb("config", "check", "--source", self.dir / "app.db")
        self.assertEqual(done.code, USAGE)
        self.assertRegex(done.err, r"tidegate.toml:6:\d+: .*seed names roles.sql, which is not there")


if __name__ == "__main__":
    sys.exit(unittest.main() if built() else 77)
