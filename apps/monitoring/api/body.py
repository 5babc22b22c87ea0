"""What a request says: JSON of a bounded size, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, Final

import orjson
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

MOST: Final = 256 * 1024
"""Bytes. The largest rule is a few thousand."""
_DEEPEST: Final = 50
"""Levels. What checks and stores values goes down one call a level, and Python has only so many."""


class TooLargeError(APIException):
    """The body is larger than anything that is meant here."""

    status_code = 413
    default_detail = f"The body is larger than {MOST:,} bytes."
    default_code = "too_large"


class JSONBody(BaseParser):
    """By orjson: infinities, half characters and depths that nothing here has are refused, not carried to the database."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002 - the framework's signature
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> Any:
        """The value. Raises ParseError or TooLargeError."""
        content = stream.read(MOST + 1)
        if len(content) > MOST:
            raise TooLargeError
        try:
            value = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is no JSON: {error}") from None
        if _is_deep(value):
            raise ParseError(f"The body is nested deeper than {_DEEPEST} levels.")
        return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [child for children in inner for child in children]
    return bool(level)
