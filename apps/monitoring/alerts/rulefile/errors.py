"""What can be wrong with a file of rules, or of their tests: everything that is, one line each."""

from __future__ import annotations

from collections.abc import Sequence


class RuleFileError(Exception):
    """The file says something that cannot be. Each line names the file, the place in it, and what is wrong."""

    def __init__(self, found: Sequence[str]) -> None:
        super().__init__("\n".join(found))
        self.found = tuple(found)
