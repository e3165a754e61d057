import contextlib
import threading

CONFIG = '[source]\nschema_poll = "500ms"\n'

HALF = 25000   # more changes than one part of the journal takes


def before(case):
    """A shape that changes in the middle of a transaction of several parts does not make its first half visible."""
    seen, done = set(), threading.Event()
    watcher = threading.Thread(target=watch, args=(case, seen, done))
    watcher.start()
    try:
        case.source.execute(f"INSERT INTO whole SELECT generate_series(1, {HALF}); ALTER TABLE whole ADD COLUMN c int;"
                            f"INSERT INTO whole SELECT n, n FROM generate_series({HALF + 1}, {2 * HALF}) n")
        case.tide.sync(100)
    finally:
        done.set()
        watcher.join()
    case.assertEqual(seen - {0}, {2 * HALF})


def watch(case, seen, done):
    with contextlib.closing(case.target.connect()) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        while not done.wait(0.002):
            cursor.execute("SELECT count(*) FROM whole")
            seen.add(cursor.fetchone()[0])
        cursor.execute("SELECT count(*) FROM whole")
        seen.add(cursor.fetchone()[0])


def check(case):
    """The server did stream, or this tested nothing."""
    streamed = case.source.execute("SELECT sum(stream_txns) FROM pg_stat_replication_slots s JOIN pg_replication_slots r USING (slot_name) "
                                   "WHERE r.database = current_database()")
    case.assertGreater(streamed[0][0] or 0, 0)
