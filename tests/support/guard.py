"""Ends what a test started, however the test ends.

A helper process of its own session waits on a pipe from the test. When the test is gone, even by SIGKILL, the pipe closes, and
the helper kills the processes and runs the commands that are still registered, latest first."""
import json
import os
import pathlib
import signal
import subprocess
import sys

START_TIME = 19   # field 22 of /proc/PID/stat, counted from the one after the name


def start_time(pid):
    """Tells a process from a later one with the same number; None if it is gone."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[START_TIME]


class Guard:
    """One per test process, made when it is first needed."""

    def __init__(self):
        self.helper, self.number = None, 0

    def kill_later(self, pid):
        """Registers a process; returns a handle for forget()."""
        return self._tell({"pid": pid, "born": start_time(pid)})

    def run_later(self, *command):
        """Registers a command; returns a handle for forget()."""
        return self._tell({"run": [str(part) for part in command]})

    def forget(self, handle):
        if handle is not None:
            self._send({"forget": handle})

    def end(self, process, handle):
        """Kills a process that was started with kill_later() and waits for it; harmless where there is none."""
        if process:
            process.kill()
            process.wait(10)
        self.forget(handle)

    def _tell(self, entry):
        self.number += 1
        self._send({"id": self.number, **entry})
        return self.number

    def _send(self, entry):
        if self.helper is None:
            # setsid --fork: out of reach of a signal to the test's process group, and no descendant of the test.
            self.helper = subprocess.Popen(["setsid", "--fork", sys.executable, __file__], stdin=subprocess.PIPE,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.helper.wait()
        self.helper.stdin.write(json.dumps(entry).encode() + b"\n")
        self.helper.stdin.flush()


def end(entry):
    if "pid" in entry:
        if entry["born"] is not None and start_time(entry["pid"]) == entry["born"]:
            os.kill(entry["pid"], signal.SIGKILL)
    else:
        subprocess.run(entry["run"], stdin=subprocess.DEVNULL, check=False, timeout=60)


def main():
    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, signal.SIG_IGN)
    entries = {}
    for line in sys.stdin:
        entry = json.loads(line)
        if "forget" in entry:
            entries.pop(entry["forget"], None)
        else:
            entries[entry["id"]] = entry
    for entry in reversed(entries.values()):
        try:
            end(entry)
        except (OSError, subprocess.SubprocessError):
            pass


guard = Guard()

if __name__ == "__main__":
    main()
