"""Made-up values for the load: awkward text, moments, JSON, blobs."""
import base64
import datetime
import uuid

SNIPPETS = ["plain", "naïve café", "日本語", "🚀 Rakete", "O'Hara", 'say "hi"', "back\\slash", "tab\there", "line\nbreak",
            "", " padded ", "NULL", "\\N", "%s {0} $1", "a" * 200, "Ünïcödé ß", "{1,2}", "-- no", "\u200b", "\r\n"]


class Made:
    """Made-up values."""

    def __init__(self, rng):
        self.rng = rng

    def text(self, empty=True):
        found = self.rng.choice(SNIPPETS) + self.rng.choice(["", " ", " two"]) + str(self.rng.randrange(1000))
        return "" if empty and self.rng.random() < 0.05 else found

    def maybe(self, value):
        return None if self.rng.random() < 0.2 else value

    def moment(self):
        micros = self.rng.choice([0, 0, 1, 999999, 120000, self.rng.randrange(10**6)])
        at = datetime.datetime(1970, 1, 2) + datetime.timedelta(seconds=self.rng.randrange(2 * 10**9))
        return at.replace(microsecond=micros).isoformat()

    def day(self):
        return (datetime.date(2005, 1, 1) + datetime.timedelta(days=self.rng.randrange(6000))).isoformat()

    def clock(self):
        return datetime.time(self.rng.randrange(24), self.rng.randrange(60), self.rng.choice([0, 30]),
                             self.rng.choice([0, 0, 250000])).isoformat()

    def data(self, depth=2):
        leaves = [None, True, False, 0, -7, 2**53 + 1, 0.1, 1e22, -2.5e-7, self.text(), ""]
        if depth == 0 or self.rng.random() < 0.4:
            return self.rng.choice(leaves)
        parts = [self.data(depth - 1) for _ in range(self.rng.randrange(4))]
        if self.rng.random() < 0.5:
            return parts
        return {f"k{n} {self.rng.choice(SNIPPETS)[:9]}": part for n, part in enumerate(parts)}

    def blob(self):
        size = self.rng.choice([0, 1, 40, 700, 6000, 20000])
        return base64.b64encode(self.rng.randbytes(size)).decode(), size

    def unique(self, prefix):
        return f"{prefix}{uuid.uuid4().hex[:12]}"

    def child(self):
        age = self.rng.randrange(3, 19)
        tier = "magic_workshop" if age < 8 else "innovation_lab" if age < 13 else "professional_studio"
        return {"name": self.text(), "age": age, "tier": tier, "birthday": self.maybe(self.day()),
                "bedtime": self.maybe(self.clock())}

    def user(self):
        return {"email": self.unique("u") + "@example.test", "username": self.unique(self.rng.choice(["Ada", "grace", "LIN"])),
                "role": self.rng.choice(["parent", "teacher", "admin"]), "is_active": self.rng.random() < 0.9,
                "last_login": self.maybe(self.moment())}

    def project(self):
        return {"title": self.text(), "description": self.maybe(self.text() * self.rng.choice([1, 1, 50])), "data": self.data(),
                "is_public": self.rng.choice([True, False, None])}

    def progress(self):
        score = self.maybe(f"{self.rng.randrange(-999999, 999999) / 100:.2f}")
        return {"score": score, "time_spent": self.maybe(self.rng.choice([0.0, 0.1, 1e-9, self.rng.random() * 1e6])),
                "completed": self.rng.random() < 0.5}
