"""Real servers of the test run's own, gone when it ends, however it ends."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from config.embedded.postgres import Postgres
from config.embedded.valkey import Valkey
from tests.servers.cluster import Cluster


@dataclass
class Servers:
    """One Postgres and one Valkey for the whole run, and a cluster where the hot store is to be one."""

    state: Path
    postgres: Postgres
    valkey: Valkey
    cluster: Cluster | None = None

    @classmethod
    def start(cls, *, durable: bool = False, cluster: bool = False) -> Servers:
        """Durable, they wait for the disk as a real one does; what is only tested need not."""
        state = Path(tempfile.mkdtemp(prefix="agentmon-tests-"))
        state.chmod(0o755)
        servers = cls(state, Postgres(state, durable=durable), Valkey(state))
        servers.postgres.start()
        servers.valkey.start()
        if cluster:
            servers.cluster = Cluster.start(state)
        return servers

    @property
    def hot_store(self) -> str:
        """The address of the hot store."""
        return self.valkey.url if self.cluster is None else self.cluster.url

    def environment(self) -> dict[str, str]:
        broker = {} if self.cluster is None else {"CELERY_BROKER_URL": self.valkey.url.removesuffix("/0") + "/1"}
        return broker | {
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.hot_store,
            "SECRET_KEY": "a-key-for-tests-only-" + "x" * 40,
            "INSECURE_HTTP": "1",
            "MONITORING_LOG_PATH": os.devnull,
        }

    def stop(self) -> None:
        if self.cluster is not None:
            self.cluster.stop()
        self.valkey.stop()
        self.postgres.stop()
        shutil.rmtree(self.state, ignore_errors=True)
