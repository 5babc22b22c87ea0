"""One HTTP attempt: how long it may take, how much of the answer is read, what the status says."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import Final

import httpx
from django.conf import settings

from apps.monitoring.notify.channels.address import ForbiddenAddressError, UnresolvedError, resolve
from apps.monitoring.notify.channels.outcome import Delivered, Outcome, Rejected, Retry, kept_wait

_TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
_TOTAL_SECONDS: Final = 20.0
"""A receiver that sends a byte now and then would keep every single timeout for ever."""
_AGAIN: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


Wait = Callable[[Mapping[str, str], float], float | None]
"""From the headers of an answer and the time now to the seconds that the receiver wants to be left alone."""


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Retry-After, which holds seconds or a date (RFC 9110, 10.2.3), as far as it is kept."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value) if value.strip().isdecimal() else parsedate_to_datetime(value).timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return None
    return kept_wait(seconds)


def exchange(
    url: str, content: bytes, headers: Mapping[str, str], *, tls_name: str | None = None, read: int = 0
) -> Answer | Retry:
    """POST, and read the answer with the first ``read`` bytes of its body."""
    try:
        return _run(_post(url, content, headers, tls_name, read))
    except (TimeoutError, httpx.TimeoutException):
        return Retry("the receiver did not answer in time")
    except httpx.HTTPError as error:
        return Retry(f"the receiver cannot be reached: {_why(error)}")


def reach(url: str, content: bytes, headers: Mapping[str, str], *, read: int = 0) -> Answer | Retry | Rejected:
    """`exchange` with an address that ops typed: it is judged first, and the connection goes to the judged one."""
    try:
        target = resolve(url, settings.MONITORING_ALLOWED_WEBHOOK_HOSTS)
    except ForbiddenAddressError as error:
        return Rejected(str(error))
    except UnresolvedError as error:
        return Retry(str(error))
    named = {"host": target.host_header, "user-agent": "agent-monitoring", **headers}
    return exchange(target.url, content, named, tls_name=target.host, read=read)


def forbidden(url: str) -> list[str]:
    """Why an address may not be reached; empty when it may. A name may be down while a channel is edited."""
    try:
        resolve(url, settings.MONITORING_ALLOWED_WEBHOOK_HOSTS)
    except ForbiddenAddressError as error:
        return [str(error)]
    except UnresolvedError:
        pass
    return []


def _run(attempt: Coroutine[None, None, Answer]) -> Answer:
    """Run an attempt to its end, also on a thread whose event loop is busy with something else."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(attempt)
    with ThreadPoolExecutor(max_workers=1) as beside:
        return beside.submit(asyncio.run, attempt).result()


async def _post(url: str, content: bytes, headers: Mapping[str, str], tls_name: str | None, read: int) -> Answer:
    extensions = {} if tls_name is None else {"sni_hostname": tls_name}
    # Proxies of the environment are left out: they would resolve the name again, and reach what was refused.
    client = httpx.AsyncClient(verify=_authorities(), timeout=_TIMEOUT, trust_env=False, follow_redirects=False)
    async with asyncio.timeout(_TOTAL_SECONDS), client:
        plain = {"accept-encoding": "identity", **headers}  # a small answer cannot unpack to a large one
        request = client.build_request("POST", url, content=content, headers=plain, extensions=extensions)
        response = await client.send(request, stream=True)
        body = b""
        if read:
            async for chunk in response.aiter_raw():
                body += chunk[: read - len(body)]
                if len(body) >= read:
                    break
        await response.aclose()
        return Answer(response.status_code, response.headers, body)


@cache
def _authorities() -> ssl.SSLContext:
    """Whose certificates count: the usual ones, or those of SSL_CERT_FILE. Read once, it takes milliseconds."""
    return httpx.create_ssl_context(trust_env=True)


def judge(status: int, headers: Mapping[str, str], now: float, wait: Wait = retry_after) -> Outcome:
    """2xx is delivered; 408, 425, 429 and 5xx are tried again; everything else is final.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    if 200 <= status < 300:  # noqa: PLR2004 - the classes of HTTP
        return Delivered()
    reason = f"the receiver answered {status}"
    if status in _AGAIN or status >= 500:  # noqa: PLR2004
        return Retry(reason, wait(headers, now))
    return Rejected(reason)


def _why(error: BaseException) -> str:
    """What the system says about a failed connection; never the error's own text, which may hold an address."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not valid ({cause.verify_message})"
        if isinstance(cause, OSError) and cause.strerror:
            code = cause.errno or 0  # below zero: those of the resolver
            return os.strerror(code) if code > 0 else cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
