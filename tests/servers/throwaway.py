"""Real servers of the test run's own, gone when it ends, however it ends."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from config.embedded.postgres import Postgres
from config.embedded.valkey import Valkey


@dataclass
class Servers:
    """One Postgres and one Valkey for the whole run."""

    state: Path
    postgres: Postgres
    valkey: Valkey

    @classmethod
    def start(cls, *, durable: bool = False) -> Servers:
        """Durable, they wait for the disk as a real one does; what is only tested need not."""
        state = Path(tempfile.mkdtemp(prefix="agentmon-tests-"))
        state.chmod(0o755)
        servers = cls(state, Postgres(state, durable=durable), Valkey(state))
        servers.postgres.start()
        servers.valkey.start()
        return servers

    def environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.valkey.url,
            "SECRET_KEY": "a-key-for-tests-only-" + "x" * 40,
            "INSECURE_HTTP": "1",
            "MONITORING_LOG_PATH": os.devnull,
        }

    def stop(self) -> None:
        self.valkey.stop()
        self.postgres.stop()
        shutil.rmtree(self.state, ignore_errors=True)
