"""Who of a mail's recipients has it: a server takes it for each of them alone (RFC 5321, 4.2.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from django.conf import settings
from django.core.mail.message import sanitize_address

from apps.monitoring.notify.channels.outcome import Delivered, Outcome, Partly, Rejected, Retry

_PERMANENT: Final = 500


@dataclass(frozen=True, slots=True)
class Recipients:
    """For whom the server took the mail, and whom it refused for good, with its code."""

    taken: tuple[str, ...]
    refused: Mapping[str, int]

    @classmethod
    def of(cls, receipt: Mapping[str, Any]) -> Self:
        """As earlier attempts have left them."""
        return cls(tuple(receipt.get("taken", ())), dict(receipt.get("refused", {})))

    def __contains__(self, address: str) -> bool:
        return address in self.taken or address in self.refused

    def after(self, to: Sequence[str], refused: Mapping[str, int]) -> Outcome:
        """What an attempt to reach these has come to, with those that the server refused, as they were said to it."""
        codes = {address: refused.get(sanitize_address(address, settings.DEFAULT_CHARSET), 0) for address in to}
        gone = {address: code for address, code in codes.items() if code >= _PERMANENT}
        later = {address: code for address, code in codes.items() if 0 < code < _PERMANENT}
        taken = (*self.taken, *(address for address, code in codes.items() if not code))
        if not taken:
            code = min(refused.values(), default=0)
            return (
                Retry(f"every recipient was refused ({code})") if later else Rejected(f"every recipient was refused ({code})")
            )
        return Recipients(taken, {**self.refused, **gone}).outcome(later)

    def outcome(self, later: Mapping[str, int]) -> Outcome:
        """What it comes to when these are refused for now; somebody has it."""
        receipt = {"taken": list(self.taken), "refused": dict(self.refused)}
        if later:
            return Partly(f"the mail server refused for now: {_named(later)}", receipt)
        if self.refused:
            return Delivered(receipt, warning=f"the mail server refused for good: {_named(self.refused)}; the others have it")
        return Delivered()


def _named(codes: Mapping[str, int]) -> str:
    return ", ".join(f"{address} ({code})" for address, code in codes.items())
