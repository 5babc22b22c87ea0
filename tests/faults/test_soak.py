"""Two hundred kills and restarts at random, then the snapshots are compared with the writers' own ledger."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.faults.soak import course
from tests.faults.soak.disturbances import WEIGHTS


@pytest.mark.timeout(420)
def test_whatever_is_killed_and_restarted_everything_counts_once() -> None:
    folder = Path(tempfile.mkdtemp(prefix="agentmon-soak-"))  # not pytest's own, where Postgres' user has no way
    verdict = course.run(folder, 200, seed=random.SystemRandom().randrange(10**6))
    assert not verdict.wrong, f"{verdict.lines()}\nwhat the run left is in {folder}"
    assert verdict.compared > 1_000
    assert len(verdict.done) > len(WEIGHTS) // 2
    assert verdict.unanswered, f"no flush was without an answer: this has tested little\n{verdict.lines()}"
    shutil.rmtree(folder)
