"""An application on Postgres that writes without pause: several sessions, each transaction touching tables of every kind that the way back
has to carry, and an account of what was acknowledged."""
import itertools
import threading
import time

import psycopg2

# The legacy database's trigger counts the ledger's rows; triggers are not carried over, so on the target the application counts them itself.
# Were the trigger to fire for rows that come back, or not for others, balance and rows would differ.
SCHEMA = """
CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL DEFAULT 0, note text);
ALTER TABLE account ALTER note SET STORAGE EXTERNAL;
CREATE TABLE marker (token text PRIMARY KEY);
CREATE TABLE ledger (id bigserial PRIMARY KEY, token text NOT NULL UNIQUE, side text NOT NULL);
CREATE TABLE child (id serial PRIMARY KEY, ledger_id bigint NOT NULL REFERENCES ledger ON DELETE CASCADE);
CREATE TABLE moves (a int, b int, body text, PRIMARY KEY (b, a));
CREATE TABLE bag (word text, number float8);
ALTER TABLE bag REPLICA IDENTITY FULL;
CREATE TABLE loose (word text);
CREATE TABLE ticket (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, price numeric(10, 2), twice numeric GENERATED ALWAYS AS (price * 2) STORED);
CREATE TABLE diary (day date NOT NULL, id bigint NOT NULL, body text, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
CREATE TABLE diary_1 PARTITION OF diary FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE diary_2 PARTITION OF diary FOR VALUES FROM ('2026-07-01') TO ('2027-01-01');
CREATE FUNCTION count_ledger() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN UPDATE public.account SET balance = balance + 1 WHERE id = 0; RETURN NULL; END $$;
CREATE TRIGGER counted AFTER INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION count_ledger();
INSERT INTO account SELECT n, 0, repeat(md5(n::text), 200) FROM generate_series(0, 20) n;
INSERT INTO moves SELECT n, n % 3, 'first' FROM generate_series(1, 50) n;
INSERT INTO bag SELECT 'word ' || n % 3, n FROM generate_series(1, 20) n;
"""
PROBE = "INSERT INTO account(id) VALUES (-1)"


def takes_writes(database):
    """Tried in a transaction that is rolled back."""
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
            cursor.execute(PROBE)
        return True
    except psycopg2.errors.ReadOnlySqlTransaction:
        return False
    finally:
        connection.rollback()
        connection.close()


class Writers:
    """`sessions` of them on one database, until stop(). Tokens are never used twice, whatever writes them."""

    numbers = itertools.count(1)

    def __init__(self, database, side, sessions=3, pause=0.004):
        self.database, self.side, self.pause = database, side, pause
        self.stopping, self.lock = threading.Event(), threading.Lock()
        self.acknowledged, self.waits, self.refused = [], [], {}
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(sessions)]
        for thread in self.threads:
            thread.start()

    def run(self, session):
        connection = self.database.connect()
        counts = not self.database.execute("SELECT 1 FROM pg_trigger WHERE tgname = 'counted'")
        while not self.stopping.is_set():
            with self.lock:
                number = next(Writers.numbers)
            token, began = f"{self.side} {number}", time.monotonic()
            try:
                with connection.cursor() as cursor:
                    self.transaction(cursor, token, number, session)
                    if counts:
                        cursor.execute("UPDATE account SET balance = balance + 1 WHERE id = 0")
                connection.commit()
                with self.lock:
                    self.acknowledged.append(token)
                    self.waits.append(time.monotonic() - began)
            except psycopg2.Error as error:
                with self.lock:
                    self.refused[error.pgcode] = self.refused.get(error.pgcode, 0) + 1
                connection.rollback()
                time.sleep(0.05)
            time.sleep(self.pause)
        connection.close()

    def transaction(self, cursor, token, number, session):
        """The busiest row last, so that nobody holds it for long."""
        day = f"2026-{number % 12 + 1:02}-01"
        cursor.execute("INSERT INTO moves VALUES (%s, %s, %s) ON CONFLICT (b, a) DO UPDATE SET body = excluded.body", (session, number % 5, token))
        cursor.execute("UPDATE moves SET b = b + 100 WHERE a = %s AND b = %s AND NOT EXISTS (SELECT FROM moves WHERE (b, a) = (%s, %s))",
                       (session, number % 5, number % 5 + 100, session))
        cursor.execute("INSERT INTO bag VALUES (%s, %s)", (f"session {session}", number / 3))
        cursor.execute("DELETE FROM bag WHERE ctid = (SELECT ctid FROM bag WHERE word = %s LIMIT 1)", (f"session {session}",))
        cursor.execute("INSERT INTO loose VALUES (%s)", (token,))
        cursor.execute("INSERT INTO ticket(price) VALUES (%s)", (number / 4,))
        cursor.execute("INSERT INTO diary VALUES (%s, %s, %s)", (day, number, token))
        cursor.execute("UPDATE account SET balance = balance + 1 WHERE id = %s", (session + 1,))
        cursor.execute("INSERT INTO ledger(token, side) VALUES (%s, %s) RETURNING id", (token, self.side))
        cursor.execute("INSERT INTO child(ledger_id) VALUES (%s)", cursor.fetchone())

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
        return self

    def longest_waits(self):
        """The distribution of what a transaction took, in milliseconds."""
        waits = sorted(self.waits)
        at = lambda share: round(1000 * waits[min(len(waits) - 1, int(len(waits) * share))])   # noqa: E731
        return f"{len(waits)} transactions, p50 {at(0.5)} ms, p99 {at(0.99)} ms, longest {at(1)} ms"


def account_for(test, database, *writers):
    """Each acknowledged token is there, and nothing else but what earlier writers left; the application's trigger fired once for each."""
    tokens = {token for token, in database.execute("SELECT token FROM ledger")}
    for writer in writers:
        test.assertEqual({token for token in tokens if token.split()[0] == writer.side}, set(writer.acknowledged))
    rows, counted = database.execute("SELECT (SELECT count(*) FROM ledger), (SELECT balance FROM account WHERE id = 0)")[0]
    test.assertEqual(counted, rows, "the application's trigger fired once for each row")
