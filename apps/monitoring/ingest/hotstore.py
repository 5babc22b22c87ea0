"""Redis or Valkey as the place where open minutes live until they are rolled up.

Everything of one shard carries the hash tag of the shard, so a cluster keeps it in one slot. A minute is a
*batch* with a random id; a batch is open until it is sealed, and sealed until the snapshots hold it. What comes after the
server was started anew is another batch.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from apps.monitoring.catalogue import METRICS, Kind
from apps.monitoring.conf import conf
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest.server import Call, Server, server
from apps.monitoring.ingest.waiting import Record

_LUA: Final = Path(__file__).parent / "lua"
_APPLY: Final = (_LUA / "apply.lua").read_text()
_SEAL: Final = (_LUA / "seal.lua").read_text()
_DROP: Final = (_LUA / "drop.lua").read_text()
_REMEMBER: Final = (_LUA / "remember.lua").read_text()
_REMEMBER_WRITER_SECONDS: Final = 7 * 86_400
_READ_TENANTS: Final = 125
"""Read together: as long as it takes to make rows of them, Postgres writes those before and the server reads the next."""
_READ_BATCHES: Final = 500
"""Read of one tenant in one round trip."""
MAX_INTEGER: Final = 2**63 - 1
"""The largest integer that Redis and Postgres add up. A sum that would go beyond stays there."""
SET_CODES: Final = tuple(m.code for m in METRICS.values() if m.kind is Kind.DISTINCT)

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, order=True)
class Batch:
    """One minute of one shard, sealed or open."""

    minute: int
    id: str


Found = tuple[int, Batch]
"""A shard, and one of its batches."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a batch holds of one tenant: fields as the slots spell them, members of sets by series code."""

    tenant: str
    fields: Mapping[str, int]
    members: Mapping[str, frozenset[int]]


