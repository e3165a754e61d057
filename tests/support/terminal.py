"""What a program says in a terminal of its own."""
import os
import select
import time


def read_until(test, terminal, words, timeout=60):
    """All that came until `words` did; else the test fails and shows what came."""
    text, deadline = "", time.monotonic() + timeout
    while words not in text:
        ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            test.fail(f"no {words!r} in {text!r}")
        try:
            text += os.read(terminal, 4096).decode(errors="replace")
        except OSError:
            test.fail(f"the terminal closed before {words!r}: {text!r}")
    return text
