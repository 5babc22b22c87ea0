"""Serializers whose models say what is wrong, in the words that the admin uses."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from datetime import datetime
from typing import Any, TypeVar

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models
from rest_framework import serializers
from rest_framework.fields import get_error_detail
from rest_framework.settings import api_settings

Row = TypeVar("Row", bound=models.Model)


class Moment(serializers.DateTimeField):
    """A time with a zone: one without would be taken for UTC by us and for something else by whoever wrote it."""

    default_error_messages = {"naive": "The time has no zone: write 2026-01-05T00:00:00Z or 2026-01-05T02:00:00+02:00."}

    def enforce_timezone(self, value: datetime) -> datetime:
        """In UTC."""
        if value.tzinfo is None:
            self.fail("naive")
        return super().enforce_timezone(value)


class Checked(serializers.ModelSerializer[Row]):
    """Saved means validated: `clean` of the model decides, and a field that does not exist is no slip to be passed over."""

    serializer_field_mapping = {**serializers.ModelSerializer.serializer_field_mapping, models.DateTimeField: Moment}

    def to_internal_value(self, data: Any) -> Any:
        """Refuse what is no field of this."""
        if isinstance(data, Mapping):
            unknown = sorted(str(name) for name in data if name not in self.fields)
            if unknown:
                raise serializers.ValidationError({name: ["There is no such field."] for name in unknown})
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """As the model has it, of the object as it will be."""
        model: Any = self.Meta.model
        many = {field.name for field in model._meta.many_to_many}  # noqa: SLF001 - a public name
        candidate = model() if self.instance is None else copy(self.instance)
        for name, value in attrs.items():
            if name not in many:
                setattr(candidate, name, value)
        try:
            self.check_whole(candidate, attrs)
        except ValidationError as error:
            raise serializers.ValidationError(errors(error)) from None
        return attrs

    def check_whole(self, candidate: Any, attrs: dict[str, Any]) -> None:  # noqa: ARG002 - for those that need it
        """Raises Django's ValidationError."""
        candidate.full_clean()


def errors(error: ValidationError) -> dict[str, Any]:
    """Django's errors by field, as the framework writes them."""
    found = get_error_detail(error)
    by_field = found if isinstance(found, dict) else {NON_FIELD_ERRORS: found}
    whole = api_settings.NON_FIELD_ERRORS_KEY
    return {whole if name == NON_FIELD_ERRORS else name: reasons for name, reasons in by_field.items()}
