#!/usr/bin/python3
"""Keys of mapped rows of a SQLite file: keys that move in several outputs, keys of a NOCASE column, unique values of rows that are held, and
of chunks that were mapped before a crash."""
import contextlib
import json
import pathlib
import shutil
import sqlite3
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.target import Target                # noqa: E402
from support.tidegate import Tidegate, built     # noqa: E402

WAIT = 60
ROWS = 40_000   # several chunks
HEAD = """
[pipeline]
name = "keys"
[target]
schema = "existing"
"""


def into(table, columns, key="id"):
    return f'[[map.to]]\ntable = "public.{table}"\nkey = ["{key}"]\ncolumns = {{ {columns} }}\n'


class Keys(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.target = cls.enterClassContext(Target())

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-keys-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.source = self.dir / "app.db"
        self.target.query("SET client_min_messages = warning; DROP SCHEMA IF EXISTS tidegate CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public")

    def write(self, *statements):
        with contextlib.closing(sqlite3.connect(self.source, timeout=30)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def pipeline(self, maps, migrations):
        self.target.query(migrations)
        tide = Tidegate(self.source, self.target.url)
        self.addCleanup(tide.__exit__)
        (tide.base / "tidegate.toml").write_text(HEAD + maps)
        return tide

    def start(self, tide, **options):
        tide.start(**options).wait_phase("streaming", timeout=WAIT)

    def same(self, tide):
        tide.sync(timeout=WAIT)
        done = tide.verb("verify")
        self.assertEqual(done.code, 0, done.out + done.err)

    def test_a_key_that_moves_moves_in_each_output(self):
        self.write("PRAGMA journal_mode = WAL", "CREATE TABLE u (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT)",
                   "INSERT INTO u(email, name) VALUES ('a', 'A'), ('b', 'B')")
        tide = self.pipeline('[[map]]\nfrom = "u"\n' + into("acc", "id = \"uuid('u', email)\", email = \"email\"")
                             + into("prof", "id = \"uuid('u', email)\", name = \"name\""),
                             "CREATE TABLE acc (id uuid PRIMARY KEY, email text); CREATE TABLE prof (id uuid PRIMARY KEY, name text)")
        self.start(tide)
        for change in ("UPDATE u SET email = 'c' WHERE email = 'a'", "UPDATE u SET name = 'C' WHERE email = 'c'", "INSERT INTO u(email, name) VALUES ('a', 'another')"):
            self.write(change)
            self.same(tide)
        self.assertEqual(self.target.query("SELECT email, name FROM acc JOIN prof USING (id) ORDER BY 1"), [("a", "another"), ("b", "B"), ("c", "C")])

    def test_a_key_of_a_nocase_column(self):
        self.write("PRAGMA journal_mode = WAL", "CREATE TABLE tag (name TEXT NOT NULL COLLATE NOCASE PRIMARY KEY)",
                   "CREATE TABLE item (id INTEGER PRIMARY KEY, tag TEXT REFERENCES tag(name))",
                   "INSERT INTO tag VALUES ('Foo'), ('Bar')", "INSERT INTO item VALUES (1, 'foo'), (2, 'Foo'), (3, 'BAR')")
        tide = self.pipeline('[[map]]\nfrom = "tag"\n' + into("tags", "id = \"uuid('tag', lower(name))\", name = \"name\"")
                             + '[[map]]\nfrom = "item"\n' + into("items", "id = \"id\", tag_id = \"uuid('tag', lower(tag))\""),
                             "CREATE TABLE tags (id uuid PRIMARY KEY, name text); CREATE TABLE items (id bigint PRIMARY KEY, tag_id uuid REFERENCES tags)")
        self.start(tide)
        read = "SELECT i.id, name FROM items AS i JOIN tags AS t ON t.id = tag_id ORDER BY 1"
        self.same(tide)
        self.assertEqual(self.target.query(read), [(1, "Foo"), (2, "Foo"), (3, "Bar")])
        self.write("UPDATE tag SET name = 'FOO' WHERE name = 'foo'", "INSERT INTO item VALUES (4, 'fOO')")
        self.same(tide)
        self.assertEqual(self.target.query(read), [(1, "FOO"), (2, "FOO"), (3, "Bar"), (4, "FOO")])

    def test_a_row_that_is_held_keeps_its_unique_value(self):
        self.write("PRAGMA journal_mode = WAL", "CREATE TABLE u (id INTEGER PRIMARY KEY, phone TEXT, email TEXT)", "INSERT INTO u VALUES (5, '1', 'u5@x.org')")
        tide = self.pipeline('[[map]]\nfrom = "u"\n' + into("t", "id = \"id\", age = \"abs(json(phone))\", email = \"unique_value('public.t', 'email', email, id)\""),
                             "CREATE TABLE t (id bigint PRIMARY KEY, age integer, email text UNIQUE)")
        self.start(tide)
        self.write("UPDATE u SET phone = 'nonsense' WHERE id = 5")
        tide.sync(timeout=WAIT)
        self.write("INSERT INTO u VALUES (9, '2', 'u5@x.org')")
        tide.sync(timeout=WAIT)
        self.assertEqual(tide.status()["quarantined"], 1)
        self.write("UPDATE u SET phone = '3' WHERE id = 5")
        self.same(tide)
        self.assertEqual(self.target.query("SELECT id, age, email FROM t ORDER BY 1"), [(5, 3, "u5@x.org"), (9, 2, "u5+2@x.org")])
        self.assertEqual(tide.status()["quarantined"], 0)

    def test_doctor_finds_orphans_of_numbered_keys(self):
        self.write("PRAGMA journal_mode = WAL", "CREATE TABLE parent (id INTEGER PRIMARY KEY, gone INTEGER)", "CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER)",
                   "INSERT INTO parent VALUES (1, 0), (2, 1)", "INSERT INTO child VALUES (1, 1), (2, 2), (3, 99), (4, NULL)")
        tide = self.pipeline('[[map]]\nfrom = "parent"\nwhere = "gone = 0"\n' + into("parents", "id = \"surrogate('person', 'parent', id)\"")
                             + '[[map]]\nfrom = "child"\n' + into("children", "id = \"surrogate('child', id)\", parent = \"surrogate('person', 'parent', parent_id)\""),
                             "CREATE TABLE parents (id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY);"
                             "CREATE TABLE children (id smallint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, parent integer REFERENCES parents)")
        done = tide.verb("doctor", "--json", "--source", self.source, "--allow-wal", state=False)
        found = {finding["code"]: finding["message"] for finding in json.loads(done.out)["findings"] if finding["code"].startswith("map-")}
        self.assertEqual(list(found), ["map-orphans"], done.out)
        self.assertIn("2 rows (the first: child [2], child [3])", found["map-orphans"])
        self.assertEqual(self.target.query("SELECT pg_sequence_last_value('parents_id_seq')"), [(None,)], "nothing is drawn")

    def test_a_kill_while_chunks_are_mapped_ahead(self):
        """Rows that go while nobody looks leave their values free: their chunks had been mapped, and nobody had seen them."""
        self.write("PRAGMA journal_mode = WAL", "CREATE TABLE u (id INTEGER PRIMARY KEY, email TEXT)",
                   f"INSERT INTO u WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {ROWS}) SELECT n, 'u' || n || '@x.org' FROM c")
        tide = self.pipeline('[[map]]\nfrom = "u"\n' + into("t", "id = \"id\", email = \"unique_value('public.t', 'email', lower(email), id)\""),
                             "CREATE TABLE t (id bigint PRIMARY KEY, email text UNIQUE)")
        tide.start(failpoint="load-after-commit:1")
        self.assertNotEqual(tide.wait(WAIT), 0)
        copied, = self.target.query("SELECT max(id) FROM t")[0]
        self.assertEqual(self.target.query("SELECT count(*) FROM tidegate.keys"), [(copied,)], "of what is on the target, and of nothing else")
        gone = [copied + 1, copied + 1000, copied + 2000]
        self.write(*(f"DELETE FROM u WHERE id = {n}" for n in gone), *(f"INSERT INTO u VALUES ({ROWS + i}, 'u{n}@x.org')" for i, n in enumerate(gone, 1)))
        self.start(tide)
        self.same(tide)
        self.assertEqual(self.target.query(f"SELECT email FROM t WHERE id > {ROWS} ORDER BY id"), [(f"u{n}@x.org",) for n in gone])


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2) if built() else 77)
