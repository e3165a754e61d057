#!/usr/bin/python3
"""The network between tidegate and a Postgres database, or the target, goes away at each journalled step of a cutover and of a rollback, while an
application that still reaches both writes: connections are refused, bytes vanish, answers vanish, or what was sent arrives when nobody waits for it
any more. Nobody waits longer than max-hold; afterwards one side takes writes, each acknowledged row is in it once, and one command goes on. The short
form takes some of the steps. TIDEGATE_SEED repeats a run."""
import pathlib
import random
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import LONG, SEED                                                   # noqa: E402
from proxy import Proxy                                                        # noqa: E402
from pgpassage import STEPS, Passages, open_servers                            # noqa: E402

SHORT = 1        # rounds in each direction
KINDS = ("refused", "silent", "unanswered", "late")
LONGEST = 4      # seconds; max-hold is 2, and the machine is busy
LATE = 1.5       # seconds in which tidegate is connected anew before the old connections' bytes arrive
setUpModule = open_servers


def rounds(verb):
    rng = random.Random(f"{SEED}:{verb}")
    every = [(step, end, kind) for step in range(1, len(STEPS) + 1) for end in ("source", "target") for kind in KINDS]
    return rng.sample(every, len(every) if LONG else SHORT)


class NetworkGoesAway(Passages):
    def urls(self):
        self.proxies = {"source": Proxy(self.source.url), "target": Proxy(self.target.url)}
        for proxy in self.proxies.values():
            self.enterContext(proxy)
        return self.proxies["source"].url, self.proxies["target"].url

    def leave(self, end, kind):
        self.proxies[end].block(kind != "refused", heard=kind == "unanswered")

    def come_back(self, end, kind):
        self.proxies[end].unblock(late=LATE if kind == "late" else None)

    def round(self, pipeline, verb, step, end, kind):
        writer = super().round(pipeline, verb, step, end, kind)
        self.assertLess(writer.longest, LONGEST, "the application does not wait for a network that is not its own")

    def test_there_and_back(self):
        self.there_and_back(zip(rounds("cutover"), rounds("rollback")))


if __name__ == "__main__":
    unittest.main()
