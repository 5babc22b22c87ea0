"""What the hot store asks of Redis or Valkey, of one server or of a cluster.

A command reads one key, a script's keys share one slot: so a cluster answers both as one server does.
"""

from __future__ import annotations

# Looked up by the first connection. A fork in the middle of an import leaves its lock taken for ever in the child.
import encodings.idna  # noqa: F401
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast
from urllib.parse import SplitResult, urlsplit

import redis
from hiredis import pack_command
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import ClusterError, NoScriptError, RedisClusterException, SlotNotCoveredError, TryAgainError
from redis.retry import Retry

if TYPE_CHECKING:
    from redis.client import Redis

_log = logging.getLogger(__name__)

CLUSTER_SCHEMES: Final = ("redis+cluster", "rediss+cluster")
_PORT: Final = 6379
_READ_AHEAD: Final = 2
_pack = cast("Callable[[Command], bytes]", pack_command)  # it declares tuples of one word
TIMEOUT_SECONDS: Final = 5.0
"""How long an answer is waited for."""
_OPTIONS: Final[dict[str, Any]] = {
    "decode_responses": True,
    "protocol": 2,  # a hash comes as a list, not as a dict that is made only to be taken apart
    "socket_timeout": TIMEOUT_SECONDS,
    "socket_connect_timeout": 2.0,
    "health_check_interval": 30,
}
"""Short time limits: a writer has its buffer, a reader says what is missing."""


Command = tuple[str, ...]
Answers = list[list[str]]
"""Of a group of commands: a list each."""


class Call(NamedTuple):
    """One call of a script."""

    keys: Sequence[str]
    args: Sequence[str | int]


class Server(Protocol):
    """Every method raises `redis.RedisError` when a server does not answer."""

    def run(self, script: str, call: Call) -> Any:
        """The answer of a Lua script."""

    def run_each(self, script: str, calls: Sequence[Call]) -> list[Any]:
        """The answers of several calls, which have nothing to do with each other; a failed one's is its exception."""

    def read(self, commands: Sequence[Command]) -> list[Any]:
        """The answers of commands of one key each, in as few round trips as there are servers."""

    def read_on(self, groups: Iterable[Sequence[Command]]) -> Iterator[Answers]:
        """The answers to each group of HGETALL and SMEMBERS, as lists: fields and values in turn, members.

        All keys are of one shard. The server reads the next groups while the caller is at work on one.
        """

    def ping(self) -> None:
        """Whether every server that may hold something answers."""

    def describe(self) -> dict[str, Any]:
        """What there is to say of a cluster, for `monitoring_status`; nothing of one server."""


class Single:
    """One server."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def run(self, script: str, call: Call) -> Any:
        """One round trip."""
        return self._client.register_script(script)(*call)

    def run_each(self, script: str, calls: Sequence[Call]) -> list[Any]:
        """One round trip. The library's own way asks in another one before whether the server knows the script."""
        answers = self._evaluated(script, calls)
        unknown = [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            self._client.script_load(script)
            for number, answer in zip(unknown, self._evaluated(script, [calls[n] for n in unknown]), strict=True):
                answers[number] = answer
        return answers

    def _evaluated(self, script: str, calls: Sequence[Call]) -> list[Any]:
        pipe = self._client.pipeline(transaction=False)
        sha = self._client.register_script(script).sha
        for keys, args in calls:
            pipe.evalsha(sha, len(keys), *keys, *args)
        return pipe.execute(raise_on_error=False)

    def read(self, commands: Sequence[Command]) -> list[Any]:
        """One round trip."""
        pipe: Any = self._client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)
        return cast("list[Any]", pipe.execute())

    def read_on(self, groups: Iterable[Sequence[Command]]) -> Iterator[Answers]:
        """On one connection, or in one round trip after the other when it breaks."""
        return _read_on(self._client.connection_pool, groups, self.read)

    def ping(self) -> None:
        """Of the one."""
        self._client.ping()

    def describe(self) -> dict[str, Any]:
        """Nothing."""
        return {}


