#!/usr/bin/python3
"""report and support-bundle: one page of the whole migration, and what a helper needs."""
import contextlib
import html.parser
import json
import pathlib
import re
import shutil
import sqlite3
import stat
import sys
import tarfile
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.target import PAST_THE_FENCE, Target   # noqa: E402
from support.tidegate import Tidegate, built        # noqa: E402

REFUSED = 2
HIDDEN = "Marguerite"
APP = f"""
PRAGMA journal_mode = WAL;
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, born DATE);
CREATE TABLE "<i>odd</i>" (id INTEGER PRIMARY KEY, note TEXT);
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO person SELECT i, '{HIDDEN}' || i, NULL FROM n;
INSERT INTO person VALUES (9999, 'x', 'no date');
"""


class Page(html.parser.HTMLParser):
    """Its text, and whether what is opened is closed again in order."""
    EMPTY = {"meta", "br", "link"}

    def __init__(self, text):
        super().__init__()
        self.open, self.words, self.wrong = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.words.append(data)


@unittest.skipUnless(built(), "the binaries are not built")
class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.target = cls.enterClassContext(Target())
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-report-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        with contextlib.closing(sqlite3.connect(cls.dir / "app.db")) as connection:
            connection.executescript(APP)
        cls.tide = cls.enterClassContext(Tidegate(cls.dir / "app.db", cls.target.url))
        cls.tide.start(flags=["--reason", "the <b>move</b>", "--log-file", str(cls.tide.base / "tide.log")]).wait_phase("streaming")
        cls.tide.sync()
        cls.target.query(PAST_THE_FENCE + "UPDATE public.person SET name = 'other' WHERE id = 17; ALTER TABLE public.person ALTER born TYPE timestamp")
        cls.tide.verb("verify")
        cls.tide.verb("pause", "--reason", "lunch")
        cls.tide.verb("resume")
        cls.tide.verb("backup", "create", "source", "--source", cls.dir / "app.db")

    def test_as_json(self):
        report = json.loads(self.tide.verb("report", "--json").out)
        self.assertEqual(report["status"]["phase"], "streaming")
        self.assertTrue(report["running"])
        copied = {one["table"]: one for one in report["copies"]}["public.person"]
        self.assertEqual((copied["rows"], copied["state"]), (5000, "completed"))
        self.assertGreater(report["copy"]["rows_per_second"], 0)
        self.assertEqual([(one["table"], one["key"], one["columns"]) for one in report["verify"]["differences"]], [("person", [17], ["name"])])
        self.assertIn(("pause", "lunch"), [(one["action"], one["reason"]) for one in report["audit"]])
        self.assertEqual((report["audit_fault"], [one["of"] for one in report["backups"]]), ("", ["source"]))
        self.assertNotIn(HIDDEN, json.dumps(report))

    def test_as_a_page(self):
        done = self.tide.verb("report", "--html", "page.html")
        self.assertEqual(done.code, 0, done)
        text = (self.tide.base / "page.html").read_text()
        page = Page(text)
        self.assertEqual((page.wrong, page.open), ([], []))
        words = " ".join(page.words)
        for wanted in ("The ends differ", "rows/s", "lunch", "the <b>move</b>", "<i>odd</i>", "differs in name", "column born of the target has type", "5,000", "-source"):
            self.assertIn(wanted, words)
        self.assertNotIn(HIDDEN, text)
        self.assertNotIn("http", text.replace("http-equiv", ""), "a page that needs nothing else")

    def test_without_the_target(self):
        kept, self.tide.target_url = self.tide.target_url, re.sub(r":\d+/", ":1/", self.tide.target_url)
        try:
            report = json.loads(self.tide.verb("report", "--json").out)
        finally:
            self.tide.target_url = kept
        self.assertEqual(report["copies"], [])
        self.assertIn("first copy", report["copies_missing"])

    def test_a_bundle(self):
        done = self.tide.verb("support-bundle", "b.tar.gz", "--source", self.dir / "app.db", "--log-file", self.tide.base / "tide.log")
        self.assertEqual(done.code, 0, done)
        file = self.tide.base / "b.tar.gz"
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        self.assertEqual([path.name for path in self.tide.base.glob("b.tar.gz?*")], [])
        with tarfile.open(file) as bundle:
            parts = {pathlib.PurePath(member.name).name: bundle.extractfile(member).read().decode() for member in bundle if member.isfile()}
        self.assertEqual(set(parts), {"configuration.txt", "status.json", "findings.json", "verify.json", "audit.jsonl", "log.txt", "machine.txt"})
        self.assertEqual(json.loads(parts["status.json"])["phase"], "streaming")
        self.assertEqual(json.loads(parts["verify.json"])["differences"], [])   # keys stay here
        self.assertIn("target.url", parts["configuration.txt"])
        self.assertIn("***", parts["configuration.txt"])
        self.assertIn("pipeline app runs", parts["log.txt"])
        self.assertIn("state-disk", parts["findings.json"])
        self.assertNotIn(HIDDEN, "".join(parts.values()))
        again = self.tide.verb("support-bundle", "b.tar.gz", "--source", self.dir / "app.db")
        self.assertEqual(again.code, REFUSED, again)

    def test_of_nothing(self):
        done = self.tide.verb("report", "--state", self.dir / "none", state=False)
        self.assertEqual(done.code, REFUSED, done)


if __name__ == "__main__":
    unittest.main()
