#!/usr/bin/python3
"""The legacy app behind HAProxy under load, a new app on the target behind the other server: cutover, rollback and cutover again with the
proxy's hook, in which no request fails and no acknowledged write is lost. Half of the requests write. TIDEGATE_SEED repeats a run, TIDEGATE_RATE
sets the requests a second; the long form takes the highest rate up to 500 that leaves 40 % of the CPU idle without tidegate."""
import os
import pathlib
import shutil
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import LONG, SEED, THREADS, WAIT, Stage, query                                                       # noqa: E402
from support.cutover import (configure, cutover, forward, legacy_takes_writes, rollback, target_takes_writes, verified,   # noqa: E402
                             wait_alike, with_way_back)
from support.haproxy import HaProxy                                                                      # noqa: E402
from support.new_app import NewApp                                                                       # noqa: E402
from support.pace import highest_rate                                                                    # noqa: E402
from load import Load                                                                                    # noqa: E402
import ledger                                                                                            # noqa: E402
import psycopg2                                                                                          # noqa: E402

HOOKS = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "hooks"
USUAL_RATE = 60
LONGEST = 500 if LONG else 2000    # ms that a request may take, in 99 of 100 cases; the short form has little beside its holds
REHEARSALS = 40 if LONG else 4
PAUSE = 5        # seconds between two runs
TARGET_LIVE = 120 if LONG else PAUSE   # and from the first cutover to the rollback
LOAD = {"threads": THREADS, "seed": SEED, "reads": 0.5}


def quantile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


class BehindAProxy(unittest.TestCase):
    def setUp(self):
        print("seed", SEED, flush=True)
        self.stage = Stage().seed()
        self.addCleanup(self.stage.close)
        self.rate = self.choose_rate()
        self.pipeline = configure(self.stage.pipeline(), hooks={"placeholder": ""})
        self.new_app = NewApp(self.pipeline.target_url, self.stage.app)
        self.addCleanup(self.new_app.stop)

    def choose_rate(self):
        if chosen := os.environ.get("TIDEGATE_RATE"):
            return int(chosen)
        if not LONG:
            return USUAL_RATE
        rate, seen = highest_rate(self.stage.app, **LOAD)
        print(f"{rate} requests/s: {seen}", flush=True)
        return rate

    def start_proxy(self):
        proxy = HaProxy(f"127.0.0.1:{self.stage.app.port}", f"127.0.0.1:{self.new_app.port}")
        self.addCleanup(proxy.stop)
        hooks = pathlib.Path(self.pipeline.base) / "hooks"
        (hooks / "placeholder").unlink()
        for event in ("check", "on-hold", "on-abort", "on-switch"):
            shutil.copy(HOOKS / "haproxy", hooks / event)
        (hooks / "haproxy.conf").write_text(proxy.hook_settings)
        return proxy.start()

    def test_no_request_fails(self):
        self.pipeline.start().wait_phase("streaming", timeout=WAIT)
        verified(self.pipeline)
        self.new_app.start()
        proxy = self.start_proxy()
        load = Load(proxy.url, self.stage.app.ledger, rate=self.rate, **LOAD)
        for actor in load.actors:   # what only a database without foreign keys lets an app do
            actor.rename_school = actor.drop_achievement = actor.login
        load.start()
        self.addCleanup(load.stopping.set)
        time.sleep(3)
        holds = [cutover(self.pipeline, "--rehearse", "--no-way-back")["hold_ms"] for _ in range(REHEARSALS)]
        ended = forward(self.pipeline)
        time.sleep(5)
        summary = load.stop()
        steps = {step["step"]: round(step["ms"]) for step in ended["steps"]}
        print(f"{self.rate} requests/s: {REHEARSALS} rehearsals held p50 {quantile(holds, 0.5):.0f}, p90 {quantile(holds, 0.9):.0f}, "
              f"p99 {quantile(holds, 0.99):.0f}, max {max(holds):.0f} ms, the cutover {ended['hold_ms']:.0f} ms; steps {steps}; "
              f"requests {summary['requests']}, latency {summary['latency_ms']}", flush=True)
        self.assertEqual(summary["failed"], {}, summary["errors"])
        self.assertLess(summary["latency_ms"]["p99"], LONGEST)
        self.assertFalse(legacy_takes_writes(self.stage.app.path))
        self.assertTrue(target_takes_writes(self.pipeline.target_url))
        connection = psycopg2.connect(self.pipeline.target_url)
        self.addCleanup(connection.close)
        verdict = self.stage.app.verdict(ledger.TargetRows(connection), complete=True)
        self.assertTrue(verdict.clean, str(verdict))
        self.assertEqual(verdict.doubtful, 0)


    def test_there_and_back_and_there(self):
        """A row that is born on the target is in both databases at the end, and so is every acknowledged write, once."""
        self.pipeline.start().wait_phase("streaming", timeout=WAIT)
        verified(self.pipeline)
        self.new_app.start()
        proxy = self.start_proxy()
        load = Load(proxy.url, self.stage.app.ledger, rate=self.rate, **LOAD)
        for actor in load.actors:
            actor.rename_school = actor.drop_achievement = actor.login
        load.start()
        self.addCleanup(load.stopping.set)
        time.sleep(3)
        runs = [with_way_back(self.pipeline)]
        query(self.pipeline.target_url, "INSERT INTO school(code, name) VALUES ('born-there', 'on the target')")
        time.sleep(TARGET_LIVE)
        self.pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
        runs.append(rollback(self.pipeline))
        self.assertEqual((legacy_takes_writes(self.stage.app.path), target_takes_writes(self.pipeline.target_url)), (True, False))
        time.sleep(PAUSE)
        verified(self.pipeline)
        runs.append(with_way_back(self.pipeline))
        time.sleep(PAUSE)
        summary = load.stop()
        held = [f"{run['mode']} {run['hold_ms']:.0f} ms" for run in runs]
        print(f"{self.rate} requests/s: held for {', '.join(held)}; requests {summary['requests']}, latency {summary['latency_ms']}", flush=True)
        self.assertEqual(summary["failed"], {}, summary["errors"])
        self.assertLess(summary["latency_ms"]["p99"], LONGEST)
        self.assertEqual((legacy_takes_writes(self.stage.app.path), target_takes_writes(self.pipeline.target_url)), (False, True))
        connection = psycopg2.connect(self.pipeline.target_url)
        self.addCleanup(connection.close)
        wait_alike(self.stage.app.path, self.pipeline.target_url)
        self.assertEqual(query(self.pipeline.target_url, "WITH gone AS (DELETE FROM school WHERE code = 'born-there' RETURNING 1) "
                                                         "SELECT count(*) FROM gone"), [(1,)], "the ledger does not know it")
        verdict = self.stage.app.verdict(ledger.TargetRows(connection), complete=True)
        self.assertTrue(verdict.clean, str(verdict))
        self.assertEqual(verdict.doubtful, 0)


if __name__ == "__main__":
    unittest.main()
