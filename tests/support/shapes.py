"""Schemas and values at random, from a seed: every shape that facts/sqlite.md names."""
import dataclasses
import itertools

NAMES = ["order", "we ird", 'Quo"te', "ünï", "UPPER", "it's", "select", "a.b", "percent%s", "back\\slash", "{0}", "$1", "user", "plain", "x",
         "имя", "camelCase", "with-dash", "1st", "semi;colon", "naïve name", "tab\tname", "line\nname", ":colon", "?", "limit", "oid", "rowid"]
BIG = 2**63 - 1
ODD_TEXTS = ["", " ", "trail  ", "N\\N", "\\N", "\\.", "NULL", "null", "{a,b}", '"q"', "\\", "\t\n\r", "Straße", "日本語", "😀", "a,b", "'", "\x01", "\x7f", "é"]


def utf8(data):
    """A SQL expression for TEXT of exactly these bytes: Python would not let some of them through."""
    return f"CAST(x'{data.hex()}' AS TEXT)"


def literal(value):
    """A value as SQL text, so that every storage class and byte arrives as meant."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, Raw):
        return value.sql
    if isinstance(value, str):
        return utf8(value.encode()) if "\0" in value else "'" + value.replace("'", "''") + "'"
    if isinstance(value, float):
        return {float("inf"): "9e999", float("-inf"): "-9e999"}.get(value, repr(value))
    return "(-9223372036854775807 - 1)" if value == -BIG - 1 else str(int(value))


@dataclasses.dataclass(frozen=True)
class Raw:
    sql: str


def words(rng, most=12):
    return "".join(rng.choice("abcdefghijXYZ 0123456789_-ß") for _ in range(rng.randint(0, most)))


def long_text(rng):
    return words(rng) * 3 + "lång" * rng.choice([1, 300, 5000])


def date(rng):
    return f"{rng.randint(1, 9999):04}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def clock(rng):
    return f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}" + rng.choice(["", ".5", ".123", f".{rng.randint(0, 999999):06}"])


def moment(rng):
    return date(rng).replace("9999", "9998").replace("0001", "0002") + rng.choice(" T") + clock(rng) + rng.choice(["", "", "", "Z", "+02:00", "-11:30"])


def json_text(rng):
    return rng.choice(['{}', '[]', '{"b": 1, "a": [true, null, "ü"]}', '"text"', 'null', 'true', '[1.5e10, -0.0]', '{"k": {"k": "\\u00e9\\n"}}'])


def integer(rng):
    return rng.choice([rng.randint(-5, 20), rng.randint(-2**31, 2**32), rng.randint(-BIG - 1, BIG), BIG, -BIG - 1, 0, 2**53 + 1])


def real(rng):
    return rng.choice([0.0, -0.0, 1.0, -1.5, 0.1, 1e300, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"), 2.0**53, rng.uniform(-1e6, 1e6), 1e15, 123456789012345680.0])


def blob(rng):
    return bytes(rng.randrange(256) for _ in range(rng.choice([0, 1, 3, 40, 3000])))


def text(rng):
    return rng.choice([words(rng), words(rng), rng.choice(ODD_TEXTS), long_text(rng) if rng.random() < 0.1 else "x"])


# Values of any class for any column: most have no place in most types.
def odd(rng):
    return rng.choice([text, integer, real, blob, json_text, moment, lambda _: "0000-00-00", lambda _: "", lambda _: "yes", lambda _: 2, lambda _: 2.5,
                       lambda _: Raw(utf8(b"nul\0inside")), lambda _: Raw(utf8(b"\xff\xfe bad")), lambda _: Raw(utf8(b"\xed\xa0\x80")), lambda _: "abc",
                       lambda _: 1700000000, lambda _: 1700000000123, lambda _: 2459580.5, lambda _: '{"\\u0000": 1}', lambda _: "{'bad'", lambda _: True])(rng)


# declared type: values that belong there
KINDS = {
    "INTEGER": integer, "INT": integer, "BIGINT": integer, "UNSIGNED BIG INT": integer,
    "BOOLEAN": lambda rng: rng.randint(0, 1), "REAL": real, "DOUBLE PRECISION": real, "FLOAT": real,
    "TEXT": text, "CLOB": text, "VARCHAR(20)": lambda rng: words(rng, 20), "VARCHAR": text, "CHAR(3)": lambda rng: words(rng, 3),
    "NUMERIC(8,2)": lambda rng: rng.randint(-99999, 99999) / 100, "NUMERIC": lambda rng: rng.choice([rng.randint(-99, 99), 0.25, 1e10]), "DECIMAL(4)": lambda rng: rng.randint(-999, 999),
    "DATE": date, "DATETIME": moment, "TIMESTAMP": moment, "TIME": clock, "JSON": json_text, "BLOB": blob, "": lambda rng: rng.choice([integer, real, text, blob])(rng),
    "FANCY": lambda rng: rng.choice([integer, text])(rng),
}
STRICT_KINDS = {"INTEGER": integer, "INT": integer, "REAL": real, "TEXT": text, "BLOB": blob, "ANY": lambda rng: rng.choice([integer, real, text, blob])(rng)}
TYPED_TIMES = ("DATE", "DATETIME", "TIMESTAMP")


@dataclasses.dataclass
class Column:
    name: str
    declared: str
    make: object
    oddness: float = 0.0
    not_null: bool = False
    unique: bool = False
    collate: str = ""
    suffix: str = ""
    generated: bool = False

    def value(self, rng):
        if self.unique:
            return rng.randint(1, 100000) if "INT" in self.declared else f"u{rng.randint(1, 10**6)}" + rng.choice(["", "A", "a", "É"])
        if rng.random() < self.oddness:
            return odd(rng)
        return None if not self.not_null and rng.random() < 0.1 else self.make(rng)

    @property
    def sql(self):
        return " ".join(filter(None, [quoted(self.name), self.declared, "NOT NULL" * self.not_null, f"COLLATE {self.collate}" * bool(self.collate), self.suffix]))


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


@dataclasses.dataclass
class Table:
    name: str
    columns: list
    key: list                # names
    without_rowid: bool = False
    strict: bool = False
    constraints: list = dataclasses.field(default_factory=list)
    indexes: list = dataclasses.field(default_factory=list)
    parent: object = None    # (own column, parent table, parent column)

    @property
    def written(self):
        return [column for column in self.columns if not column.generated]

    def column(self, name):
        return next(column for column in self.columns if column.name == name)

    @property
    def statements(self):
        options = ", ".join(filter(None, ["WITHOUT ROWID" * self.without_rowid, "STRICT" * self.strict]))
        body = ",\n  ".join([column.sql for column in self.columns] + self.constraints)
        return [f"CREATE TABLE {quoted(self.name)} (\n  {body}) {options}", *self.indexes]


class Shapes:
    def __init__(self, rng):
        self.rng, self.numbers = rng, itertools.count(1)

    def schema(self):
        rng = self.rng
        makers = [self.integer_key, self.text_key, self.composite_key, self.nullable_key, self.no_key, self.typeless_key]
        tables = [make() for make in makers if rng.random() < 0.8]
        return [*tables, *self.family()]

    def name(self, prefix="t"):
        return f"{prefix}{next(self.numbers)} {self.rng.choice(NAMES)}" if self.rng.random() < 0.5 else f"{prefix}{next(self.numbers)}"

    def some_columns(self, table_columns, strict=False):
        rng = self.rng
        kinds = STRICT_KINDS if strict else KINDS
        oddness = rng.choice([0, 0, 0.03, 0.3])
        taken = {column.name.lower() for column in table_columns}
        for _ in range(rng.choice([1, 2, 3, 5, 8, 40 if rng.random() < 0.3 else 6])):
            name = rng.choice(NAMES)
            if name.lower() in taken:
                name = f"c{len(taken)}"
            taken.add(name.lower())
            declared = rng.choice(list(kinds))
            column = Column(name, declared, kinds[declared], oddness)
            if "TEXT" in declared or "CHAR" in declared:
                column.collate = rng.choice(["", "", "NOCASE", "RTRIM"])
            column.not_null = rng.random() < 0.15
            if not column.not_null and rng.random() < 0.1 and declared in ("TEXT", "INTEGER"):
                column.suffix = rng.choice(["DEFAULT 7", "DEFAULT 'it''s'", "DEFAULT (1 + 2)", "DEFAULT NULL"]) if not strict else ""
            table_columns.append(column)
        return table_columns

    def finish(self, name, columns, key, **options):
        """A table with some generated columns, unique columns and indexes."""
        rng = self.rng
        strict = options.get("strict", False)
        self.some_columns(columns, strict)
        if rng.random() < 0.6:
            columns.append(Column("uniq", rng.choice(["INTEGER", "TEXT"]), None, unique=True, suffix=rng.choice(["UNIQUE", ""])))
            if columns[-1].declared == "TEXT":
                columns[-1].collate = rng.choice(["", "NOCASE", "RTRIM"])
        if rng.random() < 0.5:
            columns.append(Column("base", "INTEGER", lambda rng: rng.randint(-1000, 1000)))
            columns.append(Column("word", "TEXT", lambda rng: words(rng)))
            kind = rng.choice(["STORED", "VIRTUAL"])
            columns.append(Column("gen_n", "INTEGER", None, suffix=f"GENERATED ALWAYS AS (base * 2 + 1) {kind}", generated=True))
            columns.append(Column("gen_t", "TEXT", None, suffix=rng.choice(
                ["AS (word || '-' || base)", "AS (upper(word)) STORED", "AS (substr(word, 2)) VIRTUAL", "AS (coalesce(word, 'none'))", "AS (printf('%05d', base))"]), generated=True))
        constraints = [f"PRIMARY KEY ({', '.join(quoted(part) for part in key)})"] if key and options.pop("table_key", True) else []
        if any(column.name == "base" for column in columns) and rng.random() < 0.7:
            constraints.append(rng.choice(["CHECK (base < 5000)", "CONSTRAINT \"odd Name\" CHECK (base BETWEEN -5000 AND 5000 AND length(word) < 100)", "CHECK (base IN (1, 2) OR base > -9999)"]))
        table = Table(name, columns, key, constraints=constraints, **{option: options[option] for option in ("without_rowid", "strict") if option in options})
        self.add_indexes(table)
        return table

    def add_indexes(self, table):
        rng, names = self.rng, [column.name for column in table.columns]
        choices = ["({0})", "({0}, {1})", "({0} DESC)", "({0}) WHERE {1} IS NOT NULL"]
        indexable = [column.name for column in table.written if column.declared not in ("JSON", "BLOB", "") and column.make not in (text, blob)] or table.key
        for _ in range(rng.randint(0, 3)):
            if not indexable:
                break
            one, two = (quoted(rng.choice(indexable)) for _ in range(2))
            body = rng.choice(choices).format(one, two)
            if one == two and ", " in body:
                continue
            table.indexes.append(f"CREATE INDEX {quoted('ix' + str(next(self.numbers)))} ON {quoted(table.name)} {body}")
        if "word" in names and rng.random() < 0.5:
            table.indexes.append(f"CREATE INDEX ix{next(self.numbers)} ON {quoted(table.name)} (lower(word))")
        if "uniq" in names and rng.random() < 0.5:
            where = rng.choice(["", " WHERE uniq IS NOT NULL"])
            table.indexes.append(f"CREATE UNIQUE INDEX ux{next(self.numbers)} ON {quoted(table.name)} (uniq){where}")

    def integer_key(self):
        auto = self.rng.choice([" AUTOINCREMENT", ""])
        key = Column("id", "INTEGER", None, suffix="PRIMARY KEY" + auto)
        key.make = lambda rng: rng.choice([None, rng.randint(-3, 60), rng.randint(0, 2**40)])
        return self.finish(self.name("int"), [key], ["id"], table_key=False, strict=self.rng.random() < 0.2)

    def text_key(self):
        strict = self.rng.random() < 0.3
        key = Column("key", "TEXT", lambda rng: rng.choice(["k", "K", "k ", "É", "\\", '"', "'", ""]) + str(rng.randint(1, 40)) + rng.choice(["", " ", "a", "A"]),
                     not_null=True, collate=self.rng.choice(["", "NOCASE", "RTRIM"]))
        return self.finish(self.name("text"), [key], ["key"], without_rowid=self.rng.random() < 0.5, strict=strict)

    def composite_key(self):
        kinds = [("INTEGER", lambda rng: rng.randint(1, 8)), ("TEXT", lambda rng: rng.choice("abAB") + words(rng, 1)), ("REAL", lambda rng: rng.choice([0.5, 1.0, 2.25, 1e300])), ("BLOB", lambda rng: bytes([rng.randint(0, 5)])),
                 ("DATE", lambda rng: f"2024-01-0{rng.randint(1, 9)}")]
        keys = [Column(f"k {place}", declared, make, not_null=True) for place, (declared, make) in enumerate(self.rng.sample(kinds, self.rng.randint(2, 3)))]
        return self.finish(self.name("pair"), list(keys), [key.name for key in reversed(keys)], without_rowid=self.rng.random() < 0.5)

    def nullable_key(self):
        key = Column("nk", "TEXT", lambda rng: rng.choice([None, words(rng, 2)]), 0.05)
        return self.finish(self.name("nullable"), [key], ["nk"])

    def no_key(self):
        return self.finish(self.name("none"), [], [])

    def typeless_key(self):
        without = self.rng.random() < 0.5
        key = Column("anykey", "", lambda rng: rng.choice([rng.randint(1, 9), float(rng.randint(1, 9)), rng.choice("abc")]), not_null=True)
        return self.finish(self.name("typeless"), [key], ["anykey"], without_rowid=without)

    def family(self):
        """Parents and children: cascade, set null, a unique column that is not the key, a self-reference."""
        rng, number = self.rng, next(self.numbers)
        action = rng.choice(["ON DELETE CASCADE", "ON DELETE SET NULL", "ON DELETE CASCADE ON UPDATE CASCADE", "ON UPDATE CASCADE ON DELETE SET NULL"])
        parent = Table(f"parent{number}", [Column("id", "INTEGER", lambda rng: rng.choice([None, rng.randint(1, 40)]), suffix="PRIMARY KEY"),
                                           Column("code", "TEXT", None, unique=True, suffix="UNIQUE", not_null=True),
                                           Column("boss", "INTEGER", None, suffix=f"REFERENCES parent{number}(id) {action}")], ["id"])
        parent.parent = ("boss", parent, "id")
        child = Table(f"child{number}", [Column("id", "INTEGER", lambda rng: None, suffix="PRIMARY KEY"), Column("of", "INTEGER", None, suffix=f"REFERENCES parent{number} {action}"),
                                         Column("note", "TEXT", text)], ["id"])
        child.parent = ("of", parent, "id")
        other = Table(f"other{number}", [Column("a", "INTEGER", lambda rng: rng.randint(1, 30), not_null=True), Column("b", "TEXT", lambda rng: words(rng, 1), not_null=True),
                                         Column("code", "TEXT", None, suffix=f"REFERENCES parent{number}(code) ON DELETE CASCADE ON UPDATE CASCADE")], ["a", "b"],
                      constraints=["PRIMARY KEY (a, b)"])
        other.parent = ("code", parent, "code")
        return [parent, child, other]
