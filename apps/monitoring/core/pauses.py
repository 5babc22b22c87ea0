"""How a minute's time is shared by the rules that it is judged by, and how long one that asks for too much is left alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

_SHORTEST: Final = timedelta(minutes=5)
_LONGEST: Final = timedelta(hours=1)
_LEAST: Final = 0.2
"""Seconds: what an ordinary statement needs has to be left, however many slow ones came before it."""


def tried_again_at(since: datetime, tried: datetime) -> datetime:
    """When to try again what has failed ``since`` then and was last ``tried`` then: after as long as it has failed already.

    So the tries become fewer, down to one an hour, and what is soon mended is soon found to be.
    """
    return tried + min(max(tried - since, _SHORTEST), _LONGEST)


def allowed(limit: float, left: float) -> float:
    """How many seconds a statement may take when so many are left of the minute's: half, so that something stays for the next.

    Never more than ``limit``, where 0 is none.
    """
    share = max(left / 2, _LEAST)
    return min(share, limit) if limit else share
