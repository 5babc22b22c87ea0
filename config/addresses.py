"""Addresses of servers: what they say, and which follow from others. What reads one raises ValueError for what is none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

import environ

CLUSTERS: Final = ("redis+cluster://", "rediss+cluster://")
"""How the address of a cluster begins."""
_DATABASES: Final = ("postgresql://", "postgres://")
_SERVERS: Final = ("redis://", "rediss://", "unix://")
_RABBIT: Final = {"amqp", "amqps", "pyamqp"}
_BROKER_DATABASE: Final = 1
_OF_DJANGO: Final = {"assume_role", "isolation_level", "prepare_threshold", "server_side_binding"}
"""Options of a database that Django or its driver take; all others are libpq's."""
_OURS: Final = {"decode_responses", "protocol"}
"""Options of the hot store that are chosen by what reads the answers."""


class AddressError(ValueError):
    """What is wrong with an address. Tells nothing that stands in it: what is no option may be half of a password."""


def database(url: str) -> dict[str, Any]:
    """Django's settings of a PostgreSQL database."""
    if not url.startswith(_DATABASES):
        raise ValueError("not PostgreSQL")
    found: dict[str, Any] = environ.Env.db_url_config(url)
    hosts = _hosts(urlsplit(url))
    if hosts:  # none is the socket of this machine
        _check_hosts(hosts.split(","))
    options = found.get("OPTIONS", {})
    if not found["NAME"] and "service" not in options:
        raise AddressError("the name of the database is missing after the host")
    _check_libpq({name: value for name, value in options.items() if name not in _OF_DJANGO})
    return found


def _check_libpq(options: dict[str, Any]) -> None:
    if not options:
        return
    # Late: without options nobody waits for it while settings are read.
    from psycopg import ProgrammingError
    from psycopg.conninfo import make_conninfo

    try:
        make_conninfo(**options)
    except ProgrammingError:
        raise AddressError("what follows the ? are options of libpq, such as sslmode=require") from None


def hot_store(url: str) -> str:
    """The same address; the library would see what is wrong with it only when the first record is sent, or never."""
    if not url.startswith(_SERVERS + CLUSTERS):
        raise ValueError("neither Redis nor Valkey")
    parts = urlsplit(url)
    if url.startswith(CLUSTERS):
        _check_hosts(_hosts(parts).split(","))
        if parts.path not in {"", "/", "/0"}:
            raise AddressError("a cluster has database 0 alone")
        first, *_ = parts.netloc.split(",")
        _check_options(f"{parts.scheme.removesuffix('+cluster')}://{first}?{parts.query}")
    else:
        _check_redis(parts)
        _check_options(url)
    return url


def _check_redis(parts: SplitResult) -> None:
    if parts.scheme in {"unix", "redis+socket"}:
        if not parts.path.strip("/"):
            raise AddressError("the path of the socket is missing")
        return
    _check_hosts([_hosts(parts)])
    name = parts.path.strip("/")
    if name and not (name.isascii() and name.isdigit()):
        raise AddressError("what follows the host and its / is the number of a database")


def _check_options(url: str) -> None:
    query = urlsplit(url).query
    if not query:
        return
    # Late: without options nobody waits for it while settings are read.
    from redis import ConnectionPool, RedisError

    if _OURS & parse_qs(query).keys():
        raise AddressError("how answers are read is chosen by what reads them: leave decode_responses and protocol out")
    try:
        ConnectionPool.from_url(url).make_connection()  # connects to nothing
    except (TypeError, ValueError, RedisError):
        raise AddressError("what follows the ? are options of redis-py, such as ssl_cert_reqs=required") from None


def broker(url: str) -> str:
    """The same address, or addresses with a semicolon between them, of what Celery sends its tasks by."""
    for one in url.split(";"):
        parts = urlsplit(one)
        if one.startswith(CLUSTERS):
            raise AddressError("Celery cannot use a cluster")
        if parts.scheme in {"redis", "rediss", "redis+socket"}:
            _check_redis(parts)
        elif "://" not in one or not _is_transport(parts.scheme):
            raise ValueError("nothing that Celery knows")
        elif parts.scheme in _RABBIT:  # what others have between :// and / need not be one host
            _check_hosts([_hosts(parts)])
    return url


def _is_transport(scheme: str) -> bool:
    # Late: beside Redis nobody waits for it while settings are read.
    from kombu.transport import TRANSPORT_ALIASES

    return scheme in TRANSPORT_ALIASES or scheme.partition("+")[0] in TRANSPORT_ALIASES


def mail_server(url: str) -> dict[str, Any]:
    """Django's settings of a mail server."""
    found: dict[str, Any] = environ.Env.email_url_config(url)
    if found["EMAIL_FILE_PATH"] and url.startswith("filemail:"):
        raise AddressError("mails are not put into files; consolemail:// prints them")
    if url.startswith("smtp"):
        _check_hosts([_hosts(urlsplit(url))])
    if found.get("OPTIONS"):
        raise AddressError("it has no options after a ?: smtp+tls:// and smtp+ssl:// say how the connection is encrypted")
    return found


def sentry(url: str) -> str:
    """The same address of a project of Sentry."""
    from sentry_sdk.utils import BadDsn, Dsn

    try:
        Dsn(url)
    except BadDsn:
        raise ValueError("no DSN") from None
    _check_hosts([_hosts(urlsplit(url))])
    return url


def site(url: str) -> str:
    """The address of a site without the / at its end: paths are put behind it."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        raise AddressError("it begins with https:// or http://")
    _check_hosts([_hosts(parts)])
    if parts.query or parts.fragment:
        raise AddressError("paths are put behind it, so it has no ? and no #")
    return url.rstrip("/")


def _hosts(parts: SplitResult) -> str:
    """Hosts with their ports."""
    return parts.netloc.rpartition("@")[2]


def _check_hosts(hosts: Iterable[str]) -> None:
    for host in hosts:
        parts = urlsplit(f"//{host}")
        if parts.port == 0:  # raises ValueError for what is no port
            raise AddressError("no server listens on port 0")
        if not parts.hostname:
            raise AddressError("a host is missing")


def broker_beside(redis_url: str) -> str:
    """The same server's database 1 as an address for Celery, so that its queues and the open minutes share no keys.

    A socket's address is spelled differently by redis-py (`unix://…?db=&password=`) and by Kombu (`redis+socket://…?virtual_host=`).
    """
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return parts._replace(path=f"/{_BROKER_DATABASE}").geturl()
    credentials, at, _ = parts.netloc.rpartition("@")
    password = parse_qs(parts.query).get("password")
    if password:
        credentials, at = f":{quote(password[0], safe='')}", "@"
    return f"redis+socket://{credentials}{at}{parts.path}?virtual_host={_BROKER_DATABASE}"
