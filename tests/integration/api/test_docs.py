"""The examples of docs/api.md do what stands beside them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from django.test import Client

from apps.monitoring.models import Channel
from tests.integration.api.conftest import bearer
from tests.integration.api.posting import post
from tests.integration.api.rows import SECRET, fire, rule, send, silence

DOCS = Path(__file__).resolve().parents[3] / "docs" / "api.md"
LINES = re.findall(r"```jsonl\n(.*?)```", DOCS.read_text(), re.DOTALL)
EXAMPLES = re.findall(r"^api (.+)$", DOCS.read_text(), re.MULTILINE)


@pytest.mark.django_db
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_works(writer: Client, example: str) -> None:
    Channel.objects.create(name="mail", kind="log")
    stored = rule("stored")
    rows = {
        "rules/7": f"rules/{stored.pk}",
        "channels/3": f"channels/{Channel.objects.get().pk}",
        "silences/5": f"silences/{silence('airline').pk}",
        "alerts/42": f"alerts/{fire(stored, 'airline').pk}",
    }
    if '"channels": ["ops"]' in example:
        Channel.objects.create(name="ops", kind="log")
    if "fallback" in example:
        rows["channels/3"] = f"channels/{Channel.objects.create(name='hook', kind='log').pk}"
    words = shlex.split(example, comments=True)
    method, path, content = words[0], words[1], words[3] if len(words) > 2 else ""
    for shown, real in rows.items():
        path = path.replace(shown, real)
    if path.startswith("silences"):
        content = content.replace("2026-", "2099-")
    answer = send(writer, method, path, content.replace("whsec_…", SECRET).encode())
    nothing_stored = any(text in answer.content.decode() for text in ("no minute is rolled up", "not judged yet"))
    assert answer.status_code < 300 or nothing_stored, answer.content


def test_there_are_examples_of_every_noun() -> None:
    assert {re.split(r"[/?\"]", example.replace('"', "").split()[1])[0] for example in EXAMPLES} == {
        "rules", "channels", "silences", "mute-windows", "alerts",
    }  # fmt: skip


def test_the_lines_of_interactions_count(agent: Client) -> None:
    (content,) = LINES
    told = post(agent, content.encode(), kind="application/x-ndjson").json()
    assert (told["accepted"], told["rejected"]) == (len(content.splitlines()), [])


@pytest.mark.usefixtures("stores")
def test_the_call_that_records_one_works() -> None:
    for page in ("api.md", "instrumenting.md"):
        (body,) = re.findall(r"interactions\" -d '(.*)'$", (DOCS.parent / page).read_text(), re.MULTILINE)
        assert post(bearer("airline", can_record=True), body.encode()).status_code == 202
