"""How far the stream falls behind while something else goes on."""
import threading

LOOK_EVERY = 0.2   # seconds


class LagWatch:
    """`with LagWatch(pipeline) as lag`: looks at the status again and again; lag.worst is in seconds."""

    def __init__(self, pipeline):
        self.pipeline, self.worst, self.looks = pipeline, 0.0, 0
        self._over, self._thread = threading.Event(), threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        assert self.looks > 0, "nobody looked at the lag"

    def _watch(self):
        while True:
            status = self.pipeline.status()
            if status:
                self.worst, self.looks = max(self.worst, status["lag"]["seconds"]), self.looks + 1
            if self._over.wait(LOOK_EVERY):
                return
