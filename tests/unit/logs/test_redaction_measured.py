"""What redaction finds and what it wrongly takes, counted on recorded conversations.

The customers of the recordings are simulated by a model. What identifies somebody in them is told here by rules of the
test's own: a word with an @ inside is an address, and ten digits written 3-3-4 or 1-3-3-4 are a phone number, whichever hyphen
is between them.
"""

from __future__ import annotations

import random
import re
from collections import Counter

from apps.monitoring.logs.redaction import Redactor

REDACTOR = Redactor()
PLACEHOLDER = re.compile(r"\[(email|phone|card|iban|secret)\]")
PLANTED = {
    "email": ["mia.garcia4478@example.com", "j.o-hara+shop@mail.example.co.uk", "YUSUF_ROSSI@EXAMPLE.ORG"],
    "phone": ["555-123-2002", "(555) 123-2002", "+1 555 123 2002", "+49 151 23456789", "555.123.2002", "020 7946 0958"],
    "card": [
        "4111\u00a01111\u00a01111\u00a01111",
        "4111 1111 1111 1111",
        "5555-5555-5555-4444",
        "378282246310005",
        "6011111111111117",
    ],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "FR14 2004 1010 0505 0001 3M02 606"],
    "secret": [
        "sk-proj-abc123DEF456ghi789",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "password: hunter22",
    ],
}


def told(text: str) -> Counter[str]:
    """What the text holds, by the rules above."""
    words = [word.strip(".,;:!?()<>\"'*`[]—’“”") for word in re.split(r"[\s—]+", text)]
    found = Counter({"email": sum("@" in word[1:-1] for word in words)})
    for word in words:
        parts = [part for part in re.split("[-\u2011]", word) if part]
        if [len(part) for part in parts] in ([3, 3, 4], [1, 3, 3, 4]) and "".join(parts).isdecimal():
            found["phone"] += 1
    return found


def test_recorded_conversations(conversations: list[str]) -> None:
    there, wrong, missed = Counter[str](), [], []
    for text in conversations:
        expected, redacted = told(text), REDACTOR.redact(text)
        found = Counter(PLACEHOLDER.findall(redacted))
        there += expected
        wrong += [(kind, text) for kind in (found - expected).elements()]
        missed += [(kind, text) for kind in (expected - found).elements()]
    assert there["email"] >= 10, "the recordings hold addresses"
    assert there["phone"] >= 50, "the recordings hold phone numbers"
    assert missed == []
    assert wrong == []


def test_real_questions_to_a_bank_stay_as_they_are(questions: list[str]) -> None:
    assert len(questions) > 5_000
    assert [text for text in questions if REDACTOR.redact(text) != text] == []


def test_what_is_planted_into_recorded_conversations_is_found(conversations: list[str]) -> None:
    generator = random.Random(7)
    planted, missed = 0, []
    for text in generator.sample(conversations, 1_500):
        words = text[:600].split(" ")
        kind = generator.choice(list(PLANTED))
        what = generator.choice(PLANTED[kind])
        words.insert(generator.randrange(len(words) + 1), what + generator.choice(["", ".", ",", "?"]))
        planted += 1
        if what in REDACTOR.redact(" ".join(words)):
            missed.append((what, " ".join(words)))
    assert planted == 1_500
    assert missed == []
