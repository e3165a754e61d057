#!/usr/bin/python3
"""A way back that was lost, or never was, is built anew while the application goes on writing to the target, and a rollback is possible again:
for both kinds of legacy database, through kill -9 at its steps (all of them with TIDEGATE_LONG=1). TIDEGATE_SEED repeats a run."""
import contextlib
import pathlib
import random
import re
import sqlite3
import subprocess
import sys
import threading
import unittest

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import LONG, ROOT, SEED, WAIT, Stage, query                                                         # noqa: E402
from proxy import wait_until                                                                             # noqa: E402
import pgpassage                                                                                         # noqa: E402
from support.compare import Comparison                                                                   # noqa: E402
from support.cutover import configure, cutover, forward, name_of, rollback, verified, with_way_back      # noqa: E402
from support.pgledger import account_for                                                                 # noqa: E402
from support.tidegate import BIN                                                                         # noqa: E402

BOTH = [ROOT / "replicator/cutover/journal_way_back.cpp", ROOT / "replicator/cutover/cutover.cpp"]
SQLITE = [*BOTH, *(ROOT / "apply/sqlite").glob("*.cpp"), ROOT / "replicator/cutover/sqlite_rebuild.cpp"]
POSTGRES = [*BOTH, ROOT / "apply/postgres/legacy_side.cpp", ROOT / "replicator/cutover/postgres_rebuild.cpp"]
SOME = 2         # failpoints after the first, where not all are taken
MANY = 4500      # rows: several batches of the way back


def failpoints(files):
    return sorted({name for file in files for name in re.findall(r'\bfailpoint\("(rebuild-[^"]+)"\)', file.read_text())})


def lose_the_slot(pipeline):
    """The daemon is dead meanwhile, and the server gives its slot up."""
    pipeline.kill()
    left = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database() AND slot_name LIKE '%%\\_back'"
    drop = left.replace("count(*)", "pg_drop_replication_slot(slot_name)") + " AND NOT active"
    wait_until(lambda: query(pipeline.target_url, drop) is not None and query(pipeline.target_url, left) == [(0,)], "the end of the slot", WAIT)


def rebuild(pipeline, code=0):
    done = pipeline.verb("resync", "--way-back", "--confirm", name_of(pipeline))
    assert done.code == code, done.out + done.err + pipeline.log[-3000:]
    return done.out + done.err


def is_ready(status):
    return status["rollback"]["ready"]


def rebuild_through_kills(test, pipeline, names, ready=is_ready):
    """The verb once; each later daemon goes on by itself, and dies one step further."""
    test.assertGreater(len(names), 6)
    others = sorted(set(names) - {"rebuild-begun"})
    first, *others = ["rebuild-begun", *(others if LONG else random.Random(SEED).sample(others, SOME))]
    # Rows that went do not go a second time, and after the last one there is nothing to build any more.
    others.sort(key=lambda name: (name == "rebuild-journalled", name != "rebuild-mapped-surplus-gone"))
    pipeline.start(failpoint=first).wait_phase("reversed", timeout=WAIT)
    verb = [BIN / "tidegate", "resync", "--way-back", "--confirm", name_of(pipeline), "--state", str(pipeline.state)]
    subprocess.run(verb, env=pipeline.env(), cwd=pipeline.base, capture_output=True, timeout=120, check=False)
    test.assertEqual(pipeline.wait(), -9, first)
    for name in others:
        pipeline.start(failpoint=name)
        test.assertEqual(pipeline.wait(timeout=90), -9, f"{name} is reached\n{pipeline.log[-2000:]}")
    pipeline.start().wait_status(ready, WAIT, "the way back")
    test.assertNotIn("did not come in time", pipeline.log)


def lose_the_slot_before_a_cutover(test, pipeline, in_between=None):
    """Nothing is owed then: the next dry run makes it anew, also after a death in between. `in_between`: what somebody does with it."""
    verified(pipeline)
    cutover(pipeline, "--dry-run", code=0)
    lose_the_slot(pipeline)
    if in_between:
        query(pipeline.target_url, in_between)
    pipeline.start(failpoint="back-after-lost-slot").wait_phase("streaming", timeout=WAIT)
    pipeline.verb("cutover", "--dry-run")
    test.assertEqual(pipeline.wait(), -9)
    log = pipeline.log
    pipeline.start().wait_phase("streaming", timeout=WAIT)
    cutover(pipeline, "--dry-run", code=0)
    for said in log, pipeline.log:
        test.assertNotIn("tidegate reset", said)


