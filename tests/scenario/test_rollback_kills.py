#!/usr/bin/python3
"""kill -9 at every step of a rollback, of the daemon or of the process that holds the target, or SIGTERM of the daemon: afterwards one side takes writes, it holds what
the target acknowledged, and one command goes on. TIDEGATE_SEED repeats a run."""
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import ROOT, SEED, WAIT, Stage, process_state, query                                                # noqa: E402
from proxy import wait_until                                                                                    # noqa: E402
from support.cutover import (configure, end_where_it_stopped, fence_of, has_died, legacy_takes_writes, name_of, rollback, target_takes_writes,   # noqa: E402
                             verified, with_way_back)
from support.compare import Comparison                                                                          # noqa: E402
from support.tidegate import BIN                                                                                # noqa: E402
import psycopg2                                                                                                 # noqa: E402

INTENT = 6   # of them: before it a run is given up, after it the next start goes on
STEPS = 9    # of a rollback that succeeds, after `guard`: each is journalled, then "cutover-entered" is passed
FORWARD = re.compile(r"^replicator/cutover/forward|^capture/sqlite/fence|^apply/postgres/target_fence")
PASSED = re.compile(r"^replicator/cutover/|^capture/sqlite/fence")
HOLDER = {"cutover-locked", "cutover-before-fence-commit", "cutover-after-fence-commit"}
PAST = {"cutover-after-fence-commit", "rollback-before-open", "rollback-before-open-commit", "rollback-after-open-commit",
        "cutover-before-switch", "cutover-switched"}
RECOVERY = {"cutover-given-up", "cutover-let-go", "rollback-settled"}   # passed when a run is given up
stage = None


def setUpModule():
    global stage
    print("seed", SEED, flush=True)
    stage = Stage(families=30).seed()


def tearDownModule():
    stage.close()


def failpoints():
    """Those of both directions, and the rollback's own."""
    names = set()
    for folder in ("capture", "replicator"):
        for path in (ROOT / folder).rglob("*.cpp"):
            name = str(path.relative_to(ROOT))
            if PASSED.search(name):
                kind = "rollback" if FORWARD.search(name) else "(?:cutover|rollback)"
                names.update(re.findall(rf'\bfailpoint\("({kind}-[^"]+)"\)', path.read_text()))
    return sorted(names)


