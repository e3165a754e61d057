CONFIG = '[source]\nschema_poll = "500ms"\n'


def check(case):
    """The server did stream, or this tested nothing."""
    streamed = case.source.execute("SELECT sum(stream_txns) FROM pg_stat_replication_slots s JOIN pg_replication_slots r USING (slot_name) "
                                   "WHERE r.database = current_database()")
    case.assertGreater(streamed[0][0] or 0, 0)
