"""A rule is tried out on stored minutes: as it is saved, with other values, or not saved at all."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any, Final, Self

from django.core.exceptions import ValidationError
from django.utils import timezone
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.request import Request

from apps.monitoring.alerts import backtest, suggest
from apps.monitoring.alerts.draft import changed
from apps.monitoring.alerts.sweep import Sweep
from apps.monitoring.api import tenancy
from apps.monitoring.api.checked import Checked, errors
from apps.monitoring.api.serializers import number
from apps.monitoring.core.frame import Frame
from apps.monitoring.core.rules import Rule
from apps.monitoring.models import AlertRule
from apps.monitoring.query import window
from apps.monitoring.query.deadline import Clock, Deadline, SlowError
from apps.monitoring.query.errors import RangeError

_BACKTEST_LAST: Final = "1d"
_SUGGEST_LAST: Final = "14d"
_SECONDS: Final = 15.0
_MOST: Final = 10_000_000
"""Values, which are tenants times minutes, that one request may look at."""
_REMEDY: Final = "take a shorter range or one tenant, or the command in manage.py, which has no such limit"
_TOO_MUCH: Final = f"is too much for one request: {_REMEDY}"
_UNSAVED: Final = "unsaved"
_JUDGED: Final = (
    "metric", "statistic", "operator", "threshold", "recovery_threshold", "window_minutes", "min_samples", "change_against",
    "budget", "scope", "tenant", "label_filter", "for_minutes", "keep_firing_for_minutes", "no_data", "severity",
    "cooldown_minutes",
)  # fmt: skip


class ValuesSerializer(Checked[AlertRule]):
    """What a backtest depends on. A whole rule may be given: the rest of it changes nothing."""

    class Meta:
        model = AlertRule
        fields = _JUDGED
        extra_kwargs = {name: {"required": False} for name in ("metric", "statistic", "operator", "threshold")}

    def to_internal_value(self, data: Any) -> Any:
        """Without the names, channels and texts of a rule that was read before."""
        if isinstance(data, dict):
            known = {field.name for field in AlertRule._meta.get_fields()} | {"condition", "unit"}  # noqa: SLF001
            data = {name: value for name, value in data.items() if name in _JUDGED or name not in known}
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Together with what is stored, later."""
        return attrs


class UnsavedValuesSerializer(ValuesSerializer):
    """The same of a rule of which nothing is stored."""

    class Meta(ValuesSerializer.Meta):
        extra_kwargs = {}


class BacktestSerializer(serializers.Serializer[Any]):
    """Over which minutes, and what is to be different. ``from`` and ``to``, or a window that ends now."""

    last = _BACKTEST_LAST
    rule = ValuesSerializer(required=False, help_text="Values instead of the saved ones.")

    def get_fields(self) -> dict[str, Any]:
        """`from` is a word of Python's."""
        return {
            "window": serializers.CharField(required=False, help_text=f"Such as 7d. Default: {self.last}."),
            "from": serializers.CharField(required=False, help_text="ISO 8601 with a zone, included."),
            "to": serializers.CharField(required=False, help_text="ISO 8601 with a zone, not included. Default: now."),
            **super().get_fields(),
        }


class UnsavedBacktestSerializer(BacktestSerializer):
    """With a whole rule."""

    rule = UnsavedValuesSerializer()


class SuggestSerializer(BacktestSerializer):
    """How many alerts of all tenants together are wished for."""

    last = _SUGGEST_LAST
    alerts_per_week = serializers.FloatField(min_value=0.0, max_value=100_000.0)


class UnsavedSuggestSerializer(SuggestSerializer):
    """With a whole rule."""

    rule = UnsavedValuesSerializer()


def backtested(request: Request, stored: AlertRule | None) -> dict[str, Any]:
    """The answer of `backtest`. Raises RangeError, and the framework's ValidationError and PermissionDenied."""
    asked = _asked(request, UnsavedBacktestSerializer if stored is None else BacktestSerializer)
    with Bound().statements() as bound:
        rule, over = _read(request, stored, asked, _BACKTEST_LAST)
        return backtest.as_json(backtest.judged(rule, bound.frames(Sweep(rule, over.start, over.end)), over), over)


