"""The page for users names what the code reads, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from apps.monitoring.spans import conventions

PAGE = (Path(__file__).parents[3] / "docs" / "opentelemetry.md").read_text()


def test_every_attribute_that_is_read_is_on_the_page_and_no_other() -> None:
    named = set(re.findall(r"`((?:gen_ai|agent_monitor|error)\.[a-z_.]*[a-z])`", PAGE))
    unlisted = {"gen_ai.agent.parent_id"}  # an older spelling of what is a proposal
    assert named | unlisted == conventions.READ


def test_the_table_has_the_names_in_the_order_in_which_they_are_looked_for() -> None:
    rows = [re.findall(r"`([a-z_.]+)`", row) for row in re.findall(r"^\| (`[a-z_]+\.[^|]+)\|", PAGE, re.MULTILINE)]
    for fields in (conventions.TOKENS, *conventions.FIELDS.values()):
        for names in fields.values():
            if len(names) > 1:
                assert list(names) in rows


def test_every_operation_is_on_the_page() -> None:
    (table,) = re.findall(r"\| span, by .*?\n\n", PAGE, re.DOTALL)
    assert set(re.findall(r"`([a-z_]+)`", table)) - {"datastore"} >= set(conventions.OPERATIONS)
