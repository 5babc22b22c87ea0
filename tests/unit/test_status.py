"""What the state of the machinery shows."""

from __future__ import annotations

import pytest

from apps.monitoring.status import _without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:s3cret@redis.example:6379/0", "redis://redis.example:6379/0"),
        ("unix:///run/redis.sock?db=0&password=s3cret", "unix:/run/redis.sock"),
        ("redis://redis.example:6379/0?username=u&password=s3cret", "redis://redis.example:6379/0"),
        ("redis+cluster://u:s3cret@a:1,b:2", "redis+cluster://a:1,b:2"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert _without_password(url) == shown
