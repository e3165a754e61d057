def before(case):
    """Two streamed transactions at once, that commit in the other order; between their parts another one commits."""
    one, two = case.source.connect(), case.source.connect()
    with one.cursor() as first, two.cursor() as second:
        first.execute("INSERT INTO big SELECT n, repeat('one', 10), 1 FROM generate_series(20001, 24000) n")
        second.execute("INSERT INTO big SELECT n, repeat('two', 10), 2 FROM generate_series(30001, 34000) n")
        first.execute("UPDATE big SET v = 'one again' WHERE id BETWEEN 1 AND 2000")
        second.execute("UPDATE big SET v = 'two' WHERE id BETWEEN 2001 AND 4000")
        two.commit()
        case.source.execute("INSERT INTO other VALUES (1, 'between')")
        first.execute("DELETE FROM big WHERE id BETWEEN 30001 AND 32000")
        one.commit()
    one.close()
    two.close()


def check(case):
    """The server did stream, or this tested nothing."""
    streamed = case.source.execute("SELECT sum(stream_txns) FROM pg_stat_replication_slots s JOIN pg_replication_slots r USING (slot_name) "
                                   "WHERE r.database = current_database()")
    case.assertGreater(streamed[0][0] or 0, 0)
