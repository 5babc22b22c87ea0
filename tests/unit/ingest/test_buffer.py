from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.monitoring.core.event import Event
from apps.monitoring.ingest import buffer as buffering
from apps.monitoring.ingest.buffer import Buffer, Slots
from apps.monitoring.ingest.slot import Slot
from tests.unit.ingest.made import NOW, event, events, fields, merged

quick = settings(deadline=None, database=None, max_examples=120)
many = st.lists(events(), max_size=30)


def together(parts: list[Slots]) -> Slots:
    whole: Slots = {}
    for part in parts:
        for where, slot in part.items():
            whole.setdefault(where, Slot()).merge(slot)
    return whole


@quick
@given(many, st.data())
def test_the_totals_do_not_depend_on_how_events_are_split_over_buffers_flushes_and_orders(
    given_events: list[Event], data: st.DataObject
) -> None:
    buffers = [Buffer(100) for _ in range(3)]
    flushed: list[Slots] = []
    for one in data.draw(st.permutations(given_events)):
        buffer = data.draw(st.sampled_from(buffers))
        buffer.merge([one])
        if data.draw(st.booleans()):
            flushed.append(buffer.take())
    flushed += [buffer.take() for buffer in buffers]
    assert fields(together(data.draw(st.permutations(flushed)))) == fields(merged(given_events))


@quick
@given(many, many, many)
def test_merging_slots_is_associative_and_leaves_the_other_as_it_was(a: list[Event], b: list[Event], c: list[Event]) -> None:
    x, y, z = merged(a), merged(b), merged(c)
    before = fields(y), fields(z)
    assert fields(together([together([x, y]), z])) == fields(together([x, together([y, z])])) == fields(together([z, y, x]))
    assert (fields(y), fields(z)) == before


@quick
@given(many)
def test_the_size_of_a_slot_is_what_it_writes(given_events: list[Event]) -> None:
    for slot in merged(given_events).values():
        written = sum(1 for parts in (slot.sums(), slot.lows(), slot.highs()) for _ in parts)
        assert len(slot) == written + sum(map(len, slot.members.values()))


def test_an_event_counts_in_the_minute_of_its_own_time() -> None:
    slots = merged([event("error", timestamp=NOW - 3_600), event("error"), event("error", when=NOW + 59.99)])
    assert {minute: slot.counters for (minute, _), slot in slots.items()} == {
        int(NOW // 60) - 60: {"e\x1fcrm": 1},
        int(NOW // 60): {"e\x1fcrm": 2},
    }


def test_an_event_whose_time_is_refused_counts_when_it_was_handed_over() -> None:
    (found,) = fields(merged([event("error", timestamp=NOW + 999_999)])).values()
    assert found == {"e\x1fcrm:n": 1, "r\x1ftimestamp:n": 1}


def test_a_buffer_that_was_taken_is_empty() -> None:
    buffer = Buffer(100)
    buffer.merge([event("error")])
    assert buffer.take()
    assert buffer.take() == {}


def test_one_event_that_nobody_knows_does_not_take_the_next_with_it() -> None:
    (found,) = fields(merged([["no_such_type", "acme", NOW, None, None], event("error")])).values()
    assert found == {"r\x1funreadable:n": 1, "e\x1fcrm:n": 1}


def test_what_is_remembered_of_long_names_is_next_to_nothing() -> None:
    buffer = Buffer(100)
    tracemalloc.start()
    try:
        for number in range(500):
            long = f"{number}\x00" + "x" * 20_000
            buffer.merge([event("agent_interaction", conversation_id=long, model_used=f"m{number % 50}{chr(0) * 20_000}")])
            buffer.take()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 500_000


def test_what_is_sent_on_by_itself_is_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffering, "_MAX_REMEMBERED", 1_000)
    monkeypatch.setattr(buffering, "_LOOKED_AFTER", 100)
    buffer, most = Buffer(100), 0
    for number in range(600):
        some = [event("agent_interaction", tenant=f"t{number % 7}", conversation_id=f"{number}-{n}") for n in range(10)]
        assert buffer.apart(some)
        most = max(most, sum(map(len, buffer._tallies.values())))
    assert 1_000 < most < 2_000
    assert buffer.take() == {}


def test_long_conversations_are_told_apart_by_how_they_begin() -> None:
    names = [f"{number}-" + "x" * 1_000 for number in range(5)] * 2
    (slot,) = merged([event("agent_interaction", conversation_id=name) for name in names]).values()
    assert len(slot.members["cv"]) == 5
