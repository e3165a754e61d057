#!/usr/bin/python3
"""The hooks for Cloudflare and Route 53 against a server of ours that takes what their documentation says, and refuses anything else."""
import hashlib
import hmac
import http.server
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
import xml.etree.ElementTree

HOOKS = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "hooks"
TOKEN, KEY_ID, KEY = "a-Token-of-the-tests", "AKIDTESTS", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYTESTKEY"
OLD, NEW = "192.0.2.1", "192.0.2.2"
OLD6, NEW6 = "2001:db8::1", "2001:db8::2"


class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    do_PATCH = do_POST
    do_DELETE = do_GET

    def answer(self, body):
        try:
            status, text = self.server.serve(self.command, self.path, self.headers, body)
        except AssertionError as wrong:
            self.server.wrong.append(str(wrong))
            status, text = 400, str(wrong)
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def want(true, what):
    if not true:
        raise AssertionError(what)


def cloudflare(records):
    """List, PATCH, POST and DELETE of /zones/ZONE/dns_records, as the API's reference has them. A record's id is made of its type here."""
    def shown(kind):
        return {"id": f"record{kind}", "zone_id": "zone1", "zone_name": "example.org", "name": "app.example.org", "type": kind, "proxied": False, **records[kind]}

    def answer(result, **more):
        return 200, json.dumps({"result": result, "success": True, "errors": [], "messages": [], **more}, separators=(",", ":"))

    def change(method, kind, headers, body):
        want(headers["Content-Type"] == "application/json", "content type")
        asked = json.loads(body)
        want({"name", "type", "ttl"} <= set(asked) <= {"name", "type", "ttl", "content", "proxied"}, asked)   # the three must be there
        kind = kind or asked["type"]
        want((asked["name"], asked["type"]) == ("app.example.org", kind), asked)
        want((":" in asked["content"]) == (kind == "AAAA"), asked)
        want(isinstance(asked["ttl"], int) and (asked["ttl"] == 1 or asked["ttl"] >= 60), asked)
        want((kind in records) == (method == "PATCH"), f"{method} {kind}")
        record = records.setdefault(kind, {"proxied": True} if asked.get("proxied") else {})
        record.update(content=asked["content"], ttl=1 if record.get("proxied") else asked["ttl"])
        return answer(shown(kind))

    def serve(method, path, headers, body):
        if headers["Authorization"] != f"Bearer {TOKEN}":
            return 403, json.dumps({"success": False, "errors": [{"code": 10000, "message": "Authentication error"}], "result": None})
        found = re.fullmatch(r"/client/v4/zones/zone1/dns_records(?:/record(A+)|\?type=(A+)&name=app\.example\.org)?", path)
        want(found, path)
        if method == "GET":
            result = [shown(found[2])] if found[2] in records else []
            return answer(result, result_info={"page": 1, "per_page": 100, "count": len(result), "total_count": len(result), "total_pages": 1})
        if method == "DELETE":
            del records[found[1]]
            return answer({"id": f"record{found[1]}"})
        want(method in ("PATCH", "POST"), method)
        return change(method, found[1], headers, body)
    return serve


