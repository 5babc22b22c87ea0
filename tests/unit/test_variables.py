"""The environment is read strictly."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import variables


@pytest.fixture
def set_to(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("WANTED", raising=False)
    return monkeypatch


def complaint(read: object, *arguments: object, **more: object) -> str:
    with pytest.raises(ImproperlyConfigured) as error:
        read("WANTED", *arguments, **more)  # type: ignore[operator]
    return str(error.value)


def test_what_is_not_set_or_empty_has_its_default(set_to: pytest.MonkeyPatch) -> None:
    for value in (None, ""):
        if value is not None:
            set_to.setenv("WANTED", value)
        assert variables.number("WANTED", 1.5) == 1.5
        assert variables.whole("WANTED", 7) == 7
        assert variables.one_of("WANTED", "json", "ecs") == "json"
        assert complaint(variables.required, "give one") == "WANTED is not set: give one"


def test_what_is_set_counts(set_to: pytest.MonkeyPatch) -> None:
    set_to.setenv("WANTED", "12")
    assert variables.required("WANTED", "") == "12"
    assert variables.number("WANTED", 1.0) == 12.0
    assert variables.whole("WANTED", 1) == 12
    assert variables.one_of("WANTED", "json", "12") == "12"


@pytest.mark.parametrize("value", ["Mars/Olympus", "../../etc/passwd", "Europe", "/etc/localtime", "\x01"])
def test_a_time_zone_that_there_is_not_is_refused(set_to: pytest.MonkeyPatch, value: str) -> None:
    assert variables.time_zone("WANTED") == "UTC"
    set_to.setenv("WANTED", "Asia/Kathmandu")
    assert variables.time_zone("WANTED") == "Asia/Kathmandu"
    set_to.setenv("WANTED", value)
    assert complaint(variables.time_zone) == f"WANTED is {value!r}: it must be a time zone such as Europe/Berlin or UTC"


@pytest.mark.parametrize("value", ["many", "nan", "inf", "-1", "1_", "0x10"])
def test_a_number_that_cannot_be_meant_is_refused(set_to: pytest.MonkeyPatch, value: str) -> None:
    set_to.setenv("WANTED", value)
    assert complaint(variables.number, 1.0) == f"WANTED is {value!r}: it must be a number, 0 or more"
    assert complaint(variables.whole, 1) == f"WANTED is {value!r}: it must be a number, 0 or more"


def test_bounds_and_whole_numbers_are_told(set_to: pytest.MonkeyPatch) -> None:
    set_to.setenv("WANTED", "0")
    assert complaint(variables.whole, 8, least=1) == "WANTED is '0': it must be a number, 1 or more"
    set_to.setenv("WANTED", "2.5")
    assert complaint(variables.whole, 8) == "WANTED is 2.5: it must be a whole number"
    assert complaint(variables.one_of, "json", "ecs") == "WANTED is '2.5': it must be one of json, ecs"


def test_patterns_are_a_list_of_regular_expressions(set_to: pytest.MonkeyPatch) -> None:
    assert variables.patterns("WANTED") == []
    set_to.setenv("WANTED", r'["#W\\d{7}", "a,b"]')
    assert variables.patterns("WANTED") == [r"#W\d{7}", "a,b"]


@pytest.mark.parametrize("value", ["#W", '"a"', "[1]", '["("]', '["x*"]', "{}"])
def test_patterns_that_cannot_work_are_refused(set_to: pytest.MonkeyPatch, value: str) -> None:
    set_to.setenv("WANTED", value)
    assert f"WANTED is {value!r}: it must be a JSON list of regular expressions" in complaint(variables.patterns)
