"""`manage.py simulate`."""

from __future__ import annotations

import signal
import threading
import time
from datetime import UTC, datetime
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from apps.monitoring.core.clock import minute_of
from apps.monitoring.demo import parameters
from apps.monitoring.demo.incidents import CALM, INCIDENTS, Incident
from apps.monitoring.demo.traffic import Traffic
from apps.monitoring.ingest.recorder import flush_now
from apps.monitoring.management.command import MonitoringCommand
from apps.monitoring.query import window
from apps.monitoring.rollup import locks, shards

_FLUSH_SECONDS: Final = 30.0
_DAY: Final = 86_400.0


class Command(MonitoringCommand):
    """Drive the demo agent."""

    help = (
        "Drive a small demo agent (agent, context builder, knowledge base, LLM provider) through AgentMonitor: at full speed "
        "for --minutes of traffic, or --live at the pace of the clock."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """How much, how fast, and what goes wrong."""
        super().add_arguments(parser)
        parser.add_argument("--minutes", type=float, default=10.0, help="minutes of traffic (default: 10)")
        parser.add_argument("--rate", type=float, default=90.0, help="interactions a minute over all tenants (default: 90)")
        parser.add_argument("--tenant", action="append", choices=parameters.TENANTS, help="only these tenants")
        parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same traffic (default: 1)")
        parser.add_argument("--start", metavar="ISO8601", help="begin then (default: so that it ends now)")
        parser.add_argument("--incident", choices=sorted(INCIDENTS), help="what goes wrong")
        parser.add_argument("--incident-tenant", choices=parameters.TENANTS, default="airline", help="and for whom")
        parser.add_argument(
            "--incident-after", type=float, default=0.0, metavar="SECONDS", help="when it begins, after the start"
        )
        parser.add_argument(
            "--incident-minutes", type=float, default=4.0, metavar="MINUTES", help="how long it lasts (default: 4)"
        )
        parser.add_argument("--live", action="store_true", help="at the pace of the clock, until Ctrl-C")
        parser.add_argument("--backfill", type=float, default=0.0, metavar="MINUTES", help="calm traffic before --live")

    def run(self, **options: Any) -> dict[str, Any]:
        """Drive until the end, or until Ctrl-C."""
        if options["rate"] <= 0 or options["minutes"] <= 0:
            msg = "--rate and --minutes are positive numbers"
            raise CommandError(msg)
        tenants = tuple(options["tenant"] or parameters.TENANTS)
        traffic = Traffic(rate=options["rate"], seed=options["seed"], tenants=tenants)
        began = time.monotonic()
        start, end = self._range(options)
        number = self._live(traffic, options) if options["live"] else self._at_once(traffic, start, end, options)
        if not flush_now(_FLUSH_SECONDS):
            msg = "the hot store did not take every record; see REDIS_URL"
            raise CommandError(msg)
        seconds = time.monotonic() - began
        return {
            "interactions": number,
            "conversations": traffic.conversations,
            "from": datetime.fromtimestamp(start, UTC).isoformat(),
            "to": datetime.fromtimestamp(time.time() if options["live"] else end, UTC).isoformat(),
            "incident": options["incident"],
            "seconds": round(seconds, 3),
            "interactions_per_second": round(number / seconds, 1),
        }

    def _range(self, options: dict[str, Any]) -> tuple[float, float]:
        now, span = time.time(), options["minutes"] * 60
        if options["live"]:
            return now, now
        start = now - span if options["start"] is None else window.moment(options["start"], "--start").timestamp()
        if start + span > now + 1:
            msg = f"{options['minutes']:g} minutes from --start end in the future"
            raise CommandError(msg)
        return start, start + span

    def _at_once(self, traffic: Traffic, start: float, end: float, options: dict[str, Any]) -> int:
        """As fast as it goes; nothing is sealed before the last minute is in the hot store."""
        traffic.weather = _weather(options, start)
        with locks.hold():
            shards.retreat(minute_of(start))
            number = 0
            progress = tqdm(total=round((end - start) / 60, 1), desc="simulate", unit=" minutes", disable=None)
            for at in traffic.run(start, end):
                number += 1
                progress.update(max(0.0, (at - start) / 60 - progress.n))
            progress.close()
            flush_now(_FLUSH_SECONDS)
            return number

    def _live(self, traffic: Traffic, options: dict[str, Any]) -> int:
        """At the pace of the clock, after calm minutes at full speed."""
        ended = threading.Event()
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, lambda *_: ended.set())
        now = time.time()
        number = self._at_once(traffic, now - options["backfill"] * 60, now, {"incident": None}) if options["backfill"] else 0
        start = time.time()
        traffic.weather = _weather(options, start)
        announced = self._announcements(options, start)
        for at in traffic.run(start, start + 365 * _DAY):
            while announced and announced[0][0] <= time.time():
                self.stdout.write(announced.pop(0)[1])
                self.stdout.flush()
            if ended.wait(max(0.0, at - time.time())):
                break
            number += 1
        return number

    def _announcements(self, options: dict[str, Any], start: float) -> list[tuple[float, str]]:
        incident = INCIDENTS.get(options["incident"] or "")
        if incident is None:
            return []
        begins = start + options["incident_after"]
        whom = options["incident_tenant"]
        return [
            (begins, f"incident {incident.name} begins for {whom}: {incident.meaning} Rule {incident.rule} should notice."),
            (begins + options["incident_minutes"] * 60, f"incident {incident.name} is over."),
        ]


def _weather(options: dict[str, Any], start: float) -> Any:
    """The incident of a tenant at a moment."""
    incident = INCIDENTS.get(options["incident"] or "")
    if incident is None:
        return lambda _tenant, _at: CALM
    begins = start + options["incident_after"]
    ends = begins + options["incident_minutes"] * 60

    def weather(tenant: str, at: float) -> Incident:
        return incident if tenant == options["incident_tenant"] and begins <= at < ends else CALM

    return weather
