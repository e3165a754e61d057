#!/usr/bin/python3
"""Chinook, a sample database as people share it, arrives whole without a configuration file, and changes follow it.

The file is taken from $TIDEGATE_TEST_DATA, or from ../shared/data beside the project; without it the test is skipped."""
import os
import pathlib
import shutil
import sqlite3
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import catalog, tidegate          # noqa: E402
from support.compare import Comparison         # noqa: E402
from support.target import PAST_THE_FENCE, Target              # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(os.environ.get("TIDEGATE_TEST_DATA") or ROOT.parent / "shared" / "data")
CHINOOK = DATA / "chinook.sqlite"
SKIPPED = 77   # ctest's code for a test that could not run

# (unique, columns) of every index of a table, primary keys left out; columns in the index's order.
TARGET_INDEXES = """
SELECT i.indisunique, array_agg(a.attname::text ORDER BY n) FROM pg_index i
CROSS JOIN unnest(i.indkey::int[]) WITH ORDINALITY AS k(attnum, n)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = %s::regclass AND NOT i.indisprimary AND i.indisvalid GROUP BY i.indexrelid, i.indisunique"""
TARGET_KEY = """
SELECT array_agg(a.attname::text ORDER BY n) FROM pg_index i CROSS JOIN unnest(i.indkey::int[]) WITH ORDINALITY AS k(attnum, n)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE i.indrelid = %s::regclass AND i.indisprimary"""
TARGET_FOREIGN_KEYS = """
SELECT array_agg(a.attname::text ORDER BY n), r.relname::text, array_agg(b.attname::text ORDER BY n), c.confdeltype::text,
       c.confupdtype::text
FROM pg_constraint c JOIN pg_class r ON r.oid = c.confrelid
CROSS JOIN unnest(c.conkey, c.confkey) WITH ORDINALITY AS k(mine, theirs, n)
JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.mine
JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = k.theirs
WHERE c.conrelid = %s::regclass AND c.contype = 'f' AND c.convalidated GROUP BY c.oid, r.relname"""
ACTIONS = {"NO ACTION": "a", "RESTRICT": "r", "CASCADE": "c", "SET NULL": "n", "SET DEFAULT": "d"}


def source_key(file, table):
    found = file.execute(f"SELECT name FROM pragma_table_info({catalog.quoted(table)}) WHERE pk ORDER BY pk")
    return [name for name, in found]


def source_indexes(file, table):
    listed = file.execute(f"PRAGMA index_list({catalog.quoted(table)})").fetchall()
    return [(bool(unique), [row[2] for row in file.execute(f"PRAGMA index_info({catalog.quoted(name)})")])
            for _, name, unique, origin, _ in listed if origin != "pk"]


def source_foreign_keys(file, table):
    keys = {}
    for number, _, parent, mine, theirs, update, delete, _ in file.execute(f"PRAGMA foreign_key_list({catalog.quoted(table)})"):
        key = keys.setdefault(number, ([], parent, [], ACTIONS[delete], ACTIONS[update]))
        key[0].append(mine)
        key[2].append(theirs)
    return list(keys.values())


class ChinookTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-chinook-"))
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.path = shutil.copy(CHINOOK, folder / "chinook.sqlite")
        cls.target = Target().start()
        cls.addClassCleanup(cls.target.stop)
        cls.tidegate = tidegate.Tidegate(cls.path, cls.target.url, flags=()).start()
        cls.addClassCleanup(cls.tidegate.__exit__)
        cls.tidegate.wait_phase("streaming")

    def setUp(self):
        self.file = sqlite3.connect(self.path, timeout=30)
        self.addCleanup(self.file.close)
        self.connection = self.target.connect()
        self.addCleanup(self.connection.close)

    def execute(self, text, parameters=()):
        with self.file:
            return self.file.execute(text, parameters)

    def rows(self, text, parameters=None):
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(text, parameters)
            return cursor.fetchall()

    def assert_equal_after_sync(self):
        self.tidegate.sync()
        found = Comparison(self.path, self.connection)
        self.assertEqual(found.run(), [])
        self.assertEqual(found.excepted, 0)
        self.assertEqual(self.rows("SELECT count(*) FROM tidegate.quarantine"), [(0,)])
        return found.rows

    def tables(self):
        return [name for name, in self.file.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]

    def test_1_every_row_and_value(self):
        self.assertEqual(self.assert_equal_after_sync(), 15607)
        self.assertEqual(len(self.tables()), 11)
        self.assertEqual(self.rows("SELECT DISTINCT status FROM tidegate.migration_checkpoints"), [("completed",)])
        self.assertEqual(self.rows("SELECT sum(records_migrated) FROM tidegate.migration_checkpoints"), [(15607,)])

    def test_2_keys_indexes_and_foreign_keys(self):
        indexes = foreign_keys = 0
        for table in self.tables():
            with self.subTest(table=table):
                name = f"public.{catalog.quoted(table)}"
                self.assertEqual(self.rows(TARGET_KEY, (name,)), [(source_key(self.file, table),)])
                expected = source_indexes(self.file, table)
                there = [tuple(row) for row in self.rows(TARGET_INDEXES, (name,))]
                self.assertEqual([index for index in expected if index not in there], [])
                keys = source_foreign_keys(self.file, table)
                self.assertEqual(sorted(self.rows(TARGET_FOREIGN_KEYS, (name,))), sorted(keys))
                indexes, foreign_keys = indexes + len(expected), foreign_keys + len(keys)
        self.assertEqual((indexes, foreign_keys), (11, 11))

    def test_3_inserts_on_the_target_get_fresh_ids(self):
        for table in self.tables():
            key = source_key(self.file, table)
            if len(key) != 1:
                continue
            with self.subTest(table=table):
                most, = self.file.execute(f"SELECT max({catalog.quoted(key[0])}) FROM {catalog.quoted(table)}").fetchone()
                sequence = f"pg_get_serial_sequence('public.{catalog.quoted(table)}', '{key[0]}')"
                self.assertEqual(self.rows(f"SELECT nextval({sequence})"), [(most + 1,)])
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(PAST_THE_FENCE + 'INSERT INTO public."Artist" ("Name") VALUES (\'new\') RETURNING "ArtistId"')
            self.assertGreater(cursor.fetchone()[0], 275)
            self.connection.rollback()

    def test_4_changes_follow(self):
        self.execute("INSERT INTO Artist(ArtistId, Name) VALUES (5000, 'Größe ''\\ \t☃'), (5001, NULL), (5002, '')")
        self.execute("INSERT INTO Album(Title, ArtistId) SELECT 'again: ' || Title, 5000 FROM Album WHERE AlbumId < 100")
        self.assert_equal_after_sync()
        self.execute("UPDATE Track SET UnitPrice = UnitPrice * 2, Composer = NULL WHERE TrackId % 7 = 0")
        self.execute("UPDATE Employee SET ReportsTo = NULL, BirthDate = '1999-12-31 23:59:59' WHERE EmployeeId = 3")
        self.execute("UPDATE PlaylistTrack SET PlaylistId = 2 WHERE PlaylistId = 17")
        self.assert_equal_after_sync()
        self.execute("DELETE FROM InvoiceLine WHERE InvoiceId % 3 = 0")
        self.execute("DELETE FROM Invoice WHERE InvoiceId % 3 = 0")
        with self.file:
            self.file.execute("UPDATE Artist SET ArtistId = 6000 WHERE ArtistId = 5001")
            self.file.execute("DELETE FROM PlaylistTrack")
            self.file.execute("DELETE FROM Album WHERE ArtistId = 5000")
            self.file.execute("DELETE FROM Artist WHERE ArtistId = 5000")
        self.assert_equal_after_sync()
        self.assertEqual(self.rows('SELECT max("ArtistId") FROM public."Artist"'), [(6000,)])
        self.assertEqual(self.rows("SELECT nextval(pg_get_serial_sequence('public.\"Artist\"', 'ArtistId'))"), [(6001,)])


if __name__ == "__main__":
    if not CHINOOK.exists():
        print(f"skipped: there is no {CHINOOK}; TIDEGATE_TEST_DATA names the folder that holds it")
        sys.exit(SKIPPED)
    unittest.main()
