"""What a bare checkout lacks in its environment: addresses of servers, and a secret of its own."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from config.embedded import secret, servers
from config.embedded.process import StartError

STATE: Final = Path(os.environ.get("AGENTMON_STATE") or Path(__file__).resolve().parents[2] / ".local")
"""Where the private servers and everything else of this checkout that must survive a restart live."""
_SERVERLESS: Final = frozenset({"help", "check", "makemigrations", "collectstatic", "spectacular", "version", "sink", "test"})
_NOWHERE: Final = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}


def prepare(arguments: list[str]) -> None:
    """Complete the environment of a management command; exits with one line when the servers do not start.

    A set DATABASE_URL means a real installation: then SECRET_KEY is demanded by the settings, not made here.
    """
    private = not os.environ.get("DATABASE_URL")
    if _needs_servers(arguments) and not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")):
        try:
            addresses = servers.acquire(STATE)
        except (StartError, OSError) as error:
            sys.exit(f"the private servers cannot be used: {error}")
        _complete({"DATABASE_URL": addresses.database_url, "REDIS_URL": addresses.redis_url})
    else:
        _complete(_NOWHERE)
    # Standard output belongs to the command; what the demo or a replay logs goes elsewhere. Empty means nowhere, and stays.
    os.environ.setdefault("MONITORING_LOG_PATH", str(STATE / "agent.log") if private else "/dev/stderr")
    if private and not os.environ.get("SECRET_KEY"):
        os.environ["SECRET_KEY"] = secret.keep(STATE / "secret-key", lambda: secrets.token_urlsafe(50))


def _complete(values: Mapping[str, str]) -> None:
    """Set what is not set or empty."""
    os.environ.update({name: value for name, value in values.items() if not os.environ.get(name)})


def _needs_servers(arguments: list[str]) -> bool:
    if not arguments or arguments[0].startswith("-") or arguments[0] in _SERVERLESS:
        return False
    return "--help" not in arguments and "-h" not in arguments
