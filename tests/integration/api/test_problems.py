"""Whatever goes wrong, a program reads problem details and a person one clear line."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client

from tests.integration.api.conftest import Record, bearer
from tests.integration.api.problems import problem

SUMMARY = "/api/v1/metrics/summary"


@pytest.mark.parametrize("path", ["/api/v1/nothing", f"{SUMMARY}/", "/api/v2/metrics/summary", "/api/", "/api/schema/more"])
def test_an_address_that_does_not_exist_is_a_problem(path: str) -> None:
    client = Client(enforce_csrf_checks=True)  # as servers do, and test clients do not
    problem(client.get(path), 404)
    problem(client.post(path), 404)


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_method_that_is_not_allowed_names_those_that_are(everyone: Client, method: str) -> None:
    answer = getattr(everyone, method)(SUMMARY)
    assert method.upper() in problem(answer, 405)
    assert "GET" in answer["allow"]


def test_an_answer_that_cannot_be_given_as_asked_is_a_problem(everyone: Client) -> None:
    problem(everyone.get(SUMMARY, headers={"accept": "text/csv"}), 406)
    problem(everyone.get(SUMMARY, {"format": "xml"}), 404)


def test_a_hot_store_that_is_away_is_no_wrong_number(hot_store_away: None, everyone: Client) -> None:
    answer = everyone.get(SUMMARY)
    assert "hot store" in problem(answer, 503)
    assert int(answer["retry-after"]) > 0


def test_a_database_that_is_away_is_one_line_and_no_secret(everyone: Client, database_away: None) -> None:
    answer = everyone.get(SUMMARY)
    detail = problem(answer, 503)
    assert "database" in detail
    assert str(connection.settings_dict["PASSWORD"]) not in answer.content.decode()
    assert int(answer["retry-after"]) > 0


def test_a_database_that_comes_back_answers_again(record: Record, everyone: Client) -> None:
    record("airline", 2)
    port, connection.settings_dict["PORT"] = connection.settings_dict["PORT"], 1
    connection.close()
    try:
        problem(everyone.get(SUMMARY), 503)
    finally:
        connection.settings_dict["PORT"] = port
    assert everyone.get(SUMMARY).json()["interactions"]["total"] == 2


def test_a_fault_of_our_own_tells_the_log_and_not_the_client(stores: None, caplog: pytest.LogCaptureFixture) -> None:
    client = bearer()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE monitoring_series RENAME TO monitoring_elsewhere")
    try:
        with caplog.at_level(logging.ERROR):
            answer = client.get(SUMMARY, {"tenant": "airline"})
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE monitoring_elsewhere RENAME TO monitoring_series")
    problem(answer, 500)
    body = answer.content.decode()
    assert "monitoring_series" not in body
    assert Path(__file__).name not in body
    assert any(line.exc_info and "monitoring_series" in str(line.exc_info[1]) for line in caplog.records)
