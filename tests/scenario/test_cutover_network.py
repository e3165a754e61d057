#!/usr/bin/python3
"""The target goes away at each journalled step of a cutover and of a rollback: its network (with refused connections or without a sign), or its
server (killed, or stopped); or tidegate is stopped there for a while (frozen). The old side takes writes again while it is away, or the new one does as soon as it is back; never both; no acknowledged
write is lost, and one command goes on. The short form takes some of the steps. TIDEGATE_SEED repeats a run."""
import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import LONG, SEED, WAIT, Stage, process_state, query                                                  # noqa: E402
from proxy import Proxy, wait_until                                                                              # noqa: E402
from support.cutover import (configure, cutover, legacy_takes_writes, name_of, target_takes_writes, verified,    # noqa: E402
                             wait_alike, with_way_back)
from support.tidegate import BIN                                                                                 # noqa: E402
import ledger                                                                                                    # noqa: E402
import psycopg2                                                                                                  # noqa: E402

STEPS = 9        # of a run that succeeds, after `guard`: each is journalled, then "cutover-entered" is passed
INTENT = 6       # the sixth: from here on the new side may be the live one
OUTAGE = 4       # seconds; more than max-hold
SHORT = 2        # rounds in each direction
KINDS = ("refused", "silent", "killed", "stopped", "frozen")
ALWAYS = {"cutover": [(8, "refused")], "rollback": []}   # the way back begins while the network is away
stage = None


def setUpModule():
    global stage
    print("seed", SEED, flush=True)
    stage = Stage(families=30).seed()
    unittest.addModuleCleanup(stage.close)


def rounds(verb):
    every = [(step, kind) for step in range(1, STEPS + 1) for kind in KINDS]
    if LONG:
        return every
    return sorted({*ALWAYS[verb], *random.Random(f"{SEED}:{verb}").sample(every, SHORT - len(ALWAYS[verb]))})


