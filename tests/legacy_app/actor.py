"""One thread of the load: what it may do to the app, and what it knows of the rows that it made."""
import collections
import http.client
import json
import random
import threading
import time
import urllib.parse
import uuid

from made import Made

REQUEST_TIMEOUT = 30      # seconds; well over the 5 s that the app itself waits for SQLite's lock
KEEP_ALIVE = 60           # seconds; a connection idle for longer may be closed by the server under our feet
ROWS_PER_TABLE = 400      # per thread; above it a thread deletes rather than adds
# table, column, the table whose key it holds
OWNED = [("user", "referred_by", "user"), ("child_profile", "parent_id", "user"), ("project", "child_id", "child_profile"),
         ("progress", "child_id", "child_profile"), ("child_achievement", "child_id", "child_profile"),
         ("child_achievement", "achievement_id", "achievement"), ("attachment", "project_id", "project")]
OPERATIONS = {
    "add_family": 6, "change_user": 8, "login": 8, "swap_users": 2, "drop_user": 3, "add_child": 5, "change_child": 6,
    "drop_child": 2, "add_project": 8, "change_project": 10, "drop_project": 3, "add_attachment": 4, "change_attachment": 3,
    "drop_attachment": 3, "lesson": 16, "change_progress": 4, "drop_progress": 3, "add_achievement": 2,
    "change_achievement": 2, "drop_achievement": 1, "add_award": 4, "move_award": 2, "drop_award": 2, "add_school": 2,
    "rename_school": 1, "drop_school": 1, "add_log": 6, "change_log": 3, "drop_log": 3, "migrate": 1, "clash": 1,
}


class Client:
    """One keep-alive connection. request() returns (status, JSON); status 0 stands for a broken connection."""

    def __init__(self, url):
        self.host = urllib.parse.urlsplit(url).netloc
        self.connection, self.used = None, 0.0

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def request(self, method, path, body):
        if time.monotonic() - self.used > KEEP_ALIVE:
            self.close()
        try:
            self.connection = self.connection or http.client.HTTPConnection(self.host, timeout=REQUEST_TIMEOUT)
            self.connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            response = self.connection.getresponse()
            text = response.read()
            self.used = time.monotonic()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return 0, {"error": repr(error)}
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, {"error": text[:200].decode(errors="replace")}


