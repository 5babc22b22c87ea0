"""Addresses of the API and of the health checks."""

from __future__ import annotations

from django.urls import include, path, re_path
from rest_framework.routers import SimpleRouter

from apps.monitoring.api import alerts, channels, mute_windows, problem, rules, silences, views
from apps.monitoring.api.explain import ExplainView
from apps.monitoring.api.exposition.view import MetricsView
from apps.monitoring.api.interactions import InteractionsView
from apps.monitoring.api.traces import TracesView

_rows = SimpleRouter(trailing_slash=False)
_rows.register("rules", rules.RulesView, "rule")
_rows.register("channels", channels.ChannelsView, "channel")
_rows.register("silences", silences.SilencesView, "silence")
_rows.register("mute-windows", mute_windows.MuteWindowsView, "mute-window")
_rows.register("alerts", alerts.AlertsView, "alert")

urlpatterns = [
    path("api/v1/", include(_rows.urls)),
    path("api/v1/metrics/summary", views.SummaryView.as_view(), name="metrics-summary"),
    path("api/v1/metrics/series", views.SeriesView.as_view(), name="metrics-series"),
    path("api/v1/interactions", InteractionsView.as_view(), name="interactions"),
    # Where exporters look for it: OTLP says the path.
    path("v1/traces", TracesView.as_view(), name="traces"),
    path("api/v1/rules/<int:pk>/explain", ExplainView.as_view(), name="rules-explain"),
    path("metrics", MetricsView.as_view(), name="metrics"),
    path("healthz", views.HealthView.as_view(), name="healthz"),
    path("readyz", views.ReadyView.as_view(), name="readyz"),
    # The schema and its page have addresses of their own; a program that asks for anything else reads problem details.
    re_path(r"^api/(?!(?:schema|docs)/?$)", problem.not_found),
]
