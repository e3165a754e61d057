import contextlib

LIMIT = 256 << 10
CONFIG = f'[source]\nspool_limit = "{LIMIT >> 10}KiB"\n'


def size(folder):
    total = 0
    for file in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def before(case):
    """It is reported, the disk that they take is bounded, and nobody waits for them."""
    spool, most = case.tide.state / "spool", 0
    holder = case.source.connect()
    with holder.cursor() as cursor:
        for part in range(6):
            cursor.execute(f"INSERT INTO big SELECT n, repeat('v', 60) FROM generate_series({part * 2000}, {part * 2000 + 1999}) n")
            most = max(most, size(spool))
        case.tide.wait_status(lambda status: any(error["code"] == "spool-full" and "more than [source] spool_limit (262144 bytes)" in error["message"] for error in status["errors"]), what="the report")
        case.source.execute("INSERT INTO beside SELECT generate_series(1, 100)")
        case.tide.sync(100)
        case.assertEqual(case.target.execute("SELECT (SELECT count(*) FROM beside), (SELECT count(*) FROM big)"), [(100, 0)])
        case.assertEqual(list(spool.iterdir()), [])
        cursor.execute("SAVEPOINT s; UPDATE big SET v = 'lost'; ROLLBACK TO s; DELETE FROM big WHERE id % 3 = 0")
    holder.commit()
    holder.close()
    case.assertLessEqual(most, LIMIT)
