"""Addresses of the API and of the health checks."""

from __future__ import annotations

from django.urls import path, re_path

from apps.monitoring.api import problem, views

urlpatterns = [
    path("api/v1/metrics/summary", views.SummaryView.as_view(), name="metrics-summary"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    re_path(r"^api/v1/.*$", problem.not_found),
]
