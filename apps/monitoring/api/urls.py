"""Addresses of the API and of the health checks."""

from __future__ import annotations

from django.urls import path, re_path

from apps.monitoring.api import problem, views
from apps.monitoring.api.explain import ExplainView

urlpatterns = [
    path("api/v1/metrics/summary", views.SummaryView.as_view(), name="metrics-summary"),
    path("api/v1/metrics/series", views.SeriesView.as_view(), name="metrics-series"),
    path("api/v1/rules/<int:pk>/explain", ExplainView.as_view(), name="rules-explain"),
    path("healthz", views.HealthView.as_view(), name="healthz"),
    path("readyz", views.ReadyView.as_view(), name="readyz"),
    # The schema and its page have addresses of their own; a program that asks for anything else reads problem details.
    re_path(r"^api/(?!(?:schema|docs)/?$)", problem.not_found),
]
