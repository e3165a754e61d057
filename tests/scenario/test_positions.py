#!/usr/bin/python3
"""Time that goes backwards, and daemons that meet: what can be healed is healed, everything else is refused with exit code 2
and a sentence, and nothing is written meanwhile."""
import pathlib
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from proxy import wait_until                                   # noqa: E402
from stage import WAIT, open_stage, judge, query, server_do   # noqa: E402

REFUSED = 2
stage = None


def setUpModule():
    global stage
    stage = open_stage()


class Positions(unittest.TestCase):
    def begin(self):
        load = stage.load()
        self.addCleanup(load.stopping.set)
        return load

    def streaming(self, *arguments, **options):
        pipeline = stage.pipeline(*arguments, **options).start()
        pipeline.wait_phase("streaming", timeout=WAIT)
        return pipeline

    def some_load(self, pipeline, seconds=1.0):
        load = self.begin()
        time.sleep(seconds)
        judge(self, stage, pipeline, load)

    def assert_refused(self, pipeline, *words):
        """The daemon ends by itself, with one sentence that holds the words."""
        size = len(pipeline.log)
        if not pipeline.running:
            pipeline.start()
        self.assertEqual(pipeline.wait(), REFUSED, pipeline.log[size:])
        last = pipeline.log[size:].strip().splitlines()[-1]
        for word in words:
            self.assertIn(word, last)

    def test_a_target_restored_within_retention_heals(self):
        pipeline = self.streaming()
        self.some_load(pipeline)
        pipeline.stop()
        data, kept = stage.target.dir / "data", stage.target.dir / "kept"
        server_do(stage.target, "stop", "-m", "fast")
        self.copy(data, kept)
        stage.target.restart()
        pipeline.start()
        self.some_load(pipeline)
        before = self.position(pipeline.target_url)
        pipeline.stop()
        server_do(stage.target, "stop", "-m", "fast")
        shutil.rmtree(data)
        kept.rename(data)
        stage.target.restart()
        self.assertLess(self.position(pipeline.target_url), before)
        pipeline.start()
        self.some_load(pipeline)
        self.assertGreater(self.position(pipeline.target_url), before)
        pipeline.kill()

    def copy(self, source, to):
        subprocess.run(["cp", "-a", source, to], check=True)

    def position(self, url):
        return query(url, "SELECT sequence FROM tidegate.pipelines")[0][0]

    def test_an_older_state_directory_is_refused(self):
        pipeline = self.streaming()
        self.some_load(pipeline)
        pipeline.stop()
        older, newer = pipeline.base / "older", pipeline.base / "newer"
        self.copy(pipeline.state, older)
        pipeline.start()
        self.some_load(pipeline)
        pipeline.stop()
        before = self.position(pipeline.target_url)
        pipeline.state.rename(newer)
        older.rename(pipeline.state)
        self.assert_refused(pipeline, "position", "restored")
        self.assert_refused(pipeline, "position", "restored")   # nor the second time
        self.assertEqual(self.position(pipeline.target_url), before)
        shutil.rmtree(pipeline.state)
        newer.rename(pipeline.state)
        pipeline.start()
        self.some_load(pipeline)
        pipeline.kill()

    def test_an_empty_target_in_place_of_the_right_one_is_refused(self):
        pipeline = self.streaming()
        self.some_load(pipeline, 0.3)
        pipeline.stop()
        right, empty = pipeline.target_url, stage.new_database()
        pipeline.target_url = empty
        self.assert_refused(pipeline, "another target")
        self.assertEqual(query(empty, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), [(0,)])
        self.some_load(self.streaming(empty), 0.3)   # which a new state directory may fill
        pipeline.target_url = right
        pipeline.start()
        self.some_load(pipeline, 0.3)
        pipeline.kill()

    def test_a_target_emptied_under_a_running_daemon_stops_it(self):
        pipeline = self.streaming()
        query(pipeline.target_url, "DROP SCHEMA tidegate CASCADE")
        load = self.begin()
        self.addCleanup(load.stop)
        self.assertNotEqual(pipeline.wait(timeout=WAIT), 0)

    def test_a_second_daemon_on_the_state_directory_is_refused(self):
        pipeline = self.streaming()
        second = stage.pipeline(pipeline.target_url, state=pipeline.state)
        self.assert_refused(second, "another tidegate", str(pipeline.process.pid))
        self.some_load(pipeline, 0.3)
        pipeline.kill()

    def test_another_state_directory_on_the_target_is_refused(self):
        pipeline = self.streaming()
        second = stage.pipeline(pipeline.target_url)
        self.assert_refused(second, "another state directory")
        self.assert_refused(second, "another state directory")
        self.some_load(pipeline, 0.3)
        pipeline.kill()

    def test_a_copied_state_directory_takes_over_and_ends_the_first(self):
        """As when a machine's disk was cloned: the later start wins, the earlier one writes nothing more and ends."""
        first = self.streaming()
        self.some_load(first)
        first.stop()
        second = stage.pipeline(first.target_url)
        self.copy(first.state, second.state)
        first.start().wait_phase("streaming", timeout=WAIT)
        second.start()
        wait_until(lambda: query(first.target_url, "SELECT 1 FROM tidegate.pipelines WHERE epoch >= 3"), "the second takes over")
        load = self.begin()
        self.assertNotEqual(first.wait(timeout=WAIT), 0)
        self.assertIn("taken over", first.log.strip().splitlines()[-1])
        judge(self, stage, second, load)
        second.kill()


if __name__ == "__main__":
    unittest.main()
