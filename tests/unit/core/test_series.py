from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.monitoring import catalogue
from apps.monitoring.catalogue import METRICS, Kind, Metric
from apps.monitoring.core import series, values

quick = settings(deadline=None, database=None, max_examples=300)
labels = st.text(max_size=70).map(values.label)


@st.composite
def spelled(draw: st.DrawFn) -> tuple[Metric, tuple[str, ...]]:
    metric = draw(st.sampled_from(list(METRICS.values())))
    return metric, tuple(draw(labels) for _ in metric.labels)


@quick
@given(spelled())
def test_what_is_encoded_is_decoded(one: tuple[Metric, tuple[str, ...]]) -> None:
    assert series.decode(series.encode(*one)) == one


@quick
@given(st.dictionaries(labels, labels, max_size=5), st.sampled_from([Kind.COUNTER, Kind.HISTOGRAM]))
def test_a_metric_of_the_users_own_is_decoded_with_its_labels(own: dict[str, str], kind: Kind) -> None:
    metric = catalogue.user_metric("checkout.abandoned", kind)
    found, spelling = series.decode(series.encode(metric, series.user_values(own)))
    assert found == metric
    assert series.labels_dict(series.labels_json(found, spelling)) == own


@quick
@given(spelled())
def test_the_labels_come_back_from_their_json_in_the_order_of_the_catalogue(one: tuple[Metric, tuple[str, ...]]) -> None:
    metric, spelling = one
    assert tuple(series.labels_dict(series.labels_json(metric, spelling)).values()) == spelling


@quick
@given(st.dictionaries(labels, labels, min_size=1, max_size=5))
def test_the_json_of_labels_does_not_depend_on_their_order(own: dict[str, str]) -> None:
    (text,) = series.user_values(own)
    assert series.user_values(dict(reversed(own.items()))) == (text,)
    assert list(json.loads(text)) == sorted(own, key=lambda name: name.encode())


def test_no_labels_are_an_empty_text() -> None:
    assert series.labels_json(METRICS["interactions"], ()) == ""
    assert series.user_values({}) == ()
    assert series.labels_dict("") == {}


def test_a_code_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError):
        series.decode("zz\x1fgpt-4o")
