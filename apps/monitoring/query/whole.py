"""The rows of a whole range as one of each series, from pieces that were read before where they are still the same."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import groupby
from typing import Final

from apps.monitoring.core.resolution import Resolution, Stored, Stretch
from apps.monitoring.query import remembered, rows
from apps.monitoring.query.owner import Owner
from apps.monitoring.query.rows import Merged
from apps.monitoring.query.versions import Piece, joined
from apps.monitoring.rollup.cells import Cells

_TEN: Final = 10
"""Minutes that are remembered together, by the clock. All together have a row of each shard for each minute."""
_AHEAD: Final = 3
"""Minutes that an answer reads ahead, at most."""
_ROW_BYTES: Final = 300
"""What a row takes beside its bytes."""

Group = tuple[Piece, ...]
Read = Sequence[Merged]


def read(owner: Owner, pieces: Sequence[Piece]) -> Cells:
    """The merged cells of the pieces, which are in ascending order, and of all series of the owner.

    Each piece is remembered, and so is what hours that follow each other, and the minutes of ten, were merged into. So
    who looks at the last day each minute has a minute read, and an hour each hour.
    """
    groups = list(_groups(pieces))
    found = remembered.each(
        [(owner.tenant, group) for group in groups],
        lambda missing: _read_groups(owner, [groups[place] for place in missing]),
        _weight,
    )
    merged = rows.together([row for own in found for row in owner.known(own)])
    return {owner.names[one.series]: cell for one, cell in zip(merged, owner.cells(merged), strict=True)}


def ahead(stored: Stored, stretches: Sequence[Stretch]) -> list[Stretch]:
    """The minutes that a range which moves on with time will need when its beginning lies within the next ten, or hour.

    Each time as many as it has gone through the one before: so they are read one by one until then, and not all at once.
    """
    start = stretches[0].start
    found: list[Stretch] = []
    for length, resolution in ((_TEN, Resolution.MINUTE), (Resolution.HOUR.value, Resolution.HOUR)):
        edge = -(-start // length) * length
        whole = any(one.resolution is resolution and one.start <= edge and edge + length <= one.end for one in stretches)
        if whole and edge >= stored.floors.get(Resolution.MINUTE, 0):
            found.append(Stretch(Resolution.MINUTE, edge, edge + min(length, (start % length or length) + 1)))
    return found


def read_ahead(owner: Owner, pieces: Sequence[Piece]) -> None:
    """Remember some of the pieces that are not remembered yet."""
    missing = remembered.unknown([_key(owner, piece) for piece in pieces])
    _read_pieces(owner, [pieces[place] for place in missing[:_AHEAD]])


def _groups(pieces: Sequence[Piece]) -> Iterator[Group]:
    """Days, hours, and tens of minutes together, and the minutes at the edges one by one."""

    def together(piece: Piece) -> tuple[Resolution, int]:
        return piece.resolution, piece.start // _TEN if piece.resolution is Resolution.MINUTE else 0

    for (resolution, _), run in groupby(pieces, together):
        own = tuple(run)
        if resolution is Resolution.MINUTE and len(own) < _TEN:
            yield from ((piece,) for piece in own)
        else:
            yield own


def _read_groups(owner: Owner, groups: Sequence[Group]) -> list[Read]:
    """What each group is merged into; of its pieces only those are read that are not remembered."""
    tens = [place for place, group in enumerate(groups) if len(group) == _TEN and not _begun(owner, group)]
    others = [place for place in range(len(groups)) if place not in tens]
    found: dict[int, Read] = dict(zip(tens, _read(owner, [groups[place] for place in tens], _TEN), strict=True))
    parts = _read_pieces(owner, [piece for place in others for piece in groups[place]])
    for place in others:
        own = [row for piece in groups[place] for row in owner.known(parts[piece])]
        found[place] = owner.packed(rows.together(own))
    return [found[place] for place in range(len(groups))]


def _begun(owner: Owner, group: Group) -> bool:
    """Whether it is not ten minutes that are all read for the first time: these are merged by the database."""
    return group[0].resolution is not Resolution.MINUTE or len(
        remembered.unknown([_key(owner, piece) for piece in group])
    ) < len(group)


def _read_pieces(owner: Owner, pieces: Sequence[Piece]) -> dict[Piece, Read]:
    found = remembered.each(
        [_key(owner, piece) for piece in pieces],
        lambda missing: _read(owner, [(pieces[place],) for place in missing], 1),
        _weight,
    )
    return dict(zip(pieces, found, strict=True))


def _read(owner: Owner, groups: Sequence[Group], step: int) -> list[Read]:
    """The rows of groups that are a step long, or of single pieces, which begin when their rows do."""
    found: dict[int, list[Merged]] = {group[0].start: [] for group in groups}
    for row in owner.read(list(joined([piece for group in groups for piece in group])), step):
        found[row.start].append(row)
    return list(found.values())


def _key(owner: Owner, piece: Piece) -> Hashable:
    return owner.tenant, piece


def _weight(own: Read) -> int:
    return sum(_ROW_BYTES + sum(map(len, row.datas)) for row in own)
