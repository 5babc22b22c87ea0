from __future__ import annotations

import numpy as np
import pytest
from django.utils.functional import SimpleLazyObject

from apps.monitoring.catalogue import Kind
from apps.monitoring.core.distinct import hash_of
from apps.monitoring.core.histogram import bucket_of
from apps.monitoring.ingest.buffer import Buffer
from tests.unit.ingest.made import counted, event, refused


def test_an_interaction_counts_in_every_metric_it_says_something_about() -> None:
    assert counted(event("agent_interaction")) == {
        "i:n": 1,
        "ia:n": 1,
        "rt:s": 1_200_000,
        "rt:<": 1_200_000,
        "rt:>": 1_200_000,
        f"rt:{bucket_of(1_200_000)}": 1,
        "it:n": 1,
        "t/input:n": 1,
        "t/input:s": 100,
        "t/output:n": 1,
        "t/output:s": 20,
        "c/gpt-4o:n": 1,
        "c/gpt-4o:s": 10_000_000,
        "m/gpt-4o:n": 1,
        "in/refund:n": 1,
        "cf:s": 750_000,
        "cf:<": 750_000,
        "cf:>": 750_000,
        f"cf:{bucket_of(750_000)}": 1,
        "cv": frozenset({hash_of("acme\x00c-1")}),
    }


def test_what_an_interaction_does_not_say_is_missing_and_not_nought() -> None:
    silent = dict.fromkeys(
        ["model_used", "confidence_score", "processing_time_ms", "token_usage", "estimated_cost", "intent", "conversation_id"]
    )
    assert counted(event("agent_interaction", **silent)) == {"i:n": 1, "ia:n": 1, "m/unspecified:n": 1}


def test_an_interaction_without_an_answer_failed_and_has_no_response_time() -> None:
    found = counted(event("agent_interaction", agent_response=None))
    assert found["if:n"] == found["e/no_answer:n"] == 1
    assert not [name for name in found if name.startswith(("rt:", "ia:"))]


def test_an_empty_answer_is_an_answer() -> None:
    assert counted(event("agent_interaction", agent_response=""))["ia:n"] == 1


def test_an_interaction_with_errors_failed_once_however_many_they_are() -> None:
    found = counted(event("agent_interaction", errors=[{"operation": "crm", "type": "Timeout"}, {"operation": "crm"}, {}]))
    assert (found["if:n"], found["e/crm:n"], found["e/unspecified:n"]) == (1, 2, 1)


def test_an_unanswered_interaction_with_errors_counts_those_alone() -> None:
    found = counted(event("agent_interaction", agent_response=None, errors=[{"operation": "llm"}]))
    assert (found["if:n"], found["e/llm:n"]) == (1, 1)
    assert "e/no_answer:n" not in found


def test_a_handoff_counts_by_its_reason_and_its_conversation() -> None:
    found = counted(event("agent_interaction", handoff_triggered=True, handoff_reason="angry"))
    assert found["h/angry:n"] == 1
    assert found["hc"] == found["cv"]


def test_a_handoff_without_a_reason_counts_as_unspecified() -> None:
    assert counted(event("agent_interaction", handoff_triggered=True))["h/unspecified:n"] == 1


@pytest.mark.parametrize(
    ("usage", "totals"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3}, {"input": 7, "output": 3}),
        ({"prompt_tokens": 7}, {"input": 7}),
        ({"total_tokens": 9}, {"unattributed": 9}),
        ({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}, {"input": 7, "output": 3}),
        ({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 99}, {"input": 7, "output": 3, "unattributed": 89}),
        ({"prompt_tokens": 0, "completion_tokens": 0}, {"input": 0, "output": 0}),
        ({"prompt_tokens": None, "completion_tokens": 3}, {"output": 3}),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "cache_read_tokens": 4,
                "cache_write_tokens": 2,
                "reasoning_tokens": 1,
            },
            {"input": 3, "cache_read": 4, "cache_write": 2, "output": 4, "reasoning": 1},
        ),
        (None, {}),
    ],
)
def test_tokens_are_what_was_reported_each_of_one_kind(usage: dict[str, int], totals: dict[str, int]) -> None:
    found = counted(event("agent_interaction", token_usage=usage))
    assert {name[2:-2]: value for name, value in found.items() if name.startswith("t/") and name.endswith(":s")} == totals


