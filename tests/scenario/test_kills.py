#!/usr/bin/python3
"""kill -9 at random moments and at every failpoint, sessions left behind, targets that restart: at the end of each round every
acknowledged write is in the target exactly once, and the app has noticed nothing.

TIDEGATE_SEED repeats a run, TIDEGATE_LONG=1 makes it 200 random kills."""
import os
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import LONG, WAIT, open_stage, failpoints, judge, process_state, query   # noqa: E402
from proxy import Proxy, wait_until                                                   # noqa: E402

STREAM_KILLS, SNAPSHOT_KILLS = (140, 60) if LONG else (6, 4)
COUNTED_PASSES = 5 if LONG else 0      # more rounds per failpoint, at a random later pass
BALLAST_ROWS = 120_000 if LONG else 60_000   # chunks have 50,000
REACH = 40                             # seconds for a failpoint to be reached
DATABASES_KEPT = 20

# What makes states that the load alone does not: a schema change, and a transaction that does not fit into one batch.
STIMULI = [
    ["CREATE TABLE IF NOT EXISTS added{n} (id INTEGER PRIMARY KEY, word TEXT UNIQUE)", "INSERT INTO added{n}(word) VALUES ('a'), ('b')",
     "ALTER TABLE added{n} ADD COLUMN more INTEGER DEFAULT 7"],
    ["CREATE TABLE wide{n} (id INTEGER PRIMARY KEY, word TEXT)",
     "INSERT INTO wide{n}(word) WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 12000) SELECT 'w' || n FROM c"],
    ["DROP TABLE IF EXISTS never"],
]
stage = None


def setUpModule():
    global stage
    stage = open_stage()


class Rounds(unittest.TestCase):
    def tearDown(self):
        if len(stage.pipelines) > DATABASES_KEPT:
            stage.drop_databases()

    def begin(self):
        load = stage.load()
        self.addCleanup(load.stopping.set)
        return load

    def streaming(self, **options):
        """A fresh pipeline, in the stream."""
        pipeline = stage.pipeline(**options).start()
        pipeline.wait_phase("streaming", timeout=WAIT)
        return pipeline

    def pause(self, most):
        time.sleep(stage.rng.random() * most)


class RandomKills(Rounds):
    def test_stream(self):
        pipeline = self.streaming()
        for number in range(STREAM_KILLS):
            with self.subTest(round=number):
                load = self.begin()
                for _ in range(stage.rng.choice([1, 1, 2, 3])):
                    self.pause(0.8)
                    pipeline.kill()
                    self.pause(0.2)
                    pipeline.start()
                judge(self, stage, pipeline, load)
        pipeline.kill()

    def test_snapshot(self):
        stage.write("CREATE TABLE ballast (id INTEGER PRIMARY KEY, word TEXT NOT NULL, number REAL)",
                    f"""INSERT INTO ballast(word, number) WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c
                        WHERE n < {BALLAST_ROWS}) SELECT 'word ' || n, n / 8.0 FROM c""")
        self.addCleanup(stage.write, "DELETE FROM ballast")
        begun = time.monotonic()
        first = self.streaming()
        first.kill()
        whole = time.monotonic() - begun
        for number in range(SNAPSHOT_KILLS):
            with self.subTest(round=number):
                self.kill_in_snapshot(whole)
                self.tearDown()

    def kill_in_snapshot(self, whole):
        load, pipeline = self.begin(), stage.pipeline()
        for _ in range(stage.rng.choice([1, 2, 3])):
            pipeline.start()
            self.pause(whole)
            pipeline.kill()
        pipeline.start().wait_phase("streaming", timeout=WAIT)
        judge(self, stage, pipeline, load)
        pipeline.kill()


