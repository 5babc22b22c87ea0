"""How many different ones: exact up to `EXACT`, within 2 % above, mergeable in any order.

Small sets keep their 64-bit hashes, so the count is exact. Beyond `EXACT` a set becomes a HyperLogLog with
2**15 registers (standard error 0.57 %, so 2 % is three and a half standard errors), estimated as in Ertl,
"New cardinality estimation algorithms for HyperLogLog sketches" (2017, algorithm 6), which has no bias at any size and no
correction tables. The form depends on the set alone, not on how it was split or merged: a union is dense
exactly when it has more than `EXACT` members.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

import numpy as np
import numpy.typing as npt

EXACT: Final = 4096
_PRECISION: Final = 15
_REGISTERS: Final = 1 << _PRECISION
_RANKS: Final = 64 - _PRECISION

Hashes = npt.NDArray[np.uint64]
_SPARSE: Final = b"s"
_DENSE: Final = b"d"


def hash_of(text: str) -> int:
    """The 64-bit hash that stands for one member; the same in every process and version.

    Signed, because Redis keeps small sets of signed 64-bit integers in eight bytes a member.
    """
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def encode(hashes: Iterable[int] | Hashes) -> bytes:
    """The sketch of a set of hashes."""
    array = hashes if isinstance(hashes, np.ndarray) else np.fromiter(hashes, dtype=np.int64).view(np.uint64)
    members = np.unique(array)
    if members.size <= EXACT:
        return _SPARSE + members.astype("<u8").tobytes()
    return _DENSE + _registers(members).tobytes()


def encodes(hashes: npt.NDArray[np.int64], lengths: Sequence[int]) -> list[bytes | None]:
    """`encode` of many sets at once, laid flat, in each of which every member is there once; None for an empty one."""
    members = hashes.view(np.uint64)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    spelled = members[np.lexsort((members, owner))].astype("<u8", copy=False).tobytes()
    ends = list(accumulate(lengths))
    return [
        (_SPARSE + spelled[8 * (end - length) : 8 * end] if length <= EXACT else encode(members[end - length : end]))
        if length
        else None
        for length, end in zip(lengths, ends, strict=True)
    ]


def merge(sketches: Iterable[bytes]) -> bytes:
    """The sketch of the union."""
    sparse: list[Hashes] = []
    dense: npt.NDArray[np.uint8] | None = None
    for sketch in sketches:
        if sketch[:1] == _SPARSE:
            sparse.append(np.frombuffer(sketch, dtype="<u8", offset=1))
        else:
            registers = np.frombuffer(sketch, dtype=np.uint8, offset=1)
            dense = registers if dense is None else np.maximum(dense, registers)
    if dense is None and not _more_than_exact(sparse):
        return encode(np.concatenate(sparse) if sparse else np.empty(0, dtype=np.uint64))
    # The same member twice changes no register, so nothing has to be sorted.
    registers = _registers(np.concatenate(sparse)) if sparse else np.zeros(_REGISTERS, dtype=np.uint8)
    return _DENSE + (registers if dense is None else np.maximum(dense, registers)).tobytes()


def _more_than_exact(sparse: list[Hashes]) -> bool:
    """Whether there are too many different members to keep; looks only at as many as it takes to know."""
    seen = np.empty(0, dtype=np.uint64)
    waiting: list[Hashes] = []
    for members in sparse:
        waiting.append(members)
        if sum(map(len, waiting)) > EXACT:
            seen = np.unique(np.concatenate([seen, *waiting]))
            waiting = []
            if seen.size > EXACT:
                return True
    return bool(np.unique(np.concatenate([seen, *waiting])).size > EXACT)


def members(sketch: bytes) -> Hashes | None:
    """The hashes of a sketch that still is a set; None for one that is not."""
    return np.frombuffer(sketch, dtype="<u8", offset=1) if sketch[:1] != _DENSE else None


def count(sketch: bytes) -> int:
    """How many different members. Of a set that grows it never falls, also where it becomes an estimate."""
    if sketch[:1] == _SPARSE:
        return (len(sketch) - 1) // 8
    return max(EXACT + 1, round(_estimate(np.frombuffer(sketch, dtype=np.uint8, offset=1))))


def counts_by_group(
    groups: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], data: bytes, group_count: int
) -> npt.NDArray[np.int64]:
    """The counts of many unions at once.

    ``data`` are the sketches one after the other, ``groups[i]`` is the group of the i-th and ``lengths[i]`` how many bytes
    it takes.
    """
    result = np.zeros(group_count, dtype=np.int64)
    if not lengths.size:
        return result
    spelled = np.frombuffer(data, dtype=np.uint8)
    starts = np.cumsum(lengths) - lengths
    crowded = np.zeros(group_count, dtype=np.bool_)
    crowded[groups[spelled[starts] == _DENSE[0]]] = True
    kept = ~crowded[groups]
    is_member = np.repeat(kept, lengths)
    is_member[starts] = False
    members = spelled[is_member].view("<u8")
    owner = np.repeat(groups[kept], (lengths[kept] - 1) // 8)
    order = np.lexsort((members, owner))
    members, owner = members[order], owner[order]
    first = np.ones(members.size, dtype=np.bool_)
    first[1:] = (members[1:] != members[:-1]) | (owner[1:] != owner[:-1])
    result += np.bincount(owner[first], minlength=group_count)
    crowded |= result > EXACT
    for group in np.flatnonzero(crowded).tolist():
        own = np.flatnonzero(groups == group)
        result[group] = count(
            merge(data[start : start + length] for start, length in zip(starts[own], lengths[own], strict=True))
        )
    return result


def _registers(members: Hashes) -> npt.NDArray[np.uint8]:
    """For each register the largest rank: one more than the zeros that lead the hash's lower bits."""
    registers = np.zeros(_REGISTERS, dtype=np.uint8)
    if members.size:
        index = (members >> np.uint64(_RANKS)).astype(np.int64)
        rest = members & np.uint64((1 << _RANKS) - 1)
        bits = np.zeros(members.size, dtype=np.int64)
        known = rest > 0
        # 49 bits fit a double exactly, so the exponent is the position of the leading one.
        bits[known] = np.frexp(rest[known].astype(np.float64))[1]
        np.maximum.at(registers, index, (_RANKS - bits + 1).astype(np.uint8))
    return registers


def _estimate(registers: npt.NDArray[np.uint8]) -> float:
    histogram = np.bincount(registers, minlength=_RANKS + 2).tolist()
    z = _REGISTERS * _tau(1.0 - histogram[_RANKS + 1] / _REGISTERS)
    for rank in range(_RANKS, 0, -1):
        z = 0.5 * (z + histogram[rank])
    z += _REGISTERS * _sigma(histogram[0] / _REGISTERS)
    return _REGISTERS * _REGISTERS / (2.0 * math.log(2.0) * z) if z else math.inf


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y, z = 1.0, x
    while True:
        x *= x
        previous = z
        z += x * y
        y += y
        if z == previous:
            return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z = 1.0, 1.0 - x
    while True:
        x = math.sqrt(x)
        previous = z
        y *= 0.5
        z -= (1.0 - x) ** 2 * y
        if z == previous:
            return z / 3.0
