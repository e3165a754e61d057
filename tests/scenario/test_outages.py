#!/usr/bin/python3
"""A disk that fills up on either side, and a network that drops every packet: tidegate says so in one sentence, the app notices
nothing, nothing is lost, and it goes on by itself when there is space, or a network, again."""
import contextlib
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from proxy import Proxy                                   # noqa: E402
from support.compare import Comparison                    # noqa: E402
from support.guard import guard                           # noqa: E402
from support.small_disk import fill, small_disk           # noqa: E402
from support.target import Target                         # noqa: E402
from support.tidegate import Tidegate, built              # noqa: E402

SMALL = 24 * 2**20         # bytes of the small file system
DEAD_PEER_TIMEOUT = 30     # seconds, db/postgres.hpp
SECRET = "row-value"


def run(*command):
    return subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)


@unittest.skipUnless(os.geteuid() == 0, "mounting and cutting a network needs root")
class Outages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.target = cls.enterClassContext(Target())

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-outage-"))
        self.dir.chmod(0o755)
        self.addCleanup(run, "rm", "-rf", self.dir)
        self.source = self.dir / "app.db"
        self.target.query("SET client_min_messages = warning; DROP SCHEMA IF EXISTS tidegate CASCADE; DROP TABLE IF EXISTS public.page")
        self.write("PRAGMA journal_mode = WAL", "CREATE TABLE page (id INTEGER PRIMARY KEY, body TEXT)", "INSERT INTO page(body) VALUES ('first')")

    def write(self, *statements):
        with contextlib.closing(sqlite3.connect(self.source, timeout=5)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def write_rows(self, count):
        self.write(f"INSERT INTO page(body) WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count}) "
                   f"SELECT '{SECRET}' || hex(randomblob(2000)) FROM c")

    def small_disk(self, size=SMALL):
        return small_disk(self, self.dir / "small", size)

    def streaming(self, state=None, url=None):
        tide = Tidegate(self.source, url or self.target.url, state=state)
        self.addCleanup(tide.__exit__)
        tide.start().wait_phase("streaming")
        return tide

    def wait_error(self, tide, *words, timeout=20):
        """Until the status shows one error that has the words; returns its sentence."""
        def told(status):
            return any(all(word in error["message"] for word in words) for error in status["errors"])
        status = tide.wait_status(told, timeout, f"an error with {words}")
        found = [error["message"] for error in status["errors"] if all(word in error["message"] for word in words)]
        self.assertEqual(len(found), 1, status["errors"])
        self.assertNotIn("\n", found[0])
        self.assertNotIn(SECRET, tide.log)
        return found[0]

    def healed(self, tide, pid):
        tide.sync(timeout=60)
        self.assertEqual(tide.process.pid, pid, "the same daemon goes on")
        self.assertEqual([error for error in tide.status()["errors"] if "disk" in error["message"] or "target" == error["code"]], [])
        with contextlib.closing(self.target.connect()) as connection:
            comparison = Comparison(self.source, connection)
            self.assertEqual(comparison.run(), [])
            self.assertEqual(comparison.excepted, 0)

    def test_the_state_directory_is_full(self):
        place = self.small_disk()
        tide = self.streaming(state=place / "state")
        pid = tide.process.pid
        stuff = fill(place, leave=200_000)
        self.write_rows(1000)   # acknowledged to the app, which has another disk
        self.wait_error(tide, "disk is full", "state")
        self.write("UPDATE page SET body = 'changed meanwhile' WHERE id = 1", "DELETE FROM page WHERE id = 7")
        time.sleep(1)
        self.assertTrue(tide.running, tide.log[-2000:])
        stuff.unlink()
        self.healed(tide, pid)

    def test_a_state_directory_that_is_full_at_a_start_is_refused_or_waited_for(self):
        place = self.small_disk()
        tide = self.streaming(state=place / "state")
        tide.stop()
        self.write_rows(1000)
        stuff = fill(place)
        tide.start()
        time.sleep(2)
        stuff.unlink()
        if not tide.running:
            self.assertIn("disk is full", tide.log)
            tide.wait()
            tide.start()
        tide.wait_phase("streaming")
        self.healed(tide, tide.process.pid)

    def test_the_target_is_full(self):
        place = self.small_disk()
        space = place / "space"
        space.mkdir()
        run("chown", "-R", "postgres:", place)
        self.target.admin(f"CREATE TABLESPACE small LOCATION '{space}'", "GRANT CREATE ON TABLESPACE small TO postgres",
                   "ALTER ROLE postgres SET default_tablespace = small")
        self.addCleanup(self.target.admin, "ALTER ROLE postgres RESET default_tablespace", "DROP SCHEMA tidegate CASCADE", "DROP TABLE page",
                        "DROP TABLESPACE small")
        tide = self.streaming()
        self.addCleanup(tide.kill)
        pid = tide.process.pid
        stuff = fill(place, leave=300_000)
        self.write_rows(1000)
        self.write("UPDATE page SET body = 'changed meanwhile' WHERE id = 1")
        self.wait_error(tide, "the server's disk is full")
        self.write_rows(10)
        time.sleep(1)
        self.assertTrue(tide.running, tide.log[-2000:])
        stuff.unlink()
        self.healed(tide, pid)

    # --- a network that drops packets ---

    def network(self):
        """A network of two: the daemon lives at 10.213.77.2, and finds the target's proxy at .1. Returns (its name, the device)."""
        name = f"tg{os.getpid() % 10000}"
        ends = [f"{name}a", f"{name}b"]
        if run("ip", "netns", "add", name).returncode:
            self.skipTest("this machine lets nobody make a network")
        self.addCleanup(run, "ip", "netns", "del", name)
        self.addCleanup(guard.forget, guard.run_later("ip", "netns", "del", name))
        for command in (["link", "add", ends[0], "type", "veth", "peer", "name", ends[1], "netns", name],
                        ["addr", "add", "10.213.77.1/30", "dev", ends[0]], ["link", "set", ends[0], "up"],
                        ["-n", name, "addr", "add", "10.213.77.2/30", "dev", ends[1]], ["-n", name, "link", "set", ends[1], "up"],
                        ["-n", name, "link", "set", "lo", "up"]):
            done = run("ip", *command)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(run, "ip", "link", "del", ends[0])
        return name, ends

    def drop_all(self, name, ends):
        """Neither end hears of it: what they send goes to an address that nobody has."""
        for words in (["10.213.77.1", "dev", ends[1]], ["10.213.77.2", "dev", ends[0]]):
            space = ["-n", name] if words[2] == ends[1] else []
            done = run("ip", *space, "neigh", "replace", words[0], "lladdr", "02:00:00:00:00:99", *words[1:], "nud", "permanent")
            self.assertEqual(done.returncode, 0, done.stderr)

    def let_through(self, name, ends):
        run("ip", "-n", name, "neigh", "del", "10.213.77.1", "dev", ends[1])
        run("ip", "neigh", "del", "10.213.77.2", "dev", ends[0])

    def test_a_network_that_drops_everything(self):
        name, ends = self.network()
        with Proxy(self.target.url, host="10.213.77.1") as proxy:
            url = re.sub(r"@10\.213\.77\.1:", "@127.0.0.1:", proxy.url) + "&hostaddr=10.213.77.1"   # the certificate's name
            tide = Tidegate(self.source, url, within=["ip", "netns", "exec", name])
            self.addCleanup(tide.__exit__)
            tide.start().wait_phase("streaming")
            pid = tide.process.pid
            self.drop_all(name, ends)
            begun = time.monotonic()
            self.write_rows(50)
            self.wait_error(tide, "127.0.0.1", timeout=DEAD_PEER_TIMEOUT + 15)
            noticed = time.monotonic() - begun
            print(f"noticed after {noticed:.1f} s", flush=True)
            self.assertLess(noticed, DEAD_PEER_TIMEOUT + 12)   # and the time to connect again
            self.let_through(name, ends)
            self.healed(tide, pid)


if __name__ == "__main__":
    sys.exit(unittest.main() if built() else 77)
