#!/usr/bin/python3
"""A mapped pipeline there, back and there again: integer ids become UUIDs, rows are born on the target with random ones, come back under new integers
and keep their UUIDs at the second cutover, through kill -9 of the way back and of the handing over of keys. TIDEGATE_SEED repeats a run."""
import contextlib
import json
import os
import pathlib
import random
import sqlite3
import sys
import time
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from support.cutover import CONFIG, cutover, rollback, with_way_back              # noqa: E402
from support.legacy import LegacyApp                                             # noqa: E402
from support.target import Target                                                # noqa: E402
from support.tidegate import Tidegate, built                                     # noqa: E402
import test_flask_to_supabase as example                                         # noqa: E402

SEED = int(os.environ.get("TIDEGATE_SEED") or random.SystemRandom().randrange(10**9))
WAIT = 120
BCRYPT = "$2b$04$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDE"
REVERSE = {
    "user": '[map.reverse]\nemail = "users.email"\npassword_hash = "users.encrypted_password"\n',
    "project": '[map.reverse]\nis_public = "is_public"\n',
}


def configuration():
    """The worked example's, with what its expressions hide said the other way round."""
    text = (example.EXAMPLE / "tidegate.toml").read_text() + CONFIG
    for table, reverse in REVERSE.items():
        head = f'[[map]]\nfrom = "{table}"\n'
        at = text.index("\n[[map", text.index(head) + len(head))
        text = text[:at] + "\n" + reverse + text[at:]
    return text


