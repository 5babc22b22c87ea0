"""What a request says: JSON of a bounded size, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, Final

import orjson
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

from apps.monitoring.core.depth import DEEPEST, is_deep

MOST: Final = 256 * 1024
"""Bytes. The largest rule is a few thousand."""


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
        if is_deep(value):
            raise ParseError(f"The body is nested deeper than {DEEPEST} levels.")
        return value
