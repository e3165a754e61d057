#!/usr/bin/python3
"""What else goes on while a SQLite file is cut over: a read that lasts, VACUUM and DDL within the hold, triggers of the application, a target
whose disk is full. TIDEGATE_SEED repeats a run."""
import contextlib
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import WAIT, open_stage, process_state, query                                                         # noqa: E402
from proxy import wait_until                                                                                     # noqa: E402
from support.cutover import (configure, cutover, fence_of, forward, legacy_takes_writes, name_of, rollback,      # noqa: E402
                             target_takes_writes, verified, wait_alike, with_way_back)
from support.guard import guard                                                                                  # noqa: E402
from support.tidegate import BIN                                                                                 # noqa: E402

SMALL = 48 * 2**20   # bytes of the target's small disk
stage = None


def setUpModule():
    global stage
    stage = open_stage()


class Disturbed(unittest.TestCase):
    def setUp(self):
        stage.forget_cutovers()

    def streaming(self, url=None, **options):
        pipeline = configure(stage.pipeline(url=url)).start(**options)
        pipeline.wait_phase("streaming", timeout=WAIT)
        verified(pipeline)
        return pipeline

    @contextlib.contextmanager
    def stopped_at(self, pipeline, verb, *flags):
        """Runs the verb of a pipeline with a failpoint that stops it; the block is passed while it is stopped. The outcome is appended to
        the list that the block gets."""
        words = [BIN / "tidegate", verb, "--json", "--confirm", name_of(pipeline), *flags, "--state", str(pipeline.state)]
        command = subprocess.Popen(words, env=pipeline.env(), cwd=pipeline.base, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(command.kill)
        wait_until(lambda: process_state(pipeline.process.pid) == "T", "the daemon is stopped")
        outcome = []
        yield outcome
        os.kill(pipeline.process.pid, signal.SIGCONT)
        out, errors = command.communicate(timeout=120)
        self.assertTrue(out, errors + pipeline.log[-2000:])
        outcome.append(json.loads(out)["outcome"])

    def is_fenced(self, table):
        with contextlib.closing(sqlite3.connect(stage.app.path, timeout=30)) as connection:
            try:
                connection.execute(f"INSERT INTO {table} DEFAULT VALUES")
            except sqlite3.IntegrityError:
                return True
            connection.rollback()
            return False

    def test_a_read_that_lasts(self):
        """It holds up nobody, and goes on to see what it saw."""
        pipeline = self.streaming()
        with contextlib.closing(sqlite3.connect(stage.app.path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            before = reader.execute("SELECT count(*) FROM school").fetchone()
            stage.write("INSERT INTO school(code, name) VALUES ('later', 'after the read began')")
            self.assertEqual(with_way_back(pipeline)["outcome"], "done")
            query(pipeline.target_url, "DELETE FROM school WHERE code = 'later'")
            wait_alike(stage.app.path, pipeline.target_url)
            self.assertEqual(rollback(pipeline)["outcome"], "done")
            self.assertEqual(reader.execute("SELECT count(*) FROM school").fetchone(), before)
        wait_alike(stage.app.path, pipeline.target_url)

    def test_a_read_of_the_target_that_lasts(self):
        """Neither opening the target nor closing it again waits for those who only read it."""
        pipeline = self.streaming()
        with contextlib.closing(psycopg2.connect(pipeline.target_url, application_name="report")) as reader, reader.cursor() as cursor:
            for passage in (with_way_back, rollback, with_way_back):
                cursor.execute("SELECT count(*) FROM school")
                self.assertEqual(passage(pipeline)["outcome"], "done")
                live_is_target = passage is with_way_back
                self.assertEqual(target_takes_writes(pipeline.target_url), live_is_target)
                self.assertEqual(legacy_takes_writes(stage.app.path), not live_is_target)
                if not live_is_target:
                    verified(pipeline)
            reader.rollback()
        wait_alike(stage.app.path, pipeline.target_url)

    def test_vacuum_and_ddl_within_the_hold(self):
        """They wait for the end of the hold as any writer does; the fence outlives the VACUUM, and the new table gets one or is reported."""
        pipeline = self.streaming(failpoint="cutover-proven=stop")
        done = []

        def run(text):
            with contextlib.closing(sqlite3.connect(stage.app.path, timeout=30, isolation_level=None)) as connection:
                connection.execute(text)
                done.append(text)
        texts = ["VACUUM", "CREATE TABLE made_in_the_hold(id INTEGER PRIMARY KEY)"]
        threads = [threading.Thread(target=run, args=[text]) for text in texts]
        with self.stopped_at(pipeline, "cutover") as outcome:
            for thread in threads:
                thread.start()
            time.sleep(0.5)
            self.assertEqual(done, [], "the file is held")
        for thread in threads:
            thread.join(60)
        self.assertEqual((outcome, sorted(done)), (["done"], sorted(texts)))
        self.assertFalse(legacy_takes_writes(stage.app.path))
        self.assertTrue(fence_of(stage.app.path)[0])
        wait_until(lambda: self.is_fenced("made_in_the_hold") or "fence-broken" in [error["code"] for error in pipeline.status()["errors"]],
                   "a fence or a report")
        stage.write("DROP TABLE made_in_the_hold")
        wait_alike(stage.app.path, pipeline.target_url)

    def test_triggers_of_the_application(self):
        """They fire for the application's writes, and not for those that come back."""
        stage.write("CREATE TRIGGER IF NOT EXISTS noted AFTER INSERT ON school BEGIN"
                    " INSERT INTO audit_log(at, action, token) VALUES ('2026-01-01 00:00:00', 'noted', 'noted ' || new.code); END")
        self.addCleanup(stage.write, "DROP TRIGGER noted")
        pipeline = self.streaming()
        with_way_back(pipeline)
        query(pipeline.target_url, "INSERT INTO school(code, name) VALUES ('there', 'written on the target')")
        wait_alike(stage.app.path, pipeline.target_url)
        rollback(pipeline)
        stage.write("INSERT INTO school(code, name) VALUES ('here', 'written by the application')")
        pipeline.sync(timeout=WAIT)
        verified(pipeline)
        with_way_back(pipeline)
        wait_alike(stage.app.path, pipeline.target_url)
        noted = query(pipeline.target_url, "SELECT token FROM audit_log WHERE action = 'noted'")
        self.assertEqual(noted, [("noted here",)])

    def mounted(self):
        place = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-small-"))
        self.addCleanup(subprocess.run, ["rm", "-rf", place], check=False)
        place.chmod(0o755)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", place], check=False).returncode:
            self.skipTest("this machine lets nobody mount")
        self.addCleanup(guard.forget, guard.run_later("umount", "-l", place))
        self.addCleanup(subprocess.run, ["umount", "-l", place], check=False)
        return place

    @unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
    def test_the_state_directorys_disk_is_full(self):
        """Within the hold, and again when it starts after a kill: what waits outside is let go, and nothing but room is needed."""
        place = self.mounted()
        events = pathlib.Path(stage.app.dir) / "events"
        hooks = {name: f"#!/bin/sh\necho {name} >> {events}\n" for name in ("on-hold", "on-abort")}
        for killed in (False, True):
            with self.subTest(killed=killed):
                events.write_text("")
                pipeline = configure(stage.pipeline(state=place / f"state-{killed}"), hooks=hooks).start(failpoint="cutover-drained=stop")
                pipeline.wait_phase("streaming", timeout=WAIT)
                verified(pipeline)
                words = [BIN / "tidegate", "cutover", "--json", "--confirm", name_of(pipeline), "--no-way-back", "--state", str(pipeline.state)]
                command = subprocess.Popen(words, env=pipeline.env(), cwd=pipeline.base, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                wait_until(lambda: process_state(pipeline.process.pid) == "T", "the daemon is stopped")
                with contextlib.suppress(OSError), (place / "stuff").open("wb") as file:
                    file.write(b"x" * SMALL)
                if killed:
                    pipeline.kill()
                    command.communicate(timeout=60)
                    wait_until(lambda: events.read_text().split() == ["on-hold", "on-abort"], "the watchdog's on-abort")
                    (pathlib.Path(pipeline.base) / "hooks" / "on-abort").write_text(f"#!/bin/sh\necho again >> {events}\n")
                    subprocess.run([BIN / "tidegate", "run", "--yes", *pipeline.flags, "--state", str(pipeline.state), "--source", pipeline.source],
                                   env=pipeline.env(), cwd=pipeline.base, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=False)
                    self.assertEqual(events.read_text().split()[:3], ["on-hold", "on-abort", "again"], "a start that comes to nothing lets go too")
                else:
                    os.kill(pipeline.process.pid, signal.SIGCONT)
                    wait_until(lambda: "on-abort" in events.read_text(), "the hook on-abort")
                    wait_until(lambda: "cutover-not-journalled" in [error["code"] for error in pipeline.status()["errors"]], "a report")
                self.assertTrue(legacy_takes_writes(stage.app.path))
                (place / "stuff").unlink()
                if killed:
                    pipeline.start().wait_phase("streaming", timeout=WAIT)
                else:
                    self.assertEqual(json.loads(command.communicate(timeout=60)[0])["outcome"], "aborted")
                verified(pipeline)
                self.assertEqual(forward(pipeline)["outcome"], "done")
                pipeline.kill()
                stage.forget_cutovers()

    def small_disk(self):
        """A database of the target whose tables are on a small file system: its URL and where it is mounted."""
        place = self.mounted()
        space = place / "space"
        space.mkdir()
        subprocess.run(["chown", "-R", "postgres:", place], check=True)
        url = stage.new_database()
        database = f"round{stage.databases}"
        stage.target.admin(f"CREATE TABLESPACE small LOCATION '{space}'", "GRANT CREATE ON TABLESPACE small TO postgres",
                           f"ALTER DATABASE {database} SET default_tablespace = small")
        self.addCleanup(stage.target.admin, f"DROP DATABASE {database} WITH (FORCE)", "DROP TABLESPACE small")
        return url, place

    @unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
    def test_the_targets_disk_is_full(self):
        """What is to be drained does not fit: the application goes on, and the same command does it when there is space."""
        url, place = self.small_disk()
        pipeline = self.streaming(url, failpoint="cutover-entered:2=stop")
        stuff = place / "stuff"
        with self.stopped_at(pipeline, "cutover", "--attempts", "1") as outcome:
            free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
            with contextlib.suppress(OSError), stuff.open("wb") as file:
                file.write(b"x" * max(0, free - 300_000))
            stage.write("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000) INSERT INTO audit_log(at, action, token)"
                        " SELECT '2026-01-01 00:00:00', 'large', hex(randomblob(2000)) FROM c")
        self.assertEqual(outcome, ["aborted"])
        self.assertTrue(legacy_takes_writes(stage.app.path))
        self.assertFalse(target_takes_writes(url))
        stuff.unlink()
        pipeline.sync(timeout=WAIT)
        self.assertEqual(forward(pipeline)["outcome"], "done")
        wait_alike(stage.app.path, pipeline.target_url)
        pipeline.kill()


if __name__ == "__main__":
    unittest.main()
