"""What a kill scenario with a Postgres source needs: two servers, pgbench and a script of hard cases as the load, pipelines from
copies of one database, and the judgement at the end of a round."""
import pathlib
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from stage import LONG, SEED, WAIT, check_position   # noqa: E402
from proxy import wait_until                         # noqa: E402
from support.guard import guard                      # noqa: E402
from support.pgsource import Pair, differences, tables_of       # noqa: E402
from support.tidegate import Tidegate                # noqa: E402

SCALE = 20 if LONG else 2
CLIENTS, RATE = 4, 240
RESTART_LSN_PATIENCE = 45   # seconds: the server writes down every 15 s what it would need to begin from there
LOAD_NAME = "legacy-load"

# pgbench_history has no key: tidegate is allowed to give it REPLICA IDENTITY FULL.
TABLES = """
CREATE TABLE notes (id bigint PRIMARY KEY, body text, n int NOT NULL DEFAULT 0, tag text UNIQUE);
ALTER TABLE notes ALTER body SET STORAGE EXTERNAL;
CREATE TABLE moves (a int, b int, body text, n int, PRIMARY KEY (b, a));
ALTER TABLE moves ALTER body SET STORAGE EXTERNAL;
CREATE TABLE bag (client int, word text, number float8);
ALTER TABLE bag REPLICA IDENTITY FULL;
CREATE TABLE wide (id int PRIMARY KEY, word text);
CREATE TABLE emptied (id serial PRIMARY KEY, client int);
CREATE TABLE ballast (id bigint PRIMARY KEY, word text NOT NULL, number numeric);
INSERT INTO notes SELECT client * 1000 + n, repeat(md5(n::text), 100), 0, client || '/' || n
  FROM generate_series(0, 3) client, generate_series(1, 200) n;
INSERT INTO moves SELECT client, n, repeat(md5(n::text), 100), 0 FROM generate_series(0, 3) client, generate_series(1, 200) n;
INSERT INTO bag SELECT n % 4, 'word ' || n % 3, 'NaN' FROM generate_series(1, 100) n;
INSERT INTO ballast SELECT n, 'word ' || n, n / 8.0 FROM generate_series(1, 60000) n;
"""

# Each client has rows of its own, so that no statement of it fails. Values out of line that an UPDATE leaves alone do not come in
# the stream; keys change with and without them, and are exchanged; unique values go from row to row; in bag rows are equal.
SCRIPT = r"""
\set one :client_id * 1000 + random(1, 250)
\set two :client_id * 1000 + random(1, 250)
\set a random(1, 250)
\set b random(1, 250)
\set word random(1, 5)
\set seed random(1, 1000000000)
\set kind random(1, 10)
BEGIN;
INSERT INTO notes (id, body, n) VALUES (:one, repeat(md5(:seed::text), 100), 1) ON CONFLICT (id) DO UPDATE SET n = notes.n + 1;
\if :kind = 1
UPDATE notes SET body = repeat(md5(:seed::text), 120) WHERE id = :two;
DELETE FROM notes WHERE id = - :one;
UPDATE notes SET id = - id WHERE id = :one;
\endif
\if :kind = 2
DELETE FROM notes WHERE id IN (:two, - :two);
\endif
\if :kind = 3
UPDATE notes SET tag = NULL WHERE tag = :client_id || '/' || :a;
UPDATE notes SET tag = :client_id || '/' || :a WHERE id = :two;
\endif
\if :kind = 4
UPDATE moves SET b = 0 WHERE (a, b) = (:client_id, :a);
UPDATE moves SET b = :a WHERE (a, b) = (:client_id, :b);
UPDATE moves SET b = :b, n = n + 1 WHERE (a, b) = (:client_id, 0);
\endif
\if :kind = 5
INSERT INTO moves VALUES (:client_id, :a, repeat(md5(:seed::text), 100), 1) ON CONFLICT (b, a) DO UPDATE SET body = excluded.body;
\endif
\if :kind = 6
DELETE FROM moves WHERE (a, b) = (:client_id, :b);
SAVEPOINT s;
INSERT INTO moves VALUES (:client_id, :b, 'never', 0);
ROLLBACK TO s;
\endif
INSERT INTO bag VALUES (:client_id, 'word ' || :word, :word / 3.0);
DELETE FROM bag WHERE ctid = (SELECT ctid FROM bag WHERE client = :client_id LIMIT 1);
UPDATE bag SET number = number + 1 WHERE ctid = (SELECT ctid FROM bag WHERE client = :client_id AND word = 'word 1' LIMIT 1);
INSERT INTO emptied (client) VALUES (:client_id);
\if :kind = 7
UPDATE ballast SET number = number + 1 WHERE id BETWEEN :seed % 60000 AND :seed % 60000 + 60 AND id % 4 = :client_id;
\endif
\if :kind = 8
DELETE FROM ballast WHERE id = :seed % 15000 * 4 + :client_id;
\endif
\if :kind = 9
ROLLBACK;
\else
COMMIT;
\endif
"""

