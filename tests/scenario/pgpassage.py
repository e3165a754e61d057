"""One Postgres pipeline between two servers, with its application's ledger: what the scenarios of its cutover have in common."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import unittest

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from stage import SEED, WAIT, process_state                        # noqa: E402
from proxy import wait_until                                       # noqa: E402
from support.cutover import configure, cutover, name_of, verified  # noqa: E402
from support.pgledger import SCHEMA, Writers, takes_writes         # noqa: E402
from support.pgsource import differences, open_pair                # noqa: E402
from support.tidegate import BIN, Tidegate                         # noqa: E402

CONSENT = "--allow-identity-full"
STEPS = ["guard", "prepare", "hold", "drain", "prove", "reverse", "intent", "open", "switching"]
OUTAGE = 3       # seconds; more than max-hold
pair = base = None


def open_servers():
    """For setUpModule. Says the seed that repeats a run."""
    global pair, base
    print("seed", SEED, flush=True)
    pair = open_pair()
    base, unused = pair.databases("base")
    unused.drop()
    base.execute(SCHEMA)


def servers():
    return pair


class Scenario(unittest.TestCase):
    def streaming(self, hooks=None, start=True):
        """A pipeline of its own that was verified; its databases are self.source and self.target."""
        self.source, self.target = pair.databases("cut", template=base.name)
        pipeline = configure(Tidegate(*self.urls()), hooks=hooks, consent=CONSENT)
        self.addCleanup(self.end, pipeline)
        if start:
            pipeline.start().wait_phase("streaming", timeout=WAIT)
            verified(pipeline)
        return pipeline

    def urls(self):
        return self.source.url, self.target.url

    def end(self, pipeline):
        pipeline.__exit__()
        self.source.drop()
        self.target.drop()

    def writers(self, side, name):
        writers = Writers(self.source if side == "source" else self.target, name)
        self.addCleanup(writers.stop)
        return writers

    def codes(self, pipeline, *flags, code, verb="cutover"):
        return {finding["code"]: finding["level"] for finding in cutover(pipeline, "--dry-run", *flags, code=code, verb=verb)["findings"]}

    def assert_live(self, pipeline, side):
        status = pipeline.status()
        self.assertEqual((status["live"], status["phase"]), ("source", "streaming") if side == "source" else ("target", "reversed"))
        self.assertEqual(takes_writes(self.source), side == "source")
        self.assertEqual(takes_writes(self.target), side == "target")

    def assert_same(self):
        self.assertEqual(differences(self.source, self.target), [])

    def followed(self, pipeline):
        """All that was committed on the live side is on the other."""
        if pipeline.status()["live"] == "source":
            pipeline.sync(timeout=WAIT)
        else:
            token = f"marker {time.monotonic_ns()}"
            self.target.execute("INSERT INTO marker VALUES (%s)", (token,))
            wait_until(lambda: self.source.execute("SELECT 1 FROM marker WHERE token = %s", (token,)), "the way back")
        self.assert_same()


class Writer:
    """One session that comes again where it was thrown out. A commit without an answer may have happened."""

    def __init__(self, database, name):
        self.database, self.name, self.acknowledged, self.doubtful, self.longest = database, name, [], [], 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        connection, number = None, 0
        while not self.over.is_set():
            token, number, began = f"{self.name} {number}", number + 1, time.monotonic()
            try:
                connection = connection or self.database.connect(connect_timeout=2)
                with connection.cursor() as cursor:
                    cursor.execute("INSERT INTO marker VALUES (%s)", (token,))
                connection.commit()
                self.acknowledged.append(token)
                self.longest = max(self.longest, time.monotonic() - began)
            except psycopg2.errors.ReadOnlySqlTransaction:
                connection.rollback()
            except psycopg2.Error:
                self.doubtful.append(token)
                connection = None
            self.over.wait(0.01)

    def stop(self):
        self.over.set()
        self.thread.join(60)


class Passages(Scenario):
    """Cutovers and rollbacks in which one end goes away from a journalled step on, for a while: leave(end, kind), come_back(end, kind)."""

    def run_through(self, pipeline, verb, end, kind):
        """The verb's outcome, with one end away from where the daemon has stopped itself."""
        words = [BIN / "tidegate", verb, "--json", "--attempts", "2", "--confirm", name_of(pipeline), "--state", str(pipeline.state)]
        command = subprocess.Popen(words, env=pipeline.env(), cwd=pipeline.base, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: process_state(pipeline.process.pid) == "T", "the daemon is stopped", WAIT)
            if kind == "ended":
                return self.outcome_of_an_end(pipeline, verb, command)
            if end != "tidegate":   # which is away by being stopped
                self.leave(end, kind)
                os.kill(pipeline.process.pid, signal.SIGCONT)
            time.sleep(OUTAGE)
            if end != "tidegate":
                self.come_back(end, kind)
            os.kill(pipeline.process.pid, signal.SIGCONT)
            out, errors = command.communicate(timeout=120)
        finally:
            command.kill()
        self.assertTrue(out, errors + pipeline.log[-2000:])
        return json.loads(out)["outcome"]

    def outcome_of_an_end(self, pipeline, verb, command):
        """SIGTERM, and another start: what was given up stays so, what was past its return is carried to its end."""
        for sign in (signal.SIGTERM, signal.SIGCONT):
            os.kill(pipeline.process.pid, sign)
        self.assertEqual(pipeline.wait(), 0, pipeline.log[-2000:])
        out, _ = command.communicate(timeout=60)
        if out and (ended := json.loads(out))["outcome"] == "aborted":
            self.assertEqual(ended["reason"], "the daemon was told to end")
        pipeline.start().wait_phase("streaming", "reversed", timeout=WAIT)
        return "done" if pipeline.status()["live"] == {"cutover": "target", "rollback": "source"}[verb] else "aborted"

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
            outcome = self.pass_over(pipeline, verb, end, kind, writer)
        finally:
            writer.stop()
        self.assertEqual((takes_writes(old), takes_writes(new)), (False, True))
        self.account_for(new, writer)
        print(f"{verb} {step} {end} {kind}: {outcome}, a transaction took {writer.longest:.1f} s at most", flush=True)
        return writer

    def pass_over(self, pipeline, verb, end, kind, writer):
        outcome = self.run_through(pipeline, verb, end, kind)
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
        return outcome

    def there_and_back(self, passages):
        """Pairs of a cutover and a rollback; after one that failed, the next has databases of its own."""
        pipeline = self.streaming()
        for there, back in passages:
            failed = True
            with self.subTest(there=there, back=back):
                self.round(pipeline, "cutover", *there)
                self.round(pipeline, "rollback", *back)
                self.source.execute("INSERT INTO ledger(token, side) VALUES (%s, 'source')", (f"{there} {back}",))
                self.followed(pipeline)
                failed = False
            if failed:
                pipeline.kill()
                pipeline = self.streaming()
