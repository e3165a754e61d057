"""What a kill scenario needs: one target server, the legacy app under load, pipelines into databases of their own, and the
judgement at the end of a round."""
import json
import os
import pathlib
import random
import re
import sqlite3
import subprocess
import sys
import unittest

import psycopg2
from psycopg2 import sql

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import catalog, tidegate        # noqa: E402
from support.compare import Comparison       # noqa: E402
from support.cutover import process_state    # noqa: E402,F401
from support.legacy import LegacyApp         # noqa: E402
from support.target import Target            # noqa: E402
import ledger                                # noqa: E402
from load import Load                        # noqa: E402
from proxy import wait_until                 # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAPPED_ONLY = r"^apply/mapping/|^apply/postgres/(reset|unowned_rows)|^replicator/pipeline/(target_scripts|realtime)|"   # the last in test_seed
WAY_BACK = r"|^apply/sqlite/|^apply/postgres/return_sink|^replicator/cutover/(reverse_capture|sqlite_way_back)"   # in test_way_back and test_shared_cutover
POSTGRES_ONLY = re.compile(MAPPED_ONLY + r"^capture/postgres/|^apply/postgres/(native/|chunk_copier|chunk_ledger)|^replicator/(pipeline|verify)/postgres_|^replicator/pipeline/resync" + WAY_BACK)
SQLITE_ONLY = re.compile(MAPPED_ONLY + r"^capture/sqlite/|^apply/postgres/(chunk_loader|batch_writer)|^replicator/pipeline/(capture_worker|sqlite_)|^replicator/verify/sqlite_" + WAY_BACK)
CUTOVER = re.compile(r"^replicator/cutover/(?!reverse_capture|sqlite_way_back)|^capture/sqlite/fence|^apply/postgres/(target_(fence|cleaning|closing)|legacy_side)")   # test_cutover_kills, test_rollback_kills and test_finalize have these
COMMANDS = re.compile(r"^replicator/(schema|backup)/")   # of commands, not of the daemon: test_schema, test_backup
SOURCES = ["db", "capture", "apply", "replicator"]
LONG = os.environ.get("TIDEGATE_LONG") == "1"
SEED = int(os.environ.get("TIDEGATE_SEED") or random.SystemRandom().randrange(10**9))
RATE, THREADS = 60, 3    # the load: requests a second, and how many at a time
# Columns that the app fills beyond their declared length, which SQLite does not mind.
WIDE_COLUMNS = [("child_profile", "name", 80), ("project", "title", 200), ("school", "name", 120), ("achievement", "name", 120)]
WIDE = "wide " * 41
WAIT = 60                # seconds for a phase or a sync; a busy machine needs some


def failpoints(elsewhere=POSTGRES_ONLY):
    """The names of all failpoints in the sources, so that a new one is tested without being listed anywhere. `elsewhere`: files that
    another source alone passes."""
    names = set()
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*.cpp"):
            name = str(path.relative_to(ROOT))
            if elsewhere.search(name) or CUTOVER.search(name) or COMMANDS.search(name):
                continue
            names.update(re.findall(r'\bfailpoint\("(?!rebuild-|mapped-)([^"]+)"\)', path.read_text()))   # those are in test_way_back_rebuilt, and in test_mapped_schema and test_shared_cutover
    return sorted(names)


def open_stage():
    """For setUpModule: one stage, seeded, for all tests of a file. Says the seed that repeats a run."""
    print("seed", SEED, flush=True)
    stage = Stage().seed()
    unittest.addModuleCleanup(stage.close)
    return stage


class Stage:
    """A target and an app for all rounds. Ended by close(), which is safe at any point."""

    def __init__(self, families=0):
        self.rng, self.databases, self.pipelines, self.app = random.Random(SEED), 0, [], None
        self.target = Target().start()
        try:
            self.app = LegacyApp(families=families).start()
        except BaseException:
            self.close()
            raise

    def close(self):
        for pipeline in self.pipelines:
            pipeline.__exit__()
        if self.app:
            self.app.__exit__()
        self.target.stop()

    def seed(self):
        """Writes rows until the plan sees what the app may put into its columns: values longer than declared."""
        load = Load(self.app.url, self.app.ledger, rate=0, threads=THREADS, seed=self.rng.randrange(10**9))
        for actor in load.actors:
            actor.made.text = lambda empty=True: WIDE
        load.start()
        try:
            wait_until(self.has_wide_values, "long values in all the columns that have some")
        except BaseException:
            self.close()
            raise
        finally:
            summary = load.stop()
        assert not summary["failed"], summary["errors"]
        return self

    def has_wide_values(self):
        connection = sqlite3.connect(self.app.path, timeout=30)
        try:
            return all(connection.execute(f"SELECT count(*) FROM {table} WHERE length({column}) > {declared}").fetchone()[0]
                       for table, column, declared in WIDE_COLUMNS)
        finally:
            connection.close()

    def new_database(self):
        """An empty database on the target server; returns its URL."""
        self.databases += 1
        name = f"round{self.databases}"
        connection = self.target.connect()
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        connection.close()
        return self.target.url.replace("/postgres?", f"/{name}?")

    def drop_databases(self):
        """Those of finished rounds; a campaign of hundreds would fill the disk."""
        for pipeline in self.pipelines:
            pipeline.__exit__()
        self.pipelines = []
        connection = self.target.connect()
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE 'round%'")
            for name, in cursor.fetchall():
                cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.close()

    def drop_slots(self):
        """Those that killed pipelines have left on the target's server, where their names are taken."""
        left = "SELECT count(*) FROM pg_replication_slots"
        drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active"
        wait_until(lambda: query(self.target.url, drop) is not None and query(self.target.url, left) == [(0,)], "the end of the slots")

    def forget_cutovers(self):
        """Earlier pipelines are dead, and nothing of theirs stands in the app's file or keeps the target's log."""
        for pipeline in self.pipelines:
            pipeline.kill()
        self.drop_slots()
        self.app.unfence()
        self.app.forget_way_back()

    def pipeline(self, url=None, **options):
        """A pipeline, not started, from the app into a fresh database (or the one of the URL)."""
        made = tidegate.Tidegate(self.app.path, url or self.new_database(), **options)
        self.pipelines.append(made)
        return made

    def load(self):
        return self.app.load(rate=RATE, threads=THREADS, seed=self.rng.randrange(10**9))

    def write(self, *statements):
        """What another program of the owner does to the app's file, as one transaction."""
        connection = sqlite3.connect(self.app.path, timeout=30)
        try:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                for statement in statements:
                    connection.execute(statement)
        finally:
            connection.close()


