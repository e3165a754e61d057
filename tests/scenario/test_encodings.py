#!/usr/bin/python3
"""Sources whose texts are not UTF-8: what a LATIN1 database holds arrives as the same characters; of an SQL_ASCII one, whose texts may be
any bytes, what is no UTF-8 is held by name, and all else arrives."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from stage import WAIT                                # noqa: E402
from support.pgsource import Database, open_pair           # noqa: E402
from support.tidegate import Tidegate, built          # noqa: E402

SCHEMA = "CREATE TABLE people (name text PRIMARY KEY, note text); CREATE TABLE visits (id int PRIMARY KEY, person text)"
pair = None


def setUpModule():
    global pair
    pair = open_pair()


@unittest.skipUnless(built(), "the binaries are not built")
class Encodings(unittest.TestCase):
    def begin(self, encoding):
        """A source of this encoding with the tables in it, and an empty target."""
        self.source = Database(pair.source, "texts_" + encoding.lower(), "template0", f"ENCODING '{encoding}' LOCALE 'C'")
        self.addCleanup(self.source.drop)
        self.target = Database(pair.target, "of_" + encoding.lower())
        self.source.execute(SCHEMA)
        self.tide = Tidegate(self.source.url, self.target.url, flags=[])
        self.addCleanup(self.tide.__exit__)

    def stream(self):
        self.tide.start().wait_phase("streaming", timeout=WAIT)

    def people(self):
        self.tide.sync(timeout=WAIT)
        return dict(self.target.execute("SELECT name, note FROM people"))

    def held(self):
        return self.tide.verb("quarantine", "list").out

    def test_latin1(self):
        self.begin("LATIN1")
        self.source.execute("INSERT INTO people SELECT 'Zoë ' || n, 'ÄÖÜß' FROM generate_series(1, 3000) n")
        self.stream()
        self.source.execute("INSERT INTO people VALUES ('José', 'naïve'); UPDATE people SET note = 'é' WHERE name = 'Zoë 7'")
        self.source.execute("DELETE FROM people WHERE name = 'Zoë 8'")
        there = self.people()
        self.assertEqual((len(there), there["Zoë 1"], there["Zoë 7"], there["José"]), (3000, "ÄÖÜß", "é", "naïve"))
        self.assertNotIn("Zoë 8", there)
        self.assertEqual(self.tide.verb("verify").code, 0, self.tide.verb("verify", "status").out)

    def test_sql_ascii(self):
        self.begin("SQL_ASCII")
        self.source.execute(r"INSERT INTO people VALUES ('plain', 'a'), ('utf8', E'\xc3\xa4'), ('broken', E'\xfc')")
        doctor = self.tide.verb("doctor")
        self.assertIn("SQL_ASCII", doctor.out)
        self.stream()
        self.assertEqual(self.people(), {"plain": "a", "utf8": "ä"})
        self.assertIn("broken", self.held())
        self.source.execute(r"INSERT INTO people VALUES ('late', E'\xff'), ('more', E'\xc3\xb6'); INSERT INTO visits VALUES (1, 'more')")
        self.assertEqual(self.people(), {"plain": "a", "utf8": "ä", "more": "ö"})
        self.assertEqual(self.target.execute("SELECT id, person FROM visits"), [(1, "more")])
        self.assertIn("late", self.held())
        self.source.execute("UPDATE people SET note = 'mended' WHERE name IN ('broken', 'late')")
        self.assertEqual(self.people()["broken"], "mended")
        self.assertEqual(self.tide.status()["quarantined"], 0, self.held())

    def test_a_character_that_the_source_cannot_send(self):
        """Byte 0x81 means nothing in WIN1252, and its server takes it."""
        self.begin("WIN1252")
        self.source.execute(r"INSERT INTO people VALUES ('fine', 'ü')")
        connection = self.source.connect()
        connection.set_client_encoding("WIN1252")
        with connection, connection.cursor() as cursor:
            cursor.execute(b"INSERT INTO people VALUES ('odd', '\x81')")
        connection.close()
        self.tide.start()
        self.assertEqual(self.tide.wait(), 1)
        self.assertIn("the source's server cannot send a row of table public.people", self.tide.log)


if __name__ == "__main__":
    unittest.main()
