#!/usr/bin/python3
"""kill -9 at steps of a Postgres database's cutover and rollback, of the daemon or of the process that holds the live side, under load:
afterwards one side takes writes, it holds what was acknowledged, and one command goes on. TIDEGATE_SEED repeats a run, TIDEGATE_LONG=1 takes
every failpoint and step instead of some."""
import json
import pathlib
import random
import re
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import LONG, ROOT, SEED, WAIT                                       # noqa: E402
from pgpassage import STEPS, Scenario, open_servers                            # noqa: E402
from support.cutover import has_died, name_of, rollback, verified, with_way_back         # noqa: E402
from support.pgledger import account_for, takes_writes                         # noqa: E402
from support.tidegate import BIN                                               # noqa: E402

SOME = 2    # places in each direction, where not all are taken
setUpModule = open_servers


def failpoints(kind, files):
    names = set()
    for file in files:
        names.update(re.findall(rf'\bfailpoint\("({kind}-[^"]+)"\)', (ROOT / file).read_text()))
    return names


CUTOVER = "replicator/cutover/"
COMMON = failpoints("cutover", [CUTOVER + name for name in ("cutover.cpp", "executor.cpp", "hold_process.cpp")])
THERE = COMMON | failpoints("cutover", [CUTOVER + "forward.cpp", "apply/postgres/target_fence.cpp"])
BACK = COMMON | failpoints("rollback", [CUTOVER + "backward.cpp"]) | failpoints("legacy", [CUTOVER + "postgres_way_back.cpp", "apply/postgres/legacy_side.cpp"])
RECOVERY = {"cutover-given-up", "cutover-let-go", "rollback-settled", "cutover-entered"}   # passed when a run is given up, or at each step
HOLDER = {"cutover-locked", "cutover-before-fence-commit", "cutover-after-fence-commit"}
PAST = {"cutover-after-fence-commit", "cutover-before-open", "cutover-before-open-commit", "cutover-after-open-commit", "cutover-before-switch",
        "cutover-switched", "rollback-before-open", "legacy-before-open-commit", "legacy-after-open-commit"}


class Kills(Scenario):
    """One pipeline goes there and back; in each passage the daemon, or the process that holds the live side, dies at one place."""

    def setUp(self):
        self.rng = random.Random(SEED)

    def places(self, names):
        """(failpoint, whether the passage is past its point of no return then)."""
        steps = [(f"cutover-entered:{n}", n >= 7) for n in range(1, len(STEPS) + 1)]   # the seventh is `open`
        places = [(name, name in PAST) for name in sorted(names - RECOVERY)] + steps
        return places if LONG else self.rng.sample(places, SOME)

    def round(self, pipeline, verb, failpoint, moved):
        """Dies in a passage from the live side; afterwards one side takes writes, and one command goes on."""
        to = "target" if verb == "cutover" else "source"
        live = "source" if verb == "cutover" else "target"
        pipeline.stop()
        pipeline.start(failpoint=failpoint).wait_phase("streaming", "reversed", timeout=WAIT)
        if verb == "cutover":
            verified(pipeline)
        else:
            pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
        writers = self.writers(live, f"{verb}-{failpoint}-{self.rng.randrange(10**6)}".replace(" ", "-"))
        command = subprocess.Popen([BIN / "tidegate", verb, "--json", "--attempts", "2", "--confirm", name_of(pipeline), "--state", str(pipeline.state)],
                                   env=pipeline.env(), cwd=pipeline.base, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, said = command.communicate(timeout=120)
        finally:
            command.kill()
        if has_died(pipeline, out):
            self.assertEqual(pipeline.wait(), -9, pipeline.log[-2000:])
        else:   # the holder was killed: the daemon tries again, with one that dies as well, or sees the fence
            self.assertIn(failpoint, HOLDER, out + said)
            self.assertEqual(json.loads(out)["outcome"], "done" if moved else "aborted")
        self.assertFalse(takes_writes(self.source) and takes_writes(self.target))
        pipeline.restart()
        pipeline.wait_phase("streaming", "reversed", timeout=WAIT)
        writers.stop()
        self.assertLessEqual(set(writers.refused), {"25006"} if moved else set(), writers.refused)
        pipeline.wait_status(lambda status: status["live"] == (to if moved else live), WAIT, "the live side")
        self.assert_live(pipeline, to if moved else live)
        self.followed(pipeline)
        account_for(self, self.source, writers)
        account_for(self, self.target, writers)
        if not moved:
            if verb == "cutover":
                verified(pipeline)
            else:
                pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
            go_on = with_way_back(pipeline) if verb == "cutover" else rollback(pipeline)
            self.assertEqual(go_on["outcome"], "done", "one command goes on")
        self.assert_live(pipeline, to)
        self.followed(pipeline)

    def test_killed_again_while_recovering(self):
        """Dies with the intent in the journal; the next start dies as soon as it knows that the source was not fenced."""
        pipeline = self.streaming()
        pipeline.stop()
        pipeline.start(failpoint="cutover-intended").wait_phase("streaming", timeout=WAIT)
        pipeline.verb("cutover", "--json", "--confirm", name_of(pipeline))
        self.assertEqual(pipeline.wait(), -9, pipeline.log[-2000:])
        self.assertIn("a cutover was under way, at the step intent", pipeline.verb("status").out)
        pipeline.start(failpoint="legacy-settled")
        self.assertEqual(pipeline.wait(), -9, pipeline.log[-2000:])
        pipeline.start().wait_phase("streaming", timeout=WAIT)
        self.assert_live(pipeline, "source")
        self.followed(pipeline)

    def test_in_both_directions(self):
        pipeline = self.streaming()
        there, back = self.places(THERE), self.places(BACK)
        self.assertGreater(len(THERE - RECOVERY), 10)
        self.assertGreater(len(BACK - RECOVERY), 12)
        for n in range(max(len(there), len(back))):
            for verb, places in (("cutover", there), ("rollback", back)):
                failpoint, moved = places[n % len(places)]
                with self.subTest(verb=verb, failpoint=failpoint):
                    began = time.monotonic()
                    self.round(pipeline, verb, failpoint, moved)
                    print(f"{verb} {failpoint}: {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    unittest.main()
