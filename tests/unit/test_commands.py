"""What the README says of the commands."""

from __future__ import annotations

import re
from pathlib import Path

from django.core.management import get_commands, load_command_class

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
OWN = {name for name, application in get_commands().items() if application == "apps.monitoring"}


def test_the_table_has_every_command_and_no_other() -> None:
    table = README.partition("\n## Operating it\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[a-z].+?) \|", table, re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`([a-z_]+)", cell)} == OWN


def test_all_but_one_answer_in_json() -> None:
    parsers = {name: load_command_class("apps.monitoring", name).create_parser("manage.py", name) for name in OWN}
    assert {name for name, parser in parsers.items() if "--json" not in parser.format_help()} == {"up"}
    assert "Every command has `--help`, and every one but `up` has `--json`." in README
