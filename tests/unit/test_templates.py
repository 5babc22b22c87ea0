"""What holds for every template."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from apps import monitoring

TEMPLATES = Path(monitoring.__file__).parent / "templates"


@pytest.mark.parametrize("template", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_a_heading_of_a_table_says_what_it_heads_and_an_option_what_it_sends(template: Path) -> None:
    text = template.read_text()
    assert re.findall(r"<th(?![^>]*\bscope=)[\s>]", text) == []
    assert re.findall(r"<option(?! value=)", text) == []  # without a value it sends its text, less the spaces in it
