#!/usr/bin/python3
"""Cutover, way back, rollback and finalize of a Postgres database: under load, and past what stands in the way. TIDEGATE_SEED repeats a
run, TIDEGATE_LONG=1 kills finalize at every failpoint instead of some."""
import json
import pathlib
import random
import re
import subprocess
import sys
import time
import unittest

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stage import LONG, ROOT, SEED, WAIT                                                         # noqa: E402
from proxy import wait_until                                                                     # noqa: E402
from pgpassage import CONSENT, STEPS, Scenario, open_servers, servers                            # noqa: E402
from support.cutover import configure, cutover, doctor, forward, name_of, rollback, verified, with_way_back   # noqa: E402
from support.pgledger import account_for, takes_writes                                           # noqa: E402
from support.postgres_source import PostgresSource                                               # noqa: E402
from support.tidegate import BIN, Tidegate                                                       # noqa: E402

setUpModule = open_servers
SOME = 3    # failpoints of finalize, where not all are taken


class ThereAndBack(Scenario):
    def test_there_and_back_and_there_under_load(self):
        pipeline = self.streaming()
        self.assertEqual(self.source.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'tidegate'"), [], "nothing of ours before the cutover")
        self.assertNotIn("block", self.codes(pipeline, code=0).values())
        self.assertFalse(takes_writes(self.target))
        self.rehearse(pipeline)
        first = self.there(pipeline, "first")
        second = self.back(pipeline, "second")
        account_for(self, self.source, first, second)
        ended = with_way_back(pipeline, code=2)
        self.assertIn("verify-not-fresh", [finding["code"] for finding in ended["findings"]], "one from before the rollback does not count")
        verified(pipeline)
        third = self.there(pipeline, "third")
        pipeline.restart().wait_phase("reversed", timeout=WAIT)
        fourth = self.back(pipeline, "fourth")
        account_for(self, self.source, first, second, third, fourth)
        pipeline.restart().wait_phase("streaming", timeout=WAIT)
        self.source.execute("INSERT INTO ledger(token, side) VALUES ('at the end', 'source')")
        self.followed(pipeline)
        self.assert_live(pipeline, "source")
        verified(pipeline)

    def rehearse(self, pipeline):
        writers = self.writers("source", "rehearsed")
        time.sleep(0.5)
        ended = cutover(pipeline, "--rehearse")
        self.assertEqual(ended["outcome"], "rehearsed")
        self.assertEqual(writers.stop().refused, {})
        print(f"rehearsal: held for {ended['hold_ms']:.0f} ms; {writers.longest_waits()}", flush=True)
        self.assertEqual(self.source.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'tidegate'"), [])

    def there(self, pipeline, name):
        writers = self.writers("source", name)
        time.sleep(1)
        ended = with_way_back(pipeline)
        self.assertEqual((ended["outcome"], [step["step"] for step in ended["steps"]]), ("done", STEPS))
        wait_until(lambda: writers.refused.get("25006", 0) > 3, "the fence refuses")
        self.assertTrue(any(re.fullmatch(r"legacy-app \(pid \d+, role \w+(, from [0-9a-f.:]+)?\)", user) for user in
                            pipeline.wait_status(lambda status: status["cutover"]["source_open_by"], WAIT, "who has not moved")["cutover"]["source_open_by"]))
        self.assertEqual(set(writers.stop().refused), {"25006"})
        self.refused_are_counted(pipeline, writers.refused["25006"])
        print(f"cutover: held for {ended['hold_ms']:.0f} ms; {writers.longest_waits()};",
              {step["step"]: round(step["ms"]) for step in ended["steps"]}, flush=True)
        account_for(self, self.target, writers)
        self.assert_live(pipeline, "target")
        self.same_ids()
        return writers

    def refused_are_counted(self, pipeline, count, side="the old database's"):
        """Since this run alone, each statement once, though ROLLBACK takes back what it did."""
        wait_until(lambda: pipeline.status()["cutover"]["refused_writes"] == count, f"{count} refused writes", WAIT)
        self.assertIn(f'tidegate_refused_writes_total{{pipeline="{name_of(pipeline)}"}} {count}\n', pipeline.get("/metrics"))
        self.assertIn(f"{count:,} writes at {side} fence", pipeline.verb("status").out)

    def back(self, pipeline, name):
        writers = self.writers("target", name)
        pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
        time.sleep(1)
        self.assertNotIn("block", self.codes(pipeline, code=0, verb="rollback").values())
        ended = rollback(pipeline)
        self.assertEqual((ended["outcome"], [step["step"] for step in ended["steps"]]), ("done", STEPS))
        wait_until(lambda: writers.refused.get("25006", 0) > 3, "the fence refuses")
        self.assertEqual(set(writers.stop().refused), {"25006"})
        self.refused_are_counted(pipeline, writers.refused["25006"], "the target's")
        print(f"rollback: held for {ended['hold_ms']:.0f} ms; {writers.longest_waits()}", flush=True)
        account_for(self, self.source, writers)
        self.assert_live(pipeline, "source")
        self.followed(pipeline)
        self.same_ids()
        return writers

    def same_ids(self):
        """No id is given out twice: the refused draw some as well, so the live side may be ahead."""
        last = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1"
        for (name, here), (_, there) in zip(self.source.execute(last), self.target.execute(last)):
            self.assertIsNotNone(here, name)
            self.assertIsNotNone(there, name)
        for database in (self.source, self.target):
            self.assertEqual(database.execute("SELECT last_value >= (SELECT max(id) FROM ledger) FROM ledger_id_seq"), [(True,)])

    def test_reads_that_last(self):
        """Neither side waits for those who only read when it is closed, opened and closed again; partitions come along."""
        pipeline = self.streaming()
        readers = [database.connect() for database in (self.source, self.target)]
        for reader in readers:
            self.addCleanup(reader.close)
        for passage, live, left in ((with_way_back, self.target, self.source), (rollback, self.source, self.target), (with_way_back, self.target, self.source)):
            for reader in readers:
                reader.rollback()
                reader.cursor().execute("SELECT (SELECT count(*) FROM ledger), (SELECT count(*) FROM diary)")
            time.sleep(2.5)   # longer than what GUARD lets writers have
            self.assertEqual(passage(pipeline)["outcome"], "done")
            live.execute("INSERT INTO ledger(token, side) VALUES (%s, 'live')", (f"{pipeline.status()['cutover']['run']}",))
            for table in ("diary", "diary_1"):
                text = f"INSERT INTO {table}(day, id) VALUES ('2026-02-02', (SELECT count(*) + 1000 FROM diary))"
                live.execute(text)
                with self.assertRaises(psycopg2.errors.ReadOnlySqlTransaction):
                    left.execute(text)
            if passage is rollback:
                self.followed(pipeline)
                verified(pipeline)

    def test_what_is_changed_on_the_target_comes_back(self):
        pipeline = self.streaming()
        with_way_back(pipeline)
        self.target.execute("""
            UPDATE account SET balance = 7 WHERE id = 5;
            UPDATE account SET id = 100 WHERE id = 6;
            UPDATE account SET note = NULL WHERE id = 7;
            DELETE FROM account WHERE id = 8;
            UPDATE moves SET body = 'changed', b = b + 1000 WHERE a < 10;
            UPDATE bag SET number = 'NaN' WHERE word = 'word 1';
            INSERT INTO loose VALUES ('one'), ('two'), ('two');
            DELETE FROM loose WHERE word = 'one';
            INSERT INTO ledger(token, side) VALUES ('t-1', 'target'), ('t-2', 'target');
            INSERT INTO child(ledger_id) SELECT id FROM ledger;
            DELETE FROM ledger WHERE token = 't-1';
            INSERT INTO diary VALUES ('2026-02-01', 1, 'x');
            UPDATE diary SET day = '2026-09-01' WHERE id = 1;
            TRUNCATE ticket;
            INSERT INTO ticket(price) VALUES (1.5)""")
        done = pipeline.verb("sync", "--timeout", WAIT)
        self.assertEqual((done.code, "in the legacy database" in done.out), (0, True), done)
        self.assertEqual(self.source.execute("SELECT price FROM ticket"), self.target.execute("SELECT price FROM ticket"))
        self.assertEqual(self.source.execute("SELECT count(*) FROM ledger WHERE token = 't-2'"), [(1,)])
        self.followed(pipeline)
        self.assertEqual(self.source.execute("SELECT count(*) FROM child"), [(1,)], "nothing cascades twice")
        status = pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "readiness")
        self.assertEqual(status["rollback"]["rejects"], 0)
        code, found = doctor(pipeline)
        self.assertEqual((code, found["target-live"]["level"]), (0, "note"))
        self.assertNotRegex(json.dumps(found), "tidegate_fence|tidegate\\.")
        self.assertIn("half-done", doctor(pipeline, "--state", pipeline.base / "another", state=False)[1])
        rollback(pipeline)
        self.assert_live(pipeline, "source")
        self.assert_same()

    def test_a_row_that_does_not_fit_blocks_until_it_is_given_up(self):
        pipeline = self.streaming()
        with_way_back(pipeline)
        self.target.execute("ALTER TABLE ledger ALTER side DROP NOT NULL; INSERT INTO ledger(token, side) VALUES ('odd', NULL)")
        pipeline.wait_status(lambda status: status["rollback"]["rejects"] == 1, WAIT, "the reject")
        self.assertEqual(self.codes(pipeline, code=2, verb="rollback")["way-back-rejects"], "block")
        self.assertEqual(rollback(pipeline, code=2)["outcome"], "refused")
        self.assertEqual(rollback(pipeline, "--accept-loss")["outcome"], "done")
        self.assert_live(pipeline, "source")


class Guards(Scenario):
    def test_who_keeps_the_hold_waiting_is_named(self):
        pipeline = self.streaming()
        other = self.source.connect()
        self.addCleanup(other.close)
        other.cursor().execute("UPDATE account SET balance = balance WHERE id = 3")
        ended = cutover(pipeline, "--confirm", name_of(pipeline), "--attempts", "1", "--max-hold", "400ms", code=None)
        self.assertIn(ended["outcome"], ("aborted", "refused"))
        self.assert_live(pipeline, "source")
        time.sleep(2.5)
        findings = cutover(pipeline, "--dry-run", code=2)["findings"]
        self.assertIn("legacy-app", [finding["message"] for finding in findings if finding["code"] == "source-held"][0])
        other.rollback()
        self.assertEqual(with_way_back(pipeline)["outcome"], "done")

    def test_a_vacuum_is_named(self):
        """Of a partition too, which a hold of its table waits for."""
        pipeline = self.streaming()
        self.source.execute("INSERT INTO diary SELECT '2026-02-02', n, repeat('x', 200) FROM generate_series(1000000, 1008000) n;"
                            " UPDATE diary SET body = 'y' WHERE id >= 1000000")
        pipeline.sync(timeout=WAIT)
        slow = self.source.start("psql", "-X", "-c", "SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1", "-c", "VACUUM diary_1")
        self.addCleanup(slow.communicate)
        self.addCleanup(slow.kill)
        time.sleep(2.5)
        findings = cutover(pipeline, "--dry-run", code=2)["findings"]
        self.assertIn("psql", [finding["message"] for finding in findings if finding["code"] == "source-held"][0])
        self.source.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'VACUUM%' AND datname = current_database()")
        self.codes(pipeline, code=0)

    def test_a_table_that_is_not_in_step_is_named(self):
        pipeline = self.streaming()
        self.source.execute("ALTER TABLE loose RENAME TO renamed")
        pipeline.wait_status(lambda status: any(table["state"] == "stopped" for table in status["tables"]), WAIT, "the stopped table")
        self.assertEqual(self.codes(pipeline, code=2)["cutover-table-behind"], "block")
        self.assertEqual(with_way_back(pipeline, code=2)["outcome"], "refused")
        self.assertTrue(takes_writes(self.source))

    def test_a_table_that_the_target_has_lost_is_named(self):
        pipeline = self.streaming()
        self.target.execute("DROP TABLE child")
        self.assertEqual(self.codes(pipeline, code=2)["way-back-schema-changed"], "block")
        self.assertTrue(takes_writes(self.source))

    def test_a_schema_that_changes_before_the_hold_or_within_it(self):
        """on-hold runs between PREPARE and HOLD: the first attempt sees another schema within the hold, the second before it."""
        pipeline = self.streaming(hooks={"on-hold": '#!/bin/sh\n[ -e altered ] || psql "$(cat url)" -qc "ALTER TABLE account ADD extra int DEFAULT 5" > said 2>&1\ntouch altered\n'}, start=False)
        config = pathlib.Path(pipeline.base) / "tidegate.toml"   # else the watch may come first, and the journal grows within the hold
        config.write_text(config.read_text().replace("[source]\n", '[source]\nschema_poll = "1h"\n'))
        pipeline.start().wait_phase("streaming", timeout=WAIT)
        verified(pipeline)
        (pathlib.Path(pipeline.base) / "url").write_text(self.source.url)
        hook = pathlib.Path(pipeline.base) / "hooks" / "on-hold"
        hook.write_text(hook.read_text().replace("altered", f"{pipeline.base}/altered").replace("cat url", f"cat {pipeline.base}/url")
                        .replace("> said", f"> {pipeline.base}/said"))
        ended = with_way_back(pipeline, code=1)
        self.assertEqual(ended["outcome"], "aborted")
        self.assertIn("schema", ended["reason"])
        self.assertTrue(takes_writes(self.source))
        self.assertFalse(takes_writes(self.target))

    def test_a_trigger_that_would_fire_twice_leaves_a_cutover_without_a_way_back(self):
        pipeline = self.streaming()
        self.source.execute("ALTER TABLE ledger ENABLE ALWAYS TRIGGER counted")
        self.assertEqual(self.codes(pipeline, code=2)["legacy-trigger-always"], "block")
        self.assertNotIn("block", self.codes(pipeline, "--no-way-back", code=0).values())
        self.assertEqual(forward(pipeline)["outcome"], "done")
        self.assert_live(pipeline, "target")
        self.assertEqual(self.codes(pipeline, code=2, verb="rollback")["no-way-back"], "block")

    def test_what_the_legacy_role_must_be_allowed(self):
        with PostgresSource() as server:
            server.run("CREATE TABLE item(id int PRIMARY KEY)")
            self.source, self.target = servers().databases("cut")
            pipeline = configure(Tidegate(server.url, self.target.url), consent=CONSENT)
            self.addCleanup(self.end, pipeline)
            pipeline.start().wait_phase("streaming", timeout=WAIT)
            verified(pipeline)
            found = {finding["code"]: finding for finding in cutover(pipeline, "--dry-run", code=2)["findings"]}
            self.assertIn("GRANT SET ON PARAMETER session_replication_role", found["legacy-not-writable"]["mend"])
            admin = server.admin()
            admin.autocommit = True
            admin.cursor().execute("GRANT SET ON PARAMETER session_replication_role TO app; ALTER TABLE item OWNER TO admin; GRANT ALL ON item TO app")
            self.assertIn("source-not-fenceable", self.codes(pipeline, code=2))
            admin.cursor().execute("ALTER TABLE item OWNER TO app; REVOKE CREATE ON DATABASE app FROM app; ALTER DATABASE app OWNER TO admin")
            self.assertIn("source-not-fenceable", self.codes(pipeline, code=2))
            admin.cursor().execute("GRANT CREATE ON DATABASE app TO app")
            admin.close()
            self.assertNotIn("block", self.codes(pipeline, code=0).values())
            pipeline.kill()

    def test_a_write_past_the_fence_blocks_the_rollback(self):
        pipeline = self.streaming()
        with_way_back(pipeline)
        self.source.execute("SET session_replication_role = replica; INSERT INTO account(id) VALUES (900)")
        status = pipeline.wait_status(lambda status: any(error["code"] == "fence-passed" for error in status["errors"]), WAIT, "the report")
        self.assertFalse(status["rollback"]["ready"])
        self.assertEqual(self.codes(pipeline, code=2, verb="rollback")["fence-passed"], "block")
        self.assertEqual(rollback(pipeline, code=2)["outcome"], "refused")
        self.assert_live(pipeline, "target")
        pipeline.restart().wait_status(lambda status: any(error["code"] == "fence-passed" for error in status["errors"]), WAIT, "the same report")
        self.source.execute("DROP TRIGGER _tidegate_fence ON bag")
        pipeline.wait_status(lambda status: any(error["code"] == "fence-broken" for error in status["errors"]), WAIT, "the broken fence")
        self.assertEqual(self.codes(pipeline, code=2, verb="rollback")["fence-broken"], "block")
        pipeline.restart().wait_status(lambda status: not any(error["code"] == "fence-broken" for error in status["errors"]), WAIT, "the fence")
        pipeline.wait_status(lambda status: status["rollback"]["lag_seconds"] is not None, WAIT, "the way back")
        self.assertEqual(rollback(pipeline, "--accept-loss")["outcome"], "done")
        self.assert_live(pipeline, "source")
        self.followed(pipeline)
        self.assertEqual(self.target.execute("SELECT 1 FROM account WHERE id = 900"), [(1,)], "what was written past the fence is live")
        self.assertNotIn("fence-passed", [error["code"] for error in pipeline.status()["errors"]])

    def test_a_write_past_the_fence_within_the_rollback(self):
        """After its GUARD: PROVE sees it."""
        hook = '#!/bin/sh\n[ "$TIDEGATE_DIRECTION" = backward ] || exit 0\npsql "$(cat BASE/url)" -qc "SET session_replication_role = replica; INSERT INTO account(id) VALUES (901)" > BASE/said 2>&1\nexit 0\n'
        pipeline = self.streaming(hooks={"on-hold": hook})
        (pathlib.Path(pipeline.base) / "url").write_text(self.source.url)
        file = pathlib.Path(pipeline.base) / "hooks" / "on-hold"
        file.write_text(hook.replace("BASE", str(pipeline.base)))
        with_way_back(pipeline)
        pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
        ended = rollback(pipeline, code=1)
        self.assertEqual(ended["outcome"], "aborted")
        self.assertIn("past its fence", ended["reason"])
        self.assert_live(pipeline, "target")


class Sequences(Scenario):
    """Both sides have tables of their own making, with sequences of other names."""
    SOURCE = """CREATE TABLE customer(id serial PRIMARY KEY, t text); ALTER TABLE customer RENAME TO users;
        CREATE SEQUENCE invoice_no; CREATE TABLE inv(no bigint PRIMARY KEY DEFAULT nextval('invoice_no'), t text);
        CREATE SEQUENCE shared; CREATE TABLE one(id bigint PRIMARY KEY DEFAULT nextval('shared'));
        CREATE TABLE two(id bigint PRIMARY KEY DEFAULT nextval('shared'));
        INSERT INTO users(t) SELECT 'u' FROM generate_series(1, 50); INSERT INTO inv(t) SELECT 'i' FROM generate_series(1, 70);
        INSERT INTO one DEFAULT VALUES; INSERT INTO two DEFAULT VALUES"""
    TARGET = """CREATE TABLE users(id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, t text);
        CREATE SEQUENCE number_of_invoices; CREATE TABLE inv(no bigint PRIMARY KEY DEFAULT nextval('number_of_invoices'), t text);
        CREATE TABLE one(id bigserial PRIMARY KEY); CREATE TABLE two(id bigserial PRIMARY KEY);
        CREATE SEQUENCE customer_id_seq; SELECT setval('customer_id_seq', 900)"""

    def begin(self, target=TARGET):
        self.source, self.target = servers().databases("cut")
        self.source.execute(self.SOURCE)
        self.target.execute(target)
        pipeline = configure(Tidegate(*self.urls()), consent=CONSENT)
        self.addCleanup(self.end, pipeline)
        config = pathlib.Path(pipeline.base) / "tidegate.toml"
        config.write_text(config.read_text() + '[target]\nschema = "existing"\n')
        pipeline.start().wait_phase("streaming", timeout=WAIT)
        verified(pipeline)
        return pipeline

    def test_they_go_on_whatever_their_names(self):
        pipeline = self.begin()
        new = "INSERT INTO users(t) VALUES ('new') RETURNING id", "INSERT INTO inv(t) VALUES ('new') RETURNING no", \
              "INSERT INTO one DEFAULT VALUES RETURNING id", "INSERT INTO two DEFAULT VALUES RETURNING id"
        with_way_back(pipeline)
        self.assertEqual([self.target.execute(sql) for sql in new], [[(51,)], [(71,)], [(3,)], [(3,)]])
        self.assertEqual(self.target.execute("SELECT last_value FROM customer_id_seq"), [(900,)], "another table's stays")
        rollback(pipeline)
        self.assertEqual([self.source.execute(sql) for sql in new], [[(52,)], [(72,)], [(4,)], [(5,)]])
        pipeline.sync(timeout=WAIT)
        self.assert_same()

    def test_one_that_is_not_found_blocks_both_ways(self):
        pipeline = self.begin(self.TARGET.replace("no bigint PRIMARY KEY DEFAULT nextval('number_of_invoices')", "no bigint PRIMARY KEY"))
        self.assertEqual(self.codes(pipeline, code=2)["sequence-unknown"], "block")
        self.assertEqual(with_way_back(pipeline, code=2)["outcome"], "refused")
        self.target.execute("ALTER TABLE inv ALTER no SET DEFAULT nextval('number_of_invoices')")
        self.assertNotIn("sequence-unknown", self.codes(pipeline, code=0))
        with_way_back(pipeline)
        self.source.execute("ALTER TABLE inv ALTER no DROP DEFAULT")
        self.assertEqual(self.codes(pipeline, code=2, verb="rollback")["sequence-unknown"], "block")
        self.source.execute("ALTER TABLE inv ALTER no SET DEFAULT nextval('invoice_no')")
        self.assertEqual(rollback(pipeline)["outcome"], "done")


class Finalize(Scenario):
    def finalize(self, pipeline, *words, failpoint=None):
        program = BIN / ("tidegate-fault" if failpoint else "tidegate")
        return subprocess.run([program, "finalize", *words, *pipeline.flags[1:], "--state", str(pipeline.state)],
                              env=pipeline.env(failpoint), cwd=pipeline.base, capture_output=True, text=True, timeout=120, check=False)

    def test_the_legacy_database_is_gone(self):
        pipeline = self.streaming()
        with_way_back(pipeline)
        pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
        done = self.finalize(pipeline, "--legacy-gone", "--dry-run")
        self.assertEqual((done.returncode, "is there" in done.stdout), (2, True), done)
        pipeline.stop()
        name = self.name_in(pipeline)
        nowhere = ["--source", f"postgresql://postgres@127.0.0.1:1/{self.source.execute('SELECT current_database()')[0][0]}"]
        done = self.finalize(pipeline, *nowhere, "--dry-run")
        self.assertEqual((done.returncode, "--legacy-gone" in done.stdout), (2, True), done)
        self.assertEqual(self.finalize(pipeline, *nowhere, "--legacy-gone", "--confirm", name, failpoint="finalize-begun").returncode, -9)
        done = self.finalize(pipeline, *nowhere, "--legacy-gone", "--confirm", name)
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("is not cleaned: its fence, the slot ", done.stdout)
        self.assertEqual(self.target.execute("SELECT nspname FROM pg_namespace WHERE nspname = 'tidegate'"), [])
        self.assertEqual(self.target.execute("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()"), [])
        self.assertTrue(takes_writes(self.target))
        self.assertFalse(takes_writes(self.source))

    def name_in(self, pipeline):
        return json.loads(pipeline.verb("status", "--json").out)["pipeline"]

    def failpoints(self):
        """In the order of README.md; those of the way back stand for its whole removal."""
        names = ["finalize-exported", "finalize-begun", "back-after-slot-dropped", "finalize-way-back-gone"]
        for file in ("apply/postgres/target_cleaning.cpp", "replicator/cutover/finalize.cpp", "replicator/cutover/postgres_legacy.cpp"):
            names += re.findall(r'\bfailpoint\("(finalize-[^"]+)"\)', (ROOT / file).read_text())
        names = list(dict.fromkeys(names))
        return names if LONG else random.Random(SEED).sample(names, SOME)

    def test_both_databases_are_clean_after_kills(self):
        pipeline = self.streaming()
        with_way_back(pipeline)
        pipeline.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")
        self.followed(pipeline)
        name = name_of(pipeline)
        other = self.source.connect()
        self.assertIn("source-open-by", self.finalize(pipeline, "--dry-run").stdout)
        other.close()
        wait_until(lambda: self.finalize(pipeline, "--dry-run").returncode == 0, "nobody is connected")
        for failpoint in self.failpoints():
            done = self.finalize(pipeline, "--confirm", name, failpoint=failpoint)
            self.assertIn(done.returncode, (-9, 0), done.stdout + done.stderr)
        done = self.finalize(pipeline, "--confirm", name)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for database in (self.source, self.target):
            self.assertEqual(database.execute("SELECT nspname FROM pg_namespace WHERE nspname = 'tidegate'"), [])
            self.assertEqual(database.execute("SELECT tgname FROM pg_trigger WHERE tgname LIKE '%tidegate%'"), [])
            self.assertEqual(database.execute("SELECT pubname FROM pg_publication"), [])
            self.assertEqual(database.execute("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()"), [])
            self.assertTrue(takes_writes(database))
        self.assertEqual(json.loads(pipeline.verb("status", "--json").out)["phase"], "finalized")


if __name__ == "__main__":
    unittest.main()
