"""A recording of last month, replayed today: in the right minutes, hours and days, or refused and told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apps.monitoring.core.clock import to_minute
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.rollup import floors
from tests.e2e.parts import environment_of_tests, manage
from tests.integration.rollup.stored import rows

pytestmark = pytest.mark.usefixtures("stores")

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
START = NOW - timedelta(days=30)


def recording(path: Path, hours: int) -> Path:
    """One interaction each half hour; the last ends after the rest was played."""
    lines = [
        {"tenant": "acme", "conversation_id": f"c-{n}", "offset_ms": n * 1_800_000, "agent_response": "yes", "model": "m"}
        for n in range(2 * hours)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def run(*arguments: str, **environment: str) -> dict[str, Any]:
    done = manage({**environment_of_tests(), **environment}, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def interactions(resolution: Resolution) -> dict[int, int]:
    return {row[3]: numbers[0] for row, numbers in rows(resolution).items() if row[:2] == ("acme", "interactions")}


def everything(file: Path, start: datetime = START) -> None:
    run("replay", str(file), "--start", start.isoformat())
    run("rollup")


def test_last_month_lands_in_its_minutes_hours_and_days(tmp_path: Path) -> None:
    file = recording(tmp_path / "month.jsonl", 60)
    everything(file)
    done = run("compact")
    first = to_minute(START)
    assert interactions(Resolution.MINUTE) == {first + 30 * n: 1 for n in range(120)}
    assert interactions(Resolution.HOUR) == {first + 60 * n: 2 for n in range(60)}
    days = interactions(Resolution.DAY)
    assert set(days) <= {Resolution.DAY.floor(first) + Resolution.DAY * n for n in range(4)}
    assert sum(days.values()) == 120
    assert (done["stale_hours"], done["stale_days"]) == (0, 0)
    assert done["rows_per_second"] > 0
    whole = ("--tenant", "acme", "--from", START.isoformat(), "--to", (START + timedelta(hours=60)).isoformat())
    assert run("summary", *whole)["interactions"]["total"] == 120


def test_what_lies_before_the_minutes_that_are_kept_lands_in_its_hours(tmp_path: Path) -> None:
    floors.move(Resolution.MINUTE, NOW - timedelta(days=10), NOW)
    everything(recording(tmp_path / "month.jsonl", 30))
    run("compact")
    assert interactions(Resolution.MINUTE) == {}
    assert interactions(Resolution.HOUR) == {to_minute(START) + 60 * n: 2 for n in range(30)}
    assert sum(interactions(Resolution.DAY).values()) == 60


def test_what_is_older_than_everything_that_is_kept_is_refused_by_line(tmp_path: Path) -> None:
    file = recording(tmp_path / "old.jsonl", 48)
    early = [START + timedelta(minutes=30 * number) for number in range(96)]
    before = datetime.now(UTC) - timedelta(days=29)
    short = {f"MONITORING_RETENTION_{kind}_DAYS": "29" for kind in ("MINUTE", "HOUR", "DAY")}
    done = manage({**environment_of_tests(), **short}, "replay", str(file), "--start", START.isoformat(), "--json")
    assert done.returncode == 1
    result = json.loads(done.stdout)
    assert result["interactions"] + len(result["broken_lines"]) == 96
    after = datetime.now(UTC) - timedelta(days=29)
    refused = len(result["broken_lines"])
    assert sum(moment < before for moment in early) <= refused <= sum(moment < after for moment in early)
    assert "MONITORING_RETENTION_DAY_DAYS" in result["broken_lines"][0]["reason"]
    assert "hours and days stay" in result["note"]


def test_a_retention_that_keeps_hours_shorter_than_minutes_is_refused() -> None:
    done = manage({**environment_of_tests(), "MONITORING_RETENTION_HOUR_DAYS": "3"}, "rollup")
    assert done.returncode != 0
    assert "MONITORING_RETENTION_HOUR_DAYS" in done.stderr
