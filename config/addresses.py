"""Addresses that follow from other addresses."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

CLUSTERS: Final = ("redis+cluster://", "rediss+cluster://")
"""How the address of a cluster begins."""
_BROKER_DATABASE: Final = 1


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
