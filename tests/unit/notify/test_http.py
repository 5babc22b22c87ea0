"""What an HTTP answer says about an attempt, and how long the next one waits."""

from __future__ import annotations

import json
import statistics
from http import HTTPStatus
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.monitoring.notify.channels.http import judge, retry_after
from apps.monitoring.notify.channels.outcome import Delivered, Rejected, Retry, kept_wait
from apps.monitoring.notify.channels.sentry.channel import rate_limit
from apps.monitoring.notify.delivery import delay

NOW = 1_767_571_200.0  # Mon, 05 Jan 2026 00:00:00 GMT


class TestStatus:
    @pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
    def test_success_is_delivered(self, status: int) -> None:
        assert judge(status, {}, NOW) == Delivered()

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 505, 507, 599])
    def test_what_may_pass_is_tried_again(self, status: int) -> None:
        assert judge(status, {}, NOW) == Retry(f"the receiver answered {status}")

    @pytest.mark.parametrize("status", [101, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 409, 410, 413, 422, 451])
    def test_everything_else_is_final(self, status: int) -> None:
        assert judge(status, {}, NOW) == Rejected(f"the receiver answered {status}")

    def test_it_agrees_with_alertmanager_on_every_status_that_both_know(self, recordings: Path) -> None:
        known = json.loads((recordings / "alert_semantics" / "notifier_responses.json").read_text())
        again = set(known["retry_on_status"]["pagerduty_v2"])
        ours = {status.value for status in HTTPStatus if isinstance(judge(status, {}, NOW), Retry)}
        assert ours - again == {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY}
        assert again <= ours


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0.0),
            ("120", 120.0),
            (" 7 ", 7.0),
            ("Mon, 05 Jan 2026 00:02:00 GMT", 120.0),
            ("Sun, 04 Jan 2026 00:00:00 GMT", 0.0),
            ("99999999", 21_600.0),
            ("soon", None),
            ("-5", None),
            ("²", None),
            ("", None),
        ],
    )
    def test_seconds_or_a_date_within_reason(self, value: str, seconds: float | None) -> None:
        assert retry_after({"retry-after": value}, NOW) == seconds

    def test_it_comes_with_the_outcome(self) -> None:
        assert judge(429, {"retry-after": "30"}, NOW) == Retry("the receiver answered 429", 30.0)

    @given(st.text(max_size=40))
    def test_nothing_that_a_receiver_says_breaks_it(self, value: str) -> None:
        seconds = retry_after({"retry-after": value}, NOW)
        assert seconds is None or 0 <= seconds <= 21_600


class TestRateLimitsOfSentry:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("60:error:organization", 60.0),
            ("60::organization", 60.0),
            ("60", 60.0),
            ("60:transaction;error:key", 60.0),
            ("2700:transaction:key", None),
            ("2700:transaction:key, 60:error:key", 60.0),
            ("30:error:key,60:error:organization", 60.0),
            ("rubbish", None),
            ("2147483647:error:organization", 21_600.0),
            ("99999999999999:error:organization", 21_600.0),
            (f"{'9' * 400}:error:organization", None),
        ],
    )
    def test_the_limit_of_errors_counts(self, value: str, seconds: float | None) -> None:
        assert rate_limit({"x-sentry-rate-limits": value}, NOW) == seconds

    def test_without_one_for_errors_retry_after_counts(self) -> None:
        assert rate_limit({"x-sentry-rate-limits": "9:transaction:key", "retry-after": "5"}, NOW) == 5.0


class TestAWaitThatIsKept:
    @pytest.mark.parametrize(
        ("asked", "kept"),
        [
            (60, 60.0),
            (0.5, 0.5),
            (-1, 0.0),
            (10**400, 21_600.0),
            (1e300, 21_600.0),
            (float("inf"), None),
            (float("nan"), None),
            ("60", None),
            (None, None),
        ],
    )
    def test_it_is_a_finite_number_of_six_hours_at_most(self, asked: object, kept: float | None) -> None:
        assert kept_wait(asked) == kept


class TestDelay:
    @given(st.integers(1, 10_000))
    def test_it_doubles_up_to_an_hour_within_a_quarter_of_jitter(self, attempts: int) -> None:
        middle = 3_600.0 if attempts > 10 else 5.0 * 2.0 ** (attempts - 1)
        assert 0.75 * middle <= delay(attempts, None) <= 1.25 * middle

    def test_it_is_never_sooner_than_the_receiver_asked(self) -> None:
        assert delay(1, 300.0) == 300.0

    def test_it_is_spread(self) -> None:
        assert statistics.pstdev(delay(5, None) for _ in range(100)) > 1.0

    def test_a_day_holds_about_thirty_attempts(self) -> None:
        waited, attempts = 0.0, 1
        while waited < 86_400:
            waited += delay(attempts, None)
            attempts += 1
        assert 28 <= attempts <= 45
