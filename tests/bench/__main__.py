"""`make bench`: every claim about speed, with its peers beside it."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.bench.targets import verdicts
from tests.servers.throwaway import Servers

OUTPUT = Path(__file__).resolve().parents[2] / ".local" / "bench.json"

Rows = list[dict[str, Any]]


def recording(servers: Servers) -> Rows:
    from tests.bench import recording

    return recording.measure(servers.valkey.url)


def threads(_: Servers) -> Rows:
    from tests.bench import threads

    return threads.measure()


def outage(_: Servers) -> Rows:
    from tests.bench import outage

    return outage.measure()


def rollup(_: Servers) -> Rows:
    from tests.bench import rollup

    return rollup.measure()


def storage(_: Servers) -> Rows:
    from tests.bench import rollup

    return rollup.stored()


def compaction(_: Servers) -> Rows:
    from tests.bench import ranges

    return ranges.compaction()


def reading(_: Servers) -> Rows:
    from tests.bench import reading

    return reading.measure()


def evaluation(_: Servers) -> Rows:
    from tests.bench import evaluation

    return evaluation.measure()


def replay(_: Servers) -> Rows:
    from tests.bench import replay

    return replay.measure()


def percentiles(_: Servers) -> Rows:
    from tests.bench import percentiles

    return percentiles.measure()


BENCHMARKS: Mapping[str, tuple[str, Callable[[Servers], Rows]]] = {
    "recording": ("what one interaction costs", recording),
    "threads": ("how long the slowest calls take when many threads record", threads),
    "outage": ("how much memory an hour without the hot store takes", outage),
    "rollup": ("how fast a minute is rolled up, beside a bare COPY of its rows", rollup),
    "storage": ("how many bytes a snapshot row takes", storage),
    "compaction": ("how fast an hour of minutes becomes an hour", compaction),
    "evaluation": ("how long a minute of nine rules is judged, beside Prometheus", evaluation),
    "replay": ("how fast a recording is replayed", replay),
    "percentiles": ("how far percentiles are off, beside classic Prometheus buckets, in per cent", percentiles),
    "reading": ("how long each answer takes, while minutes go by", reading),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON only")
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="this one, and others named so")
    options = parser.parse_args()
    results: dict[str, Rows] = {}
    start = time.monotonic()
    for name in options.only or BENCHMARKS:
        what, measure = BENCHMARKS[name]
        print(f"measuring {what} …", file=sys.stderr)
        began = time.monotonic()
        results[name] = alone(measure)
        print(f"… {time.monotonic() - began:.0f} s", file=sys.stderr)
    OUTPUT.parent.mkdir(exist_ok=True)
    known = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}
    judged = verdicts(results)
    results = known | results
    OUTPUT.write_text(json.dumps(results | {"targets": verdicts(results)}, indent=2))
    tables = {**{name: results[name] for name in options.only or BENCHMARKS}, **({"targets": judged} if judged else {})}
    print(json.dumps(tables, indent=2) if options.json else "\n\n".join(table(name, rows) for name, rows in tables.items()))
    print(f"measured in {time.monotonic() - start:.0f} s", file=sys.stderr)
    if any(target["met"] == "NO" for target in judged):
        raise SystemExit(1)


def alone(measure: Callable[[Servers], Rows]) -> Rows:
    """The rows of one benchmark, on servers of its own and in a process of its own: none finds the caches of another."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_measure, args=(measure, sender))
    process.start()
    sender.close()
    try:
        rows: Rows = receiver.recv()
    except EOFError:
        raise SystemExit("the benchmark broke off, the reason is above") from None
    finally:
        process.join()
    return rows


def _measure(measure: Callable[[Servers], Rows], sender: Connection) -> None:
    servers = Servers.start(durable=True)
    logs = tempfile.mkdtemp(prefix="agentmon-bench-")
    try:
        os.environ.update(servers.environment())
        os.environ["MONITORING_LOG_PATH"] = f"{logs}/agent.log"
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        sender.send(measure(servers))
    finally:
        servers.stop()
        shutil.rmtree(logs)


def table(name: str, rows: list[dict[str, Any]]) -> str:
    """Columns as wide as their widest cell."""
    columns = list(rows[0])
    cells = [columns, *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    lines = [name]
    for line in cells:
        first, *numbers = (
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        lines.append("  ".join([first, *numbers]))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
