"""The process that owns the private servers of a checkout: `python -m config.embedded.keeper STATE`.

Whoever uses the servers holds a shared lock on one file. The keeper looks twice a second whether anybody still does; when it
gets the file for itself, it stops the servers and ends. So they live as long as their last user, whatever becomes of
whom: a killed user's lock goes with it, a killed keeper's servers go with it (PDEATHSIG), and when one server crashes the
keeper stops the other and ends, so that whoever waits for the keeper (config.embedded.watch) knows.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

from config.embedded.binaries import ServerMissingError
from config.embedded.postgres import Postgres
from config.embedded.process import StartError
from config.embedded.valkey import Valkey

USERS_LOCK: Final = "servers.lock"
KEEPER_LOCK: Final = "keeper.lock"
KEEPER_LOG: Final = "keeper.log"
STATE_FILE: Final = "servers.json"
_LOOK_SECONDS: Final = 0.5


def main(state: Path) -> int:
    """Own the servers until nobody uses them."""
    keeper_lock = (state / KEEPER_LOCK).open("a")
    try:
        fcntl.flock(keeper_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0  # another keeper is at it
    (state / STATE_FILE).unlink(missing_ok=True)  # of a keeper that was killed
    for signum in (signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)  # Ctrl-C is for the users; the keeper goes when they are gone
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    servers = (Postgres(state), Valkey(state))
    try:
        for server in servers:
            server.start()
        _publish(state, {"database_url": servers[0].url, "redis_url": servers[1].url, "keeper": os.getpid()})
        _wait_until_unused(state, servers)
        return 1 if _crashed(servers) else 0
    except (StartError, ServerMissingError, OSError) as error:
        _publish(state, {"error": str(error)})
        return 1
    finally:
        if servers[1].url:
            (state / STATE_FILE).unlink(missing_ok=True)
        for server in reversed(servers):
            server.stop()


def _publish(state: Path, content: dict[str, object]) -> None:
    draft = state / f"{STATE_FILE}.new"
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(content))
    draft.rename(state / STATE_FILE)


def _wait_until_unused(state: Path, servers: tuple[Postgres, Valkey]) -> None:
    with (state / USERS_LOCK).open("a") as users:
        while not _crashed(servers):
            time.sleep(_LOOK_SECONDS)
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            os.dup(users.fileno())  # kept to the end of the process: a new user waits until the servers are down
            return


def _crashed(servers: tuple[Postgres, Valkey]) -> list[str]:
    """The servers that ended although nobody stopped them."""
    crashed = [type(server).__name__ for server in servers if not server.runs()]
    for name in crashed:
        print(f"the private {name} ended by itself; see {name.lower()}.log", file=sys.stderr, flush=True)
    return crashed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
