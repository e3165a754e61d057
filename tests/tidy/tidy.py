#!/usr/bin/python3
"""clang-tidy over our sources; any warning fails. Short form: what reads bytes of others and what is durable, without the
static analyser. TIDEGATE_LONG=1: every file, with it. Files may be named as arguments."""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FOLDERS = ["proto", "db", "capture", "apply", "replicator"]
SHORT = ["proto", "replicator/journal", "capture/postgres/pgoutput.cpp", "capture/postgres/assembler.cpp",
         "capture/sqlite/narrowing"]
LONG = bool(os.environ.get("TIDEGATE_LONG"))
# g++'s options that clang does not know, and a <source_location> that clang 14 can read.
FLAGS = ["--quiet", "--extra-arg=-Wno-unknown-warning-option", f"--extra-arg=-isystem{HERE}", "--warnings-as-errors=*"]


def sources(names):
    for name in names:
        path = ROOT / name
        yield from sorted(path.rglob("*.cpp")) if path.is_dir() else [path]


def without_precompiled(build, folder):
    """Compile commands as clang can read them: g++'s precompiled headers are not for it."""
    text = (build / "compile_commands.json").read_text()
    (folder / "compile_commands.json").write_text(re.sub(r" -fpch-preprocess| -Winvalid-pch -include \S+cmake_pch\.hxx", "", text))
    return folder


def findings(build, path):
    """What clang-tidy says of one file; empty where it is content."""
    checks = [] if LONG else ["--checks=-clang-analyzer-*"]
    done = subprocess.run(["clang-tidy", "-p", str(build), *FLAGS, *checks, str(path)], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else done.stdout or done.stderr


def offence_is_found(build):
    """A file with a known offence must not pass, or the test could not fail."""
    planted = HERE / "offence.cpp"
    return "bugprone-" in findings(build, planted)


def main():
    if not shutil.which("clang-tidy"):
        print("clang-tidy is not installed: skipped")
        return 77
    folder = tempfile.TemporaryDirectory(prefix="tidegate-tidy-")
    build = without_precompiled(pathlib.Path(os.environ["TIDEGATE_BIN_DIR"]), pathlib.Path(folder.name))
    if not offence_is_found(build):
        print("clang-tidy does not find a planted offence")
        return 1
    files = list(sources(sys.argv[1:] or (FOLDERS if LONG else SHORT)))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        said = [text for text in pool.map(lambda path: findings(build, path), files) if text.strip()]
    print("\n".join(said) or f"{len(files)} files, nothing found")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
