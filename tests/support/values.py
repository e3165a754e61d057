"""One canonical form per target type, reached from three sides: SQLite's raw value, Postgres's text, the ledger's JSON.

Two values are the same if their canonical forms are equal. A SQLite value that has no honest place in a type raises Unfit;
such a row belongs in the quarantine. Raw SQLite values come from a connection with text_factory = Text, so that text and
blob stay apart and bytes are exact."""
import base64
import datetime
import decimal
import json
import math
import re
import uuid

DATE = r"(\d{4})-(\d\d)-(\d\d)"
TIME = r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?"
ZONE = r"(Z|[+-]\d\d(?::?\d\d)?)?"
SECOND = 10**6
DAY = 86400 * SECOND
number = decimal.Decimal   # keeps every digit; only arithmetic would round


class Text(bytes):
    """A value of storage class TEXT, as its bytes; plain bytes are a BLOB."""


class Unfit(ValueError):
    """The value cannot be in this type without becoming another value."""


def text_of(raw):
    """Text that Postgres can hold."""
    try:
        text = bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise Unfit("invalid UTF-8") from None
    if "\0" in text:
        raise Unfit("NUL in text")
    return text


def micros_of_time(hours, minutes, seconds, fraction):
    digits = (fraction or "0").ljust(6, "0")
    if digits[6:].strip("0"):
        raise Unfit("finer than a microsecond")
    clock = datetime.time(int(hours), int(minutes), int(seconds or 0), int(digits[:6]))
    return ((clock.hour * 60 + clock.minute) * 60 + clock.second) * SECOND + clock.microsecond


def matched(pattern, text):
    found = re.fullmatch(pattern, text)
    if not found:
        raise Unfit("not in the expected format")
    return found.groups()


def checked(build, *parts):
    try:
        return build(*parts)
    except Unfit:
        raise
    except (ValueError, ArithmeticError) as error:
        raise Unfit(str(error)) from None


def date_of(text):
    year, month, day, *rest = matched(DATE + r"(?:[ T]00:00(?::00(?:\.0+)?)?)?", text)
    return checked(datetime.date, int(year), int(month), int(day)).isoformat()


def time_of(text):
    return checked(micros_of_time, *matched(TIME, text))


def moment_of(text):
    """Microseconds since 1970; without a zone it is UTC."""
    year, month, day, clock, *parts, zone = matched(DATE + r"(?:[ T](" + TIME + r")(?: (?!$))?" + ZONE + ")?", text)
    days = checked(datetime.date, int(year), int(month), int(day)).toordinal() - datetime.date(1970, 1, 1).toordinal()
    time = checked(micros_of_time, *parts) if clock else 0
    return days * DAY + time - offset_of(zone)


def offset_of(zone):
    if zone in (None, "Z"):
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    micros = (int(digits[:2]) * 60 + int(digits[2:])) * 60 * SECOND
    return -micros if zone[0] == "-" else micros


def tree(value):
    """A parsed JSON value in which 1 and true stay apart and numbers are exact; a bare real is the decimal that stands for it."""
    if isinstance(value, dict):
        return tuple(sorted((clean(key), tree(part)) for key, part in value.items())), "object"
    if isinstance(value, list):
        return tuple(tree(part) for part in value), "array"
    if isinstance(value, str):
        return clean(value), "string"
    if isinstance(value, bool) or value is None:
        return value, "word"
    return number(shortest(value)) if isinstance(value, float) else number(value), "number"


def clean(text):
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Unfit("a character that jsonb cannot hold")
    return text


def no_constant(word):
    raise Unfit(f"{word} is not JSON")


def json_of(text):
    try:
        return tree(json.loads(text, parse_float=number, parse_int=number, parse_constant=no_constant))
    except (json.JSONDecodeError, RecursionError):
        raise Unfit("not JSON") from None


# From SQLite.

def sqlite_boolean(raw):
    if isinstance(raw, int) and raw in (0, 1):
        return bool(raw)
    raise Unfit("not 0 or 1")


def sqlite_integer(bits):
    def convert(raw):
        whole = int(raw) if isinstance(raw, float) and raw.is_integer() else raw   # 1.0 is 1 in such a column
        if isinstance(whole, int) and -2 ** (bits - 1) <= whole < 2 ** (bits - 1):
            return whole
        raise Unfit("not an integer of this size")
    return convert


def sqlite_numeric(raw):
    if isinstance(raw, int):
        return number(raw)
    if isinstance(raw, float):
        return number(shortest(raw))
    if isinstance(raw, Text) and re.fullmatch(rb"(?!-[0.]+$)-?(0|[1-9]\d*)(\.\d+)?", raw):   # as Postgres prints it again
        return number(raw.decode())
    raise Unfit("not a number")


def sqlite_double(raw):
    if isinstance(raw, float) or (isinstance(raw, int) and int(float(raw)) == raw):
        return float(raw).hex()
    raise Unfit("not a double")


