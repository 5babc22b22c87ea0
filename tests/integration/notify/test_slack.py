"""Messages to Slack, as a bot and by an incoming webhook."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.monitoring.notify.channels.http import Answer
from apps.monitoring.notify.channels.outcome import NO_RECEIPT, Delivered, Outcome, Rejected, Retry, Unfinished
from apps.monitoring.notify.channels.slack.answer import judged
from apps.monitoring.notify.channels.slack.blocks import blocks, summary
from apps.monitoring.notify.channels.slack.channel import SlackChannel
from apps.monitoring.notify.message import Message
from apps.monitoring.notify.thread import Thread
from tests.sinks import faults
from tests.sinks.example import alert, message, thread
from tests.sinks.receiver import Receiver

TOKEN = "xoxb-" + "1234567890-abcdef"


def bot(
    receiver: Receiver,
    sent: Message | None = None,
    threads: Sequence[Thread] = (),
    receipt: Mapping[str, Any] = NO_RECEIPT,
) -> Outcome:
    config = {"channel": "#ops", "api": receiver.slack_api}
    return SlackChannel().deliver(sent or message(), config, {"token": TOKEN}, threads, receipt)


def webhook(receiver: Receiver, sent: Message | None = None, threads: Sequence[Thread] = ()) -> Outcome:
    return SlackChannel().deliver(sent or message(), {}, {"url": receiver.slack_webhook}, threads)


def posted(receiver: Receiver) -> list[dict[str, Any]]:
    return [arrival.body for arrival in receiver.arrivals("slack")]


def open_thread(receiver: Receiver, opened: Message, **changes: Any) -> Thread:
    outcome = bot(receiver, opened)
    assert isinstance(outcome, Delivered)
    return thread(opened, receipt=outcome.receipt, **changes)


class TestABot:
    def test_it_posts_and_keeps_where(self, receiver: Receiver) -> None:
        sent = message()
        outcome = bot(receiver, sent)
        (body,) = posted(receiver)
        assert outcome == Delivered({"channel": "C0123456789", "ts": body["ts"]})
        assert (body["method"], body["channel"]) == ("chat.postMessage", "#ops")
        assert receiver.attempts[0]["authorization"] == f"Bearer {TOKEN}"
        assert sent.id in json.dumps(body["blocks"])
        assert (body["unfurl_links"], body["unfurl_media"]) == (False, False)

    def test_an_end_changes_the_first_message(self, receiver: Receiver) -> None:
        opened = open_thread(receiver, message(), open=0)
        assert bot(receiver, message(kind="resolved", text="It is over."), [opened]) == Delivered()
        first, changed = posted(receiver)
        assert (changed["method"], changed["ts"]) == ("chat.update", first["ts"])
        assert "error-rate-5m resolved for airline" in changed["text"]
        shown = json.dumps(changed["blocks"])
        assert opened.id in shown
        assert ("It is over." in shown, "It began with:" in shown, "is firing" in shown) == (True, True, False)

    def test_the_end_of_some_says_how_many(self, receiver: Receiver) -> None:
        opened = open_thread(receiver, message(count=3), open=1)
        bot(receiver, message(kind="resolved"), [opened])
        assert "firing (2 of 3 resolved)" in posted(receiver)[-1]["text"]

    def test_a_test_tells_of_no_rule(self, receiver: Receiver) -> None:
        bot(receiver, message(kind="test", alerts=[alert(None, reason="It reaches channel ops")]))
        (body,) = posted(receiver)
        assert body["text"].endswith("[test] It reaches channel ops")
        assert "error_rate" not in json.dumps(body["blocks"])

    def test_the_end_of_several_changes_each(self, receiver: Receiver) -> None:
        several = [open_thread(receiver, message(), open=0) for _ in range(3)]
        bot(receiver, message(kind="resolved", count=3), several)
        assert [body["ts"] for body in posted(receiver)[3:]] == [opened.receipt["ts"] for opened in several]

    def test_an_acknowledgement_changes_it_too(self, receiver: Receiver) -> None:
        opened = open_thread(receiver, message(), waiting=0)
        bot(receiver, message(kind="acknowledged"), [opened])
        assert "acknowledged for airline" in posted(receiver)[-1]["text"]

    def test_a_reminder_stands_under_it_and_in_the_channel(self, receiver: Receiver) -> None:
        opened = open_thread(receiver, message())
        bot(receiver, message(kind="reminder"), [opened])
        reminder = posted(receiver)[-1]
        assert (reminder["thread_ts"], reminder["reply_broadcast"]) == (opened.receipt["ts"], True)

    def test_a_reminder_makes_the_first_message_say_that_nobody_looks_after_it_any_more(self, receiver: Receiver) -> None:
        opened = open_thread(receiver, message(), taken_on=True)
        bot(receiver, message(kind="acknowledged"), [replace(opened, waiting=0)])
        assert isinstance(bot(receiver, message(kind="reminder"), [opened]), Delivered)
        first, taken, changed, reminder = posted(receiver)
        assert ("acknowledged" in taken["text"], "acknowledged" in changed["text"]) == (True, False)
        assert (changed["method"], changed["ts"], reminder["method"]) == ("chat.update", first["ts"], "chat.postMessage")
        assert "error-rate-5m firing for airline" in changed["text"]

    def test_a_reminder_is_posted_although_the_first_message_is_gone(self, receiver: Receiver) -> None:
        gone = thread(message(), receipt={"channel": "C0123456789", "ts": "1.000000"}, taken_on=True)
        assert isinstance(bot(receiver, message(kind="reminder"), [gone]), Delivered)
        assert [body["method"] for body in posted(receiver)] == ["chat.postMessage"]

    @pytest.mark.parametrize("receipt", [{}, {"channel": "C0123456789", "ts": "1.000000"}], ids=["never posted", "gone"])
    def test_an_end_without_a_first_message_is_a_message_of_its_own(self, receiver: Receiver, receipt: dict[str, str]) -> None:
        outcome = bot(receiver, message(kind="resolved"), [thread(message(), receipt=receipt, open=0)])
        assert isinstance(outcome, Delivered)
        assert [body["method"] for body in posted(receiver)] == ["chat.postMessage"]
        assert "resolved for airline" in posted(receiver)[0]["text"]

    def test_when_it_is_cut_short_it_goes_on_from_there(self, receiver: Receiver) -> None:
        several = [open_thread(receiver, message(), open=0) for _ in range(2)]
        receiver.will(faults.none, faults.answers(503))
        ended = message(kind="resolved", count=2)
        cut = bot(receiver, ended, several)
        assert isinstance(cut, Unfinished)
        assert bot(receiver, ended, several, cut.receipt) == Delivered()
        assert [body["ts"] for body in posted(receiver)[2:]] == [opened.receipt["ts"] for opened in several]


class TestAnIncomingWebhook:
    def test_each_notice_is_a_message(self, receiver: Receiver) -> None:
        opened = message()
        assert webhook(receiver, opened) == Delivered()
        assert webhook(receiver, message(kind="resolved"), [thread(opened, open=0)]) == Delivered()
        assert len(posted(receiver)) == 2
        assert "authorization" not in receiver.attempts[0]


class TestItsAnswers:
    """What Alertmanager retries, its own cases (shared/data/alert_semantics)."""

    def test_they_are_judged_as_documented(self, recordings: Path) -> None:
        known = json.loads((recordings / "alert_semantics" / "notifier_responses.json").read_text())
        for case in known["slack_responses"]:
            answer = Answer(case["status"], {"content-type": case.get("content_type", "")}, case["body"].encode())
            wanted = Delivered if case["ok"] else Retry if case["retry"] else Rejected
            assert isinstance(judged(answer), wanted), case

    def test_too_many_wait_as_long_as_it_says(self, receiver: Receiver) -> None:
        receiver.will(faults.answers(429, Retry_After="30"))
        assert bot(receiver) == Retry("the receiver answered 429", 30.0)

    @pytest.mark.parametrize("error", ["ratelimited", "internal_error", "service_unavailable"])
    def test_what_passes_is_tried_again(self, receiver: Receiver, error: str) -> None:
        receiver.will(faults.says(json.dumps({"ok": False, "error": error})))
        assert bot(receiver) == Retry(f"Slack says {error}")

    @pytest.mark.parametrize("error", ["invalid_auth", "channel_not_found", "is_archived"])
    def test_what_does_not_is_final(self, receiver: Receiver, error: str) -> None:
        receiver.will(faults.says(json.dumps({"ok": False, "error": error})))
        assert bot(receiver) == Rejected(f"Slack says {error}")

    def test_of_what_it_says_only_a_code_is_repeated(self, receiver: Receiver) -> None:
        receiver.will(faults.says(json.dumps({"ok": False, "error": f"<b>{TOKEN}</b>"})))
        assert bot(receiver) == Rejected("Slack says something else than ok")

    def test_an_answer_without_an_end_is_read_a_little(self, receiver: Receiver) -> None:
        receiver.will(faults.floods)
        assert isinstance(bot(receiver), Rejected)

    def test_one_that_breaks_off_mid_answer_is_tried_again(self, receiver: Receiver) -> None:
        receiver.will(faults.resets_mid_body)
        assert isinstance(bot(receiver), Retry)


class TestHostileNames:
    EVIL = "<!channel> <@U123> <https://evil.example|click> *bold* `x` &amp; :smile:\n> quote"

    def test_they_are_text(self, receiver: Receiver) -> None:
        assert isinstance(bot(receiver, message(alerts=[alert(self.EVIL, reason=self.EVIL)], text=self.EVIL)), Delivered)
        (body,) = posted(receiver)
        assert [element["type"] for element in _elements(body) if "evil" in element["text"]] == ["plain_text"] * 3
        assert not any(
            "<" in text for text in [body["text"], *(e["text"] for e in _elements(body) if e["type"] == "plain_text")]
        )

    def test_an_address_cannot_end_its_link(self) -> None:
        (links,) = [
            e
            for e in _elements({"blocks": blocks(message(links={"runbook": "https://a.example/>|<!here>"}))})
            if e["type"] == "mrkdwn"
        ]
        assert links["text"] == "<https://a.example/%3E%7C%3C!here%3E|runbook>"

    @given(st.text(max_size=4_000), st.integers(1, 10))
    def test_nothing_is_longer_than_slack_allows(self, name: str, tenants: int) -> None:
        sent = message(count=tenants, alerts=[alert(name + str(n), reason=name) for n in range(tenants)], text=name * 3)
        limits = {"header": 150, "section": 3_000, "context": 3_000}
        for block in blocks(sent):
            for text in block.get("elements") or [block["text"]]:
                assert 0 <= len(text["text"]) <= limits[block["type"]]
        assert len(summary(sent)) <= 3_000


class TestTheConfiguration:
    @pytest.mark.parametrize(
        ("config", "secrets"),
        [
            ({}, {}),
            ({"channel": "#ops"}, {"token": TOKEN, "url": "https://hooks.slack.com/services/a"}),
            ({}, {"token": TOKEN}),
            ({"channel": "#ops"}, {"token": "secret"}),
            ({"channel": "#ops\r\n"}, {"token": TOKEN}),
            ({"channel": "#ops"}, {"token": TOKEN + "\r\nx: y"}),
            ({"channel": "#ops", "api": "http://169.254.169.254"}, {"token": TOKEN}),
            ({}, {"url": "http://10.0.0.1/"}),
        ],
    )
    def test_what_cannot_work_is_a_problem_that_repeats_no_secret(
        self, config: dict[str, str], secrets: dict[str, str]
    ) -> None:
        problems = SlackChannel().problems(config, secrets)
        assert problems
        assert not any(secret in problem for secret in secrets.values() for problem in problems)
        assert isinstance(SlackChannel().deliver(message(), config, secrets), Rejected)

    @pytest.mark.parametrize("token", [TOKEN, f"xoxe.{TOKEN}"])
    def test_what_can_work_is_none(self, token: str) -> None:
        assert SlackChannel().problems({"channel": "C012AB3CD", "api": "https://93.184.215.14"}, {"token": token}) == []


def _elements(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [text for block in body["blocks"] for text in block.get("elements") or [block["text"]]]
