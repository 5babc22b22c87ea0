"""The format `json`: one flat object, the fields as docs/logs.md lists them."""

from __future__ import annotations

from collections.abc import Mapping

import orjson


def json_line(fields: Mapping[str, object]) -> bytes:
    """One JSON object without a line break. Raises TypeError for what JSON cannot hold, integers over 53 bits included."""
    return orjson.dumps(fields, option=orjson.OPT_STRICT_INTEGER)
