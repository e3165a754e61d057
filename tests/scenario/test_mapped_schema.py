#!/usr/bin/python3
"""Changes of the schema of a Postgres source's mapped table, under way and while tidegate is away: what no map reads goes on by itself; what
a map reads stops that table with the place in the file, the others stream on, and `tidegate resync` brings it in line again."""
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from proxy import wait_until                     # noqa: E402
from support.pgsource import open_pair           # noqa: E402
from support.tidegate import Tidegate, built     # noqa: E402

SOURCE = """
CREATE TABLE person (id int PRIMARY KEY, name text NOT NULL, age int, note text, gone boolean NOT NULL DEFAULT false);
INSERT INTO person SELECT n, 'name ' || n, n % 90, 'note', n % 7 = 0 FROM generate_series(1, 300) n;
CREATE TABLE pet (id int PRIMARY KEY, v text);
INSERT INTO pet SELECT n, 'v' FROM generate_series(1, 20) n;
"""
TARGET = """
CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, age int);
CREATE TABLE pets (id int PRIMARY KEY, v text);
"""
CONFIG = """
[source]
schema_poll = "500ms"
[target]
schema = "existing"
[[map]]
from = "person"
where = "not gone"
[[map.to]]
table = "public.people"
columns = { id = "id", name = "upper(name)", age = "age" }
[[map]]
from = "pet"
[[map.to]]
table = "public.pets"
columns = { id = "id", v = "v" }
"""
LOOKS = 3         # seconds in which the catalogue was looked at again
WAIT = 60
READS_AGE = "tidegate.toml:11:"

# name: (the change, whether rows can still be written by WRITE)
BESIDE = {
    "a nullable column": "ALTER TABLE person ADD COLUMN a int",
    "a default": "ALTER TABLE person ADD COLUMN b int NOT NULL DEFAULT 7",
    "a volatile default": "ALTER TABLE person ADD COLUMN c float8 DEFAULT random()",
    "a generated column": "ALTER TABLE person ADD COLUMN d int GENERATED ALWAYS AS (id * 2) STORED",
    "another type": "ALTER TABLE person ALTER note TYPE varchar(40)",
    "rows written anew": "ALTER TABLE person ALTER note TYPE text USING note || '!'",
    "a rename": "ALTER TABLE person RENAME note TO remark",
    "a drop": "ALTER TABLE person DROP COLUMN remark",
}
# name: (the change, a word of the message, what makes it readable again)
READ = {
    "another type": ("ALTER TABLE person ALTER age TYPE bigint", "age has another definition", ""),
    "rows written anew": ("ALTER TABLE person ALTER age TYPE bigint USING age + 1000", "its rows were written anew", ""),
    "a rename": ("ALTER TABLE person RENAME age TO years", "age was dropped or renamed", "ALTER TABLE person RENAME years TO age"),
    "a drop": ("ALTER TABLE person DROP COLUMN age", "age was dropped or renamed", "ALTER TABLE person ADD COLUMN age bigint DEFAULT 3"),
}
WRITE = """
INSERT INTO person (id, name) SELECT coalesce(max(id), 0) + 1, 'later' FROM person;
UPDATE person SET name = name || '.' WHERE id %% 5 = {n};
DELETE FROM person WHERE id = {n} * 11;
UPDATE person SET gone = NOT gone WHERE id %% 13 = {n};
UPDATE pet SET v = v || {n};
"""
pair = None


def setUpModule():    # pylint: disable=invalid-name
    global pair
    pair = open_pair()


