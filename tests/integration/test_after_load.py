#!/usr/bin/python3
"""[target] post_sql and realtime: policies come once, after the load and before the stream, and tables join supabase_realtime once the target has
caught up, whatever is killed; what stands in the way is said before anything is written."""
import contextlib
import json
import pathlib
import sqlite3
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.pgsource import open_pair           # noqa: E402
from support.tidegate import Tidegate, built     # noqa: E402

REFUSED, WAIT = 2, 60
ROWS = """
CREATE TABLE {user} (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE note (id INTEGER PRIMARY KEY, owner INTEGER, body TEXT);
"""
MIGRATION = "CREATE TABLE public.people (id uuid PRIMARY KEY, name text NOT NULL)"
MAPPED = """
[[map]]
from = "user"
[[map.to]]
table = "public.people"
columns = { id = "uuid('user', id)", name = "name" }
"""
CONFIG = """
[pipeline]
name = "late"
[target]
post_sql = {post_sql}
realtime = {realtime}
"""
POLICIES = "ALTER TABLE public.{0} ENABLE ROW LEVEL SECURITY;\nSELECT 'a;b';\nCREATE POLICY own ON public.{0} FOR SELECT TO authenticated USING (true);\n"


class AfterLoad(unittest.TestCase):
    def setUp(self):
        self.source, self.target = PAIR.databases()
        if not self.target.execute("SELECT 1 FROM pg_publication WHERE pubname = 'supabase_realtime'"):
            self.target.execute("CREATE PUBLICATION supabase_realtime")

    def file_source(self):
        """A file whose `user` is mapped and whose `note` is copied as it is."""
        self.target.execute(MIGRATION)
        path = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="tidegate-after-load-"))) / "app.db"
        with contextlib.closing(sqlite3.connect(path)) as file, file:
            file.executescript(ROWS.format(user="user"))
            file.executemany("INSERT INTO user VALUES (?, ?)", [(n, f"n{n}") for n in range(50)])
            file.executemany("INSERT INTO note VALUES (?, ?, ?)", [(n, n, "b") for n in range(50)])
        return path

    def pipeline(self, source, files, realtime, mapped=MAPPED):
        tide = self.enterContext(Tidegate(source, self.target.url))
        for name, text in files.items():
            (tide.base / name).write_text(text)
        self.configure(tide, list(files), realtime, mapped)
        return tide

    def configure(self, tide, files, realtime, mapped=MAPPED):
        (tide.base / "tidegate.toml").write_text(CONFIG.format(post_sql=json.dumps(files), realtime=json.dumps(realtime)) + mapped)

    def policies(self):
        return self.target.execute("SELECT tablename::text, policyname::text FROM pg_policies ORDER BY 1")

    def members(self):
        return [row[0] for row in self.target.execute("SELECT tablename::text FROM pg_publication_tables WHERE pubname = 'supabase_realtime' ORDER BY 1")]

    def history(self):
        return self.target.execute("SELECT file FROM tidegate.post_sql ORDER BY ran_at")

    def dies_at(self, tide, *failpoints):
        for failpoint in failpoints:
            tide.start(failpoint=failpoint)
            self.assertEqual(tide.wait(timeout=WAIT), -9, failpoint)

    def refused(self, tide):
        tide.start()
        self.assertEqual(tide.wait(timeout=WAIT), REFUSED, tide.log)
        return tide.log

    def findings(self, tide, source):
        return {one["code"]: one for one in json.loads(tide.verb("doctor", "--json", "--source", source).out)["findings"]}

    def test_once_through_kills_and_restarts(self):
        path = self.file_source()
        tide = self.pipeline(path, {"people.sql": POLICIES.format("people"), "note.sql": POLICIES.format("note")}, ["public.people", "note"])
        plan = tide.verb("plan", "--source", path).out
        self.assertIn("note.sql: carried out once, after the load", plan)
        self.assertIn("public.note joins supabase_realtime once the target has caught up", plan)
        listener = self.target.connect()
        self.addCleanup(listener.close)
        listener.autocommit = True
        listener.cursor().execute("LISTEN pgrst")
        self.dies_at(tide, "post-sql-before-commit")
        self.assertEqual(self.policies(), [])
        self.dies_at(tide, "post-sql-after-commit")
        self.assertEqual(self.policies(), [("people", "own")])
        listener.poll()
        self.assertEqual([note.payload for note in listener.notifies], ["reload schema"])
        self.dies_at(tide, "post-sql-before-commit", "post-sql-after-commit")
        self.assertEqual(self.members(), [], "nobody is sent the rows of the load")
        self.dies_at(tide, "realtime-before-commit")
        self.assertEqual(self.members(), [])
        self.dies_at(tide, "realtime-after-commit", "realtime-before-commit", "realtime-after-commit")
        tide.start()
        tide.wait_phase("streaming", timeout=WAIT)
        tide.sync(timeout=WAIT)
        self.assertEqual((self.policies(), self.members()), ([("note", "own"), ("people", "own")], ["note", "people"]))
        self.assertEqual(self.history(), [("people.sql",), ("note.sql",)])
        with contextlib.closing(sqlite3.connect(path)) as file, file:
            file.execute("UPDATE user SET name = 'again'")
            file.execute("DELETE FROM note WHERE id > 9")
        tide.sync(timeout=WAIT)
        self.assertEqual(self.target.execute("SELECT (SELECT count(*) FROM people WHERE name = 'again'), (SELECT count(*) FROM note)"), [(50, 10)])
        self.assertEqual(tide.status()["errors"], [])
        self.what_came_too_late(tide, path)

    def what_came_too_late(self, tide, path):
        tide.stop()
        self.target.execute("ALTER PUBLICATION supabase_realtime DROP TABLE public.note")
        (tide.base / "note.sql").write_text("SELECT 1")
        (tide.base / "late.sql").write_text("DROP TABLE public.people")
        self.configure(tide, ["people.sql", "note.sql", "late.sql"], ["people", "note"])
        tide.start()
        tide.wait_phase("streaming", timeout=WAIT)
        told = tide.wait_status(lambda status: len(status["errors"]) >= 3, WAIT, "all three are told")["errors"]
        self.assertEqual({error["code"] for error in told}, {"post-sql-changed", "post-sql-not-run", "realtime-taken-out"})
        self.assertEqual(self.members(), ["people"])
        tide.stop()
        done = tide.verb("reset", "--target", "--confirm", "late", "--source", path)
        self.assertEqual(done.code, 0, done.err)
        self.assertEqual(self.members(), [], "the next load is not sent to clients")

    def test_what_stands_in_the_way_is_said_first(self):
        path = self.file_source()
        self.target.execute("CREATE TABLE public.keyless (a int); CREATE TABLE public.early (a int PRIMARY KEY); ALTER PUBLICATION supabase_realtime ADD TABLE public.people")
        tide = self.pipeline(path, {"people.sql": "SELECT 1; COMMIT"}, ["people", "nowhere", "keyless"])
        self.assertIn("is one transaction, and its statement 2", self.findings(tide, path)["post-sql-transaction"]["message"])
        self.assertIn("its statement 2", self.refused(tide))
        (tide.base / "people.sql").write_text(POLICIES.format("people"))
        found = self.findings(tide, path)
        self.assertEqual({code: one["level"] for code, one in found.items() if code.startswith("realtime")},
                         {"realtime-no-table": "blocks", "realtime-no-identity": "blocks", "realtime-floods": "warns"})
        self.assertIn("public.nowhere", found["realtime-no-table"]["message"])
        self.assertIn("public.nowhere is to join supabase_realtime and is not there", self.refused(tide))
        self.target.execute("DROP PUBLICATION supabase_realtime")
        self.assertIn("no publication supabase_realtime", self.refused(tide))
        self.assertEqual(self.target.execute("SELECT to_regclass('public.note')"), [(None,)], "nothing was written")

    def test_a_file_that_fails_leaves_nothing_and_can_be_mended(self):
        path = self.file_source()
        tide = self.pipeline(path, {"people.sql": POLICIES.format("people") + "CREATE POLICY own ON public.nowhere USING (true)"}, ["people"])
        self.assertIn("the post_sql file people.sql, statement 4 of 4", self.refused(tide))
        self.assertEqual(self.policies(), [])
        (tide.base / "people.sql").write_text("UPDATE public.people SET name = 'x'")
        self.assertIn("25006", self.refused(tide)[-900:], "a table that tidegate fills is fenced")
        self.target.execute("DROP PUBLICATION supabase_realtime")
        (tide.base / "people.sql").write_text("SET search_path = nowhere; SET DateStyle = German;" + POLICIES.format("people"))
        tide.start()
        told = tide.wait_status(lambda status: status["errors"], WAIT, "the lost publication is told")["errors"]
        self.assertEqual([(error["code"], error["table"]) for error in told], [("realtime-no-publication", "public.people")])
        self.assertEqual(self.policies(), [("people", "own")])
        self.target.execute("CREATE PUBLICATION supabase_realtime")
        tide.wait_status(lambda status: not status["errors"], WAIT, "the table joins once it can")
        self.assertEqual(self.members(), ["people"])

    def test_a_server_as_source(self):
        self.source.execute(ROWS.format(user="person") + "INSERT INTO person SELECT n, 'n' || n FROM generate_series(1, 50) n")
        tide = self.pipeline(self.source.url, {"person.sql": POLICIES.format("person")}, ["person", "note"], mapped="")
        self.dies_at(tide, "post-sql-after-commit", "realtime-after-commit")
        tide.start()
        tide.wait_phase("streaming", timeout=WAIT)
        tide.sync(timeout=WAIT)
        tide.wait_status(lambda _: self.members() == ["note", "person"], WAIT, "both joined")
        self.assertEqual((self.policies(), self.history()), ([("person", "own")], [("person.sql",)]))
        self.source.execute("UPDATE person SET name = 'again'")
        tide.sync(timeout=WAIT)
        self.assertEqual(self.target.execute("SELECT count(*) FROM person WHERE name = 'again'"), [(50,)])
        tide.stop()
        done = tide.verb("reset", "--target", "--confirm", "late")
        self.assertEqual(done.code, 0, done.err)
        self.assertEqual(self.target.execute("SELECT count(*) FROM tidegate.post_sql"), [(0,)], "tables that are made anew get their policies again")


def setUpModule():
    global PAIR
    PAIR = open_pair()


if __name__ == "__main__":
    sys.exit(unittest.main() if built() else 77)
