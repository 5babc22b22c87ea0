"""The errors of an interaction as the caller hands them over: counted and logged as they are, without what they hold."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from apps.monitoring.monitor import _failures, _own
from tests.unit.ingest.hostile import VALUES, fresh
from tests.unit.ingest.made import counted, event
from tests.unit.logs.said import event as logged
from tests.unit.logs.said import line


class OddError(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


class Meddles:
    """A key that is found where a text is looked for, and raises."""

    def __hash__(self) -> int:
        return hash("operation")

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError


KINDS: list[Any] = [
    [],
    (),
    ["crm", "llm"],
    ("crm",),
    [{"operation": "crm", "type": "TimeoutError"}],
    [{"operation": "crm", "exception": ValueError("boom"), "context": {"a": 1}}],
    [{"operation": KeyError("crm"), "type": KeyError("crm")}],
    [{"type": "TimeoutError"}, {}, {"operation": None}, None, 7, [], {1: 2}],
    [ValueError("no number"), OSError(2, "No such file"), KeyboardInterrupt(), ValueError(), ValueError("x" * 10_000)],
    [ValueError("a\x00b\x1fc \ud800 mia@example.com")],
    [MappingProxyType({"operation": "crm", "type": ValueError("boom")})],
    [{"operation": "crm"}] * 1_500,
    ("crm",) * 1_500,
]


@pytest.mark.parametrize("errors", KINDS)
def test_what_is_counted_and_what_is_logged_is_the_same(errors: Any) -> None:
    for answer in ("yes", None):
        kept = _failures(errors)
        assert counted(event("agent_interaction", errors=kept, agent_response=answer)) == counted(
            event("agent_interaction", errors=errors or None, agent_response=answer)
        )
        assert line(logged(errors=kept)) == line(logged(errors=errors or None))


def test_whatever_is_given_nothing_is_raised() -> None:
    for errors in (*VALUES, *fresh()):
        _failures(errors)
        _failures([errors, {"operation": errors, "type": errors}])
    _failures([{Meddles(): 1}, ValueError("boom")])


def test_a_value_whose_class_cannot_be_looked_up_raises_nothing() -> None:
    class Unhashable(type):
        __hash__ = None  # type: ignore[assignment]

    class Odd(metaclass=Unhashable):
        pass

    odd = Odd()
    assert _own(odd) is odd


def test_an_exception_that_cannot_say_anything_counts_under_its_type() -> None:
    assert _failures([OddError(), {"operation": OddError()}]) == ["<OddError>", {"operation": "<OddError>"}]


class Held:
    pass


def raised() -> tuple[Exception, weakref.ref[Held]]:
    held = Held()
    try:
        int("no number")
    except ValueError as error:
        return error, weakref.ref(held)
    raise AssertionError


WAYS: list[Callable[[Exception], Any]] = [
    lambda error: [error],
    lambda error: (error,),
    lambda error: [{"operation": "crm", "exception": error}],
    lambda error: [{"operation": "crm", "type": error}],
    lambda error: [{"operation": error}],
    lambda error: ["crm", {"operation": "crm", "context": {"raised": [error]}}],
]


@pytest.mark.parametrize("way", WAYS)
def test_no_exception_waits_with_its_frames(way: Callable[[Exception], Any]) -> None:
    error, alive = raised()
    kept = _failures(way(error))
    assert kept
    del error
    gc.collect()
    assert alive() is None


def test_what_the_caller_changes_afterwards_changes_nothing() -> None:
    errors: list[Any] = [{"operation": "crm"}]
    kept = _failures(errors)
    errors[0]["operation"] = "llm"
    errors.append("x")
    assert kept == [{"operation": "crm"}]
