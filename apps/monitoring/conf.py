"""The product's settings, read from Django's, with their defaults and meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed


@dataclass(frozen=True, slots=True)
class Conf:
    """See docs/settings.md. Every field is the Django setting ``MONITORING_<FIELD>``."""

    redis_url: str
    key_prefix: str = "agentmon"
    shards: int = 8
    write_mode: Literal["buffered", "direct"] = "buffered"
    flush_interval: float = 1.0
    """Seconds between two flushes."""
    queue_size: int = 20_000
    """Events waiting to be merged; beyond it the caller merges its own."""
    queue_bytes: int = 64_000_000
    """Characters of the texts of those events; beyond it, too, the caller merges its own."""
    max_pending_bytes: int = 250_000_000
    """Memory for what was merged while the hot store is away; beyond it the oldest minutes are dropped and counted."""
    flush_on_sigterm: bool = True
    """Whether SIGTERM, where nobody else handles it, first sends what was recorded."""
    label_cap: int = 100
    """Values of one label of one tenant; more count under `other`."""
    pricing: Literal["list", "off"] = "list"
    """Where costs that the caller does not give come from: the price list of genai-prices, or nowhere."""
    prices: Mapping[str, Mapping[str, float]] | None = None
    """Own prices by model: US dollars a million tokens, by kind (input, output, cache_read, cache_write, reasoning)."""
    grace_seconds: float = 5.0
    """How long after its end a minute stays open for what is still in the writers' buffers."""
    notify_max_age_seconds: int = 900
    """Minutes older than this when they are judged go to the history but notify nobody."""
    rule_timeout_seconds: float = 30.0
    """How long one statement of a rule's evaluation may take before the rule is in error; 0 is no limit but the minute's."""
    read_cache_seconds: float = 1.0
    """How old an answer of the API or the dashboard may be; 0 computes each one."""
    time_zone: str = "UTC"
    """By whose clocks the days and months of budgets begin."""
    retention_minute_days: int = 35
    """Days that rows of one minute are kept; longer where the window of a rule needs them."""
    retention_hour_days: int = 180
    """Days that rows of one hour are kept."""
    retention_day_days: int = 3_650
    """Days that rows of one day are kept. What is older is refused."""
    retention_alert_days: int = 365
    """Days that an alert, what told of it and a silence are remembered after their end."""
    retention_audit_days: int = 1_095
    """Days that it is remembered who edited what."""
    base_url: str = "http://localhost:8000"
    otlp_agents: Sequence[str] = ()
    """Names of the agents that talk to customers: spans of others are parts of their work. Empty: all do."""
    otlp_tenant_attribute: str = "tenant.id"
    """The attribute of a span, or of its resource, that says whose it is."""
    log_format: str = "json"
    log_path: str = "-"
    log_queue_size: int = 20_000
    """Lines waiting to be written; beyond it they are dropped and counted."""
    log_queue_bytes: int = 64_000_000
    """Memory for the texts of those lines; beyond it they are dropped and counted."""
    content_mode: str = "redacted"
    redaction_patterns: Sequence[str] = ()
    """The user's own regular expressions of what is redacted."""
    max_text: int = 2_000
    """Characters of a text before it is cut."""


_DEFAULTS = {name: field.default for name, field in Conf.__dataclass_fields__.items() if name != "redis_url"}


@cache
def conf() -> Conf:
    """The settings of this process. Raises ImproperlyConfigured when it is not said where records go."""
    values: dict[str, Any] = {
        name: getattr(settings, f"MONITORING_{name.upper()}", default) for name, default in _DEFAULTS.items()
    }
    url = getattr(settings, "MONITORING_REDIS_URL", None) or getattr(settings, "REDIS_URL", None)
    if not url:
        raise ImproperlyConfigured(
            "MONITORING_REDIS_URL is not set: give the address of the Redis or Valkey that the monitoring uses, such as "
            "redis://127.0.0.1:6379/0 (docs/instrumenting.md)"
        )
    return Conf(redis_url=cast("str", url), **values)


_complained_of: set[str] = set()


def is_first_complaint(of: str) -> bool:
    """Whether this process has not said yet that these settings are wrong.

    Once is enough, and whoever hears of it may record, which reads the same settings.
    """
    if of in _complained_of:
        return False
    _complained_of.add(of)
    return True


def _forget(*, setting: str, **_: object) -> None:
    if setting.startswith("MONITORING_") or setting == "REDIS_URL":
        conf.cache_clear()
        _complained_of.clear()


setting_changed.connect(_forget)
