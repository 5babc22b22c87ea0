"""Handlers of a user's own, good and bad."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apps.monitoring.notify.channels.outcome import Delivered, Outcome, Rejected, Retry

Facts = dict[str, Any]


def keeps(notification: Facts, config: Facts, secrets: Facts) -> None:
    sys.stdout.write("this is not the answer\n")
    with Path(config["file"]).open("a") as file:
        file.write(json.dumps([notification["id"], secrets.get("token")]) + "\n")


def answers(notification: Facts, config: Facts, secrets: Facts) -> Outcome:
    said: dict[str, Outcome] = {
        "delivered": Delivered({"number": 7}), "retry": Retry("later", 60.0), "rejected": Rejected("never"),
    }  # fmt: skip
    return said[config["say"]]


def keeps_odd_receipts(notification: Facts, config: Facts, secrets: Facts) -> Outcome:
    said: dict[str, Any] = {
        "a moment": {"at": datetime.now(UTC)},
        "no number": {"value": float("nan")},
        "no text": {"id": "a\x00b"},
        "half of a character": {"id": "\ud800"},
        "no dictionary": "id 7",
        "too large": {"body": "é" * 12_000},
        "itself": {},
    }
    said["itself"]["itself"] = said["itself"]
    return Delivered(said[config["say"]])


def asks_for_a_moment(notification: Facts, config: Facts, secrets: Facts) -> Outcome:
    after: Any = datetime.now(UTC)
    return Retry("later", after)


def raises(notification: Facts, config: Facts, secrets: Facts) -> None:
    raise LookupError(secrets["token"])


def hangs(notification: Facts, config: Facts, secrets: Facts) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    Path(config["file"]).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(120)


def dies(notification: Facts, config: Facts, secrets: Facts) -> None:
    os._exit(3)


def returns_nonsense(notification: Facts, config: Facts, secrets: Facts) -> str:
    return "sent"


def takes_one(notification: Facts) -> None:
    """Not what is asked for."""
