#!/usr/bin/python3
"""kill -9 at every step of a cutover, of the daemon or of the process that holds the source, or SIGTERM of the daemon: afterwards one side takes writes, it holds every
acknowledged write, and one command goes on. TIDEGATE_SEED repeats a run."""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import CUTOVER, ROOT, SEED, WAIT, Stage, process_state                                             # noqa: E402
from proxy import wait_until                                                                                    # noqa: E402
from support.cutover import configure, end_where_it_stopped, fence_of, forward, has_died, legacy_takes_writes, target_takes_writes, verified   # noqa: E402
from support.compare import Comparison                                                                          # noqa: E402
from support.tidegate import BIN                                                                                # noqa: E402
import ledger                                                                                                   # noqa: E402
import psycopg2                                                                                                 # noqa: E402

INTENT = 6   # of them: before it a run is given up, after it the next start goes on
STEPS = 9    # of a cutover that succeeds, after `guard`: each is journalled, then "cutover-entered" is passed
PAST = {"cutover-after-fence-commit", "cutover-before-open", "cutover-before-open-commit", "cutover-after-open-commit",
        "cutover-before-switch", "cutover-switched"}
RECOVERY = {"cutover-settled", "cutover-given-up", "cutover-let-go"}   # passed when a run is given up
stage = None


def setUpModule():
    global stage
    print("seed", SEED, flush=True)
    stage = Stage().seed()


def tearDownModule():
    stage.close()


def failpoints():
    names = set()
    for folder in ("capture", "apply", "replicator"):
        for path in (ROOT / folder).rglob("*.cpp"):
            if CUTOVER.search(str(path.relative_to(ROOT))):
                names.update(re.findall(r'\bfailpoint\("(cutover-[^"]+)"\)', path.read_text()))
    return sorted(names)