class Actor(threading.Thread):
    """One thread's share of the load. Each operation below sends at most one request."""

    def __init__(self, load, number):
        super().__init__(name=f"load-{number}", daemon=True)
        self.load, self.number = load, number
        self.rng = random.Random(f"{load.seed}:{number}")
        self.made, self.client = Made(self.rng), Client(load.url)
        self.rows = collections.defaultdict(dict)   # table -> key as tuple -> row
        self.lost_sight = False   # a user in doubt may be of a school that no known one is of

    def run(self):
        names, weights = list(OPERATIONS), list(OPERATIONS.values())
        starters = ["migrate", "add_school", "add_achievement", "add_family", "add_family"]
        due = time.monotonic()
        while not self.load.stopping.is_set():
            name = starters.pop(0) if starters else self.next_of(names, weights)
            getattr(self, name)()
            if self.load.interval:
                due = max(due + self.load.interval, time.monotonic() - 1)   # at most a second of arrears is made up
                self.load.stopping.wait(max(0, due - time.monotonic()))
        self.client.close()

    def next_of(self, names, weights):
        if self.load.reads and self.rng.random() < self.load.reads:
            return "look"
        return self.rng.choices(names, weights)[0]

    def send(self, method, path, body=None, touches=()):
        """touches: (table, key) pairs that are in doubt if the answer is not a clear yes or no."""
        begun = time.monotonic()
        status, answer = self.client.request(method, path, body or {})
        if 200 <= status < 300 and "written" in answer:
            entries = [{"at": answer["at"], **entry} for entry in answer["written"]]
            self.load.ledger.write(entries)
            self.load.tally.acknowledged(entries, time.monotonic() - begun)
            self.remember(entries)
            return
        self.load.tally.failure(status, method, path, answer)
        self.doubt(touches, status)
        if status == 0:
            self.load.stopping.wait(0.05)   # an app that is restarting

    def remember(self, entries):
        for entry in entries:
            key = tuple(entry["key"].values())
            if entry["op"] == "delete":
                self.rows[entry["table"]].pop(key, None)
            else:
                self.rows[entry["table"]][key] = entry["row"]

    def doubt(self, touches, status):
        """The keys, and all that hangs on them, are unknown from here on."""
        self.lost_sight = True
        seen, todo = {}, list(touches)
        while todo:
            table, key = todo.pop()
            row = self.rows[table].pop(key, None)
            if (table, key) in seen:
                continue
            seen[table, key] = row
            for child, column, parent in OWNED:
                if parent == table:
                    todo += [(child, other) for other, it in self.rows[child].items() if it[column] == key[0]]
        self.load.ledger.write([{"at": time.monotonic_ns(), "op": "doubt", "table": table, "status": status,
                                 "key": dict(zip(key_names(table), key))} for table, key in seen])

    def pick(self, table):
        """A random own row as (key, row), or None."""
        keys = list(self.rows[table])
        if not keys:
            return None
        key = self.rng.choice(keys)
        return key, self.rows[table][key]

    def full(self, table):
        return len(self.rows[table]) >= ROWS_PER_TABLE

    def change(self, kind, table, fields):
        found = self.pick(table)
        if found:
            self.send("PUT", f"/{kind}/{path_of(found[0])}", fields(found[1]), [(table, found[0])])

    def drop(self, kind, table, keep=0):
        found = self.pick(table) if len(self.rows[table]) > keep else None
        if found:
            self.send("DELETE", f"/{kind}/{path_of(found[0])}", None, [(table, found[0])])

    def some(self, fields):
        """A part of the fields, so that updates leave columns alone."""
        names = self.rng.sample(list(fields), self.rng.randrange(1, len(fields) + 1))
        return {name: fields[name] for name in names}

    # users and their families

    def add_family(self):
        if self.full("user"):
            return self.drop_user()
        school, friend = self.pick("school"), self.pick("user")
        user = {**self.made.user(), "school_code": self.made.maybe(school and school[1]["code"]),
                "referred_by": self.made.maybe(friend and friend[0][0])}
        children = [self.made.child() for _ in range(self.rng.randrange(3))]
        self.send("POST", "/families", {"user": user, "children": children, "password": "open sesame",
                                        "token": str(uuid.uuid4())})

    def change_user(self):
        def fields(row):
            school = self.pick("school")
            return self.some({**self.made.user(), "username": row["username"].swapcase(), "password": "changed",
                              "school_code": school and school[1]["code"], "referred_by": None})
        self.change("users", "user", fields)

    def look(self):
        found = self.pick("user")
        if not found:
            return
        begun, path = time.monotonic(), f"/users/{found[0][0]}"
        status, answer = self.client.request("GET", path, {})
        if status == 200:
            self.load.tally.acknowledged([], time.monotonic() - begun)
        else:
            self.load.tally.failure(status, "GET", path, answer)

    def login(self):
        found = self.pick("user")
        if found:
            self.send("POST", f"/users/{found[0][0]}/login", {"token": str(uuid.uuid4())}, [("user", found[0])])

    def swap_users(self):
        if len(self.rows["user"]) >= 2:
            keys = self.rng.sample(list(self.rows["user"]), 2)
            self.send("POST", "/users/swap", {"users": [key[0] for key in keys]}, [("user", key) for key in keys])

    def drop_user(self):
        self.drop("users", "user", keep=2)

    def clash(self):
        """A transaction that fails on its last row, as ours should; nothing of it may be seen anywhere."""
        found = self.pick("user")
        if not found:
            return
        body = {"user": {**self.made.user(), "email": found[1]["email"]}, "children": [self.made.child()],
                "password": "x", "token": str(uuid.uuid4())}
        status, answer = self.client.request("POST", "/families", body)
        self.load.tally.conflict() if status == 409 else self.load.tally.failure(status, "POST", "/families", answer)

    # children and what they do

    def add_child(self):
        found = self.pick("user")
        if found and not self.full("child_profile"):
            self.send("POST", "/children", {**self.made.child(), "parent_id": found[0][0]})

    def change_child(self):
        self.change("children", "child_profile", lambda row: self.some(self.made.child()))

    def drop_child(self):
        self.drop("children", "child_profile", keep=1)

    def add_project(self):
        found = self.pick("child_profile")
        if found and not self.full("project"):
            self.send("POST", "/projects", {**self.made.project(), "child_id": found[0][0]})

    def change_project(self):
        self.change("projects", "project", lambda row: self.some(self.made.project()))

    def drop_project(self):
        self.drop("projects", "project")

    def add_attachment(self):
        found = self.pick("project")
        if found and not self.full("attachment"):
            content, size = self.made.blob()
            self.send("POST", "/attachments", {"project_id": found[0][0], "filename": self.made.text(), "content": content,
                                               "size": size})

    def change_attachment(self):
        def fields(_row):
            content, size = self.made.blob()
            return self.rng.choice([{"content": content, "size": size}, {"size": 2**62 + size},
                                    {"filename": self.made.text()}])
        self.change("attachments", "attachment", fields)

    def drop_attachment(self):
        self.drop("attachments", "attachment")

    def lesson(self):
        found, award = self.pick("child_profile"), self.pick("achievement")
        if not found or self.full("progress"):
            return
        lesson = self.rng.randrange(8)
        touches = [("progress", key) for key, row in self.rows["progress"].items()
                   if row["child_id"] == found[0][0] and row["lesson_id"] == lesson]
        body = {"lesson_id": lesson, "progress": self.made.progress(), "token": str(uuid.uuid4()),
                "achievement_id": award[0][0] if award and self.rng.random() < 0.2 else None}
        self.send("POST", f"/children/{found[0][0]}/lesson", body, touches)

    def change_progress(self):
        self.change("progress", "progress", lambda row: self.made.progress())

    def drop_progress(self):
        self.drop("progress", "progress")

    # achievements and schools

    def add_achievement(self):
        if not self.full("achievement"):
            self.send("POST", "/achievements", {"slug": self.made.unique("a-"), "name": self.made.text(),
                                                "points": self.rng.randrange(-50, 50)})

    def change_achievement(self):
        self.change("achievements", "achievement",
                    lambda row: {"points": self.rng.randrange(-32768, 32767), "name": self.made.text()})

    def drop_achievement(self):
        used = {row["achievement_id"] for row in self.rows["child_achievement"].values()}
        free = [key for key in self.rows["achievement"] if key[0] not in used]
        if free:
            self.send("DELETE", f"/achievements/{free[0][0]}", None, [("achievement", free[0])])

    def award(self):
        """A pair of own child and achievement that is not there yet, or None."""
        child, achievement = self.pick("child_profile"), self.pick("achievement")
        key = (child[0][0], achievement[0][0]) if child and achievement else None
        return None if key in self.rows["child_achievement"] else key

    def add_award(self):
        key = self.award()
        if key:
            self.send("POST", "/awards", {"child_id": key[0], "achievement_id": key[1]}, [("child_achievement", key)])

    def move_award(self):
        """Changes the key itself."""
        old, new = self.pick("child_achievement"), self.award()
        if old and new:
            self.send("PUT", f"/awards/{path_of(old[0])}", {"child_id": new[0], "achievement_id": new[1]},
                      [("child_achievement", old[0]), ("child_achievement", new)])

    def drop_award(self):
        self.drop("awards", "child_achievement")

    def add_school(self):
        if not self.full("school"):
            self.send("POST", "/schools", {"code": self.made.unique("S-"), "name": self.made.text(),
                                           "rating": self.made.maybe(self.rng.random() * 5)})

    def rename_school(self):
        found = self.pick("school")
        if found:
            touched = [("user", key) for key, row in self.rows["user"].items() if row["school_code"] == found[1]["code"]]
            self.send("POST", f"/schools/{found[0][0]}/rename", {"code": self.made.unique("R-")},
                      [("school", found[0]), *touched])

    def drop_school(self):
        """SQLite checks no foreign key, so a school that somebody may be of stays."""
        if self.lost_sight:
            return
        used = {row["school_code"] for row in self.rows["user"].values()}
        free = [key for key, row in self.rows["school"].items() if row["code"] not in used]
        if len(free) > 1:
            self.send("DELETE", f"/schools/{free[0][0]}", None, [("school", free[0])])

    # tables without a key, and with one row

    def add_log(self):
        if self.full("audit_log"):
            return self.drop_log()
        self.send("POST", "/audit", {"action": "view", "detail": self.made.maybe(self.made.text()), "token": str(uuid.uuid4()),
                                     "user_id": self.made.maybe(self.rng.randrange(1000)),
                                     "copies": self.rng.choice([1, 1, 1, 2, 3])})

    def change_log(self):
        self.change("audit", "audit_log", lambda row: {"detail": self.made.text()})

    def drop_log(self):
        self.drop("audit", "audit_log")

    def migrate(self):
        if self.number == 0:
            self.send("PUT", "/alembic_version", {"version_num": uuid.uuid4().hex[:12]},
                      [("alembic_version", key) for key in self.rows["alembic_version"]])


def key_names(table):
    special = {"child_achievement": ["child_id", "achievement_id"], "audit_log": ["token"], "alembic_version": ["version_num"]}
    return special.get(table, ["id"])


def path_of(key):
    return ",".join(str(part) for part in key)
