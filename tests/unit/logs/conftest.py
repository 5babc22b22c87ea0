"""Recorded conversations, when they are there."""

from __future__ import annotations

import csv
import gzip
import json

import pytest

from tests.conftest import DATA

TAU2 = DATA / "tau2" / "interactions.jsonl.gz"
BANKING = DATA / "banking77" / "train.csv"


@pytest.fixture(scope="session")
def conversations() -> list[str]:
    """Every text of the recorded conversations."""
    if not TAU2.exists():
        pytest.skip(f"recorded conversations are not there: {TAU2}")
    with gzip.open(TAU2, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    return [text for row in rows for text in (row.get("customer_message"), row.get("agent_response")) if text]


@pytest.fixture(scope="session")
def questions() -> list[str]:
    """Real questions to a bank, without any personal data by their makers' word."""
    if not BANKING.exists():
        pytest.skip(f"recorded questions are not there: {BANKING}")
    with BANKING.open(newline="") as rows:
        return [row["text"] for row in csv.DictReader(rows)]
