"""Environment variables, read strictly: what cannot be meant is refused by name, with what would do.

Every function raises ImproperlyConfigured with one line; an empty variable, or one of spaces, is one that is not set.
A value that may be a secret is not told.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from django.core.exceptions import ImproperlyConfigured

from config.addresses import AddressError

Read = TypeVar("Read")
_SWITCHES: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("1", "true", "yes", "on", "y", "ok"), True),
    **dict.fromkeys(("0", "false", "no", "off", "n"), False),
}


def text(name: str, default: str = "") -> str:
    """A text, as it stands there."""
    value = os.environ.get(name, "")
    return value if value.strip() else default


def texts(name: str, *default: str) -> list[str]:
    """Texts with commas between them. Spaces around a text are not part of it."""
    found = [part.strip() for part in text(name).split(",")]
    return [part for part in found if part] or list(default)


def required(name: str, remedy: str) -> str:
    """A text that has no sensible default."""
    value = text(name)
    if not value:
        msg = f"{name} is not set: {remedy}"
        raise ImproperlyConfigured(msg)
    return value


def address(name: str, read: Callable[[str], Read], meant: str, default: str = "") -> Read:
    """What ``read`` makes of an address; ``meant`` says whose it is, and an example.

    An address may hold a password, and so may what ``read`` complains about: neither is told. The words of an AddressError are.
    """
    value = text(name, default) or required(name, f"give the address of {meant}")
    try:
        return read(value)
    except AddressError as error:
        remedy = str(error)
    except (ValueError, ImproperlyConfigured):
        remedy = "a port is a number from 1 to 65535"
    # Out here it has no context: a traceback would tell what was complained about.
    msg = f"{name} is not the address of {meant}; {remedy}, and a password has its / ? # @ as %2F %3F %23 %40"
    raise ImproperlyConfigured(msg)


def switch(name: str, *, default: bool) -> bool:
    """On or off."""
    value = text(name, str(default))
    found = _SWITCHES.get(value.strip().lower())
    if found is None:
        msg = f"{name} is {value!r}: it must be 1 or 0"
        raise ImproperlyConfigured(msg)
    return found


def number(name: str, default: float, least: float = 0.0, most: float = math.inf) -> float:
    """A finite number."""
    value = text(name, str(default))
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not (least <= found <= most and math.isfinite(found)):
        bounds = f", {least:g} or more" if most == math.inf else f" from {least:g} to {most:g}"
        msg = f"{name} is {value!r}: it must be a number{bounds}"
        raise ImproperlyConfigured(msg)
    return found


def whole(name: str, default: int, least: int = 0, most: float = math.inf) -> int:
    """A whole number."""
    found = number(name, default, least, most)
    if not found.is_integer():
        msg = f"{name} is {found:g}: it must be a whole number"
        raise ImproperlyConfigured(msg)
    return int(found)


def one_of(name: str, *choices: str) -> str:
    """One of some words; the first is the default."""
    value = text(name, choices[0])
    if value not in choices:
        msg = f"{name} is {value!r}: it must be one of {', '.join(choices)}"
        raise ImproperlyConfigured(msg)
    return value


def log_level(name: str) -> str:
    """The name of a level of `logging`, in small letters or capitals; the default is INFO."""
    value = text(name, "INFO")
    found = value.strip().upper()
    if found not in logging.getLevelNamesMapping():
        msg = f"{name} is {value!r}: it must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL"
        raise ImproperlyConfigured(msg)
    return found


def prices(name: str) -> dict[str, dict[str, float]]:
    """Prices by model and kind, as JSON. What they may be is known where they are used."""
    # Late: only whoever has prices of their own waits for it while settings are read.
    from apps.monitoring.ingest.prices import own_rates

    value = text(name, "{}")
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        msg = f'{name} is {value!r}: it must be JSON such as {{"my-model": {{"input": 1.5, "output": 6}}}}'
        raise ImproperlyConfigured(msg)
    try:
        for model, rates in found.items():
            own_rates(model, rates)
    except ValueError as error:
        raise ImproperlyConfigured(str(error)) from None
    return found


def patterns(name: str) -> list[str]:
    """Regular expressions, as a JSON list of texts: a pattern may hold any character that could part a list."""
    value = text(name, "[]")
    try:
        found = json.loads(value)
        usable = isinstance(found, list) and not any(re.compile(pattern).match("") for pattern in found)
    except (ValueError, TypeError, re.error):
        usable = False
    if not usable:
        msg = f"{name} is {value!r}: it must be a JSON list of regular expressions that do not match the empty text"
        raise ImproperlyConfigured(msg)
    return [str(pattern) for pattern in found]


def time_zone(name: str) -> str:
    """The name of a time zone; the default is UTC."""
    value = text(name, "UTC")
    try:
        return ZoneInfo(value).key
    except (KeyError, ValueError, OSError) as error:  # not there, not a name, or a folder of the database
        msg = f"{name} is {value!r}: it must be a time zone such as Europe/Berlin or UTC"
        raise ImproperlyConfigured(msg) from error
