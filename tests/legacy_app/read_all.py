#!/usr/bin/python3
"""Reads every row of every model, as the app would after it was started on this file again: {table: [row, ...]} as JSON."""
import json
import sys

import rows
from app import app
from models import KINDS, AlembicVersion, audit_log, db

with app.app_context():
    found = {kind.__table__.name: [rows.row_of(each) for each in kind.query.all()] for kind in [*KINDS.values(), AlembicVersion]}
    found["audit_log"] = [rows.row_of(each) for each in db.session.execute(audit_log.select()).all()]
json.dump(found, sys.stdout)
