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
    for value in (None, "", " "):
        if value is not None:
            set_to.setenv("WANTED", value)
        assert variables.text("WANTED", "a text") == "a text"
        assert variables.texts("WANTED") == []
        assert variables.texts("WANTED", "a", "b") == ["a", "b"]
        assert variables.switch("WANTED", default=True)
        assert variables.log_level("WANTED") == "INFO"
        assert variables.prices("WANTED") == {}
        assert variables.patterns("WANTED") == []
        assert variables.time_zone("WANTED") == "UTC"
        assert variables.address("WANTED", str, "a server", default="a.example") == "a.example"
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


def test_a_text_is_taken_as_it_stands(set_to: pytest.MonkeyPatch) -> None:
    set_to.setenv("WANTED", "$HOME, and more")
    assert variables.text("WANTED") == "$HOME, and more"


@pytest.mark.parametrize("value", ["a,b", "a, b", " a , b ", ",a,,b, ,"])
def test_spaces_and_empty_texts_are_not_part_of_a_list(set_to: pytest.MonkeyPatch, value: str) -> None:
    set_to.setenv("WANTED", value)
    assert variables.texts("WANTED", "c") == ["a", "b"]


def test_a_list_of_nothing_has_its_default(set_to: pytest.MonkeyPatch) -> None:
    set_to.setenv("WANTED", " , ,")
    assert variables.texts("WANTED", "a") == ["a"]


def test_a_switch_is_on_or_off_whatever_its_default(set_to: pytest.MonkeyPatch) -> None:
    for value in ("1", "True ", "yes", "ON"):
        set_to.setenv("WANTED", value)
        assert variables.switch("WANTED", default=False), value
    for value in ("0", "False", "no", "off"):
        set_to.setenv("WANTED", value)
        assert not variables.switch("WANTED", default=True), value


def test_a_switch_that_is_neither_is_refused(set_to: pytest.MonkeyPatch) -> None:
    set_to.setenv("WANTED", "treu")
    assert complaint(variables.switch, default=False) == "WANTED is 'treu': it must be 1 or 0"


def test_a_level_is_written_in_any_case(set_to: pytest.MonkeyPatch) -> None:
    set_to.setenv("WANTED", "info")
    assert variables.log_level("WANTED") == "INFO"
    set_to.setenv("WANTED", "bogus")
    assert complaint(variables.log_level) == "WANTED is 'bogus': it must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL"


def test_an_address_that_cannot_be_read_is_not_told(set_to: pytest.MonkeyPatch) -> None:
    set_to.setenv("WANTED", "secret")
    assert variables.address("WANTED", str.upper, "a server") == "SECRET"
    with pytest.raises(ImproperlyConfigured, match="WANTED is not the address of a server;") as error:
        variables.address("WANTED", int, "a server")
    assert "secret" not in str(error.value)
    assert error.value.__context__ is None, "the traceback would tell it"


def test_prices_are_of_models_and_kinds(set_to: pytest.MonkeyPatch) -> None:
    set_to.setenv("WANTED", '{"mine": {"input": 1.5, "output": 6}}')
    assert variables.prices("WANTED") == {"mine": {"input": 1.5, "output": 6}}


@pytest.mark.parametrize("value", ["{", "[]", '"x"', "1", "null"])
def test_prices_that_are_no_json_object_are_refused(set_to: pytest.MonkeyPatch, value: str) -> None:
    set_to.setenv("WANTED", value)
    assert f"WANTED is {value!r}: it must be JSON such as {{" in complaint(variables.prices)


@pytest.mark.parametrize(
    "rates", ["1", "[]", "null", '{"input": 1}', '{"input": "x", "output": 1}', '{"input": -1, "output": 1}']
)
def test_prices_that_cannot_be_are_refused_with_their_model(set_to: pytest.MonkeyPatch, rates: str) -> None:
    set_to.setenv("WANTED", f'{{"mine": {rates}}}')
    assert complaint(variables.prices).startswith("MONITORING_PRICES of 'mine' must ")


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
    set_to.setenv("WANTED", "1e9")
    assert complaint(variables.whole, 8, least=1, most=1_024) == "WANTED is '1e9': it must be a number from 1 to 1024"
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
