"""Who may ask at all."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.monitoring.models import ApiToken
from tests.integration.api.conftest import bearer
from tests.integration.api.problems import problem

SUMMARY = "/api/v1/metrics/summary"

pytestmark = pytest.mark.usefixtures("stores")


def ask(authorization: str) -> object:
    return Client(headers={"authorization": authorization}).get(SUMMARY)


def test_a_token_opens_the_api() -> None:
    assert bearer().get(SUMMARY).status_code == 200


def test_nothing_opens_without_a_token() -> None:
    answer = Client().get(SUMMARY)
    problem(answer, 401)
    assert answer["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize(
    "authorization", ["Bearer amt_guessed", "Bearer", "Bearer  ", "Bearer a b", "Bearer \xff\x00", "bearer é"]
)
def test_an_unknown_token_is_refused_in_one_line(authorization: str) -> None:
    problem(ask(authorization), 401)


def test_another_scheme_is_no_token() -> None:
    _, secret = ApiToken.issue("t")
    problem(ask(f"Basic {secret}"), 401)
    problem(ask(secret), 401)


def test_the_scheme_is_read_in_any_case() -> None:
    _, secret = ApiToken.issue("t")
    assert ask(f"bEARER {secret}").status_code == 200  # type: ignore[attr-defined]


def test_a_deleted_token_opens_nothing() -> None:
    token, secret = ApiToken.issue("t")
    token.delete()
    problem(ask(f"Bearer {secret}"), 401)


def test_the_digest_is_no_token() -> None:
    token, secret = ApiToken.issue("t")
    assert secret not in token.digest
    problem(ask(f"Bearer {token.digest}"), 401)


def test_the_last_use_is_written_at_most_once_a_minute() -> None:
    token, secret = ApiToken.issue("t")
    ask(f"Bearer {secret}")
    first = ApiToken.objects.get(pk=token.pk).last_used_at
    assert first is not None
    with CaptureQueriesContext(
        connection,
    ) as queries:
        ask(f"Bearer {secret}")
    assert not [query for query in queries if query["sql"].startswith("UPDATE")]
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=timezone.now() - timedelta(seconds=61))
    ask(f"Bearer {secret}")
    last = ApiToken.objects.get(pk=token.pk).last_used_at
    assert last is not None
    assert last >= first


class TestSessions:
    def signed_in(self, *, staff: bool, active: bool = True) -> Client:
        user = get_user_model().objects.create_user("someone", password="correct horse battery", is_staff=staff)
        client = Client()
        client.force_login(user)
        if not active:
            get_user_model().objects.filter(pk=user.pk).update(is_active=False)
        return client

    def test_a_member_of_staff_may_ask(self) -> None:
        assert self.signed_in(staff=True).get(SUMMARY).status_code == 200

    def test_any_other_user_may_not(self) -> None:
        problem(self.signed_in(staff=False).get(SUMMARY), 403)

    def test_one_that_was_switched_off_may_not(self) -> None:
        problem(self.signed_in(staff=True, active=False).get(SUMMARY), 401)

    def test_a_session_does_not_widen_a_token(self) -> None:
        client = self.signed_in(staff=True)
        _, secret = ApiToken.issue("t", "airline")
        problem(client.get(SUMMARY, {"tenant": "retail"}, headers={"authorization": f"Bearer {secret}"}), 403)
