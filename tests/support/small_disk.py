"""A small file system of its own, which a test may fill. Needs root; skips where even that may not mount."""
import contextlib
import os
import subprocess

from support.guard import guard


def small_disk(case, place, size, files=None):
    """Mounted at `place` until the test `case` is over; `size` in bytes, and no more than so many `files`."""
    place.mkdir()
    options = f"size={size}" + (f",nr_inodes={files}" if files else "")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=False, capture_output=True).returncode:
        case.skipTest("this machine lets nobody mount")
    case.addCleanup(guard.forget, guard.run_later("umount", "-l", place))
    case.addCleanup(subprocess.run, ["umount", "-l", place], check=False, capture_output=True)
    return place


def fill(place, leave=0):
    """Takes all the space but `leave` bytes, as another program on the machine might; the file that has it."""
    stuff = place / "stuff"
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    with contextlib.suppress(OSError), stuff.open("wb") as file:
        file.write(b"x" * max(0, free - leave))
    return stuff


def take_all_files(place):
    """Empty ones, until there can be no more; the folder that has them."""
    folder = place / "many"
    folder.mkdir()
    with contextlib.suppress(OSError):
        for number in range(1_000_000):
            (folder / str(number)).touch()
    return folder
