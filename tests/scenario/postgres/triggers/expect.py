CONFIG = '[target]\nschema = "existing"\n'


def check(case):
    """They are there and would have fired: a session of the application's own makes them."""
    for table in ("account", "audit", "total"):
        case.target.execute(f"DROP TRIGGER _tidegate_fence ON {table}")   # as a cutover does
    before = case.target.execute("SELECT count(*) FROM audit")[0][0]
    case.target.execute("UPDATE account SET balance = 0 WHERE id = 1")
    case.assertEqual(case.target.execute("SELECT count(*) FROM audit")[0][0], before + 1)
