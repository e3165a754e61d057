#!/usr/bin/python3
"""A Postgres source under pgbench and a script of hard cases: kill -9 at random moments and at every failpoint, sessions left behind,
restarts of both servers, cut connections, a target that does not answer: at the end of each round every row is equal on both ends.

TIDEGATE_SEED repeats a run, TIDEGATE_LONG=1 makes it 100 rounds, each failpoint several times, and a larger database."""
import os
import pathlib
import signal
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import SQLITE_ONLY, failpoints, process_state                                                   # noqa: E402
from pgstage import (LONG, SEED, STIMULI, WAIT, PgStage, check_wal_is_released, judge, slot_positions,     # noqa: E402
                     transaction)
from proxy import Proxy, wait_until                                                                        # noqa: E402

ROUNDS = int(os.environ.get("TIDEGATE_ROUNDS") or (100 if LONG else 8))
COUNTED_PASSES = 3 if LONG else 0   # more rounds per failpoint, at a random later pass
REACH = 40                          # seconds for a failpoint to be reached
# Those that a pipeline passes once, in the order in which it does; the others are passed again and again.
ON_THE_WAY = ["publication-after-identity", "publication-after-commit", "apply-after-lease", "schema-before-commit",
              "schema-after-commit", "round-begun", "split-before-commit", "split-after-commit", "chunk-before-commit",
              "chunk-after-commit", "build-after-object"]
stage = None


def setUpModule():
    global stage, folder
    print("seed", SEED, flush=True)
    folder = tempfile.TemporaryDirectory(prefix="tidegate-load-")
    stage = PgStage(folder.name)


def tearDownModule():
    stage.close()
    folder.cleanup()


class Rounds(unittest.TestCase):
    def setUp(self):
        self.addCleanup(stage.drop)
        self.fresh()

    def fresh(self):
        stage.drop()
        self.source, self.target, self.tide = stage.pipeline()

    def stream(self):
        self.tide.start().wait_phase("streaming", timeout=WAIT)

    def begin(self):
        self.load = stage.load(self.source)

    def judge(self, before=None, forgiving=False):
        judge(self, self.source, self.target, self.tide, self.load, before, forgiving)

    def kills(self, most):
        for _ in range(stage.rng.choice([1, 1, 2, 3])):
            stage.pause(most)
            self.tide.kill()
            stage.pause(0.2)
            self.tide.start()

    # --- sessions that are left behind ---
    def left_behind(self, failpoint, proxy, url):
        """The daemon runs to the failpoint; then its bytes go no further than to the proxy, it is killed, and its successor begins
        with the same state directory."""
        self.tide.start(failpoint=failpoint + "=stop")
        pid = self.tide.process.pid
        wait_until(lambda: process_state(pid) == "T", failpoint, REACH)
        proxy.hold()
        os.kill(pid, signal.SIGCONT)
        proxy.wait_held()
        self.tide.kill()
        self.tide.target_url = url
        self.tide.start()

    def zombie(self, failpoint):
        """What the dead daemon had sent arrives, or its session ends, while its successor works."""
        url = self.target.url
        with Proxy(url) as proxy:
            self.tide.kill()
            self.tide.target_url = proxy.url
            self.left_behind(failpoint, proxy, url)
            stage.pause(1)
            if stage.rng.random() < 0.7:
                proxy.release()
                stage.pause(1)
            proxy.cut()   # a COPY of which only half had been sent would wait for ever
            self.tide.wait_phase("streaming", timeout=WAIT)

    def lost_answer(self, failpoint):
        """The target commits, and its answer does not come back."""
        url = self.target.url
        with Proxy(url) as proxy:
            self.tide.kill()
            self.tide.target_url = proxy.url
            self.tide.start(failpoint=failpoint + "=stop")
            pid = self.tide.process.pid
            wait_until(lambda: process_state(pid) == "T", failpoint, REACH)
            proxy.mute()
            os.kill(pid, signal.SIGCONT)
            proxy.wait_muted()
            proxy.cut()
            self.tide.wait_phase("streaming", timeout=WAIT)
            self.assertEqual(self.tide.process.pid, pid)
            self.tide.target_url = url
            self.tide.restart()

    # --- what goes wrong in a round; each leaves the daemon running ---
    def killed_in_the_stream(self):
        self.kills(0.8)

    def killed_in_the_snapshot(self):
        self.load.stop()
        self.tide.kill()
        self.fresh()
        self.begin()
        self.tide.start()
        self.kills(8 if LONG else 2.5)

    def late_batch(self):
        self.zombie(f"{stage.rng.choice(['apply-before-commit', 'apply-before-batch'])}:{stage.rng.randrange(1, 20)}")

    def late_chunk(self):
        self.load.stop()
        self.tide.kill()
        self.fresh()
        self.begin()
        self.zombie(f"chunk-before-commit:{stage.rng.randrange(1, 8)}")

    def answer_to_a_commit_lost(self):
        self.lost_answer(f"apply-before-commit:{stage.rng.randrange(1, 20)}")

    def source_restarted(self):
        stage.pause(0.5)
        stage.pair.source.restart(immediate=stage.rng.random() < 0.5)

    def target_restarted(self):
        stage.pause(0.5)
        stage.pair.target.restart(immediate=stage.rng.random() < 0.5)

    def stream_cut(self):
        """The walsender, and then every session that tidegate has at the source."""
        for which in ("backend_type = 'walsender'", "true"):
            stage.pause(0.6)
            self.source.execute(f"""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                                    WHERE application_name LIKE 'tidegate %%' AND {which} AND datname = %s""", (self.source.name,))

    def target_slow(self):
        """Somebody locks a table of the target for some seconds."""
        connection = self.target.connect()
        with connection, connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {stage.rng.choice(['notes', 'pgbench_accounts', 'bag', 'emptied'])}")
            time.sleep(1 + stage.rng.random() * (6 if LONG else 1.5))
        connection.close()

    def everything_at_once(self):
        slow = threading.Thread(target=self.target_slow)
        slow.start()
        self.stream_cut()
        self.kills(0.5)
        slow.join()


