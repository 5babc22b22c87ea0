"""Addresses are read strictly, and the broker's follows from the hot store's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.addresses import AddressError, broker, broker_beside, database, hot_store, mail_server, sentry, site


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
        "unix:///run/valkey.sock?db=1&socket_timeout=3",
        "unix:///run/valkey.sock?password=p%2Fw",
        "redis://cache/0/",
        "redis+cluster://user:pw@a:6379,b,[::1]:6381",
        "redis+cluster://a/0?health_check_interval=5",
        "redis://cache?db=2&socket_timeout=3",
        "rediss://cache/?ssl_cert_reqs=none&ssl_ca_certs=/ca.pem",
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
        "redis://",
        "redis:///0",
        "redis://:pw@",
        "redis://:pw@:6379/0",
        "redis://cache/abc",
        "redis://cache/-1",
        "redis://cache?sockettimeout=3",
        "redis://cache?socket_timeout=abc",
        "redis://cache?db=abc",
        "redis://cache?decode_responses=no",
        "rediss://cache?ssl_cert_reqs=maybe",
        "unix://",
        "unix:///run/valkey.sock?bd=1",
        "redis+cluster://",
        "redis+cluster://a,,b",
        "redis+cluster://a,b/1",
        "redis+cluster://a,b?reed_from_replicas=1",
    ],
)
def test_what_is_no_hot_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        hot_store(url)


def test_a_database_may_have_several_hosts() -> None:
    found = database("postgresql://user:p%2Fw@a:5432,b:5433/name?target_session_attrs=primary")
    assert (found["HOST"], found["PORT"], found["PASSWORD"], found["NAME"]) == ("a,b", "5432,5433", "p/w", "name")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://h/x",
        "postgres://h:port/x",
        "postgresql://u:p/w@h/x",
        "postgresql://a:5432,b:port/x",
        "postgresql://",
        "postgresql://h:5432",
        "postgresql://h:5432/",
        "postgresql://h:0/x",
        "postgresql://a:0,b/x",
        "postgresql://a,,b/x",
        "postgresql://u:p@:5432/x",
        "postgresql://h/x?sslmod=require",
        "postgresql://h/x?pool=true",
    ],
)
def test_what_is_no_database_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        database(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///name",
        "postgresql://user@/name",
        "postgresql://h/x?sslmode=require&connect_timeout=3&isolation_level=4&conn_max_age=60",
        "postgresql://h?service=mine",
        "postgresql://[::1]:5432/x",
    ],
)
def test_a_database_may_be_on_this_machine_and_have_options(url: str) -> None:
    assert database(url)["ENGINE"] == "django.db.backends.postgresql"


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache",
        "rediss://:p%2Fw@cache:6380/1?ssl_cert_reqs=required",
        "redis+socket://:pw@/run/valkey.sock?virtual_host=1",
        "amqp://user:pw@rabbit:5672/host",
        "amqp://a;amqp://b:5672",
        "sentinel://a:26379;sentinel://b:26379",
        "sqs://",
        "azureservicebus://Policy:ab/cd+ef=@namespace",
        "mongodb://a:27017,b:27017/db",
        "memory://",
    ],
)
def test_a_broker_is_what_celery_knows(url: str) -> None:
    assert broker(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "cache:6379",
        "reddis://cache",
        "redis://",
        "redis://:pw@/1",
        "redis://cache:0/1",
        "redis://cache:70000/1",
        "redis://cache/one",
        "redis+socket://",
        "redis+cluster://a:6379",
        "amqp://rabbit:port",
        "amqp://a;amqp://b:0",
    ],
)
def test_what_is_no_broker_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        broker(url)


@pytest.mark.parametrize("url", ["https://key@sentry.example/1", "https://key@[::1]:9000/path/1"])
def test_a_project_of_sentry_has_a_key_a_host_and_a_number(url: str) -> None:
    assert sentry(url) == url


@pytest.mark.parametrize(
    "url", ["https://sentry.example/1", "https://key@/1", "https://key@h:0/1", "https://key@h:70000/1", "key@h/1"]
)
def test_what_is_no_project_of_sentry_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        sentry(url)


def test_a_site_has_no_slash_at_its_end() -> None:
    assert site("https://monitoring.example:8443/behind/") == "https://monitoring.example:8443/behind"


@pytest.mark.parametrize(
    "url",
    [
        "monitoring.example",
        "localhost:8000",
        "ftp://h",
        "https://",
        "https://h:0",
        "https://h:port",
        "https://h/?a=1",
        "https://h#a",
    ],
)
def test_what_is_no_site_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        site(url)


@pytest.mark.parametrize("read", [database, hot_store, broker, mail_server, sentry, site])
@pytest.mark.parametrize("rest", ["@", "@h:0/1", "@h/hunter", "@h/1?hunter=hunter", "?hunter=hunter@h/1", "@h:70000/1"])
@pytest.mark.parametrize("scheme", ["postgresql", "redis", "redis+cluster", "amqp", "smtp+tls", "https"])
def test_what_is_told_of_an_address_never_stands_in_it(read: Callable[[str], object], rest: str, scheme: str) -> None:
    told = ""
    with suppress(ValueError, ImproperlyConfigured):  # which are not told
        try:
            read(f"{scheme}://hunter:hunter{rest}")
        except AddressError as error:
            told = str(error)
    assert "hunter" not in told


@pytest.mark.parametrize(
    "url",
    [
        "smtp://",
        "smtp+tls://user:pw@",
        "smtp://user:pw@:25",
        "smtp://h:0",
        "smtp://h:70000",
        "smtp://h?timeout=5",
        "smtp+tls://h:587?ssl_keyfile=x",
        "filemail:///tmp/mails",
    ],
)
def test_what_is_no_mail_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        mail_server(url)


def test_mails_may_be_printed() -> None:
    assert mail_server("consolemail://")["EMAIL_BACKEND"] == "django.core.mail.backends.console.EmailBackend"
    assert mail_server("smtp://h?email_use_tls=1")["EMAIL_USE_TLS"]


def test_a_mail_server_may_have_no_port() -> None:
    assert mail_server("smtp+tls://user:pw@mail.example")["EMAIL_HOST"] == "mail.example"
    with pytest.raises(ValueError, match=r".+"):
        mail_server("smtp://mail.example:port")
