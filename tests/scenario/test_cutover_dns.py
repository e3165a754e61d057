#!/usr/bin/python3
"""The legacy app behind a name that BIND serves, the new app behind the other address: cutover, rollback and cutover again with the DNS hook
alone. Half of the requests write. Requests fail between the fence and the end of the TTL, and at no other time; they are counted, and no
acknowledged write is lost. TIDEGATE_SEED repeats a run."""
import os
import pathlib
import shutil
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import LONG, SEED, THREADS, WAIT, Stage                                                      # noqa: E402
from support.bind import Bind, Resolver                                                                 # noqa: E402
from support.cutover import configure, rollback, verified, wait_alike, with_way_back                    # noqa: E402
from support.new_app import NewApp                                                                      # noqa: E402
from actor import Client                                                                                # noqa: E402
from load import Load                                                                                   # noqa: E402
import ledger                                                                                           # noqa: E402
import psycopg2                                                                                         # noqa: E402

HOOKS = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "hooks"
OLD, NEW = "127.0.0.2", "127.0.0.3"
TTL, LOW_TTL = 3, 1      # seconds
RATE = int(os.environ.get("TIDEGATE_RATE") or 40)
PAUSE = 120 if LONG else 5
SLACK = 1                # seconds that a request may be under way


class ByName(Client):
    """Asks for the address as often as the TTL says, and lets go of a connection to one that is not the name's any more."""

    def __init__(self, resolver, port):
        super().__init__("")
        self.resolver, self.port = resolver, port

    def request(self, method, path, body):
        host = f"{self.resolver.address()}:{self.port}"
        if host != self.host:
            self.close()
        self.host = host
        return super().request(method, path, body)


class BehindAName(unittest.TestCase):
    def setUp(self):
        print("seed", SEED, flush=True)
        self.stage = Stage()
        self.addCleanup(self.stage.close)
        app = self.stage.app
        app.stop()
        app.address = OLD
        app.start()
        self.stage.seed()
        self.pipeline = configure(self.stage.pipeline(), hooks={"placeholder": ""}, hook_more='timeouts = { before-fence = "30s" }\n')
        self.new_app = NewApp(self.pipeline.target_url, app)
        self.new_app.address, self.new_app.port = NEW, app.port
        self.addCleanup(self.new_app.stop)
        self.bind = Bind(OLD, TTL)
        self.addCleanup(self.bind.stop)

    def install_hook(self):
        hooks = pathlib.Path(self.pipeline.base) / "hooks"
        (hooks / "placeholder").unlink()
        for event in ("check", "before-fence", "on-abort", "on-switch", "verify-switch", "on-done"):
            shutil.copy(HOOKS / "dns", hooks / event)
        (hooks / "dns.conf").write_text(self.bind.hook_settings(OLD, NEW, TTL, LOW_TTL))

    def start_load(self):
        load = Load("", self.stage.app.ledger, rate=RATE, threads=THREADS, seed=SEED, reads=0.5)
        resolver = Resolver(self.bind)
        for actor in load.actors:
            actor.client = ByName(resolver, self.stage.app.port)
            actor.rename_school = actor.drop_achievement = actor.login   # what only a database without foreign keys lets an app do
        load.start()
        self.addCleanup(load.stopping.set)
        return load

    def move(self, load, verb):
        """Runs it; afterwards no request fails once the TTL is over. What failed meanwhile."""
        before, begun = len(load.tally.failed_at), time.monotonic()
        ended = verb(self.pipeline)
        self.assertEqual(ended["outcome"], "done", ended)
        over = time.monotonic() + LOW_TTL + SLACK
        time.sleep(PAUSE)
        failed = load.tally.failed_at[before:]
        self.assertEqual([at for at in failed if not begun <= at <= over], [], load.tally.errors)
        print(f"{ended['mode']}: writers held for {ended['hold_ms']:.0f} ms; {len(failed)} requests failed, all of them within "
              f"{max(failed, default=begun) - min(failed, default=begun):.1f} s", flush=True)
        return failed

    def test_there_and_back_and_there(self):
        self.pipeline.start().wait_phase("streaming", timeout=WAIT)
        verified(self.pipeline)
        self.new_app.start()
        self.bind.start()
        self.install_hook()
        load = self.start_load()
        time.sleep(3)
        failed = self.move(load, with_way_back)
        self.assertEqual(self.bind.answer(), (NEW, TTL), "the TTL is what it was")
        self.pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
        failed += self.move(load, rollback)
        self.assertEqual(self.bind.answer(), (OLD, TTL))
        verified(self.pipeline)
        failed += self.move(load, with_way_back)
        summary = load.stop()
        print(f"{RATE} requests/s: {summary['requests']} answered, {len(failed)} failed; latency {summary['latency_ms']}", flush=True)
        self.assertEqual(sum(summary["failed"].values()), len(failed), "none outside of the three moves")
        self.judge(summary)

    def judge(self, summary):
        connection = psycopg2.connect(self.pipeline.target_url)
        self.addCleanup(connection.close)
        verdict = self.stage.app.verdict(ledger.TargetRows(connection), complete=True)
        self.assertTrue(verdict.clean, f"{verdict}\n{summary['errors']}")
        self.assertGreater(verdict.keys - verdict.doubtful, 100, verdict)
        wait_alike(self.stage.app.path, self.pipeline.target_url)


if __name__ == "__main__":
    unittest.main()
