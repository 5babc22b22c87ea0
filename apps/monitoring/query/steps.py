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
    """What is made of each step of ``step`` minutes that has rows, or ``live`` cells, which are by minute.

    Steps are remembered some together, and one by one where minutes are still coming.
    """
    length = _chunk(step)
    coming, under_way = ({minute // size for minute in live} for size in (length, step))

    def part(piece: Piece) -> tuple[int, int]:
        return piece.start // length, piece.start // step if piece.start // length in coming else 0

    chunks = [tuple(own) for _, own in groupby(pieces, part)]
    still = [chunk for chunk in chunks if chunk[0].start // step not in under_way]

    def made(missing: list[int]) -> list[dict[int, Answer]]:
        chosen = [still[place] for place in missing]
        found: list[dict[int, Answer]] = [{} for _ in chosen]
        place_of = {piece.start // step: place for place, chunk in enumerate(chosen) for piece in chunk}
        for start, cells in _cells(owner, [piece for chunk in chosen for piece in chunk], step).items():
            found[place_of[start // step]][start] = making.make(cells)
        return found

    def weigh(answers: dict[int, Answer]) -> int:
        return sum(map(making.weigh, answers.values()))

    answers: dict[int, Answer] = {}
    for own in remembered.each([(owner.tenant, step, making.key, chunk) for chunk in still], made, weigh):
        answers |= own
    moving = _cells(owner, [piece for piece in pieces if piece.start // step in under_way], step)
    for minute, cells in live.items():
        merge(moving.setdefault(minute - minute % step, {}), cells)
    return answers | {start: making.make(cells) for start, cells in moving.items()}


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
