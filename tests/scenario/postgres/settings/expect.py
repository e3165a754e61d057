import time

from support.target import PAST_THE_FENCE


def before(case):
    """Somebody keeps a table of the target locked for longer than the database gives its sessions; ours wait."""
    connection = case.target.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute(f"SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; {PAST_THE_FENCE}LOCK TABLE public.spelled")
        case.source.execute("SET lock_timeout = 0; UPDATE public.spelled SET t = 'waited' WHERE id = 1")
        time.sleep(6)
    connection.close()


def check(case):
    case.assertNotIn("timeout", case.tide.log)
