import time

import psycopg2

from support.target import PAST_THE_FENCE

TABLES = {"always": 1, "by_default": 1, "serials": 1, "down": -1, "shares": 1, "shares_too": 1, "odd": 1}


def next_is_free(case, table, direction):
    """Whether the target's next id is beyond all that the source has given out."""
    last = case.source.execute(f"SELECT {'max' if direction > 0 else 'min'}(id) FROM {table}")[0][0]
    try:
        mine = case.target.execute(PAST_THE_FENCE + f"INSERT INTO {table} (v) VALUES ('target') RETURNING id")[0][0]
    except psycopg2.errors.UniqueViolation:
        return False
    case.target.execute(PAST_THE_FENCE + f"DELETE FROM {table} WHERE id = {mine}")
    return direction * mine > direction * last


def check(case):
    """They are lifted every ten seconds; an application that moves over begins there."""
    deadline, left = time.monotonic() + 40, TABLES
    while left and time.monotonic() < deadline:
        time.sleep(1)
        left = {table: direction for table, direction in left.items() if not next_is_free(case, table, direction)}
    case.assertEqual(left, {})
