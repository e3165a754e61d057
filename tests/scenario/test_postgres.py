#!/usr/bin/python3
"""A Postgres source, end to end: snapshot, stream, restarts of everything."""
import os
import pathlib
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from proxy import wait_until                     # noqa: E402
from stage import process_state                  # noqa: E402
from support.pgsource import open_pair, differences   # noqa: E402
from support.tidegate import Tidegate, built     # noqa: E402

SHOP = """
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TABLE customer (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE, mood mood, born date,
  seen timestamptz DEFAULT now(), score numeric(10,2) CHECK (score >= 0), upper_email text GENERATED ALWAYS AS (upper(email)) STORED);
CREATE TABLE orders (id serial PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customer ON DELETE CASCADE, lines jsonb,
  note text, tags text[], blob bytea);
CREATE INDEX ON orders (customer_id);
CREATE TABLE log (at timestamptz, line text);
ALTER TABLE log REPLICA IDENTITY FULL;
CREATE TABLE pair (a int, b uuid, v text, PRIMARY KEY (a, b));
INSERT INTO customer (email, mood, born, score) SELECT 'c' || n || '@example.org', (ARRAY['glad','sad']::mood[])[n % 2 + 1],
  date '1980-01-01' + n, n FROM generate_series(1, 5000) n;
INSERT INTO orders (customer_id, lines, note, tags, blob)
  SELECT n % 5000 + 1, jsonb_build_object('n', n), repeat('x', n % 300), ARRAY['a', NULL, n::text], decode(md5(n::text), 'hex')
  FROM generate_series(1, 20000) n;
INSERT INTO log SELECT now(), 'line ' || n % 10 FROM generate_series(1, 100) n;
INSERT INTO pair SELECT n % 10, md5(n::text)::uuid, 'v' FROM generate_series(1, 1000) n;
"""

CHANGES = [
    "INSERT INTO customer (email, mood) VALUES ('new@example.org', 'sad')",
    "UPDATE customer SET score = 7 WHERE id <= 100",
    "DELETE FROM customer WHERE id BETWEEN 200 AND 220",
    "UPDATE orders SET note = 'seen' WHERE id % 7 = 0",
    "INSERT INTO orders (customer_id, note) SELECT 1, repeat(md5(n::text), 400) FROM generate_series(1, 20) n",
    "UPDATE orders SET tags = '{later}' WHERE length(note) > 5000",          # the note is TOASTed and does not come
    "UPDATE pair SET a = a + 100 WHERE a = 3",                                # keys change
    "DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log WHERE line = 'line 3')",
    "UPDATE log SET line = 'changed' WHERE ctid = (SELECT min(ctid) FROM log WHERE line = 'line 4')",
    "BEGIN; UPDATE customer SET email = 'x' WHERE id = 1; UPDATE customer SET email = 'c1@example.org' WHERE id = 2;"
    " UPDATE customer SET email = 'c2@example.org' WHERE id = 1; COMMIT",
    "TRUNCATE pair",
    "INSERT INTO pair VALUES (1, gen_random_uuid(), 'again')",
]
pair = None


def setUpModule():
    global pair
    pair = open_pair()


