"""Ends when the private servers do: `python -m config.embedded.watch STATE`.

A part of `up`, which ends when any of its parts does.
"""

from __future__ import annotations

import json
import os
import select
import sys
from pathlib import Path

from config.embedded.keeper import KEEPER_LOG, STATE_FILE


def main(state: Path) -> int:
    """Wait for the keeper's end, and say what it said last."""
    try:
        keeper = os.pidfd_open(json.loads((state / STATE_FILE).read_text())["keeper"])
    except (FileNotFoundError, ProcessLookupError):
        pass  # it is gone already
    else:
        select.select([keeper], [], [])
    said = (state / KEEPER_LOG).read_text().splitlines()
    print(said[-1] if said else "the keeper of the private servers was killed")
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
