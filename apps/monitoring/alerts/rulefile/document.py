"""YAML as plain values: safe tags only, no key twice, and the line at which each thing begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from apps.monitoring.alerts.rulefile.errors import RuleFileError


def text_of(file: Path) -> str:
    """The text of a file. Raises RuleFileError."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is not UTF-8: {error}"
        raise RuleFileError([f"{file}: this cannot be read: {reason}"]) from error


def load(text: str, source: str) -> dict[str, Any]:
    """The mapping that a file holds. Raises RuleFileError; ``source`` is what it calls the file."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: a date that there is not, or a character that YAML does not allow.
        msg = f"{source}: this is no YAML: {' '.join(str(error).split())}"
        raise RuleFileError([msg]) from error
    if not isinstance(node, yaml.MappingNode) or not isinstance(value, dict):
        raise RuleFileError([f"{source}: a file is a mapping with names such as rules:, not {_kind(value)}"])
    twice = _twice(node, source)
    if twice:
        raise RuleFileError(twice)
    return value


def lines(text: str, key: str) -> list[int]:
    """At which line each entry of a list begins, the list that stands under a key of the file's mapping; of a loaded file."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    listed = (value for name, value in pairs if name.value == key and isinstance(value, yaml.SequenceNode))
    return [item.start_mark.line + 1 for value in listed for item in value.value]


def _twice(node: yaml.Node, source: str) -> list[str]:
    """The keys that a mapping has twice: YAML itself takes the last one and says nothing."""
    found: list[str] = []
    seen: set[int] = set()
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue  # an alias: the same node again
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in node.value:
                if key.value in keys:
                    found.append(f"{source}:{key.start_mark.line + 1}: {key.value} is there twice")
                keys.add(key.value)  # a text: what cannot be a key of a dict was refused before
                waiting.append(value)
    return found


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