class MappedCutover(unittest.TestCase):
    def setUp(self):
        print("seed", SEED, flush=True)
        self.rng = random.Random(SEED)
        self.app = self.enterContext(LegacyApp(families=12))
        self.app.init()
        example.mixed_hashes(self.app.path, self.rng)
        self.target = example.migrated(self.enterContext(Target()))
        self.born = {}    # (entity, legacy id): the UUID that it got on the target

    # --- both ends ---

    def legacy(self, text, *parameters):
        with contextlib.closing(sqlite3.connect(self.app.path, timeout=30)) as file, file:
            return file.execute(text, parameters).fetchall()

    def uuid_of(self, entity, key):
        return self.born.get((entity, key)) or example.uuid_of(entity, key)

    def pipeline(self):
        tide = self.enterContext(Tidegate(self.app.path, self.target.url))
        (tide.base / "tidegate.toml").write_text(configuration())
        (tide.base / "policies.sql").write_text((example.EXAMPLE / "policies.sql").read_text())
        tide.flags = ["--allow-wal", "--config", str(tide.base / "tidegate.toml")]
        return tide

    def streaming(self, tide):
        tide.wait_phase("streaming", timeout=WAIT)
        tide.sync(timeout=WAIT)

    def verified(self, tide):
        done = tide.verb("verify", "--json")
        self.assertEqual((done.code, json.loads(done.out)["differences"]), (0, []), done.err)

    def mended(self, tide):
        """What no column of the legacy database holds stays on the target, is named, and becomes what the mapping makes of the legacy row."""
        seen = json.loads(tide.verb("verify", "--json").out)["differences"]
        self.assertEqual({one["kind"] for one in seen}, {"differs"}, seen)
        self.assertEqual({column for one in seen for column in one["columns"]}, {"identity_data", "last_sign_in_at", "raw_user_meta_data"}, seen)
        self.assertEqual(tide.verb("repair").code, 0)
        self.verified(tide)

    def reversed(self, tide):
        tide.wait_phase("reversed", timeout=WAIT)
        tide.wait_status(lambda status: status["rollback"]["ready"], WAIT, "the way back")

    def dies(self, tide, failpoint, work):
        """The daemon is killed at the failpoint by what the work makes it do, and goes on."""
        tide.stop()
        tide.start(failpoint=failpoint)
        work()
        self.assertEqual(tide.wait(timeout=WAIT), -9, failpoint)
        tide.start()
        self.reversed(tide)

    # --- what happens on the target ---

    def sign_up(self, name, referred_by=None):
        """As Supabase Auth writes it: the profile comes by the trigger, and is filled in later."""
        user, email = str(uuid.UUID(int=self.rng.getrandbits(128), version=4)), f"{name}@new.test"
        self.target.query(
            "INSERT INTO auth.users (id, instance_id, aud, role, email, encrypted_password, email_confirmed_at, created_at, updated_at, confirmation_token,"
            " recovery_token, email_change_token_new, email_change, raw_app_meta_data, raw_user_meta_data) VALUES (%s, '00000000-0000-0000-0000-000000000000',"
            " 'authenticated', 'authenticated', %s, %s, '2026-02-03 04:05:06.789', '2026-02-03 04:05:06.789', '2026-02-03 04:05:06.789', '', '', '', '',"
            """ '{"provider": "email", "providers": ["email"], "role": "teacher"}', %s)""", (user, email, BCRYPT, json.dumps({"username": name})))
        self.target.query("INSERT INTO auth.identities (id, user_id, provider, provider_id, identity_data, created_at, updated_at) VALUES"
                          " (gen_random_uuid(), %s, 'email', %s, %s, '2026-02-03 04:05:06.789', '2026-02-03 04:05:06.789')",
                          (user, user, json.dumps({"sub": user, "email": email, "email_verified": True, "phone_verified": False})))
        self.target.query("UPDATE public.profiles SET username = %s, role = 'teacher', referred_by = %s, created_at = '2026-02-03 04:05:06.789' WHERE id = %s",
                          (name, referred_by, user))
        return user

    def child_of(self, parent, name):
        (child,), = self.target.query("INSERT INTO public.children (parent_id, name, age, tier, birthday) VALUES (%s, %s, 9, 'innovation_lab', '2017-01-02')"
                                      " RETURNING id::text", (parent, name))
        self.target.query("INSERT INTO public.projects (child_id, title, data, is_public, created_at) VALUES (%s, %s, '{\"a\": 1}', true, '2026-03-04 05:06:07')",
                          (child, name + "'s"))
        return child

    def work_on_the_target(self, tide):
        first, second, third, last = (user for user, in self.legacy("SELECT id FROM user ORDER BY id LIMIT 3") + self.legacy("SELECT max(id) FROM user"))
        of = lambda user: self.uuid_of("user", user)    # noqa: E731
        ann = self.sign_up("ann", of(second))
        self.dies(tide, "back-before-commit", lambda: self.child_of(ann, "Annie"))
        self.dies(tide, "back-after-commit", lambda: self.child_of(of(first), "Firstborn"))
        bob = self.sign_up("bob", ann)
        self.dies_while_keys_are_handed_over(tide)
        gone = self.sign_up("gone")
        self.target.query("DELETE FROM auth.users WHERE id = %s", (gone,))
        # Two unique names change places; the e-mail of one changes, the password of another; references to a row that was born here.
        self.target.query("UPDATE public.profiles SET username = CASE id WHEN %s THEN (SELECT username FROM public.profiles WHERE id = %s)"
                          " ELSE (SELECT username FROM public.profiles WHERE id = %s) END WHERE id IN (%s, %s)",
                          (of(first), of(second), of(first), of(first), of(second)))
        self.target.query("UPDATE auth.users SET email = 'moved@new.test', last_sign_in_at = '2026-04-05 06:07:08' WHERE id = %s", (of(first),))
        self.target.query("UPDATE public.profiles SET email = 'moved@new.test', is_active = NOT is_active, referred_by = %s WHERE id = %s", (bob, of(first)))
        self.target.query("UPDATE public.profiles SET referred_by = NULL WHERE referred_by = %s", (of(last),))
        self.target.query("DELETE FROM auth.users WHERE id = %s", (of(last),))    # the target's own cascades take profile, children and all of theirs
        self.target.query("UPDATE auth.users SET encrypted_password = %s WHERE id = %s", (BCRYPT, of(third)))
        return first, second, third, last

    # --- judgements ---

    def learn_who_was_born(self):
        """By what the test itself wrote; nothing of tidegate is asked."""
        for entity, table, key, legacy in (("user", "public.profiles", "username", "user"), ("child", "public.children", "name", "child_profile")):
            new = dict(self.target.query(f"SELECT {'username' if table == 'public.profiles' else 'name'}, id::text FROM {table}"
                                         " WHERE substr(id::text, 15, 1) = '4'"))
            for name, made in new.items():
                (number,), = self.legacy(f"SELECT id FROM {legacy} WHERE {key if legacy == 'user' else 'name'} = ?", name)
                self.born[entity, number] = made
        for made, title in self.target.query("SELECT id::text, title FROM public.projects WHERE substr(id::text, 15, 1) = '4'"):
            (number,), = self.legacy("SELECT id FROM project WHERE title = ?", title)
            self.born["project", number] = made

    def judge(self):
        """Each row of one side is the other's, by an own computation; users' e-mail and password apart, which only the example's judge knows."""
        uid = lambda entity, key: None if key is None else self.uuid_of(entity, key)    # noqa: E731
        users = self.legacy("SELECT id, lower(trim(email)), username, role, is_active, referred_by, created_at FROM user")
        self.assertEqual(sorted((uid("user", i), email, name, role, bool(active), uid("user", by), example.utc(at))
                                for i, email, name, role, active, by, at in users),
                         sorted(self.target.query("SELECT id::text, email, username, role::text, is_active, referred_by::text, created_at FROM public.profiles")))
        self.assertEqual(sorted(uid("user", row[0]) for row in users), sorted(user for user, in self.target.query("SELECT id::text FROM auth.users")))
        children = self.legacy("SELECT id, parent_id, name, age, tier, birthday FROM child_profile")
        self.assertEqual(sorted((uid("child", i), uid("user", parent), *rest) for i, parent, *rest in children),
                         sorted(self.target.query("SELECT id::text, parent_id::text, name, age, tier::text, birthday::text FROM public.children")))
        projects = self.legacy("SELECT id, child_id, title, coalesce(is_public, 0) FROM project")
        self.assertEqual(sorted((uid("project", i), uid("child", child), title, bool(public)) for i, child, title, public in projects),
                         sorted(self.target.query("SELECT id::text, child_id::text, title, is_public FROM public.projects")))
        for table, legacy in (("lesson_progress", "progress"), ("user_achievements", "child_achievement")):
            self.assertEqual(self.target.query(f"SELECT count(*) FROM public.{table}"), self.legacy(f"SELECT count(*) FROM {legacy}"), table)

    def judge_legacy(self, first, second, third, last, before):
        """The rows are there as the application would have written them."""
        user = lambda what, key, value: self.legacy(f"SELECT {what} FROM user WHERE {key} = ?", value)    # noqa: E731
        (ann, hashed, at, active, by, typed), = user("id, password_hash, created_at, is_active, referred_by, typeof(id)", "username", "ann")
        self.assertGreater(ann, last, "a new id is above all that were given out")
        self.assertEqual((hashed, at, active, by, typed), (BCRYPT, "2026-02-03 04:05:06.789000", 1, second, "integer"))
        (bob, by_ann), = user("id, referred_by", "username", "bob")
        self.assertEqual(by_ann, ann)
        self.assertEqual(user("email, last_login, referred_by, username", "id", first), [("moved@new.test", "2026-04-05 06:07:08.000000", bob, before[second][1])])
        self.assertEqual(user("email, username", "id", second), [(before[second][0], before[first][1])], "what nobody changed keeps its spelling")
        self.assertEqual(user("password_hash, email", "id", third), [(BCRYPT, before[third][0])])
        self.assertEqual(user("count(*)", "id", last), [(0,)])
        self.assertEqual(self.legacy("SELECT count(*) FROM child_profile WHERE parent_id = ?", last), [(0,)])
        self.assertEqual(self.legacy("SELECT c.parent_id, c.birthday, p.data, p.is_public, p.created_at FROM child_profile c JOIN project p ON p.child_id = c.id"
                                     " WHERE c.name = 'Annie'"), [(ann, "2017-01-02", '{"a": 1}', 1, "2026-03-04 05:06:07.000000")])
        self.assertEqual(user("count(*)", "username", "gone"), [(0,)])
        self.assertEqual(self.legacy("SELECT count(*) FROM _tidegate_rejects"), [(0,)])
        return ann

    # --- the story ---

    def test_there_and_back_and_there(self):
        tide = self.pipeline().start()
        self.streaming(tide)
        found = {finding["code"]: finding["level"] for finding in cutover(tide, "--dry-run", code=None)["findings"]}
        self.assertEqual(found.get("way-back-not-followed"), "warn", found)
        self.target.admin("GRANT supabase_auth_admin TO postgres")    # else the fence of auth.users could not be made, nor its changes followed
        tide.stop()
        tide.start()
        self.streaming(tide)
        self.verified(tide)
        with_way_back(tide)
        self.reversed(tide)
        before = {key: rest for key, *rest in self.legacy("SELECT id, email, username FROM user")}
        first, second, third, last = self.work_on_the_target(tide)
        self.assertEqual(rollback(tide)["outcome"], "done")
        ann = self.judge_legacy(first, second, third, last, before)
        self.learn_who_was_born()
        self.assertGreaterEqual(len(self.born), 5)
        self.judge()
        self.goes_on_and_crosses_again(tide, ann)

    def dies_while_keys_are_handed_over(self, tide):
        """At a start, which hands over what the legacy file has of the last run."""
        deadline = time.monotonic() + WAIT
        while not self.legacy("SELECT 1 FROM user WHERE username = 'bob'"):
            self.assertLess(time.monotonic(), deadline, "bob came back in time")
            time.sleep(0.1)
        self.dies(tide, "keys-before-flush", lambda: None)

    def test_users_that_are_another_roles(self):
        """As on Supabase: changes of auth.users cannot be followed, and what a row needs of them is read when the profile changes."""
        tide = self.pipeline().start()
        self.streaming(tide)
        self.verified(tide)
        with_way_back(tide)
        self.reversed(tide)
        (first, hashed), = self.legacy("SELECT id, password_hash FROM user ORDER BY id LIMIT 1")
        dora = self.sign_up("dora")
        self.target.query("UPDATE auth.users SET email = 'moved@new.test' WHERE id = %s", (self.uuid_of("user", first),))
        self.target.query("UPDATE public.profiles SET email = 'moved@new.test', referred_by = %s WHERE id = %s", (dora, self.uuid_of("user", first)))
        refused = rollback(tide, code=2)
        self.assertIn("target-not-fenced", {finding["code"] for finding in refused["findings"] if finding["level"] == "block"})
        self.assertEqual(rollback(tide, "--accept-loss")["outcome"], "done")
        (number, email, password), = self.legacy("SELECT id, email, password_hash FROM user WHERE username = 'dora'")
        self.assertEqual((email, password), ("dora@new.test", BCRYPT))
        self.assertEqual(self.legacy("SELECT email, referred_by, password_hash FROM user WHERE id = ?", first), [("moved@new.test", number, hashed)])
        self.born["user", number] = dora
        self.streaming(tide)
        self.legacy("UPDATE user SET username = 'Dora the First' WHERE id = ?", number)
        tide.sync(timeout=WAIT)
        self.judge()

    def goes_on_and_crosses_again(self, tide, ann):
        self.streaming(tide)
        self.legacy("UPDATE user SET username = 'Ann the Second' WHERE id = ?", ann)
        self.legacy("INSERT INTO child_profile (parent_id, name, age, tier) VALUES (?, 'Late', 7, 'magic_workshop')", ann)
        tide.sync(timeout=WAIT)
        self.judge()
        self.mended(tide)
        with_way_back(tide)
        self.reversed(tide)
        self.judge()
        cyd = self.sign_up("cyd")
        self.assertEqual(rollback(tide)["outcome"], "done")
        (number,), = self.legacy("SELECT id FROM user WHERE username = 'cyd'")
        self.born["user", number] = cyd
        self.streaming(tide)
        self.judge()
        self.verified(tide)
        with_way_back(tide)
        done = tide.verb("finalize", "--confirm", "codopia", *tide.flags[1:], "--source", self.app.path)
        self.assertEqual(done.code, 0, done)
        self.assertEqual(self.legacy("SELECT count(*) FROM sqlite_schema WHERE name LIKE '%tidegate%'"), [(0,)])
        self.judge()


if __name__ == "__main__":
    sys.exit(unittest.main() if built() else 77)
