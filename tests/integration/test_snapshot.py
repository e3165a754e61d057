#!/usr/bin/python3
"""The snapshot of a Postgres source between two real servers: tables of every kind, rounds, crashes, zombies."""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.pgoutput import changes_of               # noqa: E402
from support.postgres_source import PostgresSource   # noqa: E402
from support.target import Target                    # noqa: E402

TOOL = pathlib.Path(os.environ["TIDEGATE_BIN_DIR"]) / "tests" / "tidegate-snapshot"
ONE_DAY = 86_400_000
KILLED = -9
IN_APP = "SET search_path = app; "


class Table:
    """How the tool is told of a table; the target's is made by the same DDL, without what comes after the load."""

    def __init__(self, name, key=("id",), partitioned=False, schema="app"):
        self.name, self.key, self.partitioned, self.schema = name, list(key), partitioned, schema

    def order(self, columns):
        return {"name": f"{self.schema}.{self.name}", "schema": self.schema, "table": self.name, "columns": columns, "key": self.key,
                "partitioned": self.partitioned, "target_schema": self.schema, "target": self.name}


class SnapshotCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.source = cls.enterClassContext(PostgresSource())
        cls.target = cls.enterClassContext(Target())

    def setUp(self):
        self.pipeline = self.id().rpartition(".")[2]
        self.both("DROP SCHEMA IF EXISTS app CASCADE; CREATE SCHEMA app")

    def both(self, ddl):
        self.source.run(IN_APP + ddl)
        self.target.query(IN_APP + ddl)

    def write(self, sql):
        self.source.run(IN_APP + sql)

    def columns(self, table):
        found = self.source.run("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
                                " AND attgenerated = '' ORDER BY attnum", ('"{}"."{}"'.format(table.schema, table.name.replace('"', '""')),))
        return [name for name, in found]

    def begin(self, *tables, failpoint="", changes=(), **settings):
        """The tool as a process that has its order."""
        order = {"pipeline": self.pipeline, "jobs": 2, "max_age_ms": ONE_DAY, "chunk_rows": 100, "chunk_bytes": 32768, "pause_ms": 0,
                 "tables": [table.order(self.columns(table)) for table in tables], "changes": list(changes), **settings}
        environment = {**os.environ, "TIDEGATE_TEST_SOURCE": self.source.url, "TIDEGATE_TEST_TARGET": self.target.url,
                       "TIDEGATE_FAILPOINT": failpoint}
        process = subprocess.Popen([TOOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True)
        process.stdin.write(json.dumps(order))
        process.stdin.close()
        return process

    def end(self, process):
        with process:
            output = process.stdout.read()
        return process.returncode, json.loads(output) if output else None

    def copy(self, *tables, **settings):
        code, answer = self.end(self.begin(*tables, **settings))
        self.assertEqual(code, 0, answer)
        self.assertTrue(answer["whole"])
        return answer

    def assert_equal_tables(self, *names):
        for name in names:
            query = (f'SET search_path = pg_catalog; SELECT count(*), coalesce(md5(string_agg(t::text, chr(10) ORDER BY t::text COLLATE "C")), \'\') FROM app.{name} AS t')
            with self.subTest(table=name):
                self.assertEqual(self.target.query(query), self.source.run(query))

    def chunks(self, table):
        return self.target.query("SELECT number, sequence, rows FROM tidegate.chunks WHERE pipeline = %s AND source_table = %s ORDER BY 1",
                                 (self.pipeline, f"{table.schema}.{table.name}"))

    def key_orders(self, name):
        return self.target.query("SELECT key_order FROM tidegate.chunk_keys WHERE pipeline = %s AND source_table = %s ORDER BY place",
                                 (self.pipeline, f"app.{name}"))


class Tables(SnapshotCase):
    def test_integer_key_in_many_chunks(self):
        self.both("CREATE TABLE t(id bigint PRIMARY KEY, v text, n int)")
        self.write("INSERT INTO t SELECT i * 3 - 2000, CASE WHEN i % 7 > 0 THEN repeat('x', i % 50) END, i FROM generate_series(1, 5000) i")
        self.copy(Table("t"))
        self.assert_equal_tables("t")
        chunks = self.chunks(Table("t"))
        self.assertGreater(len(chunks), 20)
        self.assertEqual(sum(rows for _, _, rows in chunks), 5000)
        self.assertEqual(len({sequence for _, sequence, _ in chunks}), 1)
        self.assertLess(max(rows for _, _, rows in chunks), 500)


    def test_keys_whose_order_is_known(self):
        self.both("""CREATE TABLE small(id smallint PRIMARY KEY, v text);
                     CREATE TABLE uuids(id uuid PRIMARY KEY, v text);
                     CREATE TABLE bytes(id bytea PRIMARY KEY, v text);
                     CREATE TABLE texts(id text COLLATE "C" PRIMARY KEY, v text);
                     CREATE DOMAIN code AS varchar(40) COLLATE "C";
                     CREATE TABLE codes(id code PRIMARY KEY, v text);
                     CREATE TABLE pairs(b text COLLATE "POSIX", a int, v text, PRIMARY KEY (a, b))""")
        self.write("""INSERT INTO small SELECT i, i FROM generate_series(-1000, 1000) i;
                      INSERT INTO uuids SELECT md5(i::text)::uuid, i FROM generate_series(1, 2000) i;
                      INSERT INTO bytes SELECT decode(md5(i::text), 'hex'), i FROM generate_series(1, 2000) i;
                      INSERT INTO bytes VALUES ('', 'none');
                      INSERT INTO texts SELECT chr(60 + i % 800) || 'o''k\ ' || i, i FROM generate_series(1, 2000) i;
                      INSERT INTO texts VALUES ('', 'none'), (E'\t', 'tab'), (E'line\nbreak', 'two');
                      INSERT INTO codes SELECT 'c' || i, i FROM generate_series(1, 2000) i;
                      INSERT INTO pairs SELECT 'k' || i, i % 7, i FROM generate_series(1, 2000) i""")
        names = ["small", "uuids", "bytes", "texts", "codes"]
        self.copy(*[Table(name) for name in names], Table("pairs", key=("a", "b")))
        self.assert_equal_tables(*names, "pairs")
        for name in [*names, "pairs"]:
            with self.subTest(table=name):
                self.assertGreater(len(self.chunks(Table(name))), 10)
                self.assertEqual(self.key_orders(name) != [], True)

    def test_keys_whose_order_is_the_servers_own(self):
        """NaN, infinity, enums, locales, no key at all: all chunks come from one snapshot."""
        self.both("""CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
                     CREATE TABLE floats(id float8 PRIMARY KEY, v text);
                     CREATE TABLE numerics(id numeric PRIMARY KEY, v text);
                     CREATE TABLE moods(id mood, n int, v text, PRIMARY KEY (id, n));
                     CREATE TABLE words(id text COLLATE "und-x-icu" PRIMARY KEY, v text);
                     CREATE TABLE plain(id text PRIMARY KEY, v text);
                     CREATE TABLE blanks(id char(10) PRIMARY KEY, v text);
                     CREATE TABLE times(id timestamptz PRIMARY KEY, v text);
                     CREATE TABLE keyless(a int, b text);
                     CREATE TABLE empty(a int)""")
        self.write("""INSERT INTO floats SELECT i / 7.0, i FROM generate_series(-2000, 2000) i;
                      INSERT INTO floats VALUES ('NaN', 'n'), ('Infinity', 'i'), ('-Infinity', 'm');
                      INSERT INTO numerics SELECT id::numeric, v FROM floats WHERE v ~ '^[0-9]*$'; INSERT INTO numerics VALUES ('NaN', 'n'), ('-Infinity', 'm');
                      INSERT INTO moods SELECT (enum_range(NULL::mood))[1 + i % 3], i, i FROM generate_series(1, 3000) i;
                      INSERT INTO words SELECT chr(65 + i % 500) || i, i FROM generate_series(1, 3000) i;
                      INSERT INTO plain SELECT * FROM words; INSERT INTO blanks SELECT left(id, 9), v FROM words;
                      INSERT INTO times SELECT now() + i * interval '1 day', i FROM generate_series(1, 3000) i;
                      INSERT INTO times VALUES ('infinity', 'i'), ('4713-01-01 BC', 'old');
                      INSERT INTO keyless SELECT i % 10, 'same' FROM generate_series(1, 3000) i""")
        names = ["floats", "numerics", "words", "plain", "blanks", "times"]
        keyless = [Table("keyless", key=()), Table("empty", key=())]
        self.copy(*[Table(name) for name in names], Table("moods", key=("id", "n")), *keyless, max_age_ms=0)
        self.assert_equal_tables(*names, "moods", "keyless", "empty")
        for name in [*names, "moods", "keyless"]:
            with self.subTest(table=name):
                chunks = self.chunks(Table(name))
                self.assertGreater(len(chunks), 2)
                self.assertEqual(len({sequence for _, sequence, _ in chunks}), 1)
                self.assertEqual(self.key_orders(name), [])

    def test_partitions_and_children(self):
        self.both("""CREATE TABLE parts(id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
                     CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (MINVALUE) TO (1000);
                     CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (1000) TO (5000) PARTITION BY RANGE (id);
                     CREATE TABLE parts_2a PARTITION OF parts_2 FOR VALUES FROM (1000) TO (2000);
                     CREATE TABLE parts_2b PARTITION OF parts_2 DEFAULT;
                     CREATE TABLE loose(a int, b text) PARTITION BY LIST (a);
                     CREATE TABLE loose_1 (b text, a int); ALTER TABLE loose ATTACH PARTITION loose_1 FOR VALUES IN (1);
                     CREATE TABLE loose_2 PARTITION OF loose DEFAULT;
                     CREATE TABLE parent(id int PRIMARY KEY, v text);
                     CREATE TABLE child(extra text, PRIMARY KEY (id)) INHERITS (parent)""")
        self.write("""INSERT INTO parts SELECT i, 'v' || i FROM generate_series(1, 4000) i;
                      INSERT INTO loose SELECT i % 3, 'v' || i FROM generate_series(1, 4000) i;
                      INSERT INTO parent SELECT i, 'p' FROM generate_series(1, 1000) i; INSERT INTO child SELECT i, 'c', 'x' FROM generate_series(1, 1000) i""")
        self.copy(Table("parts", partitioned=True), Table("loose", key=(), partitioned=True), Table("parent"), Table("child"))
        self.assert_equal_tables("parts", "loose", "child", "parent")
        self.assertEqual(self.target.query("SELECT count(*) FROM ONLY app.parent"), [(1000,)])
        self.assertGreater(len(self.chunks(Table("parts"))), 20)
        self.assertGreater(len(self.chunks(Table("loose"))), 2)

    def test_types_in_binary_and_in_text(self):
        """What cannot go as binary (composites, arrays of enums, regclass, a type that differs) goes as text, with the same result."""
        self.source.run("CREATE SCHEMA elsewhere; DROP SCHEMA elsewhere")   # other OIDs on both ends
        self.both(r"""CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
                     CREATE TABLE binary_ok(id int PRIMARY KEY, a int[], t text[], m mood, p positive, n numeric, f float8, ts timestamptz, j json,
                       jb jsonb, b bytea, i inet, r int4range, mr int8multirange, iv interval, bits bit(3), c char(5), money money, tsv tsvector, g point);
                     CREATE TABLE as_text(id int PRIMARY KEY, moods mood[], pr pair, rel regclass, x xml, ps positive[]);
                     INSERT INTO binary_ok VALUES
                       (1, '[2:3]={1,NULL}', '{"a,b",NULL,"\"q\""}', 'sad', 5, 'NaN', '-Infinity', '0044-03-15 12:00 BC', '{"a": 1,  "a":2}', '{"b": null}',
                        '\x00ff', '::1/64', '[1,5)', '{[1,2),[5,9)}', '1 mon -2 days 03:00', '101', 'ab', 12.34, 'a:1 b:2', '(1,2)'),
                       (2, NULL, NULL, NULL, NULL, 1e1000, 4.9e-324, 'infinity', 'null', 'null', '', NULL, 'empty', '{}', '0', NULL, '', 0, '', NULL);
                     INSERT INTO as_text VALUES (1, '{sad,ok}', '(1,"x, y")', 'app.as_text', '<a/>', '{1,2}')""")
        self.both("CREATE TABLE differs(id int PRIMARY KEY, v varchar(20))")
        self.target.query("DELETE FROM app.binary_ok; DELETE FROM app.as_text; ALTER TABLE app.differs ALTER id TYPE bigint, ALTER v TYPE text")
        self.write(r"INSERT INTO differs VALUES (1, 'one'), (2, E'tab\t and \\N')")
        self.copy(Table("binary_ok"), Table("as_text"), Table("differs"))
        self.assert_equal_tables("binary_ok", "as_text", "differs")

    def test_columns_that_are_not_copied_and_names_in_need_of_quotes(self):
        self.both('CREATE TABLE "Odd ""name"" x"("Id" int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "v 1" text, up text GENERATED ALWAYS AS (upper("v 1")) STORED)')
        self.write("""INSERT INTO "Odd ""name"" x"("v 1") SELECT 'v' || i FROM generate_series(1, 1000) i""")
        self.copy(Table('Odd "name" x', key=("Id",)))
        query = 'SELECT count(*), sum("Id"), max(up) FROM app."Odd ""name"" x"'
        self.assertEqual(self.target.query(query), self.source.run(query))


class Refusals(SnapshotCase):
    def held(self):
        return self.target.query("SELECT source_table, source_key, column_name, reason, sqlstate, target_holds FROM tidegate.quarantine"
                                 " WHERE pipeline = %s ORDER BY source_table, id", (self.pipeline,))

    def test_rows_that_the_target_refuses_are_named_and_no_others(self):
        self.both("CREATE TABLE t(id int PRIMARY KEY, v text, n int); CREATE TABLE keyless(v text)")
        self.target.query("ALTER TABLE app.t ADD CHECK (v <> 'bad'); ALTER TABLE app.t ALTER v TYPE varchar(8); ALTER TABLE app.keyless ADD CHECK (v <> 'bad')")
        self.write("""INSERT INTO t SELECT i, CASE i WHEN 7 THEN 'bad' WHEN 2500 THEN 'much too long' ELSE 'v' || i END, i FROM generate_series(1, 3000) i;
                      INSERT INTO keyless SELECT CASE WHEN i IN (5, 6) THEN 'bad' ELSE 'v' || i END FROM generate_series(1, 3000) i""")
        self.copy(Table("t"), Table("keyless", key=()))
        self.assertEqual([entry for entry in self.held() if entry[0] == "app.t"],
                         [("app.t", '["7"]', "", "rejected", "23514", "none"), ("app.t", '["2500"]', "", "rejected", "22001", "none")])
        self.assertEqual(len([entry for entry in self.held() if entry[0] == "app.keyless"]), 2)
        self.assertEqual(self.target.query("SELECT count(*), sum(n) FROM app.t"), self.source.run("SELECT count(*), sum(n) FROM app.t WHERE id NOT IN (7, 2500)"))
        self.assertEqual(self.target.query("SELECT count(*) FROM app.keyless"), [(2998,)])
        self.assertEqual(sum(rows for _, _, rows in self.chunks(Table("t"))), 2998)

    def test_a_table_that_is_gone_stops_it_with_its_name(self):
        self.source.run("CREATE TABLE app.t(id int PRIMARY KEY)")
        code, answer = self.end(self.begin(Table("t")))
        self.assertEqual((code, answer["code"]), (1, "42P01"))

    def test_a_policy_leaves_no_row_out_in_silence(self):
        self.both("CREATE TABLE t(id int PRIMARY KEY)")
        self.write("INSERT INTO t VALUES (1), (2); ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (id = 1)")
        code, answer = self.end(self.begin(Table("t")))
        self.assertEqual((code, answer["code"]), (1, "42501"))


class Crashes(SnapshotCase):
    TABLES = [Table("t"), Table("keyless", key=()), Table("late", key=())]

    def fill(self):
        self.both("CREATE TABLE t(id int PRIMARY KEY, v text); CREATE TABLE keyless(a int, v text); CREATE TABLE late(v text)")
        self.write("""INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 3000) i; INSERT INTO keyless SELECT i % 9, 'same' FROM generate_series(1, 3000) i;
                      INSERT INTO late SELECT 'x' FROM generate_series(1, 3000)""")

    def test_goes_on_after_kill_at_every_step(self):
        self.fill()
        for failpoint in ("round-begun", "split-before-commit:2", "split-after-commit:2", "chunk-before-commit:2", "chunk-after-commit:1",
                          "chunk-before-commit:15", "chunk-after-commit:15", "chunk-after-commit:4"):
            with self.subTest(failpoint=failpoint):
                code, _ = self.end(self.begin(*self.TABLES, failpoint=failpoint))
                self.assertEqual(code, KILLED)
        before = [chunk for chunk in self.chunks(Table("t")) if chunk[1] is not None]
        self.assertGreater(len(before), 0)
        self.copy(*self.TABLES)
        self.assert_equal_tables("t", "keyless", "late")
        after = self.chunks(Table("t"))
        self.assertEqual([chunk for chunk in after if chunk in before], before)   # not copied again
        for table in ("keyless", "late"):
            self.assertEqual(len({sequence for _, sequence, _ in self.chunks(Table(table))}), 1)

    def test_an_error_of_the_connection_is_a_crash_like_any_other(self):
        self.fill()
        for count in (1, 12):
            code, answer = self.end(self.begin(*self.TABLES, failpoint=f"chunk-before-commit:{count}=error"))
            self.assertEqual(code, 1, answer)
        self.copy(*self.TABLES)
        self.assert_equal_tables("t", "keyless", "late")

    def test_what_was_held_of_a_table_that_begins_anew_is_held_no_more(self):
        self.fill()
        self.target.query("ALTER TABLE app.keyless ADD CHECK (a <> 8)")
        self.end(self.begin(self.TABLES[1], failpoint="chunk-after-commit:2", jobs=1))
        held = "SELECT count(*) FROM tidegate.quarantine WHERE pipeline = %s"
        self.assertGreater(self.target.query(held, (self.pipeline,))[0][0], 0)
        self.target.query("ALTER TABLE app.keyless DROP CONSTRAINT keyless_a_check")
        self.copy(*self.TABLES)
        self.assert_equal_tables("t", "keyless", "late")
        self.assertEqual(self.target.query(held, (self.pipeline,)), [(0,)])

    def test_a_frozen_predecessor_is_waited_for_and_then_refused(self):
        self.fill()
        frozen = self.begin(Table("t"), failpoint="chunk-before-commit:3=stop")
        self.addCleanup(frozen.kill)
        wait_until(lambda: state_of(frozen.pid) == "T")
        successor = self.begin(Table("t"))
        self.addCleanup(successor.kill)
        wait_until(lambda: self.target.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%pg_advisory_xact_lock%'"))
        self.assertIsNone(successor.poll())
        frozen.send_signal(signal.SIGCONT)
        code, answer = self.end(frozen)
        self.assertEqual((code, answer["code"]), (1, "TG001"))
        code, answer = self.end(successor)
        self.assertEqual((code, answer["whole"]), (0, True))
        self.assert_equal_tables("t")


def state_of(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_until(condition, seconds=15):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise AssertionError("it did not come")
        time.sleep(0.02)


class Writer(threading.Thread):
    """Transactions of all kinds on app.ints and app.floats, until stopped."""

    def __init__(self, source, seed):
        super().__init__()
        self.source, self.random, self.stopped, self.failure = source, random.Random(seed), threading.Event(), None

    def run(self):
        try:
            with self.source.connect() as connection, connection.cursor() as cursor:
                cursor.execute("SET synchronous_commit = off; SET search_path = app")
                while not self.stopped.is_set():
                    for _ in range(self.random.randint(1, 4)):
                        cursor.execute(self.statement())
                    connection.commit()
                    time.sleep(self.random.random() * 0.004)
        except Exception as failure:   # shown by the test
            self.failure = failure

    def statement(self):
        table, one, other = self.random.choice(("ints", "floats")), self.random.randrange(600), self.random.randrange(600)
        kind = self.random.randrange(100)
        if kind < 40:
            return f"INSERT INTO {table} VALUES ({one}, {other}) ON CONFLICT DO NOTHING"
        if kind < 60:
            return f"UPDATE {table} SET v = {other} WHERE id = {one}"
        if kind < 75:
            return f"UPDATE {table} SET id = {other} WHERE id = {one} AND NOT EXISTS (SELECT FROM {table} WHERE id = {other})"
        if kind < 99:
            return f"DELETE FROM {table} WHERE id = {one}"
        return f"TRUNCATE {table}; INSERT INTO {table} SELECT i, i FROM generate_series(1, 600, 2) i"

    def end(self):
        self.stopped.set()
        self.join()
        if self.failure:
            raise self.failure


class Rounds(SnapshotCase):
    TABLES = [Table("ints"), Table("floats")]

    def setUp(self):
        super().setUp()
        self.both("CREATE TABLE ints(id int PRIMARY KEY, v text); CREATE TABLE floats(id float8 PRIMARY KEY, v text)")
        self.write("INSERT INTO ints SELECT i, i FROM generate_series(1, 600, 2) i; INSERT INTO floats SELECT i, i FROM generate_series(1, 600, 2) i")

    def rows(self, table):
        return {key: value for key, value in self.target.query(f"SELECT id::text, v FROM app.{table}")}

    def apply(self, rows, judged):
        """Exactly what is not there is inserted, exactly what is there is changed or removed."""
        change = judged["change"]
        for after, up_to in judged["ranges"]:
            for key in [key for key in rows if (not after or int(key) > int(after[0])) and (not up_to or int(key) <= int(up_to[0]))]:
                del rows[key]
        if not change:
            return
        if change["operation"] == "T":
            return rows.clear()
        key = (change["before"] or change["row"])[0]
        self.assertEqual(key in rows, change["operation"] != "I", change)
        if change["operation"] != "I":
            del rows[key]
        if change["operation"] != "D":
            self.assertNotIn(change["row"][0], rows)
            rows[change["row"][0]] = change["row"][1]

    def test_chunks_of_many_rounds_and_the_stream_give_the_source(self):
        seed = int(os.environ.get("TIDEGATE_SEED", random.randrange(1 << 32)))
        self.source.run("CREATE PUBLICATION all_of_it FOR TABLE app.ints, app.floats")
        self.source.run("SELECT pg_create_logical_replication_slot('stream', 'pgoutput')")
        writer = Writer(self.source, seed)
        writer.start()
        try:
            kills = random.Random(seed)
            for _ in range(2):
                self.end(self.begin(*self.TABLES, failpoint=f"chunk-after-commit:{kills.randrange(2, 8)}", chunk_rows=15, max_age_ms=0, pause_ms=20))
            self.copy(*self.TABLES, chunk_rows=15, max_age_ms=0, pause_ms=20)
        finally:
            writer.end()
        self.assertGreater(len({sequence for _, sequence, _ in self.chunks(Table("ints"))}), 3)
        self.assertEqual(len({sequence for _, sequence, _ in self.chunks(Table("floats"))}), 1)
        self.source.run("CREATE TABLE app.flushed()")   # a slot shows what is on disk, and the writer did not wait for that
        changes = changes_of(self.source, "stream", "all_of_it", ["ints", "floats"])
        answer = self.copy(*self.TABLES, changes=changes)
        both = [self.rows("ints"), self.rows("floats")]
        shown = 0
        with self.subTest(seed=f"TIDEGATE_SEED={seed}"):
            for change, judged in zip(changes, answer["judged"], strict=True):
                shown += judged["change"] is None
                self.apply(both[change["table"]], judged)
            for rows, table in zip(both, ("ints", "floats"), strict=True):
                self.assertEqual(rows, dict(self.source.run(f"SELECT id::text, v FROM app.{table}")))
            self.assertGreater(shown, 20)
            self.assertGreater(len(changes) - shown, 20)

    def test_the_source_is_not_held_back_when_a_round_is_over(self):
        process = self.begin(*self.TABLES, chunk_rows=15, max_age_ms=0, pause_ms=100)
        slots = set()
        while process.poll() is None:
            found = self.source.run("SELECT slot_name FROM pg_replication_slots WHERE temporary")
            self.assertLessEqual(len(found), 1)
            slots.update(found)
            time.sleep(0.02)
        self.end(process)
        self.assertGreater(len(slots), 3)
        wait_until(lambda: not self.source.run("SELECT 1 FROM pg_replication_slots WHERE temporary"))

    def copied(self, table):
        return self.target.query("SELECT count(*) FROM tidegate.chunks WHERE pipeline = %s AND source_table = %s AND sequence IS NOT NULL",
                                 (self.pipeline, f"app.{table}"))[0][0]

    def marks(self, table):
        return {sequence for _, sequence, _ in self.chunks(Table(table))}

    def test_a_truncate_waits_for_a_chunk_only_and_what_it_hides_is_read_again(self):
        process = self.begin(Table("ints"), chunk_rows=15, pause_ms=100, jobs=1)
        wait_until(lambda: self.copied("ints") > 3)
        self.source.run("SET lock_timeout = '1s'; TRUNCATE app.ints; INSERT INTO app.ints VALUES (599, 'new')")
        self.end(process)
        self.assertEqual(len(self.marks("ints")), 2)
        self.assertEqual(self.target.query("SELECT v FROM app.ints WHERE id = 599"), [("new",)])

    def test_a_table_that_is_packed_anew_while_it_is_read_at_once_begins_again(self):
        self.write("UPDATE floats SET v = v || repeat('x', 100); DELETE FROM floats WHERE id < 100")
        process = self.begin(Table("floats"), pause_ms=100, jobs=1, chunk_bytes=8192)
        wait_until(lambda: self.copied("floats") > 1)
        connection = self.source.connect()
        connection.autocommit = True
        connection.cursor().execute("VACUUM FULL app.floats")
        connection.close()
        began_with = max(self.marks("floats") - {None})
        self.end(process)
        self.assertEqual(len(self.marks("floats")), 1)
        self.assertGreater(min(self.marks("floats")), began_with)
        self.assert_equal_tables("floats")

    def test_a_stop_ends_the_wait_for_an_open_transaction(self):
        with self.source.connect() as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO app.ints VALUES (100000, 'open')")
            process = self.begin(*self.TABLES)
            wait_until(lambda: self.source.run("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND backend_type = 'walsender'"))
            self.assertIsNone(process.poll())
            process.send_signal(signal.SIGTERM)
            code, answer = self.end(process)
            self.assertEqual((code, answer["whole"]), (0, False))
        self.copy(*self.TABLES)
        self.assert_equal_tables("ints", "floats")


if __name__ == "__main__":
    unittest.main()
