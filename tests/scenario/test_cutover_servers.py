#!/usr/bin/python3
"""A Postgres database's own server, or the target's, is killed or stopped at each journalled step of a cutover and of a rollback, while an
application writes: afterwards one side takes writes, each acknowledged row is in it once, and one command goes on. The short form takes some of
the steps. TIDEGATE_SEED repeats a run."""
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

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import LONG, SEED, WAIT, process_state                              # noqa: E402
from proxy import wait_until                                                   # noqa: E402
import pgpassage                                                               # noqa: E402
from pgpassage import STEPS, Scenario, open_servers                            # noqa: E402
from support.cutover import cutover, name_of, verified                          # noqa: E402
from support.pgledger import takes_writes                                      # noqa: E402
from support.tidegate import BIN                                               # noqa: E402

OUTAGE = 3       # seconds; more than max-hold
SHORT = 1        # rounds in each direction
setUpModule = open_servers


def rounds(verb):
    every = [(step, end, kind) for step in range(1, len(STEPS) + 1) for end in ("source", "target") for kind in ("killed", "stopped")]
    return every if LONG else random.Random(f"{SEED}:{verb}").sample(every, SHORT)


class Writer:
    """One session that comes again where it was thrown out. A commit without an answer may have happened."""

    def __init__(self, database, name):
        self.database, self.name, self.acknowledged, self.doubtful = database, name, [], []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        connection, number = None, 0
        while not self.over.is_set():
            token, number = f"{self.name} {number}", number + 1
            try:
                connection = connection or self.database.connect(connect_timeout=2)
                with connection.cursor() as cursor:
                    cursor.execute("INSERT INTO marker VALUES (%s)", (token,))
                connection.commit()
                self.acknowledged.append(token)
            except psycopg2.errors.ReadOnlySqlTransaction:
                connection.rollback()
            except psycopg2.Error:
                self.doubtful.append(token)
                connection = None
            self.over.wait(0.01)

    def stop(self):
        self.over.set()
        self.thread.join(60)


class ServersGoAway(Scenario):
    def leave(self, server, kind):
        if kind == "killed":
            return server.kill()
        server.signal(signal.SIGSTOP)
        return self.addCleanup(server.signal, signal.SIGCONT)

    def come_back(self, server, kind):
        if kind == "killed":
            server.restart()
        else:
            server.signal(signal.SIGCONT)

    def run_through(self, pipeline, verb, server, kind):
        """The verb's outcome, with the server away from where the daemon has stopped itself."""
        words = [BIN / "tidegate", verb, "--json", "--attempts", "2", "--confirm", name_of(pipeline), "--state", str(pipeline.state)]
        command = subprocess.Popen(words, env=pipeline.env(), cwd=pipeline.base, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: process_state(pipeline.process.pid) == "T", "the daemon is stopped", WAIT)
            self.leave(server, kind)
            os.kill(pipeline.process.pid, signal.SIGCONT)
            time.sleep(OUTAGE)
            self.come_back(server, kind)
            out, errors = command.communicate(timeout=120)
        finally:
            command.kill()
        self.assertTrue(out, errors + pipeline.log[-2000:])
        return json.loads(out)["outcome"]

    def ready(self, pipeline, verb):
        if verb == "rollback":
            return pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
        pipeline.wait_status(lambda status: status["phase"] == "streaming" and status["lag"]["transactions"] == 0, WAIT, "the end of the lag")
        return verified(pipeline)

    def account_for(self, database, writer):
        there = [token for token, in database.execute("SELECT token FROM marker WHERE token LIKE %s", (writer.name + " %",))]
        self.assertLessEqual(set(writer.acknowledged), set(there))
        self.assertLessEqual(set(there), set(writer.acknowledged) | set(writer.doubtful))

    def round(self, pipeline, verb, step, end, kind):
        old, new = (self.source, self.target) if verb == "cutover" else (self.target, self.source)
        pipeline.stop()
        pipeline.start(failpoint=f"cutover-entered:{step}=stop").wait_phase("streaming", "reversed", timeout=WAIT)
        self.ready(pipeline, verb)
        writer = Writer(old, f"{verb}-{step}-{end}-{kind}")
        try:
            self.pass_over(pipeline, verb, end, kind, writer)
        finally:
            writer.stop()
        self.assertEqual((takes_writes(old), takes_writes(new)), (False, True))
        self.account_for(new, writer)

    def pass_over(self, pipeline, verb, end, kind, writer):
        outcome = self.run_through(pipeline, verb, getattr(pgpassage.servers(), end), kind)
        self.assertIn(outcome, ("done", "aborted"))
        live = {"cutover": "target", "rollback": "source"}[verb]
        if outcome == "aborted":
            other = {"cutover": "source", "rollback": "target"}[verb]
            pipeline.wait_status(lambda status: status["live"] == other, WAIT, "the old side")
            before = len(writer.acknowledged)
            wait_until(lambda: len(writer.acknowledged) > before, "the application goes on", WAIT)
            self.ready(pipeline, verb)
            self.assertEqual(cutover(pipeline, "--confirm", name_of(pipeline), verb=verb)["outcome"], "done")
        pipeline.wait_status(lambda status: status["live"] == live, WAIT, "the new side")

    def test_there_and_back(self):
        pipeline = self.streaming()
        for there, back in zip(rounds("cutover"), rounds("rollback")):
            with self.subTest(there=there, back=back):
                self.round(pipeline, "cutover", *there)
                self.round(pipeline, "rollback", *back)
                self.source.execute("INSERT INTO ledger(token, side) VALUES (%s, 'source')", (f"{there} {back}",))
                self.followed(pipeline)


if __name__ == "__main__":
    unittest.main()
