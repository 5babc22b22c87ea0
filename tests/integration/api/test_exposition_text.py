"""The text of `GET /metrics`: valid in both formats, whatever is in a label."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from django.test import Client

from apps.monitoring.catalogue import Kind
from apps.monitoring.models import Series
from tests.integration.api.rows import fire, rule
from tests.integration.api.scraped import (
    INTERACTIONS,
    METRICS,
    MIDNIGHT,
    OPENMETRICS,
    PLAIN,
    complete,
    families,
    read,
    recorded,
    say,
    scrape,
    text,
    value,
)  # fmt: skip
from tests.integration.rollup.stored import send
from tests.unit.ingest.made import event

pytestmark = pytest.mark.usefixtures("stores")

FORMATS = pytest.mark.parametrize("accept", ["", OPENMETRICS], ids=["text", "OpenMetrics"])
PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
HOSTILE = [
    'a"b', "a\\b", "a\nb", "\\n", '"} 1\nagentmon_faked_total 9', "# EOF", "{}", ",", "ä 漢字 🙂", "\u2028\u0085", "\r\n", "\t ",
    "x" * 10_000, "", "\x01\x7f", "\\", '\\"', "%s{0}",
]  # fmt: skip


def of_user(name: str, kind: Kind = Kind.COUNTER, value: float = 1, **labels: str) -> Any:
    return event("user_metric", MIDNIGHT * 60.0, "airline", name=name, kind=kind, value=value, labels=labels)


class TestFormat:
    @pytest.fixture(autouse=True)
    def something(self, stores: None) -> None:
        say(MIDNIGHT, 3, estimated_cost=0.5)
        complete(MIDNIGHT + 2)

    @pytest.mark.parametrize(
        ("accept", "wanted"),
        [
            (PROMETHEUS, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"),
            ("text/plain;version=0.0.4", PLAIN),
            ("*/*", PLAIN),
            ("", PLAIN),
            ("text/html, application/json", PLAIN),
            ("application/openmetrics-text;version=soon", PLAIN),
            ("application/openmetrics-text;version=1.x", PLAIN),
            (";;;,=,", PLAIN),
        ],
    )
    def test_is_what_prometheus_takes(self, everyone: Client, accept: str, wanted: str) -> None:
        answer = everyone.get(METRICS, headers={"accept": accept})
        assert (answer.status_code, answer["content-type"], answer["cache-control"]) == (200, wanted, "no-store")
        assert value(read(answer.content.decode()), INTERACTIONS) == 3

    def test_a_series_says_since_when_it_counts_in_openmetrics_alone(self, everyone: Client) -> None:
        assert "_created" not in text(everyone)
        found = scrape(everyone, accept=OPENMETRICS)
        created = {one for (name, _), one in found.items() if name.endswith("_created")}
        assert created == {MIDNIGHT * 60}
        assert value(found, "agentmon_response_time_seconds_created") == MIDNIGHT * 60

    def test_both_say_the_same(self, everyone: Client) -> None:
        plain, other = recorded(scrape(everyone)), recorded(scrape(everyone, accept=OPENMETRICS))
        assert plain == {place: one for place, one in other.items() if not place[0].endswith("_created")}

    def test_it_is_packed_for_whom_takes_that(self, everyone: Client) -> None:
        answer = everyone.get(METRICS, headers={"accept-encoding": "gzip"})
        assert (answer["content-encoding"], answer["vary"]) == ("gzip", "Accept, Accept-Encoding")
        assert value(read(gzip.decompress(answer.content).decode()), INTERACTIONS) == 3


@FORMATS
def test_whatever_is_in_a_label_is_read_back(everyone: Client, accept: str) -> None:
    for number in range(len(HOSTILE)):
        say(MIDNIGHT, number + 1, intent=f"intent {number}")
    complete(MIDNIGHT + 2)
    for number, hostile in enumerate(HOSTILE):  # recording shortens and mends them, but an older version may not have
        Series.objects.filter(labels=json.dumps({"intent": f"intent {number}"}, separators=(",", ":"))).update(
            labels=json.dumps({"intent": hostile})
        )
    found = scrape(everyone, accept=accept)
    for number, hostile in enumerate(HOSTILE):
        assert value(found, "agentmon_intents_total", intent=hostile) == number + 1
    assert not [place for place in found if place[0] == "agentmon_faked_total"]


@FORMATS
@pytest.mark.parametrize("hostile", ['a"b\\c\nd', "ä 漢字 🙂", 'x"} 1'])
def test_so_is_the_name_of_a_tenant(everyone: Client, accept: str, hostile: str) -> None:
    say(MIDNIGHT, 2, tenant=hostile)
    complete(MIDNIGHT + 2)
    fire(rule("slow"), hostile)
    found = scrape(everyone, hostile, accept=accept)
    assert value(found, INTERACTIONS, tenant=hostile) == 2
    assert value(found, "agentmon_alerts_firing", tenant=hostile, rule="slow", severity="warning") == 1


@FORMATS
class TestTheUsersOwn:
    def test_names_that_become_one_are_told_apart(self, everyone: Client, accept: str) -> None:
        given = [
            ("a_b", 1),
            ("a.b", 2),
            ("a_b_total", 3),
            ("a_b_count", 4),
            ("a.b.total", 5),
            ("_", 6),
            ("__", 7),
            ("x_created", 8),
            ("x", 9),
        ]
        for name, number in given:
            send(of_user(name, value=number))
            for _ in range(number):
                send(of_user(name, Kind.HISTOGRAM, 2.5))
        complete(MIDNIGHT + 2)
        said = text(everyone, accept=accept)
        found = read(said)
        own = {family.name: family for family in families(said) if family.name.startswith("agentmon_user_")}
        counters = [family for family in own.values() if family.type == "counter"]
        histograms = [family for family in own.values() if family.type == "histogram"]
        numbers = sorted(number for _, number in given)
        assert sorted(sum(s.value for s in one.samples if s.name.endswith("_total")) for one in counters) == numbers
        assert sorted(sum(s.value for s in one.samples if s.name.endswith("_count")) for one in histograms) == numbers
        assert value(found, "agentmon_user_a_b_total") == 1, "whose name needs no change keeps it"

    def test_the_order_in_which_they_came_changes_no_name(self, everyone: Client, accept: str) -> None:
        send(of_user("a.b", value=2))
        complete(MIDNIGHT + 2)
        assert value(scrape(everyone, accept=accept), "agentmon_user_a_b_total") == 2

    def test_labels_have_names_that_prometheus_takes(self, everyone: Client, accept: str) -> None:
        labels = {
            "le": "1", "tenant": "2", "__name__": "3", "größe": "4", "a.b": "5", "a_b": "6", "1x": "8", "fine": 'q"\n\\',
        }  # fmt: skip
        send(of_user("odd", Kind.HISTOGRAM, 2.5, **labels), of_user("plain"), of_user("plain", country="de"))
        complete(MIDNIGHT + 2)
        wanted = {
            "user_le": "1", "user_tenant": "2", "_name__": "3", "gr__e": "4", "a_b": "5;6", "_1x": "8", "fine": 'q"\n\\',
        }  # fmt: skip
        found = scrape(everyone, "airline", accept=accept)
        assert value(found, "agentmon_user_odd_bucket", **wanted, tenant="airline", le="2.5") == 1
        assert value(found, "agentmon_user_odd_sum", **wanted, tenant="airline") == 2.5
        assert value(found, "agentmon_user_plain_total", tenant="airline") == 1
        assert value(found, "agentmon_user_plain_total", tenant="airline", country="de") == 1

    def test_series_whose_labels_become_the_same_are_one(self, everyone: Client, accept: str) -> None:
        send(of_user("x", value=2, **{"a.b": "1"}), of_user("x", value=3, a_b="1"))
        complete(MIDNIGHT + 2)
        assert value(scrape(everyone, accept=accept), "agentmon_user_x_total", a_b="1") == 5
