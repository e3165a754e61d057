#!/usr/bin/python3
"""Changes of a Postgres source's schema under way: what the stream announces is carried over; what changes rows without events stops
capture before more is written to such a table, also where it came while nobody looked."""
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.pgsource import Pair, differences   # noqa: E402
from support.tidegate import Tidegate, built     # noqa: E402

SCHEMA = """
CREATE TABLE orders (id int PRIMARY KEY, note text, n int);
INSERT INTO orders SELECT n, 'note ' || n, n FROM generate_series(1, 100) n;
CREATE TABLE events (day int, id int, line text, PRIMARY KEY (day, id)) PARTITION BY LIST (day);
CREATE TABLE events1 PARTITION OF events FOR VALUES IN (1);
CREATE TABLE events2 PARTITION OF events FOR VALUES IN (2);
INSERT INTO events SELECT n % 2 + 1, n, 'line' FROM generate_series(1, 50) n;
CREATE TABLE events7 (day int NOT NULL, id int NOT NULL, line text, PRIMARY KEY (day, id));
INSERT INTO events7 VALUES (7, 1, 'before');
"""
LOOKS = 7   # seconds in which the catalogue was looked at again
WRITE = "INSERT INTO orders (id, note) VALUES ((SELECT coalesce(max(id), 0) + 1 FROM orders), 'later')"

# name: (the change, a word of the message)
DOUBTS = {
    "a default": ("ALTER TABLE orders ADD COLUMN grade int DEFAULT 7", "grade was added with a default"),
    "a volatile default": ("ALTER TABLE orders ADD COLUMN at float8 DEFAULT random()", "public.orders"),
    "rows written anew": ("ALTER TABLE orders ALTER n TYPE int USING n * 2", "its rows were written anew"),
    "another type": ("ALTER TABLE orders ALTER n TYPE bigint", "column n has another definition"),
    "a partition detached": ("ALTER TABLE events DETACH PARTITION events2", "partition public.events2 was detached"),
    "a partition attached": ("ALTER TABLE events ATTACH PARTITION events7 FOR VALUES IN (7)", "partition public.events7 was attached"),
    "a table dropped": ("DROP TABLE orders; CREATE TABLE orders (id int PRIMARY KEY, note text, n int)", "another table of the same name"),
    "identity": ("ALTER TABLE orders REPLICA IDENTITY FULL", "replica identity"),
}
pair = None


def setUpModule():
    global pair
    pair = Pair()


def tearDownModule():
    pair.close()


@unittest.skipUnless(built(), "the binaries are not built")
class PostgresSchema(unittest.TestCase):
    def setUp(self):
        self.begin()

    def begin(self):
        self.doCleanups()
        self.source, self.target = pair.databases()
        self.addCleanup(self.source.drop)
        self.source.execute(SCHEMA)
        self.tide = Tidegate(self.source.url, self.target.url, flags=[])
        self.addCleanup(self.tide.__exit__)
        self.tide.start().wait_phase("streaming")

    def change(self, *statements):
        connection = self.source.connect()
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.close()

    def assert_equal(self):
        self.tide.sync()
        self.assertEqual(differences(self.source, self.target), [], self.tide.log[-2000:])

    def errors(self, code):
        return [error["message"] for error in self.tide.status()["errors"] if error["code"] == code]

    def assert_doubt(self, word):
        self.tide.wait_status(lambda status: any(error["code"] == "schema-changed" and word in error["message"] for error in status["errors"]),
                              timeout=20, what=f"doubt: {word}")

    def assert_nothing_arrives(self):
        count = "SELECT count(*) FROM orders"
        before = self.target.execute(count)
        self.change(WRITE)
        time.sleep(2)
        self.assertEqual(self.target.execute(count), before)

    def test_what_the_stream_tells_is_carried_over(self):
        self.change("ALTER TABLE orders ADD COLUMN grade int", WRITE, "UPDATE orders SET grade = id WHERE id < 10")
        self.assert_equal()
        time.sleep(LOOKS)
        self.change("ALTER TABLE orders ADD COLUMN other text")
        time.sleep(LOOKS)   # it waits for the first change
        self.change("UPDATE orders SET other = 'x' WHERE id > 50")
        self.assert_equal()
        self.tide.kill()
        self.tide.start().wait_phase("streaming")
        self.change(WRITE)
        self.assert_equal()
        self.assertEqual(self.errors("schema-changed"), [])

    def test_new_files_and_empty_partitions_are_no_doubt(self):
        self.change("VACUUM FULL orders", "CLUSTER orders USING orders_pkey", WRITE)
        time.sleep(LOOKS)
        self.change("TRUNCATE events", "INSERT INTO events VALUES (1, 1, 'after')",
                    "CREATE TABLE events3 PARTITION OF events FOR VALUES IN (3)",
                    "ALTER TABLE orders ALTER note SET NOT NULL, ALTER n SET DEFAULT 7, ALTER note SET STATISTICS 10")
        self.tide.wait_status(lambda status: any("partition public.events3" in error["message"] for error in status["errors"]),
                              what="the new partition")
        self.target.execute("CREATE TABLE events3 PARTITION OF events FOR VALUES IN (3)")
        self.change(WRITE, "INSERT INTO events VALUES (3, 1, 'new')", "VACUUM FULL events3")
        time.sleep(LOOKS)
        self.change(WRITE)
        self.assert_equal()
        self.assertEqual(self.errors("schema-changed"), [])

    def test_rows_that_change_without_events_stop_capture(self):
        for name, (statement, word) in DOUBTS.items():
            with self.subTest(change=name):
                self.change(statement)
                self.assert_doubt(word)
                self.assert_nothing_arrives()
                self.begin()

    def test_a_doubt_outlives_the_daemon_and_comes_while_it_is_away(self):
        self.tide.stop()
        self.change("ALTER TABLE orders ALTER n TYPE int USING n * 2", WRITE)
        self.tide.start()
        self.assert_doubt("its rows were written anew")
        self.tide.restart()
        self.assert_doubt("its rows were written anew")
        self.assert_nothing_arrives()

    def test_a_change_that_was_undone_is_no_doubt(self):
        self.change("ALTER TABLE orders REPLICA IDENTITY FULL")
        self.assert_doubt("replica identity")
        self.change("ALTER TABLE orders REPLICA IDENTITY DEFAULT", WRITE)
        self.assert_equal()

    def test_a_new_table_is_reported_once(self):
        self.change("CREATE TABLE later (id int PRIMARY KEY)", "INSERT INTO later VALUES (1)")
        self.tide.wait_status(lambda status: any(error["code"] == "table-not-replicated" and error["table"] == "public.later"
                                                 for error in status["errors"]), what="the new table")
        self.change("ALTER TABLE later ADD COLUMN more text", WRITE)
        time.sleep(LOOKS)
        self.tide.sync()
        self.assertEqual(self.tide.log.count("public.later"), 1)


if __name__ == "__main__":
    unittest.main()
