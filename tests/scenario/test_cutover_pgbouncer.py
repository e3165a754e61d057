#!/usr/bin/python3
"""A Postgres source under pgbench behind PgBouncer, moved by the shipped hook: cutover, rollback and cutover again, in which no transaction fails
and each that pgbench has logged is in the live database exactly once; and a daemon that is killed or stopped while the pooler is paused.
TIDEGATE_RATE sets the transactions a second; the long form takes the highest rate up to 500 that leaves 40 % of the CPU idle without tidegate."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import LONG, WAIT                                                                       # noqa: E402
from proxy import wait_until                                                                       # noqa: E402
from support.cutover import configure, cutover, name_of, rollback, verified, with_way_back         # noqa: E402
from support.guard import guard                                                                    # noqa: E402
from support.pace import IDLE, RATES, SECONDS, cpu_times                                           # noqa: E402
from support.pgbouncer import PgBouncer                                                            # noqa: E402
from support.pgsource import differences, open_pair                                                # noqa: E402
from support.tidegate import Tidegate                                                              # noqa: E402

HOOK = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "hooks" / "pgbouncer"
USUAL_RATE, CLIENTS = 60, 8
LONGEST = 500 if LONG else 2000    # ms that a transaction may take, in 99 of 100 cases; the short form has little beside its holds
BRANCHES = 50    # pgbench itself makes one for 100,000 accounts, for which all clients would queue
PAUSE = 2        # seconds between two runs
TARGET_LIVE = 120 if LONG else PAUSE   # and from the first cutover to the rollback
REHEARSALS = 20 if LONG else 2
MOMENTS = {"while PAUSE waits": None, "paused, before the lock": "cutover-entered:2", "within the hold": "cutover-drained"}
# Besides pgbench's own transaction one row that names it. The first statement fails once pgbench is to end: so it ends between two transactions.
SCRIPT = r"""
SELECT 1 / (1 - count(*)) FROM stop_sign;
\set n :n + 1
\set aid random(1, 100000)
\set bid random(1, :branches)
\set tid random(1, 10 * :branches)
\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
INSERT INTO ledger VALUES (:client_id, :n);
END;
"""
pair = base = None


def setUpModule():
    global pair, base
    pair = open_pair()
    base, unused = pair.databases("base")
    unused.drop()
    base.run("pgbench", "-i", "-q")
    base.execute(f"INSERT INTO pgbench_branches SELECT n, 0 FROM generate_series(2, {BRANCHES}) n; "
                 f"INSERT INTO pgbench_tellers SELECT n, 1 + n / 10, 0 FROM generate_series(11, {10 * BRANCHES}) n")
    base.execute("CREATE TABLE ledger (client int, n int, PRIMARY KEY (client, n)); CREATE TABLE stop_sign (id int PRIMARY KEY)")


def connection_of(database):
    """As PgBouncer's settings say it."""
    url = urllib.parse.urlsplit(database.url)
    return f"host={url.hostname} port={url.port} user={url.username} password='{urllib.parse.unquote(url.password)}' dbname={database.name}"


class Bench:
    """pgbench through the pooler until stop(), and what it has logged: the client's ledger."""

    def __init__(self, pooler, rate):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-pgbench-"))
        (self.dir / "script.sql").write_text(SCRIPT)
        self.process = subprocess.Popen(
            ["pgbench", "-n", "-c", str(CLIENTS), "-j", "2", "-T", "3600", "-R", str(rate), "-f", "script.sql", "-D", "n=0", "-D", f"branches={BRANCHES}",
             "--log"], env=pooler.env(), cwd=self.dir, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True)
        self._handle = guard.kill_later(self.process.pid)
        self.said = ""
        self.reading = threading.Thread(target=self.read, daemon=True)
        self.reading.start()

    def read(self):
        self.said = self.process.stdout.read()

    def stop(self, database):
        """At the next transaction of each client."""
        database.execute("INSERT INTO stop_sign VALUES (1)")
        self.process.wait(60)
        self.reading.join(10)

    def end(self):
        guard.end(self.process, self._handle)
        self.reading.join(10)
        self.process.stdout.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def failures(self):
        """What ended a client, but for the stop sign."""
        return [line for line in self.said.splitlines() if re.search("aborted|ERROR|FATAL", line) and "division by zero" not in line
                and "Run was aborted" not in line]

    def transactions(self):
        """(client, begin, seconds) of each that was acknowledged; both from when it was to begin by the rate."""
        lines = [line.split() for log in self.dir.glob("pgbench_log.*") for line in log.read_text().splitlines()]
        return [(int(client), int(at) + int(us) / 1e6 - int(took) / 1e6, int(took) / 1e6) for client, _, took, _, at, us, *_ in lines]


