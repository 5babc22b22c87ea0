"""The process in which a handler runs, Django set up.

It reads a task in JSON from its input and ends with one line of JSON: how the attempt ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from typing import Any, Final

from django.utils.module_loading import import_string

from apps.monitoring.notify.channels.outcome import Delivered, Rejected, Retry

_RECEIPT_BYTES: Final = 32 * 1024
"""Less than what is read of an answer (`CustomChannel`)."""
_NOT_KEPT: Final = "the handler's receipt is not kept: it is no dictionary for JSON, or too large"


def main() -> None:
    """Call the handler; whatever it prints goes to the error output."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    task = json.load(sys.stdin)
    signal.alarm(task["seconds"])  # also when the worker that waits for this is gone
    with answer:
        answer.write("\n" + _attempt(task["path"], task["arguments"]))


def _attempt(path: str, arguments: list[Any]) -> str:
    """Of an error only its type and place are told: its text may hold what is secret."""
    try:
        return json.dumps(_told(import_string(path)(*arguments)))
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(place.filename)}:{place.lineno}"  # noqa: PTH119 - a name, no file is touched
        return json.dumps(_answer("retry", f"the handler raised {type(error).__name__} at {where}"))


def _told(result: object) -> dict[str, Any]:
    match result:
        case None:
            return _answer("delivered")
        case Delivered(receipt):
            # It was delivered, whatever the receipt is: to try again would send it again.
            kept = _kept(receipt)
            return _answer("delivered", receipt=kept) if kept is not None else _answer("delivered", _NOT_KEPT)
        case Rejected(reason):
            return _answer("rejected", str(reason))
        case Retry(reason, after):
            return _answer("retry", str(reason), after)
        case _:
            return _answer("retry", f"the handler returned {type(result).__name__}: None, Delivered, Retry or Rejected")


def _kept(receipt: Any) -> dict[str, Any] | None:
    """The receipt, unless Postgres does not take it, which knows neither NaN nor NUL nor half of a surrogate pair."""
    try:
        found = dict(receipt)
        text = json.dumps(found, allow_nan=False)
        json.dumps(found, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError):
        return None
    return found if "\\u0000" not in text and len(text) <= _RECEIPT_BYTES else None


def _answer(
    outcome: str, reason: str = "", after: float | None = None, receipt: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {"outcome": outcome, "reason": reason, "after": after, "receipt": receipt or {}}