def test_a_call_to_a_model_counts_by_its_provider() -> None:
    found = counted(event("llm_api_call"), event("llm_api_call", error=TimeoutError(), duration_ms=None, cost=None))
    assert (found["l/openai:n"], found["le/openai:n"]) == (2, 1)
    assert (found["ld/openai:s"], found["lc/openai:s"], found["lc/openai:n"]) == (800_000, 500_000_000, 1)
    assert (found["lt/input/openai:s"], found["lt/output/openai:s"]) == (14, 6)


def test_a_context_counts_its_parts() -> None:
    found = counted(event("context_building"))
    assert (found["x:n"], found["xc/history:s"], found["xc/documents:s"], found["xd:s"]) == (1, 4, 3, 2_500)


def test_a_decision_counts_either_way() -> None:
    found = counted(event("handoff_decision"), event("handoff_decision", decision=False))
    assert (found["hd/handoff:n"], found["hd/stay:n"]) == (1, 1)


def test_a_search_is_a_hit_when_it_found_something() -> None:
    found = counted(event("knowledge_search"), event("knowledge_search", result_count=0, similarity_scores=()))
    assert (found["k:n"], found["kh:n"], found["kr:n"], found["kr:s"]) == (2, 1, 2, 2)
    assert (found["ks:n"], found["ks:s"]) == (2, 250_000)


def test_a_search_that_does_not_say_what_it_found_is_no_hit() -> None:
    found = counted(event("knowledge_search", result_count=None))
    assert found["k:n"] == 1
    assert not {"kh:n", "kr:n"} & found.keys()


def test_the_scores_may_be_an_array_of_numpy() -> None:
    scores = np.array([0.5, 0.25], dtype=np.float32)
    found = counted(event("knowledge_search", similarity_scores=scores, result_count=np.int64(2)))
    assert (found["ks:n"], found["ks:s"], found["kh:n"]) == (2, 750_000, 1)
    assert refused(found) == {}


def test_feedback_and_errors_count() -> None:
    found = counted(event("feedback"), event("feedback", score=-1), event("error"))
    assert (found["f:n"], found["f:s"], found["e/crm:n"]) == (2, 3_000_000, 1)


def test_the_users_own_metrics_count_with_their_labels() -> None:
    found = counted(
        event("user_metric"),
        event("user_metric"),
        event("user_metric", name="basket", kind=Kind.HISTOGRAM, value=19.5, labels={}),
    )
    assert found['ucarts/{"country":"de"}:n'] == 6
    assert (found["vbasket:s"], found["vbasket:<"]) == (19_500_000, 19_500_000)


@pytest.mark.parametrize("name", ["", "no name", "x" * 101, 7])
def test_a_metric_of_the_users_own_with_no_proper_name_is_refused(name: object) -> None:
    assert refused(counted(event("user_metric", name=name))) == {"metric_name": 1}


def test_labels_of_the_users_own_that_no_store_could_index_are_refused() -> None:
    labels = {f"label_{number}": "x" * 60 for number in range(40)}
    assert counted(event("user_metric", labels=labels)) == {"r/too_many_labels:n": 1}


def test_tenants_do_not_share_conversations() -> None:
    ours, theirs = counted(event("agent_interaction")), counted(event("agent_interaction", tenant="bolt"))
    assert ours["cv"] != theirs["cv"]


@pytest.mark.parametrize("conversation", [7, ("a", 1), "x" * 5_000, "\ud800", ""])
def test_a_conversation_may_have_any_name(conversation: object) -> None:
    assert len(counted(event("agent_interaction", conversation_id=conversation))["cv"]) == 1


