"""What a request may ask for in its address."""

from __future__ import annotations

from collections.abc import Collection

from rest_framework.request import Request
from rest_framework.serializers import ValidationError


def check(request: Request, known: Collection[str]) -> None:
    """Refuse a parameter that there is not: who misspells the tenant must not be answered with all of them together."""
    unknown = sorted(set(request.query_params) - set(known))
    if unknown:
        there_are = f"There is no such parameter; there are {', '.join(sorted(known)) or 'none'}."
        raise ValidationError({name: [there_are] for name in unknown})