@dataclass(frozen=True, slots=True)
class Sets:
    """The members of one set a tenant, laid flat."""

    lengths: Sequence[int]
    members: Integers


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a batch holds of some tenants, laid flat: the fields of the first tenant, of the second, and so on."""

    tenants: Sequence[str]
    lengths: Sequence[int]
    """How many fields each tenant has."""
    fields: list[str]
    values: Integers
    sets: Mapping[str, Sets]
    """By series code."""


def shard_of(tenant: str, shards: int) -> int:
    """The shard of a tenant; the same in every process and version."""
    return zlib.crc32(tenant.encode()) % shards


class HotStore:
    """The commands of the protocol. Every method raises `redis.RedisError` when the server does not answer."""

    def __init__(self, to: Server, prefix: str, shards: int) -> None:
        self._server = to
        self._prefix = prefix
        self.shards = shards

    @classmethod
    def from_conf(cls) -> HotStore:
        """The hot store of the settings."""
        return cls(server(conf().redis_url), conf().key_prefix, conf().shards)

    def _key(self, shard: int, name: str) -> str:
        return f"{self._prefix}:{{{shard}}}:{name}"

    def _batches(self, shard: int) -> str:
        return self._key(shard, "b:")

    def _call(self, shard: int, keys: Sequence[str], *args: str | int) -> Call:
        """A script's call, with one more key, which never exists.

        While a cluster moves the slot of the shard key by key, a script would find some of its keys here and some there.
        The missing key makes the server refuse the call (TRYAGAIN) before it begins, until the slot has moved; no one
        server and no slot that stays takes notice of it.
        """
        return Call([*keys, self._key(shard, "never")], args)

    def apply(
        self,
        writer: str,
        flushes: Mapping[int, tuple[int, Sequence[Record]]],
        remember_seconds: int = _REMEMBER_WRITER_SECONDS,
    ) -> dict[int, object]:
        """Add one numbered flush to each of several shards; the writer's number is remembered for so long.

        The result of a shard is True (applied), False (had been applied before) or the exception of that shard.
        """
        calls = [
            self._call(
                shard,
                [self._key(shard, "open"), self._key(shard, f"w:{writer}"), self._key(shard, "sealed")],
                self._batches(shard), sequence, remember_seconds, len(records), *_flatten(records),
            )
            for shard, (sequence, records) in flushes.items()
        ]  # fmt: skip
        answers = self._server.run_each(_APPLY, calls)
        return {
            shard: answer if isinstance(answer, Exception) else bool(answer)
            for shard, answer in zip(flushes, answers, strict=True)
        }

    def remember(self, name: str, value: str, seconds: int, instead_of: str = "") -> str:
        """Remember a value under a name unless one is remembered already, but for ``instead_of``; returns the one that is."""
        shard = shard_of(name, self.shards)
        call = self._call(shard, [self._key(shard, f"k:{name}")], value, seconds, instead_of)
        return str(self._server.run(_REMEMBER, call))

    def remembered(self, name: str) -> str | None:
        """The value that is remembered under a name."""
        (value,) = self._server.read([("GET", self._key(shard_of(name, self.shards), f"k:{name}"))])
        return None if value is None else str(value)

    def seal(self, shard: int, until: int) -> list[Batch]:
        """Seal every minute before ``until``; returns all sealed batches, oldest first."""
        keys = [self._key(shard, "open"), self._key(shard, "sealed")]
        return _batches(self._server.run(_SEAL, self._call(shard, keys, until)))

    def backlog(self, shard: int) -> list[Batch]:
        """Every batch of a shard, open or sealed, oldest first."""
        return [batch for _, batch in self.backlogs([shard])]

    def backlogs(self, shards: Sequence[int]) -> list[Found]:
        """Every batch of some shards, open or sealed, oldest first, in two round trips.

        The open ones are read first: a batch that is sealed meanwhile is found twice, and not missed.
        """
        opened = self._server.read([("HGETALL", self._key(shard, "open")) for shard in shards])
        sealed = self._server.read([("HGETALL", self._key(shard, "sealed")) for shard in shards])
        found = {
            (Batch(int(minute), batch), shard)
            for shard, own in zip(shards, opened, strict=True)
            for minute, batch in own.items()
        }
        found |= {
            (Batch(int(minute), batch), shard)
            for shard, own in zip(shards, sealed, strict=True)
            for batch, minute in own.items()
        }
        return [(shard, batch) for batch, shard in sorted(found)]

    def chunks(self, shard: int, batch: Batch) -> Iterator[Chunk]:
        """Everything a batch holds, the shard's part of all tenants together included, some tenants at a time."""
        key = self._batches(shard) + batch.id
        (found,) = self._server.read([("SMEMBERS", key)])
        tenants = sorted(cast("set[str]", found))
        some = [tenants[start : start + _READ_TENANTS] for start in range(0, len(tenants), _READ_TENANTS)]
        groups = ([*self._of_tenants(key, own)] for own in some)
        for own, answers in zip(some, self._server.read_on(groups), strict=True):
            yield _chunk(own, answers)

    def _of_tenants(self, batch: str, tenants: Sequence[str]) -> Iterator[tuple[str, str]]:
        """What reads all of some tenants: the fields of each, and then each of its sets."""
        for tenant in tenants:
            yield "HGETALL", f"{batch}:f:{tenant}"
        for code in SET_CODES:
            for tenant in tenants:
                yield "SMEMBERS", f"{batch}:d:{code}:{tenant}"

    def read(self, shard: int, batch: Batch) -> Iterator[Held]:
        """The same, tenant by tenant."""
        for chunk in self.chunks(shard, batch):
            values = np.split(chunk.values, np.cumsum(chunk.lengths)[:-1])
            sets = {code: np.split(found.members, np.cumsum(found.lengths)[:-1]) for code, found in chunk.sets.items()}
            fields = iter(chunk.fields)
            for number, tenant in enumerate(chunk.tenants):
                own = dict(zip(islice(fields, chunk.lengths[number]), values[number].tolist(), strict=True))
                members = {code: frozenset(found[number].tolist()) for code, found in sets.items() if found[number].size}
                yield Held(tenant, own, members)

    def read_tenant(self, found: Sequence[Found], tenant: str) -> Iterator[tuple[Batch, Held]]:
        """What batches hold of a tenant, many in one round trip; those that do not know it are left out."""
        for start in range(0, len(found), _READ_BATCHES):
            some = found[start : start + _READ_BATCHES]
            commands: list[tuple[str, ...]] = []
            for shard, batch in some:
                key = self._batches(shard) + batch.id
                commands.append(("HGETALL", f"{key}:f:{tenant}"))
                commands += [("SMEMBERS", f"{key}:d:{code}:{tenant}") for code in SET_CODES]
            answers = iter(self._server.read(commands))
            for _, batch in some:
                fields: dict[str, str] = next(answers)
                members = {code: frozenset(map(int, cast("set[str]", next(answers)))) for code in SET_CODES}
                if fields:
                    known = {code: own for code, own in members.items() if own}
                    yield batch, Held(tenant, {field: int(value) for field, value in fields.items()}, known)

    def knows(self, found: Sequence[Found], tenant: str) -> bool:
        """Whether any of the batches holds something of a tenant."""
        commands = [("SISMEMBER", self._batches(shard) + batch.id, tenant) for shard, batch in found]
        return any(self._server.read(commands))

    def drop(self, shard: int, batch: Batch) -> None:
        """Delete a batch that the snapshots hold."""
        call = self._call(shard, [self._key(shard, "sealed")], self._batches(shard), batch.id, *SET_CODES)
        self._server.run(_DROP, call)

    def ping(self) -> None:
        """Raises `redis.RedisError` when the server, or one of the cluster, does not answer."""
        self._server.ping()

    def describe(self) -> dict[str, Any]:
        """The state and the servers of a cluster; nothing of one server."""
        return self._server.describe()


