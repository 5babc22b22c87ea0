"""`make soak`."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.faults.soak import course


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--disturbances", type=int, default=1_000, help="how many (default 1000)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of an earlier run")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="agentmon-soak-"))
    verdict = course.run(folder, asked.disturbances, asked.seed)
    print(verdict.lines())
    if verdict.wrong:
        print(f"what the run left is in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