class TargetAway(unittest.TestCase):
    def begin(self):
        stage.forget_cutovers()
        self.direct = stage.new_database()
        self.proxy = Proxy(self.direct)
        self.proxy.__enter__()
        self.addCleanup(self.proxy.__exit__)
        pipeline = configure(stage.pipeline(url=self.proxy.url))
        self.addCleanup(pipeline.kill)
        return pipeline

    def start(self, pipeline, step, phase):
        pipeline.start(failpoint=f"cutover-entered:{step}=stop").wait_phase(phase, timeout=WAIT)
        return pipeline

    def leave(self, kind):
        if kind == "killed":
            stage.target.kill()
        elif kind == "stopped":
            stage.target.signal(signal.SIGSTOP)
            self.addCleanup(stage.target.signal, signal.SIGCONT)
        else:
            self.proxy.block(kind == "silent")

    def come_back(self, kind):
        if kind == "killed":
            stage.target.restart()
        elif kind == "stopped":
            stage.target.signal(signal.SIGCONT)
        else:
            self.proxy.unblock()

    def run_through(self, pipeline, verb, step, kind):
        """Runs the verb, with the target away from the step on for a while. Its outcome, and whether the old side took writes meanwhile (True
        where it is the target itself, which nobody can ask)."""
        words = [BIN / "tidegate", verb, "--json", "--confirm", name_of(pipeline), "--state", str(pipeline.state)]
        command = subprocess.Popen(words, env=pipeline.env(), cwd=pipeline.base, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: process_state(pipeline.process.pid) == "T" or command.poll() is not None, "the daemon is stopped")
            self.assertIsNone(command.poll(), [command.returncode] if command.poll() is None else command.communicate())
            if kind != "frozen":
                self.leave(kind)
                os.kill(pipeline.process.pid, signal.SIGCONT)
            time.sleep(OUTAGE)
            can_ask = verb == "cutover" or kind in ("refused", "silent", "frozen")
            takes = legacy_takes_writes if verb == "cutover" else target_takes_writes
            old_side = takes(stage.app.path if verb == "cutover" else self.direct) if can_ask else True
            if kind != "frozen":
                self.come_back(kind)
            os.kill(pipeline.process.pid, signal.SIGCONT)
            out, errors = command.communicate(timeout=120)
        finally:
            command.kill()
        self.assertTrue(out, errors + pipeline.log[-2000:])
        return json.loads(out)["outcome"], old_side

    def go_on(self, pipeline, verb, outcome):
        """With one command, where it was given up. Then one side takes writes, and `status` says which."""
        self.assertIn(outcome, ("done", "aborted"))
        live = {"cutover": "target", "rollback": "source"}[verb]
        if outcome == "aborted":
            other = {"cutover": "source", "rollback": "target"}[verb]
            pipeline.wait_status(lambda status: status["live"] == other, WAIT, "the old side")
            if verb == "rollback":
                pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
            pipeline.wait_status(lambda status: status["lag"]["transactions"] == 0, WAIT, "the end of the lag")
            self.assertEqual(cutover(pipeline, "--confirm", name_of(pipeline), verb=verb)["outcome"], "done")
        pipeline.wait_status(lambda status: status["live"] == live, WAIT, "the new side")
        self.assertEqual((legacy_takes_writes(stage.app.path), target_takes_writes(self.direct)), (live == "source", live == "target"))

    def write_on_target(self, token):
        query(self.direct, """INSERT INTO audit_log(at, action, token) VALUES (now(), 'cut', %s);
              UPDATE school SET name = %s WHERE id = (SELECT min(id) FROM school)""", (token, token))

    def both_have(self, *tokens):
        """Each once; all rows are alike, soon."""
        wait_alike(stage.app.path, self.direct)
        wanted = "SELECT token FROM audit_log WHERE action = 'cut' AND token LIKE '%'"
        legacy = sqlite3.connect(stage.app.path, timeout=30)
        self.addCleanup(legacy.close)
        for rows in (legacy.execute(wanted).fetchall(), query(self.direct, wanted)):
            have = [token for token, in rows]
            for token in tokens:
                self.assertEqual(have.count(token), 1, token)

    def test_in_a_cutover(self):
        for step, kind in rounds("cutover"):
            with self.subTest(step=step, kind=kind):
                pipeline = self.start(self.begin(), step, "streaming")
                verified(pipeline)
                load = stage.load()
                self.addCleanup(load.stopping.set)
                outcome, old_side = self.run_through(pipeline, "cutover", step, kind)
                if outcome == "aborted":
                    self.assertEqual(load.tally.failed, {}, load.tally.errors)
                if step < INTENT:
                    self.assertTrue(old_side, "the application goes on while the network is away")
                self.go_on(pipeline, "cutover", outcome)
                load.stop()
                token = f"cutover {step} {kind} {time.monotonic_ns()}"
                self.write_on_target(token)
                self.both_have(token)
                connection = psycopg2.connect(self.direct)
                self.addCleanup(connection.close)
                verdict = stage.app.verdict(ledger.TargetRows(connection))
                self.assertTrue(verdict.clean, str(verdict))

    def test_in_a_rollback(self):
        for step, kind in rounds("rollback"):
            with self.subTest(step=step, kind=kind):
                pipeline = self.begin().start()
                pipeline.wait_phase("streaming", timeout=WAIT)
                verified(pipeline)
                with_way_back(pipeline)
                pipeline.stop()
                self.start(pipeline, step, "reversed")
                pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
                before, after = (f"{word} {step} {kind} {time.monotonic_ns()}" for word in ("before", "after"))
                self.write_on_target(before)
                outcome, old_side = self.run_through(pipeline, "rollback", step, kind)
                if step < INTENT:
                    self.assertTrue(old_side, "the application goes on while the network is away")
                self.go_on(pipeline, "rollback", outcome)
                stage.write(f"INSERT INTO audit_log(at, action, token) VALUES ('2026-01-01 00:00:00', 'cut', '{after}')")
                pipeline.sync(timeout=WAIT)
                self.both_have(before, after)


if __name__ == "__main__":
    unittest.main()
