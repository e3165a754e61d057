#!/usr/bin/python3
"""Rollbacks of the legacy app's SQLite file: what blocks one, one under load, and cutover again. TIDEGATE_SEED repeats a run."""
import contextlib
import json
import pathlib
import sqlite3
import subprocess
import sys
import time
import unittest

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import SEED, WAIT, Stage, query                                                                     # noqa: E402
from proxy import wait_until                                                                                    # noqa: E402
from support.cutover import (configure, cutover, fence_of, forward, legacy_takes_writes, name_of, rollback,     # noqa: E402
                             target_takes_writes, verified, with_way_back)
from support.compare import Comparison                                                                          # noqa: E402
from support.tidegate import BIN                                                                                # noqa: E402

STEPS = ["guard", "prepare", "hold", "drain", "prove", "reverse", "intent", "open", "switching"]
stage = None


def setUpModule():
    global stage
    print("seed", SEED, flush=True)
    stage = Stage(families=30).seed()


def tearDownModule():
    stage.close()


class Rollbacks(unittest.TestCase):
    def setUp(self):
        stage.forget_cutovers()

    def reversed(self, **options):
        """A pipeline after its cutover, with the way back."""
        pipeline = configure(stage.pipeline(), **options).start()
        pipeline.wait_phase("streaming", timeout=WAIT)
        verified(pipeline)
        with_way_back(pipeline)
        pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
        return pipeline

    def legacy(self, text):
        connection = sqlite3.connect(stage.app.path, timeout=30)
        try:
            return connection.execute(text).fetchall()
        finally:
            connection.close()

    def codes(self, pipeline, *flags, code):
        answer = cutover(pipeline, "--dry-run", *flags, code=code, verb="rollback")
        return {finding["code"]: finding["level"] for finding in answer["findings"]}

    def assert_source_live(self, pipeline):
        status = pipeline.status()
        self.assertEqual((status["live"], status["phase"]), ("source", "streaming"))
        self.assertTrue(legacy_takes_writes(stage.app.path))
        self.assertFalse(target_takes_writes(pipeline.target_url))
        self.assertEqual(fence_of(stage.app.path), (0, None))

    def assert_target_live(self, pipeline):
        status = pipeline.status()
        self.assertEqual((status["live"], status["phase"]), ("target", "reversed"))
        self.assertFalse(legacy_takes_writes(stage.app.path))
        self.assertTrue(target_takes_writes(pipeline.target_url))

    def assert_same(self, pipeline):
        connection = psycopg2.connect(pipeline.target_url)
        try:
            self.assertEqual(Comparison(stage.app.path, connection).run(), [])
        finally:
            connection.close()


