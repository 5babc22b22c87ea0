"""Addresses of servers: what they say, and which follow from others. What reads one raises ValueError for what is none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

import environ

CLUSTERS: Final = ("redis+cluster://", "rediss+cluster://")
"""How the address of a cluster begins."""
_DATABASES: Final = ("postgresql://", "postgres://")
_SERVERS: Final = ("redis://", "rediss://", "unix://")
_BROKER_DATABASE: Final = 1


def database(url: str) -> dict[str, Any]:
    """Django's settings of a PostgreSQL database."""
    if not url.startswith(_DATABASES):
        raise ValueError("not PostgreSQL")
    found: dict[str, Any] = environ.Env.db_url_config(url)
    if "," in found["HOST"]:  # of several hosts, one whose port is no number keeps it
        _check_ports(found["HOST"].split(","))
    return found


def hot_store(url: str) -> str:
    """The same address; the library would see a wrong port only when the first record is sent."""
    if not url.startswith(_SERVERS + CLUSTERS):
        raise ValueError("neither Redis nor Valkey")
    hosts = urlsplit(url).netloc.rpartition("@")[2]
    _check_ports(hosts.split(",") if url.startswith(CLUSTERS) else [hosts])
    return url


def mail_server(url: str) -> dict[str, Any]:
    """Django's settings of a mail server."""
    found: dict[str, Any] = environ.Env.email_url_config(url)
    return found


def _check_ports(hosts: Iterable[str]) -> None:
    for host in hosts:
        if urlsplit(f"//{host}").port == 0:  # raises ValueError for what is no port
            raise ValueError("no server listens on port 0")


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
