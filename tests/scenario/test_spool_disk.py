#!/usr/bin/python3
"""The disk of the state directory has no room for what is open at a Postgres source: the status says so and what to do, everybody
else's transactions go on, and once there is room again nothing was lost."""
import os
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.pgsource import Pair, differences                          # noqa: E402
from support.small_disk import fill, small_disk, take_all_files         # noqa: E402
from support.tidegate import Tidegate, built                            # noqa: E402

SIZE, LEFT, FILES = 64 << 20, 3 << 20, 100
# 12 MB that no compression makes less than half of.
MUCH = """INSERT INTO big SELECT n, (SELECT string_agg(md5(random()::text || s || n), '') FROM generate_series(1, 19) s)
          FROM generate_series({0}, {0} + 19999) n"""


@unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
@unittest.skipUnless(built(), "the binaries are not built")
class SpoolDisk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pair = Pair(fsync="off")
        cls.addClassCleanup(cls.pair.close)

    def setUp(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-spool-disk-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.disk = small_disk(self, folder / "small", SIZE, FILES)
        self.source, self.target = self.pair.databases()
        self.addCleanup(self.source.drop)
        self.source.execute("CREATE TABLE big (id int PRIMARY KEY, v text); CREATE TABLE beside (id int PRIMARY KEY)")
        self.source.execute(f"ALTER DATABASE {self.source.name} SET logical_decoding_work_mem = '64kB'")
        self.tide = Tidegate(self.source.url, self.target.url, state=self.disk / "state", flags=[])
        self.addCleanup(self.tide.__exit__)
        self.pid = self.tide.start().wait_phase("streaming") and self.tide.process.pid
        self.holder = self.source.connect()
        self.addCleanup(self.holder.close)

    def wait_error(self, code, *words):
        self.tide.wait_status(lambda status: any(error["code"] == code and all(word in error["message"] for word in words) for error in status["errors"]),
                              what=f"{code}: {words}")

    def assert_others_go_on(self):
        self.source.execute("INSERT INTO beside SELECT count(*) FROM beside")
        self.tide.sync()
        count = "SELECT count(*) FROM beside"
        self.assertEqual(self.target.execute(count), self.source.execute(count))
        self.assertEqual(self.target.execute("SELECT count(*) FROM big WHERE id < 100000"), [(0,)])

    def assert_nothing_is_lost(self):
        self.tide.sync(100)
        self.assertEqual(differences(self.source, self.target), [])
        self.assertEqual(self.tide.process.pid, self.pid, "the same daemon goes on")

    def test_no_room_for_what_is_open_nor_for_what_was_committed(self):
        stuff = fill(self.disk, leave=LEFT)
        self.holder.cursor().execute(MUCH.format(0))
        self.wait_error("spool-full", str(self.disk / "state" / "spool"), "no room", "make room there", "spool_limit", "the source's server keeps")
        self.assert_others_go_on()
        self.holder.commit()   # now it is the journal that has no room
        self.wait_error("capture", "state.db", "full")
        self.assertTrue(self.tide.running, self.tide.log[-2000:])
        stuff.unlink()
        self.assert_nothing_is_lost()
        self.tide.wait_status(lambda status: status["errors"] == [], what="no error any more")

    def test_room_again_before_it_is_committed(self):
        stuff = fill(self.disk, leave=LEFT)
        self.holder.cursor().execute(MUCH.format(0) + "; SAVEPOINT s; " + MUCH.format(100000) + "; ROLLBACK TO s")
        self.wait_error("spool-full", "no room")
        stuff.unlink()
        self.assert_others_go_on()
        self.holder.commit()
        self.assert_nothing_is_lost()

    def test_no_file_can_be_made(self):
        many = take_all_files(self.disk)
        self.holder.cursor().execute(MUCH.format(0))
        self.wait_error("spool-full", "no room", "make room there")
        self.assert_others_go_on()
        self.holder.commit()
        self.assert_nothing_is_lost()
        shutil.rmtree(many)


if __name__ == "__main__":
    unittest.main()