def query(url, text, parameters=None):
    connection = psycopg2.connect(url, application_name="tidegate-test")
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(text, parameters)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def judge(test, stage, pipeline, load, url=None):
    """The end of a round: nothing failed for the app, and the target holds what the app has, once."""
    summary = load.stop() if load else {"failed": {}, "errors": []}
    test.assertEqual(summary["failed"], {}, json.dumps(summary["errors"], indent=1))
    test.assertNotIn("database is locked", stage.app.log)
    pipeline.wait_phase("streaming", timeout=WAIT)
    pipeline.sync(timeout=WAIT)
    url = url or pipeline.target_url
    connection = psycopg2.connect(url, application_name="tidegate-test")
    try:
        found = Comparison(stage.app.path, connection)
        test.assertEqual(found.run(), [], pipeline.log[-2000:])
        test.assertEqual(found.excepted, 0)
        verdict = stage.app.verdict(ledger.TargetRows(connection), complete=True)
        test.assertTrue(verdict.clean, str(verdict))
        test.assertEqual(verdict.doubtful, 0)
        check_position(test, pipeline, connection)
        check_books(test, connection)
    finally:
        connection.close()
    return summary


def check_position(test, pipeline, connection):
    """The target's position is the journal's end, by number and by digest."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT sequence, digest, phase FROM tidegate.pipelines")
        there = cursor.fetchall()
    journal = sqlite3.connect(f"file:{pipeline.state / 'state.db'}?mode=ro", uri=True, timeout=30)
    last = journal.execute("SELECT seq, digest FROM journal ORDER BY seq DESC LIMIT 1").fetchone() or (0, "")
    journal.close()
    test.assertEqual(there, [(*last, "streaming")])


def check_books(test, connection):
    """The summary says that all is done, no object is missing, and new rows on the target would get fresh ids."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT table_name, status FROM tidegate.migration_checkpoints WHERE status <> 'completed'")
        test.assertEqual(cursor.fetchall(), [])
        cursor.execute("SELECT name, error FROM tidegate.objects WHERE state <> 'done'")
        test.assertEqual(cursor.fetchall(), [])
        cursor.execute("""SELECT c.oid::regclass::text, a.attname,
                                 pg_sequence_last_value(pg_get_serial_sequence(c.oid::regclass::text, a.attname)::regclass)
                          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attidentity <> ''
                          JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind = 'r'""")
        for table, column, given in cursor.fetchall():
            cursor.execute(f"SELECT coalesce(max({catalog.quoted(column)}), 0) FROM {table}")
            highest, = cursor.fetchone()
            test.assertGreaterEqual(next_id(cursor, table, column, given), highest + 1, f"{table}.{column}")


def next_id(cursor, table, column, given):
    """What the sequence gives next, without taking it."""
    if given is not None:
        return given + 1
    cursor.execute("SELECT seqstart FROM pg_sequence WHERE seqrelid = pg_get_serial_sequence(%s, %s)::regclass", (table, column))
    start, = cursor.fetchone()
    cursor.execute(f"SELECT last_value FROM {pg_name(cursor, table, column)}")
    return max(start, cursor.fetchone()[0])


def pg_name(cursor, table, column):
    cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", (table, column))
    return cursor.fetchone()[0]


def server_do(target, *words):
    """pg_ctl on the target's data, as the server's own user."""
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] if os.geteuid() == 0 else []
    subprocess.run([*as_user, "/usr/lib/postgresql/15/bin/pg_ctl", *words, "-D", str(target.dir / "data"), "-s", "-w"],
                   check=True, cwd="/", stdout=subprocess.DEVNULL)