class TheRollback(Rollbacks):
    def test_there_and_back_and_there(self):
        pipeline = self.reversed()
        query(pipeline.target_url, "INSERT INTO school(code, name) VALUES ('born-there', 'on the target')")
        query(pipeline.target_url, "INSERT INTO audit_log(at, action, token) VALUES (now(), 'new', 'born-there')")
        query(pipeline.target_url, "INSERT INTO attachment(project_id, filename, content, size) SELECT min(id), 'gone', '', 0 FROM project")
        query(pipeline.target_url, "DELETE FROM attachment WHERE filename = 'gone'")
        given = query(pipeline.target_url, "SELECT pg_sequence_last_value(pg_get_serial_sequence('attachment', 'id')::regclass)")[0][0]
        self.codes(pipeline, code=0)
        ended = rollback(pipeline)
        self.assertEqual((ended["outcome"], ended["mode"]), ("done", "rollback"))
        self.assertEqual([step["step"] for step in ended["steps"]], STEPS)
        print(f"rollback: writers held for {ended['hold_ms']:.0f} ms;", {step["step"]: round(step["ms"]) for step in ended["steps"]}, flush=True)
        self.assert_source_live(pipeline)
        self.assertEqual(self.legacy("SELECT count(*) FROM school WHERE code = 'born-there'"), [(1,)])
        self.assertEqual(self.legacy("SELECT seq FROM sqlite_sequence WHERE name = 'attachment'"), [(given,)], "no id is given twice")
        stage.write("INSERT INTO school(code, name) VALUES ('born-here', 'after the rollback')",
                    "UPDATE school SET name = 'changed here' WHERE code = 'born-there'")
        pipeline.sync(timeout=WAIT)
        self.assertEqual(query(pipeline.target_url, "SELECT name FROM school WHERE code LIKE 'born-%' ORDER BY code"),
                         [("after the rollback",), ("changed here",)])
        self.assert_same(pipeline)
        pipeline.restart()
        pipeline.wait_phase("streaming", timeout=WAIT)
        self.second_cutover(pipeline)

    def second_cutover(self, pipeline):
        ended = with_way_back(pipeline, code=2)
        self.assertIn("verify-not-fresh", [finding["code"] for finding in ended["findings"]], "one from before the rollback does not count")
        verified(pipeline)
        self.assertEqual(with_way_back(pipeline)["outcome"], "done")
        self.assert_target_live(pipeline)
        query(pipeline.target_url, "INSERT INTO audit_log(at, action, token) VALUES (now(), 'new', 'once more')")
        wait_until(lambda: self.legacy("SELECT count(*) FROM audit_log WHERE token = 'once more'") == [(1,)], "the way back")
        self.assertEqual(rollback(pipeline)["outcome"], "done")
        self.assertEqual(self.legacy("SELECT count(*), count(DISTINCT token) FROM audit_log WHERE action = 'new'"), [(2, 2)])
        pipeline.sync(timeout=WAIT)
        self.assert_same(pipeline)
        self.assert_source_live(pipeline)

    def test_under_load_of_the_target(self):
        """What the target acknowledged is in the file, once; what it refused says why."""
        pipeline = self.reversed()
        writer = Writer(pipeline.target_url)
        self.addCleanup(writer.end)
        time.sleep(2)
        ended = rollback(pipeline)
        acknowledged, refused = writer.end()
        print(f"rollback under {len(acknowledged)} writes: held for {ended['hold_ms']:.0f} ms", flush=True)
        self.assertGreater(len(acknowledged), 20)
        self.assertIn("25006", refused)
        there = {token for token, in self.legacy("SELECT token FROM audit_log WHERE action = 'load'")}
        self.assertEqual(there, set(acknowledged))
        self.assertEqual(self.legacy("SELECT count(*) FROM audit_log WHERE action = 'load'"), [(len(acknowledged),)])
        pipeline.sync(timeout=WAIT)
        self.assert_same(pipeline)

    def test_sync_while_the_target_is_live(self):
        pipeline = self.reversed()
        for name in ("s-1", "s-2"):
            query(pipeline.target_url, "INSERT INTO school(code, name) VALUES (%s, 'synced')", (name,))
            done = pipeline.verb("sync", "--timeout", WAIT)
            self.assertEqual(done.code, 0, done)
            self.assertIn("in the legacy database", done.out)
            self.assertEqual(self.legacy(f"SELECT name FROM school WHERE code = '{name}'"), [("synced",)])
            pipeline.restart().wait_phase("reversed", timeout=WAIT)
        self.assertEqual(json.loads(pipeline.verb("sync", "--json").out)["direction"], "backward")
        held = sqlite3.connect(stage.app.path, timeout=30, isolation_level=None)
        self.addCleanup(held.close)
        held.execute("BEGIN IMMEDIATE")
        query(pipeline.target_url, "INSERT INTO school(code, name) VALUES ('s-3', 'waits')")
        self.assertEqual(pipeline.verb("sync", "--timeout", "2").code, 5, "it waits for the legacy database")
        held.execute("ROLLBACK")
        self.assertEqual(pipeline.verb("sync", "--timeout", WAIT).code, 0)
        self.assertEqual(self.legacy("SELECT count(*) FROM school WHERE code = 's-3'"), [(1,)])
        rollback(pipeline)
        self.assertIn("in the target", pipeline.verb("sync", "--timeout", WAIT).out)

    def test_sync_without_a_way_back(self):
        pipeline = configure(stage.pipeline()).start()
        pipeline.wait_phase("streaming", timeout=WAIT)
        verified(pipeline)
        forward(pipeline)
        done = pipeline.verb("sync", "--timeout", "20")
        self.assertEqual(done.code, 2, done)
        self.assertIn("resync --way-back", done.err)

    def test_hooks(self):
        seen = pathlib.Path(stage.app.dir) / "seen"
        hook = f"#!/bin/sh\necho $TIDEGATE_EVENT $TIDEGATE_DIRECTION >> {seen}\n"
        names = ("on-ready", "before-fence", "on-hold", "on-fenced", "on-switch", "on-rollback", "verify-switch", "on-done", "on-abort")
        pipeline = self.reversed(hooks={name: hook for name in names})
        seen.unlink()
        (pathlib.Path(pipeline.base) / "hooks" / "on-rollback").write_text("#!/bin/sh\nexit 3\n")
        ended = rollback(pipeline, code=1)
        self.assertIn("on-rollback", ended["reason"])
        self.assert_source_live(pipeline)
        self.assert_goes_on_with_the_rollback(pipeline)
        before = seen.read_text().split("\n")[:-1]
        seen.unlink()
        (pathlib.Path(pipeline.base) / "hooks" / "on-rollback").write_text(hook)
        self.assertEqual(pipeline.verb("rollback", "--continue").code, 0)
        self.assertNotIn("--continue", " ".join(pipeline.status()["next_steps"]))
        self.assertEqual(before + seen.read_text().split("\n")[:-1],
                         [f"{name} backward" for name in ("on-ready", "before-fence", "on-hold", "on-fenced", "on-fenced", "on-rollback",
                                                          "verify-switch", "on-done")])
        seen.unlink()

    def assert_goes_on_with_the_rollback(self, pipeline):
        """Whatever came after it: a restart, and a cutover that was refused."""
        self.assertEqual(pipeline.status()["next_steps"][0], "tidegate rollback --continue")
        pipeline.restart()
        pipeline.wait_phase("streaming", timeout=WAIT)
        self.assertIn("hook-failed", [error["code"] for error in pipeline.status()["errors"]])
        self.assertEqual(with_way_back(pipeline, code=2)["outcome"], "refused")
        self.assertEqual(pipeline.status()["next_steps"][0], "tidegate rollback --continue")


