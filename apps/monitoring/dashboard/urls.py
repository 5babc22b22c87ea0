"""Addresses of the dashboard."""

from __future__ import annotations

from django.urls import path
from django.views.generic import RedirectView

from apps.monitoring.dashboard import acknowledge, login, views

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="dashboard")),
    path("dashboard/", views.dashboard, name="dashboard"),
    path("dashboard/data", views.data, name="dashboard-data"),
    path("acknowledge/<token>/", acknowledge.page, name="acknowledge"),
    path("login/<identity>/<token>/", login.one_time_login, name="one-time-login"),
]