class Failpoints(Rounds):
    def test_each_is_reached_and_survived(self):
        names = failpoints()
        self.assertGreater(len(names), 10)
        for number, name in enumerate(names):
            with self.subTest(failpoint=name):
                self.kill_at(name, f"{number}", must=True)
            for again in range(COUNTED_PASSES):
                spec = f"{name}:{stage.rng.randrange(2, 12)}"
                with self.subTest(failpoint=spec):
                    self.kill_at(spec, f"{number}_{again}", must=False)

    def kill_at(self, spec, suffix, must):
        load, pipeline = self.begin(), stage.pipeline()
        pipeline.start(failpoint=spec)
        code = self.death(pipeline, [[text.format(n=suffix) for text in texts] for texts in STIMULI], REACH if must else 3,
                          verify=spec.startswith("verify-"))
        if must:
            self.assertEqual(code, -signal.SIGKILL, pipeline.log[-2000:])
        pipeline.kill()
        pipeline.start().wait_phase("streaming", timeout=WAIT)
        self.pause(0.3)
        judge(self, stage, pipeline, load)
        pipeline.kill()
        self.tearDown()

    def death(self, pipeline, stimuli, patience, verify=False):
        """The exit code, or None if the process is still there when the patience is over."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and pipeline.running:
            status = pipeline.status() if stimuli else None
            if status and status["phase"] == "streaming":
                stage.write(*stimuli.pop(0))
                if verify:
                    pipeline.verb("verify")
            time.sleep(0.1)
        return None if pipeline.running else pipeline.wait()


class SchemaChanges(Rounds):
    def test_a_default_that_the_source_took_back_at_once(self):
        pipeline = self.streaming()
        for declared in ("TEXT DEFAULT 'as ever'", "INTEGER NOT NULL DEFAULT 7", "REAL"):
            with self.subTest(column=declared):
                load, name = self.begin(), f"new_{declared.split()[0].lower()}"
                value = "8" if "NOT NULL" in declared else "NULL"
                stage.write(f"ALTER TABLE user ADD COLUMN {name} {declared}", f"UPDATE user SET {name} = {value} WHERE id % 2")
                self.pause(0.5)
                judge(self, stage, pipeline, load)
        pipeline.kill()

    def test_columns_that_come_during_the_copy(self):
        """The copy's plan does not know them, but the rows that it copies after the change have values in them."""
        for number in range(1, 4):
            with self.subTest(chunk=number):
                load, pipeline = self.begin(), stage.pipeline()
                self.pause(0.5)
                pipeline.start(failpoint=f"load-before-commit:{number}")
                self.assertEqual(pipeline.wait(), -signal.SIGKILL)
                stage.write(*(f"ALTER TABLE {table} ADD COLUMN late{number} TEXT DEFAULT 'as ever'" for table in ("user", "school")),
                            f"UPDATE user SET late{number} = 'x' || id WHERE id % 2", f"UPDATE school SET late{number} = NULL")
                pipeline.start().wait_phase("streaming", timeout=WAIT)
                judge(self, stage, pipeline, load)
                pipeline.kill()


