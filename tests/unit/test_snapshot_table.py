"""Who knows the table of the snapshots."""

from __future__ import annotations

import re
from pathlib import Path

PRODUCT = Path(__file__).resolve().parents[2]
NAMED = re.compile("monitoring_metricsnapshot|MetricSnapshot", re.IGNORECASE)
ALLOWED = {"models", "migrations", "rollup", "query"}


def test_only_the_roll_up_writes_and_only_the_query_layer_reads_the_snapshots() -> None:
    ours = PRODUCT / "apps" / "monitoring"
    files = [
        *ours.rglob("*.py"),
        *ours.rglob("*.sql"),
        *(PRODUCT / "workers").rglob("*.py"),
        *(PRODUCT / "config").rglob("*.py"),
    ]
    assert len(files) > 200
    naming = [path for path in files if NAMED.search(path.read_text())]
    strangers = [str(path) for path in naming if not ALLOWED.intersection(path.relative_to(PRODUCT).parts[2:3])]
    assert strangers == []