class Kills(unittest.TestCase):
    def begin(self):
        """A pipeline whose target is live."""
        stage.forget_cutovers()
        pipeline = configure(stage.pipeline()).start()
        self.addCleanup(pipeline.kill)
        pipeline.wait_phase("streaming", timeout=WAIT)
        verified(pipeline)
        with_way_back(pipeline)
        return pipeline

    def write(self, pipeline, token):
        query(pipeline.target_url, """INSERT INTO audit_log(at, action, token) VALUES (now(), 'kill', %s);
              INSERT INTO attachment(project_id, filename, content, size) SELECT min(id), 'f', '', 0 FROM project;
              UPDATE school SET name = %s WHERE id = (SELECT min(id) FROM school)""", (token, token))

    def start_with(self, pipeline, failpoint):
        pipeline.stop()
        pipeline.start(failpoint=failpoint)
        pipeline.wait_phase("reversed", timeout=WAIT)
        pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")

    def round(self, failpoint, *flags):
        """Begins a rollback that dies at the failpoint; the pipeline, started again, and whether it died."""
        pipeline = self.begin()
        self.start_with(pipeline, failpoint)
        self.write(pipeline, f"before {failpoint}")
        command = self.command(pipeline, *flags)
        try:
            out, _ = command.communicate(timeout=120)
        finally:
            command.kill()
        died = has_died(pipeline, out)
        if died:
            self.assertEqual(pipeline.wait(), -9, pipeline.log[-2000:])
        self.never_two(pipeline)
        pipeline.restart()   # without the failpoint
        pipeline.wait_phase("streaming", "reversed", timeout=WAIT)
        return pipeline, died, out

    def command(self, pipeline, *flags):
        words = [BIN / "tidegate", "rollback", "--json", "--confirm", name_of(pipeline), *flags, "--state", str(pipeline.state)]
        return subprocess.Popen(words, env=pipeline.env(), cwd=pipeline.base, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def never_two(self, pipeline):
        self.assertFalse(legacy_takes_writes(stage.app.path) and target_takes_writes(pipeline.target_url))

    def legacy(self, text):
        connection = sqlite3.connect(stage.app.path, timeout=30)
        try:
            return connection.execute(text).fetchall()
        finally:
            connection.close()

    def judge(self, pipeline, failpoint, moved):
        status = pipeline.status()
        self.assertEqual((status["live"], status["phase"]), ("source", "streaming") if moved else ("target", "reversed"))
        self.assertEqual(legacy_takes_writes(stage.app.path), moved)
        self.assertEqual(target_takes_writes(pipeline.target_url), not moved)
        self.assertEqual(fence_of(stage.app.path)[1] is None, moved)
        if not moved:
            self.write(pipeline, f"after {failpoint}")
            pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
            self.assertEqual(rollback(pipeline)["outcome"], "done", "one command goes on")
        stage.write(f"INSERT INTO audit_log(at, action, token) VALUES ('2026-01-01 00:00:00', 'kill', 'legacy {failpoint}')")
        pipeline.sync(timeout=WAIT)
        tokens = [f"before {failpoint}", f"legacy {failpoint}", *([] if moved else [f"after {failpoint}"])]
        of_round = f"SELECT token FROM audit_log WHERE token LIKE '% {failpoint}' ORDER BY token"
        self.assertEqual([token for token, in self.legacy(of_round)], sorted(tokens))
        self.assertEqual([token for token, in query(pipeline.target_url, of_round.replace("%", "%%"), ())], sorted(tokens))
        connection = psycopg2.connect(pipeline.target_url)
        try:
            self.assertEqual(Comparison(stage.app.path, connection).run(), [])
        finally:
            connection.close()

    def test_at_every_failpoint(self):
        names = [name for name in failpoints() if name not in RECOVERY and name != "cutover-entered"]
        self.assertGreater(len(names), 14, names)
        for name in names:
            with self.subTest(failpoint=name):
                pipeline, died, out = self.round(name)
                moved = name in PAST
                if not died:   # the holder was killed: the daemon tries again, or sees the fence
                    self.assertIn(name, HOLDER)
                    self.assertEqual(json.loads(out)["outcome"], "done" if moved else "aborted")
                self.judge(pipeline, name, moved)

    def test_after_every_journalled_step(self):
        for passes in range(1, STEPS + 1):
            with self.subTest(step=passes):
                name = f"cutover-entered:{passes}"
                pipeline, died, _ = self.round(name)
                self.assertTrue(died)
                self.judge(pipeline, name, moved=passes >= 7)   # the seventh is `open`

    def test_told_to_end_at_every_journalled_step(self):
        for passes in range(1, STEPS + 1):
            with self.subTest(step=passes):
                name = f"told {passes}"
                pipeline = self.begin()
                self.start_with(pipeline, f"cutover-entered:{passes}=stop")
                self.write(pipeline, f"before {name}")
                command = self.command(pipeline)
                try:
                    end_where_it_stopped(pipeline)
                    command.communicate(timeout=120)
                finally:
                    command.kill()
                self.assertEqual(pipeline.wait(), 0, pipeline.log[-2000:])
                self.never_two(pipeline)
                pipeline.start().wait_phase("streaming", "reversed", timeout=WAIT)
                moved = fence_of(stage.app.path)[1] is None
                # The daemon hears of the signal a moment after it goes on; the fence may be committed by then, or the hold have ended.
                if passes not in (INTENT - 1, INTENT):
                    self.assertEqual(moved, passes > INTENT)
                self.judge(pipeline, name, moved)

    def test_killed_again_while_recovering(self):
        """Dies with the intent in the journal; the next start dies while it gives up."""
        pipeline = self.begin()
        self.start_with(pipeline, "cutover-intended")
        self.write(pipeline, "before recovering")
        self.command(pipeline).communicate(timeout=120)
        self.assertEqual(pipeline.wait(), -9)
        pipeline.start(failpoint="cutover-given-up")
        self.assertEqual(pipeline.wait(), -9, pipeline.log[-2000:])
        self.never_two(pipeline)
        pipeline.start().wait_phase("reversed", timeout=WAIT)
        self.judge(pipeline, "recovering", moved=False)

    def test_frozen_within_the_hold(self):
        """SIGSTOP of the daemon: the watchdog lets the writers of the target go on, and the daemon finds out when it wakes up."""
        pipeline = self.begin()
        self.start_with(pipeline, "rollback-proven=stop")
        self.write(pipeline, "before frozen")
        command = self.command(pipeline, "--attempts", "1")
        wait_until(lambda: process_state(pipeline.process.pid) == "T", "the daemon is stopped")
        time.sleep(4)
        self.assertTrue(target_takes_writes(pipeline.target_url))
        os.kill(pipeline.process.pid, signal.SIGCONT)
        out, _ = command.communicate(timeout=120)
        self.assertEqual(json.loads(out)["outcome"], "aborted")
        self.judge(pipeline, "frozen", moved=False)


if __name__ == "__main__":
    unittest.main()
