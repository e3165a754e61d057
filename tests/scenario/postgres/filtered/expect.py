CONFIG = """
[target]
schema = "existing"
[[map]]
from = "public.person"
where = "active"
[[map.to]]
table = "public.person"
columns = { id = "id", name = "name", score = "score", big = "big" }
"""
EXCEPT = ["person"]
COLUMNS = "SELECT id, name, score::text, big FROM public.person"


def before(case):
    case.assertEqual(case.target.execute(COLUMNS + " ORDER BY id"), case.source.execute(COLUMNS + " WHERE active ORDER BY id"))


check = before
