#!/usr/bin/python3
"""The app, the load and the ledger, without any replication: what was acknowledged is what is in the file."""
import json
import pathlib
import sqlite3
import sys
import time
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.legacy import LegacyApp    # noqa: E402
import ledger                           # noqa: E402


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


class LegacyAppTest(unittest.TestCase):
    def test_ledger_is_the_files_content(self):
        with LegacyApp() as app:
            load = app.load(rate=150, threads=4)
            print("seed", load.seed, flush=True)
            time.sleep(3)
            summary = load.stop()
            self.assertEqual(summary["failed"], {}, summary["errors"])
            self.assertGreater(summary["requests"], 50)
            verdict = app.verdict(ledger.SqliteRows(app.path), complete=True)
            self.assertTrue(verdict.clean, str(verdict))
            self.assertGreater(verdict.keys, 50)
            self.assertEqual(verdict.doubtful, 0)
            self.assertEqual(sqlite3.connect(app.path).execute("PRAGMA journal_mode").fetchone(), ("delete",))

    def test_a_restart_of_the_app_leaves_doubts_but_no_lies(self):
        with LegacyApp() as app:
            load = app.load(rate=150, threads=3)
            print("seed", load.seed, flush=True)
            time.sleep(1.5)
            app.kill()
            time.sleep(0.5)
            app.start()
            time.sleep(1)
            load.stop()
            verdict = app.verdict(ledger.SqliteRows(app.path))
            self.assertTrue(verdict.clean, str(verdict))

    def test_seeded_and_restarted(self):
        with LegacyApp(families=5) as app:
            url = app.url
            app.stop()
            app.start()
            self.assertEqual(app.url, url)
            written = post(url + "/schools", {"code": "S-1", "name": "Zweite Schule"})["written"]
            self.assertEqual([(entry["op"], entry["table"], entry["row"]["name"]) for entry in written],
                             [("insert", "school", "Zweite Schule")])
            self.assertEqual(sqlite3.connect(app.path).execute("SELECT count(*) FROM user").fetchone(), (5,))

    def test_a_key_that_changes_is_a_delete_and_an_insert(self):
        with LegacyApp() as app:
            family = post(app.url + "/families", {"user": {"email": "a@example.test", "username": "a"}, "password": "x",
                                                  "token": "t", "children": [{"name": "A", "age": 7}]})["written"]
            child = next(entry["row"]["id"] for entry in family if entry["table"] == "child_profile")
            first, second = (post(app.url + "/achievements", {"slug": slug, "name": slug})["written"][0]["row"]["id"]
                             for slug in "xy")
            post(app.url + "/awards", {"child_id": child, "achievement_id": first})
            request = urllib.request.Request(f"{app.url}/awards/{child},{first}", json.dumps({"achievement_id": second}).encode(),
                                             {"Content-Type": "application/json"}, method="PUT")
            with urllib.request.urlopen(request, timeout=30) as answer:
                written = json.load(answer)["written"]
            self.assertEqual([(entry["op"], entry["key"]["achievement_id"]) for entry in written],
                             [("delete", first), ("insert", second)])


if __name__ == "__main__":
    unittest.main()
