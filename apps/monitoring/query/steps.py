"""Something of each step of a range: what was made of steps that are still the same is not made again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Generic, TypeVar

from apps.monitoring.core.resolution import Resolution
from apps.monitoring.query import remembered
from apps.monitoring.query.owner import Owner
from apps.monitoring.query.versions import Piece, joined
from apps.monitoring.rollup.cells import Cells, merge

Answer = TypeVar("Answer")

_LEAST: Final = 10
"""Minutes of steps that are remembered together, at least."""


@dataclass(frozen=True, slots=True)
class Making(Generic[Answer]):
    """What is made of the cells of a step. The ``key`` names it, and the metrics that the cells are of."""

    key: Hashable
    make: Callable[[Cells], Answer]
    weigh: Callable[[Answer], int]
    """How many bytes an answer takes."""


def read(
    owner: Owner, pieces: Sequence[Piece], step: int, live: Mapping[int, Cells], making: Making[Answer]
) -> dict[int, Answer]:
    """What is made of each step of ``step`` minutes that has rows, or ``live`` cells, which are by minute."""
    length = _chunk(step)
    chunks = [tuple(own) for _, own in groupby(pieces, lambda piece: piece.start // length)]
    moving = {minute // length for minute in live}
    still = [chunk for chunk in chunks if chunk[0].start // length not in moving]

    def made(missing: list[int]) -> list[dict[int, Answer]]:
        chosen = [still[place] for place in missing]
        found: dict[int, dict[int, Answer]] = {chunk[0].start // length: {} for chunk in chosen}
        for start, cells in _cells(owner, [piece for chunk in chosen for piece in chunk], step).items():
            found[start // length][start] = making.make(cells)
        return list(found.values())

    def weigh(answers: dict[int, Answer]) -> int:
        return sum(map(making.weigh, answers.values()))

    answers: dict[int, Answer] = {}
    for own in remembered.each([(owner.tenant, step, making.key, chunk) for chunk in still], made, weigh):
        answers |= own
    under_way = _cells(owner, [piece for chunk in chunks if chunk[0].start // length in moving for piece in chunk], step)
    for minute, cells in live.items():
        merge(under_way.setdefault(minute - minute % step, {}), cells)
    return answers | {start: making.make(cells) for start, cells in under_way.items()}


def _chunk(step: int) -> int:
    """Minutes that are remembered together: whole steps, and parts of a day."""
    return next(
        length for length in range(max(step, _LEAST), Resolution.DAY + 1) if not length % step and not Resolution.DAY % length
    )


def _cells(owner: Owner, pieces: Sequence[Piece], step: int) -> dict[int, Cells]:
    """The cells of each step that has rows."""
    found: dict[int, Cells] = {}
    merged = owner.read(list(joined(pieces)), step)
    for row, cell in zip(merged, owner.cells(merged), strict=True):
        found.setdefault(row.start, {})[owner.names[row.series]] = cell
    return found
