"""`manage.py replay`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser
from tqdm import tqdm

from apps.monitoring.conf import conf
from apps.monitoring.core.clock import minute_of
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.core.values import MAX_FUTURE_SECONDS, MAX_PAST_SECONDS
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.recorder import flush_now
from apps.monitoring.management.command import MonitoringCommand
from apps.monitoring.query import window
from apps.monitoring.replay.player import play
from apps.monitoring.replay.recording import Broken, Line, count, read
from apps.monitoring.rollup import locks, retention, shards

_FLUSH_SECONDS: Final = 60.0
_SHOWN: Final = 20


class Command(MonitoringCommand):
    """Replay a recording through AgentMonitor."""

    help = (
        "Replay a recording (JSON Lines, optionally gzipped) through AgentMonitor. Every event keeps its own time, "
        "shifted so that offset 0 is --start. A broken line is reported with its number and skipped; the exit code is then 1."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Which file, when, how fast."""
        super().add_arguments(parser)
        parser.add_argument("file", type=Path, help="the recording")
        parser.add_argument("--start", required=True, metavar="ISO8601", help="the time of offset 0, with a zone")
        parser.add_argument("--speed", default="max", help="a factor of real time, or max (default)")

    def run(self, **options: Any) -> dict[str, Any]:
        """Play every line; at full speed nothing is sealed before the last one is in the hot store."""
        start = window.moment(options["start"], "--start").timestamp()
        if start > time.time():
            msg = f"--start {options['start']} lies in the future"
            raise CommandError(msg)
        if start < time.time() - MAX_PAST_SECONDS:
            msg = f"--start {options['start']} lies over ten years back"
            raise CommandError(msg)
        HotStore.from_conf().ping()
        speed = _speed(options["speed"])
        began = time.monotonic()
        with locks.hold() if speed is None else nullcontext():
            if speed is None:
                shards.retreat(minute_of(start))
            played, broken = self._play(options["file"], start, speed)
            if not flush_now(_FLUSH_SECONDS):
                msg = "the hot store did not take every record; see REDIS_URL"
                raise CommandError(msg)
        seconds = time.monotonic() - began
        return {
            "interactions": played,
            "broken_lines": [{"line": line.number, "reason": line.reason} for line in broken],
            "start": datetime.fromtimestamp(start, UTC).isoformat(),
            "seconds": round(seconds, 3),
            "interactions_per_second": round(played / seconds) if seconds else None,
            **_note(start),
        }

    def _play(self, path: Path, start: float, speed: float | None) -> tuple[int, list[Broken]]:
        broken: list[Broken] = []
        oldest = time.time() - conf().retention_day_days * 86_400
        lines: Iterator[Line | Broken] = (_judged(line, start, oldest) for line in read(path))
        if speed is not None:
            # Lines stand in the order of their runs; real time needs the order of their ends.
            lines = iter(sorted(lines, key=lambda line: line.ended_ms if isinstance(line, Line) else -1.0))
        played = 0
        told = tqdm(_paced(lines, speed), desc="replay", unit=" interactions", total=count(path), disable=None)
        for line in told:
            if isinstance(line, Broken):
                broken.append(line)
                self.stderr.write(f"line {line.number} is skipped: {line.reason}")
            else:
                play(line, start)
                played += 1
        return played, broken

    def lines(self, result: dict[str, Any]) -> list[str]:
        """The broken lines were reported as they came."""
        return super().lines({**result, "broken_lines": len(result["broken_lines"])})

    def exit_code(self, result: dict[str, Any]) -> int:
        """1 when a line was skipped."""
        return 1 if result["broken_lines"] else 0


def _note(start: float) -> dict[str, str]:
    """What becomes of a recording that begins before the minutes that are kept."""
    days = retention.kept_days(Resolution.MINUTE)
    if start >= time.time() - days * 86_400:
        return {}
    return {"note": f"minutes over {days} days back are dropped once they are judged; hours and days stay (docs/rollup.md)"}


def _judged(line: Line | Broken, start: float, oldest: float) -> Line | Broken:
    """A line that ends where nothing can be counted, or is not kept, is broken."""
    if isinstance(line, Broken):
        return line
    now, ended = time.time(), start + line.ended_ms / 1_000
    if not now - MAX_PAST_SECONDS <= ended <= now + MAX_FUTURE_SECONDS:
        return Broken(line.number, "it ends over ten years back, or in the future")
    if ended < oldest:
        return Broken(line.number, f"it ends {(now - ended) / 86_400:.0f} days back; see MONITORING_RETENTION_DAY_DAYS")
    return line


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        msg = f"--speed is a positive number or max, not {text!r}"
        raise CommandError(msg)
    return speed


def _paced(lines: Iterator[Line | Broken], speed: float | None) -> Iterator[Line | Broken]:
    began = time.monotonic()
    for line in lines:
        if speed is not None and isinstance(line, Line):
            time.sleep(max(0.0, began + line.ended_ms / 1_000 / speed - time.monotonic()))
        yield line
