"""An application that goes on writing to its SQLite file in the background."""
import sqlite3
import threading
import time


class Writing:
    """`with Writing(path, write) as app`: calls write(connection, n) in a transaction each, for n = 0, 1, ... until the end."""

    def __init__(self, path, write):
        self.path, self.write, self.stopping, self.commits = path, write, threading.Event(), 0
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def run(self):
        connection = sqlite3.connect(self.path, timeout=30)
        while not self.stopping.is_set():
            with connection:
                self.write(connection, self.commits)
            self.commits += 1
            time.sleep(0.004)
        connection.close()
