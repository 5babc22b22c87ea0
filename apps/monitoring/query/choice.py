"""Which series are read: some metrics of one tenant or of each, perhaps with certain labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Choice:
    """``tenant`` None is each one. ``labels`` are those that a series has to have, at least, as canonical JSON; or empty."""

    tenant: str | None
    labels: str = ""

    @classmethod
    def of(cls, tenant: str | None, labels: Mapping[str, str]) -> Choice:
        """The choice; two with the same labels are equal."""
        return cls(tenant, orjson.dumps(dict(labels), option=orjson.OPT_SORT_KEYS).decode() if labels else "")

    @property
    def condition(self) -> str:
        """What SQL says of the table of series under the name ``s``, of which `given` is a part of the parameters."""
        whose = "s.tenant <> ''" if self.tenant is None else "s.tenant = %(tenant)s"
        labelled = " AND s.labels <> '' AND s.labels::jsonb @> %(labels)s::jsonb" if self.labels else ""
        return f"s.metric = ANY(%(metrics)s) AND {whose}{labelled}"

    def given(self, metrics: Collection[str]) -> dict[str, Any]:
        """The parameters of the condition for some metrics."""
        return {"metrics": sorted(metrics), "tenant": self.tenant, "labels": self.labels}
