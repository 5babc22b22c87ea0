"""`manage.py replay`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser, OutputWrapper
from tqdm import tqdm

from apps.monitoring.core.clock import minute_of, to_minute
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.core.values import MAX_PAST_SECONDS
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.interactions.row import misplaced
from apps.monitoring.management.command import MonitoringCommand
from apps.monitoring.models import EvaluationProgress
from apps.monitoring.query import window
from apps.monitoring.replay.passage import HoldLostError, NotTakenError, Passage
from apps.monitoring.replay.player import play
from apps.monitoring.replay.recording import Broken, Line, RecordingError, count, read
from apps.monitoring.rollup import locks, retention, shards

_SECONDS_OF_DAY: Final = 86_400


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
        """Play every line; at full speed no minute that has yet to be judged is sealed before it has all of its lines."""
        now = time.time()
        start = window.moment(options["start"], "--start").timestamp()
        if start > now:
            msg = f"--start {options['start']} lies in the future"
            raise CommandError(msg)
        if start < now - MAX_PAST_SECONDS:
            msg = f"--start {options['start']} lies over ten years back"
            raise CommandError(msg)
        store = HotStore.from_conf()
        store.ping()
        speed = _speed(options["speed"])
        began = time.monotonic()
        run = _Run(options["file"], start, now, Passage(store), self.stderr)
        try:
            with run.shown:
                run.at_once() if speed is None else run.paced(speed)
        except (NotTakenError, HoldLostError) as error:
            raise CommandError(str(error)) from error
        seconds = time.monotonic() - began
        return {
            "interactions": run.played,
            "broken_lines": [{"line": line.number, "reason": line.reason} for line in run.broken],
            "lost": run.passage.lost(),
            "start": datetime.fromtimestamp(start, UTC).isoformat(),
            "seconds": round(seconds, 3),
            "interactions_per_second": round(run.played / seconds) if seconds else None,
            **_note(start),
        }

    def lines(self, result: dict[str, Any]) -> list[str]:
        """The broken lines were reported as they came."""
        return super().lines({**result, "broken_lines": len(result["broken_lines"])})

    def exit_code(self, result: dict[str, Any]) -> int:
        """1 when a line was skipped, or something of one that was played did not arrive."""
        return 1 if result["broken_lines"] or result["lost"] else 0


class _Run:
    """One run over a recording. ``start`` is offset 0, ``now`` the moment by which lines are judged, in epoch seconds."""

    def __init__(self, path: Path, start: float, now: float, passage: Passage, stderr: OutputWrapper) -> None:
        self._path, self._start, self._now, self._stderr = path, start, now, stderr
        self.shown = tqdm(desc="replay", unit=" interactions", total=count(path), disable=None)
        self.passage = passage
        self.played = 0
        self.broken: list[Broken] = []

    def at_once(self) -> None:
        """Hold the sealing when there are minutes that the rules have yet to judge; else everything goes on meanwhile."""
        if self._last() >= _judged_until():
            with locks.hold() as held:
                shards.retreat(minute_of(self._start))
                self.passage.held = held
                self._play(self._lines())
        else:
            self._play(self._lines())

    def _last(self) -> int:
        """The last minute that a line counts in; -1 when there is none. Of a recording that was cut off, up to the cut."""
        last = -1
        with suppress(RecordingError):
            for line in self._lines():
                if isinstance(line, Line):
                    last = max(last, minute_of(self._start + line.ended_ms / 1_000))
        return last

    def paced(self, speed: float) -> None:
        """At so many times real time. Lines stand in the order of their runs; real time needs the order of their ends."""
        lines = sorted(self._lines(), key=lambda line: line.ended_ms if isinstance(line, Line) else -1.0)
        self._play(_paced(lines, speed))

    def _lines(self) -> Iterator[Line | Broken]:
        return (_judged(line, self._start, self._now) for line in read(self._path))

    def _play(self, lines: Iterable[Line | Broken]) -> None:
        """Whatever ends it, what was played is in the hot store after, or what `confirm` raises says that it is not."""
        try:
            for line in lines:
                if isinstance(line, Broken):
                    self.broken.append(line)
                    self._stderr.write(f"line {line.number} is skipped: {line.reason}")
                else:
                    play(line, self._start)
                    self.played += 1
                    self.passage.played()
                self.shown.update()
        finally:
            self.passage.confirm()


def _judged_until() -> int:
    """The first minute that the rules have not judged yet; 0 when they have judged none."""
    progress = EvaluationProgress.objects.first()
    return 0 if progress is None else to_minute(progress.next_minute)


def _note(start: float) -> dict[str, str]:
    """What becomes of a recording that begins before the minutes that are kept."""
    days = retention.kept_days(Resolution.MINUTE)
    if start >= time.time() - days * _SECONDS_OF_DAY:
        return {}
    return {"note": f"minutes over {days} days back are dropped once they are judged; hours and days stay (docs/rollup.md)"}


def _judged(line: Line | Broken, start: float, now: float) -> Line | Broken:
    """A line that ends where nothing can be counted, or is not kept, is broken."""
    if isinstance(line, Broken):
        return line
    reason = misplaced(start + line.ended_ms / 1_000, now)
    return line if reason is None else Broken(line.number, reason)


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


def _paced(lines: Iterable[Line | Broken], speed: float) -> Iterator[Line | Broken]:
    began = time.monotonic()
    for line in lines:
        if isinstance(line, Line):
            time.sleep(max(0.0, began + line.ended_ms / 1_000 / speed - time.monotonic()))
        yield line
