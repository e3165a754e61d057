#!/usr/bin/python3
"""The cutover protocol, checked by Spin: the model holds, gets to where it should, and every planted mistake is found.

TIDEGATE_LONG=1 checks more writes, runs and crashes."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

MODEL = pathlib.Path(__file__).resolve().parent / "cutover.pml"
SIZE = ["-DWRITES=4", "-DRUNS=3", "-DCRASHES=3"] if os.environ.get("TIDEGATE_LONG") == "1" else []
DEPTH = "-m2000000"
# What Spin says of each mistake; "end": nobody can go on, and no side takes writes.
MISTAKES = {
    "M_DRAIN_EARLY": "acked", "M_RELEASE_EARLY": "acked", "M_OPEN_EARLY": "fenced", "M_ASSUME_FENCED": "fenced",
    "M_TARGET_UNFENCED": "assertion", "M_ASSUME_ABORTED": "end", "M_NO_LOCK": "end", "M_NO_SETTLE": "end", "M_REVERSE_LATE": "end",
    "M_INTENT_LATE": "end",
}
WORDS = {"acked": r"assertion violated \(\(acked", "fenced": r"assertion violated \(fenced", "assertion": r"assertion violated", "end": r"invalid end state \("}


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        raise AssertionError(f"{command[0]}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout


def check(*defines, live=False, soon=False):
    """Spin's report. live: the LTL formula under weak fairness; else assertions and deadlocks. soon: it ends at once, so that the search need
    not be fast."""
    with tempfile.TemporaryDirectory(prefix="tidegate-model-") as folder:
        run(["spin", *defines, "-a", MODEL], folder)
        run(["gcc", "-O0" if soon else "-O2", "-w", "-DCOLLAPSE", *(["-DNFAIR=3"] if live else ["-DSAFETY", "-DNOCLAIM"]), "-o", "pan", "pan.c"], folder)
        return run(["./pan", DEPTH, *(["-a", "-f"] if live else [])], folder)


def errors(report):
    return int(re.search(r"errors: (\d+)", report)[1])


class Model(unittest.TestCase):
    def test_nothing_is_lost_and_never_two_sides_write(self):
        report = check(*SIZE)
        self.assertEqual(errors(report), 0, report)
        self.assertNotIn("truncated", report)
        self.assertGreater(int(re.search(r"(\d+) states, stored", report)[1]), 50_000)

    def test_there_is_always_a_way_out(self):
        report = check(*SIZE, live=True)
        self.assertEqual(errors(report), 0, report)

    def test_it_goes_there_and_back(self):
        self.assertEqual(errors(check("-DW_THERE_AND_BACK", soon=True)), 1)

    def test_every_mistake_is_found(self):
        self.assertEqual(set(MISTAKES), set(re.findall(r"\bM_[A-Z]+(?:_[A-Z]+)*", MODEL.read_text())) - {"M_"})
        for mistake, what in MISTAKES.items():
            with self.subTest(mistake=mistake):
                report = check("-D" + mistake, soon=True)
                self.assertEqual(errors(report), 1)
                self.assertRegex(report, WORDS[what])


if __name__ == "__main__":
    sys.exit(unittest.main())