def test_label_values_beyond_the_cap_count_under_other_and_are_told() -> None:
    asked = [event("agent_interaction", model_used=f"model-{number}") for number in range(5)]
    found = counted(*asked, *asked, label_cap=3)
    assert {name: value for name, value in found.items() if name.startswith("m/")} == {
        "m/model-0:n": 2,
        "m/model-1:n": 2,
        "m/model-2:n": 2,
        "m/other:n": 4,
    }
    assert found["o/model_usage:n"] == 4


def test_names_of_the_users_own_beyond_the_cap_count_as_user_other_and_are_told() -> None:
    counts = [event("user_metric", name=f"page_{number}", value=1, labels={"of": "a"}) for number in range(5)]
    samples = [event("user_metric", name=f"time_{number}", kind=Kind.HISTOGRAM, value=2, labels={}) for number in range(2)]
    found = counted(*counts, *counts, *samples, label_cap=3)
    assert {name: value for name, value in found.items() if name.endswith((":n", ":s"))} == {
        'upage_0/{"of":"a"}:n': 2,
        'upage_1/{"of":"a"}:n': 2,
        'upage_2/{"of":"a"}:n': 2,
        "uother:n": 4,
        "vother:s": 4_000_000,
        "o/user.other:n": 6,
    }


def test_a_sentence_for_a_label_is_told_each_time() -> None:
    found = counted(*[event("agent_interaction", intent="I would like to have my money back " * 3)] * 3)
    assert found["in/other:n"] == found["o/intents:n"] == 3


def test_what_is_beyond_a_thousand_is_told() -> None:
    found = counted(
        event("knowledge_search", similarity_scores=[0.5] * 1_500),
        event("context_building", components={f"part-{n % 3}": n for n in range(3)} | dict.fromkeys(range(1200), 1)),
        event("knowledge_search", similarity_scores=(0.5 for _ in range(1_000))),
    )
    assert found["ks:n"] == 2_000
    assert found["r/too_many:n"] == 2


@pytest.mark.parametrize("kind", ["proxy", "model"])
def test_what_may_ask_a_database_is_refused_and_not_looked_at(kind: str) -> None:
    asked: list[int] = []

    def ask() -> str:
        asked.append(1)
        return "mia"

    lazy: object = SimpleLazyObject(ask)
    if kind == "model":
        lazy = type("User", (type("Model", (), {"__module__": "django.db.models.base"}),), {"__str__": lambda _: ask()})()
    found = counted(
        event("agent_interaction", intent=lazy, conversation_id=lazy, model_used=lazy, handoff_triggered=lazy, errors=lazy),
        event("agent_interaction", confidence_score=lazy, processing_time_ms=lazy, token_usage=lazy, estimated_cost=lazy),
        event("llm_api_call", provider=lazy, duration_ms=lazy),
        event("error", context={"user": lazy}),
        event("error", operation=lazy),
    )
    assert asked == []
    assert found["r/lazy:n"] >= 13
    assert found["i:n"] == 2


def test_the_cap_of_one_tenant_is_not_that_of_another() -> None:
    found = counted(event("error", operation="mine", tenant="bolt"), label_cap=1)
    assert "e/mine:n" in found


@pytest.mark.parametrize(
    ("given", "label"),
    [("mia@x.com", "[email]"), ("ask mia@x.com", "ask [email]"), ("4111111111111111", "[card]"), ("refund", "refund")],
)
def test_a_label_says_nothing_that_the_log_would_not(given: str, label: str) -> None:
    found = counted(event("agent_interaction", intent=given), event("user_metric", labels={"country": given}))
    assert found[f"in/{label}:n"] == 1
    assert found[f'ucarts/{{"country":"{label}"}}:n'] == 3


def test_patterns_of_the_users_own_hold_for_labels_and_each_text_is_looked_at_once() -> None:
    asked: list[str] = []

    def redact(text: str) -> str:
        asked.append(text)
        return text.replace("W1", "[redacted]")

    buffer = Buffer(100, redact=redact)
    buffer.merge([event("user_metric", labels={"order": "W1"}, tenant=tenant) for tenant in ("acme", "bolt") * 50])
    assert {series for slot in buffer.take().values() for series in slot.counters} == {'ucarts\x1f{"order":"[redacted]"}'}
    assert sorted(asked) == ["W1", "order"]
