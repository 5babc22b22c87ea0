"""The admin as its users see it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

HOME = "/admin/monitoring"
HOSTILE = "<script>alert(1)</script>"


def staff(*permissions: str) -> Client:
    """A member of staff who may do this and nothing else."""
    user = get_user_model().objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="monitoring", codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def page(client: Client, path: str) -> str:
    answer = client.get(f"{HOME}/{path}")
    assert answer.status_code == 200
    return answer.content.decode()


def act(client: Client, model: str, action: str, *rows: Any) -> str:
    """Run an action on rows of a list; returns what the next page says."""
    answer = client.post(f"{HOME}/{model}/", {"action": action, "_selected_action": [str(row.pk) for row in rows]}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def errors(answer: Any) -> dict[str, list[str]]:
    """What a form complains about, by field."""
    assert answer.status_code == 200, "the form was accepted"
    return dict(answer.context["adminform"].form.errors)


def form(**more: Any) -> dict[str, Any]:
    """What a rule's form sends."""
    return {
        "name": "mine", "description": "", "enabled": "on", "severity": "warning", "metric": "response_time",
        "statistic": "p95", "operator": "gt", "threshold": "2500.5", "window_minutes": "7", "min_samples": "3",
        "scope": "every_tenant", "tenant": "", "label_filter": "{}", "for_minutes": "2", "recovery_threshold": "",
        "keep_firing_for_minutes": "0", "no_data": "ok", "cooldown_minutes": "15", "message_template": "",
        "runbook_url": "", "change_against": "", "budget": "", **more,
    }  # fmt: skip
