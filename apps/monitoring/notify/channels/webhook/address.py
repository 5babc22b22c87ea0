"""Which addresses a webhook may reach: the public ones, and those that ops allow by name.

A name is resolved once, every address it has is judged, and the connection goes to the judged address, so an
answer that changes between the check and the connection (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit


class ForbiddenAddressError(Exception):
    """The address is not one that a webhook may reach."""


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
        return self.parts.netloc.rpartition("@")[2]


def resolve(url: str, allowed: Collection[str]) -> Target:
    """Judge the address of a URL. ``allowed`` holds hosts, or hosts with a port, that may be private.

    Raises ForbiddenAddressError or UnresolvedError.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        msg = "a webhook is an http or https address without credentials"
        raise ForbiddenAddressError(msg)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        msg = "the port is no port"
        raise ForbiddenAddressError(msg) from error
    addresses = _lookup(parts.hostname, port)
    exempt = parts.hostname in allowed or f"{parts.hostname}:{port}" in allowed
    if not exempt and not all(_public(address) for address in addresses):
        msg = f"{parts.hostname} is not a public address; MONITORING_ALLOWED_WEBHOOK_HOSTS can allow it"
        raise ForbiddenAddressError(msg)
    return Target(addresses[0], port, parts.hostname, parts)


def _lookup(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        msg = f"{host} cannot be resolved"
        raise UnresolvedError(msg) from error
    return [str(entry[4][0]) for entry in found]


def _public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return _public(str(inner))
        if ip in ipaddress.ip_network("64:ff9b::/96"):  # NAT64 carries an IPv4 address in its last bits
            return _public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast
