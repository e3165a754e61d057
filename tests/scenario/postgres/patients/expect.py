COLUMNS = """SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid)
  FROM pg_attribute a LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
 WHERE a.attrelid = 'public.patients'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
CONSTRAINTS = "SELECT conname, contype, convalidated, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'public.patients'::regclass ORDER BY 1"
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'patients' ORDER BY 1"
CHECKPOINTS = """SELECT table_name, status, records_migrated, batch_number, last_key, last_record_id FROM tidegate.migration_checkpoints ORDER BY 1"""
PATIENTS = 250000


def before(case):
    """How far the copy came, as its operator reads it."""
    empty, patients, wards = case.target.execute(CHECKPOINTS)
    case.assertEqual(empty[:4], ("public.empty_ward", "completed", 0, 1))
    case.assertEqual(patients[:3], ("public.patients", "completed", PATIENTS))
    case.assertGreater(patients[3], 1)
    case.assertEqual(patients[4:], (f'["{PATIENTS}"]', PATIENTS))
    case.assertEqual(wards, ("public.wards", "completed", 40, 1, '["W040"]', None))


def check(case):
    for query in (COLUMNS, CONSTRAINTS, INDEXES):
        case.assert_same(query)
