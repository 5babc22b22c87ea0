"""Series as tests of rules write them, in the manner of promtool: ``response_time{tenant="acme"}`` and ``900*20x4 _ 0+10x5``.

https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

MAX_MINUTES: Final = 100_000
_NUMBER: Final = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_SERIES: Final = re.compile(r"\s*([a-zA-Z_][\w.]*)\s*\{(.*)\}\s*\Z", re.DOTALL)
_LABEL: Final = re.compile(r'\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|\Z)', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_MISSING: Final = re.compile(r"_(?:x(\d{1,6}))?\Z")
_SAMPLES: Final = re.compile(rf"((?:{_NUMBER})(?:\*\d{{1,9}})?(?:\|{_NUMBER}(?:\*\d{{1,9}})?)*)(?:x(\d{{1,6}}))?\Z")
_CLIMBING: Final = re.compile(rf"({_NUMBER})([-+])(\d+(?:\.\d+)?)x(\d{{1,6}})\Z")

Minute = list[tuple[float, int]]
"""What was recorded in a minute: values, each with how often."""


def series(text: str) -> tuple[str, dict[str, str]]:
    """The name and the labels, ``tenant`` being one of them. Raises ValueError."""
    match = _SERIES.match(text)
    if match is None:
        msg = f'a series is a metric with labels in braces, such as response_time{{tenant="acme"}}, not {text!r}'
        raise ValueError(msg)
    labels: dict[str, str] = {}
    at, inside = 0, match[2]
    while inside[at:].strip():
        found = _LABEL.match(inside, at)
        if found is None:
            msg = f"a label is a name, = and a text in double quotes, not {inside[at:]!r}"
            raise ValueError(msg)
        if found[1] in labels:
            msg = f"the label {found[1]} is there twice"
            raise ValueError(msg)
        labels[found[1]] = _ESCAPED.sub(lambda escaped: "\n" if escaped[1] == "n" else escaped[1], found[2])
        at = found.end()
    return match[1], labels


def values(text: str) -> list[Minute | None]:
    """What a series records in each minute, the first being the start; None is nothing. Raises ValueError."""
    minutes: list[Minute | None] = []
    for token in text.split():
        minutes.extend(_minutes(token, MAX_MINUTES - len(minutes)))
    return minutes


def _minutes(token: str, most: int) -> Iterator[Minute | None]:
    missing, samples, climbing = _MISSING.match(token), _SAMPLES.match(token), _CLIMBING.match(token)
    if missing is not None:
        times = int(missing[1] or 1)
    elif climbing is not None:
        times = int(climbing[4]) + 1
    elif samples is not None:
        times = int(samples[2] or 0) + 1
    else:
        msg = (
            f"{token!r} is no value: write 5, 5x3 (four minutes of 5), 0+10x3 (0 10 20 30), 900*20 (twenty samples of 900), "
            "900*19|5000 (and one of 5000), _ or _x3 (nothing)"
        )
        raise ValueError(msg)
    if times > most:
        msg = f"{token!r} makes more than {MAX_MINUTES:,} minutes"
        raise ValueError(msg)
    for number in range(times):
        if climbing is not None:
            step = float(climbing[3]) * (1 if climbing[2] == "+" else -1)
            yield [(float(climbing[1]) + number * step, 1)]
        else:
            yield None if samples is None else [_sample(one) for one in samples[1].split("|")]


def _sample(text: str) -> tuple[float, int]:
    value, _, times = text.partition("*")
    return float(value), int(times or 1)
