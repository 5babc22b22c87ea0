"""The series of one tenant (or of all together), and their rows with the bytes merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from apps.monitoring.catalogue import DISTINCT, METRICS, USER_PREFIX, Kind
from apps.monitoring.core import histogram, merging, series
from apps.monitoring.core.cell import Cell
from apps.monitoring.core.resolution import Stretch
from apps.monitoring.core.series import SeriesKey
from apps.monitoring.query import rows
from apps.monitoring.query.rows import Merged

_DATA: Final = (Kind.HISTOGRAM, Kind.DISTINCT)
_SEVERAL: Final = 2
_KINDS: Final = MappingProxyType({name: metric.kind for name, metric in METRICS.items()})


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose rows are read. ``names`` are the series by their numbers, all or those of some metrics."""

    tenant: str
    names: Mapping[int, SeriesKey]

    def read(self, stretches: Sequence[Stretch], step: int) -> list[Merged]:
        """What each series did in each step, in one row with its bytes in one piece. See `rows.read`."""
        return self.packed(rows.read(list(self.names), self._with_data(), stretches, step))

    def known(self, found: Sequence[Merged]) -> list[Merged]:
        """The rows but those of purged series, which may be remembered from when their partition was about to be dropped."""
        return [one for one in found if one.series in self.names]

    def packed(self, found: Sequence[Merged]) -> list[Merged]:
        """The rows, the bytes of each merged into one piece."""
        return [
            one if len(one.datas) < _SEVERAL else replace(one, datas=(data,))
            for one, data in zip(found, self._datas(found), strict=True)
        ]

    def cells(self, found: Sequence[Merged]) -> list[Cell]:
        """The cell of each row, its bytes merged."""
        cells = [Cell(one.count, one.sum, one.min, one.max) for one in found]
        for cell, one, data in zip(cells, found, self._datas(found), strict=True):
            if data and self.names[one.series].metric in DISTINCT:
                cell.sketches = [data]
            elif data:
                cell.buckets = histogram.decode(data)
        return cells

    def _datas(self, found: Sequence[Merged]) -> list[bytes]:
        """The bytes of each row in one piece, empty where it has none."""
        datas = [one.datas[0] if one.datas else b"" for one in found]
        several = [place for place, one in enumerate(found) if len(one.datas) >= _SEVERAL]
        sketched = [place for place in several if self.names[found[place].series].metric in DISTINCT]
        drawn = [place for place in several if self.names[found[place].series].metric not in DISTINCT]
        for places, merge in ((sketched, merging.sketches), (drawn, merging.histograms)):
            for place, data in zip(places, merge([found[place].datas for place in places]), strict=True):
                datas[place] = data
        return datas

    def _with_data(self) -> list[int]:
        """The series that have a histogram or a sketch; those of the users' own may have."""
        return [number for number, name in self.names.items() if _KINDS.get(name.metric, Kind.HISTOGRAM) in _DATA]


def name_of(metric: str, labels: str) -> SeriesKey:
    """The series that the snapshots know by a metric and labels as canonical JSON."""
    if not labels:
        return SeriesKey(metric)
    if metric.startswith(USER_PREFIX):
        return SeriesKey(metric, (labels,))
    return SeriesKey(metric, tuple(series.labels_dict(labels).values()))