def _batches(answer: Any) -> list[Batch]:
    return sorted(Batch(int(minute), batch) for batch, minute in zip(answer[::2], answer[1::2], strict=True))


def _chunk(tenants: Sequence[str], answers: Sequence[Sequence[str]]) -> Chunk:
    """The answers to `HotStore._of_tenants`."""
    count = len(tenants)
    fields: list[str] = []
    values: list[str] = []
    for answer in answers[:count]:
        fields += answer[::2]
        values += answer[1::2]
    lengths = [len(answer) // 2 for answer in answers[:count]]
    members = {code: _sets(answers[count * place : count * (place + 1)]) for place, code in enumerate(SET_CODES, 1)}
    return Chunk(tenants, lengths, fields, _integers(values), members)


def _sets(answers: Sequence[Sequence[str]]) -> Sets:
    return Sets([len(answer) for answer in answers], _integers(chain.from_iterable(answers)))


def _integers(texts: Iterable[str]) -> Integers:
    return np.fromstring(" ".join(texts), dtype=np.int64, sep=" ")


def _flatten(records: Sequence[Record]) -> list[str | int]:
    """The records in the order that apply.lua takes them."""
    candidates: dict[int, str] = {}
    flat: list[str | int] = []
    for minute, tenant, slot in records:
        candidate = candidates.get(minute)
        if candidate is None:
            candidate = candidates[minute] = str(uuid.uuid4())
        flat += (minute, candidate, tenant)
        for fields in (slot.sums(), slot.lows(), slot.highs()):
            start = len(flat)
            flat.append(0)
            for name, value in fields:
                flat.append(name)
                flat.append(value if -MAX_INTEGER <= value <= MAX_INTEGER else MAX_INTEGER if value > 0 else -MAX_INTEGER)
            flat[start] = (len(flat) - start) // 2
        flat.append(len(slot.members))
        for series, members in slot.members.items():
            flat += (series, len(members), *members)
    return flat


__all__ = ["GLOBAL", "SET_CODES", "Batch", "Held", "HotStore", "Record", "shard_of"]
