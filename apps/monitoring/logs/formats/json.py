"""The format `json`: one flat object, the fields as docs/logs.md lists them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

_OPTIONS: Final = orjson.OPT_STRICT_INTEGER | orjson.OPT_APPEND_NEWLINE


def json_line(fields: Mapping[str, object]) -> bytes:
    """One JSON object and the end of the line. Raises TypeError for what JSON cannot hold, integers over 53 bits included."""
    # Copied, because the serializer's own object lies at the beginning of a larger block: a queue of them costs two page
    # faults a line, several times of what all the rest of a line costs.
    return bytes(memoryview(orjson.dumps(fields, option=_OPTIONS)))
