"""One Postgres pipeline between two servers, with its application's ledger: what the scenarios of its cutover have in common."""
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from stage import SEED, WAIT                                       # noqa: E402
from proxy import wait_until                                       # noqa: E402
from support.cutover import configure, cutover, verified           # noqa: E402
from support.pgledger import SCHEMA, Writers, takes_writes         # noqa: E402
from support.pgsource import differences, open_pair                # noqa: E402
from support.tidegate import Tidegate                              # noqa: E402

CONSENT = "--allow-identity-full"
STEPS = ["guard", "prepare", "hold", "drain", "prove", "reverse", "intent", "open", "switching"]
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
        pipeline = configure(Tidegate(self.source.url, self.target.url), hooks=hooks, consent=CONSENT)
        self.addCleanup(self.end, pipeline)
        if start:
            pipeline.start().wait_phase("streaming", timeout=WAIT)
            verified(pipeline)
        return pipeline

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