class Kills(unittest.TestCase):
    def round(self, failpoint, rehearse=False, ended=False):
        """Begins a cutover that dies at the failpoint, or stops there and is told to end; returns the pipeline, started again, and whether the target is live."""
        self.doCleanups()   # a round that failed leaves its load and its daemon
        stage.app.unfence()
        load = stage.load()
        self.addCleanup(load.stop)
        pipeline = configure(stage.pipeline()).start(failpoint=failpoint)
        self.addCleanup(pipeline.kill)
        pipeline.wait_phase("streaming", timeout=WAIT)
        verified(pipeline)
        name = pipeline.status()["pipeline"]
        words = ["--rehearse"] if rehearse else ["--confirm", name]
        command = subprocess.Popen([BIN / "tidegate", "cutover", "--json", "--no-way-back", *words, "--state", str(pipeline.state)],
                                   env=pipeline.env(), cwd=pipeline.base, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            if ended:
                end_where_it_stopped(pipeline)
            out, _ = command.communicate(timeout=120)
        finally:
            command.kill()
        died = False
        if ended:
            self.assertEqual(pipeline.wait(), 0, pipeline.log[-2000:])
        elif has_died(pipeline, out):
            died = True
            self.assertEqual(pipeline.wait(), -9, pipeline.log[-2000:])
        self.never_two(pipeline)
        pipeline.restart()   # without the failpoint; where the holder alone was killed, the daemon still has it
        pipeline.wait_phase("streaming", "reversed", timeout=WAIT)
        summary = load.stop()
        return pipeline, summary, died, out

    def never_two(self, pipeline):
        self.assertFalse(legacy_takes_writes(stage.app.path) and target_takes_writes(pipeline.target_url))

    def judge(self, pipeline, summary, moved):
        status = pipeline.status()
        self.assertEqual((status["live"], status["phase"]), ("target", "reversed") if moved else ("source", "streaming"))
        self.assertEqual(legacy_takes_writes(stage.app.path), not moved)
        self.assertEqual(target_takes_writes(pipeline.target_url), moved)
        self.assertEqual(fence_of(stage.app.path)[1] is not None, moved)
        if not moved:
            self.assertEqual(summary["failed"], {}, summary["errors"])
            pipeline.sync(timeout=WAIT)
        connection = psycopg2.connect(pipeline.target_url)
        try:
            self.assertEqual(Comparison(stage.app.path, connection).run(), [])
            verdict = stage.app.verdict(ledger.TargetRows(connection))
            self.assertTrue(verdict.clean, str(verdict))
        finally:
            connection.close()
        if not moved:
            self.assertEqual(forward(pipeline)["outcome"], "done", "one command goes on")
            self.assertFalse(legacy_takes_writes(stage.app.path))

    def test_at_every_failpoint(self):
        for name in failpoints():
            if name in RECOVERY or name == "cutover-entered":
                continue
            with self.subTest(failpoint=name):
                pipeline, summary, died, out = self.round(name)
                moved = name in PAST
                if not died:   # the holder was killed: the daemon tries again, with a holder that dies as well, or sees the fence
                    self.assertIn(name, ("cutover-locked", "cutover-before-fence-commit", "cutover-after-fence-commit"))
                    self.assertEqual(json.loads(out)["outcome"], "done" if moved else "aborted")
                self.judge(pipeline, summary, moved)
                pipeline.kill()

    def test_after_every_journalled_step(self):
        for passes in range(1, STEPS + 1):
            with self.subTest(step=passes):
                pipeline, summary, died, _ = self.round(f"cutover-entered:{passes}")
                self.assertTrue(died)
                self.judge(pipeline, summary, moved=passes >= 7)   # the seventh is `open`
                pipeline.kill()

    def test_told_to_end_at_every_journalled_step(self):
        for passes in range(1, STEPS + 1):
            with self.subTest(step=passes):
                pipeline, summary, _, out = self.round(f"cutover-entered:{passes}=stop", ended=True)
                moved = fence_of(stage.app.path)[1] is not None
                # The daemon hears of the signal a moment after it goes on; the fence may be committed by then, or the hold have ended.
                if passes not in (INTENT - 1, INTENT):
                    self.assertEqual(moved, passes > INTENT)
                self.judge_end(out, moved)
                self.judge(pipeline, summary, moved)
                pipeline.kill()

    def judge_end(self, out, moved):
        """The command says how it ended, where the daemon was still there to say it."""
        if out.startswith('{"run"') and json.loads(out)["outcome"]:
            self.assertEqual(json.loads(out)["outcome"], "done" if moved else "aborted")

    def test_while_letting_go(self):
        pipeline, summary, died, _ = self.round("cutover-let-go", rehearse=True)
        self.assertTrue(died)
        self.judge(pipeline, summary, moved=False)

    def test_killed_again_while_recovering(self):
        """Dies with the intent in the journal; the next start dies while it settles, and the one after that while it gives up."""
        stage.app.unfence()
        pipeline, summary, _, _ = self.round("cutover-intended")
        pipeline.kill()
        for failpoint in ("cutover-settled", "cutover-given-up"):
            with self.subTest(failpoint=failpoint):
                pipeline, summary, died, _ = self.round_without_restart("cutover-intended", failpoint)
                self.judge(pipeline, summary, moved=False)
                pipeline.kill()

    def round_without_restart(self, first, second):
        stage.app.unfence()
        load = stage.load()
        self.addCleanup(load.stopping.set)
        pipeline = configure(stage.pipeline()).start(failpoint=first)
        self.addCleanup(pipeline.kill)
        pipeline.wait_phase("streaming", timeout=WAIT)
        verified(pipeline)
        name = pipeline.status()["pipeline"]
        pipeline.verb("cutover", "--json", "--no-way-back", "--confirm", name)
        self.assertEqual(pipeline.wait(), -9)
        pipeline.start(failpoint=second)
        self.assertEqual(pipeline.wait(), -9, pipeline.log[-2000:])
        self.never_two(pipeline)
        pipeline.start().wait_phase("streaming", timeout=WAIT)
        return pipeline, load.stop(), True, ""

    def test_frozen_within_the_hold(self):
        """SIGSTOP of the daemon: the watchdog lets the writers go on, and the daemon finds out when it wakes up."""
        stage.app.unfence()
        load = stage.load()
        self.addCleanup(load.stopping.set)
        pipeline = configure(stage.pipeline()).start(failpoint="cutover-proven=stop")
        self.addCleanup(pipeline.kill)
        pipeline.wait_phase("streaming", timeout=WAIT)
        verified(pipeline)
        command = subprocess.Popen([BIN / "tidegate", "cutover", "--json", "--no-way-back", "--attempts", "1", "--confirm",
                                    pipeline.status()["pipeline"], "--state", str(pipeline.state)],
                                   env=pipeline.env(), cwd=pipeline.base, stdout=subprocess.PIPE, text=True)
        wait_until(lambda: process_state(pipeline.process.pid) == "T", "the daemon is stopped")
        time.sleep(4)
        self.assertTrue(legacy_takes_writes(stage.app.path))
        os.kill(pipeline.process.pid, signal.SIGCONT)
        out, _ = command.communicate(timeout=120)
        self.assertEqual(json.loads(out)["outcome"], "aborted")
        self.judge(pipeline, load.stop(), moved=False)


if __name__ == "__main__":
    unittest.main()
