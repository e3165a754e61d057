"""Programs that Debian does not have, from npm: pinned, checked, and kept in a cache folder outside the tree."""
import fcntl
import hashlib
import os
import pathlib
import subprocess
import tempfile
import unittest

PATIENCE = 180   # seconds for npm


def cache_folder():
    """PostgreSQL refuses root, and the user it then runs as cannot enter root's home."""
    if os.getuid() == 0:
        return pathlib.Path("/var/cache/tidegate")
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tidegate"


def package(name, version, sha512, what, prepare=lambda folder: None):
    """The folder of an unpacked package. Raises SkipTest where npm cannot give it. `prepare` is called once, with the new folder."""
    folder = cache_folder() / f"{what}-{version}"
    try:
        folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with open(folder.parent / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                _fetch(folder, f"{name}@{version}", sha512, prepare)
    except (OSError, subprocess.SubprocessError) as error:
        raise unittest.SkipTest(f"{what} could not be had from npm ({name} {version}): {type(error).__name__}") from None
    return folder


def run(*command, cwd):
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, timeout=PATIENCE)


def _fetch(folder, name, sha512, prepare):
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        run("npm", "pack", "--silent", name, cwd=made)
        archive, = pathlib.Path(made).glob("*.tgz")
        if hashlib.sha512(archive.read_bytes()).hexdigest() != sha512:
            raise RuntimeError(f"{name} is not what it was: its SHA-512 differs")
        run("tar", "-xzf", archive, "--no-same-owner", cwd=made)
        unpacked = pathlib.Path(made) / "package"
        prepare(unpacked)
        unpacked.chmod(0o755)
        unpacked.rename(folder)
