"""A user's own handlers, in processes of their own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from apps.monitoring.models import Channel
from apps.monitoring.notify.channels.custom import channel as module
from apps.monitoring.notify.channels.custom.channel import CustomChannel
from apps.monitoring.notify.channels.outcome import Delivered, Outcome, Rejected, Retry
from apps.monitoring.notify.delivery import Report, deliver_channel
from tests.integration.notify.conftest import Clock, Told, fresh
from tests.patience import eventually
from tests.sinks.example import message

PATH = "tests.sinks.handlers."


@pytest.fixture(autouse=True)
def _named(settings: Settings) -> None:
    names = ("keeps", "answers", "keeps_odd_receipts", "asks_for_a_moment", "raises", "hangs", "dies")
    names += ("returns_nonsense", "takes_one", "missing")
    settings.MONITORING_CUSTOM_HANDLERS = [PATH + name for name in names]


def deliver(name: str, secrets: dict[str, str] | None = None, **config: Any) -> Outcome:
    return CustomChannel().deliver(message(), {"path": PATH + name, **config}, secrets or {})


class TestWhatItReturns:
    def test_nothing_is_delivered_and_what_it_prints_is_no_answer(self, tmp_path: Path) -> None:
        assert deliver("keeps", {"token": "t"}, file=str(tmp_path / "kept")) == Delivered()
        identity, token = json.loads((tmp_path / "kept").read_text())
        assert (len(identity), token) == (36, "t")

    @pytest.mark.parametrize(
        ("said", "outcome"),
        [("delivered", Delivered({"number": 7})), ("retry", Retry("later", 60.0)), ("rejected", Rejected("never"))],
    )
    def test_an_outcome_is_that_outcome(self, said: str, outcome: Outcome) -> None:
        assert deliver("answers", say=said) == outcome

    @pytest.mark.parametrize(
        "receipt", ["a moment", "no number", "no text", "half of a character", "no dictionary", "too large", "itself"]
    )
    def test_what_is_delivered_is_delivered_although_its_receipt_cannot_be_kept(self, receipt: str) -> None:
        outcome = deliver("keeps_odd_receipts", say=receipt)
        assert outcome == Delivered(warning="the handler's receipt is not kept: it is no dictionary for JSON, or too large")

    def test_ops_see_that_a_receipt_was_not_kept(self, told: Told, clock: Clock) -> None:
        config = {"path": PATH + "keeps_odd_receipts", "say": "no text"}
        channel = Channel.objects.create(name="own", kind="custom", config=config)
        row = told(channel)
        assert deliver_channel(channel.pk, clock) == Report(delivered=1)
        assert (fresh(row).status, fresh(row).receipt) == ("delivered", {})
        channel.refresh_from_db()
        assert channel.last_error.startswith("the handler's receipt is not kept")

    def test_an_answer_that_is_no_json_is_tried_again_and_says_so(self) -> None:
        outcome = deliver("asks_for_a_moment")
        assert isinstance(outcome, Retry)
        assert outcome.reason.startswith("the handler raised TypeError at ")

    def test_anything_else_is_tried_again_and_says_what_is_wanted(self) -> None:
        assert deliver("returns_nonsense") == Retry("the handler returned str: None, Delivered, Retry or Rejected")


class TestWhatGoesWrong:
    def test_what_it_raises_is_named_and_not_repeated(self) -> None:
        outcome = deliver("raises", {"token": "hidden"})
        assert isinstance(outcome, Retry)
        assert outcome.reason.startswith("the handler raised LookupError at handlers.py:")
        assert "hidden" not in outcome.reason

    def test_a_crash_ends_nothing_else(self) -> None:
        assert deliver("dies") == Retry("the handler's process ended with code 3 and no answer")

    def test_one_that_hangs_is_ended_with_all_that_it_started(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "TOTAL_SECONDS", 10)
        pids = tmp_path / "pids"
        assert deliver("hangs", file=str(pids)) == Retry("the handler did not end within 10 seconds")
        eventually("its processes have ended", lambda: not any(_runs(int(pid)) for pid in pids.read_text().split()))

    def test_one_that_is_not_named_by_the_settings_is_not_run(self, settings: Settings, tmp_path: Path) -> None:
        settings.MONITORING_CUSTOM_HANDLERS = []
        assert isinstance(deliver("keeps", file=str(tmp_path / "kept")), Rejected)
        assert not (tmp_path / "kept").exists()


class TestTheConfiguration:
    @pytest.mark.parametrize("path", ["", "os.system", PATH + "takes_one", PATH + "missing", "tests.sinks.handlers"])
    def test_what_cannot_work_is_a_problem(self, path: str) -> None:
        assert CustomChannel().problems({"path": path}, {})

    def test_what_can_work_is_none(self) -> None:
        assert CustomChannel().problems({"path": PATH + "keeps"}, {}) == []


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return os.getpid() == pid
