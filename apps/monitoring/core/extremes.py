"""A long line with fewer points: the least and the greatest value of each stretch, so that no peak is lost."""

from __future__ import annotations

import numpy as np

from apps.monitoring.core.frame import Floats


def thin(values: Floats, most: int) -> tuple[int, list[tuple[float | None, float | None]]]:
    """The length of a stretch, and for each stretch its least and greatest value; None where all are NaN.

    ``most`` is how many stretches there are at most; the last one may be shorter than the others.
    """
    length = max(1, -(-values.size // most))
    starts = np.arange(0, values.size, length)
    if not starts.size:
        return length, []
    least, greatest = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
    pairs = zip(least.tolist(), greatest.tolist(), strict=True)
    return length, [(None, None) if np.isnan(low) else (low, high) for low, high in pairs]