class Writer:
    """Inserts one row after another on the target until it is refused for good."""

    CODE = """
import sys, psycopg2
connection = psycopg2.connect(sys.argv[1]); connection.autocommit = True
cursor, n, refused = connection.cursor(), 0, 0
while refused < 20:
    n += 1
    try:
        cursor.execute("INSERT INTO audit_log(at, action, token) VALUES (now(), 'load', %s)", (f"load {n}",))
        print(f"load {n}", flush=True)
    except psycopg2.Error as error:
        refused += 1
        print("refused", error.pgcode, flush=True)
"""

    def __init__(self, url):
        self.process = subprocess.Popen(["/usr/bin/python3", "-c", self.CODE, url], stdout=subprocess.PIPE, text=True)
        self.result = None

    def end(self):
        if self.result is None:
            try:
                out, _ = self.process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                out, _ = self.process.communicate()
            lines = out.splitlines()
            self.result = ([line for line in lines if line.startswith("load")], {line.split()[1] for line in lines if line.startswith("refused")})
        return self.result


class Guards(Rollbacks):
    def test_phases_and_the_name(self):
        pipeline = configure(stage.pipeline()).start()
        pipeline.wait_phase("streaming", timeout=WAIT)
        done = pipeline.verb("rollback", "--dry-run")
        self.assertEqual(done.code, 2)
        self.assertIn("the source is live already", done.err)
        verified(pipeline)
        with_way_back(pipeline)
        self.assertEqual(pipeline.verb("rollback").code, 2)
        self.assertEqual(pipeline.verb("rollback", "--confirm", "other").code, 2)

    def test_given_up_after_a_rollback_nothing_keeps_the_targets_log(self):
        pipeline = self.reversed()
        rollback(pipeline)
        words = ["reset", "--config", str(pathlib.Path(pipeline.base) / "tidegate.toml"), "--source", str(stage.app.path), "--target",
                 "--confirm", name_of(pipeline)]
        refused = pipeline.verb(*words)
        self.assertEqual(refused.code, 2, refused.out + refused.err)
        self.assertIn("tidegate stop", refused.err)
        self.assertEqual(query(pipeline.target_url, "SELECT count(*) FROM tidegate.tables WHERE target_table = 'public.school'"), [(1,)],
                         "nothing was emptied")
        pipeline.stop()
        query(pipeline.target_url, "CREATE VIEW public.in_use AS SELECT code FROM school")
        refused = pipeline.verb(*words)
        self.assertEqual(refused.code, 2, refused.out + refused.err)
        self.assertIn("depends on a table", refused.err)
        query(pipeline.target_url, "DROP VIEW public.in_use")
        done = pipeline.verb(*words)
        self.assertEqual(done.code, 0, done.out + done.err)
        self.assertEqual(query(pipeline.target_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), [(0,)])
        for left in ("pg_replication_slots WHERE database = current_database()", "pg_publication"):
            self.assertEqual(query(pipeline.target_url, f"SELECT count(*) FROM {left}"), [(0,)], left)

    def test_without_a_way_back_there_is_no_rollback(self):
        pipeline = configure(stage.pipeline()).start()
        pipeline.wait_phase("streaming", timeout=WAIT)
        verified(pipeline)
        forward(pipeline)
        self.assertEqual(self.codes(pipeline, code=2)["no-way-back"], "block")
        self.assertEqual(rollback(pipeline, code=2)["outcome"], "refused")
        self.assert_target_live(pipeline)

    def test_rows_that_do_not_fit_block_until_they_are_given_up(self):
        pipeline = self.reversed()
        query(pipeline.target_url, """UPDATE "user" SET created_at = 'infinity' WHERE id = (SELECT min(id) FROM "user")""")
        status = pipeline.wait_status(lambda status: status["rollback"]["rejects"] == 1, WAIT, "the reject")
        self.assertFalse(status["rollback"]["ready"])
        self.assertIn("1 row rejected", pipeline.verb("status").out)
        self.assertEqual(self.codes(pipeline, code=2)["way-back-rejects"], "block")
        self.assertEqual(rollback(pipeline, code=2)["outcome"], "refused")
        self.assertEqual(rollback(pipeline, "--accept-loss")["outcome"], "done")
        self.assert_source_live(pipeline)
        done = pipeline.verb("verify")
        self.assertEqual(done.code, 3, done.out + done.err)
        self.assertEqual(pipeline.verb("repair").code, 0)
        verified(pipeline)

    def test_what_the_target_has_got_since_the_cutover(self):
        pipeline = configure(stage.pipeline()).start()
        pipeline.wait_phase("streaming", timeout=WAIT)
        query(pipeline.target_url, "CREATE TABLE theirs(id int)")
        verified(pipeline)
        with_way_back(pipeline)
        pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
        self.assertNotIn("way-back-incomplete", self.codes(pipeline, code=0), "a table from before is no loss of a rollback")
        query(pipeline.target_url, "CREATE TABLE invoice(id int PRIMARY KEY); INSERT INTO invoice VALUES (1);"
                                   "ALTER TABLE school ADD COLUMN born text, ADD COLUMN twice text GENERATED ALWAYS AS (name || name) STORED")
        incomplete = "the target has got what the legacy database does not have, and a rollback would leave behind: table public.invoice, " \
                     "and column public.school.born"
        for restarted in (False, True):
            if restarted:
                pipeline.restart()
            status = pipeline.wait_status(lambda status: any(error["code"] == "way-back-incomplete" for error in status["errors"]), WAIT, "the report")
            self.assertEqual([error["message"] for error in status["errors"] if error["code"] == "way-back-incomplete"], [incomplete])
            self.assertFalse(status["rollback"]["ready"])
        pipeline.wait_status(lambda status: status["rollback"]["lag_seconds"] is not None, WAIT, "the way back")
        self.assertEqual(self.codes(pipeline, code=2)["way-back-incomplete"], "block")
        self.assertEqual(rollback(pipeline, code=2)["outcome"], "refused")
        self.assertEqual(self.codes(pipeline, "--accept-loss", code=0)["way-back-incomplete"], "warn")
        query(pipeline.target_url, "DROP TABLE invoice")
        pipeline.wait_status(lambda status: any(error["message"].endswith("leave behind: column public.school.born") for error in status["errors"]), WAIT,
                             "less of it")
        self.assertEqual(rollback(pipeline, "--accept-loss")["outcome"], "done")
        self.assert_source_live(pipeline)
        self.assertNotIn("way-back-incomplete", [error["code"] for error in pipeline.status()["errors"]])

    def test_a_long_transaction_of_the_target(self):
        pipeline = self.reversed()
        other = psycopg2.connect(pipeline.target_url, application_name="slow one")
        self.addCleanup(other.close)
        other.cursor().execute("UPDATE school SET name = name")
        ended = rollback(pipeline, "--attempts", "1", "--max-hold", "400ms", code=None)
        self.assertIn(ended["outcome"], ("aborted", "refused"))
        self.assert_target_live(pipeline)
        time.sleep(2.5)
        self.assertEqual(self.codes(pipeline, code=2)["target-held"], "block")
        other.rollback()
        self.assertEqual(rollback(pipeline)["outcome"], "done")

    def test_a_table_past_the_fence(self):
        pipeline = self.reversed()
        stage.write("CREATE TABLE IF NOT EXISTS made_later(id INTEGER PRIMARY KEY)")
        self.addCleanup(stage.write, "DROP TABLE IF EXISTS made_later")
        self.assertEqual(self.codes(pipeline, code=2)["fence-broken"], "block")
        stage.write("DROP TABLE made_later")
        self.codes(pipeline, code=0)

    def test_a_way_back_that_is_too_slow_blocks(self):
        pipeline = self.reversed()
        self.assertEqual(self.codes(pipeline, "--max-lag", "1ms", code=2)["rollback-lag"], "block")
        self.assertEqual(rollback(pipeline, "--max-lag", "1ms", code=2)["outcome"], "refused")
        self.assert_target_live(pipeline)
        self.codes(pipeline, code=0)

    def trouble_after_a_restart(self, pipeline, code):
        pipeline.start().wait_phase("reversed", timeout=WAIT)
        status = pipeline.wait_status(lambda status: any(error["code"] == "way-back-failed" for error in status["errors"]), WAIT, "the trouble")
        self.assertIn(f"tidegate explain {code}", [error["message"] for error in status["errors"] if error["code"] == "way-back-failed"][0])
        self.assertFalse(status["rollback"]["ready"])
        self.assertEqual(pipeline.verb("explain", code, state=False).code, 0)
        self.assertEqual(rollback(pipeline, code=2)["outcome"], "refused")
        pipeline.stop()

    def ready_after_a_restart(self, pipeline):
        pipeline.start().wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")

    def test_a_legacy_file_of_another_history(self):
        """As one that was swapped: its position is no place in this state directory's history."""
        pipeline = self.reversed()
        query(pipeline.target_url, "INSERT INTO audit_log(at, action, token) VALUES (now(), 'history', 'x')")
        wait_until(lambda: self.legacy("SELECT count(*) FROM audit_log WHERE action = 'history'") == [(1,)], "the way back")
        pipeline.stop()
        digest, = self.legacy("SELECT digest FROM _tidegate_position")[0]
        stage.write(f"UPDATE _tidegate_position SET digest = '{digest[::-1]}'")
        self.trouble_after_a_restart(pipeline, "way-back-not-in-history")
        stage.write(f"UPDATE _tidegate_position SET digest = '{digest}'")
        self.ready_after_a_restart(pipeline)

    def test_a_legacy_file_without_one_of_its_tables(self):
        pipeline = self.reversed()
        pipeline.stop()
        stage.write("ALTER TABLE achievement RENAME TO not_there")
        try:
            self.trouble_after_a_restart(pipeline, "way-back-schema-changed")
        finally:
            stage.write("ALTER TABLE not_there RENAME TO achievement")
        self.ready_after_a_restart(pipeline)   # SQLite spells its CREATE TABLE anew, so that a rollback would want it as it was

    def test_an_abort_that_comes_before_the_run_has_begun(self):
        """The order is taken up only once the thread has looked at the target, which answers late."""
        pipeline = self.reversed()
        rollback(pipeline)
        verified(pipeline)
        words = [BIN / "tidegate", "cutover", "--json", "--confirm", name_of(pipeline), "--state", str(pipeline.state)]
        with contextlib.closing(psycopg2.connect(pipeline.target_url, application_name="locks")) as slow:
            slow.cursor().execute("LOCK TABLE tidegate.live_side")
            wait_until(lambda: query(pipeline.target_url, "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'tidegate.live_side'::regclass"),
                       "the look waits")
            command = subprocess.Popen(words, env=pipeline.env(), cwd=pipeline.base, stdout=subprocess.PIPE, text=True)
            pipeline.wait_status(lambda status: status["phase"] == "cutover", WAIT, "the order")
            abort = subprocess.Popen([BIN / "tidegate", "abort", "--state", str(pipeline.state)], env=pipeline.env(), cwd=pipeline.base)
            wait_until(lambda: " abort " in pipeline.verb("audit").out, "the abort")
        self.assertEqual(json.loads(command.communicate(timeout=60)[0])["outcome"], "aborted")
        self.assertEqual(abort.wait(60), 0)
        self.assertTrue(legacy_takes_writes(stage.app.path))

    def test_a_column_that_the_target_has_renamed(self):
        pipeline = self.reversed()
        query(pipeline.target_url, "ALTER TABLE school RENAME COLUMN name TO title; INSERT INTO school(code, title) VALUES ('r-1', 'renamed')")
        status = pipeline.wait_status(lambda status: any(error["code"] == "way-back-failed" for error in status["errors"]), WAIT, "the trouble")
        self.assertEqual(status["next_steps"][0], "tidegate explain way-back-schema-changed")
        answer = cutover(pipeline, "--dry-run", "--accept-loss", code=2, verb="rollback")
        found = {finding["code"]: finding["message"] for finding in answer["findings"] if finding["level"] == "block"}
        self.assertEqual(list(found), ["way-back-failed"])
        self.assertIn("it has no column name", found["way-back-failed"])
        slots = "SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE '%\\_back' AND database = current_database()"
        there = query(pipeline.target_url, slots)
        refused = pipeline.verb("resync", "--way-back", "--confirm", name_of(pipeline))
        self.assertEqual(refused.code, 2, refused.out + refused.err)
        self.assertIn("table public.school of the target has no column name any more", refused.err)
        self.assertEqual(len(there), 1)
        self.assertEqual(query(pipeline.target_url, slots), there, "the slot is as it was")
        query(pipeline.target_url, "ALTER TABLE school RENAME COLUMN title TO name")
        pipeline.restart().wait_status(lambda status: any(error["code"] == "way-back-failed" for error in status["errors"]), WAIT,
                                       "the row that was written under the other name")
        self.assertEqual(pipeline.verb("resync", "--way-back", "--confirm", name_of(pipeline)).code, 0)
        pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
        self.assert_same(pipeline)
        self.assertEqual(rollback(pipeline)["outcome"], "done")

    def test_abort(self):
        pipeline = self.reversed(hooks={"on-hold": '#!/bin/sh\n[ "$TIDEGATE_DIRECTION" = backward ] && sleep 4\nexit 0\n'})
        words = [BIN / "tidegate", "rollback", "--json", "--confirm", name_of(pipeline), "--state", str(pipeline.state)]
        running = subprocess.Popen(words, env=pipeline.env(), cwd=pipeline.base, stdout=subprocess.PIPE, text=True)
        wait_until(lambda: pipeline.status()["step"] == "prepare", "the preparation")
        self.assertEqual(pipeline.status()["phase"], "rollback")
        done = pipeline.verb("abort", "--reason", "not today")
        self.assertEqual(done.code, 0, done.err)
        self.assertIn("the target is live", done.out)
        out, _ = running.communicate(timeout=60)
        self.assertEqual(json.loads(out)["outcome"], "aborted")
        self.assert_target_live(pipeline)
        query(pipeline.target_url, "INSERT INTO audit_log(at, action, token) VALUES (now(), 'aborted', 'x')")
        wait_until(lambda: self.legacy("SELECT count(*) FROM audit_log WHERE action = 'aborted'") == [(1,)], "the way back")


if __name__ == "__main__":
    unittest.main()