class RandomRounds(Rounds):
    KINDS = ["killed_in_the_stream", "killed_in_the_snapshot", "late_batch", "late_chunk", "answer_to_a_commit_lost",
             "source_restarted", "target_restarted", "stream_cut", "target_slow"]
    OFTEN = ["killed_in_the_stream", "killed_in_the_snapshot", "everything_at_once"]

    def kinds(self):
        kinds = []
        while len(kinds) < ROUNDS:
            more = self.KINDS + (self.OFTEN if LONG else [])
            stage.rng.shuffle(more)
            kinds += more
        return kinds[:ROUNDS]

    def test_every_row_is_equal_after_each(self):
        self.stream()
        for number, kind in enumerate(self.kinds()):
            began = time.monotonic()
            with self.subTest(round=number, kind=kind):
                self.round_or_fresh(kind)
            print(f"round {number} {kind} {time.monotonic() - began:.1f} s", flush=True)

    def round_or_fresh(self, kind):
        """What one round left broken must not fail the next ones."""
        try:
            self.round(kind)
        except BaseException as failure:
            print("failed:", repr(failure)[:6000], flush=True)
            self.fresh()
            self.stream()
            raise

    def round(self, kind):
        before = slot_positions(self.source)
        self.begin()
        for stimulus in stage.rng.sample(STIMULI, 2):
            transaction(self.source, *stimulus)
        made = self.source.name
        getattr(self, kind)()
        same = self.source.name == made
        stage.pause(0.5)
        self.judge(before if same else None, forgiving=kind == "source_restarted")


class Failpoints(Rounds):
    def test_each_is_reached_and_survived(self):
        names = failpoints(SQLITE_ONLY)
        self.assertGreater(len(names), 15)
        self.assertEqual(set(ON_THE_WAY) - set(names), set())
        self.begin()
        for name in ON_THE_WAY:
            with self.subTest(failpoint=name):
                self.dies_at(name)
        self.stream()
        before = slot_positions(self.source)
        for name in sorted(set(names) - set(ON_THE_WAY)):
            with self.subTest(failpoint=name):
                self.dies_at(name)
        self.tide.start()
        stage.pause(0.5)
        self.judge(before)
        check_wal_is_released(self.source, before)

    def dies_at(self, name, patience=REACH):
        self.tide.kill()
        self.tide.start(failpoint=name)
        if name.startswith("resync-"):
            self.order_resync(name)
        self.assertEqual(self.death(patience, verify=name.startswith("verify-")), -signal.SIGKILL, self.tide.log[-2000:])

    def order_resync(self, name):
        """Each is waited for; the first may be what an earlier kill left."""
        wait_until(lambda: not self.tide.running or (self.tide.status() or {}).get("phase") == "streaming", "streaming", WAIT)
        if name == "resync-new-table":
            return transaction(self.source, f"CREATE TABLE came_{time.monotonic_ns()} (id int PRIMARY KEY)")
        while self.tide.running:
            self.tide.verb("resync", "ballast")

    def death(self, patience, verify=False):
        """The exit code, or None if the process is still there when the patience is over."""
        deadline, stimuli = time.monotonic() + patience, list(STIMULI)
        while time.monotonic() < deadline and self.tide.running:
            status = self.tide.status() if stimuli else None
            if status and status["phase"] == "streaming":
                transaction(self.source, *stimuli.pop(0))
                if verify:
                    self.tide.verb("verify")
            time.sleep(0.1)
        return None if self.tide.running else self.tide.wait()

    @unittest.skipUnless(LONG, "the long form")
    def test_each_by_itself_and_later(self):
        for name in failpoints(SQLITE_ONLY):
            for spec in [name, *(f"{name}:{stage.rng.randrange(2, 12)}" for _ in range(COUNTED_PASSES))]:
                with self.subTest(failpoint=spec):
                    self.fresh()
                    self.begin()
                    self.tide.start(failpoint=spec)
                    if spec.startswith("resync-"):
                        self.order_resync(name)
                    code = self.death(REACH if ":" not in spec else 3, verify=spec.startswith("verify-"))
                    if ":" not in spec:
                        self.assertEqual(code, -signal.SIGKILL, self.tide.log[-2000:])
                    self.tide.kill()
                    self.stream()
                    self.judge()


if __name__ == "__main__":
    unittest.main()
