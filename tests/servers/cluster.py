"""A real cluster of three Valkeys of the test run's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import redis
from redis.cluster import RedisCluster

from config.embedded.process import free_port
from config.embedded.valkey import Valkey
from tests.patience import eventually

SLOTS: Final = 16_384
PASSWORD: Final = "the-clusters-password"
SECONDS: Final = 60.0


@dataclass
class Cluster:
    """Primaries without replicas, each with a part of the slots."""

    state: Path
    nodes: list[Valkey] = field(default_factory=list)

    @classmethod
    def start(cls, state: Path, size: int = 3) -> Cluster:
        cluster = cls(state)
        for number in range(size):
            cluster._start_node(number)
        bounds = [SLOTS * number // size for number in range(size + 1)]
        for node, first, end in zip(cluster.nodes, bounds, bounds[1:], strict=False):
            with connected(node) as client:
                client.execute_command("CLUSTER ADDSLOTSRANGE", first, end - 1)
        cluster._meet()
        return cluster

    def _start_node(self, number: int) -> Valkey:
        folder = self.state / f"node-{number}"
        folder.mkdir(parents=True)
        (folder / "valkey-password").write_text(PASSWORD)
        # The bus has a port of its own because port + 10,000 may be none.
        options = (
            "--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-node-timeout", "5000",
            "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0",
            # A server that has given its last slot away stays a primary.
            "--cluster-allow-replica-migration", "no",
        )  # fmt: skip
        node = Valkey(folder, options=options)
        node.start()
        self.nodes.append(node)
        return node

    def join(self) -> Valkey:
        """One more server, which has no slot."""
        node = self._start_node(len(self.nodes))
        self._meet()
        return node

    def follow(self, primary: Valkey) -> Valkey:
        """One more server, a replica that has everything."""
        node = self.join()
        with connected(node) as client, connected(primary) as of:
            client.execute_command("CLUSTER REPLICATE", of.execute_command("CLUSTER MYID"))
            eventually(
                "the replica has everything", lambda: client.info("replication").get("master_link_status") == "up", SECONDS
            )
        return node

    def _meet(self) -> None:
        with connected(self.nodes[-1]) as client:
            for node in self.nodes[:-1]:
                client.execute_command("CLUSTER MEET", "127.0.0.1", node.port, node.options[3])
        eventually("the servers of the cluster know each other", self._is_whole, SECONDS)

    def _is_whole(self) -> bool:
        for node in self.nodes:
            with connected(node) as client:
                info = client.cluster("INFO")
                if info["cluster_state"] != "ok" or int(info["cluster_known_nodes"]) != len(self.nodes):
                    return False
        return True

    @property
    def url(self) -> str:
        """As a user's settings spell it."""
        parts = urlsplit(self.nodes[0].url)
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"redis+cluster://:{parts.password}@{hosts}/0"

    def client(self) -> RedisCluster:
        """The library's own client, for tests to look and to meddle with."""
        return RedisCluster.from_url(self.nodes[0].url, decode_responses=True)

    def owner(self, slot: int) -> Valkey:
        """The server that has a slot, as it says itself; between two of them there is none for a moment."""
        found: list[Valkey] = []

        def ask() -> bool:
            found[:] = [node for node in self.nodes if owns(node, slot)]
            return bool(found)

        eventually(f"somebody has slot {slot}", ask, SECONDS)
        return found[0]

    def move(self, slot: int, to: Valkey) -> None:
        """Move a slot key by key, as `valkey-cli --cluster reshard` does."""
        move = Move(self, slot, to)
        move.begin()
        while move.carry(10):
            pass
        move.end()

    def move_at_once(self, slot: int, to: Valkey) -> None:
        """Move a slot as Valkey 9 and newer can; https://valkey.io/commands/cluster-migrateslots/."""
        with connected(self.owner(slot)) as source, connected(to) as target:
            name = target.execute_command("CLUSTER MYID")
            source.execute_command("CLUSTER MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", name)
        eventually(f"slot {slot} is on its new server", lambda: owns(to, slot), SECONDS)

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()


@dataclass
class Move:
    """A slot on its way from its owner to another server; https://valkey.io/commands/cluster-setslot/ numbers the steps."""

    cluster: Cluster
    slot: int
    to: Valkey
    source: Valkey = field(init=False)

    def __post_init__(self) -> None:
        self.source = self.cluster.owner(self.slot)

    def begin(self) -> None:
        with connected(self.source) as source, connected(self.to) as to:
            to.execute_command("CLUSTER SETSLOT", self.slot, "IMPORTING", source.execute_command("CLUSTER MYID"))
            source.execute_command("CLUSTER SETSLOT", self.slot, "MIGRATING", to.execute_command("CLUSTER MYID"))

    def carry(self, count: int) -> int:
        """Carry some keys over; how many there were."""
        with connected(self.source) as source:
            keys = source.execute_command("CLUSTER GETKEYSINSLOT", self.slot, count)
            if keys:
                password = urlsplit(self.to.url).password
                source.execute_command(
                    "MIGRATE", "127.0.0.1", self.to.port, "", 0, 5_000, "AUTH", password, "KEYS", *keys
                )  # fmt: skip
        return len(keys)

    def end(self) -> None:
        """The new owner hears of it first: a slot without an owner would be lost if the old one died now."""
        with connected(self.to) as to:
            name = to.execute_command("CLUSTER MYID")
        for node in [self.to, self.source, *self.cluster.nodes]:
            with connected(node) as client:
                client.execute_command("CLUSTER SETSLOT", self.slot, "NODE", name)


@contextmanager
def connected(node: Valkey) -> Iterator[Any]:
    client: Any = redis.Redis.from_url(node.url, decode_responses=True)
    try:
        yield client
    finally:
        client.close()


def owns(node: Valkey, slot: int) -> bool:
    with connected(node) as client:
        mine = client.execute_command("CLUSTER MYID")
        return any(part[0] <= slot <= part[1] and part[2][2] == mine for part in client.execute_command("CLUSTER SLOTS"))