def signed(method, path, headers, body):
    """Whether the request carries the signature (version 4) that our key gives it."""
    found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=(\w+)/(\d{8})/us-east-1/route53/aws4_request, ?SignedHeaders=([\w;-]+), ?Signature=(\w+)",
                         headers["Authorization"] or "")
    if not found or found[1] != KEY_ID:
        return False
    path, _, query = path.partition("?")
    names = found[3].split(";")
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    payload = hashlib.sha256(body).hexdigest()
    canonical = "\n".join([method, path, "&".join(sorted(query.split("&"))) if query else "", lines, found[3], payload])
    scope = f"{found[2]}/us-east-1/route53/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", headers["X-Amz-Date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{KEY}".encode()
    for part in (found[2], "us-east-1", "route53", "aws4_request"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    return {"host", "x-amz-date"} <= set(names) and hmac.new(key, to_sign.encode(), "sha256").hexdigest() == found[4]


NAMESPACE = "{https://route53.amazonaws.com/doc/2013-04-01/}"


def route53(records):
    """ListResourceRecordSets and ChangeResourceRecordSets, as the API's reference has them."""
    def change(each):
        text = {name: each.findtext(f".//{NAMESPACE}{name}") for name in ("Action", "Name", "Type", "TTL", "Value")}
        want(text["Name"] == "app.example.org", text)
        want((":" in text["Value"]) == (text["Type"] == "AAAA"), text)
        if text["Action"] == "DELETE":   # of exactly what is there
            want({"content": text["Value"], "ttl": int(text["TTL"])} == records.pop(text["Type"]), text)
        else:
            want(text["Action"] == "UPSERT", text)
            records.setdefault(text["Type"], {}).update(content=text["Value"], ttl=int(text["TTL"]))

    def serve(method, path, headers, body):
        if not signed(method, path, headers, body):
            return 403, "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>"
        if method == "GET":
            found = re.fullmatch(r"/2013-04-01/hostedzone/Z1/rrset\?maxitems=1&name=app\.example\.org&type=(A+)", path)
            want(found, path)
            following = [kind for kind in ("A", "AAAA") if kind in records and kind >= found[1]]   # from there on
            kind, record = (following[0], records[following[0]]) if following else ("MX", {"ttl": 60, "content": "10 mail", "name": "z.example.org."})
            name = record.get("name", "app.example.org.")
            return 200, ('<?xml version="1.0"?>\n<ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ResourceRecordSets>'
                         f"<ResourceRecordSet><Name>{name}</Name><Type>{kind}</Type><TTL>{record['ttl']}</TTL><ResourceRecords><ResourceRecord>"
                         f"<Value>{record['content']}</Value></ResourceRecord>{record.get('more', '')}</ResourceRecords></ResourceRecordSet></ResourceRecordSets>"
                         "<IsTruncated>false</IsTruncated><MaxItems>1</MaxItems></ListResourceRecordSetsResponse>")
        want((method, path) == ("POST", "/2013-04-01/hostedzone/Z1/rrset/"), f"{method} {path}")
        root = xml.etree.ElementTree.fromstring(body)
        want(root.tag == NAMESPACE + "ChangeResourceRecordSetsRequest", root.tag)
        for each in root.findall(f".//{NAMESPACE}Change"):
            change(each)
        return 200, ('<?xml version="1.0"?><ChangeResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeInfo><Id>/change/C1</Id>'
                     "<Status>PENDING</Status><SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt></ChangeInfo></ChangeResourceRecordSetsResponse>")
    return serve


class Provider:
    """The tests of both; a class of its own, so that it is not run by itself."""

    LOW = 60

    def setUp(self):
        self.record = {"content": OLD, "ttl": 3600}
        self.records = {"A": self.record}
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
        self.server.serve, self.server.wrong = self.serving(self.records), []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-dns-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        shutil.copy(HOOKS / self.HOOK, self.dir / self.HOOK)
        (self.dir / "secret").write_text(self.SECRET + "\n")
        (self.dir / f"{self.HOOK}.conf").write_text(f"{self.SETTINGS.format(dir=self.dir)}\nOLD={OLD} NEW={NEW}\nTTL=3600 LOW_TTL={self.LOW}\nMOST_WAIT=1\n"
                                                    f"API=http://127.0.0.1:{self.server.server_address[1]}{self.BASE}\n")

    def run_hook(self, event, code=0, direction="forward", again="no"):
        env = {"PATH": "/usr/bin:/bin", "TIDEGATE_EVENT": event, "TIDEGATE_DIRECTION": direction, "TIDEGATE_AGAIN": again}
        done = subprocess.run([self.dir / self.HOOK], env=env,
                              capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, code, f"{event}: {done.stdout}{done.stderr}{self.server.wrong}")
        self.assertNotIn(self.SECRET, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_there_and_back(self):
        for event in ("check", "before-fence"):
            self.assertIn("begin 3600 s later", self.run_hook(event, code=1))
        self.assertEqual(self.record, {"content": OLD, "ttl": 3600})
        self.run_hook("lower")
        for event in ("check", "before-fence", "on-abort", "before-fence"):
            self.run_hook(event)
            self.assertEqual(self.record, {"content": OLD, "ttl": self.LOW})
        self.run_hook("on-switch")
        self.run_hook("verify-switch")
        self.run_hook("on-done")
        self.assertEqual(self.record, {"content": NEW, "ttl": 3600})
        self.run_hook("check", code=1)
        self.run_hook("lower", direction="backward")
        self.run_hook("check", direction="backward")
        self.run_hook("on-rollback", direction="backward")
        self.assertEqual(self.record, {"content": OLD, "ttl": self.LOW})
        self.run_hook("on-done", direction="backward")
        self.assertEqual(self.record, {"content": OLD, "ttl": 3600})
        self.assertEqual(self.server.wrong, [])

    def sides(self, old, new):
        settings = self.dir / f"{self.HOOK}.conf"
        settings.write_text(settings.read_text().replace(f"OLD={OLD} NEW={NEW}", f'OLD="{old}" NEW="{new}"'))

    def now(self):
        return {kind: (record["content"], record["ttl"]) for kind, record in self.records.items()}

    def move_there_and_back(self, before, after):
        self.run_hook("lower")
        for event in ("check", "before-fence", "on-abort"):
            self.run_hook(event)
            self.assertEqual(self.now(), {kind: (address, self.LOW) for kind, address in before.items()})
        for _ in range(2):
            self.run_hook("on-switch")
            self.run_hook("verify-switch")
            self.assertEqual(self.now(), {kind: (address, self.LOW) for kind, address in after.items()})
        self.run_hook("on-done")
        self.assertEqual(self.now(), {kind: (address, 3600) for kind, address in after.items()})
        self.run_hook("lower", direction="backward")
        for event in ("check", "on-rollback", "verify-switch", "on-done"):
            self.run_hook(event, direction="backward")
        self.assertEqual(self.now(), {kind: (address, 3600) for kind, address in before.items()})
        self.assertEqual(self.server.wrong, [])

    def test_both_kinds_of_address_move(self):
        self.sides(f"{OLD6} {OLD}", f"{NEW} {NEW6}")
        self.records["AAAA"] = {"content": OLD6, "ttl": 3600}
        self.move_there_and_back({"A": OLD, "AAAA": OLD6}, {"A": NEW, "AAAA": NEW6})

    def test_a_kind_that_the_new_side_does_not_have_goes(self):
        self.sides(f"{OLD} {OLD6}", NEW)
        self.records["AAAA"] = {"content": OLD6, "ttl": 3600}
        self.move_there_and_back({"A": OLD, "AAAA": OLD6}, {"A": NEW})

    def test_from_one_kind_to_the_other(self):
        self.sides(OLD, NEW6)
        self.move_there_and_back({"A": OLD}, {"AAAA": NEW6})

    def test_an_address_that_the_settings_do_not_know_blocks(self):
        self.records["AAAA"] = {"content": OLD6, "ttl": self.LOW}
        self.record["ttl"] = self.LOW
        self.assertIn(f"points to '{OLD} {OLD6}', not to '{OLD}'", self.run_hook("check", code=1))
        self.run_hook("on-switch")
        self.assertEqual(self.now(), {"A": (NEW, self.LOW)}, "nobody is left at the old side")

    def test_an_abort_restores_the_ttl_that_was_lowered_for_it(self):
        settings = self.dir / f"{self.HOOK}.conf"
        settings.write_text(settings.read_text().replace("TTL=3600", "TTL=61").replace("MOST_WAIT=1", "MOST_WAIT=62"))
        self.record["ttl"] = self.LOW
        self.run_hook("on-abort", again="yes")
        self.assertEqual(self.record["ttl"], self.LOW, "another attempt follows")
        self.run_hook("on-abort")
        self.assertEqual(self.record["ttl"], 61)

    def test_a_key_that_is_not_taken(self):
        (self.dir / "secret").write_text(self.SECRET.replace("T", "X") + "\n")
        self.assertIn("refuses", self.run_hook("check", code=1))
        self.run_hook("on-switch", code=1)
        self.assertEqual(self.record["content"], OLD)


class Cloudflare(Provider, unittest.TestCase):
    HOOK, BASE, SECRET = "cloudflare", "/client/v4", TOKEN
    SETTINGS = "ZONE_ID=zone1 NAME=app.example.org\nTOKEN_FILE={dir}/secret"
    serving = staticmethod(cloudflare)

    def test_a_proxied_record_has_no_ttl_of_its_own(self):
        self.record.update(proxied=True, ttl=1)
        for event in ("check", "before-fence", "on-switch", "verify-switch", "on-done"):
            self.run_hook(event)
        self.assertEqual(self.record, {"content": NEW, "ttl": 1, "proxied": True})

    def test_a_new_record_is_proxied_as_the_other_one(self):
        self.record.update(proxied=True, ttl=1)
        self.sides(OLD, f"{NEW} {NEW6}")
        self.run_hook("on-switch")
        self.assertEqual(self.records, {"A": {"content": NEW, "ttl": 1, "proxied": True}, "AAAA": {"content": NEW6, "ttl": 1, "proxied": True}})

    def test_an_automatic_ttl_is_five_minutes(self):
        self.record["ttl"] = 1
        self.assertIn("begin 300 s later", self.run_hook("check", code=1))


class Route53(Provider, unittest.TestCase):
    HOOK, BASE, SECRET = "route53", "", f"{KEY_ID}:{KEY}"
    SETTINGS = "ZONE_ID=Z1 NAME=app.example.org\nKEY_FILE={dir}/secret"
    serving = staticmethod(route53)

    def test_an_answer_about_something_else(self):
        self.record["name"] = "other.example.org."
        self.assertIn("points to '', not to", self.run_hook("check", code=1))
        self.record.update(name="app.example.org.", more="<ResourceRecord><Value>192.0.2.3</Value></ResourceRecord>")
        self.assertIn("more than one", self.run_hook("check", code=1))


if __name__ == "__main__":
    sys.exit(unittest.main())
