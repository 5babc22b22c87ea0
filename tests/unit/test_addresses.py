"""Addresses are read strictly, and the broker's follows from the hot store's."""

from __future__ import annotations

import pytest

from config.addresses import broker_beside, database, hot_store, mail_server


@pytest.mark.parametrize(
    ("hot_store", "broker"),
    [
        ("redis://cache:6379/0", "redis://cache:6379/1"),
        ("redis://cache:6379", "redis://cache:6379/1"),
        ("redis://:p%2Fw@cache", "redis://:p%2Fw@cache/1"),
        ("rediss://user:pw@cache:6380/4?ssl_cert_reqs=none", "rediss://user:pw@cache:6380/1?ssl_cert_reqs=none"),
        ("unix:///run/valkey.sock?db=0", "redis+socket:///run/valkey.sock?virtual_host=1"),
        ("unix://:pw@/run/valkey.sock", "redis+socket://:pw@/run/valkey.sock?virtual_host=1"),
        ("unix:///run/valkey.sock?password=p/w", "redis+socket://:p%2Fw@/run/valkey.sock?virtual_host=1"),
    ],
)
def test_the_broker_is_database_1_of_the_same_server(hot_store: str, broker: str) -> None:
    assert broker_beside(hot_store) == broker


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache",
        "redis://:p%2Fw@cache:6379/0",
        "rediss://user:pw@[::1]:6380/4",
        "unix://:pw@/run/valkey.sock?db=0",
        "redis+cluster://user:pw@a:6379,b,[::1]:6381",
    ],
)
def test_a_hot_store_is_one_server_or_the_servers_of_a_cluster(url: str) -> None:
    assert hot_store(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://cache",
        "redis://cache:port/0",
        "redis://cache:0",
        "redis://cache:70000",
        "redis://:p/w@cache",
        "redis://a:6379,b:6379",
        "redis+cluster://a:6379,b:port",
    ],
)
def test_what_is_no_hot_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        hot_store(url)


def test_a_database_may_have_several_hosts() -> None:
    found = database("postgresql://user:p%2Fw@a:5432,b:5433/name")
    assert (found["HOST"], found["PORT"], found["PASSWORD"], found["NAME"]) == ("a,b", "5432,5433", "p/w", "name")


@pytest.mark.parametrize(
    "url", ["mysql://h/x", "postgres://h:port/x", "postgresql://u:p/w@h/x", "postgresql://a:5432,b:port/x"]
)
def test_what_is_no_database_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        database(url)


def test_a_mail_server_may_have_no_port() -> None:
    assert mail_server("smtp+tls://user:pw@mail.example")["EMAIL_HOST"] == "mail.example"
    with pytest.raises(ValueError, match=r".+"):
        mail_server("smtp://mail.example:port")