class Zombies(Rounds):
    """A daemon dies, and its server does not hear of it."""

    def stopped_before(self, failpoint, proxy, pipeline):
        """The daemon runs to the failpoint; then its bytes go no further than to the proxy, and it is killed."""
        pipeline.start(failpoint=failpoint + "=stop")
        pid = pipeline.process.pid
        wait_until(lambda: process_state(pid) == "T", failpoint)
        proxy.hold()
        os.kill(pid, signal.SIGCONT)
        proxy.wait_held()
        pipeline.kill()

    def session_of_the_dead(self, url):
        found = query(url, """SELECT pid, state FROM pg_stat_activity WHERE datname = current_database()
                              AND application_name LIKE 'tidegate %%' AND state LIKE 'idle in transaction%%'""")
        self.assertEqual(len(found), 1, found)
        return found[0][0]

    def wait_blocked_by(self, pid, url):
        wait_until(lambda: query(url, "SELECT 1 FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", (pid,)),
                   "the successor waits for the session that was left behind")

    def state_of(self, pid, url):
        return [state for state, in query(url, "SELECT state FROM pg_stat_activity WHERE pid = %s", (pid,))]

    def late_commit(self, failpoint):
        load, url = self.begin(), stage.new_database()
        with Proxy(url) as proxy:
            pipeline = stage.pipeline(proxy.url)
            self.stopped_before(failpoint, proxy, pipeline)
            zombie = self.session_of_the_dead(url)
            pipeline.target_url = url
            pipeline.start()
            self.wait_blocked_by(zombie, url)
            self.pause(0.5)
            proxy.release()
            wait_until(lambda: self.state_of(zombie, url) == ["idle"], "the late COMMIT is done")
            pipeline.wait_phase("streaming", timeout=WAIT)
            judge(self, stage, pipeline, load)
            pipeline.kill()

    def test_a_batch_is_committed_late(self):
        for _ in range(10 if LONG else 1):
            self.late_commit(f"apply-before-commit:{stage.rng.randrange(1, 10)}")

    def test_a_chunk_is_committed_late(self):
        for _ in range(10 if LONG else 1):
            self.late_commit(f"load-before-commit:{stage.rng.randrange(1, 8)}")

    def test_the_tables_are_made_late(self):
        self.late_commit("schema-before-commit")

    def test_a_commit_that_never_comes(self):
        load, url = self.begin(), stage.new_database()
        with Proxy(url) as proxy:
            pipeline = stage.pipeline(proxy.url)
            self.stopped_before(f"apply-before-commit:{stage.rng.randrange(1, 6)}", proxy, pipeline)
            zombie = self.session_of_the_dead(url)
            pipeline.target_url = url
            pipeline.start()
            self.wait_blocked_by(zombie, url)
            proxy.cut()
            judge(self, stage, pipeline, load)
            pipeline.kill()

    def test_a_batch_arrives_whole_after_the_successor(self):
        """Not one of the first: those prepare their statements, and a batch that waits for that is not on its way."""
        load, url = self.begin(), stage.new_database()
        with Proxy(url) as proxy:
            pipeline = stage.pipeline(proxy.url)
            self.stopped_before(f"apply-before-batch:{stage.rng.randrange(60, 100)}", proxy, pipeline)
            pipeline.target_url = url
            pipeline.start().wait_phase("streaming", timeout=WAIT)
            self.pause(0.5)
            proxy.release()
            wait_until(lambda: query(url, """SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction (aborted)'
                                             AND datname = current_database()"""), "the late batch is refused")
            judge(self, stage, pipeline, load)
            pipeline.kill()

    def lost_answer(self, failpoint):
        load, url = self.begin(), stage.new_database()
        with Proxy(url) as proxy:
            pipeline = stage.pipeline(proxy.url)
            pipeline.start(failpoint=failpoint + "=stop")
            pid = pipeline.process.pid
            wait_until(lambda: process_state(pid) == "T", failpoint)
            proxy.mute()
            os.kill(pid, signal.SIGCONT)
            proxy.wait_muted()
            proxy.cut()
            pipeline.wait_phase("streaming", timeout=WAIT)
            judge(self, stage, pipeline, load, url)
            self.assertEqual(pipeline.process.pid, pid)
            pipeline.kill()

    def test_the_answer_to_commit_is_lost(self):
        for name in ("apply-before-commit", "load-before-commit", "schema-before-commit"):
            with self.subTest(failpoint=name):
                self.lost_answer(name)


class TargetRestarts(Rounds):
    def test_fast_immediate_and_killed(self):
        pipeline = self.streaming()
        pid = pipeline.process.pid
        for name, restart in (("fast", stage.target.restart), ("immediate", lambda: stage.target.restart(immediate=True)),
                              ("killed", lambda: (stage.target.kill(), stage.target.restart()))):
            with self.subTest(restart=name):
                load = self.begin()
                self.pause(1)
                restart()
                self.pause(1)
                judge(self, stage, pipeline, load)
                self.assertEqual(pipeline.process.pid, pid)

    def test_during_the_snapshot(self):
        load, pipeline = self.begin(), stage.pipeline().start(failpoint="load-before-commit:3=stop")
        pid = pipeline.process.pid
        wait_until(lambda: process_state(pid) == "T", "a chunk before its commit")
        stage.target.restart(immediate=True)
        os.kill(pid, signal.SIGCONT)
        pipeline.wait_phase("streaming", timeout=WAIT)
        judge(self, stage, pipeline, load)


if __name__ == "__main__":
    unittest.main()
