"""A legacy app: JSON over HTTP, one ORM transaction per request, SQLite as it comes. It knows nothing of replication."""
import os
import sys

import bcrypt
from flask import Flask, jsonify, request
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

import rows
from models import KINDS, AlembicVersion, ChildAchievement, School, User, audit_log, db, now

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
app.json.sort_keys = False
db.init_app(app)
BCRYPT_ROUNDS = int(os.environ.get("BCRYPT_ROUNDS", "12"))


def answer(status=200):
    return jsonify(rows.commit()), status


def fields(kind):
    """The request's columns; a password arrives plain and leaves hashed."""
    sent = dict(request.get_json())
    password = sent.pop("password", None)
    parsed = rows.from_json(KINDS[kind], sent)
    if password is not None:
        parsed["password_hash"] = bcrypt.hashpw(password.encode(), bcrypt.gensalt(BCRYPT_ROUNDS)).decode()
    return parsed


def get(kind, key):
    """By key; the parts of a composite key are joined by commas."""
    parts = key.split(",")
    return db.get_or_404(KINDS[kind], tuple(parts) if len(parts) > 1 else key)


def log(user_id, action, detail, token, copies=1):
    entry = {"at": now(), "user_id": user_id, "action": action, "detail": detail, "token": token}
    db.session.execute(audit_log.insert(), [entry] * copies)
    note_log("insert", token)


def note_log(op, token):
    found = db.session.execute(audit_log.select().where(audit_log.c.token == token)).all()
    rows.record(db.session(), op, "audit_log", {"token": token}, found[0] if found else None, copies=len(found))


@app.post("/<any(schools,users,children,projects,progress,achievements,awards,attachments):kind>")
def create(kind):
    db.session.add(KINDS[kind](**fields(kind)))
    return answer(201)


@app.put("/<any(schools,users,children,projects,progress,achievements,awards,attachments):kind>/<key>")
def update(kind, key):
    found = get(kind, key)
    for name, value in fields(kind).items():
        setattr(found, name, value)
    return answer()


@app.delete("/<any(schools,users,children,projects,progress,achievements,awards,attachments):kind>/<key>")
def delete(kind, key):
    """The ORM takes what belongs to the row along: a user's children, their projects, and so on."""
    db.session.delete(get(kind, key))
    return answer()


@app.get("/users/<key>")
def show_user(key):
    return jsonify({"id": get("users", key).id})


@app.post("/families")
def create_family():
    """A user, children and an audit entry in one transaction."""
    sent = request.get_json()
    password = bcrypt.hashpw(sent["password"].encode(), bcrypt.gensalt(BCRYPT_ROUNDS)).decode()
    user = User(password_hash=password, **rows.from_json(User, sent["user"]))
    for child in sent["children"]:
        user.children.append(KINDS["children"](**rows.from_json(KINDS["children"], child)))
    db.session.add(user)
    db.session.flush()
    log(user.id, "signup", None, sent["token"])
    return answer(201)


@app.post("/users/<key>/login")
def login(key):
    user = get("users", key)
    user.last_login = now()
    log(user.id, "login", request.user_agent.string, request.get_json()["token"])
    return answer()


@app.post("/users/swap")
def swap_usernames():
    """Two users exchange a unique value; it takes three updates, because SQLite checks at each."""
    first, second = (get("users", str(key)) for key in request.get_json()["users"])
    names = first.username, second.username
    first.username = "swap-" + names[0]
    db.session.flush()
    second.username = names[0]
    db.session.flush()
    first.username = names[1]
    return answer()


@app.post("/schools/<key>/rename")
def rename_school(key):
    """A value that other rows refer to changes, and they with it, in one transaction."""
    school = get("schools", key)
    old, school.code = school.code, request.get_json()["code"]
    for user in User.query.filter_by(school_code=old).all():
        user.school_code = school.code
    return answer()


@app.post("/children/<key>/lesson")
def finish_lesson(key):
    """Score kept or raised, perhaps an achievement, and an audit entry: read first, then write several tables."""
    sent, child = request.get_json(), get("children", key)
    progress_of = KINDS["progress"]
    kept = progress_of.query.filter_by(child_id=child.id, lesson_id=sent["lesson_id"]).first()
    if kept is None:
        kept = progress_of(child_id=child.id, lesson_id=sent["lesson_id"])
        db.session.add(kept)
    for name, value in rows.from_json(progress_of, sent["progress"]).items():
        setattr(kept, name, value)
    award = sent.get("achievement_id")
    if award and db.session.get(ChildAchievement, (child.id, award)) is None:
        db.session.add(ChildAchievement(child_id=child.id, achievement_id=award))
    db.session.flush()
    log(child.parent_id, "lesson", str(sent["lesson_id"]), sent["token"])
    return answer()


@app.post("/audit")
def create_log():
    sent = request.get_json()
    log(sent.get("user_id"), sent["action"], sent.get("detail"), sent["token"], sent.get("copies", 1))
    return answer(201)


@app.put("/audit/<token>")
def update_log(token):
    db.session.execute(audit_log.update().where(audit_log.c.token == token).values(detail=request.get_json()["detail"]))
    note_log("update", token)
    return answer()


@app.delete("/audit/<token>")
def delete_log(token):
    db.session.execute(audit_log.delete().where(audit_log.c.token == token))
    note_log("delete", token)
    return answer()


@app.put("/alembic_version")
def migrate():
    """What `alembic upgrade` does to its one row: the key itself changes."""
    AlembicVersion.query.one().version_num = request.get_json()["version_num"]
    return answer()


@app.get("/healthz")
def healthz():
    db.session.execute(text("SELECT 1"))
    return jsonify(ok=True)


@app.errorhandler(IntegrityError)
def conflict(error):
    db.session.rollback()
    return jsonify(error=str(error.orig)), 409


@app.errorhandler(SQLAlchemyError)
def broken(error):
    db.session.rollback()
    return jsonify(error=str(getattr(error, "orig", error))), 500


def seed(families):
    """Rows that are there before anybody measures or replicates."""
    db.session.add(School(code="S-0", name="First school", rating=4.5))
    for number in range(families):
        user = User(email=f"seed{number}@example.test", username=f"Seed{number}", password_hash="!", school_code="S-0")
        child = KINDS["children"](name=f"Kind {number}", age=3 + number % 16)
        child.projects.append(KINDS["projects"](title=f"Projekt {number}", data={"n": number, "tags": ["a", "ü"]}))
        child.progress.append(KINDS["progress"](lesson_id=number % 40, score=(number % 10000) / 100))
        user.children.append(child)
        db.session.add(user)
        if number % 1000 == 999:
            db.session.commit()
    db.session.commit()


def create_database(families):
    """For the file's first time; a database that is there already stays as it is."""
    with app.app_context():
        db.create_all()
        if AlembicVersion.query.first() is None:
            db.session.add(AlembicVersion(version_num="0001"))
            db.session.commit()
            if families:
                seed(families)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[1] != "init":
        sys.exit("usage: app.py init [FAMILIES]      (DATABASE_URL=sqlite:////abs/path.db)")
    create_database(int(sys.argv[2]) if len(sys.argv) == 3 else 0)
