CONFIG = '[target]\nschema = "existing"\n'
EXCEPT = ["person", "visit", "line"]
COMPARE = ["SELECT id, name, email, score, extra::text FROM public.person ORDER BY id", "SELECT person_id, at::text, note FROM public.visit ORDER BY 1, 2",
           "SELECT a, b FROM public.line ORDER BY 1, 2"]


def check(case):
    """What only the target has was filled by the target."""
    case.assertEqual(case.target.execute("SELECT count(*) FROM person WHERE made_at IS NULL OR note <> 'none' OR shout <> upper(name)"), [(0,)])
