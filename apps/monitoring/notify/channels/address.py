"""Which addresses a channel may reach: the public ones, and those that ops allow by name.

A name is resolved once, every address it has is judged, and the connection goes to the judged address, so an
answer that changes between the check and the connection (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_PROTOCOLS: Final = ipaddress.ip_network("192.0.0.0/24")
"""For protocols of the network (RFC 6890). Older versions of Python take it for public; Oracle's cloud has metadata there."""
_METADATA: Final = frozenset({"168.63.129.16"})
"""Public by its number, and yet what a cloud tells its own machines (Azure); the other clouds' are link-local or private."""
_LOOKUP_SECONDS: Final = 5.0


class ForbiddenAddressError(Exception):
    """The address is not one that a channel may reach."""


class UnresolvedError(Exception):
    """The name has no address at the moment."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect, and what to call it there."""

    address: str
    port: int
    host: str
    parts: SplitResult

    @property
    def url(self) -> str:
        """The URL with the judged address in place of the name."""
        literal = f"[{self.address}]" if ":" in self.address else self.address
        return self.parts._replace(netloc=f"{literal}:{self.port}").geturl()

    @property
    def host_header(self) -> str:
        """What the receiver is asked for."""
        return self.parts.netloc


def resolve(url: str, allowed: Collection[str]) -> Target:
    """Judge the address of a URL. ``allowed`` holds hosts, or hosts with a port, that may be private.

    Raises ForbiddenAddressError or UnresolvedError.
    """
    parts, host, port = _split(url)
    return Target(judged(host, port, allowed), port, host, parts)


def origin(url: str) -> str:
    """Scheme, host and port: who is spoken to, whatever the path."""
    try:
        parts, host, port = _split(url)
    except ForbiddenAddressError:
        return url
    return f"{parts.scheme}://{host}:{port}"


def judged(host: str, port: int, allowed: Collection[str]) -> str:
    """The address to connect to for a host, whatever is spoken there. ``allowed`` as in `resolve`.

    Raises ForbiddenAddressError or UnresolvedError.
    """
    host = host.lower()
    addresses = _lookup(host, port)
    exempt = {name.lower() for name in allowed} & {host, f"{host}:{port}", f"[{host}]", f"[{host}]:{port}"}
    if not exempt and not all(_public(address) for address in addresses):
        msg = f"{host} is not a public address; MONITORING_ALLOWED_WEBHOOK_HOSTS can allow it"
        raise ForbiddenAddressError(msg)
    return addresses[0]


def _split(url: str) -> tuple[SplitResult, str, int]:
    msg = "the address is one of http or https, without credentials and in ASCII"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ForbiddenAddressError(msg) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or not url.isascii():
        raise ForbiddenAddressError(msg)
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    return parts, parts.hostname, port


def _lookup(host: str, port: int) -> list[str]:
    """The addresses of a name. The system's resolver has no timeout of its own that one could set, so it is not waited for."""
    found: list[str] = []

    def ask() -> None:
        with contextlib.suppress(socket.gaierror, UnicodeError):
            found.extend([str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])

    asking = threading.Thread(target=ask, name="resolver", daemon=True)
    asking.start()
    asking.join(_LOOKUP_SECONDS)
    addresses = list(found)
    if not addresses:
        msg = f"{host} cannot be resolved"
        raise UnresolvedError(msg)
    return addresses


def _public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return _public(str(inner))
        if ip.is_site_local:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip in _PROTOCOLS or str(ip) in _METADATA)
