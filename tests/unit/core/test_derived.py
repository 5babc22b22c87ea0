"""Changes and forecasts: what they are, and when there is none."""

from __future__ import annotations

import pytest

from apps.monitoring.core.derived import change, forecast
from apps.monitoring.core.judging import NOTHING, Measured


@pytest.mark.parametrize(
    ("now", "earlier", "expected"),
    [
        (Measured(150.0, 20), Measured(100.0, 30), Measured(50.0, 20)),
        (Measured(50.0, 40), Measured(100.0, 30), Measured(-50.0, 30)),
        (Measured(0.0, 20), Measured(100.0, 20), Measured(-100.0, 20)),
        (Measured(1.0, 20), Measured(-2.0, 20), Measured(150.0, 20)),
        # From nothing there is no change, however much there is now; nor from 0, which would be infinity.
        (Measured(150.0, 20), NOTHING, NOTHING),
        (Measured(150.0, 20), Measured(0.0, 20), Measured(None, 20)),
        (Measured(150.0, 20), Measured(None, 20), Measured(None, 20)),
        (Measured(None, 20), Measured(100.0, 20), Measured(None, 20)),
        (NOTHING, Measured(100.0, 20), NOTHING),
    ],
)
def test_a_change_is_in_per_cent_of_the_earlier_value(now: Measured, earlier: Measured, expected: Measured) -> None:
    assert change(now, earlier) == expected


@pytest.mark.parametrize(
    ("so_far", "lately", "expected"),
    [
        (Measured(60.0, 9), Measured(10.0, 3), Measured(60 + 10 / 100 * 240, 9)),
        (Measured(60.0, 9), NOTHING, Measured(60.0, 9)),
        (NOTHING, Measured(10.0, 3), Measured(24.0, 3)),
        (NOTHING, NOTHING, NOTHING),
        (Measured(None, 4), Measured(None, 5), Measured(None, 5)),
    ],
)
def test_a_forecast_is_what_there_is_and_the_rate_of_the_window_for_the_rest(
    so_far: Measured, lately: Measured, expected: Measured
) -> None:
    assert forecast(so_far, lately, window=100, left=240) == expected
