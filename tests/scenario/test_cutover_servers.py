#!/usr/bin/python3
"""A Postgres database's own server, or the target's, is killed or stopped, or tidegate is stopped or ended, at each journalled step of a cutover and of a
rollback, while an application writes: afterwards one side takes writes, each acknowledged row is in it once, and one command goes on. The short form takes some of
the steps. TIDEGATE_SEED repeats a run."""
import pathlib
import random
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import LONG, SEED                                                  # noqa: E402
import pgpassage                                                               # noqa: E402
from pgpassage import STEPS, Passages, open_servers                            # noqa: E402

SHORT = 1        # rounds in each direction
setUpModule = open_servers


def rounds(verb):
    ways = [(end, kind) for end in ("source", "target") for kind in ("killed", "stopped")] + [("tidegate", "stopped"), ("tidegate", "ended")]
    every = [(step, *way) for step in range(1, len(STEPS) + 1) for way in ways]
    return every if LONG else random.Random(f"{SEED}:{verb}").sample(every, SHORT)


class ServersGoAway(Passages):
    def leave(self, end, kind):
        server = getattr(pgpassage.servers(), end)
        if kind == "killed":
            return server.kill()
        server.signal(signal.SIGSTOP)
        return self.addCleanup(server.signal, signal.SIGCONT)

    def come_back(self, end, kind):
        server = getattr(pgpassage.servers(), end)
        if kind == "killed":
            server.restart()
        else:
            server.signal(signal.SIGCONT)

    def test_there_and_back(self):
        self.there_and_back(zip(rounds("cutover"), rounds("rollback")))


if __name__ == "__main__":
    unittest.main()
