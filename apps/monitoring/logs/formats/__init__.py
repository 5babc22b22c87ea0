"""From a line's fields to its bytes, one module a format. Each gives one line with its end.

A format raises for a value that it cannot hold; `plain` makes one of it that all of them can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from apps.monitoring.logs.formats.console import console_line
from apps.monitoring.logs.formats.ecs import ecs_line
from apps.monitoring.logs.formats.json import json_line

Format = Callable[[Mapping[str, object]], bytes]

FORMATS: Final[Mapping[str, Format]] = MappingProxyType({"json": json_line, "ecs": ecs_line, "console": console_line})
