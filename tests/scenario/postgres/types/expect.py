EXCEPT = ["unreadable"]
QUARANTINED = 1


def check(case):
    case.assertEqual(case.target.execute("SELECT id FROM unreadable ORDER BY id"), [(1,), (3,)])
    case.assertEqual(case.target.execute("SELECT source_table, source_key FROM tidegate.quarantine"), [("public.unreadable", '["2"]')])
