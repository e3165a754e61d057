"""What each test of a file begins with: databases of its own on servers that all of them share, a folder, and an application's file in it."""
import contextlib
import pathlib
import shutil
import sqlite3
import tempfile
import unittest

from support.pgsource import Database, Pair
from support.target import Target


class WithFolder(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-test-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.file = self.dir / "app.db"

    def write(self, *scripts):
        """To the application's file."""
        with contextlib.closing(sqlite3.connect(self.file, timeout=20)) as connection:
            for script in scripts:
                connection.executescript(script)


class OneServer(WithFolder):
    """`self.target` is a new database, made as Supabase's is."""

    @classmethod
    def setUpClass(cls):
        cls.server, cls.made = cls.enterClassContext(Target()), 0

    def setUp(self):
        super().setUp()
        type(self).made += 1
        self.target = Database(self.server, f"own{self.made}", template="postgres")
        self.addCleanup(self.target.drop)


class TwoServers(WithFolder):
    """`self.source` and `self.target` are new databases on two servers."""

    @classmethod
    def setUpClass(cls):
        cls.pair = Pair()
        cls.addClassCleanup(cls.pair.close)

    def setUp(self):
        super().setUp()
        self.source, self.target = self.pair.databases()
