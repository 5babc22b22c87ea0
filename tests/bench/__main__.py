"""`make bench`: every claim about speed, with its peers beside it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.servers.throwaway import Servers

OUTPUT = Path(__file__).resolve().parents[2] / ".local" / "bench.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON only")
    options = parser.parse_args()
    servers = Servers.start()
    try:
        os.environ.update(servers.environment())
        import django

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        django.setup()
        from tests.bench import recording

        print("measuring what one interaction costs …", file=sys.stderr)
        results = {"recording": recording.measure(servers.valkey.url)}
    finally:
        servers.stop()
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(results, indent=2))
    print(json.dumps(results, indent=2) if options.json else "\n\n".join(table(name, rows) for name, rows in results.items()))


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