class OfASqliteFile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(families=30)
        cls.addClassCleanup(cls.stage.close)

    def setUp(self):
        self.stage.forget_cutovers()
        self.pipeline = configure(self.stage.pipeline()).start()
        self.pipeline.wait_phase("streaming", timeout=WAIT)
        verified(self.pipeline)

    def target(self, text):
        return query(self.pipeline.target_url, text)

    def legacy(self, text):
        with contextlib.closing(sqlite3.connect(self.stage.app.path, timeout=30)) as connection:
            return connection.execute(text).fetchall()

    def differences(self):
        with contextlib.closing(psycopg2.connect(self.pipeline.target_url)) as connection:
            return Comparison(self.stage.app.path, connection).run()

    def write_what_is_lost(self):
        """New rows, rows that go, and others that change."""
        self.target(f"""INSERT INTO "user" (email, username, password_hash, role, is_active, created_at)
                        SELECT 'lost' || n || '@new.test', 'lost ' || n, '$2b$', 'parent', true, now() FROM generate_series(1, {MANY}) n""")
        self.target("""UPDATE "user" SET username = 'another' WHERE id = (SELECT min(id) FROM "user")""")
        self.target("INSERT INTO audit_log (at, action, token) SELECT now(), 'lost', n::text FROM generate_series(1, 10) n")
        self.target("DELETE FROM progress WHERE id IN (SELECT id FROM progress ORDER BY id LIMIT 3)")
        self.target("DELETE FROM audit_log WHERE token = '3'")
        self.target("UPDATE alembic_version SET version_num = '0009'")

    def exchange(self):
        """Of rows that both sides have."""
        first, last = self.target("""SELECT min(id), max(id) FROM "user" """)[0]
        names = dict(self.target(f"""SELECT id, username FROM "user" WHERE id IN ({first}, {last})"""))
        self.target(f"""UPDATE "user" SET username = 'parked again' WHERE id = {first};
                        UPDATE "user" SET username = '{names[first]}' WHERE id = {last};
                        UPDATE "user" SET username = '{names[last]}' WHERE id = {first}""")
        connection = psycopg2.connect(self.pipeline.target_url)
        connection.autocommit = True
        connection.cursor().execute('CLUSTER "user" USING user_pkey')   # else the two lie side by side
        connection.close()

    def write_meanwhile(self):
        """Until the returned event is set: what comes while the way back is built is in neither the old slot nor the snapshot."""
        over = threading.Event()

        def write():
            for number in range(10**6):
                if over.wait(0.02):
                    return
                self.target(f"""INSERT INTO audit_log (at, action, token) VALUES (now(), 'meanwhile', '{number}');
                                UPDATE "user" SET role = CASE role WHEN 'teacher' THEN 'parent' ELSE 'teacher' END
                                WHERE id = (SELECT min(id) + {number} % 30 FROM "user")""")
        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        self.addCleanup(over.set)
        self.addCleanup(thread.join, 30)
        return over

    def test_through_kills(self):
        with_way_back(self.pipeline)
        self.write_what_is_lost()
        wait_until(lambda: not self.differences(), "the way back", WAIT)   # all of it is in the old file, so that some of it goes again
        before = self.legacy("SELECT id, created_at, last_login FROM user ORDER BY id LIMIT 30")
        lose_the_slot(self.pipeline)
        self.exchange()
        self.target("DELETE FROM \"user\" WHERE email LIKE 'lost2%'")
        self.target("INSERT INTO audit_log (at, action, token) VALUES (now(), 'lost', 'while nobody looked')")
        self.pipeline.start()
        self.pipeline.wait_status(lambda status: any("resync --way-back" in error["message"] for error in status["errors"]), WAIT, "the loss that is told")
        self.assertFalse(self.pipeline.status()["rollback"]["ready"])
        self.assertEqual(self.pipeline.verb("resync", "--way-back").code, 2, "it wants the name typed")
        self.pipeline.kill()
        over = self.write_meanwhile()
        rebuild_through_kills(self, self.pipeline, failpoints(SQLITE))
        over.set()
        wait_until(lambda: not self.differences(), "the way back", WAIT)
        self.assertEqual(self.pipeline.status()["rollback"]["rejects"], 0)
        self.assertEqual(self.legacy("SELECT id, created_at, last_login FROM user ORDER BY id LIMIT 30"), before, "what nobody changed keeps its bytes")
        self.assertEqual(rollback(self.pipeline)["outcome"], "done")
        self.stage.write("INSERT INTO school(code, name) VALUES ('after', 'the rollback')")
        self.pipeline.sync(timeout=WAIT)
        self.assertEqual(self.differences(), [])
        self.assertEqual(self.target("SELECT count(*), count(DISTINCT token) FROM audit_log WHERE action = 'lost'"), [(10, 10)])

    def test_a_slot_that_is_lost_before_a_cutover(self):
        """The first time there is no position in the file; the second time there is that of the way back before, whose journal is gone."""
        slot = f"tidegate_{name_of(self.pipeline)}_back"
        for number, in_between in enumerate((None, f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")):
            lose_the_slot_before_a_cutover(self, self.pipeline, in_between)
            with_way_back(self.pipeline)
            for restarted in (False, True):
                if restarted:
                    self.pipeline.restart()
                self.target(f"INSERT INTO audit_log (at, action, token) VALUES (now(), 'back', '{number} {restarted}')")
                wait_until(lambda: not self.differences(), "the way back", WAIT)
                self.pipeline.wait_status(is_ready, WAIT, "the way back")
            self.assertEqual(rollback(self.pipeline)["outcome"], "done")
        self.assertEqual(len(self.legacy("SELECT 1 FROM audit_log WHERE action = 'back'")), 4)

    def test_a_cutover_without_a_way_back_gets_one(self):
        self.assertIn("there is no way back before a cutover", rebuild(self.pipeline, code=2))
        forward(self.pipeline)
        self.target("INSERT INTO school(code, name) VALUES ('born', 'on the target')")
        finding = cutover(self.pipeline, "--dry-run", verb="rollback", code=2)["findings"][0]
        self.assertEqual(finding["code"], "no-way-back")
        self.assertIn("the way back runs again", rebuild(self.pipeline))
        self.assertEqual(self.differences(), [])
        self.assertEqual(rollback(self.pipeline)["outcome"], "done")
        self.assertEqual(self.legacy("SELECT name FROM school WHERE code = 'born'"), [("on the target",)])


setUpModule = pgpassage.open_servers


class OfAPostgresDatabase(pgpassage.Scenario):
    def test_through_kills(self):
        pipeline = self.streaming()
        with_way_back(pipeline)
        pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
        self.followed(pipeline)
        lose_the_slot(pipeline)
        self.target.execute("""
            INSERT INTO ledger(token, side) SELECT 'lost ' || n, 'target' FROM generate_series(1, 4500) n;
            UPDATE account SET balance = balance + 4500 WHERE id = 0;
            DELETE FROM ledger WHERE token = 'lost 7'; UPDATE account SET balance = balance - 1 WHERE id = 0;
            UPDATE account SET id = 100 WHERE id = 6; DELETE FROM account WHERE id = 8;
            UPDATE moves SET body = 'changed', b = b + 1000 WHERE a < 10;
            UPDATE bag SET number = 'NaN' WHERE word = 'word 1'; INSERT INTO bag VALUES (NULL, NULL), (NULL, NULL), ('', 1e-300);
            INSERT INTO loose VALUES ('one'), ('two'), ('two');
            INSERT INTO diary VALUES ('2026-02-01', 900001, 'x'), ('2026-09-01', 900002, 'y');
            INSERT INTO ticket(price) VALUES (1.5), (NULL)""")
        writers = self.writers("target", "meanwhile")
        rebuild_through_kills(self, pipeline, failpoints(POSTGRES))
        writers.stop()
        self.assertEqual(writers.refused, {})
        self.followed(pipeline)
        self.assertEqual(pipeline.status()["rollback"]["rejects"], 0)
        account_for(self, self.source, writers)
        self.assertEqual(rollback(pipeline)["outcome"], "done")
        self.assert_live(pipeline, "source")
        self.source.execute("INSERT INTO ledger(token, side) VALUES ('at the end', 'source')")
        self.followed(pipeline)

    def test_a_slot_that_is_lost_before_a_cutover(self):
        pipeline = self.streaming()
        for _ in range(2):
            lose_the_slot_before_a_cutover(self, pipeline)
            with_way_back(pipeline)
            self.followed(pipeline)
            pipeline.wait_status(is_ready, WAIT, "the way back")
            self.assertEqual(rollback(pipeline)["outcome"], "done")
            self.assert_live(pipeline, "source")

    def test_a_column_that_one_side_has_renamed(self):
        pipeline = self.streaming()
        with_way_back(pipeline)
        pipeline.wait_status(is_ready, WAIT, "the way back")
        for side, said in ((self.target, "target"), (self.source, "legacy database")):
            side.execute("ALTER TABLE account RENAME COLUMN note TO remark")
            self.assertIn(f"table public.account of the {said} has no column note any more", rebuild(pipeline, code=2))
            side.execute("ALTER TABLE account RENAME COLUMN remark TO note")
        self.followed(pipeline)
        self.assertTrue(is_ready(pipeline.status()), "it runs as before")

    def test_unique_values_that_were_exchanged_and_a_healthy_way_back(self):
        pipeline = self.streaming()
        self.source.execute("INSERT INTO ledger(token, side) SELECT 'even ' || n, 'source' FROM generate_series(1, 5000) n; "
                            "UPDATE account SET balance = balance WHERE id = 0")
        pipeline.sync(timeout=WAIT)
        forward(pipeline)
        self.target.execute("""UPDATE ledger SET token = 'parked' WHERE token = 'even 1';
                               UPDATE ledger SET token = 'even 1' WHERE token = 'even 5000';
                               UPDATE ledger SET token = 'even 5000' WHERE token = 'parked'""")
        for _ in range(2):   # the second time there is one that works
            rebuild(pipeline)
            self.followed(pipeline)
        self.assertEqual(rollback(pipeline)["outcome"], "done")
        self.assert_live(pipeline, "source")


if __name__ == "__main__":
    unittest.main()
