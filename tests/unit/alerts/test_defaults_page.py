"""The page on alerts has every default rule."""

from __future__ import annotations

import re
from pathlib import Path

from apps.monitoring.alerts.defaults import DEFAULT_RULES

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "alerts.md").read_text()


def test_the_table_has_every_default_rule_with_its_severity() -> None:
    table = PAGE.partition("\n## Default rules\n")[2]
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| .+ \| (\w+) \|$", table, re.MULTILINE)
    assert rows == [(rule["name"], rule["severity"].value) for rule in DEFAULT_RULES]
