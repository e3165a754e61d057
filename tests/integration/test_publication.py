#!/usr/bin/python3
"""A publication whose making is killed at each step: the next try goes on from there, and the application's own
UPDATE works at every moment."""
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.target import Target  # noqa: E402

TOOL = pathlib.Path(os.environ["TIDEGATE_BIN_DIR"]) / "tests" / "tidegate-publication-tool"
KILLED = -9


class KilledPublication(unittest.TestCase):
    def setUp(self):
        self.target = Target().start()
        self.addCleanup(self.target.stop)
        self.target.query("CREATE TABLE public.log(line text)")
        self.target.query("INSERT INTO public.log VALUES ('x')")

    def make(self, failpoint=""):
        environment = {**os.environ, "TIDEGATE_TEST_TARGET": self.target.url, "TIDEGATE_FAILPOINT": failpoint}
        done = subprocess.run([TOOL, "public.log"], env=environment, capture_output=True, text=True, timeout=60, check=False)
        self.target.query("UPDATE public.log SET line = line || '.'")
        return done

    def published(self):
        return self.target.query("SELECT tablename FROM pg_publication_tables WHERE pubname = 'TEST'")

    def identity(self):
        return self.target.query("SELECT relreplident FROM pg_class WHERE oid = 'public.log'::regclass")[0][0]

    def test_each_step(self):
        self.assertEqual(self.make("publication-after-identity").returncode, KILLED)
        self.assertEqual((self.identity(), self.published()), ("f", []))
        self.assertEqual(self.make("publication-after-commit").returncode, KILLED)
        self.assertEqual(self.published(), [("log",)])
        self.assertEqual(self.make().stdout, "created 0, altered 0, identity 0\n")


if __name__ == "__main__":
    sys.exit(unittest.main())
