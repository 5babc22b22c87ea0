"""Environment variables, read strictly: what cannot be meant is refused by name, with what would do.

Every function raises ImproperlyConfigured with one line; an empty variable is one that is not set.
"""

from __future__ import annotations

import json
import math
import os
import re
from zoneinfo import ZoneInfo

from django.core.exceptions import ImproperlyConfigured


def required(name: str, remedy: str) -> str:
    """A text that has no sensible default."""
    value = os.environ.get(name, "")
    if not value:
        msg = f"{name} is not set: {remedy}"
        raise ImproperlyConfigured(msg)
    return value


def number(name: str, default: float, least: float = 0.0) -> float:
    """A finite number."""
    value = os.environ.get(name) or str(default)
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not least <= found < math.inf:
        msg = f"{name} is {value!r}: it must be a number, {least:g} or more"
        raise ImproperlyConfigured(msg)
    return found


def whole(name: str, default: int, least: int = 0) -> int:
    """A whole number."""
    found = number(name, default, least)
    if not found.is_integer():
        msg = f"{name} is {found:g}: it must be a whole number"
        raise ImproperlyConfigured(msg)
    return int(found)


def one_of(name: str, *choices: str) -> str:
    """One of some words; the first is the default."""
    value = os.environ.get(name) or choices[0]
    if value not in choices:
        msg = f"{name} is {value!r}: it must be one of {', '.join(choices)}"
        raise ImproperlyConfigured(msg)
    return value


def patterns(name: str) -> list[str]:
    """Regular expressions, as a JSON list of texts: a pattern may hold any character that could part a list."""
    value = os.environ.get(name) or "[]"
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
    value = os.environ.get(name) or "UTC"
    try:
        return ZoneInfo(value).key
    except (KeyError, ValueError, OSError) as error:  # not there, not a name, or a folder of the database
        msg = f"{name} is {value!r}: it must be a time zone such as Europe/Berlin or UTC"
        raise ImproperlyConfigured(msg) from error
