#!/usr/bin/python3
"""The house's own rules: include direction, length of functions, no name of a machine or a secret in argv.

Each check is also run against a planted offence, so that it cannot pass by finding nothing."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["proto", "db", "capture", "apply", "replicator"]
ALLOWED = {
    "proto": {"proto"},
    "db": {"proto", "db"},
    "capture": {"proto", "db", "capture"},
    "apply": {"proto", "db", "apply"},
    "replicator": set(FOLDERS),
}
MAX_FUNCTION_LINES = 70


def sources():
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.[ch]pp")):
            yield folder, path, path.read_text()


def wrong_includes(folder, text):
    """Includes of a folder that stands above; a relative path upward counts as wrong too."""
    wrong = []
    for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.M):
        top = name.split("/")[0]
        if ".." in name or (top in FOLDERS and top not in ALLOWED[folder]):
            wrong.append(name)
    return wrong


def long_functions(text):
    """Bodies over the limit: from a line at column 0 to 2 that ends in '{' to its closing brace at the same indent."""
    found, lines, start = [], text.splitlines(), None
    for number, line in enumerate(lines, 1):
        opens = re.match(r"^(\s{0,2})(?!namespace|struct|class|enum|union|//)\S.*\)\s*(const|noexcept|override|\s)*\{$", line)
        if start is None and opens:
            start, indent = number, opens.group(1)
        elif start is not None and line == indent + "}":
            if number - start - 1 > MAX_FUNCTION_LINES:
                found.append((start, number - start - 1))
            start = None
    return found


def printed_codes(text):
    """Codes that an operator can meet: of our exceptions, of findings, of the API's answers."""
    return set(re.findall(r'(?:Coded<[\w:]+>\(|\b(?:Refused|Usage|SchemaNeedsOperator)\((?="[^"]*",)|Level::\w+,|error_response\(\d+,\s*\{|\bblock\(|\brefuse\((?="[a-z-]+",\s*file))\s*"([a-z0-9_-]+)"', text))


def unformatted(paths):
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", *paths], capture_output=True, text=True, check=False)
    return sorted({line.split(":")[0] for line in done.stderr.splitlines() if ": error:" in line})


class HouseRules(unittest.TestCase):
    @unittest.skipUnless(shutil.which("clang-format"), "clang-format is not installed")
    def test_sources_are_formatted(self):
        with tempfile.NamedTemporaryFile("w", suffix=".cpp", dir=ROOT / "tests") as planted:
            planted.write("int   f( ){return 1;}\n")
            planted.flush()
            self.assertEqual(len(unformatted([planted.name])), 1)
        files = [path for folder in [*FOLDERS, "tests"] for path in sorted((ROOT / folder).rglob("*.[ch]pp"))]
        self.assertEqual(unformatted(files), [])

    def test_includes_only_downwards(self):
        self.assertEqual(wrong_includes("db", '#include "apply/sink.hpp"\n'), ["apply/sink.hpp"])
        self.assertEqual(wrong_includes("apply", '#include "../capture/source.hpp"\n'), ["../capture/source.hpp"])
        for folder, path, text in sources():
            with self.subTest(path=path.name):
                self.assertEqual(wrong_includes(folder, text), [])

    def test_functions_are_short(self):
        planted = "void f() {\n" + "  x();\n" * (MAX_FUNCTION_LINES + 1) + "}\n"
        self.assertEqual(len(long_functions(planted)), 1)
        for _, path, text in sources():
            with self.subTest(path=path.name):
                self.assertEqual(long_functions(text), [])

    def test_every_code_is_explained(self):
        self.assertEqual(printed_codes('throw Coded<Usage>("a-b", x); find(Level::note,\n "c-d", y) Refused("e-f", z) Usage("g h")'),
                         {"a-b", "c-d", "e-f"})
        explained = set(re.findall(r'\{"([\w-]+)",', "".join(file.read_text() for file in (ROOT / "replicator/cli/explained").glob("*.cpp"))))
        for _, path, text in sources():
            with self.subTest(path=path.name):
                self.assertEqual(printed_codes(text) - explained, set())

    def test_raw_handles_stay_in_db(self):
        raw = re.compile(r"\b(PQexec|PQclear|PQfinish|sqlite3_step|sqlite3_finalize|sqlite3_close)\w*\(")
        self.assertTrue(raw.search("PQclear(result);"))
        for folder, path, text in sources():
            if folder != "db":
                with self.subTest(path=path.name):
                    self.assertIsNone(raw.search(text))


if __name__ == "__main__":
    sys.exit(unittest.main())