def at(share, times):
    """In milliseconds."""
    ordered = sorted(times)
    return round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))])


def spread(times):
    return (f"{len(times)} transactions, p50 {at(0.5, times)} ms, p90 {at(0.9, times)} ms, p99 {at(0.99, times)} ms, "
            f"longest {at(1, times)} ms")


class BehindAPooler(unittest.TestCase):
    def setUp(self):
        self.source, self.target = pair.databases("pooled", template=base.name)
        self.rows_of_trials = 0   # in pgbench_history, of looking for the rate
        self.pooler = PgBouncer(connection_of(self.source), connection_of(self.target))
        self.pipeline = configure(Tidegate(self.source.url, self.target.url), hooks={"placeholder": ""}, consent="--allow-identity-full",
                                  hook_more='[hooks.timeouts]\non-hold = "4s"\n')
        for end in (self.source.drop, self.target.drop, self.pooler.stop, self.pipeline.__exit__):
            self.addCleanup(end)
        self.pooler.start()
        hooks = pathlib.Path(self.pipeline.base) / "hooks"
        (hooks / "placeholder").unlink()
        for event in ("check", "on-hold", "on-abort", "on-switch"):
            shutil.copy(HOOK, hooks / event)
        (hooks / "pgbouncer.conf").write_text(self.pooler.hook_settings)
        wait_until(lambda: self.pooler.database() == self.source.name, "PgBouncer")

    def streaming(self, **options):
        self.pipeline.start(**options).wait_phase("streaming", timeout=WAIT)
        return self.pipeline

    def bench(self, rate):
        bench = Bench(self.pooler, rate)
        self.addCleanup(bench.end)
        return bench

    def choose_rate(self):
        if chosen := os.environ.get("TIDEGATE_RATE"):
            return int(chosen)
        return self.highest_rate() if LONG else USUAL_RATE

    def highest_rate(self):
        for rate in RATES:
            bench, (idle, every) = self.bench(rate), cpu_times()
            time.sleep(SECONDS)
            idle_after, every_after = cpu_times()
            bench.stop(self.source)
            share = (idle_after - idle) / (every_after - every)
            self.source.execute("TRUNCATE ledger, stop_sign")
            self.rows_of_trials = self.source.execute("SELECT count(*) FROM pgbench_history")[0][0]
            if share >= IDLE and len(bench.transactions()) >= 0.9 * rate * SECONDS:
                break
        print(f"{rate} transactions/s: {share:.0%} of the CPU idle without tidegate", flush=True)
        return rate

    def test_there_and_back_and_there_under_pgbench(self):
        rate = self.choose_rate()
        pipeline = self.streaming()
        verified(pipeline)
        bench = self.bench(rate)
        time.sleep(2)
        held = [cutover(pipeline, "--rehearse")["hold_ms"] for _ in range(REHEARSALS)]
        runs, waits = [], []
        for run, lives in ((with_way_back, self.target), (rollback, self.source), (with_way_back, self.target)):
            if runs:
                time.sleep(TARGET_LIVE if run is rollback else PAUSE)
            if run is rollback:
                pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
            elif runs:
                verified(pipeline)
            began = time.time()
            runs.append(run(pipeline))
            waits.append((began, time.time()))
            self.assertEqual((self.pooler.database(), self.pooler.is_paused()), (lives.name, False))
        time.sleep(PAUSE)
        bench.stop(self.target)
        self.assertEqual(bench.failures(), [])
        self.show(rate, bench, runs, waits, held)
        self.assertLess(at(0.99, [took for _, _, took in bench.transactions()]), LONGEST)
        self.assert_once(bench)
        wait_until(lambda: not differences(self.source, self.target), "the way back", WAIT)

    def show(self, rate, bench, runs, waits, held):
        done = bench.transactions()
        print(f"{rate} transactions/s: rehearsals held {[round(each) for each in held]} ms; "
              + ", ".join(f"{run['mode']} held {run['hold_ms']:.0f} ms" for run in runs), flush=True)
        for run, (began, ended) in zip(runs, waits):
            print(f"  {run['mode']}: {({step['step']: round(step['ms']) for step in run['steps']})}; "
                  f"during it {spread([took for _, at, took in done if began - took <= at <= ended])}", flush=True)
        print(f"  in all {spread([took for _, _, took in done])}", flush=True)

    def assert_once(self, bench):
        """A client numbers its transactions, and none was under way at the end."""
        acknowledged = {}
        for client, _, _ in bench.transactions():
            acknowledged[client] = acknowledged.get(client, 0) + 1
        self.assertEqual(len(acknowledged), CLIENTS)
        there = self.target.execute("SELECT client, count(*), min(n), max(n) FROM ledger GROUP BY 1 ORDER BY 1")
        self.assertEqual(there, [(client, count, 1, count) for client, count in sorted(acknowledged.items())])
        sums = self.target.execute("""SELECT (SELECT count(*) FROM pgbench_history), (SELECT sum(delta) FROM pgbench_history),
            (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers), (SELECT sum(bbalance) FROM pgbench_branches)""")
        rows, *balances = sums[0]
        self.assertEqual((rows - self.rows_of_trials, len(set(balances))), (sum(acknowledged.values()), 1), balances)

    def test_the_pooler_is_resumed_whatever_becomes_of_the_daemon(self):
        every = [(moment, sign) for moment in MOMENTS for sign in (signal.SIGKILL, signal.SIGSTOP)]
        for moment, sign in every if LONG else (every[0], every[3]):
            with self.subTest(moment, sign=sign.name):
                self.lose_the_daemon(MOMENTS[moment], sign)

    def lose_the_daemon(self, failpoint, sign):
        stops = "=stop" if sign == signal.SIGSTOP else ""
        pipeline = self.streaming(failpoint=failpoint and failpoint + stops)
        verified(pipeline)
        bench = self.bench(USUAL_RATE)
        verb = subprocess.Popen([*self.verb("cutover", "--confirm", name_of(pipeline), "--attempts", "1")], env=pipeline.env(), cwd=pipeline.base,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(verb.kill)
        if failpoint is None:
            self.lose_while_pause_waits(pipeline, sign)
        elif sign == signal.SIGKILL:
            pipeline.wait()
        else:
            wait_until(lambda: pathlib.Path(f"/proc/{pipeline.process.pid}/stat").read_text().split()[2] == "T", "a stopped daemon", WAIT)
        wait_until(lambda: not self.pooler.is_paused() and self.pooler.database() == self.source.name, "clients that go on", WAIT)
        time.sleep(1)   # nobody pauses it again
        self.assertFalse(self.pooler.is_paused())
        verb.kill()
        verb.wait(10)
        pipeline.restart().wait_phase("streaming", timeout=WAIT)
        bench.stop(self.source)
        self.assertEqual(bench.failures(), [])
        self.assertFalse(self.pooler.is_paused())
        self.source.execute("TRUNCATE stop_sign, ledger")
        pipeline.kill()

    def verb(self, *words):
        return [pathlib.Path(os.environ.get("TIDEGATE_BIN_DIR") or HOOK.parents[2] / "build" / "release") / "tidegate", *words, "--state", str(self.pipeline.state)]

    def lose_while_pause_waits(self, pipeline, sign):
        """A transaction of a client keeps PAUSE waiting; it ends when the daemon is gone."""
        client = subprocess.Popen(["psql", "-X", "-q", "-c", "SELECT pg_sleep(8)"], env=self.pooler.env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.addCleanup(client.wait, 30)
        wait_until(self.pooler.is_paused, "a pooler that pauses", WAIT)
        os.kill(pipeline.process.pid, sign)


if __name__ == "__main__":
    unittest.main()
