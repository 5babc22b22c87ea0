"""How many label values have a series of their own."""

from __future__ import annotations

import pytest

from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest import labels
from apps.monitoring.ingest.labels import LabelCaps, overflowed


def admitted(caps: LabelCaps, tenant: str, code: str, count: int, first: int = 0) -> list[int]:
    """The numbers, of so many values, that have a series."""
    return [n for n in range(first, first + count) if caps.admit(tenant, code, (f"value-{n}",)) is not None]


def test_the_first_values_of_a_tenant_are_kept_and_no_later_one_takes_their_place() -> None:
    caps = LabelCaps(3)
    assert admitted(caps, "acme", "m", 10) == [0, 1, 2]
    assert admitted(caps, "acme", "m", 10) == [0, 1, 2]
    assert caps.admit("acme", "m", ("value-1",)) == ("value-1",)


def test_each_tenant_and_each_label_has_a_cap_of_its_own() -> None:
    caps = LabelCaps(3)
    admitted(caps, "acme", "m", 10)
    assert admitted(caps, "acme", "n", 10) == [0, 1, 2]
    assert admitted(caps, "birch", "m", 10) == [0, 1, 2]


def test_all_tenants_together_have_ten_times_the_values_of_one() -> None:
    caps = LabelCaps(3)
    assert admitted(caps, GLOBAL, "m", 100) == list(range(30))
    assert admitted(caps, GLOBAL, "m", 10, first=25) == [25, 26, 27, 28, 29]


def test_several_labels_are_one_value_and_overflow_together() -> None:
    caps = LabelCaps(1)
    assert caps.admit("acme", "m", ("a", "b")) == ("a", "b")
    assert caps.admit("acme", "m", ("a", "c")) is None
    assert overflowed(("a", "c")) == ("other", "other")


def test_what_is_remembered_of_all_tenants_is_bounded_and_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "_MAX_KNOWN", 10)
    caps = LabelCaps(3)
    for number in range(1_000):
        assert admitted(caps, f"tenant-{number}", "m", 3) == [0, 1, 2]
        assert sum(map(len, caps._known.values())) <= 10
    assert admitted(caps, "tenant-0", "m", 3, first=7) == [7, 8, 9]
