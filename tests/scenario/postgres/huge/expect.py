import pathlib

MOST = 256 << 20


def check(case):
    """The daemon's memory at its peak does not follow the transaction's size."""
    status = pathlib.Path(f"/proc/{case.tide.process.pid}/status").read_text()
    peak = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) << 10
    print(f"huge: peak of the daemon's memory {peak >> 20} MiB")
    case.assertLess(peak, MOST)
