"""The knowledge base finds what a question is about."""

from __future__ import annotations

import pytest

from apps.monitoring.demo.documents import DOCUMENTS
from apps.monitoring.demo.knowledge import MIN_SIMILARITY, KnowledgeBase
from apps.monitoring.demo.questions import ODD, QUESTIONS

SUBJECTS = {
    "airline": {
        "change_flight": "Changing a flight",
        "cancel_booking": "Cancelling a booking",
        "baggage": "Baggage allowance",
        "lost_baggage": "Missing baggage",
        "delay_claim": "Flight delay",
        "seat": "Choosing a seat",
        "check_in": "Online check-in",
        "pets": "Pets on board",
        "loyalty": "Loyalty points",
        "invoice": "Receipts",
    },
    "retail": {
        "return": "Returning an item",
        "track_order": "Tracking a parcel",
        "damaged": "Damaged goods",
        "payment": "Payment methods",
        "address": "Changing a delivery address",
        "exchange": "Exchanging a size",
        "cancel_order": "Cancelling an order",
        "warranty": "Warranty",
        "gift_card": "Gift cards",
        "missing_part": "Missing parts",
    },
    "telecom": {
        "mobile_data": "No mobile data",
        "roaming": "Roaming abroad",
        "sim_locked": "Locked SIM card",
        "bill": "Understanding the bill",
        "slow_internet": "Slow internet at home",
        "plan_change": "Changing the plan",
        "porting": "Bringing a number along",
        "lost_phone": "Lost phone",
        "moving": "Moving house",
        "contract_end": "Ending the contract",
    },
}


@pytest.mark.parametrize("tenant", sorted(DOCUMENTS))
def test_every_question_finds_the_document_it_is_about_first(tenant: str) -> None:
    knowledge = KnowledgeBase(DOCUMENTS[tenant])
    assert set(QUESTIONS[tenant]) == set(SUBJECTS[tenant])
    for intent, wordings in QUESTIONS[tenant].items():
        for wording in wordings:
            hits = knowledge.search(wording.format(mail="customer12@example.com", phone="+1 202 555 0012", order="A000012"))
            assert hits[0].document.startswith(SUBJECTS[tenant][intent]), wording


@pytest.mark.parametrize("tenant", sorted(DOCUMENTS))
def test_an_odd_question_finds_nothing(tenant: str) -> None:
    knowledge = KnowledgeBase(DOCUMENTS[tenant])
    assert [knowledge.search(question) for question in ODD] == [[]] * len(ODD)


def test_a_document_is_most_similar_to_itself() -> None:
    for documents in DOCUMENTS.values():
        knowledge = KnowledgeBase(documents)
        for document in documents:
            best = knowledge.search(document)[0]
            assert best.document == document
            assert best.similarity == pytest.approx(1.0)


def test_hits_come_best_first_at_most_as_many_as_asked_for_and_none_below_the_limit() -> None:
    hits = KnowledgeBase(DOCUMENTS["airline"]).search("missing baggage, a suitcase and the airport desk", limit=2)
    assert len(hits) == 2
    assert hits[0].similarity >= hits[1].similarity >= MIN_SIMILARITY


def test_a_word_that_every_document_has_finds_none_of_them() -> None:
    knowledge = KnowledgeBase(("order a seat", "order a meal", "order an invoice"))
    assert knowledge.search("order") == []
    assert [hit.document for hit in knowledge.search("order my meals")] == ["order a meal"]


def test_an_empty_knowledge_base_and_an_empty_query_find_nothing() -> None:
    assert KnowledgeBase(()).search("seat") == []
    assert KnowledgeBase(DOCUMENTS["retail"]).search("") == []
