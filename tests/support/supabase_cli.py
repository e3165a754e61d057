"""The real Supabase CLI, from npm, against a database of ours."""
import os
import pathlib
import re
import subprocess

from support import npm

PACKAGE, VERSION = "@supabase/cli-linux-x64", "3.1.0"
SHA512 = ("ebb681549439a6c419e5ecccfee6f2fb18ca945d84af518b1fd12d416a5492e3a9477b88edf42342df5f5d37d5ebfa2a2c903723e5fc3b9161cffa5af25022aa")
PATIENCE = 120   # seconds for one command


class SupabaseCli:
    """In a folder that has supabase/migrations. Raises SkipTest where npm cannot give the program."""

    def __init__(self, folder, url):
        self.program = npm.package(PACKAGE, VERSION, SHA512, "supabase-cli") / "bin" / "supabase"
        self.folder, self.url = pathlib.Path(folder), url

    def __call__(self, *arguments):
        """Standard output and error; raises AssertionError where it fails."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "DO_NOT_TRACK": "1", "SUPABASE_TELEMETRY_DISABLED": "1"}
        done = subprocess.run([self.program, *arguments, f"--remote={self.url}"], cwd=self.folder, env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode:
            raise AssertionError(f"supabase {' '.join(arguments)}: {done.stderr}{done.stdout}")
        return done.stdout + done.stderr

    def push(self):
        return self("db", "push", "--yes")

    def listed(self):
        """[(version here, version in the database)], empty where one of them has it not."""
        lines = re.findall(r"^\s*`?([ \d]*?)`?\s*\|\s*`?([ \d]*?)`?\s*\|[^|]*$", self("migration", "list"), re.M)
        return [(here, there) for here, there in lines if here or there]
