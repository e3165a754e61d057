"""How fast a machine can drive the legacy app before tidegate has no room beside it."""
import time

from load import Load

RATES = (500, 400, 300, 240, 200, 160, 130, 100, 80, 60, 40)
IDLE = 0.4       # of all cores is to be left
SECONDS = 5      # for each look


def cpu_times():
    """(idle, all) since the machine started, in ticks, over all cores."""
    with open("/proc/stat", encoding="ascii") as stat:
        times = [int(word) for word in stat.readline().split()[1:9]]
    return times[3] + times[4], sum(times)


def look(app, rate, **options):
    """(requests a second that were answered, share of the machine that was idle)."""
    load = Load(app.url, app.ledger, rate=rate, **options)
    idle, all_ticks = cpu_times()
    load.start()
    time.sleep(SECONDS)
    done = len(load.tally.latency)
    idle_after, all_after = cpu_times()
    load.stop()
    return done / SECONDS, (idle_after - idle) / (all_after - all_ticks)


def highest_rate(app, **options):
    """The highest of RATES that the app keeps up with while IDLE of the machine is idle; the lowest where none does. With what was seen."""
    for rate in RATES:
        done, idle = look(app, rate, **options)
        if done >= 0.9 * rate and idle >= IDLE:
            break
    return rate, f"{done:.0f} requests/s answered, {idle:.0%} of the CPU idle without tidegate"