@unittest.skipUnless(built(), "the binaries are not built")
class Postgres(unittest.TestCase):
    def setUp(self):
        self.source, self.target = pair.databases()
        self.addCleanup(self.source.drop)
        self.tide = Tidegate(self.source.url, self.target.url, flags=[])
        self.addCleanup(self.tide.__exit__)

    def start(self, sql=SHOP):
        self.source.execute(sql)
        self.tide.start().wait_phase("streaming")
        return self.tide

    def change(self, *statements):
        self.source.execute_each(*(statements or CHANGES))

    def assert_equal(self):
        self.tide.sync()
        self.assertEqual(differences(self.source, self.target), [], self.tide.log[-2000:])
        self.assertEqual(self.tide.status()["quarantined"], 0, self.tide.log[-2000:])

    def test_snapshot_and_stream_arrive(self):
        self.start()
        self.assert_equal()
        self.change()
        self.assert_equal()

    def test_nothing_is_lost_or_doubled_over_a_restart(self):
        self.start()
        self.tide.stop()
        self.change()
        self.tide.start().wait_phase("streaming")
        self.assert_equal()
        self.tide.kill()
        self.change("UPDATE customer SET score = score + 1", "INSERT INTO log VALUES (now(), 'once')")
        self.tide.start().wait_phase("streaming")
        self.change("INSERT INTO log VALUES (now(), 'twice'), (now(), 'twice')")
        self.assert_equal()

    def test_a_new_column_in_the_middle_of_a_transaction(self):
        self.start()
        self.change("BEGIN; INSERT INTO pair VALUES (7, gen_random_uuid(), 'before'); ALTER TABLE pair ADD COLUMN more numeric(6,2);"
                    " INSERT INTO pair VALUES (8, gen_random_uuid(), 'after', 1.5); UPDATE pair SET more = 2 WHERE a = 7; COMMIT",
                    "UPDATE pair SET more = a")
        self.assert_equal()
        self.assertEqual(self.target.execute("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'pair'::regclass"
                                             " AND attname = 'more'"), [("numeric(6,2)",)])

    def test_restarts_of_source_and_target_are_waited_out(self):
        self.start()
        pair.source.restart(immediate=True)
        self.change()
        self.assert_equal()
        pair.target.restart(immediate=True)
        self.change("UPDATE customer SET score = score + 1")
        self.assert_equal()

    def test_the_checkpoint_summary_reads_well_while_it_copies(self):
        total = 400_000
        self.source.execute(f"""CREATE TABLE patients (id int PRIMARY KEY, name text); CREATE TABLE wards (code text PRIMARY KEY);
            INSERT INTO patients SELECT n, 'Patient ' || n FROM generate_series(1, {total}) n; INSERT INTO wards VALUES ('a'); ANALYZE""")
        summary = """SELECT status, records_migrated, batch_number, last_record_id, last_key, error_message, updated_at >= created_at
                     FROM tidegate.migration_checkpoints WHERE table_name = 'public.patients'"""
        self.tide.start(failpoint="chunk-before-commit:4=stop", flags=["--jobs", "1"])
        pid = self.tide.process.pid
        wait_until(lambda: process_state(pid) == "T", "the fourth chunk")
        status, rows, batches, last_id, last_key, error, in_order = self.target.execute(summary)[0]
        self.assertEqual((status, error, in_order), ("in_progress", None, True))
        self.assertTrue(0 < rows < total and 0 < batches < 4, (rows, batches))
        self.assertEqual((last_id, last_key), (rows, f'["{rows}"]'))   # keys without gaps, chunks in their order
        os.kill(pid, signal.SIGCONT)
        self.tide.wait_phase("streaming")
        self.assertEqual(self.target.execute(summary)[0][:2], ("completed", total))

    def test_a_source_that_refuses_to_decode_ends_the_daemon(self):
        self.start()
        self.source.execute("UPDATE orders SET note = 'before' WHERE id = 1")
        self.tide.sync()
        self.source.execute(f'DROP PUBLICATION "tidegate_{self.source.name}"')
        self.source.execute("UPDATE orders SET note = 'after' WHERE id = 1")
        self.assertNotEqual(self.tide.wait(timeout=30), 0)
        self.assertIn("publication", self.tide.log.splitlines()[-1])

    def test_a_table_without_columns_is_refused_by_name(self):
        self.source.execute("CREATE TABLE shop (id int PRIMARY KEY); CREATE TABLE hollow (twice int GENERATED ALWAYS AS (1) STORED);"
                            " ALTER TABLE hollow REPLICA IDENTITY FULL")
        done = self.tide.verb("run", "--yes")
        self.assertEqual(done.code, 2, done)
        self.assertIn("public.hollow", done.err)


if __name__ == "__main__":
    unittest.main()
