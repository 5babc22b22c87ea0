"""Two hundred kills and restarts at random, then minutes, hours and days are compared with the writers' own ledger."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.faults.soak import course
from tests.faults.soak.disturbances import WEIGHTS


@pytest.mark.timeout(600)
def test_whatever_is_killed_and_restarted_everything_counts_once() -> None:
    folder = Path(tempfile.mkdtemp(prefix="agentmon-soak-"))  # not pytest's own, where Postgres' user has no way
    verdict = course.run(folder, 200, seed=random.SystemRandom().randrange(10**6))
    assert not verdict.wrong, f"{verdict.lines()}\nwhat the run left is in {folder}"
    assert verdict.compared > 1_000
    assert set(verdict.done) == {kind.__name__ for kind in WEIGHTS}
    assert verdict.compacted, f"no hour was compacted while others were killed\n{verdict.lines()}"
    assert verdict.crowded, f"no sketch left its exact form\n{verdict.lines()}"
    assert verdict.unanswered, f"no flush was without an answer: this has tested little\n{verdict.lines()}"
    shutil.rmtree(folder)
