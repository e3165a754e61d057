"""The app after its move: the same code with the target as its database."""
import urllib.parse

from support.legacy import LegacyApp


class NewApp(LegacyApp):
    """Makes no tables. `url`: the target's, as libpq takes it."""

    def __init__(self, target_url, legacy, workers=2):
        super().__init__(workers=workers, dir=legacy.dir)
        self.target_url, self.log_path = target_url, legacy.dir / "new_app.log"

    @property
    def env(self):
        parts = urllib.parse.urlsplit(self.target_url)
        url = urllib.parse.urlunsplit(parts._replace(scheme="postgresql+psycopg2"))
        return {**super().env, "DATABASE_URL": url, "PGTZ": "UTC", "PGOPTIONS": "-c timezone=UTC"}

    def init(self):
        pass
