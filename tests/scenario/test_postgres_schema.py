#!/usr/bin/python3
"""Changes of a Postgres source's schema under way: what the stream announces is carried over; what changes rows without events stops
that table before more is written to it, also where it came while nobody looked, and the table is copied again in its new shape: by itself,
or by `tidegate resync`."""
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from proxy import wait_until                     # noqa: E402
from support.pgsource import open_pair, differences   # noqa: E402
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
CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO other VALUES (1);
CREATE TYPE temper AS ENUM ('sad', 'ok');
CREATE TYPE nested AS (m temper[]);
CREATE TYPE colour AS ENUM ('red');
CREATE TABLE felt (id int PRIMARY KEY, m temper, n nested);
INSERT INTO felt SELECT n, 'sad', '("{sad,ok}")' FROM generate_series(1, 20) n;
"""
LOOKS = 3   # seconds in which the catalogue was looked at again
QUICK = '[source]\nschema_poll = "500ms"\n'
WRITE = "INSERT INTO orders (id, note) VALUES ((SELECT coalesce(max(id), 0) + 1 FROM orders), 'later')"

# name: (the change, a word of the message)
DOUBTS = {
    "a default": ("ALTER TABLE orders ADD COLUMN grade int NOT NULL DEFAULT 7", "grade was added with"),
    "a volatile default": ("ALTER TABLE orders ADD COLUMN at float8 DEFAULT random()", "public.orders"),
    "a generated column": ("ALTER TABLE orders ADD COLUMN twice int GENERATED ALWAYS AS (n * 2) STORED", "twice was added"),
    "rows written anew": ("ALTER TABLE orders ALTER n TYPE int USING n * 2", "its rows were written anew"),
    "another type": ("ALTER TABLE orders ALTER n TYPE bigint", "column n has another definition"),
    "a table dropped": ("DROP TABLE orders; CREATE TABLE orders (id int PRIMARY KEY, note text, n int)", "another table of the same name"),
    "identity": ("ALTER TABLE orders REPLICA IDENTITY FULL", "replica identity"),
}
WIDE = "UPDATE orders SET n = 5000000000 WHERE id = 7"
PAUSE = QUICK + 'on_schema_change = "pause"\n'
pair = None


def setUpModule():
    global pair
    pair = open_pair()


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
        (self.tide.base / "tidegate.toml").write_text(QUICK)
        self.tide.start().wait_phase("streaming")

    def change(self, *statements):
        self.source.execute_each(*statements)

    def assert_equal(self):
        self.tide.sync()
        self.assertEqual(differences(self.source, self.target), [], self.tide.log[-2000:] + self.tide.verb("quarantine", "list").out)

    def errors(self, code):
        return [error["message"] for error in self.tide.status()["errors"] if error["code"] == code]

    def paused(self):
        """The same with on_schema_change = "pause"."""
        self.tide.kill()
        (self.tide.base / "tidegate.toml").write_text(PAUSE)
        self.tide.start().wait_phase("streaming")

    def assert_stopped(self, table, word):
        def stopped(status):
            state = next(each["state"] for each in status["tables"] if each["source"] == table)
            return state == "stopped" and any(error["code"] == "schema-changed" and word in error["message"] and
                                              "tidegate resync " + table in error["message"] for error in status["errors"])
        self.tide.wait_status(stopped, timeout=30, what=f"{table} is stopped: {word}")

    def wait_in_step(self, word):
        """The change was noticed, and the table came back by itself."""
        wait_until(lambda: word in self.tide.log and "resync ended" in self.tide.log, word)
        self.tide.wait_status(lambda status: all(each["state"] == "streaming" for each in status["tables"]), timeout=60,
                              what="all tables stream")

    def wait_taken_in(self, table):
        self.tide.wait_status(lambda status: any(each["source"] == table and each["state"] == "streaming" for each in status["tables"]),
                              timeout=30, what=f"{table} streams")

    def assert_others_stream_on(self, table):
        count = f"SELECT count(*) FROM {table}"
        before = self.target.execute(count)
        self.change(f"INSERT INTO {table} (id) VALUES ((SELECT coalesce(max(id), 0) + 1 FROM {table}))",
                    "INSERT INTO other VALUES ((SELECT max(id) + 1 FROM other))")
        done = self.tide.verb("sync")
        self.assertIn(f"copied again: public.{table}", done.out, done.err)
        self.assertEqual(self.target.execute("SELECT max(id) FROM other"), self.source.execute("SELECT max(id) FROM other"))
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
        self.change(WRITE, "INSERT INTO events VALUES (3, 1, 'new')", "VACUUM FULL events3")
        time.sleep(LOOKS)
        self.change(WRITE)
        self.assert_equal()
        self.assertEqual(self.errors("schema-changed"), [])

    def test_a_table_whose_rows_changed_without_events_is_copied_again(self):
        for name, (statement, word) in DOUBTS.items():
            with self.subTest(change=name):
                self.change(statement, WRITE)
                self.wait_in_step(word)
                self.change(WRITE, "UPDATE orders SET n = 9 WHERE id = 7")
                self.assert_equal()
                if name == "another type":
                    self.change(WIDE)
                    self.assert_equal()
                if name == "a default":
                    defaults = """SELECT pg_get_expr(adbin, adrelid), attnotnull FROM pg_attribute LEFT JOIN pg_attrdef ON
                                  adrelid = attrelid AND adnum = attnum WHERE attrelid = 'orders'::regclass AND attname = 'grade'"""
                    self.assertEqual(self.target.execute(defaults), self.source.execute(defaults))
                self.begin()

    def test_partitions_that_are_attached_and_detached(self):
        self.change("ALTER TABLE events DETACH PARTITION events2")
        self.wait_in_step("partition public.events2 was detached")
        self.change("CREATE TABLE events9 (LIKE events); ALTER TABLE events9 ADD PRIMARY KEY (day, id); INSERT INTO events9 VALUES (9, 1, 'nine');"
                    "ALTER TABLE events ATTACH PARTITION events9 FOR VALUES IN (9)")   # at once: a table of its own would be taken in
        self.tide.wait_status(lambda status: self.target.execute("SELECT line FROM events WHERE day = 9") == [("nine",)], what="its row")
        self.change("INSERT INTO events VALUES (9, 2, 'more')")
        self.tide.sync()
        self.assertEqual(self.target.execute("SELECT * FROM events ORDER BY 1, 2"), self.source.execute("SELECT * FROM events ORDER BY 1, 2"))

    def test_it_waits_for_the_operator_where_told_to(self):
        for name in ("a default", "another type", "a table dropped", "identity"):
            statement, word = DOUBTS[name]
            with self.subTest(change=statement):
                self.paused()
                self.change(statement)
                self.assert_stopped("public.orders", word)
                self.assert_others_stream_on("orders")
                self.tide.restart().wait_phase("streaming")
                self.assert_stopped("public.orders", word)
                done = self.tide.verb("resync", "orders")
                self.assertEqual(done.code, 0, done.err)
                self.change(WRITE)
                self.assert_equal()
                self.assertEqual(self.errors("schema-changed"), [])
                self.begin()

    def test_it_is_found_though_it_came_while_the_daemon_was_away(self):
        self.tide.stop()
        self.change("ALTER TABLE orders ALTER n TYPE int USING n * 2", WRITE)
        self.tide.start()
        self.wait_in_step("its rows were written anew")
        self.assert_equal()
        self.assertIn("its rows were written anew", self.tide.log)

    def test_a_column_that_went_is_the_operators(self):
        self.change("ALTER TABLE orders DROP COLUMN note")
        self.assert_stopped("public.orders", "column note was dropped")
        done = self.tide.verb("resync", "orders")
        self.assertEqual(done.code, 2, done.err)
        self.assertIn("drop or rename it on the target too", done.err)
        self.target.execute("ALTER TABLE orders DROP COLUMN note")
        self.assertEqual(self.tide.verb("resync", "orders").code, 0)
        self.change("UPDATE orders SET n = 0 WHERE id < 50")
        self.assert_equal()

    def test_changes_that_follow_each_other_and_kills(self):
        for number in range(3):
            self.change(f"ALTER TABLE orders ADD COLUMN c{number} int DEFAULT {number}", WRITE)
            time.sleep(0.3 + 0.3 * number)   # before, at and after a look
            self.tide.kill()
            self.change(f"ALTER TABLE orders ALTER c{number} TYPE bigint", f"UPDATE orders SET c{number} = 5000000000 WHERE id = {number + 1}")
            self.tide.start().wait_phase("streaming")
        self.tide.wait_status(lambda status: all(each["state"] == "streaming" for each in status["tables"]), what="all tables stream")
        time.sleep(LOOKS)
        self.tide.wait_status(lambda status: all(each["state"] == "streaming" for each in status["tables"]), what="all tables stream")
        self.change(WRITE)
        self.assert_equal()

    def assert_labels_follow(self):
        """The rows, the labels and their order; rows that came before the label are held until the target has it."""
        self.tide.sync()
        self.tide.wait_status(lambda status: status["quarantined"] == 0 and not differences(self.source, self.target), what="equal rows")
        labels = "SELECT enumlabel FROM pg_enum WHERE enumtypid = 'public.temper'::regtype ORDER BY enumsortorder"
        self.assertEqual(self.target.execute(labels), self.source.execute(labels))

    def test_labels_of_an_enum_are_carried_over(self):
        self.change("ALTER TYPE temper ADD VALUE 'it''s so, so' AFTER 'sad'",
                    """INSERT INTO felt VALUES (30, 'it''s so, so', '("{""it''s so, so"",ok}")')""", "UPDATE felt SET m = 'ok' WHERE id < 5")
        self.assert_labels_follow()
        self.change("ALTER TYPE temper ADD VALUE 'worst' BEFORE 'sad'", "ALTER TYPE colour ADD VALUE 'green'")
        self.change("UPDATE felt SET m = 'worst' WHERE id = 1")
        self.assert_labels_follow()
        self.assertEqual(self.target.execute("SELECT 1 FROM pg_type WHERE typname = 'colour'"), [])   # no table of ours has it
        self.change("BEGIN; UPDATE felt SET m = 'sad' WHERE id > 10; ALTER TYPE temper RENAME VALUE 'sad' TO 'blue'; INSERT INTO felt VALUES (31, 'blue'); COMMIT")
        self.assert_labels_follow()   # also rows that no event speaks of
        self.tide.stop()
        self.change("ALTER TYPE temper RENAME VALUE 'ok' TO 'sad'", "ALTER TYPE temper ADD VALUE 'ok'", "INSERT INTO felt VALUES (32, 'ok'), (33, 'sad')")
        self.tide.start().wait_phase("streaming")
        self.assert_labels_follow()
        self.assertEqual(self.errors("enum-changed"), [])

    def test_labels_of_an_enum_wait_for_the_operator_where_told_to(self):
        self.paused()
        self.change("ALTER TYPE temper ADD VALUE 'worst' BEFORE 'sad'", "INSERT INTO felt VALUES (30, 'worst')")
        self.tide.wait_status(lambda status: status["quarantined"] == 1 and self.errors("enum-changed"), what="the report")
        said = self.errors("enum-changed")[0]
        statement = said[said.index("ALTER TYPE"):said.index("; then: tidegate quarantine retry --all")]
        self.target.execute(statement)
        self.assertEqual(self.tide.verb("quarantine", "retry", "--all").code, 0)
        self.assert_labels_follow()
        self.tide.wait_status(lambda status: not self.errors("enum-changed"), what="no report any more")

    def test_a_table_that_is_renamed_within_a_transaction(self):
        self.change("BEGIN; UPDATE orders SET note = 'before'; ALTER TABLE orders RENAME TO sold; UPDATE sold SET note = 'after' WHERE id < 50;"
                    " INSERT INTO other VALUES (77); COMMIT")
        self.assert_stopped("public.orders", "renamed")
        self.assertEqual(self.target.execute("SELECT count(*) FROM orders WHERE note = 'after'"), [(0,)])
        self.tide.wait_status(lambda status: any(error["code"] == "table-not-replicated" and error["table"] == "public.sold" and "orders_pkey" in error["message"]
                                                 for error in status["errors"]), what="the new name")
        self.change("UPDATE sold SET note = 'later' WHERE id > 90", "INSERT INTO other VALUES (78)")
        self.tide.sync()
        self.assertEqual(self.target.execute("SELECT id FROM other ORDER BY id"), [(1,), (77,), (78,)])

    def test_new_tables_are_taken_in(self):
        self.change("CREATE TYPE mood AS ENUM ('good', 'bad')",
                    """CREATE TABLE later (id int PRIMARY KEY, mood mood, mail text UNIQUE, orders int REFERENCES orders,
                       n serial, CHECK (id > 0))""",
                    "INSERT INTO later (id, mood, mail, orders) SELECT n, 'good', 'mail' || n, n FROM generate_series(1, 90) n")
        for n in range(100, 160):   # while it is taken in
            self.change(f"INSERT INTO later (id, mood, mail) VALUES ({n}, 'bad', 'm{n}')", f"UPDATE later SET orders = {n - 99} WHERE id = {n - 99}")
            time.sleep(0.1)
        self.wait_taken_in("public.later")
        self.change("DELETE FROM later WHERE id < 5", WRITE)
        self.assert_equal()
        objects = """SELECT conname, contype FROM pg_constraint WHERE conrelid = 'later'::regclass ORDER BY 1"""
        self.assertEqual(self.target.execute(objects), self.source.execute(objects))
        self.tide.restart().wait_phase("streaming")
        self.change("INSERT INTO later (id, mood) VALUES (999, 'bad')")
        self.assert_equal()

    def test_a_new_table_is_taken_in_though_the_daemon_dies(self):
        self.tide.restart(failpoint="resync-new-table").wait_phase("streaming")
        self.change("CREATE TABLE later (id int PRIMARY KEY, t text)", "INSERT INTO later SELECT n, 't' FROM generate_series(1, 100) n")
        self.assertEqual(self.tide.wait(), -signal.SIGKILL)
        self.change("INSERT INTO later VALUES (0, 'after')")
        self.tide.start()
        self.wait_taken_in("public.later")
        self.assert_equal()

    def test_a_new_table_that_cannot_be_is_reported(self):
        self.change("CREATE TABLE later (a int)", WRITE)   # without a key
        self.tide.wait_status(lambda status: any(error["code"] == "table-not-replicated" and "no primary key" in error["message"]
                                                 for error in status["errors"]), what="the new table")
        self.change("INSERT INTO later VALUES (1)", "UPDATE later SET a = 2")   # the application's statements go on
        self.tide.sync()
        self.change("ALTER TABLE later ADD PRIMARY KEY (a)")
        self.wait_taken_in("public.later")
        self.assertEqual(self.tide.status()["errors"], [])
        self.assert_equal()

    def test_a_new_table_that_cannot_be_keeps_no_restart_from_going_on(self):
        self.tide.stop()
        self.change("CREATE TABLE later (a int)", "INSERT INTO later VALUES (1)",
                    "CREATE TABLE nothing (a int PRIMARY KEY)", "ALTER TABLE nothing REPLICA IDENTITY NOTHING",
                    "CREATE TABLE usual (a int PRIMARY KEY)", "INSERT INTO usual VALUES (1)", WRITE)
        self.tide.start().wait_phase("streaming")
        self.wait_taken_in("public.usual")
        self.tide.wait_status(lambda status: sorted(error["table"] for error in status["errors"]) == ["public.later", "public.nothing"],
                              what="both are reported")
        self.change("UPDATE later SET a = 2", "INSERT INTO nothing VALUES (1)", "UPDATE nothing SET a = 2", WRITE)   # they are not published
        self.change("DROP TABLE later", "DROP TABLE nothing")
        self.tide.wait_status(lambda status: not status["errors"], what="what is gone is no error")
        self.assert_equal()

    def test_with_consent_a_new_table_without_a_key_is_taken_in(self):
        (self.tide.base / "tidegate.toml").write_text(QUICK + "set_identity_full = true\n")
        self.tide.restart().wait_phase("streaming")
        self.change("CREATE TABLE later (a int)", "INSERT INTO later VALUES (1), (1)")
        self.wait_taken_in("public.later")
        self.tide.stop()
        self.change("UPDATE later SET a = 2 WHERE ctid = '(0,1)'", "CREATE TABLE last (a int)", "INSERT INTO last VALUES (1)")
        self.tide.start()
        self.wait_taken_in("public.last")
        self.change("DELETE FROM last", "INSERT INTO last VALUES (3)")
        self.assert_equal()

    def test_a_table_that_lost_its_key_stops_alone_at_a_restart(self):
        self.tide.stop()
        self.change("ALTER TABLE other DROP CONSTRAINT other_pkey", WRITE)
        self.tide.start().wait_status(lambda status: any(each["source"] == "public.other" and each["state"] == "stopped"
                                                         for each in status["tables"]), what="it is stopped")
        self.change(WRITE)
        self.tide.sync()
        self.change("ALTER TABLE other ADD PRIMARY KEY (id)")
        self.assertEqual(self.tide.verb("resync", "public.other").code, 0)
        self.wait_taken_in("public.other")
        self.assert_equal()

    def test_a_new_table_is_reported_once(self):
        self.paused()
        self.change("CREATE TABLE later (id int PRIMARY KEY)", "INSERT INTO later VALUES (1)")
        self.tide.wait_status(lambda status: any(error["code"] == "table-not-replicated" and error["table"] == "public.later"
                                                 for error in status["errors"]), what="the new table")
        self.change("ALTER TABLE later ADD COLUMN more text", WRITE)
        time.sleep(LOOKS)
        self.tide.sync()
        self.assertEqual(self.tide.log.count("public.later"), 1)


if __name__ == "__main__":
    unittest.main()