class Cluster:
    """A cluster, which is asked for its servers by the first command and not before: making this does no I/O.

    The library follows MOVED and ASK, repeats after TRYAGAIN for some tenths of a second, and reads the map of the slots
    again when a server is gone.
    """

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._connected: RedisCluster | None = None
        self._silent: set[str] = set()
        """Servers that did not answer in time when they were asked last."""

    def run(self, script: str, call: Call) -> Any:
        """On the server that has the keys."""
        with self._client() as client:
            return client.register_script(script)(*call)

    def run_each(self, script: str, calls: Sequence[Call]) -> list[Any]:
        """One after the other: a server that is away fails its own calls and no other.

        One that does not answer in time fails those after it, too, so that all of them wait as long as one. It is asked last
        the next time.
        """
        answers: list[Any] = [None] * len(calls)
        end: redis.RedisError | None = None
        for number in sorted(range(len(calls)), key=lambda number: self._owner(calls[number]) in self._silent):
            if end is None:
                answers[number], end = self._run_one(script, calls[number])
            else:
                answers[number] = end
        return answers

    def _run_one(self, script: str, call: Call) -> tuple[Any, redis.RedisError | None]:
        """What was answered, and why the others need not be asked, if so."""
        owner = self._owner(call)
        try:
            answer = self.run(script, call)
        except redis.TimeoutError as error:
            self._silent.add(owner)
            return error, error
        except redis.RedisError as error:
            return error, error if self._connected is None else None  # nobody answers
        self._silent.discard(owner)
        return answer, None

    def _owner(self, call: Call) -> str:
        """The server that has the keys, as far as is known without asking."""
        try:
            return str(cast("Any", self._connected).get_node_from_key(call.keys[0]).name)
        except (SlotNotCoveredError, AttributeError):
            return ""

    def read(self, commands: Sequence[Command]) -> list[Any]:
        """One round trip to each server that has some of the keys, and more to those that a slot is leaving."""
        with self._client() as client:
            pipe = client.pipeline()
            for command in commands:
                pipe.execute_command(*command)
            return cast("list[Any]", pipe.execute())

    def read_on(self, groups: Iterable[Sequence[Command]]) -> Iterator[Answers]:
        """On one connection to the server of the shard; as the library does it when the slot is elsewhere, or leaves it."""
        waiting = iter(groups)
        first = next(waiting, None)
        if first is not None:
            (_, key), *_ = first
            with self._client() as client:
                pool = client.get_redis_connection(client.get_node_from_key(key)).connection_pool
            yield from _read_on(pool, chain([first], waiting), self.read)

    def ping(self) -> None:
        """Of every primary."""
        with self._client() as client:
            client.ping(target_nodes=RedisCluster.PRIMARIES)

    def describe(self) -> dict[str, Any]:
        """Its state as one of the servers sees it, and the primaries."""
        with self._client() as client:
            info = client.cluster_info(target_nodes=client.get_random_node())
            return {"state": info["cluster_state"], "servers": sorted(node.name for node in client.get_primaries())}

    @contextmanager
    def _client(self) -> Iterator[Any]:
        """The library's client, most of which has no types; what it raises is a RedisError."""
        try:
            if self._connected is None:
                self._connected = _connect(self._url)
            yield self._connected
        except (SlotNotCoveredError, AttributeError) as error:
            # The library raises AttributeError at an ASK that names a server which has no slot yet.
            msg = f"no server of the cluster has the slot, or one that is not known yet: {error}"
            raise redis.ConnectionError(msg) from error
        except RedisClusterException as error:
            self._connected = None  # the next command begins with the addresses of the settings again
            msg = f"the cluster does not answer: {error}"
            raise redis.ConnectionError(msg) from error
        except ClusterError as error:
            if isinstance(error, redis.ResponseError):
                raise
            msg = f"the cluster is moving the slot, or sends from server to server: {error}"
            raise TryAgainError(msg) from error


def _read_on(
    pool: Any, groups: Iterable[Sequence[Command]], read: Callable[[Sequence[Command]], list[Any]]
) -> Iterator[Answers]:
    """The answers to each group, ``_READ_AHEAD`` of which are asked for ahead, on a connection of the pool.

    The library's pipelines take twice as long for each answer, and nothing can be done until the last has come.
    When the connection breaks, or the server refuses, what has not been answered is asked for by ``read``.
    """
    waiting = iter(groups)
    asked: deque[Sequence[Command]] = deque()
    try:
        with _borrowed(pool) as connection:
            for group in waiting:
                asked.append(group)
                # A check of the connection's health would take the first answer for its own.
                connection.send_packed_command([b"".join(map(_pack, group))], check_health=False)
                if len(asked) > _READ_AHEAD:
                    yield _answers_to_first(asked, connection)
            while asked:
                yield _answers_to_first(asked, connection)
    except redis.RedisError as error:
        _log.info("the hot store is read in round trips: %s", error)
        for group in chain(asked, waiting):
            yield [_flat(answer) for answer in read(group)]


@contextmanager
def _borrowed(pool: Any) -> Iterator[Any]:
    """A connection of the pool. It is closed when whoever has it breaks off: it has answers that nobody has read."""
    connection = pool.get_connection()
    try:
        yield connection
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def _answers_to_first(asked: deque[Sequence[Command]], connection: Any) -> Answers:
    """The answers to the group that was asked for first, which counts as answered when the last of them is there."""
    answers = [_flat(connection.read_response()) for _ in asked[0]]
    asked.popleft()
    return answers


def _flat(answer: Any) -> list[str]:
    if isinstance(answer, list):
        return answer
    return list(chain.from_iterable(answer.items())) if isinstance(answer, dict) else list(answer)


def _connect(url: SplitResult) -> RedisCluster:
    """Ask any of the addresses of the URL for the cluster's servers. Raises RedisClusterException."""
    credentials, at, hosts = url.netloc.rpartition("@")
    first, *others = hosts.split(",")
    node: Any = ClusterNode
    return RedisCluster.from_url(
        url._replace(scheme=url.scheme.removesuffix("+cluster"), netloc=f"{credentials}{at}{first}").geturl(),
        startup_nodes=[node(found.hostname, found.port or _PORT) for found in (urlsplit(f"//{other}") for other in others)],
        require_full_coverage=False,  # shards whose slots are there go on
        retry=Retry(NoBackoff(), 1),
        **_OPTIONS,
    )


_servers: dict[tuple[int, str], Server] = {}


def server(url: str) -> Server:
    """One client a process and address, without I/O.

    A forked child makes its own: the parent's may be locked by a thread that is not in the child, which would wait for
    it for ever. The parent's stays referenced here, because to collect it would take the same lock.
    """
    key = os.getpid(), url
    found = _servers.get(key)
    if found is None:
        cluster = urlsplit(url).scheme in CLUSTER_SCHEMES
        made = Cluster(url) if cluster else Single(redis.Redis.from_url(url, **_OPTIONS))
        found = _servers.setdefault(key, made)
    return found