def suggested(request: Request, stored: AlertRule | None) -> dict[str, Any]:
    """The answer of `suggest`. Raises what `backtested` raises."""
    asked = _asked(request, UnsavedSuggestSerializer if stored is None else SuggestSerializer)
    wish = asked["alerts_per_week"]
    with Bound().statements() as bound:
        rule, over = _read(request, stored, asked, _SUGGEST_LAST)
        frames = bound.frames(Sweep(rule, over.start, over.end))
        return suggest.as_json(rule, over, wish, suggest.suggest(rule, frames, wish, bound.in_time))


def _asked(request: Request, form: type[BacktestSerializer]) -> dict[str, Any]:
    given = form(data=request.data, context={"request": request})
    given.is_valid(raise_exception=True)
    found: dict[str, Any] = given.validated_data
    return found


def _read(request: Request, stored: AlertRule | None, asked: dict[str, Any], last: str) -> tuple[Rule, backtest.Span]:
    values = tenancy.judging_own(request, asked.get("rule", {}))
    rule = AlertRule(name=_UNSAVED) if stored is None else copy(stored)
    try:
        definition = changed(rule, values).definition()
    except ValidationError as error:
        raise serializers.ValidationError({"rule": errors(error)}) from None
    named = asked.get("from"), asked.get("to")
    lasting = asked.get("window") or (None if any(named) else last)
    return definition, backtest.span(definition, *window.parse(lasting, *named, timezone.now()))


class Bound:
    """What one request may take, from its first question to the database to the last threshold that is tried."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._deadline = Deadline(_SECONDS, clock)

    @contextmanager
    def statements(self) -> Iterator[Self]:
        """Questions to the database that are given up in time. Raises SlowError."""
        try:
            with self._deadline.statements():
                yield self
        except SlowError as error:
            raise SlowError(f"{error}: {_REMEDY}") from error

    def frames(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Frames until they are too many, or have taken too long. Raises RangeError."""
        size = 0
        for frame in frames:
            size += frame.values.size
            if size > _MOST:
                raise RangeError(f"over {_MOST:,} values {_TOO_MUCH}")
            self.in_time()
            yield frame

    def in_time(self) -> None:
        """Raises RangeError when it is not."""
        if self._deadline.is_over:
            raise RangeError(f"more than {_SECONDS:g} seconds {_TOO_MUCH}")


def _line(name: str) -> Any:
    return inline_serializer(
        name,
        {
            "minute": serializers.DateTimeField(),
            "state": serializers.CharField(),
            "value": number(),
            "samples": serializers.IntegerField(),
            "notified": serializers.BooleanField(),
            "reason": serializers.CharField(),
        },
        many=True,
    )


_TALLY: Final = {name: serializers.IntegerField() for name in ("fired", "firing_minutes", "flaps", "notifications")}
_RANGE: Final = {"from": serializers.DateTimeField(), "to": serializers.DateTimeField()}

BACKTEST: Final = inline_serializer(
    "BacktestAnswer",
    {
        "rule": serializers.CharField(),
        **_RANGE,
        "instances": inline_serializer(
            "BacktestInstance",
            {
                "tenant": serializers.CharField(allow_null=True, help_text="null: all tenants together."),
                "transitions": _line("BacktestTransition"),
                "reminders": _line("BacktestReminder"),
                **_TALLY,
                "summary": serializers.CharField(),
            },
            many=True,
        ),
        **_TALLY,
        "summary": serializers.CharField(),
    },
)
SUGGESTION: Final = inline_serializer(
    "SuggestAnswer",
    {
        "rule": serializers.CharField(),
        **_RANGE,
        "alerts_per_week": serializers.FloatField(),
        "threshold": number(),
        "recovery_threshold": number(),
        "unit": serializers.CharField(),
        "reason": serializers.CharField(),
        **_TALLY,
        "summary": serializers.CharField(),
        "computed_from": inline_serializer(
            "SuggestionEvidence",
            {name: serializers.IntegerField() for name in ("values", "tenants", "minutes", "tried")},
        ),
    },
)
