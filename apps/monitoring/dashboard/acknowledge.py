"""The page behind the link in a message: a look shows what it is about, a click on the button takes it on.

Only a POST acknowledges. Mail scanners and chat previews follow links with GET or HEAD, and take nothing on.
"""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.monitoring.alerts.acknowledge import acknowledge
from apps.monitoring.models import Alert, Channel, Notification
from apps.monitoring.notify import link

_NOTE: Final = 500
_SHOWN: Final = 20
_POLICY: Final = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest, token: str) -> HttpResponse:
    """What the link is about (GET), and taking it on (POST). Whoever has the link may: it was sent to those who are told."""
    try:
        row = Notification.objects.filter(pk=link.read(token)).first()
    except link.LinkError as error:
        return _answer(request, {"problem": f"It seems {error}."}, 404)
    if row is None:
        return _answer(request, {"problem": "The notification that this link came with is not kept any more."}, 404)
    taken = _take(request, row) if request.method == "POST" else []
    alerts = Alert.objects.filter(pk__in=row.alert_ids).select_related("acknowledged_by", "rule").order_by("tenant")
    waiting = alerts.filter(resolved_at=None, acknowledged_at=None).count()
    shown = list(alerts[:_SHOWN])
    facts = {"row": row, "alerts": shown, "more": len(row.alert_ids) - len(shown), "waiting": waiting, "taken": len(taken)}
    return _answer(request, {**facts, "known": _known(request)}, 200)


def _take(request: HttpRequest, row: Notification) -> list[int]:
    user = _known(request)
    note = request.POST.get("note", "").replace("\0", "").strip()[:_NOTE]
    who = ""
    if user is None:
        channel = Channel.objects.filter(pk=row.channel_id).values_list("name", flat=True).get()
        who = f"whoever was told on {channel}"
        note = f"By the link that was sent to {channel}. {note}".strip()
    return acknowledge(row.alert_ids, user, timezone.now(), note, who)


def _known(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) and request.user.is_active else None


def _answer(request: HttpRequest, facts: dict[str, Any], status: int) -> HttpResponse:
    answer = render(request, "monitoring/acknowledge.html", facts, status=status)
    answer["Content-Security-Policy"] = _POLICY
    answer["Referrer-Policy"] = "same-origin"  # the address is a key; other sites do not see it
    answer["X-Robots-Tag"] = "noindex"
    return answer
