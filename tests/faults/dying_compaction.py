"""A process that compacts every shard, or drops what is too old, and kills itself.

`python -m tests.faults.dying_compaction compact|retain POINT NTH [NOW]`: POINT is the beginning of an SQL statement with
"before " or "after " in front, or "after copy" for the moment when the rows of a period are copied; NOW is in epoch
seconds. Ends with 0 when it never came there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import django

from tests.faults.dying import Countdown, dying_execute


def main(what: str, point: str, nth: int, now: float) -> None:
    django.setup()
    from django.db import connection

    from apps.monitoring.ingest.hotstore import HotStore
    from apps.monitoring.rollup import compaction, periods, retention

    when, _, statement = point.partition(" ")
    countdown = Countdown(when, nth)
    if statement == "copy":
        copy = compaction.copy

        def dying(rows: Iterable[Any]) -> None:
            countdown.around(lambda: copy(rows))

        compaction.copy = dying
    with connection.execute_wrapper(dying_execute(statement, countdown)):
        if what == "compact":
            for shard in periods.stale_shards():
                compaction.compact_shard(shard, 60.0)
        else:
            retention.retain(datetime.fromtimestamp(now, UTC), HotStore.from_conf())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]) if len(sys.argv) > 4 else 0.0)
