"""`manage.py simulate`."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from apps.monitoring.core.clock import SECONDS, minute_of
from apps.monitoring.demo.incidents import INCIDENTS, Outbreak
from apps.monitoring.demo.parameters import TENANTS
from apps.monitoring.demo.traffic import Traffic
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.recorder import flush_now
from apps.monitoring.management.command import MonitoringCommand
from apps.monitoring.query import series, window
from apps.monitoring.rollup import locks, shards

_FLUSH_SECONDS: Final = 30.0
_MAX_RATE: Final = 1e6
_MAX_MINUTES: Final = 366 * 1_440.0


class Command(MonitoringCommand):
    """Drive the demo agent."""

    help = (
        "Drive a small demo agent (agent, context builder, knowledge base, LLM provider) through AgentMonitor: at full speed "
        "for --minutes of traffic, or --live at the pace of the clock. Its behaviour is fitted to recordings (docs/demo.md)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """How much, how fast, and what goes wrong."""
        super().add_arguments(parser)
        add = parser.add_argument
        add("--minutes", type=float, default=10.0, help="minutes of traffic (default: 10); not with --live")
        add("--rate", type=float, default=90.0, help="interactions a minute over all tenants, about (default: 90)")
        add("--tenant", action="append", choices=TENANTS, help="only this tenant; may be repeated (default: all three)")
        add("--seed", type=int, default=1, help="the same seed, start and rate make the same traffic (default: 1)")
        add("--start", metavar="ISO8601", help="begin then (default: so that it ends now); not with --live")
        add("--incident", choices=sorted(INCIDENTS), help=f"what goes wrong. {_described()}")
        add("--incident-tenant", choices=TENANTS, help="for whom (default: airline, or the first --tenant)")
        add("--incident-after", type=float, metavar="SECONDS", help="when it begins, from the start (default: 0)")
        add("--incident-minutes", type=float, metavar="MINUTES", help="how long it lasts (default: 4)")
        add("--live", action="store_true", help="at the pace of the clock, until Ctrl-C")
        add(
            "--backfill",
            type=float,
            default=0.0,
            metavar="MINUTES",
            help="with --live: calm traffic up to now first, after the last minute that has any",
        )

    def run(self, **options: Any) -> dict[str, Any]:
        """Drive until the end, or until Ctrl-C; what was recorded until then counts."""
        _check(options)
        start, end = _range(options)
        outbreak = _outbreak(options, time.time() if options["live"] else start, end)
        # What cannot be stored is said before it is made.
        HotStore.from_conf().ping()
        traffic = Traffic(rate=options["rate"], seed=options["seed"], tenants=options["tenant"] or TENANTS)
        began = time.monotonic()
        with _ctrl_c() as stopped:
            if options["live"]:
                self._live(traffic, start, outbreak, stopped, quiet=options["json"])
                end = time.time()
            else:
                traffic.outbreak = outbreak
                end = _at_once(traffic, start, end, stopped)
        return _result(traffic, start, end, options["incident"], time.monotonic() - began)

    def _live(
        self, traffic: Traffic, start: float, outbreak: Outbreak | None, stopped: threading.Event, *, quiet: bool
    ) -> None:
        """At the pace of the clock, after the calm minutes from ``start`` to now at full speed."""
        now = time.time()
        if start < now:
            _at_once(traffic, start, now, stopped)
        traffic.outbreak = outbreak
        news = _news(outbreak)
        for at in traffic.run(now, math.inf):
            while news and news[0][0] <= at:
                moment, text = news.pop(0)
                if stopped.wait(max(0.0, moment - time.time())):
                    break
                (self.stderr if quiet else self.stdout).write(text)
            if stopped.wait(max(0.0, at - time.time())):
                break
        _flush()


def _described() -> str:
    return " ".join(f"{incident.name}: {incident.meaning}" for incident in INCIDENTS.values())


def _check(options: dict[str, Any]) -> None:
    """Refuse numbers that make no traffic."""
    for name, largest in (("rate", _MAX_RATE), ("minutes", _MAX_MINUTES), ("incident_minutes", _MAX_MINUTES)):
        value = options[name]
        if value is not None and not 0 < value <= largest:
            raise CommandError(f"--{name.replace('_', '-')} is a number above 0, at most {largest:g}, not {value:g}")
    for name in ("backfill", "incident_after"):
        value = options[name]
        if value is not None and not 0 <= value <= _MAX_MINUTES:
            raise CommandError(f"--{name.replace('_', '-')} is a number of 0 or more, at most {_MAX_MINUTES:g}, not {value:g}")
    if options["live"] and options["start"] is not None:
        raise CommandError("--live begins now: leave --start out, or --live")
    if options["backfill"] and not options["live"]:
        raise CommandError("--backfill is for --live: use --minutes")
    for name in ("incident_tenant", "incident_after", "incident_minutes"):
        if options[name] is not None and options["incident"] is None:
            raise CommandError(f"--{name.replace('_', '-')} needs an --incident: one of {', '.join(sorted(INCIDENTS))}")


def _range(options: dict[str, Any]) -> tuple[float, float]:
    """Start and end in epoch seconds; live traffic has no end."""
    now = time.time()
    if options["live"]:
        return _unrecorded(now - options["backfill"] * 60, now), math.inf
    span = options["minutes"] * 60
    if options["start"] is None:
        return now - span, now
    start = window.moment(options["start"], "--start").timestamp()
    if start + span > now:
        raise CommandError(f"{options['minutes']:g} minutes from --start {options['start']} end in the future")
    return start, start + span


def _unrecorded(start: float, now: float) -> float:
    """Where nothing was recorded yet: minutes that have been judged do not become others when this is started again."""
    moments = (datetime.fromtimestamp(one, UTC) for one in (start, now))
    recorded = series.per_minute(None, *moments) if start < now else []
    if not recorded:
        return start
    return min(now, datetime.fromisoformat(recorded[-1]["minute"]).timestamp() + SECONDS)


def _outbreak(options: dict[str, Any], start: float, end: float) -> Outbreak | None:
    """What goes wrong, for whom and when: as asked, or else as the incident itself has it."""
    if options["incident"] is None:
        return None
    incident = INCIDENTS[options["incident"]]
    tenants = options["tenant"] or TENANTS
    tenant = options["incident_tenant"] or (incident.tenant if incident.tenant in tenants else tenants[0])
    if tenant not in tenants:
        raise CommandError(f"--incident-tenant {tenant} has no traffic: it is none of the given --tenant")
    after = incident.after_seconds if options["incident_after"] is None else options["incident_after"]
    if start + after >= end:
        raise CommandError(f"--incident-after {after:g} is after the end of the traffic: give more --minutes")
    minutes = options["incident_minutes"] or incident.minutes
    return Outbreak(incident, tenant, start + after, start + after + minutes * 60)


def _news(outbreak: Outbreak | None) -> list[tuple[float, str]]:
    """What a person is told, and when."""
    if outbreak is None:
        return []
    incident = outbreak.incident
    begins = f"incident {incident.name} begins for {outbreak.tenant}: {incident.meaning} Rule {incident.rule} should notice."
    return [(outbreak.begins, begins), (outbreak.ends, f"incident {incident.name} is over for {outbreak.tenant}.")]


@contextmanager
def _ctrl_c() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM ask for an orderly end instead of breaking off."""
    stopped = threading.Event()
    before = {signum: signal.signal(signum, lambda *_: stopped.set()) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _at_once(traffic: Traffic, start: float, end: float, stopped: threading.Event) -> float:
    """As fast as it goes, up to the end or to where it was stopped; returns that moment (epoch seconds).

    Nothing is sealed before the last minute is in the hot store.
    """
    with locks.hold() as held:
        shards.retreat(minute_of(start))
        minutes, shown = round((end - start) / 60, 1), 0.0
        with tqdm(total=minutes, desc="simulate", unit=" minutes", disable=None) as progress:
            for at in traffic.run(start, end):
                if stopped.is_set():
                    end = at
                    break
                done = round((at - start) / 60, 1)
                progress.update(done - shown)
                shown = done
        _flush()
        if not held():
            msg = "the connection to Postgres that held roll-up and rules is gone: minutes may have been judged half full"
            raise CommandError(msg)
    return end


def _flush() -> None:
    if not flush_now(_FLUSH_SECONDS):
        raise CommandError("the hot store did not take every record; see REDIS_URL")


def _result(traffic: Traffic, start: float, end: float, incident: str | None, seconds: float) -> dict[str, Any]:
    return {
        "interactions": traffic.interactions,
        "conversations": traffic.conversations,
        "from": datetime.fromtimestamp(start, UTC).isoformat(),
        "to": datetime.fromtimestamp(end, UTC).isoformat(),
        "incident": incident,
        "seconds": round(seconds, 3),
        "interactions_per_second": round(traffic.interactions / seconds, 1),
    }
