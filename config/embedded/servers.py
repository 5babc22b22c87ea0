"""Use the private servers of a checkout: started when they are not running, stopped after their last user."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from config.embedded.keeper import KEEPER_LOCK, KEEPER_LOG, STATE_FILE, USERS_LOCK
from config.embedded.process import StartError

_START_SECONDS: Final = 90.0
_held: list[IO[str]] = []


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the servers listen."""

    database_url: str
    redis_url: str


def acquire(state: Path) -> Addresses:
    """Use the servers until this process ends. Raises StartError with what is wrong."""
    state.mkdir(parents=True, exist_ok=True)
    users = (state / USERS_LOCK).open("a")
    fcntl.flock(users, fcntl.LOCK_SH)
    _held.append(users)
    keeper: subprocess.Popen[bytes] | None = None
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if _kept(state):
            addresses = _published(state)
            if addresses is not None:
                return addresses
        elif keeper is None or keeper.poll() == 0:  # nobody keeps them, or ours made way for one that is gone again
            keeper = _start_keeper(state)
        elif keeper.poll() is not None:
            _published(state)  # raises what the keeper found wrong
            msg = f"their keeper ended at once:\n{(state / KEEPER_LOG).read_text()[-800:]}"
            raise StartError(msg)
        time.sleep(0.05)
    msg = f"the private servers did not start within {_START_SECONDS:.0f} s; see {state / KEEPER_LOG}"
    raise StartError(msg)


def in_use() -> bool:
    """Whether this process uses private servers."""
    return bool(_held)


def _start_keeper(state: Path) -> subprocess.Popen[bytes]:
    (state / STATE_FILE).unlink(missing_ok=True)
    print("starting a private Postgres and a private Valkey under .local/ …", file=sys.stderr)
    with (state / KEEPER_LOG).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "config.embedded.keeper", str(state)],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )


def _kept(state: Path) -> bool:
    """Whether a keeper is alive: it holds its lock as long as it lives."""
    with (state / KEEPER_LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _published(state: Path) -> Addresses | None:
    """What the keeper has to say, if anything yet. Raises StartError when it could not start the servers."""
    try:
        content = json.loads((state / STATE_FILE).read_text())
    except FileNotFoundError:
        return None
    if "error" in content:
        raise StartError(content["error"])
    return Addresses(content["database_url"], content["redis_url"])