def sqlite_text(raw):
    if isinstance(raw, Text):
        return text_of(raw)
    if isinstance(raw, bytes):
        raise Unfit("a blob in a text column")
    return str(raw) if isinstance(raw, int) else shortest(raw)


def shortest(real):
    """A real as text: the shorter of the plain and the scientific form that read back the same; always seen to be one."""
    if math.isinf(real):
        return "Infinity" if real > 0 else "-Infinity"
    sign, digits, exponent = number(repr(real)).normalize().as_tuple()
    power = len(digits) + exponent - 1 if real else 0
    mantissa = "".join(map(str, digits))
    scientific = mantissa[0] + "." * (len(mantissa) > 1) + mantissa[1:] + f"e{power:+03d}"
    plain = str(abs(int(real))) if real.is_integer() else format(abs(number(repr(real))), "f")
    text = plain if len(plain) <= len(scientific) else scientific
    return "-" * sign + text + ".0" * (text.isdigit())


def sqlite_bytes(raw):
    if isinstance(raw, bytes):
        return bytes(raw)
    raise Unfit("a number in a blob column")


def sqlite_json(raw):
    """A column declared JSON has numeric affinity: a bare number in it is stored as a number."""
    if isinstance(raw, Text):
        return json_of(text_of(raw))
    if isinstance(raw, bytes) or (isinstance(raw, float) and not math.isfinite(raw)):
        raise Unfit("not JSON")
    return tree(raw)


def sqlite_from_text(convert):
    def read(raw):
        if not isinstance(raw, Text):
            raise Unfit("not text")
        return convert(text_of(raw))
    return read


def uuid_of(text):
    return checked(lambda: uuid.UUID(text).hex)


# type: (from SQLite's raw value, from Postgres's text, from the ledger's JSON value)
TYPES = {
    "boolean": (sqlite_boolean, lambda text: {"true": True, "false": False}[text], bool),
    "smallint": (sqlite_integer(16), int, int),
    "integer": (sqlite_integer(32), int, int),
    "bigint": (sqlite_integer(64), int, int),
    "numeric": (sqlite_numeric, number, number),
    "double precision": (sqlite_double, lambda text: float(text).hex(), lambda value: float(value).hex()),
    "text": (sqlite_text, str, str),
    "bytea": (sqlite_bytes, lambda text: bytes.fromhex(text[2:]), base64.b64decode),
    "jsonb": (sqlite_json, json_of, tree),
    "uuid": (sqlite_from_text(uuid_of), uuid_of, uuid_of),
    "date": (sqlite_from_text(date_of), date_of, date_of),
    "time without time zone": (sqlite_from_text(time_of), time_of, time_of),
    "timestamp with time zone": (sqlite_from_text(moment_of), moment_of, moment_of),
}
TYPES["character varying"] = TYPES["citext"] = TYPES["text"]
TYPES["json"] = TYPES["jsonb"]
TYPES["timestamp without time zone"] = TYPES["timestamp with time zone"]


def base_type(name):
    """'character varying(20)' and 'extensions.citext' lose what does not matter here."""
    return re.sub(r"\(.*?\)", "", name).split(".")[-1].strip('"')


def from_sqlite(kind, raw):
    return None if raw is None else TYPES[kind][0](raw)


def from_target(kind, text):
    """A text that has no canonical form (infinity, a year before Christ) stands for itself."""
    if text is None:
        return None
    try:
        return TYPES[kind][1](text)
    except ValueError:
        return "as printed", text


def from_ledger(kind, value):
    return None if value is None else TYPES[kind][2](value)


# declared type in SQLite (first match): (the usual types in the target, the types for columns whose values do not fit those)
EXPECTED = [
    (r"", {"bytea", "text"}, {"numeric", "double precision", "bigint"}),
    (r"BOOL(EAN)?", {"boolean"}, {"bigint", "text"}),
    (r"DATE", {"date"}, {"text", "timestamp with time zone"}),
    (r"(TIMESTAMP|DATETIME).*", {"timestamp with time zone", "timestamp without time zone"}, {"text"}),
    (r"TIME", {"time without time zone"}, {"text"}),
    (r"JSONB?", {"jsonb"}, {"text"}),
    (r"UUID|GUID", {"uuid"}, {"text"}),
    (r".*INT.*", {"bigint"}, {"numeric", "double precision", "text"}),
    (r".*(CHAR|CLOB|TEXT).*", {"character varying", "text", "citext"}, {"bytea"}),
    (r".*BLOB.*", {"bytea"}, set()),
    (r".*(REAL|FLOA|DOUB).*", {"double precision"}, {"text"}),
    (r".*", {"numeric"}, {"text", "double precision"}),
]


def expected_types(declared):
    base = re.sub(r"\(.*", "", declared or "").strip().upper()
    return next((usual, wide) for pattern, usual, wide in EXPECTED if re.fullmatch(pattern, base))