@unittest.skipUnless(built(), "the binaries are not built")
class MappedSchema(unittest.TestCase):
    def setUp(self):
        self.source, self.target = pair.databases()
        self.addCleanup(self.source.drop)
        self.source.execute(SOURCE)
        self.target.execute(TARGET)
        self.tide = Tidegate(self.source.url, self.target.url, flags=[])
        self.addCleanup(self.tide.__exit__)
        (self.tide.base / "tidegate.toml").write_text(CONFIG)
        self.tide.start().wait_phase("streaming")
        self.writes = 0

    def change(self, *statements):
        self.source.execute_each(*statements)

    def write(self):
        self.writes += 1
        self.change(WRITE.replace("%%", "%").format(n=self.writes % 5))

    def equal(self, table):
        wanted, found = ("SELECT id, upper(name), age FROM person WHERE NOT gone", "SELECT id, name, age FROM people") if table == "person" else (
            "SELECT id, v FROM pet", "SELECT id, v FROM pets")
        return sorted(self.source.execute(wanted)) == sorted(self.target.execute(found))

    def judge(self):
        self.tide.sync()
        self.assertTrue(self.equal("person") and self.equal("pet"), self.tide.log[-3000:])
        self.assertEqual(self.tide.status()["errors"], [])
        self.assertEqual(self.state(), "streaming")

    def state(self, table="public.person"):
        return next(each["state"] for each in self.tide.status()["tables"] if each["source"] == table)

    def assert_stopped(self, *words):
        def stopped(status):
            return any(error["code"] == "schema-changed" and all(word in error["message"] for word in words) and
                       "run: tidegate resync public.person" in error["message"] for error in status["errors"])
        self.tide.wait_status(stopped, timeout=WAIT, what=f"person is stopped: {words}")
        self.assertEqual(self.state(), "stopped")
        self.write()
        self.tide.verb("sync")
        self.assertTrue(self.equal("pet"), "the others stream on")

    def resync(self, code=0):
        done = self.tide.verb("resync", "public.person")
        self.assertEqual(done.code, code, done.out + done.err + self.tide.log[-3000:])
        return done

    def test_what_no_map_reads_goes_on_by_itself(self):
        for name, statement in BESIDE.items():
            with self.subTest(name):
                self.change(statement)
                self.write()                # the stream tells of it
                self.judge()
                time.sleep(LOOKS)           # and so does the catalogue
                self.write()
                self.judge()
        self.assertNotIn("is stopped", self.tide.log)
        self.assertEqual(self.tide.verb("verify").code, 0)

    def test_nor_does_what_was_changed_while_nobody_looked(self):
        self.tide.stop()
        for statement in BESIDE.values():
            self.change(statement)
            self.write()
        self.tide.start().wait_phase("streaming")
        self.judge()
        time.sleep(LOOKS)
        self.write()
        self.judge()
        self.assertNotIn("is stopped", self.tide.log)
        self.assertEqual(self.tide.verb("verify").code, 0)

    def test_what_a_map_reads_stops_the_table_until_it_is_brought_in_line(self):
        for away in (False, True):
            for name, (statement, word, back) in READ.items():
                with self.subTest(name, away=away):
                    if away:
                        self.tide.stop()
                        self.write()
                    self.change(statement)
                    if away:
                        self.write()
                        self.tide.start().wait_phase("streaming")
                    self.assert_stopped(word, READS_AGE)
                    if back:
                        done = self.resync(code=1)
                        self.assertIn(READS_AGE, done.out + done.err)
                        self.write()
                        self.assertEqual(self.state(), "stopped")
                        self.change(back)
                        self.write()
                    self.resync()
                    self.judge()
                    self.write()
                    self.judge()
            self.change("ALTER TABLE person ALTER age TYPE int")
            self.assert_stopped("age has another definition")
            self.resync()
            self.judge()

    def test_it_is_still_stopped_after_a_kill_and_a_resync_goes_on_after_one(self):
        self.change("ALTER TABLE person ALTER age TYPE bigint USING age + 1000")
        self.assert_stopped(READS_AGE)
        self.tide.kill()
        self.tide.start().wait_phase("streaming")
        self.assert_stopped(READS_AGE)
        for failpoint in ("mapped-streams-again", "mapped-shape-accepted", "apply-before-commit:2", "apply-after-commit:2", "mapped-in-line"):
            with self.subTest(failpoint):
                self.tide.stop()
                self.tide.start(failpoint=failpoint)
                wait_until(lambda: not self.tide.running or (self.tide.status() or {}).get("phase") == "streaming", "it streams, or is dead")
                self.tide.verb("resync", "public.person")
                self.assertEqual(self.tide.wait(timeout=WAIT), -9, failpoint)
                self.write()
                self.tide.start().wait_phase("streaming")
                self.tide.wait_status(lambda status: not status["errors"], WAIT, "it goes on by itself")
                self.judge()
                self.change("UPDATE person SET age = age + 1", READ["rows written anew"][0])
                self.assert_stopped(READS_AGE)


if __name__ == "__main__":
    unittest.main()