# What the load alone does not make: transactions that do not fit into one batch, TRUNCATE, one that moves many keys.
STIMULI = [
    ["DELETE FROM wide", "INSERT INTO wide SELECT n, 'w' || n FROM generate_series(1, 24000) n", "UPDATE wide SET word = word || 'x'"],
    ["TRUNCATE emptied", "INSERT INTO emptied (client) VALUES (9)", "TRUNCATE emptied RESTART IDENTITY"],
    ["UPDATE wide SET id = id + 100000"],
    ["TRUNCATE wide, emptied", "INSERT INTO wide VALUES (1, 'first')"],
]


class Load:
    """pgbench in the background, begun again where the source was restarted under it. Each statement must succeed."""

    def __init__(self, database, script, rng):
        self.database, self.script, self.seed = database, script, rng.randrange(10**9)
        self.stopping, self.said, self.process = threading.Event(), [], None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping.is_set():
            began = time.monotonic()
            self.process = subprocess.Popen(
                ["pgbench", "-n", "-c", str(CLIENTS), "-j", "2", "-T", "36000", "-R", str(RATE), "--random-seed", str(self.seed),
                 "-b", "tpcb-like@1", "-f", f"{self.script}@2"],
                env={**self.database.env(), "PGAPPNAME": LOAD_NAME}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            handle = guard.kill_later(self.process.pid)
            said = self.process.communicate()[1]
            guard.forget(handle)
            self.said.append(said)
            if time.monotonic() - began < 1:
                self.stopping.wait(0.2)

    def stop(self):
        """Returns what pgbench had to say of failed statements."""
        self.stopping.set()
        while self.thread.is_alive():
            if self.process:
                self.process.terminate()
            self.thread.join(0.2)
        wait_until(lambda: not self.database.execute("SELECT FROM pg_stat_activity WHERE application_name = %s AND datname = %s",
                                                     (LOAD_NAME, self.database.name)), "the load's sessions end")
        return [line for text in self.said for line in text.splitlines() if "error" in line.lower() or "fatal" in line]


class PgStage:
    """Source and target servers, and one database that all rounds begin with. Ended by close(), which is safe at any point."""

    def __init__(self, folder):
        self.rng, self.pair, self.made, self.loads = random.Random(SEED), Pair(), [], []
        self.script = pathlib.Path(folder) / "hard.sql"
        self.script.write_text(SCRIPT)
        try:
            self.base, unused = self.pair.databases("base")
            unused.drop()
            self.base.run("pgbench", "-i", "-q", "-s", str(SCALE))
            self.base.execute(TABLES)
        except BaseException:
            self.close()
            raise

    def close(self):
        self.drop()
        self.pair.close()

    def pipeline(self):
        """(source, pipeline that is not started), both with fresh databases."""
        source, target = self.pair.databases("round", template=self.base.name)
        tide = Tidegate(source.url, target.url, flags=["--allow-identity-full"])
        self.made.append((source, target, tide))
        return source, target, tide

    def load(self, source):
        self.loads.append(Load(source, self.script, self.rng))
        return self.loads[-1]

    def drop(self):
        """All databases of rounds, and what works on them."""
        for load in self.loads:
            load.stop()
        for _, _, tide in self.made:
            tide.__exit__()
        for source, target, _ in self.made:
            source.drop()
            target.drop()
        self.loads, self.made = [], []

    def pause(self, most):
        time.sleep(self.rng.random() * most)


def transaction(source, *statements):
    """What another program of the owner does, as one transaction."""
    connection = source.connect()
    try:
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()


def slot_positions(source):
    """(restart, confirmed) of the pipeline's slot, as bytes from the log's beginning; None while there is none."""
    found = source.execute("""SELECT restart_lsn - '0/0', confirmed_flush_lsn - '0/0' FROM pg_replication_slots
                              WHERE database = %s AND NOT temporary""", (source.name,))
    return found[0] if found else None


def wait_for_all_tables(source, tide):
    """None is being copied again, and a new one was taken in."""
    connection = source.connect()
    wanted = {f"{schema}.{table}" for schema, table in tables_of(connection)}
    connection.close()
    tide.wait_status(lambda status: {each["source"] for each in status["tables"] if each["state"] == "streaming"} == wanted, timeout=WAIT,
                     what="all tables stream")


def judge(test, source, target, tide, load, before, forgiving=False):
    """The end of a round: no statement of the application failed, both ends hold the same rows, and the source keeps no more of its
    log than it must. `before`: slot_positions() of some time ago; `forgiving`: the source was restarted, which fails statements."""
    failed = load.stop() if load else []
    if not forgiving:
        test.assertEqual(failed, [])
    tide.wait_phase("streaming", timeout=WAIT)
    wait_for_all_tables(source, tide)
    tide.sync(timeout=WAIT)
    test.assertEqual(differences(source, target), [], tide.log[-2000:])
    test.assertEqual(tide.status()["quarantined"], 0, tide.log[-2000:])
    connection = target.connect()
    try:
        check_position(test, tide, connection)
    finally:
        connection.close()
    if before:
        wait_until(lambda: slot_positions(source)[1] > before[1], "the slot is confirmed further on")
        test.assertGreaterEqual(slot_positions(source)[0], before[0])


def check_wal_is_released(source, before):
    deadline = time.monotonic() + RESTART_LSN_PATIENCE
    while slot_positions(source)[0] <= before[0]:
        if time.monotonic() > deadline:
            raise AssertionError(f"restart_lsn stays at {before[0]}")
        time.sleep(0.2)
