"""An agent's process: records without end, through the product's recorder and its thread."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from apps.monitoring.core.event import TENANT
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest import buffer, flusher, hotstore, recorder
from tests.faults.soak.events import made
from tests.faults.soak.events import record as hand_over
from tests.faults.soak.journal import Answer, Flush, Journal

_SKEW_SECONDS = 40
_HANDED_OVER, _TIMESTAMP = 2, 3
_CHUNK = 1_000
"""Fields in a call of a flush: so few that nearly each flush is several, and a kill comes between."""


def main(folder: Path, name: str, seed: str) -> None:
    """Record until somebody ends the process."""
    chance = random.Random(seed)
    journal = Journal(folder, name)
    _keep_journal(journal)
    skew = chance.uniform(-_SKEW_SECONDS, _SKEW_SECONDS)
    while True:
        events = [made(chance, time.time() + skew) for _ in range(chance.randint(1, 20))]
        journal.events(events)
        for event in events:
            hand_over(event)
        time.sleep(chance.uniform(0, 0.1))  # an agent's rate


def _keep_journal(journal: Journal) -> None:
    """Have the recorder of this process write down what it sends; everything else of it is the product's."""

    class Counted(buffer.Buffer):
        """Knows how many events of each minute and tenant are in what was taken last, and in all before."""

        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            self._both = threading.Lock()
            self._merged: Counter[tuple[int, str]] = Counter()
            self.taken: Mapping[tuple[int, str], int] = {}

        def merge(self, events: list[buffer.Event]) -> None:
            with self._both:
                super().merge(events)
                self._merged.update((int((event[_TIMESTAMP] or event[_HANDED_OVER]) // 60), event[TENANT]) for event in events)

        def take(self) -> buffer.Slots:
            with self._both:
                self.taken = dict(self._merged)
                return super().take()

    class Journalled(hotstore.HotStore):
        noted: dict[int, int] = {}

        def apply(self, writer: str, flushes: Mapping[int, tuple[int, Sequence[hotstore.Record]]]) -> dict[int, object]:
            taken = recorder.recorder().buffer.taken  # type: ignore[attr-defined]
            for shard, (sequence, records) in flushes.items():
                if self.noted.get(shard) != sequence:
                    self.noted[shard] = sequence
                    # A record is all of its minute and tenant that was taken and not sent.
                    upto = {(minute, tenant): taken[minute, tenant] for minute, tenant, _ in records if tenant != GLOBAL}
                    journal.note(Flush(writer, shard, sequence, upto, list(records)))
            answers = super().apply(writer, flushes)
            for shard, answer in answers.items():
                error = repr(answer) if isinstance(answer, Exception) else ""
                journal.note(Answer((writer, shard, flushes[shard][0]), error))
            return answers

    recorder.Buffer = Counted  # type: ignore[misc]
    recorder.HotStore = Journalled  # type: ignore[misc]
    flusher._CHUNK = _CHUNK  # type: ignore[misc]
