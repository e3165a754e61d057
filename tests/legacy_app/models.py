"""The tables of a small learning platform, as a Flask team would write them: no thought of any later move."""
import datetime

from flask_sqlalchemy import SQLAlchemy

db = SQLAlchemy()


def now():
    """Naive UTC, as datetime.utcnow() gives it."""
    return datetime.datetime.utcnow()


class School(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    code = db.Column(db.String(20), unique=True, nullable=False)
    name = db.Column(db.String(120), nullable=False)
    rating = db.Column(db.Float)


class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    email = db.Column(db.String(120), unique=True, nullable=False)
    username = db.Column(db.String(80, collation="NOCASE"), unique=True, nullable=False)
    password_hash = db.Column(db.String(128), nullable=False)
    role = db.Column(db.String(20), nullable=False, default="parent")
    is_active = db.Column(db.Boolean, nullable=False, default=True)
    created_at = db.Column(db.DateTime, nullable=False, default=now)
    last_login = db.Column(db.DateTime)
    referred_by = db.Column(db.Integer, db.ForeignKey("user.id"))
    school_code = db.Column(db.String(20), db.ForeignKey("school.code"), index=True)
    children = db.relationship("ChildProfile", cascade="all, delete-orphan")
    referred = db.relationship("User")


class ChildProfile(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    parent_id = db.Column(db.Integer, db.ForeignKey("user.id"), nullable=False, index=True)
    name = db.Column(db.String(80), nullable=False)
    age = db.Column(db.Integer, nullable=False)
    tier = db.Column(db.String(30), nullable=False, default="magic_workshop")
    birthday = db.Column(db.Date)
    bedtime = db.Column(db.Time)
    projects = db.relationship("Project", cascade="all, delete-orphan")
    progress = db.relationship("Progress", cascade="all, delete-orphan")
    achievements = db.relationship("ChildAchievement", cascade="all, delete-orphan")
    __table_args__ = (db.CheckConstraint("age >= 3 AND age <= 18", name="age_range"),)


class Project(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    child_id = db.Column(db.Integer, db.ForeignKey("child_profile.id"), nullable=False, index=True)
    title = db.Column(db.String(200), nullable=False)
    description = db.Column(db.Text)
    data = db.Column(db.JSON)
    is_public = db.Column(db.Boolean, default=False)
    created_at = db.Column(db.DateTime, default=now)
    attachments = db.relationship("Attachment", cascade="all, delete-orphan")


class Progress(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    child_id = db.Column(db.Integer, db.ForeignKey("child_profile.id"), nullable=False)
    lesson_id = db.Column(db.Integer, nullable=False)
    score = db.Column(db.Numeric(6, 2))
    time_spent = db.Column(db.Float, default=0.0)
    completed = db.Column(db.Boolean, nullable=False, default=False)
    updated_at = db.Column(db.DateTime, default=now, onupdate=now)
    __table_args__ = (db.UniqueConstraint("child_id", "lesson_id", name="one_per_lesson"),)


class Achievement(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    slug = db.Column(db.String(60), unique=True, nullable=False)
    name = db.Column(db.String(120), nullable=False)
    points = db.Column(db.SmallInteger, nullable=False, default=10)


class ChildAchievement(db.Model):
    """Many children have many achievements; the key is the pair."""
    child_id = db.Column(db.Integer, db.ForeignKey("child_profile.id"), primary_key=True)
    achievement_id = db.Column(db.Integer, db.ForeignKey("achievement.id"), primary_key=True)
    awarded_at = db.Column(db.DateTime, nullable=False, default=now)


class Attachment(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    project_id = db.Column(db.Integer, db.ForeignKey("project.id"), nullable=False)
    filename = db.Column(db.String(255), nullable=False)
    content = db.Column(db.LargeBinary, nullable=False)
    size = db.Column(db.BigInteger, nullable=False)
    __table_args__ = {"sqlite_autoincrement": True}


class AlembicVersion(db.Model):
    version_num = db.Column(db.String(32), primary_key=True)


# Nobody gave this one a primary key. A token names an entry, but nothing keeps two rows from being equal.
audit_log = db.Table(
    "audit_log",
    db.Column("at", db.DateTime, nullable=False),
    db.Column("user_id", db.Integer),
    db.Column("action", db.String(40), nullable=False),
    db.Column("detail", db.Text),
    db.Column("token", db.String(36), nullable=False),
)

# Name in a URL -> class.
KINDS = {
    "schools": School, "users": User, "children": ChildProfile, "projects": Project, "progress": Progress,
    "achievements": Achievement, "awards": ChildAchievement, "attachments": Attachment,
}
