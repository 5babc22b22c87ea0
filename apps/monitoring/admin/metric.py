"""The field in which a metric is named."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.widgets import AdminTextInputWidget

from apps.monitoring.catalogue import METRICS, RATIOS


class MetricInput(AdminTextInputWidget):
    """A text field that offers the catalogue; a metric of one's own is typed."""

    template_name = "admin/monitoring/alertrule/metric.html"

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """With what is offered, and under which id."""
        context: dict[str, Any] = super().get_context(name, value, attrs)
        offered = f"{name}_offered"
        context["widget"]["attrs"]["list"] = offered
        return {**context, "offered": offered, "metrics": [*RATIOS.values(), *METRICS.values()]}
